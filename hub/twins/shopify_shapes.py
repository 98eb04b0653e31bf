"""How a kept customer or order looks from outside: as GraphQL shows it, and as webhook bodies carry it.

GraphQL shows camelCase, UTC and money as objects; webhook bodies are of the older REST shape: snake_case, numbers as
ids, the shop's own time zone, money as text with two decimals, tags in one string.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hub.twins.records import Fields, Record
from hub.twins.shopify_values import (
    amount_text,
    decimal_of,
    gid,
    local_text,
    money,
    money_bag,
    show_address,
    utc_text,
)

Json = Any
ZERO = Decimal(0)
OWNERS = {"customers": "CUSTOMER", "orders": "ORDER", "products": "PRODUCT"}  # of metafields


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """What of the shop itself shows in records."""

    currency: str
    timezone: str
    country: str


# --- sums over orders --------------------------------------------------------------------------------------------


def subtotal(order: Fields) -> Decimal:
    return sum((decimal_of(line["price"]) * line["quantity"] for line in order["lines"]), ZERO) - decimal_of(
        order["discount"]
    )


def total(order: Fields) -> Decimal:
    return subtotal(order) + decimal_of(order["tax"]) + decimal_of(order["shipping"])


def received(order: Fields) -> Decimal:
    """What was paid in, refunds not taken off."""
    return sum((decimal_of(t["amount"]) for t in order["transactions"] if t["kind"] in ("SALE", "CAPTURE")), ZERO)


def refunded(order: Fields) -> Decimal:
    return sum((decimal_of(refund["amount"]) for refund in order["refunds"]), ZERO)


def financial_status(order: Fields) -> str:
    paid, back = received(order), refunded(order)
    if back and back >= paid:
        return "REFUNDED"
    if back:
        return "PARTIALLY_REFUNDED"
    if order["cancelledAt"] is not None and not paid:
        return "VOIDED"
    if paid >= total(order):
        return "PAID"
    return "PARTIALLY_PAID" if paid else "PENDING"


def spent(orders: Iterable[Record]) -> Decimal:
    """What a customer has paid in all, refunds taken off."""
    return sum((received(order.fields) - refunded(order.fields) for order in orders), ZERO)


# --- GraphQL -----------------------------------------------------------------------------------------------------


def show_customer(record: Record, orders: list[Record], shop: Shop) -> Fields:
    """All fields that need no further question; `record` rides along for those that do."""
    kept = record.fields
    addresses = [shown for address in kept["addresses"] if (shown := show_address(address))]
    names = " ".join(name for name in (kept["firstName"], kept["lastName"]) if name)
    return {
        "__typename": "Customer",
        "record": record,
        "id": gid("Customer", record.id),
        "legacyResourceId": record.id,
        **{name: kept[name] for name in _CUSTOMER_PLAIN},
        "displayName": names or kept["email"] or kept["phone"],
        "defaultEmailAddress": _show_email(kept),
        "defaultPhoneNumber": _show_phone(kept),
        "emailMarketingConsent": _show_consent(kept),
        "defaultAddress": addresses[0] if addresses else None,
        "addressNodes": addresses,
        "amountSpent": money(spent(orders), shop.currency),
        "numberOfOrders": str(len(orders)),
        "canDelete": not orders,
        "dataSaleOptOut": False,
        "createdAt": utc_text(record.created),
        "updatedAt": utc_text(record.modified),
    }


_CUSTOMER_PLAIN = (
    "firstName", "lastName", "email", "phone", "note", "tags", "state", "taxExempt", "taxExemptions", "locale",
    "verifiedEmail", "multipassIdentifier",
)  # fmt: skip


def _show_email(kept: Fields) -> Fields | None:
    if kept["email"] is None:
        return None
    marketing = kept["emailMarketing"]
    return {
        "emailAddress": kept["email"],
        "marketingState": marketing["state"],
        "marketingOptInLevel": marketing["level"],
        "marketingUpdatedAt": marketing["at"],
        "validFormat": True,
    }


def _show_phone(kept: Fields) -> Fields | None:
    if kept["phone"] is None:
        return None
    marketing = kept["smsMarketing"]
    return {
        "phoneNumber": kept["phone"],
        "marketingState": marketing["state"],
        "marketingOptInLevel": marketing["level"],
        "marketingUpdatedAt": marketing["at"],
    }


def _show_consent(kept: Fields) -> Fields | None:
    marketing = kept["emailMarketing"]
    if kept["email"] is None:
        return None
    return {
        "marketingState": marketing["state"],
        "marketingOptInLevel": marketing["level"],
        "consentUpdatedAt": marketing["at"],
    }


def show_order(record: Record) -> Fields:
    kept, currency = record.fields, record.fields["currency"]
    paid, back, whole = received(kept), refunded(kept), total(kept)
    return {
        "__typename": "Order",
        "record": record,
        "id": gid("Order", record.id),
        "legacyResourceId": record.id,
        "name": f"#{kept['number']}",
        "confirmationNumber": hashlib.sha256(record.id.encode()).hexdigest()[:9].upper(),
        **{name: kept[name] for name in _ORDER_PLAIN},
        "currencyCode": currency,
        "presentmentCurrencyCode": currency,
        "displayFinancialStatus": financial_status(kept),
        "displayFulfillmentStatus": kept["fulfillment"],
        "subtotalPriceSet": money_bag(subtotal(kept), currency),
        "totalPriceSet": money_bag(whole, currency),
        "currentTotalPriceSet": money_bag(whole - back, currency),
        "totalTaxSet": money_bag(kept["tax"], currency),
        "totalShippingPriceSet": money_bag(kept["shipping"], currency),
        "totalDiscountsSet": money_bag(kept["discount"], currency),
        "totalRefundedSet": money_bag(back, currency),
        "totalOutstandingSet": money_bag(max(ZERO, whole - paid), currency),
        "netPaymentSet": money_bag(paid - back, currency),
        "billingAddress": show_address(kept["billingAddress"]),
        "shippingAddress": show_address(kept["shippingAddress"]),
        "taxesIncluded": True,
        "createdAt": utc_text(record.created),
        "updatedAt": utc_text(record.modified),
    }


_ORDER_PLAIN = (
    "number", "email", "phone", "processedAt", "closedAt", "cancelledAt", "cancelReason", "discountCodes", "note",
    "tags", "customAttributes", "poNumber", "sourceName", "sourceIdentifier", "test", "customerLocale",
)  # fmt: skip


def show_line(line: Fields, currency: str) -> Fields:
    whole = decimal_of(line["price"]) * line["quantity"]
    return {
        "id": gid("LineItem", line["id"]),
        **{name: line.get(name) for name in ("title", "variantTitle", "sku", "vendor", "quantity")},
        "name": line["title"],
        "currentQuantity": line["quantity"],
        "taxable": True,
        "originalUnitPriceSet": money_bag(line["price"], currency),
        "originalTotalSet": money_bag(whole, currency),
        "discountedTotalSet": money_bag(whole, currency),
        "customAttributes": [],
    }


def show_transaction(order: Fields, transaction: Fields) -> Fields:
    parent = next((t for t in order["transactions"] if t["id"] == transaction["parent"]), None)
    return {
        "id": gid("OrderTransaction", transaction["id"]),
        **{name: transaction[name] for name in ("kind", "status", "gateway")},
        "amountSet": money_bag(transaction["amount"], order["currency"]),
        "processedAt": transaction["at"],
        "createdAt": transaction["at"],
        "parentTransaction": show_transaction(order, parent) if parent else None,
    }


def show_refund(order: Fields, refund: Fields) -> Fields:
    return {
        "id": gid("Refund", refund["id"]),
        "createdAt": refund["at"],
        "updatedAt": refund["at"],
        "note": refund["note"],
        "totalRefundedSet": money_bag(refund["amount"], order["currency"]),
        "transactionNodes": [show_transaction(order, t) for t in order["transactions"] if t["id"] == refund["payment"]],
    }


def show_metafield(owner: Record, name: str, kept: Fields) -> Fields:
    namespace, _, key = name.rpartition(".")
    return {
        "id": gid("Metafield", kept["id"]),
        "namespace": namespace,
        "key": key,
        "type": kept["type"],
        "value": kept["value"],
        "jsonValue": kept["value"],
        "compareDigest": digest(kept["value"]),
        "ownerType": OWNERS[owner.stream],
        "createdAt": kept["createdAt"],
        "updatedAt": kept["updatedAt"],
    }


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


# --- webhook bodies ----------------------------------------------------------------------------------------------


def rest_customer(record: Record, shop: Shop) -> Fields:
    kept = record.fields
    addresses = [_rest_address(address, record.id, default=i == 0) for i, address in enumerate(kept["addresses"])]
    return {
        "id": int(record.id),
        "admin_graphql_api_id": gid("Customer", record.id),
        "email": kept["email"],
        "first_name": kept["firstName"],
        "last_name": kept["lastName"],
        "state": kept["state"].lower(),
        "note": kept["note"],
        "verified_email": kept["verifiedEmail"],
        "multipass_identifier": kept["multipassIdentifier"],
        "tax_exempt": kept["taxExempt"],
        "phone": kept["phone"],
        "tags": ", ".join(kept["tags"]),
        "currency": shop.currency,
        "created_at": local_text(record.created, shop.timezone),
        "updated_at": local_text(record.modified, shop.timezone),
        "default_address": addresses[0] if addresses else None,
        "addresses": addresses,
    }


def _rest_address(kept: Fields, customer: str, *, default: bool) -> Fields:
    shown = show_address(kept) or {}
    return {
        "id": int(kept["id"]),
        "customer_id": int(customer),
        **_rest_place(shown),
        "default": default,
    }


def _rest_place(shown: Fields) -> Fields:
    return {
        "first_name": shown["firstName"],
        "last_name": shown["lastName"],
        "company": shown["company"],
        "address1": shown["address1"],
        "address2": shown["address2"],
        "city": shown["city"],
        "province": shown["province"],
        "country": shown["country"],
        "zip": shown["zip"],
        "phone": shown["phone"],
        "name": shown["name"],
        "province_code": shown["provinceCode"],
        "country_code": shown["countryCodeV2"],
    }


def rest_deleted_customer(record: Record) -> Fields:
    """Little more than the number."""
    return {
        "id": int(record.id),
        "phone": None,
        "addresses": [],
        "tax_exemptions": [],
        "admin_graphql_api_id": gid("Customer", record.id),
    }


def rest_merge(kept_id: str, lost_id: str) -> Fields:
    return {
        "admin_graphql_api_customer_kept_id": gid("Customer", kept_id),
        "admin_graphql_api_customer_deleted_id": gid("Customer", lost_id),
        "admin_graphql_api_job_id": None,
        "status": "completed",
        "errors": [],
    }


def rest_email_consent(record: Record) -> Fields:
    marketing = record.fields["emailMarketing"]
    return {
        "customer_id": int(record.id),
        "email_address": record.fields["email"],
        "email_marketing_consent": _rest_consent(marketing),
    }


def rest_sms_consent(record: Record) -> Fields:
    marketing = record.fields["smsMarketing"]
    return {
        "id": int(record.id),
        "phone": record.fields["phone"],
        "sms_marketing_consent": {**_rest_consent(marketing), "consent_collected_from": "OTHER"},
    }


def _rest_consent(marketing: Fields) -> Fields:
    return {
        "state": marketing["state"].lower(),
        "opt_in_level": marketing["level"].lower() if marketing["level"] else None,
        "consent_updated_at": marketing["at"],
    }


def rest_order(record: Record, customer: Record | None, shop: Shop) -> Fields:
    kept, whole, back = record.fields, total(record.fields), refunded(record.fields)
    shipping, billing = show_address(kept["shippingAddress"]), show_address(kept["billingAddress"])
    fulfillment = kept["fulfillment"].lower()
    return {
        "id": int(record.id),
        "admin_graphql_api_id": gid("Order", record.id),
        "name": f"#{kept['number']}",
        "number": kept["number"] - 1000,
        "order_number": kept["number"],
        "email": kept["email"],
        "contact_email": kept["email"],
        "phone": kept["phone"],
        "created_at": local_text(record.created, shop.timezone),
        "processed_at": kept["processedAt"],
        "updated_at": local_text(record.modified, shop.timezone),
        "closed_at": kept["closedAt"],
        "cancelled_at": kept["cancelledAt"],
        "cancel_reason": kept["cancelReason"].lower() if kept["cancelReason"] else None,
        "currency": kept["currency"],
        "presentment_currency": kept["currency"],
        "financial_status": financial_status(kept).lower(),
        "fulfillment_status": None if fulfillment == "unfulfilled" else fulfillment,
        "subtotal_price": cents(subtotal(kept)),
        "total_price": cents(whole),
        "current_total_price": cents(whole - back),
        "total_outstanding": cents(max(ZERO, whole - received(kept))),
        "total_tax": cents(kept["tax"]),
        "total_discounts": cents(kept["discount"]),
        "discount_codes": [{"code": code, "amount": "0.00", "type": "percentage"} for code in kept["discountCodes"]],
        "note": kept["note"],
        "tags": ", ".join(kept["tags"]),
        "test": kept["test"],
        "source_name": kept["sourceName"],
        "po_number": kept["poNumber"],
        "customer": rest_customer(customer, shop) if customer else None,
        "billing_address": _rest_place(billing) if billing else None,
        "shipping_address": _rest_place(shipping) if shipping else None,
        "line_items": [_rest_line(line) for line in kept["lines"]],
        "refunds": [rest_refund(record, refund) for refund in kept["refunds"]],
    }


def _rest_line(line: Fields) -> Fields:
    return {
        "id": int(line["id"]),
        "admin_graphql_api_id": gid("LineItem", line["id"]),
        "title": line["title"],
        "name": line["title"],
        "sku": line.get("sku"),
        "quantity": line["quantity"],
        "price": cents(line["price"]),
    }


def rest_refund(order: Record, refund: Fields) -> Fields:
    payments = [t for t in order.fields["transactions"] if t["id"] == refund["payment"]]
    return {
        "id": int(refund["id"]),
        "admin_graphql_api_id": gid("Refund", refund["id"]),
        "order_id": int(order.id),
        "created_at": refund["at"],
        "note": refund["note"],
        "refund_line_items": [],
        "transactions": [
            {
                "id": int(payment["id"]),
                "admin_graphql_api_id": gid("OrderTransaction", payment["id"]),
                "order_id": int(order.id),
                "kind": "refund",
                "status": "success",
                "amount": cents(payment["amount"]),
                "currency": order.fields["currency"],
                "gateway": payment["gateway"],
                "parent_id": int(payment["parent"]) if payment["parent"] else None,
                "created_at": payment["at"],
            }
            for payment in payments
        ],
    }


def cents(value: Json) -> str:
    return f"{decimal_of(value):.2f}"


# --- snapshots ---------------------------------------------------------------------------------------------------


def plain_customer(record: Record, orders: list[Record], shop: Shop) -> Fields:
    """A customer as GraphQL would show it whole; metafields as {"namespace.key": value}."""
    shown = show_customer(record, orders, shop)
    for inner in ("__typename", "record"):
        del shown[inner]
    shown["addresses"] = shown.pop("addressNodes")
    shown["metafields"] = {name: kept["value"] for name, kept in record.fields["metafields"].items()}
    return shown


def plain_order(record: Record) -> Fields:
    """An order as GraphQL would show it whole; the customer as {"id"}, lists without connections."""
    shown, kept = show_order(record), record.fields
    for inner in ("__typename", "record"):
        del shown[inner]
    shown["customer"] = {"id": gid("Customer", kept["customer"])} if kept["customer"] else None
    shown["lineItems"] = [show_line(line, kept["currency"]) for line in kept["lines"]]
    shown["transactions"] = [show_transaction(kept, t) for t in kept["transactions"]]
    shown["refunds"] = [show_refund(kept, refund) for refund in kept["refunds"]]
    shown["metafields"] = {name: value["value"] for name, value in kept["metafields"].items()}
    return shown


def amount_of(shown: Json) -> str:
    """An amount from a number, a money object or a money bag. Raises ValueError."""
    if isinstance(shown, dict):
        return amount_of(shown.get("shopMoney", shown).get("amount", shown.get("amount")))
    return amount_text(shown)
