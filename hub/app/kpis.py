"""Key figures and goals: listed, computed for now or for an earlier moment, and taken apart into their records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.past import parse_moment
from hub.app.sights import Segment, look_for, looks_for, pages_of, segment_of
from hub.app.titles import cards
from hub.core.facts import Running, facts_of, grouped
from hub.core.goals import Goal, standing_of
from hub.core.kpis import (
    PERIODS,
    Difference,
    Fact,
    Figure,
    Kpi,
    Kpis,
    Period,
    can_count,
    chosen,
    differences,
    figure_of,
    figures,
    last_periods,
    periods_between,
    quotients,
    tallies,
)
from hub.core.values import plain_decimal
from hub.errors import NeedsReview, NotFound
from hub.runtime.registry import KPIS_FILE

Watch = Callable[[int], None]


def nobody(records: int) -> None:
    """Nobody watches."""


SHOWN = 12  # periods, if nobody says since when
PERIODS_MOST = 4000
CHUNK = 500
NAMELESS: Mapping[str, str] = MappingProxyType({})  # segments that are told as they are
COLUMNS = ["period", "segment", "value", "unit", "of", "open"]
THEN_COLUMNS = ["period", "segment", "value", "value_now", "unit", "of", "open"]
RECORD_COLUMNS = ["period", "segment", "entity", "title", "at", "value", "part", "ends"]
GOAL_COLUMNS = [
    "goal",
    "state",
    "kpi",
    "baseline",
    "value",
    "expected",
    "forecast",
    "target",
    "unit",
    "deadline",
    "owner",
]
DIFFERENCE_COLUMNS = ["difference", "entity", "title", "period_then", "period_now", "value_then", "value_now"]


def kpis_of(hub: Hub) -> Kpis:
    """What kpis.yaml declares. Raises NotFound if the project has none that can be read."""
    found: Kpis | None = hub.projects.kpis if hub.projects is not None else None
    if found is None:
        raise NotFound("there are no key figures", where=KPIS_FILE, fix="hub mapping check tells why")
    return found


def kpi_of(kpis: Kpis, name: str) -> Kpi:
    """Raises NotFound."""
    if name not in kpis.kpis:
        raise NotFound(f"there is no figure {name[:80]}", where=KPIS_FILE, fix="hub kpis list shows them all")
    return kpis.kpis[name]


def list_kpis(hub: Hub) -> list[Dict]:
    """Every figure with what it means."""
    return [
        {
            "kpi": kpi.name, "unit": unit_of(kpis_of(hub), kpi), "direction": kpi.direction, "of": kpi.entity.name,
            "formula": kpi.kind, "text": kpi.text,
        }
        for kpi in kpis_of(hub).kpis.values()
    ]  # fmt: skip


class KpiQuestion(NamedTuple):
    """What `show_kpi` is asked."""

    name: str
    by: str
    since: str
    segment: str
    as_of: float | None
    records: bool


def checked_question(hub: Hub, name: str, asked: Mapping[str, str]) -> KpiQuestion:
    """A question out of texts. Raises what `show_kpi` and `parse_moment` raise."""
    as_of = parse_moment(asked["as_of"]) if asked.get("as_of") else None
    found = KpiQuestion(
        name, asked.get("by") or "month", asked.get("since", ""), asked.get("segment", ""), as_of,
        asked.get("records") == "yes",
    )  # fmt: skip
    kpis, now = kpis_of(hub), hub.clock.now()
    for part in kpi_of(kpis, name).parts:
        segment_of(hub.canonical, part, found.segment)
    _periods(kpis, found.by, found.since, now if as_of is None else min(as_of, now))
    return found


def count_records(hub: Hub, question: KpiQuestion) -> int:
    """How many records are looked at for an answer."""
    with hub.store.reading() as tx:
        counted = tx.count_entities()
    parts = kpi_of(kpis_of(hub), question.name).parts
    return sum(counted.get(part.entity.name, 0) for part in parts) * (1 if question.as_of is None else 2)


def show_kpi(
    hub: Hub, name: str, *, by: str = "month", since: str = "", segment: str = "", as_of: float | None = None,
    records: bool = False, most: int | None = None, watch: Watch = nobody,
) -> Dict:  # fmt: skip
    """A figure by period.

    Args:
        by: of PERIODS.
        since: a day in the first period that is shown; "": the last 12.
        segment: a field, REFERENCE.FIELD or `source`.
        as_of: epoch seconds: as it would have been shown then, beside what is known of the same periods now.
        records: with the records behind each figure.
        most: no more than so many records and differences are told; None: all.
        watch: told how many records were looked at, page by page.

    Returns:
        {"kpi", "text", "unit", "direction", "by", "as_of", "left_out": records that no figure can count,
         "figures": [{period, segment, value, unit, of, open}], "records": …, and for an earlier moment
         "differences": the records that make the difference to now; how many there are of both: "record_count",
         "difference_count"}

    Raises:
        NotFound: no such figure. NeedsReview: KPI-PERIOD, KPI-SEGMENT.
    """
    kpis = kpis_of(hub)
    kpi = kpi_of(kpis, name)
    now = hub.clock.now()
    until = now if as_of is None else min(as_of, now)
    periods = _periods(kpis, by, since, until)
    whole = records or as_of is not None
    seen = look_at(hub, kpi, periods, segment=segment, as_of=as_of, until=until, records=whole, watch=watch)
    names = _segment_names(hub, seen)
    rows = [figure_row(kpis, kpi, each, until, names) for each in seen.figures]
    answer: Dict = {
        "kpi": kpi.name, "text": kpi.text, "unit": unit_of(kpis, kpi), "direction": kpi.direction, "by": by,
        "as_of": iso(as_of), "left_out": seen.left_out, "figures": rows,
    }  # fmt: skip
    if records:
        answer["records"] = _records(hub, seen, names, most)
        answer["record_count"] = sum(len(figure.ids) for figure in seen.figures)
    if as_of is not None:
        later = look_at(hub, kpi, periods, segment=segment, until=now, watch=watch)
        names |= _segment_names(hub, later)
        answer["figures"] = _beside(kpis, kpi, rows, later.figures, until, names)
        changed = _changed(seen, later)
        answer["differences"] = _differences(hub, changed[:most], seen.figures, later.figures)
        answer["difference_count"] = len(changed)
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A figure at a moment."""

    figures: Sequence[Figure]
    facts: tuple[Sequence[Fact], ...]  # that count, of each part of a quotient, where records were asked for
    left_out: int  # records that no figure can count
    named: bool  # whether segments are named after entities


def look_at(
    hub: Hub, kpi: Kpi, periods: Sequence[Period], *, until: float, segment: str = "", as_of: float | None = None,
    records: bool = True, watch: Watch = nobody,
) -> Seen:  # fmt: skip
    """A figure of some periods, now or then. Raises NeedsReview KPI-SEGMENT.

    Args:
        records: with the records that it is made of; without them a figure of which nobody is counted by person is told
            page by page, and takes no more memory however many records there are.
    """
    zone = kpis_of(hub).zone
    facts, told, left_out, named = [], [], 0, False
    for part in kpi.parts:
        wanted = segment_of(hub.canonical, part, segment)
        pages = _pages(hub, part, zone, wanted, as_of, watch)
        if not records and not part.per:
            figures_, missed = _added_up(part, pages, periods, zone=zone, until=until)
            told.append(figures_)
        else:
            found = [fact for page in pages for fact in page]
            missed = sum(not can_count(part, fact) for fact in found)
            facts.append(chosen(part, found, until=until))
            told.append(figures(part, facts[-1], periods, zone=zone, until=until))
        left_out += missed
        named = named or bool(wanted.to)
    whole = told[0] if len(told) == 1 else quotients(kpi, *told)
    return Seen(figures=whole, facts=tuple(facts), left_out=left_out, named=named)


def _added_up(
    kpi: Kpi, pages: Iterable[Sequence[Fact]], periods: Sequence[Period], *, zone: tzinfo, until: float
) -> tuple[list[Figure], int]:  # fmt: skip
    """A figure whose tallies add up record by record, each page forgotten at once; and how many cannot be counted."""
    sums: dict[str, dict[str, Running]] = {period.label: defaultdict(Running) for period in periods}
    left_out = 0
    for page in pages:
        left_out += sum(not can_count(kpi, fact) for fact in page)
        groups: dict[str, list[Fact]] = defaultdict(list)
        for fact in chosen(kpi, page, until=until):
            groups[fact.segment].append(fact)
        for segment, own in groups.items():
            for period, tally in tallies(kpi, own, periods, zone=zone, until=until):
                sums[period.label][segment].add(tally)
    found = [
        figure_of(kpi, period, tally.whole(), segment=segment)
        for period in periods
        for segment, tally in sorted(sums[period.label].items()) or [("", Running())]
    ]
    return found, left_out


def look_at_all(
    hub: Hub, asked: Sequence[tuple[Kpi, Sequence[Period]]], *, until: float, as_of: float | None = None
) -> list[list[Figure]]:  # fmt: skip
    """Many figures, each of its periods, now or then: every record is looked at once for all of them."""
    zone = kpis_of(hub).zone
    parts = {part.name: part for kpi, _ in asked for part in kpi.parts}
    facts = {name: chosen(parts[name], own, until=until) for name, own in _facts_of_all(hub, parts.values(), as_of)}
    found = []
    for kpi, periods in asked:
        told = [figures(part, facts[part.name], periods, zone=zone, until=until) for part in kpi.parts]
        found.append(told[0] if len(told) == 1 else quotients(kpi, *told))
    return found


def _facts_of_all(hub: Hub, kpis: Iterable[Kpi], as_of: float | None) -> Iterator[tuple[str, list[Fact]]]:
    """Figure -> what every record says to it."""
    groups, zone = grouped(kpis), kpis_of(hub).zone
    for look, places in looks_for(hub, groups, as_of=as_of):
        own = [groups[place] for place in places]
        found: list[list[Fact]] = [[] for _ in own]
        for page in pages_of(look):
            for facts, told in zip(found, facts_of(own, page, zone), strict=True):
                facts += [fact for fact in told if fact is not None]
        for group, facts in zip(own, found, strict=True):
            yield from ((kpi.name, facts) for kpi in group.kpis)


def goals_of(hub: Hub) -> list[Goal]:
    """The nearest deadline first."""
    goals: Mapping[str, Goal] = hub.projects.goals if hub.projects is not None else {}
    return sorted(goals.values(), key=lambda each: (each.deadline, each.name))


def list_goals(hub: Hub) -> list[Dict]:
    """Every goal and how it stands, the nearest deadline first."""
    now, goals = hub.clock.now(), goals_of(hub)
    told = look_at_all(hub, [(goal.kpi, [goal.span]) for goal in goals], until=now) if goals else ()
    return [goal_row(hub, goal, figures[0], now) for goal, figures in zip(goals, told, strict=True)]


def goal_row(hub: Hub, goal: Goal, figure: Figure, now: float) -> Dict:
    """A goal and how it stands with that figure of its days."""
    kpis = kpis_of(hub)
    standing = standing_of(goal, figure.value, elapsed=goal.elapsed(now, kpis.zone))
    return {
        "goal": goal.name, "text": goal.text, "state": standing.state, "kpi": goal.kpi.name,
        "direction": goal.kpi.direction, "unit": unit_of(kpis, goal.kpi), "baseline": told(goal.baseline),
        "value": told(figure.value), "of": figure.of, "expected": told(standing.expected),
        "forecast": told(standing.forecast), "target": told(goal.target), "elapsed": told(standing.elapsed),
        "since": goal.since.isoformat(), "deadline": goal.deadline.isoformat(), "owner": goal.owner, "team": goal.team,
    }  # fmt: skip


def read_facts(
    hub: Hub, kpi: Kpi, zone: tzinfo, *, segment: Segment | None = None, as_of: float | None = None,
    watch: Watch = nobody,
) -> list[Fact]:  # fmt: skip
    """What every record says to a figure, now or then."""
    return [fact for page in _pages(hub, kpi, zone, segment, as_of, watch) for fact in page]


def _pages(
    hub: Hub, kpi: Kpi, zone: tzinfo, segment: Segment | None, as_of: float | None, watch: Watch
) -> Iterator[list[Fact]]:  # fmt: skip
    """The same page by page."""
    groups = grouped([kpi])
    for page in pages_of(look_for(hub, [kpi], segment=segment, as_of=as_of)):
        yield [fact for fact in facts_of(groups, page, zone)[0] if fact is not None]
        watch(len(page))


def unit_of(kpis: Kpis, kpi: Kpi) -> str:
    """As people read it: money has a currency."""
    return kpis.currency if kpi.unit == "money" else kpi.unit


def told(value: Decimal | None) -> str | None:
    """A figure as text, exact to six places."""
    return None if value is None else plain_decimal(value)


def parse_day(text: str, option: str) -> date:
    """Raises NeedsReview KPI-PERIOD."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NeedsReview(
            f"{text[:40]} is no day", code="KPI-PERIOD", where=option, fix="such as 2026-01-01"
        ) from None  # fmt: skip


def _periods(kpis: Kpis, by: str, since: str, until: float) -> list[Period]:
    if by not in PERIODS:
        raise NeedsReview(f"{by[:40]} is no period", code="KPI-PERIOD", where="--by", fix=", ".join(PERIODS))
    today = datetime.fromtimestamp(until, kpis.zone).date()
    if not since:
        return last_periods(by, today, SHOWN)
    first = parse_day(since, "--since")
    if first > today or (today - first).days > PERIODS_MOST * (1 if by == "day" else 7):
        raise NeedsReview(f"since {since} are no periods", code="KPI-PERIOD", where="--since", fix="a day of the past")
    return periods_between(by, first, today)


# As people read them


def figure_row(kpis: Kpis, kpi: Kpi, figure: Figure, until: float, names: Mapping[str, str] = NAMELESS) -> Dict:
    over = datetime.fromtimestamp(until, kpis.zone).date() >= figure.period.after
    return {
        "period": figure.period.label, "segment": names.get(figure.segment, figure.segment),
        "value": told(figure.value), "unit": unit_of(kpis, kpi), "of": figure.of, "open": not over,
    }  # fmt: skip


def _beside(
    kpis: Kpis, kpi: Kpi, rows: Sequence[Dict], now: Sequence[Figure], until: float, names: Mapping[str, str]
) -> list[Dict]:
    """Each figure of then with what is known of the same period and segment now."""
    known = {(row["period"], row["segment"]): row for row in rows}
    later = {
        (row["period"], row["segment"]): row for row in (figure_row(kpis, kpi, each, until, names) for each in now)
    }
    nothing = told(Decimal(0)) if kpi.adds_up else None
    return [
        {**(known.get(key) or {**later[key], "value": nothing, "of": 0}),
         "value_now": later[key]["value"] if key in later else nothing}
        for key in sorted(known.keys() | later.keys())
    ]  # fmt: skip


def _segment_names(hub: Hub, seen: Seen) -> dict[str, str]:
    """Segment that names an entity -> what people call it, with its number."""
    if not seen.named:
        return {}
    facts = (fact.segment for facts in seen.facts for fact in facts)
    every = {*facts, *(figure.segment for figure in seen.figures)}
    asked = {int(text.partition(":")[2]): text for text in every if text}
    named = _cards(hub, asked)
    return {text: f"{named[id_]['title']} ({text})" for id_, text in asked.items() if id_ in named}


def _cards(hub: Hub, ids: Iterable[int]) -> dict[int, Dict]:
    wanted = sorted(set(ids))
    found: dict[int, Dict] = {}
    for start in range(0, len(wanted), CHUNK):
        with hub.store.reading() as tx:
            found |= cards(tx, wanted[start : start + CHUNK])
    return found


def _changed(seen: Seen, later: Seen) -> list[Difference]:
    """What makes the difference in the periods that are shown."""
    touched = {id_ for each in (*seen.figures, *later.figures) for id_ in each.ids}
    return [
        each
        for old, new in zip(seen.facts, later.facts, strict=True)
        for each in differences(old, new)
        if each.id in touched
    ]


def _records(hub: Hub, seen: Seen, names: Mapping[str, str], most: int | None) -> list[Dict]:
    by_id = {fact.id: fact for facts in seen.facts for fact in facts}
    told_of = [(figure, id_) for figure in seen.figures for id_ in figure.ids][:most]
    named = _cards(hub, {id_ for _, id_ in told_of})
    return [
        {
            "period": figure.period.label, "segment": names.get(figure.segment, figure.segment),
            **_who(named, id_), "at": iso(by_id[id_].at), "value": told(by_id[id_].value), "part": by_id[id_].part,
            "ends": iso(by_id[id_].ends),
        }
        for figure, id_ in told_of
    ]  # fmt: skip


def _who(named: Mapping[int, Dict], id_: int) -> Dict:
    """A record by its own number, and the name of who speaks for it now."""
    one = named.get(id_)
    return {"entity": f"{one['type']}:{id_}" if one else str(id_), "title": one["title"] if one else ""}


def _differences(hub: Hub, changed: Sequence[Difference], then: Sequence[Figure], now: Sequence[Figure]) -> list[Dict]:
    named = _cards(hub, (each.id for each in changed))
    places = [{id_: figure.period.label for figure in each for id_ in figure.ids} for each in (then, now)]
    return [
        {
            "difference": each.kind, **_who(named, each.id), "period_then": places[0].get(each.id),
            "period_now": places[1].get(each.id), "value_then": _said(each.then), "value_now": _said(each.now),
        }
        for each in changed
    ]  # fmt: skip


def _said(fact: Fact | None) -> Dict | None:
    """What a record says to its figure, whole: any of it can make the difference."""
    if fact is None:
        return None
    return {
        "at": iso(fact.at), "value": told(fact.value), "part": fact.part, "segment": fact.segment,
        "person": fact.person, "begins": iso(fact.begins), "ends": iso(fact.ends),
    }  # fmt: skip
