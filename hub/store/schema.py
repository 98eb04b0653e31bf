"""The schema as a whole: made in one go in an empty database, checked against this code in any other.

Migrations (hub.store.migrate) come to the same tables step by step; a test holds the two together.
"""

from __future__ import annotations

from sqlalchemy.schema import CreateIndex, CreateTable

from hub.errors import ConfigFault, Fault
from hub.store.databases import Database
from hub.store.statements import Dialect
from hub.store.tables_people import METADATA

SCHEMA = "0020"  # number of the newest migration; they rise


MADE: dict[str, list[str]] = {}  # dialect -> statements; compiled once, for the simulator makes many stores


def ready(database: Database) -> None:
    """Makes the tables in an empty database; refuses one of another version.

    Raises:
        ConfigFault: STORE-OLDER, STORE-NEWER.
    """
    found = database.schema()
    if found is None:
        database.create(_statements(database.dialect), SCHEMA)
    elif found != SCHEMA:
        raise ConfigFault([mismatch(found)])


def _statements(dialect: Dialect) -> list[str]:
    if dialect.name not in MADE:
        MADE[dialect.name] = _made(dialect)
    return MADE[dialect.name]


def _made(dialect: Dialect) -> list[str]:
    made = list(dialect.extras)
    for each in METADATA.sorted_tables:
        made.append(str(CreateTable(each).compile(dialect=dialect.grammar)))
        indexes = sorted(each.indexes, key=lambda index: str(index.name))
        made += [str(CreateIndex(index).compile(dialect=dialect.grammar)) for index in indexes]
    return made


def mismatch(found: str) -> Fault:
    """What to say of a database that is at another number."""
    if found < SCHEMA:
        return Fault(
            code="STORE-OLDER", where="store", message=f"the database is at {found}, this hub needs {SCHEMA}",
            fix="run `hub db upgrade`",
        )  # fmt: skip
    return Fault(
        code="STORE-NEWER", where="store", message=f"the database is at {found}, this hub knows only {SCHEMA}",
        fix="run the newer hub, or restore the backup made before the upgrade",
    )  # fmt: skip
