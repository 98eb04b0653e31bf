"""A field that two automations keep overwriting stands still after three writes, and says who they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub.app.explaining import explain_all
from hub.app.review import release_conflict, resolve_conflict
from hub.core.canonical import Canonical, Survivorship
from hub.core.planted import PLANTED
from hub.errors import Drifted
from hub.verify.vendor import STREAM
from tests.app_world import World, mapping_of

X, Y = "+49111", "+49222"


class Robots:
    """At A somebody's rule says x, at B somebody else's says y."""

    def __init__(self, world: World, at_a: str, at_b: str) -> None:
        self.world, self.at = world, {"A": at_a, "B": at_b}
        self.rules = {"A": X, "B": Y}

    def run(self) -> None:
        for system, value in self.rules.items():
            if self.world.held_at(system, self.at[system])["phone"] != value:
                self.world.edit(system, self.at[system], phone=value)

    def days(self, number: int) -> int:
        """The field's writes, of so many rounds."""
        before = self.world.writes()
        for _ in range(number):
            self.run()
            self.world.sync()
        return self.world.writes() - before


def two_robots(make: Any, **more: Any) -> tuple[World, Robots]:
    world: World = make(**more)
    at_a = world.person("A", phone=X)
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    return world, Robots(world, at_a, at_b)


def with_authority(make: Any) -> tuple[World, str, str]:
    """A is the authority on phones; Ann is in both."""
    world: World = make()
    fields = dict(world.entity.fields)
    rule = Survivorship(rule="source", source=("A", "B"), where="canonical.yaml:7")
    fields["phone"] = replace(fields["phone"], survivorship=rule)
    canonical = Canonical(sources=("A", "B"), entities={"contact": replace(world.entity, fields=fields)})
    world.hub.canonical = canonical
    for name in "AB":
        world.change(name, mappings={STREAM: mapping_of(name, canonical)})
    at_a = world.person("A", phone=X)
    world.settle()
    return world, at_a, world.twin_of("A", at_a, "B")


def test_the_field_stands_still_after_three_writes_and_both_writers_are_named(make: Any) -> None:
    world, robots = two_robots(make)
    assert robots.days(8) <= 3
    (conflict,) = world.conflicts()
    assert (conflict.kind, conflict.field, conflict.state) == ("oscillation", "phone", "open")
    assert {each["connection"] for each in conflict.candidates} == {"A", "B"}
    assert {each["value"] for each in conflict.candidates} == {X, Y}
    assert "A and B keep overwriting each other" in conflict.note
    assert robots.days(5) == 0


def test_the_rest_of_the_record_goes_on(make: Any) -> None:
    world, robots = two_robots(make)
    robots.days(8)
    world.edit("A", robots.at["A"], name="Anna")
    world.settle()
    assert world.held_at("B", robots.at["B"])["name"] == "Anna"
    assert len(world.conflicts()) == 1
    assert explain_all(world.hub)["differs"] == []


def test_a_correction_that_is_undone_again_and_again_ends_as_well(make: Any) -> None:
    """B's rule puts its own value back after each correction, for ever."""
    world, at_a, at_b = with_authority(make)
    robots = Robots(world, at_a, at_b)
    del robots.rules["A"]
    assert robots.days(8) == 3
    assert world.values()["phone"] == X
    (conflict,) = world.conflicts()
    assert conflict.kind == "oscillation"
    assert {each["connection"] for each in conflict.candidates} == {"A", "B"}


def test_a_ruling_moves_it_again(make: Any) -> None:
    world, robots = two_robots(make)
    robots.days(8)
    robots.rules = {}
    resolve_conflict(world.hub, world.conflicts()[0].id or 0, value="+49333", by="mia")
    world.settle()
    assert [world.held_at(name, each)["phone"] for name, each in robots.at.items()] == ["+49333", "+49333"]
    assert world.conflicts() == []


def test_a_release_moves_it_again_and_it_may_be_frozen_once_more(make: Any) -> None:
    world, robots = two_robots(make)
    robots.days(8)
    rules, robots.rules = robots.rules, {}
    release_conflict(world.hub, world.conflicts()[0].id or 0, by="mia")
    world.settle()
    assert world.conflicts() == []
    assert len({world.held_at(name, each)["phone"] for name, each in robots.at.items()}) == 1, "decided by its rule"
    robots.rules = rules
    assert robots.days(10) <= 4
    assert [each.kind for each in world.conflicts()] == ["oscillation"]
    assert robots.days(4) == 0


def test_only_what_stands_still_can_be_released(make: Any) -> None:
    world, robots = two_robots(make, phone="manual")
    world.edit("B", robots.at["B"], phone=Y)
    world.sync()
    with pytest.raises(Drifted, match="stands still"):
        release_conflict(world.hub, world.conflicts()[0].id or 0, by="mia")


def test_a_person_who_changes_his_mind_is_not_stopped(make: Any) -> None:
    world, robots = two_robots(make)
    for number in range(8):
        world.edit("A", robots.at["A"], phone=(Y, X)[number % 2])
        world.sync()
    assert world.held_at("B", robots.at["B"])["phone"] == X
    assert world.conflicts() == []


def test_without_freezing_it_would_go_on_for_ever(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.app.freezing.PLANTED", {*PLANTED, "no_freeze"})
    _, robots = two_robots(make)
    assert robots.days(8) > 6


# Authority


def test_a_late_edit_of_low_authority_is_put_back_once_and_explained_once(make: Any) -> None:
    """Days after, somebody edits at B what A is the authority on."""
    world, at_a, at_b = with_authority(make)
    before = world.writes(), len(world.conflicts(None))
    world.clock.sleep(3 * 86_400.0)
    world.edit("B", at_b, phone=Y)
    for _ in range(6):
        world.sync()
    assert world.values()["phone"] == X, "the authoritative value survives"
    assert (world.held_at("A", at_a)["phone"], world.held_at("B", at_b)["phone"]) == (X, X)
    assert world.writes() == before[0] + 1, "the other system is corrected once"
    (conflict,) = world.conflicts(None)[before[1] :]
    assert (conflict.kind, conflict.field, conflict.winner, conflict.decided_by, conflict.state) == (
        "refused", "phone", X, "rule:source", "closed"
    )  # fmt: skip
    assert [(each["connection"], each["value"], each["won"]) for each in conflict.candidates] == [
        ("B", Y, False), ("A", X, True)
    ]  # fmt: skip
    assert explain_all(world.hub)["differs"] == []


def test_what_all_were_given_once_and_one_took_back_is_no_cycle(make: Any) -> None:
    world: World = make(names="ABC")
    at = {"A": world.person("A", phone="+49333")}
    world.settle()
    at |= {name: world.twin_of("A", at["A"], name) for name in "BC"}
    world.edit("A", at["A"], phone=X)
    world.settle()
    world.edit("C", at["C"], phone=Y)
    world.settle()
    world.edit("B", at["B"], phone=X)
    world.settle()
    assert world.conflicts() == []
    assert {world.held_at(name, at[name])["phone"] for name in "ABC"} == {X}
