"""Records that should exist and do not: found when a system has been read whole for the first time, or starts to be
written. From then on each page sees to its own entities.
"""

from __future__ import annotations

from hub.app.context import Connection, Hub
from hub.app.ingest import again
from hub.app.scene import Scene

PAGE = 500
SWEPT = "wanted:"  # settings that remember what was swept
ONCE = ":once"  # swept, and to be swept once more by a later run


def want_missing(hub: Hub, connection: Connection) -> int:
    """Put a link in state `wanted` for every entity that this connection should have and has not.

    Runs twice per connection, mapping version and mode, and remembers it in the store. Twice, since of two connections
    read at the same moment one may commit its entities just after the other was swept, not knowing it to be listed.

    Returns:
        How many records are wanted now that were not.
    """
    total = 0
    for kind in {mapping.entity for mapping in connection.mappings.values() if mapping.create != "never"}:
        key = f"{SWEPT}{connection.name}:{kind}"
        done = f"{connection.mapping_version}:{connection.mode}"
        with hub.store.reading() as tx:
            listed = all(
                (tx.cursor(connection.name, mapping.source) or {}).get("first_done")
                for mapping in connection.mappings.values()
                if mapping.entity == kind and not connection.stream_of(mapping).acts
            )
            so_far = tx.setting(key)
            if not listed or so_far == done:
                continue
        after_id: int | None = 0
        while after_id is not None:
            found, after_id = _sweep(hub, connection, kind, after_id)
            total += found
        for attempt in again(hub):
            with attempt, hub.store.transaction() as tx:
                tx.set_setting(key, done if so_far == f"{done}{ONCE}" else f"{done}{ONCE}")
    return total


def _sweep(hub: Hub, connection: Connection, kind: str, after_id: int) -> tuple[int, int | None]:
    """One page of entities; the id to go on after, None at the end."""
    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            rows = tx.entities_page(kind, after_id=after_id, limit=PAGE)
            roots = [row.id for row in rows if row.alias_of is None and row.state == "live"]
            scene = Scene(hub=hub, tx=tx, now=hub.clock.now())
            scene.load(roots)
            found = sum(scene.want(root, connection) for root in roots)
            scene.save()
    return found, rows[-1].id if len(rows) == PAGE else None
