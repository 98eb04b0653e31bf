"""Messages about rewards: a code that a shop made is worth nothing until its receiver has it.

A message is a grant of its own, of no money: owed in the transaction that settles the reward, and sent by the mail or
text connection with all that keeps orders single. What it says, the code too, is put together when it is sent.
"""

from __future__ import annotations

from hub.app.context import Hub
from hub.app.reward_moves import move
from hub.core.rewards import MESSAGE, NOWHERE, SCREEN, Entry, GrantState, digest_of, recipient_of, reference_of
from hub.model import Grant, Json
from hub.store import Tx

WAYS = (None, SCREEN, NOWHERE)  # of delivery without a message of ours


def owe_message(hub: Hub, tx: Tx, grant: Grant, now: float) -> None:
    """Owe the receiver of a grant that was just issued his message, if its rule says so. Owed twice is owed once."""
    if grant.deliver not in WAYS:
        _owe(hub, tx, grant, str(grant.deliver), _key(hub, grant), now)


def owe_another(hub: Hub, tx: Tx, failed: Grant, way: str, now: float) -> Grant:
    """The same word by another way ("connection/template"), to where the person can be reached now.

    Args:
        failed: a message that did not arrive, or a reward that is one; locked.
    """
    reward = tx.grant(failed.parent_id) if failed.parent_id is not None else failed
    root = tx.roots([reward.subject_id]).get(reward.subject_id, reward.subject_id)
    person = tx.entities([root]).get(root)
    recipient = {**reward.recipient, **(recipient_of(person.values) if person is not None else {})}
    key = digest_of("message", hub.instance, reward.key, str(failed.id), way)
    return _owe(hub, tx, reward, way, key, now, recipient=recipient)


def _owe(
    hub: Hub, tx: Tx, grant: Grant, way: str, key: str, now: float, *, recipient: dict[str, Json] | None = None
) -> Grant:
    """A message about a reward. Its key is unique: owed twice is owed once."""
    connection, _, template = way.partition("/")
    message = Grant(
        id=tx.reserve_ids("grant", 1)[0], key=key, rule=_rule(grant), subject_id=grant.subject_id,
        event_id=grant.event_id, connection=connection, product=template, amount="0", currency=grant.currency,
        budget="", reference=reference_of(hub.instance, key), state=GrantState.RESERVED,
        recipient=grant.recipient if recipient is None else recipient, not_before=now, created_at=now,
        parent_id=grant.id,
    )  # fmt: skip
    if tx.add_grant(message):
        tx.add_grant_entry(message.id, Entry.RESERVED, "0", now, f"about grant {grant.id}")
        return message
    return tx.grants(key=key, limit=1)[0]


def _rule(grant: Grant) -> str:
    return f"{grant.rule}{MESSAGE}"


def _key(hub: Hub, grant: Grant) -> str:
    return digest_of("message", hub.instance, grant.key)


def withdraw_message(hub: Hub, tx: Tx, grant: Grant, now: float) -> None:
    """The grant is to be taken back: nobody is told of it any more, unless he may have been. The grant is locked."""
    for message in tx.grants(rule=_rule(grant), subject_id=grant.subject_id):
        if message.parent_id == grant.id and message.state in (GrantState.RESERVED, GrantState.WAITING_APPROVAL):
            move(tx, message, GrantState.REVERSED, Entry.REVERSAL, at=now, detail=f"grant {grant.id} is taken back")
