"""The board of figures: computed beforehand, anew where something changed, and equal to what is computed then."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from hub.app.board import board, by_period, goals, refresh, shown_then, trend
from hub.app.identity import merge
from hub.app.kpis import list_goals, list_kpis, show_kpi
from hub.core.document import Sheet
from hub.core.goals import parse_goals
from hub.core.kpis import PERIODS
from hub.runtime.yaml import parse_yaml
from tests.app.test_kpis import deal, load, made, with_kpis
from tests.reward_world import DAY, MakeWorld, World, order_record, worlds

GOALS = """
language: 1
goals:
  more: {kpi: orders, baseline: 1, target: 9000, since: 2026-01-01, deadline: 2026-12-31, owner: kim@example.com}
  few: {kpi: orders, baseline: 1, target: 2, since: 2026-01-01, deadline: 2026-12-31, owner: kim@example.com}
"""


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield lambda: with_goals(with_kpis(make()))


def with_goals(w: World) -> World:
    sheet = Sheet(parse_yaml(GOALS, "goals.yaml"))
    w.hub.projects.goals = parse_goals(sheet, w.hub.projects.kpis)
    assert sheet.faults == []
    return w


def assert_as_computed_now(w: World) -> None:
    found = board(w.hub)
    for each in found["figures"]:
        assert each["figures"] == show_kpi(w.hub, each["kpi"])["figures"], each["kpi"]
    assert found["goals"] == goals(w.hub) == list_goals(w.hub)
    for number, each in enumerate(names(w)):
        by = PERIODS[number % len(PERIODS)]
        kept = by_period(w.hub, each, by)
        assert kept is not None
        assert kept["figures"] == show_kpi(w.hub, each, by=by)["figures"], (each, by)


def names(w: World) -> set[str]:
    return {row["kpi"] for row in list_kpis(w.hub)}


def test_before_the_first_computation_every_figure_is_named_and_none_told(world: MakeWorld) -> None:
    found = board(world().hub)
    assert found["at"] is None
    assert {each["now"] for each in found["figures"]} == {None}
    assert by_period(world().hub, "revenue", "week") is None


def test_only_what_changed_is_computed_anew_and_the_board_tells_what_is_computed_now(world: MakeWorld) -> None:
    w, chance = world(), random.Random(5)
    load(w, made(chance, range(60), 9), people=9)
    assert set(refresh(w.hub, owner="a")) == names(w)
    assert_as_computed_now(w)
    assert refresh(w.hub, owner="a") == []
    deal(w, "d1", "new")
    w.clock.advance(DAY)
    deal(w, "d1", "won")
    assert refresh(w.hub, owner="a") == ["sales_cycle"]
    assert_as_computed_now(w)
    load(w, made(chance, range(60, 70), 9))
    assert {"revenue", "orders", "an_order"} <= set(refresh(w.hub, owner="a")) <= names(w) - {"stuck", "sales_cycle"}
    assert_as_computed_now(w)
    ann, bob = w.entity("contact", 0), w.entity("contact", 1)
    merge(w.hub, f"contact:{ann.id}", f"contact:{bob.id}", by="kim")
    assert {"buyers", "per_buyer"} <= set(refresh(w.hub, owner="a"))
    assert_as_computed_now(w)
    w.clock.advance(40 * DAY)
    assert set(refresh(w.hub, owner="a")) == names(w), "a month is over: periods begin and end"
    assert_as_computed_now(w)


def test_what_was_shown_then_is_shown_again(world: MakeWorld) -> None:
    w, chance = world(), random.Random(7)
    seen: list[tuple[float, dict[str, dict[str, str | None]]]] = []
    for step in range(4):
        load(w, made(chance, range(step * 20, step * 20 + 20), 9), people=9)
        refresh(w.hub, owner="a")
        seen.append((w.clock.now(), shown_now(w)))
        w.clock.advance((20 * 60.0, 5 * DAY, 40 * DAY, 60.0)[step])
    for at, told in seen[1:]:  # the first was shown for less than what is left of its hour
        for name, months in told.items():
            rows = shown_then(w.hub, name, "month", at)
            assert rows is not None
            assert {row["period"]: row["value"] for row in rows} == months, (name, at)
    years, later = (shown_then(w.hub, "revenue", "year", at) for at in (seen[1][0], w.clock.now()))
    assert years is not None
    assert later is not None
    assert years[-1]["value_now"] == later[-2]["value"] != years[-1]["value"], "a year is over, and more came in"
    assert shown_then(w.hub, "revenue", "month", seen[0][0] - 1) is None, "nothing was shown yet"
    assert shown_then(w.hub, "revenue", "week", seen[1][0]) is None, "weeks are not remembered"


def test_what_was_shown_long_ago_stands_as_it_was_at_the_end_of_each_day(world: MakeWorld) -> None:
    w, chance = world(), random.Random(7)
    seen: list[tuple[float, dict[str, dict[str, str | None]]]] = []
    for step in range(6):  # three times a day, of two days
        load(w, made(chance, range(step * 20, step * 20 + 20), 9), people=9)
        refresh(w.hub, owner="a")
        seen.append((w.clock.now(), shown_now(w)))
        w.clock.advance(3 * 3600.0 if step % 3 < 2 else 18 * 3600.0)
    w.clock.advance(89 * DAY)
    refresh(w.hub, owner="a")
    for step, stood in enumerate((2, 2, 2, 3, 4, 5)):
        assert told_at(w, seen[step][0]) == seen[stood][1]["revenue"], "90 days are not over for the second day"
    w.clock.advance(DAY)
    refresh(w.hub, owner="a")
    for step, stood in enumerate((2, 2, 2, 5, 5, 5)):
        assert told_at(w, seen[step][0]) == seen[stood][1]["revenue"], "as it stood at the end of the day"
    with w.store.reading() as tx:
        assert tx.shown("revenue", ["2026"], seen[1][0]) == [], "nothing else is kept of that day"


def told_at(w: World, at: float) -> dict[str, str | None] | None:
    rows = shown_then(w.hub, "revenue", "month", at)
    return None if rows is None else {row["period"]: row["value"] for row in rows}


def shown_now(w: World) -> dict[str, dict[str, str | None]]:
    return {each["kpi"]: {row["period"]: row["value"] for row in each["figures"]} for each in board(w.hub)["figures"]}


def test_of_two_processes_one_keeps_the_figures_and_an_end_loses_nothing(world: MakeWorld) -> None:
    w = world()
    load(w, {"o1": order_record("o1", "c0")}, people=1)
    asked: list[Any] = []

    def over() -> bool:
        asked.append(refresh(w.hub, owner="other"))
        return len(asked) > 2

    assert refresh(w.hub, owner="a", over=over) == []
    assert asked == [[], [], []]
    assert set(refresh(w.hub, owner="other")) == names(w)
    assert_as_computed_now(w)


def test_a_trend_is_of_periods_that_are_over() -> None:
    def of(*values: str | None, direction: str = "up") -> str:
        return trend([{"value": value} for value in values], direction)

    assert (of("1", "2"), of("2", "1"), of("2", "2.0"), of("2"), of(None, "2")) == ("better", "worse", "same", "", "")
    assert (of("1", "2", direction="down"), of("9", "2", "1", direction="down")) == ("worse", "better")
