"""Intents: writes that have left or are about to, kept until proved done or not done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Integer, bindparam, select
from sqlalchemy.sql import Executable

from hub.model import Intent
from hub.store.codec import decode, encode
from hub.store.databases import Row
from hub.store.session import Session, id_or_none, ids_of
from hub.store.statements import Dialect, Insert, Statement, Update, table, word

INTENT = table("intent")
OPEN = INTENT.c.state.in_((word("open"), word("acked")))
CHANGING = [
    "external_id",
    "pre_stamp",
    "first_sent",
    "last_possible",
    "state",
    "values",
    "body",
    "version",
    "before",
    "landed_at",
]

OF_LINKS = Statement(lambda d: select(INTENT).where(OPEN, d.one_of(INTENT.c.link_id, "ids")).order_by(INTENT.c.id))
EVERY = 2**31 - 1
OF_RUN = Statement(
    lambda d: (
        select(INTENT)
        .where(INTENT.c.run_id == bindparam("the_run"))
        .order_by(INTENT.c.id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
OF_ENTITIES = Statement(lambda d: select(INTENT).where(d.one_of(INTENT.c.entity_id, "ids")).order_by(INTENT.c.id))
BY_ID = Statement(lambda d: select(INTENT).where(d.one_of(INTENT.c.id, "ids")).order_by(INTENT.c.id))
NEW_INTENTS = Insert("intent")
CHANGED_INTENTS = Update("intent", CHANGING)


def _open(*, connection: bool, stream: bool) -> Statement:
    def build(_: Dialect) -> Executable:
        found = select(INTENT).where(OPEN, INTENT.c.id > bindparam("after_id"))
        if connection:
            found = found.where(INTENT.c.connection == bindparam("connection"))
        if stream:
            found = found.where(INTENT.c.stream == bindparam("stream"))
        return found.order_by(INTENT.c.id).limit(bindparam("limit", type_=Integer()))

    return Statement(build)


OPEN_ONES = {(a, b): _open(connection=a, stream=b) for a in (False, True) for b in (False, True)}


class Intents(Session):
    """At most one open (or acked) intent per link, by a unique index."""

    def intents_for(self, link_ids: Iterable[int]) -> dict[int, Intent]:
        """Link id -> its intent that is open or acked; links without one are left out."""
        wanted = ids_of(link_ids)
        return {row[3]: _intent(row) for row in self._rows(OF_LINKS, ids=wanted)} if wanted else {}

    def open_intents(
        self, connection: str | None = None, stream: str | None = None, limit: int = 500, after_id: int = 0
    ) -> list[Intent]:
        """Intents that are open or acked, oldest first."""
        where = {"connection": connection, "stream": stream}
        given = {name: value for name, value in where.items() if value is not None}
        statement = OPEN_ONES[connection is not None, stream is not None]
        return [_intent(row) for row in self._rows(statement, limit=limit, after_id=after_id, **given)]

    def insert_intents(self, rows: Sequence[Intent]) -> None:
        """New intents. Raises RetryLater STORE-BUSY if a link has an open one: settle it first."""
        self._insert(
            NEW_INTENTS,
            [
                (
                    row.id, row.connection, row.stream, row.link_id, row.entity_id, row.op, encode(row.values),
                    encode(row.body), row.version, id_or_none(row.external_id), row.pre_stamp, row.reference,
                    row.idempotency_key, row.created_at, row.first_sent, row.last_possible, row.state,
                    encode(row.before), row.run_id, row.landed_at,
                )
                for row in rows
            ],
        )  # fmt: skip

    def update_intents(self, rows: Sequence[Intent]) -> None:
        """Writes what an answer or a proof may change: state, times, external id, and the frozen documents."""
        self._update(
            CHANGED_INTENTS,
            [
                (
                    encode(row.values), encode(row.body), row.version, id_or_none(row.external_id), row.pre_stamp,
                    row.first_sent, row.last_possible, row.state, encode(row.before), row.landed_at, row.id,
                )
                for row in rows
            ],
        )  # fmt: skip

    def intents(self, ids: Iterable[int]) -> dict[int, Intent]:
        """Intents by id, whatever their state."""
        return {row[0]: _intent(row) for row in self._rows(BY_ID, ids=ids_of(ids))}

    def intents_of_run(self, run_id: int, *, limit: int | None = None) -> list[Intent]:
        """Every write of a run, oldest first, whatever became of it: what an undo is made of; or the first ones."""
        return [_intent(row) for row in self._rows(OF_RUN, the_run=run_id, limit=limit or EVERY)]

    def intents_of_entities(self, entity_ids: Iterable[int]) -> list[Intent]:
        """Every write made for these entities, oldest first."""
        return [_intent(row) for row in self._rows(OF_ENTITIES, ids=ids_of(entity_ids))]


def _intent(row: Row) -> Intent:
    return Intent(
        id=row[0], connection=row[1], stream=row[2], link_id=row[3], entity_id=row[4], op=row[5],
        values=decode(row[6]), body=decode(row[7]), version=row[8], external_id=row[9], pre_stamp=row[10],
        reference=row[11], idempotency_key=row[12], created_at=row[13], first_sent=row[14], last_possible=row[15],
        state=row[16], before=decode(row[17]), run_id=row[18], landed_at=row[19],
    )  # fmt: skip
