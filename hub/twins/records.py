"""One vendor's store: streams of records with history, indexes, and views of the past.

Invariant: every change leaves a `Change` in its record's history, so a reader that the vendor shows an older state
(late commit, lagging search index, stale replica) is shown a state that really existed.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = Any
Fields = dict[str, Json]


class Clock(Protocol):
    """Where a twin takes its time from."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""


@dataclass(slots=True, kw_only=True)
class Change:
    """One write to one record: enough to undo it for a reader who must not see it yet."""

    at: float  # the record's modified stamp after this change
    by: str  # "api", "user:<id>", "system"
    kind: str  # create | update | delete | restore | merge
    changed: dict[str, tuple[Json, Json]]  # field -> (old, new); an absent old value is None
    visible_at: float  # readers see it from here on (long transactions commit late)
    index_at: float  # the search index has it from here on
    modified_before: float  # the record's modified stamp before this change
    merged_into_before: str | None = None


@dataclass(slots=True, kw_only=True)
class Record:
    """One row of a vendor. `fields` uses the vendor's own names; ids, stamps and flags live beside them."""

    stream: str
    id: str
    fields: Fields
    created: float
    modified: float
    deleted: bool = False
    merged_into: str | None = None
    by: str = "load"  # who made the newest change
    created_by: str = "load"
    version: int = 1
    visible_at: float = 0.0
    index_at: float = 0.0
    history: list[Change] = field(default_factory=list)


class Delays(Protocol):
    """How long a write stays unseen, in seconds; asked once per write."""

    def late_visible(self) -> float: ...

    def index_lag(self) -> float: ...


class RecordNotFound(KeyError):
    """No such row in the stream, deleted or not."""


class Rollback(Exception):
    """Raised inside a transaction to undo it; never leaves it."""


def id_order(record_id: str) -> tuple[int, str]:
    """Sort key that puts "9" before "10" and leaves ids of equal length in text order."""
    return (len(record_id), record_id)


class Records:
    """Thread-safe: each method holds `lock`, which a caller may hold around several of them."""

    def __init__(
        self,
        clock: Clock,
        *,
        delays: Delays | None = None,
        stamp: Callable[[float], float] = float,
        on_change: Callable[[Record, Change], None] | None = None,
    ) -> None:
        """`stamp` cuts a time to the vendor's granularity; `on_change` is told of each change, under the lock."""
        self.lock = threading.RLock()
        self._clock = clock
        self._delays = delays
        self._stamp = stamp
        self._on_change = on_change
        self._rows: dict[str, dict[str, Record]] = {}
        self._ids: dict[str, list[tuple[int, str]]] = {}
        self._by_time: dict[str, list[tuple[float, int, str]]] = {}
        self._keys: dict[tuple[str, str], Callable[[Fields], Iterable[str]]] = {}
        self._index: dict[tuple[str, str], dict[str, dict[str, None]]] = {}
        self._open: list[tuple[Record, Change]] | None = None  # changes of the transaction under way
        self.writes = 0  # rises with every change, so that a search can tell if its result still holds
        self.settled_at = 0.0  # from here on every write so far is visible everywhere

    # --- reading -----------------------------------------------------------------------------------------------

    def get(self, stream: str, record_id: str) -> Record:
        """The row as stored, deleted or not. Raises RecordNotFound."""
        try:
            return self._rows[stream][record_id]
        except KeyError:
            raise RecordNotFound(f"{stream} {record_id}") from None

    def find(self, stream: str, record_id: str) -> Record | None:
        return self._rows.get(stream, {}).get(record_id)

    def all(self, stream: str) -> list[Record]:
        """Every row, deleted ones too, in order of id."""
        with self.lock:
            rows = self._rows.get(stream, {})
            return [rows[record_id] for _, record_id in self._ids.get(stream, ())]

    def count(self, stream: str) -> int:
        return len(self._rows.get(stream, ()))

    def last_id(self, stream: str) -> str | None:
        """The greatest id in the stream."""
        ids = self._ids.get(stream)
        return ids[-1][1] if ids else None

    def after(self, stream: str, record_id: str | None) -> Iterator[Record]:
        """Rows with an id greater than `record_id` (or all), in order of id."""
        rows, ids = self._rows.get(stream, {}), self._ids.get(stream, [])
        start = 0 if record_id is None else bisect_right(ids, id_order(record_id))
        for position in range(start, len(ids)):
            yield rows[ids[position][1]]

    def before(self, stream: str, record_id: str | None) -> Iterator[Record]:
        """Rows with an id smaller than `record_id` (or all), greatest id first."""
        rows, ids = self._rows.get(stream, {}), self._ids.get(stream, [])
        end = len(ids) if record_id is None else bisect_left(ids, id_order(record_id))
        for position in range(end - 1, -1, -1):
            yield rows[ids[position][1]]

    def since(self, stream: str, at: float, until: float | None = None) -> list[Record]:
        """Rows with `at` <= modified < `until`, by (modified, id)."""
        with self.lock:
            rows, times = self._rows.get(stream, {}), self._by_time.get(stream, [])
            start = bisect_left(times, (at, -1, ""))
            end = len(times) if until is None else bisect_left(times, (until, -1, ""))
            return [rows[record_id] for _, _, record_id in times[start:end]]

    def add_index(self, stream: str, name: str, keys: Callable[[Fields], Iterable[str]]) -> None:
        """Keep rows findable by a value: `keys` gives the values under which a row is filed."""
        with self.lock:
            self._keys[stream, name] = keys
            entries = self._index[stream, name] = {}
            for record in self._rows.get(stream, {}).values():
                for key in keys(record.fields):
                    entries.setdefault(key, {})[record.id] = None

    def lookup(self, stream: str, name: str, value: str, *, deleted: bool = False) -> list[Record]:
        """Rows filed under `value` in the index `name`; rows in the bin only if asked."""
        with self.lock:
            found = self._index[stream, name].get(value, {})
            rows = [self._rows[stream][record_id] for record_id in found]
            return [row for row in rows if deleted or not row.deleted]

    def seen(self, record: Record, *, now: float, lag_s: float = 0.0, index: bool = False) -> Record | None:
        """The record as a reader sees it at `now`: a copy of an older state, or None if it is not there yet.

        Args:
            lag_s: age of the replica the reader was sent to.
            index: the reader asks the search index, which has its own delay.
        """
        hidden = 0
        for change in reversed(record.history):
            late = change.visible_at > now or (index and change.index_at > now)
            if not late and (lag_s <= 0 or change.at <= now - lag_s):
                break
            if change.kind == "create":
                return None
            hidden += 1
        return _undone(record, hidden) if hidden else record

    # --- writing -----------------------------------------------------------------------------------------------

    def create(
        self,
        stream: str,
        fields: Fields,
        by: str = "api",
        id: str | None = None,
        *,
        created: float | None = None,
        modified: float | None = None,
    ) -> Record:
        """Add a row. Give `created` (and `modified`) to load history: then no Change is kept and nobody is told."""
        with self.lock:
            now = self._stamp(self._clock.now() if created is None else created)
            record = Record(
                stream=stream,
                id=id or self._next_id(stream),
                fields=dict(fields),
                created=now,
                modified=now if modified is None else self._stamp(modified),
                by=by,
                created_by=by,
            )
            if self.find(stream, record.id) is not None:
                raise ValueError(f"{stream} {record.id} exists")
            self._rows.setdefault(stream, {})[record.id] = record
            insort(self._ids.setdefault(stream, []), id_order(record.id))
            insort(self._by_time.setdefault(stream, []), _time_key(record))
            self._file(record, add=True)
            self.writes += 1
            if created is None:
                self._note(record, "create", by, {k: (None, v) for k, v in fields.items()}, before=now)
            return record

    def update(self, stream: str, record_id: str, fields: Fields, by: str = "api", *, touch: bool = True) -> Record:
        """Change fields. With `touch` the modified stamp moves even if no value differs."""
        with self.lock:
            record = self.get(stream, record_id)
            changed = {k: (record.fields.get(k), v) for k, v in fields.items() if record.fields.get(k) != v}
            if changed or touch:
                self._apply(record, "update", by, changed)
            return record

    def delete(self, stream: str, record_id: str, by: str = "api") -> Record:
        """Put a row into the bin: it stays readable to those who ask for deleted rows."""
        return self._flag(stream, record_id, by, kind="delete", deleted=True)

    def restore(self, stream: str, record_id: str, by: str = "api") -> Record:
        """Take a row out of the bin, same id; also undoes the losing side of a merge."""
        return self._flag(stream, record_id, by, kind="restore", deleted=False)

    def merge(self, stream: str, winner: str, loser: str, fields: Fields | None = None, by: str = "user:1") -> Record:
        """Bin `loser`, pointing at `winner`; give `winner` the `fields` it takes over. Returns the winner."""
        with self.lock:
            kept = self.update(stream, winner, fields or {}, by)
            self._flag(stream, loser, by, kind="merge", deleted=True, merged_into=winner)
            return kept

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside take effect together; raise Rollback inside to undo them (the caller sees no exception).

        Nobody is told of a change before its outermost transaction ends, so nothing undone is ever announced.
        """
        with self.lock:
            outer, self._open = self._open, []
            try:
                yield
            except Rollback:
                for record, change in reversed(self._open):
                    self._undo(record, change)
                self._open = []
            finally:
                done, self._open = self._open, outer
                for record, change in done or ():
                    self._tell(record, change)

    def purge(self, stream: str, record_id: str) -> None:
        """Remove a row without any trace, as an emptied recycle bin does."""
        with self.lock:
            record = self.get(stream, record_id)
            self.writes += 1
            self._file(record, add=False)
            self._ids[stream].remove(id_order(record_id))
            self._by_time[stream].remove(_time_key(record))
            del self._rows[stream][record_id]

    def clear(self) -> None:
        with self.lock:
            self.writes += 1
            for held in (self._rows, self._ids, self._by_time):
                held.clear()
            for entries in self._index.values():
                entries.clear()

    # --- inside ------------------------------------------------------------------------------------------------

    def _next_id(self, stream: str) -> str:
        return str(int(self.last_id(stream) or 0) + 1)

    def _flag(
        self, stream: str, record_id: str, by: str, *, kind: str, deleted: bool, merged_into: str | None = None
    ) -> Record:
        with self.lock:
            record = self.get(stream, record_id)
            merged_before, record.merged_into, record.deleted = record.merged_into, merged_into, deleted
            self._apply(record, kind, by, {}, merged_before)
            return record

    def _apply(
        self,
        record: Record,
        kind: str,
        by: str,
        changed: dict[str, tuple[Json, Json]],
        merged_before: str | None = None,
    ) -> None:
        self._file(record, add=False)
        times = self._by_time[record.stream]
        del times[bisect_left(times, _time_key(record))]
        before = record.modified
        record.fields = {**record.fields, **{name: new for name, (_, new) in changed.items()}}
        record.modified = self._stamp(self._clock.now())
        record.version += 1
        record.by = by
        insort(times, _time_key(record))
        self._file(record, add=True)
        self._note(record, kind, by, changed, before=before, merged_before=merged_before)

    def _note(
        self,
        record: Record,
        kind: str,
        by: str,
        changed: dict[str, tuple[Json, Json]],
        *,
        before: float,
        merged_before: str | None = None,
    ) -> None:
        now = self._clock.now()
        change = Change(
            at=record.modified,
            by=by,
            kind=kind,
            changed=changed,
            visible_at=now + (self._delays.late_visible() if self._delays else 0.0),
            index_at=now + (self._delays.index_lag() if self._delays else 0.0),
            modified_before=before,
            merged_into_before=merged_before,
        )
        record.history.append(change)
        record.visible_at, record.index_at = change.visible_at, change.index_at
        self.writes += 1
        self.settled_at = max(self.settled_at, change.visible_at, change.index_at)
        self._tell(record, change)

    def _tell(self, record: Record, change: Change) -> None:
        if self._open is not None:
            self._open.append((record, change))
        elif self._on_change is not None:
            self._on_change(record, change)

    def _undo(self, record: Record, change: Change) -> None:
        if change.kind == "create":
            self.purge(record.stream, record.id)
            return
        past = _undone(record, 1)
        self._file(record, add=False)
        times = self._by_time[record.stream]
        del times[bisect_left(times, _time_key(record))]
        for name in ("fields", "modified", "deleted", "merged_into", "version", "by", "history"):
            setattr(record, name, getattr(past, name))
        insort(times, _time_key(record))
        self._file(record, add=True)

    def _file(self, record: Record, *, add: bool) -> None:
        for (stream, name), keys in self._keys.items():
            if stream != record.stream:
                continue
            entries = self._index[stream, name]
            for key in keys(record.fields):
                if add:
                    entries.setdefault(key, {})[record.id] = None
                else:
                    entries.get(key, {}).pop(record.id, None)


def _time_key(record: Record) -> tuple[float, int, str]:
    return (record.modified, *id_order(record.id))


def _undone(record: Record, hidden: int) -> Record:
    """A copy of `record` without its last `hidden` changes."""
    past = Record(
        stream=record.stream,
        id=record.id,
        fields=dict(record.fields),
        created=record.created,
        modified=record.modified,
        deleted=record.deleted,
        merged_into=record.merged_into,
        by=record.by,
        created_by=record.created_by,
        version=record.version - hidden,
        history=record.history[: len(record.history) - hidden],
    )
    for change in reversed(record.history[-hidden:]):
        past.fields.update({name: old for name, (old, _) in change.changed.items()})
        past.modified = change.modified_before
        if change.kind in ("delete", "merge"):
            past.deleted, past.merged_into = False, change.merged_into_before
        elif change.kind == "restore":
            past.deleted, past.merged_into = True, change.merged_into_before
    past.by = past.history[-1].by if past.history else past.created_by
    return past
