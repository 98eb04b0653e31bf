"""The pages of docs/ that are made of the code. `make docs` writes them, and a test fails while one is out of date."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from hub.app.reference_connectors import connectors_page
from hub.app.reference_errors import errors_page
from hub.core.reference import fill
from hub.runtime.registry import SHIPPED

ROOT = SHIPPED.parent  # of the checkout
DOCS = "docs"

# Page -> what it should say, given what it says now.
PAGES: Mapping[str, Callable[[str], str]] = {
    "connectors.md": lambda _now: connectors_page(),
    "errors.md": lambda _now: errors_page(ROOT),
    "mapping.md": fill,  # only its marked blocks
}


def stale_pages(folder: Path) -> dict[str, str]:
    """Pages that are not as the code has them, with the text that they should have."""
    now = {name: (folder / name).read_text("utf-8") if (folder / name).exists() else "" for name in PAGES}
    made = {name: make(now[name]) for name, make in PAGES.items()}
    return {name: text for name, text in made.items() if text != now[name]}


def write_pages(folder: Path) -> list[str]:
    """Bring the pages up to date; gives those that changed."""
    stale = stale_pages(folder)
    for name, text in stale.items():
        (folder / name).write_text(text, "utf-8")
    return list(stale)


if __name__ == "__main__":
    for written in write_pages(ROOT / DOCS):
        sys.stdout.write(f"wrote {DOCS}/{written}\n")
