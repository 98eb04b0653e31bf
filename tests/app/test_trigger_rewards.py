"""Rewards that triggers give: taken back by rule, left out by lot, measured, as those of rewards.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from hub.app.identity import merge
from hub.app.reward_report import reward_report
from hub.app.trigger_trial import try_trigger
from hub.model import Json
from tests.reward_world import DAY, RULES, START, order_record
from tests.trigger_world import TriggerWorld, checked, rule

PEOPLE = 40
ALONE = RULES.replace("active_from: 2026-12-01", "active_from: 2030-01-01").replace("100 EUR", "5000 EUR")
GIFT = 'reward: {connection: plum, product: "5671", amount: 25 EUR, budget: thanks}'
HALF = ", hold_out: 0.5, measure: {on: order.paid, within: 10d, value: total}"
BACK = ", reverse_on: [order.refunded]"
Make = Callable[[str], TriggerWorld]


@pytest.fixture
def make(migrated_url: str) -> Iterator[Make]:
    made: list[TriggerWorld] = []

    def one(more: str) -> TriggerWorld:
        made.append(
            TriggerWorld(migrated_url, rules=ALONE, triggers=rule("gift", "on: order.paid, who: contact", GIFT, more))
        )
        # so many rewards at once are no burst here
        made[-1].hub.guards = {name: each for name, each in made[-1].hub.guards.items() if name != "rewards"}
        return made[-1]

    yield one
    for world in made:
        world.store.close()


def told(w: TriggerWorld) -> dict[str, Json]:
    return next(row for row in reward_report(w.hub)["rules"] if row["rule"] == "gift")


def crowd(w: TriggerWorld) -> tuple[list[int], list[int]]:
    """Entities of people who got the gift, and of those who were left out."""
    for number in range(PEOPLE):
        w.customer(f"p{number}")
    w.take("shop", "orders", *(order_record(f"o{number}", f"p{number}") for number in range(PEOPLE)))
    w.work()
    w.issue()
    given = [grant.subject_id for grant in w.grants() if grant.state != "refused"]
    return given, [grant.subject_id for grant in w.grants("refused")]


def test_a_refund_takes_back_what_a_trigger_gave(make: Make) -> None:
    w = make(BACK)
    w.customer("ann")
    w.order("o1", "ann")
    w.work()
    assert w.grant_states() == ["reserved"]
    w.order("o1", "ann", refunded_at="2026-12-05T11:30:00Z")
    assert w.grant_states() == ["reversed"]
    assert w.money() == (0, 0)
    w.issue()
    assert w.provider.book == []
    assert w.states() == ["done"], "it fired; what it gave was taken back"
    found = try_trigger(w.hub, "gift", since=START - 5 * DAY)
    assert (found["fires"], found["taken_back"]) == (1, 1)
    w.work()
    assert w.grant_states() == ["reversed"]


def test_what_was_taken_back_before_is_never_given(make: Make) -> None:
    w = make(BACK)
    w.customer("ann")
    w.order("o1", "ann", refunded_at="2026-12-05T11:30:00Z")
    w.order("o2", "ann")
    w.order("o2", "ann", refunded_at="2026-12-05T11:40:00Z")
    w.work()
    assert w.states() == ["refused", "refused"]
    assert {each.reason[:8] for each in w.firings()} == {"RWD-VOID"}
    assert w.grants() == []
    found = try_trigger(w.hub, "gift", since=START - 5 * DAY)
    assert (found["fires"], found["refused"]) == (1, {"RWD-VOID": 1}), "a trial takes what is due to be done at once"


def test_the_lot_leaves_out_some_for_good_and_the_trial_knows_whom(make: Make) -> None:
    w = make(HALF)
    given, out = crowd(w)
    assert len(given) + len(out) == PEOPLE
    assert 8 < len(out) < 32
    assert w.money() == (0, 2500 * len(given))
    predicted = try_trigger(w.hub, "gift", since=START - 5 * DAY)
    assert (predicted["fires"], predicted["refused"]) == (len(given), {"RWD-HOLD-OUT": len(out)})
    w.clock.advance(DAY)
    w.take("shop", "orders", *(order_record(f"a{number}", f"p{number}") for number in range(PEOPLE)))
    w.work()
    assert sorted({grant.subject_id for grant in w.grants("refused")}) == sorted(out), "the same people again"


def test_what_it_changed_is_what_plain_counting_finds(make: Make) -> None:
    w = make(HALF)
    given, out = crowd(w)
    names = {grant.subject_id: grant.recipient["name"] for grant in w.grants()}
    again = [*given[::2], *out[::4]]
    w.clock.advance(3 * DAY)
    at = "2026-12-08T10:00:00Z"
    w.take("shop", "orders", *(order_record(f"a{each}", names[each], "200", paid_at=at) for each in again))
    w.clock.advance(8 * DAY)
    row, share = told(w), Decimal(len(given[::2])) / len(given) - Decimal(len(out[::4])) / len(out)
    assert (row["people"], row["left_out"], row["mixed"]) == (len(given), len(out), 0)
    assert Decimal(row["uplift"]) == round(share, 4)
    assert Decimal(row["low"]) < share < Decimal(row["high"])
    assert row["measured_by"] == "order.paid within 10 days"


@pytest.mark.parametrize("older_is_out", [True, False])
def test_whoever_is_left_out_stays_out_after_a_merge_whichever_name_is_older(make: Make, older_is_out: bool) -> None:
    w = make(HALF)
    given, out = crowd(w)
    one, other = (min(out), max(given)) if older_is_out else (min(given), max(out))
    merge(w.hub, f"contact:{one}", f"contact:{other}", by="kim")
    name = next(grant.recipient["name"] for grant in w.grants() if grant.subject_id == other)
    before = len(w.provider.book)
    w.clock.advance(DAY)
    w.order("again", name)
    w.work()
    w.issue()
    assert w.firings()[-1].reason.startswith("RWD-HOLD-OUT")
    assert len(w.provider.book) == before
    w.clock.advance(11 * DAY)
    row = told(w)
    assert (row["mixed"], row["people"] + row["left_out"]) == (1, PEOPLE - 2), "a merge put them there, not the lot"


def test_what_was_owed_is_held_if_its_person_turns_out_to_be_left_out(make: Make) -> None:
    w = make(HALF)
    given, out = crowd(w)
    w.clock.advance(DAY)
    one = given[0]
    name = next(grant.recipient["name"] for grant in w.grants() if grant.subject_id == one)
    w.order("again", name)
    w.work()
    assert w.grants()[-1].state == "reserved"
    merge(w.hub, f"contact:{one}", f"contact:{out[0]}", by="kim")
    before = len(w.provider.book)
    w.issue()
    assert len(w.provider.book) == before
    assert w.grants()[-1].state == "waiting_approval"
    assert w.grants()[-1].detail.startswith("RWD-HOLD-OUT")


@pytest.mark.parametrize(
    ("cause", "do", "more"),
    [
        ("on: order.paid, who: contact", "notice: {team: Look.}", BACK),
        ("on: order.paid, who: contact", "notice: {team: Look.}", ", hold_out: 0.1"),
        ("on: order.paid, who: contact", GIFT, ", reverse_on: [deal.won]"),
        ("changed: {field: contact.country}", GIFT, BACK),
        ("changed: {field: contact.country}", GIFT, ", hold_out: 0.1"),
    ],
)
def test_what_makes_no_sense_is_a_fault(cause: str, do: str, more: str) -> None:
    found, faults = checked(rule("it", cause, do, more))
    assert {each.code for each in faults} == {"TRG-015"}
    assert not found.rules
