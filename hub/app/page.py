"""What the parts of taking in a page share: the page itself, the marks of a record, a row for the quarantine."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from hub.app.context import Connection, Hub
from hub.app.pairs import RecordRuling
from hub.app.scene import Scene
from hub.connector import Stream
from hub.core.mapping import StreamMapping
from hub.model import Intent, Json, LinkRow, QuarantineRow, SourceRecord
from hub.store.links import LinkHead
from hub.store.rows import TombstoneRow


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
    mended: list[tuple[str, str]] = field(default_factory=list)  # (external id, field) fine again
    hints: list[tuple[str, str, str, float | None, float, str]] = field(default_factory=list)
    listed_since: float | None = None  # `known_since` as the cursor tells it, where this read is none of the stream
    tombstones: list[TombstoneRow] = field(default_factory=list)
    buried: Mapping[str, TombstoneRow] = field(default_factory=dict)  # external id -> proof, for records without a link
    held_back: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # (guard, field) -> links
    held_items: Mapping[int, set[tuple[str, int]]] = field(default_factory=dict)
    tally: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # (guard, field, value digest) in this run
    heads: Mapping[str, LinkHead] = field(default_factory=dict)  # external id -> what tells whether it is news
    links: dict[str, LinkRow] = field(default_factory=dict)
    intents: dict[int, Intent] = field(default_factory=dict)
    parents: Mapping[tuple[str, str], int] = field(default_factory=dict)
    owners: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)  # key -> entities of the store
    ruled: Mapping[str, Sequence[RecordRuling]] = field(default_factory=dict)  # external id -> what people said of it
    moved: Mapping[str, Sequence[int]] = field(default_factory=dict)  # new id -> links of the ids merged into it
    names: Mapping[int, int] = field(default_factory=dict)  # entity -> root, for references that changed their name


def content_hash(record: SourceRecord) -> str:
    """Of canonical JSON, so that key order says nothing."""
    body = orjson.dumps(record.data, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(body + record.op.encode() + str(record.merged_into).encode(), digest_size=12).hexdigest()


def stored_record(link: LinkRow) -> SourceRecord:
    """The record as it was last accepted; without data if none was kept."""
    data = orjson.loads(zlib.decompress(link.raw)) if link.raw is not None else {}
    return SourceRecord(external_id=link.external_id or "", data=data, stamp=link.stamp)


def quarantine_row(
    page: PageContext, external_id: str, name: str, code: str, message: str, fix: str, value: Json
) -> QuarantineRow:
    return QuarantineRow(
        connection=page.connection.name, stream=page.mapping.name, external_id=external_id, field=name, direction="in",
        code=code, message=message, fix=fix, value=value, at=page.scene.now, run_id=page.scene.run_id,
    )  # fmt: skip


def live_links(page: PageContext) -> int:
    key = ("live", page.mapping.name, "")
    if key not in page.tally:
        page.tally[key] = page.scene.tx.count_links(page.connection.name, page.mapping.name).get("live", 0)
    return page.tally[key]
