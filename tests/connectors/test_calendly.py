"""Calendly against its twin, and at the wire: bookings, what becomes of them, signed messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import responses

from connectors.calendly import CONNECTOR
from hub.connector import Settings
from hub.errors import ConfigFault, NeedsReview, RecordRejected, RetryLater, SignatureError, SignInExpired
from hub.model import Json
from hub.twins.calendly import API, TwinCalendly
from hub.verify.certify.stand import candidate, stand_of
from tests.connectors.doors import NOW, Desk, call_in, desk, door_to, messages_of, twin_clock
from tests.connectors.specs import Recorder, check_requests, spec_of

HOOKS = {"secret": "calendly-test-key"}
DAY_S = 86_400.0
NASTY = ["𝔘𝔫𝔦 🦄", "\u202eevil", "100 kB: " + "x" * 100_000, "9" * 30, "2028-02-29"]


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture
def calls() -> Iterator[Desk]:
    with desk(CONNECTOR, TwinCalendly(clock=twin_clock(), auto_hooks=False), webhooks=HOOKS) as made:
        yield made


def book(calls: Desk, name: str, begins: float = DAY_S, **more: Json) -> str:
    fields = {"email": f"{name}@example.org", "name": name.title(), "start_time": at(begins), **more}
    return uri_of(calls, calls.twin.user_create("invitees", fields))


def uri_of(calls: Desk, invitee: str) -> str:
    event = calls.twin.records.get("invitees", invitee).fields["event"]
    return f"{API}/scheduled_events/{event}/invitees/{invitee}"


def told(records: Any) -> list[tuple[str, str]]:
    return [(record.data["name"], record.data["status"]) for record in records]


def test_every_booking_is_read_once_with_its_event_beside_it(calls: Desk) -> None:
    wanted = {book(calls, f"p{number}", number * 60) for number in range(250)}
    records, cursor, pages = calls.pull_all("invitees")
    assert [len(page.records) for page in pages] == [100, 100, 50]
    assert {record.external_id for record in records} == wanted
    assert len(records) == 250
    assert calls.calls() == 1 + 3 + 250  # who we are, the pages, and each event's people
    assert records[0].data["scheduled_event"]["start_time"] == at(0)
    assert cursor == {"since": NOW - 300.0, "all_at": NOW}


def test_events_that_begin_at_the_same_moment_are_not_lost_at_the_edge_of_a_page(calls: Desk) -> None:
    wanted = {book(calls, f"p{number}", 600) for number in range(205)}
    assert {record.external_id for record in calls.pull_all("invitees")[0]} == wanted


def test_a_later_read_asks_only_for_events_that_changed(calls: Desk) -> None:
    for number in range(20):
        book(calls, f"p{number}")
    calls.advance(600)
    _, cursor, _ = calls.pull_all("invitees")
    calls.advance(3600)
    before = calls.calls()
    new = book(calls, "new", 90 * DAY_S)
    records, cursor, _ = calls.pull_all("invitees", cursor)
    assert [record.external_id for record in records] == [new]
    assert calls.calls() - before == 2


def test_one_of_several_who_cancels_is_seen_within_a_day_though_the_event_stands_still(calls: Desk) -> None:
    event = calls.twin.user_create("scheduled_events", {"name": "Webinar", "start_time": at(9 * DAY_S), "limit": 10,
                                                        "end_time": at(9 * DAY_S + 60)})  # fmt: skip
    ann, bob = (calls.twin.user_create("invitees", {"email": f"{n}@example.org", "name": n, "event": event})
                for n in ("ann", "bob"))  # fmt: skip
    calls.advance(600)
    _, cursor, _ = calls.pull_all("invitees")
    calls.advance(3600)
    calls.twin.act_cancel(ann)
    assert told(calls.pull_all("invitees", cursor)[0]) == []
    calls.advance(DAY_S)
    records, cursor, _ = calls.pull_all("invitees", cursor)
    assert sorted(told(records)) == [("ann", "canceled"), ("bob", "active")]
    assert records[0].data["scheduled_event"]["invitees_counter"] == {"total": 2, "active": 1, "limit": 10}
    calls.advance(3600)
    assert calls.pull_all("invitees", cursor)[0] == [], "the next day's look is a day away"
    assert bob


def test_moving_a_booking_is_one_that_is_called_off_and_another(calls: Desk) -> None:
    old = book(calls, "ann")
    _, cursor, _ = calls.pull_all("invitees")
    calls.advance(3600)
    new = uri_of(calls, calls.twin.act_move(old.rpartition("/")[2], at(3 * DAY_S)))
    found = {record.external_id: record.data for record in calls.pull_all("invitees", cursor)[0]}
    assert (found[old]["status"], found[old]["rescheduled"], found[old]["new_invitee"]) == ("canceled", True, new)
    assert (found[new]["status"], found[new]["old_invitee"]) == ("active", old)


def test_somebody_who_did_not_come_is_found_and_whoever_is_erased_is_gone(calls: Desk) -> None:
    assert CONNECTOR.fetch is not None
    ann, bob = book(calls, "ann", -3600), book(calls, "bob", -3600)
    calls.twin.act_no_show(ann.rpartition("/")[2])
    calls.twin.user_delete("invitees", bob.rpartition("/")[2])
    first, second = CONNECTOR.fetch(
        calls.api, "invitees", [ann, bob, "https://evil.example/scheduled_events/x/invitees/y"]
    )
    assert (first.external_id, first.data["no_show"]["created_at"]) == (ann, at(0))
    assert (second.external_id, second.op) == (bob, "delete")


def test_a_read_goes_on_after_a_restart(calls: Desk) -> None:
    wanted = {book(calls, f"p{number}", number) for number in range(150)}
    first = CONNECTOR.pull(calls.api, "invitees", None)
    calls.start_again()
    rest, _, _ = calls.pull_all("invitees", orjson.loads(orjson.dumps(first.next_cursor)))
    assert {record.external_id for record in [*first.records, *rest]} == wanted


@pytest.mark.parametrize("text", NASTY)
def test_whatever_people_write_comes_as_they_wrote_it(calls: Desk, text: str) -> None:
    answers = [{"question": "Company?", "answer": text, "position": 0}]
    book(calls, "ann", questions_and_answers=answers)
    (record,) = calls.pull_all("invitees")[0]
    assert record.data["answers"][0]["text"] == text
    assert record.data["answers"][0]["field"] == {"ref": "Company?", "id": "0", "type": "text"}


def test_messages_are_signed_and_name_the_invitee(calls: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    for _ in range(2):  # again replaces it
        CONNECTOR.subscribe(calls.api, "http://127.0.0.1:9/hooks")
    assert len(calls.twin.subscriptions) == 1
    ann = book(calls, "ann")
    calls.twin.act_cancel(ann.rpartition("/")[2])
    found: list[Any] = []
    for message in messages_of(calls.twin):
        CONNECTOR.verify(calls.settings, message)
        found += CONNECTOR.parse(calls.settings, message)
    assert [(event.stream, event.external_id) for event in found] == [("invitees", ann)] * 2
    assert len({event.key for event in found}) == 2
    assert found[0].at == NOW


def test_the_limit_is_waited_for_as_its_header_says() -> None:
    with desk(CONNECTOR, TwinCalendly(clock=twin_clock(), plan="free", limit_scale=0.1)) as calls:
        for number in range(4):
            book(calls, f"p{number}")
        with pytest.raises(RetryLater) as caught:
            calls.pull_all("invitees")
        assert caught.value.after_s == 60.0


def test_a_check_tells_of_what_stopped(calls: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    CONNECTOR.subscribe(calls.api, "https://hub.example.com/hooks")
    assert CONNECTOR.check(calls.api)["warnings"] == []
    calls.twin.act_disable_webhooks()
    assert CONNECTOR.check(calls.api)["warnings"] == ["the webhook to hub.example.com was disabled"]
    with desk(CONNECTOR, TwinCalendly(clock=twin_clock(), plan="free")) as poor:
        assert CONNECTOR.check(poor.api)["warnings"] == [
            "webhooks.secret is not set: changes come only by polling",
            "this account may not have webhooks (they need a paid plan and the scope webhooks:read)",
        ]


def test_a_plain_member_reads_his_own_events() -> None:
    with desk(CONNECTOR, TwinCalendly(clock=twin_clock(), role="user"), values={"scope": "user"}) as calls:
        book(calls, "ann")
        assert len(calls.pull_all("invitees")[0]) == 1
    with desk(CONNECTOR, TwinCalendly(clock=twin_clock(), role="user")) as calls, pytest.raises(NeedsReview):
        calls.pull_all("invitees")


def test_a_refused_token_stops_the_connection() -> None:
    wrong = {"kind": "token", "token": "wrong"}
    with desk(CONNECTOR, TwinCalendly(clock=twin_clock()), auth=wrong) as calls, pytest.raises(SignInExpired):
        calls.pull_all("invitees")


def test_questions_of_event_types_are_fields(calls: Desk) -> None:
    question = {"name": "Company?", "type": "string", "position": 0}
    calls.twin.user_create("event_types", {"name": "Demo", "custom_questions": [question]})
    found = {field.name: field for field in CONNECTOR.discover(calls.api, "invitees")}
    assert found["answer:Company?"].custom
    assert not any(field.writable for field in found.values())


def test_every_request_is_one_of_the_vendors_own_description() -> None:
    path = spec_of("calendly")
    with stand_of(candidate("calendly"), wrap=Recorder) as made:
        assert CONNECTOR.fetch is not None
        assert CONNECTOR.subscribe is not None
        cursor, ids = None, []
        while True:
            page = CONNECTOR.pull(made.api, "invitees", cursor)
            ids += [record.external_id for record in page.records]
            cursor = page.next_cursor
            if page.complete:
                break
        CONNECTOR.pull(made.api, "invitees", cursor)
        CONNECTOR.fetch(made.api, "invitees", ids[:2])
        CONNECTOR.discover(made.api, "invitees")
        CONNECTOR.check(made.api)
        with suppress(ConfigFault):
            CONNECTOR.subscribe(made.api, "https://hub.example.com/hooks")
        made.api.key = "key"
        CONNECTOR.subscribe(made.api, "https://hub.example.com/hooks")
        CONNECTOR.subscribe(made.api, "https://hub.example.com/hooks")
        asked = made.vendor.asked
        assert check_requests(path, asked) == len(asked) > 100


# --- at the wire -----------------------------------------------------------------------------------------------------


def test_a_page_that_comes_again_stops_the_stream() -> None:
    given = Settings(values={"scope": "user"}, auth={"kind": "token", "token": "t"})
    api = CONNECTOR.connect(door_to(CONNECTOR, "", given), given)
    path = "/scheduled_events?count=100&page_token=a"
    with responses.RequestsMock() as mock:
        again = {"collection": [], "pagination": {"next_page": API + path}}
        mock.get(f"{API}/scheduled_events", json=again)
        with pytest.raises(NeedsReview, match="PAGE-LOOP"):
            CONNECTOR.pull(api, "invitees", {"since": 0.0, "all_at": 0.0, "next": path, "started": NOW, "all": False})
        assert mock.calls[0].request.url == API + path, "as it was given"


def test_a_scope_that_is_none_is_a_fault() -> None:
    given = Settings(values={"scope": "world"}, auth={"kind": "token", "token": "t"})
    with pytest.raises(ConfigFault, match="CFG-SCOPE"):
        CONNECTOR.connect(door_to(CONNECTOR, "", given), given)


# the fact sheet's vector (vendor docs, "Webhook signatures")
BODY = (
    b'{"event":"invitee.created","created_at":"2026-11-02T08:00:00.000000Z",'
    b'"payload":{"email":"kim@example.test","status":"active"}}'
)
GOOD = "t=1793606400,v1=80641ed83a28c4d994aeca23247d84b0c51a41fa6e06b0f0e6ae9f8dc1d98e2a"


def test_the_documented_signature_is_good_for_three_minutes() -> None:
    assert CONNECTOR.verify is not None
    given = Settings(values={}, auth={}, webhooks=HOOKS)
    for late in (0, 179, -179):
        CONNECTOR.verify(given, call_in(BODY, {"Calendly-Webhook-Signature": GOOD}, at=NOW + late))
    both = Settings(values={}, auth={}, webhooks={"secret": "next", "secret_previous": "calendly-test-key"})
    CONNECTOR.verify(both, call_in(BODY, {"Calendly-Webhook-Signature": GOOD}))


@pytest.mark.parametrize(
    ("signature", "late"),
    [
        (GOOD, 181), (GOOD, -181), (GOOD.replace("1793606400", "1793606401"), 0), (GOOD.partition(",")[2], 0),
        ("t=1793606400", 0), ("t=1793606400,v1=", 0), ("", 0), ("t=nan,v1=00", 0), (f"t=1,{GOOD}", 0),
        (GOOD.replace("v1", "v0"), 0), ("t=²,v1=00", 0),
    ],
)  # fmt: skip
def test_anything_less_is_refused(signature: str, late: float) -> None:
    assert CONNECTOR.verify is not None
    given = Settings(values={}, auth={}, webhooks=HOOKS)
    with pytest.raises(SignatureError):
        CONNECTOR.verify(given, call_in(BODY, {"Calendly-Webhook-Signature": signature}, at=NOW + late))


def test_a_message_that_names_no_invitee_is_not_followed() -> None:
    assert CONNECTOR.parse is not None
    given = Settings(values={}, auth={})
    assert CONNECTOR.parse(given, call_in(b'{"event":"routing_form_submission.created","payload":{}}', {})) == ()
    evil = {"event": "invitee.created", "created_at": "x", "payload": {"uri": "https://evil.example/invitees/1"}}
    for body in (BODY, b"[]", b"{", b'{"event":"invitee.created"}', orjson.dumps(evil)):
        with pytest.raises(RecordRejected, match="HOOK-BODY"):
            CONNECTOR.parse(given, call_in(body, {}))
    mark = {"uri": f"{API}/invitee_no_shows/1", "invitee": f"{API}/scheduled_events/E/invitees/I"}
    body = orjson.dumps({"event": "invitee_no_show.created", "created_at": "x", "payload": mark})
    (event,) = CONNECTOR.parse(given, call_in(body, {}))
    assert event.external_id == mark["invitee"]
