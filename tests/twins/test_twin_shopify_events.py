"""The Shopify twin over real HTTP: limits, faults, sign-in, and what people do there."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
import requests

from hub.twins.client import TwinClient, TwinRefused
from hub.twins.kit import VirtualClock
from hub.twins.server import serve
from hub.twins.shopify import make
from hub.twins.shopify_hooks import sign_callback, sign_hook
from tests.twins.conftest import Receiver
from tests.twins.shopify_client import FIRST, NOW, ONE, SET, SUBSCRIBE, Shop, customer

Json = Any


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def shop(clock: VirtualClock) -> Iterator[Shop]:
    twin = make(clock=clock, auto_hooks=False)
    with serve(twin) as running:
        yield Shop(running.base_url, twin)


# --- limits, faults, sign-in ---------------------------------------------------------------------------------------


def test_cost_is_taken_up_front_and_the_rest_flows_back(clock: VirtualClock) -> None:
    twin = make(clock=clock, limit_scale=1, auto_hooks=False)
    twin.user_create("customers", customer("Ada"))
    query = (
        "{customers(first:100){nodes{id defaultEmailAddress{emailAddress} amountSpent{amount}} pageInfo{endCursor}}}"
    )
    with serve(twin) as running:
        shop = Shop(running.base_url, twin)
        assert shop.call(query).json()["extensions"]["cost"] == {
            "requestedQueryCost": 302,
            "actualQueryCost": 5,
            "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": 1995, "restoreRate": 100.0},
        }
        set_one = 'mutation{customerSet(input:{firstName:"B"}){userErrors{code}}}'
        assert shop.call(set_one).json()["extensions"]["cost"]["actualQueryCost"] == 10


def test_an_empty_bucket_throttles_inside_200_and_refills(clock: VirtualClock) -> None:
    twin = make(clock=clock, limit_scale=1, auto_hooks=False)
    query = "{customers(first:249){nodes{id defaultEmailAddress{emailAddress} amountSpent{amount}}}}"  # 749 points
    twin.load("customers", [{"created": NOW, "fields": customer(f"N{i}")} for i in range(249)])
    with serve(twin) as running:
        shop = Shop(running.base_url, twin)
        assert "data" in shop.call(query).json()
        assert "data" in shop.call(query).json()
        throttled = shop.call(query)
        assert throttled.status_code == 200
        body = throttled.json()
        assert "data" not in body
        assert body["errors"][0]["extensions"]["code"] == "THROTTLED"
        cost = body["extensions"]["cost"]
        assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (749, None)
        assert cost["throttleStatus"]["currentlyAvailable"] == 502
        clock.advance(2.4)
        assert "data" not in shop.call(query).json()
        clock.advance(0.1)  # (749 - 502) / 100 = 2.47 s
        assert "data" in shop.call(query).json()
        assert [call["early"] for call in twin.calls()] == [False, False, False, True, False]


def test_a_query_over_1000_points_is_refused(shop: Shop) -> None:
    error = shop.refused("{orders(first:50){nodes{lineItems(first:50){nodes{id}}}}}")
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert error["extensions"]["cost"] == 2 + 50 * (1 + 2 + 50)


def test_a_throttle_fault_without_figures_has_none(shop: Shop) -> None:
    shop.twin.set_faults(script=[{"fault": "throttle"}], throttle_retry_after=None)
    body = shop.call("{shop{name}}").json()
    assert body["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert "throttleStatus" not in body["extensions"]["cost"]
    assert shop.ask("{shop{name}}") == {"shop": {"name": "Twin Shop"}}


def test_a_500_after_the_write_leaves_the_write_in_place(shop: Shop) -> None:
    shop.twin.set_faults(script=[{"match": "POST /admin/api", "fault": "error_after"}])
    answer = shop.call(SET, **{"in": {"firstName": "Ada"}})
    assert (answer.status_code, answer.json()) == (500, {"errors": "Internal Server Error"})
    assert shop.names() == ["Ada"]


def test_a_cut_connection_before_the_write_leaves_nothing(shop: Shop) -> None:
    shop.twin.set_faults(script=[{"fault": "timeout_before"}, {"fault": "timeout_after"}])
    with pytest.raises(requests.ConnectionError):
        shop.call(SET, **{"in": {"firstName": "Ada"}})
    assert shop.twin.records.count("customers") == 0
    with pytest.raises(requests.ConnectionError):
        shop.call(SET, **{"in": {"firstName": "Ben"}})
    assert [row["fields"]["firstName"] for row in shop.twin.snapshot("customers").values()] == ["Ben"]


def test_one_mutation_of_a_document_may_fail_for_now_and_one_for_good(shop: Shop) -> None:
    shop.twin.set_faults(script=[{"fault": "partial_batch"}, {"fault": "reject"}])
    document = """mutation{a:customerSet(input:{firstName:"A"}){customer{firstName} userErrors{code}}
    b:customerSet(input:{firstName:"B"}){customer{firstName} userErrors{code}}}"""
    partial = shop.call(document).json()
    assert partial["data"]["a"] is None
    assert partial["data"]["b"]["customer"] == {"firstName": "B"}
    assert partial["errors"][0]["path"] == ["a"]
    rejected = shop.ask(document)
    assert rejected["a"]["userErrors"] == [{"code": "INVALID"}]
    assert rejected["b"]["customer"] == {"firstName": "B"}


def test_an_unknown_field_is_named(shop: Shop) -> None:
    error = shop.refused("query P{customers(first:1){nodes{foo}}}")
    assert error == {
        "message": "Field 'foo' doesn't exist on type 'Customer'",
        "locations": [{"line": 1, "column": 34}],
        "path": ["query P", "customers", "nodes", "foo"],
        "extensions": {"code": "undefinedField", "typeName": "Customer", "fieldName": "foo"},
    }
    assert shop.refused(SET, **{"in": {"foo": 1}})["extensions"]["code"] == "INVALID_VARIABLE"


def test_a_wrong_token_is_refused_with_a_text_in_errors(shop: Shop) -> None:
    shop.token = "wrong"
    answer = shop.call("{shop{name}}")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic Realm="Shopify API Authentication"'
    assert isinstance(answer.json()["errors"], str)


def token_call(shop: Shop, **given: str) -> requests.Response:
    parameters = {"client_id": "twin-client", "client_secret": "twin-secret", **given}
    return requests.post(f"{shop.base_url}/admin/oauth/access_token", data=parameters, timeout=5)


def test_client_credentials_give_a_token_for_a_day(shop: Shop, clock: VirtualClock) -> None:
    answer = token_call(shop, grant_type="client_credentials").json()
    assert answer["expires_in"] == 86_399
    shop.token = answer["access_token"]
    assert shop.call("{shop{name}}").status_code == 200
    clock.advance(86_400)
    assert shop.call("{shop{name}}").status_code == 401
    assert token_call(shop, grant_type="client_credentials", client_secret="x").json()["error"] == "invalid_client"


def test_a_refresh_token_lives_until_its_successor_is_used(shop: Shop) -> None:
    def refresh(token: str) -> requests.Response:
        return token_call(shop, grant_type="refresh_token", refresh_token=token)

    first = refresh("twin-refresh").json()
    again = refresh("twin-refresh").json()  # the answer was lost: the old one is still good
    assert first["refresh_token"] != again["refresh_token"]
    shop.token = first["access_token"]
    assert shop.call("{shop{name}}").status_code == 401  # one expiring token per app and shop
    shop.token = again["access_token"]
    assert shop.call("{shop{name}}").status_code == 200
    assert refresh(again["refresh_token"]).status_code == 200
    assert refresh("twin-refresh").status_code == 400


def test_the_owners_consent_comes_back_signed_and_is_changed_for_tokens(shop: Shop) -> None:
    url = shop.twin.user_action("consent", redirect_uri="https://hub.example.com/back", state="s1")
    query = dict(parse_qsl(urlsplit(url).query))
    message = "&".join(f"{k}={v}" for k, v in sorted(query.items()) if k != "hmac")
    assert query["hmac"] == hmac.new(b"twin-secret", message.encode(), hashlib.sha256).hexdigest()
    assert token_call(shop, code=query["code"], expiring="1").json()["refresh_token_expires_in"] == 7_776_000
    assert token_call(shop, code=query["code"], expiring="1").status_code == 400


def test_signatures_match_the_published_vectors() -> None:
    assert sign_hook(b'{"id":"1","ok":true}', "topsecret") == "dcA/L4NlzmAUZvjnntfr67ynjGkU3t12g3U+8m0wriA="
    query = dict(parse_qsl("code=abc123&host=YWRtaW4&shop=example.myshopify.com&state=nonce42&timestamp=1793606400"))
    assert sign_callback(query, "topsecret") == "549e4730868741fa2f53d65426845be6b025f665e9a5ff05a2cd062992e11e4b"
    body = (
        b'{"id":7,"admin_graphql_api_id":"gid://shopify/Customer/7","email":"ada@example.org","first_name":"Ada",'
        b'"last_name":"Byron","state":"disabled","tags":"vip","currency":"EUR","created_at":"2026-10-01T11:00:00+02:00",'
        b'"updated_at":"2026-11-02T09:00:00+01:00","default_address":null,"addresses":[]}'
    )
    assert sign_hook(body, "topsecret") == "SzDd2MQvQJ3mhYTKDSrhCsi8l43ZjfJRoDAWh2xvMe0="


# --- people and webhooks -------------------------------------------------------------------------------------------


def topics(receiver: Receiver) -> list[str]:
    return [headers["X-Shopify-Topic"] for headers in receiver.headers]


def test_a_webhook_is_signed_and_has_the_rest_shape(shop: Shop, receiver: Receiver) -> None:
    given = {"uri": receiver.url}
    made = shop.ask(SUBSCRIBE, t="CUSTOMERS_UPDATE", w=given)["webhookSubscriptionCreate"]
    assert made["webhookSubscription"]["topic"] == "CUSTOMERS_UPDATE"
    assert (
        shop.ask(SUBSCRIBE, t="CUSTOMERS_UPDATE", w=given)["webhookSubscriptionCreate"]["webhookSubscription"] is None
    )
    shop.twin.user_create("customers", customer("Ada", tags=["b", "a"]))
    shop.twin.user_edit("customers", "7100000000001", {"lastName": "Byron"})
    shop.twin.drain_hooks()
    assert topics(receiver) == ["customers/update"]
    digest = hmac.new(b"twin-secret", receiver.bodies[0], hashlib.sha256).digest()
    assert receiver.headers[0]["X-Shopify-Hmac-SHA256"] == base64.b64encode(digest).decode()
    assert receiver.headers[0]["X-Shopify-Shop-Domain"] == "twin-shop.myshopify.com"
    assert receiver.headers[0]["X-Shopify-Triggered-At"] == "2026-11-02T08:00:00.000000000Z"
    body = orjson.loads(receiver.bodies[0])
    assert body["id"] == 7100000000001
    assert body["admin_graphql_api_id"] == FIRST
    assert (body["tags"], body["state"], body["last_name"]) == ("a, b", "disabled", "Byron")
    assert body["updated_at"] == "2026-11-02T09:00:00+01:00"


def test_a_retry_keeps_its_webhook_id_and_a_dead_subscription_is_removed(shop: Shop, receiver: Receiver) -> None:
    shop.ask(SUBSCRIBE, t="CUSTOMERS_CREATE", w={"uri": receiver.url})
    receiver.default = (500, b"")
    shop.twin.user_create("customers", customer("Ada"))
    shop.twin.drain_hooks()
    assert len(receiver.bodies) == 9
    assert len({headers["X-Shopify-Webhook-Id"] for headers in receiver.headers}) == 1
    listed = shop.ask("{webhookSubscriptions(first:10){nodes{topic}}}")
    assert listed == {"webhookSubscriptions": {"nodes": []}}


def test_an_order_is_paid_and_refunded_by_people(shop: Shop, receiver: Receiver, clock: VirtualClock) -> None:
    shop.twin.user_create("customers", customer("Ada"))
    shop.twin.set_webhook(receiver.url, "topsecret")
    clock.advance(10)
    lines = [{"title": "Lamp", "quantity": 2, "price": "49.95", "sku": "L1"}]
    order = shop.twin.user_create("orders", {"customer": "7100000000001", "lineItems": lines, "totalShipping": "5"})
    shop.twin.user_action("pay_order", order=order)
    shop.twin.user_action("refund_order", order=order, amount="20.50", note="scratched")
    shop.twin.drain_hooks()
    assert topics(receiver) == [
        "orders/create", "customers/update",
        "orders/paid", "orders/updated", "customers/update",
        "refunds/create", "orders/updated", "customers/update",
    ]  # fmt: skip
    query = """query($id:ID!){order(id:$id){name displayFinancialStatus email customer{id numberOfOrders
    amountSpent{amount}} totalPriceSet{shopMoney{amount currencyCode}} totalRefundedSet{shopMoney{amount}}
    lineItems(first:5){nodes{sku quantity originalUnitPriceSet{shopMoney{amount}}}}
    transactions(first:5){kind amountSet{shopMoney{amount}} parentTransaction{kind}}
    refunds(first:5){note totalRefundedSet{shopMoney{amount}} transactions(first:5){nodes{kind}}}}}"""
    assert shop.ask(query, id=f"gid://shopify/Order/{order}")["order"] == {
        "name": "#1001",
        "displayFinancialStatus": "PARTIALLY_REFUNDED",
        "email": "ada@example.org",
        "customer": {"id": FIRST, "numberOfOrders": "1", "amountSpent": {"amount": "84.4"}},
        "totalPriceSet": {"shopMoney": {"amount": "104.9", "currencyCode": "EUR"}},
        "totalRefundedSet": {"shopMoney": {"amount": "20.5"}},
        "lineItems": {
            "nodes": [{"sku": "L1", "quantity": 2, "originalUnitPriceSet": {"shopMoney": {"amount": "49.95"}}}]
        },
        "transactions": [
            {"kind": "SALE", "amountSet": {"shopMoney": {"amount": "104.9"}}, "parentTransaction": None},
            {"kind": "REFUND", "amountSet": {"shopMoney": {"amount": "20.5"}}, "parentTransaction": {"kind": "SALE"}},
        ],
        "refunds": [
            {
                "note": "scratched",
                "totalRefundedSet": {"shopMoney": {"amount": "20.5"}},
                "transactions": {"nodes": [{"kind": "REFUND"}]},
            }
        ],
    }
    paid = orjson.loads(receiver.bodies[2])
    assert (paid["total_price"], paid["financial_status"], paid["customer"]["id"]) == ("104.90", "paid", 7100000000001)
    assert shop.ask(ONE, id=FIRST)["customer"]["updatedAt"] == "2026-11-02T08:00:10Z"  # though no field of hers changed


def test_a_paid_order_announces_both_and_cannot_be_paid_twice(shop: Shop, receiver: Receiver) -> None:
    shop.twin.set_webhook(receiver.url, "topsecret", topics=["orders/paid", "orders/create"])
    order = shop.twin.user_create("orders", {"totalPrice": "500", "paid": True})
    shop.twin.drain_hooks()
    assert topics(receiver) == ["orders/create", "orders/paid"]
    with pytest.raises(ValueError, match="paid already"):
        shop.twin.user_action("pay_order", order=order)


def test_deleting_and_merging_are_told_by_webhook_alone(shop: Shop, receiver: Receiver) -> None:
    for name in ("Ada", "Adah", "Ben"):
        shop.twin.user_create("customers", customer(name, tags=[name]))
    shop.twin.user_create("orders", {"customer": "7100000000002", "totalPrice": "10"})
    shop.twin.set_webhook(receiver.url, "topsecret", topics=["customers/delete", "customers/merge"])
    shop.twin.user_merge("customers", "7100000000001", "7100000000002")
    shop.twin.user_delete("customers", "7100000000003")
    shop.twin.drain_hooks()
    assert topics(receiver) == ["customers/merge", "customers/delete"]
    merge, delete = (orjson.loads(body) for body in receiver.bodies)
    assert merge["admin_graphql_api_customer_kept_id"] == FIRST
    assert merge["admin_graphql_api_customer_deleted_id"] == "gid://shopify/Customer/7100000000002"
    assert delete["id"] == 7100000000003
    kept = shop.ask(ONE, id=FIRST)["customer"]
    assert (kept["tags"], kept["numberOfOrders"]) == (["Ada", "Adah"], "1")
    assert shop.names() == ["Ada"]
    assert shop.twin.snapshot("customers")["7100000000002"]["merged_into"] == "7100000000001"


def test_an_unsubscribe_is_told(shop: Shop, receiver: Receiver) -> None:
    shop.twin.user_create("customers", customer("Ada", emailMarketingConsent={"marketingState": "SUBSCRIBED"}))
    shop.twin.set_webhook(receiver.url, "s", topics=["customers_email_marketing_consent/update"])
    shop.twin.user_edit("customers", "7100000000001", {"defaultEmailAddress.marketingState": "UNSUBSCRIBED"})
    shop.twin.drain_hooks()
    body = orjson.loads(receiver.bodies[0])
    assert body["email_marketing_consent"]["state"] == "unsubscribed"
    assert shop.ask(ONE, id=FIRST)["customer"]["defaultEmailAddress"]["marketingState"] == "UNSUBSCRIBED"


def test_a_snapshot_has_the_fields_as_graphql_shows_them(shop: Shop) -> None:
    client = TwinClient(shop.base_url)
    number = client.user_create("customers", customer("Ada", metafields={"hub.id": "e1"}))
    row = client.snapshot("customers")[number]
    assert row["fields"]["defaultEmailAddress"]["emailAddress"] == "ada@example.org"
    assert row["fields"]["metafields"] == {"hub.id": "e1"}
    assert row["by"] == "user:1"
    with pytest.raises(TwinRefused, match="Email has already been taken"):
        client.user_create("customers", customer("Ada"))
    with pytest.raises(TwinRefused, match="a customer has no field colour"):
        client.user_edit("customers", number, {"colour": "red"})
    client.close()


def test_loading_leaves_out_a_phone_the_shop_could_not_hold(shop: Shop) -> None:
    rows = [
        {"id": "1", "created": NOW, "fields": customer("Ada", phone="030 123456")},
        {"id": "2", "created": NOW, "fields": customer("Ben", phone="+49 30 123456")},
        {"id": "3", "created": NOW, "fields": customer("Cleo", phone="call me")},
    ]
    assert shop.twin.load("customers", rows) == 3
    assert [row["fields"]["phone"] for row in shop.twin.snapshot("customers").values()] == ["+4930123456", None, None]
    with pytest.raises(ValueError, match="Email has already been taken"):
        shop.twin.load("customers", [{"created": NOW, "fields": customer("Ada")}])


def test_values_are_normalised_as_the_shop_keeps_them(shop: Shop) -> None:
    given = {
        "defaultEmailAddress": {"emailAddress": " Ada@X.org"},
        "phone": "030 123456",
        "tags": "b, a ,B",
        "firstName": "",
        "defaultAddress": {"countryCode": "at", "phone": "01 5880"},
        "note": "  kept  ",
    }
    assert shop.twin.normalise("customers", given) == {
        "defaultEmailAddress": {"emailAddress": "ada@x.org"},
        "phone": "+4930123456",
        "tags": ["a", "b"],
        "firstName": None,
        "defaultAddress": {"countryCode": "AT", "phone": "+4315880"},
        "note": "  kept  ",
    }
    with pytest.raises(ValueError, match="phone is invalid"):
        shop.twin.normalise("customers", {"phone": "12"})
