"""One turn of one connection: what a slot asks for, or what has become due. Lanes and job queues both take turns here.

What is due is asked of the store, never of a message: a turn that was told of twice, or by nobody, does the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.app.context import Connection, Hub
from hub.app.notices import tell_people
from hub.app.pausing import pause_of
from hub.app.push import may_write
from hub.app.reconcile import is_due, reconcile
from hub.app.runs import Watch, unwatched
from hub.app.syncing import Outcome, Waiting, sync_now
from hub.app.transact import commit
from hub.core.rewards import GrantState
from hub.core.schedule import Rhythm, base_of, offset_of, rhythm_of, streams_due
from hub.errors import HubError
from hub.runtime.log import logger
from hub.store import Tx

MOVED = (
    *("created", "updated", "removed", "settled", "changed", "new", "hints_served", "rewards_issued", "deleted"),
    "restored",
)
MISSED_MOST = 500  # slots put on record for one outage of one connection
SLOTS_BACK = 200  # so many newest slots are searched for the last one that ran; beyond them every stream is due


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Turns of a hub's connections.

    Args:
        owner: of the leases.
        watch: told of progress; may raise to end a run at its page.
    """

    hub: Hub
    owner: str
    watch: Watch = unwatched

    def scheduled(self, name: str, slot: float) -> Outcome:
        """The run of a slot: streams due since the last one that ran. The slot's row says what became of it."""
        paused = pause_of(self.hub, name)
        if paused is not None:
            self.note_slot(name, slot, "skipped", f"paused by {paused['by']}")
            return Outcome(runs=[], skipped=[], waiting=Waiting(0, 0, 0))
        connection = self.hub.connections[name]
        offset = offset_of(name, base_of(connection.every_s))
        only = streams_due(connection.every_s, offset, self._last_ran(name), slot, connection.crons)
        outcome = sync_now(self.hub, [name], owner=self.owner, only={name: only}, watch=self.watch)
        if outcome.skipped:
            self.note_slot(name, slot, "skipped", "another process runs this connection")
        else:
            self.note_slot(name, slot, "ran", f"run {outcome.runs[0].run_id}: {outcome.runs[0].status}")
            self._sweep(connection)
        return self._ended(outcome)

    def _sweep(self, connection: Connection) -> None:
        """Once in its `sweep:`, compare the connection whole with what the hub believes, and repair what is found."""
        if connection.fault is not None or not is_due(self.hub, connection):
            return
        try:
            found = reconcile(self.hub, connection.name, repair=True, owner=self.owner, watch=self.watch)
        except HubError as error:  # another process has it just now: it is due still at the next slot
            logger("turns").warning("not compared", connection=connection.name, code=error.code)
            return
        log = logger("turns").warning if found["finds"] or found["error"] else logger("turns").info
        log("compared", connection=connection.name, found=len(found["finds"]), error=found["error"])

    def whole(self, name: str) -> Outcome:
        """A run that somebody asked for: every stream, paused or not."""
        return self._ended(sync_now(self.hub, [name], owner=self.owner, watch=self.watch))

    def follow(self, name: str) -> Outcome | None:
        """Serve hints, write, order what is due now; None if nothing is."""
        if not self.has_work(name):
            return None
        return self._ended(sync_now(self.hub, [name], owner=self.owner, kind="webhook", pull=False, watch=self.watch))

    def _ended(self, outcome: Outcome) -> Outcome:
        """People hear of what went wrong, and of what waits for them now."""
        _log_failures(outcome)
        tell_people(self.hub, owner=self.owner)
        return outcome

    def has_work(self, name: str) -> bool:
        """Hints to serve, links to write, or orders to place, now."""
        connection = self.hub.connections[name]
        if connection.fault is not None or pause_of(self.hub, name) is not None:
            return False
        now = self.hub.clock.now()
        with self.hub.store.reading() as tx:
            if any(tx.due_hints(name, now, 1, stream=source) for source in connection.in_order()):
                return True
            if connection.asks:
                return bool(tx.plans(state="approved", connection=connection.name, limit=1))
            return connection.writes and (_is_behind(tx, connection, now) or _owes(tx, connection, now))

    # Slots

    def rhythm(self, name: str) -> Rhythm:
        """When a connection is looked at."""
        connection = self.hub.connections[name]
        return rhythm_of(name, connection.every_s, connection.crons)

    def first_slot(self, name: str) -> float | None:
        """The slot to begin with, at once; None: it waits for the next one.

        On the grid the present one. By the calendar alone one that came while the hub was down: what is to run at six
        does not run at noon because somebody restarts the hub, or adds the connection, then.
        """
        newest = self.rhythm(name).newest(self.hub.clock.now())
        connection = self.hub.connections[name]
        if connection.every_s or not connection.crons:
            return newest
        with self.hub.store.reading() as tx:
            last = tx.last_slot(name)
        return newest if last is not None and last.due_at < newest else None

    def note_outage(self, name: str) -> None:
        """Slots between the last one on record and now came and went without the hub."""
        with self.hub.store.reading() as tx:
            last = tx.last_slot(name)
        if last is None:
            return
        rhythm, now = self.rhythm(name), self.hub.clock.now()
        current = rhythm.newest(now)
        for slot in rhythm.between(last.due_at, now, limit=MISSED_MOST):
            if slot < current:
                self.note_slot(name, slot, "missed", "the hub was not running")

    def note_slot(self, name: str, slot: float, outcome: str, why: str) -> None:
        """Put on record what became of a slot; a store that cannot be had costs the row, not the turn."""
        try:
            commit(self.hub, lambda tx: tx.add_slot(name, slot, outcome, why))
        except HubError as error:
            logger("turns").warning("slot not noted", connection=name, code=error.code)

    def _last_ran(self, name: str) -> float | None:
        with self.hub.store.reading() as tx:
            return next((slot.due_at for slot in tx.slots(name, limit=SLOTS_BACK) if slot.outcome == "ran"), None)


def moved(outcome: Outcome) -> bool:
    """Whether anything changed that may have made other connections due."""
    return any(run.counts[name] for run in outcome.runs for name in MOVED)


def _log_failures(outcome: Outcome) -> None:
    for run in outcome.runs:
        if run.error:
            logger("turns").warning(
                "run failed", connection=run.connection, run=run.run_id, code=run.code, error=run.error
            )


def _is_behind(tx: Tx, connection: Connection, now: float) -> bool:
    return any(
        tx.behind_links(connection.name, stream, now=now, limit=1, raw=False)
        for stream, mapping in connection.mappings.items()
        if may_write(mapping)
    )


def _owes(tx: Tx, connection: Connection, now: float) -> bool:
    """A reward is to be ordered here, or an order in doubt to be looked at."""
    waiting = (GrantState.RESERVED, GrantState.SENDING, GrantState.UNKNOWN)
    return any(grant.not_before <= now for state in waiting for grant in tx.grants(state, connection.name, limit=50))
