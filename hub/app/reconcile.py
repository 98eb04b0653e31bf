"""Anti-entropy: a system and the hub's picture of it, compared record by record, with as few calls as a listing takes.

The listing is read page by page and held against the links' content hashes; what differs is compared in canonical
terms, for a byte that nobody maps is no defect. Of the ids that were listed, eight bytes each are kept, in buckets, so
that links whose record was not listed are found in one walk over the links. Nothing is reported on the word of a
listing: each find is read by its id once more, and who cannot be read must be missing in a listing of all there is.

    missing   alive over there, and no link (or one that the hub takes for deleted)
    stale     a mapped field over there is not what the hub believes it to be
    ghost     the hub believes it to be there, and it is not

A repair is no path of its own: what was read is taken in like any page, under the same guards, and then written on.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hub.app.context import Connection, Hub
from hub.app.ingest import ingest_page
from hub.app.listings import Dict
from hub.app.page import content_hash
from hub.app.runs import ConnectionRun, Watch, connection_of, sync, unwatched
from hub.app.transact import commit
from hub.app.voices import SPEAKING
from hub.core.mapping import StreamMapping, external_id_of, keys_of, to_canonical
from hub.core.schedule import offset_of, slot_at
from hub.core.shadow import unpack_shadow
from hub.core.values import same
from hub.errors import HubError, NotFound, RetryLater
from hub.kit.paging import batches
from hub.model import LONG_AGO, Cell, Json, LinkState, MappedRecord, SourceRecord
from hub.runtime.process import owner_name
from hub.store import Tx
from hub.store.links import LinkHead

MISSING, STALE, GHOST = "missing", "stale", "ghost"
BUCKETS = 1024
PAGE = 1000
TRY_AGAIN_S = 6 * 3600.0  # after a comparison that failed
COLUMNS = ["kind", "stream", "external_id", "entity", "fields", "repaired"]
STREAM_COLUMNS = ["stream", "records", "links", "missing", "stale", "ghosts", "calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """One record of which the hub has a wrong picture."""

    kind: str
    stream: str  # the mapping's
    source: str
    external_id: str
    entity_id: int | None
    fields: tuple[str, ...]  # canonical fields that differ
    record: SourceRecord  # as it was read by its id


@dataclass(slots=True, kw_only=True)
class Comparison:
    """One mapping of one stream, compared."""

    mapping: StreamMapping
    records: int = 0
    links: int = 0
    calls: int = 0
    finds: list[Find] = field(default_factory=list)


def reconcile(
    hub: Hub, name: str, *, stream: str | None = None, repair: bool = False, owner: str = "", watch: Watch = unwatched
) -> Dict:
    """Read what is new, then compare a connection's streams with what the hub believes; perhaps repair.

    Args:
        stream: only this one.
        repair: take in what was found, and write on what follows from it.

    Returns:
        {"connection", "streams": one row per mapped stream, "finds": one row per record, "repaired": counts, "error"}

    Raises:
        NotFound: no such connection or stream. RetryLater: RUN-BUSY, another run holds the connection.
    """
    connection = connection_of(hub, name)
    sources = _sources(connection, stream)
    owner, found = owner or owner_name(), _Found()

    def compare(hub: Hub, runs: Mapping[str, ConnectionRun]) -> None:
        for run in runs.values():
            if not run.error:
                _compare(hub, connection, sources, run, found, repair=repair, watch=watch)

    runs = sync(hub, [name], owner=owner, kind="reconcile", push=False, watch=watch, finish=compare)
    if not runs:
        fix = "wait for it, or see: hub runs list"
        raise RetryLater("another run holds this connection", code="RUN-BUSY", where=name, fix=fix)
    if found.repaired:
        sync(hub, [name], owner=owner, kind="reconcile", pull=False, watch=watch)
    return {
        "connection": name,
        "streams": [_row(each) for each in found.comparisons],
        "finds": [
            _find_row(find, repaired=repair and (find.stream, find.external_id) not in found.left)
            for each in found.comparisons
            for find in each.finds
        ],
        "repaired": dict(found.repaired),
        "error": runs[0].error,
    }


@dataclass(slots=True)
class _Found:
    comparisons: list[Comparison] = field(default_factory=list)
    repaired: Counter[str] = field(default_factory=Counter)
    left: set[tuple[str, str]] = field(default_factory=set)  # (mapping's stream, external id) that a repair left wrong


def _sources(connection: Connection, stream: str | None) -> list[str]:
    known = list(connection.in_order())
    if stream is not None and stream not in known:
        raise NotFound(
            f"{connection.name} maps no stream {stream}", where=connection.name, fix=f"known are: {', '.join(known)}"
        )
    return known if stream is None else [stream]


def _compare(
    hub: Hub, connection: Connection, sources: Sequence[str], run: ConnectionRun, found: _Found, *, repair: bool,
    watch: Watch,
) -> None:  # fmt: skip
    _remember(hub, connection, tried=hub.clock.now())
    try:
        for source in sources:
            compared = compare_stream(hub, connection, source, watch=watch)
            found.comparisons += compared
            counts = Counter({f"found_{find.kind}": 0 for each in compared for find in each.finds})
            counts.update(f"found_{find.kind}" for each in compared for find in each.finds)
            if counts:
                run.add(source, "compare", counts)
            if repair:
                finds = [find for each in compared for find in each.finds]
                found.repaired += _repair(hub, connection, finds, run)
                found.left |= _still_wrong(hub, connection, finds)
    except HubError as error:
        run.error, run.code = str(error), error.code
        return
    if len(sources) == len(connection.in_order()):
        _remember(hub, connection, at=hub.clock.now(), found=sum(len(each.finds) for each in found.comparisons))


def _repair(hub: Hub, connection: Connection, finds: Sequence[Find], run: ConnectionRun) -> Counter[str]:
    """Ghosts first: a record that came under another id finds its place free."""
    counts: Counter[str] = Counter()
    for kind in (GHOST, STALE, MISSING):
        for part in batches([find for find in finds if find.kind == kind], PAGE):
            records = list({find.external_id: find.record for find in part}.values())
            counts += ingest_page(
                hub, connection, part[0].source, records, read_at=hub.clock.now(), run_id=run.run_id, tally=run.tally,
                by_id=True,
            )  # fmt: skip
    return counts


def _still_wrong(hub: Hub, connection: Connection, finds: Sequence[Find]) -> set[tuple[str, str]]:
    """What a repair did not mend: held by a guard, put off for a moment, or older than what the hub has seen."""
    left: set[tuple[str, str]] = set()
    for mapping in connection.mappings.values():
        for part in batches([find for find in finds if find.stream == mapping.name], PAGE):
            living = [find.record for find in part if find.kind != GHOST]
            with hub.store.reading() as tx:
                left |= {
                    (each.stream, each.external_id) for each in _classify(tx, connection, mapping, living, began=None)
                }
                heads = tx.link_heads(connection.name, mapping.name, [f.external_id for f in part if f.kind == GHOST])
            left |= {(mapping.name, name) for name, head in heads.items() if head.state in SPEAKING}
    return left


def _row(each: Comparison) -> Dict:
    kinds = Counter(find.kind for find in each.finds)
    return {
        "stream": each.mapping.name, "records": each.records, "links": each.links, "missing": kinds[MISSING],
        "stale": kinds[STALE], "ghosts": kinds[GHOST], "calls": each.calls,
    }  # fmt: skip


def _find_row(find: Find, *, repaired: bool) -> Dict:
    return {
        "kind": find.kind, "stream": find.stream, "external_id": find.external_id, "entity": find.entity_id,
        "fields": list(find.fields), "repaired": repaired,
    }  # fmt: skip


# The schedule


def _key(name: str) -> str:
    return f"compared:{name}"


def _remember(hub: Hub, connection: Connection, **news: Json) -> None:
    """When the whole connection was last compared, and when that was last tried."""

    def write(tx: Tx) -> None:
        tx.set_setting(_key(connection.name), {**(tx.setting(_key(connection.name)) or {}), **news})

    commit(hub, write)


def is_due(hub: Hub, connection: Connection) -> bool:
    """True if the connection's sweep has come: a slot of its own grid, so that not all are swept at once.

    A connection that was never compared was just listed whole; its first sweep is the next slot. One that failed is
    tried again after some hours, for it costs a whole listing each time.
    """
    now = hub.clock.now()
    slot = slot_at(connection.sweep_s, offset_of(connection.name, connection.sweep_s), now)
    with hub.store.reading() as tx:
        last: Json = tx.setting(_key(connection.name))
    if last is None or last.get("at") is None:
        _remember(hub, connection, at=now, found=0)
        return False
    return bool(last["at"] < slot and last.get("tried", LONG_AGO) + TRY_AGAIN_S <= now)


# Comparing


class _Ids:
    """Ids that were listed: eight bytes each, in buckets that are sorted once."""

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(BUCKETS)]
        self._sorted = False

    def add(self, external_id: str) -> None:
        digest = _digest(external_id)
        self._buckets[digest % BUCKETS].append(digest)

    def __contains__(self, external_id: str) -> bool:
        if not self._sorted:
            self._buckets = [array("Q", sorted(bucket)) for bucket in self._buckets]
            self._sorted = True
        digest = _digest(external_id)
        bucket = self._buckets[digest % BUCKETS]
        place = bisect_left(bucket, digest)
        return place < len(bucket) and bucket[place] == digest


def _digest(external_id: str) -> int:
    raw = external_id.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big")


def compare_stream(hub: Hub, connection: Connection, source: str, *, watch: Watch = unwatched) -> list[Comparison]:
    """One stream of a connection against the links of every mapping that reads it."""
    connection.require()
    before = Counter(connection.counts())
    compared = [Comparison(mapping=mapping) for mapping in connection.mappings_from(source)]
    listed = {each.mapping.name: _Ids() for each in compared}
    doubtful: dict[str, set[str]] = {each.mapping.name: set() for each in compared}  # ids of records, as the vendor has
    first_seen: dict[str, Find] = {}
    began, whole, rows = hub.clock.now(), False, 0
    for page_records, complete, since in _listing(connection, source):
        whole, rows = complete, rows + len(page_records)
        watch(connection.name, "compare", source, rows)
        for each in compared:
            with hub.store.reading() as tx:
                finds = _classify(tx, connection, each.mapping, page_records, began=since)
            each.records += len(page_records)
            doubtful[each.mapping.name] |= {find.record.external_id for find in finds}
            if connection.connector.fetch is None:
                first_seen |= {f"{each.mapping.name} {find.external_id}": find for find in finds}
            for record in page_records:
                listed[each.mapping.name].add(external_id_of(each.mapping, record) or "")
    for each in compared:
        missing = list(_unlisted(hub, connection, each, listed[each.mapping.name], began))
        each.finds = _confirmed(hub, connection, each, doubtful[each.mapping.name], missing, first_seen, whole=whole)
    calls = sum((Counter(connection.counts()) - before).values())
    if compared:
        compared[0].calls = calls
    return compared


def _listing(connection: Connection, source: str) -> Iterator[tuple[list[SourceRecord], bool, float | None]]:
    """Pages of living records, whether the listing is whole so far as known, and the vendor's time of its beginning."""
    cursor: Json = None
    since: float | None = None
    while True:
        page = connection.connector.pull(connection.api, source, cursor)
        since = page.read_at if since is None else since
        yield [record for record in page.records if record.op in ("upsert", "restore")], page.listing_complete, since
        if page.complete:
            return
        if page.next_cursor == cursor:
            raise RetryLater("the system repeats its cursor", code="CUR-LOOP", where=f"{connection.name}/{source}")
        cursor = page.next_cursor


def _classify(
    tx: Tx, connection: Connection, mapping: StreamMapping, records: Sequence[SourceRecord], *, began: float | None
) -> list[Find]:
    """Records of which the hub has no picture, or a wrong one; those edited since the listing began are left out."""
    named = {each: record for record in records if (each := external_id_of(mapping, record))}
    heads = tx.link_heads(connection.name, mapping.name, named)
    unlike = {
        each: record
        for each, record in named.items()
        if (each not in heads or heads[each].hash != content_hash(record))
        and not (began is not None and record.stamp is not None and record.stamp >= began)
    }
    waiting = tx.quarantined_cells(connection.name, mapping.name, "in", unlike) if unlike else set()
    mapped = {each: to_canonical(mapping, record) for each, record in unlike.items()}
    unknown = [
        each for each in unlike if each not in heads or heads[each].state in (LinkState.GONE, LinkState.NOT_VISIBLE)
    ]
    finds = [
        _find(MISSING, mapping, each, heads.get(each), unlike[each])
        for each in unknown
        if (each, "") not in waiting and _belongs(mapping, mapped[each])
    ]
    known = [each for each in unlike if each in heads and heads[each].state in SPEAKING]
    return finds + _stale(tx, mapping, {each: heads[each] for each in known}, mapped, waiting)


def _find(
    kind: str, mapping: StreamMapping, external_id: str, head: LinkHead | None, record: SourceRecord,
    fields: Iterable[str] = (),
) -> Find:  # fmt: skip
    return Find(
        kind=kind, stream=mapping.name, source=mapping.source, external_id=external_id,
        entity_id=head.entity_id if head else None, fields=tuple(fields), record=record,
    )  # fmt: skip


def _belongs(mapping: StreamMapping, mapped: MappedRecord) -> bool:
    """Records out of scope, and second readings without a key, are rightly without a link."""
    keyless = mapping.needs_key and not keys_of(mapping.entity_type, mapped.values)
    return mapping.in_scope(mapped.values) and not keyless


def _stale(
    tx: Tx, mapping: StreamMapping, heads: Mapping[str, LinkHead], mapped: Mapping[str, MappedRecord],
    waiting: set[tuple[str, str]],
) -> list[Find]:  # fmt: skip
    """Links that hold something else in a mapped field; what waits for a person, or for an answer, is none."""
    ids = [head.id for head in heads.values()]
    if not ids:
        return []
    links, busy, held = tx.links_by_ids(ids, raw=False), tx.intents_for(ids), tx.held_items(ids)
    named = {ref for each in heads for ref in mapped[each].references.values() if ref is not None}
    parents = tx.entity_ids(next(iter(links.values())).connection, named) if named else {}
    finds = []
    for external_id, head in heads.items():
        link = links.get(head.id)
        if link is None or head.id in busy:
            continue
        shown = dict(mapped[external_id].values)
        shown |= {name: parents.get(ref) for name, ref in mapped[external_id].references.items() if ref in parents}
        skipped = {name for name, _ in held.get(head.id, ())} | {name for each, name in waiting if each == external_id}
        unlike = _unlike(tx, mapping, shown, unpack_shadow(link.shadow), skipped)
        if unlike:
            finds.append(_find(STALE, mapping, external_id, head, mapped[external_id].source, unlike))
    return finds


def _unlike(
    tx: Tx, mapping: StreamMapping, shown: Mapping[str, Json], cells: Mapping[str, Cell], skipped: set[str]
) -> list[str]:
    fields, found = mapping.entity_type.fields, []
    for name, value in sorted(shown.items()):
        declared = fields[name]
        if declared.derived or name not in mapping.in_fields or name in skipped:
            continue
        held = cells[name].held if name in cells else None
        if declared.kind == "consent" and value is not None and value.get("state") not in ("opted_in", "opted_out"):
            value = None
        if declared.kind == "ref" and held is not None:
            held = tx.roots([held]).get(held, held)
        if not same(declared, value, held) and (value or None) != (held or None):
            found.append(name)
    return found


def _unlisted(hub: Hub, connection: Connection, each: Comparison, listed: _Ids, began: float) -> Iterator[LinkHead]:
    """Links whose record should have been in the listing, and was not."""
    after = ""
    while True:
        with hub.store.reading() as tx:
            heads = tx.heads_page(connection.name, each.mapping.name, after, PAGE)
        if not heads:
            return
        after = heads[-1].external_id
        each.links += sum(head.state in SPEAKING for head in heads)
        for head in heads:
            if head.state in SPEAKING and head.external_id not in listed and (head.read_at or 0.0) < began:
                yield head


def _confirmed(
    hub: Hub, connection: Connection, each: Comparison, doubtful: set[str], unlisted: Sequence[LinkHead],
    first_seen: Mapping[str, Find], *, whole: bool,
) -> list[Find]:  # fmt: skip
    """Only what a read by id says, too; where there is none, what a whole listing said."""
    mapping, fetch = each.mapping, connection.connector.fetch
    by_listing = [
        _find(GHOST, mapping, head.external_id, head, SourceRecord(external_id=head.external_id, data={}, op="delete"))
        for head in unlisted
        if whole
    ]
    if fetch is None:
        return [find for find in first_seen.values() if find.stream == mapping.name] + by_listing
    finds = [] if mapping.read_id is None else by_listing  # ids of a second reading are no ids of records
    lacking = {head.external_id for head in unlisted} if mapping.read_id is None else set()
    asked = sorted(doubtful | lacking)
    size = connection.stream_of(mapping).minimum.get("fetch", PAGE)
    for part in batches(asked, max(1, size)):
        records = {record.external_id: record for record in fetch(connection.api, mapping.source, part)}
        living = [record for record in records.values() if record.op in ("upsert", "restore")]
        with hub.store.reading() as tx:
            finds += _classify(tx, connection, mapping, living, began=None)
            gone = [name for name in part if _is_gone(records.get(name), name in lacking and whole)]
            heads = tx.link_heads(connection.name, mapping.name, gone)
        finds += [
            _find(GHOST, mapping, name, head, SourceRecord(external_id=name, data={}, op="delete"))
            for name, head in heads.items()
            if head.state in SPEAKING
        ]
    return finds


def _is_gone(record: SourceRecord | None, absent: bool) -> bool:
    """Said to be deleted; or unknown when asked for by its id, and missing in a listing of all there is."""
    return absent if record is None else record.op in ("delete", "archive")
