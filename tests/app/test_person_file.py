"""One person asks for all that is known: every trace is in one document, and nothing of anybody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from hub.app.identity import merge
from hub.app.notes import add_note
from hub.app.person_file import person_file
from hub.app.review import resolve_conflict
from hub.errors import NotFound
from tests.app_world import World
from tests.reward_world import worlds


def number(world: World, system: str, external_id: str) -> str:
    return f"contact:{world.links(system)[external_id].entity_id}"


def test_every_trace_of_a_person_is_in_one_document(make: Callable[..., World]) -> None:
    """What stands, what stood, what lost, what a person said, what another number held, and what is not mapped."""
    world = make(phone="manual")
    ann = world.person("A", note="note-one", phone="phone-one")
    other = world.person("A", code="code-two", email="second-address@example.org", name="Ann Two", phone="phone-two")
    world.person("A", code="P9", email="stranger@example.org", name="Stranger", note="not-hers")
    world.vendors["A"].records[ann][-1].fields = {**world.held_at("A", ann), "unmapped": "kept-as-read"}
    world.settle()
    world.edit("A", ann, note="note-two")
    world.edit("A", ann, phone="phone-claimed-at-a")
    world.edit("B", world.twin_of("A", ann, "B"), phone="phone-claimed-at-b")
    world.settle()
    (conflict,) = world.conflicts()
    resolve_conflict(world.hub, conflict.id or 0, value="phone-by-ruling", by="mia", note="asked-on-the-phone")
    add_note(world.hub, number(world, "A", ann), "a-note-beside-her", by="mia")
    merge(world.hub, number(world, "A", ann), number(world, "A", other), by="mia")
    world.settle()
    found = person_file(world.hub, number(world, "A", other), by="kim")
    text = orjson.dumps(found, default=str).decode()
    for trace in (
        "note-one", "note-two", "phone-one", "phone-two", "phone-claimed-at-a", "phone-claimed-at-b", "phone-by-ruling",
        "asked-on-the-phone", "a-note-beside-her", "second-address@example.org", "code-two", "kept-as-read", "Ann Two",
    ):  # fmt: skip
        assert trace in text, trace
    for trace in ("stranger@example.org", "Stranger", "not-hers"):
        assert trace not in text, trace
    assert {(each["connection"], each["state"]) for each in found["records"]} >= {("A", "live"), ("B", "live")}
    assert found["entity"] == number(world, "A", ann), "asked by either number"
    with world.store.reading() as tx:
        last = tx.audit_page(1)[0]
    assert (last.actor, last.action, last.target) == ("kim", "person exported", found["entity"])


def test_rewards_and_their_lines_go_along() -> None:
    with worlds("sqlite://") as make:
        w = make()
        w.customer("ann")
        w.order("o1", "ann")
        w.issue()
        found = person_file(w.hub, f"contact:{w.entity('contact').id}", by="kim")
    (reward,) = found["rewards"]
    assert reward["recipient"]["email"] == "ann@example.com"
    assert reward["lines"][0]["kind"] == "reserved"
    assert [event["name"] for event in found["events"]] == ["order.paid"]


def test_nobody_is_nobody(make: Any) -> None:
    with pytest.raises(NotFound):
        person_file(make().hub, "contact:99", by="kim")
