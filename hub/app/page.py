"""What the parts of taking in a page share: the page itself, the marks of a record, a row for the quarantine."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from hub.app.context import Connection, Hub
from hub.app.pairs import RecordRuling
from hub.app.scene import Scene
from hub.connector import Stream
from hub.core.first import kinds_of, odd_kinds
from hub.core.mapping import StreamMapping
from hub.model import LONG_AGO, Intent, Json, LinkRow, MappedRecord, QuarantineRow, SourceRecord
from hub.store.links import LinkHead
from hub.store.rows import TombstoneRow

SMALL_BYTES = 2048
RECORD = "*"  # as a field that is held: the record, neither read nor written


@dataclass(slots=True, kw_only=True)
class PageContext:
    """What is the same for every record of one page."""

    hub: Hub
    connection: Connection
    mapping: StreamMapping
    stream: Stream
    scene: Scene
    read_at: float  # by the hub's clock, when the read began
    offset: float | None  # vendor's clock minus the hub's; None: unknown, stamps cannot shrink windows
    known_since: float | None  # start of the stream's last complete pull less its look-back
    first_load: bool
    lag_s: float = 0.0  # how old what was read may be
    by_id: bool = False  # read by id, or answered: as fresh as the vendor has it
    released: frozenset[tuple[int, str]] = frozenset()  # (link, field) that a person let through a guard
    dropped: frozenset[tuple[int, str]] = frozenset()  # (link, field) that a person refused
    answers: frozenset[int] = frozenset()  # intents that these records answer: what they hold is what our write left
    counts: Counter[str] = field(default_factory=Counter)
    quarantine: list[QuarantineRow] = field(default_factory=list)
    mended: dict[str, list[str]] = field(default_factory=dict)  # external id -> fields that are fine (again)
    hints: list[tuple[str, str, str, float | None, float, str]] = field(default_factory=list)
    waited: Mapping[str, int] = field(default_factory=dict)  # external id -> how often it was read to find its parent
    fresh: list[str] = field(default_factory=list)  # external ids that had no link before
    shown_until: float | None = None  # what `known_since` says, or the cursor where this read is none of the stream
    tombstones: list[TombstoneRow] = field(default_factory=list)
    buried: Mapping[str, TombstoneRow] = field(default_factory=dict)  # external id -> proof, for records without a link
    held_back: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # (guard, field) -> links
    held_items: Mapping[int, set[tuple[str, int]]] = field(default_factory=dict)
    tally: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # (guard, field, value digest) in this run
    heads: Mapping[str, LinkHead] = field(default_factory=dict)  # external id -> what tells whether it is news
    links: dict[str, LinkRow] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)  # id of a record -> its canonical JSON
    intents: dict[int, Intent] = field(default_factory=dict)
    parents: Mapping[tuple[str, str], int] = field(default_factory=dict)
    owners: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)  # key -> entities of the store
    ruled: Mapping[str, Sequence[RecordRuling]] = field(default_factory=dict)  # external id -> what people said of it
    moved: Mapping[str, Sequence[int]] = field(default_factory=dict)  # new id -> links of the ids merged into it
    names: Mapping[int, int] = field(default_factory=dict)  # entity -> root, for references that changed their name
    keys: dict[int, list[tuple[str, str, str]]] = field(default_factory=dict)  # id of an unlinked record -> its keys
    known_keys: set[str] = field(default_factory=set)  # external ids whose keys the store knows as their entity's
    alike: list[str] = field(default_factory=list)  # fields that agreed at first contact, not in `tally` yet
    kinds: dict[str, str] = field(init=False)  # field that is read -> its kind, in the order of names
    odd_kinds: tuple[tuple[str, str], ...] = field(init=False)
    matched_marks: dict[str, tuple[str, str, str]] = field(init=False)  # field -> its counter in `tally`
    keys_by_value: bool = field(init=False)  # no key of the entity type looks at a reference

    def __post_init__(self) -> None:
        entity, stream = self.mapping.entity_type, self.mapping.name
        self.kinds = kinds_of(entity.fields, self.mapping.in_fields)
        self.odd_kinds = odd_kinds(self.kinds)
        self.matched_marks = {name: ("matched", name, stream) for name in self.kinds}
        on = [entity.field_of(path) for key in entity.keys for path in key.on]
        self.keys_by_value = all(each is None or each.kind != "ref" for each in on)

    def tally_alike(self) -> None:
        """Count what agreed since this was last asked: names are quickly kept, and counted when somebody compares."""
        for name, many in Counter(self.alike).items():
            self.tally[self.matched_marks[name]] += many
        self.alike.clear()

    def last_known(self, link: LinkRow) -> float:
        """Until then the record was certainly there, and as its link has it; by the hub's clock.

        What a complete pull did not show had not changed when the pull began, its look-back aside: that counts for
        records that are read by id, too. Else an edit made this minute would pass for one as old as the last change.
        """
        if self.shown_until is None:
            since = self.known_since
            if since is None:
                state = self.scene.tx.cursor(self.connection.name, self.mapping.source) or {}
                since = (state.get("since") or LONG_AGO) - self.stream.lookback_s
            self.shown_until = max(since, LONG_AGO)
        return self.shown_until if link.read_at is None else max(link.read_at, self.shown_until)


def canonical_json(record: SourceRecord) -> bytes:
    """Sorted, so that the order of keys says nothing.

    What strict JSON has no place for (half a surrogate, a number of forty digits) is written as Python's reader takes
    it: such a value is refused where its field is read, and its record is kept and compared like any other.
    """
    try:
        return orjson.dumps(record.data, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(record.data, sort_keys=True, separators=(",", ":"), default=str).encode()


def body_of(page: PageContext, record: SourceRecord) -> bytes:
    """A record's canonical JSON, made once."""
    found = page.bodies.get(id(record))
    if found is None:
        found = page.bodies[id(record)] = canonical_json(record)
    return found


def content_hash(record: SourceRecord, body: bytes | None = None) -> str:
    """Of canonical JSON (`body`, where it is at hand)."""
    told = UPSERT if record.op == "upsert" and record.merged_into is None else _told_of(record)
    return hashlib.blake2b((canonical_json(record) if body is None else body) + told, digest_size=12).hexdigest()


def _told_of(record: SourceRecord) -> bytes:
    return f"{record.op}{record.merged_into}".encode()


UPSERT = _told_of(SourceRecord(external_id="", data={}))


def packed(body: bytes) -> bytes:
    """Canonical JSON as a link keeps it. A small one is kept as it is: packing it costs more than it saves."""
    return body if len(body) < SMALL_BYTES else zlib.compress(body, 1)


def unpacked(raw: bytes) -> Json:
    """The record behind `packed`."""
    body = raw if raw.startswith(b"{") else zlib.decompress(raw)  # a packed one starts with an x
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:  # see canonical_json
        return json.loads(body)


def stored_record(link: LinkRow) -> SourceRecord:
    """The record as it was last accepted; without data if none was kept."""
    data = unpacked(link.raw) if link.raw is not None else {}
    return SourceRecord(external_id=link.external_id or "", data=data, stamp=link.stamp)


def quarantine_row(
    page: PageContext, external_id: str, name: str, code: str, message: str, fix: str, value: Json
) -> QuarantineRow:
    return QuarantineRow(
        connection=page.connection.name, stream=page.mapping.name, external_id=external_id, field=name, direction="in",
        code=code, message=message, fix=fix, value=value, at=page.scene.now, run_id=page.scene.run_id,
    )  # fmt: skip


def quarantine_cells(page: PageContext, link: LinkRow, mapped: MappedRecord) -> None:
    """What of a record could not be read."""
    for fault in mapped.faults:
        page.counts["faulty_cells"] += 1
        page.quarantine.append(
            quarantine_row(page, link.external_id or "", fault.field, fault.code, fault.message, fault.fix, fault.value)
        )


def live_links(page: PageContext) -> int:
    key = ("live", page.mapping.name, "")
    if key not in page.tally:
        page.tally[key] = page.scene.tx.count_links(page.connection.name, page.mapping.name).get("live", 0)
    return page.tally[key]
