"""A first load by several processes on PostgreSQL, one of them killed with -9 in the middle: no gap, nothing twice."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

import connectors
from bench import load, parts
from bench.__main__ import source
from bench.people import draw
from hub.app.context import Hub
from tests.postgres import Server

RECORDS = 4_000
STREAM = "contacts"
WITHIN_S = 60.0


def until_begun(hub: Hub) -> None:
    """A page of some part is stored."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        with hub.store.reading() as tx:
            if any(sum(tx.count_links(name, STREAM).values()) for name in hub.connections):
                return
        time.sleep(0.01)
    pytest.fail("nobody began")


def stored(hub: Hub) -> dict[str, dict[str, Any]]:
    """Connection -> external id -> e-mail of its entity."""
    found: dict[str, dict[str, Any]] = {}
    with hub.store.reading() as tx:
        for name in hub.connections:
            links = tx.links_page(name, STREAM, limit=RECORDS)
            entities = tx.entities({link.entity_id for link in links})
            found[name] = {link.external_id or "": entities[link.entity_id].values["email"] for link in links}
    return found


@pytest.fixture
def own_connectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the bench adds to the hub's own connectors, for as long as the test takes."""
    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__])
    load.find_own_connectors()


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("own_connectors")
@pytest.mark.parametrize("dies", ["the one that runs it", "a helper"])
def test_a_worker_killed_in_the_middle_of_a_first_load(
    dies: str, postgres: Server, migrated_postgres: str, tmp_path: Path
) -> None:
    with postgres.database(template=migrated_postgres) as url, source(RECORDS) as base_url:
        load.write_project(tmp_path, base_url, "engine")
        with load.opened(tmp_path, url) as hub:
            with parts.workers(tmp_path, url, 1) as (runs, (helps,)):
                for each in (helps, runs):
                    parts.begin(each)
                until_begun(hub)
                (helps if dies == "a helper" else runs).kill()
                if dies == "a helper":
                    counts = orjson.loads(parts.line_of(runs))
                else:
                    counts = parts.read_all(hub)  # another takes the run over; the helper goes on helping
            first, second = draw(RECORDS)
            assert stored(hub) == {
                "first": {row.id: row.data["Email"] for row in first},
                "second": {row.id: row.data["properties"]["email"] for row in second},
            }
            with hub.store.reading() as tx:
                people = tx.count_entities()["contact"]
            mails = Counter(mail for records in stored(hub).values() for mail in records.values())
            assert people == len(mails)
            assert counts["new"] == counts["rows"] == RECORDS
