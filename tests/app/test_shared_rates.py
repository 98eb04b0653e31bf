"""A budget that processes share is used once between them, and a pause that one was told holds for all."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hub.app.shared_rates import shared_budgets
from hub.connector import RateLimit
from hub.errors import QuotaUsedUp, RetryLater
from hub.runtime.budgets import Budgets
from hub.runtime.clock import SystemClock, VirtualClock
from tests.app_world import World

BURST = RateLimit(name="burst", calls=10, per_s=10)
DAILY = RateLimit(name="daily", calls=100, per_s=86_400, shared=True)


def budgets_of(world: World, *limits: RateLimit, where: str = "crm") -> Budgets:
    """As another process makes them, over the same store."""
    return shared_budgets(world.hub)(limits, clock=world.clock, reserve=0.2, where=where)


def spend(budgets: Budgets, calls: int, *, cost: int = 1, patience_s: float = 60.0) -> None:
    for _ in range(calls):
        with budgets.using("x", cost=cost, patience_s=patience_s):
            pass


def test_what_one_process_used_the_other_has_not(make: Any) -> None:
    world: World = make()
    one, two = budgets_of(world, BURST), budgets_of(world, BURST)
    spend(one, 6)
    spend(two, 4)
    assert isinstance(world.clock, VirtualClock)
    assert world.clock.slept == []
    with pytest.raises(RetryLater) as caught:
        spend(two, 1, patience_s=1.0)
    assert 9.0 < (caught.value.after_s or 0.0) <= 10.5
    spend(one, 1)
    assert 10.0 <= sum(world.clock.slept) <= 10.5


def test_another_connection_has_its_own(make: Any) -> None:
    world: World = make()
    spend(budgets_of(world, BURST), 10)
    spend(budgets_of(world, BURST, where="shop"), 10)
    assert isinstance(world.clock, VirtualClock)
    assert world.clock.slept == []


def test_a_daily_quota_outlives_the_process_and_keeps_the_peoples_reserve(make: Any) -> None:
    world: World = make()
    spend(budgets_of(world, DAILY), 50)
    spend(budgets_of(world, DAILY), 30)
    with pytest.raises(QuotaUsedUp):
        spend(budgets_of(world, DAILY), 1)
    world.clock.sleep(86_400 * 1.03)
    spend(budgets_of(world, DAILY), 80)


def test_no_window_ever_holds_more_than_the_budget_and_the_pace_is_nearly_all_of_it(make: Any) -> None:
    world: World = make()
    both, moments = [budgets_of(world, BURST), budgets_of(world, BURST)], []
    start = world.clock.now()
    for n in range(200):
        spend(both[n % 2], 1)
        moments.append(world.clock.now())
        world.clock.sleep(0.137)
    for first, last in zip(moments, moments[10:], strict=False):
        assert last - first >= 10.0
    assert 200 / (moments[-1] - start) >= 0.95 * BURST.calls / BURST.per_s


def test_a_pause_that_one_process_was_told_holds_for_the_other_from_its_next_run(make: Any) -> None:
    world: World = make()
    one, two = budgets_of(world, BURST), budgets_of(world, BURST)
    one.pause(7.0)
    two.new_run()
    with pytest.raises(RetryLater) as caught:
        spend(two, 1, patience_s=1.0)
    assert caught.value.after_s == pytest.approx(7.0, abs=0.1)


def test_threads_and_processes_that_ask_at_once_get_no_more_than_there_is(make: Any) -> None:
    world: World = make(clock=SystemClock())
    quota = RateLimit(name="quota", calls=20, per_s=3600)
    got: list[int] = []

    def work() -> None:
        mine = budgets_of(world, quota)
        for _ in range(8):
            try:
                spend(mine, 1)
            except QuotaUsedUp:
                return
            got.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert len(got) == 20
