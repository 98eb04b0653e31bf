"""A changed mapping is nobody's edit: records that did not change are read through it, and then all is quiet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub.app.explaining import explain_all
from hub.app.review import release_hold
from hub.core.canonical import Canonical, Survivorship
from hub.core.guards import Bound
from hub.core.planted import PLANTED
from hub.verify.vendor import STREAM
from tests.app.deleting import restore, with_deletes
from tests.app_world import World, mapping_of


def publish(world: World, system: str, note: str) -> None:
    """Another rule for the notes of one system, as the next version of its mapping."""
    mapping = mapping_of(system, world.hub.canonical, note)
    version = world.hub.connections[system].mapping_version + 1
    world.change(system, mappings={STREAM: mapping}, mapping_version=version)


def rule(world: World, name: str, survivorship: Survivorship) -> None:
    """Another rule for one canonical field, published."""
    fields = {**world.entity.fields, name: replace(world.entity.fields[name], survivorship=survivorship)}
    world.entity = replace(world.entity, fields=fields)
    world.hub.canonical = Canonical(sources=world.hub.canonical.sources, entities={"contact": world.entity})
    for system in world.vendors:
        world.change(system, mappings={STREAM: mapping_of(system, world.hub.canonical)})
    with world.store.transaction() as tx:
        tx.publish_mapping("canonical", "canonical", f"{name} {survivorship}", "", "test", world.clock.now())


def test_a_new_transform_appears_in_records_that_did_not_change(make: Any) -> None:
    world = make(modes={"B": "observe"})
    world.person("A", note="LOUD")
    world.settle()
    before = world.links("A")
    publish(world, "A", "{remote: note, transforms: [lower], lossy: accept}")
    world.sync()
    assert world.values()["note"] == "loud"
    assert world.conflicts(None) == []
    assert world.writes() == 0, "A holds what the mapping makes of it"
    (link,) = world.links("A").values()
    assert link.mapping_version == 1
    assert [each.read_at for each in before.values()] == [link.read_at], "its record was not read again"


def test_who_made_a_claim_and_when_stays_as_it_was(make: Any) -> None:
    """A's old claim, in new terms, must not beat B's later edit."""
    world = make()
    at_a = world.person("A", note="LOUD")
    world.settle()
    world.edit("B", world.twin_of("A", at_a, "B"), note="later")
    world.sync("B")
    world.change("A", mode="observe")
    publish(world, "A", "{remote: note, transforms: [lower], lossy: accept}")
    world.settle()
    assert world.values()["note"] == "later"
    assert world.conflicts() == []


def test_other_systems_are_given_the_new_value_once_and_then_all_is_quiet(make: Any) -> None:
    world = make()
    at_a = world.person("A", note="LOUD")
    world.settle()
    writes = world.writes()
    publish(world, "A", "{remote: note, transforms: [lower], lossy: accept}")
    world.settle()
    assert world.held_at("B", world.twin_of("A", at_a, "B"))["note"] == "loud"
    assert world.held_at("A", at_a)["note"] == "LOUD"
    assert world.writes() == writes + 1
    assert "reread" not in world.sync()["A"].counts
    assert world.writes() == writes + 1
    assert explain_all(world.hub)["differs"] == []


def test_a_newly_mapped_field_appears_without_an_edit(make: Any) -> None:
    world = make(modes={"B": "observe"})
    publish(world, "A", "{remote: note, direction: out}")
    world.person("A", note="was there all the time")
    world.settle()
    assert not world.values().get("note")
    publish(world, "A", "{remote: note}")
    world.sync()
    assert world.values()["note"] == "was there all the time"
    assert world.conflicts(None) == []


def test_a_field_that_is_read_elsewhere_is_met_for_the_first_time(make: Any) -> None:
    world = make()
    at_a = world.person("A", note="old place", code="P1")
    world.settle()
    publish(world, "A", "{remote: name, direction: in}")
    world.settle()
    assert world.values()["note"] == "Ann", "first contact: A ranks before B"
    assert world.held_at("B", world.twin_of("A", at_a, "B"))["note"] == "Ann"


def test_a_field_that_is_read_no_more_keeps_its_value(make: Any) -> None:
    world = make(modes={"B": "observe"})
    world.person("A", note="kept")
    world.settle()
    publish(world, "A", "{remote: note, direction: out}")
    world.settle()
    assert world.values()["note"] == "kept"
    assert world.writes() == 0


def test_a_mapping_that_gives_everybody_one_value_is_held(make: Any) -> None:
    world = make(modes={"B": "observe"}, guards={"one_value": Bound(over=2, share=0.0)})
    for n in range(6):
        world.person("A", code=f"P{n}", email=f"p{n}@example.org", note=f"note {n}")
    world.settle()
    words = ", ".join(f"note {n}: note" for n in range(6))
    publish(world, "A", f"{{remote: note, transforms: [{{replace: {{words: {{{words}}}}}}}], direction: in}}")
    world.sync()
    assert [row.values["note"] for row in world.entities()] == ["note", "note"] + [f"note {n}" for n in range(2, 6)]
    (hold,) = world.holds()
    assert (hold.guard, hold.connection, hold.field, hold.count) == ("one_value", "A", "note", 4)
    release_hold(world.hub, hold.id, by="mia")
    assert {row.values["note"] for row in world.entities()} == {"note"}


def test_another_survivorship_rule_is_a_recomputation(make: Any) -> None:
    world = make()
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    world.change("A", mode="observe")
    world.edit("B", at_b, phone="+4930999")
    world.sync()
    assert world.values()["phone"] == "+4930999"
    rule(world, "phone", Survivorship(rule="source", source=("A", "B"), where="canonical.yaml:9"))
    assert explain_all(world.hub)["differs"] != [], "the stored value is not what the rule now says"
    world.sync()
    assert world.values()["phone"] == "+4930111"
    assert explain_all(world.hub)["differs"] == []
    world.settle()
    assert world.held_at("B", at_b)["phone"] == "+4930111"


def test_a_record_that_comes_back_is_read_through_the_mapping_of_today(make: Any) -> None:
    """Deleted, then the mapping is changed, then restored as it was: nobody edited anything."""
    world = with_deletes(make, {"A": ("detach", "never"), "B": ("detach", "never")}, modes={"B": "observe"})
    at_a = world.person("A", note="LOUD")
    world.settle()
    world.vendors["A"].user_delete(at_a)
    world.settle()
    publish(world, "A", "{remote: note, transforms: [lower], lossy: accept}")
    world.settle()
    restore(world, "A", at_a)
    runs = world.sync()
    assert (runs["A"].counts["restored"], runs["A"].counts["changed"]) == (1, 0)
    assert world.values()["note"] == "loud"


def test_without_reading_anew_a_changed_mapping_stays_without_effect(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.app.rereading.PLANTED", {*PLANTED, "no_reread"})
    world = make(modes={"B": "observe"})
    world.person("A", note="LOUD")
    world.settle()
    publish(world, "A", "{remote: note, transforms: [lower], lossy: accept}")
    world.settle()
    assert world.values()["note"] == "LOUD"
