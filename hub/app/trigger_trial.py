"""A trigger held against what happened: what it would have done in the last days, before it is switched on.

Causes are gone through in the order in which the hub learned of them; each is judged by the values that were there at
that moment (the history of today's values, taken back), and by what the rule itself would have done until then, with
the very function that the running hub asks. `active_from` is left aside: that is the question. Nothing is kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hub.app.context import Hub
from hub.app.drafts import drafted
from hub.app.listings import Dict, iso
from hub.app.past import begin_of_trial
from hub.app.titles import cards
from hub.app.trigger_clock import silence_of
from hub.app.triggers import cause_of_change, cause_of_event, concerned, person_zone_of, was_there
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
from hub.errors import NotFound
from hub.model import EntityRow, EventRow, HistoryRow, Json
from hub.runtime.registry import TRIGGERS_FILE
from hub.runtime.slots import slot_after
from hub.store import Tx

DAY_S = 86_400.0
REMEMBERED_S = 3660 * DAY_S  # so far back values are taken from the history
CAUSES_MOST = 100_000
PAGE = 500
SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """One cause, and what would have become of it."""

    cause: Cause
    subject: int | None
    decision: Decision
    topic: str = ""


@dataclass(slots=True, kw_only=True)
class Past:
    """Values as they were."""

    tx: Tx
    since: float
    rows: dict[int, EntityRow] = field(default_factory=dict)  # by any name
    changes: dict[int, list[HistoryRow]] = field(default_factory=dict)  # root -> newest first

    def load(self, ids: Iterable[int]) -> None:
        """One query per table for all that are not known yet."""
        wanted = {each for each in ids if each not in self.rows}
        if not wanted:
            return
        roots = self.tx.roots(wanted)
        rows = self.tx.entities(set(roots.values()))
        self.rows |= {each: rows[root] for each, root in roots.items() if root in rows}
        fresh = set(rows) - set(self.changes)
        told: dict[int, list[HistoryRow]] = {root: [] for root in fresh}
        for row in self.tx.history(fresh, since=self.since):
            told[row.entity_id].append(row)
        self.changes |= {root: rows_[::-1] for root, rows_ in told.items()}

    def values(self, entity_id: int, later: Callable[[HistoryRow], bool]) -> dict[str, Json]:
        """The values of an entity without the changes that came later."""
        row = self.rows.get(entity_id)
        if row is None:
            return {}
        values = dict(row.values)
        for change in self.changes[row.id]:
            if not later(change):
                break
            values |= {name: each.get("old") for name, each in change.changes.items()}
        return values


@dataclass(slots=True, kw_only=True)
class Trial:
    """What was found so far."""

    rule: TriggerRule
    triggers: Triggers
    past: Past
    events: Mapping[int, Sequence[EventRow]] = field(default_factory=dict)  # root -> events of the rule's name
    fired: list[tuple[float, int | None, str]] = field(default_factory=list)  # (when, person, topic) that count

    def judge(self, cause: Cause, later: Callable[[HistoryRow], bool]) -> Predicted | None:
        """The steps of hub.app.triggers.fire, over the past."""
        rule, past = self.rule, self.past
        past.load([cause.entity_id])
        values = past.values(cause.entity_id, later)
        past.load(concerned(rule, values))
        names = [name for name in (rule.when.parents if rule.when else ()) if values.get(name) in past.rows]
        if rule.when is not None and not rule.when(values, {name: past.values(values[name], later) for name in names}):
            return None
        home = past.rows.get(values.get(rule.who, -1) if rule.who else cause.entity_id)
        subject = home.id if home is not None else None
        topic = self._topic(cause, subject, values, later)
        if topic is None:
            return None
        zone = self.triggers.zone
        person = past.values(subject, later) if subject is not None else {}
        decision = decide(
            rule, cause, subject=subject, counted=lambda since, one: self._count(since, subject if one else None),
            zone=zone, person_zone=person_zone_of(rule, person, zone),
        )  # fmt: skip
        if decision.state in COUNTED:
            self.fired.append((cause.noticed_at, subject, topic))
        return Predicted(cause=cause, subject=subject, decision=decision, topic=topic)

    def _count(self, since: float, subject: int | None, topic: str | None = None) -> int:
        return sum(
            at > since and subject in (None, whom) and topic in (None, about) for at, whom, about in self.fired
        )  # fmt: skip

    def _topic(
        self, cause: Cause, subject: int | None, values: Mapping[str, Json], later: Callable[[HistoryRow], bool]
    ) -> str | None:
        repeated = self.rule.repeated
        if repeated is None:
            return ""
        since = cause.at - repeated.within_s
        told = [event for event in self.events.get(subject or 0, ()) if was_there(event, cause, since)]
        topic = ""
        if repeated.same:
            value = values.get(repeated.same)
            if value is None:
                return None
            self.past.load(event.entity_id for event in told)
            told = [e for e in told if self.past.values(e.entity_id, later).get(repeated.same) == value]
            topic = str(value)
        again = self._count(cause.noticed_at - repeated.within_s, subject, topic)
        return topic if len(told) >= repeated.count and not again else None


def predict(
    hub: Hub, triggers: Triggers, name: str, *, since: float, until: float
) -> tuple[list[Predicted], int, bool]:  # fmt: skip
    """What a rule would have done with what the hub learned in [since, until].

    Returns:
        The predictions in order; how many causes are of a first load, which never fires; whether all was looked at.

    Raises:
        NotFound: no such rule.
    """
    rule = triggers.rules.get(name)
    if rule is None:
        raise NotFound(f"there is no trigger {name[:80]}", where=TRIGGERS_FILE, fix="hub trigger list")
    found: list[Predicted] = []
    with hub.store.reading() as tx:
        trial = Trial(rule=rule, triggers=triggers, past=Past(tx=tx, since=since - REMEMBERED_S))
        silent = 0
        whole = True
        for number, (cause, later) in enumerate(_causes(hub, tx, trial, since, until)):
            if number >= CAUSES_MOST:
                whole = False
                break
            if later is None:
                silent += 1
                continue
            predicted = trial.judge(cause, later)
            if predicted is not None:
                found.append(predicted)
    return found, silent, whole


Later = Callable[[HistoryRow], bool]


def _causes(hub: Hub, tx: Tx, trial: Trial, since: float, until: float) -> Iterator[tuple[Cause, Later | None]]:
    """Causes in the order in which they were noticed; None for one of a first load."""
    rule = trial.rule
    if rule.cause == EVENT:
        yield from _event_causes(tx, trial, since, until)
    elif rule.cause in (CHANGE, CROSSING):
        yield from _change_causes(tx, rule, since, until)
    elif rule.cause == SILENCE:
        yield from _silence_causes(tx, rule, since, until)
    else:
        yield from _slot_causes(hub, tx, rule, since, until)


def _event_causes(tx: Tx, trial: Trial, since: float, until: float) -> Iterator[tuple[Cause, Later | None]]:
    rule = trial.rule
    events = _events(tx, [rule.event])
    if rule.repeated is not None:
        subjects = {event.subject_id for event in events if event.subject_id is not None}
        roots = tx.roots(subjects)
        told: dict[int, list[EventRow]] = defaultdict(list)
        for event in events:
            if event.subject_id in roots:
                told[roots[event.subject_id]].append(event)
        trial.events = told
    for event in events:
        cause = cause_of_event(event)
        if since <= cause.noticed_at <= until:
            version = event.version
            later = _later_than(version) if version is not None else _never
            yield cause, None if event.silent else later


def _later_than(version: int) -> Later:
    return lambda row: row.version > version


def _later_in_time(at: float) -> Later:
    return lambda row: row.at > at


def _never(_: HistoryRow) -> bool:
    return False


def _events(tx: Tx, names: Iterable[str]) -> list[EventRow]:
    """All events of these names in the order in which they became known."""
    found: list[EventRow] = []
    for name in names:
        after_id = 0
        while rows := tx.events_page(after_id=after_id, limit=PAGE, name=name):
            found += rows
            after_id = rows[-1].id or 0
    return sorted(found, key=lambda event: event.id or 0)


def _change_causes(tx: Tx, rule: TriggerRule, since: float, until: float) -> Iterator[tuple[Cause, Later | None]]:
    found = []
    for ids in _entities(tx, rule.of):
        for row in tx.history(ids, field=rule.field, since=since):
            change = row.changes[rule.field]
            if row.at <= until and answers_change(rule, change.get("old"), change.get("new")):
                cause = cause_of_change(row.entity_id, rule.field, row.version, row.at)
                found.append((row.version, cause, bool(change.get("loaded"))))
    for version, cause, loaded in sorted(found, key=lambda each: (each[0], each[1].entity_id)):
        yield cause, None if loaded else _later_than(version)


def _entities(tx: Tx, kind: str) -> Iterator[list[int]]:
    after_id = 0
    while rows := tx.entities_page(kind, after_id=after_id, limit=PAGE):
        yield [row.id for row in rows]
        after_id = rows[-1].id


def _silence_causes(tx: Tx, rule: TriggerRule, since: float, until: float) -> Iterator[tuple[Cause, Later | None]]:
    told: dict[int, list[float]] = defaultdict(list)
    events = [event for event in _events(tx, rule.silent_events) if event.withdrawn_at is None]
    roots = tx.roots({event.subject_id for event in events if event.subject_id is not None})
    for event in events:
        if event.subject_id in roots:
            told[roots[event.subject_id]].append(event.at)
    found = []
    kinds = {root: row.type for root, row in tx.entities(told).items()}
    for root, moments in told.items():
        ordered = sorted(set(moments))
        for last, following in zip(ordered, [*ordered[1:], until + rule.silent_s + 1], strict=True):
            ends = last + rule.silent_s
            if kinds.get(root) == rule.of and following > ends and since <= ends <= until:
                found.append(silence_of(root, last, rule, ends))
    for cause in sorted(found, key=lambda each: (each.at, each.entity_id)):
        yield cause, _later_in_time(cause.at)


def _slot_causes(
    hub: Hub, tx: Tx, rule: TriggerRule, since: float, until: float
) -> Iterator[tuple[Cause, Later | None]]:
    moment = since
    while (slot := slot_after(rule.slots, moment, hub.triggers.zone)) is not None and slot <= until:
        moment = slot
        for ids in _entities(tx, rule.of):
            rows = tx.entities(ids)
            for each in ids:
                if rows[each].state == "live" and rows[each].created_at <= slot:
                    cause = Cause(key=f"slot:{int(slot)}:{each}", entity_id=each, at=slot, noticed_at=slot)
                    yield cause, _later_in_time(slot)


# For people


def try_trigger(hub: Hub, name: str, *, days: int = 0, since: float | None = None, draft: bool = False) -> Dict:
    """What a rule would have done.

    Args:
        days: back from now; or `since`: from that moment on.
        draft: the rule as it stands in the draft of triggers.yaml.

    Returns:
        {"rule", "since", "days", "draft", "fires", "people", "minor", "currency", "approvals", "put_off",
         "refused": {code: n}, "refused_people": {code: how many people}, "silent": causes of a first load, "whole",
         "persons": those for whom it would have fired or been refused most, "rows": the newest}

    Raises:
        NotFound: no such rule. NeedsReview: out of range. ConfigFault: the draft cannot be read.
    """
    now = hub.clock.now()
    begin, triggers = begin_of_trial(now, days=days, since=since), _triggers(hub, draft=draft)
    found, silent, whole = predict(hub, triggers, name, since=begin, until=now)
    fires = [each for each in found if each.decision.state in COUNTED]
    refusals = [(_code(each), each.subject) for each in found if each.decision.state not in COUNTED]
    states = Counter(each.decision.state for each in fires)
    total = total_of(triggers.rules[name], len(fires))
    shown, persons = found[-SHOWN:][::-1], _persons(found)
    asked = {one for each in shown for one in (each.cause.entity_id, each.subject)} | {row["id"] for row in persons}
    with hub.store.reading() as tx:
        named = cards(tx, {each for each in asked if each is not None})
    return {
        "rule": name, "since": iso(begin), "days": round((now - begin) / DAY_S), "draft": draft, "fires": len(fires),
        "people": len({each.subject for each in fires}),
        "minor": total.minor if total is not None else 0, "currency": total.currency if total is not None else "",
        "approvals": states[FiringState.HELD], "put_off": states[FiringState.WAITING],
        "refused": dict(Counter(code for code, _ in refusals).most_common()),
        "refused_people": dict(Counter(code for code, _ in set(refusals)).most_common()),
        "silent": silent, "whole": whole,
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
            if each.decision.state in COUNTED:
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
