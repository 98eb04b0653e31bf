"""A rule held against what happened: what it would have given in the last days, before it is switched on.

What the hub learned is gone through in the order in which it learned it; each event is judged by the values of that
moment, with the steps of hub.app.rewards: as if this rule were alone, every budget full at the beginning of its period,
and everything ordered as soon as it may be. What a first load brought never pays; it can be tried as if it had been
noticed when it happened. Nothing is granted and nothing is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hub.app.context import Hub
from hub.app.drafts import drafted
from hub.app.listings import Dict, iso
from hub.app.past import begin_of_trial
from hub.app.past_events import PastEvents, events_named, moment_of
from hub.app.past_values import Moment, Past
from hub.app.reward_providers import can_cancel
from hub.app.rewards import LOADED
from hub.app.titles import cards
from hub.app.transact import commit
from hub.core.conditions import Condition
from hub.core.rewards import (
    HELD_OUT,
    NO_ADDRESS,
    NO_COUNTRY,
    NOBODY,
    Refusal,
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
from hub.core.uplift import is_left_out
from hub.errors import NotFound
from hub.model import EventRow, Json
from hub.runtime.registry import REWARDS_FILE
from hub.store import Tx

DAY_S = 86_400.0
REMEMBERED_S = 3660 * DAY_S  # so far back values are taken from the history
EVENTS_MOST = 100_000
SHOWN = 50
PAYS, CONDITION, TWICE, TAKEN_BACK = "pays", "condition", "once", "taken back"  # outcomes beside refusals
NO_LINE = (CONDITION, TWICE, TAKEN_BACK)  # of these the ledger says nothing
PAYING, NAMED, BACK = range(3)  # in one transaction in this order


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """Something at which a rule is asked."""

    kind: int  # PAYING: an event; NAMED: it found its receiver; BACK: what takes its reward back
    event: EventRow
    moment: Moment
    at: float  # when the hub learned of it


@dataclass(slots=True, kw_only=True)
class Given:
    """One grant that would have been made."""

    key: str
    event: EventRow
    receiver: int
    at: float
    label: str  # budget and period
    outcome: str = PAYS


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one event."""

    event: EventRow
    receiver: int | None
    outcome: str


@dataclass(slots=True, kw_only=True)
class Trial:
    """What was found so far."""

    rule: Rule
    rewards: Rewards
    instance: str
    code_key: str  # what decides who is left out
    reverses: Collection[Condition]  # of the events that take it back
    cancels: bool  # its provider takes orders back
    past: Past
    told: PastEvents
    merges: Collection[int]  # transactions that only merged or parted
    given: dict[str, Given] = field(default_factory=dict)  # by key
    of_event: dict[int | None, Given] = field(default_factory=dict)
    spent: Counter[str] = field(default_factory=Counter)  # budget and period -> minor units
    outcomes: dict[int | None, Outcome] = field(default_factory=dict)  # event -> the last word on it

    def judge(self, it: Occasion) -> None:
        """The steps of hub.app.rewards, over the past."""
        if it.kind == BACK:
            self._take_back(it)
            return
        receiver, outcome = self._settled(it)
        former = self.outcomes.get(it.event.id)
        kept = former is not None and former.outcome not in NO_LINE  # a refusal stands until it pays
        if it.kind == PAYING or outcome == PAYS or not (kept or outcome in NO_LINE):
            self.outcomes[it.event.id] = Outcome(event=it.event, receiver=receiver, outcome=outcome)

    def _settled(self, it: Occasion) -> tuple[int | None, str]:
        rule, past = self.rule, self.past
        past.load([it.event.entity_id])
        values = past.values(it.event.entity_id, it.moment)
        names = [name for name in (rule.who, *(rule.when.parents if rule.when else ())) if name]
        past.load(values[name] for name in names if isinstance(values.get(name), int))
        if any(condition(values) for condition in self.reverses):
            return None, TAKEN_BACK
        parents = {name: past.values(values[name], it.moment) for name in names if values.get(name) in past.rows}
        if rule.when is not None and not rule.when(values, parents):
            return None, CONDITION
        named = values.get(rule.who, -1) if rule.who else it.event.entity_id
        if named not in past.rows:
            return None, NOBODY.code
        receiver = past.root(named, it.moment)
        return receiver, self._owed(it, receiver, past.members(receiver, it.moment))

    def _owed(self, it: Occasion, receiver: int, people: Collection[int]) -> str:
        rule, zone = self.rule, self.rewards.zone
        event = replace(it.event, at=self.told.at(it.event, it.moment))
        keys = [grant_key(self.instance, rule, each, event, zone) for each in people]
        if event.id in self.of_event or any(key in self.given for key in keys):
            return TWICE
        values = self.past.values(receiver, it.moment)
        refusal = self._refusal(values, people, it.at)
        if refusal is not None:
            return refusal.code
        budget = self.rewards.budgets[rule.budget]
        label = budget_label(budget, it.at, zone)
        if self.spent[label] + rule.give.amount.minor > budget.amount.minor:
            return over_budget(budget).code
        self.spent[label] += rule.give.amount.minor
        key = grant_key(self.instance, rule, receiver, event, zone)
        made = Given(key=key, event=it.event, receiver=receiver, at=it.at, label=label)
        self.given[key] = self.of_event[event.id] = made
        return PAYS

    def _refusal(self, values: Mapping[str, Json], people: Collection[int], at: float) -> Refusal | None:
        rule, limit = self.rule, self.rule.per_person
        if is_left_out(self.code_key, rule.name, people, rule.hold_out):
            return HELD_OUT
        if limit is not None:
            since = period_start(limit.per, at, self.rewards.zone)
            had = sum(
                each.receiver in people and each.at >= since and each.outcome == PAYS for each in self.given.values()
            )
            if had >= limit.count:
                return over_limit(limit)
        if rule.give.needs_address and "email" not in recipient_of(values):
            return NO_ADDRESS
        return None if rule.give.product_for(values.get("country")) else NO_COUNTRY

    def _take_back(self, it: Occasion) -> None:
        """What was not ordered by then is free again; what was ordered stays, unless its provider takes it back."""
        people = self.past.members(self.past.root(it.event.entity_id, it.moment), it.moment)
        for made in self.given.values():
            open_ = self.cancels or it.at < made.at + self.rule.wait_s
            if made.event.entity_id in people and made.outcome == PAYS and open_:
                made.outcome = self.outcomes[made.event.id].outcome = TAKEN_BACK
                self.spent[made.label] -= self.rule.give.amount.minor


def try_rule(
    hub: Hub, name: str, *, days: int = 0, since: float | None = None, draft: bool = False, loaded: bool = False
) -> Dict:  # fmt: skip
    """What a rule would have given.

    Args:
        days: back from now; or `since`: from that moment on.
        draft: the rule as it stands in the draft of rewards.yaml.
        loaded: events of a first load, too, as if they had been noticed when they happened.

    Returns:
        {"rule", "since", "days", "draft", "loaded", "events", "silent": how many of them are of a first load,
         "outcomes": {outcome or code: n}, "pays", "people", "minor", "currency", "approvals": how many a person would
         have to let go, "periods": [{budget, period, minor, cap_minor}], "rows": the newest that paid or were refused,
         "whole"}

    Raises:
        NotFound: no such rule. NeedsReview: out of range. ConfigFault: the draft cannot be read.
    """
    now = hub.clock.now()
    begin, rewards = begin_of_trial(now, days=days, since=since), _rewards(hub, draft=draft)
    rule = rewards.rules.get(name) if rewards is not None else None
    if rewards is None or rule is None:
        raise NotFound(f"there is no rule {name[:80]}", where=REWARDS_FILE)
    trial, silent, whole = predict(hub, rewards, rule, since=begin, until=now, loaded=loaded)
    told = Counter(each.outcome for each in trial.outcomes.values())
    rows = [each for each in trial.outcomes.values() if each.outcome != CONDITION]
    shown = rows[-SHOWN:][::-1]
    asked = {one for each in shown for one in (each.event.entity_id, each.receiver) if one is not None}
    with hub.store.reading() as tx:
        named = cards(tx, asked)
    pays = told[PAYS]
    return {
        "rule": name, "since": iso(begin), "days": round((now - begin) / DAY_S), "draft": draft, "loaded": loaded,
        "events": len(trial.outcomes) + (0 if loaded else silent), "silent": silent,
        "outcomes": dict(told.most_common()), "pays": pays,
        "people": len({each.receiver for each in rows if each.outcome == PAYS}),
        "minor": pays * rule.give.amount.minor, "currency": rule.give.amount.currency,
        "approvals": pays if needs_approval(rule) else 0, "periods": _periods(trial), "whole": whole,
        "rows": [
            {
                "at": iso(each.event.at), "entity": named.get(each.event.entity_id), "outcome": each.outcome,
                "silent": each.event.silent, "receiver": named.get(each.receiver or 0),
            }
            for each in shown
        ],
    }  # fmt: skip


def predict(
    hub: Hub, rewards: Rewards, rule: Rule, *, since: float, until: float, loaded: bool = False
) -> tuple[Trial, int, bool]:  # fmt: skip
    """What a rule would have given for what the hub learned in [since, until].

    Returns:
        The trial with every grant and every outcome; how many events are of a first load; whether all was looked at.
    """
    code_key = code_key_of(hub) if rule.hold_out else ""
    with hub.store.reading() as tx:
        trial = _trial(hub, tx, rewards, rule, since, code_key)
        occasions = sorted(
            (each for each in _occasions(trial, loaded=loaded) if since <= each.at <= until),
            key=lambda each: (each.at, each.moment.version or 0, each.kind, each.event.id),
        )
        for each in occasions[:EVENTS_MOST]:
            trial.judge(each)
    paying = [event for event in trial.told.events if event.name == rule.on]
    silent = sum(event.silent and since <= _learned(event) <= until for event in paying)
    return trial, silent, len(occasions) <= EVENTS_MOST


def _trial(hub: Hub, tx: Tx, rewards: Rewards, rule: Rule, since: float, code_key: str) -> Trial:
    past = Past(tx=tx, since=since - REMEMBERED_S)
    grouped = triggers_of(hub.canonical, currency=rewards.currency)
    told = {each.name: each for group in grouped.values() for each in group}
    events = events_named(tx, [rule.on, *rule.reverse_on])
    return Trial(
        rule=rule, rewards=rewards, instance=hub.instance, code_key=code_key,
        reverses=[told[each].condition for each in rule.reverse_on if each in told],
        cancels=can_cancel(hub, rule.give.connection), past=past, merges=past.merge_versions,
        told=PastEvents(past=past, triggers=told, events=events),
    )  # fmt: skip


def _learned(event: EventRow) -> float:
    """When the hub learned of it; of a first load: when it happened."""
    return event.at if event.silent else event.noticed_at or event.at


def _occasions(trial: Trial, *, loaded: bool) -> Iterator[Occasion]:
    rule = trial.rule
    for event in trial.told.events:
        if event.name != rule.on:
            moment = Moment(version=event.version) if event.version is not None else Moment(at=event.at)
            yield Occasion(kind=BACK, event=event, moment=moment, at=event.noticed_at or event.at)
        elif loaded or not event.silent:
            yield Occasion(kind=PAYING, event=event, moment=moment_of(event), at=_learned(event))
            if not event.silent and rule.who:
                yield from _named_later(trial, event, loaded=loaded)


def _named_later(trial: Trial, event: EventRow, *, loaded: bool) -> Iterator[Occasion]:
    """Whoever it is for became known after the event, and by no first load or merge: it is held against the rule again.

    A history of which nobody kept what a first load brought (before triggers were) is taken to have none of it.
    """
    past, name, merges = trial.past, trial.rule.who, trial.merges
    for each in past.kin_of(event.entity_id):
        for row in past.changes.get(each, ()):
            change, moment = row.changes.get(name), Moment(version=row.version)
            if change is None or change.get("old") is not None or change.get("new") is None:
                continue
            if row.version <= (event.version or 0) or row.version in merges or (LOADED in change and not loaded):
                continue
            if past.root(event.entity_id, moment) == each and trial.told.stands(event, moment):
                yield Occasion(kind=NAMED, event=event, moment=moment, at=row.at)


def code_key_of(hub: Hub) -> str:
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


def _periods(trial: Trial) -> list[Dict]:
    cap = trial.rewards.budgets[trial.rule.budget].amount.minor
    return [
        {"budget": name, "period": period, "minor": minor, "cap_minor": cap}
        for label, minor in sorted(trial.spent.items())
        for name, period in [split_label(label)]
    ]
