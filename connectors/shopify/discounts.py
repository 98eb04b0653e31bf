"""What a discount code is worth, in the spelling of orders: what the ledger of rewards compares."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from hub.kit.reading import parse_time
from hub.model import Json, SourceRecord

BASIC = "DiscountCodeBasic"  # an amount or a share off; of the other kinds only that they exist is known


def discount_of(node: Mapping[str, Json]) -> SourceRecord:
    """A node, its discount laid flat: {id, kind, code, title, status, off: {kind, value}, uses, usageLimit …}."""
    inner: Mapping[str, Json] = node.get("codeDiscount") or {}
    codes = ((inner.get("codes") or {}).get("nodes")) or [{}]
    off = _off(((inner.get("customerGets") or {}).get("value")) or {})
    data: dict[str, Json] = {
        **{name: value for name, value in inner.items() if name not in ("__typename", "codes", "customerGets")},
        "id": node["id"], "type": inner.get("__typename"), "code": codes[0].get("code"), "off": off,
        "active": inner.get("status") == "ACTIVE", "uses": inner.get("asyncUsageCount"),
        "most_uses": inner.get("usageLimit") or 0, "productId": inner.get("title"), "quantity": inner.get("usageLimit"),
    }  # fmt: skip
    if off["kind"] == "amount":
        data |= {"denomination": off["value"], "currencyCode": off["currency"]}
    changed = inner.get("updatedAt")
    return SourceRecord(external_id=str(node["id"]), data=data, stamp=parse_time(changed) if changed else None)


def _off(value: Mapping[str, Json]) -> dict[str, Json]:
    """A share is told as a fraction, 0.1 being ten percent."""
    if value.get("percentage") is not None:
        return {"kind": "percent", "value": plain(Decimal(str(value["percentage"])) * 100)}
    amount = value.get("amount")
    if amount:
        return {"kind": "amount", "value": plain(Decimal(amount["amount"])), "currency": amount["currencyCode"]}
    return {"kind": "other", "value": None}


def plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
