"""Triggers in the console: a rule as a form and as YAML, tried, published, rolled back; what fired, and who decides."""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from hub.app.firings import do_due
from hub.app.people import Person, add_user
from hub.app.sessions import make_token
from hub.app.trigger_drafts import INPUTS
from hub.core.rewards import PerPerson
from hub.core.triggers import QuietHours
from tests.projects import CANONICAL
from tests.web.console import Browser, Console

RULE = """\
language: 1
rules:
  # kept as it is written
  moved:
    text: The team hears of a new phone. # so that somebody calls
    changed: {field: contact.phone}
    do: {notice: {team: Somebody has a new phone.}}
    approve: true
    active_from: 2026-01-01T00:00:00Z
"""
FORM: dict[str, Any] = {
    "text": "The team hears of names.", "cause": "changed", "changed": "contact.name", "after": "Anna, Bea",
    "do": "notice", "team": "Look.", "person_count": "1", "person_per": "year", "quiet_from": "20:00",
    "quiet_to": "08:00", "active_from": "2026-01-01T00:00:00Z", "url": "https://not.chosen.example/",
}  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Console]:
    """A console whose project has a trigger that waits for a yes, and one firing of it."""
    folder = tmp_path / "project" / "mappings"
    folder.mkdir(parents=True)
    (folder / "triggers.yaml").write_text(RULE, "utf-8")
    found = Console(tmp_path, canonical_yaml=CANONICAL)
    found.start()
    found.sync()
    found.edit("data/left.csv", "2,bob@example.org,Bob,,", "2,bob@example.org,Bob,030 7654321,")
    found.sync()
    yield found
    found.stop()


def held(desk: Console) -> int:
    with desk.hub.store.reading() as tx:
        (row,) = tx.firings(state="held")
    return row.id


def api(desk: Console, method: str, path: str, body: Any = None, *, by: str = "admin", scope: str = "configure") -> Any:
    person = Person(name=by, role="admin")  # when it is made; what they may do is asked anew with every call
    made = make_token(desk.hub, f"{scope}-{path}", ("read", scope), person=person)
    headers = {"Authorization": f"Bearer {made['token']}", "Content-Type": "application/json"}
    sent = orjson.dumps(body).decode() if body is not None else ""
    answer = Browser(desk.port).ask(method, f"/api/v1{path}", sent, headers)
    return answer.status, orjson.loads(answer.body)


def test_every_rule_is_listed_with_its_state_and_one_says_what_it_does(desk: Console) -> None:
    viewer = desk.as_("viewer")
    page = viewer.get("/triggers").text
    assert "contact.phone changes" in page
    assert ">on<" in page
    assert "Waits for a yes" in page
    assert "Let it go" not in page
    page = html.unescape(viewer.get("/triggers/moved").text)
    assert "tells the team: Somebody has a new phone." in page
    assert "a person lets each of them go" in page
    assert "# so that somebody calls" in page
    assert "bob@example.org" in page


def test_a_viewer_reads_an_approver_lets_go_and_whoever_published_the_rule_does_not(desk: Console) -> None:
    number = held(desk)
    assert desk.as_("viewer").post(f"/firings/{number}/approve").status == 403
    answer = desk.as_("approver").post(f"/firings/{number}/approve")
    assert answer.to == f"/firings/{number}?done=firing"
    assert ("approver", "trigger.approve", f"firing {number}") in desk.audit()
    assert desk.as_("approver").post(f"/firings/{number}/approve").status == 422
    desk.hub.tell = lambda title, text: ()
    assert do_due(desk.hub) == {"done": 1}


def test_nobody_lets_go_what_his_own_rule_does(desk: Console) -> None:
    admin, number = desk.as_("admin"), held(desk)
    admin.post("/triggers/moved/draft", what="now")
    assert admin.post("/triggers/draft", what="publish").to == "/triggers?done=published"
    refused = admin.post(f"/firings/{number}/approve")
    assert (refused.status, "AUTH-OWN" in refused.text) == (403, True)
    assert api(desk, "POST", f"/firings/{number}/approve", scope="approve")[1]["code"] == "AUTH-OWN"
    add_user(desk.hub, "bob@example.org", "approver", by="test")
    refused = desk.as_("bob@example.org").post(f"/firings/{number}/approve")
    assert (refused.status, "is for you" in refused.text) == (403, True)
    assert desk.as_("approver").post(f"/firings/{number}/drop").status == 303
    with desk.hub.store.reading() as tx:
        assert tx.firing(number).reason == "TRG-DROPPED: by approver"


def test_a_rule_is_written_in_the_form_tried_and_published_and_rolled_back(desk: Console) -> None:
    admin = desk.as_("admin")
    assert admin.post("/triggers/add", name="Names!", **FORM).status == 422
    assert admin.post("/triggers/add", name="moved", **FORM).status == 422
    assert admin.post("/triggers/add", name="names", **FORM).to == "/triggers/names/draft?done=draft"
    page = html.unescape(admin.get("/triggers/names/draft").text)
    assert "per_person:\n    count: 1\n    per: year" in page
    assert "not.chosen" not in page
    assert "Every check passes." in page
    assert 'value="Anna, Bea"' in page
    assert "names" not in desk.hub.triggers.rules
    found = html.unescape(admin.post("/triggers/moved/trial", days="30", draft="yes").text)
    assert "1 person" in found
    assert "bob@example.org" in found
    assert admin.post("/triggers/draft", what="publish").to == "/triggers?done=published"
    rule = desk.hub.triggers.rules["names"]
    assert (rule.after, rule.per_person) == (("Anna", "Bea"), PerPerson(count=1, per="year"))
    assert rule.quiet_hours == QuietHours(begins=time(20), ends=time(8))
    text = desk.read("mappings/triggers.yaml")
    assert text.startswith(RULE)  # what was there is there as it was written
    assert admin.post("/mappings/triggers.yaml/versions/1").status == 303
    assert set(desk.hub.triggers.rules) == {"moved"}
    assert [what for who, what, on in desk.audit() if on == "triggers.yaml"] == ["published"] * 3


def test_form_and_yaml_are_two_ways_to_say_one_thing(desk: Console) -> None:
    admin = desk.as_("admin")
    admin.post("/triggers/moved/draft", what="yaml", yaml="text: Another.\nevery: {of: contact, hour: 9}\n"
               "do: {webhook: {url: 'https://hooks.example.com/x', secret: 'secret:hooks', local: true}}\n"
               "active_from: 2026-02-01T00:00:00Z\n")  # fmt: skip
    page = html.unescape(admin.get("/triggers/moved/draft").text)
    for shown in ('name="every_of" value="contact"', 'name="hour" value="9"', 'name="local" value="yes" checked',
                  'id="cause-every" name="cause" value="every" checked'):  # fmt: skip
        assert shown in page, shown
    form: dict[str, Any] = dict.fromkeys(INPUTS, "") | {
        "text": "A third.",
        "cause": "every",
        "every_of": "contact",
        "hour": "10",
    }
    form |= {"do": "notice", "team": "It is ten.", "active_from": "2026-02-01T00:00:00Z"}
    part = html.unescape(admin.post("/triggers/moved/preview", {"HX-Request": "true"}, **form).text)
    assert "hour: 10" in part
    assert "every hour=10 for each contact" in part
    assert "hour: 9" in html.unescape(admin.get("/triggers/moved/draft").text)  # nothing was kept
    admin.post("/triggers/moved/draft", what="form", **form)
    page = html.unescape(admin.get("/triggers/moved/draft").text)
    assert "hour: 10" in page
    assert "webhook" not in page.partition('id="y-yaml"')[2].partition("</textarea>")[0]


def test_what_is_wrong_is_said_and_cannot_be_published(desk: Console) -> None:
    admin = desk.as_("admin")
    wrong = FORM | {"changed": "contact.nmae", "quiet_to": "late"}
    admin.post("/triggers/add", name="names", **wrong)
    page = html.unescape(admin.get("/triggers/names/draft").text)
    assert "Did you mean contact.name?" in page
    assert "TRG-003" in page
    refused = admin.post("/triggers/draft", what="publish")
    assert (refused.status, "TRG-003" in refused.text) == (422, True)
    no_yaml = admin.post("/triggers/names/draft", what="yaml", yaml="a: [\n")
    assert (no_yaml.status, "a: [" in no_yaml.text) == (422, True)
    assert admin.post("/triggers/names/draft", what="form", **FORM | {"text": "x" * 5000}).status == 422
    assert admin.post("/triggers/names/draft", what="remove").to == "/triggers?done=draft"
    assert admin.get("/triggers/names/draft").status == 404
    assert admin.post("/triggers/draft", what="drop").to == "/triggers?done=draft-dropped"
    assert desk.read("mappings/triggers.yaml") == RULE


def test_the_first_trigger_of_a_project_is_written_in_the_console(console: Console) -> None:
    admin = console.as_("admin")
    assert "No triggers" in admin.get("/triggers").text
    admin.post("/triggers/add", name="names", **FORM)
    assert admin.post("/triggers/draft", what="publish").to == "/triggers?done=published"
    assert list(console.hub.triggers.rules) == ["names"]


def test_a_program_does_the_same(desk: Console) -> None:
    rule = {"text": "A.", "changed": {"field": "contact.name"}, "do": {"notice": {"team": "Look."}}}
    status, found = api(desk, "POST", "/triggers/names/draft", {"rule": rule})
    assert (status, [each["code"] for each in found["faults"]]) == (200, ["CFG-013"])
    assert api(desk, "POST", "/triggers/draft/publish", {"sure": True})[0] == 422
    api(desk, "POST", "/triggers/names/draft", {"rule": rule | {"active_from": "2026-01-01T00:00:00Z"}})
    assert api(desk, "GET", "/triggers/draft")[1]["changed"] == ["names"]
    assert api(desk, "GET", "/triggers/moved/trial?since=2026-01-01")[1]["fires"] == 1
    assert api(desk, "POST", "/triggers/draft/publish", {"sure": True})[1]["triggers.yaml"] == 2
    assert [each["trigger"] for each in api(desk, "GET", "/triggers")[1]] == ["moved", "names"]
    assert api(desk, "GET", "/triggers/moved")[1]["rows"][0]["state"] == "held"
    assert api(desk, "GET", f"/firings/{held(desk)}")[1]["person"]["beside"] == "bob@example.org"
    assert api(desk, "DELETE", "/triggers/names/draft")[0] == 200
    assert api(desk, "POST", "/triggers/draft/drop", {"sure": True})[1] == {"dropped": True}
    assert api(desk, "GET", "/triggers/never")[0] == 404
