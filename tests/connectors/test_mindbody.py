"""Mindbody against its twin: days instead of changes, clients of two ids, a staff token that ends, signed messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from connectors.mindbody import CONNECTOR
from hub.connector import Settings
from hub.errors import ConfigFault, NeedsReview, RecordRejected, SignatureError, SignInExpired
from hub.model import Json
from hub.twins.mindbody import CONNECTION, TwinMindbody
from tests.connectors.doors import NOW, Desk, call_in, change, desk, door_to, messages_of, twin_clock

DAY_S = 86_400.0
SITE: Any = CONNECTION["settings"]
AUTH: Any = CONNECTION["auth"]
NASTY = ["𝔘𝔫𝔦 🦄", "\u202eevil", "100 kB: " + "x" * 100_000, "9" * 30, "2028-02-29"]


def opened(twin: TwinMindbody | None = None, **auth: Json) -> Any:
    twin = twin or TwinMindbody(clock=twin_clock(), auto_hooks=False)
    return desk(CONNECTOR, twin, values=SITE, auth={**AUTH, **auth})


@pytest.fixture
def studio() -> Iterator[Desk]:
    with opened() as made:
        yield made


def load(studio: Desk, count: int) -> list[str]:
    rows = [
        {"id": str(100_000_001 + n), "created": NOW - 99 * DAY_S, "modified": NOW - 9 * DAY_S - n % 3,
         "fields": {"FirstName": f"P{n}", "LastName": "X", "Email": f"p{n}@example.org"}}
        for n in range(count)
    ]  # fmt: skip
    studio.twin.load("clients", rows)
    return [str(row["id"]) for row in rows]


def ids(records: Any) -> list[str]:
    return [record.external_id for record in records]


@pytest.mark.parametrize("cap", [200, 100])
def test_every_client_is_read_once_whatever_the_cap_of_a_page_is(cap: int) -> None:
    with opened(TwinMindbody(clock=twin_clock(), cap=cap)) as studio:
        wanted = load(studio, 450)
        records, cursor, _ = studio.pull_all("clients")
        assert ids(records) == wanted
        assert cursor == {"since": NOW - DAY_S}


def test_clients_that_vanish_while_pages_are_read_hide_no_others(studio: Desk) -> None:
    wanted = load(studio, 450)
    first = CONNECTOR.pull(studio.api, "clients", None)
    for each in wanted[:25]:
        studio.twin.records.purge("clients", each)
    rest, _, pages = studio.pull_all("clients", orjson.loads(orjson.dumps(first.next_cursor)))
    assert set(wanted) <= {*ids(first.records), *ids(rest)}
    assert pages[0].records == (), "it began again"


def test_later_reads_go_by_the_day_of_change(studio: Desk) -> None:
    wanted = load(studio, 30)
    _, cursor, _ = studio.pull_all("clients")
    studio.advance(2 * DAY_S)
    studio.twin.user_edit("clients", wanted[7], {"City": "Austin"})
    records, _, pages = studio.pull_all("clients", cursor)
    assert (ids(records), len(pages)) == ([wanted[7]], 1)


def test_times_are_those_of_the_site_and_come_in_utc_too(studio: Desk) -> None:
    (client,) = load(studio, 1)
    times = {"StartDateTime": "2026-11-05T09:00:00", "EndDateTime": "2026-11-05T10:00:00"}
    studio.twin.user_create("appointments", {"ClientId": client, **times})
    (record,) = studio.pull_all("appointments")[0]
    assert (record.data["StartDateTime"], record.data["StartDateTimeUtc"]) == (
        "2026-11-05T09:00:00", "2026-11-05T14:00:00Z"
    )  # fmt: skip
    assert record.data["ClientNumber"] == int(client)


def test_a_client_is_known_by_the_number_whatever_the_site_calls_it(studio: Desk) -> None:
    (client,) = load(studio, 1)
    studio.twin.act_rename("100000001", "K-17")
    items = [{"TotalAmount": 20.1, "Returned": False}, {"TotalAmount": 5.4, "Returned": False}]
    sale = studio.twin.user_create(
        "sales", {"ClientId": "K-17", "SaleDateTime": "2026-11-01T12:00:00", "PurchasedItems": items}
    )
    (record,) = studio.pull_all("sales")[0]
    data = record.data
    assert (data["ClientNumber"], data["Total"], data["Currency"], data["Returned"]) == (
        int(client), "25.5", "USD", "false"
    )  # fmt: skip
    studio.twin.act_return(sale)
    assert CONNECTOR.fetch is not None
    assert CONNECTOR.fetch(studio.api, "sales", [sale])[0].data["Returned"] == "true"


def test_bookings_that_change_within_the_days_around_now_are_seen(studio: Desk) -> None:
    (client,) = load(studio, 1)
    made = [
        studio.twin.user_create("appointments", {"ClientId": client, "StartDateTime": f"2026-{day}T09:00:00",
                                                 "EndDateTime": f"2026-{day}T10:00:00"})
        for day in ("10-01", "11-01", "12-20")
    ]  # fmt: skip
    _, cursor, _ = studio.pull_all("appointments")
    studio.twin.act_status(made[1], "NoShow")
    studio.twin.act_status(made[2], "Cancelled")
    later = {each.external_id: each.data["Status"] for each in studio.pull_all("appointments", cursor)[0]}
    assert later == {made[1]: "NoShow", made[2]: "Cancelled"}, "the one of October is over"


def test_visits_are_read_class_by_class(studio: Desk) -> None:
    load(studio, 3)
    classes = [
        studio.twin.user_create("classes", {"StartDateTime": f"2026-11-{day}T09:00:00"})
        for day in ("01", "03", "04", "30")
    ]
    visits = [
        studio.twin.user_create("visits", {"ClassId": int(classes[n % 2]), "ClientUniqueId": 100_000_001})
        for n in range(5)
    ]
    records, cursor, _ = studio.pull_all("visits")
    assert sorted(ids(records)) == sorted(visits)
    studio.twin.act_sign_in(visits[2])
    before = studio.calls()
    found = {each.external_id: each.data["SignedIn"] for each in studio.pull_all("visits", cursor)[0]}
    assert found[visits[2]] is True
    assert studio.calls() - before == 1 + 3  # the list of classes, and each of these days


def test_clients_are_read_by_number_and_merged_ones_are_gone(studio: Desk) -> None:
    assert CONNECTOR.fetch is not None
    wanted = load(studio, 45)
    studio.twin.user_merge("clients", wanted[0], wanted[1])
    before = studio.calls()
    found = CONNECTOR.fetch(studio.api, "clients", [*wanted, "../x"])
    assert ids(found) == wanted
    assert [each.external_id for each in found if each.op == "delete"] == [wanted[1]]
    assert studio.calls() - before == 3 + 1  # and the staff's sign-in


def test_an_update_goes_to_the_id_of_this_moment_and_answers_with_what_is_stored(studio: Desk) -> None:
    assert CONNECTOR.push is not None
    first, second = load(studio, 2)
    studio.twin.act_rename(first, "K-17")
    results = CONNECTOR.push(
        studio.api, "clients",
        [change("update", {"City": " Łódź ", "MiddleName": None}, first), change("update", {"City": "x"}, "1"),
         change("update", {"Nope": "x"}, second), change("archive", {}, second)],
    )  # fmt: skip
    assert [(each.outcome, each.code) for each in results] == [
        ("applied", ""), ("not_found", ""), ("rejected", "InvalidParameter"), ("rejected", "REC-OP")
    ]  # fmt: skip
    assert results[0].held is not None
    assert results[0].held.data["City"] == "Łódź", "as Mindbody keeps it"


def test_the_same_create_again_is_refused_and_told_whose_it_is(studio: Desk) -> None:
    assert CONNECTOR.push is not None
    new = change("create", {"FirstName": "Kim", "LastName": "Ono", "Email": "kim@example.org", "City": ""})
    (first,) = CONNECTOR.push(studio.api, "clients", [new])
    assert first.outcome == "applied"
    (again,) = CONNECTOR.push(studio.api, "clients", [new])
    assert (again.outcome, again.existing_id) == ("duplicate", first.external_id)
    (poor,) = CONNECTOR.push(studio.api, "clients", [change("create", {"FirstName": "Kim"})])
    assert (poor.outcome, poor.code) == ("rejected", "MissingRequiredFields")


@pytest.mark.parametrize("text", NASTY)
def test_whatever_is_written_is_held(studio: Desk, text: str) -> None:
    assert CONNECTOR.push is not None
    (client,) = load(studio, 1)
    (result,) = CONNECTOR.push(studio.api, "clients", [change("update", {"City": text}, client)])
    assert result.held is not None
    assert result.held.data["City"] == text


def test_a_staff_token_that_ends_is_renewed_and_a_wrong_password_stops_the_connection(studio: Desk) -> None:
    load(studio, 1)
    for _ in range(3):
        assert len(studio.pull_all("clients")[0]) == 1
        studio.advance(3700)
    with opened(password="wrong") as poor, pytest.raises(SignInExpired):
        poor.pull_all("clients")
    with opened(token="wrong") as poor, pytest.raises(SignInExpired):
        poor.pull_all("clients")


def test_a_check_names_the_site(studio: Desk) -> None:
    assert CONNECTOR.check(studio.api) == {"account": "123", "name": "Twin Studio", "warnings": []}
    required = {field.name for field in CONNECTOR.discover(studio.api, "clients") if field.required}
    assert required == {"FirstName", "LastName", "Email"}


@pytest.mark.parametrize(("values", "code"), [({"site": "abc"}, "CFG-SITE"), ({"timezone": "Mars"}, "CFG-ZONE")])
def test_settings_that_mean_nothing_are_faults(values: Json, code: str) -> None:
    given = Settings(values={**SITE, **values}, auth={"kind": "token", "token": "t"})
    with pytest.raises(ConfigFault, match=code):
        CONNECTOR.connect(door_to(CONNECTOR, "", given), given)


def test_a_lookup_by_anything_else_is_refused(studio: Desk) -> None:
    assert CONNECTOR.find is not None
    (client,) = load(studio, 1)
    assert ids(CONNECTOR.find(studio.api, "clients", "Email", "P0@example.org")) == [client]
    with pytest.raises(NeedsReview, match="MINDBODY-LOOKUP"):
        CONNECTOR.find(studio.api, "sales", "Notes", "x")


# --- webhooks --------------------------------------------------------------------------------------------------------

# the fact sheet's vector (vendor docs, Webhooks API); the key is text, though it looks like base64
KEY = "dGVzdC1tZXNzYWdlLXNpZ25hdHVyZS1rZXk="
BODY = (
    b'{"messageId":"m-0001","eventId":"client.updated","eventSchemaVersion":1,"eventInstanceOriginationDateTime":'
    b'"2026-11-02T08:00:00Z","eventData":{"siteId":123,"clientId":"100000123","clientUniqueId":100000123}}'
)
GOOD = "sha256=oAZ6RrZerDjKJtZ1U5jU07xq5Es0b1SvJMel8vKrwQY="
HOOKS = Settings(values=SITE, auth={}, webhooks={"secret": KEY})


def test_the_documented_signature_is_good() -> None:
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    CONNECTOR.verify(HOOKS, call_in(BODY, {"X-Mindbody-Signature": GOOD}))
    (event,) = CONNECTOR.parse(HOOKS, call_in(BODY, {}))
    assert (event.key, event.stream, event.external_id) == ("m-0001/0", "clients", "100000123")


@pytest.mark.parametrize(
    "signature", ["", GOOD.removeprefix("sha256="), "sha256=o4JycAQhIruhAEuop4dnQiGTxdeK5D574xGvVWA2Qh0=", "sha256="]
)
def test_anything_less_is_refused(signature: str) -> None:
    assert CONNECTOR.verify is not None
    with pytest.raises(SignatureError):
        CONNECTOR.verify(HOOKS, call_in(BODY, {"X-Mindbody-Signature": signature}))


def test_messages_are_signed_and_name_what_to_read(studio: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    for _ in range(2):
        made = CONNECTOR.subscribe(studio.api, "http://127.0.0.1:9/hooks")
    assert [each["status"] for each in studio.twin.subscriptions.values()] == ["Active"]
    first, second = (
        studio.twin.user_create("clients", {"FirstName": name, "LastName": "X", "Email": f"{name}@example.org"})
        for name in ("ann", "bob")
    )
    booked = studio.twin.user_create("appointments", {"ClientId": first, "StartDateTime": "2026-11-05T09:00:00"})
    studio.twin.act_status(booked, "Cancelled")
    studio.twin.user_merge("clients", first, second)
    given = Settings(values=SITE, auth={}, webhooks={"secret": str(made["secret"])})
    found: list[Any] = []
    for message in messages_of(studio.twin):
        CONNECTOR.verify(given, message)
        found += CONNECTOR.parse(given, message)
    named = {(event.stream, event.external_id) for event in found}
    assert named == {("clients", first), ("clients", second), ("appointments", booked)}
    assert len({event.key for event in found}) == len(found) >= 7
    other = Settings(values={**SITE, "site": "9"}, auth={})
    assert [CONNECTOR.parse(other, message) for message in messages_of(studio.twin)[:1]] == [()]


@pytest.mark.parametrize("body", [b"[]", b"{", b"{}", BODY.replace(b"100000123}", b'"../x"}')])
def test_a_body_that_names_nothing_is_refused(body: bytes) -> None:
    assert CONNECTOR.parse is not None
    with pytest.raises(RecordRejected, match="HOOK-BODY"):
        CONNECTOR.parse(HOOKS, call_in(body, {}))
