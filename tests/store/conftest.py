"""A store on SQLite and on PostgreSQL, and rows to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hub.model import EntityRow, LinkRow
from hub.store import Store, Tx

AddRecords = Callable[..., list[int]]


@pytest.fixture
def store(migrated_url: str) -> Iterator[Store]:
    made = Store(migrated_url)
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
