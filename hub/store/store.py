"""The store: the one door to the database. `Store` opens transactions, `Tx` holds a method per question.

Everything is page-wise: lists in, dicts out, one statement per table. What a page changes is in one transaction: it is
there wholly or not at all. A transaction that could not be had raises RetryLater with code STORE-BUSY, and the caller
runs its page again from its inputs. The store keeps, it does not decide: nothing here knows what a value means.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from hub.store.audits import Audits
from hub.store.blocking import Blocking
from hub.store.config import Config
from hub.store.databases import WAIT_S, open_database
from hub.store.erasing import Erasing
from hub.store.figures import Figures
from hub.store.firings import Firings
from hub.store.identities import Identities
from hub.store.inbox import Inbox
from hub.store.intents import Intents
from hub.store.ledger import Ledger
from hub.store.links import Links
from hub.store.people import People
from hub.store.plans import Plans
from hub.store.rates import Rates
from hub.store.reading import Reading
from hub.store.reviews import Reviews
from hub.store.rows import ViewSpec
from hub.store.runs import Runs
from hub.store.schema import ready
from hub.store.seals import Seals
from hub.store.segments import Segments
from hub.store.views import Views


class Tx(
    Links,
    Intents,
    Reading,
    Reviews,
    Identities,
    Inbox,
    Blocking,
    Runs,
    Rates,
    Ledger,
    Firings,
    Config,
    Seals,
    People,
    Views,
    Plans,
    Erasing,
    Audits,
    Segments,
    Figures,
):
    """One transaction. Do not keep it."""


def _no_seam(point: str) -> None:
    """Where the simulator would let the process die."""


class Store:
    """A database of the hub.

    Args:
        url: `sqlite://` (in memory), `sqlite:///file`, or `postgresql+psycopg://…`. An empty database gets its tables;
            one of another version is refused.
        seam: called with "begin", "commit:before" and "commit:after" around every writing transaction. What it raises
            goes on: before the commit nothing was done, after it everything was.
        wait_s: how long a transaction waits for others before it gives up with STORE-BUSY.

    Raises:
        ConfigFault: the database is older (STORE-OLDER) or newer (STORE-NEWER) than this code.
    """

    def __init__(self, url: str, *, seam: Callable[[str], None] = _no_seam, wait_s: float = WAIT_S) -> None:
        self._database = open_database(url, wait_s=wait_s)
        self._seam = seam
        self._mine = threading.local()  # whether this thread is inside a transaction
        try:
            ready(self._database)
        except BaseException:
            self._database.close()
            raise

    @property
    def many_writers(self) -> bool:
        """Several processes, also on other machines, may share this database: PostgreSQL."""
        return not self._database.one_writer

    @property
    def conninfo(self) -> str:
        """Where it is, as libpq takes it, password and all: for the job queue, which keeps its own connections."""
        return self._database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def place(self) -> str | None:
        """Where the database lies; a copy of it lies elsewhere. None: in memory."""
        return self._database.place()

    @contextmanager
    def transaction(self, *, relaxed: bool = False) -> Iterator[Tx]:
        """One writing transaction: committed at the end, rolled back by any exception.

        A relaxed one may be lost, with all later relaxed ones, if the machine (not the process) dies within moments of
        its commit: for pages that would simply be read again. Never for what must be known before a call leaves.
        """
        self._seam("begin")
        with self._alone(), self._database.transaction(writes=True, relaxed=relaxed) as cursor:
            yield Tx(self._database, cursor, writes=True)
            self._seam("commit:before")
            self._commit(cursor)
            self._seam("commit:after")

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """One transaction that only reads, and sees one moment of the database throughout."""
        with self._alone(), self._database.transaction(writes=False, relaxed=False) as cursor:
            yield Tx(self._database, cursor, writes=False)

    def create_views(self, specs: Iterable[ViewSpec]) -> list[str]:
        """Makes the typed views for people with SQL tools anew; gives their names. Raises ConfigFault STORE-VIEW."""
        with self.transaction() as tx:
            return tx.create_views(specs)

    def tidy(self) -> None:
        """Write the database anew, so that nothing that was deleted is left in its free space. Others wait meanwhile.

        Raises RetryLater STORE-BUSY.
        """
        with self._alone():
            self._database.tidy()

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if getattr(self._mine, "inside", False):
            raise RuntimeError("this thread is in a transaction already")
        self._mine.inside = True
        try:
            yield
        finally:
            self._mine.inside = False

    def _commit(self, cursor: Any) -> None:
        try:
            self._database.commit(cursor)
        except self._database.errors as error:
            raise self._database.translated(error) from error
