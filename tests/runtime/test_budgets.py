"""Budgets: what is left to people, what the vendor says is used, how the pace recovers."""

from __future__ import annotations

import pytest

from hub.connector import RateLimit
from hub.errors import QuotaUsedUp, RetryLater
from hub.runtime.budgets import Budgets
from hub.runtime.clock import VirtualClock

DAILY = RateLimit(name="daily", calls=100, per_s=86_400, shared=True)


def spend(budgets: Budgets, calls: int, *, operation: str = "x", cost: int = 1, patience_s: float = 60.0) -> None:
    for _ in range(calls):
        with budgets.using(operation, cost=cost, patience_s=patience_s):
            pass


def test_a_reserve_of_a_shared_quota_is_left_to_people() -> None:
    budgets = Budgets([DAILY], clock=VirtualClock(), reserve=0.2)
    spend(budgets, 80)
    with pytest.raises(QuotaUsedUp) as caught:
        spend(budgets, 1)
    assert caught.value.after_s == pytest.approx(86_400, rel=0.01)


def test_a_budget_of_our_own_is_used_whole() -> None:
    budgets = Budgets([RateLimit(name="daily", calls=100, per_s=86_400)], clock=VirtualClock(), reserve=0.2)
    spend(budgets, 100)
    with pytest.raises(QuotaUsedUp):
        spend(budgets, 1)


def test_the_vendors_own_figure_replaces_ours_and_pauses_at_the_reserve() -> None:
    clock = VirtualClock()
    budgets = Budgets([DAILY], clock=clock, reserve=0.2)
    budgets.told("daily", 500, 1000)
    spend(budgets, 200)  # beyond our own figure, which the vendor corrected
    budgets.told("daily", 800, 1000)
    with pytest.raises(QuotaUsedUp) as caught:
        spend(budgets, 1)
    assert caught.value.after_s == 900.0
    clock.advance(900)
    spend(budgets, 1)  # asks again, and is told again


def test_a_short_budget_takes_the_size_that_the_vendor_names() -> None:
    clock = VirtualClock()
    budgets = Budgets([RateLimit(name="burst", calls=10, per_s=10)], clock=clock)
    budgets.told("burst", 1, 19)
    spend(budgets, 19)
    assert clock.slept == []
    spend(budgets, 1)
    assert sum(clock.slept) == pytest.approx(10, rel=0.01)


def test_points_are_taken_by_the_cost_of_a_call() -> None:
    clock = VirtualClock()
    budgets = Budgets([RateLimit(name="cost", calls=100, per_s=1, unit="points")], clock=clock)
    spend(budgets, 2, cost=50)
    assert clock.slept == []
    spend(budgets, 1, cost=50)
    assert sum(clock.slept) == pytest.approx(1.0, rel=0.01)
    spend(budgets, 1, cost=5000)  # dearer than the whole budget: waits for all of it, not for ever
    assert sum(clock.slept) < 4.0


def test_what_a_call_did_not_need_is_there_for_the_next_ones_and_not_for_long() -> None:
    clock = VirtualClock()
    budgets = Budgets([RateLimit(name="points", calls=2000, per_s=20, unit="points")], clock=clock)
    for _ in range(6):  # each asks for the half of it, and comes to little
        spend(budgets, 1, cost=1000)
        budgets.give_back("points", 990)
    assert clock.slept == []
    budgets.give_back("points", -5)
    budgets.give_back("nothing", 5)
    spend(budgets, 1, cost=990)  # the last one's rest
    assert clock.slept == []
    budgets.give_back("points", 900)
    clock.advance(5.1)
    spend(budgets, 2, cost=1000)  # too late for that rest
    assert sum(clock.slept) > 10


def test_a_wait_beyond_patience_is_not_slept_away() -> None:
    clock = VirtualClock()
    budgets = Budgets([RateLimit(name="burst", calls=1, per_s=30)], clock=clock)
    spend(budgets, 1)
    with pytest.raises(RetryLater) as caught:
        spend(budgets, 1, patience_s=5.0)
    assert not isinstance(caught.value, QuotaUsedUp)
    assert caught.value.after_s == pytest.approx(30, rel=0.01)
    assert clock.slept == []


def test_so_many_calls_at_once_and_no_more() -> None:
    budgets = Budgets([RateLimit(name="open", calls=1, per_s=0, unit="at_once")], clock=VirtualClock())
    with budgets.using("x", cost=1, patience_s=1.0):
        assert not budgets._gates[0][1].acquire(blocking=False)
    assert budgets._gates[0][1].acquire(blocking=False)


def test_the_pace_halves_when_throttled_and_recovers_step_by_step() -> None:
    clock = VirtualClock()
    budgets = Budgets([RateLimit(name="burst", calls=10, per_s=1)], clock=clock)
    budgets.slow_down()
    start = clock.now()
    spend(budgets, 11)
    slow = clock.now() - start
    assert slow >= 10 * 0.2 - 1e-6  # half of ten a second
    for _ in range(60):
        budgets.went_through()
    clock.advance(2.0)
    start = clock.now()
    spend(budgets, 10)
    assert clock.now() - start == 0.0
