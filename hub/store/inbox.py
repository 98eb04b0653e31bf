"""What people look through: conflicts that wait and conflicts that were decided, quarantine by code, search.

Every list is paged by key and bounded; what is open is found through indexes over the few rows that are.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, Text, bindparam, func, literal_column, select
from sqlalchemy.sql import Executable, Select

from hub.model import ConflictRow, EntityRow
from hub.store.codec import checked, decode
from hub.store.entities import contains
from hub.store.reviews import conflict_of
from hub.store.session import Session
from hub.store.statements import Dialect, Statement, table, word

CONFLICT, ENTITY, QUARANTINE, KEY = table("conflict"), table("entity"), table("quarantine"), table("entity_key")
FILTERS = ("field", "kind", "type", "connection", "before", "after", "cells", "decided_by")
DOT: ColumnElement[str] = literal_column("'.'", Text())
LAST = "\U0010ffff"  # greater than every text that begins alike


def _narrowed(names: tuple[str, ...], *, waits: bool) -> Statement:
    """Conflicts that wait, oldest first; or those that were decided, newest first."""

    def build(d: Dialect) -> Executable:
        found: Select[Any] = select(CONFLICT).where(CONFLICT.c.state == word("open" if waits else "closed"))
        if "type" in names or "cells" in names:
            found = found.join(ENTITY, ENTITY.c.id == CONFLICT.c.entity_id)
        if "type" in names:
            found = found.where(ENTITY.c.type == bindparam("type", type_=Text()))
        if "cells" in names:
            found = found.where(d.one_of(ENTITY.c.type + DOT + CONFLICT.c.field, "cells"))
        if "decided_by" in names:
            found = found.where(CONFLICT.c.decided_by.like(bindparam("decided_by", type_=Text())))
        if "field" in names:
            found = found.where(CONFLICT.c.field == bindparam("field", type_=Text()))
        if "kind" in names:
            found = found.where(CONFLICT.c.kind == bindparam("kind", type_=Text()))
        elif not waits:
            found = found.where(CONFLICT.c.kind != word("first_contact"))
        if "connection" in names:
            found = found.where(CONFLICT.c.candidates.like(bindparam("connection", type_=Text()), escape="\\"))
        if "before" in names:
            found = found.where(CONFLICT.c.at < bindparam("before"))
        if "after" in names:
            found = found.where(CONFLICT.c.at >= bindparam("after"))
        place = CONFLICT.c.id > bindparam("edge", type_=BigInteger())
        if not waits:
            place = CONFLICT.c.id < bindparam("edge", type_=BigInteger())
        order = CONFLICT.c.id if waits else CONFLICT.c.id.desc()
        return found.where(place).order_by(order).limit(bindparam("limit", type_=Integer()))

    return Statement(build)


CONFLICTS: dict[tuple[tuple[str, ...], bool], Statement] = {}
WAITING_BY = Statement(
    lambda d: (
        select(ENTITY.c.type, CONFLICT.c.field, CONFLICT.c.kind, func.count())
        .join(ENTITY, ENTITY.c.id == CONFLICT.c.entity_id)
        .where(CONFLICT.c.state == word("open"))
        .group_by(ENTITY.c.type, CONFLICT.c.field, CONFLICT.c.kind)
    )
)
CODES = Statement(
    lambda d: (
        select(QUARANTINE.c.code, QUARANTINE.c.connection, func.count())
        .where(QUARANTINE.c.state == word("open"))
        .group_by(QUARANTINE.c.code, QUARANTINE.c.connection)
    )
)
BY_PREFIX = Statement(
    lambda d: (
        select(KEY.c.key_value, KEY.c.key_name, KEY.c.entity_id)
        .where(
            KEY.c.key_value >= bindparam("first", type_=Text()),
            KEY.c.key_value < bindparam("last", type_=Text()),
        )
        .order_by(KEY.c.key_value)
        .limit(bindparam("limit", type_=Integer()))
    )
)
WITHIN = Statement(
    lambda d: (
        select(ENTITY)
        .where(
            ENTITY.c.id < bindparam("before_id", type_=BigInteger()),
            ENTITY.c.id >= bindparam("from_id", type_=BigInteger()),
            ENTITY.c.state == word("live"),
            d.lowered(ENTITY.c["values"]).like(bindparam("query", type_=Text()), escape="\\"),
        )
        .order_by(ENTITY.c.id.desc())
        .limit(bindparam("limit", type_=Integer()))
    )
)
NEWEST = Statement(lambda d: select(func.max(ENTITY.c.id)))


def _naming(connection: str) -> str:
    """A LIKE pattern for candidates of a connection; its name is one of hub.yaml's, letters, digits, - and _."""
    return '%"connection":"' + connection.replace("\\", "").replace("%", "").replace("_", "\\_") + '"%'


class Inbox(Session):
    """Lists for people."""

    def inbox(self, *, waits: bool, edge: int, limit: int, **narrowed: Any) -> list[ConflictRow]:
        """Conflicts by any of `FILTERS`; `edge` is the id of the last row that was seen, or an end.

        `cells` are of the form "type.field"; `decided_by` is how it begins.

        Those that wait come oldest first. Those decided come newest first; those of first contact, which are
        closed by rule by the thousand, only if their kind is asked for.
        """
        chosen = {name: value for name, value in narrowed.items() if name in FILTERS and value is not None}
        if "connection" in chosen:
            chosen["connection"] = _naming(chosen["connection"])
        if "decided_by" in chosen:
            chosen["decided_by"] += "%"
        key = (tuple(sorted(chosen)), waits)
        if key not in CONFLICTS:
            CONFLICTS[key] = _narrowed(key[0], waits=waits)
        return [conflict_of(row) for row in self._rows(CONFLICTS[key], edge=edge, limit=limit, **chosen)]

    def count_waiting_conflicts(self) -> dict[tuple[str, str, str], int]:
        """(entity type, field, kind) -> how many wait for a person."""
        return {(row[0], row[1], row[2]): row[3] for row in self._rows(WAITING_BY)}

    def count_codes(self) -> dict[tuple[str, str], int]:
        """(code, connection) -> open rows of the quarantine."""
        return {(row[0], row[1]): row[2] for row in self._rows(CODES)}

    def keys_from(self, prefix: str, limit: int) -> list[tuple[str, str, int]]:
        """(key value, key name, entity id) of keys that begin so."""
        rows = self._rows(BY_PREFIX, first=checked(prefix), last=prefix + LAST, limit=limit)
        return [(row[0], row[1], row[2]) for row in rows]

    def newest_entity(self) -> int:
        """The highest id; 0 where there is none."""
        return int(self._rows(NEWEST)[0][0] or 0)

    def search_entities(self, query: str, *, before_id: int, span: int, limit: int) -> list[EntityRow]:
        """Live entities with this text in their values, newest first, among the `span` ids before one."""
        rows = self._rows(
            WITHIN, query=contains(query), before_id=before_id, from_id=max(0, before_id - span), limit=limit
        )
        return [
            EntityRow(
                id=row[0], type=row[1], version=row[2], state=row[3], alias_of=row[4], values=decode(row[5]),
                fields=decode(row[6]), created_at=row[7],
            )
            for row in rows
        ]  # fmt: skip
