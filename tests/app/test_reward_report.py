"""The report: what was given, used, left and changed, held against plain counting of what happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from hub.app.identity import merge
from hub.app.ingest import ingest_page
from hub.app.reward_report import reward_report
from hub.app.reward_trial import try_rule
from hub.core.document import Sheet
from hub.core.rewards_file import parse_rules
from hub.core.uplift import is_held_out
from hub.model import Json, SourceRecord
from hub.runtime.yaml import parse_yaml
from tests.reward_world import DAY, RULES, MakeWorld, World, declared, mappings_of, order_record, worlds

PEOPLE = 40
CODES = "connector: plum\nlanguage: 1\nstreams: {orders: {entity: deal, direction: in, acts: true, fields: {}}}"
HALF = RULES.replace("100 EUR", "5000 EUR").replace("once_per: event", "once_per: ever").replace(
    "    budget: thanks\n",
    "    budget: thanks\n    hold_out: 0.5\n    measure: {on: order.paid, within: 10d, value: total}\n",
)  # fmt: skip


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield make


def told(w: World, name: str = "big_order") -> dict[str, Json]:
    return next(row for row in reward_report(w.hub)["rules"] if row["rule"] == name)


def crowd(w: World) -> tuple[list[int], list[int]]:
    """People who were owed a reward, and those who were left out; numbers of the customers."""
    w.hub.guards = {}  # so many at once are no burst here
    for number in range(PEOPLE):
        w.customer(f"p{number}")
    w.take("shop", "orders", *(order_record(f"o{number}", f"p{number}") for number in range(PEOPLE)))
    w.issue()
    given: list[int] = []
    out: list[int] = []
    for grant in w.grants():
        (out if grant.state == "refused" else given).append(int(grant.recipient["name"][1:]))
    return given, out


def test_who_is_left_out_is_kept_with_the_reason_and_costs_nothing(world: MakeWorld) -> None:
    w = world(rules=HALF)
    given, out = crowd(w)
    assert sorted(given + out) == list(range(PEOPLE))
    assert 8 < len(out) < 32
    assert {grant.detail[:12] for grant in w.grants("refused")} == {"RWD-HOLD-OUT"}
    assert w.money() == (0, 2500 * len(given))
    with w.store.reading() as tx:
        key = tx.code_key()
    held = [is_held_out(key, "big_order", grant.subject_id, Decimal("0.5")) for grant in w.grants()]
    assert held == [grant.state == "refused" for grant in w.grants()]


def test_what_it_changed_is_what_plain_counting_finds(world: MakeWorld) -> None:
    w = world(rules=HALF)
    given, out = crowd(w)
    again = [*given[::2], *out[::4]]
    w.clock.advance(3 * DAY)
    at = "2026-12-08T10:00:00Z"
    w.take("shop", "orders", *(order_record(f"a{each}", f"p{each}", "200", paid_at=at) for each in again))
    w.clock.advance(3 * DAY)
    assert (told(w)["people"], told(w)["uplift"]) == (0, None), "nobody's time is over"
    w.clock.advance(5 * DAY)
    w.take("shop", "orders", order_record("late", f"p{given[1]}", "900", paid_at="2026-12-16T11:00:00Z"))
    row = told(w)
    did, others = Decimal(len(given[::2])) / len(given), Decimal(len(out[::4])) / len(out)
    assert (row["people"], row["left_out"], row["mixed"]) == (len(given), len(out), 0)
    assert Decimal(row["uplift"]) == round(did - others, 4)
    assert Decimal(row["value"]) == round(200 * (did - others), 4)
    assert Decimal(row["low"]) < did - others < Decimal(row["high"])
    spent = 25 * len(given)
    assert Decimal(row["return"]) == round((Decimal(row["value"]) * len(given) - spent) / spent, 4)


def test_two_who_are_one_are_in_neither_group_if_they_were_in_both(world: MakeWorld) -> None:
    w = world(rules=HALF)
    crowd(w)
    one = next(grant.subject_id for grant in w.grants() if grant.state != "refused")
    other = next(grant.subject_id for grant in w.grants("refused"))
    merge(w.hub, f"contact:{one}", f"contact:{other}", by="kim")
    w.clock.advance(11 * DAY)
    row = told(w)
    assert (row["mixed"], row["people"] + row["left_out"]) == (1, PEOPLE - 2)


def test_a_merged_person_is_drawn_by_the_oldest_of_his_names(world: MakeWorld) -> None:
    w = world(rules=HALF.replace("once_per: ever", "once_per: event"))
    crowd(w)
    first = min(grant.subject_id for grant in w.grants("refused"))
    later = max(grant.subject_id for grant in w.grants() if grant.state != "refused")
    merge(w.hub, f"contact:{later}", f"contact:{first}", by="kim")
    with w.store.reading() as tx:
        link = next(each for each in tx.links_of([later], raw=False) if each.stream == "customers")
    w.order("again", link.external_id or "", paid_at="2026-12-05T11:30:00Z")
    assert w.grants()[-1].detail.startswith("RWD-HOLD-OUT")


def test_a_rule_tried_on_the_past_leaves_out_the_same_people(world: MakeWorld) -> None:
    w = world(rules=HALF)
    given, out = crowd(w)

    class Projects:
        rewards = w.rewards

    w.hub.projects = Projects()
    found = try_rule(w.hub, "big_order", days=30)
    assert (found["pays"], found["outcomes"]["RWD-HOLD-OUT"]) == (len(given), len(out))


def test_states_and_money_are_counted(world: MakeWorld) -> None:
    w = world(rules=RULES)
    for number in range(6):
        w.customer(f"p{number}")
        w.order(f"o{number}", f"p{number}")
        if number == 1:
            w.provider.script = ["applied", "rejected"]
            w.issue()
    row = told(w)
    counted = {
        name: row[name] for name in ("issued", "spent", "pending", "refused", "rejected", "taken_back", "currency")
    }
    assert counted == {
        "issued": 1, "spent": "25", "pending": "75", "refused": 1, "rejected": 1, "taken_back": 0, "currency": "EUR",
    }  # fmt: skip
    assert (row["redeemed"], row["uplift"], row["return"]) == (None, None, None)
    (budget,) = reward_report(w.hub)["budgets"]
    assert {name: budget[name] for name in ("period", "spent", "pending", "cap")} == {
        "period": "2026", "spent": "25", "pending": "75", "cap": "100",
    }  # fmt: skip
    assert Decimal(107) < Decimal(budget["forecast"]) < Decimal(109)
    assert budget["runs_out"] is True
    assert reward_report(w.hub, since=w.clock.now() + 1)["rules"][0]["issued"] == 0


def test_codes_that_were_used_are_known_from_the_shops_own_list(world: MakeWorld) -> None:
    w = world(rules=RULES.replace("deliver: provider", "deliver: screen"))
    w.provider.gives = "code"
    w.hub = w.start()
    plum = w.hub.connections["plum"]
    mapping = mappings_of(
        "connector: plum\nlanguage: 1\nstreams: {orders: {entity: deal, direction: in, acts: true, fields: {}}}"
    )
    w.hub.connections["plum"] = replace(plum, mappings=mapping)
    for name in ("ann", "bob", "cyd"):
        w.customer(name)
        w.order(f"o-{name}", name)
    w.issue()
    for grant, uses in zip(w.grants(), (1, 0), strict=False):
        record = SourceRecord(external_id=grant.order_id or "", data={"id": grant.order_id})
        ingest_page(w.hub, w.hub.connections["plum"], "orders", [record], read_at=w.clock.now(), first_load=False)
        with w.store.transaction() as tx:
            link = tx.links_by_keys("plum", "orders", [grant.order_id or ""])[grant.order_id or ""]
            coupon = tx.entities([link.entity_id])[link.entity_id]
            tx.update_entities([replace(coupon, values={**coupon.values, "uses": uses})])
    row = told(w)
    assert (row["issued"], row["redeemed"], row["of_known"]) == (3, 1, 2)


def faults(text: str) -> list[str]:
    sheet = Sheet(parse_yaml(text, "rewards.yaml"))
    parse_rules(sheet, declared())
    return [fault.code for fault in sheet.faults]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("hold_out: 0.5", "hold_out: 1.5", "CFG-011"),
        ("on: order.paid, within", "on: order.payed, within", "RWD-001"),
        ("within: 10d", "within: soon", "RWD-007"),
        ("value: total", "value: totals", "RWD-009"),
        ('product: "5671"', 'products: {Germany: "1"}', "RWD-008"),
        ('product: "5671"', 'product: "1", products: {DE: "1"}', "RWD-008"),
        ('product: "5671", ', "", "RWD-008"),
        ("deliver: provider", "deliver: pigeon", "CFG-012"),
        ("deliver: provider", "deliver: {connection: mail}", "CFG-013"),
    ],
)
def test_a_fault_is_told(old: str, new: str, code: str) -> None:
    assert old in HALF
    assert faults(HALF) == []
    assert code in faults(HALF.replace(old, new, 1))
