"""What a push would write, before anything is written: the very steps of the push, in transactions that are undone.

Systems are read first (reading is allowed), connections in mode observe are planned as if they were live, and what a
guard would keep back is counted. The digest covers every write, so two plans can be told apart.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from math import ceil

import orjson

from hub.app.context import Connection, Hub
from hub.app.listings import Dict
from hub.app.push import Batch, may_write, plan_links
from hub.app.removals import OUTGOING
from hub.app.runs import Watch, connection_of, sync, unwatched
from hub.app.scene import Scene
from hub.connector import Stream
from hub.core.guards import allowance
from hub.core.mapping import StreamMapping
from hub.core.plan import CASE, REMOVALS
from hub.model import ChangeSet, LinkState, QuarantineRow
from hub.runtime.process import owner_name
from hub.store import Tx

PAGE = 500
FOR_EVER = 1e12  # a time after every retry: a plan also shows what only waits for its next try
CHANGE_COLUMNS = ["connection", "stream", "op", "entity", "external_id", "field", "old", "new"]
CONNECTION_COLUMNS = [
    "connection",
    "mode",
    "creates",
    "updates",
    "removes",
    "fields",
    "held",
    "refused",
    "calls",
    "error",
]
REFUSED_COLUMNS = ["connection", "stream", "external_id", "field", "code", "message", "fix"]


@dataclass(slots=True, kw_only=True)
class _Sheet:
    """The plan of one stream."""

    connection: Connection
    mapping: StreamMapping
    stream: Stream
    changes: list[ChangeSet] = field(default_factory=list)
    refused: list[QuarantineRow] = field(default_factory=list)
    wanted: int = 0  # creates that are due, held ones left out
    held: int = 0  # creates and removals that the guards would keep back


class _Undo(Exception):
    """Ends a transaction that is only looked at."""


def plan(
    hub: Hub, names: Iterable[str] | None = None, *, pull: bool = True, watch: Watch = unwatched, owner: str = ""
) -> Dict:
    """Everything that a sync would write now.

    Args:
        names: connections that would be written; None or none for all. Reading covers the same.
        pull: read the systems first; False plans from what is known.

    Returns:
        {"changes": one per record and field (connection, stream, op, entity, external_id, field, old, new; one in all,
         without a field, for a record that would be archived or deleted),
         "connections": creates, updates, removes, held, refused, expected calls per connection, "refused": what cannot
         be sent and why, "digest": SHA-256 of all changes}

    Raises:
        NotFound: there is no connection of that name.
    """
    wanted = [connection_of(hub, name) for name in (list(names or ()) or hub.connections)]
    errors: dict[str, str] = {}
    if pull:
        runs = sync(
            hub, [each.name for each in wanted], owner=owner or owner_name(), kind="plan", push=False, watch=watch
        )
        errors = {run.connection: run.error for run in runs if run.error}
    bold = replace(hub, connections={name: _as_live(each) for name, each in hub.connections.items()})
    sheets = [sheet for each in wanted for sheet in _sheets(bold, bold.connections[each.name])]
    rows = [row for sheet in sheets for change in sheet.changes for row in _rows(sheet, change)]
    return {
        "changes": rows,
        "connections": [_summary(each, sheets, errors.get(each.name, "")) for each in wanted],
        "refused": [_refused(row) for sheet in sheets for row in sheet.refused],
        "digest": hashlib.sha256(orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)).hexdigest(),
    }


def _as_live(connection: Connection) -> Connection:
    return replace(connection, mode="live")


def _sheets(hub: Hub, connection: Connection) -> Iterator[_Sheet]:
    """One per stream that may be written, parents first."""
    if not connection.writes or connection.fault is not None:
        return
    for source in connection.in_order():
        for mapping in connection.mappings_from(source):
            if may_write(mapping):
                sheet = _Sheet(connection=connection, mapping=mapping, stream=connection.streams[source])
                _plan_known(hub, sheet)
                _plan_missing(hub, sheet)
                _hold_back(hub, sheet)
                yield sheet


@contextmanager
def _looking(hub: Hub) -> Iterator[Scene]:
    """A scene in a transaction that leaves nothing behind."""
    with suppress(_Undo), hub.store.transaction() as tx:
        yield Scene(hub=hub, tx=tx, now=hub.clock.now())
        raise _Undo


def _plan_known(hub: Hub, sheet: _Sheet) -> None:
    """Links that are behind: updates, and creates that are wanted already."""
    after_id: int | None = 0
    while after_id is not None:
        after_id = _known_page(hub, sheet, after_id)


def _known_page(hub: Hub, sheet: _Sheet, after_id: int) -> int | None:
    following: int | None = None
    with _looking(hub) as scene:
        links = scene.tx.behind_links(
            sheet.connection.name, sheet.mapping.name, now=FOR_EVER, limit=PAGE, after_id=after_id, raw=False
        )
        scene.load({link.entity_id for link in links})
        _plan_page(scene, sheet, [link.id for link in links])
        following = links[-1].id if len(links) == PAGE else None
    return following


def _plan_missing(hub: Hub, sheet: _Sheet) -> None:
    """Entities that should have a record here and have none: what going live would create."""
    after_id: int | None = 0
    while after_id is not None:
        after_id = _missing_page(hub, sheet, after_id)


def _missing_page(hub: Hub, sheet: _Sheet, after_id: int) -> int | None:
    following: int | None = None
    with _looking(hub) as scene:
        rows = scene.tx.entities_page(sheet.mapping.entity, after_id=after_id, limit=PAGE)
        roots = [row.id for row in rows if row.alias_of is None and row.state == "live"]
        scene.load(roots)
        known = set(scene.links)
        for root in roots:
            if scene.missing_in(root, sheet.connection) is sheet.mapping:
                scene.want(root, sheet.connection)
        _plan_page(scene, sheet, sorted(set(scene.links) - known))
        following = rows[-1].id if len(rows) == PAGE else None
    return following


def _plan_page(scene: Scene, sheet: _Sheet, link_ids: Sequence[int]) -> None:
    batch = Batch(
        hub=scene.hub, connection=sheet.connection, mapping=sheet.mapping, stream=sheet.stream, run_id=None
    )  # fmt: skip
    sheet.refused += plan_links(batch, scene, link_ids)
    sheet.changes += batch.changes
    sheet.wanted += sum(scene.links[each].state == LinkState.WANTED for each in link_ids)


def _hold_back(hub: Hub, sheet: _Sheet) -> None:
    """How many creates and removals the guards would keep back, besides those that they hold already."""
    removals = sum(change.op in REMOVALS for change in sheet.changes)
    with hub.store.reading() as tx:
        live = tx.count_links(sheet.connection.name, sheet.mapping.name).get("live", 0)
        for guard, field_name, due in (("creates", "", sheet.wanted), ("deletes", OUTGOING, removals)):
            holds = tx.holds_of(sheet.connection.name, sheet.mapping.name, guard)
            holds = [hold for hold in holds if hold.field == field_name]
            sheet.held += sum(_held_links(tx, hold.id) for hold in holds if hold.state == "open")
            is_open = any(hold.state == "open" for hold in holds)
            ceiling = sum(hold.ceiling for hold in holds if hold.state == "released")
            free = 0 if is_open else allowance(hub.guards[guard], live)
            sheet.held += max(0, due - free - ceiling)


def _held_links(tx: Tx, hold_id: int) -> int:
    total, after_id = 0, 0
    while links := tx.links_with_hold(hold_id, limit=PAGE, after_id=after_id, raw=False):
        total, after_id = total + len(links), links[-1].id
    return total


# What people see


def _rows(sheet: _Sheet, change: ChangeSet) -> list[Dict]:
    place = {
        "connection": sheet.connection.name, "stream": sheet.mapping.name, "op": change.op,
        "entity": f"{sheet.mapping.entity}:{change.entity_id}", "external_id": change.external_id,
    }  # fmt: skip
    if change.op in REMOVALS:
        return [{**place, "field": "", "old": None, "new": None}]
    return [
        {**place, "field": name.removeprefix(CASE), "old": change.before.get(name), "new": value}
        for name, value in change.values.items()
    ]


def _refused(row: QuarantineRow) -> Dict:
    return {
        "connection": row.connection, "stream": row.stream, "external_id": row.external_id, "field": row.field,
        "code": row.code, "message": row.message, "fix": row.fix,
    }  # fmt: skip


def _summary(connection: Connection, sheets: Sequence[_Sheet], error: str) -> Dict:
    own = [sheet for sheet in sheets if sheet.connection.name == connection.name]
    ops = Counter(change.op for sheet in own for change in sheet.changes)
    return {
        "connection": connection.name,
        "mode": connection.mode,
        "creates": ops["create"],
        "updates": ops["update"],
        "removes": sum(ops[each] for each in REMOVALS),
        "fields": sum(len(change.values) for sheet in own for change in sheet.changes),
        "held": sum(sheet.held for sheet in own),
        "refused": sum(len(sheet.refused) for sheet in own),
        "calls": sum(expected_calls(sheet.stream, sheet.changes) for sheet in own),
        "error": error or (str(connection.fault) if connection.fault else ""),
    }


def expected_calls(stream: Stream, changes: Sequence[ChangeSet]) -> int:
    """Calls that these writes take at least: the writes in full batches, and reading the records once more before.

    The reading before is what keeps a write off a record that moved (design.md §8); records per call are the
    vendor's own figures (`Stream.minimum`).
    """
    known = sum(change.op != "create" for change in changes)
    per_write = max(1, min(stream.max_batch, stream.minimum.get("write", stream.max_batch)))
    per_fetch = max(1, stream.minimum.get("fetch", stream.page_size))
    return ceil(len(changes) / per_write) + ceil(known / per_fetch)
