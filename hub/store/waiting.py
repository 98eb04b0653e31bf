"""Rows that wait to be mended or released: quarantine and holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Integer, Text, bindparam, delete, func, literal_column, select, update
from sqlalchemy.sql import Executable

from hub.errors import NotFound
from hub.model import HoldRow, QuarantineRow
from hub.store.codec import decode, encode, legible, shortened
from hub.store.databases import Row
from hub.store.listing import Listing
from hub.store.session import Session, ids_of
from hub.store.statements import Dialect, Statement, as_new, given, table, word

QUARANTINE, HOLD, ITEM = table("quarantine"), table("hold"), table("hold_item")


def _add_quarantine(*, named: bool) -> Statement:
    """A cell is known by its record; that of a create that was refused, by its link."""

    def build(d: Dialect) -> Executable:
        new = d.upsert(QUARANTINE).values(given("quarantine"))
        place = ["connection", "stream", "external_id"] if named else ["link_id"]
        has_name = QUARANTINE.c.external_id != NO_ID if named else QUARANTINE.c.external_id == NO_ID
        names = ("code", "message", "fix", "value", "at", "run_id", "entity_id", "link_id")
        return new.on_conflict_do_update(
            index_elements=[*place, "field", "direction"],
            index_where=(QUARANTINE.c.state == word("open")) & has_name,
            set_={name: new.excluded[name] for name in names},
        )

    return Statement(build)


NO_ID: ColumnElement[str] = literal_column("''", Text())
ADD_QUARANTINE = {named: _add_quarantine(named=named) for named in (False, True)}
OPEN_CELLS = Statement(
    lambda d: select(QUARANTINE.c.id, QUARANTINE.c.external_id, QUARANTINE.c.field).where(
        QUARANTINE.c.state == word("open"),
        QUARANTINE.c.connection == bindparam("connection"),
        QUARANTINE.c.stream == bindparam("stream"),
        QUARANTINE.c.direction == bindparam("direction"),
        QUARANTINE.c.external_id != NO_ID,
        d.one_of(QUARANTINE.c.external_id, "external_ids"),
    )
)
OF_LINKS = Statement(
    lambda d: select(QUARANTINE.c.id).where(
        QUARANTINE.c.state == word("open"),
        QUARANTINE.c.direction == bindparam("direction"),
        d.one_of(QUARANTINE.c.link_id, "ids"),
    )
)
CLOSE = Statement(
    lambda d: (
        update(QUARANTINE)
        .where(d.one_of(QUARANTINE.c.id, "ids"), QUARANTINE.c.state == word("open"))
        .values(state=bindparam("new_state"))
    )
)
ONE_QUARANTINE = Statement(lambda d: select(QUARANTINE).where(QUARANTINE.c.id == bindparam("the_id")))
QUARANTINE_COUNTS = Statement(
    lambda d: (
        select(QUARANTINE.c.connection, QUARANTINE.c.direction, func.count())
        .where(QUARANTINE.c.state == bindparam("state"))
        .group_by(QUARANTINE.c.connection, QUARANTINE.c.direction)
    )
)

CHANGING_HOLD = ("count", "of", "state", "message", "ceiling", "at")
ADD_HOLD = Statement(lambda d: d.upsert(HOLD).values(given("hold")))
ONE_HOLD = Statement(lambda d: select(HOLD).where(HOLD.c.id == bindparam("the_id")))
CHANGE_HOLD = Statement(
    lambda d: (
        update(HOLD)
        .where(HOLD.c.id == bindparam("the_id"))
        .values(
            {name: func.coalesce(new, HOLD.c[name]) for name, new in given("hold").items() if name in CHANGING_HOLD}
        )
    )
)
OPEN_HOLD = Statement(
    lambda d: (
        d.locked(select(HOLD))
        .where(
            HOLD.c.state == word("open"),
            HOLD.c.connection == bindparam("connection"),
            HOLD.c.guard == bindparam("guard"),
            HOLD.c.stream == bindparam("stream"),
            HOLD.c.field == bindparam("field"),
        )
        .order_by(HOLD.c.id)
        .limit(1)
    )
)
ADD_ITEM = Statement(lambda d: d.upsert(ITEM).values(given("hold_item")).on_conflict_do_nothing())
HELD = Statement(
    lambda d: (
        select(ITEM.c.link_id, ITEM.c.field, ITEM.c.hold_id)
        .join(HOLD, HOLD.c.id == ITEM.c.hold_id)
        .where(d.one_of(ITEM.c.link_id, "ids"), HOLD.c.state == word("open"))
    )
)
ITEMS = Statement(
    lambda d: (
        select(ITEM.c.link_id, ITEM.c.field)
        .where(
            ITEM.c.hold_id == bindparam("the_hold"),
            (ITEM.c.link_id > bindparam("link_id"))
            | ((ITEM.c.link_id == bindparam("link_id")) & (ITEM.c.field > bindparam("field"))),
        )
        .order_by(ITEM.c.link_id, ITEM.c.field)
        .limit(bindparam("limit", type_=Integer()))
    )
)
DROP_ITEM = Statement(
    lambda d: delete(ITEM).where(
        ITEM.c.hold_id == bindparam("the_hold"),
        ITEM.c.link_id == bindparam("the_link"),
        ITEM.c.field == bindparam("the_field"),
    )
)
DROP_ITEMS = Statement(lambda d: delete(ITEM).where(ITEM.c.hold_id == bindparam("the_hold")))
QUARANTINES = Listing(QUARANTINE, "state", "connection", "stream", "direction", "code", "external_id", "run_id")
HOLDS = Listing(HOLD, "state", "connection", "stream", "guard", "run_id")


class Waiting(Session):
    """Quarantine: one open row per cell, by a unique index. Holds: what guards keep back, and which cells."""

    # Quarantine

    def add_quarantine(self, rows: Sequence[QuarantineRow]) -> None:
        """Keeps what could not be mapped, checked or written; the open row of the same cell is brought up to date.

        This is where broken text ends up, so none is refused here: what cannot be stored is replaced, ids of absurd
        length are shortened.
        """
        ids = iter(self.reserve_ids("quarantine", len(rows)) if rows else ())
        written = [
            as_new(
                id=next(ids), connection=row.connection, stream=row.stream, external_id=shortened(row.external_id),
                field=shortened(row.field), direction=row.direction, code=row.code, message=legible(row.message),
                fix=legible(row.fix), value=encode(legible(row.value)), at=row.at, run_id=row.run_id,
                entity_id=row.entity_id, link_id=row.link_id,
                state="open",
            )
            for row in rows
        ]  # fmt: skip
        for named, statement in ADD_QUARANTINE.items():
            self._many(statement, [row for row in written if (row["new_external_id"] != "") == named])

    def mend_quarantine(
        self, connection: str, stream: str, direction: str, cells: Mapping[str, Collection[str]]
    ) -> int:
        """External id -> fields that are well now: their open rows are mended; tells how many there were."""
        named = {shortened(external_id) for external_id in cells}
        if not named:
            return 0
        rows = self._rows(
            OPEN_CELLS, connection=connection, stream=stream, direction=direction, external_ids=list(named)
        )
        if not rows:
            return 0
        well = {(shortened(external_id), shortened(field)) for external_id in cells for field in cells[external_id]}
        return self.close_quarantine([row[0] for row in rows if (row[1], row[2]) in well])

    def quarantined_cells(
        self, connection: str, stream: str, direction: str, external_ids: Iterable[str]
    ) -> set[tuple[str, str]]:
        """(external id, field) of the open rows of these records; "" stands for the whole record."""
        named = list({shortened(each) for each in external_ids})
        if not named:
            return set()
        rows = self._rows(
            OPEN_CELLS, connection=connection, stream=stream, direction=direction, external_ids=named
        )  # fmt: skip
        return {(row[1], row[2]) for row in rows}

    def mend_links(self, link_ids: Iterable[int], direction: str = "out") -> int:
        """All open rows of these links are mended: what was refused went through, or is no longer wanted."""
        rows = self._rows(OF_LINKS, ids=ids_of(link_ids), direction=direction)
        return self.close_quarantine([row[0] for row in rows])

    def close_quarantine(self, ids: Iterable[int], state: str = "mended") -> int:
        """Ends open rows as mended or dropped; tells how many were open."""
        wanted = ids_of(ids)
        return self._run(CLOSE, ids=wanted, new_state=state) if wanted else 0

    def quarantine(
        self,
        state: str | None = "open",
        connection: str | None = None,
        limit: int = 500,
        after_id: int = 0,
        *,
        stream: str | None = None,
        direction: str | None = None,
        code: str | None = None,
        external_id: str | None = None,
        run_id: int | None = None,
    ) -> list[QuarantineRow]:
        """Rows in the order in which they came; None asks for any."""
        conditions = {
            "state": state, "connection": connection, "stream": stream, "direction": direction, "code": code,
            "external_id": external_id, "run_id": run_id,
        }  # fmt: skip
        statement, chosen = QUARANTINES.narrowed(conditions)
        return [_quarantine(row) for row in self._rows(statement, limit=limit, after_id=after_id, **chosen)]

    def quarantine_row(self, id: int) -> QuarantineRow:
        """One row. Raises NotFound."""
        rows = self._rows(ONE_QUARANTINE, the_id=id)
        if not rows:
            raise NotFound(f"there is no quarantine row {id}", where=f"quarantine {id}")
        return _quarantine(rows[0])

    def count_quarantine(self, state: str = "open") -> dict[tuple[str, str], int]:
        """(connection, direction) -> how many rows."""
        return {(row[0], row[1]): row[2] for row in self._rows(QUARANTINE_COUNTS, state=state)}

    # Holds

    def open_holds(self, connection: str | None = None) -> list[HoldRow]:
        """Holds that wait for a person."""
        return self.holds(state="open", connection=connection)

    def holds(
        self,
        state: str | None = None,
        connection: str | None = None,
        guard: str | None = None,
        run_id: int | None = None,
        limit: int = 500,
        after_id: int = 0,
        stream: str | None = None,
    ) -> list[HoldRow]:
        """Holds in the order in which they came; None asks for any."""
        statement, chosen = HOLDS.narrowed(
            {"state": state, "connection": connection, "guard": guard, "run_id": run_id, "stream": stream}
        )
        return [_hold(row) for row in self._rows(statement, limit=limit, after_id=after_id, **chosen)]

    def hold(self, id: int) -> HoldRow:
        """One hold. Raises NotFound."""
        rows = self._rows(ONE_HOLD, the_id=id)
        if not rows:
            raise NotFound(f"there is no hold {id}", where=f"hold {id}")
        return _hold(rows[0])

    def add_hold(self, row: HoldRow) -> int:
        """Keeps a hold under the id it brings (`reserve_ids("hold", 1)`); gives that id."""
        self._run(
            ADD_HOLD,
            **as_new(
                id=row.id, guard=row.guard, connection=row.connection, stream=row.stream, field=row.field,
                count=row.count, of=row.of, state=row.state, message=row.message, at=row.at, run_id=row.run_id,
                ceiling=row.ceiling,
            ),
        )  # fmt: skip
        return row.id

    def join_hold(
        self,
        *,
        guard: str,
        connection: str,
        stream: str,
        field: str,
        count: int,
        of: int,
        at: float,
        run_id: int | None,
        message: str,
    ) -> int:
        """Adds to the open hold of this guard, connection, stream and field, or opens one; gives its id."""
        found = self._rows(OPEN_HOLD, connection=connection, guard=guard, stream=stream, field=field)
        if found:
            hold = _hold(found[0])
            self.update_hold(hold.id, count=hold.count + count, of=of, message=message, at=at)
            return hold.id
        return self.add_hold(
            HoldRow(
                id=self.reserve_ids("hold", 1)[0], guard=guard, connection=connection, stream=stream, field=field,
                count=count, of=of, state="open", message=message, at=at, run_id=run_id,
            )
        )  # fmt: skip

    def update_hold(
        self,
        id: int,
        *,
        count: int | None = None,
        of: int | None = None,
        state: str | None = None,
        ceiling: int | None = None,
        message: str | None = None,
        at: float | None = None,
    ) -> None:
        """Changes what is given, leaves the rest. Raises NotFound."""
        row = as_new(count=count, of=of, state=state, message=message, ceiling=ceiling, at=at)
        if not self._run(CHANGE_HOLD, the_id=id, **row):
            raise NotFound(f"there is no hold {id}", where=f"hold {id}")

    def add_hold_items(self, hold_id: int, cells: Iterable[tuple[int, str]]) -> None:
        """(link id, field) of cells that the hold keeps back; "" stands for the whole record."""
        wanted = sorted(set(cells))
        self._many(ADD_ITEM, [as_new(hold_id=hold_id, link_id=link_id, field=field) for link_id, field in wanted])

    def held_items(self, link_ids: Iterable[int]) -> dict[int, set[tuple[str, int]]]:
        """Link id -> {(field, hold id)} that open holds keep back; links without any are left out."""
        found: dict[int, set[tuple[str, int]]] = defaultdict(set)
        wanted = ids_of(link_ids)
        for link_id, field, hold_id in self._rows(HELD, ids=wanted) if wanted else ():
            found[link_id].add((field, hold_id))
        return dict(found)

    def hold_items(self, hold_id: int, limit: int = 500, after: tuple[int, str] = (0, "")) -> list[tuple[int, str]]:
        """(link id, field) that a hold keeps back, in that order; `after` is the last one of the page before."""
        rows = self._rows(ITEMS, the_hold=hold_id, limit=limit, link_id=after[0], field=after[1])
        return [(row[0], row[1]) for row in rows]

    def drop_hold_items(self, hold_id: int, cells: Iterable[tuple[int, str]] | None = None) -> int:
        """Forgets cells of a hold, or all of them; tells how many there were."""
        if cells is None:
            return self._run(DROP_ITEMS, the_hold=hold_id)
        return sum(self._run(DROP_ITEM, the_hold=hold_id, the_link=link, the_field=field) for link, field in set(cells))


def _quarantine(row: Row) -> QuarantineRow:
    return QuarantineRow(
        id=row[0], connection=row[1], stream=row[2], external_id=row[3], field=row[4], direction=row[5], code=row[6],
        message=row[7], fix=row[8], value=decode(row[9]), at=row[10], run_id=row[11], entity_id=row[12],
        link_id=row[13], state=row[14],
    )  # fmt: skip


def _hold(row: Row) -> HoldRow:
    return HoldRow(
        id=row[0], guard=row[1], connection=row[2], stream=row[3], field=row[4], count=row[5], of=row[6],
        state=row[7], message=row[8], at=row[9], run_id=row[10], ceiling=row[11],
    )  # fmt: skip
