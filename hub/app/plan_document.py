"""The document of a plan: counts and costs per connection, the writes, what guards keep back, what cannot be sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hub.app.context import Connection, Hub
from hub.app.costs import calls_by_operation, limits_used
from hub.app.due import Sheet
from hub.app.listings import Dict, iso
from hub.app.planned import FORMAT, SYNC, PlannedWrite, sealed
from hub.connector import Stream
from hub.core.plan import REMOVALS
from hub.model import QuarantineRow


def document_of(
    hub: Hub, connections: Sequence[Connection], sheets: Sequence[Sheet], errors: dict[str, str] | None = None
) -> Dict:
    """The plan of these sheets, sealed."""
    return sealed(
        {
            "plan": FORMAT,
            "hub": hub.instance,
            "kind": SYNC,
            "made_at": iso(hub.clock.now()),
            "connections": [_summary(each, sheets, (errors or {}).get(each.name, "")) for each in connections],
            "writes": [write.document() for sheet in sheets for write in sheet.writes],
            "held": held_at(hub, [each.name for each in connections]),
            "refused": [_refused(row) for sheet in sheets for row in sheet.refused],
        }
    )


def held_at(hub: Hub, names: Sequence[str]) -> list[Dict]:
    """What guards keep back already: none of it is in the plan."""
    with hub.store.reading() as tx:
        return [
            {
                "hold": hold.id, "guard": hold.guard, "connection": hold.connection, "stream": hold.stream,
                "field": hold.field, "count": hold.count, "of": hold.of, "message": hold.message,
            }
            for hold in tx.open_holds()
            if hold.connection in names
        ]  # fmt: skip


def _refused(row: QuarantineRow) -> Dict:
    return {
        "connection": row.connection, "stream": row.stream, "external_id": row.external_id, "field": row.field,
        "code": row.code, "message": row.message, "fix": row.fix,
    }  # fmt: skip


def _summary(connection: Connection, sheets: Sequence[Sheet], error: str) -> Dict:
    own = [sheet for sheet in sheets if sheet.connection.name == connection.name]
    counts = tally(connection, [(sheet.stream, sheet.writes) for sheet in own])
    return {
        **counts,
        "held": sum(sheet.held for sheet in own),
        "refused": sum(len(sheet.refused) for sheet in own),
        "error": error or (str(connection.fault) if connection.fault else ""),
    }


def tally(connection: Connection, parts: Sequence[tuple[Stream, Sequence[PlannedWrite]]]) -> Dict:
    """What the writes to one connection are, and what they cost at least."""
    ops = Counter(write.op for _, writes in parts for write in writes)
    calls: Counter[str] = Counter()
    for stream, writes in parts:
        calls += calls_by_operation(stream, writes)
    limits = limits_used(connection, calls)
    return {
        "connection": connection.name,
        "mode": connection.mode,
        "mapping_version": connection.mapping_version,
        "creates": ops["create"],
        "updates": ops["update"],
        "removes": sum(ops[each] for each in REMOVALS),
        "fields": sum(len(write.values) for _, writes in parts for write in writes),
        "calls": calls.total(),
        "minutes": max((row["minutes"] for row in limits), default=0.0),
        "limits": limits,
    }
