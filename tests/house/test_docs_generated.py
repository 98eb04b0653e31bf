"""Pages made of the code say what the code does; `make docs` brings them up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.app.code_walk import codes_said, read_sources
from hub.app.reference import DOCS, PAGES, stale_pages, write_pages
from hub.app.reference_connectors import described, span
from hub.app.reference_errors import LEFT_OUT, TEXTS, found_codes
from hub.app.reference_systems import OWN
from hub.core.codes import CODES
from hub.runtime.registry import connector_names
from tests.house.source import ROOT


def page(name: str) -> str:
    return (ROOT / DOCS / name).read_text(encoding="utf-8")


def test_the_pages_are_as_the_code_has_them() -> None:
    assert list(stale_pages(ROOT / DOCS)) == [], "out of date: run `make docs`"


def test_a_page_that_says_something_else_is_seen_and_mended(tmp_path: Path) -> None:
    for name in PAGES:
        (tmp_path / name).write_text(page(name), encoding="utf-8")
    (tmp_path / "errors.md").write_text(page("errors.md").replace("`NET-429`", "`NET-430`"), encoding="utf-8")
    assert write_pages(tmp_path) == ["errors.md"]
    assert (tmp_path / "errors.md").read_text(encoding="utf-8") == page("errors.md")


# Connectors


def test_every_connector_and_each_of_its_streams_has_its_place() -> None:
    section = re.compile(r"^## [^\n]*\n\n`connector: (\w+)`(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    sections = dict(section.findall(page("connectors.md")))
    assert set(sections) == {it.connector.name for it in described()} == set(connector_names())
    missing = [
        (it.connector.name, stream.name)
        for it in described()
        for stream in it.connector.streams
        if f"`{stream.name}`" not in sections[it.connector.name]
    ]
    assert missing == []


def test_a_setting_that_holds_a_secret_is_not_listed_among_the_settings() -> None:
    secret = {each.name for it in described() for each in it.connector.settings if each.secret}
    assert secret
    assert [name for name in secret if f"| `{name}` |" in page("connectors.md")] == []


@pytest.mark.parametrize(
    "seconds, words",
    [
        (1, "1 second"),
        (300, "5 minutes"),
        (3600, "1 hour"),
        (86_400, "1 day"),
        (90, "90 seconds"),
        (0.5, "0.5 seconds"),
    ],
)
def test_a_span_of_time_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert span(seconds) == words


# Codes


def rows() -> dict[str, tuple[str, str]]:
    """Code -> meaning and fix, as the page has them."""
    return {
        code: (meaning, fix)
        for code, meaning, fix in re.findall(r"^\| `(\S+)` \| (.*) \| (.*) \|$", page("errors.md"), re.MULTILINE)
    }


def test_every_code_stands_once_with_what_it_means_and_what_to_do() -> None:
    listed = re.findall(r"^\| `(\S+)` \|", page("errors.md"), re.MULTILINE)
    assert len(listed) == len(set(listed)) > 200
    assert set(listed) == set(CODES) | set(TEXTS) | set(found_codes(ROOT))
    assert [code for code, texts in rows().items() if not all(text.strip("… .;") for text in texts)] == []


def test_no_text_is_kept_for_a_code_that_nothing_says() -> None:
    assert sorted({*TEXTS, *OWN} - set(found_codes(ROOT))) == []


def test_no_code_goes_by_a_beginning_that_the_walk_does_not_know() -> None:
    sources = read_sources(ROOT, "hub", "connectors", leave=LEFT_OUT)
    said = {code for text in sources.values() for code in re.findall(r'code=f?"([A-Z]+-[A-Z0-9-]+)"', text)}
    assert len(said) > 200
    assert sorted(said - set(found_codes(ROOT))) == []


@pytest.mark.parametrize(
    "source, messages, fixes",
    [
        ('raise RetryLater("too fast", code="NET-1", fix="wait")', ["too fast"], ["wait"]),
        ('Fault(code="NET-1", where=w, message=f"no {name} here", fix="add it")', ["no … here"], ["add it"]),
        ('self.fault(place, "NET-1", "too long", "cut it")', ["too long"], ["cut it"]),
        ('fault("NET-1", "people.csv", "is empty", "fill it")', ["is empty"], ["fill it"]),
        ('why = "gone"\ndef f():\n    raise RetryLater(why, code=x or "NET-1")', ["gone"], []),
        ('def f():\n    said, fix = "gone", "look"\n    raise Gone(said, code="NET-1", fix=fix)', ["gone"], ["look"]),
        ('row = {"code": "NET-1", "message": "unread", "fix": "mend"}', ["unread"], ["mend"]),
        (
            'class A(HubError):\n    """Gone for good.\n\n    More."""\n    default_code = "NET-1"',
            ["Gone for good."],
            [],
        ),
        ('detail = f"NET-1: {count} too many"', ["… too many"], []),
        ('raise Gone("a" if b else "c", code="NET-1")', ["a", "c"], []),
    ],
)
def test_a_code_is_found_wherever_it_is_said(source: str, messages: list[str], fixes: list[str]) -> None:
    found = codes_said({"a.py": source})
    assert list(found) == ["NET-1"]
    assert (found["NET-1"].messages, found["NET-1"].fixes, found["NET-1"].files) == (messages, fixes, ["a.py"])


@pytest.mark.parametrize("source", ['x = "SHA-256"', 'x = "utf-8"', '"""See NET-429 for more."""', 'f("NET-HOST.txt")'])
def test_what_is_no_code_is_not_found(source: str) -> None:
    assert codes_said({"a.py": source}) == {}
