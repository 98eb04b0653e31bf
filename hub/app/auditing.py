"""`hub audit`: how good the data is, which system spoils it, and what to do, in the steps of a customer-data audit.

The store is read once, entity by entity with their records, in pages; duplicates come from `hub identity scan`. Nothing
is changed but the list of pairs, and each audit's figures are kept, so that the next one tells the difference. What the
figures mean and how they become findings: hub.app.audit_findings; where the bounds stand: hub.core.quality.

Invariant: the same store gives the same figures.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from heapq import heappush, heappushpop

from hub.app.context import Connection, Hub
from hub.app.listings import all_rows
from hub.app.page import stored_record
from hub.app.voices import SPEAKING
from hub.core.canonical import EntityType
from hub.core.mapping import StreamMapping, held_form
from hub.core.quality import Column, columns_of, invalid, is_odd, raw_value, shape, spent_field
from hub.core.values import is_blank, number_of
from hub.model import EntityRow, Json, LinkRow, LinkState
from hub.store import Tx

PAGE = 1000
EXAMPLES = 5  # entities named with a finding
SHAPES = 1000  # told apart per field
BEST = 25  # customers listed by name

Cell = tuple[str, str, str]  # connection, stream, name of a column
Watch = Callable[[str, str, str, int], None]
INVALID, BLANK = "invalid", "blank"
Seen = Callable[[str, str, str, str, str], None]  # connection, stream, external id, name of a column, one of these two


def nobody(*_: str) -> None:
    """Nobody asks which records it is."""


@dataclass(slots=True, kw_only=True)
class CellTally:
    """What was seen of one field of one stream."""

    entity: str  # type
    name: str  # canonical field
    where: str  # file:line of its rule
    filled: int = 0
    blank: int = 0
    differ: int = 0  # in another form than the field's
    invalid: int = 0  # read, and cannot be right
    refused: int = 0  # could not be read: in quarantine
    unread: int = 0  # something stands there that the hub has no value for (refused, or a word that says nothing)
    gaps: Counter[str] = field(default_factory=Counter)  # why the hub has a value and the system none -> how many
    reasons: Counter[str] = field(default_factory=Counter)  # why invalid
    shapes: Counter[str] = field(default_factory=Counter)  # of odd values
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # kind -> entities, records

    @property
    def odd(self) -> int:
        """Values that are not uniform. A system that has one form of its own for all of them is (days as moments)."""
        return 0 if self.differ == self.filled and len(self.shapes) == 1 else self.differ

    def note(self, kind: str, target: str) -> None:
        if len(self.examples[kind]) < EXAMPLES:
            self.examples[kind].append(target)


@dataclass(slots=True, kw_only=True)
class TypeTally:
    """What was seen of the entities of one type."""

    entities: int = 0
    cells: int = 0  # fields that some mapping reads, over all entities
    filled: Counter[str] = field(default_factory=Counter)  # per field
    used: tuple[str, ...] = ()  # fields that count
    spent: array[float] = field(default_factory=lambda: array("d"))  # per entity, where the type has such a field
    missing: array[int] = field(default_factory=lambda: array("i"))  # per entity: fields without a value
    flawed: array[int] = field(default_factory=lambda: array("i"))  # per entity: gaps and invalid values
    best: list[tuple[float, int, EntityRow, list[str], int]] = field(default_factory=list)  # heap of the best customers


@dataclass(slots=True, kw_only=True)
class Tally:
    """One walk over the store."""

    types: dict[str, TypeTally] = field(default_factory=dict)
    cells: dict[Cell, CellTally] = field(default_factory=dict)
    records: Counter[tuple[str, str]] = field(default_factory=Counter)  # (connection, stream) -> records that speak
    doubles: Counter[tuple[str, str]] = field(default_factory=Counter)  # of those: second records of one entity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stream:
    """A connection's mapping with what is looked at."""

    connection: Connection
    mapping: StreamMapping
    columns: tuple[Column, ...]


def measure(hub: Hub, *, watch: Watch = lambda *_: None, seen: Seen = nobody) -> Tally:
    """Count everything, once through the store. The numbers of a busy hub are of the minutes in which it was read.

    Args:
        seen: is told each value that cannot be right, and each that is not there, record by record.
    """
    tally = Tally()
    streams = {
        (connection.name, name): _Stream(connection=connection, mapping=mapping, columns=columns_of(mapping))
        for connection in hub.connections.values()
        for name, mapping in connection.mappings.items()
    }
    today = datetime.fromtimestamp(hub.clock.now(), UTC).date()
    for entity in hub.canonical.entities.values():
        walk = _Walk(hub=hub, tally=tally, streams=streams, today=today, entity=entity, told=seen)
        walk.all(watch)
    with hub.store.reading() as tx:
        _add_quarantine(tx, tally, seen)
    return tally


@dataclass(slots=True, kw_only=True)
class _Walk:
    """Over the entities of one type."""

    hub: Hub
    tally: Tally
    streams: Mapping[tuple[str, str], _Stream]
    today: date
    entity: EntityType
    told: Seen
    seen: TypeTally = field(default_factory=TypeTally)

    def all(self, watch: Watch) -> None:
        read = {
            column.declared.name: None
            for stream in self.streams.values()
            if stream.mapping.entity == self.entity.name
            for column in stream.columns
        }
        self.seen.used = tuple(name for name in self.entity.fields if name in read)
        after_id = 0
        while True:
            with self.hub.store.reading() as tx:
                rows = tx.entities_page(self.entity.name, after_id=after_id, limit=PAGE)
                if not rows:
                    break
                self._page(tx, [row for row in rows if row.state == "live"])
            after_id = rows[-1].id
            watch("audit", self.entity.name, "", self.seen.entities)
        if self.seen.entities:
            self.tally.types[self.entity.name] = self.seen

    def _page(self, tx: Tx, rows: list[EntityRow]) -> None:
        """One query for the aliases, one for the records, one for what is held back."""
        closures = tx.alias_closure([row.id for row in rows])
        root_of = {member: root for root, members in closures.items() for member in members}
        links: dict[int, list[LinkRow]] = defaultdict(list)
        for link in tx.links_of(root_of):
            if link.state in SPEAKING and link.external_id is not None:
                links[root_of[link.entity_id]].append(link)
        held_back = tx.held_items([link.id for each in links.values() for link in each])
        for row in rows:
            flaws = sum(self._record(row, link, held_back.get(link.id, set())) for link in links[row.id])
            self._entity(row, flaws)

    def _entity(self, row: EntityRow, flaws: int) -> None:
        seen = self.seen
        missing = [name for name in seen.used if is_blank(row.values.get(name))]
        seen.entities += 1
        seen.cells += len(seen.used)
        seen.filled.update(name for name in seen.used if name not in missing)
        name = spent_field(self.entity)
        if name:
            spent = _amount(self.entity, name, row.values.get(name))
            seen.spent.append(spent)
            seen.missing.append(len(missing))
            seen.flawed.append(flaws)
            if spent > 0:
                keep = heappush if len(seen.best) < BEST else heappushpop
                keep(seen.best, (spent, -row.id, row, missing, flaws))

    def _record(self, row: EntityRow, link: LinkRow, held_back: set[tuple[str, int]]) -> int:
        """Count one record's values; gives how many flaws it has."""
        stream = self.streams.get((link.connection, link.stream))
        if stream is None:
            return 0
        tally, key = self.tally, (link.connection, link.stream)
        tally.records[key] += 1
        tally.doubles[key] += link.state == LinkState.DUPLICATE
        held, data, flaws = link.shadow.get("held") or {}, stored_record(link).data, 0
        for column in stream.columns:
            cell, value = self._cell(stream, column), column.of(held)
            if value is not None:
                cell.filled += 1
                wrong = self._value(stream, column, cell, value, data, f"{row.type}:{row.id}")
                if wrong:
                    self.told(*key, link.external_id or "", column.name, INVALID)
                flaws += wrong
            elif not is_blank(raw_value(stream.mapping, column.reads, data)):
                cell.unread += 1
            else:
                cell.blank += 1
                self.told(*key, link.external_id or "", column.name, BLANK)
                flaws += self._blank(stream, column, cell, row, link, held_back)
        return flaws

    def _blank(
        self, stream: _Stream, column: Column, cell: CellTally, row: EntityRow, link: LinkRow,
        held_back: set[tuple[str, int]],
    ) -> int:  # fmt: skip
        """A gap, if the hub knows what should stand there."""
        if column.of(row.values) is None or link.state != LinkState.LIVE or stream.mapping.acts:
            return 0
        cell.gaps[_why_blank(stream, column, row, link, held_back)] += 1
        cell.note("gap", f"{row.type}:{row.id}")
        return 1

    def _value(
        self, stream: _Stream, column: Column, cell: CellTally, value: Json, data: Mapping[str, Json], target: str
    ) -> int:
        reason = invalid(column, value, self.today) if column.declared.kind != "ref" else ""
        if reason:
            cell.invalid += 1
            cell.reasons[reason.partition(":")[0]] += 1
            cell.note("invalid", target)
            return 1
        raw = raw_value(stream.mapping, column.reads, data)
        if is_odd(column, raw, value):
            cell.differ += 1
            form = shape(raw)
            if form in cell.shapes or len(cell.shapes) < SHAPES:
                cell.shapes[form] += 1
            cell.note("odd", target)
        return 0

    def _cell(self, stream: _Stream, column: Column) -> CellTally:
        key = (stream.connection.name, stream.mapping.name, column.name)
        found = self.tally.cells.get(key)
        if found is None:
            found = self.tally.cells[key] = CellTally(
                entity=self.entity.name, name=column.declared.name, where=column.reads.where
            )
        return found


def _amount(entity: EntityType, name: str, value: Json) -> float:
    """What was spent, in units of the currency that it is kept in."""
    kind = entity.fields[name].type
    currency = value["currency"] if isinstance(value, Mapping) else ""
    return float(number_of(kind, value, currency=currency) or 0)


def _why_blank(stream: _Stream, column: Column, row: EntityRow, link: LinkRow, held_back: set[tuple[str, int]]) -> str:
    """Why a value that the hub has does not stand there: a word of audit_findings.GAPS."""
    connection, mapping = stream.connection, stream.mapping
    if column.writes is None:
        return "reads_only"
    if connection.connector.push is None or "update" not in connection.stream_of(mapping).writes:
        return "no_way"
    if connection.mode == "observe":
        return "observe"
    if any(name in ("", column.declared.name) for name, _ in held_back):
        return "held_back"
    name = column.declared.name
    if column.of({name: held_form(mapping, name, row.values[name])}) is None:
        return "not_expressed"
    if connection.asks or link.behind_since is not None:
        return "asks" if connection.asks else "due"
    return "no_parent" if column.declared.kind == "ref" else "settled"


def _add_quarantine(tx: Tx, tally: Tally, seen: Seen) -> None:
    """Values that could not be read: the system holds them, and the hub could not take them."""
    for row in all_rows(lambda **page: tx.quarantine(direction="in", **page)):
        cell = tally.cells.get((row.connection, row.stream, row.field))
        if cell is not None:
            cell.refused += 1
            seen(row.connection, row.stream, row.external_id, row.field, INVALID)
            cell.reasons[row.message.partition(":")[0]] += 1
            cell.note("invalid", f"{row.connection}/{row.stream}/{row.external_id}")
