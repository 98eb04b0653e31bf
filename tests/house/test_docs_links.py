"""What the pages point to is there: files, headings, commands with their options, targets of make.

That every command is explained is checked by tests/house/test_docs.py.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from hub.cli.app import app
from tests.house.source import ROOT, tracked_files

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
SHELL = ("", "sh", "console")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*|…|\.\.\.")


def pages() -> list[Path]:
    """Every page that people read."""
    return [path for path in tracked_files() if path.suffix == ".md"]


# Links


def broken_links(path: Path, text: str) -> list[str]:
    found = []
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        place = (path.parent / file).resolve()
        if file and not place.exists():
            found.append(f"{target}: no such file")
        elif heading and heading not in headings(place.read_text(encoding="utf-8") if file else text):
            found.append(f"{target}: no such heading")
    return found


def headings(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_leads_to_a_file_and_heading_that_are_there() -> None:
    found = {str(path.relative_to(ROOT)): broken_links(path, path.read_text(encoding="utf-8")) for path in pages()}
    assert len(found) > 5, f"the walk found too little below {ROOT}"
    assert {name: links for name, links in found.items() if links} == {}


@pytest.mark.parametrize(
    "link, found",
    [
        ("[a](nowhere.md)", ["nowhere.md: no such file"]),
        ("[a](README.md#nothing)", ["README.md#nothing: no such heading"]),
        ("[a](#that-one)", ["#that-one: no such heading"]),
        ("# This one\n[a](#this-one) [b](LICENSE) [c](https://example.org/x)", []),
        ("```\n[a](nowhere.md)\n```\n", []),
    ],
)
def test_a_link_that_leads_nowhere_is_seen(link: str, found: list[str]) -> None:
    assert broken_links(ROOT / "PAGE.md", link) == found


# Commands


def commands(text: str, program: str) -> Iterator[str]:
    """What follows the program's name, in blocks for the shell and in code within sentences."""
    line = re.compile(rf"(?:\$ )?(?:\S*/)?{program} (.*)")
    for language, block in FENCE.findall(text):
        if language in SHELL:
            for each in block.replace("\\\n", " ").splitlines():
                for part in re.split(r" && | \|\| |; | \| ", each.partition(" #")[0].strip()):
                    if given := line.fullmatch(part.strip()):
                        yield given[1]
    for span in SPAN.findall(FENCE.sub("", text)):
        if given := line.fullmatch(span.replace("\n", " ").strip()):
            yield given[1]


@cache
def tree() -> Any:
    return typer.main.get_command(app)


def unknown(given: str) -> str:
    """What of a command line the program does not know; empty if it knows all of it."""
    command, words = tree(), iter(shlex.split(given.replace("'", "")))
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("--"):
            options = {text for each in command.params for text in (*each.opts, *each.secondary_opts)} | {"--help"}
            if name not in options:
                return f"{given}: {command.name} has no {name}"
        elif hasattr(command, "commands") and not PLACEHOLDER.fullmatch(word):
            if word not in command.commands:
                return f"{given}: no command {word}"
            command = command.commands[word]
    return ""


def test_every_command_that_a_page_names_is_there_with_its_options() -> None:
    named = {(path.name, given) for path in pages() for given in commands(path.read_text(encoding="utf-8"), "hub")}
    assert len(named) > 30
    assert sorted(f"{name}: {problem}" for name, given in named if (problem := unknown(given))) == []


@pytest.mark.parametrize(
    "text, problems",
    [
        ("`hub synch`", ["synch: no command synch"]),
        ("`hub holds list --al`", ["holds list --al: list has no --al"]),
        ("```sh\n.venv/bin/hub quarantine mend 4\n```\n", ["quarantine mend 4: no command mend"]),
        ("```sh\n$ hub sync --project acme && hub nothing\n```\n", ["nothing: no command nothing"]),
        ("`hub holds release N`, `hub run --port 8081`, `hub why contact:1 phone`, `hub …`", []),
        ("```yaml\nhub: {name: acme}\n```\n", []),
    ],
)
def test_a_command_that_is_not_there_is_seen(text: str, problems: list[str]) -> None:
    assert [problem for given in commands(text, "hub") if (problem := unknown(given))] == problems


def test_every_target_of_make_that_a_page_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        word
        for path in pages()
        for given in commands(path.read_text(encoding="utf-8"), "make")
        for word in given.split("ARGS=")[0].split()
        if re.fullmatch(r"[a-z-]+", word)
    }
    assert {"demo", "test"} <= named <= targets
