"""Milestones of a team: decided once, when a period and its grace are over, by what was known then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hub.app.identity import merge
from hub.app.reward_milestones import list_milestones, settle_milestones, try_milestone
from hub.core.document import Sheet
from hub.core.kpis import Kpis
from hub.core.kpis_file import parse_kpis
from hub.core.milestones_file import parse_milestones
from hub.core.rewards_file import parse_rules
from hub.errors import NotFound
from hub.model import Json
from hub.runtime.yaml import parse_yaml
from tests.reward_world import DAY, MakeWorld, World, declared, worlds

KPIS = """
language: 1
kpis:
  close_rate:
    {text: t, unit: share, direction: up, of: deal, at: changed.stage, formula: {kind: ratio, part: "stage == 'won'"}}
  won: {text: t, unit: money, direction: up, of: deal, at: known, when: "stage == 'won'",
        formula: {kind: sum, value: amount}}
  lost: {text: t, unit: number, direction: down, of: deal, at: known, when: "stage != 'won'", formula: {kind: count}}
"""

RULES = """
language: 1
budgets: {team: {amount: 1000 EUR, per: year}}
rules: {}
milestones:
  seller:
    text: A card for who wins 1000 in a month.
    kpi: won
    by: owner
    per: month
    reach: 1000
    grace: 2d
    give: {connection: plum, product: "5671", amount: 50 EUR}
    budget: team
    active_from: 2026-12-01T00:00:00Z
"""
TOGETHER = RULES.replace("    grace: 2d\n", "    grace: 2d\n    who: together\n")
JANUARY = datetime(2027, 1, 1, tzinfo=UTC).timestamp()


def kpis() -> Kpis:
    sheet = Sheet(parse_yaml(KPIS, "kpis.yaml"))
    found = parse_kpis(sheet, declared())
    assert sheet.faults == []
    return found


def faults(text: str) -> list[tuple[str, int]]:
    sheet = Sheet(parse_yaml(text, "rewards.yaml"))
    rewards = parse_rules(sheet, declared(), connections=["plum"])
    parse_milestones(sheet, declared(), kpis(), rewards.budgets, connections=["plum"])
    return [(fault.code, int(fault.where.partition(":")[2])) for fault in sheet.faults]


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield make


def with_milestones(make: MakeWorld, text: str = RULES) -> World:
    w = make()
    sheet = Sheet(parse_yaml(text, "rewards.yaml"))
    rewards = parse_rules(sheet, declared())
    found = parse_milestones(sheet, declared(), kpis(), rewards.budgets)
    assert sheet.faults == []
    w.hub.rewards = replace(rewards, milestones=found)
    for name in ("kim", "lee"):
        w.take("crm", "users", {"id": name, "email": f"{name}@example.com"})
    return w


def deal(w: World, id: str, owner: str, amount: int = 600, stage: str = "won") -> None:
    record: dict[str, Json] = {"id": id, "stage": stage, "amount": str(amount), "owner": owner}
    w.take("crm", "deals", record)


def later(w: World, at: float) -> dict[str, int]:
    w.clock.advance(at - w.clock.now())
    return dict(settle_milestones(w.hub))


def test_who_reaches_it_is_rewarded_once_when_the_grace_is_over(world: MakeWorld) -> None:
    w = with_milestones(world)
    for number, (owner, amount) in enumerate((("kim", 600), ("kim", 400), ("lee", 999))):
        deal(w, f"d{number}", owner, amount)
    assert later(w, JANUARY + DAY) == {}
    assert later(w, JANUARY + 2 * DAY) == {"grants": 1}
    (grant,) = w.grants()
    assert (grant.rule, grant.recipient["email"], grant.amount) == ("seller", "kim@example.com", "50")
    assert w.money() == (5000, 0)
    for days in (2.5, 3, 20):
        assert later(w, JANUARY + days * DAY) == {}
    assert list_milestones(w.hub)[0]["decided_until"] == "2027-01-01"


def test_late_data_counts_within_the_grace_and_never_after_it(world: MakeWorld) -> None:
    w = with_milestones(world)
    deal(w, "d1", "kim", 999)
    w.clock.advance(JANUARY + DAY - w.clock.now())
    deal(w, "d1", "kim", 1000)
    assert later(w, JANUARY + 2 * DAY) == {"grants": 1}
    deal(w, "d2", "lee", 5000)  # of January
    assert later(w, JANUARY + 3 * DAY) == {}
    assert len(w.grants()) == 1


def test_whenever_somebody_looks_the_grace_decides(world: MakeWorld) -> None:
    w = with_milestones(world)
    deal(w, "d1", "kim", 1000)
    w.clock.advance(JANUARY + 20 * DAY - w.clock.now())
    deal(w, "d1", "kim", 10)  # after the grace: too late to take it away
    assert later(w, JANUARY + 21 * DAY) == {"grants": 1}


def test_each_period_is_decided_by_itself(world: MakeWorld) -> None:
    w = with_milestones(world)
    deal(w, "d1", "kim", 1000)
    w.clock.advance(JANUARY + 10 * DAY - w.clock.now())
    deal(w, "d2", "kim", 1000)
    assert later(w, JANUARY + 40 * DAY) == {"grants": 2}
    assert [grant.recipient["email"] for grant in w.grants()] == ["kim@example.com"] * 2


def test_what_began_before_it_was_switched_on_never_pays(world: MakeWorld) -> None:
    w = with_milestones(world, RULES.replace("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"))
    deal(w, "d1", "kim", 1000)
    assert later(w, JANUARY + 10 * DAY) == {}


def test_a_team_reaches_it_together(world: MakeWorld) -> None:
    w = with_milestones(world, TOGETHER)
    deal(w, "d1", "kim", 600)
    deal(w, "d2", "lee", 400)
    assert later(w, JANUARY + 2 * DAY) == {"grants": 2}
    assert sorted(grant.recipient["email"] for grant in w.grants()) == ["kim@example.com", "lee@example.com"]


@pytest.mark.parametrize(("reach", "given"), [("1000", []), ("600", ["kim@example.com"])])
def test_only_members_count_and_only_they_are_given_anything(world: MakeWorld, reach: str, given: list[str]) -> None:
    text = TOGETHER.replace("who: together\n", 'who: together\n    members: ["Kim@example.com"]\n')
    w = with_milestones(world, text.replace("reach: 1000", f"reach: {reach}"))
    deal(w, "d1", "kim", 600)
    deal(w, "d2", "lee", 400)
    later(w, JANUARY + 2 * DAY)
    assert [grant.recipient["email"] for grant in w.grants()] == given


def test_below_so_many_records_it_says_nothing(world: MakeWorld) -> None:
    w = with_milestones(world, RULES.replace("    reach: 1000", "    reach: 1000\n    least: 2"))
    deal(w, "d1", "kim", 5000)
    deal(w, "d2", "lee", 500)
    deal(w, "d3", "lee", 500)
    assert later(w, JANUARY + 2 * DAY) == {"grants": 1}
    assert w.grants()[0].recipient["email"] == "lee@example.com"


def test_of_a_figure_that_should_fall_it_is_enough_to_be_below(world: MakeWorld) -> None:
    w = with_milestones(world, RULES.replace("kpi: won", "kpi: lost").replace("reach: 1000", "reach: 1"))
    deal(w, "d1", "kim", stage="new")
    deal(w, "d2", "lee", stage="new")
    deal(w, "d3", "lee", stage="new")
    assert later(w, JANUARY + 2 * DAY) == {"grants": 1}
    assert w.grants()[0].recipient["email"] == "kim@example.com"


def test_a_share_is_told_by_its_formula(world: MakeWorld) -> None:
    w = with_milestones(world, RULES.replace("kpi: won", "kpi: close_rate").replace("reach: 1000", "reach: 0.5"))
    for number, stage in enumerate(("new", "won", "new")):
        deal(w, f"d{number}", "kim", stage="new")
        w.clock.advance(60)
        deal(w, f"d{number}", "kim", stage="won" if stage == "won" else "new")
    deal(w, "e1", "lee", stage="new")
    w.clock.advance(60)
    deal(w, "e1", "lee", stage="won")
    assert later(w, JANUARY + 2 * DAY) == {"grants": 1}
    assert w.grants()[0].recipient["email"] == "lee@example.com"


def test_over_the_budget_is_refused_and_kept(world: MakeWorld) -> None:
    w = with_milestones(world, RULES.replace("1000 EUR", "60 EUR"))
    deal(w, "d1", "kim", 1000)
    deal(w, "d2", "lee", 1000)
    assert later(w, JANUARY + 2 * DAY) == {"grants": 1, "grants_refused": 1}
    assert sorted(w.grant_states()) == ["refused", "reserved"]


def test_two_names_of_one_are_one(world: MakeWorld) -> None:
    w = with_milestones(world)
    deal(w, "d1", "kim", 1000)
    deal(w, "d2", "lee", 1000)
    kim, lee = w.entity("owner", 0).id, w.entity("owner", 1).id
    merge(w.hub, f"owner:{kim}", f"owner:{lee}", by="pat")
    assert later(w, JANUARY + 2 * DAY) == {"grants": 1}


def test_decided_again_after_its_mark_was_lost_it_gives_nothing_twice(world: MakeWorld) -> None:
    w = with_milestones(world)
    deal(w, "d1", "kim", 1000)
    later(w, JANUARY + 2 * DAY)
    with w.store.transaction() as tx:
        tx.set_setting("rewards.milestone.seller", None)
    assert later(w, JANUARY + 3 * DAY) == {"grants_already": 1}
    assert len(w.grants()) == 1


def test_it_can_be_tried_before_it_is_switched_on(world: MakeWorld) -> None:
    w = with_milestones(world, RULES.replace("2026-12-01T", "2027-12-01T"))
    deal(w, "d1", "kim", 1000)
    assert later(w, JANUARY + 10 * DAY) == {}
    assert try_milestone(w.hub, "seller", "2026-12-24") == [
        {"person": "kim@example.com", "period": "2026-12", "value": "1000", "of": 1}
    ]
    assert try_milestone(w.hub, "seller", "2026-11-24") == []
    with pytest.raises(NotFound):
        try_milestone(w.hub, "cellar", "2026-11-24")
    assert w.grants() == []


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("kpi: won", "kpi: wonn", "RWD-009", 8),
        ("by: owner", "by: ownr", "RWD-002", 9),
        ("reach: 1000", "reach: much", "RWD-009", 11),
        ("per: month", "per: moon", "CFG-012", 10),
        ("grace: 2d", "grace: soon", "RWD-007", 12),
        ("budget: team", "budget: teem", "RWD-006", 14),
        ("connection: plum", "connection: plom", "RWD-003", 13),
        ("rules: {}", "rules: {seller: {}}", "RWD-009", 6),
    ],
)
def test_a_fault_has_its_place(old: str, new: str, code: str, line: int) -> None:
    assert old in RULES
    assert (code, line) in faults(RULES.replace(old, new, 1))


def test_a_good_file_has_no_fault() -> None:
    assert faults(RULES) == []
