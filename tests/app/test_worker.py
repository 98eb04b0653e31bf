"""A running hub: work follows a webhook at once, slots leave their rows, and stopping loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hub.app.worker import Worker
from hub.core.schedule import offset_of, slot_at
from hub.runtime.clock import SystemClock
from hub.verify.vendor import STREAM
from tests.app_world import World

EVERY_S = 300.0  # as connections of the world have it


@pytest.fixture
def world(make: Any) -> World:
    """In real time, two people known to both systems."""
    found: World = make(clock=SystemClock())
    found.people("A", 2)
    found.sync(after_s=0.0)
    found.sync(after_s=0.0)
    return found


@pytest.fixture
def worker(world: World) -> Iterator[Worker]:
    found = Worker(world.hub, owner="worker", look_s=0.05)
    yield found
    found.stop(5.0)


def until(true: Callable[[], bool], within_s: float = 15.0) -> bool:
    """Look again and again; False if it never came true."""
    pause = threading.Event()
    for _ in range(int(within_s / 0.02)):
        if true():
            return True
        pause.wait(0.02)
    return False


def slots(world: World, name: str) -> list[tuple[float, str, str]]:
    with world.store.reading() as tx:
        return [(slot.due_at, slot.outcome, slot.why) for slot in tx.slots(name)]


def current(name: str) -> float:
    return slot_at(EVERY_S, offset_of(name, EVERY_S), SystemClock().now())


def idle(worker: Worker) -> bool:
    return all(lane.slot is None and not lane.poked and not lane.busy for lane in worker.lanes.values())


def test_a_webhook_reaches_the_other_system_within_moments(world: World, worker: Worker) -> None:
    worker.start()
    assert until(lambda: idle(worker) and bool(slots(world, "A")) and bool(slots(world, "B")))
    at_a = min(world.links("A"))
    at_b = world.twin_of("A", at_a, "B")
    world.vendors["A"].user_edit(at_a, "phone", "+4930222")
    with world.store.transaction() as tx:
        tx.add_hints([("A", STREAM, at_a, None, world.clock.now(), "webhook:changed")])
    worker.poke(["A"])
    assert until(lambda: world.held_at("B", at_b)["phone"] == "+4930222")
    with world.store.reading() as tx:
        assert {run.kind for run in tx.runs()} == {"sync", "webhook"}


def test_work_that_nobody_told_of_is_found(world: World, worker: Worker) -> None:
    worker.start()
    assert until(lambda: idle(worker) and bool(slots(world, "A")) and bool(slots(world, "B")))
    at_a = min(world.links("A"))
    world.vendors["A"].user_edit(at_a, "phone", "+4930222")
    for lane in worker.lanes.values():
        lane.not_before = 0.0
    with world.store.transaction() as tx:
        tx.add_hints([("A", STREAM, at_a, None, world.clock.now(), "left by another process")])
    at_b = world.twin_of("A", at_a, "B")
    assert until(lambda: world.held_at("B", at_b)["phone"] == "+4930222")


def test_each_slot_that_ran_is_on_record_with_its_run(world: World, worker: Worker) -> None:
    worker.start()
    assert until(lambda: [each[1] for each in slots(world, "A")] == ["ran"])
    ((due_at, _, why),) = slots(world, "A")
    assert due_at == current("A")
    assert why.startswith("run ")


def test_slots_that_passed_while_the_hub_was_down_are_missed(world: World, worker: Worker) -> None:
    old = current("A") - 3 * EVERY_S
    with world.store.transaction() as tx:
        tx.add_slot("A", old, "ran", "run 1: success")
    worker.start()
    assert until(lambda: len(slots(world, "A")) == 4)
    assert [(due_at - old, outcome) for due_at, outcome, _ in slots(world, "A")] == [
        (3 * EVERY_S, "ran"), (2 * EVERY_S, "missed"), (EVERY_S, "missed"), (0.0, "ran")
    ]  # fmt: skip


def held_up(world: World, name: str) -> tuple[threading.Event, threading.Event]:
    """A system that answers its next call only when told: (it was asked, let it answer)."""
    asked, answer = threading.Event(), threading.Event()
    connector = world.vendors[name].connector()

    def pull(*given: Any) -> Any:
        asked.set()
        assert answer.wait(10.0)
        return connector.pull(*given)

    world.change(name, connector=replace(connector, pull=pull))
    return asked, answer


def test_a_slot_that_comes_while_the_run_before_is_going_is_skipped(world: World) -> None:
    asked, answer = held_up(world, "A")
    worker = Worker(world.hub, owner="worker", look_s=0.05)
    worker.start()
    assert asked.wait(10.0)
    worker.tick("A", current("A") + EVERY_S)
    assert slots(world, "A") == [(current("A") + EVERY_S, "skipped", "the run before it was still going")]
    answer.set()
    assert until(lambda: sorted(each[1] for each in slots(world, "A")) == ["ran", "skipped"])
    assert worker.stop(5.0)


def test_a_slow_system_holds_nobody_else_up(world: World) -> None:
    asked, answer = held_up(world, "A")
    worker = Worker(world.hub, owner="worker", look_s=0.05)
    worker.start()
    assert asked.wait(10.0)
    assert until(lambda: [each[1] for each in slots(world, "B")] == ["ran"])
    answer.set()
    assert worker.stop(5.0)


def test_stopping_ends_a_run_at_its_next_page_and_keeps_what_it_did(world: World) -> None:
    asked, answer = held_up(world, "A")
    world.person("A", code="P9", email="new@example.org")
    worker = Worker(world.hub, owner="worker", look_s=0.05)
    worker.start()
    assert asked.wait(10.0)
    ended: list[bool] = []
    stopping = threading.Thread(target=lambda: ended.append(worker.stop(8.0)))
    stopping.start()
    answer.set()
    stopping.join()
    assert ended == [True]
    with world.store.reading() as tx:
        assert tx.runs(connection="A")[0].status == "interrupted"
    assert len(world.entities()) == 3, "the page that was under way is kept"


def test_a_lane_that_gets_nowhere_tries_less_and_less_often(world: World) -> None:
    worker = Worker(world.hub, owner="worker")
    lane, waits = worker.lanes["A"], []
    for _ in range(10):
        worker._back_off(lane)
        waits.append(round(lane.not_before - world.clock.now()))
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == 300
    worker.poke(["A"])
    assert (lane.not_before, lane.idle_runs) == (0.0, 0)


def test_a_bug_in_one_lane_ends_neither_it_nor_the_others(world: World, worker: Worker) -> None:
    broken = world.hub.connections["A"].connector

    def pull(*_: Any) -> Any:
        raise ZeroDivisionError

    world.change("A", connector=replace(broken, pull=pull))
    worker.start()
    assert until(lambda: [each[1] for each in slots(world, "B")] == ["ran"])
    assert until(lambda: worker.lanes["A"].idle_runs > 0)
    thread = worker.lanes["A"].thread
    assert thread is not None
    assert thread.is_alive()


def test_a_connection_is_compared_whole_when_its_sweep_has_come(world: World, worker: Worker) -> None:
    """B believes something of a record that is not so; nobody edited it, so nothing that is new tells of it."""
    day_s = 86_400.0
    with world.store.transaction() as tx:
        tx.set_setting("compared:A", {"at": world.clock.now() - 8 * day_s, "found": 0})
        tx.set_setting("compared:B", {"at": world.clock.now(), "found": 0})
    worker.start()
    assert until(lambda: "reconcile" in kinds(world, "A"))
    assert until(lambda: idle(worker))
    assert "reconcile" not in kinds(world, "B"), "its week is not over"


def kinds(world: World, name: str) -> list[str]:
    with world.store.reading() as tx:
        return [run.kind for run in tx.runs(limit=50, connection=name) if run.status == "success"]
