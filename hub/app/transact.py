"""One writing transaction, run again while the store says that it was busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hub.app.context import Hub
from hub.app.ingest import again
from hub.store import Tx

T = TypeVar("T")


def commit(hub: Hub, work: Callable[[Tx], T]) -> T:
    """What `work` gives for a transaction; it may be called several times, so it keeps nothing from a failed try."""

    def once() -> T:
        with hub.store.transaction() as tx:
            return work(tx)

    return again(hub)(once)
