"""Goals: a number and a date or none; pace and forecast on a straight line."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from hub.core.document import Sheet
from hub.core.goals import Goal, Standing, parse_goals, standing_of
from hub.core.kpis_file import parse_kpis
from hub.runtime.registry import SHIPPED
from hub.runtime.yaml import load_yaml, parse_yaml
from tests.core.test_kpis import CANONICAL

KPIS = parse_kpis(Sheet(load_yaml(SHIPPED / "kpis.yaml")), CANONICAL)
ZONE = ZoneInfo("Europe/Berlin")

GOOD = """\
language: 1
goals:
  win_more:
    kpi: close_rate
    baseline: 0.20
    target: 0.30
    since: 2026-01-01
    deadline: 2026-12-31
    owner: kim@example.com
"""


def goal(text: str = GOOD) -> Goal:
    sheet = Sheet(parse_yaml(text, "goals.yaml"))
    found = parse_goals(sheet, KPIS)
    assert sheet.faults == []
    return found["win_more"]


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "fix"),
    [
        ("    target: 0.30\n", "", "KPI-005", 3, "target: the number to reach; a tenth better than 0.20 is 0.22"),
        ("0.30", "much more", "KPI-005", 6, "target: the number to reach; a tenth better than 0.20 is 0.22"),
        ("0.20", "low", "KPI-005", 5, "baseline: a number: where the figure stands now; hub kpis show tells it"),
        ("    deadline: 2026-12-31\n", "", "KPI-006", 3, "deadline: the day by which, such as 2026-12-31"),
        ("2026-12-31", "soon", "KPI-006", 8, "deadline: the day by which, such as 2026-12-31"),
        ("2026-12-31", "2025-12-31", "KPI-006", 8, "put deadline: after since:"),
        ("0.30", "0.10", "KPI-007", 6, "the number to reach; a tenth better than 0.20 is 0.22"),
        ("close_rate", "close_rat", "KPI-004", 4, "did you mean close_rate?"),
        ("    owner: kim@example.com\n", "", "CFG-013", 3, "add owner:"),
    ],
)
def test_a_goal_without_number_or_date_is_refused_with_a_suggestion(
    old: str, new: str, code: str, line: int, fix: str
) -> None:
    assert old in GOOD
    sheet = Sheet(parse_yaml(GOOD.replace(old, new, 1), "goals.yaml"))
    assert parse_goals(sheet, KPIS) == {}
    assert [(fault.code, fault.where, fault.fix) for fault in sheet.faults] == [(code, f"goals.yaml:{line}", fix)]


def test_a_goal_to_lower_something_must_be_lower_than_its_baseline() -> None:
    assert goal(GOOD.replace("close_rate", "refund_rate").replace("0.30", "0.10")).target == Decimal("0.10")
    sheet = Sheet(parse_yaml(GOOD.replace("close_rate", "refund_rate"), "goals.yaml"))
    assert parse_goals(sheet, KPIS) == {}
    assert "0.18" in sheet.faults[0].fix


def stands(of: Goal, measured: str | None, elapsed: str) -> Standing:
    return standing_of(of, None if measured is None else Decimal(measured), elapsed=Decimal(elapsed))


def test_a_rate_runs_from_its_baseline_to_its_target() -> None:
    half = stands(goal(), "0.26", "0.5")
    assert (half.state, half.expected, half.forecast) == ("on track", Decimal("0.25"), Decimal("0.32"))
    late = stands(goal(), "0.22", "0.5")
    assert (late.state, late.forecast) == ("off track", Decimal("0.24"))
    assert stands(goal(), "0.25", "0.5").state == "on track", "exactly on the line is on track"


def test_a_sum_runs_from_nothing_to_its_target() -> None:
    revenue = goal(GOOD.replace("close_rate", "revenue").replace("0.20", "80000").replace("0.30", "100000"))
    quarter = stands(revenue, "30000", "0.25")
    assert (quarter.state, quarter.expected, quarter.forecast) == ("on track", Decimal(25000), Decimal(120000))


def test_less_is_better_where_the_figure_says_so() -> None:
    refunds = goal(GOOD.replace("close_rate", "refund_rate").replace("0.30", "0.10"))
    assert [stands(refunds, value, "0.5").state for value in ("0.14", "0.15", "0.16")] == [
        "on track", "on track", "off track"
    ]  # fmt: skip


def test_before_the_beginning_after_the_end_and_without_a_figure() -> None:
    assert stands(goal(), "0.50", "-0.1") == Standing(
        state="not begun", elapsed=Decimal(0), expected=Decimal("0.2"), forecast=None
    )
    assert stands(goal(), None, "0.5").state == "no figure"
    assert [stands(goal(), value, "1.4").state for value in ("0.30", "0.29")] == ["reached", "missed"]


def test_the_time_of_a_goal_is_whole_days_of_the_hub() -> None:
    short = goal(GOOD.replace("2026-01-01", "2026-06-01").replace("2026-12-31", "2026-06-10"))
    middle = datetime(2026, 6, 6, tzinfo=ZONE).timestamp()
    assert short.elapsed(middle, ZONE) == Decimal("0.5")
    assert (short.span.first, short.span.after) == (date(2026, 6, 1), date(2026, 6, 11))
    assert short.elapsed(datetime(2026, 6, 11, tzinfo=ZONE).timestamp(), ZONE) == 1
