"""What is due at a connection, as planned writes: the very steps of the push, in transactions that are undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from hub.app.context import Connection, Hub
from hub.app.planned import PlannedWrite, planned_write, reasons
from hub.app.push import Batch, may_write, plan_links
from hub.app.removals import OUTGOING
from hub.app.scene import Scene
from hub.connector import Stream
from hub.core.guards import allowance
from hub.core.mapping import StreamMapping
from hub.core.plan import REMOVALS
from hub.model import Intent, Json, LinkRow, LinkState, QuarantineRow
from hub.store import Tx

PAGE = 500
Looked = Callable[[str, int], None]  # (stream, writes found in it so far)
FOR_EVER = 1e12  # a time after every retry: a plan also shows what only waits for its next try


@dataclass(slots=True, kw_only=True)
class Sheet:
    """The plan of one stream."""

    connection: Connection
    mapping: StreamMapping
    stream: Stream
    writes: list[PlannedWrite] = field(default_factory=list)
    refused: list[QuarantineRow] = field(default_factory=list)
    wanted: int = 0  # creates that are due, held ones left out
    held: int = 0  # creates and removals that the guards keep back, or would


def unseen(_stream: str, _writes: int) -> None:
    """Nobody looks."""


class _Undone(Exception):
    """Ends a transaction that is only looked at."""


@contextmanager
def looking(hub: Hub) -> Iterator[Scene]:
    """A scene in a transaction that leaves nothing behind."""
    with suppress(_Undone), hub.store.transaction() as tx:
        yield Scene(hub=hub, tx=tx, now=hub.clock.now())
        raise _Undone


def as_live(hub: Hub) -> Hub:
    """The hub as if every connection were written to: what going live would do."""
    return replace(hub, connections={name: replace(each, mode="live") for name, each in hub.connections.items()})


def sheets_of(
    hub: Hub, connection: Connection, *, missing: bool = True, looked: Looked = unseen
) -> Iterator[Sheet]:  # fmt: skip
    """One per stream that may be written, parents first.

    Args:
        missing: look through all entities for records that the connection should have; False where a sync has already
            put their links on notice.
        looked: told after every page; what it raises ends the look.
    """
    if not connection.writes or connection.fault is not None:
        return
    for source in connection.in_order():
        for mapping in connection.mappings_from(source):
            if may_write(mapping):
                sheet = Sheet(connection=connection, mapping=mapping, stream=connection.streams[source])
                _plan_known(hub, sheet, looked)
                if missing:
                    _plan_missing(hub, sheet, looked)
                _weigh(hub, sheet)
                yield sheet


def _plan_known(hub: Hub, sheet: Sheet, looked: Looked) -> None:
    """Links that are behind: updates, and creates that are wanted already."""
    after_id: int | None = 0
    while after_id is not None:
        after_id = _known_page(hub, sheet, after_id)
        looked(sheet.mapping.name, len(sheet.writes))


def _known_page(hub: Hub, sheet: Sheet, after_id: int) -> int | None:
    following: int | None = None
    with looking(hub) as scene:
        links = scene.tx.behind_links(
            sheet.connection.name, sheet.mapping.name, now=FOR_EVER, limit=PAGE, after_id=after_id, raw=False
        )
        scene.load({link.entity_id for link in links})
        _plan_page(scene, sheet, [link.id for link in links])
        following = links[-1].id if len(links) == PAGE else None
    return following


def _plan_missing(hub: Hub, sheet: Sheet, looked: Looked) -> None:
    """Entities that should have a record here and have none: what going live would create."""
    after_id: int | None = 0
    while after_id is not None:
        after_id = _missing_page(hub, sheet, after_id)
        looked(sheet.mapping.name, len(sheet.writes))


def _missing_page(hub: Hub, sheet: Sheet, after_id: int) -> int | None:
    following: int | None = None
    with looking(hub) as scene:
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


def _plan_page(scene: Scene, sheet: Sheet, link_ids: Sequence[int]) -> None:
    batch = Batch(
        hub=scene.hub, connection=sheet.connection, mapping=sheet.mapping, stream=sheet.stream, run_id=None
    )  # fmt: skip
    sheet.refused += plan_links(batch, scene, link_ids)
    sheet.writes += [due_write(scene, sheet.mapping, scene.links[each.link_id], each) for each in batch.intents]
    sheet.wanted += sum(scene.links[each].state == LinkState.WANTED for each in link_ids)


def due_write(scene: Scene, mapping: StreamMapping, link: LinkRow, intent: Intent) -> PlannedWrite:
    """The write, with its reasons, and the references that wait for a record which the same plan makes."""
    later: dict[str, Json] = {}
    if intent.op == "create":
        values = scene.values(scene.root_of[link.entity_id])
        later = {
            name: values[name]
            for name, (_, missing) in mapping.references.items()
            if missing == "create" and name in mapping.out_fields and name not in intent.values and values.get(name)
        }
    why = reasons(scene, link, [*intent.values, *later])
    return planned_write(scene, link, intent, why=why, later=later)


def _weigh(hub: Hub, sheet: Sheet) -> None:
    """Which creates and removals the guards would keep back, besides those that they hold already."""
    creates = [index for index, write in enumerate(sheet.writes) if write.op == "create"]
    removals = [index for index, write in enumerate(sheet.writes) if write.op in REMOVALS]
    weighed = (("creates", "", creates, sheet.wanted), ("deletes", OUTGOING, removals, len(removals)))
    with hub.store.reading() as tx:
        live = tx.count_links(sheet.connection.name, sheet.mapping.name).get("live", 0)
        for guard, field_name, places, due in weighed:
            holds = tx.holds_of(sheet.connection.name, sheet.mapping.name, guard)
            holds = [hold for hold in holds if hold.field == field_name]
            sheet.held += sum(_held_links(tx, hold.id) for hold in holds if hold.state == "open")
            is_open = any(hold.state == "open" for hold in holds)
            ceiling = sum(hold.ceiling for hold in holds if hold.state == "released")
            free = ceiling + (0 if is_open else allowance(hub.guards[guard], live))
            sheet.held += max(0, due - free)
            for index in places[free:]:
                sheet.writes[index] = replace(sheet.writes[index], guard=guard)


def _held_links(tx: Tx, hold_id: int) -> int:
    total, after_id = 0, 0
    while links := tx.links_with_hold(hold_id, limit=PAGE, after_id=after_id, raw=False):
        total, after_id = total + len(links), links[-1].id
    return total
