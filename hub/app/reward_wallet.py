"""Prepaid balances at providers: looked at after orders were placed, and told of before they are empty."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from hub.app.context import Connection, Hub
from hub.app.listings import Dict, iso
from hub.app.reward_providers import giving_stream
from hub.app.transact import commit
from hub.errors import HubError
from hub.model import Json

WALLET = "rewards.wallet."  # + connection: {"value", "currency", "at"}
LIMIT = "low_balance"  # the setting of a connection below which people are told


def look(hub: Hub, connection: Connection) -> Dict | None:
    """Ask a provider for its balance, and keep it; None where there is none. Raises what the connector raises."""
    if giving_stream(connection) is None:
        return None
    connection.require()
    told = connection.connector.check(connection.api).get("balance")
    if not isinstance(told, dict) or _number(told.get("value")) is None:
        return None
    row = {"value": str(told["value"]), "currency": str(told.get("currency") or ""), "at": hub.clock.now()}
    commit(hub, lambda tx: tx.set_setting(f"{WALLET}{connection.name}", row))
    return _row(connection, row)


def look_after_orders(hub: Hub, connection: Connection) -> None:
    """What an order left of the balance, where a limit is set. That it cannot be asked stops no run."""
    if LIMIT not in connection.settings.values:
        return
    try:
        look(hub, connection)
    except HubError:
        return  # the next order asks again; whether the connection itself is well, its run says


def balances(hub: Hub) -> list[Dict]:
    """Balances as they were last seen."""
    with hub.store.reading() as tx:
        known = [(each, tx.setting(f"{WALLET}{each.name}")) for each in hub.connections.values()]
    return [_row(connection, row) for connection, row in known if row is not None]


def low_balances(hub: Hub) -> list[str]:
    """Connections whose balance is below their limit."""
    return [row["connection"] for row in balances(hub) if row["low"]]


def _row(connection: Connection, row: Json) -> Dict:
    limit, value = _number(connection.settings.values.get(LIMIT)), _number(row["value"])
    return {
        "connection": connection.name, "balance": row["value"], "currency": row["currency"], "at": iso(row["at"]),
        "limit": str(limit) if limit is not None else "", "low": limit is not None and (value or 0) < limit,
    }  # fmt: skip


def _number(value: Json) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
