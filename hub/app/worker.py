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

from hub.app.context import Hub
from hub.app.leases import Stopped
from hub.app.syncing import Outcome
from hub.app.transact import commit
from hub.app.turns import Turns, moved
from hub.app.webhooks import forget_old
from hub.errors import HubError
from hub.runtime.log import logger
from hub.runtime.process import owner_name
from hub.runtime.scheduler import Ticker

LOOK_S = 1.0  # how often a lane looks for what became due
BACKOFF_S = 2.0  # after a run that moved nothing: twice as long each time …
BACKOFF_MOST_S = 300.0  # … up to this
STOP_S = 20.0  # for runs to reach the end of their page; SIGTERM promises 30

BEGINS = ("begin", "", 0)  # progress of a run that has nothing to tell yet


@dataclass(slots=True)
class Lane:
    """One connection's turn-taking."""

    name: str
    wakes: threading.Condition = field(default_factory=threading.Condition)
    slot: float | None = None  # that has come and is not begun
    poked: bool = False
    asked: bool = False  # somebody wants a whole run now
    busy: bool = False
    progress: tuple[str, str, int] | None = None  # (phase, stream, rows so far) of the run that is going on
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
        self._turns = Turns(hub=hub, owner=owner or owner_name(), watch=self._watch)
        self._look_s = look_s
        self._over = threading.Event()
        self._log = logger("worker")
        self.lanes = {name: Lane(name) for name in hub.connections}
        self._ticker = Ticker(
            {name: self._turns.rhythm(name) for name in self.lanes}, on_tick=self.tick, on_missed=self._missed,
            now=hub.clock.now,
        )  # fmt: skip

    # From outside

    def start(self) -> None:
        """Put on record what was missed while the hub was down, then begin."""
        commit(self.hub, lambda tx: tx.mark_interrupted(self.hub.clock.now()))
        forget_old(self.hub)
        for lane in self.lanes.values():
            self._turns.note_outage(lane.name)
            lane.slot = self._turns.first_slot(lane.name)
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

    def run_now(self, name: str) -> bool:
        """Somebody wants this connection read and written now, whole. False: a run is going on already."""
        lane = self.lanes[name]
        with lane.wakes:
            if lane.asked or lane.progress is not None:
                return False
            lane.asked, lane.not_before, lane.idle_runs = True, 0.0, 0
            lane.wakes.notify_all()
        return True

    def progress(self, name: str) -> tuple[str, str, int] | None:
        """(phase, stream, rows so far) of the run of a connection; None: none is going on."""
        lane = self.lanes[name]
        return lane.progress or (BEGINS if lane.asked else None)

    def tick(self, name: str, slot: float) -> None:
        """A slot has come. While the run before it is still going, it is skipped, and says so."""
        lane = self.lanes[name]
        with lane.wakes:
            skipped = lane.busy or lane.slot is not None
            if not skipped:
                lane.slot = slot
                lane.wakes.notify_all()
        if skipped:
            self._turns.note_slot(name, slot, "skipped", "the run before it was still going")

    # A lane

    def _work(self, lane: Lane) -> None:
        while not self._over.is_set():
            with lane.wakes:
                if lane.slot is None and not lane.poked and not lane.asked:
                    lane.wakes.wait(self._look_s)
                slot, lane.slot, lane.poked = lane.slot, None, False
                asked, lane.asked = lane.asked, False
                lane.busy, lane.progress = True, BEGINS if asked else None
            try:
                self._turn(lane, slot, asked=asked)
            except HubError as error:
                self._log.warning("turn failed", connection=lane.name, code=error.code, error=str(error))
            except Exception:  # noqa: BLE001  (a bug must not end the lane: it is logged whole, and tried again later)
                self._log.exception("bug", connection=lane.name)
                self._back_off(lane)
            finally:
                lane.busy, lane.progress = False, None

    def _turn(self, lane: Lane, slot: float | None, *, asked: bool = False) -> None:
        if self._over.is_set():
            return
        if asked:
            self._after(lane, self._turns.whole(lane.name))
        elif slot is not None:
            outcome = self._turns.scheduled(lane.name, slot)
            if not outcome.skipped:
                self._after(lane, outcome)
        elif self.hub.clock.now() >= lane.not_before:
            followed = self._turns.follow(lane.name)
            if followed is not None:
                self._after(lane, followed)

    def _after(self, lane: Lane, outcome: Outcome) -> None:
        """Who may have become due is poked; a lane that gets nowhere tries less and less often."""
        if moved(outcome):
            lane.idle_runs, lane.not_before = 0, 0.0
            self.poke(name for name in self.lanes if name != lane.name)
        else:
            self._back_off(lane)

    def _back_off(self, lane: Lane) -> None:
        lane.not_before = self.hub.clock.now() + min(BACKOFF_MOST_S, BACKOFF_S * 2**lane.idle_runs)
        lane.idle_runs += 1

    def _watch(self, connection: str, phase: str, stream: str, rows: int) -> None:
        self.lanes[connection].progress = (phase, stream, rows)
        if self._over.is_set():
            raise Stopped("the hub is shutting down", fix="nothing: the next run goes on from here")

    def _missed(self, name: str, slot: float) -> None:
        self._turns.note_slot(name, slot, "missed", "the hub was too busy, or the machine asleep")
