"""A changed mapping, or canonical.yaml, at work on records that did not change (trap T29 of the design).

Nobody edits anything by publishing a file. So what each system *holds* is read once more, from the raw records that are
stored, through the mapping that is now in force; claims keep their windows, since their authors made them when they
did; a field that was not read before is a first contact. Then every entity concerned is decided anew. What is new to
the hub (a remote field that was never asked for, a wider scope) is read from the system, by listing the stream again.

The story of one change: file published -> at the start of the connection's next run, before anything is read: page by
page, a transaction each, repeatable -> the mark is set, and the next run finds nothing to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.app.context import Connection, Hub
from hub.app.ingest import finish, is_held, store_holds, store_reviews
from hub.app.page import PageContext, quarantine_row, stored_record
from hub.app.parents import with_references
from hub.app.scene import Scene
from hub.app.transact import commit
from hub.app.voices import SPEAKING, connector_name
from hub.core.changes import Window, observe_cell, restate_cell
from hub.core.mapping import StreamMapping, to_canonical
from hub.core.plan import CASE, erases
from hub.core.planted import PLANTED
from hub.model import LONG_AGO, Cell, Json, LinkRow, LinkState, MappedRecord
from hub.store import Tx

PAGE = 500
KEPT = (*SPEAKING, LinkState.GONE, LinkState.NOT_VISIBLE, LinkState.DETACHED)  # a record that comes back is as it was
ACTOR = "mapping"  # in history: no person, and no system

Tally = Counter[tuple[str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different about one connection's files."""

    moved: Mapping[str, frozenset[str]]  # mapping's stream -> fields that are read elsewhere in the record now
    listed_again: tuple[str, ...]  # source streams that must be read whole
    mark: Mapping[str, Json]  # what to remember


def reread(hub: Hub, connection: Connection, *, run_id: int | None = None, tally: Tally | None = None) -> Counter[str]:
    """Bring a connection's links up to the files in force; does nothing, in two small queries, where they are.

    Returns:
        Counts of records by what became of them: reread, and what guards kept back.
    """
    total: Counter[str] = Counter()
    with hub.store.reading() as tx:
        change = _change(hub, connection, tx)
    if change is None or "no_reread" in PLANTED:
        return total
    run_tally = Counter(tally or {})
    for mapping in connection.mappings.values():
        for first in ("", 0):  # links with a record by its name, then those without one
            after: str | int | None = first
            while after is not None:
                counts, after, run_tally = _page(hub, connection, mapping, change, after, run_id, run_tally)
                total += counts
    commit(hub, lambda tx: _remember(tx, connection, change))
    if tally is not None:
        tally.update(run_tally - tally)
    return total


# What is different


def _key(connection: Connection) -> str:
    return f"read through:{connection.name}"


def _mark(hub: Hub, connection: Connection, tx: Tx) -> dict[str, Json]:
    """Everything that reading and deciding hang on, as far as it can be compared."""
    streams = connection.mappings.values()
    return {
        "mapping": connection.mapping_version,
        "canonical": tx.mapping_version("canonical", "canonical"),
        "rank": hub.rank(connection.name),
        "read": {each.name: {name: _places(each, name) for name in sorted(each.in_fields)} for each in streams},
        "asked": {source: _asked(connection, source) for source in connection.in_order()},
        "scoped": {each.name: each.scope is not None for each in streams},
    }


def _places(mapping: StreamMapping, name: str) -> list[str]:
    """Where a field stands in the record."""
    rules = [rule for rule in mapping.fields.get(name, ()) if rule.direction != "out"]
    return sorted({path for rule in rules for path in (f"{rule.part}={rule.remote_in}", *rule.extra_in)})


def _asked(connection: Connection, source: str) -> list[str]:
    return sorted({path for mapping in connection.mappings_from(source) for path in mapping.remote_fields})


def _change(hub: Hub, connection: Connection, tx: Tx) -> Change | None:
    """None if nothing is different; a connection that was never marked has nothing to be read again."""
    known, now = tx.setting(_key(connection)), _mark(hub, connection, tx)
    if known == now:
        return None
    if known is None:
        known = now
    moved = {
        stream: frozenset(name for name, places in fields.items() if places != known["read"].get(stream, {}).get(name))
        & known["read"].get(stream, {}).keys()
        for stream, fields in now["read"].items()
    }
    widened = {
        mapping.source
        for mapping in connection.mappings.values()
        if known["mapping"] != now["mapping"] and known["scoped"].get(mapping.name)
    }
    fresh = {source for source, asked in now["asked"].items() if set(asked) - set(known["asked"].get(source, asked))}
    return Change(moved=moved, listed_again=tuple(sorted(widened | fresh)), mark=now)


def _remember(tx: Tx, connection: Connection, change: Change) -> None:
    """Done. Streams to be listed again begin at their beginning, as a first load does: their old acts stay silent."""
    for source in change.listed_again:
        begin_again(tx, connection, source)
    tx.set_setting(_key(connection), dict(change.mark))


def begin_again(tx: Tx, connection: Connection, source: str) -> None:
    """Have a stream listed whole, as a first load does; one that was never read begins there anyway."""
    state = tx.cursor(connection.name, source)
    if state is not None:
        tx.drop_cursors(connection.name, state.pop("parts", ()))  # of a first load that was under way
        tx.set_cursor(connection.name, source, {**state, "at": None, "first_done": False, "open_since": None})


# Page by page


def _page(
    hub: Hub, connection: Connection, mapping: StreamMapping, change: Change, after: str | int,
    run_id: int | None, tally: Tally,
) -> tuple[Counter[str], str | int | None, Tally]:  # fmt: skip
    """One page of links; its counts, where to go on, and the guards' counters after it."""
    name, stream = connection.name, mapping.name

    def work(tx: Tx) -> tuple[Counter[str], str | int | None, Tally]:
        if isinstance(after, str):
            links = tx.links_by_name(name, stream, after, PAGE)
        else:
            links = tx.links_nameless(name, stream, after, PAGE)
        scene = Scene(hub=hub, tx=tx, now=hub.clock.now(), run_id=run_id, actor=ACTOR)
        page = _context(connection, mapping, scene, Counter(tally))
        _reread_links(page, links, change.moved.get(mapping.name, frozenset()))
        finish(scene, first_load=True, counts=page.counts)
        store_reviews(page)
        store_holds(page)
        following = None if len(links) < PAGE else links[-1].external_id if isinstance(after, str) else links[-1].id
        return page.counts, following, page.tally

    return commit(hub, work)


def _context(connection: Connection, mapping: StreamMapping, scene: Scene, tally: Tally) -> PageContext:
    return PageContext(
        hub=scene.hub, connection=connection, mapping=mapping, stream=connection.stream_of(mapping), scene=scene,
        read_at=scene.now, offset=None, known_since=None, first_load=True, tally=tally,
    )  # fmt: skip


def _reread_links(page: PageContext, links: Sequence[LinkRow], moved: frozenset[str]) -> None:
    scene, kept = page.scene, [link for link in links if link.state in KEPT and link.raw is not None]
    scene.load({link.entity_id for link in links})
    mapped = {link.id: to_canonical(page.mapping, stored_record(link)) for link in kept}
    named = {ref for each in mapped.values() for ref in each.references.values() if ref is not None}
    page.parents = scene.tx.entity_ids(page.connection.name, named) if named else {}
    page.held_items = scene.tx.held_items([link.id for link in links])
    for link in links:
        ours = scene.links[link.id]
        if link.id in mapped:
            _reread_link(page, ours, mapped[link.id], moved)
            page.counts["reread"] += 1
        ours.mapping_version = page.connection.mapping_version
        scene.dirty(ours)
        scene.touch_all(scene.root_of[ours.entity_id])


def _reread_link(page: PageContext, link: LinkRow, mapped: MappedRecord, moved: frozenset[str]) -> None:
    """One record through the mapping in force."""
    scene, root, cells = page.scene, page.scene.root_of[link.entity_id], dict(page.scene.cells(link.id))
    shown = with_references(page, link, mapped)
    for name, value in shown.items():
        declared = page.mapping.entity_type.fields[name]
        old = None if name in moved else cells.get(name)
        if declared.derived or name not in page.mapping.in_fields or (old is not None and old.held == value):
            continue
        if is_held(page, link, name, old, value):
            continue
        if name in moved and name in cells:
            scene.depart(root, name, cells[name].own, is_set=declared.kind == "set")
        cells[name] = (
            first_seen(page.hub, page.mapping, link, name, value, version=scene.version)
            if old is None
            else (
                restate_cell(
                    declared, old, value, link=link.id, before=link.read_at or scene.now, version=scene.version
                )
            )
        )
    for name in [each for each in cells if not each.startswith(CASE) and each not in page.mapping.in_fields]:
        _fall_silent(page, link, cells, name)
    scene.set_cells(link.id, cells)
    faulty = {fault.field for fault in mapped.faults}
    for fault in mapped.faults:
        page.quarantine.append(
            quarantine_row(page, link.external_id or "", fault.field, fault.code, fault.message, fault.fix, fault.value)
        )
    page.mended[link.external_id or ""] = [name for name in (*shown, "") if name not in faulty]


def first_seen(hub: Hub, mapping: StreamMapping, link: LinkRow, name: str, value: Json, *, version: int) -> Cell:
    """A field that is read for the first time: it was there at the last read, and nobody knows since when."""
    before = link.read_at if link.read_at is not None else hub.clock.now()
    cell, _ = observe_cell(
        mapping.entity_type.fields[name], None, value, link=link.id, version=version,
        window=Window(after=LONG_AGO, before=before),
        erases=erases(mapping, name, link.connection, connector_name(hub, link.connection)),
    )  # fmt: skip
    return cell


def _fall_silent(page: PageContext, link: LinkRow, cells: dict[str, Cell], name: str) -> None:
    """A field that is read no more: the system's voice in it ends, its value stays remembered."""
    root, cell = page.scene.root_of[link.entity_id], cells[name]
    declared = page.scene.entity_type(root).fields.get(name)
    if declared is not None and cell.own:
        page.scene.depart(root, name, cell.own, is_set=declared.kind == "set")
    if name in page.mapping.out_fields:
        cells[name] = Cell(held=cell.held, agreed=cell.agreed)
    else:
        del cells[name]
