"""A hub at work, and what people may ask of it meanwhile: a run now, a pause, the project's files taken in anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from hub.app.bootstrap import refresh_hub
from hub.app.context import Hub
from hub.app.errands import Errands
from hub.app.listings import Dict
from hub.app.runs import connection_of
from hub.app.worker import Worker
from hub.errors import RetryLater


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

    def __init__(self, hub: Hub, *, make_worker: Callable[[Hub], Runner] | None = Worker) -> None:
        self.hub = hub
        self._make = make_worker
        self._worker: Runner | None = None
        self._changing = threading.Lock()
        self.errands = Errands(hub)

    def start(self) -> None:
        self.errands.start()
        if self._make is not None:
            self._worker = self._make(self.hub)
            self._worker.start()

    def stop(self) -> bool:
        """False: some run did not get to the end of its page in time (it loses nothing)."""
        worker, self._worker = self._worker, None
        done = self.errands.stop()
        return (worker.stop() if worker is not None else True) and done

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
            self.stop()
            try:
                return refresh_hub(self.hub, by=by)
            finally:
                self.start()
