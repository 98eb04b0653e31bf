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
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property

from hub.app.context import Hub
from hub.app.kpis import SHOWN, kpis_of
from hub.app.leases import LeaseLost, take
from hub.app.publishing import published, stem_of
from hub.app.sights import Look, looks_for, sights_of
from hub.app.transact import commit
from hub.core.facts import Group, Place, Running, Spans, facts_of, grouped, next_turn, tallies_of
from hub.core.kpis import (
    PERIODS,
    Fact,
    Figure,
    Kpi,
    Kpis,
    Period,
    Sight,
    Tally,
    figure_of,
    last_periods,
    periods_between,
    quotients,
)
from hub.model import EntityRow, Json
from hub.runtime.registry import CANONICAL_FILE, KPIS_FILE
from hub.store import Tx
from hub.store.figures import FactRow, SumRow

KEPT = "figures.kept"  # the setting that tells what the sums are of
LEASE = "figures"
LEASE_S = 600.0
PAGE, FACTS_PAGE = 1_000, 10_000
CHUNK = 100  # notes, or facts that turn, per transaction
EVERYTHING = 2**31 - 1
AHEAD = timedelta(days=31)  # spans are kept so far ahead; later all sums are made anew
FORM = 2  # of facts; whoever changes what is kept of them raises it

Sums = dict[Place, Tally]


@dataclass(kw_only=True)
class Book:
    """What is kept: which figures, over which days. One process keeps it at a time."""

    hub: Hub
    owner: str
    epoch: int
    kpis: Kpis
    over: Callable[[], bool]
    until: float = 0.0  # the moment that the sums are told as of
    spans: Spans = field(default_factory=dict)

    @cached_property
    def groups(self) -> list[Group]:
        """Figures that look at records themselves; facts name them by their group's place."""
        return grouped(kpi for kpi in self.kpis.kpis.values() if kpi.parts == (kpi,))

    @cached_property
    def kinds(self) -> Mapping[str, list[tuple[Look, list[int]]]]:
        """Entity type -> how its records are looked at, and the places of those groups that look so."""
        found: dict[str, list[tuple[Look, list[int]]]] = defaultdict(list)
        for look, places in looks_for(self.hub, self.groups):
            found[look.entity.name].append((look, places))
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
    book = Book(hub=hub, owner=owner, epoch=epoch, kpis=kpis, over=over)
    try:
        return book if _brought_up(book, now) else None
    finally:
        commit(hub, lambda tx: tx.release(LEASE, owner))


def told(book: Book) -> Callable[[Kpi, Sequence[Period]], list[Figure]]:
    """Tells a figure over kept spans, out of the sums."""
    labels = {period.label for sets in book.spans.values() for periods in sets for period in periods}
    with book.hub.store.reading() as tx:
        sums = {(row.kpi, row.span): _tally(row) for row in tx.sums(book.spans, labels)}

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
    today = datetime.fromtimestamp(now, book.kpis.zone).date()
    since = date.fromisoformat(known["since"]) if "since" in known else today
    stands = known.get("mark") == mark
    lasts = stands and since <= today <= since + AHEAD and known.get("goals") == _goals(book.hub)
    book.until, book.spans = known.get("until", now), _spans(book, since if lasts else today)

    def anew() -> bool:
        book.until, book.spans = now, _spans(book, today)
        return _tell_all(book, mark) and _add_all(book, today)

    if not stands:
        if not anew():
            return False
    elif not lasts and not _add_all(book, today):
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
    asked = [[str(group.question.per), [kpi.name for kpi in group.kpis]] for group in book.groups]
    return [FORM, *files, str(book.kpis.zone), book.kpis.currency, asked]


def _spans(book: Book, since: date) -> Spans:
    """The last periods of each length and those of the next days, and of figures with goals the days of each goal."""
    lengths = [periods_between(by, last_periods(by, since, SHOWN)[0].first, since + AHEAD) for by in PERIODS]
    found: dict[str, list[Sequence[Period]]] = {kpi.name: list(lengths) for group in book.groups for kpi in group.kpis}
    for name, spans in _goal_spans(book.hub).items():
        found[name] += [[span] for span in spans]
    return dict(found)


def _goal_spans(hub: Hub) -> dict[str, list[Period]]:
    goals = hub.projects.goals.values() if hub.projects is not None else ()
    found: dict[str, dict[str, Period]] = defaultdict(dict)
    for goal in goals:
        for part in goal.kpi.parts:
            found[part.name][goal.span.label] = goal.span
    return {name: list(own.values()) for name, own in found.items()}


def _goals(hub: Hub) -> Json:
    return {name: [span.label for span in spans] for name, spans in _goal_spans(hub).items()}


# Facts


def _facts(book: Book, tx: Tx, rows: Iterable[EntityRow]) -> list[FactRow]:
    """What these records say, to all figures."""
    by_kind: dict[str, list[EntityRow]] = defaultdict(list)
    for row in rows:
        if row.type in book.kinds:
            by_kind[row.type].append(row)
    return [
        fact
        for kind, own in by_kind.items()
        for look, places in book.kinds[kind]
        for fact in _facts_seen(book, places, sights_of(look, tx, own))
    ]


def _facts_seen(book: Book, places: Sequence[int], sights: Sequence[Sight]) -> list[FactRow]:
    told = facts_of([book.groups[place] for place in places], sights, book.kpis.zone)
    by_reference: dict[str, list[tuple[int, Group, list[Fact | None]]]] = defaultdict(list)
    for place, facts in zip(places, told, strict=True):
        group = book.groups[place]
        by_reference[group.question.per].append((place, group, facts))
    rows = (
        _fact_row(
            via, sight, [(place, group, fact) for place, group, facts in own if (fact := facts[number])], book.until
        )
        for via, own in by_reference.items()
        for number, sight in enumerate(sights)
        if not via or sight.person is not None
    )
    return [row for row in rows if row is not None]


def _fact_row(via: str, sight: Sight, said: Iterable[tuple[int, Group, Fact]], until: float) -> FactRow | None:
    """What a record says to those who count it by one reference; None: nothing that can be counted."""
    facts, turns = [], []
    for place, group, fact in said:
        _, at, day, _, value, part, _, begins, ends = fact
        if value is not None:
            facts.append([place, at, day.toordinal(), str(value), part, begins, ends])
            turn = next_turn(group, fact, until)
            if turn is not None:
                turns.append(turn)
    person = sight.person if via and sight.person is not None else sight.id
    return FactRow(sight.id, via, person, min(turns, default=None), facts) if facts else None


def _read(rows: Iterable[FactRow]) -> dict[int, list[Fact]]:
    """Place of a group -> its facts."""
    found: dict[int, list[Fact]] = defaultdict(list)
    for row in rows:
        person = row.person if row.via else None
        for place, at, day, value, part, begins, ends in row.facts:
            day_of = date.fromordinal(day)
            found[place].append(Fact(row.entity_id, at, day_of, "", Decimal(value), part, person, begins, ends))
    return found


def _tallies(book: Book, rows: Iterable[FactRow], until: float) -> Sums:
    """What facts come to; all facts of whomever they are of."""
    found: Sums = {}
    for place, facts in _read(rows).items():
        found |= tallies_of(book.groups[place], facts, book.spans, zone=book.kpis.zone, until=until)
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
    now = book.hub.clock.now()
    book.commit(lambda tx: tx.set_setting(KEPT, {"mark": mark, "until": book.until, "changed": now}))
    return True


def _forget(tx: Tx) -> None:
    tx.forget_figures()
    tx.set_setting(KEPT, None)


def _add_all(book: Book, since: date) -> bool:
    """The sums of all facts, in the spans of that day. False: stopped, the sums are what they were."""
    found: dict[Place, Running] = defaultdict(Running)
    book.spans = _spans(book, since)
    after = 0
    while True:
        if book.over():
            return False
        with book.hub.store.reading() as tx:
            rows, last = _whole_people(tx, after)
        for place, tally in _tallies(book, rows, book.until).items():
            found[place].add(tally)
        book.commit(lambda _: None)
        if last is None:
            break
        after = last
    sums = [_row(place, each.whole()) for place, each in found.items()]

    def write(tx: Tx) -> None:
        tx.drop_sums()
        tx.set_sums(sums)
        _know(tx, until=book.until, since=since.isoformat(), goals=_goals(book.hub))

    book.commit(write)
    return True


def _know(tx: Tx, **more: Json) -> None:
    """What else is to be known of what is kept."""
    tx.set_setting(KEPT, {**(tx.setting(KEPT) or {}), **more})


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
        _know(tx, changed=book.hub.clock.now())

    book.commit(write)


def _differing(own: Iterable[FactRow], fresh: Iterable[FactRow]) -> set[int]:
    """Records that say something else now."""
    before, after = ({(row.entity_id, row.via): row for row in rows} for rows in (own, fresh))
    return {key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _moved(book: Book, before: Sums, after: Sums) -> list[SumRow]:
    """The sums that these tallies move."""
    places = {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}
    names, labels = {name for name, _ in places}, {label for _, label in places}
    with book.hub.store.reading() as tx:
        known = {(row.kpi, row.span): _tally(row) for row in tx.sums(names, labels)}
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
        more = {"until": moment} | ({"changed": book.hub.clock.now()} if sums else {})
        book.commit(lambda tx, sums=sums, turned=turned, more=more: _passed(tx, sums, turned, more))  # type: ignore[misc]
        book.until = moment
        if moment >= now:
            return True
    return False


def _passed(tx: Tx, sums: Sequence[SumRow], turned: Sequence[FactRow], more: Mapping[str, Json]) -> None:
    tx.set_sums(sums)
    tx.turn_facts(turned)
    _know(tx, **more)


def _next_turn(book: Book, row: FactRow, until: float) -> float | None:
    turns = (next_turn(book.groups[place], fact, until) for place, facts in _read([row]).items() for fact in facts)
    return min((each for each in turns if each is not None), default=None)


def _tally(row: SumRow) -> Tally:
    return Tally(part=row.part, under=row.under, of=row.of, waits=row.waits)


def _row(place: Place, tally: Tally) -> SumRow:
    return SumRow(*place, tally.part, tally.under, tally.of, tally.waits)
