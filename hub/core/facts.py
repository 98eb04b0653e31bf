"""What records say to many figures at once: whatever figures ask alike is looked at once per record.

Of some forty figures several ask for the same moment, the same condition, the same amount; those that ask the same of a
record in every way are one group and hear the same fact. How they differ (per period, first of each person, within a
bound) is asked of facts, not of records.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from decimal import Decimal
from typing import NamedTuple

from hub.core.conditions import Condition
from hub.core.expressions import EntityExpression
from hub.core.kpis import Fact, Kpi, Period, Sight, Tally, chosen, exactly, moment_of, tallies, turns_at

ONE = Decimal(1)


class Question(NamedTuple):
    """What a figure asks of a record."""

    entity: str
    per: str
    at: str
    when: EntityExpression | None
    part: EntityExpression | None
    value: EntityExpression | None
    begins: str
    ends: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Figures that ask the same of every record."""

    question: Question
    kpis: tuple[Kpi, ...]
    older_s: float  # the most that any of them waits for, before a fact counts
    bound_s: float  # the longest bound of any of them
    runs: bool  # for one of them a fact may end

    @property
    def first(self) -> Kpi:
        return self.kpis[0]


def grouped(kpis: Iterable[Kpi]) -> list[Group]:
    """Figures by what they ask, in the order in which it is asked first."""
    found: dict[Question, list[Kpi]] = defaultdict(list)
    for kpi in kpis:
        found[_question(kpi)].append(kpi)
    return [
        Group(
            question=question, kpis=tuple(own), older_s=max(kpi.older_s for kpi in own),
            bound_s=max(kpi.bound_s for kpi in own), runs=any(kpi.kind == "retention" for kpi in own),
        )
        for question, own in found.items()
    ]  # fmt: skip


def _question(kpi: Kpi) -> Question:
    when, part = (each.expression if each else None for each in (kpi.when, kpi.part))
    return Question(kpi.entity.name, kpi.per, kpi.at, when, part, kpi.value, kpi.begins, kpi.ends)


def facts_of(groups: Sequence[Group], sights: Sequence[Sight], zone: tzinfo) -> list[list[Fact | None]]:
    """What records say to each group, record by record; None where one does not belong to its figures."""
    page = _Page(sights, zone)
    return [page.facts(group) for group in groups]


class _Page:
    """Some records, and what was asked of them so far: a column per moment, condition and amount."""

    def __init__(self, sights: Sequence[Sight], zone: tzinfo) -> None:
        self._sights, self._zone = sights, zone
        self._moments: dict[str, list[tuple[float, date] | None]] = {}
        self._held: dict[EntityExpression, list[bool]] = {}
        self._amounts: dict[EntityExpression, dict[int, Decimal | None]] = defaultdict(dict)

    def facts(self, group: Group) -> list[Fact | None]:
        first, question = group.first, group.question
        begins, ends = (self._moment(name) if name else None for name in (question.begins, question.ends))
        held, part, amount = self._holds(first.when), self._holds(first.part), self._amount(question.value)
        found: list[Fact | None] = []
        for place, (sight, moment) in enumerate(zip(self._sights, self._moment(question.at), strict=True)):
            if moment is None or not (held is None or held[place]):
                found.append(None)
                continue
            begin, end = (None if each is None else each[place] for each in (begins, ends))
            found.append(
                Fact(
                    sight.id, moment[0], moment[1], sight.segment, amount(place), part is not None and part[place],
                    sight.person, begin and begin[0], end and end[0],
                )
            )  # fmt: skip
        return found

    def _moment(self, name: str) -> list[tuple[float, date] | None]:
        if name not in self._moments:
            self._moments[name] = [moment_of(sight, name, self._zone) for sight in self._sights]
        return self._moments[name]

    def _holds(self, condition: Condition | None) -> list[bool] | None:
        if condition is None:
            return None
        if condition.expression not in self._held:
            self._held[condition.expression] = [condition(sight.values) for sight in self._sights]
        return self._held[condition.expression]

    def _amount(self, value: EntityExpression | None) -> Callable[[int], Decimal | None]:
        """What a record adds, asked only of those that count."""
        if value is None:
            return lambda place: ONE
        known, sights = self._amounts[value], self._sights

        def amount(place: int) -> Decimal | None:
            if place not in known:
                number = value(sights[place].values)
                counts = isinstance(number, int | Decimal) and not isinstance(number, bool)
                known[place] = exactly(number) if counts else None
            return known[place]

        return amount


def next_turn(group: Group, fact: Fact, until: float) -> float | None:
    """The first moment after `until` at which a fact may come to something else for a figure of the group."""
    begun = fact.begins is None or fact.begins + group.bound_s <= until
    if fact.at + group.older_s <= until and begun and not (group.runs and fact.ends is not None):
        return None  # most of the past
    moments = (turns_at(kpi, fact, until) for kpi in group.kpis)
    return min((each for each in moments if each is not None), default=None)


Spans = dict[str, Sequence[Sequence[Period]]]  # figure -> periods, in sets of which none overlap
Place = tuple[str, str]  # figure, label of a span


def tallies_of(group: Group, facts: Sequence[Fact], spans: Spans, *, zone: tzinfo, until: float) -> dict[Place, Tally]:
    """What facts of some people come to for the figures of a group, in every span in which they count at all."""
    found: dict[Place, Tally] = {}
    kept: dict[tuple[str, str, float, float], list[Fact]] = {}
    for kpi in group.kpis:
        kind = kpi.kind if kpi.kind in ("duration", "within", "retention") else ""
        choice = (kind, kpi.only, kpi.older_s, kpi.bound_s)
        if choice not in kept:
            kept[choice] = chosen(kpi, facts, until=until)
        for periods in spans[kpi.name] if kept[choice] else ():
            for period, tally in tallies(kpi, kept[choice], periods, zone=zone, until=until):
                found[kpi.name, period.label] = tally
    return found


class Running:
    """Tallies that are added up one after the other, each forgotten at once."""

    __slots__ = ("_part", "_under", "_of", "_waits")

    def __init__(self) -> None:
        self._part, self._under, self._of, self._waits = Decimal(0), Decimal(0), 0, array("d")

    def add(self, tally: Tally) -> None:
        self._part += tally.part
        self._under += tally.under
        self._of += tally.of
        self._waits.extend(tally.waits)

    def whole(self) -> Tally:
        waits = array("d", sorted(self._waits))
        return Tally(part=self._part, under=self._under, of=self._of, waits=waits)
