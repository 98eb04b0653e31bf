"""Reading the world: cursors, deliveries, hints, tombstones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Float, Integer, bindparam, case, delete, exists, select, update
from sqlalchemy.sql import Executable

from hub.model import Hint, Json
from hub.store.codec import checked_id, decode, encode, index_key
from hub.store.rows import TombstoneRow
from hub.store.session import Session, ids_of, texts_of
from hub.store.statements import Dialect, Statement, as_new, given, table

CURSOR, DELIVERY, HINT = table("cursor"), table("delivery"), table("hint")
TOMBSTONE, TOMBSTONE_KEY = table("tombstone"), table("tombstone_key")

GET_CURSOR = Statement(
    lambda d: select(CURSOR.c.value).where(
        CURSOR.c.connection == bindparam("connection"), CURSOR.c.stream == bindparam("stream")
    )
)


def _set_cursor(d: Dialect) -> Executable:
    new = d.upsert(CURSOR).values(given("cursor"))
    return new.on_conflict_do_update(index_elements=["connection", "stream"], set_={"value": new.excluded.value})


def _add_delivery(d: Dialect) -> Executable:
    return d.upsert(DELIVERY).values(given("delivery")).on_conflict_do_nothing()


def _add_hint(d: Dialect) -> Executable:
    """A hint for a record that has one already renews it; the new id keeps `done_hints` from ending it unread."""
    new = d.upsert(HINT).values(given("hint"))
    old, fresh = HINT.c, new.excluded
    later = case(
        (fresh.not_before_stamp.is_(None), old.not_before_stamp),
        else_=d.greater(old.not_before_stamp, fresh.not_before_stamp),
    )
    sooner = case((fresh.due_at < old.due_at, fresh.due_at), else_=old.due_at)
    return new.on_conflict_do_update(
        index_elements=["connection", "stream", "external_id"],
        set_={"id": fresh.id, "not_before_stamp": later, "due_at": sooner, "attempts": 0, "reason": fresh.reason},
    )


def _due_hints(*, stream: bool) -> Statement:
    def build(_: Dialect) -> Executable:
        due = HINT.c.due_at <= bindparam("now", type_=Float())
        found = select(HINT).where(HINT.c.connection == bindparam("connection"), due)
        if stream:
            found = found.where(HINT.c.stream == bindparam("stream"))
        return found.order_by(HINT.c.due_at, HINT.c.id).limit(bindparam("limit", type_=Integer()))

    return Statement(build)


def _add_tombstone(d: Dialect) -> Executable:
    new = d.upsert(TOMBSTONE).values(given("tombstone"))
    newer = {name: new.excluded[name] for name in ("link_id", "entity_id", "evidence", "at", "keys", "stamp")}
    return new.on_conflict_do_update(index_elements=["connection", "stream", "external_id"], set_=newer)


def _add_tombstone_key(d: Dialect) -> Executable:
    return d.upsert(TOMBSTONE_KEY).values(given("tombstone_key")).on_conflict_do_nothing()


SET_CURSOR = Statement(_set_cursor)
DROP_CURSORS = Statement(
    lambda d: delete(CURSOR).where(CURSOR.c.connection == bindparam("connection"), d.one_of(CURSOR.c.stream, "streams"))
)
ADD_DELIVERY = Statement(_add_delivery)
BODY = Statement(
    lambda d: select(DELIVERY.c.body).where(
        DELIVERY.c.connection == bindparam("connection"), DELIVERY.c.key == bindparam("the_key")
    )
)
KNOWN = Statement(
    lambda d: select(DELIVERY.c.key).where(
        DELIVERY.c.connection == bindparam("connection"), d.one_of(DELIVERY.c.key, "keys")
    )
)
BODIES = Statement(
    lambda d: select(DELIVERY.c.key, DELIVERY.c.body).where(
        DELIVERY.c.connection == bindparam("connection"), d.one_of(DELIVERY.c.key, "keys")
    )
)
PRUNE = Statement(
    lambda d: delete(DELIVERY).where(
        DELIVERY.c.at < bindparam("before", type_=Float()),
        ~exists().where(HINT.c.connection == DELIVERY.c.connection, HINT.c.external_id == DELIVERY.c.key),
    )
)
ADD_HINT = Statement(_add_hint)
DUE = {stream: _due_hints(stream=stream) for stream in (False, True)}
DONE = Statement(lambda d: delete(HINT).where(d.one_of(HINT.c.id, "ids")))
POSTPONE = Statement(
    lambda d: (
        update(HINT)
        .where(d.one_of(HINT.c.id, "ids"))
        .values(due_at=bindparam("until", type_=Float()), attempts=HINT.c.attempts + 1)
    )
)
WAKE = Statement(
    lambda d: (
        update(HINT)
        .where(
            HINT.c.connection == bindparam("the_connection"),
            d.one_of(HINT.c.reason, "reasons"),
            HINT.c.due_at > bindparam("now", type_=Float()),
        )
        .values(due_at=bindparam("now", type_=Float()))
    )
)
ADD_TOMBSTONE = Statement(_add_tombstone)
ADD_TOMBSTONE_KEY = Statement(_add_tombstone_key)
TOMBSTONES = Statement(
    lambda d: select(TOMBSTONE).where(
        TOMBSTONE.c.connection == bindparam("connection"),
        TOMBSTONE.c.stream == bindparam("stream"),
        d.one_of(TOMBSTONE.c.external_id, "external_ids"),
    )
)
BURIED = Statement(
    lambda d: (
        select(TOMBSTONE_KEY.c.hash, TOMBSTONE)
        .join(
            TOMBSTONE,
            (TOMBSTONE.c.connection == TOMBSTONE_KEY.c.connection)
            & (TOMBSTONE.c.stream == TOMBSTONE_KEY.c.stream)
            & (TOMBSTONE.c.external_id == TOMBSTONE_KEY.c.external_id),
        )
        .where(d.one_of(TOMBSTONE_KEY.c.hash, "hashes"))
        .order_by(TOMBSTONE.c.at)
    )
)


class Reading(Session):
    """Where reading goes on, what knocked, and what is known to be dead."""

    def cursor(self, connection: str, stream: str) -> Json:
        """Where reading of the stream goes on; None: from the beginning."""
        rows = self._rows(GET_CURSOR, connection=connection, stream=stream)
        return decode(rows[0][0]) if rows else None

    def set_cursor(self, connection: str, stream: str, value: Json) -> None:
        """Moves the cursor: in the transaction that stores the page, so that neither is ever without the other."""
        self._run(SET_CURSOR, **as_new(connection=connection, stream=stream, value=encode(value)))

    def drop_cursors(self, connection: str, streams: Iterable[str]) -> None:
        """Forgets where reading went on."""
        wanted = texts_of(streams)
        if wanted:
            self._run(DROP_CURSORS, connection=connection, streams=wanted)

    # Deliveries

    def known_deliveries(self, connection: str, keys: Iterable[str]) -> set[str]:
        """Those of these keys under which a delivery is stored."""
        by_index = {index_key(key): key for key in keys}
        rows = self._rows(KNOWN, connection=connection, keys=texts_of(by_index)) if by_index else ()
        return {by_index[row[0]] for row in rows}

    def add_deliveries(self, connection: str, rows: Iterable[tuple[str, bytes]], at: float) -> None:
        """(key, body) of inbound calls; what is there already stays as it is."""
        self._many(
            ADD_DELIVERY, [as_new(connection=connection, key=index_key(key), body=body, at=at) for key, body in rows]
        )

    def delivery(self, connection: str, key: str) -> bytes | None:
        """The body of a delivery that was stored."""
        rows = self._rows(BODY, connection=connection, the_key=index_key(key))
        return bytes(rows[0][0]) if rows else None

    def deliveries(self, connection: str, keys: Iterable[str]) -> dict[str, bytes]:
        """Key -> body, of those that were stored."""
        by_index = {index_key(key): key for key in keys}
        rows = self._rows(BODIES, connection=connection, keys=texts_of(by_index))
        return {by_index[row[0]]: bytes(row[1]) for row in rows}

    def prune_deliveries(self, before: float) -> int:
        """Forgets deliveries older than that, but none that a hint still leads to; tells how many."""
        return self._run(PRUNE, before=before)

    # Hints

    def add_hints(self, rows: Iterable[tuple[str, str, str, float | None, float, str]]) -> None:
        """(connection, stream, external id, not-before stamp, due at, reason): these records changed, read them.

        There is one hint per record: a further one keeps the later stamp and the sooner date, and starts over.
        """
        wanted = list(rows)
        ids = iter(self.reserve_ids("hint", len(wanted))) if wanted else iter(())
        self._many(
            ADD_HINT,
            [
                as_new(
                    id=next(ids), connection=connection, stream=stream, external_id=checked_id(external_id),
                    not_before_stamp=stamp, attempts=0, due_at=due_at, reason=reason,
                )
                for connection, stream, external_id, stamp, due_at, reason in wanted
            ],
        )  # fmt: skip

    def due_hints(self, connection: str, now: float, limit: int, stream: str | None = None) -> list[Hint]:
        """Hints whose time has come, the longest due first."""
        given = {} if stream is None else {"stream": stream}
        rows = self._rows(DUE[stream is not None], connection=connection, now=now, limit=limit, **given)
        return [
            Hint(
                id=row[0], connection=row[1], stream=row[2], external_id=row[3], not_before_stamp=row[4],
                attempts=row[5], due_at=row[6], reason=row[7],
            )
            for row in rows
        ]  # fmt: skip

    def done_hints(self, ids: Iterable[int]) -> int:
        """Ends hints that were answered by a read new enough; one that was renewed since has another id and stays."""
        wanted = ids_of(ids)
        return self._run(DONE, ids=wanted) if wanted else 0

    def postpone_hints(self, ids: Iterable[int], due_at: float) -> int:
        """Not answered yet: one more attempt is counted, and they are due again then."""
        wanted = ids_of(ids)
        return self._run(POSTPONE, ids=wanted, until=due_at) if wanted else 0

    def wake_hints(self, connection: str, reasons: Iterable[str], now: float) -> int:
        """Hints that rest for one of these reasons are due now; tells how many."""
        wanted = texts_of(reasons)
        return self._run(WAKE, the_connection=connection, reasons=wanted, now=now) if wanted else 0

    # Tombstones

    def add_tombstones(self, rows: Iterable[TombstoneRow]) -> None:
        """Keeps proof of deletes; a later proof of the same record replaces the earlier."""
        proofs, hashes = [], []
        for row in rows:
            place = as_new(
                connection=row["connection"], stream=row["stream"], external_id=checked_id(row["external_id"])
            )
            keys = list(row.get("keys", ()))
            proof = as_new(
                link_id=row.get("link_id"), entity_id=row.get("entity_id"), evidence=row["evidence"], at=row["at"],
                keys=encode(keys), stamp=row.get("stamp"),
            )  # fmt: skip
            proofs.append(place | proof)
            hashes += [place | as_new(hash=key) for key in keys]
        self._many(ADD_TOMBSTONE, proofs)
        self._many(ADD_TOMBSTONE_KEY, hashes)

    def tombstones(self, connection: str, stream: str, external_ids: Iterable[str]) -> dict[str, TombstoneRow]:
        """External id -> proof that the record was deleted."""
        rows = self._rows(TOMBSTONES, connection=connection, stream=stream, external_ids=texts_of(external_ids))
        return {row[2]: _tombstone(*row) for row in rows}

    def tombstones_by_keys(self, hashes: Iterable[str]) -> dict[str, list[TombstoneRow]]:
        """Keyed hash of an identity key -> deleted records that had it, oldest first."""
        found: dict[str, list[TombstoneRow]] = defaultdict(list)
        for hashed, *row in self._rows(BURIED, hashes=texts_of(hashes)):
            found[hashed].append(_tombstone(*row))
        return dict(found)


def _tombstone(
    connection: str, stream: str, external_id: str, link_id: int | None, entity_id: int | None, evidence: str,
    at: float, keys: str, stamp: float | None,
) -> TombstoneRow:  # fmt: skip
    return {
        "connection": connection, "stream": stream, "external_id": external_id, "link_id": link_id,
        "entity_id": entity_id, "evidence": evidence, "at": at, "keys": decode(keys),
        "stamp": stamp,
    }  # fmt: skip
