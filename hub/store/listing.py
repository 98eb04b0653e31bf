"""Lists that may be narrowed by any of some columns, and are paged by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, Table, bindparam, select
from sqlalchemy.sql import Executable

from hub.store.statements import Dialect, Statement


class Listing:
    """A list that may be narrowed: one statement per set of conditions that are asked for; `without` some columns."""

    def __init__(self, of: Table, *names: str, without: Sequence[str] = ()) -> None:
        self._of, self._names = of, names
        self._shown = [column for column in of.columns if column.name not in without]
        self._built: dict[tuple[str, ...], Statement] = {}

    def narrowed(self, conditions: dict[str, Any]) -> tuple[Statement, dict[str, Any]]:
        chosen = {name: conditions[name] for name in self._names if conditions.get(name) is not None}
        names = tuple(chosen)
        if names not in self._built:
            self._built[names] = Statement(lambda d: self._query(d, names))
        return self._built[names], chosen

    def _query(self, _: Dialect, names: tuple[str, ...]) -> Executable:
        columns = self._of.c
        found = select(*self._shown).where(columns.id > bindparam("after_id"))
        for name in names:
            found = found.where(columns[name] == bindparam(name))
        return found.order_by(columns.id).limit(bindparam("limit", type_=Integer()))
