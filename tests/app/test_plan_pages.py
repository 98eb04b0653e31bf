"""Stored plans page by page, and what hangs on the new tables, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from hub.app.own import own_hold, own_plan
from hub.app.plan_choice import Chosen
from hub.app.plan_pages import Narrowed, plan_page
from hub.app.proposals import MADE, approve_some, keep_made, plans_now, show_plan
from hub.app.saved_views import drop_view, keep_view, views_of
from hub.errors import Drifted, NeedsReview, NotFound
from hub.store.rows import SavedViewRow


def test_a_plan_that_waits_is_shown_in_parts_as_it_is_whole(make: Any) -> None:
    world = make(modes={"B": "propose"})
    world.people("A", 5)
    world.sync()
    (row,) = plans_now(world.hub)["waiting"]
    page = plan_page(world.hub, row["plan"], limit=3)
    rest = plan_page(world.hub, row["plan"], after=page["next"], limit=3)
    whole = show_plan(world.hub, row["plan"])["document"]["writes"]
    assert [each["entity"] for each in [*page["rows"], *rest["rows"]]] == [each["entity"] for each in whole]
    assert (page["total"], page["matching"], rest["next"]) == (5, 5, None)
    assert plan_page(world.hub, row["plan"], Narrowed(op="update"))["rows"] == []
    with pytest.raises(NotFound):
        plan_page(world.hub, 999)


def test_some_of_it_is_let_go_and_only_that_is_written(make: Any) -> None:
    world = make(modes={"B": "propose"})
    world.people("A", 3)
    world.sync()
    (row,) = plans_now(world.hub)["waiting"]
    with pytest.raises(NeedsReview):
        approve_some(world.hub, row["plan"], Chosen(places=[99]), by="sue")
    part = approve_some(world.hub, row["plan"], Chosen(places=[2]), by="sue")
    assert (part["state"], part["creates"]) == ("approved", 1)
    world.sync()
    assert len(world.vendors["B"].records) == 1
    assert plans_now(world.hub)["waiting"][0]["creates"] == 2


def proposing(make: Any) -> tuple[Any, int, list[str]]:
    """Three people in both systems, then name and phone of each changed in A; gives the plan that waits for B."""
    world = make()
    ids = world.people("A", 3)
    world.settle()
    world.change("B", mode="propose")
    for each in ids:
        world.edit("A", each, name=f"New {each}", phone="+49777")
    world.sync()
    (row,) = plans_now(world.hub)["waiting"]
    return world, row["plan"], [str(each["external_id"]) for each in plan_page(world.hub, row["plan"])["rows"]]


def test_one_field_of_an_update_is_let_go_and_the_others_are_proposed_again(make: Any) -> None:
    world, plan, (one, other, _) = proposing(make)
    chosen = Chosen(fields={1: frozenset({"phone"})}, places=[2])
    part = approve_some(world.hub, plan, chosen, by="sue")
    writes = show_plan(world.hub, part["plan"])["document"]["writes"]
    assert [sorted(each["values"]) for each in writes] == [["phone"], ["name", "phone"]]
    assert [sorted(each["body"]) for each in writes] == [["phone"], ["name", "phone"]]
    world.sync()
    assert (world.held_at("B", one)["phone"], world.held_at("B", one)["name"][:4]) == ("+49777", "Name")
    assert (world.held_at("B", other)["phone"], world.held_at("B", other)["name"][:3]) == ("+49777", "New")
    world.sync()
    rest = plan_page(world.hub, plans_now(world.hub)["waiting"][0]["plan"])["rows"]
    assert sorted(sorted(each["values"]) for each in rest) == [["name"], ["name", "phone"]]


def test_a_field_is_let_go_alone_in_all_updates_of_a_filter(make: Any) -> None:
    world, plan, ids = proposing(make)
    approve_some(world.hub, plan, Chosen(narrowed=Narrowed(field="name"), alone=True), by="sue")
    world.sync()
    held = [world.held_at("B", each) for each in ids]
    assert {each["phone"] for each in held} == {"+4930111"}
    assert {each["name"][:3] for each in held} == {"New"}
    world.change("B", mode="live")
    world.settle()
    assert {world.held_at("B", each)["phone"] for each in ids} == {"+49777"}
    before = world.writes()
    world.settle()
    assert world.writes() == before


def test_a_field_of_a_record_that_moved_since_is_not_let_go(make: Any) -> None:
    world, plan, ids = proposing(make)
    first = next(iter(world.links("A").values()))
    world.edit("A", str(first.external_id), phone="+49888")
    world.sync("A")
    part = approve_some(world.hub, plan, Chosen(fields=dict.fromkeys((1, 2, 3), frozenset({"phone"}))), by="sue")
    assert part["updates"] == 2
    world.sync()
    assert sorted(world.held_at("B", each)["phone"] for each in ids) == ["+4930111", "+49777", "+49777"]


def test_a_plan_of_which_nothing_chosen_is_so_any_more_waits_on(make: Any) -> None:
    world, plan, _ = proposing(make)
    for link in list(world.links("A").values()):
        world.edit("A", str(link.external_id), phone="+49888")
    world.sync("A")
    with pytest.raises(Drifted, match="not what was planned"):
        approve_some(world.hub, plan, Chosen(narrowed=Narrowed(field="phone"), alone=True), by="sue")
    with world.store.reading() as tx:
        assert tx.plan_head(plan).state == "waiting"


def test_a_plan_that_was_made_takes_the_place_of_the_one_before(make: Any) -> None:
    world = make()
    world.person("A")
    world.sync()
    document = {"plan": 1, "kind": "sync", "connections": [], "writes": [], "digest": "a", "refused": []}
    first = keep_made(world.hub, document, by="sue")
    second = keep_made(world.hub, {**document, "digest": "b"}, by="sue")
    with world.store.reading() as tx:
        assert (tx.plan_head(first).state, tx.plan_head(second).state) == ("superseded", MADE)
        assert [row.id for row in tx.latest_plans(limit=2)] == [second, first]
    own_plan(world.hub, second, by="sue")  # there is nobody else who could
    with pytest.raises(NotFound):
        own_hold(world.hub, 99, by="sue")


def test_views_are_kept_by_name_and_person(make: Any) -> None:
    world = make()
    keep_view(world.hub, "conflicts", "mine", "field=name", by="sue")
    keep_view(world.hub, "conflicts", "mine", "field=phone", by="sue")
    assert views_of(world.hub, "conflicts", by="sue") == [{"name": "mine", "query": "field=phone"}]
    assert views_of(world.hub, "conflicts", by="bob") == []
    with world.store.reading() as tx:
        (row,) = tx.views("conflicts", "sue")
    assert isinstance(row, SavedViewRow)
    drop_view(world.hub, "conflicts", "mine", by="sue")
    assert views_of(world.hub, "conflicts", by="sue") == []
