"""CSV files as a system: any table of a project, read whole, and written in place where that is allowed.

    hub.yaml, per stream: {file: data/people.csv, key: [Id], write: never | in_place, listing: partial | complete,
                           marker: Hub Id, encoding: cp1252, delimiter: ";"}

A record's id is its key, its data {column: cell} with every cell as text, its stamp the file's modification time, its
etag its own bytes. A row that cannot be trusted (columns, quotes, bytes, key) is a fault with its line; the others go
on. Rows that a write does not touch keep every byte, and in a row that it touches, every other cell does.

Invariant: all pages of one read come from one state of the file, and the file is replaced only in the state that was
read. What is in it is plain text: nothing is evaluated, and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from hub.connector import Connector, Field, FileDoor, FileSnapshot, Idempotency, Page, Settings, Stream
from hub.errors import ConfigFault, Fault, NeedsReview, PreconditionFailed
from hub.kit.tables import BadRow, Table, join_key, load_table, quote, split_row, unquote
from hub.model import ChangeSet, Json, PushResult, SourceRecord

PAGE_ROWS = 1000
MAX_BATCH = 1000  # rows of one rewriting of the file
SPEC_KEYS = ("file", "key", "write", "listing", "marker", "encoding", "delimiter")


# --- what hub.yaml says of a stream ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One stream, checked."""

    name: str
    file: str
    key: tuple[str, ...]  # columns that name a row together
    in_place: bool = False
    complete: bool = False  # the file lists all there is: a row that vanished is evidence
    marker: str = ""  # column that carries the hub's id
    encoding: str = ""  # "": by byte-order mark, else UTF-8
    delimiter: str = ""  # "": by the header


def specs_of(settings: Settings) -> Mapping[str, Spec]:
    """Every stream that a connection declares. Raises ConfigFault with all that is wrong."""
    faults: list[Fault] = []
    specs = {name: _spec(name, given, faults) for name, given in settings.streams.items()}
    if not specs:
        faults.append(
            _config("CSV-NO-STREAM", "streams", "names no file", "add `streams: {contacts: {file: …, key: [Id]}}`")
        )
    if faults:
        raise ConfigFault(faults)
    return specs


def _spec(name: str, given: Mapping[str, Json], faults: list[Fault]) -> Spec:
    def wrong(message: str, fix: str) -> None:
        faults.append(_config("CSV-STREAM", f"streams.{name}", message, fix))

    texts = {option: given.get(option) or "" for option in ("file", "marker", "encoding", "delimiter")}
    for option, value in texts.items():
        if not isinstance(value, str):
            wrong(f"`{option}` is no text", "write it in quotes")
            texts[option] = str(value)
    key = given.get("key")
    columns = [key] if isinstance(key, str) else key if isinstance(key, list | tuple) else []
    if not columns or not all(isinstance(column, str) and column for column in columns):
        wrong("`key` names no column", "name the column, or columns, that tell rows apart: `key: [Id]`")
    for option, known in (("write", ("never", "in_place")), ("listing", ("partial", "complete"))):
        if given.get(option, known[0]) not in known:
            wrong(f"`{option}` is neither {known[0]} nor {known[1]}", f"default: {known[0]}")
    for word in set(given) - set(SPEC_KEYS):  # others are the hub's own (every, sweep …)
        if near := get_close_matches(word, SPEC_KEYS, 1, 0.75):
            wrong(f"`{word}` means nothing", f"`{near[0]}`?")
    if not texts["file"]:
        wrong("`file` is missing", "name the file, relative to hub.yaml")
    if texts["delimiter"] and not _divides(texts["delimiter"]):
        wrong("`delimiter` is not one plain character", 'for example ";" or "\\t"')
    if not _knows_codec(texts["encoding"]):
        wrong("`encoding` is unknown", "for example utf-8 or cp1252")
    return Spec(
        name=name,
        key=tuple(str(column) for column in columns),
        in_place=given.get("write") == "in_place",
        complete=given.get("listing") == "complete",
        **texts,
    )


def _divides(delimiter: str) -> bool:
    return len(delimiter) == 1 and delimiter.isascii() and not delimiter.isalnum() and delimiter not in '"\r\n'


def _knows_codec(name: str) -> bool:
    try:
        return not name or "ab,\n".encode(name).decode(name) == "ab,\n"
    except (LookupError, UnicodeError):
        return False


def _config(code: str, where: str, message: str, fix: str) -> Fault:
    return Fault(code=code, where=where, message=message, fix=fix)


def streams_for(settings: Settings) -> Sequence[Stream]:
    """The streams of one connection; what may be written depends on its settings."""
    return [_stream(spec) for spec in specs_of(settings).values()]


def _stream(spec: Spec) -> Stream:
    writes = {"update", "create"} if spec.marker else {"update"}
    return Stream(
        name=spec.name,
        id_path=spec.key[0],
        cursor="snapshot",
        sorted=False,
        deletes="listing" if spec.complete else "absent",
        writes=frozenset(writes if spec.in_place else ()),
        max_batch=MAX_BATCH,
        precondition="etag" if spec.in_place else "none",
        idempotency=Idempotency.UNIQUE_REFERENCE if spec.marker else Idempotency.NONE,
        marker=spec.marker or None,
        page_size=PAGE_ROWS,
        minimum={"read": PAGE_ROWS, "write": MAX_BATCH, "fetch": MAX_BATCH},
    )


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Api:
    """A connection's files, and per stream the last state that was read: all pages of a read come from it."""

    files: FileDoor
    specs: Mapping[str, Spec]
    tables: dict[str, Table] = field(default_factory=dict)

    def read(self, stream: str) -> FileSnapshot:
        """The file as it is now. Raises ConfigFault."""
        spec = self.specs[stream]
        return self.files.read(spec.file, encoding=spec.encoding, delimiter=spec.delimiter)

    def table(self, stream: str, read: FileSnapshot | None = None) -> Table:
        """The file as a table. Raises ConfigFault."""
        spec, read = self.specs[stream], read or self.read(stream)
        known = self.tables.get(stream)
        if known is None or known.read.digest != read.digest or known.read.modified_at != read.modified_at:
            known = load_table(read, spec.key, also=[spec.marker] if spec.marker else ())
            self.tables[stream] = known
        return known


def connect(files: FileDoor, settings: Settings) -> Api:
    return Api(files, specs_of(settings))


def check(api: Api) -> Mapping[str, Json]:
    """Read every file once. Raises ConfigFault with all that is wrong."""
    faults: list[Fault] = []
    warnings: list[str] = []
    for name, spec in api.specs.items():
        try:
            table = api.table(name)
        except ConfigFault as error:
            faults.extend(error.faults)
        else:
            warnings += [_told(spec, bad)["message"] for bad in table.bad[:5]]
    if faults:
        raise ConfigFault(faults)
    return {"account": "files", "name": ", ".join(spec.file for spec in api.specs.values()), "warnings": warnings}


def discover(api: Api, stream: str) -> Sequence[Field]:
    """The columns. All are text: what they mean is the mapping's business."""
    spec = api.specs[stream]
    return [
        Field(
            name=column,
            label=column,
            type="text",
            writable=spec.in_place,
            required=column in spec.key,
            unique=spec.key == (column,),
        )
        for column in api.table(stream).header
        if column
    ]


def pull(api: Api, stream: str, cursor: Json) -> Page:
    """Rows of one state of the file.

    Cursor: {"digest", "mtime"} of the state that was read last; in the middle of a read also {"row"}, where it goes
    on. If the state in the middle is gone (a restart, and the file was changed), the read begins again with what is
    there now.
    """
    known = api.tables.get(stream)
    if cursor and "row" in cursor and known and known.read.digest == cursor["digest"]:
        return _page(api, stream, known, cursor["row"])
    read = api.read(stream)
    if cursor and cursor["digest"] == read.digest:
        if "row" in cursor:
            return _page(api, stream, api.table(stream, read), cursor["row"])
        return Page(records=(), next_cursor=_rest(read), complete=True, read_at=read.read_at)
    if cursor and read.modified_at < cursor["mtime"]:
        raise NeedsReview(
            "the file is older than the one read before",
            code="CSV-OLDER",
            where=f"{api.files.account}: {read.path}",
            fix="put the newer file back, or touch this one if it is right",
        )
    return _page(api, stream, api.table(stream, read), 0)


def _page(api: Api, stream: str, table: Table, begin: int) -> Page:
    spec = api.specs[stream]
    end = min(begin + PAGE_ROWS, len(table))
    complete = end == len(table)
    if complete:
        api.tables.pop(stream, None)  # the memory of a large file
    told = [] if begin else [_told(spec, row) for row in table.bad]
    if table.untold and not begin:
        told.append(_uncounted(spec, table))
    return Page(
        records=[_record(spec, table, row) for row in range(begin, end)],
        next_cursor=_rest(table.read) if complete else {**_rest(table.read), "row": end},
        complete=complete,
        listing_complete=complete and spec.complete and not table.bad,  # a row we cannot read has not vanished
        faults=told,
        read_at=table.read.read_at,
    )


def _record(spec: Spec, table: Table, row: int) -> SourceRecord:
    data = dict(zip(table.header, table.cells(row), strict=True))
    data.pop("", None)  # columns without a name
    return SourceRecord(
        external_id=join_key([data[column] for column in spec.key]),
        data=data,
        stamp=table.read.modified_at,
        marker=data.get(spec.marker) or None,
        etag=table.etag(row) if spec.in_place else None,
    )


def _told(spec: Spec, bad: BadRow) -> Mapping[str, str]:
    """A bad row as a fault of the page: where it is comes first."""
    place = f"{spec.file}:{bad.line}"
    return {
        "external_id": bad.key or place,
        "code": bad.code,
        "message": f"{place}: {bad.message}",
        "fix": bad.fix,
    }


def _uncounted(spec: Spec, table: Table) -> Mapping[str, str]:
    message = f"{spec.file}: {table.untold} more rows cannot be read"
    fix = "mend the rows told, then read again"
    return {"external_id": spec.file, "code": "CSV-MANY", "message": message, "fix": fix}


def _rest(read: FileSnapshot) -> dict[str, Json]:
    return {"digest": read.digest, "mtime": read.modified_at}


def fetch(api: Api, stream: str, ids: Sequence[str]) -> Sequence[SourceRecord]:
    """Rows by key, from the file as it is now. A missing row is a delete only if the file lists all there is."""
    table, spec = api.table(stream), api.specs[stream]
    found: list[SourceRecord] = []
    for key in ids:
        row = table.row_of(key)
        if row is not None:
            found.append(_record(spec, table, row))
        elif spec.complete and not table.bad:
            found.append(SourceRecord(external_id=key, data={}, stamp=table.read.modified_at, op="delete"))
    return found


def find(api: Api, stream: str, column: str, value: str) -> Sequence[SourceRecord]:
    """Rows whose cell is exactly this text."""
    table, spec = api.table(stream), api.specs[stream]
    records = (_record(spec, table, row) for row in range(len(table)))
    return [record for record in records if record.data.get(column) == value]


# --- writing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Edit:
    """A row as it is to be: in the place of row `row`, or a new last one."""

    index: int  # of the change set
    row: int | None
    raw: bytes


class _Refused(Exception):
    """One change set cannot be written; never leaves this file."""

    def __init__(self, code: str, message: str, column: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.column = code, message, column


def push(api: Api, stream: str, changes: Sequence[ChangeSet]) -> Sequence[PushResult]:
    """All changes in one rewriting of the file; a refused one leaves the others alone."""
    batch = _Batch(api.specs[stream], api.table(stream))
    results: dict[int, PushResult] = {}
    for index, change in enumerate(changes):
        try:
            refused = batch.take(index, change)
        except _Refused as refusal:
            refused = PushResult(
                index=index, outcome="rejected", code=refusal.code, field=refusal.column, message=refusal.message
            )
        if refused is not None:
            results[index] = refused
    if batch.edits:
        results.update(_write(api, batch))
    return [results[index] for index in range(len(changes))]


class _Batch:
    """What a push makes of a table."""

    def __init__(self, spec: Spec, table: Table) -> None:
        self.spec = spec
        self.table = table
        self.edits: list[Edit] = []
        self._taken: set[object] = set()  # rows, keys and markers that an edit of this batch has

    def take(self, index: int, change: ChangeSet) -> PushResult | None:
        """Make an edit of a change set, or say what stands against it. Raises _Refused."""
        if not self.spec.in_place:
            raise _Refused("CSV-READ-ONLY", "this file is not written: set `write: in_place`")
        for column in change.body:
            if not column or column not in self.table.header:
                raise _Refused("CSV-COLUMN", "the file has no such column", column)
        if change.op not in ("create", "update"):
            raise _Refused("CSV-OP", f"the hub does not {change.op} rows")
        return self._new(index, change) if change.op == "create" else self._changed(index, change)

    def _changed(self, index: int, change: ChangeSet) -> PushResult | None:
        table, key = self.table, change.external_id or ""
        row = table.row_of(key)
        if row is None:
            self._must_be_readable()
            return PushResult(index=index, outcome="not_found", external_id=key)
        if change.etag not in (None, table.etag(row)) or row in self._taken:
            return PushResult(index=index, outcome="stale", external_id=key)
        cells = split_row(table.raw(row), table.delimiter) or []
        for column, value in change.body.items():
            at = table.header.index(column)
            text = _text(value, column)
            if column in self.spec.key and text != unquote(cells[at].decode(table.codec)):
                raise _Refused("CSV-KEY-WRITE", "the key of a row is never changed", column)
            cells[at] = self._cell(text, column, quoted=cells[at].startswith(b'"'))
        self._taken.add(row)
        self.edits.append(Edit(index, row, table.delimiter.join(cells)))
        return None

    def _new(self, index: int, change: ChangeSet) -> PushResult | None:
        spec = self.spec
        if not spec.marker or not change.reference:
            raise _Refused("CSV-NO-MARKER", "a new row needs a column for the hub's id: set `marker`")
        values = {column: _text(value, column) for column, value in change.body.items()}
        values[spec.marker] = change.reference
        for column in spec.key:
            if not values.get(column, "").strip():
                raise _Refused("CSV-KEY-BLANK", "a new row needs its key: map this column", column)
        key = join_key([values[column] for column in spec.key])
        there = self._marked(change.reference) or self._keyed(key)
        if there is not None:
            return PushResult(index=index, outcome="duplicate", existing_id=there.external_id, held=there)
        self._must_be_readable()
        if {("key", key), ("marker", change.reference)} & self._taken:
            raise _Refused("CSV-KEY-TWICE", "another new row of this batch has the same key", spec.key[0])
        always = self.table.read.format.quoting == "all"
        cells = [self._cell(values.get(column, ""), column, quoted=always) for column in self.table.header]
        self._taken |= {("key", key), ("marker", change.reference)}
        self.edits.append(Edit(index, None, self.table.delimiter.join(cells)))
        return None

    def _cell(self, text: str, column: str, *, quoted: bool) -> bytes:
        try:
            return quote(text, self.table.read.format.delimiter, always=quoted).encode(self.table.codec)
        except UnicodeEncodeError:
            raise _Refused("CSV-ENCODE", f"a character is not in {self.table.codec}", column) from None

    def _marked(self, marker: str) -> SourceRecord | None:
        """The row that carries this hub id; most are ruled out by their bytes."""
        needle = marker.encode(self.table.codec, errors="replace")
        if needle not in self.table.body:
            return None
        rows = (row for row in range(len(self.table)) if needle in self.table.raw(row))
        records = (_record(self.spec, self.table, row) for row in rows)
        return next((record for record in records if record.marker == marker), None)

    def _keyed(self, key: str) -> SourceRecord | None:
        row = self.table.row_of(key)
        return None if row is None else _record(self.spec, self.table, row)

    def _must_be_readable(self) -> None:
        """A row that is not found may be one of those that cannot be read. Raises _Refused."""
        if self.table.bad:
            line = self.table.bad[0].line
            raise _Refused("CSV-UNREAD", f"rows of this file cannot be read (line {line}); this may be one of them")

    def body(self) -> bytes:
        """The table with its rows replaced and the new ones at its end; the very end keeps its line end, or none."""
        table = self.table
        pieces: list[bytes] = []
        position = 0
        for row, raw in sorted((edit.row, edit.raw) for edit in self.edits if edit.row is not None):
            pieces += [table.body[position : table.starts[row]], raw]
            position = table.ends[row]
        pieces.append(table.body[position:])
        line_end = table.read.format.line_end.encode(table.codec)
        ended = table.body.endswith((b"\n", b"\r"))
        for edit in self.edits:
            if edit.row is None:
                pieces += [edit.raw, line_end] if ended else [line_end, edit.raw]
        return b"".join(pieces)


def _text(value: Json, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        text = str(value)
        if "\0" in text:
            raise _Refused("CSV-NUL", "a NUL character cannot be written", column)
        return text
    raise _Refused("CSV-VALUE", "a cell holds one text: give the field a wire (join, decimal text)", column)


def _write(api: Api, batch: _Batch) -> Mapping[int, PushResult]:
    table, read = batch.table, batch.table.read
    data = batch.body()
    if table.codec != read.format.encoding:
        data = data.decode(table.codec).encode(read.format.encoding)
    try:
        written = api.files.replace(read, read.format.bom + data)
    except PreconditionFailed:
        return {edit.index: PushResult(index=edit.index, outcome="stale") for edit in batch.edits}
    held = _as_records(batch, written)
    return {
        edit.index: PushResult(index=edit.index, outcome="applied", external_id=record.external_id, held=record)
        for edit, record in zip(batch.edits, held, strict=True)
    }


def _as_records(batch: _Batch, written: FileSnapshot) -> Iterable[SourceRecord]:
    """What now stands in the file, read the way any row is."""
    table = batch.table
    for edit in batch.edits:
        alone = Table(read=written, key=table.key, body=edit.raw, codec=table.codec, header=table.header)
        alone.add(0, len(edit.raw), 0)
        yield _record(batch.spec, alone, 0)


CONNECTOR = Connector(
    name="csv",
    title="CSV files",
    base_url="",
    hosts=(),
    auth=(),
    limits=(),
    streams=(),
    streams_for=streams_for,
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    push=push,
    local_files=True,
    docs="Any table as a system: every read is the whole file, and it is written only with `write: in_place`.",
)
