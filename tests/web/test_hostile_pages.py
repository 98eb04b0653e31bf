"""Hostile text on every page of the console: it is shown as it is written, and makes no element, attribute or link."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

from hub.web.show import LONGEST
from tests.hostile import HOSTILE, MARK
from tests.hostile_project import ROWS, make_hostile_project, texts_of
from tests.web.console import Browser, Console

SAFE_LINK = re.compile(r"^(/|#|\?|https?://|mailto:)")
PAGES = 110  # that are looked at; every kind of page is among them
KINDS = (
    "/",
    "/conflicts",
    "/records/contact",
    "/runs",
    "/quarantine",
    "/holds",
    "/plan",
    "/audit",
    "/mappings",
    "/settings",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    found = Console(folder, project=make_hostile_project(folder))
    found.start()
    found.sync()
    yield found
    found.stop()


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts += [value for _, value in attrs if value]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:80]}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data[:80]}")

    def links(self, *names: str) -> Iterator[str]:
        for _, given in self.elements:
            for name in names or ("href", "src", "action", "formaction", "xlink:href"):
                if given.get(name):
                    yield str(given[name])


def check(page: Page, path: str) -> None:
    """No element, attribute or link is the data's."""
    for tag, given in page.elements:
        assert tag not in ("iframe", "object", "embed", "base", "video", "audio", "math", "plaintext", "xmp"), (
            path,
            tag,
        )
        assert not [name for name in given if name.startswith("on") or name in ("style", "srcdoc")], (path, tag, given)
        assert tag != "script" or (given.get("src") or "").startswith("/static/"), (path, given)
        assert MARK not in tag + "".join(given), (path, tag, given)
    for link in page.links():
        assert SAFE_LINK.match(link), (path, link)
        assert not re.match(r"^//|^/\\", link), (path, link)


def walk(browser: Browser) -> Iterator[tuple[str, Page]]:
    """Pages, from those that people begin at."""
    waiting, seen = deque(KINDS), set(KINDS)
    for _ in range(PAGES):
        if not waiting:
            return
        path = waiting.popleft()
        answer = browser.get(path)
        assert answer.status == 200, (path, answer.status)
        page = Page(answer.text)
        yield path, page
        for link in page.links("href"):
            if link.startswith("/") and not link.startswith(("/static", "/api")) and link not in seen:
                seen.add(link)
                waiting.append(link)


def test_hostile_text_is_text_on_every_page(hostile: Console) -> None:
    """With texts in names, in conflicts and their candidates, in the reasons, in the past, in what is searched for."""
    admin = hostile.as_("admin")
    shown: dict[str, Page] = {}
    for path, page in walk(admin):
        check(page, path)
        shown[path] = page
    assert {path.split("/")[1].partition("?")[0] for path in shown} >= {
        "conflicts", "records", "runs", "quarantine", "mappings", "connections", "audit"
    }  # fmt: skip
    records = [page for path, page in shown.items() if path.startswith("/records/contact:") and path.count("/") == 2]
    assert len(records) == ROWS
    said = {text.strip() for page in records for text in page.texts}
    lost = [text for row in range(ROWS) for text in texts_of(row).values() if as_shown(text) not in said]
    assert lost == [], "shown as it is written"


def as_shown(text: str) -> str:
    """As a page gives it back: what is very long is cut, and says so."""
    return (text if len(text) <= LONGEST else text[: LONGEST - 1] + "…").strip()


def test_what_is_searched_for_is_text_too(hostile: Console) -> None:
    admin = hostile.as_("admin")
    for text in HOSTILE[::6]:
        answer = admin.get(f"/search?q={quote(text.encode())}")
        assert answer.status in (200, 303), text
        check(Page(answer.text), text)
