"""A copy of the database is somebody else's hub: it looks on, until somebody says that it takes over."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.overview import overview
from hub.app.restored import after_restore
from hub.app.syncing import sync_now
from hub.runtime.clock import VirtualClock
from tests.projects import make_project

START = 2_000_000_000.0  # later than the files of the test


def opened(project: Path, database: str) -> Hub:
    url = f"sqlite:///{project / database}"
    return open_hub(project, clock=VirtualClock(start=START), url=url, environ={}, by="mia", publish=True)


def modes(hub: Hub) -> set[str]:
    return {each.mode for each in hub.connections.values()}


def test_a_copy_reads_and_writes_nowhere_until_somebody_says_that_it_takes_over(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    right = project / "data" / "right.csv"
    before = right.read_text("utf-8")
    with closing(opened(project, "hub.db").store):
        pass  # known by its place from now on, and nothing synced yet
    shutil.copy(project / "hub.db", project / "copy.db")

    hub = opened(project, "copy.db")
    assert hub.copied
    assert modes(hub) == {"observe"}
    assert "copy" in overview(hub)["copied"]
    outcome = sync_now(hub, owner="test")
    assert [run.status for run in outcome.runs] == ["success", "success"]
    assert sum(run.counts["new"] for run in outcome.runs) > 0
    assert right.read_text("utf-8") == before
    after_restore(hub, by="mia")
    hub.store.close()

    hub = opened(project, "copy.db")
    assert not hub.copied
    assert modes(hub) == {"live"}
    sync_now(hub, owner="test")
    assert right.read_text("utf-8") != before
    hub.store.close()

    hub = opened(project, "hub.db")
    assert not hub.copied, "the one that was copied is what it was"
    hub.store.close()
