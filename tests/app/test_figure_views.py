"""What is asked beyond the board: computed beside the page, kept until something changes, without who was erased."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hub.app import figure_views
from hub.app.board import refresh
from hub.app.erasing import erase
from hub.app.figure_views import FigureViews, View
from hub.app.kpis import show_kpi
from hub.errors import NeedsReview, NotFound
from tests.app.test_board import with_goals
from tests.app.test_kpis import load, made, with_kpis
from tests.reward_world import MakeWorld, World, worlds

BY_PERSON = {"by": "year", "segment": "contact"}
RECORDS = {"records": "yes", "since": "2026-01-01"}


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield lambda: with_goals(with_kpis(make()))


def filled(world: MakeWorld) -> World:
    w = world()
    load(w, made(random.Random(5), range(40), 6), people=6)
    refresh(w.hub, owner="a")
    w.clock.advance(60.0)
    return w


def looked(w: World, asked: dict[str, str], views: FigureViews) -> View:
    """Asked again and again, as a page does, until nothing is being computed."""
    ends = time.monotonic() + 60
    while (found := views.look("revenue", asked)).share is not None:
        assert time.monotonic() < ends
    return found


def test_it_is_what_all_records_say_and_is_kept_until_something_changes(world: MakeWorld) -> None:
    w = filled(world)
    views = FigureViews(w.hub)
    first = looked(w, BY_PERSON, views)
    assert first.answer == show_kpi(w.hub, "revenue", by="year", segment="contact")
    w.clock.advance(60.0)
    refresh(w.hub, owner="a")
    again = looked(w, BY_PERSON, views)
    assert again == first, "nothing changed: it was not computed again"
    load(w, made(random.Random(6), range(40, 50), 6))
    w.clock.advance(1.0)
    refresh(w.hub, owner="a")
    w.clock.advance(1.0)
    fresh = looked(w, BY_PERSON, views)
    assert fresh.answer == show_kpi(w.hub, "revenue", by="year", segment="contact") != first.answer
    w.clock.advance(86_400.0)
    assert looked(w, BY_PERSON, views).at != fresh.at, "another day has other periods"


def test_who_else_knows_a_record_is_asked_again_after_a_moment(world: MakeWorld) -> None:
    """A record that says nothing new leaves no note; it may be the first one of its entity that somebody has."""
    w = filled(world)
    views, by_source = FigureViews(w.hub), {"by": "year", "segment": "source"}
    first = looked(w, by_source, views)
    with w.store.transaction() as tx:
        ids = [link.id for order in tx.entities_page("order") for link in tx.links_of([order.id])]
    assert min(ids) > 49, "ids are drawn in blocks: a later link may have the lower number"
    with w.store.transaction() as tx:
        order = next(row for row in tx.entities_page("order") if row.state == "live")
        (link,) = tx.links_of([order.id])
        tx.insert_links([replace(link, id=49, connection="crm", stream="deals", external_id="x1")])
    assert looked(w, by_source, views).answer == first.answer, "kept for a moment"
    w.clock.advance(61.0)
    again = looked(w, by_source, views)
    assert again.answer == show_kpi(w.hub, "revenue", by="year", segment="source")
    assert again.answer != first.answer


def test_no_more_is_kept_than_there_is_room_for(world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    w = filled(world)
    views = FigureViews(w.hub)
    ats = {by: looked(w, {"by": by, "segment": "contact"}, views).at for by in ("year", "quarter")}
    w.clock.advance(60.0)
    refresh(w.hub, owner="a")
    assert {by: looked(w, {"by": by, "segment": "contact"}, views).at for by in ats} == ats, "both are kept"
    monkeypatch.setattr(figure_views, "KEPT_BYTES", 100)
    last = looked(w, {"by": "month", "segment": "contact"}, views)
    w.clock.advance(1.0)
    assert looked(w, {"by": "month", "segment": "contact"}, views) == last, "the newest has room, however large it is"
    assert looked(w, {"by": "year", "segment": "contact"}, views).at != ats["year"]


def test_a_page_waits_for_nothing_and_is_told_how_far_it_is(world: MakeWorld) -> None:
    w = filled(world)
    views = FigureViews(w.hub, wait_s=0.0)
    found = views.look("revenue", RECORDS)
    assert (found.answer, found.share) == (None, 0.0) or found.answer is not None
    done = looked(w, RECORDS, views)
    assert done.answer is not None
    whole = show_kpi(w.hub, "revenue", since="2026-01-01", records=True)
    assert done.answer["record_count"] == len(whole["records"]) > 20
    assert done.answer["records"] == whole["records"]
    short = show_kpi(w.hub, "revenue", since="2026-01-01", records=True, most=7)
    assert (short["records"], short["record_count"]) == (whole["records"][:7], len(whole["records"]))


def test_it_is_shown_before_the_board_was_ever_computed_too(world: MakeWorld) -> None:
    w = world()
    load(w, made(random.Random(5), range(10), 6), people=6)
    views = FigureViews(w.hub)
    assert looked(w, RECORDS, views).answer == show_kpi(w.hub, "revenue", since="2026-01-01", records=True)


def test_who_was_erased_is_not_shown_for_a_moment(world: MakeWorld) -> None:
    w = filled(world)
    views = FigureViews(w.hub)
    assert looked(w, RECORDS, views).answer is not None
    views.stop()  # nothing is computed any more: what is shown was kept
    assert views.look("revenue", RECORDS).answer is not None
    erase(w.hub, f"contact:{w.entity('contact', 0).id}", by="kim")
    assert views.look("revenue", RECORDS).answer is None
    w.clock.advance(1.0)
    refresh(w.hub, owner="a")
    assert views.look("revenue", RECORDS).answer is None


def test_what_cannot_be_asked_is_refused_at_once(world: MakeWorld) -> None:
    views = FigureViews(world().hub)
    with pytest.raises(NeedsReview, match="tells no orders apart"):
        views.look("revenue", {"segment": "nonsense"})
    with pytest.raises(NeedsReview, match="is no period"):
        views.look("revenue", {"by": "moon"})
    with pytest.raises(NotFound):
        views.look("nothing", {})
