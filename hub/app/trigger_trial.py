"""A trigger held against what happened: what it would have done in the last days, before it is switched on.

Causes are gone through in the order in which the hub learned of them; each is judged by the values that were there at
that moment (the history of today's values, taken back), and by what the rule itself would have done until then, with
the very function that the running hub asks. `active_from` is left aside: that is the question. Nothing is kept.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from hub.app.context import Hub
from hub.app.drafts import drafted
from hub.app.firings import budget_of
from hub.app.listings import Dict, iso
from hub.app.past import begin_of_trial
from hub.app.past_events import PastEvents, events_named, moment_of
from hub.app.past_values import Moment, Past
from hub.app.reward_providers import can_cancel
from hub.app.reward_trial import code_key_of
from hub.app.rewards import LOADED
from hub.app.titles import cards
from hub.app.trigger_clock import silence_of
from hub.app.triggers import cause_of_change, cause_of_event, concerned, person_zone_of
from hub.core.conditions import Condition
from hub.core.rewards import (
    HELD_OUT,
    NO_ADDRESS,
    TAKEN_BACK,
    Budget,
    Refusal,
    budget_label,
    over_budget,
    recipient_of,
    triggers_of,
)
from hub.core.triggers import (
    CHANGE,
    COUNTED,
    CROSSING,
    EVENT,
    SILENCE,
    Cause,
    Decision,
    FiringState,
    TriggerRule,
    Triggers,
    answers_change,
    decide,
    total_of,
)
from hub.core.uplift import is_left_out
from hub.errors import NotFound
from hub.model import EventRow, Json
from hub.runtime.registry import TRIGGERS_FILE
from hub.runtime.slots import slot_after
from hub.store import Tx

DAY_S = 86_400.0
REMEMBERED_S = 3660 * DAY_S  # so far back values are taken from the history
CAUSES_MOST = 100_000
PAGE = 500
SHOWN = 50


@dataclass(slots=True, kw_only=True)
class Predicted:
    """One cause, and what would have become of it."""

    cause: Cause
    subject: int | None
    decision: Decision
    topic: str = ""
    taken_back: bool = False  # its reward

    @property
    def counts(self) -> bool:
        return self.decision.state in COUNTED


@dataclass(slots=True, kw_only=True)
class Trial:
    """What was found so far."""

    rule: TriggerRule
    triggers: Triggers
    past: Past
    told: PastEvents
    budget: Budget | None  # that its rewards are paid from, full at the beginning of each period
    loaded: bool  # what a first load brought counts, too
    found: list[Predicted] = field(default_factory=list)
    of_person: dict[int, list[Predicted]] = field(default_factory=lambda: defaultdict(list))
    in_all: tuple[float, int] = (math.inf, 0)  # since then so many count; limits ask for the same again and again
    put_off: list[tuple[float, int, Predicted, Moment]] = field(
        default_factory=list
    )  # a heap: done when its time comes
    spent: Counter[str] = field(default_factory=Counter)  # budget and period -> minor units
    reverses: Sequence[Condition] = ()  # of the events that take a reward back …
    backs: deque[tuple[float, EventRow]] = field(default_factory=deque)  # … when the hub learned of each, in order
    cancels: bool = False  # its provider takes orders back
    code_key: str = ""  # what decides who is left out
    paid: dict[int, list[tuple[str, Predicted]]] = field(default_factory=lambda: defaultdict(list))  # by cause's entity

    def judge(self, cause: Cause, moment: Moment) -> None:
        """The steps of hub.app.triggers.fire, over the past."""
        rule, past = self.rule, self.past
        self.settle(cause.noticed_at, cause.event_id or 0)
        past.load([cause.entity_id])
        values = past.values(cause.entity_id, moment)
        past.load(concerned(rule, values))
        names = [name for name in (rule.when.parents if rule.when else ()) if values.get(name) in past.rows]
        if rule.when is not None and not rule.when(values, {name: past.values(values[name], moment) for name in names}):
            return
        named = values.get(rule.who, -1) if rule.who else cause.entity_id
        subject = past.root(named, moment) if named in past.rows else None
        people = past.members(subject, moment) if subject is not None else set()
        topic = self._topic(cause, people, values, moment)
        if topic is None:
            return
        zone, person = self.triggers.zone, past.values(subject, moment) if subject is not None else {}
        decision = decide(
            rule, cause, subject=subject,
            counted=lambda since, one: self._count(since, people) if one else self._count_all(since),
            zone=zone, person_zone=person_zone_of(rule, person, zone),
        )  # fmt: skip
        predicted = Predicted(cause=cause, subject=subject, decision=decision, topic=topic)
        self._keep(predicted)
        if decision.state in (FiringState.DUE, FiringState.WAITING) and rule.do.give is not None:
            at = decision.not_before
            then = moment if at == cause.noticed_at else Moment(at=at)
            heappush(self.put_off, (at, len(self.found), predicted, then))
            self.settle(cause.noticed_at, cause.event_id or 0)

    def _keep(self, predicted: Predicted) -> None:
        self.found.append(predicted)
        if predicted.subject is not None:
            self.of_person[predicted.subject].append(predicted)
        since, count = self.in_all
        self.in_all = since, count + (predicted.counts and predicted.cause.noticed_at > since)

    def settle(self, now: float, event_id: float = math.inf) -> None:
        """What is done by then: a reward to nobody's address, or beyond its budget, is refused and counts no more.

        Args:
            event_id: what is taken back at the very moment is so by events that became known before this one.
        """
        while (self.put_off and self.put_off[0][0] <= now) or self._goes_back(now, event_id):
            if self._goes_back(now, event_id) and (not self.put_off or self.backs[0][0] < self.put_off[0][0]):
                self._take_back(self.backs.popleft()[1])
                continue
            _, _, predicted, moment = heappop(self.put_off)
            refusal = self._unpaid(predicted, moment)
            if refusal is not None:
                predicted.decision = replace(
                    predicted.decision, state=FiringState.REFUSED, reason=str(refusal)
                )  # fmt: skip
                self.in_all = (math.inf, 0)

    def _goes_back(self, now: float, event_id: float) -> bool:
        return bool(self.backs) and (self.backs[0][0], self.backs[0][1].id or 0) < (now, event_id)

    def _unpaid(self, predicted: Predicted, moment: Moment) -> Refusal | None:
        """The steps of hub.app.firings when it makes the grant; the money is taken."""
        at, give, past = predicted.decision.not_before, self.rule.do.give, self.past
        cause = past.values(predicted.cause.entity_id, moment)
        if any(condition(cause) for condition in self.reverses):
            return TAKEN_BACK
        names = past.members(past.root(predicted.subject or 0, moment), moment)
        if is_left_out(self.code_key, self.rule.name, names, self.rule.hold_out):
            return HELD_OUT
        values = past.values(predicted.subject or 0, moment)
        if "email" not in recipient_of(values):
            return NO_ADDRESS
        if self.budget is None or give is None:
            return None
        label = budget_label(self.budget, at, self.triggers.zone)
        if self.spent[label] + give.amount.minor > self.budget.amount.minor:
            return over_budget(self.budget)
        self.spent[label] += give.amount.minor
        self.paid[predicted.cause.entity_id].append((label, predicted))
        return None

    def _take_back(self, event: EventRow) -> None:
        """Its provider takes the order back: the money is free again. Limits go on counting what fired."""
        moment, give = moment_of(event), self.rule.do.give
        for each in self.past.members(self.past.root(event.entity_id, moment), moment):
            for label, predicted in self.paid.pop(each, []):
                predicted.taken_back = True
                if self.cancels and give is not None:
                    self.spent[label] -= give.amount.minor

    def _count(self, since: float, people: Iterable[int], topic: str | None = None) -> int:
        """Of these people, also under names that they had not then."""
        return sum(
            each.counts and each.cause.noticed_at > since and topic in (None, each.topic)
            for one in people
            for each in self.of_person.get(one, ())
        )

    def _count_all(self, since: float) -> int:
        if self.in_all[0] != since:
            self.in_all = since, sum(each.counts and each.cause.noticed_at > since for each in self.found)
        return self.in_all[1]

    def _topic(
        self, cause: Cause, people: Collection[int], values: Mapping[str, Json], moment: Moment
    ) -> str | None:  # fmt: skip
        repeated = self.rule.repeated
        if repeated is None:
            return ""
        since, same = cause.at - repeated.within_s, repeated.same
        value = values.get(same) if same else None
        if same and value is None:
            return None
        times = sum(
            self._happened(event, cause, since, people, moment)
            and (not same or self.past.values(event.entity_id, moment).get(same) == value)
            for event in self.told.of(min(people, default=0))
        )
        topic = str(value) if same else ""
        again = self._count(cause.noticed_at - repeated.within_s, people, topic)
        return topic if times >= repeated.count and not again else None

    def _happened(
        self, event: EventRow, cause: Cause, since: float, people: Collection[int], moment: Moment
    ) -> bool:  # fmt: skip
        """Whether an event counts beside a cause: known by then, of these people, within the span, and standing."""
        known = self.loaded or (not event.silent and (event.id or 0) <= (cause.event_id or 0))
        told = self.told
        return (
            known
            and told.subject(event, moment) in people
            and since < told.at(event, moment) <= cause.at
            and told.stands(event, moment)
        )


def predict(
    hub: Hub, triggers: Triggers, name: str, *, since: float, until: float, loaded: bool = False
) -> tuple[list[Predicted], int, bool]:  # fmt: skip
    """What a rule would have done with what the hub learned in [since, until].

    Args:
        loaded: events of a first load, too, as if they had been noticed when they happened.

    Returns:
        The predictions in order; how many causes are of a first load, which never fires; whether all was looked at.

    Raises:
        NotFound: no such rule.
    """
    rule = triggers.rules.get(name)
    if rule is None:
        raise NotFound(f"there is no trigger {name[:80]}", where=TRIGGERS_FILE, fix="hub trigger list")
    code_key = code_key_of(hub) if rule.hold_out else ""
    with hub.store.reading() as tx:
        trial = _trial(hub, tx, triggers, rule, since, loaded=loaded, code_key=code_key)
        silent = 0
        whole = True
        for number, (cause, moment) in enumerate(_causes(trial, since, until, loaded=loaded)):
            if number >= CAUSES_MOST:
                whole = False
                break
            if moment is None:
                silent += 1
            else:
                trial.judge(cause, moment)
        trial.settle(math.inf)
    return trial.found, silent, whole


def _trial(
    hub: Hub, tx: Tx, triggers: Triggers, rule: TriggerRule, since: float, *, loaded: bool, code_key: str
) -> Trial:  # fmt: skip
    past = Past(tx=tx, since=since - REMEMBERED_S)
    currency = hub.rewards.currency if hub.rewards is not None else ""
    told = {each.name: each for group in triggers_of(hub.canonical, currency=currency).values() for each in group}
    names = [rule.event] if rule.event else rule.silent_events
    events = PastEvents(past=past, triggers=told, events=events_named(tx, names))
    backs = events_named(tx, rule.reverse_on)
    past.load(event.entity_id for event in backs)
    return Trial(
        rule=rule, triggers=triggers, past=past, told=events, budget=budget_of(hub, rule), loaded=loaded,
        reverses=[told[each].condition for each in rule.reverse_on if each in told], code_key=code_key,
        backs=deque(sorted(((event.noticed_at or event.at, event) for event in backs), key=lambda each: each[0])),
        cancels=rule.do.give is not None and can_cancel(hub, rule.do.give.connection),
    )  # fmt: skip


def _causes(
    trial: Trial, since: float, until: float, *, loaded: bool
) -> Iterator[tuple[Cause, Moment | None]]:  # fmt: skip
    """Causes in the order in which they were noticed; None for one of a first load."""
    cause = trial.rule.cause
    if cause == EVENT:
        yield from _event_causes(trial, since, until, loaded=loaded)
    elif cause in (CHANGE, CROSSING):
        yield from _change_causes(trial, since, until)
    elif cause == SILENCE:
        yield from _silence_causes(trial, since, until)
    else:
        yield from _slot_causes(trial, since, until)


def _event_causes(
    trial: Trial, since: float, until: float, *, loaded: bool
) -> Iterator[tuple[Cause, Moment | None]]:  # fmt: skip
    found: list[tuple[Cause, Moment | None]] = []
    for event in trial.told.events:
        moment = moment_of(event)
        cause = replace(cause_of_event(event), at=trial.told.at(event, moment))
        if event.silent:
            cause = replace(cause, noticed_at=event.at)
        if since <= cause.noticed_at <= until:
            found.append((cause, None if event.silent and not loaded else moment))
    yield from sorted(found, key=lambda each: (each[0].noticed_at, each[0].event_id))


def _change_causes(trial: Trial, since: float, until: float) -> Iterator[tuple[Cause, Moment | None]]:
    found: list[tuple[int, Cause, bool]] = []
    rule, past = trial.rule, trial.past
    joined = past.merge_versions
    for ids in _entities(trial):
        for row in past.tx.history(ids, field=rule.field, since=since):
            change = row.changes[rule.field]
            if (
                row.at > until
                or row.version in joined
                or past.root(row.entity_id, Moment(version=row.version)) != row.entity_id
            ):
                continue
            if answers_change(rule, change.get("old"), change.get("new")):
                cause = cause_of_change(row.entity_id, rule.field, row.version, row.at)
                found.append((row.version, cause, LOADED in change))
    for version, cause, loaded in sorted(found, key=lambda each: (each[0], each[1].entity_id)):
        yield cause, None if loaded else Moment(version=version)


def _entities(trial: Trial) -> Iterator[list[int]]:
    after_id = 0
    while rows := trial.past.tx.entities_page(trial.rule.of, after_id=after_id, limit=PAGE):
        yield [row.id for row in rows]
        after_id = rows[-1].id


def _silence_causes(trial: Trial, since: float, until: float) -> Iterator[tuple[Cause, Moment | None]]:
    """The end of each span in which nobody of a person's names did anything, taken to be noticed at once."""
    rule, past, told = trial.rule, trial.past, trial.told
    past.load(event.subject_id for event in told.events if event.subject_id is not None)
    found: dict[str, tuple[Cause, Moment]] = {}
    spans = [(event, at + rule.silent_s) for event in told.events for at in told.ever_at(event)]
    for event, ends in spans:
        moment = Moment(at=ends)
        last, subject = told.at(event, moment), told.subject(event, moment)
        if not since <= ends <= until or last + rule.silent_s != ends or subject is None:
            continue
        past.load([subject])
        root = past.root(subject, moment)
        row = past.rows.get(root)
        if row is not None and row.type == rule.of and _is_last(trial, event, last, root, moment):
            cause = silence_of(root, last, rule, ends)
            found[cause.key] = (cause, moment)
    yield from sorted(found.values(), key=lambda each: (each[0].at, each[0].entity_id))


def _is_last(trial: Trial, event: EventRow, last: float, root: int, moment: Moment) -> bool:
    """Whether the event was known then, stood, and was the last that any of their names did."""
    told, people, now = trial.told, trial.past.members(root, moment), moment.at or 0.0

    def known(each: EventRow) -> bool:
        return (each.noticed_at or each.at) < now and told.stands(each, moment)

    others = (each for each in told.of(root) if each is not event and told.subject(each, moment) in people)
    return known(event) and not any(known(each) and told.at(each, moment) > last for each in others)


def _slot_causes(trial: Trial, since: float, until: float) -> Iterator[tuple[Cause, Moment | None]]:
    """Every slot, taken to be noticed at once, for everybody who was there and stood for themselves."""
    moment, past = since, trial.past
    while (slot := slot_after(trial.rule.slots, moment, trial.triggers.zone)) is not None and slot <= until:
        moment, then = slot, Moment(at=slot)
        for ids in _entities(trial):
            past.load(ids)
            for each in ids:
                row = past.rows[each]
                if row.state in ("live", "alias") and row.created_at <= slot and past.root(each, then) == each:
                    yield Cause(key=f"slot:{int(slot)}:{each}", entity_id=each, at=slot, noticed_at=slot), then


# For people


def try_trigger(
    hub: Hub, name: str, *, days: int = 0, since: float | None = None, draft: bool = False, loaded: bool = False
) -> Dict:  # fmt: skip
    """What a rule would have done.

    Args:
        days: back from now; or `since`: from that moment on.
        draft: the rule as it stands in the draft of triggers.yaml.
        loaded: events of a first load, too, as if they had been noticed when they happened.

    Returns:
        {"rule", "since", "days", "draft", "loaded", "fires", "people", "minor", "currency", "approvals", "put_off",
         "refused": {code: n}, "refused_people": {code: how many people}, "silent": causes of a first load, "whole",
         "taken_back": rewards that an event of `reverse_on` takes back,
         "persons": those for whom it would have fired or been refused most, "rows": the newest}

    Raises:
        NotFound: no such rule. NeedsReview: out of range. ConfigFault: the draft cannot be read.
    """
    now = hub.clock.now()
    begin, triggers = begin_of_trial(now, days=days, since=since), _triggers(hub, draft=draft)
    found, silent, whole = predict(hub, triggers, name, since=begin, until=now, loaded=loaded)
    fires = [each for each in found if each.counts]
    refusals = [(_code(each), each.subject) for each in found if not each.counts]
    states = Counter(each.decision.state for each in fires)
    total = total_of(triggers.rules[name], len(fires))
    shown, persons = found[-SHOWN:][::-1], _persons(found)
    asked = {one for each in shown for one in (each.cause.entity_id, each.subject)} | {row["id"] for row in persons}
    with hub.store.reading() as tx:
        named = cards(tx, {each for each in asked if each is not None})
    return {
        "rule": name, "since": iso(begin), "days": round((now - begin) / DAY_S), "draft": draft, "loaded": loaded,
        "fires": len(fires),
        "people": len({each.subject for each in fires}),
        "minor": total.minor if total is not None else 0, "currency": total.currency if total is not None else "",
        "approvals": states[FiringState.HELD], "put_off": states[FiringState.WAITING],
        "refused": dict(Counter(code for code, _ in refusals).most_common()),
        "refused_people": dict(Counter(code for code, _ in set(refusals)).most_common()),
        "silent": silent, "whole": whole, "taken_back": sum(each.taken_back for each in found),
        "persons": [{"person": named.get(row.pop("id")), **row} for row in persons],
        "rows": [
            {
                "at": iso(each.cause.at), "entity": named.get(each.cause.entity_id),
                "subject": named.get(each.subject or 0), "state": str(each.decision.state),
                "reason": each.decision.reason, "topic": each.topic,
            }
            for each in shown
        ],
    }  # fmt: skip


def _code(predicted: Predicted) -> str:
    return predicted.decision.reason.partition(":")[0]


def _persons(found: Sequence[Predicted]) -> list[Dict]:
    """Who it is about, whoever was refused most first, then whoever it would have fired for most."""
    told: dict[int, Dict] = {}
    for each in found:
        if each.subject is not None:
            row = told.setdefault(each.subject, {"id": each.subject, "fires": 0, "refused": Counter()})
            if each.counts:
                row["fires"] += 1
            else:
                row["refused"][_code(each)] += 1
    ordered = sorted(told.values(), key=lambda row: (-row["refused"].total(), -row["fires"], row["id"]))
    return [{**row, "refused": dict(row["refused"].most_common())} for row in ordered[:SHOWN]]


def _triggers(hub: Hub, *, draft: bool) -> Triggers:
    """Those in force, or those of the draft."""
    if not draft:
        return hub.triggers
    with hub.store.reading() as tx:
        row = tx.draft(TRIGGERS_FILE)
    if row is None:
        raise NotFound("there is no draft of triggers.yaml", where=TRIGGERS_FILE)
    with drafted(hub, TRIGGERS_FILE, row.content) as (project, _):
        found: Triggers | None = project.triggers if project is not None else None
    return replace(found) if found is not None else Triggers()


def triggers_in_draft(hub: Hub) -> list[str]:
    """Names of the rules that the draft of triggers.yaml has; none where there is no draft that can be read."""
    try:
        return list(_triggers(hub, draft=True).rules)
    except NotFound:
        return []
