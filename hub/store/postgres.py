"""PostgreSQL: a pool of psycopg connections, rows in by COPY, changes in as one JSON parameter per page.

Transactions are READ COMMITTED: what two pages could both change is locked first, entities in the order of ids. Where
they meet nevertheless, one is told STORE-BUSY and runs again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hub.errors import OutcomeUnknown, RetryLater
from hub.store.codec import unstorable
from hub.store.databases import VERSION_TABLE, WAIT_S, Row, busy, full, taken
from hub.store.dialects import PostgresDialect
from hub.store.statements import Dialect, Insert, Update

POOL, MORE = 10, 20  # connections kept, and how many more at most
SETTINGS = "-c timezone=UTC -c idle_in_transaction_session_timeout=10min"
NUMBERS = 7411  # advisory locks: the space of `lock_numbers`
NOTING = 741_100_000_000_003  # advisory lock: of `lock_notes`
MAKING = 741_100_000_000_001  # advisory lock: one process makes the tables

# Names of errors: appendix "PostgreSQL Error Codes".
BUSY = {"40001", "40P01", "55P03"}  # serialization_failure, deadlock_detected, lock_not_available
GONE = {"57P01", "57P02", "57P03", "53300"}  # shutting down, crashed, starting, too many connections
UNSTORABLE = {"22021", "22P05"}  # character_not_in_repertoire, untranslatable_character
FULL = {"53100"}  # disk_full
TAKEN = {"23505"}  # unique_violation


# The number of a cluster is made by initdb; reading it can be forbidden ("Control Data Functions", postgresql.org).
PLACE = """
SELECT CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE')
    THEN (SELECT system_identifier::text FROM pg_control_system()) ELSE current_database() END || '/' || oid
FROM pg_database WHERE datname = current_database()
"""


class PostgresDatabase:
    """PostgreSQL, for more than one process."""

    one_writer = False
    errors: tuple[type[Exception], ...] = (psycopg.Error, UnicodeEncodeError)

    def __init__(self, url: str, *, wait_s: float = WAIT_S) -> None:
        self.dialect: Dialect = PostgresDialect()
        self.engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=POOL,
            max_overflow=MORE,
            pool_timeout=wait_s,
            isolation_level="AUTOCOMMIT",  # transactions are begun and ended here, in words
            connect_args={"options": f"-c lock_timeout={int(wait_s * 1000)} {SETTINGS}", "application_name": "hub"},
        )
        self._copies: dict[Insert, tuple[str, list[str]]] = {}

    def schema(self) -> str | None:
        with self.transaction(writes=False, relaxed=False) as cursor:
            return _schema(cursor)

    def place(self) -> str | None:
        """The cluster's own number, where this user may ask for it, and the database's: a restored dump has others."""
        with self.transaction(writes=False, relaxed=False) as cursor:
            cursor.execute(PLACE)
            return f"database {cursor.fetchall()[0][0]}"

    def create(self, statements: Sequence[str], number: str) -> None:
        with self.transaction(writes=True, relaxed=False) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MAKING,))
            if _schema(cursor) is None:
                for each in (*statements, VERSION_TABLE):
                    cursor.execute(each)
                cursor.execute("INSERT INTO alembic_version VALUES (%s)", (number,))
            self.commit(cursor)

    @contextmanager
    def transaction(self, *, writes: bool, relaxed: bool) -> Iterator[psycopg.Cursor[Row]]:
        lent = self._begun(writes=writes, relaxed=relaxed)
        try:
            connection: psycopg.Connection[Row] = lent.driver_connection
            try:
                yield connection.cursor(binary=True)
            finally:
                if not _is_clean(connection):
                    lent.invalidate()
        finally:
            lent.close()

    def _begun(self, *, writes: bool, relaxed: bool) -> Any:
        """A connection in a transaction. After a restart all that the pool holds is dead: it is emptied, once."""
        lent = self._lent()
        try:
            self._begin(lent.driver_connection, writes=writes, relaxed=relaxed)
        except psycopg.OperationalError:
            lent.invalidate()
            lent.close()
            self.engine.dispose()
            lent = self._lent()
            self._begin(lent.driver_connection, writes=writes, relaxed=relaxed)
        return lent

    def _lent(self) -> Any:
        try:
            return self.engine.raw_connection()
        except PoolTimeout as error:
            raise busy("all its connections are in use") from error
        except psycopg.Error as error:
            message = f"the database cannot be reached: {str(error).splitlines()[0]}"
            raise RetryLater(message, code="STORE-GONE", fix="start it, or correct store.url") from error

    def _begin(self, connection: psycopg.Connection[Row], *, writes: bool, relaxed: bool) -> None:
        """Readers see one moment throughout. A relaxed commit may be lost with the machine, never torn."""
        begin = "BEGIN ISOLATION LEVEL READ COMMITTED" if writes else "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        connection.execute(f"{begin}; SET LOCAL synchronous_commit TO off" if relaxed else begin, prepare=False)

    def commit(self, cursor: psycopg.Cursor[Row]) -> None:
        """Raises OutcomeUnknown STORE-UNKNOWN if the connection broke while the database was committing."""
        try:
            done = cursor.connection.execute("COMMIT", prepare=False)
        except psycopg.OperationalError as error:
            if error.sqlstate is not None:
                raise
            message = "the connection broke during a commit"
            raise OutcomeUnknown(message, code="STORE-UNKNOWN", fix="run again: what was done is recognised") from error
        if done.statusmessage != "COMMIT":  # PostgreSQL answers ROLLBACK, and no error, if a statement had failed
            raise busy("a statement of the transaction had failed")

    def tidy(self) -> None:
        lent = self._lent()
        try:
            lent.driver_connection.execute("VACUUM (ANALYZE)", prepare=False)
        except psycopg.Error as error:
            raise self.translated(error) from error
        finally:
            lent.close()

    def listed(self, values: list[Any]) -> Any:
        """An array as PostgreSQL reads it out of text ("Array Input and Output Syntax"): the driver would look at each
        element by itself. A list that holds something else than texts or numbers is left to the driver.
        """
        if {*map(type, values)} <= {int, float}:
            return f"{{{','.join(map(str, values))}}}"
        if {*map(type, values)} != {str}:
            return values
        whole = "".join(values)
        if '"' in whole or "\\" in whole:
            values = [each.replace("\\", "\\\\").replace('"', '\\"') for each in values]
        joined = '","'.join(values)
        return f'{{"{joined}"}}'

    def lock_numbers(self, cursor: psycopg.Cursor[Row], numbers: Sequence[int]) -> None:
        locks = "SELECT pg_advisory_xact_lock(%s, number) FROM unnest(%s::int[]) AS number"
        cursor.execute(locks, (NUMBERS, list(numbers)))

    def lock_notes(self, cursor: psycopg.Cursor[Row], *, alone: bool) -> None:
        cursor.execute(f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}(%s)", (NOTING,))

    def insert(self, cursor: psycopg.Cursor[Row], into: Insert, rows: Sequence[Row]) -> None:
        if into not in self._copies:
            self._copies[into] = self._copy_of(into)
        command, types = self._copies[into]
        with cursor.copy(command) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _copy_of(self, into: Insert) -> tuple[str, list[str]]:
        quote = self.engine.dialect.identifier_preparer.quote
        columns = ", ".join(quote(name) for name in into.columns)
        types = [_type_of(into.table.c[name]) for name in into.columns]
        return f"COPY {quote(into.table.name)} ({columns}) FROM STDIN (FORMAT BINARY)", types

    def update(self, cursor: psycopg.Cursor[Row], change: Update, rows: Sequence[Row]) -> None:
        names = (*change.columns, change.key)
        listed = [dict(zip(names, row, strict=True)) for row in rows]
        written = orjson.dumps(listed, default=_hex).decode()
        cursor.execute(change.page.on(self.dialect).sql, (written,))

    def translated(self, error: Exception) -> Exception:
        if isinstance(error, UnicodeEncodeError):
            return unstorable()
        state = getattr(error, "sqlstate", None) or ""
        if state in BUSY:
            return busy("another page changes the same rows")
        if state in TAKEN:
            return taken(error)
        if state in UNSTORABLE:
            return unstorable()
        if state in FULL:
            return full()
        if state in GONE or state.startswith("08") or (not state and isinstance(error, psycopg.OperationalError)):
            return busy("the connection was lost")
        return error

    def close(self) -> None:
        self.engine.dispose()


def _is_clean(connection: psycopg.Connection[Row]) -> bool:
    """Ends whatever transaction is still open. False: the connection is broken."""
    status = connection.info.transaction_status
    if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        try:
            connection.execute("ROLLBACK", prepare=False)
        except psycopg.Error:
            return False
        return True
    return status == TransactionStatus.IDLE


def _schema(cursor: psycopg.Cursor[Row]) -> str | None:
    known = cursor.execute("SELECT to_regclass('alembic_version')::text").fetchone()
    if known is None or known[0] is None:
        return None
    found = cursor.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if found is None else str(found[0])


def _type_of(column: Column[Any]) -> str:
    kinds = ((Boolean, "bool"), (Integer, "int8"), (Float, "float8"), (LargeBinary, "bytea"))
    return next((name for kind, name in kinds if isinstance(column.type, kind)), "text")


def _hex(value: object) -> str:
    """Bytes as PostgreSQL reads them out of text ("bytea Hex Format")."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(f"{type(value).__name__} is no column value")
