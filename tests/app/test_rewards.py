"""From a change to an event and a grant: the real engine and store, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.app.restored import after_restore
from hub.app.reward_book import approve, budgets_now, decline
from hub.app.reward_orders import change_of
from hub.app.reward_providers import desk_of
from hub.core.derived import FUNCTIONS
from hub.core.guards import Bound
from hub.core.rewards import GrantState
from hub.core.rewards_file import RULE_KEYS
from hub.errors import NeedsReview
from hub.model import Json
from tests.reward_world import DAY, RULES, MakeWorld, order_record, worlds


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield make


def rules(*changes: tuple[str, str]) -> str:
    text = RULES
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


# Events and grants


def test_a_paid_order_is_an_event_and_the_rule_owes_one_reward(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    assert w.order("o1", "ann")["grants"] == 1
    (grant,) = w.grants("reserved")
    assert (grant.rule, grant.amount, grant.currency, grant.product) == ("big_order", "25", "EUR", "5671")
    assert grant.recipient == {"email": "ann@example.com", "name": "ann"}
    assert (grant.subject_id, grant.budget, grant.reference[:8]) == (w.entity("contact").id, "thanks@2026", "hub-rwd-")
    assert w.money() == (2500, 0)
    assert w.entries(grant.id) == ["reserved"]


def test_the_same_order_again_and_again_edited_owes_nothing_more(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    for change in ({}, {}, {"paid_at": None}, {}, {"total": "900"}):
        w.clock.advance(60)
        w.take("shop", "orders", order_record("o1", "ann") | change)
    assert w.grant_states() == ["reserved"]
    assert w.money() == (2500, 0)


def test_an_order_that_is_paid_later_pays_then(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    assert "events" not in w.order("o1", "ann", paid_at=None)
    w.clock.advance(60)
    assert w.order("o1", "ann")["events"] == 1
    assert w.grant_states() == ["reserved"]


def test_what_the_rule_does_not_ask_for_owes_nothing(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    others: list[dict[str, Json]] = [
        {"total": "499.99"},
        {"currency": "USD"},
        {"paid_at": "2026-11-30T23:59:59Z"},
        {"paid_at": None},
    ]
    for number, other in enumerate(others):
        w.take("shop", "orders", order_record(f"o{number}", "ann") | other)
    assert (w.grants(), w.money()) == ([], (0, 0))


def test_the_rule_looks_at_the_person_too(world: MakeWorld) -> None:
    w = world()
    w.customer("bea", country="FR")
    w.order("o1", "bea")
    assert w.grants() == []


def test_a_first_load_is_known_and_never_paid(world: MakeWorld) -> None:
    w = world(listed=False)
    w.customer("ann", first_load=True)
    assert w.order("o1", "ann", first_load=True)["events_silent"] == 1
    w.mark_listed()
    w.clock.advance(60)
    w.order("o1", "ann", total="700", paid_at="2026-12-05T11:30:00Z")
    assert w.grants() == []


def test_what_arrives_by_another_way_before_the_first_load_is_done_is_history_too(world: MakeWorld) -> None:
    w = world(listed=False)
    w.customer("ann")
    assert w.order("o1", "ann")["events_silent"] == 1
    assert w.grants() == []


def test_a_buyer_who_becomes_known_later_is_rewarded_then(world: MakeWorld) -> None:
    w = world(rules=rules((" and contact.country == 'DE'", "")))
    w.order("o1", "ann")
    (refused,) = w.grants()
    assert (refused.state, refused.detail) == ("refused", "RWD-NOBODY: nobody is named to receive it")
    w.customer("ann")
    w.clock.advance(60)
    w.order("o1", "ann")
    refused, granted = w.grants()
    assert (granted.state, granted.recipient["email"]) == ("reserved", "ann@example.com")
    assert refused.detail == f"RWD-NOBODY: nobody is named to receive it; named later: grant {granted.id}"
    assert w.entity("contact").values["lifetime_value"] == "600"


def test_a_condition_over_a_buyer_who_is_not_known_yet_is_asked_again(world: MakeWorld) -> None:
    w = world()
    w.order("o1", "ann")
    assert w.grants() == []
    w.customer("ann")
    w.clock.advance(60)
    assert w.order("o1", "ann")["grants"] == 1


def test_an_order_that_changes_hands_is_not_paid_twice(world: MakeWorld) -> None:
    w = world(rules=rules(("once_per: event", "once_per: month")))
    w.customer("ann")
    w.customer("bea")
    w.order("o1", "ann")
    with w.store.transaction() as tx:  # a person unlinks the buyer; the next read names another
        (order,) = tx.entities_page("order")
        (link,) = tx.links_of([order.id])
        link.hash, link.shadow["held"]["contact"], order.values["contact"] = None, None, None
        tx.update_links([link])
        tx.update_entities([order])
    w.clock.advance(60)
    assert w.order("o1", "bea")["grants_already"] == 1
    assert [grant.subject_id for grant in w.grants()] == [w.entity("contact", 0).id]


def test_a_deal_pays_its_owner_even_if_it_has_no_contact(world: MakeWorld) -> None:
    text = rules(
        ("order.paid", "deal.won"), ("order.total >= 500 and contact.country == 'DE'", "deal.amount >= 10000"),
        ("who: contact", "who: owner"), ("    reverse_on: [order.refunded]\n", ""),
    )  # fmt: skip
    w = world(rules=text)
    w.take("crm", "users", {"id": "u1", "email": "rep@example.com"})
    w.take("crm", "deals", {"id": "d1", "stage": "new", "amount": "20000", "owner": "u1"})
    w.clock.advance(60)
    w.take("crm", "deals", {"id": "d1", "stage": "won", "amount": "20000", "owner": "u1"})
    (grant,) = w.grants()
    assert (grant.state, grant.recipient) == ("reserved", {"email": "rep@example.com"})
    assert grant.subject_id == w.entity("owner").id


def test_nobody_without_an_address_is_forgotten(world: MakeWorld) -> None:
    w = world()
    w.customer("ann", email=None)
    w.order("o1", "ann")
    (grant,) = w.grants()
    assert (grant.state, grant.detail) == ("refused", "RWD-ADDRESS: the receiver has no e-mail address")
    assert w.money() == (0, 0)


# Sums


def test_spending_is_summed_and_crossing_the_mark_is_an_event(world: MakeWorld) -> None:
    text = rules(
        ("order.paid", "contact.big_spender"), ("order.total >= 500 and ", ""),
        ("    reverse_on: [order.refunded]\n", ""),
    )  # fmt: skip
    w = world(rules=text)
    w.customer("ann")
    w.take("shop", "orders", order_record("o1", "ann", "600.50"), order_record("o2", "ann", "300"))
    assert (w.entity("contact").values["lifetime_value"], w.grants()) == ("900.5", [])
    w.clock.advance(60)
    w.take("shop", "orders", order_record("o3", "ann", "100", currency="USD"))
    w.order("o4", "ann", "99.50")
    assert (w.entity("contact").values["lifetime_value"], w.grant_states()) == ("1000", ["reserved"])
    w.clock.advance(60)
    w.order("o1", "ann", "600.50", refunded_at="2026-12-05T11:30:00Z")
    assert w.entity("contact").values["lifetime_value"] == "399.5"
    w.order("o5", "ann", "5000")
    assert w.grant_states() == ["reserved"]
    with w.store.reading() as tx:
        (event,) = tx.events_page(name="contact.big_spender")
    assert (event.source, event.values, event.subject_id) == ("shop", {"lifetime_value": "1000"}, event.entity_id)


def test_old_orders_that_find_their_buyer_late_cross_no_mark(world: MakeWorld) -> None:
    text = rules(
        ("order.paid", "contact.big_spender"), ("order.total >= 500 and ", ""),
        ("    reverse_on: [order.refunded]\n", ""),
    )  # fmt: skip
    w = world(rules=text, listed=False)
    w.order("o1", "ann", "5000", first_load=True)
    w.mark_listed()
    w.customer("ann")
    w.clock.advance(60)
    assert w.order("o1", "ann", "5000")["events_silent"] == 1
    assert w.entity("contact").values["lifetime_value"] == "5000"
    w.clock.advance(60)
    w.order("o2", "ann", "5000")
    assert w.grants() == []


def test_two_orders_of_one_page_cross_the_mark_once(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.take("shop", "orders", order_record("o1", "ann", "1000"), order_record("o2", "ann", "1000"))
    with w.store.reading() as tx:
        assert len(tx.events_page(name="contact.big_spender")) == 1
    assert len(w.grants()) == 2


# Limits, budgets, periods


def test_over_the_limit_of_a_person_is_refused_and_kept(world: MakeWorld) -> None:
    w = world(rules=rules(("    budget", "    limits: {per_person: {count: 1, per: year}}\n    budget")))
    w.customer("ann")
    w.customer("bea")
    w.order("o1", "ann")
    w.order("o2", "ann")
    w.order("o3", "bea")
    assert w.grant_states() == ["reserved", "refused", "reserved"]
    assert w.grants("refused")[0].detail == "RWD-LIMIT: the person had 1 in this year"
    w.clock.advance(27 * DAY)
    w.order("o4", "ann", paid_at="2027-01-01T10:00:00Z")
    assert w.grant_states() == ["reserved", "refused", "reserved", "reserved"]


def test_over_the_budget_is_refused_and_kept_until_the_next_period(world: MakeWorld) -> None:
    w = world(rules=rules(("amount: 100 EUR, per: year", "amount: 60 EUR, per: month")))
    w.customer("ann")
    w.take("shop", "orders", *(order_record(f"o{number}", "ann") for number in range(4)))
    assert w.grant_states() == ["reserved", "reserved", "refused", "refused"]
    assert w.grants("refused")[0].detail == "RWD-BUDGET: budget thanks (60 EUR per month) is used up"
    assert w.money() == (5000, 0)
    w.clock.advance(27 * DAY)
    w.order("o9", "ann")
    assert [each.budget for each in w.grants("reserved")] == ["thanks@2026-12", "thanks@2026-12", "thanks@2027-01"]
    assert [(row["period"], row["reserved_minor"]) for row in budgets_now(w.hub)] == [
        ("2026-12", 5000),
        ("2027-01", 2500),
    ]


def test_once_a_month_is_once_a_month(world: MakeWorld) -> None:
    w = world(rules=rules(("once_per: event", "once_per: month")))
    w.customer("ann")
    assert w.take("shop", "orders", order_record("o1", "ann"), order_record("o2", "ann"))["grants_already"] == 1
    w.clock.advance(30 * DAY)
    w.order("o3", "ann", paid_at="2026-12-31T22:00:00Z")
    w.order("o4", "ann", paid_at="2027-01-02T22:00:00Z")
    assert w.grant_states() == ["reserved", "reserved"]


def test_who_got_it_under_another_name_has_it(world: MakeWorld) -> None:
    w = world(
        rules=rules(
            ("once_per: event", "once_per: ever"),
            ("    budget", "    limits: {per_person: {count: 1, per: ever}}\n    budget"),
        )
    )
    w.customer("ann")
    w.customer("anna")
    w.order("o1", "anna")
    with w.store.transaction() as tx:
        survivor, alias = tx.entities_page("contact")
        alias.state, alias.alias_of = "alias", survivor.id
        tx.update_entities([alias])
    w.clock.advance(60)
    assert w.order("o2", "ann")["grants_already"] == 1
    assert [grant.subject_id for grant in w.grants()] == [alias.id]


def test_a_large_reward_waits_for_a_person(world: MakeWorld) -> None:
    w = world(rules=RULES + "    approve_over: 20 EUR\n")
    w.customer("ann")
    assert w.order("o1", "ann")["grants_waiting_approval"] == 1
    w.order("o2", "ann")
    assert w.issue() == {}
    first, second = w.grants("waiting_approval")
    assert (first.detail, w.money()) == ("RWD-APPROVE: 25 EUR is over 20 EUR", (5000, 0))
    assert approve(w.hub, first.id, "mia").state == "reserved"
    assert decline(w.hub, second.id, "mia", note="a colleague").detail == "by mia: a colleague"
    assert w.issue() == {"rewards_issued": 1}
    assert (w.grant_states(), w.money()) == (["issued", "rejected"], (0, 2500))
    with pytest.raises(NeedsReview, match="RWD-STATE"):
        approve(w.hub, first.id, "mia")
    with w.store.reading() as tx:
        assert [(row.actor, row.action) for row in tx.audit_log()][::-1] == [
            ("mia", "reward.approve"), ("mia", "reward.decline"),
        ]  # fmt: skip


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
def test_what_waited_in_a_backup_is_looked_up_for_it_may_have_been_approved_since(world: MakeWorld, kind: str) -> None:
    w = world(kind=kind, rules=RULES + "    approve_over: 20 EUR\n")
    w.customer("ann")
    for order in ("o1", "o2"):
        w.order(order, "ann")
    approved, untouched = w.grants("waiting_approval")
    desk = desk_of(w.hub, w.hub.connections["plum"], run_id=None, timing=None)
    assert desk is not None
    w.provider.push([change_of(desk, approved)])  # a person let it go; of that, the ledger of last night knows nothing
    assert after_restore(w.hub, by="mia")["grants_in_doubt"] == 2
    w.clock.advance(7200)
    w.issue()
    if kind == "D":  # nobody can look
        assert w.grant_states() == ["needs_person", "needs_person"]
    else:
        assert w.grant_states() == ["issued", "waiting_approval"]
        assert w.issue() == {}, "what nobody let go stays where it was"
        approve(w.hub, untouched.id, "mia")
        assert w.issue() == {"rewards_issued": 1}
        assert len(w.provider.book) == 2


def test_a_burst_of_rewards_waits_for_a_person(world: MakeWorld) -> None:
    w = world(rules=rules(("amount: 100 EUR", "amount: 1000 EUR")))
    w.hub.guards = {"rewards": Bound(over=2, share=0.05)}
    w.customer("ann")
    w.take("shop", "orders", *(order_record(f"o{number}", "ann") for number in range(4)))
    assert w.grant_states() == ["reserved", "reserved", "waiting_approval", "waiting_approval"]
    w.clock.advance(3600)
    w.order("o9", "ann")
    assert w.grant_states()[-1] == "reserved"


# Taking back


def test_a_refund_before_the_order_takes_the_grant_back(world: MakeWorld) -> None:
    w = world(rules=RULES + "    wait: 3d\n")
    w.customer("ann")
    w.order("o1", "ann")
    assert w.issue() == {}
    w.clock.advance(DAY)
    assert w.order("o1", "ann", refunded_at="2026-12-06T10:00:00Z")["grants_reversed"] == 1
    w.clock.advance(9 * DAY)
    assert w.issue() == {}
    (grant,) = w.grants()
    assert (grant.state, w.money(), w.entries(grant.id)) == ("reversed", (0, 0), ["reserved", "reversal"])


def test_a_refund_after_the_order_is_shown_and_the_money_stays_spent(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.issue()
    w.clock.advance(DAY)
    assert w.order("o1", "ann", refunded_at="2026-12-06T10:00:00Z")["grants_to_take_back"] == 1
    (grant,) = w.grants()
    assert (grant.state, w.money()) == ("issued", (0, 2500))
    assert grant.detail == "RWD-TAKE-BACK: order.refunded, but order 880001 at plum cannot be cancelled by the hub"
    assert w.entries(grant.id) == ["reserved", "sent", "issued", "reversal"]


def test_an_order_that_arrives_refunded_owes_nothing(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    assert w.order("o1", "ann", refunded_at="2026-12-05T11:30:00Z")["grants_void"] == 1
    assert w.grants() == []


def test_what_may_have_been_ordered_is_not_sent_again_once_taken_back(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.provider.script = ["lost before"]
    assert w.issue() == {"rewards_unknown": 1}
    w.order("o1", "ann", refunded_at="2026-12-05T11:30:00Z")
    assert w.issue() == {}
    w.clock.advance(1000)
    assert w.issue() == {"rewards_reversed": 1}
    assert (w.grant_states(), w.money(), w.provider.book) == (["reversed"], (0, 0), [])


# The page that explains it


def test_the_documentation_names_every_state_code_key_and_function() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "rewards.md").read_text()
    sources = [*(root / "hub" / "app").glob("reward*.py"), root / "hub" / "core" / "rewards.py"]
    codes = set(re.findall(r"RWD-[A-Z]+(?:-[A-Z]+)*", "\n".join(source.read_text() for source in sources)))
    assert set(re.findall(r"RWD-[A-Z]+(?:-[A-Z]+)*", page)) == codes
    words = {*GrantState, *FUNCTIONS, *(f"`{key}`" for key in RULE_KEYS)}
    assert {word for word in words if word not in page} == set()
