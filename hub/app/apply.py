"""`hub apply`: a plan that somebody looked at is carried out: exactly its writes, each once, none that drifted.

The plan is registered before anything leaves, under its digest, with the runs that carry it out. So applying it again
goes on where it stopped, or says that there is nothing left to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import orjson

from hub.app.carry import Carried, Maker, carry_out
from hub.app.context import Connection, Hub, connection_of
from hub.app.planned import SYNC, Dict, Plan, read_plan
from hub.app.proposals import APPLIED, APPROVED, MADE, REJECTED, WAITING, begin_carrying, maker_of, new_row
from hub.app.runs import ConnectionRun, Watch, sync, unwatched
from hub.app.transact import commit
from hub.errors import ConfigFault, Drifted, Fault, NeedsReview
from hub.model import Json
from hub.runtime.process import owner_name
from hub.store import Tx
from hub.store.rows import PlanRow

COLUMNS = ["connection", "status", "created", "updated", "removed", "already", "pending", "refused", "run", "error"]
REFUSED_COLUMNS = ["connection", "stream", "op", "entity", "external_id", "code", "reason"]


@dataclass(slots=True, kw_only=True)
class Applied:
    """How it ended."""

    plan: int | None  # its number in the store; None: there was nothing to write
    digest: str
    before: bool = False  # it had been carried out to its end before: nothing was done
    runs: list[ConnectionRun] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # connections that another run holds
    carried: dict[str, Carried] = field(default_factory=dict)  # by connection

    @property
    def refused(self) -> list[Json]:
        return [row for each in self.carried.values() for row in each.refused]

    @property
    def pending(self) -> list[Json]:
        return [row for each in self.carried.values() for row in each.pending]

    @property
    def written(self) -> int:
        return sum(each.written.total() for each in self.carried.values())

    @property
    def exit_code(self) -> int:
        """0 all written, 1 something failed or was skipped, 3 records need a person: they drifted or wait."""
        if self.skipped or any(run.status == "failed" for run in self.runs):
            return 1
        return 3 if self.refused or self.pending else 0

    def rows(self) -> list[Dict]:
        """One per connection."""
        found = []
        for run in self.runs:
            mine = self.carried.get(run.connection, Carried())
            found.append(
                {
                    "connection": run.connection, "status": run.status, "created": mine.written["create"],
                    "updated": mine.written["update"], "removed": mine.written["archive"] + mine.written["delete"],
                    "already": mine.already, "pending": len(mine.pending), "refused": len(mine.refused),
                    "run": run.run_id, "error": run.error,
                }
            )  # fmt: skip
        skipped = {"status": "skipped", "error": "RUN-BUSY: another run holds this connection (wait for it)"}
        return found + [{"connection": name, **skipped} for name in self.skipped]

    def document(self) -> Dict:
        """For `--json`."""
        return {
            "plan": self.plan, "digest": self.digest, "applied_before": self.before, "written": self.written,
            "connections": self.rows(), "refused": self.refused, "pending": self.pending,
        }  # fmt: skip

    def __str__(self) -> str:
        if self.before:
            return "this plan was applied before: nothing was written"
        already = sum(each.already for each in self.carried.values())
        return (
            f"{self.written} written, {already} were there already, "
            f"{len(self.refused)} refused, {len(self.pending)} may still be written by applying the plan again"
        )


def load_file(path: Path) -> Json:
    """A plan's document out of its file.

    Raises:
        ConfigFault: there is no such file, or it is no JSON (PLAN-FILE).
    """
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        message = f"the plan cannot be read: {error.strerror}"
    except orjson.JSONDecodeError:
        message = "this is no JSON"
    raise ConfigFault(
        [Fault(code="PLAN-FILE", where=str(path), message=message, fix="make one: hub plan -o plan.json")]
    )


def apply(
    hub: Hub,
    document: Json,
    *,
    by: str,
    approve: bool = False,
    watch: Watch = unwatched,
    owner: str = "",
    where: str = "plan",
) -> Applied:
    """Carry a plan out.

    Args:
        document: as `hub plan` made it.
        by: who applies it.
        approve: let through what a guard would keep back.
        where: what to call the plan in messages.

    Raises:
        ConfigFault: it is no plan, or was changed (PLAN-FILE, PLAN-DIGEST, PLAN-HUB).
        NeedsReview: a guard would keep some of it back (PLAN-HELD). Nothing was written.
        Drifted: it was rejected (PLAN-REJECTED).
        NotFound: a connection of it does not exist any more.
    """
    plan = read_plan(document, instance=hub.instance, where=where)
    names = list(dict.fromkeys(write.connection for write in plan.writes))
    for name in names:
        connection_of(hub, name)
    if not plan.writes:
        return Applied(plan=None, digest=plan.digest)
    row = commit(hub, lambda tx: _register(hub, tx, plan, document, by=by, approve=approve, where=where))
    done = Applied(plan=row.id, digest=plan.digest, before=row.state == APPLIED)
    if done.before:
        return done
    plan = replace(plan, id=row.id)
    writer = partial(_write, plan=plan, maker=maker_of(hub, plan), done=done)
    done.runs = sync(
        hub, names, owner=owner or owner_name(), kind="apply" if plan.kind == SYNC else plan.kind, pull=False,
        write=writer, watch=watch,
    )  # fmt: skip
    began = {run.connection for run in done.runs}
    done.skipped = [name for name in names if name not in began]
    unfinished = done.pending or done.skipped or any(run.error for run in done.runs)
    outcome = {name: each.document() for name, each in done.carried.items()}
    commit(hub, lambda tx: tx.end_plan(row.id, state=APPROVED if unfinished else APPLIED, outcome=outcome))
    return done


def _register(hub: Hub, tx: Tx, plan: Plan, document: Json, *, by: str, approve: bool, where: str) -> PlanRow:
    """The stored plan of this content, approved; or a new one."""
    known = tx.plan_of_digest(plan.digest)
    if known is not None and known.state in (APPLIED, APPROVED):
        return known
    if known is not None and known.state == REJECTED:
        raise Drifted(
            f"this plan was rejected by {known.decided_by}", code="PLAN-REJECTED", where=where, fix="make another"
        )
    guarded = sum(1 for write in plan.writes if write.guard)
    if guarded and not approve:
        raise NeedsReview(
            f"a guard keeps back {guarded} of its {len(plan.writes)} writes; nothing was written", code="PLAN-HELD",
            where=where, fix="look at the plan; if it is right: hub apply --approve",
        )  # fmt: skip
    tx.audit(by, "plan applied", where, "", plan.digest, hub.clock.now())
    if known is not None and known.state in (WAITING, MADE):
        tx.decide_plan(known.id, was=known.state, state=APPROVED, at=hub.clock.now(), by=by)
        return replace(known, state=APPROVED)
    named = {write.connection for write in plan.writes}
    connection = named.pop() if len(named) == 1 else ""
    stored = {key: value for key, value in document.items() if key != "changes"}
    row = new_row(hub, tx, stored, state=APPROVED, connection=connection, by=by)
    tx.add_plan(row)
    return row


def _write(
    hub: Hub, connection: Connection, run: ConnectionRun, watch: Watch, *, plan: Plan, maker: Maker, done: Applied
) -> None:
    """The plan's writes to one connection, once per run."""
    if connection.name in done.carried:
        return
    connection.require()
    carried = done.carried[connection.name] = Carried()
    stored = commit(hub, lambda tx: begin_carrying(hub, tx, plan.id or 0, run.run_id))
    try:
        carry_out(
            hub, connection, replace(plan, carried_by=stored.carried_by), maker, run_id=run.run_id, carried=carried,
            progress=lambda stream, rows: watch(connection.name, "push", stream, rows),
        )  # fmt: skip
    finally:
        run.take(carried)
