"""Pauses: a connection that a person has put to rest. Its slots pass, and say why; nothing that is due is lost."""

from __future__ import annotations

from hub.app.context import Hub
from hub.app.listings import iso
from hub.app.runs import connection_of
from hub.app.transact import commit
from hub.model import Json
from hub.store import Tx

PREFIX = "paused:"


def pause_of(hub: Hub, connection: str) -> dict[str, Json] | None:
    """Who paused it and when; None: it is not paused."""
    with hub.store.reading() as tx:
        found = tx.setting(PREFIX + connection)
    return found or None


def paused(hub: Hub) -> dict[str, dict[str, Json]]:
    """Every paused connection, with who paused it and when."""
    with hub.store.reading() as tx:
        found = tx.settings(PREFIX)
    return {name.removeprefix(PREFIX): value for name, value in found.items() if value}


def pause(hub: Hub, connection: str, *, by: str) -> None:
    """No run of this connection begins by itself from now on. Raises NotFound."""
    connection_of(hub, connection)
    now = hub.clock.now()

    def keep(tx: Tx) -> None:
        if not tx.setting(PREFIX + connection):
            tx.set_setting(PREFIX + connection, {"by": by, "at": iso(now)})
            tx.audit(by, "connection paused", connection, "running", "paused", now)

    commit(hub, keep)


def resume(hub: Hub, connection: str, *, by: str) -> None:
    """Scheduled runs begin again. Raises NotFound."""
    connection_of(hub, connection)

    def keep(tx: Tx) -> None:
        if tx.setting(PREFIX + connection):
            tx.set_setting(PREFIX + connection, None)
            tx.audit(by, "connection resumed", connection, "paused", "running", hub.clock.now())

    commit(hub, keep)
