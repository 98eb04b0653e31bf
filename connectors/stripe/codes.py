"""What a coupon or a promotion code is worth, in one spelling for both.

A coupon says what is taken off; a promotion code is what a customer types to get it. Amounts are in the smallest unit
of their currency, by Stripe's own count of decimal places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from hub.kit.reading import to_amount
from hub.model import Json

OWN_PLACES = {"MGA": 0, "ISK": 2, "UGX": 2}  # where they differ from ISO 4217 (vendor docs, "Currencies")


def amount_text(minor: Json, currency: Json) -> str | None:
    """2500 of "eur" is "25"; None without an amount. Raises ValueError."""
    if minor is None or not currency:
        return None
    name = str(currency).upper()
    if name not in OWN_PLACES:
        return plain(to_amount(int(minor), name))
    return plain(f"{Decimal(int(minor)).scaleb(-OWN_PLACES[name]):f}")


def plain(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def minor_of(amount: str, currency: str) -> int:
    """ "25" of "EUR" is 2500. Raises ValueError for a part that the currency does not have."""
    places = OWN_PLACES.get(currency)
    if places is None:
        places = len(to_amount(1, currency).partition(".")[2])
    minor = Decimal(amount).scaleb(places)
    if minor != minor.to_integral_value():
        raise ValueError("more digits than the currency has")
    return int(minor)


def coupon_facts(row: Mapping[str, Json]) -> dict[str, Json]:
    """`off` (kind and value), and `most_uses`, 0 for no limit."""
    return {"off": _off(row), "most_uses": row.get("max_redemptions") or 0}


def _off(coupon: Mapping[str, Json]) -> dict[str, Json]:
    if coupon.get("percent_off") is not None:
        return {"kind": "percent", "value": str(coupon["percent_off"])}
    return {"kind": "amount", "value": amount_text(coupon.get("amount_off"), coupon.get("currency"))}


def promotion_facts(row: Mapping[str, Json]) -> dict[str, Json]:
    """What its coupon takes off, and what the ledger compares, under the names of an order.

    The coupon is a bare id where it was not asked for along with the code; then nothing of it is told.
    """
    within = (row.get("promotion") or {}).get("coupon")
    known: Mapping[str, Json] = within if isinstance(within, Mapping) else {}
    rules = row.get("restrictions") or {}
    facts: dict[str, Json] = {
        "least": amount_text(rules.get("minimum_amount"), rules.get("minimum_amount_currency")),
        "most_uses": row.get("max_redemptions") or 0,
        "quantity": row.get("max_redemptions"),
        "productId": known.get("id") or within,
    }
    if known:
        off = _off(known)
        facts |= {"off": off, "coupon_name": known.get("name")}
        if off["kind"] == "amount":
            facts |= {"denomination": off["value"], "currencyCode": str(known.get("currency") or "").upper()}
    return facts


FACTS: Mapping[str, Callable[[Mapping[str, Json]], dict[str, Json]]] = {
    "coupon": coupon_facts,
    "promotion_code": promotion_facts,
}
