"""The calls that docs/api.md shows are made, one after the other, on a hub that has nothing yet."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from hub.app.people import Right
from hub.runtime.registry import SHIPPED
from tests.web.console import Console
from tests.web.test_api import call, token
from tests.web.test_api_covers_pages import OPERATIONS

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
CALLS = re.findall(r"^ask \$HUB(\S+)(?: -d '(.+)')?$", PAGE, re.MULTILINE)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Console]:
    project = tmp_path / "project"
    shutil.copytree(SHIPPED, project / "mappings", ignore=shutil.ignore_patterns("*.py", "hub.yaml", "__pycache__"))
    (project / "hub.yaml").write_text("hub: {name: acme}\nconnections: {}\n", "utf-8")
    found = Console(tmp_path, project=project)
    found.start()
    yield found
    found.stop()


def test_the_page_can_be_followed_from_top_to_bottom(empty: Console) -> None:
    key = token(empty, *Right)
    assert len(CALLS) >= 10
    for path, body in CALLS:
        status, found = call(empty, "POST" if body else "GET", path, key, orjson.loads(body) if body else None)
        assert status in (200, 201), (path, found)
        if path.endswith("/draft/fields"):
            assert "shoe_size" in found["text"]
            assert not [fault for fault in found["faults"] if fault["stops"]]
        if path.endswith("/publish"):
            assert "shoe_size" in empty.read("mappings/hubspot.yaml")
    assert "shoe_size" not in empty.read("mappings/hubspot.yaml"), "rolled back"
    assert "pat-eu1-example" not in empty.read("hub.yaml")
    assert empty.hub.connections["crm"].crons["owners"].text == "0 3 * * *"


@pytest.mark.parametrize("page", sorted((Path(__file__).parents[2] / "docs").glob("*.md")), ids=lambda each: each.name)
def test_every_call_that_the_documentation_names_is_there(page: Path) -> None:
    prefix = "(?:/api/v1)?" if page.name == "api.md" else "/api/v1"  # elsewhere paths may be a vendor's
    named = re.findall(rf"`(GET|POST|DELETE) {prefix}(/[a-z][^\s`…]*)`", page.read_text("utf-8"))
    known = [re.compile(re.sub(r"{\w+}", "[^/]+", each)) for each in OPERATIONS]
    assert [f"{method} {path}" for method, path in named if not _is_there(f"{method} {path}", known)] == []


def _is_there(said: str, known: list[re.Pattern[str]]) -> bool:
    return any(pattern.fullmatch(said) for pattern in known)
