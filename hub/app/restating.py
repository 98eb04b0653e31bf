"""Figures that are kept: whatever changes, only what it touches is counted again.

Of every record the store keeps what it says to each figure (its facts), and of every figure what all facts come to in
each span of days (a tally). Tallies of people, or of records where nobody is counted by person, add up. So a change
costs this much: the tallies of whom it touches, as they were, are taken off; their facts are told anew; their tallies,
as they are, are put in. Late data, refunds, merges and unmerges are changes like any other, and a fact falls into the
span of its own day, however old that is. A fact that comes to something else because time passes (a bound runs out, a
date is reached) carries that moment, and is turned then.

The story of a change: its transaction leaves a note of each entity it wrote (hub.store.notes). A note that was read is
dropped in the transaction that writes the new facts and sums. What commits after the reading has a note that is still
there. Where notes do not tell everything (none were taken yet, too many, somebody was erased), all is counted anew.

Invariant: the sums are the tallies of all facts, as of the moment `until`; once no note is left, the facts are what the
records say. Then a figure out of the sums is the one that `show_kpi` computes from all records.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property

from hub.app.context import Hub
from hub.app.kpis import SHOWN, kpis_of
from hub.app.leases import LeaseLost, take
from hub.app.publishing import published, stem_of
from hub.app.sights import sights_of
from hub.app.transact import commit
from hub.core.kpis import (
    Fact,
    Figure,
    Kpi,
    Kpis,
    Period,
    Sight,
    Tally,
    all_together,
    can_count,
    fact_of,
    figure_of,
    last_periods,
    quotients,
    tallies,
    turns_at,
)
from hub.model import EntityRow, Json
from hub.runtime.registry import CANONICAL_FILE, KPIS_FILE
from hub.store import Tx
from hub.store.figures import FactRow, SumRow

KEPT = "figures.kept"  # the setting that tells what the sums are of
LEASE = "figures"
LEASE_S = 600.0
PAGE, FACTS_PAGE = 500, 5_000
CHUNK = 100  # notes, or facts that turn, per transaction
EVERYTHING = 2**31 - 1

Place = tuple[str, str]  # figure, label of a span
Sums = dict[Place, Tally]


@dataclass(kw_only=True)
class Book:
    """What is kept: which figures, over which days. One process keeps it at a time."""

    hub: Hub
    owner: str
    epoch: int
    kpis: Kpis
    months: Sequence[Period]
    over: Callable[[], bool]
    until: float = 0.0  # the moment that the sums are told as of
    spans: Mapping[str, Sequence[Sequence[Period]]] = field(default_factory=dict)  # figure -> spans, in sets apart

    @cached_property
    def counted(self) -> list[Kpi]:
        """Figures that look at records themselves; facts name them by their place."""
        return [kpi for kpi in self.kpis.kpis.values() if kpi.parts == (kpi,)]

    @cached_property
    def kinds(self) -> Mapping[str, list[tuple[int, Kpi]]]:
        """Entity type -> its figures, with their places."""
        found: dict[str, list[tuple[int, Kpi]]] = defaultdict(list)
        for place, kpi in enumerate(self.counted):
            found[kpi.entity.name].append((place, kpi))
        return found

    def commit(self, work: Callable[[Tx], None]) -> None:
        """Carry it out as whoever keeps the book. Raises LeaseLost."""

        def alone(tx: Tx) -> None:
            if not tx.renew(LEASE, self.owner, self.epoch, self.hub.clock.now(), LEASE_S):
                raise LeaseLost("another process keeps the figures now", where=LEASE, fix="nothing: it does the rest")
            work(tx)

        commit(self.hub, alone)


def keep(hub: Hub, *, owner: str, over: Callable[[], bool] = lambda: False) -> Book | None:
    """Bring what is kept up to date. None: another process is at it, or `over` said to stop.

    Raises:
        NotFound: there are no figures.
    """
    kpis, now = kpis_of(hub), hub.clock.now()
    epoch = commit(hub, lambda tx: take(tx, LEASE, owner, now))
    if epoch is None:
        return None
    today = datetime.fromtimestamp(now, kpis.zone).date()
    months = last_periods("month", today, SHOWN)
    book = Book(
        hub=hub, owner=owner, epoch=epoch, kpis=kpis, months=months, over=over, spans=_spans(hub, kpis, months)
    )  # fmt: skip
    try:
        return book if _brought_up(book, now) else None
    finally:
        commit(hub, lambda tx: tx.release(LEASE, owner))


def told(book: Book) -> Callable[[Kpi, Sequence[Period]], list[Figure]]:
    """Tells a figure over kept spans, out of the sums."""
    with book.hub.store.reading() as tx:
        sums = {(row.kpi, row.span): _tally(row) for row in tx.sums(kpi.name for kpi in book.counted)}

    def figures(kpi: Kpi, periods: Sequence[Period]) -> list[Figure]:
        parts = [
            [figure_of(part, period, sums.get((part.name, period.label), Tally())) for period in periods]
            for part in kpi.parts
        ]
        return parts[0] if len(parts) == 1 else quotients(kpi, *parts)

    return figures


def _brought_up(book: Book, now: float) -> bool:
    """Count anew what must be, then restate what changed, then let the time pass."""
    with book.hub.store.reading() as tx:
        mark, known = _mark(book, tx), tx.setting(KEPT) or {}
    spans = {name: [period.label for group in groups for period in group] for name, groups in book.spans.items()}

    def anew() -> bool:
        book.until = now
        return _tell_all(book, mark) and _add_all(book, mark, spans)

    book.until = known.get("until", now)
    if known.get("mark") != mark:
        if not anew():
            return False
    elif known.get("spans") != spans and not _add_all(book, mark, spans):
        return False
    while not book.over():
        with book.hub.store.reading() as tx:
            stand, notes = tx.notes_stand(), tx.change_notes(CHUNK)
        if not stand:
            if not anew():
                return False
        elif notes:
            _restate(book, notes)
        else:
            return _let_pass(book, now)
    return False


def _mark(book: Book, tx: Tx) -> Json:
    """What facts depend on besides records."""
    versions = published(tx)
    files = [versions.get(stem_of(file), 0) for file in (KPIS_FILE, CANONICAL_FILE)]
    return [*files, str(book.kpis.zone), book.kpis.currency, [kpi.name for kpi in book.counted]]


def _spans(hub: Hub, kpis: Kpis, months: Sequence[Period]) -> dict[str, Sequence[Sequence[Period]]]:
    """Months for all, and of figures with goals the days of each goal."""
    goals = hub.projects.goals.values() if hub.projects is not None else ()
    found: dict[str, dict[str, Sequence[Period]]] = {
        part.name: {"": months} for kpi in kpis.kpis.values() for part in kpi.parts
    }
    for goal in goals:
        for part in goal.kpi.parts:
            found[part.name][goal.span.label] = [goal.span]
    return {name: list(groups.values()) for name, groups in found.items()}


# Facts


def _facts(book: Book, tx: Tx, rows: Iterable[EntityRow]) -> list[FactRow]:
    """What these records say, to all figures."""
    by_kind: dict[str, list[EntityRow]] = defaultdict(list)
    for row in rows:
        if row.type in book.kinds:
            by_kind[row.type].append(row)
    return [each for kind, own in by_kind.items() for each in _facts_of_kind(book, tx, kind, own)]


def _facts_of_kind(book: Book, tx: Tx, kind: str, rows: Sequence[EntityRow]) -> list[FactRow]:
    seen: dict[tuple[tuple[str, ...], str], list[Sight]] = {}  # figures that ask the same look once
    said: dict[tuple[int, str], dict[tuple[Json, ...], list[int]]] = defaultdict(lambda: defaultdict(list))
    person: dict[tuple[int, str], int] = {}
    turns: dict[tuple[int, str], float] = {}
    for place, kpi in book.kinds[kind]:
        asked = (kpi.moments, kpi.per)
        if asked not in seen:
            seen[asked] = sights_of(book.hub, kpi, tx, rows)
        for sight in seen[asked]:
            fact = fact_of(kpi, sight, book.kpis.zone)
            if fact is None or not can_count(kpi, fact):
                continue
            key = (fact.id, kpi.per)
            said[key][
                fact.at, fact.day.toordinal(), str(fact.value), fact.part, fact.begins, fact.ends
            ].append(place)  # fmt: skip
            person[key] = fact.person if kpi.per and fact.person is not None else fact.id
            turn = turns_at(kpi, fact, book.until)
            if turn is not None:
                turns[key] = min(turn, turns.get(key, turn))
    return [
        FactRow(*key, person[key], turns.get(key), [[list(fact), places] for fact, places in own.items()])
        for key, own in said.items()
    ]


def _read(book: Book, rows: Iterable[FactRow]) -> dict[str, list[Fact]]:
    """Figure -> facts."""
    found: dict[str, list[Fact]] = defaultdict(list)
    names = [kpi.name for kpi in book.counted]
    for row in rows:
        person = row.person if row.via else None
        for (at, day, value, part, begins, ends), places in row.facts:
            fact = Fact(row.entity_id, at, date.fromordinal(day), "", Decimal(value), part, person, begins, ends)
            for place in places:
                found[names[place]].append(fact)
    return found


def _tallies(book: Book, rows: Iterable[FactRow], until: float) -> Sums:
    """What facts come to; all facts of whomever they are of."""
    found: Sums = {}
    for name, facts in _read(book, rows).items():
        for periods in book.spans[name]:
            for period, tally in tallies(
                book.kpis.kpis[name], facts, periods, zone=book.kpis.zone, until=until
            ):  # fmt: skip
                found[name, period.label] = tally
    return found


# Counted anew


def _tell_all(book: Book, mark: Json) -> bool:
    """The facts of all records, page by page; changes meanwhile leave notes. False: stopped, nothing is kept."""
    book.commit(_forget)
    for kind in book.kinds:
        after_id = 0
        while True:
            if book.over():
                return False
            with book.hub.store.reading() as tx:
                rows = tx.entities_page(kind, after_id=after_id, limit=PAGE)
                facts = _facts(book, tx, rows)
            book.commit(lambda tx, facts=facts: tx.add_facts(facts))  # type: ignore[misc]
            if len(rows) < PAGE:
                break
            after_id = rows[-1].id
    book.commit(lambda tx: tx.set_setting(KEPT, {"mark": mark, "until": book.until}))
    return True


def _forget(tx: Tx) -> None:
    tx.forget_figures()
    tx.set_setting(KEPT, None)


def _add_all(book: Book, mark: Json, spans: Json) -> bool:
    """The sums of all facts. False: stopped, the sums are what they were."""
    found: dict[Place, list[Tally]] = defaultdict(list)
    after = 0
    while True:
        if book.over():
            return False
        with book.hub.store.reading() as tx:
            rows, last = _whole_people(tx, after)
        for place, tally in _tallies(book, rows, book.until).items():
            found[place].append(tally)
        book.commit(lambda _: None)
        if last is None:
            break
        after = last
    rows_of = [_row(place, all_together(each)) for place, each in found.items()]

    def write(tx: Tx) -> None:
        tx.drop_sums()
        tx.set_sums(rows_of)
        tx.set_setting(KEPT, {"mark": mark, "until": book.until, "spans": spans})

    book.commit(write)
    return True


def _whole_people(tx: Tx, after: int) -> tuple[list[FactRow], int | None]:
    """The next page of facts, nobody's cut off; and where it goes on."""
    limit = FACTS_PAGE
    while True:
        rows = tx.facts_page(after, limit)
        if len(rows) < limit:
            return rows, None
        whole = [row for row in rows if row.person != rows[-1].person]
        if whole:
            return whole, whole[-1].person
        limit *= 2  # one who has more than a page


# Restated


def _restate(book: Book, notes: Sequence[tuple[int, int]]) -> None:
    """See to these notes: what is touched is taken off and put in again."""
    touched = {entity for _, entity in notes}
    with book.hub.store.reading() as tx:
        records = touched | {row.entity_id for row in tx.facts_touched(touched)}
        own = [row for row in tx.facts_touched(records) if row.entity_id in records]
        fresh = _facts(book, tx, tx.entities(records).values())
        before = tx.facts_of({row.person for row in (*own, *fresh)})
    after = [*(row for row in before if row.entity_id not in records), *fresh]
    sums = _moved(book, _tallies(book, before, book.until), _tallies(book, after, book.until))
    changed = _differing(own, fresh)

    def write(tx: Tx) -> None:
        tx.drop_facts(changed)
        tx.add_facts(row for row in fresh if row.entity_id in changed)
        tx.set_sums(sums)
        tx.drop_change_notes(number for number, _ in notes)

    book.commit(write)


def _differing(own: Iterable[FactRow], fresh: Iterable[FactRow]) -> set[int]:
    """Records that say something else now."""
    before, after = ({(row.entity_id, row.via): row for row in rows} for rows in (own, fresh))
    return {key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _moved(book: Book, before: Sums, after: Sums) -> list[SumRow]:
    """The sums that these tallies move."""
    places = {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}
    with book.hub.store.reading() as tx:
        known = {(row.kpi, row.span): _tally(row) for row in tx.sums({name for name, _ in places})}
    return [
        _row(place, known.get(place, Tally()) - before.get(place, Tally()) + after.get(place, Tally()))
        for place in sorted(places)
    ]


def _let_pass(book: Book, now: float) -> bool:
    """Let time pass from `until` to now: whoever comes to something else on the way, the earliest first."""
    while not book.over():
        with book.hub.store.reading() as tx:
            rows = tx.facts_turned(now, CHUNK)
            moment = now
            if len(rows) == CHUNK:
                moment = min(now, rows[-1].turns_at or now)
                rows = tx.facts_turned(moment, EVERYTHING)
            theirs = tx.facts_of({row.person for row in rows})
        sums = _moved(book, _tallies(book, theirs, book.until), _tallies(book, theirs, moment))
        turned = [row._replace(turns_at=_next_turn(book, row, moment)) for row in theirs]
        book.commit(lambda tx, sums=sums, turned=turned, moment=moment: _passed(tx, sums, turned, moment))  # type: ignore[misc]
        book.until = moment
        if moment >= now:
            return True
    return False


def _passed(tx: Tx, sums: Sequence[SumRow], turned: Sequence[FactRow], moment: float) -> None:
    tx.set_sums(sums)
    tx.turn_facts(turned)
    tx.set_setting(KEPT, {**(tx.setting(KEPT) or {}), "until": moment})


def _next_turn(book: Book, row: FactRow, until: float) -> float | None:
    turns = [
        turns_at(book.kpis.kpis[name], fact, until) for name, facts in _read(book, [row]).items() for fact in facts
    ]
    return min((each for each in turns if each is not None), default=None)


def _tally(row: SumRow) -> Tally:
    return Tally(part=row.part, under=row.under, of=row.of, waits=tuple(row.waits))


def _row(place: Place, tally: Tally) -> SumRow:
    return SumRow(*place, tally.part, tally.under, tally.of, tally.waits)
