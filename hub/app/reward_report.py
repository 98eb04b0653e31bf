"""Rewards as a whole: what was given under each rule and used, what budgets have left, what it changed, what came back.

A message about a reward is none. Points and each currency are told by themselves: nothing is converted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from hub.app.context import Hub
from hub.app.listings import Dict
from hub.app.reward_owing import Named, rule_named
from hub.app.reward_trial import code_key_of
from hub.app.reward_uses import telling, uses_of
from hub.core.expressions import entity_values
from hub.core.kpis import midnight, period_around
from hub.core.rewards import (
    GIVEN,
    HELD_OUT,
    HOLDING,
    GrantState,
    Measure,
    Rewards,
    exponent_of,
    period_of,
)
from hub.core.triggers import REWARD
from hub.core.uplift import Arm, forecast, is_held_out, return_of, uplift
from hub.core.values import plain_decimal
from hub.model import Grant
from hub.store import Tx

PAGE = 500
COLUMNS = [
    "rule", "issued", "spent", "currency", "pending", "held", "refused", "rejected", "taken_back", "redeemed",
    "of_known", "people", "left_out", "uplift", "low", "high", "return",
]  # fmt: skip
BUDGET_COLUMNS = ["budget", "period", "spent", "pending", "cap", "forecast", "currency", "runs_out"]


@dataclass(slots=True)
class Tally:
    """What was found of one rule so far."""

    currency: str = ""
    states: Counter[str] = field(default_factory=Counter)
    spent: Decimal = Decimal(0)
    pending: Decimal = Decimal(0)
    redeemed: int = 0
    known: int = 0  # of which a shop tells whether they were used
    given: dict[int, float] = field(default_factory=dict)  # person -> when he was first owed one
    left_out: dict[int, float] = field(default_factory=dict)  # person -> when he was first left out


def reward_report(hub: Hub, *, since: float = 0.0) -> Dict:
    """{"rules": one row each (COLUMNS, and what it is measured by), "budgets": one row per period that was used}.

    Args:
        since: epoch seconds; grants made before are left out.
    """
    tallies = _tallies(hub, since)
    for name in telling(hub):
        for page in _grants(hub, since, connection=name):
            _count_uses(hub, tallies, page)
    for name, tally in tallies.items():
        _split(hub, name, tally, since)
    rewards = hub.rewards or Rewards()
    given_by = [rule.name for rule in hub.triggers.rules.values() if rule.do.action == REWARD]
    names = dict.fromkeys((*rewards.rules, *rewards.milestones, *given_by, *sorted(tallies)))
    return {
        "rules": [_row(hub, rewards, name, tallies.get(name, Tally())) for name in names],
        "budgets": _budgets(hub, rewards),
    }


def _tallies(hub: Hub, since: float) -> dict[str, Tally]:
    """Sums by rule, as the store adds them up."""
    found: dict[str, Tally] = defaultdict(Tally)
    with hub.store.reading() as tx:
        rows = tx.tally_grants(since)
    for row in rows:
        tally = found[row.rule]
        tally.currency = row.currency
        tally.states[row.state] += row.count
        if row.state in GIVEN:
            tally.spent += Decimal(row.amount) * row.count
        if row.state in HOLDING:
            tally.pending += Decimal(row.amount) * row.count
    return dict(found)


def _grants(
    hub: Hub, since: float, *, connection: str | None = None, rule: str | None = None, state: str | None = None
) -> Iterator[list[Grant]]:
    after_id = 0
    while True:
        with hub.store.reading() as tx:
            page = tx.grants(state, connection, rule=rule, limit=PAGE, after_id=after_id)
        yield [grant for grant in page if grant.created_at >= since and grant.parent_id is None]
        if len(page) < PAGE:
            return
        after_id = page[-1].id


def _count_uses(hub: Hub, tallies: Mapping[str, Tally], page: Sequence[Grant]) -> None:
    with hub.store.reading() as tx:
        uses = uses_of(hub, tx, (grant for grant in page if grant.state in GIVEN))
    for grant in page:
        if grant.id in uses:
            tallies[grant.rule].known += 1
            tallies[grant.rule].redeemed += uses[grant.id] > 0


def _split(hub: Hub, name: str, tally: Tally, since: float) -> None:
    """Who was owed something and who was left out by lot, of a rule that leaves somebody out."""
    refused = _grants(hub, since, rule=name, state=GrantState.REFUSED) if tally.states[GrantState.REFUSED] else ()
    if not any(grant.detail.startswith(HELD_OUT.code) for page in refused for grant in page):
        return
    for page in _grants(hub, since, rule=name):
        with hub.store.reading() as tx:
            roots = tx.roots({grant.subject_id for grant in page})
        for grant in page:
            person = roots.get(grant.subject_id, grant.subject_id)
            if grant.state != GrantState.REFUSED:
                tally.given.setdefault(person, grant.created_at)
            elif grant.detail.startswith(HELD_OUT.code):
                tally.left_out.setdefault(person, grant.created_at)


def _row(hub: Hub, rewards: Rewards, name: str, tally: Tally) -> Dict:
    states, rule = tally.states, rule_named(hub, name)
    given, left_out, mixed = _arms(hub, rule, tally)
    found = uplift(given, left_out)
    back = return_of(found, given, tally.spent) if rule is not None and rule.measure.value is not None else None
    return {
        "rule": name, "issued": sum(states[each] for each in GIVEN), "spent": plain_decimal(tally.spent),
        "currency": tally.currency, "pending": plain_decimal(tally.pending),
        "held": states[GrantState.WAITING_APPROVAL] + states[GrantState.NEEDS_PERSON],
        "refused": states[GrantState.REFUSED], "rejected": states[GrantState.REJECTED],
        "taken_back": states[GrantState.REVERSED], "redeemed": tally.redeemed if tally.known else None,
        "of_known": tally.known, "people": given.people, "left_out": left_out.people,
        "uplift": _told(found.share if found else None), "low": _told(found.low if found else None),
        "high": _told(found.high if found else None),
        "return": _told(back), "given_did": _told(given.share if given.people else None),
        "left_out_did": _told(left_out.share if left_out.people else None),
        "value": _told(found.value if found else None), "measured_by": _words(rule), "mixed": mixed,
    }  # fmt: skip


def _told(number: Decimal | None) -> str | None:
    return None if number is None else plain_decimal(number)


def _words(rule: Named | None) -> str:
    if rule is None:
        return ""
    days = plain_decimal(Decimal(repr(rule.measure.within_s)) / 86_400)
    return f"{rule.measure.on} within {days} days"


# What it changed


def _arms(hub: Hub, rule: Named | None, tally: Tally) -> tuple[Arm, Arm, int]:
    """Both groups, of those whose time is over; and how many belong to both, by merges, and so are in none."""
    if rule is None or not tally.left_out:
        return Arm(), Arm(), 0
    mixed = (tally.given.keys() & tally.left_out.keys()) | _of_both(hub, rule, {*tally.given, *tally.left_out})
    over = hub.clock.now() - rule.measure.within_s
    arms = []
    for people in (tally.given, tally.left_out):
        ready = {each: at for each, at in people.items() if each not in mixed and at <= over}
        arms.append(_arm(hub, rule.measure, ready))
    return arms[0], arms[1], len(mixed)


def _of_both(hub: Hub, rule: Named, people: Iterable[int]) -> set[int]:
    """People of whose names some are drawn and some are not: a merge put them where they stand, not the lot alone."""
    found: set[int] = set()
    wanted = sorted(people)
    for start in range(0, len(wanted), PAGE):
        with hub.store.reading() as tx:
            names = tx.alias_closure(wanted[start : start + PAGE])
        joined = {root: several for root, several in names.items() if len(several) > 1}
        key = code_key_of(hub) if joined else ""
        for root, several in joined.items():
            if len({is_held_out(key, rule.name, each, rule.hold_out) for each in several}) > 1:
                found.add(root)
    return found


def _arm(hub: Hub, measure: Measure, people: Mapping[int, float]) -> Arm:
    arm, wanted = Arm(people=len(people)), sorted(people)
    for start in range(0, len(wanted), PAGE):
        with hub.store.reading() as tx:
            _add(hub, tx, measure, arm, {each: people[each] for each in wanted[start : start + PAGE]})
    return arm


def _add(hub: Hub, tx: Tx, measure: Measure, arm: Arm, people: Mapping[int, float]) -> None:
    """What these did within the time after they were chosen, under any name; what chose them does not count."""
    names = {name: root for root, several in tx.alias_closure(people).items() for name in several}
    events = [each for each in tx.events(subject_ids=names, name=measure.on) if each.subject_id in names]
    did: set[int] = set()
    entities = []
    for event in events:
        person = names[event.subject_id or 0]
        if not event.silent and people[person] < event.at <= people[person] + measure.within_s:
            did.add(person)
            arm.times += 1
            entities.append(event.entity_id)
    arm.did += len(did)
    if measure.value is not None:
        arm.value += _worth(hub, tx, measure, entities)


def _worth(hub: Hub, tx: Tx, measure: Measure, ids: Iterable[int]) -> Decimal:
    """What these are worth now, after refunds; what is in another currency adds nothing."""
    kind = hub.canonical.entities[measure.on.partition(".")[0]]
    currency = hub.rewards.currency if hub.rewards is not None else "EUR"
    total = Decimal(0)
    wanted = list(ids)
    roots = tx.roots(wanted)
    rows = tx.entities(set(roots.values()))
    for each in wanted:
        row = rows.get(roots.get(each, each))
        value = entity_values(kind, row.values, currency=currency).get(measure.value or "") if row is not None else None
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            total += Decimal(value)
    return total


# What is left


def _budgets(hub: Hub, rewards: Rewards) -> list[Dict]:
    """Spending against the cap; of the period that runs, where it ends at this pace."""
    now = hub.clock.now()
    with hub.store.reading() as tx:
        rows = tx.budgets()
    found = []
    for row in rows:
        budget = rewards.budgets.get(row.budget)
        currency = budget.amount.currency if budget is not None else rewards.currency
        places = exponent_of(currency)
        spent, pending, cap = (
            Decimal(minor).scaleb(-places) for minor in (row.spent_minor, row.reserved_minor, row.cap_minor)
        )
        runs = budget is not None and period_of(budget.per, now, rewards.zone) == row.period and budget.per != "ever"
        ahead = forecast(spent + pending, _elapsed(budget.per, now, rewards)) if budget is not None and runs else None
        found.append(
            {
                "budget": row.budget, "period": row.period, "spent": plain_decimal(spent),
                "pending": plain_decimal(pending), "cap": plain_decimal(cap), "forecast": _told(ahead),
                "currency": currency, "runs_out": ahead is not None and ahead > cap,
            }
        )  # fmt: skip
    return found


def _elapsed(per: str, now: float, rewards: Rewards) -> Decimal:
    """Share of the period that is over."""
    period = period_around(per, datetime.fromtimestamp(now, rewards.zone).date())
    begins, ends = midnight(period.first, rewards.zone), midnight(period.after, rewards.zone)
    return Decimal(repr(now - begins)) / Decimal(repr(ends - begins))
