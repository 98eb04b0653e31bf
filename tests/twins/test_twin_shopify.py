"""The Shopify twin over real HTTP: documents as the fact sheet writes them, answers as it says they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hub.twins.kit import VirtualClock
from hub.twins.server import serve
from hub.twins.shopify import make
from tests.twins.shopify_client import CONSENT, FIRST, METAFIELDS, NOW, ONE, PAGE, Shop, customer

Json = Any


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def shop(clock: VirtualClock) -> Iterator[Shop]:
    twin = make(clock=clock, auto_hooks=False)
    with serve(twin) as running:
        yield Shop(running.base_url, twin)


# --- reading -----------------------------------------------------------------------------------------------------


def test_a_record_is_read_in_the_vendors_shape(shop: Shop) -> None:
    address = {"city": "Berlin", "countryCode": "DE", "provinceCode": "be"}
    created = shop.twin.user_create("customers", customer("Ada", tags=["vip", " vip ", "A"], defaultAddress=address))
    assert created == "7100000000001"
    assert shop.ask(ONE, id=FIRST)["customer"] == {
        "id": FIRST,
        "updatedAt": "2026-11-02T08:00:00Z",
        "firstName": "Ada",
        "lastName": None,
        "note": None,
        "tags": ["A", "vip"],
        "numberOfOrders": "0",
        "defaultEmailAddress": {
            "emailAddress": "ada@example.org",
            "marketingState": "NOT_SUBSCRIBED",
            "marketingOptInLevel": None,
        },
        "amountSpent": {"amount": "0.0", "currencyCode": "EUR"},
        "defaultAddress": {
            "city": "Berlin",
            "province": "Berlin",
            "provinceCode": "BE",
            "countryCodeV2": "DE",
            "country": "Germany",
        },
        "metafield": None,
    }


def test_an_unknown_id_is_null_and_a_malformed_one_an_error(shop: Shop) -> None:
    assert shop.ask(ONE, id="gid://shopify/Customer/5")["customer"] is None
    answer = shop.call(ONE, id="x").json()
    assert "data" not in answer
    assert answer["errors"][0]["message"] == "Invalid global id 'x'"
    assert answer["errors"][0]["extensions"]["code"] == "argumentLiteralsIncompatible"


def test_pages_by_update_time_end_and_miss_nothing_with_equal_times(shop: Shop) -> None:
    rows = [{"created": NOW - 100 + i // 3, "fields": customer(f"N{i}")} for i in range(10)]
    shop.twin.load("customers", rows)
    seen, after = [], None
    for _ in range(4):
        page = shop.ask(PAGE, first=3, after=after, s="UPDATED_AT")["customers"]
        seen += [row["firstName"] for row in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == [f"N{i}" for i in range(10)]
    assert page["pageInfo"]["hasNextPage"] is False
    newest_first = shop.names(s="UPDATED_AT", r=True)
    assert newest_first == [f"N{i}" for i in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)]


def test_nodes_keeps_the_place_of_a_missing_id(shop: Shop) -> None:
    shop.twin.user_create("customers", customer("Ada"))
    query = "query($ids:[ID!]!){nodes(ids:$ids){id ... on Customer{firstName}}}"
    assert shop.ask(query, ids=[FIRST, "gid://shopify/Customer/9"])["nodes"] == [
        {"id": FIRST, "firstName": "Ada"},
        None,
    ]
    code = shop.refused(query, ids=[f"gid://shopify/Customer/{i}" for i in range(251)])["extensions"]["code"]
    assert code == "MAX_INPUT_SIZE_EXCEEDED"


def test_customers_match_by_whole_days_and_orders_by_instants(shop: Shop, clock: VirtualClock) -> None:
    shop.twin.load("customers", [{"id": "7", "created": NOW - 6 * 3600, "fields": customer("Ada")}])  # 02:00 UTC
    shop.twin.load("orders", [{"id": "9", "created": NOW - 6 * 3600, "fields": {"customer": "7", "total": "10"}}])
    assert shop.names("updated_at:>='2026-11-02T07:00:00Z'") == ["Ada"]
    assert shop.names("updated_at:>'2026-11-01T23:30:00Z'") == []  # a greater-than loses the whole day
    orders = "query($q:String){orders(first:5,query:$q){nodes{legacyResourceId}}}"
    assert shop.ask(orders, q="updated_at:>='2026-11-02T07:00:00Z'")["orders"]["nodes"] == []
    assert shop.ask(orders, q="updated_at:>='2026-11-02T02:00:00Z'")["orders"]["nodes"] == [{"legacyResourceId": "9"}]


@pytest.mark.parametrize(
    "query, found",
    [
        ("tag:vip", ["Ada", "Cleo"]),
        ("tag:vip -email:'ada@example.org'", ["Cleo"]),
        ('email:"ada@example.org" OR first_name:Ben', ["Ada", "Ben"]),
        ("NOT (tag:vip OR first_name:ben)", []),
        ("email:ada@example.org", ["Ada"]),
        ("email:example.org", ["Ada", "Ben", "Cleo"]),  # bare words are split
        ("id:>7100000000001", ["Ben", "Cleo"]),
        ("cle*", ["Cleo"]),
        ("leo*", []),
        ("first_name:cle*", ["Cleo"]),
        ("colour:red tag:vip", ["Ada", "Cleo"]),  # an unknown field is dropped, the rest counts
    ],
)
def test_search_strings_choose_rows(shop: Shop, query: str, found: list[str]) -> None:
    for name, tags in (("Ada", ["vip"]), ("Ben", []), ("Cleo", ["VIP"])):
        shop.twin.user_create("customers", customer(name, tags=tags))
    assert shop.names(query) == found


def test_an_unknown_search_field_is_named_and_an_empty_filter_is_an_internal_error(shop: Shop) -> None:
    noted = shop.call(PAGE, first=1, q="colour:red").json()["extensions"]["search"][0]["warnings"][0]
    assert (noted["field"], noted["code"]) == ("colour", "invalid_field")
    assert shop.refused(PAGE, first=1, q="updated_at:>")["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


def test_the_search_index_lags_but_a_read_by_id_does_not(shop: Shop, clock: VirtualClock) -> None:
    shop.twin.set_faults(index_lag_s=60.0)
    shop.twin.user_create("customers", customer("Ada", tags=["old"]))
    clock.advance(61)
    shop.twin.user_edit("customers", "7100000000001", {"tags": ["new"]})
    shop.twin.user_create("customers", customer("Ben"))
    assert shop.ask(ONE, id=FIRST)["customer"]["tags"] == ["new"]
    assert shop.names("tag:old") == ["Ada"]  # the index still has the old values
    assert shop.names("tag:new") == []
    assert shop.names("id:>0") == ["Ada"]
    clock.advance(61)
    assert shop.names("tag:new") == ["Ada"]
    assert shop.names("id:>0") == ["Ada", "Ben"]


def test_the_shop_says_what_it_is_and_what_the_app_may(shop: Shop) -> None:
    query = """{shop{name myshopifyDomain currencyCode ianaTimezone} currentAppInstallation{app{handle}
    accessScopes{handle}} customersCount{count precision}}"""
    assert shop.ask(query) == {
        "shop": {
            "name": "Twin Shop",
            "myshopifyDomain": "twin-shop.myshopify.com",
            "currencyCode": "EUR",
            "ianaTimezone": "Europe/Berlin",
        },
        "currentAppInstallation": {
            "app": {"handle": "hub"},
            "accessScopes": [
                {"handle": handle}
                for handle in (
                    "read_all_orders",
                    "read_customers",
                    "read_discounts",
                    "read_orders",
                    "read_products",
                    "write_customers",
                    "write_discounts",
                )
            ],
        },
        "customersCount": {"count": 0, "precision": "EXACT"},
    }


def test_edges_cursors_and_fragments_say_the_same_as_nodes(shop: Shop) -> None:
    for name in ("Ada", "Ben"):
        shop.twin.user_create("customers", customer(name))
    query = """query($n:Boolean!){customers(first:1){edges{cursor node{...F}} nodes @include(if:$n){firstName}
    pageInfo{endCursor}}} fragment F on Customer{first:firstName __typename}"""
    page = shop.ask(query, n=False)["customers"]
    assert page["edges"][0]["node"] == {"first": "Ada", "__typename": "Customer"}
    assert page["edges"][0]["cursor"] == page["pageInfo"]["endCursor"]
    assert "nodes" not in page
    assert shop.ask(PAGE, first=5, after=page["pageInfo"]["endCursor"])["customers"]["nodes"][0]["firstName"] == "Ben"


def test_orders_older_than_60_days_need_their_own_scope(clock: VirtualClock) -> None:
    twin = make(clock=clock, auto_hooks=False, scopes="read_orders")
    rows = [{"id": str(i), "created": NOW - days * 86_400, "fields": {"total": "5"}} for i, days in ((1, 61), (2, 59))]
    twin.load("orders", rows)
    with serve(twin) as running:
        shop = Shop(running.base_url, twin)
        nodes = shop.ask("{orders(first:5){nodes{legacyResourceId}}}")["orders"]["nodes"]
        assert nodes == [{"legacyResourceId": "2"}]
        answer = shop.call("{customers(first:5){nodes{id}}}").json()
        assert answer["data"] == {"customers": None}
        assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
        assert "read_customers" in answer["errors"][0]["extensions"]["requiredAccess"]


# --- writing -----------------------------------------------------------------------------------------------------


def test_customer_set_creates_then_updates_by_the_hubs_own_id(shop: Shop, clock: VirtualClock) -> None:
    key = {"customId": {"namespace": "hub", "key": "id", "value": "ent-42"}}
    first = shop.set({"email": " Ada@Example.ORG ", "phone": "030 123456", "tags": ["b", "a"]}, key)
    assert first == {
        "customer": {
            "id": FIRST,
            "updatedAt": "2026-11-02T08:00:00Z",
            "firstName": None,
            "tags": ["a", "b"],
            "defaultEmailAddress": {"emailAddress": "ada@example.org"},
            "defaultPhoneNumber": {"phoneNumber": "+4930123456"},
            "metafield": {"value": "ent-42"},
        },
        "userErrors": [],
    }
    clock.advance(5)
    second = shop.set({"firstName": "Ada"}, key)["customer"]
    assert (second["id"], second["firstName"], second["tags"]) == (FIRST, "Ada", ["a", "b"])
    assert second["updatedAt"] == "2026-11-02T08:00:05Z"
    by_id = "query($c:UniqueMetafieldValueInput!){customerByIdentifier(identifier:{customId:$c}){id}}"
    assert shop.ask(by_id, c=key["customId"])["customerByIdentifier"] == {"id": FIRST}
    assert shop.ask(by_id, c={**key["customId"], "value": "ent-43"})["customerByIdentifier"] is None
    assert shop.twin.records.count("customers") == 1


def test_an_undefined_custom_id_is_refused(shop: Shop) -> None:
    key = {"namespace": "other", "key": "id", "value": "1"}
    refusal = shop.set({"firstName": "Ada"}, {"customId": key})
    assert (refusal["customer"], refusal["userErrors"][0]["code"]) == (None, "METAFIELD_MISMATCH")
    query = "query($c:UniqueMetafieldValueInput!){customerByIdentifier(identifier:{customId:$c}){id}}"
    assert shop.refused(query, c=key)["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "given, identifier, field, code",
    [
        ({"phone": "+49 30 123456"}, None, ["input", "phone"], "TAKEN"),
        ({"email": "ADA@example.org"}, None, ["input", "email"], "TAKEN"),
        ({"phone": "12"}, None, ["input", "phone"], "INVALID"),
        ({"email": "nope"}, None, ["input", "email"], "INVALID"),
        ({"note": "only"}, None, None, "BLANK"),
        ({"firstName": "x" * 256}, None, ["input", "firstName"], "TOO_LONG"),
        ({"firstName": "Z"}, {"id": "gid://shopify/Customer/5"}, ["input", "id"], "NOT_FOUND"),
        ({"firstName": "Z"}, {"email": "z@example.org"}, ["input", "email"], "MISSING_FIELD_REQUIRED"),
        ({"email": "y@example.org"}, {"email": "z@example.org"}, ["input", "email"], "INPUT_MISMATCH"),
        ({"id": FIRST}, {"email": "z@example.org"}, ["input", "id"], "ID_NOT_ALLOWED"),
        ({"firstName": "Z", "addresses": [{"countryCode": "DE", "provinceCode": "TX"}]}, None,
         ["input", "addresses", "0", "provinceCode"], "INVALID"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_a_user_error_and_changes_nothing(
    shop: Shop, given: Json, identifier: Json, field: list[str] | None, code: str
) -> None:
    shop.twin.user_create("customers", customer("Ada", phone="+4930123456"))
    answer = shop.set(given, identifier)
    assert answer["customer"] is None
    assert [(e["field"], e["code"]) for e in answer["userErrors"]] == [(field, code)]
    assert shop.twin.records.count("customers") == 1


def test_customer_create_has_no_codes_and_takes_consent_that_update_refuses(shop: Shop) -> None:
    create = """mutation($in:CustomerInput!){customerCreate(input:$in){customer{defaultEmailAddress{marketingState}}
    userErrors{field message}}}"""
    consent = {"marketingState": "SUBSCRIBED", "marketingOptInLevel": "SINGLE_OPT_IN"}
    given = {"email": "ada@example.org", "emailMarketingConsent": consent}
    made = shop.ask(create, **{"in": given})["customerCreate"]
    assert made["customer"]["defaultEmailAddress"] == {"marketingState": "SUBSCRIBED"}
    again = shop.ask(create, **{"in": given})["customerCreate"]
    expected = {"field": ["email"], "message": "Email has already been taken"}
    assert again == {"customer": None, "userErrors": [expected]}
    update = "mutation($in:CustomerInput!){customerUpdate(input:$in){customer{id} userErrors{field message}}}"
    consent["marketingState"] = "UNSUBSCRIBED"
    refused = shop.ask(update, **{"in": {"id": FIRST, "emailMarketingConsent": consent}})["customerUpdate"]
    assert refused["userErrors"][0]["field"] == ["emailMarketingConsent"]
    assert shop.ask(ONE, id=FIRST)["customer"]["defaultEmailAddress"]["marketingState"] == "SUBSCRIBED"


def test_consent_has_its_own_mutation(shop: Shop) -> None:
    shop.twin.user_create("customers", customer("Ada"))
    shop.twin.user_create("customers", {"firstName": "Ben"})

    def update(number: str, state: str) -> Json:
        given = {"customerId": f"gid://shopify/Customer/{number}", "emailMarketingConsent": {"marketingState": state}}
        return shop.ask(CONSENT, **{"in": given})["customerEmailMarketingConsentUpdate"]

    assert update("7100000000001", "UNSUBSCRIBED") == {
        "customer": {"defaultEmailAddress": {"marketingState": "UNSUBSCRIBED"}},
        "userErrors": [],
    }
    assert update("7100000000001", "NOT_SUBSCRIBED")["userErrors"][0]["code"] == "INVALID"
    assert update("7100000000002", "SUBSCRIBED")["userErrors"][0]["message"] == "Customer must have an email address"
    assert update("1", "SUBSCRIBED")["userErrors"][0]["code"] == "NOT_FOUND"


def test_aliased_mutations_run_in_order_and_fail_one_by_one(shop: Shop) -> None:
    fields = ('firstName:"A",email:"a@example.org"', 'firstName:"B",email:"a@example.org"', 'firstName:"C"')
    parts = [
        f"{alias}:customerSet(input:{{{given}}}){{customer{{firstName}} userErrors{{code}}}}"
        for alias, given in zip("abc", fields, strict=True)
    ]
    answer = shop.ask(f"mutation{{{' '.join(parts)}}}")
    assert [answer[alias]["customer"] for alias in "abc"] == [{"firstName": "A"}, None, {"firstName": "C"}]
    assert answer["b"]["userErrors"] == [{"code": "TAKEN"}]
    assert shop.twin.calls()[-1]["rows"] == 3


def test_tags_are_added_and_removed_beside_the_rest(shop: Shop) -> None:
    shop.twin.user_create("customers", customer("Ada", tags=["vip"]))
    add = "mutation($id:ID!,$t:[String!]!){tagsAdd(id:$id,tags:$t){node{... on Customer{tags}} userErrors{message}}}"
    assert shop.ask(add, id=FIRST, t=["new", "VIP"])["tagsAdd"]["node"] == {"tags": ["new", "vip"]}
    remove = add.replace("tagsAdd", "tagsRemove")
    assert shop.ask(remove, id=FIRST, t=["Vip"])["tagsRemove"]["node"] == {"tags": ["new"]}


def test_a_metafield_is_written_only_over_the_value_one_has_seen(shop: Shop) -> None:
    shop.twin.user_create("customers", customer("Ada"))
    entry = {"ownerId": FIRST, "namespace": "hub", "key": "id", "value": "1"}
    made = shop.ask(METAFIELDS, m=[{**entry, "compareDigest": None}])["metafieldsSet"]["metafields"][0]
    assert made["value"] == "1"
    stale = shop.ask(METAFIELDS, m=[{**entry, "value": "2", "compareDigest": None}])["metafieldsSet"]
    assert stale["userErrors"][0]["code"] == "STALE_OBJECT"
    fresh = shop.ask(METAFIELDS, m=[{**entry, "value": "2", "compareDigest": made["compareDigest"]}])["metafieldsSet"]
    assert (fresh["metafields"][0]["value"], fresh["userErrors"]) == ("2", [])


def test_metafields_are_set_all_or_none_and_a_unique_value_once(shop: Shop) -> None:
    for name in ("Ada", "Ben"):
        shop.twin.user_create("customers", customer(name))
    second = "gid://shopify/Customer/7100000000002"
    good = {"ownerId": FIRST, "namespace": "hub", "key": "id", "value": "1"}
    typed = {"ownerId": second, "namespace": "crm", "key": "score", "type": "number_integer", "value": "x"}
    answer = shop.ask(METAFIELDS, m=[good, typed])["metafieldsSet"]
    assert [(e["field"], e["code"]) for e in answer["userErrors"]] == [(["metafields", "1", "value"], "INVALID_VALUE")]
    assert shop.ask(ONE, id=FIRST)["customer"]["metafield"] is None
    assert shop.ask(METAFIELDS, m=[good])["metafieldsSet"]["userErrors"] == []
    taken = shop.ask(METAFIELDS, m=[{**good, "ownerId": second}])["metafieldsSet"]
    assert taken["userErrors"][0]["code"] == "TAKEN"
    assert shop.ask(METAFIELDS, m=[good] * 26)["metafieldsSet"]["metafields"] is None


def test_definitions_are_discovered_and_made(shop: Shop) -> None:
    query = """{metafieldDefinitions(ownerType:CUSTOMER,first:50){nodes{namespace key type{name}
    capabilities{uniqueValues{enabled}}}}}"""
    hub = {"namespace": "hub", "key": "id", "type": {"name": "id"}, "capabilities": {"uniqueValues": {"enabled": True}}}
    assert shop.ask(query)["metafieldDefinitions"]["nodes"] == [hub]
    create = """mutation($d:MetafieldDefinitionInput!){metafieldDefinitionCreate(definition:$d){createdDefinition{key}
    userErrors{code}}}"""
    definition = {"namespace": "crm", "key": "tier", "name": "Tier", "ownerType": "CUSTOMER"}
    definition["type"] = "single_line_text_field"
    assert shop.ask(create, d=definition)["metafieldDefinitionCreate"]["createdDefinition"] == {"key": "tier"}
    assert shop.ask(create, d=definition)["metafieldDefinitionCreate"]["userErrors"] == [{"code": "TAKEN"}]


def test_a_customer_with_orders_cannot_be_deleted(shop: Shop) -> None:
    shop.twin.user_create("customers", customer("Ada"))
    shop.twin.user_create("customers", customer("Ben"))
    shop.twin.user_create("orders", {"customer": "7100000000001", "totalPrice": "10"})
    delete = """mutation($id:ID!){customerDelete(input:{id:$id}){deletedCustomerId userErrors{field message}}}"""
    assert shop.ask(delete, id=FIRST)["customerDelete"]["deletedCustomerId"] is None
    second = "gid://shopify/Customer/7100000000002"
    assert shop.ask(delete, id=second)["customerDelete"] == {"deletedCustomerId": second, "userErrors": []}
    assert shop.ask(ONE, id=second)["customer"] is None
    assert shop.names() == ["Ada"]
