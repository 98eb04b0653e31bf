"""Milestones, decided: who reached a figure in a period that is over, alone or together with others.

The figure is one of kpis.yaml, with its own formula; here it is only told apart by whose records they are, and held
against a number. What counts is what was known when the period's grace ended, whenever somebody comes to look.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal

from hub.core.kpis import Fact, Figure, Kpi, Period, chosen, figures, midnight, period_around
from hub.core.rewards import Amount, Give, digest_of

EACH, TOGETHER = "each", "together"


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """One milestone of rewards.yaml."""

    name: str
    text: str  # for people
    kpi: Kpi
    by: str  # whose a record is: a reference to an owner or a contact, or one through another (contact.owner)
    who: str  # each for himself, or together
    members: tuple[str, ...]  # e-mail addresses of those who take part; empty: all whom records name
    per: str  # of hub.core.kpis.PERIODS
    reach: Decimal
    at_most: bool  # True: to be at or below it is to reach it
    least: int  # so many records, or people, the figure must be made of
    grace_s: float  # time for late data after a period's end
    give: Give
    budget: str
    active_from: float  # epoch seconds; periods that began before never pay
    approve_over: Amount | None = None
    wait_s: float = 0.0
    where: str = ""  # file:line

    def closes_at(self, period: Period, zone: tzinfo) -> float:
        """When what is known decides."""
        return midnight(period.after, zone) + self.grace_s


def due_periods(milestone: Milestone, *, after: str | None, now: float, zone: tzinfo, most: int) -> list[Period]:
    """Periods that are over, grace included, and were not decided yet; at most so many.

    Args:
        after: the first day that was not decided, ISO; None: none was.
    """
    begin = datetime.fromtimestamp(milestone.active_from, zone)
    first = period_around(milestone.per, begin.date())
    if midnight(first.first, zone) < milestone.active_from:  # it began before
        first = period_around(milestone.per, first.after)
    if after is not None and after > first.first.isoformat():
        first = period_around(milestone.per, datetime.fromisoformat(after).date())
    found: list[Period] = []
    while len(found) < most and milestone.closes_at(first, zone) <= now:
        found.append(first)
        first = period_around(milestone.per, first.after)
    return found


def reached(
    milestone: Milestone, facts: Sequence[Fact], period: Period, *, zone: tzinfo, members: Collection[str] | None
) -> list[Figure]:
    """The figures that reach it, one per person, or one of all.

    Args:
        facts: what every record says, told apart by person (`Fact.segment`).
        members: segments of those who take part; None: all.
    """
    until = midnight(period.after, zone)
    kept = chosen(milestone.kpi, facts, until=until)
    own = [fact for fact in kept if fact.segment and (members is None or fact.segment in members)]
    if milestone.who == TOGETHER:
        own = [fact._replace(segment="") for fact in own]
    found = figures(milestone.kpi, own, [period], zone=zone, until=until)
    return [each for each in found if each.of >= max(1, milestone.least) and _reaches(milestone, each.value)]


def taking_part(milestone: Milestone, facts: Sequence[Fact], period: Period, *, zone: tzinfo) -> list[str]:
    """Segments of those who have a record in the period, in order."""
    until = midnight(period.after, zone)
    found = figures(milestone.kpi, chosen(milestone.kpi, facts, until=until), [period], zone=zone, until=until)
    return sorted({each.segment for each in found if each.segment and each.of})


def _reaches(milestone: Milestone, value: Decimal | None) -> bool:
    if value is None:
        return False
    return value <= milestone.reach if milestone.at_most else value >= milestone.reach


def milestone_key(instance: str, milestone: str, person: int, period: str) -> str:
    """What can be granted once: this milestone, this person, this period, by this hub."""
    return digest_of("milestone", instance, milestone, str(person), period)


def milestone_refusal_key(instance: str, milestone: str, person: int, period: str) -> str:
    return digest_of("milestone refusal", instance, milestone, str(person), period)
