"""A rule held against what happened: what it would have given in the last days, before it is switched on.

Stored events are gone through in the order in which they happened, also those of the first load, which never pay; each
is judged by the values of today, as if this rule were alone and every budget full at the beginning of its period.
Nothing is granted and nothing is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hub.app.context import Hub
from hub.app.drafts import drafted
from hub.app.listings import Dict, iso
from hub.app.titles import cards
from hub.app.transact import commit
from hub.core.conditions import Condition
from hub.core.rewards import (
    HELD_OUT,
    NO_ADDRESS,
    NO_COUNTRY,
    NOBODY,
    Rewards,
    Rule,
    budget_label,
    grant_key,
    needs_approval,
    over_budget,
    over_limit,
    period_start,
    recipient_of,
    split_label,
    triggers_of,
)
from hub.core.uplift import is_held_out
from hub.errors import NeedsReview, NotFound
from hub.model import EntityRow, EventRow, Json
from hub.runtime.registry import REWARDS_FILE
from hub.store import Tx

DAY_S = 86_400.0
DAYS_MOST = 3660
EVENTS_MOST = 100_000
PAGE = 1000
SHOWN = 50
PAYS, CONDITION, TWICE, TAKEN_BACK = "pays", "condition", "once", "taken back"  # outcomes beside refusals


@dataclass(slots=True, kw_only=True)
class Trial:
    """What was found so far."""

    rule: Rule
    rewards: Rewards
    instance: str
    code_key: str  # what decides who is left out
    reverses: Sequence[Condition]  # of the events that take it back
    outcomes: Counter[str] = field(default_factory=Counter)
    given: set[str] = field(default_factory=set)  # keys of grants
    by_person: Counter[tuple[int, float]] = field(default_factory=Counter)  # (person, period) -> grants
    spent: Counter[str] = field(default_factory=Counter)  # budget and period -> minor units
    rows: list[Dict] = field(default_factory=list)

    def settle(self, event: EventRow, receiver: int | None, values: Mapping[str, Json], people: Sequence[int]) -> str:
        """One event whose condition holds, with the steps of hub.app.rewards: pays, or the code of a refusal."""
        rule, zone = self.rule, self.rewards.zone
        recipient, country = recipient_of(values), values.get("country")
        if receiver is None:
            return NOBODY.code
        key = grant_key(self.instance, rule, receiver, event, zone)
        if key in self.given:
            return TWICE
        if rule.hold_out and is_held_out(self.code_key, rule.name, min(people), rule.hold_out):
            return HELD_OUT.code
        limit = rule.per_person
        person = (receiver, period_start(limit.per, event.at, zone)) if limit else (receiver, 0.0)
        if limit and self.by_person[person] >= limit.count:
            return over_limit(limit).code
        if rule.give.needs_address and "email" not in recipient:
            return NO_ADDRESS.code
        if not rule.give.product_for(country):
            return NO_COUNTRY.code
        budget = self.rewards.budgets[rule.budget]
        label = budget_label(budget, event.at, zone)
        if self.spent[label] + rule.give.amount.minor > budget.amount.minor:
            return over_budget(budget).code
        self.given.add(key)
        self.by_person[person] += 1
        self.spent[label] += rule.give.amount.minor
        return PAYS


def try_rule(hub: Hub, name: str, *, days: int, draft: bool = False) -> Dict:
    """What a rule would have given.

    Args:
        days: back from now.
        draft: the rule as it stands in the draft of rewards.yaml.

    Returns:
        {"rule", "days", "events", "silent": how many of them are of a first load, "outcomes": {outcome or code: n},
         "pays", "minor", "currency", "approvals": how many a person would have to let go, "periods": [{budget, period,
         minor, cap_minor}], "rows": the newest that paid or were refused, "whole"}

    Raises:
        NotFound: no such rule. NeedsReview: days out of range. ConfigFault: the draft cannot be read.
    """
    if not 1 <= days <= DAYS_MOST:
        raise NeedsReview("that is no number of days", where="days", fix=f"1 to {DAYS_MOST}")
    rewards = _rewards(hub, draft=draft)
    rule = rewards.rules.get(name) if rewards is not None else None
    if rewards is None or rule is None:
        raise NotFound(f"there is no rule {name[:80]}", where=REWARDS_FILE)
    conditions = {
        trigger.name: trigger.condition
        for triggers in triggers_of(hub.canonical, currency=rewards.currency).values()
        for trigger in triggers
    }
    trial = Trial(
        rule=rule, rewards=rewards, instance=hub.instance, code_key=_code_key(hub) if rule.hold_out else "",
        reverses=[conditions[each] for each in rule.reverse_on if each in conditions],
    )  # fmt: skip
    events, whole = _events(hub, rule.on, since=hub.clock.now() - days * DAY_S)
    for start in range(0, len(events), PAGE):
        _judge(hub, trial, events[start : start + PAGE])
    with hub.store.reading() as tx:
        shown = trial.rows[-SHOWN:][::-1]
        named = cards(tx, {each for row in shown for each in (row["entity"], row["receiver"]) if each is not None})
    pays = trial.outcomes[PAYS]
    return {
        "rule": name, "days": days, "draft": draft, "events": len(events),
        "silent": sum(event.silent for event in events), "outcomes": dict(trial.outcomes.most_common()), "pays": pays,
        "minor": pays * rule.give.amount.minor, "currency": rule.give.amount.currency,
        "approvals": pays if needs_approval(rule) else 0, "periods": _periods(trial), "whole": whole,
        "rows": [
            {**row, "entity": named.get(row["entity"]), "receiver": named.get(row["receiver"] or 0)} for row in shown
        ],
    }  # fmt: skip


def _code_key(hub: Hub) -> str:
    """Made if there is none yet, so that the rule leaves out the same people when it is switched on."""
    return commit(hub, lambda tx: tx.code_key())


def rules_in_draft(hub: Hub) -> list[str]:
    """Names of the rules that the draft of rewards.yaml has; none where there is no draft that can be read."""
    with hub.store.reading() as tx:
        row = tx.draft(REWARDS_FILE)
    rewards = _rewards(hub, draft=True) if row is not None else None
    return list(rewards.rules) if rewards is not None else []


def _rewards(hub: Hub, *, draft: bool) -> Rewards | None:
    if hub.projects is None:
        return None
    if not draft:
        in_force: Rewards | None = hub.projects.rewards
        return in_force
    with hub.store.reading() as tx:
        row = tx.draft(REWARDS_FILE)
    if row is None:
        return None
    with drafted(hub, REWARDS_FILE, row.content) as (project, _):
        found: Rewards | None = project.rewards if project is not None else None
        return found


def _events(hub: Hub, name: str, *, since: float) -> tuple[list[EventRow], bool]:
    """Events of that name since then, in the order in which they happened; a bounded number of them."""
    found: list[EventRow] = []
    after_id = 0
    while True:
        with hub.store.reading() as tx:
            rows = tx.events_page(after_id=after_id, limit=PAGE, name=name)
        found += [row for row in rows if row.at >= since]
        if len(rows) < PAGE or len(found) >= EVENTS_MOST:
            return sorted(found, key=lambda event: event.at), len(rows) < PAGE
        after_id = rows[-1].id or 0


def _judge(hub: Hub, trial: Trial, events: Sequence[EventRow]) -> None:
    rule = trial.rule
    with hub.store.reading() as tx:
        own = _rows(tx, {event.entity_id for event in events})
        parents = {name for name in (rule.who, *(rule.when.parents if rule.when else ())) if name}
        asked = {row.values[name] for row in own.values() for name in parents if isinstance(row.values.get(name), int)}
        others = _rows(tx, asked)
        names = tx.alias_closure({row.id for row in (*own.values(), *others.values())}) if rule.hold_out else {}
    for event in events:
        row = own.get(event.entity_id)
        values: Mapping[str, Json] = row.values if row is not None else {}
        seen = {name: others[values[name]].values for name in parents if values.get(name) in others}
        receiver = others.get(values.get(rule.who, -1)) if rule.who else row
        if row is None or (rule.when is not None and not rule.when(values, seen)):
            outcome = CONDITION
        elif any(condition(values) for condition in trial.reverses):
            outcome = TAKEN_BACK
        else:
            told = receiver.values if receiver is not None else {}
            own_names = names.get(receiver.id, [receiver.id]) if receiver is not None else []
            outcome = trial.settle(event, receiver.id if receiver is not None else None, told, own_names)
        trial.outcomes[outcome] += 1
        if outcome != CONDITION:
            trial.rows.append(
                {
                    "at": iso(event.at), "entity": event.entity_id, "outcome": outcome, "silent": event.silent,
                    "receiver": receiver.id if receiver is not None else None,
                }
            )  # fmt: skip


def _rows(tx: Tx, ids: Iterable[int]) -> dict[int, EntityRow]:
    """Entity -> the row of the one that speaks for it after all merges."""
    roots = tx.roots(ids)
    rows = tx.entities(set(roots.values()))
    return {each: rows[root] for each, root in roots.items() if root in rows}


def _periods(trial: Trial) -> list[Dict]:
    cap = trial.rewards.budgets[trial.rule.budget].amount.minor
    return [
        {"budget": name, "period": period, "minor": minor, "cap_minor": cap}
        for label, minor in sorted(trial.spent.items())
        for name, period in [split_label(label)]
    ]
