"""All migrations come to exactly the tables that are declared, and to those that an empty database gets at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from hub.errors import ConfigFault
from hub.store import Store
from hub.store.migrate import current, newest, upgrade
from hub.store.rows import ViewColumn, ViewSpec
from hub.store.schema import SCHEMA
from hub.store.tables import METADATA

POSTGRES_CATALOGUE = {
    "columns": """
        SELECT table_name, ordinal_position, column_name, data_type, collation_name, is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "constraints": """
        SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace ORDER BY 1""",
    "sequences": "SELECT sequencename, data_type, increment_by FROM pg_sequences ORDER BY 1",
    "functions": """
        SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1""",
}
SQLITE_CATALOGUE = {"everything": "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1, 2"}


def catalogue(url: str) -> dict[str, list[Any]]:
    """What the database itself says it holds, layout of its texts aside."""
    engine = create_engine(url)
    queries = SQLITE_CATALOGUE if engine.dialect.name == "sqlite" else POSTGRES_CATALOGUE
    with engine.connect() as connection:
        found = {name: [_flat(row) for row in connection.execute(text(query))] for name, query in queries.items()}
    engine.dispose()
    return found


def _flat(row: Any) -> tuple[Any, ...]:
    return tuple(re.sub(r"\s*([(),\s])\s*", r"\1", each) if isinstance(each, str) else each for each in row)


def differences(url: str) -> list[Any]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA)
    engine.dispose()
    return list(found)


def test_all_migrations_come_to_the_declared_tables(migrated_url: str) -> None:
    assert differences(migrated_url) == []


def test_an_empty_database_gets_exactly_what_migrations_come_to(database_url: str) -> None:
    Store(database_url).close()
    at_once = catalogue(database_url)
    empty(database_url)
    upgrade(database_url)
    assert catalogue(database_url) == at_once


def empty(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).unlink()
        return
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def test_a_store_opens_a_migrated_database(migrated_url: str) -> None:
    store = Store(migrated_url)
    with store.transaction() as tx:
        assert tx.next_version() == 1
        assert list(tx.reserve_ids("entity", 3)) == [1, 2, 3]
    store.close()


def test_migrating_a_database_that_a_store_made_changes_nothing(database_url: str) -> None:
    store = Store(database_url)
    with store.transaction() as tx:
        tx.set_setting("kept", 1)
    store.close()
    before = catalogue(database_url)
    assert upgrade(database_url) == SCHEMA
    assert catalogue(database_url) == before
    store = Store(database_url)
    with store.reading() as tx:
        assert tx.setting("kept") == 1
    store.close()


def test_the_code_knows_the_newest_migration() -> None:
    assert newest() == SCHEMA


def test_an_empty_database_is_at_no_migration(database_url: str) -> None:
    assert current(database_url) is None


def test_migrations_are_applied_one_by_one(database_url: str) -> None:
    assert upgrade(database_url, to="0001") == "0001"
    assert current(database_url) == "0001"
    assert upgrade(database_url) == SCHEMA
    assert differences(database_url) == []


def test_a_store_refuses_an_older_database(database_url: str) -> None:
    upgrade(database_url, to="0001")
    with pytest.raises(ConfigFault) as refused:
        Store(database_url)
    assert refused.value.code == "STORE-OLDER"
    assert "hub db upgrade" in refused.value.fix


def test_old_code_refuses_a_newer_database(migrated_url: str) -> None:
    _pretend(migrated_url, "9999")
    with pytest.raises(ConfigFault) as refused:
        Store(migrated_url)
    assert refused.value.code == "STORE-NEWER"
    with pytest.raises(ConfigFault) as refused:
        upgrade(migrated_url)
    assert refused.value.code == "STORE-NEWER"


def _pretend(url: str, number: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        _set(connection, number)
    engine.dispose()


def _set(connection: Connection, number: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": number})


def test_an_upgrade_takes_views_out_of_the_way(database_url: str) -> None:
    store = Store(database_url)
    store.create_views([ViewSpec(entity_type="contact", columns=[ViewColumn(name="email", path=["email"])])])
    store.close()
    upgrade(database_url)
    assert "contact" not in str(catalogue(database_url))


def test_pairs_of_old_become_rows_of_their_own(database_url: str) -> None:
    upgrade(database_url, to="0002")
    engine = create_engine(database_url)
    row = "INSERT INTO identity VALUES (:id, :kind, :state, :one, :others, 'null', 'null', 'x', 1.0, 0, NULL, '')"
    with engine.begin() as connection:
        for each in (1, 2, 3):
            told = "INSERT INTO entity VALUES (:id, 'contact', 1, 'live', NULL, '{}', '{}', 1.0)"
            connection.execute(text(told), {"id": each})
        numbered = (
            "INSERT INTO counter VALUES ('identity', 7)"
            if engine.dialect.name == "sqlite"
            else "SELECT setval('identity_numbers', 7)"
        )
        connection.execute(text(numbered))
        for id_, kind, one, others in ((1, "review", 3, "[1, 2]"), (2, "review", 1, "[3]"), (3, "merge", 2, "[1]")):
            found = {"id": id_, "kind": kind, "state": "open", "one": one, "others": others}
            connection.execute(text(row), found)
    engine.dispose()
    upgrade(database_url)
    store = Store(database_url)
    with store.transaction() as tx:
        rows = [
            (each["id"], each["kind"], each["key"], each["entity_id"], each["other_id"]) for each in tx.identities()
        ]
        assert rows == [
            (1, "review", "1-3", 1, 3), (3, "merge", None, 2, 1), (8, "review", "2-3", 2, 3),
        ]  # fmt: skip
        assert tx.reserve_ids("identity", 1) == range(9, 10)
    store.close()


@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_migration_that_is_cut_off_leaves_the_tables_as_they_were(
    database_url: str, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Between two statements of a later step, the process ends. The next one begins where the last whole one stood."""
    upgrade(database_url, to="0001")
    before, left = catalogue(database_url), [after]

    def dies(connection: Any, *given: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(connection, *given, **more)

    real = Connection.execute
    monkeypatch.setattr(Connection, "execute", dies)
    with pytest.raises(KeyboardInterrupt):
        upgrade(database_url)
    monkeypatch.setattr(Connection, "execute", real)
    assert (current(database_url), catalogue(database_url)) == ("0001", before)
    assert upgrade(database_url) == SCHEMA
    assert differences(database_url) == []
