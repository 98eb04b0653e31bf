"""The shop: who it is, what the app may do there, and which fields a record has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.shopify.api import ShopifyApi, ask
from hub.connector import Field
from hub.model import Json

SCOPES = {
    "read_customers": "customers cannot be read",
    "write_customers": "customers cannot be written",
    "read_orders": "orders cannot be read",
    "read_all_orders": "orders older than 60 days are invisible",
    "read_products": "products cannot be read",
    "read_discounts": "discount codes cannot be read",
    "write_discounts": "discount codes cannot be given as rewards",
}


def check(api: ShopifyApi) -> dict[str, Json]:
    """The shop, missing access scopes, and whether the metafield for the hub's id is there and unique."""
    namespace, key = api.marker
    text = """query Check($namespace: String!, $key: String!) {
      shop { id name myshopifyDomain currencyCode }
      currentAppInstallation { accessScopes { handle } }
      metafieldDefinitions(ownerType: CUSTOMER, first: 5, namespace: $namespace, key: $key) {
        nodes { namespace key type { name } capabilities { uniqueValues { enabled } } }
      }
    }"""
    data = ask(api, text, {"namespace": namespace, "key": key}, operation="check", cost=40).data
    granted = {scope["handle"] for scope in data["currentAppInstallation"]["accessScopes"]}
    granted |= {handle.replace("write_", "read_") for handle in granted if handle.startswith("write_")}
    warnings = [f"without the scope {scope} {effect}" for scope, effect in SCOPES.items() if scope not in granted]
    if not any(_is_marker(node) for node in data["metafieldDefinitions"]["nodes"]):
        warnings.append(
            f"customers have no metafield {namespace}.{key} of type id with unique values: none can be created"
        )
    shop = data["shop"]
    return {"account": shop["myshopifyDomain"], "name": shop["name"], "warnings": warnings}


def _is_marker(node: Mapping[str, Json]) -> bool:
    return bool(node["type"]["name"] == "id" and node["capabilities"]["uniqueValues"]["enabled"])


_STATES = ("SUBSCRIBED", "UNSUBSCRIBED", "NOT_SUBSCRIBED", "PENDING", "INVALID", "REDACTED")
_PAID = ("AUTHORIZED", "EXPIRED", "PAID", "PARTIALLY_PAID", "PARTIALLY_REFUNDED", "PENDING", "REFUNDED", "VOIDED")
_ADDRESS = ("address1", "address2", "city", "company", "firstName", "lastName", "phone", "zip")


def _in(name: str, kind: str = "text", **more: Json) -> Field:
    return Field(name=name, label=name, type=kind, writable=False, **more)


def _out(name: str, kind: str = "text", **more: Json) -> Field:
    return Field(name=name, label=name, type=kind, readable=False, **more)


def _both(name: str, kind: str = "text", **more: Json) -> Field:
    return Field(name=name, label=name, type=kind, **more)


# Type names of the 2026-10 schema; customers are read and written under different names
_FIELDS: Mapping[str, Sequence[Field]] = {
    "customers": (
        _in("id"),
        _in("legacyResourceId"),
        _both("firstName", max_length=255),
        _both("lastName", max_length=255),
        _in("displayName"),
        _in("defaultEmailAddress", "object"),
        _in("defaultEmailAddress.emailAddress", "email", unique=True),
        _in("defaultEmailAddress.marketingState", "enum", options=_STATES, restricted=True),
        _in("defaultEmailAddress.marketingUpdatedAt", "instant"),
        _in("defaultPhoneNumber", "object"),
        _in("defaultPhoneNumber.phoneNumber", "phone", unique=True),
        _in("defaultPhoneNumber.marketingState", "enum", options=_STATES, restricted=True),
        _out("email", "email", unique=True),
        _out("phone", "phone", unique=True),
        _out("emailMarketingConsent", "object"),
        _out("smsMarketingConsent", "object"),
        _in("defaultAddress", "object"),
        *(_in(f"defaultAddress.{part}") for part in (*_ADDRESS, "province", "provinceCode", "countryCodeV2")),
        _out("addresses", "object"),
        *(_out(f"addresses.0.{part}") for part in (*_ADDRESS, "provinceCode", "countryCode")),
        _both("note", max_length=5000),
        _both("tags", "set"),
        _in("state", "enum", options=("DECLINED", "DISABLED", "ENABLED", "INVITED"), restricted=True),
        _both("taxExempt", "boolean"),
        _both("locale"),
        _in("verifiedEmail", "boolean"),
        _in("numberOfOrders", "integer"),
        _in("amountSpent.amount", "decimal"),
        _in("amountSpent.currencyCode"),
        _in("createdAt", "instant"),
        _in("updatedAt", "instant"),
    ),
    "orders": (
        *(_in(name) for name in ("id", "legacyResourceId", "name", "confirmationNumber", "note", "poNumber")),
        _in("number", "integer"),
        _in("email", "email"),
        _in("phone", "phone"),
        _in("customer.id", "ref", ref_to="customers"),
        *(_in(name, "instant") for name in ("createdAt", "processedAt", "updatedAt", "closedAt", "cancelledAt")),
        _in("cancelReason", "enum"),
        _in("displayFinancialStatus", "enum", options=_PAID, restricted=True),
        _in("displayFulfillmentStatus", "enum"),
        _in("currencyCode"),
        *(
            _in(f"{bag}.shopMoney.{part}", "decimal" if part == "amount" else "text")
            for bag in ("totalPriceSet", "currentTotalPriceSet", "totalRefundedSet", "subtotalPriceSet", "totalTaxSet")
            for part in ("amount", "currencyCode")
        ),
        _in("tags", "set"),
        _in("discountCodes", "set"),
        _in("sourceName"),
        _in("sourceIdentifier"),
        _in("taxesIncluded", "boolean"),
        _in("test", "boolean"),
        _in("customerLocale"),
    ),
    "checkouts": (
        *(_in(name) for name in ("id", "name", "note")),
        _in("abandonedCheckoutUrl", "url"),
        _in("customer.id", "ref", ref_to="customers"),
        _in("customer.email.emailAddress", "email"),
        *(_in(name, "instant") for name in ("createdAt", "updatedAt", "completedAt")),
        *(
            _in(f"{bag}.shopMoney.{part}", "decimal" if part == "amount" else "text")
            for bag in ("totalPriceSet", "subtotalPriceSet", "totalTaxSet", "totalDiscountSet")
            for part in ("amount", "currencyCode")
        ),
        _in("titles", "set"),
        _in("lineItems", "object"),
        _in("discountCodes", "set"),
        _in("taxesIncluded", "boolean"),
    ),
    "products": (
        *(_in(name) for name in ("id", "legacyResourceId", "title", "handle", "description", "vendor", "productType")),
        _in("tags", "set"),
        _in("status", "enum", options=("ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED"), restricted=True),
        _in("isGiftCard", "boolean"),
        _in("totalInventory", "integer"),
        _in("onlineStoreUrl", "url"),
        *(
            _in(f"priceRangeV2.{end}.{part}", "decimal" if part == "amount" else "text")
            for end in ("minVariantPrice", "maxVariantPrice")
            for part in ("amount", "currencyCode")
        ),
        *(_in(name, "instant") for name in ("publishedAt", "createdAt", "updatedAt")),
    ),
    "discounts": (
        *(_in(name) for name in ("id", "type", "code", "title")),
        _in("status", "enum", options=("ACTIVE", "EXPIRED", "SCHEDULED"), restricted=True),
        _in("active", "boolean"),
        _in("off.kind", "enum", options=("percent", "amount", "other"), restricted=True),
        _in("off.value", "decimal"),
        _in("off.currency"),
        *(_in(name, "integer") for name in ("uses", "usageLimit", "most_uses")),
        _in("appliesOncePerCustomer", "boolean"),
        *(_in(name, "instant") for name in ("startsAt", "endsAt", "createdAt", "updatedAt")),
    ),
}
OWNERS = {"customers": "CUSTOMER", "orders": "ORDER", "products": "PRODUCT"}  # of metafields
# metafield types (vendor docs, "Metafield types") that have a type of ours; the others are text
_METAFIELDS = {
    "number_integer": "integer",
    "number_decimal": "decimal",
    "boolean": "boolean",
    "date": "date",
    "date_time": "instant",
    "url": "url",
    "json": "object",
}


def discover(api: ShopifyApi, stream: str) -> list[Field]:
    """What the connector reads and writes, and the metafields that the shop has defined."""
    owner = OWNERS.get(stream)
    if owner is None:
        return list(_FIELDS[stream])
    text = f"""query Defined($after: String) {{
      metafieldDefinitions(ownerType: {owner}, first: 200, after: $after) {{
        nodes {{ namespace key name type {{ name }} capabilities {{ uniqueValues {{ enabled }} }} }}
        pageInfo {{ hasNextPage endCursor }}
      }}
    }}"""
    found, after = list(_FIELDS[stream]), None
    while True:
        page = ask(api, text, {"after": after}, operation="discover", cost=802).data["metafieldDefinitions"]
        found += [_metafield(node, stream) for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def _metafield(node: Mapping[str, Json], stream: str) -> Field:
    return Field(
        name=f"metafields.{node['namespace']}.{node['key']}",
        label=node["name"],
        type=_METAFIELDS.get(node["type"]["name"], "text"),
        writable=stream == "customers",
        unique=bool(node["capabilities"]["uniqueValues"]["enabled"]),
        custom=True,
    )
