"""Rewards as people see them, and what people decide about them: let one go, decline one, settle a doubtful one.

A decision is a line in the grant's ledger and one in the audit log; the rest is `hub.app.reward_moves`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hub.app.context import Hub
from hub.app.reward_messages import withdraw_message
from hub.app.reward_moves import locked, move
from hub.app.reward_providers import can_cancel
from hub.app.transact import commit
from hub.core.rewards import Entry, GrantState, recipient_of
from hub.errors import NeedsReview
from hub.model import Grant, Json
from hub.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRow:
    """One grant in a listing."""

    id: int
    state: str  # hub.core.rewards.GrantState
    rule: str
    subject_id: int  # entity: contact or owner
    recipient: str  # e-mail address, as it was when granted
    amount: str  # decimal text
    currency: str
    product: str
    connection: str
    budget: str  # with its period
    order_id: str | None
    reference: str  # the order's number at the provider
    created_at: float
    not_before: float
    detail: str  # why it is where it is; begins with a code where a person is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardLine:
    """One line of a grant's ledger."""

    kind: str  # hub.core.rewards.Entry
    amount: str  # decimal text, signed: what it moves
    at: float
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardStory:
    """One grant, whole: where it comes from, and everything that became of it."""

    row: RewardRow
    event: str  # "order.paid"
    event_entity: int | None
    event_at: float | None
    event_source: str  # connection that brought it
    event_values: Mapping[str, Json]  # what its condition looked at
    subject: Mapping[str, Json]  # name and addresses as they are now
    attempts: int
    lines: Sequence[RewardLine]


def list_rewards(
    hub: Hub, state: str | None = None, limit: int = 100, *, rule: str | None = None, after_id: int = 0
) -> list[RewardRow]:
    """Grants in the order in which they were made, refused ones too; None asks for any state."""
    with hub.store.reading() as tx:
        return [_row(grant) for grant in tx.grants(state, rule=rule, limit=limit, after_id=after_id)]


def show_reward(hub: Hub, grant_id: int) -> RewardStory:
    """Everything about one grant. Raises NotFound."""
    with hub.store.reading() as tx:
        grant = tx.grant(grant_id)
        root = tx.roots([grant.subject_id]).get(grant.subject_id, grant.subject_id)
        subject = tx.entities([root]).get(root)
        event = next(iter(tx.events_page(after_id=grant.event_id - 1, limit=1)), None) if grant.event_id else None
        lines = [
            RewardLine(kind=entry.kind, amount=entry.amount, at=entry.at, detail=entry.detail)
            for entry in tx.entries(grant_id)
        ]
    return RewardStory(
        row=_row(grant), event=event.name if event else "", event_entity=event.entity_id if event else None,
        event_at=event.at if event else None, event_source=event.source if event else "",
        event_values=event.values if event else {}, subject=recipient_of(subject.values) if subject else {},
        attempts=grant.attempts, lines=lines,
    )  # fmt: skip


def budgets_now(hub: Hub) -> list[dict[str, Json]]:
    """Every budget and period used so far, in minor units."""
    with hub.store.reading() as tx:
        return [
            {
                "budget": row.budget, "period": row.period, "cap_minor": row.cap_minor,
                "reserved_minor": row.reserved_minor, "spent_minor": row.spent_minor,
            }
            for row in tx.budgets()
        ]  # fmt: skip


def approve(hub: Hub, grant_id: int, by: str) -> RewardRow:
    """Let a waiting grant go. Raises NotFound, NeedsReview (it does not wait for approval)."""

    def let_go(tx: Tx, grant: Grant, at: float) -> None:
        _expect(grant, GrantState.WAITING_APPROVAL)
        move(tx, grant, GrantState.RESERVED, Entry.APPROVED, at=at, detail=f"by {by}")

    return _decide(hub, grant_id, by, "approve", let_go)


def decline(hub: Hub, grant_id: int, by: str, *, note: str = "") -> RewardRow:
    """Say no to a waiting grant, or that a doubtful one was certainly never ordered: its money is free again.

    Raises NotFound, NeedsReview (nothing is to be decided).
    """

    def refuse(tx: Tx, grant: Grant, at: float) -> None:
        _expect(grant, GrantState.WAITING_APPROVAL, GrantState.NEEDS_PERSON)
        move(tx, grant, GrantState.REJECTED, Entry.DECLINED, at=at, detail=f"by {by}" + (f": {note}" if note else ""))

    return _decide(hub, grant_id, by, "decline", refuse)


def confirm(hub: Hub, grant_id: int, by: str, *, order_id: str) -> RewardRow:
    """Say that a doubtful grant was ordered, under this number. Raises NotFound, NeedsReview."""

    def accept(tx: Tx, grant: Grant, at: float) -> None:
        _expect(grant, GrantState.NEEDS_PERSON)
        grant.order_id = order_id
        move(tx, grant, GrantState.ISSUED, Entry.CONFIRMED, at=at, detail=f"order {order_id}, by {by}")

    return _decide(hub, grant_id, by, "confirm", accept)


def cancel(hub: Hub, grant_id: int, by: str) -> RewardRow:
    """Ask the provider to take an order back; the next run does. Raises NotFound, NeedsReview (it cannot be)."""

    def take_back(tx: Tx, grant: Grant, at: float) -> None:
        _expect(grant, GrantState.ISSUED, GrantState.UNDELIVERED)
        if not can_cancel(hub, grant.connection):
            raise NeedsReview(
                f"what was ordered at {grant.connection} cannot be taken back from here", code="RWD-STATE",
                where=f"grant {grant.id}", fix="take it back at the provider",
            )  # fmt: skip
        grant.not_before = at
        move(tx, grant, GrantState.CANCELLING, Entry.CANCELLING, at=at, detail=f"order {grant.order_id}, by {by}")
        withdraw_message(hub, tx, grant, at)

    return _decide(hub, grant_id, by, "cancel", take_back)


def _decide(hub: Hub, grant_id: int, by: str, action: str, work: Callable[[Tx, Grant, float], None]) -> RewardRow:
    def decide(tx: Tx) -> RewardRow:
        grant, at = locked(tx, grant_id), hub.clock.now()
        before = {"state": str(grant.state), "order_id": grant.order_id}
        work(tx, grant, at)
        after = {"state": str(grant.state), "order_id": grant.order_id}
        tx.audit(by, f"reward.{action}", f"grant {grant_id}", before, after, at)
        return _row(grant)

    return commit(hub, decide)


def _expect(grant: Grant, *states: GrantState) -> None:
    if grant.state not in states:
        raise NeedsReview(
            f"the grant is {grant.state}; this can be decided only while it is {' or '.join(states)}",
            code="RWD-STATE", where=f"grant {grant.id}", fix=f"hub rewards show {grant.id}",
        )  # fmt: skip


def _row(grant: Grant) -> RewardRow:
    return RewardRow(
        id=grant.id, state=str(grant.state), rule=grant.rule, subject_id=grant.subject_id,
        recipient=str(grant.recipient.get("email", "")), amount=grant.amount, currency=grant.currency,
        product=grant.product, connection=grant.connection, budget=grant.budget, order_id=grant.order_id,
        reference=grant.reference, created_at=grant.created_at, not_before=grant.not_before, detail=grant.detail,
    )  # fmt: skip
