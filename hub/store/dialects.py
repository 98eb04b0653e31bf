"""What the two databases say differently in the text of a statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import BigInteger, ColumnElement, Table, Text, any_, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect as Grammar
from sqlalchemy.sql import ClauseElement, Executable, Select, func
from sqlalchemy.sql.sqltypes import Integer

from hub.store.statements import Compiled, Upsert, table
from hub.store.tables import ID_KINDS, VERSION

SEQUENCES = tuple(f"CREATE SEQUENCE {kind}_numbers" for kind in (VERSION, *ID_KINDS))

# A range must be whole. Two workers: A draws 50, and before it has moved the sequence on, B draws one and gets a number
# in A's range. So both hold a lock for the moment that it takes; not to the end of their transactions, or they would
# queue. Versions are drawn one at a time and need none.
DRAW_FUNCTION = """
CREATE FUNCTION hub_draw(kind text, many bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    numbers regclass := (kind || '_numbers')::regclass;
    last bigint;
BEGIN
    IF kind = 'version' THEN
        RETURN nextval(numbers);
    END IF;
    PERFORM pg_advisory_lock(7411 * 10000000000 + numbers::oid::bigint);
    last := nextval(numbers) + many - 1;
    PERFORM setval(numbers, last);
    PERFORM pg_advisory_unlock(7411 * 10000000000 + numbers::oid::bigint);
    RETURN last;
END $$
"""


class SqliteDialect:
    """SQLite: a list travels as one JSON array, which the planner searches the index with."""

    name = "sqlite"
    extras: Sequence[str] = ()

    def __init__(self) -> None:
        self.grammar: Grammar = sqlite.dialect(paramstyle="qmark")

    def one_of(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        listed = func.json_each(bindparam(name, type_=Text())).table_valued("value", name=f"{name}_list")
        return column.in_(select(listed.c.value))

    def upsert(self, table: Table) -> Upsert:
        return sqlite.insert(table)

    def locked(self, query: Select[Any]) -> Select[Any]:
        return query  # BEGIN IMMEDIATE has locked everything

    def greater(self, column: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.max(func.coalesce(column, other), other)

    def lowered(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.lower(column)

    def draw(self) -> Executable:
        counter = table("counter")
        fresh = sqlite.insert(counter).values(name=bindparam("kind"), value=bindparam("many"))
        raised = {"value": counter.c.value + fresh.excluded.value}
        return fresh.on_conflict_do_update(index_elements=["name"], set_=raised).returning(counter.c.value)

    def compiled(self, statement: Executable) -> Compiled:
        return _compiled(statement, self.grammar)


class PostgresDialect:
    """PostgreSQL: a list travels as an array."""

    name = "postgresql"
    extras: Sequence[str] = (*SEQUENCES, DRAW_FUNCTION)

    def __init__(self) -> None:
        self.grammar: Grammar = PGDialect_psycopg(paramstyle="format")

    def one_of(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        element = BigInteger() if isinstance(column.type, Integer) else Text()
        return column == any_(bindparam(name, type_=postgresql.ARRAY(element)))

    def upsert(self, table: Table) -> Upsert:
        return postgresql.insert(table)

    def locked(self, query: Select[Any]) -> Select[Any]:
        # NO KEY: rows that merely point at the entity (foreign keys) need not wait.
        return query.with_for_update(key_share=True)

    def greater(self, column: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.greatest(column, other)

    def lowered(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.lower(column.collate("C"))

    def draw(self) -> Executable:
        # A function of the first migration: the row lock of a counter would make all writers wait for each other.
        drawn = func.hub_draw(bindparam("kind", type_=Text()), bindparam("many", type_=BigInteger()))
        return select(drawn)

    def compiled(self, statement: Executable) -> Compiled:
        return _compiled(statement, self.grammar)


def _compiled(statement: Executable, grammar: Grammar) -> Compiled:
    compiled: Any = cast("ClauseElement", statement).compile(dialect=grammar)
    constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
    return Compiled(sql=str(compiled), names=tuple(compiled.positiontup or ()), constants=constants)
