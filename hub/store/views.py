"""One typed view per entity type, over the JSON of its entities: for people with SQL tools.

Only live entities are in it; aliases speak through their root, the deleted no longer. The views are made anew by
`hub db upgrade` whenever the declared types may have changed; nothing in the hub reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hub.errors import ConfigFault, Fault
from hub.store.rows import ViewColumn, ViewSpec
from hub.store.session import Session
from hub.store.tables import METADATA

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")  # PostgreSQL cuts longer names (NAMEDATALEN)
PART = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,126}")  # consent.email is one key, and stands in quotes
OURS = ("entity_id", "entity_version", "created_at")
TAKEN = {*METADATA.tables, "alembic_version"}

# How a value is taken out of the JSON text, and what it is made into: {place} is the path within it.
SQLITE = {"": "json_extract(\"values\", '{place}')", "decimal": "CAST({value} AS NUMERIC)"}
POSTGRES = {
    "": "(doc #>> '{place}')",
    "json": "(doc #> '{place}')",
    "integer": "{value}::bigint",
    "decimal": "{value}::numeric",
    "boolean": "{value}::boolean",
    "date": "{value}::date",
    "instant": "{value}::timestamptz",
}


class Views(Session):
    """Views for people."""

    def create_views(self, specs: Iterable[ViewSpec]) -> list[str]:
        """Makes these views, drops all others of the hub; gives their names.

        Raises:
            ConfigFault: STORE-VIEW, names that cannot stand in SQL, or that a table of the hub has; nothing was made.
        """
        self._may_write()
        wanted = list(specs)
        faults = [fault for spec in wanted for fault in _faults(spec)]
        if faults:
            raise ConfigFault(faults)
        postgres = self._database.dialect.name == "postgresql"
        for name in self._view_names(postgres=postgres):
            self._cursor.execute(f'DROP VIEW "{name}"')
        for spec in wanted:
            self._cursor.execute(_postgres_view(spec) if postgres else _sqlite_view(spec))
        return [spec.entity_type for spec in wanted]

    def _view_names(self, *, postgres: bool) -> list[str]:
        known = (
            "SELECT viewname FROM pg_views WHERE schemaname = current_schema()"
            if postgres
            else "SELECT name FROM sqlite_master WHERE type = 'view'"
        )
        return [row[0] for row in self._cursor.execute(known).fetchall()]


def _faults(spec: ViewSpec) -> list[Fault]:
    where, found = f"view {spec.entity_type}", []
    names = [spec.entity_type, *(column.name for column in spec.columns)]
    parts = {part for column in spec.columns for part in column.path}
    bad = sorted({name for name in names if not NAME.fullmatch(name)} | {p for p in parts if not PART.fullmatch(p)})
    if bad:
        found.append(_fault(where, f"{', '.join(map(repr, bad))} cannot be the name of a view or column"))
    if spec.entity_type in TAKEN:
        found.append(_fault(where, "a table of the hub has this name"))
    twice = sorted({name for name in names[1:] if names[1:].count(name) > 1 or name in OURS})
    if twice:
        found.append(_fault(where, f"{', '.join(twice)} would be there twice"))
    return found


def _fault(where: str, message: str) -> Fault:
    return Fault(code="STORE-VIEW", where=where, message=message, fix="choose another name in canonical.yaml")


def _sqlite_view(spec: ViewSpec) -> str:
    def place(path: Sequence[str]) -> str:
        return "$" + "".join(f'."{part}"' for part in path)

    columns = [_expression(SQLITE, column, place(column.path)) for column in spec.columns]
    return _view(spec, "datetime(created_at, 'unixepoch')", columns, "entity")


def _postgres_view(spec: ViewSpec) -> str:
    columns = [_expression(POSTGRES, column, "{" + ",".join(column.path) + "}") for column in spec.columns]
    # OFFSET 0 keeps the planner from parsing the document once per column.
    source = 'entity CROSS JOIN LATERAL (SELECT entity."values"::jsonb AS doc OFFSET 0) AS opened'
    return _view(spec, "to_timestamp(created_at)", columns, source)


def _expression(ways: dict[str, str], column: ViewColumn, place: str) -> str:
    taken = ways.get("json", ways[""]) if column.type == "json" else ways[""]
    value = taken.replace("{place}", place)
    made = ways.get(column.type, "{value}") if column.type != "json" else "{value}"
    return f'{made.replace("{value}", value)} AS "{column.name}"'


def _view(spec: ViewSpec, created_at: str, columns: Sequence[str], source: str) -> str:
    head = ["id AS entity_id", "version AS entity_version", f"{created_at} AS created_at"]
    where = f"type = '{spec.entity_type}' AND state = 'live'"
    chosen = ", ".join([*head, *columns])
    return f'CREATE VIEW "{spec.entity_type}" AS SELECT {chosen} FROM {source} WHERE {where}'  # noqa: S608 - NAME
