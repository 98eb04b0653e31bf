"""Hostile text in values: tables show it as text, and nothing in it reaches the terminal as anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.app.bootstrap import opened
from hub.app.syncing import sync_now
from tests.hostile_project import FIELDS, ROWS, email_of, make_hostile_project, note_of, texts_of

UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
COMMANDS = (
    ("conflicts", "list"), ("conflicts", "show", "1"), ("quarantine", "list"), ("runs", "show", "1"),
    ("why", "contact:1"), ("history", "contact:1"), ("plan", "--no-pull"),
)  # fmt: skip


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = make_hostile_project(tmp_path_factory.mktemp("hostile"))
    with opened(found, publish=True) as hub:
        assert sync_now(hub).exit_code == 3, "conflicts wait"
    return found


@pytest.fixture
def project(synced: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(synced)
    return synced


def test_hostile_text_cannot_speak_to_the_terminal(hub: Callable[..., tuple[int, str, str]], project: Path) -> None:
    said = [hub(*command) for command in (*COMMANDS, *(("show", f"contact:{row + 1}") for row in range(ROWS)))]
    for code, out, err in said:
        assert code in (0, 3), (code, err)
        found = UNSEEN.search(out + err)
        assert found is None, (hex(ord(found[0])), (out + err)[max(0, found.start() - 60) : found.end() + 20])
    assert not any(re.search(r"^\d\d\d\d-\d\d-\d\d error: forged", out, re.MULTILINE) for _, out, _ in said)
    assert any("[bold]x[/bold]" in out for _, out, _ in said), "markup is text"
    assert any(":smile:" in out for _, out, _ in said), "and stays as it was written"


def test_programs_get_hostile_text_as_it_is(hub: Callable[..., tuple[int, str, str]], project: Path) -> None:
    shown: dict[str, dict[str, str]] = {}
    for row in range(1, ROWS + 1):
        fields = json.loads(hub("show", f"contact:{row}", "--json")[1])["fields"]
        values = {each["field"]: each["value"] for each in fields}
        shown[values["email"]] = values
    for row in range(ROWS):
        held = shown[email_of(row)]
        assert {name: held[name] for name in FIELDS} == texts_of(row)
    waiting = json.loads(hub("conflicts", "list", "--json")[1])
    notes = {each["value"] for row in waiting for each in row["candidates"]}
    differ = [row for row in range(ROWS) if note_of(row) != note_of(row, other=True)]
    assert notes >= {note_of(row) for row in differ} | {note_of(row, other=True) for row in differ}
