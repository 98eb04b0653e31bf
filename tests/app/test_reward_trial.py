"""A rule held against what happened: the same answers as the ledger would have given, and nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hub.app.identity import merge
from hub.app.reward_trial import try_rule
from hub.errors import NeedsReview, NotFound
from tests.reward_world import DAY, RULES, MakeWorld, World, order_record, worlds


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield make


class Project:
    """All that a trial asks of a project."""

    def __init__(self, rewards: Any) -> None:
        self.rewards = rewards


def tried(w: World, days: int = 30) -> dict[str, Any]:
    w.hub.projects = Project(w.rewards)
    return try_rule(w.hub, "big_order", days=days)


def test_what_would_have_been_given_is_what_the_ledger_gave(world: MakeWorld) -> None:
    w = world()
    for name in ("ann", "bob"):
        w.customer(name)
    w.customer("tom", country="AT")
    w.customer("noa", email=None)
    for number, (name, total) in enumerate((("ann", "600"), ("bob", "499"), ("tom", "900"), ("ann", "700"))):
        w.order(f"o{number}", name, total)
    w.order("o9", "bob", "800", refunded_at="2026-12-05T11:30:00Z")
    found = tried(w)
    assert found["outcomes"] == {"pays": 2, "condition": 2, "taken back": 1}
    assert (found["pays"], found["minor"], found["currency"], found["events"]) == (2, 5000, "EUR", 5)
    assert found["pays"] == len(w.grants("reserved"))
    assert [row["outcome"] for row in found["rows"]] == ["taken back", "pays", "pays"]


def test_a_budget_that_would_be_used_up_is_told_with_its_period(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    for number in range(6):
        w.order(f"o{number}", "ann")
    found = tried(w)
    assert found["outcomes"] == {"pays": 4, "RWD-BUDGET": 2}
    assert found["periods"] == [{"budget": "thanks", "period": "2026", "minor": 10_000, "cap_minor": 10_000}]
    assert len(w.grants("reserved")) == 4


def test_a_limit_per_person_counts_by_the_clock_of_the_hub(world: MakeWorld) -> None:
    limited = RULES.replace("once_per: event", "once_per: event\n    limits: {per_person: {count: 1, per: month}}")
    w = world(rules=limited)
    w.customer("ann")
    w.order("o1", "ann")
    w.order("o2", "ann", paid_at="2026-12-02T11:00:00Z")
    w.clock.advance(28 * DAY)
    w.order("o3", "ann", paid_at="2026-12-20T11:00:00Z")
    assert len(w.grants("reserved")) == 2
    assert tried(w)["outcomes"] == {"pays": 2, "RWD-LIMIT": 1}


def test_events_of_a_first_load_are_tried_and_said_to_be_such(world: MakeWorld) -> None:
    w = world()
    w.customer("ann", first_load=True)
    w.order("o1", "ann", first_load=True)
    assert (tried(w)["pays"], tried(w)["silent"], tried(w)["events"]) == (0, 1, 1)
    w.hub.projects = Project(w.rewards)
    found = try_rule(w.hub, "big_order", days=30, loaded=True)
    assert (found["pays"], found["silent"], found["rows"][0]["silent"]) == (1, 1, True)
    assert w.grants() == []


@pytest.mark.parametrize("by_webhook", [False, True])
def test_a_buyer_who_is_named_by_a_first_load_is_no_occasion(world: MakeWorld, by_webhook: bool) -> None:
    """Neither when it was lived, nor when it is tried; asked for what loads brought, too, the trial counts it."""
    w = world()
    w.customer("ann")
    bought = order_record("o1", None)
    w.take("shop", "orders", bought)
    w.mark_listed(orders=not by_webhook)  # what a webhook brings of a stream that is read anew is history, too
    w.take("shop", "orders", bought | {"customer": "ann"}, first_load=not by_webhook)
    assert w.grants() == []
    assert tried(w)["outcomes"] == {"condition": 1}
    assert try_rule(w.hub, "big_order", days=30, loaded=True)["outcomes"] == {"pays": 1}
    w.mark_listed()
    w.take("shop", "orders", order_record("o2", None))
    w.order("o2", "ann")
    assert tried(w)["outcomes"] == {"condition": 1, "pays": 1}
    assert w.grant_states() == ["reserved"]


def test_of_buyers_who_are_named_at_once_the_older_event_comes_first(world: MakeWorld) -> None:
    w = world(rules=RULES.replace("amount: 100 EUR", "amount: 25 EUR"))
    w.customer("ann")
    w.take("shop", "orders", order_record("o1", None, paid_at=None))
    w.take("shop", "orders", order_record("o2", None))
    w.take("shop", "orders", order_record("o1", None))  # entity 1 has event 2
    w.take("shop", "orders", order_record("o1", "ann"), order_record("o2", "ann"))
    w.hub.projects = Project(w.rewards)
    found = try_rule(w.hub, "big_order", days=30)
    assert found["outcomes"] == {"pays": 1, "RWD-BUDGET": 1}
    (paid,) = w.grants("reserved")
    told = {row["entity"]["id"]: row["outcome"] for row in found["rows"]}
    with w.store.reading() as tx:
        (event,) = [each for each in tx.events_page(after_id=0, limit=10) if each.id == paid.event_id]
    assert told[event.entity_id] == "pays"


def test_what_two_orders_become_when_they_are_one_is_no_occasion(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.take("shop", "orders", order_record("o1", None))
    w.order("o2", "ann", first_load=True)
    first, second = (w.entity("order", place).id for place in (0, 1))
    merge(w.hub, f"order:{first}", f"order:{second}", by="eve")
    assert w.entity("order").values["contact"] == w.entity("contact").id
    assert (w.grants(), tried(w)["pays"]) == ([], 0)


def test_only_the_last_days_are_looked_at_and_nothing_is_kept(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann", paid_at="2026-12-01T11:00:00Z")
    before = w.money()
    w.clock.advance(10 * DAY)
    assert (tried(w, days=7)["events"], tried(w, days=30)["events"]) == (0, 1)
    assert (w.money(), len(w.grants())) == (before, 1)


def test_what_is_no_rule_or_no_time_is_said(world: MakeWorld) -> None:
    w = world()
    w.hub.projects = Project(w.rewards)
    with pytest.raises(NotFound):
        try_rule(w.hub, "nothing", days=3)
    for days in (0, 4000):
        with pytest.raises(NeedsReview):
            try_rule(w.hub, "big_order", days=days)
