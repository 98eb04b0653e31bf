"""What records say to many figures at once, and which day a moment lies in."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from hub.core.facts import facts_of, grouped, next_turn
from hub.core.kpis import Fact, Kpi, Sight, day_of, turns_at
from tests.app.shipped_world import NOW, shipped


@pytest.mark.parametrize(
    "zone", ["UTC", "America/New_York", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Monrovia"]
)
def test_a_moment_lies_in_the_day_that_the_clocks_of_the_zone_show(zone: str) -> None:
    where, chance = ZoneInfo(zone), random.Random(3)
    for _ in range(3_000):
        at = chance.uniform(-3e9, 3e9)
        near = at - at % 900 + chance.choice((-1e-6, 0, 1e-6, 60, 61))  # clocks are put at such moments
        assert day_of(at, where) == datetime.fromtimestamp(at, where).date()
        assert day_of(near, where) == datetime.fromtimestamp(near, where).date()


@pytest.mark.parametrize("year", [1987, 1990, 2006])
def test_a_day_that_begins_twice_is_told_apart(year: int) -> None:
    """At St. John's clocks were put back at a minute past midnight: a day began, ended, and began again."""
    where = ZoneInfo("America/St_Johns")
    last = datetime(year, 10, 25, tzinfo=UTC).timestamp()
    for minute in range(10 * 24 * 60):
        at = last + minute * 60
        assert day_of(at, where) == datetime.fromtimestamp(at, where).date()


def test_figures_that_ask_the_same_are_one_group_and_each_hears_what_it_heard_alone() -> None:
    kpis = [kpi for kpi in shipped()[2].kpis.values() if kpi.parts == (kpi,) and kpi.entity.name == "order"]
    groups = grouped(kpis)
    assert len(groups) < len(kpis)
    assert sorted(kpi.name for group in groups for kpi in group.kpis) == sorted(kpi.name for kpi in kpis)
    names = {kpi.name: group.question for group in groups for kpi in group.kpis}
    assert names["customers"] == names["new_customers"]
    assert names["revenue"] == names["average_order_value"] != names["new_revenue"] == names["repeat_revenue"]
    for group, told in zip(groups, facts_of(groups, ORDERS, UTC), strict=True):
        for kpi in group.kpis:
            assert told == facts_of(grouped([kpi]), ORDERS, UTC)[0]


def order(number: int, status: str, currency: str = "EUR", person: int | None = 7) -> Sight:
    total = {"minor": 100 * number, "currency": currency}
    placed = f"2026-11-{number:02}T08:00:00Z"
    return Sight(
        id=number, values={"total": total, "payment_status": status, "placed_at": placed, "contact": 7}, person=person
    )


ORDERS = [order(1, "paid"), order(2, "refunded"), order(3, "paid", "USD"), order(4, "partially_refunded", person=None)]


def test_a_group_turns_when_the_first_of_its_figures_does() -> None:
    chance, until = random.Random(4), NOW.timestamp()
    kpis = [kpi for kpi in shipped()[2].kpis.values() if kpi.parts == (kpi,)]
    for group in grouped(kpis):
        for _ in range(200):
            at, begins, ends = (until + chance.uniform(-60, 60) * chance.choice((1, 86_400)) for _ in range(3))
            fact = Fact(
                1,
                at,
                day_of(at, UTC),
                "",
                None,
                False,
                None,
                *((begins, ends) if group.question.begins else (None, None)),
            )
            turns = [turn for kpi in group.kpis if (turn := turns_at(kpi, fact, until)) is not None]
            assert next_turn(group, fact, until) == min(turns, default=None)


def test_what_waits_has_its_moment() -> None:
    (stalled,) = (kpi for kpi in shipped()[2].kpis.values() if kpi.name == "stalled_deals")
    (group,) = grouped([stalled])
    at = NOW.timestamp()
    fact = Fact(1, at, day_of(at, UTC), "", None, False, None, None, None)
    assert isinstance(group.first, Kpi)
    assert next_turn(group, fact, at) == at + 30 * 86_400
    assert next_turn(group, fact, at + 30 * 86_400) is None
