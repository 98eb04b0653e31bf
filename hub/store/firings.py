"""Firings: what triggers did, or are to do. A firing's key is unique for ever, so no cause is answered twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Float, Integer, bindparam, func, select

from hub.errors import NotFound
from hub.model import Firing
from hub.store.databases import Row
from hub.store.listing import Listing
from hub.store.session import Session, ids_of, texts_of
from hub.store.statements import Statement, Update, as_new, given, table, word

FIRING, EVENT = table("firing"), table("event")
CHANGING = ["state", "reason", "not_before", "attempts", "done_at", "result"]
COUNTS = FIRING.c.state.in_((word("due"), word("waiting"), word("held"), word("done")))

ADD = Statement(lambda d: d.upsert(FIRING).values(given("firing")).on_conflict_do_nothing(index_elements=["key"]))
ONE = Statement(lambda d: select(FIRING).where(FIRING.c.id == bindparam("the_id")))
MINE = Statement(lambda d: d.locked(select(FIRING).where(FIRING.c.id == bindparam("the_id"))))
KNOWN = Statement(lambda d: select(FIRING.c.key).where(d.one_of(FIRING.c.key, "keys")))
DUE = Statement(
    lambda d: (
        select(FIRING)
        .where(
            FIRING.c.state.in_((word("due"), word("waiting"))),
            FIRING.c.not_before <= bindparam("now", type_=Float()),
        )
        .order_by(FIRING.c.not_before, FIRING.c.id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
NEWEST = Statement(
    lambda d: (
        select(FIRING)
        .where(FIRING.c.rule == bindparam("rule"))
        .order_by(FIRING.c.created_at.desc(), FIRING.c.id.desc())
        .limit(bindparam("limit", type_=Integer()))
    )
)
IN_STATE = Statement(
    lambda d: select(FIRING.c.id).where(FIRING.c.state == bindparam("state")).limit(bindparam("most", type_=Integer()))
)
LISTED = Listing(FIRING, "rule", "state", "subject_id")
CHANGED = Update("firing", CHANGING)
SINCE = bindparam("since", type_=Float())
COUNT_ALL = Statement(
    lambda d: select(func.count()).where(FIRING.c.rule == bindparam("rule"), FIRING.c.created_at > SINCE, COUNTS)
)
COUNT_OF = Statement(
    lambda d: select(func.count()).where(
        d.one_of(FIRING.c.subject_id, "subjects"),
        FIRING.c.rule == bindparam("rule"),
        FIRING.c.created_at > SINCE,
        COUNTS,
    )
)
COUNT_TOPIC = Statement(
    lambda d: select(func.count()).where(
        d.one_of(FIRING.c.subject_id, "subjects"),
        FIRING.c.rule == bindparam("rule"),
        FIRING.c.created_at > SINCE,
        FIRING.c.topic == bindparam("topic"),
        COUNTS,
    )
)
TALLY = Statement(lambda d: select(FIRING.c.rule, FIRING.c.state, func.count()).group_by(FIRING.c.rule, FIRING.c.state))
NEWEST_OF = Statement(
    lambda d: (
        select(EVENT.c.subject_id, func.max(EVENT.c.at))
        .where(
            d.one_of(EVENT.c.name, "names"),
            EVENT.c.subject_id.is_not(None),
            EVENT.c.withdrawn_at.is_(None),
        )
        .group_by(EVENT.c.subject_id)
        .having(
            func.max(EVENT.c.at) > bindparam("after", type_=Float()),
            func.max(EVENT.c.at) <= bindparam("until", type_=Float()),
        )
        .order_by(func.max(EVENT.c.at), EVENT.c.subject_id)
    )
)


class Firings(Session):
    """What triggers did."""

    def add_firing(self, row: Firing) -> bool:
        """Keeps a firing under the id it brings. False: its cause was answered already."""
        return self._run(ADD, **as_new(**_columns(row))) == 1

    def firing(self, id: int, *, lock: bool = False) -> Firing:
        """One firing; locked, nobody else changes it until the transaction ends. Raises NotFound."""
        rows = self._rows(MINE if lock else ONE, the_id=id)
        if not rows:
            raise NotFound(f"there is no firing {id}", where=f"firing {id}", fix="hub trigger list")
        return _firing(rows[0])

    def known_firings(self, keys: Iterable[str]) -> set[str]:
        """Those of these keys that were answered already."""
        return {row[0] for row in self._rows(KNOWN, keys=texts_of(keys))}

    def due_firings(self, now: float, limit: int = 100) -> list[Firing]:
        """What is to be done now, oldest first."""
        return [_firing(row) for row in self._rows(DUE, now=now, limit=limit)]

    def firings(
        self,
        rule: str | None = None,
        state: str | None = None,
        *,
        subject_id: int | None = None,
        limit: int = 500,
        after_id: int = 0,
    ) -> list[Firing]:
        """Firings in the order in which they were kept; None asks for any."""
        statement, chosen = LISTED.narrowed({"rule": rule, "state": state, "subject_id": subject_id})
        return [_firing(row) for row in self._rows(statement, limit=limit, after_id=after_id, **chosen)]

    def update_firings(self, rows: Sequence[Firing]) -> None:
        """Writes what changes in a firing's life."""
        self._update(CHANGED, [(*(getattr(row, n) for n in CHANGED.columns), row.id) for row in rows])

    def count_firings(
        self, rule: str, since: float, subject_ids: Iterable[int] | None = None, topic: str | None = None
    ) -> int:
        """Firings of a rule after `since` that limits count, of some subjects or of all."""
        if subject_ids is None:
            return int(self._rows(COUNT_ALL, rule=rule, since=since)[0][0])
        subjects = ids_of(subject_ids)
        if topic is None:
            return int(self._rows(COUNT_OF, rule=rule, since=since, subjects=subjects)[0][0])
        return int(self._rows(COUNT_TOPIC, rule=rule, since=since, subjects=subjects, topic=topic)[0][0])

    def newest_firings(self, rule: str, limit: int) -> list[Firing]:
        """What a rule did last, newest first."""
        return [_firing(row) for row in self._rows(NEWEST, rule=rule, limit=limit)]

    def count_firings_in(self, state: str, most: int) -> int:
        """How many are in a state; no more than `most` are counted."""
        return len(self._rows(IN_STATE, state=state, most=most))

    def tally_firings(self) -> dict[tuple[str, str], int]:
        """(rule, state) -> how many."""
        return {(row[0], row[1]): int(row[2]) for row in self._rows(TALLY)}

    def fell_silent(self, names: Iterable[str], after: float, until: float) -> list[tuple[int, float]]:
        """(subject, moment of its newest event of these names), where that moment is in (after, until]."""
        rows = self._rows(NEWEST_OF, names=texts_of(names), after=after, until=until)
        return [(int(row[0]), float(row[1])) for row in rows]


def _columns(row: Firing) -> dict[str, object]:
    return {name: getattr(row, name) for name in FIRING.columns.keys()}  # noqa: SIM118 - a column collection is no dict


def _firing(row: Row) -> Firing:
    return Firing(**dict(zip(FIRING.columns.keys(), row, strict=True)))
