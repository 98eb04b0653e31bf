"""A plan is what a sync would write, to the field; and nothing leaves while it is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hub.app.costs import calls_by_operation, limits_used
from hub.app.plan import plan
from hub.app.planned import PlannedWrite
from hub.connector import RateLimit, Stream
from hub.core.guards import Bound
from hub.model import LinkState
from hub.verify.vendor import STREAM
from tests.app_world import World


def planned(world: World, **more: Any) -> dict[str, Any]:
    world.clock.sleep(60.0)
    return plan(world.hub, owner="test", **more)


def two_with_work(make: Any, **more: Any) -> tuple[World, str]:
    """Ann in both systems, her phone just edited at A; Bob only at A."""
    world = make(**more)
    ann = world.person("A")
    world.settle()
    world.edit("A", ann, phone="+4930222")
    world.person("A", code="P2", email="bob@example.org", name="Bob")
    return world, ann


def test_updates_and_creates_are_shown_with_old_and_new_values(make: Any) -> None:
    world, ann = two_with_work(make)
    found = planned(world)
    updates = [row for row in found["changes"] if row["op"] == "update"]
    assert [(row["connection"], row["field"], row["old"], row["new"]) for row in updates] == [
        ("B", "phone", "+4930111", "+4930222")
    ]
    assert updates[0]["external_id"] == world.twin_of("A", ann, "B")
    creates = {row["field"]: row["new"] for row in found["changes"] if row["op"] == "create"}
    assert creates == {"code": "P2", "email": "bob@example.org", "name": "Bob", "note": "first", "phone": "+4930111"}
    rows = {row["connection"]: row for row in found["connections"]}
    assert (rows["B"]["creates"], rows["B"]["updates"], rows["A"]["creates"], rows["A"]["updates"]) == (1, 1, 0, 0)


def test_a_plan_writes_nothing_outside_and_changes_no_plan(make: Any) -> None:
    world, _ = two_with_work(make)
    first, before = planned(world), world.writes()
    again = planned(world)
    assert world.writes() == before
    assert again["digest"] == first["digest"]
    with world.store.reading() as tx:
        assert tx.open_intents() == []


def test_a_sync_writes_exactly_what_was_planned(make: Any) -> None:
    world, _ = two_with_work(make)
    found = planned(world)
    run = world.sync()["B"]
    with world.store.reading() as tx:
        intents = tx.intents_of_run(run.run_id)
    written = {
        (i.op, i.entity_id, name): (i.before.get(name), value) for i in intents for name, value in i.values.items()
    }
    shown = {
        (row["op"], int(row["entity"].partition(":")[2]), row["field"]): (row["old"], row["new"])
        for row in found["changes"]
    }
    assert written == shown
    assert planned(world)["changes"] == []


def test_a_connection_that_only_observes_is_planned_as_if_it_were_live(make: Any) -> None:
    world = make(modes={"A": "observe", "B": "observe"})
    world.person("A")
    world.sync()
    found = planned(world)
    assert [(row["connection"], row["mode"], row["creates"]) for row in found["connections"]] == [
        ("A", "observe", 0), ("B", "observe", 1)
    ]  # fmt: skip
    assert {row["op"] for row in found["changes"]} == {"create"}
    assert world.writes() == 0
    assert not [link for link in world.links("B").values() if link.state == LinkState.WANTED], "nothing was left behind"


def test_creates_that_a_guard_would_hold_are_counted(make: Any) -> None:
    world = make(guards={"creates": Bound(over=2, share=0.0)})
    world.people("A", 6)
    rows = {row["connection"]: row for row in planned(world)["connections"]}
    assert (rows["B"]["creates"], rows["B"]["held"]) == (6, 4)
    world.sync()
    rows = {row["connection"]: row for row in planned(world)["connections"]}
    assert (rows["B"]["creates"], rows["B"]["held"]) == (0, 4), "those that are held already are still counted"


def test_without_pulling_only_what_is_known_is_planned(make: Any) -> None:
    world, _ = two_with_work(make)
    assert planned(world, pull=False)["changes"] == []


def test_only_the_named_connections_are_planned(make: Any) -> None:
    world, _ = two_with_work(make)
    found = planned(world, names=["A"])
    assert [row["connection"] for row in found["connections"]] == ["A"]
    assert {row["connection"] for row in found["changes"]} <= {"A"}


def write(op: str) -> PlannedWrite:
    return PlannedWrite(
        connection="B", stream=STREAM, op=op, entity_type="contact", entity_id=1, external_id=None, version=1,
        stamp=None, values={}, before={}, body={},
    )  # fmt: skip


def test_calls_are_full_batches_and_one_read_before_each_batch_of_updates() -> None:
    stream = Stream(name=STREAM, max_batch=200, minimum={"write": 100, "fetch": 50})
    creates, updates = [write("create")] * 150, [write("update")] * 60
    assert calls_by_operation(stream, creates) == {"create": 2}
    assert calls_by_operation(stream, [*creates, *updates]) == {"create": 2, "update": 1, "fetch": 2}
    assert calls_by_operation(stream, []) == {}


def test_minutes_are_what_a_limit_leaves_of_the_calls(make: Any) -> None:
    world = make()
    limits = (
        RateLimit(name="burst", calls=10, per_s=60), RateLimit(name="daily", calls=1000, per_s=86_400, shared=True),
        RateLimit(name="reads", calls=5, per_s=60, operations=("fetch",)),
        RateLimit(name="search", calls=1, per_s=60, operations=("search",)),
        RateLimit(name="together", calls=4, per_s=0, unit="at_once"),
    )  # fmt: skip
    world.change("B", connector=replace(world.hub.connections["B"].connector, limits=limits), reserve=0.5)
    found = {row["limit"]: row for row in limits_used(world.hub.connections["B"], {"create": 90, "fetch": 10})}
    assert {name: (row["calls"], row["minutes"]) for name, row in found.items()} == {
        "burst": (100, 9.0), "daily": (100, 0.0), "reads": (10, 1.0)
    }  # fmt: skip
    assert (found["daily"]["allowed"], found["daily"]["share"]) == (500, 0.2)
