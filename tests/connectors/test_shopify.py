"""Shopify against its twin: reading by a lagging index, writing many mutations at once, signed hints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.shopify import CONNECTOR
from hub.connector import Settings
from hub.errors import NeedsReview, SignatureError, SignInExpired
from hub.model import ChangeSet, Json
from hub.runtime.clock import VirtualClock
from hub.twins.shopify import TwinShopify
from tests.connectors.doors import NOW, Desk, call_in, change, desk, messages_of, twin_clock

HOUR_S = 3600.0
HOOKS = {"secret": "twin-secret"}


def make_twin(**options: Any) -> TwinShopify:
    return TwinShopify(**{"clock": twin_clock(), "auto_hooks": False, **options})


@pytest.fixture
def shop() -> Iterator[Desk]:
    with desk(CONNECTOR, make_twin(), webhooks=HOOKS) as made:
        yield made


@pytest.fixture
def small_shop() -> Iterator[Desk]:
    """On the vendor's smallest plan: 100 points a second, 2,000 in the bucket."""
    with desk(CONNECTOR, make_twin(limit_scale=1.0)) as made:
        yield made


def load(shop: Desk, count: int, *, ago_s: float = 30 * 86_400.0) -> list[str]:
    """So many customers, a second apart, the last of them changed `ago_s` before now. Returns their ids."""
    rows = [
        {"fields": {"firstName": f"Name {n}", "email": f"p{n}@example.org"}, "created": NOW - ago_s - count + n}
        for n in range(count)
    ]
    shop.twin.load("customers", rows)
    return [gid(number) for number in shop.twin.snapshot("customers")]


def gid(number: object, kind: str = "Customer") -> str:
    return f"gid://shopify/{kind}/{number}"


def add(shop: Desk, **fields: Json) -> str:
    return gid(shop.twin.user_create("customers", fields))


def push(shop: Desk, *changes: ChangeSet) -> list[Any]:
    return list(CONNECTOR.push(shop.api, "customers", changes)) if CONNECTOR.push else []


def create(reference: str, **body: Json) -> ChangeSet:
    return change("create", body, reference=reference)


def update(external_id: str, **body: Json) -> ChangeSet:
    return change("update", body, external_id)


def kept(shop: Desk, external_id: str) -> dict[str, Json]:
    fields: dict[str, Json] = shop.twin.records.get("customers", external_id.rpartition("/")[2]).fields
    return fields


# --- reading -----------------------------------------------------------------------------------------------------


def test_a_first_read_brings_every_customer_once_in_pages_as_large_as_their_cost_allows(shop: Desk) -> None:
    ids = load(shop, 1000)
    records, cursor, pages = shop.pull_all("customers")
    assert sorted(record.external_id for record in records) == sorted(ids)
    assert [len(page.records) for page in pages] == [165, 164, 164, 164, 164, 164, 15]  # 6 points each, 1,000 a query
    assert shop.calls() == 7
    assert cursor == {"since": NOW - 600.0}


def test_fields_that_no_mapping_reads_are_not_asked_for_so_pages_are_larger() -> None:
    fields = {"customers": {"fields": ["defaultEmailAddress.emailAddress", "firstName"]}}
    with desk(CONNECTOR, make_twin(), streams=fields) as shop:
        load(shop, 600)
        records, _, pages = shop.pull_all("customers")
    assert [len(page.records) for page in pages] == [250, 250, 100]
    assert "defaultEmailAddress" in records[0].data
    assert "defaultAddress" not in records[0].data


def test_a_record_is_the_node_with_its_stamp_and_the_hubs_id(shop: Desk) -> None:
    push(shop, create("hub-7", email="ada@example.org", firstName="Ada"))
    (record,), _, _ = shop.pull_all("customers")
    assert record.external_id == gid(7100000000001)
    assert record.stamp == NOW
    assert record.marker == "hub-7"
    assert record.data["defaultEmailAddress"]["emailAddress"] == "ada@example.org"
    assert record.by_hub is None  # the vendor does not tell


def test_customers_are_searched_by_the_day_and_what_is_older_than_the_bookmark_is_dropped(shop: Desk) -> None:
    load(shop, 20, ago_s=2 * HOUR_S)  # the same day, hours ago
    _, cursor, _ = shop.pull_all("customers")
    shop.advance(60)
    changed = add(shop, firstName="Late")
    records, _, pages = shop.pull_all("customers", cursor)
    assert [record.external_id for record in records] == [changed]
    assert len(pages) == 1


def test_a_change_that_the_search_index_showed_late_is_still_read(shop: Desk) -> None:
    first = load(shop, 3)[0]
    _, cursor, _ = shop.pull_all("customers")
    shop.twin.set_faults(index_lag_s=300.0)
    shop.twin.user_edit("customers", first.rpartition("/")[2], {"firstName": "Changed"})
    shop.advance(1)
    unseen, cursor, _ = shop.pull_all("customers", cursor)
    shop.advance(301)
    seen, _, _ = shop.pull_all("customers", cursor)
    assert [record.data["firstName"] for record in [*unseen, *seen] if record.external_id == first][-1] == "Changed"


def test_a_read_goes_on_after_a_restart(shop: Desk) -> None:
    ids = load(shop, 300)
    first = CONNECTOR.pull(shop.api, "customers", None)
    shop.start_again()
    rest, _, _ = shop.pull_all("customers", first.next_cursor)
    assert {record.external_id for record in [*first.records, *rest]} == set(ids)


def test_orders_are_read_by_the_instant_with_money_and_their_customer(shop: Desk) -> None:
    buyer = add(shop, email="ada@example.org")
    order = shop.twin.user_create(
        "orders", {"customer": buyer, "lineItems": [{"title": "X", "price": "12.50", "quantity": 2}]}
    )
    shop.twin.user_action("pay_order", order=order)
    (record,), cursor, _ = shop.pull_all("orders")
    assert record.external_id == gid(order, "Order")
    assert record.data["customer"] == {"id": buyer}
    assert record.data["currentTotalPriceSet"]["shopMoney"] == {"amount": "25.0", "currencyCode": "EUR"}
    assert record.data["displayFinancialStatus"] == "PAID"
    assert shop.pull_all("orders", cursor)[0] == [record]  # inside the look-back
    shop.advance(1000)
    _, later, _ = shop.pull_all("orders", cursor)
    assert shop.pull_all("orders", later)[0] == []


def test_records_by_id_are_strong_reads_and_a_missing_customer_is_a_deletion(shop: Desk) -> None:
    ids = load(shop, 250)
    shop.twin.user_delete("customers", ids[3].rpartition("/")[2])
    before = shop.calls()
    found = CONNECTOR.fetch(shop.api, "customers", ids) if CONNECTOR.fetch else []
    assert [record.op for record in found] == ["upsert"] * 3 + ["delete"] + ["upsert"] * 246
    assert [record.external_id for record in found] == ids
    assert shop.calls() - before == 2


def test_an_order_that_cannot_be_seen_is_no_deletion(shop: Desk) -> None:
    assert CONNECTOR.fetch is not None
    assert CONNECTOR.fetch(shop.api, "orders", [gid(1, "Order")]) == []


def test_ids_of_every_form_become_the_global_id(shop: Desk) -> None:
    (one,) = load(shop, 1)
    assert CONNECTOR.fetch is not None
    forms = [one, one.rpartition("/")[2], one + "?model_name=Customer", "../../Shop/1", ""]
    assert [record.external_id for record in CONNECTOR.fetch(shop.api, "customers", forms)] == [one]


def test_customers_are_found_by_what_is_unique_about_them(shop: Desk) -> None:
    assert CONNECTOR.find is not None
    push(shop, create("hub-1", email="ada@example.org", phone="+49301234567"))
    shop.twin.set_faults(index_lag_s=600.0)  # plays no part: nothing is searched
    for name, value in (
        ("defaultEmailAddress.emailAddress", "ada@example.org"),
        ("email", "ada@example.org"),
        ("phone", "+49301234567"),
        ("hubId.value", "hub-1"),
    ):
        assert [r.marker for r in CONNECTOR.find(shop.api, "customers", name, value)] == ["hub-1"], name
    assert CONNECTOR.find(shop.api, "customers", "email", "nobody@example.org") == []
    with pytest.raises(NeedsReview, match="SHOPIFY-LOOKUP"):
        CONNECTOR.find(shop.api, "customers", "lastName", "Byron")


# --- writing -----------------------------------------------------------------------------------------------------


def test_fifty_changes_are_one_call_and_each_answer_is_what_is_now_stored(shop: Desk) -> None:
    before = shop.calls()
    results = push(shop, *(create(f"hub-{n}", email=f" P{n}@Example.ORG ", tags=["b", "a"]) for n in range(120)))
    assert shop.calls() - before == 3
    assert [result.index for result in results] == list(range(120))
    assert {result.outcome for result in results} == {"applied"}
    held = results[7].held
    assert held.data["defaultEmailAddress"]["emailAddress"] == "p7@example.org"
    assert held.data["tags"] == ["a", "b"]
    assert (held.marker, held.stamp) == ("hub-7", NOW)
    assert results[7].external_id == held.external_id


def test_the_same_create_twice_makes_one_customer(shop: Desk) -> None:
    (first,) = push(shop, create("hub-1", email="ada@example.org"))
    (again,) = push(shop, create("hub-1", email="ada@example.org"))
    assert again.outcome == "applied"
    assert again.external_id == first.external_id
    assert len(shop.twin.snapshot("customers")) == 1


def test_a_create_carries_the_opt_out_in_the_same_call(shop: Desk) -> None:
    opted_out = create("hub-1", email="ada@example.org", emailMarketingConsent={"marketingState": "UNSUBSCRIBED"})
    before = shop.calls()
    (made,) = push(shop, opted_out)
    assert shop.calls() - before == 1
    assert made.held.data["defaultEmailAddress"]["marketingState"] == "UNSUBSCRIBED"
    assert made.held.marker == "hub-1"
    (again,) = push(shop, opted_out)  # its metafield is taken: by itself
    assert (again.outcome, again.existing_id, again.held.marker) == ("duplicate", made.external_id, "hub-1")


def test_an_update_changes_what_it_says_and_clears_with_null(shop: Desk) -> None:
    ada = add(shop, firstName="Ada", lastName="Byron", email="ada@example.org", note="old")
    (result,) = push(shop, update(ada, firstName="Augusta", note=None))
    assert result.outcome == "applied"
    assert (kept(shop, ada)["firstName"], kept(shop, ada)["lastName"], kept(shop, ada)["note"]) == (
        "Augusta",
        "Byron",
        None,
    )


def test_consent_goes_out_with_the_other_fields_and_the_last_answer_counts(shop: Desk) -> None:
    ada = add(shop, firstName="Ada", email="ada@example.org")
    before = shop.calls()
    consent = {"marketingState": "SUBSCRIBED", "consentUpdatedAt": "2026-11-01T08:00:00Z"}
    (result,) = push(shop, update(ada, firstName="Augusta", emailMarketingConsent=consent))
    assert shop.calls() - before == 1
    assert result.held.data["firstName"] == "Augusta"
    assert result.held.data["defaultEmailAddress"]["marketingState"] == "SUBSCRIBED"
    assert kept(shop, ada)["emailMarketing"]["at"] == "2026-11-01T08:00:00Z"


def test_a_refused_consent_says_so_and_shows_what_was_written(shop: Desk) -> None:
    ada = add(shop, firstName="Ada", phone="+49301234567")  # no e-mail address to subscribe
    consent = {"marketingState": "SUBSCRIBED"}
    (result,) = push(shop, update(ada, firstName="Augusta", emailMarketingConsent=consent))
    assert (result.outcome, result.code, result.field) == (
        "rejected", "INVALID", "emailMarketingConsent.marketingState",
    )  # fmt: skip
    assert result.held.data["firstName"] == "Augusta"


def test_a_new_main_address_leaves_the_other_addresses_and_its_other_parts_alone(shop: Desk) -> None:
    home = {"address1": "Weg 1", "city": "Berlin", "zip": "10115", "countryCode": "DE", "company": "Acme"}
    ada = add(shop, firstName="Ada", addresses=[home, {"address1": "Gasse 2", "countryCode": "AT"}])
    new = {"address1": "Allee 3", "city": "Bonn", "zip": "53111", "countryCode": "DE"}
    (result,) = push(shop, update(ada, addresses=[new]))
    assert result.outcome == "applied"
    first, second = kept(shop, ada)["addresses"]
    assert (first["address1"], first["city"], first["company"]) == ("Allee 3", "Bonn", "Acme")
    assert (second["address1"], second["countryCode"]) == ("Gasse 2", "AT")
    push(shop, update(ada, addresses=[dict.fromkeys(new)]))
    assert [address["address1"] for address in kept(shop, ada)["addresses"]] == ["Gasse 2"]


def test_addresses_of_fifty_are_read_with_one_call(shop: Desk) -> None:
    ids = load(shop, 50)
    before = shop.calls()
    results = push(shop, *(update(each, addresses=[{"city": "Bonn", "countryCode": "DE"}]) for each in ids))
    assert {result.outcome for result in results} == {"applied"}
    assert shop.calls() - before == 2  # 50 customers with 15 addresses each are 950 points


def test_a_customer_with_more_addresses_than_are_read_is_left_to_a_person(shop: Desk) -> None:
    ada = add(shop, firstName="Ada", addresses=[{"address1": f"Weg {n}", "countryCode": "DE"} for n in range(16)])
    (result,) = push(shop, update(ada, addresses=[{"address1": "Neu 1", "countryCode": "DE"}]))
    assert (result.outcome, result.code) == ("rejected", "SHOPIFY-ADDRESSES")
    assert len(kept(shop, ada)["addresses"]) == 16


def test_what_belongs_to_another_customer_is_a_duplicate_with_its_holder(shop: Desk) -> None:
    ada, bob = add(shop, email="ada@example.org"), add(shop, phone="+49301234567")
    results = push(
        shop,
        create("hub-1", email="ADA@example.org"),  # customerSet: says TAKEN
        create("hub-2", email="ada@example.org", emailMarketingConsent={"marketingState": "UNSUBSCRIBED"}),  # no codes
        update(bob, email="ada@example.org"),  # no codes either
        create("hub-3", phone="+49301234567"),
        create("hub-4", email="new@example.org"),
    )
    assert [(result.outcome, result.existing_id) for result in results] == [
        ("duplicate", ada), ("duplicate", ada), ("duplicate", ada), ("duplicate", bob), ("applied", None),
    ]  # fmt: skip
    assert results[0].held.data["defaultEmailAddress"]["emailAddress"] == "ada@example.org"


def test_one_refused_value_leaves_its_neighbours_alone(shop: Desk) -> None:
    ids = load(shop, 3)
    results = push(
        shop, update(ids[0], firstName="A"), update(ids[1], email="nonsense"), update(ids[2], firstName="C" * 300)
    )
    assert [(result.outcome, result.field) for result in results] == [
        ("applied", ""), ("rejected", "email"), ("rejected", "firstName"),
    ]  # fmt: skip


def test_a_value_that_spoils_the_whole_document_is_found_by_halves(shop: Desk) -> None:
    ids = load(shop, 8)
    bodies: list[Json] = [{"firstName": "A"} for _ in ids]
    bodies[5] = {"addresses": [{"countryCode": "ZZ"}]}  # no such enum value: nothing of the document is carried out
    results = push(shop, *(update(each, **body) for each, body in zip(ids, bodies, strict=True)))
    assert [result.outcome for result in results] == ["applied"] * 5 + ["rejected"] + ["applied"] * 2
    assert results[5].code == "INVALID_VARIABLE"
    assert {kept(shop, each)["firstName"] for each in ids[:5]} == {"A"}


def test_fields_that_a_customer_does_not_have_are_refused_before_they_are_sent(shop: Desk) -> None:
    (one,) = load(shop, 1)
    before = shop.calls()
    results = push(
        shop,
        update(one, surname="X"),
        update(one, addresses=[{}, {}]),
        update("../1", firstName="X"),
        change("create", {"firstName": "X"}),
        change("archive", {}, one),
    )
    assert [result.code for result in results] == [
        "SHOPIFY-FIELD", "SHOPIFY-FIELD", "SHOPIFY-ID", "SHOPIFY-NO-REFERENCE", "SHOPIFY-OP",
    ]  # fmt: skip
    assert shop.calls() == before
    assert [result.code for result in CONNECTOR.push(shop.api, "orders", [change("create", {})])] == ["SHOPIFY-OP"]  # type: ignore[misc]


def test_customers_go_unless_they_have_ordered(shop: Desk) -> None:
    ada, bob = add(shop, firstName="Ada"), add(shop, firstName="Bob")
    shop.twin.user_create("orders", {"customer": bob, "lineItems": [{"title": "X", "price": "1", "quantity": 1}]})
    results = push(shop, change("delete", {}, ada), change("delete", {}, bob), change("delete", {}, gid(1)))
    assert [result.outcome for result in results] == ["applied", "rejected", "not_found"]
    assert results[0].held.op == "delete"
    assert shop.twin.snapshot("customers")[ada.rpartition("/")[2]]["deleted"]


def test_an_update_of_a_customer_who_is_gone_is_not_found(shop: Desk) -> None:
    (result,) = push(shop, update(gid(1), firstName="X"))
    assert result.outcome == "not_found"
    (consent,) = push(shop, update(gid(1), emailMarketingConsent={"marketingState": "SUBSCRIBED"}))
    assert consent.outcome == "not_found"


def test_metafields_are_read_and_written_under_their_names() -> None:
    fields = {"customers": {"fields": ["metafields.custom.shoe_size"]}}
    with desk(CONNECTOR, make_twin(), streams=fields) as shop:
        shop.twin.define_metafield(
            {"namespace": "custom", "key": "shoe_size", "name": "S", "ownerType": "CUSTOMER", "type": "number_integer"}
        )
        (made,) = push(shop, create("hub-1", email="a@example.org", metafields={"custom": {"shoe_size": "42"}}))
        assert made.held.data["metafields"] == {"custom": {"shoe_size": "42"}}
        push(shop, update(made.external_id, metafields={"custom": {"shoe_size": "43"}}))
        (record,), _, _ = shop.pull_all("customers")
    assert record.data["metafields"] == {"custom": {"shoe_size": "43"}}


# --- when things go wrong ----------------------------------------------------------------------------------------


def test_a_throttled_read_waits_as_long_as_the_missing_points_take(small_shop: Desk) -> None:
    shop = small_shop
    load(shop, 10)
    shop.twin.set_faults(throttle_retry_after=3.0, script=[{"match": "POST", "fault": "throttle"}])
    records, _, _ = shop.pull_all("customers")
    assert len(records) == 10
    assert shop.calls() == 2
    assert 3.0 <= sum(shop.clock.slept) <= 3.5


def test_a_throttled_write_was_certainly_not_done_and_is_not_repeated_here(small_shop: Desk) -> None:
    shop = small_shop
    shop.twin.set_faults(throttle_retry_after=4.0, script=[{"match": "POST", "fault": "throttle"}])
    results = push(shop, *(create(f"hub-{n}", firstName="A") for n in range(60)))
    assert [result.outcome for result in results] == ["throttled"] * 60
    assert results[0].retry_after_s == 4.0
    assert results[59].code == "PUSH-NOT-SENT"
    assert shop.twin.snapshot("customers") == {}


@pytest.mark.parametrize("fault", ["error_after", "timeout_after", "html", "cut"])
def test_a_write_without_an_honest_answer_is_unknown_for_all_that_was_in_it(shop: Desk, fault: str) -> None:
    shop.twin.set_faults(script=[{"match": "POST", "fault": fault}])
    results = push(shop, *(create(f"hub-{n}", firstName="A") for n in range(3)))
    assert [result.outcome for result in results] == ["unknown"] * 3
    assert shop.calls() == 1
    found = [CONNECTOR.find(shop.api, "customers", "hubId", f"hub-{n}") for n in range(3)] if CONNECTOR.find else []
    assert [len(records) for records in found] == ([0] * 3 if fault == "html" else [1] * 3)


def test_a_row_that_broke_inside_the_vendor_is_unknown_and_the_others_are_done(shop: Desk) -> None:
    shop.twin.set_faults(script=[{"match": "POST", "fault": "partial_batch", "rows": 1}])
    results = push(shop, *(create(f"hub-{n}", firstName="A") for n in range(3)))
    assert [result.outcome for result in results] == ["unknown", "applied", "applied"]


def test_a_refused_token_stops_the_connection() -> None:
    with desk(CONNECTOR, make_twin(), auth={"kind": "token", "token": "wrong"}) as shop:
        with pytest.raises(SignInExpired):
            shop.pull_all("customers")
        assert [r.outcome for r in push(shop, create("hub-1", firstName="A"))] == ["auth_expired"]


def test_a_scope_that_the_app_lacks_is_named(shop: Desk) -> None:
    with desk(CONNECTOR, make_twin(scopes="read_customers")) as poor:
        with pytest.raises(NeedsReview, match="read_orders"):
            poor.pull_all("orders")
        results = push(poor, create("hub-1", firstName="A"))
        assert [(r.outcome, r.code) for r in results] == [("rejected", "ACCESS_DENIED")]


def test_on_the_smallest_plan_the_pace_is_the_buckets_and_nothing_is_thrown_back() -> None:
    clock = VirtualClock(NOW)  # one for both sides: while the door waits, the bucket fills
    with desk(CONNECTOR, make_twin(clock=clock, limit_scale=1.0), clock=clock) as shop:
        load(shop, 1000)
        records, _, pages = shop.pull_all("customers")
        assert (len(records), len(pages), shop.calls()) == (1000, 7, 7)
        assert 40.0 <= clock.now() - NOW <= 65.0  # 7 pages of nearly 1,000 points, the bucket's 2,000 at once


# --- the account -------------------------------------------------------------------------------------------------


def test_a_check_names_the_shop_and_what_is_missing(shop: Desk) -> None:
    assert CONNECTOR.check(shop.api) == {"account": "twin-shop.myshopify.com", "name": "Twin Shop", "warnings": []}
    with desk(CONNECTOR, make_twin(scopes="write_customers read_orders"), values={"marker": "crm.key"}) as poor:
        assert CONNECTOR.check(poor.api)["warnings"] == [
            "without the scope read_all_orders orders older than 60 days are invisible",
            "without the scope read_products products cannot be read",
            "without the scope read_discounts discount codes cannot be read",
            "without the scope write_discounts discount codes cannot be given as rewards",
            "customers have no metafield crm.key of type id with unique values: none can be created",
        ]


def test_fields_are_told_as_they_are_read_and_written(shop: Desk) -> None:
    found = {field.name: field for field in CONNECTOR.discover(shop.api, "customers")}
    assert (found["defaultEmailAddress.emailAddress"].readable, found["defaultEmailAddress.emailAddress"].writable) == (
        True,
        False,
    )
    assert (found["email"].readable, found["email"].writable) == (False, True)
    assert (found["metafields.hub.id"].unique, found["metafields.hub.id"].custom) == (True, True)
    assert {f.name for f in CONNECTOR.discover(shop.api, "orders")} >= {
        "customer.id",
        "currentTotalPriceSet.shopMoney.amount",
    }


# --- webhooks ----------------------------------------------------------------------------------------------------


def hints(shop: Desk) -> list[tuple[str, str, str, float | None]]:
    found = []
    for message in messages_of(shop.twin):
        assert CONNECTOR.verify is not None
        assert CONNECTOR.parse is not None
        CONNECTOR.verify(shop.settings, message)
        found += [(e.stream, e.external_id, e.kind, e.at) for e in CONNECTOR.parse(shop.settings, message)]
    return found


def test_what_the_shop_sends_is_verified_and_becomes_hints(shop: Desk) -> None:
    shop.twin.set_webhook("http://127.0.0.1:9/hooks", "twin-secret")
    ada = add(shop, email="ada@example.org")
    order = shop.twin.user_create(
        "orders", {"customer": ada, "lineItems": [{"title": "X", "price": "5", "quantity": 1}]}
    )
    shop.twin.user_action("pay_order", order=order)
    shop.twin.user_action("refund_order", order=order)
    found = hints(shop)
    assert ("customers", ada, "changed", NOW) in found
    assert ("orders", gid(order, "Order"), "changed", NOW) in found  # created, paid, updated
    assert ("orders", gid(order, "Order"), "changed", None) in found  # refunds/create names the order


def test_deletions_and_merges_are_told_as_such(shop: Desk) -> None:
    ada, bob, eve = (add(shop, firstName=name, email=f"{name}@example.org") for name in ("ada", "bob", "eve"))
    shop.twin.set_webhook("http://127.0.0.1:9/hooks", "twin-secret")
    shop.twin.user_delete("customers", eve.rpartition("/")[2])
    shop.twin.user_merge("customers", ada.rpartition("/")[2], bob.rpartition("/")[2])
    found = {(external_id, kind) for _, external_id, kind, _ in hints(shop)}
    assert {(eve, "deleted"), (bob, "merged"), (ada, "changed")} <= found


# vendor docs, "Webhooks"; the fact sheet's recomputed example
BODY = (
    b'{"id":7,"admin_graphql_api_id":"gid://shopify/Customer/7","email":"ada@example.org","first_name":"Ada",'
    b'"last_name":"Byron","state":"disabled","tags":"vip","currency":"EUR","created_at":"2026-10-01T11:00:00+02:00",'
    b'"updated_at":"2026-11-02T09:00:00+01:00","default_address":null,"addresses":[]}'
)
HEADERS = {
    "X-Shopify-Topic": "customers/update",
    "X-Shopify-Hmac-SHA256": "SzDd2MQvQJ3mhYTKDSrhCsi8l43ZjfJRoDAWh2xvMe0=",
    "X-Shopify-Shop-Domain": "example.myshopify.com",
    "X-Shopify-Webhook-Id": "b54557e4-0000-4000-8000-000000000001",
}


def settings(**more: Any) -> Settings:
    return Settings(**{"values": {"shop": "example"}, "auth": {}, "webhooks": {"secret": "topsecret"}, **more})


def test_the_documented_message_is_good_and_names_its_customer() -> None:
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    message = call_in(BODY, HEADERS)
    CONNECTOR.verify(settings(), message)
    (event,) = CONNECTOR.parse(settings(), message)
    assert (event.stream, event.external_id, event.key) == ("customers", gid(7), "b54557e4-0000-4000-8000-000000000001")
    assert event.at == NOW


def test_after_a_rotation_the_old_secret_is_still_good() -> None:
    assert CONNECTOR.verify is not None
    CONNECTOR.verify(settings(webhooks={"secret": "new", "secret_previous": "topsecret"}), call_in(BODY, HEADERS))


@pytest.mark.parametrize(
    ("body", "headers", "more"),
    [
        (BODY + b" ", HEADERS, {}),
        (BODY, {**HEADERS, "X-Shopify-Hmac-SHA256": ""}, {}),
        (BODY, {**HEADERS, "X-Shopify-Hmac-SHA256": "Ünsinn"}, {}),
        (BODY, {name: value for name, value in HEADERS.items() if "Hmac" not in name}, {}),
        (BODY, {**HEADERS, "X-Shopify-Shop-Domain": "other.myshopify.com"}, {}),
        (BODY, HEADERS, {"webhooks": {"secret": "other"}}),
        (BODY, HEADERS, {"webhooks": {}}),
    ],
)
def test_anything_less_is_refused(body: bytes, headers: dict[str, str], more: dict[str, Any]) -> None:
    assert CONNECTOR.verify is not None
    with pytest.raises(SignatureError):
        CONNECTOR.verify(settings(**more), call_in(body, headers))


def test_subscribing_twice_asks_only_for_what_is_missing(shop: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    first = CONNECTOR.subscribe(shop.api, "https://hub.example.com/hooks/shop")
    again = CONNECTOR.subscribe(shop.api, "https://hub.example.com/hooks/shop")
    assert len(first["made"]) == 17
    assert (again["made"], len(again["there"]), again["refused"]) == ([], 17, {})
    assert "CUSTOMERS_EMAIL_MARKETING_CONSENT_UPDATE" in first["made"]
