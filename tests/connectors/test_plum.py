"""Plum against its twin: one order per number whatever happens to the answers, and what the ledger compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pytest

from connectors.plum import CONNECTOR
from hub.core.rewards import order_differences
from hub.errors import SignInExpired
from hub.model import ChangeSet, Json, PushResult
from hub.twins.plum import TwinPlum
from tests.connectors.doors import Desk, change, desk, messages_of, twin_clock

DAY_S = 86_400.0


def make_twin(**options: Any) -> TwinPlum:
    return TwinPlum(**{"clock": twin_clock(), "auto_hooks": False, **options})


@pytest.fixture
def shop() -> Iterator[Desk]:
    with desk(CONNECTOR, make_twin()) as made:
        yield made


def order(number: str = "hub-rwd-1", **more: Json) -> ChangeSet:
    body = {"productId": "5671", "denomination": 25, "email": "kim@example.org", "tag": "big_order", "quantity": 1}
    return change("create", {**body, **more}, reference=number)


def push(shop: Desk, *changes: ChangeSet) -> Sequence[PushResult]:
    assert CONNECTOR.push is not None
    return CONNECTOR.push(shop.api, "orders", changes)


def book(shop: Desk) -> list[str]:
    """What was really bought: the numbers of all orders."""
    return [row["fields"]["poNumber"] for row in shop.twin.snapshot("orders").values()]


def held_of(result: PushResult) -> Mapping[str, Json]:
    assert result.held is not None
    return result.held.data


# --- placing orders ----------------------------------------------------------------------------------------------


def test_an_order_is_placed_in_one_call_and_carries_our_number(shop: Desk) -> None:
    (result,) = push(shop, order())
    assert (result.outcome, result.external_id, shop.calls()) == ("applied", "880001", 1)
    assert order_differences(order().body, held_of(result)) == []
    assert book(shop) == ["hub-rwd-1"]


def test_the_same_number_again_buys_nothing_and_finds_the_order_whole(shop: Desk) -> None:
    push(shop, order())
    (again,) = push(shop, order())
    assert (again.outcome, again.existing_id, again.code) == ("duplicate", "880001", "PLE1XXXX")
    assert order_differences(order().body, held_of(again)) == []
    assert held_of(again)["email"] == "kim@example.org"
    assert book(shop) == ["hub-rwd-1"]


@pytest.mark.parametrize(
    ("body", "differs"),
    [
        ({"denomination": 50}, ["denomination"]),
        ({"email": "eve@example.org"}, ["email"]),
        ({"quantity": 2}, ["quantity"]),
    ],
)
def test_an_order_under_our_number_that_is_another_shows_it(shop: Desk, body: Json, differs: list[str]) -> None:
    push(shop, order())
    (again,) = push(shop, order(**body))
    assert again.outcome == "duplicate"
    assert order_differences(order(**body).body, held_of(again)) == differs


@pytest.mark.parametrize("fault", ["error_after", "timeout_after", "cut"])
def test_an_order_whose_answer_was_lost_is_found_by_its_number(shop: Desk, fault: str) -> None:
    assert CONNECTOR.find is not None
    shop.twin.set_faults(script=[{"match": "POST", "fault": fault}])
    (lost,) = push(shop, order())
    assert (lost.outcome, shop.calls()) == ("unknown", 1)
    (found,) = CONNECTOR.find(shop.api, "orders", "poNumber", "hub-rwd-1")
    assert (found.external_id, found.marker) == ("880001", "hub-rwd-1")
    assert order_differences(order().body, found.data) == []
    assert [result.outcome for result in push(shop, order())] == ["duplicate"]
    assert book(shop) == ["hub-rwd-1"]


@pytest.mark.parametrize("details_by_po", [False, True])
def test_an_order_of_weeks_ago_is_found_too(details_by_po: bool) -> None:
    assert CONNECTOR.find is not None
    with desk(CONNECTOR, make_twin(details_by_po=details_by_po)) as shop:
        push(shop, order())
        shop.advance(30 * DAY_S)
        push(shop, *(order(f"later-{n}") for n in range(3)))
        (found,) = CONNECTOR.find(shop.api, "orders", "poNumber", "hub-rwd-1")
        assert found.external_id == "880001"
        assert CONNECTOR.find(shop.api, "orders", "poNumber", "hub-rwd-9") == []


def test_a_repeat_refused_for_stock_is_still_found_to_be_there(shop: Desk) -> None:
    shop.twin.set_faults(script=[{"match": "POST", "fault": "error_after"}])
    push(shop, order())
    shop.twin.user_edit("catalogue", "5671", {"kyc": True})
    shop.twin.set_faults(script=[{"match": "POST", "fault": "reject"}])
    (again,) = push(shop, order())
    assert (again.outcome, again.existing_id) == ("duplicate", "880001")


@pytest.mark.parametrize("as_200", [False, True])
def test_refusals_have_plums_code_whatever_their_status(as_200: bool) -> None:
    with desk(CONNECTOR, make_twin(errors_as_200=as_200, balance=30)) as shop:
        results = push(
            shop,
            order("a", denomination=26),
            order("b", quantity=11),
            order("c", contact="12"),
            order("d", quantity=2),
            order("e"),
        )
    assert [(result.outcome, result.code) for result in results] == [
        ("rejected", "PLE10018"),
        ("rejected", "PLE10041"),
        ("rejected", "PLE10001"),
        ("rejected", "PLE1XXXX"),  # not enough money
        ("applied", ""),
    ]
    assert "kim@example.org" not in repr([result.message for result in results])


@pytest.mark.parametrize("status", [429, 200])
def test_over_the_limit_nothing_is_bought_and_the_penalty_is_told(status: int) -> None:
    with desk(CONNECTOR, make_twin(limit_status=status, limit_scale=1.0, place_per_minute=2)) as shop:
        results = push(shop, *(order(f"n{n}") for n in range(4)))
        assert [result.outcome for result in results] == ["applied", "applied", "throttled", "throttled"]
        assert (results[2].retry_after_s, results[3].code) == (60.0, "PUSH-NOT-SENT")
        assert book(shop) == ["n0", "n1"]


def test_codes_of_vouchers_stay_at_the_provider(shop: Desk) -> None:
    assert CONNECTOR.fetch is not None
    (placed,) = push(shop, order())
    (again,) = push(shop, order())
    records, _, _ = shop.pull_all("orders")
    told = repr([placed, again, records, CONNECTOR.fetch(shop.api, "orders", ["880001"])])
    vouchers = shop.twin.records.get("orders", "880001").fields["vouchers"]
    assert vouchers[0]["voucherCode"]
    assert not any(voucher["voucherCode"] in told for voucher in vouchers)


# --- reading -----------------------------------------------------------------------------------------------------


def test_the_catalogue_is_read_whole_at_a_hundred_a_call() -> None:
    with desk(CONNECTOR, make_twin()) as shop:
        rows = [{"id": str(n), "fields": {"name": f"Card {n:04d}", "currencyCode": "EUR"}} for n in range(1000, 2000)]
        shop.twin.load("catalogue", rows)
        records, cursor, _ = shop.pull_all("catalogue")
        assert len({record.external_id for record in records}) == 1000
        assert shop.calls() == 11  # ten full pages, and one that says that there is no other
        assert cursor == {"page": 1}


def test_settings_narrow_the_catalogue() -> None:
    with desk(CONNECTOR, make_twin(), values={"currency": "USD"}) as shop:
        records, _, _ = shop.pull_all("catalogue")
        assert {record.data["currencyCode"] for record in records} == {"USD"}


def test_deliveries_of_the_last_week_are_followed(shop: Desk) -> None:
    delayed = next(
        number for number, row in shop.twin.snapshot("catalogue").items() if row["fields"]["deliveryType"] == "delayed"
    )
    fields = shop.twin.records.get("catalogue", delayed).fields
    amount = int(str(fields["valueDenominations"]).split(",")[0] or fields["minValue"])
    (placed,) = push(shop, order(productId=delayed, denomination=amount))
    assert placed.outcome == "applied", placed
    records, cursor, _ = shop.pull_all("orders")
    assert [(record.marker, record.data["deliveryStatus"]) for record in records] == [("hub-rwd-1", "pending")]
    shop.advance(3 * DAY_S)
    shop.twin.user_action("deliver_order", order=placed.external_id)
    records, _, _ = shop.pull_all("orders", cursor)
    assert [record.data["deliveryStatus"] for record in records] == ["delivered"]


def test_a_delivery_is_told_by_an_unsigned_message_that_only_hints(shop: Desk) -> None:
    assert CONNECTOR.parse is not None
    shop.twin.set_webhook("http://127.0.0.1:9/hooks/plum/secret")
    push(shop, order())
    (message,) = messages_of(shop.twin)
    assert orjson.loads(message.body)["data"]["deliveryStatus"] == "delivered"
    (event,) = CONNECTOR.parse(shop.settings, message)
    assert (event.stream, event.external_id) == ("orders", "880001")


def test_a_token_that_ran_out_is_renewed_by_the_door() -> None:
    client = {"client_id": "twin-client", "client_secret": "twin-secret"}
    auth = {"kind": "refresh_token", **client, "refresh_token": "twin-refresh"}
    with desk(CONNECTOR, make_twin(token_life_s=600), auth=auth) as shop:
        for number in range(3):  # each refresh token is good once
            assert [result.outcome for result in push(shop, order(f"n{number}"))] == ["applied"]
            shop.advance(700)
    wrong = {"kind": "token", "token": "wrong"}
    with desk(CONNECTOR, make_twin(), auth=wrong) as poor, pytest.raises(SignInExpired):
        poor.pull_all("catalogue")


def test_a_check_tells_what_is_in_the_wallet() -> None:
    with desk(CONNECTOR, make_twin(balance=120.5)) as shop:
        told = CONNECTOR.check(shop.api)
        assert (told["name"], told["warnings"]) == ("balance 120.5 EUR", [])
        assert told["balance"] == {"value": "120.5", "currency": "EUR"}
    assert {field.name for field in CONNECTOR.discover(None, "orders")} >= {"poNumber", "productId", "deliveryStatus"}
