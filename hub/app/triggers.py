"""Firings, kept in the transaction of the change that caused them.

The story of a page: rewards have told which events are new; those, and what changed, are held against the rules; for
each rule that answers, the person concerned is locked, the ledger asked what fired before, and a firing is kept under a
key that is unique for ever. It commits with the page or not at all. Nothing is done yet: that follows from the ledger
(hub.app.firings), after whatever crash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from zoneinfo import ZoneInfo

from hub.app.rewards import Setup, Work, is_news, mark_loaded
from hub.app.scene import Scene
from hub.core.triggers import (
    CHANGE,
    CROSSING,
    EVENT,
    Cause,
    FiringState,
    TriggerRule,
    Triggers,
    answers_change,
    decide,
    firing_key,
)
from hub.model import EventRow, Firing, Json

TIME_ZONE = "timezone"  # field of a person


def trigger_hook(triggers: Triggers) -> Callable[[Work], None]:
    """What follows in a page's transaction after its events and grants."""
    on_event = [rule for rule in triggers.rules.values() if rule.cause == EVENT]
    on_change = [rule for rule in triggers.rules.values() if rule.cause in (CHANGE, CROSSING)]

    def follow(work: Work) -> None:
        """Counts firings, firings_refused, firings_held."""
        causes = [*_of_events(work, on_event), *_of_changes(work, on_change)]
        if not causes:
            return
        _load(work, causes)
        work.scene.store_new()
        for rule, cause in causes:
            state = fire(work.scene, triggers, rule, cause)
            if state is not None:
                names = {FiringState.REFUSED: "firings_refused", FiringState.HELD: "firings_held"}
                work.counts[names.get(state, "firings")] += 1

    return follow


def computed_hook(setup: Setup, triggers: Triggers) -> Callable[..., Mapping[str, int]]:
    """What `Hub.on_computed` is to be: called with a scene in which a day has computed people anew, not saved yet."""
    follow = trigger_hook(triggers)

    def on_computed(scene: Scene, *, news: bool) -> Mapping[str, int]:
        work = Work(setup=setup, scene=scene, first_load=False)
        if news:
            follow(work)
        else:
            mark_loaded(scene, scene.history)
        return +work.counts

    return on_computed


def cause_of_event(event: EventRow) -> Cause:
    return Cause(
        key=event.key, entity_id=event.entity_id, at=event.at, noticed_at=event.noticed_at or event.at,
        event_id=event.id,
    )  # fmt: skip


def cause_of_change(entity_id: int, name: str, version: int, at: float) -> Cause:
    """A change is known by the version that it made."""
    return Cause(key=f"change:{name}:{entity_id}:{version}", entity_id=entity_id, at=at, noticed_at=at)


def _of_events(work: Work, rules: Sequence[TriggerRule]) -> list[tuple[TriggerRule, Cause]]:
    names = {rule.event for rule in rules}
    keys = [event.key for event in work.fresh if event.name in names and not event.silent]
    if not keys:
        return []
    stored = sorted(work.scene.tx.events_by_keys(keys).values(), key=lambda event: event.id or 0)
    return [(rule, cause_of_event(event)) for event in stored for rule in rules if rule.event == event.name]


def _of_changes(work: Work, rules: Sequence[TriggerRule]) -> list[tuple[TriggerRule, Cause]]:
    """What an entity was made with is no change; neither is what a first load brings."""
    scene, found = work.scene, []
    for root in sorted(scene.history) if rules and not work.first_load else ():
        kind, changed = scene.entities[root].type, scene.changed[root]
        for rule in rules:
            if rule.of == kind and is_news(work, root, rule.field) and answers_change(rule, *changed[rule.field]):
                found.append((rule, cause_of_change(root, rule.field, scene.version, scene.now)))
    return found


def _load(work: Work, causes: Iterable[tuple[TriggerRule, Cause]]) -> None:
    """Everybody concerned, locked at once in the order of their ids."""
    asked: set[int] = set()
    for rule, cause in causes:
        asked |= concerned(rule, work.scene.values(work.scene.root_of[cause.entity_id]))
    work.load(asked)


def concerned(rule: TriggerRule, values: Mapping[str, Json]) -> set[int]:
    """The entities that a rule looks at through these values."""
    names = (rule.who, *(rule.when.parents if rule.when else ()))
    return {values[name] for name in names if isinstance(values.get(name), int)}


def fire(scene: Scene, triggers: Triggers, rule: TriggerRule, cause: Cause) -> FiringState | None:
    """Hold a cause against its rule; keeps what becomes of it. None: it does not fire, or did so already."""
    if cause.at < rule.active_from:
        return None
    tx, root = scene.tx, scene.root_of[cause.entity_id]
    values = scene.values(root)
    parents = {
        name: scene.values(scene.root_of[values[name]])
        for name in (rule.when.parents if rule.when else ())
        if values.get(name) in scene.root_of
    }
    if rule.when is not None and not rule.when(values, parents):
        return None
    key = firing_key(scene.hub.instance, rule.name, cause)
    if tx.known_firings([key]):
        return None
    subject = scene.root_of.get(values.get(rule.who, -1)) if rule.who else root
    people = [each for each, of in scene.root_of.items() if of == subject] if subject is not None else []
    topic = _topic(scene, rule, cause, people) if rule.repeated is not None else ""
    if topic is None:
        return None
    if rule.in_all is not None:  # its row is locked until the commit: of two pages the second sees the first's firing
        tx.set_setting(f"trigger.{rule.name}", {"at": cause.noticed_at})

    def counted(since: float, one: bool) -> int:
        return tx.count_firings(rule.name, since, people if one else None)

    person = scene.values(subject) if subject is not None else {}
    decision = decide(
        rule, cause, subject=subject, counted=counted, zone=triggers.zone,
        person_zone=person_zone_of(rule, person, triggers.zone),
    )  # fmt: skip
    firing = Firing(
        id=tx.reserve_ids("firing", 1)[0], key=key, rule=rule.name, rule_version=triggers.version,
        action=rule.do.action, subject_id=subject, entity_id=root, cause=cause.key, topic=topic,
        state=decision.state, reason=decision.reason, at=cause.at, created_at=cause.noticed_at,
        not_before=decision.not_before,
    )  # fmt: skip
    return decision.state if tx.add_firing(firing) else None


def _topic(scene: Scene, rule: TriggerRule, cause: Cause, people: Sequence[int]) -> str | None:
    """What was the same each time; None if it did not happen often enough, or fired for that already."""
    repeated, tx = rule.repeated, scene.tx
    if repeated is None:
        return ""
    since = cause.at - repeated.within_s
    told = tx.events(subject_ids=people, name=rule.event, since=since)
    told = [event for event in told if was_there(event, cause, since)]
    topic = ""
    if repeated.same:
        value = scene.values(scene.root_of[cause.entity_id]).get(repeated.same)
        if value is None:
            return None
        known = _values_of(scene, {event.entity_id for event in told})
        told = [event for event in told if known[event.entity_id].get(repeated.same) == value]
        topic = str(value)
    if len(told) < repeated.count:
        return None
    again = tx.count_firings(rule.name, cause.noticed_at - repeated.within_s, people, topic)
    return None if again else topic


def _values_of(scene: Scene, entity_ids: Iterable[int]) -> dict[int, Mapping[str, Json]]:
    """What stands for entities, whoever speaks for them now; with what this transaction changes of those it holds."""
    roots = scene.tx.roots(entity_ids)
    rows = scene.tx.entities({root for root in roots.values() if root not in scene.entities})
    return {each: scene.values(root) if root in scene.entities else rows[root].values for each, root in roots.items()}


def was_there(event: EventRow, cause: Cause, since: float) -> bool:
    """Whether an event counted when a cause was noticed: known by then, within its span, and standing."""
    known = (event.id or 0) <= (cause.event_id or 0) and not event.silent
    stood = event.withdrawn_at is None or event.withdrawn_at > cause.noticed_at
    return known and stood and since < event.at <= cause.at


def person_zone_of(rule: TriggerRule, values: Mapping[str, Json], zone: tzinfo) -> tzinfo:
    """The zone of a rule's quiet hours: the person's own if it is asked for and known, else the hub's."""
    name = values.get(TIME_ZONE)
    if rule.quiet_hours is None or not rule.quiet_hours.of_person or not isinstance(name, str) or not name:
        return zone
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return zone
