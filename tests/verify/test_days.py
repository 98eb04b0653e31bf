"""A quiet day writes nothing; a system that was away for hours is served in time, and delays nobody else."""

from __future__ import annotations

import pytest

from hub.verify.days import Outage, idle_day, outage


def test_a_quiet_day_writes_nothing() -> None:
    assert idle_day(50, systems="ABC", hours=2) == []


def test_what_writes_on_a_quiet_day_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([b"before", b"after"])
    monkeypatch.setattr("hub.verify.days.snapshot", lambda store: next(told))
    assert idle_day(5, systems="AB", hours=1) == ["L3 the store moved though nothing happened"]


def test_who_was_away_is_served_within_the_quota_and_delays_nobody() -> None:
    found = outage(1000)
    assert found.ok, found
    assert (found.changed, found.least, found.late) == (1000, 20, 0)


@pytest.mark.parametrize("more", [{"late": 1}, {"windows": 9}, {"calls": 99}, {"refused": 3}, {"errors": ["L2"]}])
def test_an_outage_is_judged_by_each_of_its_figures(more: dict[str, object]) -> None:
    good = {"changed": 100, "least": 2, "calls": 3, "windows": 1}
    assert Outage(**good).ok  # type: ignore[arg-type]
    assert not Outage(**{**good, **more}).ok  # type: ignore[arg-type]
