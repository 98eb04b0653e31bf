"""The clock of a running hub ticks at every slot, each once, and stops when told."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from hub.core.schedule import Grid, offset_of
from hub.runtime.clock import SystemClock
from hub.runtime.cron import parse_cron
from hub.runtime.scheduler import Ticker


class Heard:
    """What the ticker said, and a way to wait for so many ticks."""

    def __init__(self, wanted: int = 1) -> None:
        self.ticks: list[tuple[str, float]] = []
        self.missed: list[tuple[str, float]] = []
        self.wanted, self.enough = wanted, threading.Event()

    def tick(self, name: str, slot: float) -> None:
        self.ticks.append((name, slot))
        if len(self.ticks) >= self.wanted:
            self.enough.set()

    def miss(self, name: str, slot: float) -> None:
        self.missed.append((name, slot))


def ticker(heard: Heard, **every_s: float) -> Ticker:
    rhythms = {name: Grid(each, offset_of(name, each)) for name, each in every_s.items()}
    return Ticker(rhythms, on_tick=heard.tick, on_missed=heard.miss, now=SystemClock().now)


def test_each_slot_ticks_once_and_lies_on_the_grid() -> None:
    heard = Heard(3)
    clock = ticker(heard, fast=0.2)
    clock.start()
    assert heard.enough.wait(10.0)
    clock.stop()
    slots = [slot for _, slot in heard.ticks]
    assert len(set(slots)) == len(slots)
    steps = [(slot - offset_of("fast", 0.2)) / 0.2 for slot in slots]
    assert steps == pytest.approx([round(step) for step in steps], abs=1e-3)
    assert slots == sorted(slots)


def test_names_tick_at_their_own_intervals() -> None:
    heard = Heard(4)
    clock = ticker(heard, fast=0.2, never=86_400.0)
    clock.start()
    assert heard.enough.wait(10.0)
    clock.stop()
    assert {name for name, _ in heard.ticks} == {"fast"}


def test_nothing_ticks_after_it_was_stopped() -> None:
    heard = Heard()
    clock = ticker(heard, fast=0.2)
    clock.start()
    assert heard.enough.wait(10.0)
    clock.stop()
    before = len(heard.ticks)
    threading.Event().wait(0.5)
    assert len(heard.ticks) <= before + 1, "one may have been on its way"


def test_after_a_sleep_the_newest_slot_ticks_and_those_before_it_are_told_as_missed() -> None:
    heard, moment = Heard(), [1000.0]
    clock = Ticker({"slow": Grid(300.0, 0.0)}, on_tick=heard.tick, on_missed=heard.miss, now=lambda: moment[0])
    clock.start()
    moment[0] = 1850.0  # the machine slept from 1000 on
    clock._tick("slow")
    clock._tick("slow")
    clock.stop()
    assert heard.ticks == [("slow", 1800.0)], "once, however often it is told"
    assert heard.missed == [("slow", 1200.0), ("slow", 1500.0)]


def test_a_schedule_by_the_calendar_ticks_at_its_moments() -> None:
    """A Friday afternoon, then the Monday after: one tick, and nothing was missed in between."""
    heard = Heard()
    moment = [datetime(2026, 11, 27, 17, tzinfo=UTC).timestamp()]
    cron = parse_cron("0 6 * * 1-5", "Europe/Berlin")
    clock = Ticker({"office": cron}, on_tick=heard.tick, on_missed=heard.miss, now=lambda: moment[0])
    clock.start()
    moment[0] = datetime(2026, 11, 30, 9, tzinfo=UTC).timestamp()
    clock._tick("office")
    clock.stop()
    assert heard.ticks == [("office", datetime(2026, 11, 30, 5, tzinfo=UTC).timestamp())]
    assert heard.missed == []
