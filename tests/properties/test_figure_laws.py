"""Kept figures = figures computed from all records, whatever came, in which order, how late, merged, parted, erased."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.app.board import board, by_period, refresh
from hub.app.erasing import erase
from hub.app.identity import merge, unmerge
from hub.app.ingest import ingest_page
from hub.app.kpis import list_goals, show_kpi
from hub.core.document import Sheet
from hub.core.goals import parse_goals
from hub.core.kpis import PERIODS
from hub.errors import HubError
from hub.model import SourceRecord
from hub.runtime.yaml import parse_yaml
from tests.app.test_kpis import with_kpis
from tests.properties.test_event_laws import ORDERS, PEOPLE, STEPS, do, person
from tests.reward_world import World

HOUR, DAY = 3_600.0, 86_400.0
DEALS = ("d1", "d2")
MORE = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from((HOUR, DAY, 3 * DAY, 31 * DAY))),
    st.tuples(st.just("delete"), st.sampled_from(ORDERS)),
    st.tuples(st.just("merge deals")),
    st.tuples(st.just("part deals")),
    st.tuples(st.just("erase"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("stop"), st.integers(0, 6)),
    st.tuples(st.just("look")),
)
GOALS = """
language: 1
goals:
  more: {kpi: orders, baseline: 1, target: 20, since: 2026-12-04, deadline: 2026-12-31, owner: kim@example.com}
  kept: {kpi: people_lost, baseline: 0.9, target: 0.1, since: 2026-12-05, deadline: 2027-01-20, owner: kim@example.com}
  each: {kpi: an_order, baseline: 1, target: 900, since: 2026-12-01, deadline: 2027-01-31, owner: kim@example.com}
"""


def with_goals(w: World) -> World:
    sheet = Sheet(parse_yaml(GOALS, "goals.yaml"))
    w.hub.projects.goals = parse_goals(sheet, w.hub.projects.kpis)
    assert sheet.faults == []
    return w


def carry_out(w: World, step: tuple[Any, ...]) -> None:
    match step:
        case ("pass", seconds):
            w.clock.advance(seconds)
        case ("delete", id_):
            gone = [SourceRecord(external_id=id_, data={}, op="delete")]
            ingest_page(w.hub, w.hub.connections["shop"], "orders", gone, read_at=w.clock.now(), first_load=False)
        case ("merge deals",) | ("part deals",):
            with w.store.reading() as tx:
                ids = [row.id for row in tx.entities_page("deal")]
            try:
                if step == ("merge deals",):
                    merge(w.hub, f"deal:{ids[0]}", f"deal:{ids[1]}", by="kim")
                else:
                    unmerge(w.hub, f"deal:{ids[0]}", by="kim")
            except (HubError, IndexError):
                pass  # there are not two, or they are one already, or none was merged
        case ("erase", who):
            found = person(w, who)
            if found is not None:
                erase(w.hub, f"contact:{found}", by="kim")
        case ("stop", steps):
            asked = itertools.count()
            refresh(w.hub, owner="a", over=lambda: next(asked) >= steps)
        case ("look",):
            check(w)
        case _:
            do(w, step)


def check(w: World) -> None:
    refresh(w.hub, owner="a")
    found = board(w.hub)
    for number, each in enumerate(found["figures"]):
        by = PERIODS[(int(w.clock.now()) + number) % len(PERIODS)]
        kept = by_period(w.hub, each["kpi"], by)
        assert kept is not None
        assert kept["figures"] == show_kpi(w.hub, each["kpi"], by=by)["figures"], (each["kpi"], by)
    assert found["goals"] == list_goals(w.hub)


def drawn(seed: int, count: int) -> list[tuple[Any, ...]]:
    """Steps of any kind, by a generator that both databases are driven with alike."""
    chance = random.Random(seed)
    days = (None, "2026-11-30T08:00:00Z", "2026-12-05T09:00:00Z", "2026-12-05T11:00:00Z", "2026-12-31T23:30:00Z")
    makers: list[Any] = [
        lambda: ("order", chance.choice(ORDERS), chance.choice((None, *PEOPLE)), chance.choice(("300", "1200")),
                 chance.choice(days), chance.choice(days), False),
        lambda: ("customer", chance.choice(PEOPLE)),
        lambda: ("deal", chance.choice(DEALS), chance.choice(("new", "won"))),
        lambda: ("merge", chance.choice(PEOPLE), chance.choice(PEOPLE)),
        lambda: ("unmerge", chance.choice(PEOPLE)),
        lambda: ("pass", chance.choice((HOUR, DAY, 31 * DAY))),
        lambda: ("delete", chance.choice(ORDERS)),
        lambda: chance.choice((("merge deals",), ("part deals",))),
        lambda: ("stop", chance.randrange(6)),
        lambda: ("erase", chance.choice(PEOPLE)),
        *([lambda: ("look",)] * 8),
    ]  # fmt: skip
    return [chance.choice([makers[0], *makers])() for _ in range(count)]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(STEPS, STEPS, MORE), min_size=8, max_size=25))
def test_kept_figures_are_those_of_all_records(steps: list[tuple[Any, ...]]) -> None:
    w = with_goals(with_kpis(World()))
    try:
        for step in [("look",), *steps, ("look",)]:
            carry_out(w, step)
    finally:
        w.store.close()


@pytest.mark.parametrize("seed", [1])
def test_the_same_on_both_databases(migrated_url: str, seed: int) -> None:
    w = with_goals(with_kpis(World(migrated_url)))
    try:
        for step in [("look",), *drawn(seed, 60), ("look",)]:
            carry_out(w, step)
    finally:
        w.store.close()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 120))
def test_the_same_at_length(migrated_url: str, seed: int) -> None:
    test_the_same_on_both_databases(migrated_url, seed)
