"""Measured trust: what became of each source's values, and the order of sources that this speaks for. Pure functions.

A value fails if it is corrected (another system or a person puts another in its place), if mail to it bounces, or if it
is overruled (it was weighed against others and lost). What a rule `source` decided says nothing of the values, only of
the rule, so it is left out: else every order would prove itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from hub.core.uplift import score_interval
from hub.model import Json

BY_ORDER, BY_PERSON = "rule:source", "ruling:"  # how a history row or a conflict says who decided
BOUNCED = "activity.email_bounced"  # the event that says so
ENOUGH = 20  # values of a source from which on its share says something


@dataclass(slots=True, kw_only=True)
class Trust:
    """What became of one source's values of one field."""

    given: int = 0  # values that stood, or stand
    corrected: int = 0  # of those: another system or a person put another value in their place
    bounced: int = 0  # of those: mail to it came back
    weighed: int = 0  # conflicts in which its value was a candidate
    lost: int = 0  # of those: another value stands now
    by_rank: int = 0  # of those that lost: the order of sources said so
    by_person: int = 0  # corrected or overruled by a person

    @property
    def measured(self) -> int:
        """Values of which it is known how they fared."""
        return self.given + self.lost - self.by_rank

    @property
    def failed(self) -> int:
        return self.corrected + self.bounced + self.lost - self.by_rank

    @property
    def share(self) -> float | None:
        return self.failed / self.measured if self.measured else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Within which the share lies with 95 %: Wilson's score interval."""
        if not self.measured:
            return None
        low, high = score_interval(Decimal(self.failed) / self.measured, self.measured)
        return float(low), float(high)

    def add(self, other: Trust) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True, kw_only=True)
class Span:
    """A value while it stood."""

    source: str | None  # who said it; None: nobody knows any more
    since: float  # epoch seconds
    until: float | None = None  # None: it stands
    ended_by: str = ""  # "": it stands, or its own source changed it; corrected, ruled, weighed, ranked
    bounced: bool = False


def spans_of(
    changes: Iterable[tuple[float, int, Mapping[str, Json]]], source: str | None, weighed: Iterable[int]
) -> list[Span]:
    """The values that a field had, one after the other.

    Args:
        changes: (moment, version, what changed: connection, was, rule, new) in order.
        source: who said the value that stands.
        weighed: versions in which its conflicts were decided: who lost there is told by them.
    """
    found, versions = [Span(source=None, since=float("-inf"))], set(weighed)
    for at, version, change in changes:
        stood, now = found[-1], change.get("connection")
        if stood.source is None:
            stood.source = change.get("was")
        stood.until, stood.ended_by = at, _ended_by(stood.source, now, version in versions, change)
        found.append(Span(source=now, since=at))
    if found[-1].source is None or len(found) == 1:
        found[-1].source = source
    return found


def _ended_by(was: str | None, now: str | None, weighed: bool, change: Mapping[str, Json]) -> str:
    rule = str(change.get("rule") or "")
    if rule.startswith(BY_PERSON):
        return "ruled"
    if now is None or now == was or change.get("new") in (None, "", [], {}):
        return ""
    if rule == BY_ORDER:
        return "ranked"
    return "weighed" if weighed else "corrected"


def count_spans(spans: Iterable[Span], into: Mapping[str, Trust]) -> None:
    """Add what became of values to the trust of who said them; `into` makes what it lacks."""
    for span in spans:
        if span.source is None or (span.ended_by in ("weighed", "ranked") and not span.bounced):
            continue
        trust = into[span.source]
        trust.given += 1
        ruled = span.ended_by == "ruled"
        if span.bounced:
            trust.bounced += 1
        elif ruled or span.ended_by == "corrected":
            trust.corrected += 1
            trust.by_person += ruled


def count_conflict(
    candidates: Iterable[Mapping[str, Json]], winner: Json, decided_by: str, into: Mapping[str, Trust],
    *, ruled: Json = None,
) -> None:  # fmt: skip
    """Add what a decided conflict says of whose values were weighed.

    Args:
        ruled: the value that stands because a person said so: whoever said it too did not lose, whatever a rule said.
    """
    for each in candidates:
        if not each["connection"]:
            continue
        trust, lost = into[each["connection"]], each["value"] not in (winner, ruled)
        trust.weighed += 1
        trust.lost += lost
        trust.by_rank += lost and decided_by == BY_ORDER
        trust.by_person += lost and decided_by.startswith(BY_PERSON)


def separated(better: Trust, worse: Trust) -> bool:
    """Whether chance can be left out: both were measured often enough, and their intervals do not touch."""
    if better.measured < ENOUGH or worse.measured < ENOUGH:
        return False
    one, other = better.interval, worse.interval
    return one is not None and other is not None and one[1] < other[0]


def suggested_order(now: Sequence[str], trusts: Mapping[str, Trust], *, ranked: bool) -> list[str]:
    """Sources in the order that the measured trust speaks for; empty if it speaks for none, or for the one there is.

    Whoever is separated from another goes before it; all others keep the places that they have.

    Args:
        now: every source, in the order that holds now.
        ranked: the field is decided by that order; else it would be new.
    """
    measured = [name for name in now if name in trusts]
    if not any(separated(trusts[one], trusts[other]) for one in measured for other in measured):
        return []
    left, found = list(now), []
    while left:
        chosen = next(
            name for name in left
            if not any(
                name in trusts and other in trusts and separated(trusts[other], trusts[name])
                for other in left
            )
        )  # fmt: skip
        left.remove(chosen)
        found.append(chosen)
    return [] if ranked and found == list(now) else found


def reason(order: Sequence[str], trusts: Mapping[str, Trust]) -> str:
    """The figures that speak for an order, in words."""
    told = []
    for name in order:
        each = trusts.get(name)
        if each is not None and each.interval is not None:
            low, high = each.interval
            told.append(f"{name} {each.failed} of {each.measured} failed ({low:.1%} to {high:.1%})")
    return "; ".join(told)
