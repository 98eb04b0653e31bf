"""What providers say of messages that they took: it arrived, it was read, it did not arrive.

The story of a message that does not arrive: its provider takes it, and the grant is `issued`; a minute later a webhook
says that there is no such number. The webhook may be here before the answer to the call was stored, so it waits as a
hint until a grant has its number; one that no grant ever has is another's. The grant becomes `undelivered` and is shown
to a person, who may have the word sent another way (hub.app.reward_ways).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial

from hub.app.context import Connection, Hub
from hub.app.deliveries import delivered
from hub.app.reward_moves import kinds_of, locked, move, note
from hub.app.transact import commit
from hub.core.arrivals import FAILED, LINES, is_news
from hub.core.rewards import Entry, GrantState
from hub.model import Grant, Hint
from hub.store import Tx

ARRIVAL = "arrival"  # of `Stream.gives`
PAGE = 200
TRIES, BACKOFF_S = 8, 30.0  # until a grant has the number; the last after an hour


def arrivals_stream(connection: Connection) -> str:
    """The stream in which a connection's provider tells what became of messages; "" if it tells nothing."""
    return next((name for name, stream in connection.streams.items() if stream.gives == ARRIVAL), "")


def serve_arrivals(hub: Hub, connection: Connection) -> Counter[str]:
    """Take in what was told. Returns counts: arrivals (news), arrivals_failed, hints_served."""
    total: Counter[str] = Counter()
    stream = arrivals_stream(connection)
    while stream:
        with hub.store.reading() as tx:
            hints = tx.due_hints(connection.name, hub.clock.now(), PAGE, stream=stream)
        if not hints:
            break
        total += commit(hub, partial(_take, hub, connection, hints))
    return total


def _take(hub: Hub, connection: Connection, hints: Sequence[Hint], tx: Tx) -> Counter[str]:
    """One page, in one transaction."""
    counts, now = Counter[str](), hub.clock.now()
    records = delivered(tx, connection.name, [hint.external_id for hint in hints])
    told = {f"{record.external_id}:{record.data.get('status')}": record for record in records}  # as their keys are
    grants = tx.grants_by_orders(connection.name, {record.external_id for record in records})
    early: dict[int, list[int]] = defaultdict(list)  # tries so far -> hints
    for hint in hints:
        record = told.get(hint.external_id)
        grant = grants.get(record.external_id) if record is not None else None
        if record is not None and grant is not None:
            word, code = str(record.data.get("status")), str(record.data.get("code") or "")
            counts.update(_heard(tx, locked(tx, grant.id), word, code, min(now, record.stamp or now)))
        elif record is not None and hint.attempts < TRIES:
            early[hint.attempts].append(hint.id)
    for tries, ids in early.items():
        tx.postpone_hints(ids, now + BACKOFF_S * 2**tries)
    waiting = {each for ids in early.values() for each in ids}
    tx.done_hints([hint.id for hint in hints if hint.id not in waiting])
    counts["hints_served"] += len(hints) - len(waiting)
    return counts


def _heard(tx: Tx, grant: Grant, word: str, code: str, at: float) -> Counter[str]:
    if not is_news(word, kinds_of(tx, grant)):
        return Counter()
    if word == FAILED:
        text = f"DLV-FAILED: it did not arrive{f' ({code})' if code else ''}"
        if grant.state == GrantState.ISSUED:
            move(tx, grant, GrantState.UNDELIVERED, Entry.UNDELIVERED, at=at, detail=text)
        else:
            note(tx, grant, Entry.UNDELIVERED, at=at, detail=text)
        return Counter(arrivals=1, arrivals_failed=1)
    text = f"order {grant.order_id}: {word}"
    if grant.state == GrantState.UNDELIVERED:
        move(tx, grant, GrantState.ISSUED, LINES[word], at=at, detail=text)
    else:
        note(tx, grant, LINES[word], at=at, detail=text)
    return Counter(arrivals=1)
