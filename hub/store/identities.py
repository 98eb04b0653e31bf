"""Who is who: pairs that wait for a person, what people ruled about pairs, and the merges with what undoes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Integer, bindparam, func, insert, select, update
from sqlalchemy.sql import Executable

from hub.errors import NotFound
from hub.store.codec import checked_id, decode, encode
from hub.store.databases import Row
from hub.store.listing import Listing
from hub.store.rows import IdentityRow
from hub.store.session import Session, ids_of, texts_of
from hub.store.statements import Dialect, Statement, as_new, given, table, word

IDENTITY, RECORD = table("identity"), table("identity_record")
Record = tuple[str, str, str]  # connection, stream, external id


def _add(*renewed: str, reopen: bool = False) -> Statement:
    """A row; one of the same kind and key is renewed in these columns instead."""

    def build(d: Dialect) -> Executable:
        new = d.upsert(IDENTITY).values(given("identity"))
        if not renewed:
            return new.on_conflict_do_nothing(index_elements=["kind", "key"])
        fresh = {name: new.excluded[name] for name in renewed} | ({"state": "open"} if reopen else {})
        return new.on_conflict_do_update(index_elements=["kind", "key"], set_=fresh)

    return Statement(build)


ADD_IDENTITY = Statement(lambda d: insert(IDENTITY).values(given("identity")))
ADD_REVIEW = _add("score", "evidence")  # what a person decided about the pair stays decided
ADD_RULING = _add("by", "at", "note", "evidence", reopen=True)
ADD_ONCE = _add()
ADD_RECORD = Statement(lambda d: d.upsert(RECORD).values(given("identity_record")).on_conflict_do_nothing())
ONE_IDENTITY = Statement(lambda d: select(IDENTITY).where(IDENTITY.c.id == bindparam("the_id")))
BY_KEYS = Statement(
    lambda d: select(IDENTITY).where(IDENTITY.c.kind == bindparam("kind"), d.one_of(IDENTITY.c.key, "keys"))
)
BY_ENTITY = Statement(lambda d: select(IDENTITY).where(d.one_of(IDENTITY.c.entity_id, "ids")))
BY_OTHER = Statement(
    lambda d: select(IDENTITY).where(IDENTITY.c.other_id.is_not(None), d.one_of(IDENTITY.c.other_id, "ids"))
)
BY_RECORD = Statement(
    lambda d: (
        select(RECORD.c.external_id, *IDENTITY.c)
        .join(IDENTITY, IDENTITY.c.id == RECORD.c.identity_id)
        .where(
            RECORD.c.connection == bindparam("connection"),
            RECORD.c.stream == bindparam("stream"),
            d.one_of(RECORD.c.external_id, "external_ids"),
            IDENTITY.c.state == word("open"),
        )
    )
)
RANKED = Statement(
    lambda d: (
        select(IDENTITY)
        .where(IDENTITY.c.kind == bindparam("kind"), IDENTITY.c.state == bindparam("state"))
        .order_by(func.coalesce(IDENTITY.c.score, -1.0).desc(), IDENTITY.c.id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
COUNTS = Statement(
    lambda d: select(IDENTITY.c.kind, IDENTITY.c.state, func.count()).group_by(IDENTITY.c.kind, IDENTITY.c.state)
)
CHANGING: tuple[str, ...] = (
    "state", "entity_id", "other_id", "score", "evidence", "before", "by", "at", "version", "run_id", "note",
)  # fmt: skip
CHANGE = Statement(
    lambda d: (
        update(IDENTITY)
        .where(IDENTITY.c.id == bindparam("the_id"))
        .values({name: bindparam(f"new_{name}", type_=IDENTITY.c[name].type) for name in CHANGING})
    )
)
IDENTITIES = Listing(IDENTITY, "kind", "state", "entity_id")


def pair_key(one: int, other: int) -> str:
    """The key of a pair, whichever way round."""
    return f"{min(one, other)}-{max(one, other)}"


class Identities(Session):
    """Rows about who is who. A pair of a kind, and a crowded key, stand once, whatever their state."""

    def add_identity(self, row: IdentityRow) -> int:
        """Keeps a row that has no key, such as a merge with its before-images; gives its id."""
        id_ = row.get("id") or self.reserve_ids("identity", 1)[0]
        self._run(ADD_IDENTITY, **_new(id_, row))
        return id_

    def add_reviews(self, rows: Sequence[IdentityRow]) -> None:
        """Pairs to look at. One that is known keeps its state and gets the newest score and evidence."""
        self._put(ADD_REVIEW, rows)

    def add_pair_rulings(self, rows: Sequence[IdentityRow]) -> None:
        """What a person ruled about pairs (never, always); one that was taken back is in force again."""
        self._put(ADD_RULING, rows)

    def add_once(self, rows: Sequence[IdentityRow]) -> None:
        """Rows of which the first of its kind and key counts (a merge seen at a system, a crowded key)."""
        self._put(ADD_ONCE, rows)

    def _put(self, statement: Statement, rows: Sequence[IdentityRow]) -> None:
        ids = iter(self.reserve_ids("identity", len(rows))) if rows else iter(())
        self._many(statement, [_new(next(ids), row) for row in rows])

    def add_pair_records(self, identity_id: int, records: Iterable[Record]) -> None:
        """Records that a ruling names by where they live, so that their arrival finds it."""
        self._many(
            ADD_RECORD,
            [
                as_new(connection=one, stream=stream, external_id=checked_id(each), identity_id=identity_id)
                for one, stream, each in records
            ],
        )

    def rulings_on_records(
        self, connection: str, stream: str, external_ids: Iterable[str]
    ) -> dict[str, list[IdentityRow]]:
        """External id -> rulings in force that name this record, the older first."""
        rows = self._rows(BY_RECORD, connection=connection, stream=stream, external_ids=texts_of(external_ids))
        found: dict[str, list[IdentityRow]] = {}
        for external_id, *row in sorted(rows, key=lambda each: each[1]):
            found.setdefault(external_id, []).append(_identity(tuple(row)))
        return found

    def identities(
        self,
        kind: str | None = None,
        state: str | None = None,
        entity_id: int | None = None,
        limit: int = 500,
        after_id: int = 0,
    ) -> list[IdentityRow]:
        """What is known or asked about who is who, in the order in which it came."""
        statement, given_ones = IDENTITIES.narrowed({"kind": kind, "state": state, "entity_id": entity_id})
        return [_identity(row) for row in self._rows(statement, limit=limit, after_id=after_id, **given_ones)]

    def identities_ranked(self, kind: str, state: str, limit: int = 500) -> list[IdentityRow]:
        """Pairs of a kind, the likeliest first; those without a score last."""
        return [_identity(row) for row in self._rows(RANKED, kind=kind, state=state, limit=limit)]

    def identities_of(self, entity_ids: Iterable[int], kind: str | None = None) -> list[IdentityRow]:
        """Every row that names one of these entities, on either side, oldest first."""
        wanted = ids_of(entity_ids)
        rows = {row[0]: row for each in (BY_ENTITY, BY_OTHER) for row in self._rows(each, ids=wanted)} if wanted else {}
        return [row for _, each in sorted(rows.items()) if kind in (None, (row := _identity(each))["kind"])]

    def identities_by_keys(self, kind: str, keys: Iterable[str]) -> dict[str, IdentityRow]:
        """Key -> the row of that kind; keys that nobody knows are left out."""
        rows = [_identity(row) for row in self._rows(BY_KEYS, kind=kind, keys=texts_of(keys))]
        return {row["key"]: row for row in rows if row["key"] is not None}

    def identity(self, id: int) -> IdentityRow:
        """One row. Raises NotFound."""
        rows = self._rows(ONE_IDENTITY, the_id=id)
        if not rows:
            raise NotFound(f"there is no identity row {id}", where=f"identity {id}")
        return _identity(rows[0])

    def update_identity(self, row: IdentityRow) -> None:
        """Writes everything but id, kind and key."""
        new = _new(row["id"], row)
        self._run(CHANGE, the_id=row["id"], **{f"new_{name}": new[f"new_{name}"] for name in CHANGING})

    def decide_identity(self, id: int, state: str, note: str = "") -> bool:
        """accepted, refused, later, undone … False: no such row."""
        rows = self._rows(ONE_IDENTITY, the_id=id)
        if rows:
            self.update_identity({**_identity(rows[0]), "state": state, "note": note})
        return bool(rows)

    def count_identities(self) -> dict[tuple[str, str], int]:
        """(kind, state) -> how many."""
        return {(row[0], row[1]): row[2] for row in self._rows(COUNTS)}


def _new(id_: int, row: IdentityRow) -> dict[str, object]:
    return as_new(
        id=id_, kind=row["kind"], state=row.get("state", "open"), key=row.get("key"), entity_id=row.get("entity_id"),
        other_id=row.get("other_id"), score=row.get("score"), evidence=encode(row.get("evidence")),
        before=encode(row.get("before")), by=row["by"], at=row["at"], version=row.get("version", 0),
        run_id=row.get("run_id"), note=row.get("note", ""),
    )  # fmt: skip


def _identity(row: Row) -> IdentityRow:
    return {
        "id": row[0], "kind": row[1], "state": row[2], "key": row[3], "entity_id": row[4], "other_id": row[5],
        "score": row[6], "evidence": decode(row[7]), "before": decode(row[8]), "by": row[9], "at": row[10],
        "version": row[11], "run_id": row[12], "note": row[13],
    }  # fmt: skip
