"""What providers offer, as their catalogue was last read, held against what rules give."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from hub.app.context import Hub
from hub.app.listings import Dict
from hub.core.rewards import Rule
from hub.model import Json
from hub.store import Tx

GOODS = "goods"  # kind of `Stream.gives`: lists what can be ordered


def not_offered(hub: Hub, tx: Tx, connection: str, product: str, amount: str, currency: str) -> str:
    """Why a provider would not give that, by its catalogue; "" if it would, or its catalogue was never read."""
    found = hub.connections.get(connection)
    stream = next((each for each in found.streams.values() if each.gives == GOODS), None) if found else None
    mappings = found.mappings_from(stream.name) if found is not None and stream is not None else []
    if not mappings or not tx.links_page(connection, mappings[0].name, limit=1, raw=False):
        return ""
    link = tx.links_by_keys(connection, mappings[0].name, [product], raw=False).get(product)
    row = tx.entities([link.entity_id]).get(link.entity_id) if link is not None and link.state == "live" else None
    if row is None:
        return f"product {product} is not in the catalogue of {connection}"
    return wrong_goods(row.values, amount, currency)


def wrong_goods(goods: Mapping[str, Json], amount: str, currency: str) -> str:
    """Why a product of a catalogue cannot be had for that amount; "" if it can. What it does not tell is not judged."""
    told = goods.get("currency")
    if told and str(told).upper() != currency:
        return f"the product is in {told}, not in {currency}"
    wanted = Decimal(amount)
    fixed = [number for each in goods.get("denominations") or () if (number := _number(each)) is not None]
    if fixed and wanted not in fixed:
        return f"the product is to be had for {', '.join(str(each) for each in fixed)}, not for {amount}"
    least, most = _number(goods.get("least")), _number(goods.get("most"))
    if not fixed and least and wanted < least:
        return f"the product is to be had from {least} on, not for {amount}"
    if not fixed and most and wanted > most:
        return f"the product is to be had up to {most}, not for {amount}"
    return ""


def _number(value: Json) -> Decimal | None:
    try:
        return Decimal(str(value)) if value not in (None, "") else None
    except InvalidOperation:
        return None


def check_goods(hub: Hub) -> list[Dict]:
    """What rules give and their provider does not offer: [{rule, country, product, message, where}]."""
    rows = []
    for rule in hub.rewards.rules.values() if hub.rewards is not None else ():
        for country, product in _choices(rule):
            with hub.store.reading() as tx:
                amount = rule.give.amount
                wrong = not_offered(hub, tx, rule.give.connection, product, amount.text, amount.currency)
            if wrong:
                rows.append(
                    {"rule": rule.name, "country": country, "product": product, "message": wrong, "where": rule.where}
                )
    return rows


def _choices(rule: Rule) -> list[tuple[str, str]]:
    """(country or "default", product) of everything that a rule may give."""
    default = [("default", rule.give.product)] if rule.give.product else []
    return [*rule.give.products.items(), *default]
