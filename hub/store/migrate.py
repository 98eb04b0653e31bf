"""Migrations: `hub db upgrade`. Imported only there and in tests, since Alembic costs every start a tenth of a second.

A new migration is a file in hub/store/migrations/versions/ with the next number, and that number in
hub.store.schema.SCHEMA; tests hold both, and the tables, together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from hub.errors import ConfigFault
from hub.store.schema import SCHEMA, mismatch

FOLDER = Path(__file__).parent / "migrations"
LOCK = 741_100_000_000_002  # advisory lock: one process migrates


def upgrade(url: str, to: str = "head") -> str:
    """Brings a database, empty or older, to this code's tables, wholly or not at all; gives the number it is at then.

    Views are dropped, for they would be in the way; `Store.create_views` makes them anew.

    Raises:
        ConfigFault: STORE-NEWER, the database belongs to a newer hub.
    """
    with _connected(url) as connection:
        found = _current(connection)
        if found is not None and found > SCHEMA:
            raise ConfigFault([mismatch(found)])
        _drop_views(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        return _current(connection) or ""


def current(url: str) -> str | None:
    """The number of the newest migration that was applied; None: none."""
    with _connected(url) as connection:
        return _current(connection)


def newest() -> str:
    """The number of the newest migration that there is."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _drop_views(connection: Connection) -> None:
    for name in inspect(connection).get_view_names():
        connection.execute(text(f'DROP VIEW "{name}"'))


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """One connection, inside a transaction that no other process migrates in."""
    engine = _engine(url)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            yield connection
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    engine = create_engine(parsed, poolclass=NullPool, connect_args={"isolation_level": None})

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> Any:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
