"""Real threads, on both databases: who asks at once still gets one grant each, and no more than the budget holds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from hub.errors import RetryLater
from hub.runtime.clock import SystemClock
from tests.reward_world import RULES, World, order_record

WORKERS = 4
TRIES = 200


class PatientClock(SystemClock):
    """Time as the world has it, waits as the machine has them: a busy store is waited for, briefly."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    def now(self) -> float:
        return self._now()

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0.02))


def until_it_goes_through(act: Callable[[], object]) -> None:
    for _ in range(TRIES):
        try:
            act()
        except RetryLater as busy:
            if busy.code != "STORE-BUSY":
                raise
        else:
            return
    raise AssertionError("the store stayed busy")


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    rules = RULES.replace("100 EUR", "200 EUR").replace("once_per: event", "once_per: month")
    made = World(migrated_url, rules=rules)
    made.hub.clock = PatientClock(made.clock.now)
    yield made
    made.store.close()


def test_many_workers_make_one_grant_each_and_keep_to_the_budget(world: World) -> None:
    gate, failures = threading.Barrier(WORKERS), []
    people = [f"p{number}" for number in range(12)]
    for name in people:
        world.customer(name)

    def work(number: int) -> None:
        try:
            gate.wait(timeout=20)
            for name in people[number:] + people[:number]:
                record = order_record(f"o-{name}-{number % 2}", name)
                until_it_goes_through(partial(world.take, "shop", "orders", record))
                until_it_goes_through(world.issue)
        except BaseException as failure:  # noqa: BLE001 - told in the main thread
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    assert failures == []
    until_it_goes_through(world.issue)
    states = Counter(world.grant_states())
    assert (states["issued"], len(world.provider.book), world.money()) == (8, 8, (0, 20_000))
    assert states.keys() == {"issued", "refused"}
    assert max(Counter(grant.subject_id for grant in world.grants("issued")).values()) == 1
    assert len({order.reference for order in world.provider.book}) == 8
