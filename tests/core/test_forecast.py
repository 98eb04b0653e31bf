"""What follows from fitted models: against published figures, and against averaging over simulated customers."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from hub.core.forecast import Fit, History, as_json, expected_purchases, from_json, history_of, judged, outlook

DAY = date(2026, 11, 28)
WEEK = 7.0
# As published for CDNOW, in weeks: Fader, Hardie and Lee 2005, table 2; Fader and Hardie 2013.
PUBLISHED = Fit(day=DAY, customers=2357, again=946, r=0.243, alpha=4.414, a=0.793, b=2.426, p=6.25, q=3.74, v=15.44)
GOOD = Fit(day=DAY, customers=900, again=400, r=0.6, alpha=40.0, a=0.8, b=2.5, p=6.0, q=4.0, v=150.0, unsure=0.1,
           told=95.0, happened=100.0)  # fmt: skip


def test_the_published_example_comes_out() -> None:
    # A customer who bought twice again, last in week 30.43 of 38.86, is expected to buy 1.226 times in 39 weeks.
    fit = replace(PUBLISHED, alpha=PUBLISHED.alpha * WEEK)
    found = expected_purchases(fit, History(again=2, last=213, age=272), 273)
    assert found == pytest.approx(1.226, abs=0.002)
    # One who spent 22.35 on average in them is expected to spend 24.65 a time (Fader and Hardie 2013).
    seen = outlook(fit, History(again=2, last=213, age=272, mean=22.35), 273)
    assert seen is not None
    assert seen.each == pytest.approx(24.65, abs=0.02)
    assert seen.value == Decimal(seen.purchases * seen.each).quantize(Decimal("0.01"))


@pytest.mark.parametrize("again", [0, 1, 3])
def test_the_expectation_is_the_mean_over_customers_like_this_one(again: int) -> None:
    """By importance sampling over the rates and chances that such a history leaves likely: no formula of the paper."""
    rng, fit, history = random.Random(again), GOOD, History(again=again, last=150 if again else 0, age=200)
    total = weights = 0.0
    for _ in range(60_000):
        rate, leaves = rng.gammavariate(fit.r, 1 / fit.alpha), rng.betavariate(fit.a, fit.b)
        stayed = (1 - leaves) ** again * rate**again * math.exp(-rate * history.age)
        left = leaves * (1 - leaves) ** (again - 1) * rate**again * math.exp(-rate * history.last) if again else 0.0
        # of one who stayed, the purchases in t days until the first after which they leave
        total += stayed * (1 - math.exp(-leaves * rate * 365)) / leaves
        weights += stayed + left
    assert expected_purchases(fit, history, 365) == pytest.approx(total / weights, rel=0.05)


def test_a_history_counts_days_and_skips_what_cost_nothing() -> None:
    bought = [(DAY, Decimal(10)), (DAY, Decimal(5)), (DAY + timedelta(days=3), Decimal(0)),
              (DAY + timedelta(days=7), Decimal(30)), (DAY + timedelta(days=9), Decimal(20)),
              (DAY + timedelta(days=90), Decimal(99))]  # fmt: skip
    assert history_of(bought, DAY + timedelta(days=20)) == History(again=2, last=9, age=20, mean=25.0)
    assert history_of(bought[:2], DAY) == History(again=0, last=0, age=0)
    assert history_of(bought[2:3], DAY + timedelta(days=20)) is None


def test_longer_silence_means_less_and_no_history_breaks_it() -> None:
    values = [outlook(GOOD, History(again=4, last=100, age=100 + gap, mean=40.0), 365) for gap in range(0, 900, 50)]
    told = [each.value for each in values if each is not None]
    assert told == sorted(told, reverse=True)
    assert len(told) == 18
    for again, last, age in ((0, 0, 0), (0, 0, 5000), (400, 400, 400), (1, 1, 4000), (2000, 3000, 3000)):
        found = outlook(GOOD, History(again=again, last=last, age=age, mean=10.0), 365)
        assert found is not None
        assert math.isfinite(found.value)
        assert 0 <= found.active <= 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"again": 99}, "only 99 customers"),
        ({"reason": "the models do not converge: x"}, "do not converge"),
        ({"alpha": math.nan}, "no parameters"),
        ({"b": math.inf}, "no parameters"),
        ({"q": 0.9}, "not finite"),
        ({"unsure": 0.7}, "uncertain by 70%"),
        ({"unsure": math.nan}, "uncertain"),
        ({"told": 201.0}, "told 201 purchases where 100 happened"),
        ({"told": 49.0}, "told 49 purchases"),
        ({"told": 30.0, "happened": 12.0}, ""),  # too few to judge by
        ({"told": None, "happened": None}, ""),
    ],
)
def test_a_fit_that_says_nothing_is_refused(change: dict[str, float], words: str) -> None:
    reason = judged(replace(GOOD, **change), least=100)  # type: ignore[arg-type]
    assert words in reason
    assert bool(words) == bool(reason)


def test_a_fit_is_kept_whole() -> None:
    assert from_json(as_json(GOOD)) == GOOD
