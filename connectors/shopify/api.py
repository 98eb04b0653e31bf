"""One GraphQL call, what is asked of a record, and what Shopify's answers mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from hub.connector import Door, HttpResponse, Settings
from hub.errors import ConfigFault, Fault, HubError, NeedsReview, OutcomeUnknown, RecordRejected
from hub.kit.statuses import Kind
from hub.model import Json

VERSION = "2026-10"  # each version lives at least 12 months (vendor docs, "API versioning")
MOST = 250  # rows of a connection, ids of `nodes`, and other array arguments (vendor docs, "Limits")
MAX_COST = 990  # of one query 1,000 points, a little left (vendor docs, "Rate limits")
MUTATION_COST = 10  # typical (vendor docs, "Rate limits")
# Rows from which a bulk operation is worth its making, its polls and its file: pages draw 990 points each from a bucket
# that the smallest plan fills with 100 a second, so 5,000 customers are five minutes; a bulk operation draws none
BULK_FROM = 5_000

KINDS = {
    "customers": "Customer", "orders": "Order", "checkouts": "AbandonedCheckout", "products": "Product",
    "discounts": "DiscountCodeNode",
}  # fmt: skip
ROOTS = {"discounts": "codeDiscountNodes", "checkouts": "abandonedCheckouts"}  # where they are not named as the stream

_ADDRESS = "address1 address2 city company countryCodeV2 firstName lastName phone province provinceCode zip"
_MONEY = "{ shopMoney { amount currencyCode } }"

# the discount 1, its codes 2 and one row 1, what the customer gets 1, its value 1, money 1; a little more at hand
_DISCOUNT = """codeDiscount { __typename ... on DiscountCodeBasic {
  title status startsAt endsAt usageLimit asyncUsageCount appliesOncePerCustomer createdAt updatedAt
  codes(first: 1) { nodes { code } }
  customerGets { value { __typename
    ... on DiscountPercentage { percentage } ... on DiscountAmount { amount { amount currencyCode } } } }
} }"""

SCALARS = {
    "customers": "id legacyResourceId firstName lastName displayName note tags state taxExempt taxExemptions locale "
    "verifiedEmail numberOfOrders createdAt updatedAt",
    "orders": "id legacyResourceId name number confirmationNumber email phone createdAt processedAt updatedAt closedAt "
    "cancelledAt cancelReason currencyCode displayFinancialStatus displayFulfillmentStatus discountCodes note tags "
    "poNumber sourceName sourceIdentifier taxesIncluded test customerLocale",
    "checkouts": "id name abandonedCheckoutUrl completedAt discountCodes note taxesIncluded createdAt updatedAt",
    "products": "id legacyResourceId title handle description vendor productType tags status isGiftCard totalInventory "
    "onlineStoreUrl publishedAt createdAt updatedAt",
    "discounts": "id",
}
LINES = 10  # of a checkout that are looked at, so that a page holds enough checkouts
# stream -> its nested connection, and what is asked of a row of it
NESTED = {"checkouts": ("lineItems", "id title sku quantity")}
# field -> (selection, points per record): a scalar costs nothing, an object 1 (vendor docs, "Rate limits")
OBJECTS: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "customers": {
        "defaultEmailAddress": (
            "defaultEmailAddress { emailAddress marketingState marketingOptInLevel marketingUpdatedAt validFormat }",
            1,
        ),
        "defaultPhoneNumber": (
            "defaultPhoneNumber { phoneNumber marketingState marketingOptInLevel marketingUpdatedAt }",
            1,
        ),
        "defaultAddress": (f"defaultAddress {{ {_ADDRESS} }}", 1),
        "amountSpent": ("amountSpent { amount currencyCode }", 1),
    },
    "orders": {
        "customer": ("customer { id }", 1),
        "totalPriceSet": (f"totalPriceSet {_MONEY}", 2),
        "currentTotalPriceSet": (f"currentTotalPriceSet {_MONEY}", 2),
        "totalRefundedSet": (f"totalRefundedSet {_MONEY}", 2),
        "subtotalPriceSet": (f"subtotalPriceSet {_MONEY}", 2),
        "totalTaxSet": (f"totalTaxSet {_MONEY}", 2),
        "billingAddress": (f"billingAddress {{ {_ADDRESS} }}", 1),
        "shippingAddress": (f"shippingAddress {{ {_ADDRESS} }}", 1),
    },
    "checkouts": {
        "customer": ("customer { id email: defaultEmailAddress { emailAddress } }", 2),
        "totalPriceSet": (f"totalPriceSet {_MONEY}", 2),
        "subtotalPriceSet": (f"subtotalPriceSet {_MONEY}", 2),
        "totalTaxSet": (f"totalTaxSet {_MONEY}", 2),
        "totalDiscountSet": (f"totalDiscountSet {_MONEY}", 2),
        "billingAddress": (f"billingAddress {{ {_ADDRESS} }}", 1),
        "shippingAddress": (f"shippingAddress {{ {_ADDRESS} }}", 1),
    },
    "products": {
        "priceRangeV2": (
            "priceRangeV2 { minVariantPrice { amount currencyCode } maxVariantPrice { amount currencyCode } }",
            3,
        ),
    },
    "discounts": {"codeDiscount": (_DISCOUNT, 9)},
}
# asked for where the settings name no fields
USUAL = {
    "customers": tuple(OBJECTS["customers"]),
    "orders": ("customer", "totalPriceSet", "currentTotalPriceSet", "totalRefundedSet"),
    "checkouts": ("customer", "totalPriceSet"),
    "products": ("priceRangeV2",),
    "discounts": ("codeDiscount",),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked of each record of a stream."""

    text: str  # fields of a GraphQL selection
    bulk: str  # the same for a bulk operation, where connections are asked for without pages, edge by edge
    cost: int  # points of one record, itself included
    metafields: Mapping[str, str]  # alias -> "namespace.key"


@dataclass(slots=True)
class ShopifyApi:
    """What `connect` hands out."""

    door: Door
    path: str
    marker: tuple[str, str]  # namespace and key of the metafield that carries the hub's id
    selections: Mapping[str, Selection]
    currency: str = ""  # the shop's own, once asked for
    bulk_from: int = 0  # rows from which a first load is a bulk operation; 0: never
    first: dict[str, int] = field(default_factory=dict)  # stream -> rows of a page that its cost allows
    files: dict[str, tuple[str, int]] = field(default_factory=dict)  # bulk operation -> address and size of its file


def connect(door: Door, settings: Settings) -> ShopifyApi:
    """Raises ConfigFault for a marker that is no "namespace.key"."""
    marker = str(settings.values.get("marker") or "hub.id")
    namespace, _, key = marker.partition(".")
    if not namespace or not key or not marker.replace(".", "").replace("_", "").replace("-", "").isalnum():
        fix = "for example hub.id"
        raise ConfigFault([Fault(code="CFG-MARKER", where=door.account, message="`marker` is no metafield", fix=fix)])
    version = str(settings.values.get("api_version") or VERSION)
    return ShopifyApi(
        door=door,
        path=f"/admin/api/{version}/graphql.json",
        marker=(namespace, key),
        selections={name: _selection(name, settings, (namespace, key)) for name in KINDS},
        bulk_from=int(settings.values.get("bulk_from", BULK_FROM)),
    )


def _selection(stream: str, settings: Settings, marker: tuple[str, str]) -> Selection:
    """Scalars always; objects and metafields, which cost points, only as far as the mapping reads them."""
    wanted = [str(path) for path in settings.streams.get(stream, {}).get("fields") or ()]
    heads = {path.partition(".")[0] for path in wanted}
    whole = stream == "discounts" or not wanted  # what a discount is worth is put together from all of it
    chosen = list(USUAL[stream]) if whole else [name for name in OBJECTS[stream] if name in heads]
    parts = [SCALARS[stream], *(OBJECTS[stream][name][0] for name in chosen)]
    cost = 1 + sum(OBJECTS[stream][name][1] for name in chosen)
    if stream == "customers":
        parts.append(f'hubId: metafield(namespace: "{marker[0]}", key: "{marker[1]}") {{ value }}')
        cost += 1
    paths = (path.removeprefix("metafields.") for path in wanted if path.startswith("metafields."))
    named = [name for name in dict.fromkeys(paths) if name.replace(".", "").replace("_", "").replace("-", "").isalnum()]
    metafields = {f"m{number}": name for number, name in enumerate(named)}
    for alias, name in metafields.items():
        namespace, _, key = name.rpartition(".")
        parts.append(f'{alias}: metafield(namespace: "{namespace}", key: "{key}") {{ value }}')
        cost += 1
    text, inner = "\n".join(parts), NESTED.get(stream)
    if inner is None:
        return Selection(text, text, cost, metafields)
    name, shown = inner
    return Selection(
        f"{text}\n{name}(first: {LINES}) {{ nodes {{ {shown} }} }}",
        f"{text}\n{name} {{ edges {{ node {{ {shown} }} }} }}",
        cost + 2 + LINES,  # a connection, and its rows (vendor docs, "Rate limits")
        metafields,
    )


# --- one call ----------------------------------------------------------------------------------------------------


class TooCostly(RecordRejected):
    """The query asks for more than one query may; nothing was done."""

    def __init__(self, cost: int, most: int) -> None:
        super().__init__(f"the query costs {cost} points of at most {most}", code="MAX_COST_EXCEEDED")
        self.cost, self.most = cost, most


@dataclass(frozen=True, slots=True)
class Answer:
    """A GraphQL answer that holds data."""

    data: Mapping[str, Json]
    errors: Mapping[str, Mapping[str, Json]]  # root field or alias -> error
    requested: int  # points charged in advance
    at: float  # vendor's time, epoch seconds


def ask(
    api: ShopifyApi, text: str, variables: Mapping[str, Json], *, operation: str, cost: int, writes: bool = False
) -> Answer:
    """One call. Raises hub errors; TooCostly and RecordRejected mean that nothing was executed."""
    body = {"query": text, "variables": variables}
    response = api.door.request("POST", api.path, operation=operation, json=body, writes=writes, cost=cost)
    if writes and not response.body.lstrip().startswith(b"{"):
        raise OutcomeUnknown("the answer to a write is no JSON", where=api.door.account)
    decoded = response.json()
    errors = decoded.get("errors") or []
    data = decoded.get("data")
    if data is None:
        raise _refusal(api, errors)
    by_root = {str((error.get("path") or [""])[0]): error for error in reversed(errors)}
    figures = (decoded.get("extensions") or {}).get("cost") or {}
    answer = Answer(data, by_root, int(figures.get("requestedQueryCost") or 0), response.at)
    if errors and not writes:
        raise _refusal(api, errors)  # part of what was asked for is missing: nothing may be concluded from the rest
    return answer


def _refusal(api: ShopifyApi, errors: Json) -> HubError:
    """The error for a query that was not, or only partly, answered."""
    first: Mapping[str, Json] = errors[0] if isinstance(errors, list) and errors else {"message": str(errors)}
    code, where = code_of(first), api.door.account
    if code == "MAX_COST_EXCEEDED":
        extensions = first["extensions"]
        return TooCostly(int(extensions.get("cost") or 0), int(extensions.get("maxCost") or 1000))
    message = str(first.get("message") or "the query was refused")
    if code == "ACCESS_DENIED":
        needed = str(first["extensions"].get("requiredAccess") or "a scope that it lacks")
        return NeedsReview(f"the app needs {needed}", code=code, where=where, fix="grant the app this access scope")
    return RecordRejected(message, code=code or "GRAPHQL", where=where)


def code_of(error: Mapping[str, Json]) -> str:
    return str((error.get("extensions") or {}).get("code") or "")


# --- answers that say no with HTTP 200 ---------------------------------------------------------------------------


def classify(response: HttpResponse) -> str | None:
    """Throttling and breakdowns hide in HTTP 200 (vendor docs, "Response status codes"); None: look closer."""
    if response.status != 200 or b'"errors"' not in response.body:
        return None
    try:
        body = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, list) or body.get("data") is not None:
        return None
    codes = {code_of(error) for error in errors if isinstance(error, dict)}
    if "THROTTLED" in codes:
        return Kind.THROTTLED
    if "SHOP_INACTIVE" in codes:
        return Kind.FORBIDDEN
    return Kind.TROUBLE if "INTERNAL_SERVER_ERROR" in codes else None


def wait_s(response: HttpResponse) -> float | None:
    """Seconds until the bucket holds what the query asks for; 1 where some plans leave the figures out."""
    if classify(response) != Kind.THROTTLED:
        return None
    cost = ((orjson.loads(response.body).get("extensions") or {}).get("cost")) or {}
    status = cost.get("throttleStatus") or {}
    try:
        missing = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        return max(0.1, missing / float(status["restoreRate"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 1.0


def usage(response: HttpResponse) -> Mapping[str, tuple[int, int]]:
    """The size of the bucket, which is the plan's: twenty seconds of its rate (vendor docs, "Rate limits")."""
    found = _BUCKET.search(response.body[-600:])
    return {"points": (0, int(float(found[1])))} if found else {}


def came_to(response: HttpResponse) -> Mapping[str, int]:
    """What the query has cost; the bucket has the rest of its price back already (vendor docs, "Rate limits")."""
    found = _ACTUAL.search(response.body[-600:])
    return {"points": int(float(found[1]))} if found else {}


_ACTUAL = re.compile(rb'"actualQueryCost":\s*(\d+(?:\.\d+)?)')
_BUCKET = re.compile(rb'"maximumAvailable":\s*(\d+(?:\.\d+)?)')
