"""A system's clock may count whole seconds: an edit in the very second of the hub's own write is not written over."""

from __future__ import annotations

from typing import Any

from hub.verify.vendor import Traits
from tests.app_world import World


def edited_within_the_tick(make: Any) -> tuple[World, str, str]:
    """The hub wrote to B; in the same second somebody edits there, and somebody else edits the same field at A."""
    world: World = make(traits=Traits(page_size=100, max_batch=100, tick_s=1.0))
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    world.edit("A", at_a, note="second")
    world.clock.sleep(1.0 - world.clock.now() % 1.0)
    world.sync(after_s=0.0)
    assert world.held_at("B", at_b)["note"] == "second"
    world.vendors["A"].user_edit(at_a, "note", "from A")
    world.vendors["B"].user_edit(at_b, "note", "from B")
    assert world.vendors["B"].current(at_b).stamp == world.links("B")[at_b].stamp
    return world, at_a, at_b


def test_an_edit_in_the_second_of_our_write_is_not_written_over(make: Any) -> None:
    world, _, at_b = edited_within_the_tick(make)
    world.sync(after_s=0.0)
    assert world.held_at("B", at_b)["note"] == "from B"


def test_both_edits_are_weighed_once_the_second_is_over(make: Any) -> None:
    world, at_a, at_b = edited_within_the_tick(make)
    world.sync(after_s=0.0)
    world.settle()
    (conflict,) = world.conflicts(state=None)
    assert sorted(each["value"] for each in conflict.candidates) == ["from A", "from B"]
    assert world.held_at("A", at_a)["note"] == world.held_at("B", at_b)["note"] == world.values()["note"]
    before = world.writes()
    world.settle()
    assert world.writes() == before
