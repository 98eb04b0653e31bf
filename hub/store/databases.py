"""Connections, transactions and driver errors: SQLite here, PostgreSQL in hub.store.postgres.

A driver's error leaves this room as one of ours: what may simply be run again is RetryLater with code STORE-BUSY, and
the caller runs its whole page again, from its inputs.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool, StaticPool

from hub.errors import ConfigFault, Fault, HubError, RetryLater
from hub.store.codec import unstorable
from hub.store.dialects import SqliteDialect
from hub.store.statements import Dialect, Insert, Update

WAIT_S = 10.0  # for SQLite's single writer, before the page is given back
# A load touches the same index pages again and again: copied into the file less often, they are copied fewer times. For
# single changes the log stays short, so that no webhook waits for a long copy.
LOG_PAGES, BULK_LOG_PAGES = 1000, 16_000
# One connection writes, so that its cache stays true from page to page: what another connection writes empties a cache.
CACHE_KIB, READER_CACHE_KIB = 8_192, 2_048
OLDEST_SQLITE = (3, 35, 0)  # RETURNING ("RETURNING", sqlite.org)
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
FULL = {sqlite3.SQLITE_FULL}
UNUSABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}

# As Alembic makes it, so that it finds it (alembic.runtime.migration, `version_table`).
VERSION_TABLE = (
    "CREATE TABLE alembic_version "
    "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)

Row = tuple[Any, ...]


class Database(Protocol):
    """One database: its connections, and how a transaction begins and ends there."""

    dialect: Dialect
    engine: Engine
    one_writer: bool  # all that a writing transaction reads stays true until it ends
    errors: tuple[type[Exception], ...]  # what its driver raises

    def transaction(self, *, writes: bool, relaxed: bool) -> Any:
        """Context manager: a driver cursor inside a transaction that was begun; ended by commit or rollback."""
        ...

    def commit(self, cursor: Any) -> None: ...

    def schema(self) -> str | None:
        """Number of the newest migration that was applied; None in an empty database."""
        ...

    def create(self, statements: Sequence[str], number: str) -> None:
        """Makes the tables of an empty database, unless another process is just doing it."""
        ...

    def listed(self, values: list[Any]) -> Any:
        """A list as `Dialect.one_of` takes it."""
        ...

    def lock_numbers(self, cursor: Any, numbers: Sequence[int]) -> None:
        """Nobody else holds these numbers until the transaction ends; a lock on what has no row yet."""
        ...

    def lock_notes(self, cursor: Any, *, alone: bool) -> None:
        """Until the transaction ends, nobody has them alone; or nobody else has them at all."""
        ...

    def insert(self, cursor: Any, into: Insert, rows: Sequence[Row]) -> None: ...

    def update(self, cursor: Any, change: Update, rows: Sequence[Row]) -> None: ...

    def translated(self, error: Exception) -> Exception:
        """Our error for a driver's, or the driver's own where it tells of a bug."""
        ...

    def place(self) -> str | None:
        """What tells this database from a copy of it; None where there can be none (in memory)."""
        ...

    def tidy(self) -> None:
        """Frees what deleted rows still take, as far as that can be done while others work."""
        ...

    def close(self) -> None: ...


def busy(why: str) -> RetryLater:
    return RetryLater(f"the store is busy: {why}", code="STORE-BUSY", fix="run the page again")


def unusable(why: str) -> ConfigFault:
    fix = "give the hub a folder it may write to, or the right file; a damaged one is restored from its backup"
    return ConfigFault([Fault(code="STORE-OPEN", where="store.url", message=f"the database is no use: {why}", fix=fix)])


def full() -> RetryLater:
    return RetryLater("the store has no room left", code="STORE-FULL", fix="make room on the database's disk")


class SqliteDatabase:
    """SQLite: in a file with a write-ahead log, or in memory on one connection that all threads share.

    Writers queue at a lock of this process before they queue at the file, so that they are served at once and in turn;
    other processes are waited for by SQLite itself. All writers of a process use one connection, one after the other.
    """

    one_writer = True
    errors: tuple[type[Exception], ...] = (sqlite3.Error, sqlite3.Warning, UnicodeEncodeError)

    def __init__(self, url: str, *, wait_s: float = WAIT_S) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise ConfigFault(
                [Fault(code="STORE-SQLITE", where="store.url", message=_too_old(), fix="use a newer Python")]
            )
        self.dialect: Dialect = SqliteDialect()
        self.memory = make_url(url).database in (None, "", ":memory:")
        self.engine = create_engine(
            url,
            poolclass=StaticPool if self.memory else QueuePool,
            connect_args={
                "isolation_level": None,  # transactions are begun and ended here, in words
                "check_same_thread": False,
                "timeout": wait_s,
                "cached_statements": 512,
            },
        )
        event.listen(self.engine, "connect", self._prepare)
        self._wait_s = wait_s
        self._turn = threading.Lock()  # in memory: of everybody; in a file: of this process's writers
        self._only: Any = self._lent() if self.memory else None
        self._writer: Any = None  # made when somebody first writes; used by whoever holds `_turn`

    def schema(self) -> str | None:
        with self.transaction(writes=False, relaxed=False) as cursor:
            try:
                return _schema(cursor)
            except sqlite3.Error as error:
                raise self.translated(error) from error

    def create(self, statements: Sequence[str], number: str) -> None:
        with self.transaction(writes=True, relaxed=False) as cursor:
            if _schema(cursor) is None:
                for each in (*statements, VERSION_TABLE):
                    cursor.execute(each)
                cursor.execute("INSERT INTO alembic_version VALUES (?)", (number,))
            cursor.execute("COMMIT")

    def _prepare(self, connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        if not self.memory:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")

    @contextmanager
    def transaction(self, *, writes: bool, relaxed: bool) -> Iterator[sqlite3.Cursor]:
        if (writes or self.memory) and not self._turn.acquire(timeout=self._wait_s):
            raise busy("another thread writes")
        try:
            lent = self._only or (self._lent_to_write() if writes else self._lent())
            try:
                connection: Any = lent.driver_connection
                cursor = connection.cursor()
                self._begin(cursor, writes=writes, relaxed=relaxed)
                try:
                    yield cursor
                finally:
                    if connection.in_transaction:
                        connection.rollback()
            finally:
                if lent is not self._only and lent is not self._writer:
                    lent.close()
        finally:
            if writes or self.memory:
                self._turn.release()

    def _lent(self) -> Any:
        try:
            return self.engine.raw_connection()
        except sqlite3.Error as error:
            raise self.translated(error) from error

    def _lent_to_write(self) -> Any:
        if self._writer is None:
            writer = self._lent()
            writer.driver_connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._writer = writer
        return self._writer

    def _begin(self, cursor: sqlite3.Cursor, *, writes: bool, relaxed: bool) -> None:
        """A relaxed commit survives a crash of the process; only the others survive one of the machine as well."""
        try:
            if writes and not self.memory:
                cursor.execute("PRAGMA synchronous = NORMAL" if relaxed else "PRAGMA synchronous = FULL")
                cursor.execute(f"PRAGMA wal_autocheckpoint = {BULK_LOG_PAGES if relaxed else LOG_PAGES}")
            cursor.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        except sqlite3.Error as error:
            raise self.translated(error) from error

    def commit(self, cursor: sqlite3.Cursor) -> None:
        cursor.execute("COMMIT")

    def place(self) -> str | None:
        """A copied file has another number in its file system; one that was renamed or written to keeps it."""
        return None if self.memory else f"file {Path(self.engine.url.database or '').stat().st_ino}"

    def tidy(self) -> None:
        with self._turn:
            lent = self._only or self._lent()
            try:
                cursor = lent.driver_connection.cursor()
                cursor.execute("VACUUM")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:
                raise self.translated(error) from error
            finally:
                if lent is not self._only:
                    lent.close()

    def listed(self, values: list[Any]) -> Any:
        try:
            return orjson.dumps(values).decode()
        except TypeError:
            raise unstorable() from None

    def lock_numbers(self, cursor: sqlite3.Cursor, numbers: Sequence[int]) -> None:
        """Nothing to do: there is one writer."""

    def lock_notes(self, cursor: sqlite3.Cursor, *, alone: bool) -> None:
        """Nothing to do: there is one writer."""

    def insert(self, cursor: sqlite3.Cursor, into: Insert, rows: Sequence[Row]) -> None:
        cursor.executemany(into.statement.on(self.dialect).sql, rows)

    def update(self, cursor: sqlite3.Cursor, change: Update, rows: Sequence[Row]) -> None:
        cursor.executemany(change.statement.on(self.dialect).sql, rows)

    def translated(self, error: Exception) -> Exception:
        if isinstance(error, UnicodeEncodeError):
            return unstorable()
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in BUSY:
            return busy("another process writes")
        if code & 0xFF in FULL:
            return full()
        if code & 0xFF in UNUSABLE:
            return unusable(str(error))
        if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
            return taken(error)
        return error

    def close(self) -> None:
        for kept in (self._only, self._writer):
            if kept is not None:
                kept.close()
        self._writer = None
        self.engine.dispose()


def taken(error: Exception) -> HubError:
    """Another transaction put the same row there first: run again, the page sees it."""
    return busy(f"somebody was first ({str(error).splitlines()[0]})")


def _schema(cursor: sqlite3.Cursor) -> str | None:
    known = cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    found = cursor.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    return None if found is None else str(found[0])


def _too_old() -> str:
    return f"SQLite {sqlite3.sqlite_version} is too old; {'.'.join(map(str, OLDEST_SQLITE))} or later is needed"


def open_database(url: str, *, wait_s: float) -> Database:
    """The database of a URL: sqlite:// (memory), sqlite:///file, postgresql+psycopg://…"""
    openers: dict[str, Callable[..., Database]] = {"sqlite": SqliteDatabase}
    kind = make_url(url).get_backend_name()
    if kind in ("postgresql", "postgres"):
        from hub.store.postgres import PostgresDatabase  # its driver costs a tenth of a second

        openers[kind] = PostgresDatabase
    if kind not in openers:
        message = f"{kind} is no database the hub can use"
        raise ConfigFault([Fault(code="STORE-URL", where="store.url", message=message, fix="use sqlite or postgresql")])
    return openers[kind](url, wait_s=wait_s)
