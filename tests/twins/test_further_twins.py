"""Whatever a caller sends to a further twin, it answers in its vendor's form; it never fails itself."""

from __future__ import annotations

import importlib
import random
from typing import Any

import orjson
import pytest

from hub.twins.company import fill, generate
from hub.twins.kit import Request, Twin, VirtualClock

# Requests in the vendors' documentation, and parts of them that callers get wrong
PATHS: dict[str, list[str]] = {
    "activecampaign": [
        "/api/3/contacts",
        "/api/3/contacts/101",
        "/api/3/deals",
        "/api/3/accounts/1",
        "/api/3/contactLists",
        "/api/3/contactTags/1",
        "/api/3/import/bulk_import",
        "/api/3/import/info",
        "/api/3/webhooks",
        "/api/3/accountContacts",
        "/api/3/fields",
        "/api/3/contact/sync",
        "/api/3/nope",
        "/x",
    ],
    "bigcommerce": [
        "/v3/customers",
        "/v3/customers/addresses",
        "/v3/customers/attribute-values",
        "/v3/customers/attributes",
        "/v2/orders",
        "/v2/orders/100",
        "/v2/coupons",
        "/v3/carts/x",
        "/v3/hooks",
        "/v3/hooks/1",
        "/v2/store",
        "/",
    ],
    "freshsales": [
        "/api/contacts",
        "/api/contacts/filters",
        "/api/contacts/view/11",
        "/api/contacts/bulk_upsert",
        "/api/contacts/upsert",
        "/api/contacts/70002000001",
        "/api/deals",
        "/api/filtered_search/contact",
        "/api/lookup",
        "/api/job_statuses/1",
        "/api/selector/owners",
        "/api/settings/deals/fields",
        "/x",
    ],
    "quickbooks": [
        "/query",
        "/cdc",
        "/batch",
        "/customer",
        "/customer/58",
        "/invoice/1001",
        "/nope",
        "/v3/company/9130000000000001/query",
    ],
    "zoho_invoice": [
        "/contacts",
        "/contacts/460000000000001",
        "/contacts/460000000000001/inactive",
        "/invoices",
        "/customerpayments",
        "/organizations",
        "/nope",
        "/invoice/v3/contacts",
    ],
}
HEADERS = {
    "activecampaign": {"api-token": "twin-token"},
    "bigcommerce": {"x-auth-token": "twin-token"},
    "freshsales": {"authorization": "Token token=twin-token"},
    "quickbooks": {"authorization": "Bearer twin-token", "accept": "application/json"},
    "zoho_invoice": {
        "authorization": "Zoho-oauthtoken twin-token",
        "x-com-zoho-invoice-organizationid": "700001",
        "content-type": "application/x-www-form-urlencoded",
    },
}
VALUES: list[Any] = [
    None,
    1,
    -1,
    1.5,
    True,
    "",
    "x",
    "a@b.de",
    [],
    {},
    [1],
    [None],
    [{}],
    {"a": 1},
    [{"id": 12}],
    "9" * 400,
    [{"id": "70002000001", "data": {}}],
    {"id": 1, "email": 7},
    {"email": "new@example.org"},
]
KEYS = [
    "contact",
    "contacts",
    "deal",
    "account",
    "id",
    "email",
    "emails",
    "name",
    "fieldValues",
    "contactList",
    "data",
    "custom_field",
    "sales_accounts",
    "unique_identifier",
    "filter_rule",
    "first_name",
    "last_name",
    "scope",
    "destination",
    "customer_id",
    "attribute_id",
    "value",
    "BatchItemRequest",
    "Id",
    "SyncToken",
    "GivenName",
    "PrimaryEmailAddr",
    "contact_name",
    "contact_persons",
    "billing_address",
    "custom_fields",
    "webhook",
    "events",
]
ARGUMENTS = [
    "limit",
    "offset",
    "page",
    "per_page",
    "after",
    "sort",
    "id:in",
    "include",
    "min_id",
    "changedSince",
    "entities",
    "filters[updated_after]",
    "q",
    "f",
    "date_modified:min",
    "sort_column",
    "last_modified_time",
    "batchId",
    "query",
]
TEXTS = ("", "x", "1", "-1", "0", "²", "9" * 30, "2026-11-01T00:00:00Z", "select * from Customer", "a,b", "%", "email")


def body_of(rng: random.Random) -> bytes:
    chance = rng.random()
    if chance < 0.05:
        return b"{bad"
    if chance < 0.1:
        return b"\xff\xfe"
    if chance < 0.25:
        return orjson.dumps(rng.choice(VALUES))
    fields = {key: rng.choice(VALUES) for key in rng.sample(KEYS, rng.randrange(6))}
    body = {rng.choice(KEYS): fields, **fields} if rng.random() < 0.7 else [fields]
    text = orjson.dumps(body)
    return b"JSONString=" + text if rng.random() < 0.2 else text


@pytest.mark.parametrize("system", sorted(PATHS))
def test_a_malformed_call_is_refused_and_harms_nothing(system: str) -> None:
    twin: Twin = importlib.import_module(f"hub.twins.{system}").make(
        clock=VirtualClock(), auto_hooks=False, limit_scale=0
    )
    fill(generate(3, 20, also=[system]), {system: twin})
    rng = random.Random(11)
    for _ in range(3000):
        request = Request(
            method=rng.choice(("GET", "POST", "PUT", "DELETE", "PATCH")),
            path=rng.choice(PATHS[system]),
            query={key: [rng.choice(TEXTS)] for key in rng.sample(ARGUMENTS, rng.randrange(3))},
            headers=HEADERS[system],
            body=body_of(rng),
        )
        answer = twin.handle(request)
        assert answer.status in (200, 201, 204, 400, 401, 403, 404, 405, 409, 413, 415, 422, 500), request
        assert answer.status == 204 or answer.body, request


@pytest.mark.parametrize("system", sorted(PATHS))
def test_a_call_without_sign_in_is_refused_by_the_vendors_word(system: str) -> None:
    twin: Twin = importlib.import_module(f"hub.twins.{system}").make(clock=VirtualClock(), auto_hooks=False)
    answer = twin.handle(Request(method="GET", path=PATHS[system][0], headers={"accept": "application/json"}))
    assert answer.status == (403 if system == "activecampaign" else 401)
    assert orjson.loads(answer.body)
