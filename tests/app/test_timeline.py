"""A customer's time line: newest first, page by page, over everybody they were taken for, and given back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.app.identity import merge, unmerge
from hub.app.records import record
from hub.app.timeline import timeline
from hub.errors import NeedsReview, NotFound
from hub.model import EventRow
from tests.reward_world import MakeWorld, World, worlds


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield make


def lines(w: World, target: str) -> list[tuple[str, str]]:
    return [(each["event"], each["record"]) for each in timeline(w.hub, target)["events"]]


def two_customers(make: MakeWorld) -> World:
    w = make()
    w.customer("ann")
    w.customer("bob")
    w.order("o1", "ann", "600", paid_at="2026-12-03T10:00:00Z")
    w.order("o2", "bob", "700", paid_at="2026-12-04T10:00:00Z")
    w.order("o3", "ann", "500", paid_at="2026-12-01T10:00:00Z", refunded_at="2026-12-05T10:00:00Z")
    return w


def test_it_begins_with_what_happened_last_by_the_vendors_clock(world: MakeWorld) -> None:
    w = two_customers(world)
    found = timeline(w.hub, "contact:ann@example.com")
    assert [(each["at"], each["event"], each["source"]) for each in found["events"]] == [
        ("2026-12-05T10:00:00.000Z", "order.refunded", "shop"),
        ("2026-12-03T10:00:00.000Z", "order.paid", "shop"),
        ("2026-12-01T10:00:00.000Z", "order.paid", "shop"),
    ]
    assert found["entity"] == f"contact:{w.entity('contact').id}"
    assert found["next"] is None


def test_pages_follow_on_each_other_and_leave_nothing_out(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    for number in range(7):  # several at one moment
        w.order(f"o{number}", "ann", "50", paid_at=f"2026-12-0{1 + number // 3}T10:00:00Z")
    whole = [(each["at"], each["record"]) for each in timeline(w.hub, "contact:ann@example.com")["events"]]
    found, before = [], ""
    while True:
        page = timeline(w.hub, "contact:ann@example.com", before=before, limit=2)
        found += [(each["at"], each["record"]) for each in page["events"]]
        assert len(page["events"]) <= 2
        if page["next"] is None:
            break
        before = page["next"]
    assert found == whole
    assert len(set(found)) == 7


def test_a_merge_joins_two_lines_and_an_unmerge_gives_each_his_own(world: MakeWorld) -> None:
    w = two_customers(world)
    ann, bob = (f"contact:{w.entity('contact', each).id}" for each in (0, 1))
    apart = lines(w, ann), lines(w, bob)
    merge(w.hub, ann, bob, by="kim")
    joint = lines(w, ann)
    assert sorted(joint) == sorted(apart[0] + apart[1])
    assert lines(w, bob) == joint, "an alias is another name of the same person"
    w.clock.advance(60)
    w.order("o4", "bob", "5", paid_at="2026-12-05T11:00:00Z")
    assert lines(w, ann)[0][0] == "order.paid"
    unmerge(w.hub, ann, by="kim")
    assert lines(w, ann) == apart[0]
    assert lines(w, bob)[1:] == apart[1], "what he bought meanwhile is his"


def test_an_order_that_finds_its_buyer_late_is_in_his_line(world: MakeWorld) -> None:
    w = world()
    w.order("o1", "ann")
    w.customer("ann")
    assert lines(w, "contact:ann@example.com") == []
    w.clock.advance(60)
    w.order("o1", "ann")
    assert [event for event, _ in lines(w, "contact:ann@example.com")] == ["order.paid"]


def test_what_was_withdrawn_says_so(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann", "1200")
    w.clock.advance(60)
    w.order("o1", "ann", "900")
    found = {each["event"]: each["withdrawn_at"] for each in timeline(w.hub, "contact:ann@example.com")["events"]}
    assert found == {"contact.big_spender": "2026-12-05T12:01:00.000Z", "order.paid": None}


def test_two_deals_that_turn_out_to_be_one_were_won_once(world: MakeWorld) -> None:
    w = world()
    for name in ("d1", "d2"):
        w.take("crm", "deals", {"id": name, "stage": "won", "amount": "5", "owner": None})
    one, other = (f"deal:{w.entity('deal', each).id}" for each in (0, 1))
    assert lines(w, one) == [("deal.won", one)]
    merge(w.hub, one, other, by="kim")
    assert lines(w, one) == [("deal.won", one)]
    unmerge(w.hub, one, by="kim")
    assert lines(w, other) == [("deal.won", other)]


def test_the_page_of_a_record_tells_what_they_did(world: MakeWorld) -> None:
    w = two_customers(world)
    found = [each for each in record(w.hub, "contact:ann@example.com")["timeline"] if each["what"] == "event"]
    assert [each["name"] for each in found] == ["order.refunded", "order.paid", "order.paid"]


@pytest.mark.parametrize("edge", ["x", "1:2:3", "nan:1", "1.0:-1", "inf:0"])
def test_a_place_that_is_none_is_refused(world: MakeWorld, edge: str) -> None:
    w = two_customers(world)
    with pytest.raises(NeedsReview, match="place in a time line"):
        timeline(w.hub, "contact:ann@example.com", before=edge)
    with pytest.raises(NotFound):
        timeline(w.hub, "contact:4711")


def test_a_long_line_is_read_a_page_at_a_time(world: MakeWorld) -> None:
    w = two_customers(world)
    ann = w.entity("contact").id
    with w.store.transaction() as tx:
        tx.insert_events(
            [
                EventRow(
                    key=f"order.paid:{ann}:{number}", name="order.paid", entity_id=ann, subject_id=ann,
                    at=float(number), source="shop", silent=True,
                )
                for number in range(3000)
            ]
        )  # fmt: skip
    first = timeline(w.hub, f"contact:{ann}", limit=5000)
    assert len(first["events"]) == 500
    assert len(timeline(w.hub, f"contact:{ann}", before=first["next"], limit=500)["events"]) == 500
