"""Orders that are taken back: a provider that can is asked to, as often as it takes; only its word frees the money.

Asked twice is asked once: what is switched off or gone already stays so. So nothing can go wrong by repeating, and a
lost answer is simply asked again. A code that was used meanwhile stays given, and is shown to a person. So is one whose
repeat was refused for another reason, though an earlier call may have switched it off: money is never freed on a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.app.reward_moves import locked, move
from hub.app.reward_providers import Attempt, Desk
from hub.app.transact import commit
from hub.core.planted import PLANTED
from hub.core.rewards import Entry, GrantState
from hub.errors import HubError, SignInExpired
from hub.model import ChangeSet
from hub.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What the provider says to being asked."""

    kind: str  # cancelled, kept, later
    text: str = ""
    after_s: float = 0.0


def ask_back(desk: Desk, attempt: Attempt) -> Word:
    """Ask the provider to take the order back. Raises SignInExpired; what was to be asked waits."""
    push, grant = desk.connection.connector.push, attempt.grant
    if push is None:
        return Word(kind="later", text="the connection cannot be written to")
    change = ChangeSet(
        link_id=0, entity_id=grant.subject_id, op="delete", external_id=grant.order_id, values={}, before={},
        reference=grant.reference, idempotency_key=f"{grant.reference}-back",
    )  # fmt: skip
    try:
        results = push(desk.connection.api, desk.stream.name, [change])
    except SignInExpired:
        raise
    except HubError as error:
        return Word(kind="later", text=error.code, after_s=getattr(error, "after_s", None) or 0.0)
    result = next((each for each in results if each.index == 0), None)
    if result is None:
        return Word(kind="later", text="the answer says nothing of it")
    match result.outcome:
        case "applied":
            return Word(kind="cancelled")
        case "not_found":  # what we switch off stays there: somebody else removed it, or it is another account
            return Word(kind="kept", text="there is no such order")
        case "rejected":
            return Word(kind="kept", text=f"{result.code}: {result.message}" if result.code else result.message)
        case "auth_expired":
            raise SignInExpired("credentials refused while taking back", where=desk.connection.name)
    return Word(kind="later", text=result.code or result.outcome, after_s=result.retry_after_s or 0.0)


def settle_cancel(desk: Desk, attempt: Attempt, word: Word) -> None:
    """One transaction: what the provider's word proves, if the grant still waits for it."""

    def settle(tx: Tx) -> str:
        grant, now = locked(tx, attempt.grant.id), desk.hub.clock.now()
        if grant.state != GrantState.CANCELLING:
            return "rewards_belated"
        what = f"order {grant.order_id}"
        match "cancelled" if "freed_too_early" in PLANTED else word.kind:
            case "cancelled":
                move(tx, grant, GrantState.REVERSED, Entry.CANCELLED, at=now, detail=f"{what} was taken back")
                return "rewards_cancelled"
            case "kept":
                text = f"RWD-TAKE-BACK: {what} at {grant.connection} cannot be taken back ({word.text})"
                move(tx, grant, GrantState.ISSUED, Entry.KEPT, at=now, detail=text)
                return "rewards_kept"
        grant.not_before = now + max(word.after_s, desk.timing.backoff_s)
        move(
            tx,
            grant,
            GrantState.CANCELLING,
            Entry.CANCELLING,
            at=now,
            detail=f"{what} is to be taken back: {word.text}",
        )
        return "rewards_cancelling"

    desk.counts[commit(desk.hub, settle)] += 1
