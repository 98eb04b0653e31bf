"""Orders: made, paid, refunded and cancelled by people in the shop; the API only reads them here."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hub.twins.records import Fields
from hub.twins.shopify_shapes import amount_of, received, refunded, total
from hub.twins.shopify_values import clean_address, clean_email, clean_phone, clean_tags, decimal_of, number_of

Json = Any
NextNumber = Callable[[], str]

EDITABLE = ("email", "phone", "note", "tags", "poNumber", "customAttributes", "shippingAddress", "fulfillment")
_KNOWN = {
    "customer", "email", "phone", "number", "name", "currencyCode", "currency", "lineItems", "totalPrice", "total",
    "totalPriceSet", "totalTax", "totalShipping", "totalDiscounts", "discountCodes", "note", "tags", "customAttributes",
    "poNumber", "sourceName", "sourceIdentifier", "billingAddress", "shippingAddress", "displayFulfillmentStatus",
    "displayFinancialStatus", "processedAt", "paid", "test", "customerLocale", "totalRefunded",
}  # fmt: skip


def customer_number(value: Json) -> str | None:
    """The customer's number from a number, a global id or {"id": ...}."""
    if isinstance(value, dict):
        value = value.get("id")
    return None if value in (None, "") else number_of(str(value), "Customer") or str(value)


def make_order(given: Fields, *, number: int, currency: str, country: str, at: str, next_number: NextNumber) -> Fields:
    """A new order as it is kept.

    Args:
        given: `customer` (number, global id or {"id"}), `lineItems` [{title, quantity, price, sku, ..}] or only a
            `totalPrice` (number, money or money bag), `paid` or `displayFinancialStatus`, and further order fields.
        at: text of now, for what has no `processedAt` of its own.

    Raises:
        ValueError: a field nobody knows, or an amount that is none.
    """
    if unknown := set(given) - _KNOWN:
        raise ValueError(f"an order has no field {', '.join(sorted(unknown))}")
    asked = given.get("totalPriceSet") or given.get("totalPrice") or given.get("total") or 0
    shown = asked.get("shopMoney", asked) if isinstance(asked, dict) else {}
    order: Fields = {
        "customer": customer_number(given.get("customer")),
        "number": int(given.get("number") or str(given.get("name") or number).lstrip("#")),
        "currency": given.get("currencyCode") or given.get("currency") or shown.get("currencyCode") or currency,
        "lines": [_line(line, next_number) for line in given.get("lineItems") or [_only_line(given, asked)]],
        "tax": amount_of(given.get("totalTax") or 0),
        "shipping": amount_of(given.get("totalShipping") or 0),
        "discount": amount_of(given.get("totalDiscounts") or 0),
        "discountCodes": list(given.get("discountCodes") or []),
        "processedAt": given.get("processedAt") or at,
        "closedAt": None,
        "cancelledAt": None,
        "cancelReason": None,
        "transactions": [],
        "refunds": [],
        "fulfillment": given.get("displayFulfillmentStatus") or "UNFULFILLED",
        "sourceName": given.get("sourceName") or "web",
        "sourceIdentifier": given.get("sourceIdentifier"),
        "test": bool(given.get("test", False)),
        "customerLocale": given.get("customerLocale"),
        "metafields": {},
        **dict.fromkeys(("email", "phone", "note", "poNumber", "billingAddress", "shippingAddress")),
        "tags": [],
        "customAttributes": [],
    }
    order.update(clean_edit(given, country))
    status = given.get("displayFinancialStatus") or ("PAID" if given.get("paid") else "PENDING")
    if status in ("PAID", "PARTIALLY_REFUNDED", "REFUNDED"):
        order.update(paid(order, at=order["processedAt"], next_number=next_number))
    if given.get("totalRefunded") or status == "REFUNDED":
        amount = amount_of(given["totalRefunded"]) if given.get("totalRefunded") else None
        order.update(refund(order, amount=amount, note=None, at=order["processedAt"], next_number=next_number))
    return order


def _only_line(given: Fields, asked: Json) -> Fields:
    """One line that makes the order come to the total asked for."""
    extras = decimal_of(amount_of(given.get("totalTax") or 0)) + decimal_of(amount_of(given.get("totalShipping") or 0))
    price = decimal_of(amount_of(asked)) - extras + decimal_of(amount_of(given.get("totalDiscounts") or 0))
    return {"title": "Item", "quantity": 1, "price": price}


def _line(given: Fields, next_number: NextNumber) -> Fields:
    price = given.get("price", given.get("originalUnitPriceSet", 0))
    return {
        "id": next_number(),
        "title": given.get("title") or "Item",
        "variantTitle": given.get("variantTitle"),
        "sku": given.get("sku"),
        "vendor": given.get("vendor"),
        "quantity": int(given.get("quantity", 1)),
        "price": amount_of(price),
    }


def clean_edit(given: Fields, country: str) -> Fields:
    """What people may still change of an order, as it is kept."""
    out: Fields = {name: given[name] for name in ("note", "poNumber", "customAttributes") if name in given}
    if "email" in given:
        out["email"] = clean_email(given["email"] or "")
    if "phone" in given:
        out["phone"] = clean_phone(given["phone"], country) if given["phone"] else None
    if "tags" in given:
        out["tags"] = clean_tags(given["tags"])
    if "displayFulfillmentStatus" in given:
        out["fulfillment"] = given["displayFulfillmentStatus"] or "UNFULFILLED"
    for name in ("billingAddress", "shippingAddress"):
        if name in given:
            out[name] = clean_address(given[name], country, (name,))[0] if given[name] else None
    return out


def paid(order: Fields, *, at: str, next_number: NextNumber) -> Fields:
    """The changes that pay what is still open. Raises ValueError if nothing is."""
    owed = total(order) - received(order)
    if owed <= 0 and order["transactions"]:
        raise ValueError("the order is paid already")
    payment = _transaction("SALE", owed, at, None, next_number)
    return {"transactions": [*order["transactions"], payment]}


def refund(order: Fields, *, amount: str | None, note: str | None, at: str, next_number: NextNumber) -> Fields:
    """The changes that give money back; all that is left if no amount is named. Raises ValueError if too much."""
    left = received(order) - refunded(order)
    back = left if amount is None else decimal_of(amount)
    if not 0 < back <= left:
        raise ValueError(f"cannot refund {back} of {left}")
    parent = next((t["id"] for t in order["transactions"] if t["kind"] == "SALE"), None)
    payment = _transaction("REFUND", back, at, parent, next_number)
    entry = {"id": next_number(), "at": at, "note": note, "amount": str(back), "payment": payment["id"]}
    return {"transactions": [*order["transactions"], payment], "refunds": [*order["refunds"], entry]}


def _transaction(kind: str, amount: Decimal, at: str, parent: str | None, next_number: NextNumber) -> Fields:
    return {
        "id": next_number(),
        "kind": kind,
        "status": "SUCCESS",
        "gateway": "manual",
        "amount": str(amount),
        "at": at,
        "parent": parent,
    }
