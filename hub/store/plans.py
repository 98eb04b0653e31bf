"""Plans: the exact writes that wait for a person, and what was decided about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Float, Integer, bindparam, insert, select, update

from hub.errors import NotFound
from hub.model import Json
from hub.store.codec import checked, decode, encode
from hub.store.databases import Row
from hub.store.listing import Listing
from hub.store.rows import PlanPartRow, PlanRow
from hub.store.session import Session
from hub.store.statements import Statement, as_new, given, table, word

PLAN, PART = table("plan"), table("plan_part")
HEAD = [column for column in PLAN.columns if column.name != "content"]

ONE_PLAN = Statement(lambda d: select(PLAN).where(PLAN.c.id == bindparam("the_id")))
ONE_HEAD = Statement(lambda d: select(*HEAD).where(PLAN.c.id == bindparam("the_id")))
ADD_PART = Statement(lambda d: insert(PART).values(given("plan_part")))
PART_HEADS = Statement(
    lambda d: select(PART.c.part, PART.c.head).where(PART.c.plan_id == bindparam("the_plan")).order_by(PART.c.part)
)
ONE_PART = Statement(
    lambda d: select(PART.c.part, PART.c.head, PART.c.content).where(
        PART.c.plan_id == bindparam("the_plan"), PART.c.part == bindparam("the_part")
    )
)
BY_DIGEST = Statement(
    lambda d: select(*HEAD).where(PLAN.c.digest == bindparam("the_digest")).order_by(PLAN.c.id.desc()).limit(1)
)
LAST_DECIDED = Statement(
    lambda d: (
        select(*HEAD)
        .where(PLAN.c.connection == bindparam("connection"), PLAN.c.state.in_([word("rejected"), word("applied")]))
        .order_by(PLAN.c.id.desc())
        .limit(1)
    )
)
ADD_PLAN = Statement(lambda d: insert(PLAN).values(given("plan")))
DECIDE = Statement(
    lambda d: (
        update(PLAN)
        .where(PLAN.c.id == bindparam("the_id"), PLAN.c.state == bindparam("the_state"))
        .values(
            state=bindparam("new_state"),
            decided_at=bindparam("new_decided_at", type_=Float()),
            decided_by=bindparam("new_decided_by"),
            note=bindparam("new_note"),
        )
    )
)
ADD_RUN = Statement(lambda d: update(PLAN).where(PLAN.c.id == bindparam("the_id")).values(runs=bindparam("new_runs")))
END = Statement(
    lambda d: (
        update(PLAN)
        .where(PLAN.c.id == bindparam("the_id"))
        .values(state=bindparam("new_state"), outcome=bindparam("new_outcome"))
    )
)
LATEST = Statement(
    lambda d: (
        select(*HEAD)
        .where(PLAN.c.id < bindparam("before_id"))
        .order_by(PLAN.c.id.desc())
        .limit(bindparam("limit", type_=Integer()))
    )
)
PLANS = Listing(PLAN, "state", "connection", "kind", without=["content"])


class Plans(Session):
    """At most one plan of a connection waits, by a unique index."""

    def add_plan(self, row: PlanRow) -> int:
        """Keeps a plan under the id it brings (`reserve_ids("plan", 1)`); gives that id."""
        self._run(
            ADD_PLAN,
            **as_new(
                id=row.id, digest=row.digest, kind=row.kind, state=row.state, connection=row.connection,
                made_at=row.made_at, made_by=checked(row.made_by), decided_at=row.decided_at,
                decided_by=checked(row.decided_by), note=checked(row.note), summary=encode(row.summary),
                runs=encode(list(row.runs)), outcome=encode(row.outcome), content=row.content,
            ),
        )  # fmt: skip
        self._many(ADD_PART, parts_as_new(row))
        return row.id

    def plan_head(self, id: int) -> PlanRow:
        """One plan, without its document. Raises NotFound."""
        rows = self._rows(ONE_HEAD, the_id=id)
        if not rows:
            raise NotFound(f"there is no plan {id}", where=f"plan {id}")
        return _plan(rows[0])

    def plan_part_heads(self, id: int) -> dict[int, Json]:
        """Part -> what is in it; empty for plans that were kept whole."""
        return {row[0]: decode(row[1]) for row in self._rows(PART_HEADS, the_plan=id)}

    def plan_part(self, id: int, part: int) -> PlanPartRow | None:
        """One part of a plan."""
        rows = self._rows(ONE_PART, the_plan=id, the_part=part)
        return PlanPartRow(part=rows[0][0], head=decode(rows[0][1]), content=bytes(rows[0][2])) if rows else None

    def latest_plans(self, limit: int = 50, before_id: int = 2**62) -> list[PlanRow]:
        """Plans, the newest first, without their documents."""
        return [_plan(row) for row in self._rows(LATEST, limit=limit, before_id=before_id)]

    def plan(self, id: int) -> PlanRow:
        """One plan, with its document. Raises NotFound."""
        rows = self._rows(ONE_PLAN, the_id=id)
        if not rows:
            raise NotFound(f"there is no plan {id}", where=f"plan {id}")
        return _plan(rows[0])

    def plan_of_digest(self, digest: str) -> PlanRow | None:
        """The newest plan with this very content, without its document."""
        rows = self._rows(BY_DIGEST, the_digest=digest)
        return _plan(rows[0]) if rows else None

    def last_decided_plan(self, connection: str) -> PlanRow | None:
        """The newest plan of a connection that was rejected or carried out."""
        rows = self._rows(LAST_DECIDED, connection=connection)
        return _plan(rows[0]) if rows else None

    def plans(
        self,
        state: str | None = None,
        connection: str | None = None,
        kind: str | None = None,
        limit: int = 500,
        after_id: int = 0,
    ) -> list[PlanRow]:
        """Plans in the order in which they were made, without their documents."""
        statement, chosen = PLANS.narrowed({"state": state, "connection": connection, "kind": kind})
        return [_plan(row) for row in self._rows(statement, limit=limit, after_id=after_id, **chosen)]

    def decide_plan(self, id: int, *, was: str, state: str, at: float, by: str, note: str = "") -> bool:
        """Moves a plan on from the state it was seen in. False: somebody was faster."""
        row = as_new(state=state, decided_at=at, decided_by=checked(by), note=checked(note))
        return self._run(DECIDE, the_id=id, the_state=was, **row) == 1

    def add_plan_run(self, id: int, run_id: int) -> None:
        """One more run carries the plan out: its intents are the plan's."""
        runs = [*self.plan(id).runs]
        if run_id not in runs:
            self._run(ADD_RUN, the_id=id, **as_new(runs=encode([*runs, run_id])))

    def end_plan(self, id: int, *, state: str, outcome: Json) -> None:
        """What became of its writes; the state says whether anything of it may still be written."""
        self._run(END, the_id=id, **as_new(state=state, outcome=encode(outcome)))


def parts_as_new(row: PlanRow) -> list[dict[str, Any]]:
    """Arguments of ADD_PART."""
    return [as_new(plan_id=row.id, part=it.part, head=encode(it.head), content=it.content) for it in row.parts]


def _plan(row: Row) -> PlanRow:
    runs: Sequence[int] = decode(row[11])
    return PlanRow(
        id=row[0], digest=row[1], kind=row[2], state=row[3], connection=row[4], made_at=row[5], made_by=row[6],
        decided_at=row[7], decided_by=row[8], note=row[9], summary=decode(row[10]), runs=runs,
        outcome=decode(row[12]), content=row[13] if len(row) > 13 else b"",
    )  # fmt: skip
