"""A hub on several machines: one clock, one queue, any number of workers (PostgreSQL only).

Whoever holds the lease `clock` ticks: at every slot, and whenever something has become due, a job is put into the
queue, once however often it is found. Workers, this process among them if it wishes, take the jobs; a connection's
jobs never run side by side. If the clock's process dies, another that waits for the lease goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial
from typing import Any

from hub.app.context import Hub
from hub.app.leases import LEASE_S, RENEW_S, LeaseLost, Stopped, take
from hub.app.parts import help_read
from hub.app.pull import pages
from hub.app.syncing import Outcome
from hub.app.transact import commit
from hub.app.turns import Turns, moved
from hub.app.webhooks import forget_old
from hub.errors import ConfigFault, Fault, HubError, RetryLater
from hub.runtime.jobs import JobQueue
from hub.runtime.log import logger
from hub.runtime.process import owner_name
from hub.runtime.scheduler import Ticker
from hub.store import Tx

CLOCK = "clock"  # name of the lease
LOOK_S = 1.0  # how often the clock looks for what became due
BACKOFF_S, BACKOFF_MOST_S = 2.0, 300.0  # between looks at what does not get anywhere
SCHEDULED, FOLLOW, WHOLE, PART = "scheduled", "follow", "whole", "part"
STOP_S = 25.0


def require_many_writers(hub: Hub) -> None:
    """Raises ConfigFault RUN-SQLITE where several processes cannot share the store."""
    if not hub.store.many_writers:
        raise ConfigFault(
            [
                Fault(
                    code="RUN-SQLITE", where="store.url", message="workers share a store, and SQLite has one writer",
                    fix="set HUB_DATABASE_URL to a PostgreSQL database, or run `hub run` alone",
                )
            ]
        )  # fmt: skip


class Fleet:
    """This process's part in it.

    Args:
        at_once: jobs that this process takes at a time; 0: it only keeps the clock and listens.
        ticks: whether it stands for the clock.

    Raises:
        ConfigFault: the store is SQLite.
    """

    def __init__(self, hub: Hub, *, at_once: int, ticks: bool, owner: str = "", look_s: float = LOOK_S) -> None:
        require_many_writers(hub)
        self.hub = hub
        self._at_once, self._ticks, self._look_s = at_once, ticks, look_s
        self._owner = owner or owner_name()
        self._over = threading.Event()
        self._log = logger("fleet")
        self._turns = Turns(hub=hub, owner=self._owner, watch=self._watch)
        self._queue = JobQueue(
            hub.store.conninfo,
            {SCHEDULED: self._scheduled, FOLLOW: self._follow, WHOLE: self._whole, PART: self._part},
        )
        self._threads: list[threading.Thread] = []
        self._waits: dict[str, tuple[float, int]] = {}  # connection -> not looked at before, how often in vain

    def start(self) -> None:
        self._queue.open()
        self.hub.call_helpers = self._call_helpers
        parts = [("clock", self._keep_clock)] if self._ticks else []
        parts += [("jobs", lambda: self._queue.work(self._over, at_once=self._at_once))] if self._at_once else []
        for name, part in parts:
            thread = threading.Thread(target=part, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._log.info("started", jobs=self._at_once, clock=self._ticks)

    def stop(self, within_s: float = STOP_S) -> bool:
        """End every job at the end of its page. False: some job did not get there in time (it loses nothing)."""
        self._over.set()
        deadline = self.hub.clock.now() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - self.hub.clock.now()))
        clean = not any(thread.is_alive() for thread in self._threads)
        self.hub.call_helpers = None
        self._queue.close()
        self._log.info("stopped", clean=clean)
        return clean

    def poke(self, names: Iterable[str] | None = None) -> None:
        """Something may have become due at these connections (None: at all)."""
        for name in self.hub.connections if names is None else names:
            self._put(FOLLOW, name)

    def run_now(self, name: str) -> bool:
        """Somebody wants this connection read and written now, whole. False: that waits for a worker already."""
        return self._put(WHOLE, name)

    def progress(self, name: str) -> tuple[str, str, int] | None:
        """What is known of the run of a connection, wherever it runs: that there is one."""
        with self.hub.store.reading() as tx:
            newest = tx.runs(limit=1, connection=name)
        return ("begin", "", 0) if newest and newest[0].ended_at is None else None

    def _put(self, task: str, name: str, **arguments: Any) -> bool:
        try:
            return self._queue.put(task, name, **arguments)
        except RetryLater as error:  # the clock looks again in a moment
            self._log.warning("not queued", task=task, connection=name, error=str(error))
            return False

    # Jobs

    def _scheduled(self, connection: str, *, slot: float) -> None:
        if connection in self.hub.connections:  # else it was taken out of hub.yaml since
            self._after(connection, self._turns.scheduled(connection, slot))

    def _whole(self, connection: str) -> None:
        if connection in self.hub.connections:
            self._after(connection, self._turns.whole(connection))

    def _follow(self, connection: str) -> None:
        outcome = self._turns.follow(connection) if connection in self.hub.connections else None
        if outcome is not None:
            self._after(connection, outcome)

    def _call_helpers(self, connection: str, stream: str, many: int) -> None:
        for place in range(many):
            self._put(PART, connection, beside=f"{stream}/{place}", stream=stream)

    def _part(self, connection: str, *, stream: str) -> None:
        """Helps with a first load, as long as there is a part that nobody reads."""
        found = self.hub.connections.get(connection)
        if found is not None and found.fault is None and stream in found.streams:
            watch = partial(self._watch, connection, "pull")
            read = help_read(self.hub, found, stream, pages, progress=watch)
            self._log.info("helped", connection=connection, stream=stream, parts=read)

    def _after(self, name: str, outcome: Outcome) -> None:
        """Raises RetryLater where the connection was another's, or the process ends: the job goes back."""
        if outcome.skipped or any(run.code == Stopped.default_code for run in outcome.runs):
            raise RetryLater("the connection could not be run to its end", code="RUN-AGAIN", where=name)
        if moved(outcome):
            self.poke(each for each in self.hub.connections if self._turns.has_work(each))

    def _watch(self, _connection: str, _phase: str, _stream: str, _rows: int) -> None:
        if self._over.is_set():
            raise Stopped("the hub is shutting down", fix="nothing: another worker goes on from here")

    # The clock

    def _keep_clock(self) -> None:
        while not self._over.is_set():
            try:
                epoch = commit(self.hub, lambda tx: take(tx, CLOCK, self._owner, self.hub.clock.now()))
                if epoch is not None:
                    self._tick_until_lost(epoch)
            except HubError as error:
                self._log.warning("clock stopped", code=error.code, error=str(error))
            except Exception:  # noqa: BLE001  (a bug must not end the clock: it is logged whole, and tried again later)
                self._log.exception("bug", part="clock")
            self._over.wait(RENEW_S / 3)
        commit(self.hub, lambda tx: tx.release(CLOCK, self._owner))

    def _tick_until_lost(self, epoch: int) -> None:
        """Ticks as long as the lease is ours."""
        commit(self.hub, lambda tx: tx.mark_interrupted(self.hub.clock.now()))
        forget_old(self.hub)
        rhythms = {name: self._turns.rhythm(name) for name in self.hub.connections}
        for name in rhythms:
            self._turns.note_outage(name)
            first = self._turns.first_slot(name)
            if first is not None:
                self._tick(name, first)
        ticker = Ticker(rhythms, on_tick=self._tick, on_missed=self._missed, now=self.hub.clock.now)
        ticker.start()
        self._log.info("keeps the clock")
        renew_at = self.hub.clock.now() + RENEW_S
        try:
            while not self._over.wait(self._look_s):
                now = self.hub.clock.now()
                if now >= renew_at:
                    if not commit(self.hub, partial(_renewed, self._owner, epoch, now)):
                        raise LeaseLost("another process keeps the clock", where=CLOCK)
                    renew_at = now + RENEW_S
                for name in rhythms:
                    self._look(name, now)
        finally:
            ticker.stop()

    def _look(self, name: str, now: float) -> None:
        """Put to work what has become due without anybody's telling; what does not get anywhere less and less often."""
        due_at, idle = self._waits.get(name, (0.0, 0))
        if not self._turns.has_work(name):
            self._waits.pop(name, None)
        elif now >= due_at:
            self._waits[name] = (now + min(BACKOFF_MOST_S, BACKOFF_S * 2**idle), idle + 1)
            self._put(FOLLOW, name)

    def _tick(self, name: str, slot: float) -> None:
        if not self._put(SCHEDULED, name, slot=slot):
            self._turns.note_slot(name, slot, "skipped", "the run before it still waits for a worker")

    def _missed(self, name: str, slot: float) -> None:
        self._turns.note_slot(name, slot, "missed", "the hub was too busy, or the machine asleep")


def _renewed(owner: str, epoch: int, now: float, tx: Tx) -> bool:
    return tx.renew(CLOCK, owner, epoch, now, LEASE_S)
