"""Nobody who can write to the database changes what the log says without it showing."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from hub.app.erasing import erase
from hub.app.sealing import LogBroken, check, head
from tests.app_world import World


@pytest.fixture
def told(make: Any) -> World:
    world: World = make()
    with world.store.transaction() as tx:
        for number in range(6):
            tx.audit("mia", "did", f"thing {number}", {"was": number}, {"is": number + 1}, 100.0 + number)
    return world


def meddle(world: World, *statements: str) -> None:
    """As somebody would who can write to the database."""
    engine = create_engine(world.store._database.engine.url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_log_that_nobody_touched_holds(told: World) -> None:
    found = check(told.hub)
    assert (found["entries"], found["emptied"], found["unsealed"]) == (6, 0, 0)
    assert found["head"] == head(told.hub)
    assert found["head"].startswith("6:")


def test_an_empty_log_holds(make: Any) -> None:
    world = make()
    assert check(world.hub)["entries"] == 0
    assert head(world.hub) == ""


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE id = 3", "entry 3"),
        ("UPDATE audit SET after = '{\"is\":9}' WHERE id = 1", "entry 1"),
        ("UPDATE audit SET at = 1.0 WHERE id = 6", "entry 6"),
        ("DELETE FROM audit WHERE id = 4", "entry 4"),
        ("DELETE FROM seal WHERE entry = 2", "entry 3"),
        ("DELETE FROM seal WHERE entry = 6", "entry 6"),
        ("UPDATE seal SET content = 'x' WHERE entry = 5", "entry 5"),
        ("UPDATE seal SET salt = '' WHERE entry = 5", "entry 5"),
    ],
)
def test_what_was_changed_is_named(told: World, statement: str, where: str) -> None:
    meddle(told, statement)
    with pytest.raises(LogBroken) as broken:
        check(told.hub)
    assert broken.value.where == where


def test_two_entries_that_changed_places_are_noticed(told: World) -> None:
    meddle(
        told,
        *(f"UPDATE {table} SET {key} = -2 WHERE {key} = 2" for table, key in (("audit", "id"), ("seal", "entry"))),
        *(f"UPDATE {table} SET {key} = 2 WHERE {key} = 3" for table, key in (("audit", "id"), ("seal", "entry"))),
        *(f"UPDATE {table} SET {key} = 3 WHERE {key} = -2" for table, key in (("audit", "id"), ("seal", "entry"))),
    )
    with pytest.raises(LogBroken):
        check(told.hub)


def test_a_tail_that_was_cut_is_told_by_the_head_that_was_noted(told: World) -> None:
    noted = head(told.hub)
    meddle(told, "DELETE FROM audit WHERE id > 4", "DELETE FROM seal WHERE entry > 4")
    assert check(told.hub)["entries"] == 4, "what is left is whole in itself"
    with pytest.raises(LogBroken, match="does not contain the head"):
        check(told.hub, noted)


def test_a_head_that_was_noted_is_still_there_later(told: World) -> None:
    noted = head(told.hub)
    with told.store.transaction() as tx:
        tx.audit("mia", "did", "one more", None, None, 200.0)
    assert check(told.hub, noted)["entries"] == 7


def test_a_deed_that_did_not_happen_leaves_no_gap_in_the_chain(told: World) -> None:
    with pytest.raises(ZeroDivisionError), told.store.transaction() as tx:
        tx.audit("mia", "did", "nothing", None, None, 200.0)
        raise ZeroDivisionError
    with told.store.transaction() as tx:
        tx.audit("mia", "did", "something", None, None, 201.0)
    assert check(told.hub)["entries"] == 7


def test_who_is_erased_leaves_an_empty_place_that_holds(make: Any) -> None:
    world = make()
    world.person("A")
    world.sync()
    entity = world.entities()[0]
    with world.store.transaction() as tx:
        tx.audit("mia", "renamed", f"contact:{entity.id}", "Ann", "Anna", 100.0)
    noted = head(world.hub)
    erase(world.hub, f"contact:{entity.id}", by="mia")
    found = check(world.hub, noted)
    assert found["emptied"] == 1
    meddle(world, "UPDATE audit SET after = '1' WHERE before = 'null' AND action = 'renamed'")
    with pytest.raises(LogBroken, match="says something"):
        check(world.hub)
