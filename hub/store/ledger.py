"""Events, grants and budgets: what customers did, what is owed for it, and what may still be given.

Exactly-once rests on three things here: an event and a grant have keys that are unique for ever, money is taken by one
conditional update, and the lines of the ledger are only ever added to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import BigInteger, BindParameter, ColumnElement, Float, Integer, bindparam, func, insert, select, update
from sqlalchemy.sql import Executable

from hub.errors import NotFound
from hub.model import EventRow, Grant
from hub.store.codec import decode, encode
from hub.store.databases import Row
from hub.store.listing import Listing
from hub.store.rows import BudgetRow, GrantEntry, GrantTally, PointUseRow
from hub.store.session import Session, ids_of, texts_of
from hub.store.statements import Dialect, Statement, Update, as_new, given, table, word

EVENT, GRANT, ENTRY, BUDGET = table("event"), table("grant"), table("grant_entry"), table("budget")
USE, ENTITY = table("point_use"), table("entity")
CHANGING = [
    "state", "recipient", "not_before", "first_sent", "last_possible", "order_id", "attempts", "epoch", "detail",
]  # fmt: skip


def _amount() -> BindParameter[int]:
    return bindparam("amount", type_=BigInteger())


def _this_budget() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return BUDGET.c.name == bindparam("the_budget"), BUDGET.c.period == bindparam("the_period")


def _reserve(_: Dialect) -> Executable:
    """One conditional update (reliability.md 4.9): of two who ask at once the second sees what the first took."""
    cap = bindparam("cap", type_=BigInteger())
    fits = BUDGET.c.reserved_minor + BUDGET.c.spent_minor + _amount() <= cap
    return (
        update(BUDGET)
        .where(*_this_budget(), fits)
        .values(reserved_minor=BUDGET.c.reserved_minor + _amount(), cap_minor=cap)
    )


def _spend(_: Dialect) -> Executable:
    taken = {"reserved_minor": BUDGET.c.reserved_minor - _amount(), "spent_minor": BUDGET.c.spent_minor + _amount()}
    return update(BUDGET).where(*_this_budget(), BUDGET.c.reserved_minor >= _amount()).values(taken)


def _give_back(column: str) -> Statement:
    return Statement(
        lambda d: (
            update(BUDGET)
            .where(*_this_budget(), BUDGET.c[column] >= _amount())
            .values({column: BUDGET.c[column] - _amount()})
        )
    )


def _add_event(d: Dialect) -> Executable:
    return d.upsert(EVENT).values(given("event")).on_conflict_do_nothing(index_elements=["key"])


def _add_grant(d: Dialect) -> Executable:
    return d.upsert(GRANT).values(given("grant")).on_conflict_do_nothing(index_elements=["key"])


ADD_EVENT = Statement(_add_event)
KNOWN = Statement(lambda d: select(EVENT.c.key).where(d.one_of(EVENT.c.key, "keys")))
ADDED = Statement(lambda d: select(EVENT.c.key).where(d.one_of(EVENT.c.id, "ids")))
EVENTS_OF = Statement(
    lambda d: (
        select(EVENT)
        .where(d.one_of(EVENT.c.entity_id, "ids") | d.one_of(EVENT.c.subject_id, "subjects"))
        .order_by(EVENT.c.id)
    )
)
BY_KEYS = Statement(lambda d: select(EVENT).where(d.one_of(EVENT.c.key, "keys")))
EVENTS = Listing(EVENT, "name", "entity_id", "subject_id", "source")
CORRECTED = Update("event", ["subject_id", "at", "withdrawn_at"])


def _timeline(whose: str) -> Statement:
    at, id_ = bindparam("before_at", type_=Float()), bindparam("before_id", type_=BigInteger())
    return Statement(
        lambda d: (
            select(EVENT)
            .where(
                d.one_of(EVENT.c[whose], "ids"), EVENT.c.at <= at, (EVENT.c.at < at) | (EVENT.c.id < id_)
            )
            .order_by(EVENT.c.at.desc(), EVENT.c.id.desc())
            .limit(bindparam("limit", type_=Integer()))
        )
    )  # fmt: skip


TIMELINE = {whose: _timeline(whose) for whose in ("subject_id", "entity_id")}

ADD_GRANT = Statement(_add_grant)
ONE_GRANT = Statement(lambda d: select(GRANT).where(GRANT.c.id == bindparam("the_id")))
BY_ORDERS = Statement(
    lambda d: (
        select(GRANT)
        .where(GRANT.c.connection == bindparam("connection"), d.one_of(GRANT.c.order_id, "orders"))
        .order_by(GRANT.c.id)
    )
)
GRANTS = Listing(GRANT, "state", "connection", "rule", "subject_id", "key", "reference", "budget", "event_id")
CHANGED_GRANTS = Update("grant", CHANGING)
COUNT_GRANTS = Statement(
    lambda d: select(func.count()).where(
        d.one_of(GRANT.c.subject_id, "subjects"),
        GRANT.c.rule == bindparam("rule"),
        GRANT.c.created_at >= bindparam("since", type_=Float()),
        GRANT.c.state.not_in((word("refused"), word("rejected"), word("reversed"))),
    )
)
GRANT_TALLY = Statement(
    lambda d: (
        select(GRANT.c.rule, GRANT.c.state, GRANT.c.currency, GRANT.c.amount, func.count(), func.max(GRANT.c.id))
        .where(GRANT.c.created_at >= bindparam("since", type_=Float()), GRANT.c.parent_id.is_(None))
        .group_by(GRANT.c.rule, GRANT.c.state, GRANT.c.currency, GRANT.c.amount)
    )
)
MERGED_SUBJECTS = Statement(
    lambda d: (
        select(GRANT.c.subject_id)
        .join(ENTITY, ENTITY.c.id == GRANT.c.subject_id)
        .where(ENTITY.c.alias_of.is_not(None), GRANT.c.rule == bindparam("rule"))
        .distinct()
    )
)
ADD_ENTRY = Statement(
    lambda d: insert(ENTRY).values({name: value for name, value in given("grant_entry").items() if name != "id"})
)
ENTRIES = Statement(lambda d: select(ENTRY).where(ENTRY.c.grant_id == bindparam("the_grant")).order_by(ENTRY.c.id))

ADD_USE = Statement(
    lambda d: insert(USE).values({name: value for name, value in given("point_use").items() if name != "id"})
)
ONE_USE = Statement(lambda d: select(USE.c.id).where(USE.c.key == bindparam("the_key")))
USES = Statement(lambda d: select(USE).where(d.one_of(USE.c.subject_id, "ids")).order_by(USE.c.id))

OPEN_BUDGET = Statement(lambda d: d.upsert(BUDGET).values(given("budget")).on_conflict_do_nothing())
RESERVE, SPEND = Statement(_reserve), Statement(_spend)
GIVE_BACK = {spent: _give_back("spent_minor" if spent else "reserved_minor") for spent in (False, True)}
BUDGETS = Statement(lambda d: select(BUDGET).order_by(BUDGET.c.name, BUDGET.c.period))


class Ledger(Session):
    """What customers did and what they are owed."""

    # Events

    def insert_events(self, rows: Sequence[EventRow]) -> set[str]:
        """Keeps events; gives the keys that were new. What is known already stays as it was first told."""
        if not rows:
            return set()
        known = {row[0] for row in self._rows(KNOWN, keys=texts_of(row.key for row in rows))}
        fresh: dict[str, EventRow] = {}
        for row in rows:
            if row.key not in known:
                fresh.setdefault(row.key, row)
        if not fresh:
            return set()
        ids = self.reserve_ids("event", len(fresh))
        self._many(
            ADD_EVENT,
            [
                as_new(
                    id=id_, key=row.key, name=row.name, entity_id=row.entity_id, subject_id=row.subject_id, at=row.at,
                    source=row.source, silent=row.silent, values=encode(dict(row.values)), version=row.version,
                    noticed_at=row.noticed_at, withdrawn_at=row.withdrawn_at,
                )
                for id_, row in zip(ids, fresh.values(), strict=True)
            ],
        )  # fmt: skip
        return {row[0] for row in self._rows(ADDED, ids=list(ids))}  # another page may have been first with some

    def correct_events(self, rows: Sequence[EventRow]) -> None:
        """Whose they are, when they happened and whether they stand; what else was told of them stays."""
        self._update(CORRECTED, [(row.subject_id, row.at, row.withdrawn_at, row.id) for row in rows])

    def events(
        self,
        entity_ids: Iterable[int] = (),
        subject_ids: Iterable[int] = (),
        name: str | None = None,
        since: float | None = None,
    ) -> list[EventRow]:
        """What these entities did, or what was done for these subjects, in the order in which it became known."""
        found = map(_event, self._rows(EVENTS_OF, ids=ids_of(entity_ids), subjects=ids_of(subject_ids)))
        return [
            event
            for event in found
            if (name is None or event.name == name) and (since is None or event.at >= since)
        ]  # fmt: skip

    def timeline(self, members: Iterable[int], limit: int, before: tuple[float, int]) -> list[EventRow]:
        """What happened to these entities or was done by them, newest first, withdrawn events left in.

        Args:
            before: (at, id) of the last event of the page before; (1e18, 0) is after all.
        """
        asked = {"ids": ids_of(members), "before_at": before[0], "before_id": before[1], "limit": limit}
        found = {row[0]: _event(row) for each in TIMELINE.values() for row in self._rows(each, **asked)}
        return sorted(found.values(), key=lambda event: (-event.at, -(event.id or 0)))[:limit]

    def events_by_keys(self, keys: Iterable[str]) -> dict[str, EventRow]:
        """Key -> event; keys that never happened are left out."""
        return {row[1]: _event(row) for row in self._rows(BY_KEYS, keys=texts_of(keys))}

    def events_page(
        self,
        after_id: int = 0,
        limit: int = 500,
        *,
        name: str | None = None,
        entity_id: int | None = None,
        subject_id: int | None = None,
        source: str | None = None,
    ) -> list[EventRow]:
        """All events in the order in which they became known; None asks for any."""
        conditions = {"name": name, "entity_id": entity_id, "subject_id": subject_id, "source": source}
        statement, chosen = EVENTS.narrowed(conditions)
        return [_event(row) for row in self._rows(statement, after_id=after_id, limit=limit, **chosen)]

    # Grants

    def add_grant(self, row: Grant) -> bool:
        """Keeps a grant under the id it brings. False: there is one with its key already, whatever became of it."""
        return self._run(ADD_GRANT, **as_new(**_columns(row))) == 1

    def grant(self, id: int) -> Grant:
        """One grant. Raises NotFound."""
        rows = self._rows(ONE_GRANT, the_id=id)
        if not rows:
            raise NotFound(f"there is no grant {id}", where=f"grant {id}")
        return _grant(rows[0])

    def grants(
        self,
        state: str | None = None,
        connection: str | None = None,
        *,
        rule: str | None = None,
        subject_id: int | None = None,
        key: str | None = None,
        reference: str | None = None,
        budget: str | None = None,
        event_id: int | None = None,
        limit: int = 500,
        after_id: int = 0,
    ) -> list[Grant]:
        """Grants in the order in which they were made; None asks for any."""
        conditions = {
            "state": state, "connection": connection, "rule": rule, "subject_id": subject_id, "key": key,
            "reference": reference, "budget": budget, "event_id": event_id,
        }  # fmt: skip
        statement, chosen = GRANTS.narrowed(conditions)
        return [_grant(row) for row in self._rows(statement, limit=limit, after_id=after_id, **chosen)]

    def tally_grants(self, since: float = 0.0) -> list[GrantTally]:
        """How many there are of each rule, state, currency and amount, the parts of others left out; the one that got
        the newest comes last.

        Args:
            since: epoch seconds; what was made before is left out.
        """
        rows = sorted(self._rows(GRANT_TALLY, since=since), key=lambda row: int(row[5]))
        return [
            GrantTally(rule=row[0], state=row[1], currency=row[2], amount=row[3], count=int(row[4])) for row in rows
        ]

    def merged_subjects(self, rule: str) -> list[int]:
        """Subjects of a rule's grants that were merged into another since."""
        return [int(row[0]) for row in self._rows(MERGED_SUBJECTS, rule=rule)]

    def grants_by_orders(self, connection: str, orders: Iterable[str]) -> dict[str, Grant]:
        """Number of an order at that provider -> its grant; numbers that no grant has are left out."""
        wanted = texts_of(orders)
        found = self._rows(BY_ORDERS, connection=connection, orders=wanted) if wanted else ()
        return {str(grant.order_id): grant for grant in map(_grant, found)}

    def update_grants(self, rows: Sequence[Grant]) -> None:
        """Writes what changes in a grant's life; who, what and how much never do."""
        self._update(
            CHANGED_GRANTS,
            [(*(value for name, value in _columns(row).items() if name in CHANGING), row.id) for row in rows],
        )

    def count_grants_of(self, subject_ids: Iterable[int], rule: str, since: float) -> int:
        """Grants of a rule made to these subjects since then, those refused, rejected or taken back left out."""
        found = self._rows(COUNT_GRANTS, subjects=ids_of(subject_ids), rule=rule, since=since)
        return int(found[0][0])

    def add_grant_entry(self, grant_id: int, kind: str, amount: str, at: float, detail: str = "") -> None:
        """One more line in a grant's ledger."""
        self._run(ADD_ENTRY, **as_new(grant_id=grant_id, kind=kind, amount=amount, at=at, detail=detail))

    def entries(self, grant_id: int) -> list[GrantEntry]:
        """The lines of a grant's ledger, oldest first."""
        return [
            GrantEntry(id=row[0], grant_id=row[1], kind=row[2], amount=row[3], at=row[4], detail=row[5])
            for row in self._rows(ENTRIES, the_grant=grant_id)
        ]

    # Points

    def has_point_use(self, key: str) -> bool:
        return bool(self._rows(ONE_USE, the_key=key))

    def add_point_use(self, *, key: str, subject_id: int, points: int, text: str, by: str, at: float) -> None:
        """One use of points. Its key was asked for before, with the person locked."""
        self._run(ADD_USE, **as_new(key=key, subject_id=subject_id, points=points, text=text, by=by, at=at))

    def point_uses(self, subject_ids: Iterable[int]) -> list[PointUseRow]:
        """What these used of their points, oldest first."""
        return [
            PointUseRow(id=row[0], key=row[1], subject_id=row[2], points=row[3], text=row[4], by=row[5], at=row[6])
            for row in self._rows(USES, ids=ids_of(subject_ids))
        ]

    # Budgets

    def reserve(self, budget: str, period: str, amount_minor: int, cap: int) -> bool:
        """Sets money aside, if it fits under the cap (minor units). False: it does not, and nothing was taken."""
        if amount_minor > cap:
            return False
        start = as_new(name=budget, period=period, cap_minor=cap, reserved_minor=0, spent_minor=0)
        self._run(OPEN_BUDGET, **start)
        return self._run(RESERVE, the_budget=budget, the_period=period, amount=amount_minor, cap=cap) == 1

    def spend(self, budget: str, period: str, amount_minor: int) -> bool:
        """What was set aside was paid. False: not that much was set aside."""
        return self._run(SPEND, the_budget=budget, the_period=period, amount=amount_minor) == 1

    def give_back(self, budget: str, period: str, amount_minor: int, *, spent: bool = False) -> bool:
        """What was set aside (or, if `spent`, paid) is free again. False: there was not that much."""
        return self._run(GIVE_BACK[spent], the_budget=budget, the_period=period, amount=amount_minor) == 1

    def budgets(self) -> list[BudgetRow]:
        return [
            BudgetRow(budget=row[0], period=row[1], cap_minor=row[2], reserved_minor=row[3], spent_minor=row[4])
            for row in self._rows(BUDGETS)
        ]


def _columns(row: Grant) -> dict[str, object]:
    """Column -> value, in the order of the table."""
    values = {name: getattr(row, name) for name in GRANT.columns.keys()}  # noqa: SIM118 - a column collection is no dict
    return {**values, "recipient": encode(row.recipient)}


def _event(row: Row) -> EventRow:
    return EventRow(
        id=row[0], key=row[1], name=row[2], entity_id=row[3], subject_id=row[4], at=row[5], source=row[6],
        silent=bool(row[7]), values=decode(row[8]), version=row[9], noticed_at=row[10], withdrawn_at=row[11],
    )  # fmt: skip


def _grant(row: Row) -> Grant:
    values = dict(zip(GRANT.columns.keys(), row, strict=True))
    return Grant(**{**values, "recipient": decode(values["recipient"])})
