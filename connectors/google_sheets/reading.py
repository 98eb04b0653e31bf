"""What a tab says: its header, its rows, and which of them may be believed."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import orjson

from hub.connector import Door, Field, Idempotency, Page, Settings, Stream
from hub.errors import ConfigFault, Fault
from hub.kit.tables import join_key
from hub.model import Json, SourceRecord

PAGE_ROWS = 1000
MAX_BATCH = 200  # rows of one write; requests should stay below 2 MB ("Usage limits")
HEADER_WITHIN = 20  # rows among which the header is looked for: people put titles above it
SHOWN = {"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "FORMATTED_STRING"}
FAILED = frozenset(("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#ERROR!"))  # failed formulas
_SHEET = re.compile(r"[A-Za-z0-9_-]{5,100}")


# --- what hub.yaml says of a stream ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One stream, checked."""

    name: str
    tab: str | int  # title, or the number that stays when it is renamed
    key: tuple[str, ...]  # columns that name a row together
    in_place: bool = False
    complete: bool = False  # the tab lists all there is: a row that vanished is evidence
    marker: str = ""  # column that carries the hub's id


def specs_of(settings: Settings) -> Mapping[str, Spec]:
    """Every stream that a connection declares. Raises ConfigFault with all that is wrong."""
    faults: list[Fault] = []
    specs = {name: _spec(name, given, faults) for name, given in settings.streams.items()}
    if not specs:
        fix = "add `streams: {people: {tab: People, key: [Email]}}`"
        faults.append(Fault(code="SHEET-STREAM", where="streams", message="names no tab", fix=fix))
    if faults:
        raise ConfigFault(faults)
    return specs


def _spec(name: str, given: Mapping[str, Json], faults: list[Fault]) -> Spec:
    def wrong(message: str, fix: str) -> None:
        faults.append(Fault(code="SHEET-STREAM", where=f"streams.{name}", message=message, fix=fix))

    tab, key, marker = given.get("tab"), given.get("key"), given.get("marker") or ""
    columns = [key] if isinstance(key, str) else key if isinstance(key, list | tuple) else []
    if isinstance(tab, bool) or not isinstance(tab, str | int) or tab == "":
        wrong("`tab` names no tab", "its title, or the number after gid= in its address")
        tab = ""
    if not columns or not all(isinstance(column, str) and column for column in columns):
        wrong("`key` names no column", "name the column, or columns, that tell rows apart: `key: [Email]`")
    if not isinstance(marker, str):
        wrong("`marker` names no column", "write it in quotes")
    for option, known in (("write", ("never", "in_place")), ("listing", ("partial", "complete"))):
        if given.get(option, known[0]) not in known:
            wrong(f"`{option}` is neither {known[0]} nor {known[1]}", f"default: {known[0]}")
    return Spec(
        name=name,
        tab=tab,
        key=tuple(str(column) for column in columns),
        in_place=given.get("write") == "in_place",
        complete=given.get("listing") == "complete",
        marker=str(marker),
    )


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
        deletes="absent",
        writes=frozenset(writes if spec.in_place else ()),
        max_batch=MAX_BATCH,
        precondition="etag" if spec.in_place else "none",
        idempotency=Idempotency.SEARCHABLE_REFERENCE if spec.marker else Idempotency.NONE,
        marker=spec.marker or None,
        answers_with_record=False,
        page_size=PAGE_ROWS,
        minimum={"read": PAGE_ROWS, "write": MAX_BATCH, "fetch": PAGE_ROWS},
    )


# --- a tab as a table --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row below the header."""

    number: int  # its place in the tab, from 0: for finding it at this moment, never for writing
    cells: tuple[Json, ...]  # as long as the header
    key: str  # "" if it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A tab as it was at one moment."""

    tab: int  # its number
    title: str
    header: tuple[str, ...]  # names in their columns; "" for columns that are left alone
    header_at: int
    rows: tuple[Row, ...]
    digest: str
    faults: tuple[Mapping[str, str], ...]  # rows that may not be believed
    read_at: float
    _by_key: dict[str, Row] = field(default_factory=dict)

    def row_of(self, key: str) -> Row | None:
        if not self._by_key and self.rows:
            self._by_key.update((row.key, row) for row in self.rows)
        return self._by_key.get(key)


@dataclass(slots=True)
class SheetsApi:
    """A spreadsheet, and per stream the last state that was read: all pages of a read come from it."""

    door: Door
    path: str  # of the spreadsheet
    specs: Mapping[str, Spec]
    tables: dict[str, Table] = field(default_factory=dict)
    tabs: dict[str | int, tuple[int, str]] = field(default_factory=dict)  # title, and number -> number, title

    def tab_of(self, spec: Spec) -> tuple[int, str]:
        """Number and title of a stream's tab. Raises ConfigFault if there is none."""
        if spec.tab not in self.tabs:
            params = {"fields": "properties(title,timeZone,locale),sheets.properties"}
            found = self.door.request("GET", self.path, operation="read", params=params).json()
            for sheet in found.get("sheets") or ():
                number, title = int(sheet["properties"]["sheetId"]), str(sheet["properties"]["title"])
                self.tabs[number] = self.tabs[title] = (number, title)
        if spec.tab not in self.tabs:
            message, fix = f"there is no tab {spec.tab}", "its title, or the number after gid= in its address"
            raise ConfigFault([Fault(code="SHEET-TAB", where=self.where(spec), message=message, fix=fix)])
        return self.tabs[spec.tab]

    def where(self, spec: Spec) -> str:
        return f"{self.door.account}/{spec.name}"

    def read(self, stream: str) -> Table:
        """The tab as it is now, whole, in one call. Raises ConfigFault: no such tab, or no header in it."""
        spec = self.specs[stream]
        for _ in range(2):
            number, title = self.tab_of(spec)
            path = f"{self.path}/values/{quote(quoted(title), safe='')}"
            answer = self.door.request("GET", path, operation="read", params=SHOWN, expect=(400,))
            if answer.status != 400:
                return _table(self, spec, number, title, answer.json().get("values") or [], answer.at)
            self.tabs.clear()  # it was renamed: a title that is no range any more
        message, fix = f"the tab {spec.tab} cannot be read", "is it a table, not a chart?"
        raise ConfigFault([Fault(code="SHEET-TAB", where=self.where(spec), message=message, fix=fix)])


def quoted(title: str) -> str:
    """A tab's title as ranges name it."""
    return "'" + title.replace("'", "''") + "'"


def _table(api: SheetsApi, spec: Spec, number: int, title: str, values: Sequence[Sequence[Json]], at: float) -> Table:
    wanted = {*spec.key, *([spec.marker] if spec.marker else ())}
    for place, cells in enumerate(values[:HEADER_WITHIN]):
        names = [str(cell).strip() if isinstance(cell, str) else "" for cell in cells]
        if set(spec.key) <= set(names):
            header_at, header = place, _once(names)
            break
    else:
        message, fix = f"no row has the columns {', '.join(spec.key)}", "write them in one of the first rows"
        raise ConfigFault([Fault(code="SHEET-HEADER", where=api.where(spec), message=message, fix=fix)])
    twice = [name for name in wanted if names.count(name) != 1]
    if twice:
        message, fix = f"the column {twice[0]} is missing or there twice", "give each column a name of its own"
        raise ConfigFault([Fault(code="SHEET-HEADER", where=api.where(spec), message=message, fix=fix)])
    rows, faults = _rows(spec, header, values, header_at)
    digest = hashlib.sha256(orjson.dumps([header, [row.cells for row in rows], faults])).hexdigest()
    return Table(
        tab=number, title=title, header=header, header_at=header_at, rows=rows, digest=digest, faults=faults, read_at=at
    )


def _once(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name if names.index(name) == place else "" for place, name in enumerate(names))


def _rows(
    spec: Spec, header: tuple[str, ...], values: Sequence[Sequence[Json]], header_at: int
) -> tuple[tuple[Row, ...], tuple[Mapping[str, str], ...]]:
    found: list[Row] = []
    faults: list[Mapping[str, str]] = []
    for number, given in enumerate(values[header_at + 1 :], header_at + 1):
        cells = padded(given, len(header))
        if all(cell == "" for cell in cells):
            continue
        parts = [text_of(cells[header.index(column)]) for column in spec.key]
        if not all(part.strip() for part in parts):
            message = f"row {number + 1} has no key"
            faults.append({"external_id": "", "code": "SHEET-KEY", "message": message, "fix": "fill in its key"})
            continue
        found.append(Row(number=number, cells=cells, key=join_key(parts)))
    count = Counter(row.key for row in found)
    for key in (key for key, number in count.items() if number > 1):
        message, fix = f"{count[key]} rows have this key", "give each row a key of its own"
        faults.append({"external_id": key, "code": "SHEET-KEY", "message": message, "fix": fix})
    return tuple(row for row in found if count[row.key] == 1), tuple(faults)


def padded(cells: Sequence[Json], width: int) -> tuple[Json, ...]:
    """Cells to the width of the header: empty ones at the end are left out by the API."""
    return tuple(["" if cell is None else cell for cell in cells[:width]] + [""] * (width - len(cells)))


def text_of(cell: Json) -> str:
    """A cell of a key as text; a whole number has no fraction."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def etag_of(cells: Sequence[Json]) -> str:
    return hashlib.sha256(orjson.dumps(list(cells))).hexdigest()[:32]


def record_of(spec: Spec, table: Table, row: Row) -> SourceRecord:
    named = zip(table.header, row.cells, strict=True)
    data = {name: cell for name, cell in named if name and not (isinstance(cell, str) and cell in FAILED)}
    return SourceRecord(
        external_id=row.key,
        data=data,
        marker=(str(data.get(spec.marker) or "") or None) if spec.marker else None,
        etag=etag_of(row.cells) if spec.in_place else None,
    )


# --- a connector's functions -------------------------------------------------------------------------------------


def connect(door: Door, settings: Settings) -> SheetsApi:
    """Raises ConfigFault for an id that is none, or for streams that are wrong."""
    sheet = str(settings.values.get("spreadsheet") or "")
    if not _SHEET.fullmatch(sheet):
        fix = "the part of the address between /d/ and the next /"
        fault = Fault(code="CFG-SHEET", where=door.account, message="settings.spreadsheet is no id", fix=fix)
        raise ConfigFault([fault])
    return SheetsApi(door, f"/v4/spreadsheets/{sheet}", specs_of(settings))


def check(api: SheetsApi) -> dict[str, Json]:
    """Read every tab once. Raises ConfigFault with all that is wrong."""
    faults: list[Fault] = []
    warnings: list[str] = []
    for name in api.specs:
        try:
            warnings += [f"{name}: {each['message']}" for each in api.read(name).faults[:5]]
        except ConfigFault as error:
            faults += error.faults
    if faults:
        raise ConfigFault(faults)
    found = api.door.request("GET", api.path, operation="read", params={"fields": "properties.title"}).json()
    return {"account": api.path.rpartition("/")[2], "name": found["properties"]["title"], "warnings": warnings}


def discover(api: SheetsApi, stream: str) -> Sequence[Field]:
    """The columns. All are text: what they mean is the mapping's business."""
    spec = api.specs[stream]
    return [
        Field(
            name=column, label=column, type="text", writable=spec.in_place,
            required=column in spec.key, unique=spec.key == (column,),
        )
        for column in api.read(stream).header
        if column
    ]  # fmt: skip


def pull(api: SheetsApi, stream: str, cursor: Json) -> Page:
    """Rows of one state of the tab.

    Cursor: {"digest"} of the state that was read last; in the middle of a read also {"row"}, where it goes on. If that
    state is gone (a restart, and somebody worked on), the read begins again with what is there now.
    """
    known = api.tables.get(stream)
    if not (cursor and "row" in cursor and known and known.digest == cursor["digest"]):
        known = api.read(stream)
    begin = 0
    if cursor and known.digest == cursor["digest"]:
        if "row" not in cursor:
            return Page(records=(), next_cursor={"digest": known.digest}, complete=True, read_at=known.read_at)
        begin = cursor["row"]
    spec, end = api.specs[stream], min(begin + PAGE_ROWS, len(known.rows))
    complete = end == len(known.rows)
    api.tables[stream] = known
    if complete:
        del api.tables[stream]  # the memory of a large tab
    return Page(
        records=[record_of(spec, known, row) for row in known.rows[begin:end]],
        next_cursor={"digest": known.digest} if complete else {"digest": known.digest, "row": end},
        complete=complete,
        listing_complete=complete and spec.complete and not known.faults,
        faults=() if begin else known.faults,
        read_at=known.read_at,
    )


def fetch(api: SheetsApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Rows by key, from the tab as it is now. A missing row is a delete only if the tab lists all there is."""
    spec, table = api.specs[stream], api.read(stream)
    found = []
    for key in dict.fromkeys(ids):
        row = table.row_of(key)
        if row is not None:
            found.append(record_of(spec, table, row))
        elif spec.complete and not table.faults:
            found.append(SourceRecord(external_id=key, data={}, op="delete"))
    return found


def find(api: SheetsApi, stream: str, column: str, value: str) -> list[SourceRecord]:
    """Rows whose cell is exactly this text."""
    spec, table = api.specs[stream], api.read(stream)
    if column not in table.header:
        return []
    place = table.header.index(column)
    return [record_of(spec, table, row) for row in table.rows if text_of(row.cells[place]) == value]
