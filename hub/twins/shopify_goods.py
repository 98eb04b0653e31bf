"""Products of a shop, and checkouts that were begun: made by people in the shop, only read through the API here.

A checkout is kept from the moment on that it has contact details, and stays, with `completedAt`, when it is paid.
There is no time at which it "becomes" abandoned, and no message of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hub.twins.records import Fields, Record
from hub.twins.shopify_listing import Listing, Visit, guard, page_of_list, page_size
from hub.twins.shopify_orders import customer_number
from hub.twins.shopify_shapes import Shop, amount_of, cents
from hub.twins.shopify_values import (
    clean_address,
    clean_tags,
    decimal_of,
    gid,
    local_text,
    money,
    money_bag,
    show_address,
    utc_text,
)

if TYPE_CHECKING:
    from hub.twins.shopify import TwinShopify

Json = Any
Info = Any  # GraphQLResolveInfo; its `context` is the Visit

LONGEST = 255  # of a product's title (vendor admin)
STATUSES = ("ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED")
BLANK_PRODUCT: Fields = {
    "title": "", "handle": "", "description": "", "vendor": "", "productType": "", "tags": [], "status": "ACTIVE",
    "isGiftCard": False, "prices": ["0.0"], "totalInventory": 0, "tracksInventory": True, "publishedAt": None,
    "metafields": {},
}  # fmt: skip
BLANK_CHECKOUT: Fields = {
    "customer": None, "currency": None, "lines": [], "tax": "0.0", "discount": "0.0", "discountCodes": [], "note": "",
    "billingAddress": None, "shippingAddress": None, "completedAt": None, "metafields": {},
}  # fmt: skip


# --- as they are kept --------------------------------------------------------------------------------------------


def completed(twin: TwinShopify, stream: str, fields: Fields) -> Fields:
    """A new row as it is kept. Raises ValueError for what the shop would not take."""
    blank = BLANK_PRODUCT if stream == "products" else {**BLANK_CHECKOUT, "currency": twin.shop.currency}
    return {**blank, **cleaned(twin, stream, fields)}


def cleaned(twin: TwinShopify, stream: str, fields: Fields) -> Fields:
    """What people say of a row, as it is kept. Raises ValueError for a field that there is not, or a value unfit."""
    blank = BLANK_PRODUCT if stream == "products" else BLANK_CHECKOUT
    if unknown := set(fields) - set(blank) - {"lineItems", "price"}:
        raise ValueError(f"{stream} have no field {', '.join(sorted(unknown))}")
    return _product(fields) if stream == "products" else _checkout(twin, fields)


def _product(fields: Fields) -> Fields:
    kept = {name: value for name, value in fields.items() if name != "price"}
    if "price" in fields:
        kept["prices"] = [amount_of(fields["price"])]
    if "title" in kept:
        kept["title"] = str(kept["title"] or "").strip()
        if not kept["title"] or len(kept["title"]) > LONGEST:
            raise ValueError("Title can't be blank or too long")
        kept.setdefault("handle", slug(kept["title"]))
    if "tags" in kept:
        kept["tags"] = clean_tags(kept["tags"])
    if kept.get("status", "ACTIVE") not in STATUSES:
        raise ValueError("Status is not included in the list")
    return kept


def slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "product"


def _checkout(twin: TwinShopify, fields: Fields) -> Fields:
    kept = {name: value for name, value in fields.items() if name != "lineItems"}
    if "customer" in kept:
        kept["customer"] = customer_number(kept["customer"])
    if "lineItems" in fields:
        kept["lines"] = [
            {
                "id": twin.next_number(),
                "title": line.get("title") or "Item",
                "sku": line.get("sku"),
                "quantity": int(line.get("quantity", 1)),
                "price": amount_of(line.get("price", 0)),
            }
            for line in fields["lineItems"]
        ]
    for name in ("billingAddress", "shippingAddress"):
        if kept.get(name):
            kept[name] = clean_address(kept[name], twin.shop.country, (name,))[0]
    return kept


def _sum(kept: Fields) -> Decimal:
    return sum((decimal_of(line["price"]) * line["quantity"] for line in kept["lines"]), Decimal(0))


def total_of(kept: Fields) -> Decimal:
    """What a checkout comes to."""
    return _sum(kept) - decimal_of(kept["discount"]) + decimal_of(kept["tax"])


# --- GraphQL -----------------------------------------------------------------------------------------------------


def show_product(twin: TwinShopify, record: Record) -> Fields:
    """The node as GraphQL shows it."""
    kept, prices = record.fields, sorted(map(decimal_of, record.fields["prices"]))
    plain = ("title", "handle", "vendor", "productType", "tags", "status", "isGiftCard", "totalInventory",
             "tracksInventory", "publishedAt")  # fmt: skip
    domain = twin.settings["shop_domain"]
    return {
        "__typename": "Product",
        "record": record,
        "id": gid("Product", record.id),
        "legacyResourceId": record.id,
        **{name: kept[name] for name in plain},
        "text": kept["description"],
        "priceRangeV2": {
            "minVariantPrice": money(prices[0], twin.shop.currency),
            "maxVariantPrice": money(prices[-1], twin.shop.currency),
        },
        "onlineStoreUrl": f"https://{domain}/products/{kept['handle']}" if kept["publishedAt"] else None,
        "createdAt": utc_text(record.created),
        "updatedAt": utc_text(record.modified),
    }


def show_checkout(twin: TwinShopify, record: Record) -> Fields:
    """The node as GraphQL shows it; its customer and lines are asked for further."""
    kept, currency = record.fields, record.fields["currency"]
    return {
        "__typename": "AbandonedCheckout",
        "record": record,
        "id": gid("AbandonedCheckout", record.id),
        "name": f"#{record.id}",
        "abandonedCheckoutUrl": _way_back(twin, record),
        **{name: kept[name] for name in ("discountCodes", "note", "completedAt")},
        "customAttributes": [],
        "billingAddress": show_address(kept["billingAddress"]),
        "shippingAddress": show_address(kept["shippingAddress"]),
        "subtotalPriceSet": money_bag(_sum(kept) - decimal_of(kept["discount"]), currency),
        "totalPriceSet": money_bag(total_of(kept), currency),
        "totalLineItemsPriceSet": money_bag(_sum(kept), currency),
        "totalDiscountSet": money_bag(kept["discount"], currency),
        "totalTaxSet": money_bag(kept["tax"], currency),
        "taxesIncluded": True,
        "createdAt": utc_text(record.created),
        "updatedAt": utc_text(record.modified),
    }


def _way_back(twin: TwinShopify, record: Record) -> str:
    token = hashlib.sha256(f"checkout/{record.id}".encode()).hexdigest()[:32]
    return f"https://{twin.settings['shop_domain']}/{twin.settings['shop_id']}/checkouts/ac/{token}/recover"


def show_checkout_line(line: Fields, currency: str) -> Fields:
    return {
        "id": gid("AbandonedCheckoutLineItem", line["id"]),
        **{name: line[name] for name in ("title", "sku", "quantity")},
        "variantTitle": None,
        "originalUnitPriceSet": money_bag(line["price"], currency),
        "discountedTotalPriceSet": money_bag(decimal_of(line["price"]) * line["quantity"], currency),
    }


SHOWN: dict[str, Callable[[TwinShopify, Record], Fields]] = {"products": show_product, "checkouts": show_checkout}


def plain(twin: TwinShopify, stream: str, record: Record) -> Fields:
    """A row as GraphQL would show it whole; the customer as {"id"}, lines without their connection."""
    shown, kept = SHOWN[stream](twin, record), record.fields
    for inner in ("__typename", "record"):
        del shown[inner]
    if stream == "products":
        return {**shown, "description": shown.pop("text")}
    shown["customer"] = {"id": gid("Customer", kept["customer"])} if kept["customer"] else None
    shown["lineItems"] = [show_checkout_line(line, kept["currency"]) for line in kept["lines"]]
    return shown


def _page(stream: str, field: str, scope: str) -> Callable[..., Fields]:
    def resolve(_: Json, info: Info, **arguments: Json) -> Fields:
        visit: Visit = info.context
        guard(scope, field, visit)
        size = page_size(arguments.get("first"), field)
        return Listing(visit, stream, arguments).page(size, lambda row: SHOWN[stream](visit.twin, row))

    return resolve


def _product_by_id(_: Json, info: Info, id: str) -> Fields | None:
    visit: Visit = info.context
    guard("read_products", "product", visit)
    seen = visit.seen(visit.find(id, "Product"))
    return None if seen is None else show_product(visit.twin, seen)


def _description(product: Fields, info: Info, truncateAt: int | None = None) -> str:  # noqa: N803 (the vendor's name)
    text: str = product["text"]
    return text if truncateAt is None else text[:truncateAt]


def _checkout_customer(checkout: Fields, info: Info) -> Fields | None:
    visit: Visit = info.context
    guard("read_customers", "customer", visit)
    number = checkout["record"].fields["customer"]
    return visit.customer(visit.twin.records.find("customers", number)) if number else None


def _checkout_lines(checkout: Fields, info: Info, **arguments: Json) -> Fields:
    kept = checkout["record"].fields
    rows = [show_checkout_line(line, kept["currency"]) for line in kept["lines"]]
    return page_of_list(rows, arguments.get("first"), arguments.get("after"), "lineItems")


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.products": _page("products", "products", "read_products"),
    "Query.product": _product_by_id,
    "Query.abandonedCheckouts": _page("checkouts", "abandonedCheckouts", "read_orders"),
    "Product.description": _description,
    "AbandonedCheckout.customer": _checkout_customer,
    "AbandonedCheckout.lineItems": _checkout_lines,
}


# --- webhook bodies ----------------------------------------------------------------------------------------------


def rest_product(record: Record, shop: Shop) -> Fields:
    kept = record.fields
    return {
        "id": int(record.id),
        "admin_graphql_api_id": gid("Product", record.id),
        "title": kept["title"],
        "handle": kept["handle"],
        "body_html": kept["description"],
        "vendor": kept["vendor"],
        "product_type": kept["productType"],
        "status": kept["status"].lower(),
        "tags": ", ".join(kept["tags"]),
        "published_at": kept["publishedAt"],
        "created_at": local_text(record.created, shop.timezone),
        "updated_at": local_text(record.modified, shop.timezone),
    }


def rest_checkout(twin: TwinShopify, record: Record) -> Fields:
    """A checkout's body names no global id."""
    kept, shop = record.fields, twin.shop
    return {
        "id": int(record.id),
        "name": f"#{record.id}",
        "abandoned_checkout_url": _way_back(twin, record),
        "currency": kept["currency"],
        "total_price": cents(total_of(kept)),
        "total_discounts": cents(kept["discount"]),
        "completed_at": kept["completedAt"],
        "line_items": [
            {name: line[name] for name in ("title", "sku", "quantity")} | {"price": cents(line["price"])}
            for line in kept["lines"]
        ],
        "created_at": local_text(record.created, shop.timezone),
        "updated_at": local_text(record.modified, shop.timezone),
    }
