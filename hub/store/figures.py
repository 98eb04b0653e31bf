"""Figures that are kept: what each record says to them, and what it comes to. Nothing here knows what a figure is."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import BigInteger, Float, Integer, bindparam, delete, func, or_, select, update
from sqlalchemy.sql import Executable

from hub.model import Json
from hub.store.codec import decode, encode
from hub.store.databases import Row
from hub.store.notes import Notes
from hub.store.session import ids_of, texts_of
from hub.store.statements import Dialect, Insert, Statement, given, table

FACT, SUM, SHOWN = table("figure_fact"), table("figure_sum"), table("figure_shown")

NEW_FACTS = Insert("figure_fact")
FACTS = Statement(
    lambda d: select(FACT).where(or_(d.one_of(FACT.c.entity_id, "ids"), d.one_of(FACT.c.person, "people")))
)
FACTS_OF = Statement(lambda d: select(FACT).where(d.one_of(FACT.c.person, "people")))
FACTS_PAGE = Statement(
    lambda d: (
        select(FACT)
        .where(FACT.c.person > bindparam("after", type_=BigInteger()))
        .order_by(FACT.c.person)
        .limit(bindparam("limit", type_=Integer()))
    )
)
TURNED = Statement(
    lambda d: (
        select(FACT)
        .where(FACT.c.turns_at.is_not(None), FACT.c.turns_at <= bindparam("now", type_=Float(53)))
        .order_by(FACT.c.turns_at)
        .limit(bindparam("limit", type_=Integer()))
    )
)
TURN = Statement(
    lambda d: (
        update(FACT)
        .where(FACT.c.entity_id == bindparam("the_id"), FACT.c.via == bindparam("the_via"))
        .values(turns_at=bindparam("new_turns_at", type_=Float(53)))
    )
)
DROP_FACTS = Statement(lambda d: delete(FACT).where(d.one_of(FACT.c.entity_id, "ids")))
NO_FACTS = Statement(lambda d: delete(FACT).where(FACT.c.entity_id <= bindparam("until", type_=BigInteger())))

SUMS = Statement(lambda d: select(SUM).where(d.one_of(SUM.c.kpi, "names"), d.one_of(SUM.c.span, "spans")))
NO_SUMS = Statement(lambda d: delete(SUM).where(SUM.c.kpi >= bindparam("from")))


def _set_sum(d: Dialect) -> Executable:
    new = d.upsert(SUM).values(given("figure_sum"))
    fresh = {name: new.excluded[name] for name in ("part", "under", "of", "waits")}
    return new.on_conflict_do_update(index_elements=["kpi", "span"], set_=fresh)


SET_SUM = Statement(_set_sum)


def _shown(d: Dialect) -> Executable:
    """The newest of every span until a moment."""
    other = SHOWN.alias("other")
    newest = select(func.max(other.c.at)).where(
        other.c.kpi == SHOWN.c.kpi, other.c.span == SHOWN.c.span, other.c.at <= bindparam("until", type_=Float(53))
    )
    return select(SHOWN).where(
        SHOWN.c.kpi == bindparam("name"), d.one_of(SHOWN.c.span, "spans"), SHOWN.c.at == newest.scalar_subquery()
    )


SHOWN_UNTIL = Statement(_shown)
NEW_SHOWN = Insert("figure_shown")
DROP_SHOWN = Statement(
    lambda d: delete(SHOWN).where(
        SHOWN.c.kpi == bindparam("the_kpi"),
        SHOWN.c.span == bindparam("the_span"),
        SHOWN.c.at >= bindparam("since", type_=Float(53)),
    )
)
FIRST_SHOWN = Statement(lambda d: select(func.min(SHOWN.c.at)).where(SHOWN.c.at >= bindparam("since", type_=Float(53))))
SHOWN_WITHIN = Statement(
    lambda d: (
        select(SHOWN.c.kpi, SHOWN.c.span, func.max(SHOWN.c.at))
        .where(SHOWN.c.at >= bindparam("since", type_=Float(53)), SHOWN.c.at < bindparam("until", type_=Float(53)))
        .group_by(SHOWN.c.kpi, SHOWN.c.span)
        .having(func.count() > 1)
    )
)
DROP_WITHIN = Statement(
    lambda d: delete(SHOWN).where(
        SHOWN.c.kpi == bindparam("the_kpi"),
        SHOWN.c.span == bindparam("the_span"),
        SHOWN.c.at >= bindparam("since", type_=Float(53)),
        SHOWN.c.at < bindparam("until", type_=Float(53)),
    )
)
FAR = 2**62


class FactRow(NamedTuple):
    """What one record says to the figures that count it by `via`."""

    entity_id: int
    via: str  # "" for the record itself
    person: int
    turns_at: float | None
    facts: Json


class SumRow(NamedTuple):
    """What a figure comes to in a span."""

    kpi: str
    span: str
    part: Decimal
    under: Decimal
    of: int
    waits: Sequence[float]


class ShownRow(NamedTuple):
    """What was shown of a figure in a span, from a moment on."""

    kpi: str
    span: str
    at: float
    value: str | None
    of: int


class Figures(Notes):
    """Facts, sums, and what was shown of them."""

    # Facts

    def facts_touched(self, entity_ids: Iterable[int]) -> list[FactRow]:
        """What these say, and what is said of them by others."""
        wanted = ids_of(entity_ids)
        return [_fact(row) for row in self._rows(FACTS, ids=wanted, people=wanted)]

    def facts_of(self, people: Iterable[int]) -> list[FactRow]:
        """Everything that is counted by these."""
        return [_fact(row) for row in self._rows(FACTS_OF, people=ids_of(people))]

    def facts_page(self, after: int, limit: int) -> list[FactRow]:
        """Facts in the order of whom they are counted by."""
        return [_fact(row) for row in self._rows(FACTS_PAGE, after=after, limit=limit)]

    def facts_turned(self, now: float, limit: int) -> list[FactRow]:
        """Those whose moment has come, the earliest first."""
        return [_fact(row) for row in self._rows(TURNED, now=now, limit=limit)]

    def add_facts(self, rows: Iterable[FactRow]) -> None:
        self._insert(
            NEW_FACTS, [(row.entity_id, row.via, row.person, row.turns_at, encode(row.facts)) for row in rows]
        )  # fmt: skip

    def turn_facts(self, rows: Iterable[FactRow]) -> None:
        """Their next moment is this now."""
        self._many(TURN, [{"the_id": row[0], "the_via": row[1], "new_turns_at": row[3]} for row in rows])

    def drop_facts(self, entity_ids: Iterable[int]) -> None:
        self._run(DROP_FACTS, ids=ids_of(entity_ids))

    # Sums

    def sums(self, kpis: Iterable[str], spans: Iterable[str]) -> list[SumRow]:
        """These spans of these figures, as far as anything counts in them."""
        return [
            SumRow(row[0], row[1], Decimal(row[2]), Decimal(row[3]), row[4], array("d", bytes(row[5])))
            for row in self._rows(SUMS, names=texts_of(kpis), spans=texts_of(spans))
        ]

    def set_sums(self, rows: Iterable[SumRow]) -> None:
        self._many(
            SET_SUM,
            [
                {
                    "new_kpi": row.kpi, "new_span": row.span, "new_part": str(row.part), "new_under": str(row.under),
                    "new_of": row.of, "new_waits": array("d", row.waits).tobytes(),
                }
                for row in rows
            ],
        )  # fmt: skip

    def drop_sums(self) -> None:
        self._run(NO_SUMS, **{"from": ""})

    # What was shown

    def shown(self, kpi: str, spans: Iterable[str], until: float) -> list[ShownRow]:
        """What was shown at a moment; spans that were not shown by then are left out."""
        return [ShownRow(*row) for row in self._rows(SHOWN_UNTIL, name=kpi, spans=texts_of(spans), until=until)]

    def add_shown(self, rows: Sequence[ShownRow], *, since: float) -> None:
        """From now on this is shown; what was shown for a while since that moment makes room for it."""
        self._many(DROP_SHOWN, [{"the_kpi": row.kpi, "the_span": row.span, "since": since} for row in rows])
        self._insert(NEW_SHOWN, rows)

    def first_shown(self, since: float) -> float | None:
        """When anything was shown for the first time, from a moment on."""
        found: float | None = self._rows(FIRST_SHOWN, since=since)[0][0]
        return found

    def thin_shown(self, since: float, until: float) -> None:
        """Of what was shown of a figure and span in that time only the last stays."""
        last = [tuple(row) for row in self._rows(SHOWN_WITHIN, since=since, until=until)]
        self._many(
            DROP_WITHIN, [{"the_kpi": kpi, "the_span": span, "since": since, "until": at} for kpi, span, at in last]
        )

    def forget_figures(self) -> None:
        """Nothing is kept any more, and changes leave notes from now on; those until now are for counting anew."""
        self.begin_notes()
        self._run(NO_FACTS, until=FAR)
        self.drop_sums()


def _fact(row: Row) -> FactRow:
    return FactRow(row[0], row[1], row[2], row[3], decode(row[4]))
