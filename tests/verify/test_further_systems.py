"""The invented company with every system that can be simulated: synced, converged, and then quiet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub.app import listings, review
from hub.app.bootstrap import open_hub
from hub.app.syncing import sync_now
from hub.verify import demo
from hub.verify.judge import compare
from hub.verify.rehearsal import ENVIRONMENT, every_system, vendors, write_project


def test_all_systems_together_come_to_rest_at_the_same_values(tmp_path: Path) -> None:
    systems = every_system()
    assert len(systems) > 15
    with vendors(4, 25, systems) as (twins, _):
        place = tmp_path / "project"
        write_project(place, {name: twin.base_url for name, twin in twins.items()}, public_url="http://127.0.0.1:8080")
        hub = open_hub(place, environ=ENVIRONMENT, publish=True)
        assert set(hub.connections) == set(systems)
        try:
            for _ in range(3):
                before = writes(twins)
                outcome = sync_now(hub)
                for hold in listings.holds(hub):
                    review.release_hold(hub, int(hold["hold"]), by="test")
            assert writes(twins) - before == 0
            assert {row["status"] for row in outcome.rows} <= {"success", "partial"}
            verdict = compare(hub, present(twins))
            assert verdict.differences == []
            assert verdict.records > 100
        finally:
            hub.store.close()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_demo_with_every_system_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.run(seed=1, contacts=150, every=True, json=True, serve=False) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["connection"] for row in found["connections"]} == set(every_system())
    assert (found["converged"], found["third_sync_writes"], found["differences"]) == (True, 0, [])
    assert found["compared"]["fields"] > 1000
    waiting = [row for row in found["conflicts"] if row["state"] == "open"]
    assert found["waiting"] == len(waiting) >= 3
    assert {row["field"] for row in waiting} == {"birthday"}, "what waits is what canonical.yaml leaves to a person"


def writes(twins: Any) -> int:
    return sum(int(twin.counts()["writes"]) for twin in twins.values())


def present(twins: Any) -> dict[tuple[str, str], list[str]]:
    return {
        (name, stream): [number for number, row in twin.snapshot(stream).items() if not row["deleted"]]
        for name, twin in twins.items()
        for stream in twin.streams
    }
