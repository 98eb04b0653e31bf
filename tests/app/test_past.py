"""What was: every change, and the values as they stood."""

from __future__ import annotations

from typing import Any

import pytest

from hub.app.past import FIRST, history, parse_moment, show
from hub.app.review import resolve_conflict
from hub.errors import NeedsReview, NotFound
from tests.app_world import World


def worked_on(make: Any, edits: int = 3) -> tuple[World, list[float]]:
    """Ann, whose phone was edited at A one after the other; and a moment after each."""
    world = make()
    at_a = world.person("A", phone="+490")
    world.settle()
    moments = [world.clock.now()]
    for number in range(1, edits + 1):
        world.edit("A", at_a, phone=f"+49{number}")
        world.sync()
        moments.append(world.clock.now())
    return world, moments


def values(found: dict[str, Any]) -> dict[str, Any]:
    return {row["field"]: row["value"] for row in found["fields"]}


def test_every_change_is_listed_newest_first_down_to_the_first_values(make: Any) -> None:
    world, _ = worked_on(make)
    found = history(world.hub, "contact:P1", field="phone")
    assert [(row["old"], row["new"], row["connection"]) for row in found["changes"]] == [
        ("+492", "+493", "A"), ("+491", "+492", "A"), ("+490", "+491", "A"), (None, "+490", None)
    ]  # fmt: skip
    assert [row["rule"] for row in found["changes"]] == ["rule:newest"] * 3 + [FIRST]
    assert found["next"] is None
    newest = found["changes"][0]
    assert (newest["actor"], newest["external_id"]) == ("sync", "A1")
    assert newest["run"] is not None
    assert newest["after"] < newest["before"] <= newest["at"]


def test_pages_follow_each_other_without_gap_or_repeat(make: Any) -> None:
    world, _ = worked_on(make, edits=5)
    whole = history(world.hub, "contact:P1", field="phone")["changes"]
    pages, before = [], None
    for _ in range(10):
        page = history(world.hub, "contact:P1", field="phone", limit=2, before=before)
        pages.append(page["changes"])
        before = page["next"]
        if before is None:
            break
    assert [row for page in pages for row in page] == whole
    assert [len(page) for page in pages] == [2, 2, 2]


def test_a_ruling_is_told_with_its_person(make: Any) -> None:
    world = make(phone="manual")
    at_a = world.person("A")
    world.settle()
    world.edit("A", at_a, phone="+4930222")
    world.sync()
    resolve_conflict(world.hub, world.conflicts()[0].id or 0, value="+4930999", by="mia")
    newest = history(world.hub, "contact:P1")["changes"][0]
    assert (newest["new"], newest["actor"], newest["rule"].partition(":")[0]) == ("+4930999", "mia", "ruling")


def test_values_as_they_stood(make: Any) -> None:
    world, moments = worked_on(make)
    assert [values(show(world.hub, "contact:P1", as_of=moment))["phone"] for moment in moments] == [
        "+490", "+491", "+492", "+493"
    ]  # fmt: skip
    now = show(world.hub, "contact:P1")
    assert values(now)["phone"] == "+493"
    assert [(row["connection"], row["state"]) for row in now["records"]] == [("A", "live"), ("B", "live")]


def test_nobody_is_shown_before_they_were_known(make: Any) -> None:
    world, moments = worked_on(make)
    with pytest.raises(NotFound, match="not known then"):
        show(world.hub, "contact:P1", as_of=moments[0] - 1e6)


def test_moments_are_read_as_people_write_them() -> None:
    assert parse_moment("2026-11-02") == parse_moment("2026-11-02T00:00:00Z") == 1793577600.001
    assert parse_moment("2026-11-02T01:00:00+01:00") == 1793577600.001
    with pytest.raises(NeedsReview, match="no moment"):
        parse_moment("yesterday")


def test_a_field_that_does_not_exist_has_no_history(make: Any) -> None:
    world, _ = worked_on(make, edits=0)
    with pytest.raises(NotFound, match="no field fax"):
        history(world.hub, "contact:P1", field="fax")
