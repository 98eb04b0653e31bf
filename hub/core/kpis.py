"""Key figures, computed: what a record adds to a figure, in which period it falls, and what comes of all records.

A record is looked at once (hub.core.facts) and becomes a `Fact`; facts of any number of records make figures
(`figures`).
Nothing here knows whether the records are those of today or those that were known at an earlier moment: the caller
hands in what was known then, and the same figure comes out as came out then.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from math import inf, nextafter
from typing import NamedTuple

from hub.core.canonical import EntityType
from hub.core.conditions import Condition
from hub.core.expressions import EntityExpression
from hub.core.values import to_instant
from hub.model import Json

PERIODS = ("day", "week", "month", "quarter", "year")
SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60}  # units of durations
UNITS = ("number", "money", "share", "points", *SECONDS)
DIRECTIONS = ("up", "down")  # where better is
KNOWN = "known"  # moment: when the hub first knew the record
CHANGED = "changed."  # moment: when the hub last saw that field change
HAPPENED = "event."  # moment: when that event of canonical.yaml happened
EXACT = Decimal("0.000001")  # figures are rounded to it, half to even
FINEST = Decimal("1e-12")  # what a record adds is rounded to it
QUARTER_S = 900  # clocks are put at quarters of an hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi:
    """One figure of kpis.yaml."""

    name: str
    text: str
    unit: str  # of UNITS
    direction: str  # of DIRECTIONS
    entity: EntityType  # whose records are counted
    at: str  # moment by which a record falls into a period
    when: Condition | None  # None: all records
    kind: str  # a key of FORMULAS
    part: Condition | None = None  # ratio: the records that are counted above the line
    value: EntityExpression | None = None  # sum, average: what a record adds
    per: str = ""  # ref field: count, divide or keep by whom it names; "": by record
    only: str = ""  # first, later: only each person's first record, or all but it
    begins: str = ""  # duration, within, retention: the moment it begins …
    ends: str = ""  # … and ends
    bound_s: float = 0.0  # within: at most that long
    older_s: float = 0.0  # count: only what has stood for that long
    lost: bool = False  # retention: the share that was not kept
    above: Kpi | None = None  # quotient: this figure …
    below: Kpi | None = None  # … divided by that one
    where: str = ""  # file:line

    @property
    def parts(self) -> tuple[Kpi, ...]:
        """The figures whose records are looked at."""
        return (self,) if self.above is None or self.below is None else (self.above, self.below)

    @property
    def moments(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each for each in (self.at, self.begins, self.ends) if each))

    @property
    def adds_up(self) -> bool:
        """Whether a figure of two periods is the sum of their figures, as far as nobody counts in both."""
        return self.kind in ("count", "sum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpis:
    """All of kpis.yaml."""

    kpis: Mapping[str, Kpi] = field(default_factory=dict)
    zone: tzinfo = UTC  # where days begin
    currency: str = "EUR"  # the hub's; money in another is not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One record as it stands at the moment that is asked about."""

    id: int
    values: Mapping[str, Json]
    moments: Mapping[str, float] = field(default_factory=dict)  # those that are no field: known, changed.…, event.…
    person: int | None = None  # whom `per` names, after all merges
    segment: str = ""


class Fact(NamedTuple):
    """What one record says to a figure."""

    id: int
    at: float  # when, epoch seconds; a date counts from its first instant in the hub's zone
    day: date  # the same in the hub's zone; a date is itself
    segment: str
    value: Decimal | None  # None: cannot be counted (another currency, nothing there)
    part: bool
    person: int | None
    begins: float | None
    ends: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Some days."""

    label: str
    first: date
    after: date  # the first day that is not in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What facts come to, before anything is divided.

    Tallies of facts that share nobody (no record, and where people are counted no person) add up, and one can be taken
    off again: that is how a figure is kept without looking at all its records. A median needs every length.
    """

    part: Decimal = Decimal(0)  # above the line
    under: Decimal = Decimal(0)  # below the line
    of: int = 0  # records or people that it is told of
    waits: Sequence[float] = ()  # duration: seconds, rising

    def __add__(self, other: Tally) -> Tally:
        waits = tuple(sorted((*self.waits, *other.waits))) if self.waits and other.waits else self.waits or other.waits
        return Tally(part=self.part + other.part, under=self.under + other.under, of=self.of + other.of, waits=waits)

    def __sub__(self, other: Tally) -> Tally:
        waits = list(self.waits)
        for each in other.waits:
            del waits[bisect_left(waits, each)]
        return Tally(
            part=self.part - other.part, under=self.under - other.under, of=self.of - other.of, waits=tuple(waits)
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of one period and segment."""

    period: Period
    segment: str
    value: Decimal | None  # None: there is nothing to divide by
    part: Decimal  # above the line: records, or what they add
    of: int  # below the line: records, or people; for counts and sums the records
    ids: tuple[int, ...]  # records it is made of


# Records


def moment_of(sight: Sight, name: str, zone: tzinfo) -> tuple[float, date] | None:
    """(epoch seconds, day in the zone) of a moment; None if it has not come, or is not known."""
    value = sight.moments.get(name)
    if value is None:
        told = sight.values.get(name)
        if not isinstance(told, str):
            return None
        if len(told) == 10:  # a date is no moment: it is that day in every zone
            day = date.fromisoformat(told)
            return midnight(day, zone), day
        value = to_instant(told)
    return value, day_of(value, zone)


def exactly(number: int | Decimal) -> Decimal:
    """Not finer than sums can be exact in: so they are the same in any order."""
    value = Decimal(number)
    exponent = value.as_tuple().exponent
    return value.quantize(FINEST) if isinstance(exponent, int) and exponent < -12 else value


def chosen(kpi: Kpi, facts: Iterable[Fact], *, until: float) -> list[Fact]:
    """The facts that count at a moment: all periods together, for who came first is not a question of one period.

    Left out is what cannot be told (no value, no second moment, nobody named where people are counted), what lies in
    the future of `until`, and what is still undecided: a bound that has not run out yet is neither kept nor broken.
    """
    kept = sorted((fact for fact in facts if _counts(kpi, fact, until)), key=lambda fact: (fact.at, fact.id))
    if not kpi.only:
        return kept
    seen: set[int | None] = set()
    found = []
    for fact in kept:
        if (fact.person in seen) == (kpi.only == "later"):
            found.append(fact)
        seen.add(fact.person)
    return found


def can_count(kpi: Kpi, fact: Fact) -> bool:
    """Whether there is a value, and somebody named where people are counted."""
    return fact.value is not None and not (kpi.per and fact.person is None)


def _counts(kpi: Kpi, fact: Fact, until: float) -> bool:
    if not can_count(kpi, fact) or fact.at + kpi.older_s > until:
        return False
    if kpi.kind in ("duration", "within") and fact.begins is None:
        return False
    wait = None if fact.ends is None or fact.begins is None else fact.ends - fact.begins
    if wait is not None and wait < 0 and kpi.kind != "retention":
        return False
    if kpi.kind == "within":
        return wait is not None or (fact.begins or 0.0) + kpi.bound_s <= until
    return kpi.kind != "duration" or wait is not None


# Periods


def period_around(by: str, day: date) -> Period:
    """The day, week (ISO, from Monday), month, quarter or year that a day lies in."""
    if by == "day":
        return Period(label=day.isoformat(), first=day, after=day + timedelta(days=1))
    if by == "week":
        first = day - timedelta(days=day.weekday())
        year, week, _ = day.isocalendar()
        return Period(label=f"{year}-W{week:02}", first=first, after=first + timedelta(days=7))
    if by == "year":
        return Period(label=f"{day:%Y}", first=date(day.year, 1, 1), after=date(day.year + 1, 1, 1))
    months = 3 if by == "quarter" else 1
    number = (day.month - 1) // months
    first = date(day.year, number * months + 1, 1)
    following = first.month + months
    after = date(day.year + (following > 12), (following - 1) % 12 + 1, 1)
    return Period(label=f"{day:%Y}-Q{number + 1}" if by == "quarter" else f"{day:%Y-%m}", first=first, after=after)


def periods_between(by: str, first: date, last: date) -> list[Period]:
    """The periods from the one with `first` to the one with `last`."""
    found = [period_around(by, first)]
    while found[-1].after <= last:
        found.append(period_around(by, found[-1].after))
    return found


def last_periods(by: str, last: date, count: int) -> list[Period]:
    """The `count` periods that end with the one around `last`."""
    found = [period_around(by, last)]
    while len(found) < count:
        found.insert(0, period_around(by, found[0].first - timedelta(days=1)))
    return found


# Figures


def figures(kpi: Kpi, facts: Sequence[Fact], periods: Sequence[Period], *, zone: tzinfo, until: float) -> list[Figure]:
    """A figure per period and segment.

    Args:
        facts: what `chosen` left.
        periods: in the order of time, none overlapping.
        until: the moment that is asked about; a period that is not over counts up to it.

    Returns:
        Period by period, segments in their order; without facts a period has one figure, of no segment.
    """
    found = []
    for period, own in _by_period(kpi, facts, periods, zone):
        groups: dict[str, list[Fact]] = defaultdict(list)
        for fact in own:
            groups[fact.segment].append(fact)
        for segment, group in sorted(groups.items()) or [("", [])]:
            tally = _tally(kpi, period, group, zone, until)
            found.append(figure_of(kpi, period, tally, segment=segment, ids=tuple(fact.id for fact in group)))
    return found


def tallies(
    kpi: Kpi, facts: Sequence[Fact], periods: Sequence[Period], *, zone: tzinfo, until: float
) -> list[tuple[Period, Tally]]:
    """What facts come to, in each period in which they count at all; segments together.

    Args:
        facts: what `chosen` left of all facts of some people, or of some records where nobody is counted by person.
    """
    return [
        (period, _tally(kpi, period, own, zone, until)) for period, own in _by_period(kpi, facts, periods, zone) if own
    ]


def figure_of(kpi: Kpi, period: Period, tally: Tally, *, segment: str = "", ids: tuple[int, ...] = ()) -> Figure:
    """The figure of a tally: divided, and rounded."""
    value, part = _value(kpi, tally), tally.part
    if kpi.kind == "duration":
        part = value or Decimal(0)
    return Figure(period=period, segment=segment, value=value, part=part, of=tally.of, ids=ids)


def _tally(kpi: Kpi, period: Period, facts: Sequence[Fact], zone: tzinfo, until: float) -> Tally:
    end = min(midnight(period.after, zone), until)
    return FORMULAS[kpi.kind].compute(kpi, facts, midnight(period.first, zone), end)


def turns_at(kpi: Kpi, fact: Fact, until: float) -> float | None:
    """The first moment after `until` at which a fact may come to something else while nothing is changed; None: never.

    It is the moment that `chosen` and the formulas compare `until` with: a date that lies ahead, a bound that runs out.
    """
    moments = [fact.at + kpi.older_s]
    if kpi.kind == "within" and fact.begins is not None:
        moments.append(fact.begins + kpi.bound_s)
    if kpi.kind == "retention" and fact.ends is not None:
        moments.append(nextafter(fact.ends, inf))  # at its very end it still runs
    return min((each for each in moments if each > until), default=None)


def _by_period(
    kpi: Kpi, facts: Sequence[Fact], periods: Sequence[Period], zone: tzinfo
) -> list[tuple[Period, list[Fact]]]:
    if kpi.kind == "retention":  # what ran when the period began
        starts = [midnight(period.first, zone) for period in periods]
        return [
            (period, [fact for fact in facts if fact.at < start and (fact.ends is None or fact.ends >= start)])
            for period, start in zip(periods, starts, strict=True)
        ]
    if kpi.kind == "growth":  # beside those of the period before
        before = [previous_days(period) for period in periods]
        return [
            (period, [fact for fact in facts if first <= fact.day < period.after])
            for period, first in zip(periods, before, strict=True)
        ]
    own: list[list[Fact]] = [[] for _ in periods]
    firsts = [period.first for period in periods]
    for fact in facts:
        place = bisect_right(firsts, fact.day) - 1
        if place >= 0 and fact.day < periods[place].after:
            own[place].append(fact)
    return list(zip(periods, own, strict=True))


def previous_days(period: Period) -> date:
    """The first day of the days before a period: as many months before whole months, else as many days."""
    first, after = period.first, period.after
    if first.day != 1 or after.day != 1:
        return first - (after - first)
    month = first.year * 12 + first.month - 1 - (after.year - first.year) * 12 - (after.month - first.month)
    return date(month // 12, month % 12 + 1, 1)


@lru_cache(maxsize=2**14)
def midnight(day: date, zone: tzinfo) -> float:
    """The first instant of a day in a zone, epoch seconds."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def day_of(at: float, zone: tzinfo) -> date:
    """The day of a moment in a zone: moments of one quarter of an hour are asked for once, as far as clocks stand."""
    return _day_of_quarter(int(at // QUARTER_S), zone) or datetime.fromtimestamp(at, zone).date()


@lru_cache(maxsize=2**17)
def _day_of_quarter(number: int, zone: tzinfo) -> date | None:
    """The day of a whole quarter of an hour; None if a day begins or a clock is put in it."""
    first, last = (datetime.fromtimestamp(number * QUARTER_S + each, zone) for each in (0, QUARTER_S - 1e-6))
    return first.date() if first.date() == last.date() and first.utcoffset() == last.utcoffset() else None


def _value(kpi: Kpi, tally: Tally) -> Decimal | None:
    if kpi.adds_up:
        return tally.part.quantize(EXACT)
    if kpi.kind == "duration":
        return _median(tally.waits, SECONDS[kpi.unit])
    return (tally.part / tally.under).quantize(EXACT) if tally.under else None


def _median(waits: Sequence[float], unit_s: int) -> Decimal | None:
    """With an even number of them the mean of the middle two."""
    if not waits:
        return None
    middle = (Decimal(repr(waits[(len(waits) - 1) // 2])) + Decimal(repr(waits[len(waits) // 2]))) / 2
    return (middle / unit_s).quantize(EXACT)


def _people(kpi: Kpi, facts: Iterable[Fact]) -> set[int]:
    """Whom it is counted by: people, else records."""
    return {fact.person if kpi.per and fact.person is not None else fact.id for fact in facts}


def _shared(part: int | Decimal, of: int) -> Tally:
    """So much of so many."""
    return Tally(part=Decimal(part), under=Decimal(of), of=of)


def _count(kpi: Kpi, facts: Sequence[Fact], start: float, end: float) -> Tally:
    return _shared(len(_people(kpi, facts)), len(facts))


def _sum(kpi: Kpi, facts: Sequence[Fact], start: float, end: float) -> Tally:
    return _shared(_total(facts), len(facts))


def _total(facts: Iterable[Fact]) -> Decimal:
    return sum((fact.value or Decimal(0) for fact in facts), Decimal(0))


def _average(kpi: Kpi, facts: Sequence[Fact], start: float, end: float) -> Tally:
    return _shared(_total(facts), len(_people(kpi, facts)))


def _ratio(kpi: Kpi, facts: Sequence[Fact], start: float, end: float) -> Tally:
    return _shared(sum(fact.part for fact in facts), len(facts))


def _duration(kpi: Kpi, facts: Sequence[Fact], start: float, end: float) -> Tally:
    return Tally(of=len(facts), waits=tuple(sorted(_wait(fact) for fact in facts)))


def _within(kpi: Kpi, facts: Sequence[Fact], start: float, end: float) -> Tally:
    return _shared(sum(fact.ends is not None and _wait(fact) <= kpi.bound_s for fact in facts), len(facts))


def _wait(fact: Fact) -> float:
    return float(fact.ends or 0.0) - float(fact.begins or 0.0)


def _growth(kpi: Kpi, facts: Sequence[Fact], start: float, end: float) -> Tally:
    """How many more there are than in the period before, of those."""
    before = len(_people(kpi, (fact for fact in facts if fact.at < start)))
    return _shared(len(_people(kpi, (fact for fact in facts if fact.at >= start))) - before, before)


def _retention(kpi: Kpi, facts: Sequence[Fact], start: float, end: float) -> Tally:
    """Who has several is kept as long as one of them runs; with a value, what they pay is kept."""
    still = [fact for fact in facts if fact.ends is None or fact.ends >= end]
    if kpi.value is not None:
        ran, stays = _total(facts), _total(still)
        return Tally(part=ran - stays if kpi.lost else stays, under=ran, of=len(facts))
    people, kept = len(_people(kpi, facts)), len(_people(kpi, still))
    return _shared(people - kept if kpi.lost else kept, people)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """One kind of formula: what may and must be said of it, and how it is computed."""

    takes: tuple[str, ...]
    needs: tuple[str, ...]
    units: tuple[str, ...]
    compute: Callable[[Kpi, Sequence[Fact], float, float], Tally]  # (figure, facts, begin and end of the period)


FORMULAS: Mapping[str, Formula] = {
    "count": Formula(takes=("per", "only", "older"), needs=(), units=("number",), compute=_count),
    "sum": Formula(takes=("value", "per", "only"), needs=("value",), units=("money", "number"), compute=_sum),
    "average": Formula(
        takes=("value", "per", "only"), needs=("value",), units=("money", "number", "points"), compute=_average
    ),
    "ratio": Formula(takes=("part",), needs=("part",), units=("share",), compute=_ratio),
    "duration": Formula(takes=("from", "to"), needs=("from", "to"), units=tuple(SECONDS), compute=_duration),
    "within": Formula(
        takes=("from", "to", "bound"), needs=("from", "to", "bound"), units=("share",), compute=_within
    ),
    "retention": Formula(
        takes=("from", "to", "per", "lost", "value"), needs=("from", "to"), units=("share",), compute=_retention
    ),
    "growth": Formula(takes=("per",), needs=(), units=("share",), compute=_growth),
}  # fmt: skip


QUOTIENT = "quotient"  # a formula over two figures
QUOTIENT_UNITS = ("share", "money", "number")


def quotients(kpi: Kpi, above: Iterable[Figure], below: Iterable[Figure]) -> list[Figure]:
    """One figure divided by the other, period by period and segment by segment; both of the same periods.

    Where one of them has nothing in a segment, it is 0 if it adds up. Nothing is divided by 0.
    """
    over, under = ({(each.period.first, each.segment): each for each in found} for found in (above, below))
    keys = over.keys() | under.keys()
    told = {first for first, segment in keys if segment}
    found = []
    for key in sorted(key for key in keys if key[1] or key[0] not in told or _counted(over, under, key)):
        one, other = over.get(key), under.get(key)
        part = one.value if one else Decimal(0)
        divisor = other.value if other else None
        found.append(
            Figure(
                period=(one or under[key]).period, segment=key[1],
                value=(part / divisor).quantize(EXACT) if part is not None and divisor else None,
                part=part or Decimal(0), of=other.of if other else 0,
                ids=tuple(dict.fromkeys((*(one.ids if one else ()), *(other.ids if other else ())))),
            )
        )  # fmt: skip
    return found


_Told = Mapping[tuple[date, str], Figure]


def _counted(over: _Told, under: _Told, key: tuple[date, str]) -> bool:
    """Whether records stand behind it, which is not so where a period is told without segments for want of any."""
    return any(key in each and bool(each[key].ids) for each in (over, under))


# Then and now


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A record that says something else now than it said then."""

    id: int
    kind: str  # came, left, changed
    then: Fact | None
    now: Fact | None


def differences(then: Iterable[Fact], now: Iterable[Fact]) -> list[Difference]:
    """What makes one figure out of the other, record by record, in the order of ids. Both are what `chosen` left."""
    before, after = {fact.id: fact for fact in then}, {fact.id: fact for fact in now}
    found = []
    for each in sorted(before.keys() | after.keys()):
        old, new = before.get(each), after.get(each)
        if old != new:
            kind = "came" if old is None else "left" if new is None else "changed"
            found.append(Difference(id=each, kind=kind, then=old, now=new))
    return found
