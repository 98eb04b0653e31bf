"""The store: its check and its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.bigcommerce.api import BigCommerceApi, ask, attributes_of
from connectors.bigcommerce.reading import STATUSES
from hub.connector import Field
from hub.model import Json


def check(api: BigCommerceApi) -> dict[str, Json]:
    """Whose store it is, and whether there is a place for the hub's id."""
    store = ask(api, "/v2/store", "check").json()
    warnings = []
    if api.marker not in attributes_of(api, anew=True):
        warnings.append(f"there is no customer attribute {api.marker}: a create that got lost is found by e-mail only")
    return {"account": str(store.get("id") or ""), "name": str(store.get("name") or ""), "warnings": warnings}


def _field(name: str, kind: str = "text", *, writable: bool = False, **more: Json) -> Field:
    return Field(name=name, label=name, type=kind, writable=writable, **more)


_ADDRESS = {"address1": None, "address2": None, "city": 100, "state_or_province": 100, "postal_code": 30}
_FIELDS: Mapping[str, Sequence[Field]] = {
    "customers": (
        _field("id"),
        _field("email", "email", writable=True, required=True, unique=True, max_length=250),
        _field("first_name", writable=True, required=True, max_length=100),
        _field("last_name", writable=True, required=True, max_length=100),
        _field("company", writable=True, max_length=255),
        _field("phone", "phone", writable=True, max_length=50),
        _field("notes", writable=True),
        _field("customer_group_id", "integer", writable=True),
        *(_field(f"address.{name}") for name in (*_ADDRESS, "country_code")),
        *(_field(f"addresses.0.{name}", writable=True, max_length=most) for name, most in _ADDRESS.items()),
        _field("addresses.0.country_code", writable=True),
        *(_field(name, "instant") for name in ("date_created", "date_modified")),
    ),
    "orders": (
        _field("id"),
        _field("number"),
        _field("customer_id", "ref", ref_to="customers"),
        _field("status_name", "enum", options=STATUSES, restricted=True),
        _field("payment_status"),
        *(_field(name, "money") for name in ("net_total", "total_inc_tax", "refunded_amount", "discount_amount")),
        _field("currency_code"),
        _field("placed_at", "instant"),
        *(_field(name) for name in ("external_order_id", "cart_id", "order_source", "customer_message", "staff_notes")),
        _field("billing_address", "object"),
    ),
    "coupons": (
        _field("id"),
        *(_field(name) for name in ("name", "code")),
        _field("type", "enum", options=(
            "per_item_discount", "per_total_discount", "percentage_discount", "shipping_discount", "free_shipping",
            "promotion"), restricted=True),
        *(_field(name, "decimal") for name in ("amount", "min_purchase")),
        _field("enabled", "boolean"),
        *(_field(name, "integer") for name in ("num_uses", "max_uses", "max_uses_per_customer")),
        _field("expires_at", "instant"),
    ),
    "carts": (
        _field("id"),
        _field("customer_id", "ref", ref_to="customers"),
        _field("email", "email"),
        _field("currency.code"),
        *(_field(name, "money") for name in ("base_amount", "discount_amount", "cart_amount")),
        *(_field(name, "instant") for name in ("created_time", "updated_time")),
        _field("line_items", "object"),
        _field("titles", "set"),
    ),
}  # fmt: skip


def discover(api: BigCommerceApi, stream: str) -> list[Field]:
    """Documented fields, and the store's customer attributes."""
    found = list(_FIELDS[stream])
    if stream == "customers":
        kinds = {"number": "decimal", "date": "date"}
        for name, row in attributes_of(api, anew=True).items():
            kind = kinds.get(str(row.get("type")), "text")
            found.append(_field(f"attribute.{name}", kind, writable=True, custom=True, max_length=255))
    return found
