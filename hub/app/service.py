"""A hub at work, and what people may ask of it meanwhile: a run now, a pause, the project's files taken in anew.

What is published elsewhere (another process's console, a command) is noticed within moments and taken in: runs end at
their page, connections are made anew, and go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from hub.app.backfill import ask_backfill
from hub.app.bootstrap import refresh_hub
from hub.app.context import Hub
from hub.app.errands import Errands
from hub.app.figure_views import FigureViews
from hub.app.listings import Dict
from hub.app.publishing import published
from hub.app.runs import connection_of
from hub.app.standing_work import StandingWork
from hub.app.worker import Worker
from hub.errors import HubError, RetryLater
from hub.runtime.log import logger
from hub.runtime.process import owner_name

LOOK_S = 3.0  # how often it is asked whether somebody published something


class Runner(Protocol):
    """Who runs a hub: the lanes of this process (hub.app.worker), or a fleet of several (hub.app.fleet)."""

    def start(self) -> None: ...

    def stop(self) -> bool: ...

    def poke(self, names: Iterable[str] | None = None) -> None: ...

    def run_now(self, name: str) -> bool: ...

    def progress(self, name: str) -> tuple[str, str, int] | None: ...


class Service:
    """A hub with whoever runs it.

    Args:
        hub: open.
        make_worker: builds who runs that hub; None for a hub that nobody runs (tests, a look at the store).
    """

    def __init__(
        self, hub: Hub, *, make_worker: Callable[[Hub], Runner] | None = Worker, look_s: float = LOOK_S
    ) -> None:
        self.hub = hub
        self._make, self._look_s = make_worker, look_s
        self._worker: Runner | None = None
        self._changing = threading.Lock()
        self._over = threading.Event()
        self._watcher: threading.Thread | None = None
        self._taken_in = self._published()
        self.errands = Errands(hub)
        self.standing = StandingWork(hub, owner=owner_name())
        self.figures = FigureViews(hub)

    def start(self) -> None:
        self.errands.start()
        self._begin()
        if self._make is not None:
            self._over.clear()
            self._watcher = threading.Thread(target=self._watch, name="versions", daemon=True)
            self._watcher.start()
            self.standing.start()

    def stop(self) -> bool:
        """False: some run did not get to the end of its page in time (it loses nothing)."""
        self._over.set()
        if self._watcher is not None:
            self._watcher.join()
        self.figures.stop()
        done = self.standing.stop() and self.errands.stop()
        return self._end() and done

    def _begin(self) -> None:
        if self._make is not None:
            self._worker = self._make(self.hub)
            self._worker.start()

    def _end(self) -> bool:
        worker, self._worker = self._worker, None
        return worker.stop() if worker is not None else True

    def _watch(self) -> None:
        while not self._over.wait(self._look_s):
            try:
                if self._published() != self._taken_in:
                    self._take_in()
            except HubError as error:
                logger("service").warning("not taken in", code=error.code, error=str(error))

    def _published(self) -> dict[str, int]:
        with self.hub.store.reading() as tx:
            return published(tx)

    def _take_in(self) -> None:
        """Go on with what was published. What cannot be used leaves everything as it was."""
        with self._changing:
            fresh = self._published()
            if fresh == self._taken_in:
                return  # it was this very process
            try:
                if self._end():  # else a run is still at its page: the next look tries again
                    self._taken_in = fresh
                    refresh_hub(self.hub)
                    logger("service").info("taken in", versions=fresh)
            finally:
                self._begin()

    def poke(self, names: Iterable[str] | None = None) -> None:
        """Something may have become due."""
        if self._worker is not None:
            self._worker.poke(names)

    def run_now(self, name: str, *, by: str) -> None:
        """Read and write one connection now.

        Raises:
            NotFound: there is no such connection. RetryLater: RUN-BUSY, a run is going on already.
        """
        connection_of(self.hub, name).require()
        if self._worker is None or not self._worker.run_now(name):
            raise RetryLater("a run is going on already", code="RUN-BUSY", where=name, fix="wait for it to end")
        with self.hub.store.transaction() as tx:
            tx.audit(by, "run asked for", name, None, None, self.hub.clock.now())

    def read_again(self, name: str, *, stream: str | None = None, since: float | None = None, by: str) -> Dict:
        """Have a connection read again: with a run that begins now, or with the one that follows the present one.

        Raises as `hub.app.backfill.ask_backfill`.
        """
        asked = ask_backfill(self.hub, name, stream=stream, since=since, by=by)
        try:
            self.run_now(name, by=by)
        except RetryLater:
            return {**asked, "begun": False}
        return {**asked, "begun": True}

    def progress(self, name: str) -> Dict | None:
        """What the run of a connection is at; None: none is going on. Raises NotFound."""
        connection_of(self.hub, name)
        found = self._worker.progress(name) if self._worker is not None else None
        if found is None:
            return None
        phase, stream, rows = found
        return {"connection": name, "phase": phase, "stream": stream, "rows": rows}

    def reload(self, *, by: str) -> dict[str, int]:
        """Take in what changed in the project's files: runs end at their page, connections are made anew.

        Returns file -> version of what was published. Raises ConfigFault; then everything goes on as it was.
        """
        with self._changing:
            self._end()
            try:
                return refresh_hub(self.hub, by=by)
            finally:
                self._taken_in = self._published()
                self._begin()
