"""The door to files: one directory, whole files, replaced at once, written the way they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.errors import ConfigFault, PreconditionFailed, RetryLater
from hub.runtime.clock import VirtualClock
from hub.runtime.files import LocalFiles, detect_format

NOW = 1_790_000_000.0


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path / "project", "crm_a", VirtualClock(NOW))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file of the project, an hour old."""
    place = tmp_path / "project" / "data" / "people.csv"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"Id,Name\n1,Ann\n")
    os.utime(place, (NOW - 3600, NOW - 3600))
    return place


def code_of(error: pytest.ExceptionInfo[ConfigFault]) -> str:
    return error.value.faults[0].code


def test_a_file_is_read_whole_with_its_hash_and_its_time(files: LocalFiles, table: Path) -> None:
    read = files.read("data/people.csv")
    assert read.data == b"Id,Name\n1,Ann\n"
    assert read.digest == "ddb08ff1f052d3d536ddfb81faf56c2ab7437d87d517d8160c518d7d2abd3d48"
    assert read.modified_at == NOW - 3600
    assert read.read_at == NOW


def test_a_stamp_in_the_future_is_taken_as_now(files: LocalFiles, table: Path) -> None:
    os.utime(table, (NOW + 86400, NOW + 86400))
    assert files.read("data/people.csv").modified_at == NOW


def test_the_contents_do_not_show_in_messages(files: LocalFiles, table: Path) -> None:
    assert "Ann" not in repr(files.read("data/people.csv"))


@pytest.mark.parametrize(
    "path", ["../outside.csv", "/etc/hostname", "data/../../outside.csv", "out.csv", "", "a\0b", "loop.csv"]
)
def test_nothing_outside_the_project_is_read(files: LocalFiles, table: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "outside.csv").write_text("Id\n1\n")
    (tmp_path / "project" / "out.csv").symlink_to(tmp_path / "outside.csv")
    (tmp_path / "project" / "loop.csv").symlink_to("loop.csv")
    with pytest.raises(ConfigFault) as error:
        files.read(path)
    assert code_of(error) in ("FILE-PATH", "FILE-NOT-THERE")
    if path == "out.csv":
        assert code_of(error) == "FILE-PATH"


def test_a_missing_file_a_directory_and_a_pipe_are_named_as_what_they_are(files: LocalFiles, table: Path) -> None:
    os.mkfifo(table.parent / "pipe")
    codes = {}
    for path in ("data/nothing.csv", "data", "data/pipe"):
        with pytest.raises(ConfigFault) as error:
            files.read(path)
        codes[path] = code_of(error)
        assert error.value.faults[0].where == f"crm_a: {path}"
    assert codes == {"data/nothing.csv": "FILE-NOT-THERE", "data": "FILE-KIND", "data/pipe": "FILE-KIND"}


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path, table: Path) -> None:
    small = LocalFiles(tmp_path / "project", "crm_a", VirtualClock(NOW), limit_bytes=13)
    with pytest.raises(ConfigFault) as error:
        small.read("data/people.csv")
    assert code_of(error) == "FILE-BIG"


def test_a_file_that_grows_while_it_is_read_is_read_later(
    files: LocalFiles, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def growing(handle: int) -> os.stat_result:
        looks.append(handle)
        if len(looks) == 2:  # between the two looks of one read, somebody writes
            with table.open("ab") as other:
                other.write(b"2,Bob\n")
        return real(handle)

    real = os.fstat
    monkeypatch.setattr("hub.runtime.files.os.fstat", growing)
    with pytest.raises(RetryLater) as error:
        files.read("data/people.csv")
    assert error.value.code == "FILE-MOVING"


def test_a_replacement_is_there_whole_keeps_the_mode_and_leaves_nothing_behind(files: LocalFiles, table: Path) -> None:
    table.chmod(0o640)
    written = files.replace(files.read("data/people.csv"), b"Id,Name\n1,Anna\n")
    assert table.read_bytes() == b"Id,Name\n1,Anna\n"
    assert table.stat().st_mode & 0o777 == 0o640
    assert [place.name for place in table.parent.iterdir()] == ["people.csv"]
    assert written == files.read("data/people.csv")


def test_a_file_that_changed_since_it_was_read_is_not_replaced(files: LocalFiles, table: Path) -> None:
    read = files.read("data/people.csv")
    table.write_bytes(b"Id,Name\n1,Anne\n")
    with pytest.raises(PreconditionFailed):
        files.replace(read, b"Id,Name\n1,Anna\n")
    assert table.read_bytes() == b"Id,Name\n1,Anne\n"
    assert [place.name for place in table.parent.iterdir()] == ["people.csv"]


def test_a_failed_write_leaves_the_file_as_it_was(
    files: LocalFiles, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = files.read("data/people.csv")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hub.runtime.files.os.fsync", full)
    with pytest.raises(RetryLater) as error:
        files.replace(read, b"Id,Name\n1,Anna\n")
    assert error.value.code == "FILE-WRITE"
    assert table.read_bytes() == b"Id,Name\n1,Ann\n"
    assert [place.name for place in table.parent.iterdir()] == ["people.csv"]


def test_a_link_inside_the_project_is_followed_not_replaced(files: LocalFiles, table: Path) -> None:
    link = table.parent / "today.csv"
    link.symlink_to("people.csv")
    files.replace(files.read("data/today.csv"), b"Id,Name\n1,Anna\n")
    assert link.is_symlink()
    assert table.read_bytes() == b"Id,Name\n1,Anna\n"


@pytest.mark.parametrize(
    ("data", "encoding", "bom", "line_end", "delimiter", "quoting"),
    [
        (b"Id,Name\n1,Ann\n", "utf-8", b"", "\n", ",", "minimal"),
        (b"Id;Name\r\n1;Ann\r\n", "utf-8", b"", "\r\n", ";", "minimal"),
        (b"Id\tName\r1\tAnn\r", "utf-8", b"", "\r", "\t", "minimal"),
        (b"\xef\xbb\xbfId,Name\n", "utf-8", b"\xef\xbb\xbf", "\n", ",", "minimal"),
        ("\ufeffId,Name\r\n".encode("utf-16-le"), "utf-16-le", b"\xff\xfe", "\r\n", ",", "minimal"),
        ("\ufeffId,Name\r\n".encode("utf-32-be"), "utf-32-be", b"\0\0\xfe\xff", "\r\n", ",", "minimal"),
        (b'"Id","Last, First"\n"1","B, A"\n', "utf-8", b"", "\n", ",", "all"),
        (b'Id,"Last; First; Title"\n', "utf-8", b"", "\n", ",", "minimal"),
        (b'"Id"|"Note"\r\n1|"two\nlines"\r\n', "utf-8", b"", "\r\n", "|", "all"),
        (b"", "utf-8", b"", "\n", ",", "minimal"),
    ],
)
def test_how_a_table_is_written_is_seen(
    data: bytes, encoding: str, bom: bytes, line_end: str, delimiter: str, quoting: str
) -> None:
    found = detect_format(data)
    assert (found.encoding, found.bom, found.line_end, found.delimiter, found.quoting) == (
        encoding, bom, line_end, delimiter, quoting,
    )  # fmt: skip


def test_what_is_declared_is_not_guessed_but_a_mark_decides() -> None:
    declared = detect_format(b"Id;Na,me\n", "cp1252", ",")
    assert (declared.encoding, declared.delimiter) == ("cp1252", ",")
    assert detect_format(b"\xef\xbb\xbfId\n", "cp1252").encoding == "utf-8"
    assert detect_format(b"Id\n", "utf-8-sig").encoding == "utf-8"
