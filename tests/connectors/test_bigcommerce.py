"""BigCommerce on its twin, and its calls against the vendor's published schemas where they are at hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
import responses

from connectors.bigcommerce import CONNECTOR
from hub.connector import Settings
from hub.errors import NeedsReview, RecordRejected, SignatureError
from hub.model import Json
from hub.twins.bigcommerce import make
from hub.twins.kit import Request
from tests.connectors.doors import NOW, Desk, call_in, change, desk, door_to, messages_of, twin_clock
from tests.connectors.specs import Recorder, bigcommerce_problems, specs_of

VALUES = {"store_hash": "twin"}
HOOKS = {"secret": "clientsecret123"}
WEG = {"first_name": "Ada", "last_name": "Byron", "address1": "Weg 1", "city": "Berlin", "country_code": "DE"}


@pytest.fixture
def made() -> Iterator[Desk]:
    twin: Any = Recorder(make(clock=twin_clock(), auto_hooks=False, limit_scale=0, client_secret=HOOKS["secret"]))
    with desk(CONNECTOR, twin, values=VALUES, webhooks=HOOKS) as found:
        yield found


def people(made: Desk, count: int, **fields: Any) -> list[str]:
    given = {"first_name": "P", "last_name": "Q", **fields}
    return [made.twin.user_create("customers", {"email": f"p{n}@example.org", **given}) for n in range(count)]


def orders(made: Desk, count: int) -> list[str]:
    return [made.twin.user_create("orders", {"total_inc_tax": "10.0000"}) for _ in range(count)]


def test_customers_come_by_the_cursor_with_addresses_and_attributes(made: Desk) -> None:
    ids = people(made, 510, addresses=[WEG], _values={"2": "2024-02-29"})
    records, cursor, pages = made.pull_all("customers")
    assert [record.external_id for record in records] == ids
    assert (len(pages), made.calls()) == (3, 4)  # the fourth: what the attributes are called
    assert records[0].data["attribute"] == {"hub_id": None, "birthday": "2024-02-29", "language": None}
    made.advance(10_000)
    _, cursor, _ = made.pull_all("customers", cursor)
    made.twin.user_edit("customers", ids[0], {"company": "New"})
    assert [record.external_id for record in made.pull_all("customers", cursor)[0]] == [ids[0]]


def test_a_second_with_more_orders_than_a_page_is_read_whole(made: Desk) -> None:
    first = orders(made, 600)
    made.advance(1)
    first += orders(made, 5)
    records, cursor, _ = made.pull_all("orders")
    assert sorted(record.external_id for record in records) == sorted(first)
    made.advance(10_000)
    _, cursor, _ = made.pull_all("orders", cursor)
    made.twin.user_delete("orders", first[3])
    found, _, _ = made.pull_all("orders", cursor)
    assert [(record.external_id, record.op) for record in found] == [(first[3], "archive")]


def test_no_orders_are_an_empty_answer_without_a_body(made: Desk) -> None:
    assert made.pull_all("orders")[0] == []
    assert made.fetch("orders", ["7"])[0].op == "delete"


def test_an_order_says_what_is_left_of_it(made: Desk) -> None:
    given = {"total_inc_tax": "19.9900", "refunded_amount": "5.0000", "status_id": 14, "customer_id": 0}
    made.twin.user_create("orders", given)
    (record,) = made.pull_all("orders")[0]
    assert (record.data["net_total"], record.data["status_name"]) == ("14.9900", "Partially Refunded")
    assert (record.data["customer_id"], record.data["placed_at"]) == (None, "2026-11-02T08:00:00Z")


def test_all_coupons_are_listed_and_found_by_their_code(made: Desk) -> None:
    for n in range(300):
        made.twin.user_create("coupons", {"code": f"C{n}"})
    records, _, pages = made.pull_all("coupons")
    assert (len(records), pages[-1].listing_complete, len(pages)) == (300, True, 2)
    assert [record.data["code"] for record in made.find("coupons", "code", "C7")] == ["C7"]


def test_an_abandoned_cart_is_told_and_read_by_its_id(made: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    CONNECTOR.subscribe(made.api, "https://hub.example.com/hooks/x")
    lines = {"physical_items": [{"name": "Tea", "quantity": 2}], "digital_items": [{"name": "Book"}]}
    cart = made.twin.user_create("carts", {"cart_amount": 12.5, "email": "ada@example.org", "line_items": lines})
    made.twin.user_action("abandon", cart=cart)
    (sent,) = messages_of(made.twin)  # created ones are not asked for
    (event,) = made.parse(sent)
    assert (event.stream, event.external_id, event.at) == ("carts", cart, NOW)
    (record,) = made.fetch("carts", [cart, "../x", "7"])
    assert (record.data["cart_amount"], record.data["customer_id"]) == (12.5, None)
    assert record.data["titles"] == ["Tea", "Book"]


def test_ten_are_written_at_once_and_read_back_in_one_call(made: Desk) -> None:
    ids = people(made, 25)
    made.fetch("customers", ids)
    before = made.calls()
    results = made.push("customers", [change("update", {"last_name": f"N{n}"}, each) for n, each in enumerate(ids)])
    assert [result.held.data["last_name"] for result in results if result.held] == [f"N{n}" for n in range(25)]
    assert made.calls() - before == 3 + 1


def test_one_bad_row_of_ten_is_found_and_the_others_are_done(made: Desk) -> None:
    ids = people(made, 10)
    sent = [change("update", {"last_name": "x" * 101 if n == 3 else "Good"}, each) for n, each in enumerate(ids)]
    results = made.push("customers", sent)
    assert [result.outcome for result in results].count("applied") == 9
    assert (results[3].outcome, results[3].field) == ("rejected", "last_name")


@pytest.mark.parametrize("partly", [True, False])
def test_creates_of_a_refused_ten_are_never_made_twice(made: Desk, partly: bool) -> None:
    made.twin.settings["partly_stored"] = partly
    (taken,) = people(made, 1)
    emails = [f"n{n}@example.org" for n in range(9)]
    emails.insert(4, "P0@example.org")
    sent = [
        change("create", {"email": each, "first_name": "A", "last_name": "B"}, reference=f"hub:{n}")
        for n, each in enumerate(emails)
    ]
    results = made.push("customers", sent)
    assert [result.outcome for result in results].count("applied") == 9
    assert (results[4].outcome, results[4].existing_id) == ("duplicate", taken)
    assert len(made.twin.snapshot("customers")) == 10


def test_a_create_carries_attributes_and_address_and_is_found_by_the_hubs_id(made: Desk) -> None:
    body = {"email": "ada@example.org", "first_name": "Ada", "last_name": "Byron", "attribute": {"language": "de"},
            "addresses": [{"address1": "Weg 1", "city": "Berlin", "country_code": "DE"}]}  # fmt: skip
    (result,) = made.push("customers", [change("create", body, reference="hub:7")])
    assert result.held is not None
    assert result.held.data["attribute"] == {"language": "de", "hub_id": "hub:7", "birthday": None}
    assert result.held.data["addresses"][0]["city"] == "Berlin"
    (found,) = made.find("customers", "attribute.hub_id", "hub:7")
    assert found.external_id == result.external_id


def test_an_address_is_changed_in_its_place_or_made_if_it_is_whole(made: Desk) -> None:
    (with_one,) = people(made, 1, addresses=[WEG])
    (without,) = people(made, 1, email="other@example.org")
    made.fetch("customers", [with_one, without])
    new = {"address1": "Neu 1", "city": "Bonn", "country_code": "DE"}
    changed = change("update", {"addresses": [{"city": "Köln"}]}, with_one)
    results = made.push("customers", [changed, change("update", {"addresses": [new]}, without)])
    cities = [[a["city"] for a in result.held.data["addresses"]] for result in results if result.held]
    assert cities == [["Köln"], ["Bonn"]]
    (third,) = people(made, 1, email="third@example.org")
    (result,) = made.push("customers", [change("update", {"addresses": [{"city": "Bonn"}]}, third)])
    assert (result.outcome, result.field) == ("rejected", "addresses.0.address1")


@pytest.mark.parametrize("value", ["𝒳😀", "שלום", "a,b", "' OR 1=1", "x" * 100])
def test_any_text_comes_back_as_it_was_sent(made: Desk, value: str) -> None:
    (one,) = people(made, 1)
    (result,) = made.push("customers", [change("update", {"last_name": value}, one)])
    assert result.held is not None
    assert result.held.data["last_name"] == value


@pytest.mark.parametrize("value", ["a\0b", "x" * 100_000])
def test_what_the_vendor_refuses_is_refused_for_the_one_record(made: Desk, value: str) -> None:
    (one,) = people(made, 1)
    (result,) = made.push("customers", [change("update", {"last_name": value}, one)])
    assert result.outcome == "rejected"
    (gone,) = made.push("customers", [change("update", {"last_name": "X"}, "999")])
    assert gone.outcome == "not_found"


def test_the_windows_wait_is_kept_and_its_quota_believed() -> None:
    twin = make(clock=twin_clock(), auto_hooks=False, limit_scale=1)
    with desk(CONNECTOR, twin, values=VALUES) as found:
        twin.set_faults(script=[{"fault": "throttle"}], throttle_retry_after=2)
        CONNECTOR.check(found.api)
        assert 2.0 <= sum(found.clock.slept) <= 3.0


# --- the published schemas ---------------------------------------------------------------------------------------


def test_every_call_is_one_that_the_published_schemas_permit(made: Desk) -> None:
    specs = specs_of("bigcommerce")
    assert CONNECTOR.subscribe is not None
    orders(made, 3)
    ids = people(made, 12, addresses=[WEG])
    made.push("customers", [change("update", {"last_name": "N", "attribute": {"language": "de"},
                                              "addresses": [{"city": "Köln"}]}, each) for each in ids])  # fmt: skip
    new = {"email": "ada@example.org", "first_name": "Ada", "last_name": "Byron", "attribute": {"language": "de"},
           "addresses": [{"address1": "Weg 1", "city": "Berlin", "country_code": "DE"}]}  # fmt: skip
    made.push("customers", [change("create", new, reference="hub:7")])
    bare = people(made, 1, email="bare@example.org")
    made.push("customers", [change("update", {"addresses": new["addresses"]}, bare[0])])
    for stream in ("customers", "orders"):
        _, cursor, _ = made.pull_all(stream)
        made.advance(10_000)
        made.pull_all(stream, cursor)
    made.find("customers", "email", "ada@example.org")
    made.find("customers", "attribute.hub_id", "hub:7")
    made.fetch("orders", ["1"])
    made.fetch("carts", [made.twin.user_create("carts", {})])
    CONNECTOR.subscribe(made.api, "https://hub.example.com/hooks/x")
    CONNECTOR.discover(made.api, "customers")
    twin: Any = made.twin
    problems, checked = bigcommerce_problems(specs, twin.asked)
    assert problems == []
    assert checked >= 20
    wrong = Request(method="PUT", path="/v3/customers", body=b'[{"last_name": 7}]')
    assert len(bigcommerce_problems(specs, [wrong])[0]) == 1  # it would be seen


# --- messages ----------------------------------------------------------------------------------------------------

# the fact sheet's vectors
SHORT = b'{"id":"1","ok":true}'
WHOLE = (
    b'{"scope":"store/customer/updated","store_id":"1000","data":{"type":"customer","id":12},"hash":'
    b'"0f1e2d3c4b5a69788796a5b4c3d2e1f001122334","created_at":1793606400,"producer":"stores/abc"}'
)
GIVEN = Settings(values={"store_hash": "abc"}, auth={"kind": "token", "token": "t"}, webhooks=HOOKS)


def headers(number: str, when: str, signature: str) -> dict[str, str]:
    return {"webhook-id": number, "webhook-timestamp": when, "webhook-signature": signature}


def test_the_documented_messages_are_good_and_name_their_record() -> None:
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    old = headers("msg_1", "1767225600", "v1,949zuW2XTQhOTEX5bo9yICicdCFL2Mg0h4cdcTzyYhM=")
    CONNECTOR.verify(GIVEN, call_in(SHORT, old, at=1767225600 + 299))
    new = headers("msg_2", "1793606400", "v1,AAAA v1,J7yvPwrNr/kpTvdJSfIi+4V/uFyhuvG9ZWQm1OGTQDo=")
    CONNECTOR.verify(GIVEN, call_in(WHOLE, new))
    (event,) = CONNECTOR.parse(GIVEN, call_in(WHOLE, new))
    assert (event.key, event.stream, event.external_id, event.at) == ("msg_2", "customers", "12", NOW)


@pytest.mark.parametrize(
    ("number", "when", "shift"),
    [("msg_2", "1793606400", 301), ("msg_2", "1793606400", -301), ("msg_3", "1793606400", 0),
     ("msg_2", "1793606401", 0), ("", "1793606400", 0), ("msg_2", "", 0), ("msg_2", "²", 0), ("msg_2", "nan", 0),
     ("msg_2\udcff", "1793606400", 0)],
)  # fmt: skip
def test_anything_less_is_refused(number: str, when: str, shift: float) -> None:
    assert CONNECTOR.verify is not None
    given = headers(number, when, "v1,J7yvPwrNr/kpTvdJSfIi+4V/uFyhuvG9ZWQm1OGTQDo=")
    with pytest.raises(SignatureError):
        CONNECTOR.verify(GIVEN, call_in(WHOLE, given, at=NOW + shift))


def test_a_second_secret_is_good_while_one_replaces_the_other() -> None:
    assert CONNECTOR.verify is not None
    signed = base64.b64encode(hmac.new(b"new", b"msg_2.1793606400." + WHOLE, hashlib.sha256).digest()).decode()
    given = call_in(WHOLE, headers("msg_2", "1793606400", f"v1,{signed}"))
    CONNECTOR.verify(replace(GIVEN, webhooks={**HOOKS, "secret_next": "new"}), given)
    with pytest.raises(SignatureError):
        CONNECTOR.verify(GIVEN, given)


def test_another_stores_message_and_what_is_none_are_refused() -> None:
    assert CONNECTOR.parse is not None
    with pytest.raises(RecordRejected, match="HOOK-ACCOUNT"):
        CONNECTOR.parse(replace(GIVEN, values={"store_hash": "other"}), call_in(WHOLE, {}))
    for body in (b"[]", b"{", b"{}", orjson.dumps({"scope": "store/customer/updated", "data": 7})):
        with pytest.raises(RecordRejected, match="HOOK-BODY"):
            CONNECTOR.parse(GIVEN, call_in(body, {}))
    address = WHOLE.replace(b"customer/updated", b"customer/address/updated")
    address = address.replace(b'"id":12', b'"id":3,"address":{"customer_id":12}')
    assert [event.external_id for event in CONNECTOR.parse(GIVEN, call_in(address, {}))] == ["12"]
    assert CONNECTOR.parse(GIVEN, call_in(WHOLE.replace(b"store/customer/updated", b"store/sku/updated"), {})) == ()


# --- at the wire -------------------------------------------------------------------------------------------------

BASE = "https://api.bigcommerce.com/stores/abc"


def api() -> Json:
    return CONNECTOR.connect(door_to(CONNECTOR, "", GIVEN), GIVEN)


def test_the_same_cursor_and_a_page_out_of_order_stop_the_stream() -> None:
    with responses.RequestsMock() as mock:
        rows = [{"id": n, "date_modified": "2026-11-02T08:00:00Z"} for n in range(1, 251)]
        meta = {"cursor_pagination": {"end_cursor": "abc"}}
        mock.get(f"{BASE}/v3/customers/attributes", json={"data": []})
        mock.get(f"{BASE}/v3/customers", json={"data": rows, "meta": meta})
        page = CONNECTOR.pull(api(), "customers", None)
        with pytest.raises(NeedsReview, match="PAGE-LOOP"):
            CONNECTOR.pull(api(), "customers", page.next_cursor)
        times = ("Mon, 02 Nov 2026 09:00:00 +0000", "Mon, 02 Nov 2026 08:00:00 +0000")
        mock.get(f"{BASE}/v2/orders", json=[{"id": n, "date_modified": at} for n, at in enumerate(times, 1)])
        with pytest.raises(NeedsReview, match="PAGE-ORDER"):
            CONNECTOR.pull(api(), "orders", None)
