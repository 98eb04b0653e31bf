"""The account: its check and its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.stripe.api import KINDS, PAGE, StripeApi, call
from hub.connector import Field
from hub.errors import NeedsReview
from hub.model import Json


def check(api: StripeApi) -> dict[str, Json]:
    """Whose key it is, and which streams it may not read."""
    account = call(api, "get", "/v1/account", "check")
    warnings = []
    for stream, kind in KINDS.items():
        try:
            call(api, "get", kind.path, "check", {"limit": 1})
        except NeedsReview:
            warnings.append(f"the key may not read {stream}")
    business = account.get("business_profile") or {}
    name = business.get("name") or account.get("email") or account["id"]
    return {"account": account["id"], "name": name, "warnings": warnings}


def _field(name: str, kind: str = "text", *, writable: bool = False, **more: Any) -> Field:
    return Field(name=name, label=name, type=kind, writable=writable, **more)


_ADDRESS = ("line1", "line2", "city", "state", "postal_code", "country")
_STATES = ("incomplete", "incomplete_expired", "trialing", "active", "past_due", "canceled", "unpaid", "paused")
_FIELDS: Mapping[str, Sequence[Field]] = {
    "customers": (
        _field("id"),
        _field("email", "email", writable=True, max_length=512),
        _field("name", writable=True, max_length=256),
        _field("individual_name", writable=True),
        _field("business_name", writable=True),
        _field("phone", "phone", writable=True, max_length=20),
        _field("description", writable=True, max_length=350),
        *(_field(f"address.{part}", writable=True) for part in _ADDRESS),
        _field("shipping.name", writable=True),
        _field("shipping.phone", "phone", writable=True),
        *(_field(f"shipping.address.{part}", writable=True) for part in _ADDRESS),
        _field("preferred_locales", "set", writable=True),
        _field("tax_exempt", "enum", writable=True, options=("none", "exempt", "reverse"), restricted=True),
        _field("balance", "integer"),
        _field("currency"),
        _field("delinquent", "boolean"),
        _field("created", "instant"),
        _field("livemode", "boolean"),
    ),
    "subscriptions": (
        _field("id"),
        _field("customer", "ref", ref_to="customers"),
        _field("status", "enum", options=_STATES, restricted=True),
        _field("items.data.0.price.id"),
        _field("items.data.0.quantity", "integer"),
        _field("currency"),
        _field("cancel_at_period_end", "boolean"),
        _field("description"),
        *(
            _field(name, "instant")
            for name in ("created", "start_date", "cancel_at", "canceled_at", "ended_at", "trial_start", "trial_end")
        ),
    ),
    "invoices": (
        _field("id"),
        _field("number"),
        _field("customer", "ref", ref_to="customers"),
        _field("parent.subscription_details.subscription", "ref", ref_to="subscriptions"),
        _field("status", "enum", options=("draft", "open", "paid", "uncollectible", "void"), restricted=True),
        _field("customer_email", "email"),
        _field("currency"),
        *(_field(name, "money") for name in ("subtotal", "total", "amount_due", "amount_paid", "amount_remaining")),
        *(_field(name, "instant") for name in ("created", "effective_at", "due_date", "period_start", "period_end")),
        *(_field(f"status_transitions.{name}", "instant") for name in ("finalized_at", "paid_at", "voided_at")),
        _field("billing_reason", "enum"),
        _field("hosted_invoice_url", "url"),
    ),
    "charges": (
        _field("id"),
        _field("customer", "ref", ref_to="customers"),
        _field("status", "enum", options=("succeeded", "pending", "failed"), restricted=True),
        *(_field(name, "money") for name in ("amount", "amount_captured", "amount_refunded")),
        _field("currency"),
        *(_field(name, "boolean") for name in ("paid", "captured", "refunded", "disputed")),
        _field("billing_details.email", "email"),
        _field("billing_details.name"),
        _field("description"),
        _field("failure_code"),
        _field("receipt_url", "url"),
        _field("created", "instant"),
    ),
    "coupons": (
        _field("id"),
        _field("name"),
        *(_field(name, "decimal") for name in ("off.value", "percent_off")),
        _field("off.kind", "enum", options=("percent", "amount"), restricted=True),
        _field("amount_off", "money"),
        _field("currency"),
        _field("duration", "enum", options=("once", "repeating", "forever"), restricted=True),
        _field("valid", "boolean"),
        *(_field(name, "integer") for name in ("times_redeemed", "max_redemptions", "most_uses")),
        *(_field(name, "instant") for name in ("redeem_by", "created")),
    ),
    "promotion_codes": (
        _field("id"),
        _field("code"),
        _field("coupon_name"),
        _field("off.kind", "enum", options=("percent", "amount"), restricted=True),
        *(_field(name, "decimal") for name in ("off.value", "least")),
        _field("active", "boolean"),
        _field("customer", "ref", ref_to="customers"),
        *(_field(name, "integer") for name in ("times_redeemed", "max_redemptions", "most_uses")),
        *(_field(name, "instant") for name in ("expires_at", "created")),
    ),
}


def discover(api: StripeApi, stream: str) -> list[Field]:
    """Documented fields, and the metadata keys of the newest hundred objects: no call tells which keys there are."""
    rows = call(api, "get", KINDS[stream].path, "discover", {"limit": PAGE, **KINDS[stream].listing})["data"]
    keys = sorted({key for row in rows for key in row.get("metadata") or {}} - {api.marker})
    writable = stream == "customers"
    found = [_field(f"metadata.{key}", writable=writable, custom=True, max_length=500) for key in keys]
    return [*_FIELDS[stream], *found]
