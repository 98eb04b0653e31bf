"""The rows of the BigCommerce twin: what each kind holds, which values the published schemas permit."""

from __future__ import annotations

import re
from typing import Any

Json = Any
Fields = dict[str, Json]

STATUSES = (
    "Incomplete", "Pending", "Shipped", "Partially Shipped", "Refunded", "Cancelled", "Declined", "Awaiting Payment",
    "Awaiting Pickup", "Awaiting Shipment", "Completed", "Awaiting Fulfillment", "Manual Verification Required",
    "Disputed", "Partially Refunded",
)  # fmt: skip
# name -> (least, most) characters, or a kind (customers.v3.yml)
CUSTOMER: dict[str, tuple[int, int] | str] = {
    "email": (3, 250), "first_name": (1, 100), "last_name": (1, 100), "company": (0, 255), "phone": (0, 50),
    "notes": (0, 65_535), "tax_exempt_category": (0, 255), "customer_group_id": "integer",
    "accepts_product_review_abandoned_cart_emails": "boolean",
}  # fmt: skip
ADDRESS: dict[str, tuple[int, int] | str] = {
    "first_name": (1, 255), "last_name": (1, 255), "company": (0, 255),
    "address1": (0, 65_535), "address2": (0, 65_535), "city": (0, 100),
    "state_or_province": (0, 100), "postal_code": (0, 30), "country_code": (2, 2), "phone": (0, 50),
}  # fmt: skip
NEEDED = ("first_name", "last_name", "address1", "city", "country_code")
ATTRIBUTES: list[Fields] = [
    {"id": 1, "name": "hub_id", "type": "string", "date_created": "2026-01-05T09:00:00Z"},
    {"id": 2, "name": "birthday", "type": "date", "date_created": "2026-01-05T09:00:00Z"},
    {"id": 3, "name": "language", "type": "string", "date_created": "2026-01-05T09:00:00Z"},
]
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def wrong(fields: dict[str, tuple[int, int] | str], key: str, value: Json) -> str:
    """Why a value is not taken; "" if it is, or if nobody asked for the name."""
    rule = fields.get(key)
    if rule is None:
        return ""
    if rule == "integer":
        return "" if isinstance(value, int) and not isinstance(value, bool) else "must be an integer"
    if rule == "boolean":
        return "" if isinstance(value, bool) else "must be a boolean"
    least, most = int(rule[0]), int(rule[1])
    if not isinstance(value, str):
        return "must be a string"
    if not least <= len(value) <= most or "\0" in value:
        return f"must be {least} to {most} characters"
    if key == "email" and not _MAIL.fullmatch(value.strip()):
        return "is not a valid email"
    return ""


def blank_customer() -> Fields:
    return {
        "email": "", "first_name": "", "last_name": "", "company": "", "phone": "", "notes": "", "customer_group_id": 0,
        "tax_exempt_category": "", "registration_ip_address": "", "accepts_product_review_abandoned_cart_emails": False,
        "origin_channel_id": 1, "channel_ids": [1], "_addresses": [], "_values": {},
    }  # fmt: skip


def blank_order() -> Fields:
    return {
        "customer_id": 0, "status_id": 11, "subtotal_ex_tax": "0.0000", "total_ex_tax": "0.0000", "total_tax": "0.0000",
        "total_inc_tax": "0.0000", "refunded_amount": "0.0000", "discount_amount": "0.0000", "currency_code": "EUR",
        "default_currency_code": "EUR", "items_total": 1, "payment_method": "Manual", "payment_status": "",
        "staff_notes": "", "customer_message": "", "billing_address": {}, "order_source": "www", "channel_id": 1,
        "cart_id": None, "external_id": None, "external_order_id": "", "is_email_opt_in": False,
    }  # fmt: skip


def blank_coupon() -> Fields:
    return {
        "name": "", "code": "", "type": "percentage_discount", "amount": "10.0000", "min_purchase": "0.0000",
        "expires": "", "enabled": True, "applies_to": {"entity": "categories", "ids": [0]}, "num_uses": 0,
        "max_uses": 0, "max_uses_per_customer": 0,
    }  # fmt: skip


def blank_cart() -> Fields:
    return {
        "customer_id": 0, "version": 1, "email": "", "channel_id": 1, "currency": {"code": "EUR"}, "tax_included": True,
        "base_amount": 0, "discount_amount": 0, "cart_amount": 0, "coupons": [],
        "line_items": {"physical_items": [], "digital_items": [], "gift_certificates": [], "custom_items": []},
    }  # fmt: skip
