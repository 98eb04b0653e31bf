"""The store put back to a backup, in the middle of everything: one more thing that happens to a hub."""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hub.app.restored import after_restore
from hub.store import Store
from hub.store.databases import SqliteDatabase

if TYPE_CHECKING:
    from hub.verify.history import History

BLOB = re.compile(r"X'([0-9A-F]*)'")  # as a dump writes bytes
TAKEN_EVERY = 25  # steps between two backups
BACK = 0.01  # that a step begins with yesterday's store
WAIT_S = 300.0  # for the last write of the old process to land, as the manual says


def copy_of(store: Store) -> Any:
    """All of a store in memory, in a database of its own."""
    there = _connection(store)
    copy = type(there)(":memory:", check_same_thread=False)
    there.backup(copy)
    return copy


def told_by(store: Store) -> str:
    """Every cell of a store in memory, unpacked, as a search would see it."""
    return BLOB.sub(lambda found: _readable(bytes.fromhex(found[1])), "\n".join(_connection(store).iterdump()))


def _readable(blob: bytes) -> str:
    with suppress(zlib.error):
        blob = zlib.decompress(blob)
    return blob.decode("utf-8", "replace")


def put_back(store: Store, copy: Any) -> None:
    """The store as it was."""
    copy.backup(_connection(store))


def _connection(store: Store) -> Any:
    """Its one SQLite connection, as the driver has it. No hub asks a store for it, so the store has no door for it."""
    database = store._database
    assert isinstance(database, SqliteDatabase)
    return database._only.driver_connection


class Backups:
    """Takes copies of a history's store, and once puts one back."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._copy: Any | None = None
        self._done = False

    def step(self, number: int) -> None:
        """Before a step: perhaps a backup, perhaps a restore."""
        history = self._history
        if number % TAKEN_EVERY == 0 and not self._done:
            self._copy = copy_of(history.store)
        elif self._copy is not None and not self._done and history.dice.shocks.random() < BACK:
            self._done = True
            self._restore(self._copy)

    def _restore(self, copy: Any) -> None:
        history = self._history
        history.tell("the store is put back to its backup")
        history.story.counts["store restored"] += 1
        history.shaken = False  # nobody else is at work meanwhile
        history.clock.advance(WAIT_S)
        for vendor in history.vendors.values():
            vendor.land_late()
        put_back(history.store, copy)
        history.restored = True
        history.stamps.clear()
        history.crowd.desk.clear()  # what people had before them shows other conflicts now
        history.anew()
        history.survive(lambda: after_restore(history.hub, by="sim"))
        if not history.swarm.polls:
            history.first_load()
