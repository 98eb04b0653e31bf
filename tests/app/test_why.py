"""Every value explains itself: who says what, by which rule it stands, and since when."""

from __future__ import annotations

from typing import Any

import pytest

from hub.app.review import resolve_conflict
from hub.app.why import why
from hub.errors import NotFound
from tests.app_world import World


def edited(make: Any, **rules: str) -> tuple[World, str, str, str]:
    """A person known to A and B, whose phone was edited at both; with the name of the entity."""
    world = make(**rules)
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    world.edit("A", at_a, phone="+4930222")
    world.edit("B", at_b, phone="+4930333")
    world.sync()
    return world, at_a, at_b, f"contact:{world.entities()[0].id}"


def test_the_winner_its_rule_and_its_window_are_shown(make: Any) -> None:
    world, at_a, _, entity = edited(make)
    found = why(world.hub, entity, "phone")
    assert (found["value"], found["from"], found["decided_by"]) == ("+4930222", ["A"], "rule:newest")
    assert (found["rule"], found["rule_at"], found["ties"]) == ("newest", "canonical.yaml:phone", ["A", "B"])
    (won,) = [each for each in found["candidates"] if each["standing"] == "wins"]
    (claim,) = won["claims"]
    assert (won["connection"], won["external_id"], claim["value"], claim["wins"]) == ("A", at_a, "+4930222", True)
    assert claim["after"] < claim["before"], "ISO texts of one zone compare like times"
    assert claim["before"].endswith("Z")
    assert won["mapped_at"][0].startswith("A.yaml:")


def test_what_a_corrected_system_holds_and_agreed_to_is_shown(make: Any) -> None:
    world, _, at_b, entity = edited(make)
    (corrected,) = [each for each in why(world.hub, entity, "phone")["candidates"] if each["connection"] == "B"]
    assert (corrected["external_id"], corrected["held"], corrected["standing"]) == (at_b, "+4930222", "agrees")
    assert isinstance(corrected["agreed"], int)
    assert corrected["claims"] == [], "its claim retired when the correction landed"


def test_the_loser_is_in_the_conflicts_and_the_change_in_the_history(make: Any) -> None:
    world, _, _, entity = edited(make)
    found = why(world.hub, entity, "phone")
    (conflict,) = found["conflicts"]
    assert (conflict["kind"], conflict["winner"], conflict["state"]) == ("concurrent", "+4930222", "closed")
    (change,) = found["history"]
    assert (change["old"], change["new"], change["connection"], change["rule"]) == (
        "+4930111", "+4930222", "A", "rule:newest"
    )  # fmt: skip
    assert change["run"] == found["run"] is not None
    assert found["person"] is None


def test_a_ruling_names_the_person(make: Any) -> None:
    world, _, _, entity = edited(make, phone="manual")
    open_one = world.conflicts()[0]
    assert {each["standing"] for each in why(world.hub, entity, "phone")["candidates"]} == {"waits"}
    resolve_conflict(world.hub, open_one.id or 0, value="+4930999", by="mia", note="asked her")
    found = why(world.hub, entity, "phone")
    assert (found["value"], found["person"], found["from"]) == ("+4930999", "mia", [])
    assert (found["ruling"]["by"], found["ruling"]["note"]) == ("mia", "asked her")
    assert found["decided_by"] == f"ruling:{found['ruling']['ruling']}"
    assert {each["standing"] for each in found["candidates"]} == {"due"}, "both are corrected by the next sync"


def test_without_a_field_all_values_and_records_are_listed(make: Any) -> None:
    world, at_a, at_b, entity = edited(make)
    found = why(world.hub, entity)
    assert {row["field"]: row["value"] for row in found["fields"]}["phone"] == "+4930222"
    assert [(row["connection"], row["external_id"]) for row in found["records"]] == [("A", at_a), ("B", at_b)]


def test_an_entity_is_found_by_a_key_of_one_field(make: Any) -> None:
    world, _, _, entity = edited(make)
    assert why(world.hub, "contact:ann@example.org")["entity"] == entity
    assert why(world.hub, "contact:P1")["entity"] == entity


@pytest.mark.parametrize("name", ["{entity}", "contact:ann@example.org", "contact:P1"])
def test_the_field_may_stand_in_the_name(make: Any, name: str) -> None:
    world, _, _, entity = edited(make)
    found = why(world.hub, name.format(entity=entity) + ".phone")
    assert (found["entity"], found["field"], found["value"]) == (entity, "phone", "+4930222")


def test_the_value_is_decided_again_from_the_evidence(make: Any) -> None:
    world, _, _, entity = edited(make)
    assert why(world.hub, entity, "phone")["recomputed"] == {"value": "+4930222", "from": ["A"], "same": True}
    row = world.entities()[0]
    row.values["phone"] = "+4930000"
    with world.store.transaction() as tx:
        tx.update_entities([row])
    assert why(world.hub, entity, "phone")["recomputed"]["same"] is False


def test_elements_of_a_set_are_explained_one_by_one(make: Any) -> None:
    world = make()
    at_a = world.person("A", tags=["vip"])
    world.settle()
    world.edit("B", world.twin_of("A", at_a, "B"), tags=["press", "vip"])
    world.settle()
    found = why(world.hub, "contact:P1", "tags")
    assert found["value"] == ["press", "vip"]
    assert {each["part"]: each["connection"] for each in found["memory"]} == {"press": "B", "vip": "A"}


@pytest.mark.parametrize("target", ["contact:4711", "company:1", "contact:", "nonsense", "contact:nobody@example.org"])
def test_who_does_not_exist_is_not_explained(make: Any, target: str) -> None:
    world = make()
    world.person("A")
    world.sync()
    with pytest.raises(NotFound):
        why(world.hub, target)


def test_a_field_that_does_not_exist_is_named_with_those_that_do(make: Any) -> None:
    world, _, _, entity = edited(make)
    with pytest.raises(NotFound, match=r"no field fax .*known are: .*phone"):
        why(world.hub, entity, "fax")
