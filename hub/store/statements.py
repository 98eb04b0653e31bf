"""Statements: built with SQLAlchemy Core, compiled once per database, run on the driver's own cursor.

Constructing and post-processing statements is what makes SQLAlchemy slow, not the databases: compiled once, a page of
500 rows costs what the driver costs, and a tiny transaction of the simulator some microseconds. What Core is kept for
is portability: one construct, two dialects, every name checked against hub.store.tables when it is built.

Rows go in and come out as tuples in the order of the table's columns. JSON is encoded and decoded by hub.store.codec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import JSON, ColumnElement, Table, Text, bindparam, column, insert, literal_column, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect as Grammar
from sqlalchemy.sql import Executable, Select, func

from hub.store.tables_people import METADATA

Upsert = sqlite.Insert | postgresql.Insert


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A statement as a driver takes it."""

    sql: str  # with positional markers
    names: tuple[str, ...]  # of the parameters, in their order
    constants: Mapping[str, Any]  # of those, what the statement itself says


class Dialect(Protocol):
    """What differs between the databases in the text of a statement."""

    name: str
    grammar: Grammar  # SQLAlchemy's
    extras: Sequence[str]  # what the schema needs beside its tables

    def one_of(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """The column is an element of the list bound to `name`, however long: one parameter, one compiled text."""
        ...

    def upsert(self, table: Table) -> Upsert:
        """An insert that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
        ...

    def locked(self, query: Select[Any]) -> Select[Any]:
        """The rows stay ours until the transaction ends."""
        ...

    def greater(self, column: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
        """The greater of a column, which may be null, and a value, which is not."""
        ...

    def lowered(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Text with its ASCII letters in lower case: the same on both, whatever the language of the database."""
        ...

    def draw(self) -> Executable:
        """Raises the counter `kind` by `many` and gives its new value."""
        ...

    def compiled(self, statement: Executable) -> Compiled: ...


def table(name: str) -> Table:
    """A table of hub.store.tables."""
    return METADATA.tables[name]


def word(value: str) -> ColumnElement[str]:
    """A word of ours, spelled out in the statement: the planner must see it to use an index over some rows."""
    if not value.isidentifier():
        raise ValueError(f"{value!r} is no plain word")
    return literal_column(f"'{value}'", Text())


def given(name: str) -> dict[str, Any]:
    """Column -> parameter `new_…`, for a statement that puts in one whole row."""
    return {each.name: bindparam(f"new_{each.name}", type_=each.type) for each in table(name).columns}


def as_new(**row: Any) -> dict[str, Any]:
    """Arguments for the parameters of `given`."""
    return {f"new_{name}": value for name, value in row.items()}


class Statement:
    """One statement. Parameters are given by name; a list is for `Dialect.one_of`."""

    __slots__ = ("_build", "_compiled")

    def __init__(self, build: Callable[[Dialect], Executable]) -> None:
        self._build = build
        self._compiled: dict[str, Compiled] = {}

    def on(self, dialect: Dialect) -> Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = dialect.compiled(self._build(dialect))
        return found


class Insert:
    """New rows of one table: tuples of `columns`, which stand in the order of the table."""

    __slots__ = ("table", "columns", "statement")

    def __init__(self, name: str, *, without: Sequence[str] = ()) -> None:
        self.table = table(name)
        self.columns = tuple(each.name for each in self.table.columns if each.name not in without)
        values = {each: bindparam(f"new_{each}", type_=self.table.c[each].type) for each in self.columns}
        self.statement = Statement(lambda dialect: insert(self.table).values(values))


class Update:
    """Changed rows of one table: tuples of `columns` and then `key`. None in a column of `keep` leaves it as it is."""

    __slots__ = ("table", "columns", "key", "keep", "statement", "page")

    def __init__(self, name: str, columns: Sequence[str], *, key: str = "id", keep: Sequence[str] = ()) -> None:
        self.table = table(name)
        self.columns = tuple(each.name for each in self.table.columns if each.name in columns)
        if len(self.columns) != len(columns):
            raise ValueError(f"{name} lacks some of {columns}")
        self.key, self.keep = key, frozenset(keep)
        self.statement = Statement(self._one)
        self.page = Statement(self._many)

    def _one(self, dialect: Dialect) -> Executable:
        values: dict[str, Any] = {}
        for name in self.columns:
            old = self.table.c[name]
            new: Any = bindparam(f"new_{name}", type_=old.type)
            values[name] = func.coalesce(new, old) if name in self.keep else new
        key = bindparam("the_key", type_=self.table.c[self.key].type)
        return update(self.table).where(self.table.c[self.key] == key).values(values)

    def _many(self, _: Dialect) -> Executable:
        """All rows in one statement, out of one JSON parameter: PostgreSQL."""
        names = (*self.columns, self.key)
        listed = func.json_to_recordset(bindparam("rows", type_=JSON()))
        new = listed.table_valued(*(column(name, self.table.c[name].type) for name in names))
        fresh = new.render_derived(name="fresh", with_types=True)
        values: dict[str, Any] = {
            name: func.coalesce(fresh.c[name], self.table.c[name]) if name in self.keep else fresh.c[name]
            for name in self.columns
        }
        return update(self.table).where(self.table.c[self.key] == fresh.c[self.key]).values(values)
