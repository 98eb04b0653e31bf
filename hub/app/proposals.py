"""Modes that ask: what a sync would write becomes a plan that waits for a person, whose approval is a ceiling.

`propose`: nothing leaves before its plan is approved. `canary`: the first records of a sync leave at once, unless a
plan waits or the last one was rejected; the rest asks. At most one plan of a connection waits: a sync whose plan is
another supersedes it, one whose plan is the same leaves it, and one whose plan was rejected does not ask again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from hub.app.carry import Carried, DueMaker, Maker, carry_out
from hub.app.context import Connection, Hub
from hub.app.due import Sheet, sheets_of
from hub.app.listings import Dict, iso
from hub.app.plan_choice import Chosen, part_of
from hub.app.plan_document import document_of
from hub.app.plan_pages import parts_of
from hub.app.planned import SYNC, UNDO, Plan, PlannedWrite, changes_of, packed, read_plan, unpacked
from hub.app.transact import commit
from hub.app.undo_maker import UndoMaker
from hub.errors import Drifted
from hub.store import Tx
from hub.store.rows import PlanRow

WAITING, APPROVED, APPLIED, REJECTED, SUPERSEDED = "waiting", "approved", "applied", "rejected", "superseded"
MADE = "made"  # somebody asked what would be written; nobody is asked to decide, and no sync makes its writes
BY_SYNC = "sync"
HEAD = ("plan", "kind", "state", "connection", "made_at", "made_by", "decided_at", "decided_by", "note", "runs")
COLUMNS = [
    "plan", "connection", "kind", "state", "creates", "updates", "removes", "fields", "held", "calls", "minutes",
    "made_at", "decided_by",
]  # fmt: skip
PAGE = 500

Progress = Callable[[str, int], None]


# In a sync


def write_approved(
    hub: Hub, connection: Connection, *, run_id: int, free: int, progress: Progress
) -> tuple[Carried, int]:
    """Carry out what was approved for this connection; gives also how many records of `free` went unasked."""
    total = Carried()
    with hub.store.reading() as tx:
        approved = tx.plans(state=APPROVED, connection=connection.name)
    for row in approved:
        carry_stored(hub, connection, row.id, run_id=run_id, carried=total, progress=progress)
    if connection.mode != "canary" or free <= 0 or not _may_go_first(hub, connection):
        return total, 0
    due = [write for sheet in sheets_of(hub, connection, missing=False) for write in sheet.writes if not write.guard]
    plan = Plan(
        digest="", kind=SYNC, writes=due[:free], mapping_versions={connection.name: connection.mapping_version}
    )  # fmt: skip
    before = total.written.total()
    carry_out(hub, connection, plan, DueMaker(), run_id=run_id, carried=total, progress=progress)
    return total, total.written.total() - before


def _may_go_first(hub: Hub, connection: Connection) -> bool:
    with hub.store.reading() as tx:
        waiting = tx.plans(state=WAITING, connection=connection.name, limit=1)
        last = tx.last_decided_plan(connection.name)
    return not waiting and (last is None or last.state != REJECTED)


def carry_stored(
    hub: Hub, connection: Connection, plan_id: int, *, run_id: int, carried: Carried, progress: Progress
) -> None:
    """Make the writes of an approved plan; it is applied when nothing of it may still be written."""
    mine = Carried()
    plan = commit(hub, lambda tx: begin_carrying(hub, tx, plan_id, run_id))
    try:
        carry_out(hub, connection, plan, maker_of(hub, plan), run_id=run_id, carried=mine, progress=progress)
    finally:
        carried.join(mine)
    state = APPROVED if mine.pending else APPLIED
    commit(hub, lambda tx: tx.end_plan(plan_id, state=state, outcome=mine.document()))


def maker_of(hub: Hub, plan: Plan) -> Maker:
    """What a plan is compared with when it is carried out."""
    if plan.kind == UNDO:
        return UndoMaker(hub, plan.runs, delete_created=plan.delete_created)
    return DueMaker()


def begin_carrying(hub: Hub, tx: Tx, plan_id: int, run_id: int) -> Plan:
    """The plan, with this run on record as one that carries it out: before anything leaves."""
    tx.add_plan_run(plan_id, run_id)
    row = tx.plan(plan_id)
    plan = read_plan(unpacked(row.content), instance=hub.instance, where=f"plan {plan_id}")
    return replace(plan, id=plan_id, carried_by=row.runs)


def propose_rest(hub: Hub, connection: Connection) -> int:
    """What is still due becomes the plan that waits, if it is not that already; gives how many writes wait."""
    with hub.store.reading() as tx:
        under_way = {
            write.key
            for row in tx.plans(state=APPROVED, connection=connection.name)
            for write in read_plan(unpacked(tx.plan(row.id).content), instance=hub.instance, where="").writes
        }
    sheets = [_without(sheet, under_way) for sheet in sheets_of(hub, connection, missing=False)]
    document = document_of(hub, [connection], sheets)
    return commit(hub, lambda tx: _keep(hub, tx, connection, document))


def withdraw(hub: Hub, connection: Connection) -> None:
    """In a mode that does not ask, nothing waits for approval any more."""
    with hub.store.reading() as tx:
        waiting = tx.plans(state=WAITING, connection=connection.name)
    for row in waiting:
        commit(hub, partial(_supersede, hub, row.id))


def _supersede(hub: Hub, plan_id: int, tx: Tx) -> None:
    tx.decide_plan(plan_id, was=WAITING, state=SUPERSEDED, at=hub.clock.now(), by=BY_SYNC)


def _without(sheet: Sheet, keys: set[tuple[str, str, int, str]]) -> Sheet:
    return replace(sheet, writes=[write for write in sheet.writes if write.key not in keys])


def _keep(hub: Hub, tx: Tx, connection: Connection, document: Dict) -> int:
    waiting = tx.plans(state=WAITING, connection=connection.name)
    count, digest = len(document["writes"]), document["digest"]
    if count and waiting and waiting[0].digest == digest:
        return count
    for row in waiting:
        _supersede(hub, row.id, tx)
    last = tx.last_decided_plan(connection.name)
    if not count or (last is not None and last.state == REJECTED and last.digest == digest):
        return 0
    tx.add_plan(new_row(hub, tx, document, state=WAITING, connection=connection.name, by=BY_SYNC))
    return count


def new_row(hub: Hub, tx: Tx, document: Dict, *, state: str, connection: str, by: str) -> PlanRow:
    """A plan as the store keeps it."""
    now = hub.clock.now()
    return PlanRow(
        id=tx.reserve_ids("plan", 1)[0], digest=document["digest"], kind=document["kind"], state=state,
        connection=connection, made_at=now, made_by=by, decided_at=now if state == APPROVED else None,
        decided_by=by if state == APPROVED else "", summary=document["connections"], content=packed(document),
        parts=parts_of(document),
    )  # fmt: skip


# By people


def approve_plan(hub: Hub, plan_id: int, *, by: str, note: str = "") -> Dict:
    """Let exactly these writes go; the next sync makes them.

    Raises:
        NotFound: no such plan. Drifted: it was decided or superseded already.
    """
    return _decide(hub, plan_id, APPROVED, by=by, note=note)


def reject_plan(hub: Hub, plan_id: int, *, by: str, note: str = "") -> Dict:
    """Make none of these writes, and do not ask for just them again.

    Raises:
        NotFound: no such plan. Drifted: it was decided or superseded already.
    """
    return _decide(hub, plan_id, REJECTED, by=by, note=note)


def _decide(hub: Hub, plan_id: int, state: str, *, by: str, note: str) -> Dict:
    def decide(tx: Tx) -> Dict:
        row = tx.plan_head(plan_id)
        was = MADE if row.state == MADE and state == REJECTED else WAITING
        if not tx.decide_plan(plan_id, was=was, state=state, at=hub.clock.now(), by=by, note=note):
            raise _decided(tx, plan_id)
        tx.audit(by, f"plan {state}", f"plan {plan_id}", was, row.digest, hub.clock.now())
        return plan_line(tx.plan_head(plan_id))

    return commit(hub, decide)


def _decided(tx: Tx, plan_id: int) -> Drifted:
    return Drifted(
        f"this plan was {tx.plan_head(plan_id).state} already", code="PLAN-DECIDED", where=f"plan {plan_id}",
        fix="look at what waits now: hub plans list",
    )  # fmt: skip


def approve_some(hub: Hub, plan_id: int, chosen: Chosen, *, by: str, note: str = "") -> Dict:
    """Let some writes of a waiting plan go, or some of their fields.

    They become an approved plan of their own, and the old one is superseded. The next sync makes
    them; what is still due then is proposed anew.

    Raises:
        NotFound: no such plan. Drifted: it was decided or superseded already, or nothing chosen is as it was planned.
        NeedsReview: nothing was chosen, or single fields of an undo.
    """
    with hub.store.reading() as tx:
        whole = tx.plan(plan_id)
    document = part_of(hub, unpacked(whole.content), chosen)

    def decide(tx: Tx) -> Dict:
        row = new_row(hub, tx, document, state=APPROVED, connection=whole.connection, by=by)
        told = f"approved in part, as plan {row.id}"
        if not tx.decide_plan(plan_id, was=WAITING, state=SUPERSEDED, at=hub.clock.now(), by=by, note=told):
            raise _decided(tx, plan_id)
        tx.add_plan(replace(row, note=note))
        tx.audit(by, "plan approved", f"plan {row.id}", f"part of plan {plan_id}", row.digest, hub.clock.now())
        return plan_line(tx.plan_head(row.id))

    return commit(hub, decide)


def keep_made(hub: Hub, document: Dict, *, by: str) -> int:
    """Keep a plan that somebody asked for, to be looked at; those asked for before it are over. Gives its number."""
    names = {row["connection"] for row in document["connections"]}
    connection = names.pop() if len(names) == 1 else ""

    def keep(tx: Tx) -> int:
        for row in tx.plans(state=MADE, kind=document["kind"]):
            tx.decide_plan(row.id, was=MADE, state=SUPERSEDED, at=hub.clock.now(), by=by)
        tx.audit(by, "plan made", document["kind"], None, document["digest"], hub.clock.now())
        return tx.add_plan(new_row(hub, tx, document, state=MADE, connection=connection, by=by))

    return commit(hub, keep)


def list_plans(hub: Hub, *, state: str | None = WAITING, connection: str | None = None) -> list[Dict]:
    """Stored plans, oldest first; None for all states."""
    rows: list[Dict] = []
    after_id = 0
    with hub.store.reading() as tx:
        while found := tx.plans(state=state, connection=connection, limit=PAGE, after_id=after_id):
            rows += [plan_line(row) for row in found]
            after_id = found[-1].id
    return rows


def plans_now(hub: Hub, *, latest: int = 20) -> Dict:
    """What a person sees first: plans that wait, the newest that was made to be looked at, and what became of others.

    Each with its counts per connection, none with its writes.
    """
    with hub.store.reading() as tx:
        waiting, made = tx.plans(state=WAITING), tx.plans(state=MADE)
        known = {row.id for row in (*waiting, *made)}
        past = [row for row in tx.latest_plans(limit=latest + len(known)) if row.id not in known][:latest]
    return {
        "waiting": [_summed(row) for row in waiting], "made": [_summed(row) for row in made[::-1]],
        "past": [plan_line(row) for row in past],
    }  # fmt: skip


def _summed(row: PlanRow) -> Dict:
    return {**plan_line(row), "connections": list(row.summary or ())}


def show_plan(hub: Hub, plan_id: int) -> Dict:
    """One plan: what was decided, what became of it, its document, and "changes": one row per record and field.

    Raises:
        NotFound: no such plan.
    """
    with hub.store.reading() as tx:
        row = tx.plan(plan_id)
    document = unpacked(row.content)
    writes = [PlannedWrite.of(each) for each in document["writes"]]
    return {
        **plan_line(row),
        "note": row.note,
        "outcome": row.outcome,
        "document": document,
        "changes": changes_of(writes),
    }


def plan_line(row: PlanRow) -> Dict:
    """A plan in a list."""
    numbers = ("creates", "updates", "removes", "fields", "held", "calls", "minutes")
    return {
        "plan": row.id, "kind": row.kind, "state": row.state, "connection": row.connection, "made_at": iso(row.made_at),
        "made_by": row.made_by, "decided_at": iso(row.decided_at), "decided_by": row.decided_by,
        **{name: sum(each.get(name, 0) for each in row.summary or ()) for name in numbers},
        "runs": list(row.runs), "digest": row.digest,
    }  # fmt: skip
