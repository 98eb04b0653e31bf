"""A hub on several machines: one keeps the clock, any takes the jobs, and what dies is taken over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.app.fleet import CLOCK, Fleet
from hub.errors import ConfigFault
from hub.runtime.clock import SystemClock
from hub.runtime.jobs import JobQueue
from hub.verify.vendor import STREAM
from tests.app_world import World


@pytest.fixture
def world(make: Any, database_url: str) -> World:
    """In real time, two people known to both systems; only where several processes can share a store."""
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer")
    found: World = make(clock=SystemClock())
    found.people("A", 2)
    found.sync(after_s=0.0)
    found.sync(after_s=0.0)
    return found


def until(true: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Look again and again; False if it never came true."""
    pause = threading.Event()
    for _ in range(int(within_s / 0.02)):
        if true():
            return True
        pause.wait(0.02)
    return False


@contextmanager
def running(world: World, *, at_once: int = 2, ticks: bool = True, owner: str = "one") -> Iterator[Fleet]:
    fleet = Fleet(world.hub, at_once=at_once, ticks=ticks, owner=owner, look_s=0.05)
    fleet.start()
    try:
        yield fleet
    finally:
        fleet.stop(10.0)


def outcomes(world: World, name: str) -> list[str]:
    with world.store.reading() as tx:
        return [slot.outcome for slot in tx.slots(name)]


def keeper(world: World) -> str:
    with world.store.reading() as tx:
        holder = tx.lease_holder(CLOCK)
    return holder.owner if holder is not None and holder.expires_at > world.clock.now() else ""


def test_slots_become_jobs_and_leave_their_rows(world: World) -> None:
    with running(world):
        assert until(lambda: outcomes(world, "A") == ["ran"] and outcomes(world, "B") == ["ran"])


def test_a_webhook_reaches_the_other_system_through_whoever_works(world: World) -> None:
    at_a = min(world.links("A"))
    at_b = world.twin_of("A", at_a, "B")
    with running(world, at_once=0) as listening, running(world, ticks=False, owner="two"):
        assert until(lambda: outcomes(world, "A") == ["ran"] and outcomes(world, "B") == ["ran"])
        world.vendors["A"].user_edit(at_a, "phone", "+4930222")
        with world.store.transaction() as tx:
            tx.add_hints([("A", STREAM, at_a, None, world.clock.now(), "webhook:changed")])
        listening.poke(["A"])
        assert until(lambda: world.held_at("B", at_b)["phone"] == "+4930222")


def test_work_that_nobody_told_of_is_found(world: World) -> None:
    at_a = min(world.links("A"))
    at_b = world.twin_of("A", at_a, "B")
    with running(world):
        assert until(lambda: outcomes(world, "A") == ["ran"] and outcomes(world, "B") == ["ran"])
        world.vendors["A"].user_edit(at_a, "phone", "+4930222")
        with world.store.transaction() as tx:
            tx.add_hints([("A", STREAM, at_a, None, world.clock.now(), "webhook:changed")])
        assert until(lambda: world.held_at("B", at_b)["phone"] == "+4930222")


def test_one_keeps_the_clock_and_another_goes_on_when_it_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.app.fleet.RENEW_S", 0.6)
    with running(world, owner="one"):
        assert until(lambda: keeper(world) == "one")
        with running(world, owner="two"):
            threading.Event().wait(1.0)
            assert keeper(world) == "one"
    with running(world, owner="two"):
        assert until(lambda: keeper(world) == "two")


def test_a_job_waits_while_its_connection_is_another_runs_and_then_does_its_work(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.runtime.jobs.AGAIN_S", 1)
    with world.store.transaction() as tx:
        assert tx.lease("connection:A", "elsewhere/1/1", world.clock.now(), 600.0) is not None
    with running(world):
        assert until(lambda: outcomes(world, "A") == ["skipped"] and outcomes(world, "B") == ["ran"])
        with world.store.transaction() as tx:
            tx.release("connection:A", "elsewhere/1/1")
        assert until(lambda: outcomes(world, "A") == ["ran"])


def test_a_job_waits_once_however_often_it_is_asked_for(world: World) -> None:
    queue = JobQueue(world.store.conninfo, {"nothing": lambda _connection: None})
    queue.open()
    try:
        assert [queue.put("nothing", "A"), queue.put("nothing", "A"), queue.put("nothing", "B")] == [True, False, True]
    finally:
        queue.close()


def test_workers_on_sqlite_are_refused_with_what_to_do(make: Any, database_url: str) -> None:
    if not database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL has many writers")
    with pytest.raises(ConfigFault) as caught:
        Fleet(make().hub, at_once=1, ticks=False)
    assert "RUN-SQLITE" in str(caught.value)
    assert "HUB_DATABASE_URL" in str(caught.value)
