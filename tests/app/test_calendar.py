"""Connections that are read by the calendar: what a hub does when it begins, and what becomes of every slot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hub.app.overview import overview
from hub.app.pausing import pause
from hub.app.turns import Turns
from hub.app.worker import Worker
from hub.runtime.clock import SystemClock, VirtualClock
from hub.runtime.cron import parse_cron
from hub.verify.vendor import STREAM
from tests.app.test_fleet import running
from tests.app.test_worker import until
from tests.app_world import World

OFFICE = {STREAM: parse_cron("0 6 * * 1-5", "Europe/Berlin")}
NEVER_NOW = {STREAM: parse_cron("0 0 29 2 *", "UTC")}


def at(text: str) -> float:
    """Of a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def slots(world: World, name: str = "A") -> dict[str, str]:
    """Moment -> what became of it."""
    with world.store.reading() as tx:
        rows = tx.slots(name)
    return {f"{datetime.fromtimestamp(row.due_at, UTC):%m-%d %H:%M}": row.outcome for row in reversed(rows)}


class Office:
    """A is read at six in the morning in Berlin, Monday to Friday; B every five minutes."""

    def __init__(self, make: Any, now: str) -> None:
        self.clock = VirtualClock(at(now))
        self.world: World = make(clock=self.clock)
        self.world.people("A", 2)
        self.world.change("A", every_s={}, crons=OFFICE)
        self.turns = Turns(hub=self.world.hub, owner="office")

    def go_to(self, moment: str) -> None:
        self.clock.advance(at(moment) - self.clock.now())


@pytest.fixture
def office(make: Any) -> Office:
    return Office(make, "2026-11-27T13:00")  # a Friday


def test_a_hub_that_begins_at_noon_waits_for_six(office: Office) -> None:
    assert office.turns.first_slot("A") is None
    assert office.turns.first_slot("B") is not None
    assert office.turns.rhythm("A").following(office.clock.now()) == at("2026-11-30T05:00")


def test_what_came_while_the_hub_was_down_runs_once_and_the_rest_was_missed(office: Office) -> None:
    office.go_to("2026-11-30T05:00")
    office.turns.scheduled("A", at("2026-11-30T05:00"))
    office.go_to("2026-11-30T12:00")
    assert office.turns.first_slot("A") is None, "a restart at noon is no reason"
    office.turns.note_outage("A")
    assert slots(office.world) == {"11-30 05:00": "ran"}
    office.go_to("2026-12-03T09:00")
    office.turns.note_outage("A")
    first = office.turns.first_slot("A")
    assert first == at("2026-12-03T05:00")
    office.turns.scheduled("A", first)
    assert slots(office.world) == {
        "11-30 05:00": "ran", "12-01 05:00": "missed", "12-02 05:00": "missed", "12-03 05:00": "ran",
    }  # fmt: skip
    assert len(office.world.links("A")) == 2


def test_a_pause_is_told_at_the_slot_that_it_took(office: Office) -> None:
    pause(office.world.hub, "A", by="ann")
    office.go_to("2026-11-30T05:00")
    office.turns.scheduled("A", at("2026-11-30T05:00"))
    assert slots(office.world) == {"11-30 05:00": "skipped"}
    assert office.world.links("A") == {}


def test_a_stream_by_the_calendar_beside_others_is_read_at_its_moment_alone(office: Office) -> None:
    office.world.change("A", every_s={"other": 300.0}, crons=OFFICE)
    office.go_to("2026-11-30T04:58")
    first = office.turns.first_slot("A")
    assert first is not None
    office.turns.scheduled("A", first)
    assert office.world.links("A") == {}, "not its moment"
    office.go_to("2026-11-30T05:00")
    office.turns.scheduled("A", office.turns.rhythm("A").newest(office.clock.now()))
    assert len(office.world.links("A")) == 2


def test_a_weekend_without_a_run_is_not_late_and_a_week_is(office: Office) -> None:
    def health() -> str:
        return str(next(row for row in overview(office.world.hub)["connections"] if row["connection"] == "A")["health"])

    office.turns.scheduled("A", at("2026-11-27T05:00"))
    office.go_to("2026-11-29T23:00")
    assert health() == "good"
    office.go_to("2026-12-04T23:00")
    assert health() == "warn"


def test_a_running_hub_leaves_a_calendar_alone_until_its_moment(make: Any) -> None:
    world: World = make(clock=SystemClock())
    world.people("A", 1)
    world.change("A", every_s={}, crons=NEVER_NOW)
    if world.store.many_writers:
        with running(world):
            assert until(lambda: bool(slots(world, "B")))
            assert slots(world, "A") == {}
        return
    worker = Worker(world.hub, owner="worker", look_s=0.05)
    worker.start()
    try:
        assert until(lambda: bool(slots(world, "B")))
        assert slots(world, "A") == {}
        assert worker.run_now("A")
        assert until(lambda: len(world.links("A")) == 1), "whoever asks is not kept waiting"
    finally:
        worker.stop(5.0)
