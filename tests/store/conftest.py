"""A store on SQLite and on PostgreSQL, and rows to put into it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from hub.model import EntityRow, LinkRow
from hub.store import Store, Tx
from hub.store.tables import METADATA
from tests.postgres import Server

AddRecords = Callable[..., list[int]]


@pytest.fixture(scope="session")
def emptied(postgres: Server, migrated_postgres: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """A PostgreSQL database that all tests here use one after the other, and what empties it.

    Making a database waits for the disk; emptying the few rows of one test does not.
    """
    with postgres.database(template=migrated_postgres) as url:
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            numbers = connection.scalars(text("SELECT sequencename FROM pg_sequences")).all()
        statements = [text(f'DELETE FROM "{table}"') for table in reversed(METADATA.sorted_tables)]
        statements += [text(f"SELECT setval('{name}', 1, false)") for name in numbers]

        def empty() -> None:
            with engine.begin() as connection:
                for view in inspect(connection).get_view_names():
                    connection.execute(text(f'DROP VIEW "{view}"'))
                for statement in statements:
                    connection.execute(statement)

        yield url, empty


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with all migrations in it and nothing else."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite") / "hub.db", tmp_path)
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    url, empty = request.getfixturevalue("emptied")
    yield url
    empty()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    made = Store(store_url)
    yield made
    made.close()


@pytest.fixture
def add_entities() -> AddRecords:
    """(tx, n, type) -> ids of n new entities."""

    def add(tx: Tx, n: int, type_: str = "contact") -> list[int]:
        ids = list(tx.reserve_ids("entity", n))
        tx.insert_entities([EntityRow(id=each, type=type_, created_at=1.0) for each in ids])
        return ids

    return add


@pytest.fixture
def add_links(add_entities: AddRecords) -> AddRecords:
    """(tx, n, connection, stream) -> ids of n new live links, each of a new entity; external ids are "r1", "r2" …"""

    def add(tx: Tx, n: int, connection: str = "crm", stream: str = "contacts", **columns: object) -> list[int]:
        entities, ids = add_entities(tx, n), list(tx.reserve_ids("link", n))
        tx.insert_links(
            [
                LinkRow(
                    id=each, connection=connection, stream=stream, external_id=f"r{each}", entity_id=entity,
                    **columns,  # type: ignore[arg-type]
                )
                for each, entity in zip(ids, entities, strict=True)
            ]
        )  # fmt: skip
        return ids

    return add
