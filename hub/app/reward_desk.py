"""Rewards as people look through them: rules in plain words, budgets, grants page by page."""

from __future__ import annotations

from hub.app import listings
from hub.app.context import Hub
from hub.app.listings import Dict, grant_row, iso
from hub.app.reward_book import budgets_now, list_rewards
from hub.app.reward_providers import can_cancel
from hub.app.reward_ways import ways
from hub.app.titles import cards_of
from hub.core.rewards import Rule

PAGE = 50


def reward_case(hub: Hub, grant: int) -> Dict:
    """One grant with its ledger, whom it is for, and what else can be done with it. Raises NotFound."""
    found = listings.reward(hub, grant)
    person = cards_of(hub, [found["subject_id"]]).get(found["subject_id"])
    return {**found, "person": person, "can_cancel": can_cancel(hub, found["connection"]), "ways": ways(hub)}


def reward_rules(hub: Hub) -> list[Dict]:
    """Every rule of rewards.yaml."""
    rewards = hub.projects.rewards if hub.projects is not None else None
    if rewards is None:
        return []
    return [
        {
            "rule": rule.name, "text": rule.text, "on": rule.on, "give": rule.give.connection,
            "product": _products(rule),
            "amount": str(rule.give.amount), "once_per": rule.once_per,
            "budget": rule.budget, "active_from": iso(rule.active_from), "where": rule.where,
            "approve_over": str(rule.approve_over) if rule.approve_over is not None else "",
            "when": rule.when.expression.text if rule.when is not None else "",
        }
        for rule in rewards.rules.values()
    ]  # fmt: skip


def _products(rule: Rule) -> str:
    by_country = [f"{country} {product}" for country, product in rule.give.products.items()]
    return ", ".join([*by_country, *([rule.give.product] if rule.give.product else [])])


def reward_page(hub: Hub, *, state: str | None = None, after_id: int = 0, limit: int = PAGE) -> Dict:
    """Grants in the order in which they were made, with whom they are for, and what every budget has left."""
    rows = list_rewards(hub, state, limit=limit + 1, after_id=after_id)
    shown = rows[:limit]
    named = cards_of(hub, {row.subject_id for row in shown})
    return {
        "rows": [{**grant_row(row), "person": named.get(row.subject_id)} for row in shown],
        "next": shown[-1].id if len(rows) > limit else None,
        "budgets": budgets_now(hub),
        "currency": hub.projects.settings.hub.currency if hub.projects is not None else "EUR",
    }
