"""`hub sync` as one call: run, issue what is owed, and say how it ended in terms of what a person must do next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.app.context import Hub
from hub.app.firings import do_due
from hub.app.reward_milestones import settle_milestones
from hub.app.reward_orders import issue_due
from hub.app.reward_wallet import look_after_orders
from hub.app.runs import ConnectionRun, Watch, connection_of, sync, unwatched
from hub.app.trigger_clock import look_at_clock
from hub.errors import HubError
from hub.model import Json
from hub.runtime.log import logger
from hub.runtime.process import owner_name
from hub.store import Tx

REWARDS = "rewards"  # as a stream of a run's counts
COLUMNS = [
    "connection", "status", "read", "new", "changed", "created", "updated", "failed", "quarantined", "rewards",
    "calls", "run", "error",
]  # fmt: skip
# Codes of quarantine rows that nobody has to look at.
MENDS_ITSELF = ("REF-WAITS", "MAP-PARENT-NONE", "MAP-OUT-SKIPPED")


class Waiting(NamedTuple):
    """How much waits for a person."""

    conflicts: int
    holds: int
    quarantine: int
    plans: int = 0  # that wait for approval

    def __str__(self) -> str:
        found = f"waits for a person: {self.conflicts} conflicts, {self.holds} holds, {self.quarantine} in quarantine"
        return f"{found}, {self.plans} plans" if self.plans else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a sync ended."""

    runs: list[ConnectionRun]
    skipped: list[str]  # connections that another run holds
    waiting: Waiting
    rows: list[dict[str, Json]] = field(default_factory=list)  # one per connection, for people

    @property
    def exit_code(self) -> int:
        """0 all well, 1 something failed or was skipped, 3 rows need a person."""
        if self.skipped or any(run.status == "failed" for run in self.runs):
            return 1
        return 3 if any(self.waiting) or any(run.status != "success" for run in self.runs) else 0


def sync_now(
    hub: Hub,
    names: Iterable[str] | None = None,
    *,
    owner: str = "",
    kind: str = "sync",
    pull: bool = True,
    only: Mapping[str, Collection[str]] | None = None,
    watch: Watch = unwatched,
) -> Outcome:
    """Sync connections once, rewards included.

    Args:
        names: connections; None or none for all.
        owner: of the leases; this process unless given.
        kind, pull, only, watch: as in `hub.app.runs.sync`.

    Raises:
        NotFound: there is no connection of that name.
    """
    wanted = list(names or hub.connections)
    for name in wanted:
        connection_of(hub, name)
    runs = sync(
        hub, wanted, owner=owner or owner_name(), kind=kind, pull=pull, only=only, watch=watch, finish=issue_rewards
    )
    look_at_clock(hub)
    do_due(hub)
    began = {run.connection for run in runs}
    with hub.store.reading() as tx:
        waiting = count_waiting(tx)
    skipped = [name for name in wanted if name not in began]
    rows = [row_of(run) for run in runs] + [_skipped_row(name) for name in skipped]
    return Outcome(runs=runs, skipped=skipped, waiting=waiting, rows=rows)


def issue_rewards(hub: Hub, runs: Mapping[str, ConnectionRun]) -> None:
    """Decide milestones; place the orders that are due at each connection that runs, whose trouble is its own."""
    try:
        settle_milestones(hub)
    except HubError as error:
        logger("rewards").warning("milestones are not decided", code=error.code, error=str(error))
    for name, run in runs.items():
        if run.error:
            continue
        try:
            counts = issue_due(hub, name, run_id=run.run_id)
            if counts["rewards_issued"]:
                look_after_orders(hub, hub.connections[name])
        except HubError as error:
            run.error, run.code = str(error), error.code
            continue
        if counts:
            run.add(REWARDS, "out", counts)


def count_waiting(tx: Tx) -> Waiting:
    """What waits for a person in the whole hub."""
    asking = sum(n for (code, _), n in tx.count_codes().items() if code not in MENDS_ITSELF)
    return Waiting(tx.count_open_conflicts(), len(tx.open_holds()), asking, len(tx.plans(state="waiting")))


def row_of(run: ConnectionRun) -> dict[str, Json]:
    """One line of the table at the end of a sync."""
    counts = run.counts
    return {
        "connection": run.connection, "status": run.status, "read": counts["rows"], "new": counts["new"],
        "changed": counts["changed"], "created": counts["created"], "updated": counts["updated"],
        "failed": counts["failed"], "quarantined": counts["quarantined"] + counts["faulty_cells"],
        "rewards": counts["rewards_issued"], "calls": counts["calls"], "run": run.run_id, "error": run.error,
    }  # fmt: skip


def _skipped_row(name: str) -> dict[str, Json]:
    numbers = ("read", "new", "changed", "created", "updated", "failed", "quarantined", "rewards", "calls")
    error = "RUN-BUSY: another run holds this connection (wait for it, or see: hub runs list)"
    return {"connection": name, "status": "skipped", **dict.fromkeys(numbers, 0), "run": None, "error": error}
