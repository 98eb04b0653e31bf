"""ClickFunnels against its twin: pages of 20, changes from the newest down, contacts by upsert, signed messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import responses

from connectors.clickfunnels import CONNECTOR
from hub.connector import Settings
from hub.errors import ConfigFault, NeedsReview, RecordRejected, SignatureError, SignInExpired
from hub.model import Json
from hub.twins.clickfunnels import TwinClickfunnels
from hub.verify.certify.stand import candidate, stand_of
from tests.connectors.doors import NOW, Desk, call_in, change, desk, door_to, messages_of, twin_clock
from tests.connectors.specs import Recorder, check_requests, spec_of

WORKSPACE = {"workspace": "32"}
DAY_S = 86_400.0
NASTY = ["𝔘𝔫𝔦 🦄", "\u202eevil", "100 kB: " + "x" * 100_000, "9" * 30, "2028-02-29"]


@pytest.fixture
def funnels() -> Iterator[Desk]:
    with desk(CONNECTOR, TwinClickfunnels(clock=twin_clock(), auto_hooks=False), values=WORKSPACE) as made:
        yield made


def load(funnels: Desk, count: int, stream: str = "contacts") -> list[str]:
    """So many records, all changed in one of three moments."""
    rows = []
    for n in range(count):
        fields = {"email_address": f"p{n}@example.org"} if stream == "contacts" else {"page_id": 7, "contact_id": 1}
        rows.append({"id": str(100 + n), "fields": fields, "created": NOW - 9 * DAY_S, "modified": NOW - DAY_S - n % 3})
    funnels.twin.load(stream, rows)
    return [str(row["id"]) for row in rows]


def ids(records: Any) -> list[str]:
    return [record.external_id for record in records]


def test_every_contact_is_read_once_twenty_at_a_time(funnels: Desk) -> None:
    wanted = load(funnels, 205)
    records, cursor, pages = funnels.pull_all("contacts")
    assert ids(records) == wanted
    assert len(pages) == funnels.calls() == 11
    assert cursor == {"since": {"/workspaces/32/contacts": NOW - 300.0}}


def test_changes_come_from_the_newest_down_and_end_at_the_last_read(funnels: Desk) -> None:
    wanted = load(funnels, 205)
    _, cursor, _ = funnels.pull_all("contacts")
    funnels.advance(3600)
    for each in wanted[:45]:  # in one bulk edit: equal times at the edges of pages
        funnels.twin.user_edit("contacts", each, {"first_name": "New"})
    before = funnels.calls()
    records, cursor, _ = funnels.pull_all("contacts", cursor)
    assert sorted(ids(records)) == sorted(wanted[:45])
    assert funnels.calls() - before == 3
    funnels.advance(3600)
    _, cursor, _ = funnels.pull_all("contacts", cursor)
    assert funnels.pull_all("contacts", cursor)[0] == []


def test_what_changes_while_changes_are_read_is_found_by_the_next_read(funnels: Desk) -> None:
    wanted = load(funnels, 60)
    _, cursor, _ = funnels.pull_all("contacts")
    funnels.advance(3600)
    for each in wanted[:45]:
        funnels.twin.user_edit("contacts", each, {"first_name": "One"})
    first = CONNECTOR.pull(funnels.api, "contacts", cursor)
    funnels.advance(10)
    moved = wanted[3]
    funnels.twin.user_edit("contacts", moved, {"first_name": "Two"})
    rest, cursor, _ = funnels.pull_all("contacts", first.next_cursor)
    seen = {record.external_id: record.data["first_name"] for record in [*first.records, *rest]}
    later = {record.external_id: record.data["first_name"] for record in funnels.pull_all("contacts", cursor)[0]}
    assert set(wanted[:45]) <= seen.keys() | later.keys()
    assert later[moved] == "Two"


def test_opt_ins_go_on_behind_the_last_one_less_a_page(funnels: Desk) -> None:
    load(funnels, 45, "form_submissions")
    _, cursor, _ = funnels.pull_all("form_submissions")
    assert cursor == {"since": {"/workspaces/32/form_submissions": "139"}}
    new = funnels.twin.user_create("form_submissions", {"page_id": 7, "contact_id": 1, "data": {}})
    before = funnels.calls()
    assert ids(funnels.pull_all("form_submissions", cursor)[0])[-1] == new
    assert funnels.calls() - before == 1


def test_enrolments_are_read_course_by_course(funnels: Desk) -> None:
    courses = [int(funnels.twin.user_create("courses", {"title": title})) for title in ("One", "Two", "Empty")]
    wanted = [
        funnels.twin.user_create("enrollments", {"course_id": courses[n % 2], "contact_id": 1, "suspended": False})
        for n in range(50)
    ]
    funnels.advance(600)
    records, cursor, _ = funnels.pull_all("enrollments")
    assert sorted(ids(records)) == sorted(wanted)
    assert len(cursor["since"]) == 3
    funnels.advance(3600)
    funnels.twin.act_suspend(wanted[7])
    assert ids(funnels.pull_all("enrollments", cursor)[0]) == [wanted[7]]
    funnels.twin.user_delete("courses", str(courses[2]))
    assert ids(funnels.pull_all("enrollments", cursor)[0]) == [wanted[7]]


def test_what_people_do_in_funnels_and_courses_is_taken_from_the_log_of_events(funnels: Desk) -> None:
    course = int(funnels.twin.user_create("courses", {"title": "Baking"}))
    (person,) = load(funnels, 1)
    funnels.twin.set_webhook("http://127.0.0.1:9/hooks/x", "s")
    for n in range(30):
        funnels.twin.user_create("form_submissions", {"page_id": 7, "contact_id": int(person), "data": {"n": n}})
        funnels.twin.user_edit("contacts", person, {"first_name": f"N{n}"})
    records, cursor, pages = funnels.pull_all("events")
    assert (len(records), len(pages)) == (30, 3), "what tells of records that are read anyway is left out"
    assert {(record.data["event_type_id"], record.data["contact_id"]) for record in records} == {
        ("form_submission.created", int(person))
    }
    known = set(ids(records))
    order = {"contact_id": int(person), "billing_status": "paid", "total_amount": "97.00", "currency": "EUR"}
    funnels.twin.user_create("orders", order)
    enrolled = {"course_id": course, "contact_id": int(person), "suspended": False}
    funnels.twin.act_complete_course(funnels.twin.user_create("enrollments", enrolled))
    before = funnels.calls()
    later, _, _ = funnels.pull_all("events", cursor)
    fresh = [record.data for record in later if record.external_id not in known]
    assert [each["event_type_id"] for each in fresh] == [
        "order.created", "order.completed", "courses/enrollment.created", "courses/enrollment.updated",
        "courses/enrollment.course_completed",
    ]  # fmt: skip
    assert {each["contact_id"] for each in fresh} == {int(person)}
    assert funnels.calls() - before <= 2
    (again,) = funnels.fetch("events", [later[-1].external_id])
    assert dict(again.data) == dict(later[-1].data)


def test_records_are_read_by_id_and_deleted_ones_told(funnels: Desk) -> None:
    assert CONNECTOR.fetch is not None
    wanted = load(funnels, 45)
    funnels.twin.user_delete("contacts", wanted[9])
    before = funnels.calls()
    found = CONNECTOR.fetch(funnels.api, "contacts", [*wanted, "../me", "²"])
    assert ids(found) == wanted
    assert [record.external_id for record in found if record.op == "delete"] == [wanted[9]]
    assert funnels.calls() - before == 3 + 1


def test_a_contact_is_created_once_with_the_hubs_id_and_told_if_it_was_there(funnels: Desk) -> None:
    assert CONNECTOR.push is not None
    load(funnels, 1)
    new = change(
        "create", {"email_address": "New@example.org", "first_name": "Kim", "last_name": None}, reference="h-1"
    )
    there = change("create", {"email_address": "P0@example.org", "first_name": "Evil"}, reference="h-2")
    nobody = change("create", {"first_name": "Nobody"}, reference="h-3")
    first = CONNECTOR.push(funnels.api, "contacts", [new, there, nobody])
    assert [(each.index, each.outcome) for each in first] == [(0, "applied"), (1, "duplicate"), (2, "rejected")]
    assert first[1].existing_id == "100"
    assert first[0].held is not None
    assert (first[0].held.marker, first[0].held.data["email_address"]) == ("h-1", "new@example.org")
    (again,) = CONNECTOR.push(funnels.api, "contacts", [new])  # its answer was lost
    assert (again.outcome, again.external_id) == ("applied", first[0].external_id)
    assert len(funnels.twin.snapshot("contacts")) == 2
    assert funnels.twin.snapshot("contacts")["100"]["fields"]["first_name"] is None, "nobody was written over"


def test_an_update_clears_what_is_null_and_answers_with_what_is_stored(funnels: Desk) -> None:
    assert CONNECTOR.push is not None
    (contact,) = load(funnels, 1)
    funnels.twin.user_edit("contacts", contact, {"last_name": "Ono", "phone_number": "1"})
    results = CONNECTOR.push(
        funnels.api, "contacts",
        [change("update", {"last_name": None, "first_name": "Zoë 🦄"}, contact),
         change("update", {"first_name": "x"}, "999"), change("update", {"id": 1}, contact),
         change("archive", {}, contact), change("update", {}, "../me")],
    )  # fmt: skip
    assert [each.outcome for each in results] == ["applied", "not_found", "rejected", "rejected", "rejected"]
    assert results[0].held is not None
    held = results[0].held.data
    assert (held["first_name"], held["last_name"], held["phone_number"]) == ("Zoë 🦄", None, "1")


@pytest.mark.parametrize("text", NASTY)
def test_whatever_is_written_is_held_as_written(funnels: Desk, text: str) -> None:
    assert CONNECTOR.push is not None
    (contact,) = load(funnels, 1)
    (result,) = CONNECTOR.push(funnels.api, "contacts", [change("update", {"first_name": text}, contact)])
    assert result.held is not None
    assert result.held.data["first_name"] == text


def test_too_many_writes_are_told_and_the_rest_waits(funnels: Desk) -> None:
    assert CONNECTOR.push is not None
    wanted = load(funnels, 3)
    funnels.twin.set_faults(script=[{"match": "PUT", "fault": "throttle", "skip": 1}])
    changes = [change("update", {"first_name": "x"}, each) for each in wanted]
    results = CONNECTOR.push(funnels.api, "contacts", changes)
    assert [each.outcome for each in results] == ["applied", "throttled", "throttled"]
    assert results[1].retry_after_s == 1.0


def test_messages_are_signed_and_name_the_record(funnels: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    for _ in range(2):  # again: a new secret
        made = CONNECTOR.subscribe(funnels.api, "http://127.0.0.1:9/hooks")
    assert len([row for row in funnels.twin.snapshot("endpoints").values() if not row["deleted"]]) == 1
    contact = funnels.twin.user_create("contacts", {"email_address": "kim@example.org"})
    funnels.twin.user_delete("contacts", contact)
    given = Settings(values=WORKSPACE, auth={}, webhooks={"secret": str(made["secret"])})
    found: list[Any] = []
    for message in messages_of(funnels.twin):
        CONNECTOR.verify(given, message)
        found += CONNECTOR.parse(given, message)
    assert [(event.stream, event.external_id) for event in found] == [("contacts", contact)] * 2
    assert len({event.key for event in found}) == 2
    assert CONNECTOR.parse(Settings(values={"workspace": "33"}, auth={}), messages_of(funnels.twin)[0]) == ()


def test_a_check_names_the_workspace(funnels: Desk) -> None:
    assert CONNECTOR.check(funnels.api) == {"account": "32", "name": "Twin", "warnings": []}


def test_a_refused_token_stops_the_connection() -> None:
    wrong = {"kind": "token", "token": "wrong"}
    twin = TwinClickfunnels(clock=twin_clock())
    with desk(CONNECTOR, twin, auth=wrong, values=WORKSPACE) as funnels, pytest.raises(SignInExpired):
        funnels.pull_all("contacts")


@pytest.mark.parametrize("workspace", [None, "wSpAcE", "²", "../1"])
def test_a_workspace_is_a_number(workspace: Json) -> None:
    given = Settings(values={"workspace": workspace}, auth={"kind": "token", "token": "t"})
    with pytest.raises(ConfigFault, match="CFG-WORKSPACE"):
        CONNECTOR.connect(door_to(CONNECTOR, "https://acme.myclickfunnels.com/api/v2", given), given)


def test_every_request_is_one_of_the_vendors_own_description() -> None:
    path = spec_of("clickfunnels")
    assert CONNECTOR.fetch is not None
    assert CONNECTOR.push is not None
    assert CONNECTOR.subscribe is not None
    with stand_of(candidate("clickfunnels"), wrap=Recorder) as made:
        for stream in CONNECTOR.streams:
            cursor, seen = None, []
            for _ in range(2):
                while True:
                    page = CONNECTOR.pull(made.api, stream.name, cursor)
                    seen += ids(page.records)
                    cursor = page.next_cursor
                    if page.complete:
                        break
            CONNECTOR.fetch(made.api, stream.name, seen[:3])
        creates = [change("create", {"email_address": "x@example.org", "first_name": "X"}, reference="h-9")]
        updates = [change("update", {"first_name": "Y", "phone_number": None}, "500")]
        CONNECTOR.push(made.api, "contacts", [*creates, *updates])
        CONNECTOR.check(made.api)
        for _ in range(2):
            CONNECTOR.subscribe(made.api, "https://hub.example.com/hooks")
        asked = made.vendor.asked
    newer = [r".*/appointments/scheduled_events(/\d+)?"]  # of 2026, the file is of 2025
    assert check_requests(path, asked, prefix="/api/v2", unlisted=newer) > 30
    assert {"POST", "PUT", "DELETE"} <= {request.method for request in asked}


# --- at the wire -----------------------------------------------------------------------------------------------------

BASE = "https://acme.myclickfunnels.com/api/v2"
CONTACTS = f"{BASE}/workspaces/32/contacts"


def api_of() -> Any:
    given = Settings(values=WORKSPACE, auth={"kind": "token", "token": "t"})
    return CONNECTOR.connect(door_to(CONNECTOR, BASE, given), given)


def row(number: int, stamp: str = "2026-02-01T09:01:02.000Z") -> Json:
    return {"id": number, "email_address": f"{number}@example.org", "updated_at": stamp, "created_at": stamp}


def test_a_page_that_comes_again_stops_the_stream() -> None:
    with responses.RequestsMock() as mock:
        mock.get(CONTACTS, json=[row(1)], headers={"Pagination-Next": "1"})
        first = CONNECTOR.pull(api_of(), "contacts", None)
        with pytest.raises(NeedsReview, match="PAGE-LOOP"):
            CONNECTOR.pull(api_of(), "contacts", first.next_cursor)


def test_a_page_in_another_order_than_asked_for_stops_the_stream() -> None:
    rows = [row(1), row(2, "2026-03-01T09:01:02.000Z")]
    with responses.RequestsMock() as mock:
        mock.get(CONTACTS, json=rows)
        with pytest.raises(NeedsReview, match="PAGE-ORDER"):
            CONNECTOR.pull(api_of(), "contacts", {"since": {"/workspaces/32/contacts": 0.0}})
        assert mock.calls[0].request.params == {"sort_property": "updated_at", "sort_order": "desc"}  # type: ignore[attr-defined]


# the fact sheet's vector (vendor docs, "Verifying webhook signatures")
BODY = (
    b'{"event_id":"ab10330c-0000-4000-8000-000000000001","event_type":"contact.identified","api_version":2,'
    b'"workspace_id":32,"subject_id":501,"subject_type":"Contact","data":{"id":501}}'
)
STAMP, GOOD = "1793606400", "aacad4d69bb1dd0e34b4379ef0bd715b38d01c1be0faa8689269017d97334812"
HOOKS = Settings(values=WORKSPACE, auth={}, webhooks={"secret": "cf-test-secret"})


def signed(stamp: str, signature: str, late: float = 0.0, body: bytes = BODY) -> Any:
    headers = {"X-Webhook-ClickFunnels-Signature": signature, "X-Webhook-ClickFunnels-Timestamp": stamp}
    return call_in(body, headers, at=NOW + late)


@pytest.mark.parametrize("late", [0, 599, -599])
def test_the_documented_signature_is_good_for_ten_minutes(late: float) -> None:
    assert CONNECTOR.verify is not None
    CONNECTOR.verify(HOOKS, signed(STAMP, GOOD, late))


@pytest.mark.parametrize(
    ("stamp", "signature", "late"),
    [(STAMP, GOOD, 601), (STAMP, GOOD, -601), ("1793606401", GOOD, 0), ("", GOOD, 0), (STAMP, "", 0), ("²", GOOD, 0),
     (STAMP, "c49ab2c0e6f4f2a6d5f3a26e3f0a4c1f5b2a3d4e5f60718293a4b5c6d7e8f901", 0)],
)  # fmt: skip
def test_anything_less_is_refused(stamp: str, signature: str, late: float) -> None:
    assert CONNECTOR.verify is not None
    with pytest.raises(SignatureError):
        CONNECTOR.verify(HOOKS, signed(stamp, signature, late))


@pytest.mark.parametrize(
    ("kind", "more", "wanted"),
    [
        ("contact.updated", {}, ("contacts", "501")),
        ("contacts/applied_tag.created", {"data": {"contact_id": 7}}, ("contacts", "7")),
        ("contact/applied_tag.deleted", {"data": {"contact_id": 7}}, ("contacts", "7")),
        ("order.completed", {}, ("orders", "501")),
        ("one_time_order.refunded", {}, ("orders", "501")),
        ("subscription.canceled", {}, ("orders", "501")),
        ("orders/transaction.created", {"data": {"order_id": 8}}, ("orders", "8")),
        ("courses/enrollment.suspended", {}, ("enrollments", "501")),
        ("appointments/scheduled_event.rescheduled", {}, ("appointments", "501")),
        ("form/submission.created", {}, ("form_submissions", "501")),
        ("courses/lesson.created", {}, None),
    ],
)
def test_events_are_about_records(kind: str, more: Json, wanted: tuple[str, str] | None) -> None:
    assert CONNECTOR.parse is not None
    body = orjson.dumps({**orjson.loads(BODY), "event_type": kind, **more})
    found = [(event.stream, event.external_id) for event in CONNECTOR.parse(HOOKS, call_in(body, {}))]
    assert found == ([wanted] if wanted else [])


@pytest.mark.parametrize("body", [b"[]", b"{", b"{}", BODY.replace(b":501", b":null")])
def test_a_body_that_names_no_record_is_refused(body: bytes) -> None:
    assert CONNECTOR.parse is not None
    with pytest.raises(RecordRejected, match="HOOK-BODY"):
        CONNECTOR.parse(HOOKS, call_in(body, {}))
