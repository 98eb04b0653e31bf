"""Triggers as people look through them: rules in plain words, and what fired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.titles import cards
from hub.core.rewards import PerPerson
from hub.core.triggers import FIELD, NOTICE, REWARD, SILENCE, TASK, FiringState, TriggerRule
from hub.errors import NotFound
from hub.model import Firing
from hub.runtime.registry import TRIGGERS_FILE

PAGE = 200
SHOWN = 50
HELD = str(FiringState.HELD)
STATES = tuple(str(state) for state in FiringState)
SPANS = ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def trigger_rules(hub: Hub) -> list[Dict]:
    """Every rule of triggers.yaml, and how many firings are in which state."""
    now = hub.clock.now()
    with hub.store.reading() as tx:
        tally = tx.tally_firings()
    return [
        {
            **rule_row(rule, now), "version": hub.triggers.version,
            **{state: tally.get((rule.name, state), 0) for state in FiringState},
        }
        for rule in hub.triggers.rules.values()
    ]  # fmt: skip


def trigger_case(hub: Hub, name: str) -> Dict:
    """One rule in force, or one that is gone and fired once; what it did last, newest first.

    Raises NotFound.
    """
    found = next((each for each in trigger_rules(hub) if each["trigger"] == name), None)
    with hub.store.reading() as tx:
        fired = tx.newest_firings(name, SHOWN)
        named = cards(tx, _ids(fired))
    if found is None and not fired:
        raise NotFound(f"there is no trigger {name[:80]}", where=TRIGGERS_FILE, fix="hub trigger list")
    return {"trigger": name, "rule": found, "rows": [_with_names(row, named) for row in fired]}


def rule_row(rule: TriggerRule, now: float) -> Dict:
    """A rule in plain words."""
    return {
        "trigger": rule.name, "text": rule.text, "when": cause_in_words(rule), "does": rule.do.action,
        "active_from": iso(rule.active_from), "active": rule.active_from <= now, "where": rule.where,
        "words": [{"what": what, "words": words} for what, words in _words(rule) if words],
    }  # fmt: skip


def cause_in_words(rule: TriggerRule) -> str:
    """What a rule answers."""
    if rule.event:
        return f"{rule.event}{_times(rule)}"
    if rule.cause == SILENCE:
        return f"none of {', '.join(rule.silent_events)} for {span_in_words(rule.silent_s)}"
    if rule.field:
        return f"{rule.of}.{rule.field} {_step(rule)}"
    return f"every {' '.join(f'{name}={value}' for name, value in rule.slots.items())} for each {rule.of}"


def _times(rule: TriggerRule) -> str:
    often = rule.repeated
    if often is None:
        return ""
    same = f", with the same {often.same}" if often.same else ""
    return f", {often.count} times within {span_in_words(often.within_s)}{same}"


def _step(rule: TriggerRule) -> str:
    if rule.mark is not None:
        return f"comes to {rule.mark.over} or more" if rule.mark.over is not None else f"falls below {rule.mark.under}"
    sides = [(word, values) for word, values in (("from", rule.before), ("to", rule.after)) if values]
    return " ".join(["changes", *(f"{word} {' or '.join(str(each) for each in values)}" for word, values in sides)])


def _words(rule: TriggerRule) -> list[tuple[str, str]]:
    """The rule as a list of what it says; nothing where it says nothing."""
    limits = [(rule.per_person, "to one person"), (rule.in_all, "to everybody together")]
    quiet = rule.quiet_hours
    return [
        ("when", cause_in_words(rule)),
        ("only if", rule.when.expression.text if rule.when is not None else ""),
        ("for", rule.who or f"the {rule.of}"),
        ("does", _doing(rule)),
        ("then leaves them alone for", span_in_words(rule.cool_down_s) if rule.cool_down_s else ""),
        ("at most", ", ".join(_limit(each, whom) for each, whom in limits if each is not None)),
        (
            "not between",
            f"{quiet.begins:%H:%M} and {quiet.ends:%H:%M} by the {'person' if quiet.of_person else 'hub'}’s clock"
            if quiet is not None
            else "",
        ),
        ("approval", "a person lets each of them go" if rule.approve else ""),
        ("from", iso(rule.active_from) or ""),
    ]


def _limit(limit: PerPerson, whom: str) -> str:
    return f"{limit.count} {whom}, ever" if limit.per == "ever" else f"{limit.count} {whom} per {limit.per}"


def _doing(rule: TriggerRule) -> str:
    do = rule.do
    if do.action == REWARD and do.give is not None:
        return f"gives {do.give.amount}, product {do.give.product} of {do.give.connection}, from {do.budget}"
    if do.action == NOTICE:
        return f"tells the team: {do.text}" if do.give is None else f"sends {do.give.product} by {do.give.connection}"
    if do.action == FIELD:
        return f"sets {', '.join(f'{name} to {value}' for name, value in do.values.items())}"
    if do.action == TASK:
        due = f", due in {span_in_words(do.due_s)}" if do.due_s else ""
        return f"makes a task for {do.owner or 'the owner'}: {do.values.get('subject', '')}{due}"
    return f"posts to {do.url}"


def span_in_words(seconds: float) -> str:
    """172800 -> 2 days."""
    size, unit = next((each for each in SPANS if seconds >= each[0] and seconds % each[0] == 0), (1.0, "second"))
    number = seconds / size
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def firings_page(hub: Hub, *, rule: str | None = None, state: str | None = None, after_id: int = 0) -> list[Dict]:
    """What fired, in the order in which it was kept."""
    with hub.store.reading() as tx:
        return [firing_row(row) for row in tx.firings(rule, state, limit=PAGE, after_id=after_id)]


def firings_named(hub: Hub, *, rule: str | None = None, state: str | None = None, after_id: int = 0) -> Dict:
    """A page of them with the names of whom they are for, and where the next one begins."""
    with hub.store.reading() as tx:
        rows = tx.firings(rule, state, limit=SHOWN + 1, after_id=after_id)
        shown = rows[:SHOWN]
        named = cards(tx, _ids(shown))
    more = shown[-1].id if len(rows) > SHOWN else None
    return {"rows": [_with_names(row, named) for row in shown], "next": more}


def firing_of(hub: Hub, id: int) -> Dict:
    """One firing. Raises NotFound."""
    with hub.store.reading() as tx:
        return firing_row(tx.firing(id))


def firing_case(hub: Hub, id: int) -> Dict:
    """One firing with the names of whom it is for, and what its rule says now. Raises NotFound."""
    with hub.store.reading() as tx:
        row = tx.firing(id)
        named = cards(tx, _ids([row]))
    rule = hub.triggers.rules.get(row.rule)
    return {**_with_names(row, named), "rule": rule_row(rule, hub.clock.now()) if rule is not None else None}


def _with_names(row: Firing, named: Mapping[int, Dict]) -> Dict:
    made = named.get(_made(row) or 0)
    return {
        **firing_row(row), "person": named.get(row.subject_id or 0), "record": named.get(row.entity_id), "made": made
    }  # fmt: skip


def _ids(rows: Sequence[Firing]) -> set[int]:
    """Entities that are named with firings."""
    return {each for row in rows for each in (row.subject_id, row.entity_id, _made(row)) if each is not None}


def _made(row: Firing) -> int | None:
    """The entity that came of it, a task for one."""
    kind, _, number = row.result.partition(" ")
    return int(number) if kind == "entity" and number.isdigit() else None


def firing_row(row: Firing) -> Dict:
    return {
        "firing": row.id, "trigger": row.rule, "version": row.rule_version, "does": row.action, "state": str(row.state),
        "subject": row.subject_id, "entity": row.entity_id, "cause": row.cause, "topic": row.topic,
        "reason": row.reason, "at": iso(row.at), "noticed_at": iso(row.created_at), "not_before": iso(row.not_before),
        "attempts": row.attempts, "done_at": iso(row.done_at), "result": row.result,
    }  # fmt: skip
