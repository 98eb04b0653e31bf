"""The clock of a running hub ticks at every slot, each once, and stops when told."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from apscheduler.events import EVENT_JOB_MISSED, JobExecutionEvent

from hub.core.schedule import offset_of
from hub.runtime.clock import SystemClock
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
    return Ticker(every_s, on_tick=heard.tick, on_missed=heard.miss, now=SystemClock().now)


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


def test_a_tick_that_came_too_late_is_told_with_its_slot() -> None:
    heard = Heard()
    clock = ticker(heard, slow=300.0)
    clock.start()
    late = datetime(2026, 12, 5, 12, tzinfo=UTC)
    clock._scheduler._dispatch_event(JobExecutionEvent(EVENT_JOB_MISSED, "slow", "default", late))
    clock.stop()
    assert heard.missed == [("slow", late.timestamp())]
