"""The console's bench asks for every page there is, of a store that has grown, and tells which are too slow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import console
from bench.console import API, AS_THEY_ARE, NOT_LISTINGS, Asked, as_text, measure
from bench.grown import grown
from hub.app.context import Hub
from hub.store.migrate import upgrade
from hub.web.api import ROUTER
from hub.web.app import ROUTES

CONTACTS = 700  # beyond the pattern of 400 records, so that some are copies


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("grown")
    url = f"sqlite:///{folder}/bench.db"
    upgrade(url)
    with grown(folder / "project", url, CONTACTS) as hub:
        yield hub


def test_a_grown_store_has_what_years_leave_behind(full: Hub) -> None:
    with full.store.reading() as tx:
        assert tx.count_entities() == {"contact": CONTACTS}
        assert len(tx.plans(state="waiting")) == 2
        assert all((tx.count_links("first", "contacts"), tx.count_conflicts(), tx.count_codes(), tx.grants(limit=1)))
        rows = tx.entities_page("contact", after_id=0, limit=CONTACTS)
        assert len({row.values["email"] for row in rows}) == CONTACTS


def test_copies_are_entities_as_the_engine_writes_them(full: Hub) -> None:
    """What explains a value decides it once more from its claims; of a copy, too."""
    from hub.app.why import why

    with full.store.reading() as tx:
        newest = tx.newest_entity()
    found = why(full, f"contact:{newest}", "job_title")
    assert found["candidates"]
    assert not found.get("differs", False)


def test_every_page_and_every_call_is_asked_for_and_answers(full: Hub) -> None:
    found = measure(full, times=1)
    assert [each.path for each in found if each.status not in (200, 303)] == []
    asked = {each.path.partition("?")[0] for each in found}
    fixed = {r.path for r in ROUTES if r.method == "GET" and r.right is not None and "{" not in r.path}
    assert fixed - NOT_LISTINGS <= asked
    calls = {route.path for route in ROUTER.routes if "GET" in route.methods}  # type: ignore[attr-defined]
    assert calls - console.NOT_CALLED == {path.partition("?")[0] for path in API}
    assert set(AS_THEY_ARE) <= {route.path for route in ROUTES}


def test_what_breaks_the_limit_is_told_and_decides() -> None:
    fine = Asked(path="/fine", status=200, size=2000, took_ms=[10.0, 20.0, 900.0])
    slow = Asked(path="/slow", status=200, size=2000, took_ms=[10.0, 201.0, 900.0])
    gone = Asked(path="/gone", status=404, size=0, took_ms=[1.0])
    assert [each.holds for each in (fine, slow, gone)] == [True, False, False]
    lines = as_text([fine, slow, gone], "sqlite", 700).splitlines()
    assert (lines[3].split()[0], lines[3].endswith("over must")) == ("/slow", True)
    assert lines[-1] == "3 addresses, 2 over must"
