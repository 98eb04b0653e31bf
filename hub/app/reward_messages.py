"""Messages about rewards: a code that a shop made is worth nothing until its receiver has it.

A message is a grant of its own, of no money: owed in the transaction that settles the reward, and sent by the mail or
text connection with all that keeps orders single. What it says, the code too, is put together when it is sent.
"""

from __future__ import annotations

from hub.app.context import Hub
from hub.app.reward_moves import move
from hub.core.rewards import MESSAGE, NOWHERE, SCREEN, Entry, GrantState, digest_of, reference_of
from hub.model import Grant
from hub.store import Tx

WAYS = (None, SCREEN, NOWHERE)  # of delivery without a message of ours


def owe_message(hub: Hub, tx: Tx, grant: Grant, now: float) -> None:
    """Owe the receiver of a grant that was just issued his message, if its rule says so. Owed twice is owed once."""
    if grant.deliver in WAYS:
        return
    connection, _, template = str(grant.deliver).partition("/")
    key = _key(hub, grant)
    message = Grant(
        id=tx.reserve_ids("grant", 1)[0], key=key, rule=f"{grant.rule}{MESSAGE}", subject_id=grant.subject_id,
        event_id=grant.event_id, connection=connection, product=template, amount="0", currency=grant.currency,
        budget="", reference=reference_of(hub.instance, key), state=GrantState.RESERVED, recipient=grant.recipient,
        not_before=now, created_at=now, parent_id=grant.id,
    )  # fmt: skip
    if tx.add_grant(message):
        tx.add_grant_entry(message.id, Entry.RESERVED, "0", now, f"about grant {grant.id}")


def _key(hub: Hub, grant: Grant) -> str:
    return digest_of("message", hub.instance, grant.key)


def withdraw_message(hub: Hub, tx: Tx, grant: Grant, now: float) -> None:
    """The grant is to be taken back: nobody is told of it any more, unless he may have been. The grant is locked."""
    for message in tx.grants(key=_key(hub, grant), limit=1):
        if message.state in (GrantState.RESERVED, GrantState.WAITING_APPROVAL):
            move(tx, message, GrantState.REVERSED, Entry.REVERSAL, at=now, detail=f"grant {grant.id} is taken back")
