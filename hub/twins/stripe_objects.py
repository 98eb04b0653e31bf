"""Stripe's objects: what a new one looks like, how one is shown, which of its fields name other objects.

Kept fields are the object's own without id, object, created and livemode. Lists inside objects (`items`, `lines`,
`payments`) are kept as plain lists and shown as the vendor's list envelope.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.twins import stripe_params as params
from hub.twins.records import Fields, Record
from hub.twins.stripe_params import Check

Json = Any

NESTED_ROWS = 10  # rows of a list inside an object (vendor docs, "Pagination"; not stated for every list)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One kind of object: its name, its id, what may be sent, what a list may be narrowed by."""

    kind: str
    prefix: str
    create: Mapping[str, Check] | None = None  # None: not by a plain POST
    update: Mapping[str, Check] | None = None
    required: tuple[str, ...] = ()
    deletable: bool = False
    filters: tuple[str, ...] = ()
    searchable: tuple[str, ...] = ()
    defaults: Fields = field(default_factory=dict)


RESOURCES: dict[str, Resource] = {
    "customers": Resource(
        kind="customer",
        prefix="cus_",
        create=params.CUSTOMER,
        update=params.CUSTOMER,
        deletable=True,
        filters=("email",),
        searchable=("created", "email", "metadata", "name", "phone"),
        defaults={
            "address": None,
            "balance": 0,
            "business_name": None,
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "description": None,
            "discount": None,
            "email": None,
            "individual_name": None,
            "invoice_settings": {
                "custom_fields": None,
                "default_payment_method": None,
                "footer": None,
                "rendering_options": None,
            },
            "metadata": {},
            "name": None,
            "next_invoice_sequence": 1,
            "phone": None,
            "preferred_locales": [],
            "shipping": None,
            "tax_exempt": "none",
            "test_clock": None,
        },
    ),
    "products": Resource(
        kind="product",
        prefix="prod_",
        create={**params.PRODUCT, "id": params.text()},
        update=params.PRODUCT,
        required=("name",),
        deletable=True,
        filters=("active", "ids", "url"),
        searchable=("active", "description", "metadata", "name", "url"),
        defaults={
            "active": True,
            "default_price": None,
            "description": None,
            "images": [],
            "marketing_features": [],
            "metadata": {},
            "name": None,
            "package_dimensions": None,
            "shippable": None,
            "statement_descriptor": None,
            "tax_code": None,
            "type": "service",
            "unit_label": None,
            "updated": 0,
            "url": None,
        },
    ),
    "prices": Resource(
        kind="price",
        prefix="price_",
        create=params.PRICE,
        update=params.PRICE_UPDATE,
        required=("currency", "product"),
        filters=("active", "product", "type", "currency", "lookup_keys"),
        defaults={
            "active": True,
            "billing_scheme": "per_unit",
            "currency": "eur",
            "custom_unit_amount": None,
            "lookup_key": None,
            "metadata": {},
            "nickname": None,
            "product": None,
            "recurring": None,
            "tax_behavior": "unspecified",
            "tiers_mode": None,
            "transform_quantity": None,
            "type": "one_time",
            "unit_amount": 0,
            "unit_amount_decimal": "0",
        },
    ),
    "coupons": Resource(
        kind="coupon",
        prefix="",
        create=params.COUPON,
        update=params.COUPON_UPDATE,
        deletable=True,
        defaults={
            "amount_off": None,
            "currency": None,
            "duration": "once",
            "duration_in_months": None,
            "max_redemptions": None,
            "metadata": {},
            "name": None,
            "percent_off": None,
            "redeem_by": None,
            "times_redeemed": 0,
            "valid": True,
        },
    ),
    "promotion_codes": Resource(
        kind="promotion_code",
        prefix="promo_",
        create=params.PROMOTION_CODE,
        update=params.PROMOTION_CODE_UPDATE,
        required=("promotion",),
        filters=("code", "customer", "active", "coupon"),
        defaults={
            "active": True,
            "code": None,
            "customer": None,
            "expires_at": None,
            "max_redemptions": None,
            "metadata": {},
            "promotion": None,
            "restrictions": {
                "first_time_transaction": False,
                "minimum_amount": None,
                "minimum_amount_currency": None,
            },
            "times_redeemed": 0,
        },
    ),
    "subscriptions": Resource(
        kind="subscription",
        prefix="sub_",
        update=params.SUBSCRIPTION_UPDATE,
        filters=("customer", "status", "collection_method", "price"),
        searchable=("created", "metadata", "status"),
        defaults={
            "application": None,
            "billing_cycle_anchor": 0,
            "cancel_at": None,
            "cancel_at_period_end": False,
            "canceled_at": None,
            "collection_method": "charge_automatically",
            "currency": "eur",
            "customer": None,
            "days_until_due": None,
            "default_payment_method": None,
            "description": None,
            "discounts": [],
            "ended_at": None,
            "items": [],
            "latest_invoice": None,
            "metadata": {},
            "pause_collection": None,
            "schedule": None,
            "start_date": 0,
            "status": "active",
            "trial_end": None,
            "trial_start": None,
        },
    ),
    "invoices": Resource(
        kind="invoice",
        prefix="in_",
        update=params.INVOICE_UPDATE,
        filters=("customer", "status", "subscription", "collection_method"),
        searchable=("created", "currency", "customer", "metadata", "number", "status", "total"),
        defaults={
            "amount_due": 0,
            "amount_overpaid": 0,
            "amount_paid": 0,
            "amount_remaining": 0,
            "amount_shipping": 0,
            "attempt_count": 0,
            "attempted": False,
            "auto_advance": False,
            "billing_reason": "manual",
            "collection_method": "charge_automatically",
            "currency": "eur",
            "custom_fields": None,
            "customer": None,
            "customer_address": None,
            "customer_email": None,
            "customer_name": None,
            "customer_phone": None,
            "customer_shipping": None,
            "description": None,
            "due_date": None,
            "effective_at": None,
            "ending_balance": 0,
            "footer": None,
            "hosted_invoice_url": None,
            "invoice_pdf": None,
            "lines": [],
            "metadata": {},
            "number": None,
            "parent": None,
            "payments": [],
            "period_end": 0,
            "period_start": 0,
            "receipt_number": None,
            "starting_balance": 0,
            "status": "draft",
            "status_transitions": {
                "finalized_at": None,
                "marked_uncollectible_at": None,
                "paid_at": None,
                "voided_at": None,
            },
            "subtotal": 0,
            "total": 0,
            "total_discount_amounts": [],
            "total_excluding_tax": 0,
            "total_taxes": [],
        },
    ),
    "payment_intents": Resource(
        kind="payment_intent",
        prefix="pi_",
        filters=("customer",),
        searchable=("amount", "created", "currency", "customer", "metadata", "status"),
        defaults={
            "amount": 0,
            "amount_received": 0,
            "canceled_at": None,
            "currency": "eur",
            "customer": None,
            "description": None,
            "latest_charge": None,
            "metadata": {},
            "payment_method": None,
            "receipt_email": None,
            "status": "succeeded",
        },
    ),
    "charges": Resource(
        kind="charge",
        prefix="ch_",
        update=params.CHARGE_UPDATE,
        filters=("customer", "payment_intent"),
        searchable=("amount", "created", "currency", "customer", "metadata", "status"),
        defaults={
            "amount": 0,
            "amount_captured": 0,
            "amount_refunded": 0,
            "balance_transaction": None,
            "billing_details": {"address": None, "email": None, "name": None, "phone": None},
            "captured": True,
            "currency": "eur",
            "customer": None,
            "description": None,
            "disputed": False,
            "failure_code": None,
            "failure_message": None,
            "metadata": {},
            "paid": True,
            "payment_intent": None,
            "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242"}},
            "receipt_url": None,
            "refunded": False,
            "status": "succeeded",
        },
    ),
    "refunds": Resource(
        kind="refund",
        prefix="re_",
        update=params.REFUND_UPDATE,
        filters=("charge", "payment_intent"),
        defaults={
            "amount": 0,
            "balance_transaction": None,
            "charge": None,
            "currency": "eur",
            "failure_reason": None,
            "metadata": {},
            "payment_intent": None,
            "reason": None,
            "status": "succeeded",
        },
    ),
}

# Fields that hold the id of another object, and so can be expanded.
REFERENCES = {
    "charge": "charges",
    "coupon": "coupons",
    "customer": "customers",
    "default_price": "prices",
    "invoice": "invoices",
    "latest_charge": "charges",
    "latest_invoice": "invoices",
    "payment_intent": "payment_intents",
    "price": "prices",
    "product": "products",
    "subscription": "subscriptions",
}


def show(stream: str, record: Record) -> Fields:
    """The object as an answer carries it."""
    shown: Fields = {"id": record.id, "object": RESOURCES[stream].kind, **record.fields}
    shown["created"] = int(record.created)
    shown["livemode"] = False
    if stream == "customers":
        shown["invoice_prefix"] = record.fields.get("invoice_prefix") or _prefix_of(record.id)
    for name, url in _LISTS.get(stream, {}).items():
        shown[name] = envelope(record.fields[name], url.format(id=record.id), NESTED_ROWS)
    if stream == "invoices":
        shown["lines"]["total_count"] = len(record.fields["lines"])
    return shown


_LISTS: dict[str, dict[str, str]] = {
    "subscriptions": {"items": "/v1/subscription_items?subscription={id}"},
    "invoices": {"lines": "/v1/invoices/{id}/lines", "payments": "/v1/invoice_payments?invoice={id}"},
}


def stub(stream: str, record_id: str) -> Fields:
    """What is left of a deleted object."""
    return {"id": record_id, "object": RESOURCES[stream].kind, "deleted": True}


def envelope(rows: list[Fields], url: str, limit: int) -> Fields:
    return {"object": "list", "data": rows[:limit], "has_more": len(rows) > limit, "url": url}


def _prefix_of(record_id: str) -> str:
    return hashlib.sha256(record_id.encode()).hexdigest()[:7].upper()


def expand(shown: Json, path: list[str], fetch: Callable[[str, str], Fields | None]) -> bool:
    """Put objects in the place of their ids along one path. False if the path leads nowhere.

    `fetch(stream, id)` gives the object, or None if it is not there any more.
    """
    if isinstance(shown, list):
        found = [expand(entry, path, fetch) for entry in shown]
        return all(found)
    if not isinstance(shown, dict) or path[0] not in shown:
        return False
    name, rest = path[0], path[1:]
    value = shown[name]
    if isinstance(value, str) and name in REFERENCES:
        shown[name] = fetch(REFERENCES[name], value) or value
    elif value is not None and not rest and not isinstance(value, (dict, list)):
        return False
    return expand(shown[name], rest, fetch) if rest and shown[name] is not None else True
