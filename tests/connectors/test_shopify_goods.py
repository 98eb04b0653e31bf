"""Checkouts that were left and products of a Shopify shop: read by time or by id, told of by signed messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.shopify import CONNECTOR
from connectors.shopify import reading as shopify_reading
from hub.model import Json
from tests.connectors.doors import NOW, Desk, desk, messages_of
from tests.connectors.test_shopify import HOOKS, add, gid, make_twin

TEA = {"title": "Tea", "sku": "T-1", "quantity": 2, "price": "4.50"}


@pytest.fixture
def shop() -> Iterator[Desk]:
    with desk(CONNECTOR, make_twin(), webhooks=HOOKS) as made:
        yield made


def leave(shop: Desk, **fields: Json) -> str:
    return gid(shop.twin.user_create("checkouts", {"lineItems": [TEA], **fields}), "AbandonedCheckout")


def offer(shop: Desk, **fields: Json) -> str:
    return gid(shop.twin.user_create("products", {"title": "Tea", "prices": ["9", "4.5"], **fields}), "Product")


def names(records: Any) -> list[str]:
    return [record.external_id for record in records]


def test_a_checkout_is_read_with_its_buyer_its_sum_and_what_is_in_it(shop: Desk) -> None:
    ada = add(shop, email="Ada@example.org")
    left = leave(shop, customer=ada, lineItems=[TEA, {"title": "Pot", "price": "20", "quantity": 1}])
    (record,), cursor, _ = shop.pull_all("checkouts")
    assert (record.external_id, record.stamp) == (left, NOW)
    assert record.data["customer"] == {"id": ada, "email": {"emailAddress": "ada@example.org"}}
    assert record.data["totalPriceSet"]["shopMoney"] == {"amount": "29.0", "currencyCode": "EUR"}
    assert record.data["titles"] == ["Tea", "Pot"]
    assert record.data["completedAt"] is None
    assert cursor == {"since": NOW - 600.0}


def test_a_guests_checkout_has_no_buyer_and_a_long_one_is_cut_after_ten_lines(shop: Desk) -> None:
    leave(shop, lineItems=[{"title": f"Item {n}"} for n in range(14)])
    (record,), _, _ = shop.pull_all("checkouts")
    assert record.data["customer"] is None
    assert record.data["titles"] == [f"Item {n}" for n in range(10)]


def test_a_checkout_that_was_paid_after_all_is_read_again(shop: Desk) -> None:
    first, _ = leave(shop), leave(shop)
    _, cursor, _ = shop.pull_all("checkouts")
    shop.advance(3600)
    paid = "2026-11-02T08:55:00Z"
    shop.twin.user_edit("checkouts", first.rpartition("/")[2], {"completedAt": paid})
    shop.advance(600)
    records, _, _ = shop.pull_all("checkouts", cursor)
    later = [record for record in records if (record.stamp or 0) > NOW]
    assert [(record.external_id, record.data["completedAt"]) for record in later] == [(first, paid)]


def test_checkouts_come_by_their_ids_beyond_what_may_be_paged_through(
    shop: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shopify_reading, "CAP", 300)
    ids = [leave(shop) for _ in range(320)]
    records, _, pages = shop.pull_all("checkouts")
    assert sorted(names(records)) == sorted(ids)
    assert len(names(records)) == len(set(names(records)))
    assert len(pages) == 7  # 58 a page, and a look beyond the place where the vendor may stop


def test_a_product_is_read_with_what_it_costs_and_its_own_fields(shop: Desk) -> None:
    shop.twin.define_metafield(
        {
            "namespace": "shop",
            "key": "origin",
            "name": "Origin",
            "ownerType": "PRODUCT",
            "type": "single_line_text_field",
        }
    )
    tea = offer(shop, status="DRAFT", productType="Drinks")
    (record,), cursor, _ = shop.pull_all("products")
    assert (record.external_id, record.data["title"], record.data["status"]) == (tea, "Tea", "DRAFT")
    assert record.data["priceRangeV2"]["minVariantPrice"] == {"amount": "4.5", "currencyCode": "EUR"}
    assert record.data["priceRangeV2"]["maxVariantPrice"] == {"amount": "9.0", "currencyCode": "EUR"}
    found = {field.name: field for field in CONNECTOR.discover(shop.api, "products")}
    assert found["metafields.shop.origin"].custom
    assert not found["metafields.shop.origin"].writable
    shop.advance(3600)
    shop.twin.user_edit("products", tea.rpartition("/")[2], {"title": "Green tea"})
    shop.advance(600)
    assert [record.data["title"] for record in shop.pull_all("products", cursor)[0]] == ["Green tea"]


@pytest.mark.parametrize(
    ("stream", "make", "edit"),
    [("checkouts", leave, {"note": "Call me"}), ("products", offer, {"title": "Green tea"})],
)
def test_their_messages_are_verified_and_lead_to_the_record(
    shop: Desk, stream: str, make: Any, edit: dict[str, Json]
) -> None:
    shop.twin.set_webhook("http://127.0.0.1:9/hooks", "twin-secret")
    one, other = make(shop), make(shop)
    shop.twin.user_edit(stream, one.rpartition("/")[2], edit)
    shop.twin.user_delete(stream, other.rpartition("/")[2])
    told = [event for message in messages_of(shop.twin) for event in shop.parse(message)]
    assert {event.stream for event in told} == {stream}
    assert [(event.external_id, event.kind) for event in told] == [
        (one, "changed"), (other, "changed"), (one, "changed"), (other, "deleted"),
    ]  # fmt: skip
    assert [(record.external_id, record.op) for record in shop.fetch(stream, [one, other])] == [
        (one, "upsert"), (other, "delete"),
    ]  # fmt: skip
