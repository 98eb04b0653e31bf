"""Triggers as people look through them: rules in plain words, and what fired."""

from __future__ import annotations

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.core.triggers import SILENCE, FiringState, TriggerRule
from hub.model import Firing

PAGE = 200


def trigger_rules(hub: Hub) -> list[Dict]:
    """Every rule of triggers.yaml, and how many firings are in which state."""
    with hub.store.reading() as tx:
        tally = tx.tally_firings()
    return [
        {
            "trigger": rule.name, "text": rule.text, "when": cause_in_words(rule), "does": rule.do.action,
            "active_from": iso(rule.active_from), "active": rule.active_from <= hub.clock.now(), "where": rule.where,
            "version": hub.triggers.version,
            **{state: tally.get((rule.name, state), 0) for state in FiringState},
        }
        for rule in hub.triggers.rules.values()
    ]  # fmt: skip


def cause_in_words(rule: TriggerRule) -> str:
    """What a rule answers."""
    if rule.event:
        times = f", {rule.repeated.count} times" if rule.repeated is not None else ""
        return f"{rule.event}{times}"
    if rule.cause == SILENCE:
        return f"none of {', '.join(rule.silent_events)} for {rule.silent_s / 86_400:g} days"
    if rule.field:
        return f"{rule.of}.{rule.field} {rule.cause}"
    return f"every {' '.join(f'{name}={value}' for name, value in rule.slots.items())} for each {rule.of}"


def firings_page(hub: Hub, *, rule: str | None = None, state: str | None = None, after_id: int = 0) -> list[Dict]:
    """What fired, in the order in which it was kept."""
    with hub.store.reading() as tx:
        return [firing_row(row) for row in tx.firings(rule, state, limit=PAGE, after_id=after_id)]


def firing_of(hub: Hub, id: int) -> Dict:
    """One firing. Raises NotFound."""
    with hub.store.reading() as tx:
        return firing_row(tx.firing(id))


def firing_row(row: Firing) -> Dict:
    return {
        "firing": row.id, "trigger": row.rule, "version": row.rule_version, "does": row.action, "state": str(row.state),
        "subject": row.subject_id, "entity": row.entity_id, "cause": row.cause, "topic": row.topic,
        "reason": row.reason, "at": iso(row.at), "noticed_at": iso(row.created_at), "not_before": iso(row.not_before),
        "attempts": row.attempts, "done_at": iso(row.done_at), "result": row.result,
    }  # fmt: skip
