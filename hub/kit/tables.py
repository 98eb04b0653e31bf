"""Delimited text as rows: where each row of a file is, what its cells say, and which rows may not be believed.

Rows are split as RFC 4180 says, strictly: a quote inside an unquoted cell is a fault, since a wrong guess would invent
or swallow rows. Everything stays bytes until a cell is asked for, so that a row with bad bytes spoils only itself and
a row that nobody changes keeps every byte.

Invariant: every line of a file belongs to one row, to one fault, or is empty.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise
from typing import NamedTuple

from hub.connector import FileSnapshot
from hub.errors import ConfigFault, Fault

MAX_COLUMNS = 1000
MAX_ROW_BYTES = 1024 * 1024
_CHUNK = 1024 * 1024
MAX_FAULTS = 1000  # bad rows kept one by one; of more, only how many

_MEND_QUOTES = 'quote the whole cell and double the quotes in it: "a ""b"""'


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that says nothing we may believe."""

    line: int  # the first of the row, from 1
    code: str
    message: str
    fix: str
    key: str = ""  # if it can be read


# --- cells -------------------------------------------------------------------------------------------------------


def split_row(row: bytes, delimiter: bytes) -> list[bytes] | None:
    """Cells as written, quotes and all; None if a quote stands where none may."""
    if b'"' not in row:
        return row.split(delimiter)
    mark = re.escape(delimiter)  # one cell and what ends it; `re` keeps compiled patterns, so this is a look-up
    found = re.findall(rb'(?:\A|(?<=%b))("[^"]*(?:""[^"]*)*"|[^"%b]*)(%b|\Z)' % (mark, mark, mark), row)
    cells = [cell for cell, _ in found]
    return cells if sum(map(len, cells)) + len(cells) - 1 == len(row) else None


def unquote(cell: str) -> str:
    """The text of a cell."""
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell


def quote(text: str, delimiter: str, *, always: bool) -> str:
    """A cell for a text."""
    if always or any(mark in text for mark in (delimiter, '"', "\r", "\n")):
        return '"' + text.replace('"', '""') + '"'
    return text


# --- rows --------------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """Where a row is, line ends left out."""

    start: int
    end: int
    line: int
    bad: BadRow | None = None
    cells: list[bytes] | None = None  # if they had to be told apart already


@dataclass(frozen=True, slots=True)
class _Lines:
    """A body cut at its line ends: \\n, with or without a \\r before it, or in old files \\r alone."""

    data: bytes
    line_end: bytes
    delimiter: bytes

    def at(self, start: int) -> tuple[int, int]:
        """End of the line that begins at `start`, and where the next one begins."""
        found = self.data.find(self.line_end, start)
        if found < 0:
            return len(self.data), len(self.data)
        carriage = self.line_end == b"\n" and found > start and self.data[found - 1] == 13  # 13: \r
        return found - carriage, found + len(self.line_end)

    def row(self, start: int, stop: int, following: int, line: int) -> tuple[Span, int]:
        """The row whose first line ends at `stop`, and where the next one begins.

        A row goes on over line ends while a quote is open. If what comes of that is no row, the quote was never
        closed: its first line alone is the fault, and the next line is a row again.
        """
        end, after = stop, following
        quotes = self.data.count(b'"', start, end)
        while quotes % 2 and after < len(self.data) and after - start <= MAX_ROW_BYTES:
            begin = after
            end, after = self.at(begin)
            quotes += self.data.count(b'"', begin, end)
        cells = None
        if quotes:
            cells = split_row(self.data[start:end], self.delimiter) if quotes % 2 == 0 else None
            if cells is None:
                why = "a quote is not closed, or stands inside an unquoted cell"
                return Span(start, stop, line, BadRow(line, "CSV-QUOTE", why, _MEND_QUOTES)), following
        if end - start > MAX_ROW_BYTES:
            bad = BadRow(line, "CSV-LONG", f"the row is longer than {MAX_ROW_BYTES} bytes", "shorten the row")
            return Span(start, end, line, bad), after
        return Span(start, end, line, None, cells), after


def spans(data: bytes, line_end: bytes, delimiter: bytes) -> Iterator[Span]:
    """Every row that is not empty; `cells` are told apart only where there are quotes."""
    lines = _Lines(data, line_end, delimiter)
    position, line = 0, 1
    while position < len(data):
        stop, following = lines.at(position)
        if stop == position:
            position, line = following, line + 1
            continue
        span, after = lines.row(position, stop, following, line)
        yield span
        line += data.count(line_end, position, after) if after > following else 1
        position = after


# --- a table -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Table:
    """One state of a file: where its believable rows are, and what is wrong with the others."""

    read: FileSnapshot
    key: tuple[str, ...]  # columns that name a row together
    body: bytes  # without mark, in a codec in which delimiter, quote and line end are single bytes
    codec: str
    header: list[str]
    starts: array[int] = field(default_factory=lambda: array("Q"))
    ends: array[int] = field(default_factory=lambda: array("Q"))
    lines: array[int] = field(default_factory=lambda: array("Q"))
    bad: list[BadRow] = field(default_factory=list)
    untold: int = 0  # bad rows beyond MAX_FAULTS
    _rows: dict[str, int] | None = None  # key -> row; made when first asked for

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def delimiter(self) -> bytes:
        return self.read.format.delimiter.encode(self.codec)

    def add(self, start: int, end: int, line: int) -> None:
        self.starts.append(start)
        self.ends.append(end)
        self.lines.append(line)

    def refuse(self, bad: BadRow) -> None:
        if len(self.bad) < MAX_FAULTS:
            self.bad.append(bad)
        else:
            self.untold += 1

    def raw(self, row: int) -> bytes:
        """A row as written."""
        return self.body[self.starts[row] : self.ends[row]]

    def etag(self, row: int) -> str:
        """Changes when any byte of the row does."""
        return hashlib.blake2b(self.raw(row), digest_size=8).hexdigest()

    def cells(self, row: int) -> list[str]:
        """The texts of a row."""
        raw = self.raw(row)
        if b'"' not in raw:
            return raw.decode(self.codec).split(self.read.format.delimiter)
        return [
            cell.decode(self.codec) if cell[:1] != b'"' else unquote(cell.decode(self.codec))
            for cell in split_row(raw, self.delimiter) or ()
        ]

    def key_text(self, row: int) -> str:
        """The id of a row."""
        cells = self.cells(row)
        return join_key([cells[self.header.index(column)] for column in self.key])

    def row_of(self, key: str) -> int | None:
        """Where the row with this key is. None is no proof that there is none while there are bad rows."""
        if self._rows is None:
            self._rows = {self.key_text(row): row for row in range(len(self))}
        return self._rows.get(key)

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all rows but these."""
        self.starts = array("Q", [self.starts[row] for row in rows])
        self.ends = array("Q", [self.ends[row] for row in rows])
        self.lines = array("Q", [self.lines[row] for row in rows])


def join_key(parts: Sequence[str]) -> str:
    """One id of the cells of a key; a single cell is itself."""
    if len(parts) == 1:
        return parts[0]
    return "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)


# --- from file to table ------------------------------------------------------------------------------------------


def load_table(read: FileSnapshot, key: tuple[str, ...], *, also: Sequence[str] = ()) -> Table:
    """Find every row of a file.

    Args:
        read: the file.
        key: columns that must be filled, and together different in every row.
        also: further columns that must be there.

    Raises:
        ConfigFault: the header is not as declared, or there is none.
    """
    body, codec = _plain(read)
    delimiter = read.format.delimiter.encode(codec)
    rows = spans(body, b"\r" if read.format.line_end == "\r" else b"\n", delimiter)
    first = next(rows, None)
    if first is None:
        raise ConfigFault([_fault("CSV-EMPTY", read.path, "there is no header", "put the column names in line 1")])
    header = _header(read, body[first.start : first.end], first, codec)
    _check_columns(f"{read.path}:{first.line}", header, (*key, *also))
    table = Table(read=read, key=key, body=body, codec=codec, header=header)
    at = [header.index(column) for column in key]
    hashes = array("q")
    clean = _is_clean(body, codec)
    for span in rows:
        raw = body[span.start : span.end]
        bad = span.bad or (None if clean else _unfit(raw, codec, span.line))
        found = bad or _key_of(table, at, raw, span, delimiter)
        if isinstance(found, BadRow):
            table.refuse(found)
            continue
        table.add(span.start, span.end, span.line)
        hashes.append(hash(found))
    _drop_twins(table, hashes)
    return table


def _plain(read: FileSnapshot) -> tuple[bytes, str]:
    """The body without its mark; UTF-16 and UTF-32 become UTF-8, so that commas and quotes are single bytes."""
    body, codec = read.data[len(read.format.bom) :], read.format.encoding
    if not codec.startswith(("utf-16", "utf-32")):
        return body, codec
    try:
        return body.decode(codec).encode(), "utf-8"
    except UnicodeDecodeError:
        raise ConfigFault([_fault("CSV-BYTES", read.path, f"is not {codec}", "save the file as UTF-8")]) from None


def _is_clean(body: bytes, codec: str) -> bool:
    """Whether every byte can be read as text; a chunk at a time, since a whole text may take four times the memory."""
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for start in range(0, len(body), _CHUNK):
            decoder.decode(body[start : start + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return b"\0" not in body


def _unfit(raw: bytes, codec: str, line: int) -> BadRow | None:
    if b"\0" in raw:
        return BadRow(line, "CSV-NUL", "a NUL character", "remove it")
    try:
        raw.decode(codec)
    except UnicodeDecodeError:
        fix = "save the file as UTF-8, or set `encoding`"
        return BadRow(line, "CSV-BYTES", f"bytes that are not {codec}", fix)
    return None


def _header(read: FileSnapshot, raw: bytes, span: Span, codec: str) -> list[str]:
    cells = None if span.bad else split_row(raw, read.format.delimiter.encode(codec))
    try:
        header = [unquote(cell.decode(codec)).strip() for cell in cells or ()]
    except UnicodeDecodeError:
        header = []
    if not any(header) or any("\0" in name for name in header):
        where = f"{read.path}:{span.line}"
        raise ConfigFault([_fault("CSV-HEADER", where, "the header cannot be read", "mend its quotes and bytes")])
    return header


def _check_columns(where: str, header: Sequence[str], wanted: Sequence[str]) -> None:
    if len(header) > MAX_COLUMNS:
        raise ConfigFault([_fault("CSV-WIDE", where, f"has more than {MAX_COLUMNS} columns", "split the table")])
    names = [name for name in header if name]
    faults = [
        _fault("CSV-HEADER", where, f"two columns are called {name}", "rename one")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    for name in wanted:
        if name not in names:
            near = get_close_matches(name, names, 1)
            fix = f"`{near[0]}`?" if near else "name a column of the header"
            faults.append(_fault("CSV-COLUMN", where, f"there is no column {name}", fix))
    if faults:
        raise ConfigFault(faults)


def _fault(code: str, where: str, message: str, fix: str) -> Fault:
    return Fault(code=code, where=where, message=message, fix=fix)


def _key_of(table: Table, at: Sequence[int], raw: bytes, span: Span, delimiter: bytes) -> bytes | BadRow:
    """The cells of the key; also counts the cells of the row."""
    cells = span.cells
    count = raw.count(delimiter) + 1 if cells is None else len(cells)
    if count != len(table.header):
        message = f"{count} cells, but the header has {len(table.header)}"
        return BadRow(span.line, "CSV-COLUMNS", message, "quote cells that hold a delimiter or a line end")
    if cells is None:
        cells = raw.split(delimiter, max(at) + 1)
    key = [_bare(cells[column]) for column in at]
    if not all(part.strip() for part in key):
        return BadRow(span.line, "CSV-KEY-BLANK", f"{' and '.join(table.key)} must not be blank", "fill in the key")
    return key[0] if len(key) == 1 else repr(key).encode()


def _bare(cell: bytes) -> bytes:
    return cell[1:-1].replace(b'""', b'"') if cell.startswith(b'"') else cell


def _drop_twins(table: Table, hashes: array[int]) -> None:
    """Rows that share a key: nobody knows which of them is right, so none is believed.

    Eight bytes a row find the suspects; only those are compared in full.
    """
    suspects = {value for value, other in pairwise(sorted(hashes)) if value == other}
    if not suspects:
        return
    groups: dict[str, list[int]] = {}
    for row, value in enumerate(hashes):
        if value in suspects:
            groups.setdefault(table.key_text(row), []).append(row)
    twins = {key: rows for key, rows in groups.items() if len(rows) > 1}
    for key, rows in twins.items():
        told = ", ".join(str(table.lines[row]) for row in rows[:5])
        message = f"the same key in {len(rows)} rows: lines {told}"
        table.refuse(BadRow(table.lines[rows[0]], "CSV-KEY-TWICE", message, "keep one of these rows", key=key))
    drop = {row for rows in twins.values() for row in rows}
    table.keep([row for row in range(len(table)) if row not in drop])
