"""Everything that people and systems hand in wrong, counted by one table: each has a code, its place and a way out.

The tables of mappings, declarations, settings and plain YAML stand beside the tests of their readers, which hold them
to the same; files, calls and commands stand here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors import csv as files
from hub.app.reference_errors import meaning_of
from hub.cli.app import run
from hub.connector import Settings
from hub.errors import ConfigFault, HubError
from hub.runtime.clock import VirtualClock
from hub.runtime.files import LocalFiles
from hub.verify.certify.stand import candidates, settings_for
from tests.connectors.doors import call_in
from tests.core.test_checks import BODIES, DECLARATIONS
from tests.projects import make_project
from tests.runtime.test_registry import MAPPINGS, SECTIONS, SHARED
from tests.runtime.test_yaml import REFUSED

NOW = 1_790_000_000.0


@dataclass(frozen=True)
class Bad:
    """What was said of one bad input."""

    what: str
    code: str  # that was expected
    said: tuple[tuple[str, str, str], ...]  # (code, place, fix) of everything that was found


Found = Iterator[Bad]


def _faults(error: ConfigFault) -> tuple[tuple[str, str, str], ...]:
    return tuple((fault.code, fault.where, fault.fix) for fault in error.faults)


def _one(error: HubError) -> tuple[tuple[str, str, str], ...]:
    """The fix may stand in docs/errors.md, under the code."""
    if isinstance(error, ConfigFault):
        return _faults(error)
    return ((error.code, error.where, error.fix or meaning_of(error.code)[1]),)


TABLES: list[tuple[str | bytes, str]] = [
    ("", "CSV-EMPTY"), ("\n\n", "CSV-EMPTY"), ("Name,Mail\n", "CSV-COLUMN"), ("Id,Name,Name\n", "CSV-HEADER"),
    ('Id,"Name\n', "CSV-HEADER"), (b"Id,Nam\xe9\n", "CSV-HEADER"), ("Id," + "a,b,c," * 400, "CSV-WIDE"),
    ("Id,Name\n1,Ann,Lee\n", "CSV-COLUMNS"), ("Id,Name\n1\n", "CSV-COLUMNS"), ('Id,Name\n1,"Ann\n', "CSV-QUOTE"),
    ('Id,Name\n1,x"Ann"\n', "CSV-QUOTE"), (b"Id,Name\n1,Andr\xe9\n", "CSV-BYTES"), ("Id,Name\n1,A\0\n", "CSV-NUL"),
    ("Id,Name\n1," + "x" * 2_000_000 + "\n", "CSV-LONG"), ("Id,Name\n7,Ann\n7,Bob\n", "CSV-KEY-TWICE"),
    ("Id,Name\n ,Ann\n", "CSV-KEY-BLANK"), (b"PK\x03\x04" + b"\0" * 99, "CSV-"), (b"\x1f\x8b" + b"\xff" * 99, "CSV-"),
]  # fmt: skip


def tables(folder: Path) -> Found:
    for data, code in TABLES:
        place = folder / "people.csv"
        place.write_bytes(data.encode() if isinstance(data, str) else data)
        os.utime(place, (NOW - 60, NOW - 60))
        given = Settings(values={}, auth={}, streams={"people": {"file": "people.csv", "key": ["Id"]}})
        api = files.connect(LocalFiles(folder, "crm", VirtualClock(NOW)), given)
        try:
            page = files.pull(api, "people", None)
        except HubError as refused:
            yield Bad(str(data)[:40], code, _one(refused))
        else:
            said = tuple((each["code"], each["external_id"], each["fix"]) for each in page.faults)
            yield Bad(str(data)[:40], code, said)


PEOPLE: dict[str, object] = {"file": "people.csv", "key": ["Id"]}
STREAMS: list[tuple[dict[str, object], str]] = [
    ({"key": ["Id"]}, "CSV-"), ({"file": "people.csv"}, "CSV-"), (PEOPLE | {"file": "../people.csv"}, "FILE-"),
    (PEOPLE | {"file": "gone.csv"}, "FILE-"), (PEOPLE | {"file": "/etc/passwd"}, "FILE-"),
    (PEOPLE | {"file": "."}, "FILE-"), (PEOPLE | {"write": "sometimes"}, "CSV-"), (PEOPLE | {"key": [1]}, "CSV-"),
    (PEOPLE | {"listing": "perhaps"}, "CSV-"), (PEOPLE | {"lising": 1}, "CSV-"), (PEOPLE | {"key": []}, "CSV-"),
    (PEOPLE | {"encoding": "martian"}, "CSV-"), (PEOPLE | {"delimiter": "ab"}, "CSV-"),
]  # fmt: skip


def streams(folder: Path) -> Found:
    (folder / "people.csv").write_text("Id,Name\n1,Ann\n")
    for given, code in STREAMS:
        what = Settings(values={}, auth={}, streams={"people": given})
        with pytest.raises(HubError) as refused:
            assert files.CONNECTOR.streams_for is not None
            files.CONNECTOR.streams_for(what)
            files.pull(files.connect(LocalFiles(folder, "crm", VirtualClock(NOW)), what), "people", None)
        yield Bad(str(given), code, _one(refused.value))


BODIES_OF_CALLS = (b"", b"{", b"\xff\xfe", b'"x"')


def webhooks(_folder: Path) -> Found:
    """Of every connector that is called."""
    for listener in candidates():
        parse, given = listener.connector.parse, settings_for(listener, secret="s3cret-s3cret")
        if parse is None:
            continue
        for body in BODIES_OF_CALLS:
            try:
                parse(given, call_in(body, {}))
            except HubError as refused:
                yield Bad(f"{listener.connector.name}: {body!r}", refused.code, _one(refused))


COMMANDS: list[tuple[str, str]] = [
    ("sync nobody", "HUB-404"), ("discover nobody", "HUB-404"), ("conflicts show 99", "HUB-404"),
    ("conflicts resolve 99 --value x", "HUB-404"), ("runs show 99", "HUB-404"), ("why contact:99", "HUB-404"),
    ("why martian:1", "HUB-404"), ("show contact:99", "HUB-404"), ("show contact:1 --as-of yesterweek", "WHY-TIME"),
    ("quarantine show 99", "HUB-404"), ("holds release 99", "HUB-404"), ("rewards approve 99", "HUB-404"),
    ("plans approve 99", "HUB-404"), ("apply gone.json", "PLAN-"), ("apply hub.yaml", "PLAN-"), ("undo 99", "HUB-404"),
    ("identity split contact:99", "HUB-404"), ("reconcile nobody", "HUB-404"), ("user disable nobody", "HUB-404"),
    ("init .", "CFG-"), ("connections add left csv", "CFG-"), ("connections add new martian", "CFG-"),
    ("user add <b> --no-password", "AUTH-NAME"), ("user add ann --role king --no-password", "AUTH-ROLE-NAME"),
]  # fmt: skip
LINE = re.compile(r"error (?:(?P<where>.+?): )?(?P<code>[A-Z]+-[A-Z0-9-]+): (?P<message>.+?)(?: \((?P<fix>.+)\))?$")


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    monkeypatch.chdir(make_project(tmp_path / "cli"))

    def call(command: str) -> str:
        code = run(command.split())
        err = capsys.readouterr().err
        assert code in (1, 2), (command, code, err)
        return err

    return call


KINDS: dict[str, Callable[[Path], Found]] = {"tables": tables, "streams": streams, "webhooks": webhooks}
ELSEWHERE: Sequence[Sized] = (BODIES, DECLARATIONS, REFUSED, MAPPINGS, SECTIONS, SHARED)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_input_has_a_code_a_place_and_a_way_out(kind: str, tmp_path: Path) -> None:
    for bad in KINDS[kind](tmp_path):
        assert any(code.startswith(bad.code) for code, _, _ in bad.said), bad
        for code, place, fix in bad.said:
            assert re.fullmatch(r"[A-Z]+-[A-Z0-9-]+", code), bad
            assert place, bad
            assert fix, bad


def test_a_bad_command_has_a_code_a_place_and_a_way_out(said: Callable[[str], str]) -> None:
    for command, code in COMMANDS:
        err = said(command)
        assert "Traceback" not in err, command
        lines = [match for line in err.splitlines() if (match := LINE.match(line))]
        assert any(match["code"].startswith(code) for match in lines), (command, err)
        assert all(match["where"] or match["message"] for match in lines), (command, err)
        assert all(match["fix"] or meaning_of(match["code"])[1] for match in lines), (command, err)


def test_there_are_enough_of_them() -> None:
    tables_: list[Sized] = [*ELSEWHERE, TABLES, STREAMS, BODIES_OF_CALLS, COMMANDS]
    assert sum(len(each) for each in tables_) >= 150
