"""Rows of delimited text: none lost, none invented, the bad ones named with their line."""

from __future__ import annotations

import csv
import io
import string
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.connector import FileSnapshot
from hub.errors import ConfigFault
from hub.kit.tables import MAX_ROW_BYTES, Table, load_table, quote
from hub.runtime.files import detect_format


def table_of(text: str | bytes, key: Sequence[str] = ("Id",), encoding: str = "", delimiter: str = "") -> Table:
    data = text.encode() if isinstance(text, str) else text
    written = detect_format(data, encoding, delimiter)
    read = FileSnapshot(path="people.csv", data=data, digest="d", modified_at=1.0, read_at=2.0, format=written)
    return load_table(read, tuple(key))


def rows_of(table: Table) -> list[list[str]]:
    return [table.cells(row) for row in range(len(table))]


def bad_of(table: Table) -> list[tuple[int, str]]:
    return sorted((bad.line, bad.code) for bad in table.bad)


def test_quotes_hold_delimiters_quotes_and_line_ends() -> None:
    table = table_of('Id,Note\n1,"a, b"\n2,"say ""hi"""\n3,"two\nlines"\n4,""\n5,\n')
    assert rows_of(table) == [["1", "a, b"], ["2", 'say "hi"'], ["3", "two\nlines"], ["4", ""], ["5", ""]]
    assert list(table.lines) == [2, 3, 4, 6, 7]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_rows_end_as_the_file_ends_them(line_end: str) -> None:
    table = table_of(line_end.join(["Id,Note", "1,a", "", '2,"b"', ""]))
    assert rows_of(table) == [["1", "a"], ["2", "b"]]
    assert list(table.lines) == [2, 4]


def test_line_ends_may_be_mixed() -> None:
    assert rows_of(table_of("Id,Note\r\n1,a\n2,b\r\n")) == [["1", "a"], ["2", "b"]]
    assert rows_of(table_of("Id,Note\n1,a\r\n2,b\n")) == [["1", "a"], ["2", "b"]]


def test_a_wrong_number_of_cells_spoils_only_its_row() -> None:
    table = table_of("Id,Name\n1,Ann\n2,Bob,Smith\n3\n4,Dora\n")
    assert rows_of(table) == [["1", "Ann"], ["4", "Dora"]]
    assert bad_of(table) == [(3, "CSV-COLUMNS"), (4, "CSV-COLUMNS")]


def test_a_quote_that_is_never_closed_spoils_only_its_line() -> None:
    table = table_of('Id,Name\n1,"Ann\n2,Bob\n3,Cid\n')
    assert rows_of(table) == [["2", "Bob"], ["3", "Cid"]]
    assert bad_of(table) == [(2, "CSV-QUOTE")]


def test_an_open_quote_does_not_swallow_the_rows_up_to_the_next_quoted_cell() -> None:
    table = table_of('Id,Name\n1,"Ann\n2,Bob\n3,"Cid"\n4,Dora\n')
    assert rows_of(table) == [["2", "Bob"], ["3", "Cid"], ["4", "Dora"]]
    assert bad_of(table) == [(2, "CSV-QUOTE")]


@pytest.mark.parametrize("row", ["1,6'2\" tall", '1, "Ann"', '1,"Ann"x', '1,x"Ann"', '1,""Ann""'])
def test_a_quote_inside_an_unquoted_cell_is_no_guess_of_ours(row: str) -> None:
    table = table_of(f"Id,Name\n{row}\n2,Bob\n")
    assert rows_of(table) == [["2", "Bob"]]
    assert bad_of(table) == [(2, "CSV-QUOTE")]


def test_bytes_of_another_encoding_spoil_only_their_row() -> None:
    table = table_of(b"Id,Name\n1,Ann\n2,Andr\xe9\n3,Andr\xc3\xa9\n")
    assert rows_of(table) == [["1", "Ann"], ["3", "André"]]
    assert bad_of(table) == [(3, "CSV-BYTES")]
    assert rows_of(table_of(b"Id,Name\n2,Andr\xe9\n", encoding="cp1252")) == [["2", "André"]]


def test_a_nul_spoils_only_its_row() -> None:
    table = table_of("Id,Name\n1,A\0nn\n2,Bob\n")
    assert rows_of(table) == [["2", "Bob"]]
    assert bad_of(table) == [(2, "CSV-NUL")]


def test_two_byte_encodings_are_read() -> None:
    table = table_of("\ufeffId,Name\r\n1,Zoë\r\n2,李\r\n".encode("utf-16-le"))
    assert rows_of(table) == [["1", "Zoë"], ["2", "李"]]
    with pytest.raises(ConfigFault, match="CSV-BYTES"):
        table_of("\ufeffId,Name\r\n".encode("utf-16-le") + b"\x00\xd8\x00\x00")


def test_a_row_beyond_every_measure_spoils_only_itself() -> None:
    table = table_of("Id,Name\n1," + "x" * (MAX_ROW_BYTES + 1) + "\n2,Bob\n")
    assert rows_of(table) == [["2", "Bob"]]
    assert bad_of(table) == [(2, "CSV-LONG")]


def test_rows_that_share_a_key_are_all_refused_and_named_together() -> None:
    table = table_of('Id,Name\n7,Ann\n8,Bob\n"7",Cid\n7,Dora\n')
    assert rows_of(table) == [["8", "Bob"]]
    assert [(bad.code, bad.key, bad.message) for bad in table.bad] == [
        ("CSV-KEY-TWICE", "7", "the same key in 3 rows: lines 2, 4, 5")
    ]


def test_a_key_of_two_columns_is_unique_as_a_pair_and_needs_both() -> None:
    table = table_of("Org,No,Name\na,1,x\na,2,y\nb,1,z\na,1,again\n ,3,blank\n", key=("Org", "No"))
    assert rows_of(table) == [["a", "2", "y"], ["b", "1", "z"]]
    assert bad_of(table) == [(2, "CSV-KEY-TWICE"), (6, "CSV-KEY-BLANK")]
    assert table.row_of("b|1") == 1


def test_parts_of_a_key_cannot_be_mistaken_for_each_other() -> None:
    table = table_of("A,B,N\nx|y,z,1\nx,y|z,2\nx\\,y,3\n", key=("A", "B"))
    assert [table.key_text(row) for row in range(3)] == ["x\\|y|z", "x|y\\|z", "x\\\\|y"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "CSV-EMPTY"),
        ("\n\n", "CSV-EMPTY"),
        ("Name,Mail\n", "CSV-COLUMN"),
        ("Id,Name,Name\n", "CSV-HEADER"),
        ('Id,"Name\n', "CSV-HEADER"),
        (b"Id,Nam\xe9\n", "CSV-HEADER"),
        ("Id," + ",".join(f"c{n}" for n in range(1000)) + "\n", "CSV-WIDE"),
    ],
)
def test_a_header_that_cannot_be_used_stops_the_stream_with_a_code(text: str | bytes, code: str) -> None:
    with pytest.raises(ConfigFault) as error:
        table_of(text)
    assert error.value.faults[0].code == code
    assert error.value.faults[0].where.startswith("people.csv")


def test_a_missing_column_is_told_with_the_one_that_looks_like_it() -> None:
    with pytest.raises(ConfigFault) as error:
        table_of("Record ID,Name\n", key=("Record Id", "Name"))
    assert str(error.value) == "people.csv:1: CSV-COLUMN: there is no column Record Id (`Record ID`?)"


def test_a_column_without_a_name_is_no_obstacle() -> None:
    assert rows_of(table_of("Id,Name,\n1,Ann,\n")) == [["1", "Ann", ""]]


def test_the_etag_of_a_row_changes_with_any_byte_of_it() -> None:
    tags = [table_of(f"Id,Name\n1,{name}\n").etag(0) for name in ("Ann", "Ann ", '"Ann"')]
    assert len(set(tags)) == 3


def test_only_the_first_thousand_bad_rows_are_kept_and_the_rest_counted() -> None:
    table = table_of("Id,Name\n" + "x\n" * 1003)
    assert len(table.bad) == 1000
    assert table.untold == 3


cells = st.text(alphabet=string.printable + "éß李\u2028\x85", max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_whatever_the_standard_library_writes_is_read_as_it_was(
    rows: list[list[str]], line_end: str, every: bool
) -> None:
    if not every and line_end == "\n":  # there the standard library leaves a bare \r unquoted
        rows = [[cell.replace("\r", "") for cell in row] for row in rows]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=line_end, quoting=csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL)
    writer.writerow(["Id", "One", "Two"])
    for number, row in enumerate(rows):
        writer.writerow([f"k{number}", *row])
    table = table_of(out.getvalue())
    assert not table.bad
    assert rows_of(table) == [[f"k{number}", *row] for number, row in enumerate(rows)]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='ab,"\n\r;\u00e9', max_size=60))
def test_every_line_is_a_row_a_fault_or_empty(text: str) -> None:
    table = table_of("Id,b\n" + text)
    covered = sum(table.raw(row).count(b"\n") + 1 for row in range(len(table)))
    assert all(len(cells) == 2 for cells in rows_of(table))
    assert covered <= text.count("\n") + 1


@given(cells, st.sampled_from([",", ";"]), st.booleans())
def test_a_cell_that_was_written_reads_the_same(text: str, delimiter: str, always: bool) -> None:
    row = quote(text, delimiter, always=always)
    table = table_of(f"Id{delimiter}One\nk{delimiter}{row}\n", delimiter=delimiter)
    assert rows_of(table) == [["k", text]]
