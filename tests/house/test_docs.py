"""docs/operations.md lists every command with its arguments and every one of its options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from hub.cli.app import app
from tests.house.source import ROOT

SHARED = ("--help", "--project", "--json")  # explained once for all
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
REFERENCE = PAGE.partition("\n## Commands\n")[2]


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, each in getattr(command, "commands", {}).items():
        yield from leaves(each, (*path, name))
    if not getattr(command, "commands", None):
        yield " ".join(path), command


COMMANDS = dict(leaves(typer.main.get_command(app), ("hub",)))


def entry(name: str, text: str = REFERENCE) -> str:
    """What the reference says of a command: from its line to the next one's."""
    found = re.search(rf"^- `{re.escape(name)}(?: [^`a-z]*)?`: .*?(?=^- `hub|^#|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def lacks(name: str, text: str = REFERENCE) -> list[str]:
    """Options of a command that its entry does not name; the command itself, if there is no entry."""
    said = entry(name, text)
    if not said:
        return [name]
    options = [text for each in COMMANDS[name].params for text in (*each.opts, *each.secondary_opts)]
    return [each for each in options if each.startswith("--") and each not in SHARED and f"`{each}`" not in said]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_documented_with_all_its_options(name: str) -> None:
    assert lacks(name) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_says_of_itself_is_what_the_page_says(name: str) -> None:
    assert COMMANDS[name].help.splitlines()[0] in entry(name).replace("\n  ", " ")


def test_a_command_or_option_that_is_left_out_is_seen() -> None:
    assert lacks("hub sync", "- `hub synch`: Another.\n") == ["hub sync"]
    assert lacks("hub run", "- `hub run`: Runs.\n  - `--port`: port\n") == ["--host", "--queue", "--jobs"]


def test_every_listing_speaks_json() -> None:
    silent = [
        name
        for name, command in COMMANDS.items()
        if name.endswith((" list", " show")) and "--json" not in [text for each in command.params for text in each.opts]
    ]
    assert silent == []


def test_every_exit_code_is_explained() -> None:
    assert re.findall(r"^\| (\d) \|", PAGE.partition("## Exit codes")[2].partition("\n## ")[0], re.MULTILINE) == [
        "0", "1", "2", "3"
    ]  # fmt: skip
