"""What a connection's page lets people do: its schedule, reading again, webhooks; and links into the vendor's pages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.app.webhooks import hook_path
from tests.projects import HUB, make_project
from tests.web.console import MANUAL, Browser, Console
from tests.web.test_api import call, token

FORMS = """
  forms:
    connector: inbound
    mode: observe
    mapping: forms.yaml
    settings: {id: id}
  stripe:
    connector: stripe
    mode: observe
    mapping: stripe.yaml
    auth: {kind: token, token: "env:STRIPE_TOKEN"}
"""
STRIPE = """\
connector: stripe
language: 1
streams:
  customers:
    entity: contact
    fields:
      email: {remote: email, direction: in}
"""
MAPPING = """\
connector: inbound
language: 1
streams:
  leads:
    entity: contact
    fields:
      email: {remote: email, direction: in}
"""


@pytest.fixture
def hooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A console over a hub that webhooks come to."""
    canonical = MANUAL.replace("sources: [", "sources: [forms, stripe, ")
    project = make_project(tmp_path, hub=HUB.rstrip() + FORMS, canonical_yaml=canonical)
    (project / "mappings/forms.yaml").write_text(MAPPING, "utf-8")
    (project / "mappings/stripe.yaml").write_text(STRIPE, "utf-8")
    monkeypatch.setenv("STRIPE_TOKEN", "sk_test_s3cret")
    found = Console(tmp_path, project=project, environ=os.environ)
    found.start()
    yield found
    found.stop()


def typed(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1]


# Schedule


def test_a_schedule_is_changed_and_takes_effect_at_once(console: Console) -> None:
    admin = console.as_("admin")
    page = admin.get("/connections/left").text
    assert (typed(page, "every"), typed(page, "sweep")) == ("5m", "7d")
    answer = admin.post("/connections/left/schedule", every="90s", sweep="7d")
    assert answer.to == "/connections/left?done=schedule"
    assert set(console.hub.connections["left"].every_s.values()) == {90.0}
    assert set(console.hub.connections["right"].every_s.values()) == {300.0}
    assert "every: 90s" in console.read("hub.yaml")
    assert "sweep:" not in console.read("hub.yaml"), "what was not changed is not written"
    assert typed(admin.get("/connections/left").text, "every") == "1m30s"
    assert ("admin", "schedule changed", "left") in console.audit()


@pytest.mark.parametrize(
    ("every", "code"), [("soon", "CFG-022"), ("1s", "CFG-035"), ("*/5 * * * *", "CFG-022"), ("<b>", "CFG-022")]
)
def test_a_schedule_that_is_none_is_refused_with_what_to_write(console: Console, every: str, code: str) -> None:
    before = console.read("hub.yaml")
    answer = console.as_("admin").post("/connections/left/schedule", every=every, sweep="7d")
    assert answer.status == 422
    assert code in answer.text
    assert "<b>" not in answer.text
    assert 'role="alert"' in answer.text
    assert typed(answer.text, "every") == every.replace("<", "&lt;").replace(">", "&gt;"), (
        "what was typed is still there"
    )
    assert console.read("hub.yaml") == before
    assert "schedule changed" not in [what for _, what, _ in console.audit()]


def test_a_schedule_by_the_calendar_takes_the_place_of_an_interval_and_gives_it_back(console: Console) -> None:
    admin = console.as_("admin")
    answer = admin.post(  # as the form sends it, what was there before included
        "/connections/left/schedule", every="5m", cron="0  6 * * 1-5", timezone="Europe/Berlin", sweep="7d"
    )  # fmt: skip
    assert answer.to == "/connections/left?done=schedule"
    left = console.hub.connections["left"]
    assert (left.every_s, {each.text for each in left.crons.values()}) == ({}, {"0 6 * * 1-5"})
    assert "timezone: Europe/Berlin" in console.read("hub.yaml")
    page = admin.get("/connections/left").text
    assert (typed(page, "every"), typed(page, "cron"), typed(page, "timezone")) == ("", "0 6 * * 1-5", "Europe/Berlin")
    assert "at 0 6 * * 1-5 (Europe/Berlin)" in admin.get("/connections").text
    before = console.read("hub.yaml")
    admin.post("/connections/left/schedule", cron="0 6 * * 1-5", timezone="Europe/Berlin", sweep="7d")
    assert console.read("hub.yaml") == before, "the same once more changes nothing"
    admin.post("/connections/left/schedule", every="10m", cron="0 6 * * 1-5", timezone="Europe/Berlin", sweep="7d")
    assert not {"cron:", "timezone: Europe"} & set(re.findall(r"cron:|timezone: Europe", console.read("hub.yaml")))
    assert set(console.hub.connections["left"].every_s.values()) == {600.0}


def test_a_stream_has_a_schedule_of_its_own_until_it_is_taken_out(console: Console) -> None:
    admin = console.as_("admin")
    admin.post("/connections/left/schedule", every="5m", sweep="7d", cron__people="0 3 * * *")
    left = console.hub.connections["left"]
    assert (left.every_s, left.crons["people"].text) == ({}, "0 3 * * *")
    assert typed(admin.get("/connections/left").text, "cron.people") == "0 3 * * *"
    assert "file: data/left.csv" in console.read("hub.yaml"), "what else is said of the stream stays"
    admin.post("/connections/left/schedule", every="5m", sweep="7d", every__people="1h", cron__people="0 3 * * *")
    assert console.hub.connections["left"].every_s == {"people": 3600.0}
    admin.post("/connections/left/schedule", every="5m", sweep="7d", every__people="", cron__people="")
    assert console.hub.connections["left"].every_s == {"people": 300.0}
    (last, *_) = [row for row in console.audit()[::-1] if row[1] == "schedule changed"]
    assert last == ("admin", "schedule changed", "left")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"cron": "0 25 * * *"}, "CFG-036"), ({"cron": "0 0 31 2 *"}, "CFG-036"), ({"cron": "daily"}, "CFG-036"),
        ({"cron": "0 6 1 * 1"}, "CFG-036"), ({"cron": "0 6 * * *", "every": "7m"}, "CFG-037"),
        ({"cron": "0 6 * * *", "timezone": "Mars/Crater"}, "CFG-022"), ({"timezone": "Europe/Berlin"}, "CFG-037"),
        ({"streams": {"people": {"every": "1s"}}}, "CFG-035"), ({"streams": {"people": {"cron": "x"}}}, "CFG-036"),
    ],
    ids=str,
)  # fmt: skip
def test_a_calendar_that_is_none_is_refused_with_its_place(console: Console, said: dict[str, Any], code: str) -> None:
    before, key = console.read("hub.yaml"), token(console, "configure")
    status, found = call(console, "POST", "/connections/left/schedule", key, said)
    assert (status, found["code"]) == (422, code)
    assert found["where"].startswith("left")
    assert console.read("hub.yaml") == before


def test_a_program_sets_schedules_of_streams_and_a_stream_that_is_not_there_is_told(console: Console) -> None:
    key = token(console, "configure")
    body = {"cron": "*/15 8-18 * * mon-fri", "streams": {"people": {"every": "30s"}}}
    status, said = call(console, "POST", "/connections/left/schedule", key, body)
    assert (status, said["cron"], said["timezone"], said["every"]) == (200, "*/15 8-18 * * mon-fri", "UTC", "")
    assert said["streams"] == [{"stream": "people", "own": True, "every": "30s", "cron": "", "timezone": ""}]
    assert said["next"]
    status, found = call(console, "POST", "/connections/left/schedule", key, {"streams": {"nothing": {}}})
    assert (status, found["fix"]) == (404, "streams are: people")


# Reading again


def test_reading_again_tells_its_price_and_is_done_after_a_yes(console: Console) -> None:
    admin = console.as_("admin")
    assert "Read again" in admin.get("/connections/left").text
    asked = admin.post("/connections/left/backfill", since="", stream="")
    assert asked.status == 200
    assert "from its beginning; 2 records known, 1 call at least" in asked.text
    assert "bring no rewards" in asked.text
    assert "backfill asked for" not in [what for _, what, _ in console.audit()]
    done = admin.post("/connections/left/backfill", since="", stream="people", sure="yes")
    assert done.to == "/connections/left?done=backfill"
    assert ("admin", "backfill asked for", "left") in console.audit()
    assert "To be read again with the next run: people" in admin.get("/connections/left").text
    console.sync()
    assert "To be read again" not in admin.get("/connections/left").text


def test_a_day_that_is_none_is_refused_on_the_page(console: Console) -> None:
    answer = console.as_("admin").post("/connections/left/backfill", since="yesterday")
    assert answer.status == 422
    assert "WHY-TIME" in answer.text


def test_nobody_without_the_right_is_shown_a_button(console: Console) -> None:
    page = console.as_("support").get("/connections/left").text
    assert "Read every 5m" in page
    assert not [each for each in ("backfill", "schedule", "/mode") if f'action="/connections/left/{each}' in page]


# Webhooks


def test_a_page_says_whether_webhooks_come(hooked: Console) -> None:
    admin, path = hooked.as_("admin"), hook_path(hooked.hub, "forms")
    page = admin.get("/connections/forms").text
    assert "nothing was heard yet" in page
    assert "none needed" in page
    assert path.rpartition("/")[2] not in page, "the address is a secret"
    shown = admin.post("/connections/forms/webhooks/address").text
    assert f"https://hub.example.org{path}" in shown
    assert ("admin", "webhook address shown", "forms") in hooked.audit()
    body = '{"id": "1", "email": "dan@example.org"}'
    assert Browser(hooked.port).ask("POST", path, body, {"Content-Type": "application/json"}).status == 200
    page = admin.get("/connections/forms").text
    assert "heard</span> last" in page
    assert "nothing was heard yet" not in page


def test_a_webhook_that_is_refused_is_told_with_its_reason(hooked: Console) -> None:
    admin, path = hooked.as_("admin"), hook_path(hooked.hub, "stripe")
    assert "<strong>not set</strong>" in admin.get("/connections/stripe").text
    assert Browser(hooked.port).ask("POST", path, "{}", {"Content-Type": "application/json"}).status >= 400
    page = admin.get("/connections/stripe").text
    assert re.search(r'refused</span> .*<a href="/codes/SIG-[A-Z]+">', page)
    assert "sk_test_s3cret" not in page


def test_a_signing_secret_is_kept_sealed_and_never_shown(hooked: Console) -> None:
    admin = hooked.as_("admin")
    answer = admin.post("/connections/stripe/webhooks/secret", secret=" whsec_typed_by_hand ")
    assert answer.to == "/connections/stripe?done=hook-secret"
    assert "secret: secret:stripe_webhook" in hooked.read("hub.yaml")
    assert hooked.hub.connections["stripe"].settings.webhooks["secret"] == "whsec_typed_by_hand"
    page = admin.get("/connections/stripe").text
    assert "<dd>set</dd>" in page
    assert "whsec_typed_by_hand" not in page + hooked.read("hub.yaml")
    assert ("admin", "secret set", "stripe_webhook") in hooked.audit()
    refused = admin.post("/connections/stripe/webhooks/secret", secret=" ")
    assert (refused.status, "SEC-EMPTY" in refused.text) == (422, True)


def test_the_hub_sets_webhooks_up_where_the_system_can_be_told(hooked: Console) -> None:
    connection, told = hooked.hub.connections["stripe"], list[str]()

    def subscribe(_api: object, url: str) -> dict[str, object]:
        told.append(url)
        return {"url": url, "endpoint": "we_1", "events": ["made", "<b>changed"], "secret": "whsec_from_the_vendor"}

    hooked.hub.connections["stripe"] = replace(connection, connector=replace(connection.connector, subscribe=subscribe))
    admin, address = hooked.as_("admin"), hook_path(hooked.hub, "stripe")
    assert "Set them up there" in admin.get("/connections/stripe").text
    answer = admin.post("/connections/stripe/webhooks/subscribe")
    assert answer.to == "/connections/stripe?done=subscribed", answer.text
    assert told == [f"https://hub.example.org{address}"]
    assert hooked.hub.connections["stripe"].settings.webhooks["secret"] == "whsec_from_the_vendor"
    page = admin.get("/connections/stripe").text
    assert "Set up once more" in page
    assert "we_1" in page
    assert "&lt;b&gt;changed" in page
    assert address.rpartition("/")[2] not in page
    assert ("admin", "webhooks subscribed", "stripe") in hooked.audit()


def test_a_system_that_sends_none_says_so(console: Console) -> None:
    admin = console.as_("admin")
    assert "This system sends none" in admin.get("/connections/left").text
    assert admin.post("/connections/left/webhooks/address").status == 422
    assert "HOOK-NONE" in admin.post("/connections/left/webhooks/subscribe").text


# Into the vendor's own pages


def test_a_record_links_into_its_vendors_pages(console: Console) -> None:
    connection = console.hub.connections["left"]
    pages = {"people": "https://vendor.example/people/{id}?tab=1"}
    console.hub.connections["left"] = replace(connection, connector=replace(connection.connector, pages=pages))
    page = console.as_("viewer").get(f"/records/{console.contact()}").text
    assert '<a href="https://vendor.example/people/1?tab=1" rel="noopener noreferrer" target="_blank">' in page
    assert page.count("vendor.example") == 1, "the other system declares none"


# For programs


def test_a_program_does_what_the_page_does(hooked: Console) -> None:
    key = token(hooked, "read", "run", "configure")
    status, said = call(hooked, "POST", "/connections/left/schedule", key, {"every": "10m"})
    assert (status, said["every"], said["cron"], said["sweep"]) == (200, "10m", "", "7d")
    status, said = call(hooked, "POST", "/connections/left/schedule", key, {"every": "often"})
    assert (status, said["code"]) == (422, "CFG-022")
    status, cost = call(hooked, "GET", "/connections/left/backfill", key)
    assert (status, cost["streams"][0]["stream"], cost["calls"]) == (200, "people", 1)
    status, asked = call(hooked, "POST", "/connections/left/backfill", key, {"stream": "people"})
    assert (status, asked["streams"], asked["since"]) == (202, ["people"], None)
    assert call(hooked, "POST", "/connections/left/mode", key, {"mode": "observe"}) == (200, {"mode": "observe"})
    assert hooked.hub.connections["left"].mode == "observe"
    status, state = call(hooked, "GET", "/connections/stripe/webhooks", key)
    assert (status, state["takes"], state["signed"], state["secret_set"]) == (200, True, True, False)
    assert call(hooked, "POST", "/connections/stripe/webhooks/secret", key, {"secret": "whsec_x"})[0] == 200
    assert call(hooked, "GET", "/connections/stripe/webhooks", key)[1]["secret_set"]
    status, told = call(hooked, "POST", "/connections/stripe/webhooks/address", key)
    assert (status, told["url"]) == (200, f"https://hub.example.org{hook_path(hooked.hub, 'stripe')}")
    for what in ("schedule changed", "backfill asked for", "mode changed", "webhook address shown"):
        assert "admin" in [who.partition("/")[0] for who, done, _ in hooked.audit() if done == what], what


# Credentials


def test_a_credential_that_was_wrong_is_given_anew_and_sealed(console: Console) -> None:
    admin, page = console.as_("admin"), "/connections/billing"
    form: dict[str, Any] = {"connector": "hubspot", "name": "billing", "kind": "token", "secret__token": "mistyped"}
    assert admin.post("/connections/add", **form).to == f"{page}?done=added"
    assert 'name="secret.token"' in admin.get(page).text
    assert 'name="secret.token"' not in console.as_("support").get(page).text
    text = console.read("hub.yaml")
    assert admin.post(f"{page}/credentials", secret__token=" right ").to == f"{page}?done=credentials"
    assert console.hub.vault is not None
    with console.hub.store.reading() as tx:
        assert console.hub.vault.unseal(tx.secret("billing.token"), "billing.token") == "right"
    assert console.read("hub.yaml") == text, "it refers to what is kept"
    assert "right" not in re.findall(r'value="([^"]*)"', admin.get(page).text)
    nothing: list[dict[str, Any]] = [{"secret__token": " "}, {"secret__other": "x"}, {}]
    for given in nothing:
        refused = admin.post(f"{page}/credentials", **given)
        assert (refused.status, "CFG-033" in refused.text) == (422, True)
    assert "Other credentials" not in admin.get("/connections/left").text, "it has none"
