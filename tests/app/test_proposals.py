"""Modes that ask: a sync makes a plan that waits; an approval is a ceiling, a rejection is remembered."""

from __future__ import annotations

from typing import Any

import pytest

from hub.app.proposals import approve_plan, list_plans, reject_plan, show_plan
from hub.app.syncing import sync_now
from hub.app.turns import Turns
from hub.core.guards import Bound
from hub.errors import Drifted, NotFound
from hub.verify.vendor import STREAM
from tests.app_world import World


def asking(make: Any, mode: str, people: int = 3, **more: Any) -> World:
    """People at A, and B in a mode that asks."""
    world: World = make(modes={"B": mode}, **more)
    world.people("A", people)
    return world


def waiting(world: World) -> list[dict[str, Any]]:
    return list_plans(world.hub)


def states(world: World) -> list[str]:
    return [row["state"] for row in list_plans(world.hub, state=None)]


def names_at(world: World, system: str) -> list[str]:
    return sorted(world.held_at(system, each)["name"] for each in world.vendors[system].alive())


# Propose


def test_a_sync_proposes_and_writes_nothing(make: Any) -> None:
    world = asking(make, "propose")
    run = world.sync()["B"]
    (plan,) = waiting(world)
    assert (plan["connection"], plan["kind"], plan["creates"], plan["updates"], plan["calls"]) == ("B", "sync", 3, 0, 1)
    assert (run.status, run.counts["proposed"], world.writes()) == ("success", 3, 0)


def test_the_same_work_is_proposed_once(make: Any) -> None:
    world = asking(make, "propose")
    world.settle()
    assert states(world) == ["waiting"]


def test_what_was_approved_is_written_by_the_next_sync_and_then_all_is_quiet(make: Any) -> None:
    world = asking(make, "propose")
    world.sync()
    approve_plan(world.hub, waiting(world)[0]["plan"], by="ann", note="looked at")
    assert world.writes() == 0
    world.sync()
    assert (world.writes(), names_at(world, "B"), states(world)) == (3, ["Name 0", "Name 1", "Name 2"], ["applied"])
    world.settle()
    assert (world.writes(), states(world)) == (3, ["applied"])


def test_an_approval_is_a_ceiling(make: Any) -> None:
    world = asking(make, "propose")
    world.sync()
    approve_plan(world.hub, waiting(world)[0]["plan"], by="ann")
    world.person("A", code="P9", email="late@example.org", name="Late")
    world.sync()
    assert names_at(world, "B") == ["Name 0", "Name 1", "Name 2"]
    (plan,) = waiting(world)
    assert plan["creates"] == 1, "what came later asks for itself"


def test_what_drifted_between_approval_and_sync_is_not_written_but_proposed_anew(make: Any) -> None:
    world = asking(make, "propose")
    first = world.vendors["A"].alive()[0]
    world.sync()
    approve_plan(world.hub, waiting(world)[0]["plan"], by="ann")
    world.edit("A", first, name="Other")
    run = world.sync()["B"]
    assert (names_at(world, "B"), run.status, run.counts["drifted"]) == (["Name 1", "Name 2"], "partial", 1)
    (plan,) = waiting(world)
    shown = show_plan(world.hub, plan["plan"])
    assert [row["new"] for row in shown["changes"] if row["field"] == "name"] == ["Other"]
    applied = show_plan(world.hub, plan["plan"] - 1)
    assert [row["code"] for row in applied["outcome"]["refused"]] == ["PLAN-ENTITY"]


def test_another_plan_supersedes_the_one_that_waits(make: Any) -> None:
    world = asking(make, "propose")
    world.sync()
    world.person("A", code="P9", email="late@example.org", name="Late")
    world.sync()
    assert states(world) == ["superseded", "waiting"]
    with pytest.raises(Drifted, match="PLAN-DECIDED"):
        approve_plan(world.hub, 1, by="ann")


def test_what_is_no_longer_due_waits_no_longer(make: Any) -> None:
    world = asking(make, "propose")
    ann = world.vendors["A"].alive()[0]
    world.sync()
    approve_plan(world.hub, 1, by="ann")
    world.settle()
    world.edit("A", ann, phone="+4930222")
    world.sync()
    assert states(world) == ["applied", "waiting"]
    world.edit("A", ann, phone="+4930111")
    world.sync()
    assert states(world) == ["applied", "superseded"]


def test_a_rejected_plan_is_not_proposed_again_but_other_work_is(make: Any) -> None:
    world = asking(make, "propose")
    world.sync()
    reject_plan(world.hub, waiting(world)[0]["plan"], by="ann", note="dormant people")
    world.settle()
    assert (states(world), world.writes()) == (["rejected"], 0)
    world.person("A", code="P9", email="late@example.org", name="Late")
    world.sync()
    assert states(world) == ["rejected", "waiting"]


def test_the_plan_says_what_a_guard_would_hold_and_its_approval_lets_it_through(make: Any) -> None:
    world = asking(make, "propose", people=6, guards={"creates": Bound(over=2, share=0.0)})
    world.sync()
    (plan,) = waiting(world)
    assert (plan["creates"], plan["held"], world.holds()) == (6, 4, [])
    approve_plan(world.hub, plan["plan"], by="ann")
    world.settle()
    assert (world.writes(), world.holds()) == (6, [])


def test_a_sync_with_a_plan_that_waits_asks_for_a_person(make: Any) -> None:
    world = asking(make, "propose")
    outcome = sync_now(world.hub, owner="test")
    assert (outcome.exit_code, outcome.waiting.plans) == (3, 1)
    assert str(outcome.waiting) == "waits for a person: 0 conflicts, 0 holds, 0 in quarantine, 1 plans"


def test_decisions_are_in_the_audit_log(make: Any) -> None:
    world = asking(make, "propose")
    world.sync()
    approve_plan(world.hub, 1, by="ann")
    with world.store.reading() as tx:
        assert [(row.actor, row.action, row.target) for row in tx.audit_log(limit=1)] == [
            ("ann", "plan approved", "plan 1")
        ]
    with pytest.raises(NotFound):
        reject_plan(world.hub, 99, by="ann")


def test_a_running_hub_sleeps_while_a_plan_waits_and_wakes_when_it_is_approved(make: Any) -> None:
    world = asking(make, "propose")
    world.sync()
    turns = Turns(hub=world.hub, owner="test")
    assert not turns.has_work("B")
    approve_plan(world.hub, 1, by="ann")
    assert turns.has_work("B")


# Canary


def test_a_canary_writes_its_first_records_then_asks(make: Any) -> None:
    world = asking(make, "canary", people=5)
    world.change("B", canary=2)
    world.sync()
    assert (world.writes(), [row["creates"] for row in waiting(world)]) == (2, [3])
    world.settle()
    assert (world.writes(), states(world)) == (2, ["waiting"]), "no more, however often it syncs"
    approve_plan(world.hub, 1, by="ann")
    world.settle()
    assert (world.writes(), states(world)) == (5, ["applied"])


def test_few_changes_pass_a_canary_unasked(make: Any) -> None:
    world = asking(make, "canary", people=1)
    world.settle()
    assert (world.writes(), states(world)) == (1, [])


def test_after_a_rejection_a_canary_writes_nothing_of_it(make: Any) -> None:
    world = asking(make, "canary", people=5)
    world.change("B", canary=2)
    world.sync()
    reject_plan(world.hub, 1, by="ann")
    world.settle()
    assert (world.writes(), states(world)) == (2, ["rejected"])


def test_a_canary_never_takes_what_a_guard_keeps_back(make: Any) -> None:
    world = asking(make, "canary", people=6, guards={"creates": Bound(over=1, share=0.0)})
    world.settle()
    assert world.writes() == 1


# All modes


@pytest.mark.parametrize("mode", ["observe", "propose"])
def test_a_mode_that_may_not_write_never_does_whatever_is_due(make: Any, mode: str) -> None:
    world: World = make()
    ann = world.person("A")
    world.settle()
    before = world.writes()
    world.change("B", mode=mode)
    world.edit("A", ann, phone="+4930222")
    world.person("A", code="P2", email="bob@example.org", name="Bob")
    world.settle()
    assert world.writes() == before


def test_going_live_writes_what_waited(make: Any) -> None:
    world = asking(make, "propose")
    world.settle()
    world.change("B", mode="live")
    world.settle()
    assert (world.writes(), states(world)) == (3, ["superseded"])
    with world.store.reading() as tx:
        assert tx.count_links("B", STREAM) == {"live": 3}
