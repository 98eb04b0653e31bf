"""Milestones of rewards.yaml: when a period is over, and late data had its time, who reached one is owed his reward.

The story of two workers that come at once: both compute, from what was known when the grace ended, so both find the
same people; each person is locked, and has one key for milestone and period under all his names. So the second finds
every grant made. That a period was decided is kept in the same transaction; later data changes nothing any more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

from hub.app.context import Hub
from hub.app.kpis import parse_day, read_facts, told, unit_of
from hub.app.listings import Dict, iso
from hub.app.reward_owing import Owed, owe, refuse
from hub.app.sights import segment_of
from hub.app.titles import cards
from hub.app.transact import commit
from hub.core.formats import email_key
from hub.core.kpis import Fact, Kpis, Period, period_around
from hub.core.milestones import (
    TOGETHER,
    Milestone,
    due_periods,
    milestone_key,
    milestone_refusal_key,
    reached,
    taking_part,
)
from hub.core.rewards import NO_ADDRESS, NO_COUNTRY, Rewards, recipient_of
from hub.errors import NotFound
from hub.model import EntityRow, Json
from hub.runtime.registry import REWARDS_FILE
from hub.store import Tx

DECIDED = "rewards.milestone."  # + milestone: the first day that is not decided
AT_ONCE = 24  # periods of one milestone in one round


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """Somebody who reached it."""

    segment: str  # "owner:12"
    value: str  # the figure, for the ledger


def settle_milestones(hub: Hub) -> Counter[str]:
    """Decide every period that is due. Returns grants, grants_waiting_approval, grants_refused, grants_already."""
    rewards = hub.rewards or Rewards()
    counts: Counter[str] = Counter()
    for milestone in rewards.milestones.values():
        for period in _due(hub, rewards, milestone):
            winners = _winners(hub, rewards, milestone, period)
            counts += commit(hub, partial(_give, hub, rewards, milestone, period, winners))
    return counts


def _due(hub: Hub, rewards: Rewards, milestone: Milestone) -> list[Period]:
    with hub.store.reading() as tx:
        after = tx.setting(f"{DECIDED}{milestone.name}")
    return due_periods(milestone, after=after, now=hub.clock.now(), zone=rewards.zone, most=AT_ONCE)


def _winners(hub: Hub, rewards: Rewards, milestone: Milestone, period: Period) -> list[Winner]:
    """Who reached it, by what was known when the grace ended."""
    facts = _facts(hub, rewards, milestone, as_of=milestone.closes_at(period, rewards.zone))
    members = _members(hub, milestone)
    found = reached(milestone, facts, period, zone=rewards.zone, members=members)
    if milestone.who != TOGETHER:
        return [Winner(segment=each.segment, value=told(each.value) or "") for each in found]
    if not found:
        return []
    whose = members if members is not None else taking_part(milestone, facts, period, zone=rewards.zone)
    return [Winner(segment=each, value=told(found[0].value) or "") for each in sorted(whose)]


def _facts(hub: Hub, rewards: Rewards, milestone: Milestone, *, as_of: float | None) -> list[Fact]:
    kpi = milestone.kpi
    return read_facts(hub, kpi, rewards.zone, segment=segment_of(hub.canonical, kpi, milestone.by), as_of=as_of)


def _members(hub: Hub, milestone: Milestone) -> list[str] | None:
    """Segments of those who take part, by their addresses; None: all."""
    if not milestone.members:
        return None
    kind = segment_of(hub.canonical, milestone.kpi, milestone.by).to
    with hub.store.reading() as tx:
        found = tx.find_by_keys(kind, [("email", email_key(each)) for each in milestone.members], keep=False)
        ids = {each for several in found.values() for each in several}
        roots = set(tx.roots(ids).values())
    return sorted(f"{kind}:{each}" for each in roots)


# Giving


def _give(
    hub: Hub, rewards: Rewards, milestone: Milestone, period: Period, winners: list[Winner], tx: Tx
) -> Counter[str]:
    """One period, decided: everybody concerned is locked, in the order of their ids."""
    now, counts = hub.clock.now(), Counter[str]()
    values = {int(each.segment.partition(":")[2]): each.value for each in winners}
    roots = tx.roots(values)
    names = tx.alias_closure(set(roots.values()))
    rows = tx.entities({each for several in names.values() for each in several}, lock=True)
    for person in sorted(set(roots.values())):
        value = next(value for each, value in values.items() if roots.get(each) == person)
        key = milestone_key(hub.instance, milestone.name, person, period.label)
        known = [milestone_key(hub.instance, milestone.name, each, period.label) for each in names[person]]
        if any(tx.grants(key=each, limit=1) for each in known):
            counts["grants_already"] += 1
            continue
        owed = _owed(hub, milestone, period, rows[person], key=key, value=value)
        count = _one(hub, tx, rewards, owed, now)
        counts[count] += bool(count)
    tx.set_setting(f"{DECIDED}{milestone.name}", period.after.isoformat())
    return +counts


def _one(hub: Hub, tx: Tx, rewards: Rewards, owed: Owed, now: float) -> str:
    if owed.give.needs_address and "email" not in owed.recipient:
        return refuse(hub, tx, owed, NO_ADDRESS, now)
    if not owed.product:
        return refuse(hub, tx, owed, NO_COUNTRY, now)
    return owe(hub, tx, rewards, owed, now)[0]


def _owed(hub: Hub, milestone: Milestone, period: Period, person: EntityRow, *, key: str, value: str) -> Owed:
    return Owed(
        rule=milestone.name, key=key,
        refusal_key=milestone_refusal_key(hub.instance, milestone.name, person.id, period.label),
        receiver=person.id, recipient=recipient_of(person.values), event_id=None, give=milestone.give,
        product=milestone.give.product_for(person.values.get("country")), budget=milestone.budget,
        approve_over=milestone.approve_over, wait_s=milestone.wait_s,
        why=f"{milestone.kpi.name} was {value} in {period.label}, {milestone.name} asks for {_asks(milestone)}",
    )  # fmt: skip


def _asks(milestone: Milestone) -> str:
    return f"at {'most' if milestone.at_most else 'least'} {told(milestone.reach)}"


# As people see them


def list_milestones(hub: Hub) -> list[Dict]:
    """Every milestone, until when it was decided, and how the period that runs stands so far."""
    rewards = hub.rewards
    if rewards is None:
        return []
    kpis: Kpis = Kpis(zone=rewards.zone, currency=rewards.currency)
    rows = []
    for milestone in rewards.milestones.values():
        with hub.store.reading() as tx:
            after: Json = tx.setting(f"{DECIDED}{milestone.name}")
        rows.append(
            {
                "milestone": milestone.name, "text": milestone.text, "kpi": milestone.kpi.name, "who": milestone.who,
                "by": milestone.by, "per": milestone.per, "asks": _asks(milestone),
                "unit": unit_of(kpis, milestone.kpi), "amount": str(milestone.give.amount),
                "decided_until": after or "", "active_from": iso(milestone.active_from), "where": milestone.where,
            }
        )  # fmt: skip
    return rows


def try_milestone(hub: Hub, name: str, day: str) -> list[Dict]:
    """Who would reach a milestone in the period around a day, by what is known now; nothing is granted.

    Raises:
        NotFound: there is no such milestone. NeedsReview KPI-PERIOD: that is no day.
    """
    rewards = hub.rewards or Rewards()
    if name not in rewards.milestones:
        raise NotFound(f"there is no milestone {name[:80]}", where=REWARDS_FILE, fix="hub rewards milestones")
    milestone = rewards.milestones[name]
    period = period_around(milestone.per, parse_day(day, "DAY"))
    found = reached(
        milestone, _facts(hub, rewards, milestone, as_of=None), period, zone=rewards.zone,
        members=_members(hub, milestone),
    )  # fmt: skip
    numbers = {each.segment: int(each.segment.partition(":")[2]) for each in found if each.segment}
    with hub.store.reading() as tx:
        named = cards(tx, set(numbers.values()))
    return [
        {
            "person": named[numbers[each.segment]]["title"] if each.segment else "all together",
            "period": period.label, "value": told(each.value), "of": each.of,
        }
        for each in found
    ]  # fmt: skip
