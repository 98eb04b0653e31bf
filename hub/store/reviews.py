"""What waits for a person, or waited for one: conflicts and rulings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import Float, bindparam, func, insert, select, update

from hub.errors import NotFound
from hub.model import LONG_AGO, ConflictRow, Json, RulingRow
from hub.store.codec import checked, decode, encode
from hub.store.databases import Row
from hub.store.listing import Listing
from hub.store.session import Session, ids_of
from hub.store.statements import Insert, Statement, Update, as_new, given, table, word

CONFLICT, RULING = table("conflict"), table("ruling")

KNOWN = Statement(
    lambda d: select(CONFLICT.c.id, CONFLICT.c.entity_id, CONFLICT.c.field, CONFLICT.c.digest, CONFLICT.c.state).where(
        d.one_of(CONFLICT.c.entity_id, "ids")
    )
)
ONE_CONFLICT = Statement(lambda d: select(CONFLICT).where(CONFLICT.c.id == bindparam("the_id")))
OF_ENTITIES = Statement(
    lambda d: (
        select(CONFLICT)
        .where(d.one_of(CONFLICT.c.entity_id, "ids"), CONFLICT.c.at >= bindparam("since", type_=Float()))
        .order_by(CONFLICT.c.id)
    )
)
CLOSE = Statement(
    lambda d: (
        update(CONFLICT)
        .where(CONFLICT.c.id == bindparam("the_id"), CONFLICT.c.state == word("open"))
        .values(
            state="closed",
            decided_by=bindparam("new_decided_by"),
            winner=bindparam("new_winner"),
            winner_link=bindparam("new_winner_link"),
            note=bindparam("new_note"),
        )
    )
)
COUNT_OPEN = Statement(lambda d: select(func.count()).select_from(CONFLICT).where(CONFLICT.c.state == word("open")))
COUNTS = Statement(
    lambda d: select(CONFLICT.c.kind, CONFLICT.c.state, func.count()).group_by(CONFLICT.c.kind, CONFLICT.c.state)
)
NEW_CONFLICTS = Insert("conflict")
CHANGED_CONFLICTS = Update(
    "conflict",
    ["kind", "candidates", "digest", "winner", "winner_link", "decided_by", "state", "at", "version", "run_id", "note"],
)

RULINGS = Statement(lambda d: select(RULING).where(d.one_of(RULING.c.entity_id, "ids")).order_by(RULING.c.id))
ADD_RULING = Statement(lambda d: insert(RULING).values(given("ruling")))


CONFLICTS = Listing(CONFLICT, "state", "entity_id", "field", "kind", "run_id")


class Reviews(Session):
    """Conflicts and rulings. At most one open conflict per entity and field, by a unique index."""

    # Conflicts

    def add_conflicts(self, rows: Sequence[ConflictRow]) -> int:
        """Stores conflicts; tells how many are new. The entities they belong to must be locked.

        The same one (entity, field, digest) is stored once, so that a replay adds nothing; if it was open and is now
        decided, it is closed. A further open one of a field takes the place of the open one there.
        """
        if not rows:
            return 0
        by_digest: dict[tuple[int, str, str], tuple[int, str]] = {}
        open_ids: dict[tuple[int, str], int] = {}
        for id_, entity_id, field, digest, state in self._rows(KNOWN, ids=ids_of(row.entity_id for row in rows)):
            by_digest[entity_id, field, digest] = (id_, state)
            if state == "open":
                open_ids[entity_id, field] = id_
        new: dict[int, ConflictRow] = {}
        changed: dict[int, ConflictRow] = {}
        fresh = iter(self.reserve_ids("conflict", len(rows)))
        for row in rows:
            cell, same = (row.entity_id, row.field), by_digest.get((row.entity_id, row.field, row.digest))
            if same is not None and (same[1] == row.state or same[1] == "closed"):
                continue
            id_ = same[0] if same is not None else open_ids.get(cell) if row.state == "open" else None
            if id_ is None:
                id_ = next(fresh)
                new[id_] = row
            else:
                (new if id_ in new else changed)[id_] = row
            by_digest[row.entity_id, row.field, row.digest] = (id_, row.state)
            if row.state == "open":
                open_ids[cell] = id_
            elif open_ids.get(cell) == id_:
                del open_ids[cell]
        self._update(CHANGED_CONFLICTS, [(*_changing(row), id_) for id_, row in changed.items()])
        self._insert(NEW_CONFLICTS, [(id_, row.entity_id, row.field, *_changing(row)) for id_, row in new.items()])
        return len(new)

    def conflicts(
        self,
        state: str | None = None,
        entity_id: int | None = None,
        field: str | None = None,
        kind: str | None = None,
        limit: int = 500,
        after_id: int = 0,
        run_id: int | None = None,
    ) -> list[ConflictRow]:
        """Conflicts in the order in which they came."""
        conditions = {"state": state, "entity_id": entity_id, "field": field, "kind": kind, "run_id": run_id}
        statement, given_ones = CONFLICTS.narrowed(conditions)
        return [conflict_of(row) for row in self._rows(statement, limit=limit, after_id=after_id, **given_ones)]

    def conflicts_of(self, entity_ids: Iterable[int], since: float = LONG_AGO) -> list[ConflictRow]:
        """Conflicts of these entities from a moment on, whatever their state, in the order in which they came."""
        return [conflict_of(row) for row in self._rows(OF_ENTITIES, ids=ids_of(entity_ids), since=since)]

    def conflict(self, id: int) -> ConflictRow:
        """One conflict. Raises NotFound."""
        rows = self._rows(ONE_CONFLICT, the_id=id)
        if not rows:
            raise NotFound(f"there is no conflict {id}", where=f"conflict {id}")
        return conflict_of(rows[0])

    def close_conflict(
        self, id: int, decided_by: str, winner: Json, winner_link: int | None = None, note: str = ""
    ) -> bool:
        """A person or a ruling decided. False: it was closed already (or never there)."""
        row = as_new(decided_by=decided_by, winner=encode(winner), winner_link=winner_link, note=note)
        return self._run(CLOSE, the_id=id, **row) == 1

    def put_conflicts(self, rows: Sequence[ConflictRow]) -> None:
        """These conflicts are again just so, open or not. At most one may be open per entity and field."""
        self._update(CHANGED_CONFLICTS, [(*_changing(row), row.id) for row in rows])

    def count_conflicts(self) -> dict[tuple[str, str], int]:
        """(kind, state) -> how many."""
        return {(row[0], row[1]): row[2] for row in self._rows(COUNTS)}

    def count_open_conflicts(self) -> int:
        """How many wait for a person; counted from their own index, however many were decided."""
        return int(self._rows(COUNT_OPEN)[0][0])

    # Rulings

    def rulings(self, entity_ids: Iterable[int]) -> dict[int, dict[str, RulingRow]]:
        """Entity -> field -> the newest ruling made on it; entities without any are left out."""
        found: dict[int, dict[str, RulingRow]] = defaultdict(dict)
        for row in self._rows(RULINGS, ids=ids_of(entity_ids)):
            found[row[1]][row[2]] = RulingRow(
                id=row[0], entity_id=row[1], field=row[2], value=decode(row[3]), version=row[4], by=row[5], at=row[6],
                note=row[7],
            )  # fmt: skip
        return dict(found)

    def add_ruling(self, row: RulingRow) -> int:
        """Keeps a ruling; gives its id. Older ones on the same field stay, as history."""
        self._run(
            ADD_RULING,
            **as_new(
                id=row.id, entity_id=row.entity_id, field=row.field, value=encode(row.value), version=row.version,
                by=row.by, at=row.at, note=row.note,
            ),
        )  # fmt: skip
        return row.id


def _changing(row: ConflictRow) -> Row:
    return (
        str(row.kind), encode(list(row.candidates)), row.digest, encode(row.winner), row.winner_link, row.decided_by,
        row.state, row.at, row.version, row.run_id, checked(row.note),
    )  # fmt: skip


def conflict_of(row: Row) -> ConflictRow:
    return ConflictRow(
        id=row[0], entity_id=row[1], field=row[2], kind=row[3], candidates=decode(row[4]), digest=row[5],
        winner=decode(row[6]), winner_link=row[7], decided_by=row[8], state=row[9], at=row[10], version=row[11],
        run_id=row[12], note=row[13],
    )  # fmt: skip
