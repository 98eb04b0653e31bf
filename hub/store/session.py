"""What the topics of the store stand on: one open transaction and the few ways to speak to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hub.store.codec import checked, checked_id
from hub.store.databases import Database, Row
from hub.store.statements import Insert, Statement, Update
from hub.store.tables import ID_KINDS, VERSION

DRAW = Statement(lambda dialect: dialect.draw())


class Session:
    """One transaction. Lists in, tuples out; every driver error leaves as one of hub.errors."""

    def __init__(self, database: Database, cursor: Any, *, writes: bool) -> None:
        self._database, self._cursor, self._writes = database, cursor, writes
        self._version: int | None = None

    def next_version(self) -> int:
        """The version of this transaction: one number, the same whenever asked. Ask once the entities are locked."""
        if self._version is None:
            self._version = self._drawn(VERSION, 1)
        return self._version

    def reserve_ids(self, kind: str, n: int) -> range:
        """`n` fresh ids of a kind of `ID_KINDS`, rising; gaps mean nothing."""
        if kind not in ID_KINDS:
            raise ValueError(f"{kind} has no ids")
        last = self._drawn(kind, n)
        return range(last - n + 1, last + 1)

    def skip_numbers(self, n: int) -> None:
        """Leaves out the next `n` ids of every kind, and versions: somebody may have been given them already."""
        for kind in (*ID_KINDS, VERSION):
            self._drawn(kind, n)

    def _drawn(self, kind: str, n: int) -> int:
        found: int = self._rows(DRAW, kind=kind, many=n)[0][0]
        return found

    def _rows(self, statement: Statement, **params: Any) -> list[Row]:
        """What a query, or a statement with RETURNING, gives."""
        self._execute(statement, params)
        rows: list[Row] = self._cursor.fetchall()
        return rows

    def _run(self, statement: Statement, **params: Any) -> int:
        """Carries a statement out; tells how many rows it touched."""
        self._may_write()
        self._execute(statement, params)
        return int(self._cursor.rowcount)

    def _lock(self, numbers: Iterable[int]) -> None:
        """Keeps these numbers from every other transaction until this one ends; taken in order."""
        wanted = sorted(numbers)
        if not wanted:
            return
        try:
            self._database.lock_numbers(self._cursor, wanted)
        except self._database.errors as error:
            raise self._database.translated(error) from error

    def _may_write(self) -> None:
        if not self._writes:
            raise RuntimeError("a reading transaction writes nothing")

    def _execute(self, statement: Statement, params: dict[str, Any]) -> None:
        database, compiled = self._database, statement.on(self._database.dialect)
        given = {**compiled.constants, **params} if compiled.constants else params
        try:
            self._cursor.execute(compiled.sql, [self._bound(given[name]) for name in compiled.names])
        except database.errors as error:
            raise database.translated(error) from error

    def _many(self, statement: Statement, rows: Sequence[dict[str, Any]]) -> None:
        """Carries a statement out once per row of parameters, in one go. Lists cannot be among them."""
        self._may_write()
        if not rows:
            return
        database, compiled = self._database, statement.on(self._database.dialect)
        whole = [{**compiled.constants, **row} for row in rows] if compiled.constants else rows
        bound = [[self._bound(row[name]) for name in compiled.names] for row in whole]
        try:
            self._cursor.executemany(compiled.sql, bound)
        except database.errors as error:
            raise database.translated(error) from error

    def _bound(self, value: Any) -> Any:
        if type(value) is str:
            return checked(value)
        return self._database.listed(value) if type(value) is list else value

    def _insert(self, into: Insert, rows: Sequence[Row]) -> None:
        """New rows, in one go. The foreign text in them was checked by whoever made the tuples."""
        self._may_write()
        if not rows:
            return
        try:
            self._database.insert(self._cursor, into, rows)
        except self._database.errors as error:
            raise self._database.translated(error) from error

    def _update(self, change: Update, rows: Sequence[Row]) -> None:
        self._may_write()
        if not rows:
            return
        try:
            self._database.update(self._cursor, change, rows)
        except self._database.errors as error:
            raise self._database.translated(error) from error


def id_or_none(text: str | None) -> str | None:
    return None if text is None else checked_id(text)


def ids_of(values: Iterable[int]) -> list[int]:
    """Distinct ids, in order: the order in which PostgreSQL then locks them."""
    return sorted(set(values))


def texts_of(values: Iterable[str]) -> list[str]:
    """Distinct texts. Raises RecordRejected STORE-TEXT."""
    return [checked(text) for text in dict.fromkeys(values)]
