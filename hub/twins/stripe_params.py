"""Stripe's request parameters: form fields into nested values, and the check of each value before anything happens.

A parameter that is not in the table is refused (`parameter_unknown`), an empty string clears a field, metadata merges.
All functions are pure; what is wrong is raised as `Refused`, which carries the vendor's answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pycountry

Json = Any
Fields = dict[str, Json]
Check = Callable[[Json, str], Json]  # (value, parameter's full name) -> value as kept

METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500  # vendor docs, "Metadata"
_KEY = re.compile(r"[^\[\]]+|\[[^\[\]]*\]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


@dataclass(eq=False)
class Refused(Exception):
    """The vendor's refusal of a request."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    kind: str = "invalid_request_error"
    began: bool = False  # execution had begun, so an idempotency key keeps this answer
    more: tuple[tuple[str, Json], ...] = ()

    def body(self) -> Fields:
        error: Fields = {"message": self.message, "type": self.kind, **dict(self.more)}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param:
            error["param"] = self.param
        return {"error": error}


def invalid(message: str, param: str, code: str | None = None) -> Refused:
    return Refused(400, message, code, param)


def missing(kind: str, record_id: str, param: str = "id", status: int = 404) -> Refused:
    return Refused(status, f"No such {kind}: '{record_id}'", "resource_missing", param)


# --- form fields -------------------------------------------------------------------------------------------------


def nested(form: Mapping[str, list[str]]) -> Fields:
    """``{"address[city]": ["B"], "items[0][price]": ["p"], "expand[]": ["a"]}`` as objects and lists."""
    root: Fields = {}
    for name, values in form.items():
        parts = [part.strip("[]") for part in _KEY.findall(name)]
        for value in values:
            _put(root, parts, value)
    return {name: _lists(value) for name, value in root.items()}


def _put(node: Fields, parts: list[str], value: str) -> None:
    for part in parts[:-1]:
        node = node.setdefault(part or str(len(node)), {})
        if not isinstance(node, dict):
            raise invalid(f"Invalid parameter: {parts[0]}", parts[0])
    node[parts[-1] or str(len(node))] = value


def _lists(node: Json) -> Json:
    """Objects whose keys are all numbers are lists."""
    if not isinstance(node, dict):
        return node
    if node and all(key.isdigit() for key in node):
        return [_lists(node[key]) for key in sorted(node, key=int)]
    return {key: _lists(value) for key, value in node.items()}


# --- single values -----------------------------------------------------------------------------------------------


def text(limit: int = 5000) -> Check:
    def check(value: Json, name: str) -> Json:
        if not isinstance(value, (str, int, float)):
            raise invalid(f"Invalid string: {value}", name)
        if len(str(value)) > limit:
            raise invalid(f"Invalid string: {str(value)[:20]}...; must be at most {limit} characters", name)
        return str(value) or None

    return check


def email(value: Json, name: str) -> Json:
    """Kept as given, capitals and all."""
    kept = text(512)(value, name)
    if kept is not None and not _EMAIL.fullmatch(kept):
        raise invalid(f"Invalid email address: {kept}", name, "email_invalid")
    return kept


def integer(value: Json, name: str) -> Json:
    if value in ("", None):
        return None
    try:
        return int(str(value))
    except ValueError:
        raise invalid(f"Invalid integer: {value}", name, "parameter_invalid_integer") from None


def number(value: Json, name: str) -> Json:
    try:
        return None if value in ("", None) else float(value)
    except ValueError:
        raise invalid(f"Invalid decimal: {value}", name) from None


def boolean(value: Json, name: str) -> Json:
    if value in (True, False):
        return bool(value)
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", name)
    return value == "true"


def one_of(*options: str) -> Check:
    def check(value: Json, name: str) -> Json:
        if value not in options:
            raise invalid(f"Invalid {name}: must be one of {', '.join(options)}", name)
        return value

    return check


def currency(value: Json, name: str) -> Json:
    lowered = str(value).lower()
    if pycountry.currencies.get(alpha_3=lowered.upper()) is None:
        raise invalid(f"Invalid currency: {lowered}", name)
    return lowered


def country(value: Json, name: str) -> Json:
    if value in ("", None):
        return None
    if pycountry.countries.get(alpha_2=str(value).upper()) is None or len(str(value)) != 2:
        raise invalid(f"Country '{value}' is unknown. Try using a 2-character alphanumeric country code.", name)
    return str(value).upper()


def anything(value: Json, name: str) -> Json:
    return value if value != "" else None


def list_of(check: Check) -> Check:
    """A list replaces the list before; an empty string empties it."""

    def check_all(value: Json, name: str) -> Json:
        if value in ("", None):
            return []
        if not isinstance(value, list):
            raise invalid("Invalid array", name)
        return [check(entry, f"{name}[{place}]") for place, entry in enumerate(value)]

    return check_all


def metadata(value: Json, name: str) -> Json:
    """Checked changes, to be merged: a blank value removes its key, None (a blank whole) removes all."""
    if value in ("", None):
        return None
    if not isinstance(value, dict):
        raise invalid("Invalid object", name)
    for key, entry in value.items():
        if len(key) > METADATA_KEY_LENGTH:
            raise invalid(f"Metadata keys can have up to {METADATA_KEY_LENGTH} characters", f"metadata[{key}]")
        if len(str(entry)) > METADATA_VALUE_LENGTH:
            raise invalid(f"Metadata values can have up to {METADATA_VALUE_LENGTH} characters", f"metadata[{key}]")
    return {key: "" if entry is None else _metadata_text(entry) for key, entry in value.items()}


def _metadata_text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def merge_metadata(kept: Fields, changes: Fields | None) -> Fields:
    """Raises Refused if more keys would be kept than allowed."""
    merged = {} if changes is None else {**kept, **changes}
    merged = {key: value for key, value in merged.items() if value != ""}
    if len(merged) > METADATA_KEYS:
        raise invalid(f"Metadata can have up to {METADATA_KEYS} keys", "metadata")
    return merged


def shape(table: Mapping[str, Check], *, complete: bool = False) -> Check:
    """An object of known parts; with `complete` the parts that are not sent are null."""

    def check(value: Json, name: str) -> Json:
        if value in ("", None):
            return None
        if not isinstance(value, dict):
            raise invalid("Invalid object", name)
        checked = checked_parts(value, table, name)
        return {**dict.fromkeys(table), **checked} if complete else checked

    return check


def checked_parts(given: Mapping[str, Json], table: Mapping[str, Check], inside: str = "") -> Fields:
    """The parameters as they are kept. Raises Refused for the first one that is unknown or wrong."""
    out: Fields = {}
    for key, value in given.items():
        name = f"{inside}[{key}]" if inside else key
        check = table.get(key)
        if check is None:
            raise invalid(f"Received unknown parameter: {name}", name, "parameter_unknown")
        out[key] = check(value, name)
    return out


def require(given: Mapping[str, Json], *names: str) -> None:
    for name in names:
        if given.get(name) in (None, ""):
            raise invalid(f"Missing required param: {name}.", name, "parameter_missing")


# --- tables of what each resource takes --------------------------------------------------------------------------

ADDRESS = shape(
    {
        "city": text(),
        "country": country,
        "line1": text(),
        "line2": text(),
        "postal_code": text(),
        "state": text(),
    },
    complete=True,
)
SHIPPING = shape({"name": text(), "phone": text(), "carrier": text(), "tracking_number": text(), "address": ADDRESS})
CUSTOMER: dict[str, Check] = {
    "address": ADDRESS,
    "balance": integer,
    "business_name": text(150),
    "cash_balance": anything,
    "description": text(),
    "email": email,
    "individual_name": text(150),
    "invoice_prefix": text(),
    "invoice_settings": shape(
        {"custom_fields": anything, "default_payment_method": text(), "footer": text(), "rendering_options": anything},
        complete=True,
    ),
    "metadata": metadata,
    "name": text(256),
    "next_invoice_sequence": integer,
    "payment_method": text(),
    "phone": text(20),
    "preferred_locales": list_of(text()),
    "shipping": SHIPPING,
    "source": text(),
    "tax_exempt": one_of("none", "exempt", "reverse"),
    "test_clock": text(),
}
PRODUCT: dict[str, Check] = {
    "active": boolean,
    "default_price": text(),
    "description": text(),
    "images": list_of(text()),
    "metadata": metadata,
    "name": text(),
    "shippable": boolean,
    "statement_descriptor": text(22),
    "tax_code": text(),
    "unit_label": text(12),
    "url": text(),
}
RECURRING = shape(
    {
        "interval": one_of("day", "week", "month", "year"),
        "interval_count": integer,
        "trial_period_days": integer,
        "usage_type": text(),
    }
)
PRICE_UPDATE: dict[str, Check] = {
    "active": boolean,
    "lookup_key": text(200),
    "metadata": metadata,
    "nickname": text(),
    "tax_behavior": one_of("exclusive", "inclusive", "unspecified"),
    "transfer_lookup_key": boolean,
}
PRICE: dict[str, Check] = {
    **PRICE_UPDATE,
    "currency": currency,
    "product": text(),
    "recurring": RECURRING,
    "unit_amount": integer,
}
COUPON_UPDATE: dict[str, Check] = {"metadata": metadata, "name": text(40)}
COUPON: dict[str, Check] = {
    **COUPON_UPDATE,
    "amount_off": integer,
    "currency": currency,
    "duration": one_of("once", "repeating", "forever"),
    "duration_in_months": integer,
    "id": text(),
    "max_redemptions": integer,
    "percent_off": number,
    "redeem_by": integer,
}
RESTRICTIONS = shape(
    {"first_time_transaction": boolean, "minimum_amount": integer, "minimum_amount_currency": currency}, complete=True
)
PROMOTION_CODE_UPDATE: dict[str, Check] = {"active": boolean, "metadata": metadata, "restrictions": RESTRICTIONS}
PROMOTION_CODE: dict[str, Check] = {
    **PROMOTION_CODE_UPDATE,
    "code": text(500),
    "customer": text(),
    "expires_at": integer,
    "max_redemptions": integer,
    "promotion": shape({"type": one_of("coupon"), "coupon": text()}),
}
SUBSCRIPTION_UPDATE: dict[str, Check] = {
    "cancel_at": integer,
    "cancel_at_period_end": boolean,
    "collection_method": one_of("charge_automatically", "send_invoice"),
    "days_until_due": integer,
    "default_payment_method": text(),
    "description": text(500),
    "items": list_of(shape({"id": text(), "price": text(), "quantity": integer, "metadata": metadata})),
    "metadata": metadata,
}
SUBSCRIPTION: dict[str, Check] = {
    **SUBSCRIPTION_UPDATE,
    "currency": currency,
    "customer": text(),
    "trial_period_days": integer,
}
INVOICE_UPDATE: dict[str, Check] = {"description": text(), "footer": text(), "metadata": metadata}
CHARGE_UPDATE: dict[str, Check] = {"description": text(), "metadata": metadata}
CHARGE: dict[str, Check] = {
    **CHARGE_UPDATE,
    "amount": integer,
    "currency": currency,
    "customer": text(),
    "source": text(),
}
REFUND_UPDATE: dict[str, Check] = {"metadata": metadata}
REFUND: dict[str, Check] = {
    **REFUND_UPDATE,
    "amount": integer,
    "charge": text(),
    "payment_intent": text(),
    "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
}
WEBHOOK_ENDPOINT_UPDATE: dict[str, Check] = {
    "description": text(),
    "disabled": boolean,
    "enabled_events": list_of(text()),
    "metadata": metadata,
    "url": text(),
}
WEBHOOK_ENDPOINT: dict[str, Check] = {
    **{name: check for name, check in WEBHOOK_ENDPOINT_UPDATE.items() if name != "disabled"},
    "api_version": text(),
    "connect": boolean,
}
