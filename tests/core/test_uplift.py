"""What a reward changed, held against published figures and plain computations."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hub.core.uplift import Arm, forecast, is_held_out, return_of, uplift


def test_the_interval_is_that_of_the_paper() -> None:
    """Newcombe 1998, table II, example (a): 56 of 70 and 48 of 80 give 0.2, from 0.0524 to 0.3339."""
    found = uplift(Arm(people=70, did=56), Arm(people=80, did=48))
    assert found is not None
    assert (found.share, found.low, found.high) == (Decimal("0.2000"), Decimal("0.0524"), Decimal("0.3339"))


def test_nobody_did_it_is_told_without_a_fault() -> None:
    """The same table, example (h): 10 of 10 and 0 of 10 give 1, from 0.6075 to 1."""
    found = uplift(Arm(people=10, did=10), Arm(people=10, did=0))
    assert found is not None
    assert (found.share, found.low, found.high) == (Decimal(1), Decimal("0.6075"), Decimal(1))


def test_without_anybody_left_out_nothing_is_said() -> None:
    assert uplift(Arm(people=5, did=5), Arm()) is None
    assert return_of(None, Arm(people=5), Decimal(10)) is None


def test_what_came_back_is_what_was_brought_beyond_the_others_less_what_it_cost() -> None:
    given, others = Arm(people=10, did=5, value=Decimal(1000)), Arm(people=5, did=1, value=Decimal(250))
    found = uplift(given, others)
    assert found is not None
    assert found.value == Decimal(50)
    assert return_of(found, given, Decimal(250)) == Decimal(1)
    assert return_of(found, given, Decimal(0)) is None


@pytest.mark.parametrize(("spent", "elapsed", "end"), [("50", "0.5", "100"), ("50", "1.2", "50"), ("50", "0", None)])
def test_at_this_pace(spent: str, elapsed: str, end: str | None) -> None:
    assert forecast(Decimal(spent), Decimal(elapsed)) == (Decimal(end) if end else None)


def test_the_lot_is_fair_stays_and_differs_by_rule_and_key() -> None:
    tenth = Decimal("0.1")
    drawn = [each for each in range(20_000) if is_held_out("key", "rule", each, tenth)]
    assert 1850 < len(drawn) < 2150
    assert drawn == [each for each in range(20_000) if is_held_out("key", "rule", each, tenth)]
    wider = [each for each in range(20_000) if is_held_out("key", "rule", each, Decimal("0.2"))]
    assert set(drawn) < set(wider), "a larger share leaves out who was left out, and others"
    assert drawn != [each for each in range(20_000) if is_held_out("key", "other", each, tenth)]
    assert drawn != [each for each in range(20_000) if is_held_out("other", "rule", each, tenth)]
    assert not any(is_held_out("key", "rule", each, Decimal(0)) for each in range(100))
