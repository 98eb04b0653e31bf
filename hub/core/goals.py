"""Goals, decided: where a figure should stand today to reach its target in time, and where it will end at this pace.

A goal is a number and a date, or it is none. Pace is linear in time: who is half way through the time should be half
way from the baseline to the target; of a figure that adds up (a count, a sum) the way begins at 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from decimal import Decimal

from hub.core.canonical_file import check_language
from hub.core.document import Sheet, nearest
from hub.core.kpis import EXACT, Kpi, Kpis, Period, midnight
from hub.core.rewards_file import check_name

GOAL_KEYS = ("text", "kpi", "baseline", "target", "since", "deadline", "owner", "team")
_NEEDED = ("kpi", "baseline", "since", "owner")
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?")
STEP = Decimal("0.1")  # a suggested target is a tenth better than the baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One goal of goals.yaml."""

    name: str
    text: str
    kpi: Kpi
    baseline: Decimal  # where the figure stood
    target: Decimal  # where it shall be …
    since: date  # the first day that counts
    deadline: date  # … and the last one
    owner: str  # who answers for it
    team: str = ""
    where: str = ""  # file:line

    @property
    def start(self) -> Decimal:
        """Where the way to the target begins."""
        return Decimal(0) if self.kpi.adds_up else self.baseline

    @property
    def span(self) -> Period:
        """The days that are measured."""
        after = self.deadline + timedelta(days=1)
        return Period(label=f"{self.since}/{self.deadline}", first=self.since, after=after)

    def elapsed(self, now: float, zone: tzinfo) -> Decimal:
        """Share of the time that is over; below 0 before it begins, at least 1 once it is past."""
        begins, ends = midnight(self.since, zone), midnight(self.span.after, zone)
        return Decimal(repr(now - begins)) / Decimal(repr(ends - begins))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a goal stands."""

    state: str  # not begun, no figure, on track, off track, reached, missed
    elapsed: Decimal  # share of the time, 0-1
    expected: Decimal  # where the figure should be
    forecast: Decimal | None  # where it ends at this pace; None: nothing to go by


def parse_goals(sheet: Sheet, kpis: Kpis) -> dict[str, Goal]:
    """The goals of a goals.yaml; faults are noted in the sheet, each with what could be written instead."""
    sheet.closed(("language", "goals"), required=("language", "goals"))
    check_language(sheet)
    found = {}
    for name, place in sheet.at("goals").entries():
        goal = _goal(place, name, kpis)
        if goal is not None:
            found[name] = goal
    return found


def _goal(place: Sheet, name: str, kpis: Kpis) -> Goal | None:
    known = len(place.faults)
    check_name(place, name)
    if not place.closed(GOAL_KEYS, required=_NEEDED):
        return None
    kpi = kpis.kpis.get(place.text("kpi"))
    if kpi is None and place.has("kpi"):
        place.at("kpi").fault("KPI-004", f"no figure {place.text('kpi')}", nearest(place.text("kpi"), kpis.kpis))
    baseline = _number(place, "baseline", "a number: where the figure stands now; hub kpis show tells it")
    since = _day(place, "since", "the first day that counts, such as 2026-01-01")
    target = _number(place, "target", _target_hint(kpi, baseline))
    deadline = _day(place, "deadline", f"the day by which, such as {since.replace(month=12, day=31)}" if since else
                    "the day by which, such as 2026-12-31")  # fmt: skip
    if since and deadline and deadline <= since:
        place.at("deadline").fault("KPI-006", "it ends before it begins", "put deadline: after since:")
    if kpi and baseline is not None and target is not None and not _better(kpi, target, baseline):
        place.at("target").fault(
            "KPI-007", f"{target} is no better than {baseline}: of {kpi.name} better is {kpi.direction}",
            _target_hint(kpi, baseline),
        )  # fmt: skip
    if len(place.faults) > known or kpi is None or baseline is None or target is None or not (since and deadline):
        return None
    return Goal(
        name=name, text=place.text("text") or kpi.text, kpi=kpi, baseline=baseline, target=target, since=since,
        deadline=deadline, owner=place.text("owner"), team=place.text("team"), where=place.where,
    )  # fmt: skip


def _number(place: Sheet, key: str, hint: str) -> Decimal | None:
    text = place.text(key)
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    inner = place.at(key) if place.has(key) else place
    inner.fault("KPI-005", f"{key} is no number" if place.has(key) else f"a goal without {key}", f"{key}: {hint}")
    return None


def _day(place: Sheet, key: str, hint: str) -> date | None:
    try:
        return date.fromisoformat(place.text(key))
    except ValueError:
        inner = place.at(key) if place.has(key) else place
        inner.fault("KPI-006", f"{key} is no day" if place.has(key) else f"a goal without {key}", f"{key}: {hint}")
        return None


def _target_hint(kpi: Kpi | None, baseline: Decimal | None) -> str:
    if kpi is None or not baseline:
        return "the number to reach"
    better = baseline + abs(baseline) * (STEP if kpi.direction == "up" else -STEP)
    return f"the number to reach; a tenth better than {baseline} is {better.normalize():f}"


def _better(kpi: Kpi, one: Decimal, other: Decimal) -> bool:
    return one > other if kpi.direction == "up" else one < other


def standing_of(goal: Goal, measured: Decimal | None, *, elapsed: Decimal) -> Standing:
    """How a goal stands.

    Args:
        measured: the figure of the goal's span, up to now.
        elapsed: `Goal.elapsed`.

    Returns:
        Expected is start + (target - start) x elapsed; the forecast is start + (measured - start) / elapsed.
    """
    share = min(max(elapsed, Decimal(0)), Decimal(1))
    expected = (goal.start + (goal.target - goal.start) * share).quantize(EXACT)
    if elapsed <= 0 or measured is None:
        return Standing(
            state="not begun" if elapsed <= 0 else "no figure", elapsed=share.quantize(EXACT), expected=expected,
            forecast=None,
        )  # fmt: skip
    forecast = (goal.start + (measured - goal.start) / share).quantize(EXACT)
    good = not _better(goal.kpi, expected, measured)
    state = ("reached" if good else "missed") if share == 1 else ("on track" if good else "off track")
    return Standing(state=state, elapsed=share.quantize(EXACT), expected=expected, forecast=forecast)
