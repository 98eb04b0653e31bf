"""Eventbrite against its twin: changes that show late, tokens that end, addresses that nobody follows blindly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import responses

from connectors.eventbrite import CONNECTOR
from hub.connector import Settings
from hub.errors import ConfigFault, NeedsReview, RecordRejected, RetryLater, SignInExpired
from hub.model import Json
from hub.twins.eventbrite import TwinEventbrite
from tests.connectors.doors import NOW, Desk, call_in, desk, door_to, messages_of, twin_clock

DAY_S = 86_400.0
NASTY = ["𝔘𝔫𝔦 🦄", "\u202eevil", "100 kB: " + "x" * 100_000, "9" * 30, "2028-02-29", "a\0b"]
BASE = "https://www.eventbriteapi.com/v3"


@pytest.fixture
def tickets() -> Iterator[Desk]:
    with desk(CONNECTOR, TwinEventbrite(clock=twin_clock(), auto_hooks=False)) as made:
        made.twin.user_create("events", {"name": {"text": "Open day"}, "start": {"utc": "2026-12-01T09:00:00Z"}})
        yield made


def load(tickets: Desk, count: int) -> list[str]:
    """So many attendees, all changed in one of three seconds."""
    rows = [
        {"id": str(10_000 + n), "created": NOW - 9 * DAY_S, "modified": NOW - DAY_S - n % 3,
         "fields": {"event_id": "7001", "order_id": "1", "profile": {"email": f"p{n}@example.org"}}}
        for n in range(count)
    ]  # fmt: skip
    tickets.twin.load("attendees", rows)
    return [f"7001:{row['id']}" for row in rows]


def order(tickets: Desk, *names: str) -> str:
    profiles = [{"first_name": name, "email": f"{name}@example.org"} for name in names]
    fields = {
        "event_id": "7001",
        "email": "buyer@example.org",
        "first_name": "Ann",
        "last_name": "B",
        "tickets": profiles,
    }
    return str(tickets.twin.user_create("orders", fields))


def ids(records: Any) -> list[str]:
    return [record.external_id for record in records]


def test_every_attendee_of_all_events_is_read_once_fifty_at_a_time(tickets: Desk) -> None:
    wanted = load(tickets, 130)
    records, cursor, pages = tickets.pull_all("attendees")
    assert ids(records) == wanted
    assert [len(page.records) for page in pages] == [50, 50, 30]
    assert tickets.calls() == 1 + 3  # whose organization, and the pages
    assert cursor == {"since": NOW - 600.0}
    assert records[0].data["event"]["name"]["text"] == "Open day"


def test_only_what_changed_since_is_read_again(tickets: Desk) -> None:
    wanted = load(tickets, 60)
    _, cursor, _ = tickets.pull_all("attendees")
    tickets.advance(3600)
    tickets.twin.act_check_in(wanted[7].partition(":")[2])
    records, _, pages = tickets.pull_all("attendees", cursor)
    assert ids(records) == [wanted[7]]
    assert (records[0].data["checked_in"], records[0].data["status"]) == (True, "Checked In")
    assert len(pages) == 1


def test_a_change_that_shows_five_minutes_late_is_found(tickets: Desk) -> None:
    wanted = load(tickets, 20)
    _, cursor, _ = tickets.pull_all("attendees")
    tickets.twin.set_faults(index_lag_s=300.0)
    for each in wanted:
        tickets.twin.act_check_in(each.partition(":")[2])
    seen: set[str] = set()
    for _ in range(8):
        tickets.advance(60)
        records, cursor, _ = tickets.pull_all("attendees", cursor)
        seen |= {record.external_id for record in records if record.data["checked_in"]}
    assert seen == set(wanted)


def test_a_token_that_ended_begins_the_list_again_and_not_for_ever(tickets: Desk) -> None:
    wanted = load(tickets, 120)
    first = CONNECTOR.pull(tickets.api, "attendees", None)
    tickets.advance(3600)  # the hub was down
    rest, cursor, _ = tickets.pull_all("attendees", orjson.loads(orjson.dumps(first.next_cursor)))
    assert set(ids(rest)) == set(wanted)
    assert cursor == {"since": NOW - 600.0}
    page = first
    with pytest.raises(NeedsReview, match="EVENTBRITE-TOKEN"):
        for _ in range(10):
            tickets.advance(3600)
            page = CONNECTOR.pull(tickets.api, "attendees", page.next_cursor)


def test_refunds_and_cancellations_are_seen_at_orders_and_attendees(tickets: Desk) -> None:
    refunded, kept = order(tickets, "kim", "lee"), order(tickets, "max")
    tickets.advance(3600)
    _, orders, _ = tickets.pull_all("orders")
    _, people, _ = tickets.pull_all("attendees")
    tickets.advance(3600)
    tickets.twin.act_refund(refunded)
    assert [(each.external_id, each.data["status"]) for each in tickets.pull_all("orders", orders)[0]] == [
        (refunded, "refunded")
    ]
    found = tickets.pull_all("attendees", people)[0]
    assert [(each.data["profile"]["first_name"], each.data["cancelled"]) for each in found] == [
        ("kim", True), ("lee", True)
    ]  # fmt: skip
    assert kept


def test_records_are_read_by_id_and_those_not_found_are_gone(tickets: Desk) -> None:
    assert CONNECTOR.fetch is not None
    wanted = load(tickets, 2)
    found = CONNECTOR.fetch(tickets.api, "attendees", [*wanted, "7001:1", "7001", "../x:1"])
    assert [(each.external_id, each.op) for each in found] == [(wanted[0], "upsert"), (wanted[1], "upsert"),
                                                               ("7001:1", "delete")]  # fmt: skip
    assert ids(CONNECTOR.fetch(tickets.api, "events", ["7001", "7001:1"])) == ["7001"]


@pytest.mark.parametrize("text", NASTY)
def test_whatever_people_write_comes_as_they_wrote_it(tickets: Desk, text: str) -> None:
    answers = [{"question_id": "1", "question": "Company", "type": "text", "answer": text}]
    tickets.twin.user_create("attendees", {"event_id": "7001", "order_id": "1", "answers": answers})
    (record,) = tickets.pull_all("attendees")[0]
    wanted = {"field": {"ref": "Company", "id": "1", "type": "text"}, "type": "text", "text": text}
    assert record.data["answers"] == [wanted]


def test_messages_name_the_record_and_nothing_else_of_them_counts(tickets: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    assert CONNECTOR.parse is not None
    for _ in range(2):
        CONNECTOR.subscribe(tickets.api, "http://127.0.0.1:9/hooks")
    assert len(tickets.twin.webhooks) == 1
    placed = order(tickets, "kim")
    tickets.twin.act_check_in("9001")
    found = [event for each in messages_of(tickets.twin) for event in CONNECTOR.parse(tickets.settings, each)]
    assert [(event.stream, event.external_id) for event in found] == [
        ("orders", placed), ("attendees", "7001:9001"), ("attendees", "7001:9001")
    ]  # fmt: skip
    assert len({event.key for event in found}) == 3


def said(address: str) -> bytes:
    return orjson.dumps({"api_url": address, "config": {"action": "order.placed"}})


def test_a_test_call_is_acknowledged() -> None:
    assert CONNECTOR.parse is not None
    ping = said(BASE + "/{api-endpoint-to-fetch-object-details}/")
    assert CONNECTOR.parse(Settings(values={}, auth={}), call_in(ping, {})) == ()


@pytest.mark.parametrize(
    "address",
    ["http://www.eventbriteapi.com/v3/orders/1/", "https://evil.example/v3/orders/1/",
     "https://www.eventbriteapi.com.evil.example/v3/orders/1/", "https://www.eventbriteapi.com@evil.example/v3/orders/1/",
     f"{BASE}/orders/1/../../users/me/", f"{BASE}/users/me/", f"{BASE}/orders/x/", ""],
)  # fmt: skip
def test_an_address_that_is_none_of_the_vendors_is_never_followed(address: str) -> None:
    assert CONNECTOR.parse is not None
    with pytest.raises(RecordRejected, match="HOOK-ADDRESS"):
        CONNECTOR.parse(Settings(values={}, auth={}), call_in(said(address), {}))


@pytest.mark.parametrize("body", [b"[]", b"{", b"{}", b'{"api_url":"x","config":null}'])
def test_a_body_that_is_none_is_refused(body: bytes) -> None:
    assert CONNECTOR.parse is not None
    with pytest.raises(RecordRejected, match="HOOK-BODY"):
        CONNECTOR.parse(Settings(values={}, auth={}), call_in(body, {}))


def test_several_organizations_want_a_choice() -> None:
    twin = TwinEventbrite(clock=twin_clock(), organizations=["101", "102"])
    with desk(CONNECTOR, twin) as tickets, pytest.raises(NeedsReview, match="EVENTBRITE-ORG"):
        tickets.pull_all("orders")
    twin = TwinEventbrite(clock=twin_clock(), organizations=["101", "102"])
    with desk(CONNECTOR, twin, values={"organization": "102"}) as tickets:
        assert CONNECTOR.check(tickets.api) == {"account": "102", "name": "Twin", "warnings": []}


def test_an_organization_is_a_number() -> None:
    with pytest.raises(ConfigFault, match="CFG-ORGANIZATION"):
        api_of(organization="../me")


def api_of(**values: Json) -> Any:
    given = Settings(values={"organization": "101", **values}, auth={"kind": "token", "token": "t"})
    return CONNECTOR.connect(door_to(CONNECTOR, "", given), given)


@pytest.mark.parametrize(
    ("status", "error", "raised"),
    [
        (400, "INVALID_AUTH_HEADER", SignInExpired),
        (401, "NO_AUTH", SignInExpired),
        (403, "NOT_AUTHORIZED", NeedsReview),
        (429, "HIT_RATE_LIMIT", RetryLater),
        (500, "EXPANSION_FAILED", RetryLater),
        (400, "ARGUMENTS_ERROR", RecordRejected),
    ],
)
def test_refusals_are_told_by_status_and_name(status: int, error: str, raised: type[Exception]) -> None:
    with responses.RequestsMock() as mock:
        mock.get(f"{BASE}/organizations/101/orders/", json={"error": error, "status_code": status}, status=status)
        with pytest.raises(raised):
            CONNECTOR.pull(api_of(), "orders", None)


def test_the_same_token_again_stops_the_stream() -> None:
    body = {"pagination": {"has_more_items": True, "continuation": "c"}, "orders": []}
    with responses.RequestsMock() as mock:
        mock.get(f"{BASE}/organizations/101/orders/", json=body)
        first = CONNECTOR.pull(api_of(), "orders", {"since": NOW})
        with pytest.raises(NeedsReview, match="PAGE-LOOP"):
            CONNECTOR.pull(api_of(), "orders", first.next_cursor)
        assert [call.request.params for call in mock.calls] == [  # type: ignore[attr-defined]
            {"changed_since": "2026-11-02T08:00:00Z"}, {"changed_since": "2026-11-02T08:00:00Z", "continuation": "c"}
        ]  # fmt: skip


def test_discounts_of_the_organization_are_read_whole_and_what_the_list_lacks_is_gone(tickets: Desk) -> None:
    add = tickets.twin.user_create
    early = add("discounts", {"code": "EARLY20", "percent_off": "20.00", "event_id": "7001", "quantity_available": 100})
    friend = add("discounts", {"code": "FRIEND5", "amount_off": "5.00"})
    opens = add("discounts", {"code": "BACKSTAGE", "type": "access"})
    records, cursor, pages = tickets.pull_all("discounts")
    assert {each.external_id: dict(each.data["off"]) for each in records} == {
        early: {"kind": "percent", "value": "20.00"},
        friend: {"kind": "amount", "value": "5.00"},
        opens: {"kind": "other", "value": None},
    }
    assert pages[-1].listing_complete
    tickets.twin.user_delete("discounts", friend)
    later, _, pages = tickets.pull_all("discounts", cursor)
    assert (ids(later), pages[-1].listing_complete) == ([early, opens], True)
    assert tickets.fetch("discounts", [friend])[0].op == "delete"


def test_a_list_of_discounts_that_had_to_begin_again_counts_as_no_complete_one(tickets: Desk) -> None:
    for number in range(60):
        tickets.twin.user_create("discounts", {"code": f"C{number}", "percent_off": "1.00"})
    first = CONNECTOR.pull(tickets.api, "discounts", None)
    tickets.advance(3600)  # the token of the next page has ended
    records, _, pages = tickets.pull_all("discounts", first.next_cursor)
    assert len(records) == 60
    assert not pages[-1].listing_complete
