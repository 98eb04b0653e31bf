"""What happened, what is owed, and what may follow a lost answer: the pure half of rewards (reliability.md §4.9)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from hub.core.canonical import Canonical, CanonicalField, EntityType, EventType
from hub.core.canonical_file import read_canonical
from hub.core.derived import FUNCTIONS, add_to, derivations, movements
from hub.core.document import Sheet
from hub.core.guards import Bound
from hub.core.rewards import (
    MOVES,
    Amount,
    Entry,
    GrantState,
    Measure,
    Provider,
    Rewards,
    Rule,
    Step,
    add_to_burst,
    budget_label,
    digest_of,
    event_key,
    grant_key,
    is_burst,
    needs_approval,
    next_step,
    order_body,
    order_differences,
    period_of,
    period_start,
    recipient_of,
    reference_of,
    refusal_key,
    rules_for,
    split_label,
    triggers_of,
)
from hub.core.rewards_file import parse_rules
from hub.errors import ConfigFault
from hub.model import EventRow, Grant, Json
from hub.runtime.yaml import parse_yaml

CANONICAL = """
language: 1
entities:
  contact:
    text: A person.
    fields:
      email: {type: email}
      name: {type: group, parts: {first_name: text, last_name: text}}
      address: {type: group, parts: {city: text, country: country}}
      lifetime_value: {type: decimal, derived: paid_orders_total}
      orders: {type: integer, derived: paid_orders_count}
    events:
      big_spender: {when: "lifetime_value >= 1000"}
  owner: {text: A sales rep., fields: {email: {type: email}}}
  deal:
    text: A sale.
    fields:
      stage: {type: enum, values: [new, won]}
      amount: {type: money}
      contact: {type: ref, to: contact}
      owner: {type: ref, to: owner}
    events: {won: {when: "stage == 'won'", subject: contact}}
  order:
    text: A purchase.
    fields:
      total: {type: money}
      contact: {type: ref, to: contact}
      paid_at: {type: instant}
      refunded_at: {type: instant}
    events:
      paid: {when: "paid_at is not None", at: paid_at}
      refunded: {when: "refunded_at is not None", at: refunded_at}
"""

RULES = """
language: 1
budgets: {thanks: {amount: 2000 EUR, per: month}}
rules:
  big_order:
    text: A gift card for an order over 500.
    on: order.paid
    when: "order.total >= 500 and contact.country == 'DE'"
    who: contact
    give: {connection: plum, product: "5671", amount: 25 EUR, deliver: provider}
    once_per: event
    limits: {per_person: {count: 2, per: year}}
    budget: thanks
    active_from: 2026-12-01T00:00:00Z
    wait: 1d12h
    approve_over: 100 EUR
    reverse_on: [order.refunded]
"""

DECEMBER = datetime(2026, 12, 5, 12, tzinfo=UTC).timestamp()


def canonical() -> Canonical:
    sheet = Sheet(parse_yaml(CANONICAL, "canonical.yaml"))
    found = read_canonical(sheet, derived=FUNCTIONS)
    assert sheet.faults == []
    return found


def parsed(text: str, **options: Json) -> tuple[Rewards, list[tuple[str, str]]]:
    sheet = Sheet(parse_yaml(text, "rewards.yaml"))
    rewards = parse_rules(sheet, canonical(), **options)
    return rewards, [(fault.code, fault.where) for fault in sheet.faults]


def rule(**changes: Json) -> Rule:
    rewards, faults = parsed(RULES)
    assert faults == []
    return replace(rewards.rules["big_order"], **changes)


def event(**changes: Json) -> EventRow:
    row = EventRow(
        key="order.paid:7", name="order.paid", entity_id=7, subject_id=3, at=DECEMBER, source="shop", silent=False, id=1
    )
    return replace(row, **changes)


def grant(**changes: Json) -> Grant:
    row = Grant(
        id=1, key="k", rule="big_order", subject_id=3, event_id=1, connection="plum", product="5671", amount="25",
        currency="EUR", budget="thanks@2026-12", reference="hub-rwd-1", state=GrantState.RESERVED,
        recipient={"email": "Kim@example.com"}, not_before=100.0,
    )  # fmt: skip
    return replace(row, **changes)


# The file


def test_a_rule_is_read_with_all_that_it_says() -> None:
    found = rule()
    assert (found.on, found.who, found.once_per, found.budget, found.reverse_on) == (
        "order.paid", "contact", "event", "thanks", ("order.refunded",),
    )  # fmt: skip
    assert (found.give.product, found.give.amount) == ("5671", Amount(minor=2500, currency="EUR"))
    assert (found.wait_s, found.active_from) == (129_600.0, 1_796_083_200.0)
    assert found.per_person is not None
    assert (found.per_person.count, found.per_person.per) == (2, "year")
    assert found.approve_over == Amount(minor=10_000, currency="EUR")


def test_a_rule_is_measured_by_its_own_event_unless_it_names_another() -> None:
    assert rule().measure == Measure(on="order.paid")
    named = RULES.replace("budget: thanks\n", "budget: thanks\n    measure: {on: deal.won, within: 10d}\n", 1)
    found, faults = parsed(named)
    assert faults == []
    assert found.rules["big_order"].measure == Measure(on="deal.won", within_s=864_000.0)


def test_the_shipped_rules_fit_the_shipped_declarations() -> None:
    from pathlib import Path

    folder = Path(__file__).parents[2] / "mappings"
    declared = Sheet(parse_yaml((folder / "canonical.yaml").read_bytes(), "canonical.yaml"))
    sheet = Sheet(parse_yaml((folder / "rewards.yaml").read_bytes(), "rewards.yaml"))
    rewards = parse_rules(sheet, read_canonical(declared, derived=FUNCTIONS), connections=["plum"])
    assert [*declared.faults, *sheet.faults] == []
    assert set(rewards.rules) == {"big_order", "deal_won"}
    assert [each.field for each in derivations(read_canonical(declared), currency="EUR")] == ["lifetime_value"]


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("on: order.paid", "on: order.payed", "RWD-001", 6),
        ("reverse_on: [order.refunded]", "reverse_on: [deal.won]", "RWD-005", 16),
        ("who: contact", "who: owner", "RWD-002", 8),
        ("connection: plum", "connection: plume", "RWD-003", 9),
        ("amount: 25 EUR", "amount: 25", "RWD-004", 9),
        ("amount: 25 EUR", "amount: 0 EUR", "RWD-004", 9),
        ("amount: 25 EUR", "amount: 25 XYZ", "RWD-004", 9),
        ("amount: 25 EUR", "amount: 25 USD", "RWD-004", 12),
        ("amount: 25 EUR", "amount: 25.125 EUR", "RWD-004", 9),
        ("amount: 2000 EUR", "amount: 20 EUR", "RWD-004", 12),
        ("budget: thanks", "budget: thank", "RWD-006", 12),
        ("active_from: 2026-12-01T00:00:00Z", "active_from: 2026-12-01", "RWD-007", 13),
        ("wait: 1d12h", "wait: soon", "RWD-007", 14),
        ("approve_over: 100 EUR", "approve_over: 100 USD", "RWD-004", 15),
        ("    active_from: 2026-12-01T00:00:00Z\n", "", "CFG-013", 4),
        ("once_per: event", "once_per: week", "CFG-012", 10),
        ("count: 2", "count: 0", "CFG-011", 11),
        ("order.total >= 500", "order.sum >= 500", "MAP-013", 7),
        ("order.total >= 500", "order.total.__class__", "MAP-013", 7),
        ("deliver: provider", "deliver: pigeon", "CFG-012", 9),
        ("text: A gift", "txt: A gift", "CFG-010", 5),
    ],
)
def test_a_broken_rule_gives_nothing_and_says_where_and_why(old: str, new: str, code: str, line: int) -> None:
    assert old in RULES
    rewards, faults = parsed(RULES.replace(old, new).lstrip("\n"), connections=["plum"])
    assert (code, f"rewards.yaml:{line}") in faults
    assert rewards.rules == {}


def test_all_faults_are_found_at_once() -> None:
    text = RULES.replace("on: order.paid", "on: order.payed").replace("budget: thanks", "budget: x")
    assert [code for code, _ in parsed(text)[1]] == ["RWD-001", "RWD-006"]


def test_a_condition_looks_at_the_event_and_at_whom_it_names() -> None:
    when = rule().when
    assert when is not None
    order: dict[str, Json] = {"total": {"minor": 50_000, "currency": "EUR"}, "contact": 3}
    german = {"contact": {"address": {"city": "Berlin", "country": "DE"}}}
    assert when(order, german) is True
    assert when(order, {"contact": {"address": {"country": "FR"}}}) is False
    assert when(order, {}) is False
    assert when({**order, "total": {"minor": 90_000, "currency": "USD"}}, german) is False
    assert when({**order, "total": None}, german) is False


# Events


def test_an_event_happens_when_its_condition_turns_true() -> None:
    paid = triggers_of(canonical(), currency="EUR")["order"][0]
    then: dict[str, Json] = {"paid_at": "2026-12-05T12:00:00Z"}
    assert paid.name == "order.paid"
    assert paid.turned_true({}, then)
    assert paid.turned_true({"paid_at": None}, then)
    assert not paid.turned_true(then, {"paid_at": "2026-12-06T12:00:00Z"})
    assert not paid.turned_true(then, {})


def test_whose_event_it_is_follows_from_the_declaration_or_the_contact() -> None:
    triggers = triggers_of(canonical(), currency="EUR")
    assert [triggers[kind][0].subject for kind in ("order", "deal", "contact")] == ["contact", "contact", ""]


def test_an_event_never_happens_in_the_future() -> None:
    paid = triggers_of(canonical(), currency="EUR")["order"][0]
    assert paid.moment({"paid_at": "2026-12-05T12:00:00Z"}, otherwise=1.0, now=DECEMBER + 60) == DECEMBER
    assert paid.moment({"paid_at": "2099-01-01T00:00:00Z"}, otherwise=1.0, now=DECEMBER) == DECEMBER
    assert paid.moment({}, otherwise=DECEMBER - 5, now=DECEMBER) == DECEMBER - 5


def test_silent_and_older_events_pay_under_no_rule() -> None:
    rewards = parsed(RULES)[0]
    assert [each.name for each in rules_for(rewards, event())] == ["big_order"]
    assert rules_for(rewards, event(silent=True)) == []
    assert rules_for(rewards, event(at=rule().active_from - 1)) == []
    assert rules_for(rewards, event(name="deal.won")) == []


# Keys and periods


def test_parts_of_a_key_cannot_be_shifted_into_each_other() -> None:
    assert digest_of("a|b", "c") != digest_of("a", "b|c")
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of("1:a") != digest_of("", "a")
    assert digest_of("ä", "") != digest_of("", "ä")


def test_a_key_is_the_same_for_the_same_and_another_for_any_other() -> None:
    zone = UTC
    month = rule(once_per="month")
    keys = [
        grant_key("hub-a", rule(), 3, event(), zone),
        grant_key("hub-b", rule(), 3, event(), zone),
        grant_key("hub-a", rule(name="other"), 3, event(), zone),
        grant_key("hub-a", rule(), 4, event(), zone),
        grant_key("hub-a", rule(), 3, event(key="order.paid:8"), zone),
        grant_key("hub-a", month, 3, event(), zone),
        grant_key("hub-a", month, 3, event(at=DECEMBER + 31 * 86_400), zone),
        refusal_key("hub-a", rule(), event()),
    ]
    assert len(set(keys)) == len(keys)
    assert grant_key("hub-a", month, 3, event(key="order.paid:8"), zone) == grant_key("hub-a", month, 3, event(), zone)
    assert grant_key("hub-a", rule(wait_s=9.0), 3, event(), zone) == keys[0]


def test_a_reference_fits_the_provider_and_names_hub_and_grant() -> None:
    key = grant_key("hub", rule(), 3, event(), UTC)
    assert reference_of("hub", key) == f"hub-rwd-{key[:40]}"
    assert len(reference_of("x" * 200, key)) <= 100


def test_periods_begin_where_the_hub_is() -> None:
    newyear = datetime(2026, 12, 31, 23, 30, tzinfo=UTC).timestamp()
    berlin = ZoneInfo("Europe/Berlin")
    assert [period_of(per, newyear, UTC) for per in ("day", "month", "year", "ever")] == [
        "2026-12-31", "2026-12", "2026", "ever",
    ]  # fmt: skip
    assert [period_of(per, newyear, berlin) for per in ("day", "month", "year")] == ["2027-01-01", "2027-01", "2027"]
    assert period_start("month", newyear, UTC) == datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert period_start("year", newyear, berlin) == datetime(2026, 12, 31, 23, tzinfo=UTC).timestamp()
    assert period_start("ever", newyear, UTC) == 0.0


def test_a_grant_knows_the_period_that_its_money_came_from() -> None:
    budget = parsed(RULES)[0].budgets["thanks"]
    assert budget_label(budget, DECEMBER, UTC) == "thanks@2026-12"
    assert split_label("thanks@2026-12") == ("thanks", "2026-12")


def test_event_keys_are_once_per_entity_and_name() -> None:
    assert event_key("order.paid", 7) == "order.paid:7"


# Grants


def test_an_amount_over_the_bound_needs_a_person() -> None:
    assert not needs_approval(rule(approve_over=Amount(minor=2500, currency="EUR")))
    assert needs_approval(rule(approve_over=Amount(minor=2499, currency="EUR")))
    assert not needs_approval(rule(approve_over=None))


def test_money_is_written_in_major_units_of_its_currency() -> None:
    assert [Amount(minor=2550, currency="EUR").text, Amount(minor=500, currency="JPY").text] == ["25.5", "500"]


def test_a_burst_is_too_many_and_too_much_within_an_hour() -> None:
    bound, document = Bound(over=2, share=0.1), None
    seen = []
    for _ in range(5):
        document = add_to_burst(document, 7200.0, 100)
        seen.append(is_burst(bound, document, 4000))
    assert seen == [False, False, False, False, True]
    assert not is_burst(Bound(over=9, share=0.0), document or {}, 4000)
    assert add_to_burst(document, 10_800.0, 100) == {"hour": 3, "count": 1, "minor": 100}


def test_the_receiver_is_taken_down_as_of_now() -> None:
    values = {"email": "a@example.com", "phone": None, "name": {"first_name": "Ann", "last_name": "Lee"}, "x": 1}
    assert recipient_of(values) == {"email": "a@example.com", "name": "Ann Lee"}


# What may follow a lost answer

A = Provider(kind="A", can_look_up=True, settle_s=60.0)
B = Provider(kind="B", key_life_s=1000.0, can_look_up=True, settle_s=60.0)
C = Provider(kind="C", can_look_up=True, settle_s=60.0)
D = Provider(kind="D", can_look_up=True)
SENT = [Entry.RESERVED, Entry.SENT, Entry.UNKNOWN]


def step(provider: Provider, now: float, kinds: list[Entry] | None = None, **changes: Json) -> Step:
    lost = grant(state=GrantState.UNKNOWN, first_sent=100.0, last_possible=250.0, attempts=1, **changes)
    return next_step(lost, SENT if kinds is None else kinds, provider, now)


def test_a_reserved_grant_is_sent_when_its_time_has_come() -> None:
    assert next_step(grant(), [], D, 99.9) is Step.WAIT
    assert next_step(grant(), [], D, 100.0) is Step.SEND


@pytest.mark.parametrize("state", ["refused", "waiting_approval", "issued", "rejected", "needs_person", "reversed"])
def test_what_is_settled_or_waits_for_a_person_is_left_alone(state: str) -> None:
    assert next_step(grant(state=state), [], A, 1e9) is Step.WAIT


@pytest.mark.parametrize("provider", [A, B, C, D])
def test_nobody_touches_a_call_that_may_be_under_way(provider: Provider) -> None:
    sending = grant(state=GrantState.SENDING, first_sent=100.0, last_possible=250.0)
    assert next_step(sending, SENT, provider, 250.0) is Step.WAIT


def test_class_a_sends_the_same_reference_again() -> None:
    assert step(A, 101.0) is Step.SEND
    crashed = grant(state=GrantState.SENDING, first_sent=100.0, last_possible=250.0)
    assert next_step(crashed, SENT, A, 250.1) is Step.SEND


def test_class_b_repeats_within_the_life_of_the_key_counted_from_its_first_use() -> None:
    assert step(B, 899.9) is Step.SEND
    assert step(B, 900.0) is Step.LOOK_UP
    late = grant(state=GrantState.UNKNOWN, first_sent=100.0, last_possible=950.0, attempts=2)
    assert next_step(late, SENT, B, 1000.0) is Step.WAIT


def test_class_c_looks_only_when_nothing_can_land_any_more() -> None:
    assert step(C, 310.0) is Step.WAIT
    assert step(C, 310.1) is Step.LOOK_UP
    assert step(replace(C, can_look_up=False), 400.0) is Step.PERSON


def test_class_d_asks_a_person() -> None:
    assert step(D, 101.0) is Step.PERSON


def test_a_refused_repeat_is_looked_up_instead_of_repeated_for_ever() -> None:
    doubtful = [*SENT, Entry.SENT, Entry.DOUBTFUL]
    assert step(A, 200.0, doubtful) is Step.WAIT
    assert step(A, 400.0, doubtful) is Step.LOOK_UP
    assert step(A, 200.0, [*doubtful, Entry.NOT_FOUND, Entry.SENT, Entry.UNKNOWN]) is Step.SEND


def test_what_nobody_let_go_is_never_sent_though_it_may_have_been_ordered() -> None:
    held = [Entry.RESERVED, Entry.HELD, Entry.UNKNOWN]
    assert [step(provider, 400.0, held) for provider in (A, B, C, D)] == [Step.LOOK_UP] * 3 + [Step.PERSON]
    assert step(A, 400.0, [*held, Entry.NOT_FOUND, Entry.APPROVED, Entry.SENT, Entry.UNKNOWN]) is Step.SEND


def test_what_was_taken_back_is_never_sent_again() -> None:
    assert step(A, 200.0, [*SENT, Entry.REVERSAL]) is Step.WAIT
    assert step(A, 400.0, [*SENT, Entry.REVERSAL]) is Step.LOOK_UP


def test_an_end_has_no_way_on() -> None:
    assert {state for state, following in MOVES.items() if not following} == {"rejected", "reversed", "refused"}
    assert MOVES[GrantState.ISSUED] == {"cancelling", "undelivered"}, "what was ordered can only be asked back"


# Orders


def test_an_order_says_product_amount_and_receiver() -> None:
    assert order_body(grant(recipient={"email": "kim@example.com", "phone": "+4915112345678"})) == {
        "productId": "5671", "quantity": 1, "denomination": 25, "email": "kim@example.com",
        "contact": "+49-15112345678", "tag": "big_order", "notifyReceiverEmail": 1, "notifyAdminEmail": 0,
    }  # fmt: skip
    assert order_body(grant(amount="12.5"))["denomination"] == 12.5


def test_an_order_is_adopted_only_if_it_is_the_one_that_was_wanted() -> None:
    body = order_body(grant())
    same = {"productId": 5671, "denomination": "25.00", "email": "kim@EXAMPLE.com", "quantity": 1}
    assert order_differences(body, same) == []
    assert order_differences(body, {"denomination": 25}) == []
    assert order_differences(body, {**same, "productId": 1}) == ["productId"]
    assert order_differences(body, {**same, "denomination": 50}) == ["denomination"]
    assert order_differences(body, {**same, "email": "eve@example.com"}) == ["email"]
    assert order_differences(body, {"productId": "5671"}) == ["denomination"]
    assert order_differences(body, {**same, "denomination": "a lot"}) == ["denomination"]


# Sums


def test_a_paid_order_adds_its_total_and_a_refund_takes_it_back() -> None:
    total = next(each for each in derivations(canonical(), currency="EUR") if each.field == "lifetime_value")
    unpaid: dict[str, Json] = {"total": {"minor": 12_050, "currency": "EUR"}, "contact": 3}
    paid = {**unpaid, "paid_at": "2026-12-05T12:00:00Z"}
    moved = movements(total, [(7, {}, paid)])
    assert (moved[3].delta, moved[3].moment, moved[3].causes) == (Decimal("120.5"), DECEMBER, (7,))
    assert movements(total, [(7, {}, unpaid)]) == {}
    assert movements(total, [(7, unpaid, paid)])[3].delta == Decimal("120.5")
    assert movements(total, [(7, paid, {**paid, "refunded_at": "2026-12-06T12:00:00Z"})])[3].delta == Decimal("-120.5")
    assert movements(total, [(7, {}, {**paid, "total": {"minor": 12_050, "currency": "USD"}})]) == {}


def test_an_order_that_finds_another_buyer_moves_both_sums() -> None:
    total = next(each for each in derivations(canonical(), currency="EUR") if each.field == "lifetime_value")
    paid: dict[str, Json] = {
        "total": {"minor": 100, "currency": "EUR"}, "contact": 3, "paid_at": "2026-12-05T12:00:00Z",
    }  # fmt: skip
    moved = movements(total, [(7, paid, {**paid, "contact": 4}), (8, {}, paid)])
    assert {owner: movement.delta for owner, movement in moved.items()} == {3: Decimal(0), 4: Decimal(1)}


def test_a_sum_keeps_the_form_of_its_type() -> None:
    total, count = derivations(canonical(), currency="EUR")
    assert add_to(total, None, Decimal("120.50")) == "120.5"
    assert add_to(total, "120.5", Decimal("-120.5")) == "0"
    assert add_to(count, 2, Decimal(1)) == 3
    assert add_to(replace(total, type="money"), None, Decimal("120.5")) == {"minor": 12_050, "currency": "EUR"}


def test_a_sum_that_cannot_be_made_is_a_fault_of_the_declaration() -> None:
    fields = {"spent": CanonicalField(name="spent", type="decimal", derived="paid_orders_total")}
    contact = EntityType(name="contact", fields=fields)
    odd = EntityType(name="owner", fields={"spent": replace(fields["spent"], derived="all_money")})
    order = EntityType(
        name="order", fields={"total": CanonicalField(name="total", type="money")},
        events={"paid": EventType(name="paid", when="total > 0", at="")},
    )  # fmt: skip
    with pytest.raises(ConfigFault) as refusal:
        derivations(Canonical(entities={"contact": contact, "owner": odd}), currency="EUR")
    assert [fault.code for fault in refusal.value.faults] == ["MAP-046", "MAP-045"]
    with pytest.raises(ConfigFault, match="does not refer to contact"):
        derivations(Canonical(entities={"contact": contact, "order": order}), currency="EUR")
