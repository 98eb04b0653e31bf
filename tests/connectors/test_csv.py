"""CSV files as a system: whole reads, faults by row, and writing that changes nothing but what it was told to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors import csv as connector
from hub.connector import Idempotency, Page, Settings
from hub.errors import ConfigFault, NeedsReview
from hub.model import ChangeSet, Json, PushResult
from hub.runtime.clock import VirtualClock
from hub.runtime.files import LocalFiles

NOW = 1_790_000_000.0
PEOPLE = 'Id,Account.Name,Phone,Hub Id\n1,Acme,030 1,\n2,"Bolt, Inc",030 2,\n3,Cog,,hub-9\n'
IN_PLACE = {"file": "people.csv", "key": ["Id"], "write": "in_place", "marker": "Hub Id", "listing": "complete"}


def settings_of(**streams: Mapping[str, Json]) -> Settings:
    return Settings(values={}, auth={}, streams=streams)


class Desk:
    """A project with one file, the connector on it, and a clock."""

    def __init__(self, root: Path, text: str | bytes, **spec: Json) -> None:
        self.place = root / "people.csv"
        self.clock = VirtualClock(NOW)
        self.settings = settings_of(people={"file": "people.csv", "key": ["Id"], **spec})
        self.save(text, at=NOW - 60)
        self.start()

    def start(self) -> None:
        """A new process: nothing is remembered."""
        self.api = connector.connect(LocalFiles(self.place.parent, "crm_a", self.clock), self.settings)

    def save(self, text: str | bytes, *, at: float) -> None:
        self.place.write_bytes(text.encode() if isinstance(text, str) else text)
        os.utime(self.place, (at, at))

    def pull(self, cursor: Json = None) -> Page:
        return connector.pull(self.api, "people", cursor)

    def push(self, *changes: ChangeSet) -> Sequence[PushResult]:
        return connector.push(self.api, "people", changes)

    def etag(self, key: str) -> str | None:
        return connector.fetch(self.api, "people", [key])[0].etag


def change(key: str | None, body: Mapping[str, Json], **more: Any) -> ChangeSet:
    op = "update" if key else "create"
    given = {"op": op, "reference": "" if key else "hub-1", **more}
    return ChangeSet(link_id=1, entity_id=1, external_id=key, values={}, before={}, body=body, **given)


def refusals(results: Sequence[PushResult]) -> list[tuple[str, str, str]]:
    return [(result.outcome, result.code, result.field) for result in results]


# --- reading -----------------------------------------------------------------------------------------------------


def test_a_row_is_its_columns_as_text_under_its_key_and_the_time_of_the_file(tmp_path: Path) -> None:
    page = Desk(tmp_path, PEOPLE, marker="Hub Id").pull()
    first = page.records[0]
    assert first.external_id == "1"
    assert first.data == {"Id": "1", "Account.Name": "Acme", "Phone": "030 1", "Hub Id": ""}
    assert (first.stamp, first.marker, first.op) == (NOW - 60, None, "upsert")
    assert page.records[2].marker == "hub-9"
    assert (page.complete, page.read_at) == (True, NOW)


def test_only_a_complete_listing_without_faults_proves_that_a_row_vanished(tmp_path: Path) -> None:
    assert not Desk(tmp_path, PEOPLE).pull().listing_complete
    assert Desk(tmp_path, PEOPLE, listing="complete").pull().listing_complete
    broken = Desk(tmp_path, PEOPLE + "4,one cell too few,\n", listing="complete").pull()
    assert not broken.listing_complete
    assert [record.external_id for record in broken.records] == ["1", "2", "3"]


def test_a_bad_row_is_told_with_file_line_and_fix_and_without_its_values(tmp_path: Path) -> None:
    page = Desk(tmp_path, PEOPLE + "4,Secret Person\n5,Eve,,\n").pull()
    assert page.faults == [
        {
            "external_id": "people.csv:5",
            "code": "CSV-COLUMNS",
            "message": "people.csv:5: 2 cells, but the header has 4",
            "fix": "quote cells that hold a delimiter or a line end",
        }
    ]
    assert [record.external_id for record in page.records] == ["1", "2", "3", "5"]


def test_an_unchanged_file_gives_no_records_and_claims_no_listing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE, listing="complete")
    cursor = desk.pull().next_cursor
    os.utime(desk.place, (NOW, NOW))  # touched only
    again = desk.pull(cursor)
    assert (again.records, again.complete, again.listing_complete) == ((), True, False)
    assert again.next_cursor["mtime"] == NOW


def test_a_changed_file_is_read_whole(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE)
    cursor = desk.pull().next_cursor
    desk.save(PEOPLE.replace("Acme", "Acme Ltd"), at=NOW - 10)
    page = desk.pull(cursor)
    assert [record.stamp for record in page.records] == [NOW - 10] * 3
    assert page.records[0].data["Account.Name"] == "Acme Ltd"


def test_an_older_file_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE)
    cursor = desk.pull().next_cursor
    desk.save(PEOPLE.replace("Acme", "Acne"), at=NOW - 3600)
    with pytest.raises(NeedsReview) as error:
        desk.pull(cursor)
    assert error.value.code == "CSV-OLDER"
    assert error.value.where == "crm_a: people.csv"


def many(count: int, name: str = "n") -> str:
    return "Id,Name\n" + "".join(f"{n},{name}\n" for n in range(count))


def test_all_pages_of_a_read_come_from_one_state_of_the_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path, many(2500), listing="complete")
    first = desk.pull()
    desk.save(many(3, "later"), at=NOW)
    second = desk.pull(first.next_cursor)
    third = desk.pull(second.next_cursor)
    pages = [first, second, third]
    assert [len(page.records) for page in pages] == [1000, 1000, 500]
    assert [page.complete for page in pages] == [page.listing_complete for page in pages] == [False, False, True]
    assert {record.data["Name"] for page in pages for record in page.records} == {"n"}
    after = desk.pull(third.next_cursor)
    assert [record.data["Name"] for record in after.records] == ["later"] * 3


def test_a_read_goes_on_after_a_restart_and_begins_again_if_the_file_has_changed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, many(1500))
    first = desk.pull()
    desk.start()
    assert [record.external_id for record in desk.pull(first.next_cursor).records][:2] == ["1000", "1001"]
    desk.start()
    desk.save(many(1400, "later"), at=NOW)
    again = desk.pull(first.next_cursor)
    assert [record.external_id for record in again.records][:2] == ["0", "1"]
    assert not again.complete


def test_faults_are_told_once_in_a_read_of_many_pages(tmp_path: Path) -> None:
    desk = Desk(tmp_path, many(1500) + "bad\n", listing="complete")
    first = desk.pull()
    second = desk.pull(first.next_cursor)
    assert (len(first.faults), len(second.faults), second.listing_complete) == (1, 0, False)


def test_missing_rows_are_deletes_only_where_the_file_lists_all_there_is(tmp_path: Path) -> None:
    partial = Desk(tmp_path, PEOPLE)
    assert [record.external_id for record in connector.fetch(partial.api, "people", ["2", "9"])] == ["2"]
    complete = Desk(tmp_path, PEOPLE, listing="complete")
    found = connector.fetch(complete.api, "people", ["2", "9"])
    assert [(record.external_id, record.op) for record in found] == [("2", "upsert"), ("9", "delete")]
    unreadable = Desk(tmp_path, PEOPLE + "9,too few\n", listing="complete")
    assert [record.external_id for record in connector.fetch(unreadable.api, "people", ["9"])] == []


def test_rows_are_found_by_the_exact_text_of_a_cell(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE)
    assert [r.external_id for r in connector.find(desk.api, "people", "Account.Name", "Bolt, Inc")] == ["2"]
    assert not connector.find(desk.api, "people", "Account.Name", "bolt, inc")


def test_columns_are_described(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE, write="in_place")
    fields = connector.discover(desk.api, "people")
    assert [(f.name, f.type, f.required, f.unique, f.writable) for f in fields][:2] == [
        ("Id", "text", True, True, True),
        ("Account.Name", "text", False, False, True),
    ]


def test_a_check_lists_every_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Name\n")
    settings = settings_of(one={"file": "a.csv", "key": "Id"}, two={"file": "b.csv", "key": "Id"})
    api = connector.connect(LocalFiles(tmp_path, "crm_a", VirtualClock(NOW)), settings)
    with pytest.raises(ConfigFault) as error:
        connector.check(api)
    assert [fault.code for fault in error.value.faults] == ["CSV-COLUMN", "FILE-NOT-THERE"]
    (tmp_path / "a.csv").write_text("Id\n1\n1\n")
    (tmp_path / "b.csv").write_text("Id\n1\n")
    answer = connector.check(api)
    assert answer["warnings"] == ["a.csv:2: the same key in 2 rows: lines 2, 3"]


# --- declarations ------------------------------------------------------------------------------------------------


def test_streams_are_what_hub_yaml_declares() -> None:
    read, write = connector.streams_for(
        settings_of(people={"file": "a.csv", "key": ["Id"]}, team={**IN_PLACE, "key": ["Org", "No"]})
    )
    assert (read.name, read.writes, read.cursor, read.precondition) == ("people", frozenset(), "snapshot", "none")
    assert write.writes == {"create", "update"}
    assert (write.marker, write.idempotency, write.precondition) == ("Hub Id", Idempotency.UNIQUE_REFERENCE, "etag")


def test_without_a_column_for_the_hubs_id_rows_are_only_changed() -> None:
    (stream,) = connector.streams_for(settings_of(people={"file": "a.csv", "key": ["Id"], "write": "in_place"}))
    assert (stream.writes, stream.idempotency) == (frozenset({"update"}), Idempotency.NONE)


def test_every_wrong_line_of_a_declaration_is_told_at_once() -> None:
    with pytest.raises(ConfigFault) as error:
        connector.streams_for(
            settings_of(
                a={"key": []},
                b={"file": 7, "key": 5, "write": "yes", "listing": "full", "encoding": "klingon", "delimiter": "ab"},
                c={"file": "c.csv", "key": ["Id"], "wirte": "in_place", "every": "30s"},
            )
        )
    told = [(fault.where, fault.message) for fault in error.value.faults]
    assert sorted(told) == [
        ("streams.a", "`file` is missing"),
        ("streams.a", "`key` names no column"),
        ("streams.b", "`delimiter` is not one plain character"),
        ("streams.b", "`encoding` is unknown"),
        ("streams.b", "`file` is no text"),
        ("streams.b", "`key` names no column"),
        ("streams.b", "`listing` is neither partial nor complete"),
        ("streams.b", "`write` is neither never nor in_place"),
        ("streams.c", "`wirte` means nothing"),
    ]
    with pytest.raises(ConfigFault, match="CSV-NO-STREAM"):
        connector.streams_for(settings_of())


# --- writing -----------------------------------------------------------------------------------------------------


def test_a_change_touches_one_cell_and_nothing_else(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE, **IN_PLACE)
    (result,) = desk.push(change("2", {"Phone": "+49302"}, etag=desk.etag("2")))
    assert desk.place.read_text() == PEOPLE.replace("030 2", "+49302")
    assert (result.outcome, result.external_id) == ("applied", "2")
    assert result.held is not None
    assert result.held.data == {"Id": "2", "Account.Name": "Bolt, Inc", "Phone": "+49302", "Hub Id": ""}


def test_what_the_answer_says_is_what_the_next_read_says(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE, **IN_PLACE)
    (result,) = desk.push(change("2", {"Phone": 'a "b"\nc'}))
    assert connector.fetch(desk.api, "people", ["2"]) == [result.held]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # mark, \r\n, quotes that are not needed, a mixed line end, blank lines and no end at the end: all stay
        (
            b'\xef\xbb\xbf"Id",Name\r\n"1","Ann"\r\n\r\n2,Bob\n3,"Cid"',
            b'\xef\xbb\xbf"Id",Name\r\n"1","Z"\r\n\r\n2,Bob\n3,"Cid"',
        ),
        (b"Id;Name\r1;Ann\r", b"Id;Name\r1;Z\r"),
        (b"Id\tName\n1\t\n2\t\xc3\xa9\n", b"Id\tName\n1\tZ\n2\t\xc3\xa9\n"),
        (
            "\ufeffId,Name\r\n1,Ann\r\n2,李\r\n".encode("utf-16-le"),
            "\ufeffId,Name\r\n1,Z\r\n2,李\r\n".encode("utf-16-le"),
        ),
    ],
)  # fmt: skip
def test_everything_about_how_the_file_is_written_stays(tmp_path: Path, before: bytes, after: bytes) -> None:
    desk = Desk(tmp_path, before, write="in_place")
    assert [result.outcome for result in desk.push(change("1", {"Name": "Z"}))] == ["applied"]
    assert desk.place.read_bytes() == after


def test_the_encoding_of_the_file_is_kept_and_what_it_cannot_hold_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "Id,Name,City\n1,André,x\n2,y,z\n".encode("cp1252"), write="in_place", encoding="cp1252")
    results = desk.push(change("1", {"City": "Genève"}), change("2", {"City": "Łódź"}))
    assert refusals(results) == [("applied", "", ""), ("rejected", "CSV-ENCODE", "City")]
    assert desk.place.read_bytes() == "Id,Name,City\n1,André,Genève\n2,y,z\n".encode("cp1252")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        ("", ""),
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        (" kept ", " kept "),
        ("=cmd()", "=cmd()"),
        (12, "12"),
        (True, "true"),
    ],
)
def test_a_value_is_written_as_one_text(tmp_path: Path, value: Json, cell: str) -> None:
    desk = Desk(tmp_path, "Id,Name,X\n1,Ann,x\n", write="in_place")
    desk.push(change("1", {"Name": value}))
    assert desk.place.read_text() == f"Id,Name,X\n1,{cell},x\n"


def test_new_rows_go_last_and_carry_the_hubs_id(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE, **IN_PLACE)
    (result,) = desk.push(change(None, {"Id": "4", "Account.Name": "Dot, Co"}, reference="hub-4"))
    assert desk.place.read_text() == PEOPLE + '4,"Dot, Co",,hub-4\n'
    assert (result.outcome, result.external_id) == ("applied", "4")
    assert result.held is not None
    assert result.held.marker == "hub-4"


def test_a_new_row_looks_like_the_rest_of_the_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path, b'"Id";"Hub Id"\r\n"1";""', write="in_place", marker="Hub Id")
    desk.push(change(None, {"Id": "2"}, reference="h2"), change(None, {"Id": "3"}, reference="h3"))
    assert desk.place.read_bytes() == b'"Id";"Hub Id"\r\n"1";""\r\n"2";"h2"\r\n"3";"h3"'


def test_the_hubs_id_can_be_the_key(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "Hub Id,Name\nh1,Ann\n", key=["Hub Id"], marker="Hub Id", write="in_place")
    (result,) = desk.push(change(None, {"Name": "Bob"}, reference="h2"))
    assert desk.place.read_text() == "Hub Id,Name\nh1,Ann\nh2,Bob\n"
    assert result.external_id == "h2"


def test_a_create_that_was_done_before_is_not_done_twice(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE, **IN_PLACE)
    create = change(None, {"Id": "4"}, reference="hub-4")
    desk.push(create)
    after = desk.place.read_text()
    (again,) = desk.push(create)
    assert (again.outcome, again.existing_id) == ("duplicate", "4")
    assert again.held is not None
    assert again.held.marker == "hub-4"
    (taken,) = desk.push(change(None, {"Id": "2"}, reference="hub-5"))
    assert (taken.outcome, taken.existing_id) == ("duplicate", "2")
    assert desk.place.read_text() == after


def test_one_refused_change_leaves_the_others_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE, **IN_PLACE)
    results = desk.push(
        change("1", {"Nope": "x"}),
        change("1", {"Phone": ["a"]}),
        change("1", {"Phone": "a\0b"}),
        change("1", {"Id": "7"}),
        change("1", {}, op="delete"),
        change(None, {"Phone": "1"}, reference="hub-8"),
        change(None, {"Id": "8"}, reference=""),
        change("9", {"Phone": "1"}),
        change("1", {"Phone": "1", "Id": "1"}),
        change(None, {"Id": "5"}, reference="hub-5"),
        change(None, {"Id": "5"}, reference="hub-6"),
    )
    assert refusals(results) == [
        ("rejected", "CSV-COLUMN", "Nope"),
        ("rejected", "CSV-VALUE", "Phone"),
        ("rejected", "CSV-NUL", "Phone"),
        ("rejected", "CSV-KEY-WRITE", "Id"),
        ("rejected", "CSV-OP", ""),
        ("rejected", "CSV-KEY-BLANK", "Id"),
        ("rejected", "CSV-NO-MARKER", ""),
        ("not_found", "", ""),
        ("applied", "", ""),
        ("applied", "", ""),
        ("rejected", "CSV-KEY-TWICE", "Id"),
    ]
    assert [result.index for result in results] == list(range(11))
    assert desk.place.read_text() == PEOPLE.replace("030 1", "1") + "5,,,hub-5\n"


def test_a_file_that_is_not_declared_writable_is_not_written(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE)
    assert refusals(desk.push(change("1", {"Phone": "1"}))) == [("rejected", "CSV-READ-ONLY", "")]
    assert desk.place.read_text() == PEOPLE


def test_a_row_edited_since_it_was_read_is_stale_its_neighbour_is_not(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE, **IN_PLACE)
    one, two = desk.etag("1"), desk.etag("2")
    desk.save(PEOPLE.replace("030 1", "030 111"), at=NOW)
    results = desk.push(change("1", {"Phone": "a"}, etag=one), change("2", {"Phone": "b"}, etag=two))
    assert [result.outcome for result in results] == ["stale", "applied"]
    assert desk.place.read_text() == PEOPLE.replace("030 1", "030 111").replace("030 2", "b")


def test_a_file_saved_between_look_and_rename_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, PEOPLE, **IN_PLACE)
    saved = PEOPLE + "4,Dot,,\n"

    def person_saves(target: Path, read: object) -> None:
        desk.place.write_text(saved)
        real(target, read)

    files: Any = desk.api.files
    real = files._still
    monkeypatch.setattr(files, "_still", person_saves)
    results = desk.push(change("1", {"Phone": "a"}), change("9", {"Phone": "a"}))
    assert [result.outcome for result in results] == ["stale", "not_found"]
    assert desk.place.read_text() == saved


def test_a_row_that_cannot_be_read_is_neither_missing_nor_made_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PEOPLE + "7,a,,\n7,b,,\n", **IN_PLACE)
    results = desk.push(change("7", {"Phone": "1"}), change(None, {"Id": "7"}, reference="hub-7"))
    assert refusals(results) == [("rejected", "CSV-UNREAD", ""), ("rejected", "CSV-UNREAD", "")]


# --- real input --------------------------------------------------------------------------------------------------


def test_names_of_every_script_survive_byte_for_byte(tmp_path: Path) -> None:
    names = ["Núñez de Arco", "O’Brien", "李小龙", "Zoë 🙂", "e\u0301 (two code points)", "عمر"]
    text = "\ufeffId,Name,X\r\n" + "".join(f"{n},{name},\r\n" for n, name in enumerate(names))
    desk = Desk(tmp_path, text, write="in_place")
    assert [record.data["Name"] for record in desk.pull().records] == names
    desk.push(*(change(str(n), {"X": "1"}) for n in range(len(names))))
    assert desk.place.read_bytes() == text.replace(",\r\n", ",1\r\n").encode()
