"""The soak, for a few seconds; and it finds what it is there to find."""

from __future__ import annotations

from pathlib import Path

from bench.soak import Found, soak
from hub.verify.judge import Verdict


def test_some_seconds_of_people_and_faults_end_well(tmp_path: Path) -> None:
    found = soak(tmp_path / "project", seconds=4.0, rate=20.0, people=12)
    assert found.done["edited"] >= 60
    assert found.verdict.records > 20
    assert found.verdict.fields > 100
    assert found.stuck == found.unexplained == found.verdict.differences == found.verdict.unknown == []


def test_memory_that_grows_is_a_fault() -> None:
    def found(*memory: float) -> Found:
        return Found(
            seconds=1.0, done={"edited": 1}, verdict=Verdict(), stuck=[], unexplained=[], memory_mb=list(memory)
        )

    assert found(50, 90, 100, 101, 102, 103).faults == []  # what comes first is the start
    assert found(50, 90, 100, 101, 118, 119).faults == ["memory grew from 100 to 118 MB"]
