"""Computed fields in the store: what a change touches is what everybody from scratch comes to; quiet writes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.app.derived import (
    after_merges,
    compute_everybody,
    compute_for_today,
    compute_hook,
    list_members,
    list_segments,
)
from hub.app.erasing import erase
from hub.app.events import merge_hook
from hub.app.identity import merge, unmerge
from hub.app.rewards import reward_hook
from hub.app.why import why
from hub.core.computed_file import parse_derived
from hub.core.document import Sheet
from hub.errors import NotFound
from hub.model import EntityRow, Json
from hub.runtime.yaml import parse_yaml
from tests.properties.test_event_laws import STEPS, do
from tests.reward_world import DAY, MakeWorld, World, worlds

DERIVED = """
language: 1
fields:
  lead_score:
    kind: score
    rules:
      - {on: order.paid, points: 30, half_life_days: 2, most: 100}
      - {on: contact.big_spender, points: 7}
      - {when: "country == 'DE'", points: 4}
  lead_stage: {kind: stage, of: lead_score, levels: {mql: 40, sql: 90}}
  value_tier: {kind: tier, of: lifetime_value, levels: {silver: 500, gold: 1000}}
  average_order: {kind: average_order}
  rfm: {kind: rfm}
  purchase_cadence: {kind: cadence}
  churn_risk: {kind: churn, levels: {medium: 1.5, high: 3}}
segments:
  golden: {when: "value_tier == 'gold'"}
  german_leads: {when: "country == 'DE' and lead_score > 0"}
"""
MINE = ("lead_score", "lead_stage", "value_tier", "average_order", "rfm", "purchase_cadence", "churn_risk", "segments")


def fitted(w: World, text: str = DERIVED) -> World:
    """The world with computed fields."""
    sheet = Sheet(parse_yaml(text, "derived.yaml"))
    derived, canonical = parse_derived(sheet, w.canonical)
    assert sheet.faults == []
    w.hub.canonical, w.hub.derived = canonical, derived
    w.hub.on_changes = reward_hook(w.rewards, canonical, compute=compute_hook(derived, canonical))
    w.hub.on_merges = after_merges(merge_hook(canonical, currency="EUR"), derived, canonical)
    return w


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield lambda **options: fitted(make(**options))


def person(w: World, index: int = 0) -> Mapping[str, Json]:
    return w.entity("contact", index).values


def live(w: World) -> list[EntityRow]:
    with w.store.reading() as tx:
        return [row for row in tx.entities_page("contact") if row.state == "live"]


def plain(w: World) -> dict[int, dict[str, Any]]:
    """Contact -> some fields, straight from orders and people, in other words than the code's."""
    with w.store.reading() as tx:
        orders = tx.entities_page("order")
        roots = tx.roots([row.id for row in tx.entities_page("contact")])
    found = {}
    for row in live(w):
        mine = [
            o.values for o in orders if o.values.get("paid_at") and roots.get(o.values.get("contact") or 0) == row.id
        ]
        kept = [Decimal(v["total"]["minor"]) / 100 for v in mine if not v.get("refunded_at")]
        average = (sum(kept, Decimal(0)) / len(kept)).quantize(Decimal("0.01"), ROUND_HALF_EVEN) if kept else None
        days = sorted({v["paid_at"][:10] for v in mine if not v.get("refunded_at")})
        numbers = [int(day[8:]) for day in days]
        gaps = [b - a for a, b in itertools.pairwise(numbers)]
        spent = Decimal(row.values.get("lifetime_value") or 0) if "lifetime_value" in row.values else None
        found[row.id] = {
            "average_order": None if average is None else format(average.normalize(), "f"),
            "purchase_cadence": int(median(gaps) + 0.5) if len(gaps) > 1 else None,
            "value_tier": None if spent is None or spent < 500 else "silver" if spent < 1000 else "gold",
        }
    return found


def check(w: World) -> None:
    """What stands is what everybody from scratch comes to, and in the segments are those whose values say so."""
    expected = plain(w)
    for row in live(w):
        assert {name: row.values.get(name) for name in expected[row.id]} == expected[row.id]
    newest = {row.id: row.version for row in live(w)}
    assert compute_everybody(w.hub)["changed"] == 0
    assert {row.id: row.version for row in live(w)} == newest
    for segment in ("golden", "german_leads"):
        members = {row.id for row in live(w) if segment in (row.values.get("segments") or ())}
        assert {each["id"] for each in list_members(w.hub, segment)["rows"]} == members
        assert {each["segment"]: each["people"] for each in list_segments(w.hub)}[segment] == len(members)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS.filter(lambda step: step[-1] is not True), min_size=3, max_size=18))
def test_a_change_recomputes_whom_it_touches(steps: list[tuple[Any, ...]]) -> None:
    w = fitted(World())
    try:
        for step in steps:
            do(w, step)
        # Of two people only the fifths hang on others; they were never drawn. Draw them, then go on in small steps.
        check_without_fifths(w)
        compute_everybody(w.hub)
        check(w)
    finally:
        w.store.close()


def check_without_fifths(w: World) -> None:
    before = {row.id: {name: row.values.get(name) for name in MINE if name != "rfm"} for row in live(w)}
    expected = plain(w)
    for root, values in before.items():
        assert {name: values[name] for name in expected[root]} == expected[root]
    compute_everybody(w.hub)
    after = {row.id: {name: row.values.get(name) for name in MINE if name != "rfm"} for row in live(w)}
    assert after == before


def test_an_order_moves_its_buyer_and_nobody_else(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.customer("bob")
    before = w.entity("contact", 1)
    w.clock.advance(60)
    w.order("o1", "ann", "1200")
    told = {name: person(w).get(name) for name in MINE}
    assert told == {
        "lead_score": 41, "lead_stage": "mql", "value_tier": "gold", "average_order": "1200", "rfm": None,
        "purchase_cadence": None, "churn_risk": None, "segments": ["german_leads", "golden"],
    }  # fmt: skip
    assert w.entity("contact", 1) == before
    check_without_fifths(w)


def test_a_stage_stays_while_the_score_fades(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann", "1200")
    w.clock.advance(4 * DAY)
    assert compute_everybody(w.hub) == {"looked": 1, "changed": 1}
    assert (person(w)["lead_score"], person(w)["lead_stage"]) == (19, "mql")
    assert compute_everybody(w.hub) == {"looked": 1}


def test_every_day_is_computed_once_and_a_quiet_one_writes_nothing(world: MakeWorld) -> None:
    w = world()
    w.customer("ann", country="FR")
    w.order("o1", "ann", "100")
    assert compute_for_today(w.hub, owner="a") == {"looked": 1, "changed": 1}, "the fifths are drawn for the first time"
    assert compute_for_today(w.hub, owner="a") == {}
    w.clock.advance(60 * DAY)
    assert compute_for_today(w.hub, owner="a") == {"looked": 1, "changed": 1}
    assert person(w)["lead_score"] == 0
    for _ in range(5):
        w.clock.advance(DAY)
        version = w.entity("contact").version
        assert compute_for_today(w.hub, owner="b") == {"looked": 1}
        assert w.entity("contact").version == version


def test_a_first_load_computes_nothing_and_the_day_catches_up(world: MakeWorld) -> None:
    w = world(listed=False)
    w.customer("ann", first_load=True)
    w.order("o1", "ann", "600", first_load=True)
    assert "lead_score" not in person(w)
    compute_for_today(w.hub, owner="a")
    assert person(w)["lead_score"] == 34
    w.clock.advance(60)
    w.order("o2", "ann", "600", first_load=True)
    assert compute_for_today(w.hub, owner="a") == {}
    w.mark_listed()
    assert compute_for_today(w.hub, owner="a")["changed"] == 1, "streams that were read whole since"
    assert person(w)["average_order"] == "600"
    check(w)


def test_merged_they_are_computed_together_and_parted_each_is_what_he_was(world: MakeWorld) -> None:
    w = world()
    for name, total in (("ann", "600"), ("bob", "700")):
        w.customer(name)
        w.order(f"o{total}", name, total)
    own = [name for name in MINE if name != "rfm"]  # which hangs on the others, and is drawn meanwhile
    apart = [{name: person(w, each).get(name) for name in own} for each in (0, 1)]
    ann, bob = (f"contact:{w.entity('contact', each).id}" for each in (0, 1))
    merge(w.hub, ann, bob, by="kim")
    joint = person(w)
    assert (joint["average_order"], joint["value_tier"], joint["lead_score"]) == ("650", "gold", 64)
    assert {each["segment"]: each["people"] for each in list_segments(w.hub)} == {"golden": 1, "german_leads": 1}
    check_without_fifths(w)
    unmerge(w.hub, ann, by="kim")
    assert [{name: person(w, each).get(name) for name in own} for each in (0, 1)] == apart
    assert {each["segment"]: each["people"] for each in list_segments(w.hub)} == {"golden": 0, "german_leads": 2}
    check_without_fifths(w)


def test_a_refund_takes_back_what_the_purchase_brought(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann", "600")
    w.order("o2", "ann", "300")
    assert person(w)["average_order"] == "450"
    w.clock.advance(60)
    w.order("o1", "ann", "600", refunded_at="2026-12-05T11:30:00Z")
    assert person(w)["average_order"] == "300"
    check_without_fifths(w)


def test_an_order_that_changes_hands_leaves_nothing_behind(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.customer("bob")
    w.order("o1", "ann", "0")
    assert [person(w, each).get("average_order") for each in (0, 1)] == ["0", None]
    w.clock.advance(60)
    w.order("o1", "bob", "0")
    assert [person(w, each).get("average_order") for each in (0, 1)] == [None, "0"]


def test_two_orders_that_are_one_were_one_purchase(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann", "600")
    w.clock.advance(60)
    w.order("o2", "ann", "500")
    assert (person(w)["lead_score"], person(w)["average_order"]) == (71, "550")
    one, other = (f"order:{w.entity('order', each).id}" for each in (0, 1))
    merge(w.hub, one, other, by="kim")
    joint = str(w.entity("order").values["total"]["minor"] // 100)
    assert (person(w)["lead_score"], person(w)["average_order"]) == (41, joint)
    unmerge(w.hub, one, by="kim")
    assert (person(w)["lead_score"], person(w)["average_order"]) == (71, "550")


def test_why_tells_the_parts_of_a_score(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann", "1200")
    w.clock.advance(2 * DAY)
    compute_everybody(w.hub)
    told = why(w.hub, "contact:ann@example.com", "lead_score")
    assert (told["value"], told["decided_by"], told["recomputed"]["same"]) == (26, "derived:computed", True)
    assert told["recomputed"]["parts"] == [
        {"rule": "order.paid", "points": 15.0, "events": 1, "half_life_days": 2.0},
        {"rule": "contact.big_spender", "points": 7.0, "events": 1, "half_life_days": None},
        {"rule": "country == 'DE'", "points": 4.0, "events": 0, "half_life_days": None},
    ]
    assert told["rule_at"].startswith("derived.yaml:")
    assert why(w.hub, "contact:ann@example.com", "segments")["recomputed"]["same"]


def test_fifths_are_those_of_all_buyers(world: MakeWorld) -> None:
    w = world()
    for place in range(5):
        w.customer(f"c{place}")
        w.order(f"o{place}", f"c{place}", str(100 * (place + 1)), paid_at=f"2026-12-0{place + 1}T08:00:00Z")
    compute_everybody(w.hub)
    assert [person(w, place)["rfm"] for place in range(5)] == ["111", "212", "313", "414", "515"]
    check(w)


def test_who_is_erased_is_in_no_segment(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann", "1200", paid_at="2026-11-30T08:00:00Z")  # before the rule began: no reward is under way
    assert [each["people"] for each in list_segments(w.hub)] == [1, 1]
    erase(w.hub, "contact:ann@example.com", by="kim")
    assert [each["people"] for each in list_segments(w.hub)] == [0, 0]


def test_a_segment_that_is_none_is_refused(world: MakeWorld) -> None:
    with pytest.raises(NotFound, match="no segment silver"):
        list_members(world().hub, "silver")
