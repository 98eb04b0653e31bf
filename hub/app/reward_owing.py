"""What is owed becomes a grant: money set aside, a line in the ledger, in somebody's transaction; or a refusal, kept.

Whoever owes something (an event under a rule, a milestone that somebody reached) comes here with a key that says what
can be owed once. The budget's row is locked by taking from it, so bursts and sums count exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hub.app.context import Hub
from hub.app.reward_goods import not_offered
from hub.app.reward_providers import make_code_key
from hub.core.rewards import (
    Amount,
    Entry,
    Give,
    GrantState,
    Refusal,
    Rewards,
    Rule,
    add_to_burst,
    budget_label,
    is_burst,
    over_budget,
    reference_of,
    split_label,
)
from hub.core.triggers import TriggerRule
from hub.core.uplift import is_left_out
from hub.model import Grant, Json
from hub.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One reward that somebody is to get."""

    rule: str  # or milestone
    key: str  # what can be granted once
    refusal_key: str  # what can be refused once
    receiver: int  # entity
    recipient: Mapping[str, Json]
    event_id: int | None
    give: Give
    product: str
    budget: str
    approve_over: Amount | None
    wait_s: float
    why: str  # for the ledger


Named = Rule | TriggerRule


def rule_named(hub: Hub, name: str) -> Named | None:
    """Whoever gives under this name: both files share the ledger, and no name stands in both."""
    found = hub.rewards.rules.get(name) if hub.rewards is not None else None
    return found or hub.triggers.rules.get(name)


def leaves_out(tx: Tx, rule: Named, names: Iterable[int]) -> bool:
    """Whether the lot leaves a person out of a rule, under any of their names."""
    return bool(rule.hold_out) and is_left_out(tx.code_key(), rule.name, names, rule.hold_out)


def owe(hub: Hub, tx: Tx, rewards: Rewards, owed: Owed, now: float) -> tuple[str, Grant | None]:
    """Set the money aside and keep the grant; it waits for a person if it is large, or one of too many at once.

    Returns:
        The name to count it under (grants, grants_waiting_approval, grants_already, grants_refused or nothing), and the
        grant if there is a new one.
    """
    budget, amount = rewards.budgets[owed.budget], owed.give.amount
    label = budget_label(budget, now, rewards.zone)
    if not tx.reserve(*split_label(label), amount.minor, budget.amount.minor):
        return refuse(hub, tx, owed, over_budget(budget), now), None
    grant = grant_row(hub, tx, owed, now, key=owed.key, state=GrantState.RESERVED, budget=label)
    make_code_key(hub, tx, owed.give.connection)
    reason = _reason_to_wait(hub, tx, rewards, owed, now)
    if reason:
        grant.state, grant.detail = GrantState.WAITING_APPROVAL, reason
    if not tx.add_grant(grant):  # the lock on the receiver should have shown it
        tx.give_back(*split_label(label), amount.minor)
        return "grants_already", None
    tx.add_grant_entry(grant.id, Entry.RESERVED, grant.amount, now, owed.why)
    if reason:
        tx.add_grant_entry(grant.id, Entry.HELD, "0", now, reason)
    return "grants_waiting_approval" if reason else "grants", grant


def refuse(hub: Hub, tx: Tx, owed: Owed, refusal: Refusal, now: float) -> str:
    """Keep what is not given, and why; the name to count it under, "" if that was kept before."""
    grant = grant_row(hub, tx, owed, now, key=owed.refusal_key, state=GrantState.REFUSED, budget=owed.budget)
    grant.detail = str(refusal)
    if not tx.add_grant(grant):
        return ""
    tx.add_grant_entry(grant.id, Entry.REFUSED, "0", now, str(refusal))
    return "grants_refused"


def _reason_to_wait(hub: Hub, tx: Tx, rewards: Rewards, owed: Owed, now: float) -> str:
    """Why a person must let this grant go; empty if none must."""
    name, amount = f"rewards.burst.{owed.budget}", owed.give.amount
    burst = add_to_burst(tx.setting(name), now, amount.minor)
    tx.set_setting(name, burst)
    if owed.approve_over is not None and amount.minor > owed.approve_over.minor:
        return f"RWD-APPROVE: {amount} is over {owed.approve_over}"
    wrong = not_offered(hub, tx, owed.give.connection, owed.product, amount.text, amount.currency)
    if wrong:
        return f"RWD-CATALOGUE: {wrong}"
    bound = hub.guards.get("rewards")
    if bound is not None and is_burst(bound, burst, rewards.budgets[owed.budget].amount.minor):
        return f"RWD-BURST: {burst['count']} grants of {owed.budget} within an hour"
    return ""


def grant_row(hub: Hub, tx: Tx, owed: Owed, now: float, *, key: str, state: GrantState, budget: str) -> Grant:
    """A grant that is not kept yet."""
    return Grant(
        id=tx.reserve_ids("grant", 1)[0], key=key, rule=owed.rule, subject_id=owed.receiver, event_id=owed.event_id,
        connection=owed.give.connection, product=owed.product, amount=owed.give.amount.text,
        currency=owed.give.amount.currency, budget=budget, reference=reference_of(hub.instance, key), state=state,
        recipient=dict(owed.recipient), not_before=now + owed.wait_s, created_at=now, deliver=owed.give.deliver,
    )  # fmt: skip
