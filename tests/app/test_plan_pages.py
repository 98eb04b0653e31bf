"""Stored plans page by page, and what hangs on the new tables, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from hub.app.own import own_hold, own_plan
from hub.app.plan_pages import Narrowed, plan_page
from hub.app.proposals import MADE, approve_some, keep_made, plans_now, show_plan
from hub.app.saved_views import drop_view, keep_view, views_of
from hub.errors import NeedsReview, NotFound
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
        approve_some(world.hub, row["plan"], None, [99], by="sue")
    part = approve_some(world.hub, row["plan"], None, [2], by="sue")
    assert (part["state"], part["creates"]) == ("approved", 1)
    world.sync()
    assert len(world.vendors["B"].records) == 1
    assert plans_now(world.hub)["waiting"][0]["creates"] == 2


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
