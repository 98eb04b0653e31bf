"""Taking in a page: records, links, claims, values, conflicts, behind-marks, events and the cursor, one transaction.

The story of one record: its link is looked up; a write of ours that is still open on it is settled first; a read
older than what was accepted changes nothing; what differs from *held* becomes claims; the entity's fields are decided
anew; whoever lacks something is put on notice. Whatever cannot be read is quarantined, field by field.

Invariant: everything a page changes commits together with the cursor that passes it, or not at all (laws L13, L14).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from hub.app.context import Connection, Hub
from hub.app.forgotten import without_erased
from hub.app.gone import is_buried, is_dead, revive, settle_later, take_gone, take_unknown
from hub.app.gone_back import may_go_back
from hub.app.matching import LIVING, link_for, link_of_tombstone, moved_ids, rulings_on
from hub.app.page import (
    PageContext,
    body_of,
    canonical_json,
    content_hash,
    live_links,
    packed,
    quarantine_cells,
    quarantine_row,
)
from hub.app.parents import other_names, wake, with_references
from hub.app.removals import contest
from hub.app.scene import Cells, Scene
from hub.app.settle import close_landed, settle_intent, stored_by, tells_all
from hub.app.ticks import STAMP_SLACK_S, early_s_of, is_same_tick, put_off
from hub.core.changes import Window, observe_cell
from hub.core.first import first_claim, first_held
from hub.core.guards import allowance, cell_guards, exceeds
from hub.core.mapping import StreamMapping, external_id_of, keys_of, to_canonical
from hub.core.plan import erases
from hub.core.planted import PLANTED
from hub.core.shadow import is_empty
from hub.core.values import same
from hub.errors import RecordRejected, RetryLater
from hub.model import (
    NO_VERSION,
    Cell,
    Json,
    LinkRow,
    LinkState,
    MappedRecord,
    SourceRecord,
)
from hub.store import Tx
from hub.store.links import LinkHead

Release = Mapping[str, frozenset[tuple[int, str]]]  # "released" or "dropped" -> (link, field)

LISTING = "listing"  # deletes of a stream: what a complete listing lacks
NEWS_ANYWAY = frozenset({LinkState.GONE, LinkState.WANTED})
GONE = LinkState.GONE  # asked for each record, and an enum is slow to ask
HOPES = 2  # tries of a part's page that keep no keys from others meanwhile: its people are seldom in another part
STORE_TRIES = 6  # a busy or serialising store gets the whole page again, from its inputs
SILENT = frozenset({LinkState.GONE, LinkState.NOT_VISIBLE, LinkState.MERGED_INTO})  # a read brings such a link back


def again(hub: Hub) -> Retrying:
    """Runs a transaction again while the store says it was busy (deadlock, serialisation, lock)."""
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, RetryLater) and error.code == "STORE-BUSY"),
        stop=stop_after_attempt(STORE_TRIES),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        sleep=hub.clock.sleep,
        reraise=True,
    )


def ingest_page(
    hub: Hub,
    connection: Connection,
    source: str,
    records: Sequence[SourceRecord],
    *,
    read_at: float,
    vendor_read_at: float | None = None,
    cursor: Json = None,
    move: Callable[[Tx, Counter[str]], None] | None = None,
    known_since: float | None = None,
    first_load: bool = False,
    run_id: int | None = None,
    tally: Counter[tuple[str, str, str]] | None = None,
    faults: Sequence[Mapping[str, str]] = (),
    release: Release | None = None,
    done_hints: Sequence[int] = (),
    late_hints: Mapping[float, Sequence[int]] | None = None,
    answers: frozenset[int] = frozenset(),
    by_id: bool = False,
    waited: Mapping[str, int] | None = None,
) -> Counter[str]:
    """Take in one page of a stream, in one transaction. Raises RetryLater if the store stays busy.

    Args:
        read_at, vendor_read_at: when the read began, by the hub's clock, and by the vendor's if it told.
        cursor: the stream's cursor document after this page; None leaves it (fetches, answers of writes).
        move: moves another cursor instead, in this page's transaction; gets the counts.
        known_since: the stream's last complete pull began then, less its look-back: until then old values stood.
        tally: guard counters of the run, carried from page to page.
        release: {"released": …, "dropped": …} of a hold that a person decided.
        done_hints, late_hints: hints that this read answers; due time -> those that it is too old for.
        by_id: these records were read by id, or answered: they are as fresh as the vendor has them.
        answers, waited: intents that these records answer; records that wait for a parent -> how often they were read.

    Returns:
        What became of the rows: seen = new + changed + unchanged + stale + deferred + out_of_scope + quarantined …
    """
    told = Told(
        read_at=read_at, offset=None if vendor_read_at is None else vendor_read_at - read_at, known_since=known_since,
        first_load=first_load, answers=answers, by_id=by_id, release=release or {}, waited=waited or {},
    )  # fmt: skip
    relaxed = cursor is not None or move is not None  # what a power cut takes of a pulled page is simply read again
    for attempt in again(hub):
        with attempt, hub.store.transaction(relaxed=relaxed) as tx:
            hopeful = move is not None and attempt.retry_state.attempt_number <= HOPES
            scene = Scene(hub=hub, tx=tx, now=hub.clock.now(), run_id=run_id, hopeful=hopeful)
            tx.done_hints(done_hints)  # first: this very read may leave new ones for the same records
            for due_at, ids in (late_hints or {}).items():
                tx.postpone_hints(ids, due_at)
            run_tally = Counter(tally or {})
            counts = _take_page(scene, connection, source, told, run_tally, records, faults)
            if cursor is not None and "cursor_first" not in PLANTED:
                tx.set_cursor(connection.name, source, cursor)
            if move is not None:
                move(tx, counts)
    if tally is not None:
        tally.clear()
        tally.update(run_tally)
    return counts


def _take_page(
    scene: Scene,
    connection: Connection,
    source: str,
    told: Told,
    tally: Counter[tuple[str, str, str]],
    records: Sequence[SourceRecord],
    faults: Sequence[Mapping[str, str]],
) -> Counter[str]:
    """Every mapping that reads the stream, then what follows from it all; holds last: they hang on stored links."""
    counts: Counter[str] = Counter()
    pages = [_page(connection, each, scene, told, tally) for each in connection.mappings_from(source)]
    admitted = connection.admitted(source, records)
    for page in pages:
        _take_in(page, admitted, faults)
        counts.update(page.counts)
    finish(scene, first_load=told.first_load, counts=counts)
    for page in pages:
        store_holds(page)
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the reader says of a page, the same for every mapping that reads it."""

    read_at: float
    offset: float | None
    known_since: float | None
    first_load: bool
    answers: frozenset[int]
    by_id: bool
    release: Release
    waited: Mapping[str, int]


def _page(
    connection: Connection, mapping: StreamMapping, scene: Scene, told: Told, tally: Counter[tuple[str, str, str]]
) -> PageContext:
    stream = connection.stream_of(mapping)
    return PageContext(
        hub=scene.hub, connection=connection, mapping=mapping, stream=stream, scene=scene, read_at=told.read_at,
        offset=told.offset, known_since=told.known_since, first_load=told.first_load, tally=tally,
        lag_s=stream.fetch_lag_s if told.by_id else stream.lag_s, answers=told.answers, by_id=told.by_id,
        released=told.release.get("released", frozenset()), dropped=told.release.get("dropped", frozenset()),
        waited=told.waited,
    )  # fmt: skip


def finish(scene: Scene, *, first_load: bool = False, counts: Counter[str] | None = None) -> None:
    """Decide, let events and grants follow from what changed (`counts` gets how many), mark who is behind, save."""
    scene.decide()
    if scene.hub.on_changes is not None:
        followed = scene.hub.on_changes(scene, first_load=first_load)
        if counts is not None:
            counts.update(followed)
    scene.mark_behind()
    scene.save()


def _take_in(page: PageContext, records: Sequence[SourceRecord], faults: Sequence[Mapping[str, str]]) -> None:
    tx, name, stream = page.scene.tx, page.connection.name, page.mapping.name
    own_ids = page.mapping.read_id is None
    ids = [record.external_id if own_ids else external_id_of(page.mapping, record) for record in records]
    named = [each for each in ids if each]
    page.heads = tx.link_heads(name, stream, named) if named else {}
    known = [head.id for head in page.heads.values()]
    page.intents = tx.intents_for(known) if known else {}
    page.held_items = tx.held_items(known)
    heads = page.heads
    news = [
        (each, record)
        for each, record in zip(ids, records, strict=True)
        if each and (each not in heads or _is_news(page, record, heads[each]))
    ]
    news.sort(key=lambda each: each[1].op != "merged_into")  # first: the record that is left may be a new one
    mapped: dict[int, MappedRecord] = {}
    for _, each in news:
        if each.op in ("upsert", "restore"):
            mapped[id(each)] = to_canonical(page.mapping, each)
            body_of(page, each)  # now, while it is at hand: a page is more than a processor's cache holds
    page.counts["unchanged"] += len(named) - len(news)
    news = without_erased(page, news, mapped)
    if news:
        _load(page, news, mapped)
    if page.stream.deletes == LISTING:  # what is not in the listing is gone: so what is must be known to be
        tx.touch_links([head.id for head in page.heads.values()], page.read_at)
    page.counts["keyless"] += len(ids) - len(named)
    for external_id, record in news:
        _take_record(page, external_id, record, mapped.get(id(record)))
    page.tally_alike()
    for fault in faults:
        _fault_of_page(page, fault)
    store_reviews(page)


def _is_news(page: PageContext, record: SourceRecord, link: LinkHead) -> bool:
    """False for a record that is, to the byte, what we accepted last, when no write of ours waits on it."""
    if (record.stamp is not None and record.stamp != link.stamp) or link.id in page.intents:
        return True
    if link.state in NEWS_ANYWAY or page.released or page.dropped:
        return True
    body = canonical_json(record)
    if link.hash == content_hash(record, body):
        return False  # its body is not kept: the next one is written into the same memory, which is warm
    page.bodies[id(record)] = body
    return True


def _load(page: PageContext, news: Sequence[tuple[str, SourceRecord]], mapped: Mapping[int, MappedRecord]) -> None:
    """Everything these records may touch, in a handful of queries: parents, keyed entities, adopted links."""
    tx, scene, entity = page.scene.tx, page.scene, page.hub.canonical.entities[page.mapping.entity]
    references = {ref for each in mapped.values() for ref in each.references.values() if ref is not None}
    page.parents = tx.entity_ids(page.connection.name, references) if references else {}
    here = dict(news)
    known = {each: page.heads[each] for each in here if each in page.heads}
    fresh = [record for each, record in here.items() if each not in known]
    if fresh and not page.first_load:
        names = [each for each in here if each not in known]
        page.buried = tx.tombstones(page.connection.name, page.mapping.name, names)
    page.keys = {id(r): keys_of(entity, mapped[id(r)].values) for r in fresh if id(r) in mapped}
    keys = {(name, value) for each in page.keys.values() for name, value, _ in each}
    found = tx.find_by_keys(entity.name, keys, keep=not scene.hopeful) if keys else {}
    if scene.hopeful and keys:
        scene.hoped.append((entity.name, keys, found))
    page.owners = found
    page.moved = moved_ids([record for _, record in news], known)
    page.ruled = rulings_on(page, [each for each in here if each not in known])
    marks = (page.hub.entity_of_marker(record.marker) for record in fresh)
    marked = {entity_id for entity_id in marks if entity_id is not None}
    scene.load({head.entity_id for head in known.values()})
    scene.load({each for group in found.values() for each in group} | marked)
    page.links = {each: scene.links[head.id] for each, head in known.items()}
    page.names = other_names(page, [(page.links[each], mapped.get(id(here[each]))) for each in known])
    wanted = [link.id for link in scene.links.values() if link.state == LinkState.WANTED]
    if wanted:
        page.intents |= tx.intents_for(wanted)


def _take_record(page: PageContext, external_id: str, record: SourceRecord, mapped: MappedRecord | None) -> None:
    link = page.links.get(external_id)
    if link is None:
        link = _link_of_newcomer(page, external_id, record, mapped)
        if link is None:
            return
        never_read = link.read_at is None and link.stamp is None and link.state in LIVING
        if never_read and mapped is not None:
            _observe(page, link, record, mapped)
            return
    if link.state == LinkState.DETACHED and not _belongs_again(page, link):
        page.counts["out_of_scope"] += 1
        return
    stale = "stale_reads" not in PLANTED and _is_stale(link, record, page.read_at)
    if stale and not may_go_back(page, link, record):
        page.counts["stale"] += 1
        return
    if mapped is not None and is_same_tick(page, link, record, mapped):
        return
    if record.op in ("delete", "archive", "merged_into"):
        take_gone(page, link, record)
        return
    if is_dead(page, link, record):
        return
    if mapped is not None:
        _observe(page, link, record, mapped)


def _link_of_newcomer(
    page: PageContext, external_id: str, record: SourceRecord, mapped: MappedRecord | None
) -> LinkRow | None:
    """The link of a record that had none, if it gets one."""
    if mapped is None:
        link = link_of_tombstone(page, record, external_id)
        if link is None:
            take_unknown(page, record, external_id)
            return None
    else:
        link = None if is_buried(page, record, external_id) else link_for(page, record, mapped, external_id)
    if link is not None:
        page.fresh.append(external_id)
        page.links[external_id] = link
        page.scene.link_index[page.connection.name, page.mapping.name, external_id] = link
    return link


def _belongs_again(page: PageContext, link: LinkRow) -> bool:
    """True for a link that was cut when its entity left the scope, if it is in it again."""
    root = page.scene.root_of[link.entity_id]
    if not page.mapping.in_scope(page.scene.values(root)):
        return False
    link.state = LinkState.LIVE
    page.scene.touch_all(root)
    return True


def _is_stale(link: LinkRow, record: SourceRecord, read_at: float) -> bool:
    """A read older than what was accepted changes nothing (law L5)."""
    if record.stamp is not None and link.stamp is not None:
        return record.stamp < link.stamp
    return link.read_at is not None and read_at < link.read_at


# What does it say


def _observe(page: PageContext, link: LinkRow, record: SourceRecord, mapped: MappedRecord) -> None:
    """Take in one record's fields."""
    scene = page.scene
    root = scene.root_of[link.entity_id]
    first = not scene.cells(link.id)
    shown: Mapping[str, Json] = with_references(page, link, mapped) if mapped.references else mapped.values
    intent = page.intents.get(link.id) if link.state != GONE else settle_later(page, link)
    unsettled = False
    if intent is not None and intent.state in ("open", "acked") and "no_settle" not in PLANTED:
        early_s = early_s_of(page, link, record) if link.hash is None else 0.0
        answered = intent.id in page.answers
        if answered and tells_all(intent, shown):
            close_landed(scene, link, intent, stored_by(page, intent, shown), read_at=page.read_at)
        elif answered or settle_intent(page, link, intent, shown, record):  # (an answer in part: the next read tells)
            unsettled = True
            shown = {name: value for name, value in shown.items() if name not in intent.values}
            last = scene.now if answered else intent.last_possible or scene.now
            due_at = last + page.stream.fetch_lag_s + page.stream.stamp_tick_s + 1.0
            page.hints.append(
                (link.connection, page.mapping.source, record.external_id, None, due_at, "a write to settle")
            )
        elif early_s > 0.0:  # it was read otherwise, under this very stamp, when nothing could be settled by it
            put_off(page, link, record, early_s)
    if "poison_stops_page" in PLANTED and mapped.faults:
        raise RecordRejected("a value cannot be read", where=record.external_id)
    window = _window(page, link, record, mapped)
    cells, edits = None, 0
    if not (first and intent is None and _observe_first(page, link, root, shown, window)):
        cells = scene.cells_to_change(link.id)
        for name, value in shown.items():
            if name in page.kinds:
                edits += _observe_field(page, link, root, cells, name, value, window)
    _accept_read(
        page, link, record, cells, waits=unsettled or (bool(mapped.references) and len(shown) < _expected(mapped))
    )
    if edits and not first:
        contest(page, root, link)
    page.counts["new" if first else ("changed" if edits else "unchanged")] += 1
    fine = [*shown, ""]
    if mapped.faults:
        quarantine_cells(page, link, mapped)
        faulty = {fault.field for fault in mapped.faults}
        fine = [name for name in fine if name not in faulty]
    if (known := page.mended.setdefault(link.external_id or "", fine)) is not fine:
        known += fine


def _observe_first(page: PageContext, link: LinkRow, root: int, shown: Mapping[str, Json], window: Window) -> bool:
    """Take in a record that was never read, in one go where its shape allows; False where it goes field by field."""
    scene = page.scene
    if link.id in page.held_items or link.state in SILENT or page.dropped or "no_shadow" in PLANTED:
        return False
    found = first_held(page.kinds, page.odd_kinds, shown)
    if found is None:
        return False
    held, filled = found
    if not scene.is_new(root):
        for name in _odd(page, link, root, shown, filled):
            del held[name]
            filled = [each for each in filled if each != name]
    known = link.external_id in page.known_keys and page.keys_by_value
    own = first_claim(link.id, window.before, scene.version if held else NO_VERSION)
    scene.first_contact(link, held, filled, own, rekey=not known)
    return True


def _odd(page: PageContext, link: LinkRow, root: int, shown: Mapping[str, Json], filled: Sequence[str]) -> list[str]:
    """Fields that a guard keeps back of a record that was never read."""
    values = page.scene.values(root)
    if not values:
        return []
    if not page.released and [*map(shown.get, filled)] == [*map(values.get, filled)]:
        page.alike += filled
        return []
    marks, found = page.matched_marks, []
    for name, value in shown.items():
        if value is None or (stands := values.get(name)) is None or name not in marks:
            continue
        if value == stands and value and not (page.released and (link.id, name) in page.released):
            if value.__class__ is not dict or not is_empty(value):
                page.alike.append(name)
        elif (link.id, name) not in page.released and _is_odd_first_contact(page, link, name, value):
            found.append(name)
    return found


def _expected(mapped: MappedRecord) -> int:
    return len(mapped.values) + len(mapped.references)


def _observe_field(
    page: PageContext, link: LinkRow, root: int, cells: Cells, name: str, value: Json, window: Window
) -> int:
    scene, declared = page.scene, page.mapping.entity_type.fields[name]
    old = cells.get(name)
    if (link.id, name) not in page.released and is_held(page, link, name, old, value):
        return 0
    cell, edited = observe_cell(
        declared, old, value, link=link.id, window=window, version=scene.version,
        erases=erases(page.mapping, name, page.connection.name, page.connection.connector.name),
    )  # fmt: skip
    if (link.id, name) in page.dropped and edited:
        cell, edited = type(cell)(held=cell.held), False  # refused by a person: it is put back there
    if "no_shadow" in PLANTED:
        cells.pop(name, None)
    else:
        cells[name] = cell
    if edited:
        scene.touch(root, name)
    elif cell != old and "no_recheck" not in PLANTED:
        scene.recheck(root, name)
    return int(edited)


def _accept_read(
    page: PageContext, link: LinkRow, record: SourceRecord, cells: Mapping[str, Cell] | None, *, waits: bool
) -> None:
    """The read counts: cells (None: taken in already), stamp, time, content."""
    link.stamp = record.stamp if record.stamp is not None else link.stamp
    link.read_at = max(link.read_at or 0.0, page.read_at)
    body = body_of(page, record)
    link.hash = None if waits or link.id in page.held_items else content_hash(record, body)
    link.raw = packed(body)
    link.mapping_version = page.connection.mapping_version
    if link.state in SILENT:
        if link.state == LinkState.MERGED_INTO:
            page.scene.findings.parted.append(link)
        if "no_restore" not in PLANTED:
            revive(page, link)
    if cells is not None:
        page.scene.set_cells(link.id, cells)


def _window(page: PageContext, link: LinkRow, record: SourceRecord, mapped: MappedRecord) -> Window:
    """When the edits that this read shows were made, by the hub's clock (design.md §4 rule 1)."""
    if mapped.acted_at is not None:
        return Window(after=mapped.acted_at, before=mapped.acted_at)
    stamp = None
    if record.stamp is not None and page.offset is not None:
        stamp = record.stamp - page.offset + page.stream.stamp_tick_s + STAMP_SLACK_S
    if "vendor_clock" in PLANTED and record.stamp is not None:
        return Window(after=record.stamp - 1.0, before=record.stamp)
    return Window.of_read(last_known=page.last_known(link), read_at=page.read_at, stamp=stamp)


# Guards


def is_held(page: PageContext, link: LinkRow, name: str, old: Cell | None, value: Json) -> bool:
    """True if a guard keeps this cell back: it joins a hold, neither merged nor corrected until a person decides."""
    if any(held == name for held, _ in page.held_items.get(link.id, ())):
        return True
    declared = page.mapping.entity_type.fields[name]
    if old is None:
        return _is_odd_first_contact(page, link, name, value)
    if old.held == value:
        return False
    for guard in cell_guards(declared, old.held, value):
        mark = hashlib.sha1(orjson.dumps(value), usedforsecurity=False).hexdigest() if guard == "one_value" else ""
        page.tally[guard, name, mark] += 1
        count, bound = page.tally[guard, name, mark], page.hub.guards[guard]
        if count > bound.over and count > allowance(bound, live_links(page)):  # counting links is not for every edit
            page.held_back.setdefault((guard, name), []).append(link.id)
            page.counts["held_cells"] += 1
            return True
    return False


def _is_odd_first_contact(page: PageContext, link: LinkRow, name: str, value: Json) -> bool:
    """True if this field differs in most of the records that were matched: a wrong mapping, not so many conflicts."""
    stands = page.scene.value(page.scene.root_of[link.entity_id], name)
    if is_empty(stands) or is_empty(value):
        return False
    page.tally[page.matched_marks[name]] += 1
    if value == stands or same(page.mapping.entity_type.fields[name], value, stands):
        return False
    page.tally_alike()
    guard = ("first_contact", name, page.mapping.name)
    page.tally[guard] += 1
    if not exceeds(page.hub.guards["first_contact"], page.tally[guard], page.tally[page.matched_marks[name]]):
        return False
    page.held_back.setdefault(("first_contact", name), []).append(link.id)
    page.counts["held_cells"] += 1
    return True


# Reviews


def _fault_of_page(page: PageContext, fault: Mapping[str, str]) -> None:
    """A row that could not even be read (a malformed CSV line); the rest of the page goes on."""
    page.counts["quarantined"] += 1
    page.quarantine.append(
        quarantine_row(
            page, fault["external_id"], "", fault["code"], fault["message"], fault["fix"], fault.get("value")
        )
    )


def store_reviews(page: PageContext) -> None:
    """Quarantine and hints of this page, in its transaction."""
    tx, name, stream = page.scene.tx, page.connection.name, page.mapping.name
    tx.mend_quarantine(name, stream, "in", page.mended)
    if "no_quarantine" not in PLANTED:
        tx.add_quarantine(page.quarantine)
    tx.add_hints(page.hints)
    wake(page)
    tx.add_tombstones(page.tombstones)


def store_holds(page: PageContext) -> None:
    """What guards keep back, once the links that it hangs on are stored."""
    tx, name, stream = page.scene.tx, page.connection.name, page.mapping.name
    for (guard, field_name), links in page.held_back.items():
        hold_id = tx.join_hold(
            guard=guard, connection=name, stream=stream, field=field_name, count=len(links), of=live_links(page),
            at=page.scene.now, run_id=page.scene.run_id, message=_hold_message(guard, field_name, stream),
        )  # fmt: skip
        tx.add_hold_items(hold_id, [(link_id, field_name) for link_id in links])


def _hold_message(guard: str, field_name: str, stream: str) -> str:
    what = {
        "deletes": "records of {stream} deleted at once",
        "blanks": "{field} of {stream} emptied in many records at once",
        "one_value": "one value takes over {field} of {stream}",
        "consent_flips": "{field} of {stream} flips in many records at once",
        "owner_changes": "{field} of {stream} changes in many records at once",
        "first_contact": "{field} of {stream} differs in most of the records that were matched",
        "rolled_back": "records of {stream} are older at the system than they were: it was put back to a backup",
    }[guard]
    return what.format(field=field_name, stream=stream)
