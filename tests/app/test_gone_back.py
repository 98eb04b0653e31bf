"""A system that was put back to its own backup: held, neither read nor written, until a person says which way to go."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hub.app.gone_back import PATIENCE_S
from hub.app.pull import fetch_now
from hub.app.review import drop_hold, release_hold
from hub.model import HoldRow, Json
from hub.verify.vendor import STREAM
from tests.app_world import World


def held(world: World) -> list[HoldRow]:
    with world.store.reading() as tx:
        return tx.open_holds()


def read(world: World, system: str, *ids: str) -> None:
    fetch_now(world.hub, world.hub.connections[system], STREAM, ids, run_id=None)


def told(world: World, system: str, external_id: str) -> dict[str, Json]:
    return world.vendors[system].current(external_id).fields or {}


@pytest.fixture
def put_back(make: Any) -> tuple[World, str]:
    """A's record was edited, everybody has it, and then A is put back to the state before the edit."""
    world = make()
    one = world.person("A", note="old")
    world.sync()
    snapshot = copy.deepcopy(world.vendors["A"].records)
    world.clock.advance(600.0)
    world.vendors["A"].user_edit(one, "note", "new")
    world.sync()
    world.sync()
    world.vendors["A"].records = snapshot
    world.clock.advance(2 * PATIENCE_S)
    return world, one


def test_it_is_held_and_nothing_is_written_there(put_back: tuple[World, str]) -> None:
    world, one = put_back
    read(world, "A", one)
    (hold,) = held(world)
    assert (hold.guard, hold.connection, hold.count) == ("rolled_back", "A", 1)
    read(world, "A", one)
    assert [each.count for each in held(world)] == [1], "the same record is no second case"
    (other,) = world.vendors["B"].records
    world.clock.advance(60.0)
    world.vendors["B"].user_edit(other, "phone", "+49301")
    world.sync()
    assert told(world, "A", one)["note"] == "old"
    assert told(world, "A", one)["phone"] != "+49301"


def test_released_it_is_taken_as_an_edit(put_back: tuple[World, str]) -> None:
    world, one = put_back
    read(world, "A", one)
    release_hold(world.hub, held(world)[0].id, by="mia")
    world.sync()
    (other,) = world.vendors["B"].records
    assert told(world, "B", other)["note"] == "old"
    assert not held(world)


def test_dropped_it_is_put_right(put_back: tuple[World, str]) -> None:
    world, one = put_back
    read(world, "A", one)
    drop_hold(world.hub, held(world)[0].id, by="mia")
    world.sync()
    assert told(world, "A", one)["note"] == "new"
    world.vendors["A"].user_edit(one, "note", "newest")
    world.clock.advance(60.0)
    world.sync()
    (other,) = world.vendors["B"].records
    assert told(world, "B", other)["note"] == "newest", "it is read again as ever"


def test_a_replica_that_is_late_is_not_taken_for_it(put_back: tuple[World, str]) -> None:
    world, one = put_back
    world.clock.advance(-1.5 * PATIENCE_S)
    read(world, "A", one)
    assert not held(world)
