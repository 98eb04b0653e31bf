"""The running hub: scheduled syncs, and within a moment of a webhook the reads and writes that follow from it.

One lane per connection: a thread that does one thing at a time, so that runs of a connection never overlap and a slow
system holds up nobody else. A lane works when its slot comes, when it is poked (a webhook, another lane's run), and
looks once a second for what has become due; it asks the store, so nothing that a poke missed is ever lost.

Stopping: no lane begins anything new; a run in progress ends at its next page, and what it did is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from hub.app.context import Connection, Hub
from hub.app.leases import Stopped
from hub.app.push import may_write
from hub.app.syncing import Outcome, sync_now
from hub.app.transact import commit
from hub.app.webhooks import forget_old
from hub.core.rewards import GrantState
from hub.core.schedule import base_of, offset_of, slot_at, slots_between, streams_due
from hub.errors import HubError
from hub.runtime.log import logger
from hub.runtime.process import owner_name
from hub.runtime.scheduler import Ticker
from hub.store import Tx

LOOK_S = 1.0  # how often a lane looks for what became due
BACKOFF_S = 2.0  # after a run that moved nothing: twice as long each time …
BACKOFF_MOST_S = 300.0  # … up to this
STOP_S = 20.0  # for runs to reach the end of their page; SIGTERM promises 30
MISSED_MOST = 500  # slots put on record for one outage of one connection

MOVED = (
    "created",
    "updated",
    "removed",
    "settled",
    "changed",
    "new",
    "hints_served",
    "rewards_issued",
    "deleted",
    "restored",
)


@dataclass(slots=True)
class Lane:
    """One connection's turn-taking."""

    name: str
    base_s: float
    wakes: threading.Condition = field(default_factory=threading.Condition)
    slot: float | None = None  # that has come and is not begun
    poked: bool = False
    busy: bool = False
    last_slot: float | None = None  # newest one that ran: streams with a slot since then are due
    idle_runs: int = 0  # runs in a row that moved nothing
    not_before: float = 0.0
    thread: threading.Thread | None = None


class Worker:
    """Runs a hub until it is stopped.

    Args:
        hub: open, with its doors.
        owner: of the leases; this process unless given.
        look_s: how often lanes look for work nobody told them of.
    """

    def __init__(self, hub: Hub, *, owner: str = "", look_s: float = LOOK_S) -> None:
        self.hub = hub
        self._owner = owner or owner_name()
        self._look_s = look_s
        self._over = threading.Event()
        self._log = logger("worker")
        self.lanes = {name: Lane(name, base_of(each.every_s)) for name, each in hub.connections.items()}
        self._ticker = Ticker(
            {name: lane.base_s for name, lane in self.lanes.items()}, on_tick=self.tick, on_missed=self._missed,
            now=hub.clock.now,
        )  # fmt: skip

    # From outside

    def start(self) -> None:
        """Put on record what was missed while the hub was down, then begin."""
        commit(self.hub, lambda tx: tx.mark_interrupted(self.hub.clock.now()))
        forget_old(self.hub)
        for lane in self.lanes.values():
            self._note_outage(lane)
            lane.slot = self._slot_of(lane, self.hub.clock.now())  # the first run is at once
            lane.thread = threading.Thread(target=self._work, args=(lane,), name=f"lane-{lane.name}", daemon=True)
            lane.thread.start()
        self._ticker.start()
        self._log.info("started", connections=list(self.lanes))

    def stop(self, within_s: float = STOP_S) -> bool:
        """End every lane at the end of its page. False: some run did not get there in time (it loses nothing)."""
        self._over.set()
        self._ticker.stop()
        deadline = self.hub.clock.now() + within_s
        for lane in self.lanes.values():
            with lane.wakes:
                lane.wakes.notify_all()
        for lane in self.lanes.values():
            if lane.thread is not None:
                lane.thread.join(max(0.0, deadline - self.hub.clock.now()))
        clean = not any(lane.thread is not None and lane.thread.is_alive() for lane in self.lanes.values())
        self._log.info("stopped", clean=clean)
        return clean

    def poke(self, names: Iterable[str] | None = None) -> None:
        """Something may have become due at these connections (None: at all)."""
        for name in self.lanes if names is None else names:
            lane = self.lanes.get(name)
            if lane is not None:
                with lane.wakes:
                    lane.poked, lane.not_before, lane.idle_runs = True, 0.0, 0
                    lane.wakes.notify_all()

    def tick(self, name: str, slot: float) -> None:
        """A slot has come. While the run before it is still going, it is skipped, and says so."""
        lane = self.lanes[name]
        with lane.wakes:
            skipped = lane.busy or lane.slot is not None
            if not skipped:
                lane.slot = slot
                lane.wakes.notify_all()
        if skipped:
            self._note_slot(name, slot, "skipped", "the run before it was still going")

    # A lane

    def _work(self, lane: Lane) -> None:
        while not self._over.is_set():
            with lane.wakes:
                if lane.slot is None and not lane.poked:
                    lane.wakes.wait(self._look_s)
                slot, lane.slot, lane.poked = lane.slot, None, False
                lane.busy = True
            try:
                self._turn(lane, slot)
            except HubError as error:
                self._log.warning("turn failed", connection=lane.name, code=error.code, error=str(error))
            except Exception:  # noqa: BLE001  (a bug must not end the lane: it is logged whole, and tried again later)
                self._log.exception("bug", connection=lane.name)
                self._back_off(lane)
            finally:
                lane.busy = False

    def _turn(self, lane: Lane, slot: float | None) -> None:
        if self._over.is_set():
            return
        if slot is not None:
            self._scheduled(lane, slot)
        elif self.hub.clock.now() >= lane.not_before and self._has_work(self.hub.connections[lane.name]):
            outcome = sync_now(
                self.hub, [lane.name], owner=self._owner, kind="webhook", pull=False, watch=self._watch
            )  # fmt: skip
            self._after(lane, outcome)

    def _scheduled(self, lane: Lane, slot: float) -> None:
        connection = self.hub.connections[lane.name]
        only = streams_due(connection.every_s, offset_of(lane.name, lane.base_s), lane.last_slot, slot)
        outcome = sync_now(self.hub, [lane.name], owner=self._owner, only={lane.name: only}, watch=self._watch)
        if outcome.skipped:
            self._note_slot(lane.name, slot, "skipped", "another process runs this connection")
            return
        lane.last_slot = slot
        self._note_slot(lane.name, slot, "ran", f"run {outcome.runs[0].run_id}: {outcome.runs[0].status}")
        self._after(lane, outcome)

    def _after(self, lane: Lane, outcome: Outcome) -> None:
        """Who may have become due is poked; a lane that gets nowhere tries less and less often."""
        for run in outcome.runs:
            if run.error:
                self._log.warning(
                    "run failed", connection=run.connection, run=run.run_id, code=run.code, error=run.error
                )
            if any(run.counts[name] for name in MOVED):
                lane.idle_runs, lane.not_before = 0, 0.0
                self.poke(name for name in self.lanes if name != lane.name)
                return
        self._back_off(lane)

    def _back_off(self, lane: Lane) -> None:
        lane.not_before = self.hub.clock.now() + min(BACKOFF_MOST_S, BACKOFF_S * 2**lane.idle_runs)
        lane.idle_runs += 1

    def _watch(self, _connection: str, _phase: str, _stream: str, _rows: int) -> None:
        if self._over.is_set():
            raise Stopped("the hub is shutting down", fix="nothing: the next run goes on from here")

    # What is due

    def _has_work(self, connection: Connection) -> bool:
        """Hints to serve, links to write, or orders to place, now."""
        if connection.fault is not None:
            return False
        now = self.hub.clock.now()
        with self.hub.store.reading() as tx:
            if any(tx.due_hints(connection.name, now, 1, stream=source) for source in connection.in_order()):
                return True
            return connection.writes and (_is_behind(tx, connection, now) or _owes(tx, connection, now))

    # Slots

    def _slot_of(self, lane: Lane, now: float) -> float:
        return slot_at(lane.base_s, offset_of(lane.name, lane.base_s), now)

    def _note_outage(self, lane: Lane) -> None:
        """Slots between the last one on record and now came and went without the hub."""
        with self.hub.store.reading() as tx:
            last = tx.last_slot(lane.name)
        if last is None:
            return
        lane.last_slot = last.due_at if last.outcome == "ran" else None
        now = self.hub.clock.now()
        current = self._slot_of(lane, now)
        for slot in slots_between(lane.base_s, offset_of(lane.name, lane.base_s), last.due_at, now, limit=MISSED_MOST):
            if slot < current:
                self._note_slot(lane.name, slot, "missed", "the hub was not running")

    def _missed(self, name: str, slot: float) -> None:
        self._note_slot(name, slot, "missed", "the hub was too busy, or the machine asleep")

    def _note_slot(self, name: str, slot: float, outcome: str, why: str) -> None:
        try:
            commit(self.hub, lambda tx: tx.add_slot(name, slot, outcome, why))
        except HubError as error:
            self._log.warning("slot not noted", connection=name, code=error.code)


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
