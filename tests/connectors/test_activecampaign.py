"""ActiveCampaign on its twin: contacts with what hangs on them, imports, a 403 that means one of three things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import responses

from connectors.activecampaign import CONNECTOR
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.syncing import sync_now
from hub.app.webhooks import accept_webhook
from hub.connector import Settings
from hub.errors import NeedsReview, RecordRejected, RetryLater, SignInExpired
from hub.model import Json
from hub.runtime.clock import VirtualClock
from hub.runtime.registry import SHIPPED
from hub.twins.activecampaign import ACTID, EVENT_KEY, make
from hub.twins.server import serve
from tests.connectors.doors import NOW, Desk, call_in, change, desk, door_to, messages_of, twin_clock

VALUES = {"account": "twin", "list": "1"}


@pytest.fixture
def made() -> Iterator[Desk]:
    twin = make(clock=twin_clock(), auto_hooks=False, limit_scale=0)
    with desk(CONNECTOR, twin, values=VALUES) as found:
        found.twin.user_create("users", {"email": "kim@example.com"})
        yield found


def people(made: Desk, count: int, **fields: Any) -> list[str]:
    return [
        made.twin.user_create("contacts", {"email": f"P{n}@Example.org", "lastName": f"P{n}", **fields})
        for n in range(count)
    ]


def test_contacts_are_read_by_id_with_their_fields_in_the_same_calls(made: Desk) -> None:
    ids = people(made, 250, _values={"2": "2024-02-29", "3": "||Product||Pricing||"})
    records, cursor, pages = made.pull_all("contacts")
    assert [record.external_id for record in records] == ids
    assert (len(pages), made.calls()) == (3, 4)  # the fourth: what the fields are called
    assert records[0].data["fields"] == {
        "HUB_ID": None, "BIRTHDAY": "2024-02-29", "INTERESTS": ["Product", "Pricing"], "LANGUAGE": None,
    }  # fmt: skip
    made.advance(1000)
    _, cursor, _ = made.pull_all("contacts", cursor)
    made.twin.user_edit("contacts", ids[200], {"firstName": "New"})
    found, _, _ = made.pull_all("contacts", cursor)
    assert [record.external_id for record in found] == [ids[200]]


def test_all_with_one_stamp_are_read_again(made: Desk) -> None:
    ids = people(made, 120)
    _, cursor, _ = made.pull_all("contacts")
    assert {record.external_id for record in made.pull_all("contacts", cursor)[0]} == set(ids)


def test_a_deal_that_vanishes_under_way_hides_none(made: Desk) -> None:
    (contact,) = people(made, 1)
    given = {"title": "D", "value": "100", "currency": "eur", "contact": contact, "owner": "1"}
    deals = [made.twin.user_create("deals", given) for _ in range(220)]
    page = CONNECTOR.pull(made.api, "deals", None)
    for gone in deals[:30]:
        made.twin.user_delete("deals", gone)
    rest, _, _ = made.pull_all("deals", page.next_cursor)
    assert {record.external_id for record in [*page.records, *rest]} >= set(deals)


def test_what_is_missing_in_a_list_is_asked_for_alone(made: Desk) -> None:
    ids = people(made, 3)
    made.twin.user_delete("contacts", ids[1])
    found = {record.external_id: record.op for record in made.fetch("contacts", [*ids, "9" * 19, "x", "../1"])}
    assert found == {ids[0]: "upsert", ids[1]: "delete", ids[2]: "upsert", "9" * 19: "delete"}


def test_list_account_job_and_tags_are_written_in_rows_of_their_own(made: Desk) -> None:
    (one,) = people(made, 1)
    account = made.twin.user_create("accounts", {"name": "Acme"})
    other = made.twin.user_create("accounts", {"name": "Beta"})
    body = {"account_id": account, "job_title": "Buyer", "tags": ["vip", "news"],
            "subscription": {"marketingState": "SUBSCRIBED"}}  # fmt: skip
    (result,) = made.push("contacts", [change("update", body, one)])
    assert result.held is not None
    held = result.held.data
    assert (held["account_id"], held["job_title"], held["tags"]) == (account, "Buyer", ["news", "vip"])
    assert held["subscription"]["state"] == "SUBSCRIBED"
    again = {"account_id": other, "tags": ["vip"], "subscription": {"marketingState": "UNSUBSCRIBED"}}
    (result,) = made.push("contacts", [change("update", again, one)])
    assert result.held is not None
    assert (result.held.data["account_id"], result.held.data["tags"]) == (other, ["vip"])
    assert result.held.data["subscription"]["state"] == "UNSUBSCRIBED"


def test_a_create_is_found_by_the_hubs_id_and_a_second_one_by_its_address(made: Desk) -> None:
    sent = change("create", {"email": "Ada@example.org", "lastName": "Byron"}, reference="hub:7")
    (result,) = made.push("contacts", [sent])
    assert result.outcome == "applied"
    (found,) = made.find("contacts", "fields.HUB_ID", "hub:7")
    assert (found.external_id, found.marker) == (result.external_id, "hub:7")
    (again,) = made.push("contacts", [sent])
    assert (again.outcome, again.existing_id, again.field) == ("duplicate", result.external_id, "email")


def test_many_plain_updates_are_one_import(made: Desk) -> None:
    ids = people(made, 60)
    made.fetch("contacts", ids)
    before = made.calls()
    results = made.push("contacts", [change("update", {"firstName": f"N{n}"}, each) for n, each in enumerate(ids)])
    assert {result.outcome for result in results} == {"applied"}
    assert [result.held.data["firstName"] for result in results if result.held] == [f"N{n}" for n in range(60)]
    assert made.calls() - before == 1 + 2 + 1  # the import, two polls, one read


def test_an_import_tells_which_failed_and_the_others_are_done(made: Desk) -> None:
    ids = people(made, 20)
    made.fetch("contacts", ids)
    made.twin.set_faults(script=[{"match": "POST", "fault": "reject", "rows": 2}])
    results = made.push("contacts", [change("update", {"firstName": "N"}, each) for each in ids])
    outcomes = [result.outcome for result in results]
    assert (outcomes.count("applied"), outcomes.count("rejected")) == (18, 2)


def test_an_import_that_does_not_end_is_unknown(made: Desk) -> None:
    made.twin.settings["import_polls"] = 1000
    ids = people(made, 12)
    made.fetch("contacts", ids)
    results = made.push("contacts", [change("update", {"firstName": "N"}, each) for each in ids])
    assert {result.outcome for result in results} == {"unknown"}
    assert made.clock.now() - NOW >= 10


def test_too_many_imports_hide_in_a_400(made: Desk) -> None:
    ids = people(made, 12)
    made.fetch("contacts", ids)
    made.twin._imports.calls = 1
    sent = [change("update", {"firstName": "N"}, each) for each in ids]
    made.push("contacts", sent)
    assert {result.outcome for result in made.push("contacts", sent)} == {"throttled"}


def test_a_deals_stage_is_a_word_and_won_is_a_state(made: Desk) -> None:
    (contact,) = people(made, 1)
    body = {"title": "D", "value": 100, "currency": "eur", "contact": contact, "owner": "1", "stage_name": "Demo"}
    (result,) = made.push("deals", [change("create", body)])
    assert result.held is not None
    assert result.held.data["stage_name"] == "Demo"
    (won,) = made.push("deals", [change("update", {"stage_name": "Won"}, result.external_id)])
    assert won.held is not None
    assert (won.held.data["stage_name"], won.held.data["stage"]) == ("Won", "3")
    (wrong,) = made.push("deals", [change("update", {"stage_name": "Nonsense"}, result.external_id)])
    assert (wrong.outcome, wrong.code) == ("rejected", "ACTIVECAMPAIGN-STAGE")


def test_what_the_vendor_refuses_is_told_with_its_field(made: Desk) -> None:
    (one,) = people(made, 1)
    sent = [change("update", {"lastName": value}, one) for value in ("a\0b", "x" * 100_000, "𝒳😀 שלום")]
    assert [result.outcome for result in made.push("contacts", sent)] == ["rejected", "rejected", "applied"]
    (result,) = made.push("deals", [change("create", {"title": "D", "value": 1, "currency": "EUR", "owner": "1"})])
    assert (result.outcome, result.code, result.field) == ("rejected", "field_invalid", "currency")
    (gone,) = made.push("contacts", [change("update", {"lastName": "X"}, "999")])
    assert gone.outcome == "not_found"


def test_discovery_and_check_know_the_account(made: Desk) -> None:
    found = {field.name: field for field in CONNECTOR.discover(made.api, "contacts")}
    assert found["fields.INTERESTS"].options == ("Product", "Pricing", "Support", "Training")
    assert (found["fields.BIRTHDAY"].type, found["fields.BIRTHDAY"].custom) == ("date", True)
    deals = {field.name: field for field in CONNECTOR.discover(made.api, "deals")}
    assert "Won" in deals["stage_name"].options
    assert CONNECTOR.check(made.api)["warnings"] == []


def test_a_webhook_is_made_once_and_names_its_records(made: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    first = CONNECTOR.subscribe(made.api, "https://hub.example.com/hooks/x")
    assert (first["made"], CONNECTOR.subscribe(made.api, "https://hub.example.com/hooks/x")["made"]) == (True, False)
    (one,) = people(made, 1)
    made.push("contacts", [change("update", {"lastName": "Ours"}, one)])  # source api: not told
    (sent,) = messages_of(made.twin)
    (event,) = made.parse(sent)
    assert (event.stream, event.external_id, event.at) == ("contacts", one, NOW)
    deal = b"type=deal_update&date_time=2026-11-02&contact[id]=1&deal[id]=7"
    (event,) = made.parse(call_in(deal, {}))
    assert (event.stream, event.external_id, event.at) == ("deals", "7", None)
    for body in (b"\xff", b"a=1", b""):
        with pytest.raises(RecordRejected, match="HOOK-BODY"):
            made.parse(call_in(body, {}))


def test_what_people_do_with_mails_comes_whole_and_once(made: Desk) -> None:
    (one,) = people(made, 1)
    made.twin.user_create("contactLists", {"contact": one, "list": "1", "status": "1"})
    CONNECTOR.subscribe(made.api, "https://hub.example.com/hooks/x")  # type: ignore[misc]
    made.twin.user_action("open_mail", contact=one)
    made.twin.user_action("click_link", contact=one)
    made.twin.user_action("leave_list", contact=one)
    opened, clicked, left = (made.parse(each) for each in messages_of(made.twin))
    assert [(event.stream, event.record is not None) for event in opened] == [("emailEvents", True)]
    assert [(event.stream, event.record is not None) for event in left] == [("emailEvents", True), ("contacts", False)]
    (click,) = clicked
    assert click.record is not None
    assert click.record.stamp == NOW
    assert {name: click.record.data[name] for name in ("type", "contact", "campaign", "subject", "url")} == {
        "type": "click", "contact": one, "campaign": "May", "subject": "News in May", "url": "https://acme.example/new",
    }  # fmt: skip
    again = made.parse(messages_of(made.twin)[1])
    assert [event.key for event in again] == [click.key], "it may come twice"
    assert len({each.key for each in (*opened, *clicked, *left)}) == 4
    assert list(made.fetch("emailEvents", [click.external_id])) == [], "nothing tells whether it is there"


def test_an_automation_has_a_name_a_beginning_and_an_end(made: Desk) -> None:
    (one,) = people(made, 1)
    entry = made.twin.user_create("contactAutomations", {"contact": one, "automation": "2", "adddate": AT})
    (record,), _, _ = made.pull_all("contactAutomations")
    told = ("automation_name", "entered_at", "completed_at")
    assert [record.data[name] for name in told] == ["Win back", AT, None]
    made.advance(3 * 86_400)
    made.twin.user_action("complete_automation", entry=entry)
    calls = made.calls()
    (record,) = made.fetch("contactAutomations", [entry])
    assert [record.data[name] for name in told] == ["Win back", AT, "2026-11-05T03:00:00-05:00"]
    assert made.calls() == calls + 1


def test_automations_and_mails_stand_on_a_persons_time_line(tmp_path: Path) -> None:
    twin = make(clock=twin_clock(), auto_hooks=False, limit_scale=0)
    kim = twin.user_create("contacts", {"email": "kim@example.org"})
    old = twin.user_create("contactAutomations", {"contact": kim, "automation": "1", "adddate": AT})
    with serve(twin) as running:
        (tmp_path / "mappings").mkdir()
        (tmp_path / "hub.yaml").write_text(HUB_YAML.format(url=running.base_url), encoding="utf-8")
        for name in ("canonical", "activecampaign"):
            (tmp_path / "mappings" / f"{name}.yaml").write_bytes((SHIPPED / f"{name}.yaml").read_bytes())
        clock = VirtualClock(NOW)
        hub = open_hub(tmp_path, clock=clock, environ={"AC_TOKEN": "twin-token", "AC_EVENTS": EVENT_KEY}, publish=True)
        sync(hub)
        twin.advance(60)
        clock.advance(60)
        twin.set_webhook("https://hub.example.com/hooks/x", "")
        twin.user_action("complete_automation", entry=old)
        twin.user_create("contactAutomations", {"contact": kim, "automation": "2", "adddate": AT})
        twin.user_action("open_mail", contact=kim)
        for each in messages_of(twin):
            accept_webhook(hub, hub.connections["ac"], each)
            accept_webhook(hub, hub.connections["ac"], each)
        sync(hub)
        sync(hub)
        with hub.store.reading() as tx:
            (person,) = tx.entities_page("contact")
            events = tx.events(subject_ids=[person.id])
        hub.store.close()
    assert Counter((event.name, event.silent) for event in events) == {
        ("activity.automation_entered", True): 1, ("activity.automation_entered", False): 1,
        ("activity.automation_completed", False): 1, ("activity.email_opened", False): 1,
    }  # fmt: skip


def sync(hub: Hub) -> None:
    assert [run.error for run in sync_now(hub, owner="test").runs if run.error] == []


def test_an_event_is_told_to_the_tracking_without_the_accounts_key(made: Desk) -> None:
    made.api = CONNECTOR.connect(made.door, replace(made.settings, values={**VALUES, "actid": ACTID}, auth=KEYS))
    one, other = people(made, 2)
    sent = [
        change("create", {"event": "Checkout Started", "contact": one, "eventdata": "Tea"}, reference="hub:1"),
        change("create", {"event": "x" * 40, "contact": other}, reference="hub:2"),
        change("create", {"event": "Code Used", "contact": "999"}, reference="hub:3"),
    ]
    results = made.push("events", sent)
    assert [(each.outcome, each.external_id) for each in results] == [
        ("applied", "hub:1"), ("applied", "hub:2"), ("rejected", None),
    ]  # fmt: skip
    assert [row["fields"] for row in made.twin.snapshot("events").values()] == [
        {"event": "Checkout Started", "eventdata": "Tea", "email": "p0@example.org"},
        {"event": "x" * 32, "eventdata": "", "email": "p1@example.org"},
    ]
    made.twin.settings["event_key"] = "another"
    (refused,) = made.push("events", [sent[0]])
    assert (refused.outcome, refused.code) == ("rejected", "ACTIVECAMPAIGN-EVENT")
    made.twin.set_faults(script=[{"match": "POST /event", "fault": "timeout_after"}])
    assert [each.outcome for each in made.push("events", [sent[0]])] == ["unknown"]
    made.start_again()  # without the settings
    assert made.push("events", [sent[0]])[0].code == "ACTIVECAMPAIGN-TRACKING"


def test_what_happens_on_the_site_is_pushed_once_for_whoever_did_it(tmp_path: Path) -> None:
    twin = make(clock=twin_clock(), auto_hooks=False, limit_scale=0)
    with serve(twin) as running:
        project(tmp_path, running.base_url)
        clock = VirtualClock(NOW)
        hub = open_hub(tmp_path, clock=clock, environ={"AC_TOKEN": "twin-token", "AC_EVENTS": EVENT_KEY}, publish=True)
        site = hub.connections["site"]
        sync(hub)
        identify = {"type": "identify", "userId": "C-1", "messageId": "m1", "traits": {"email": "kim@example.org"}}
        viewed = {"type": "track", "userId": "C-1", "messageId": "m2", "event": "Checkout Started"}
        other = {"type": "track", "userId": "C-1", "messageId": "m3", "event": "Product Viewed"}
        body = orjson.dumps({"batch": [identify, viewed, other]})
        accept_webhook(hub, site, call_in(body, {"content-type": "application/json"}, at=clock.now()))
        for _ in range(4):
            sync(hub)
        assert [row["fields"]["email"] for row in twin.snapshot("contacts").values()] == ["kim@example.org"]
        told = [row["fields"] for row in twin.snapshot("events").values()]
        hub.store.close()
    assert [(each["event"], each["email"]) for each in told] == [("Checkout Started", "kim@example.org")]


def project(folder: Path, url: str) -> None:
    """ActiveCampaign and a website; begun check-outs are pushed."""
    (folder / "mappings").mkdir()
    (folder / "hub.yaml").write_text(HUB_YAML.format(url=url).replace("observe", "live") + SITE_YAML, encoding="utf-8")
    for name in ("canonical", "activecampaign", "website"):
        text = (SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")
        text = text.replace("create: never   ", "create: {when: \"kind == 'checkout_started'\"}   ")
        (folder / "mappings" / f"{name}.yaml").write_text(text, encoding="utf-8")


KEYS = {"kind": "token", "token": "twin-token", "event_key": EVENT_KEY}
SITE_YAML = """
  site: {connector: website}
"""
AT = "2026-11-02T03:00:00-05:00"
HUB_YAML = """
hub: {{name: acme, currency: EUR, country: DE, timezone: UTC, public_url: "https://hub.example.com"}}
connections:
  ac:
    connector: activecampaign
    mode: observe
    local: true
    base_url: "{url}"
    auth: {{kind: token, token: "env:AC_TOKEN", event_key: "env:AC_EVENTS"}}
    settings: {{account: twin, list: "1", actid: "1001"}}
"""

# --- at the wire -------------------------------------------------------------------------------------------------

BASE = "https://acme.api-us1.com/api/3"
GIVEN = Settings(values={"account": "acme"}, auth={"kind": "token", "token": "key-123"})


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def api() -> Json:
    return CONNECTOR.connect(door_to(CONNECTOR, "", GIVEN), GIVEN)


def test_a_window_and_a_last_id_are_asked_for(wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/contacts", json={"contacts": [], "meta": {"total": "0"}})
    CONNECTOR.pull(api(), "contacts", {"since": NOW, "from": NOW, "id": "77"})
    assert dict(wire.calls[0].request.params) == {  # type: ignore[attr-defined]
        "filters[updated_after]": "2026-11-02T08:00:00+00:00", "orders[id]": "ASC", "id_greater": "77", "limit": "100",
        "include": "fieldValues,contactLists,contactTags,contactTags.tag,accountContacts",
    }  # fmt: skip
    assert wire.calls[0].request.headers["Api-Token"] == "key-123"


def test_a_403_is_a_refused_key_only_if_the_user_is_refused_too(wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/contacts", json={"message": "Forbidden"}, status=403)
    wire.get(f"{BASE}/users/me", json={"message": "Forbidden"}, status=403)
    with pytest.raises(SignInExpired):
        CONNECTOR.pull(api(), "contacts", None)


def test_a_403_that_comes_and_goes_is_tried_once_more(wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/contacts", body="Forbidden", status=403)
    wire.get(f"{BASE}/contacts", json={"contacts": []})
    wire.get(f"{BASE}/users/me", json={"user": {"email": "kim@example.com"}})
    assert CONNECTOR.pull(api(), "contacts", None).complete
    wire.replace(responses.GET, f"{BASE}/contacts", body="Forbidden", status=403)
    with pytest.raises(NeedsReview):
        CONNECTOR.pull(api(), "contacts", None)


def test_an_empty_body_is_an_empty_answer_and_half_a_body_is_none(wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/contacts", body=b"")
    assert CONNECTOR.pull(api(), "contacts", None).complete
    wire.replace(responses.GET, f"{BASE}/contacts", body=b'{"contacts": [')
    with pytest.raises(RetryLater):
        CONNECTOR.pull(api(), "contacts", None)


def test_the_same_page_again_is_found_out(wire: responses.RequestsMock) -> None:
    rows = [{"id": str(n), "udate": "2026-11-02T08:10:00-05:00"} for n in range(1, 101)]
    wire.get(f"{BASE}/contacts", json={"contacts": rows})
    wire.get(f"{BASE}/fields", json={"fields": []})
    at = api()
    page = CONNECTOR.pull(at, "contacts", None)
    with pytest.raises(NeedsReview, match="PAGE-LOOP"):
        CONNECTOR.pull(at, "contacts", page.next_cursor)
