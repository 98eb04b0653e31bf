"""What only one may do at a time: a run of a connection, the ticking of the clock.

Two syncs, one of them killed: A takes the lease and dies. Sync B, on the same machine, asks for it, sees that A's
process is gone and takes it over at once; on another machine it waits until the lease runs out. A process that only
slept finds, at its next renewal, that its epoch is over, and stops.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from hub.app.context import Hub
from hub.app.ingest import again
from hub.core.planted import PLANTED
from hub.errors import HubError
from hub.runtime.process import has_died
from hub.store import Tx

LEASE_S = 120.0
RENEW_S = LEASE_S / 4


class RunOver(HubError):
    """This run does no more, whatever is left; what it did is kept."""


class Stopped(RunOver):
    """The hub is being shut down."""

    default_code = "RUN-STOPPED"


class LeaseLost(RunOver):
    """Another process has taken over what this one was doing."""

    default_code = "RUN-LEASE"


def connection_lease(connection: str) -> str:
    """Name of the lease that a run of this connection holds."""
    return f"connection:{connection}"


def take(tx: Tx, name: str, owner: str, now: float) -> int | None:
    """The lease's new epoch, or None if somebody alive holds it."""
    if "no_lease" in PLANTED and (other := tx.lease_holder(name)) is not None:
        tx.release(name, other.owner)
    epoch = tx.lease(name, owner, now, 1e9 if "lease_for_ever" in PLANTED else LEASE_S)
    if epoch is None:
        holder = tx.lease_holder(name)
        if holder is not None and has_died(holder.owner):
            tx.release(name, holder.owner)
            epoch = tx.lease(name, owner, now, LEASE_S)
    return epoch


class KeepAlive:
    """Renews leases while a block runs; `check` raises once one of them was lost.

    Args:
        epochs: lease name -> epoch, as `take` gave it.
    """

    def __init__(self, hub: Hub, owner: str, epochs: Mapping[str, int]) -> None:
        self._hub, self._owner, self._epochs = hub, owner, dict(epochs)
        self._over = threading.Event()
        self._lost: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="leases", daemon=True)

    def check(self, name: str) -> None:
        """Raises LeaseLost if another took this lease: whatever is not yet written stays unwritten."""
        if name in self._lost:
            raise LeaseLost("another process runs this connection now", where=name, fix="nothing: it does the rest")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.wait(RENEW_S):
            for name, epoch in self._epochs.items():
                if name not in self._lost and not self._renew(name, epoch):
                    self._lost.add(name)

    def _renew(self, name: str, epoch: int) -> bool:
        try:
            for attempt in again(self._hub):
                with attempt, self._hub.store.transaction() as tx:
                    renewed = tx.renew(name, self._owner, epoch, self._hub.clock.now(), LEASE_S)
        except HubError:
            return True  # the store is busy: the lease lasts for further tries
        return renewed
