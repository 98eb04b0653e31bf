"""Creates whose answer is unknown: what may follow depends on what the vendor keeps of them (reliability.md §4.5).

A: the hub's id is unique over there: the same create again is safe. B: the same idempotency key, within its life.
C: searchable: look it up once it can no longer land, then send once more. D: neither: a person decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.connector import Idempotency
from hub.core.planted import PLANTED
from hub.errors import OutcomeUnknown
from hub.model import Intent, LinkState, QuarantineRow

if TYPE_CHECKING:
    from hub.app.context import Connection, Hub
    from hub.core.mapping import StreamMapping
    from hub.store import Tx

KEY_SHARE = 0.8  # of an idempotency key's life, counted from its first use


def resolve_open_creates(hub: Hub, connection: Connection, mapping: StreamMapping, *, run_id: int | None) -> None:
    """Bring every open create of a stream nearer to its end."""
    from hub.app.push import Batch, change_of, send

    stream = connection.stream_of(mapping)
    with hub.store.reading() as tx:
        waiting = [i for i in tx.open_intents(connection.name, mapping.name) if i.op == "create" and i.state == "open"]
    again_now = [i for i in waiting if _may_resend(hub, connection, mapping, i)]
    for start in range(0, len(again_now), stream.max_batch):
        batch = Batch(hub=hub, connection=connection, mapping=mapping, stream=stream, run_id=run_id, resent=True)
        batch.intents = again_now[start : start + stream.max_batch]
        _renew(hub, connection, batch.intents)
        batch.changes = [change_of(intent, None) for intent in batch.intents]
        send(batch)
    for intent in waiting:
        if intent not in again_now and _is_over(hub, connection, mapping, intent):
            _look_up(hub, connection, mapping, intent, run_id=run_id)


def settle_forgotten(hub: Hub, connection: Connection, mapping: StreamMapping, *, run_id: int | None) -> None:
    """Read the records of writes that are open, can no longer land, and whose record nobody is going to write again.

    Example: a write to B2 is frozen, and the process dies. Before the next one writes, B2's entity is merged with that
    of B3; B2 is a second record now, and never behind. Nothing else would ask what became of the write.
    """
    from hub.app.pull import fetch_now

    stream, now = connection.stream_of(mapping), hub.clock.now()
    with hub.store.reading() as tx:
        over = [
            intent.link_id
            for intent in tx.open_intents(connection.name, mapping.name)
            if intent.op != "create" and now > (intent.last_possible or intent.created_at) + stream.fetch_lag_s
        ]
        links = tx.links_by_ids(over, raw=False).values() if over else ()
    idle = [link.external_id for link in links if link.behind_since is None and link.external_id]
    fetch_now(hub, connection, mapping.source, idle, run_id=run_id)


def _may_resend(hub: Hub, connection: Connection, mapping: StreamMapping, intent: Intent) -> bool:
    stream = connection.stream_of(mapping)
    if stream.idempotency is Idempotency.UNIQUE_REFERENCE:
        return True
    if stream.idempotency is Idempotency.KEY_WITH_LIFE:
        return hub.clock.now() - (intent.first_sent or intent.created_at) < KEY_SHARE * stream.key_life_s
    return False


def _renew(hub: Hub, connection: Connection, intents: list[Intent]) -> None:
    """The same write again may land later than the first; its first use stays what it was."""
    from hub.app.ingest import again
    from hub.app.push import START_WITHIN_S

    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            for intent in intents:
                intent.created_at = hub.clock.now()
                intent.last_possible = hub.clock.now() + START_WITHIN_S + connection.longest_write_s
            tx.update_intents(intents)


def _is_over(hub: Hub, connection: Connection, mapping: StreamMapping, intent: Intent) -> bool:
    """It can no longer land unseen: its longest life and the index's lag have passed."""
    stream = connection.stream_of(mapping)
    if "look_up_early" in PLANTED:
        return True
    return hub.clock.now() > (intent.last_possible or intent.created_at) + stream.lag_s + stream.lookback_s


def _look_up(hub: Hub, connection: Connection, mapping: StreamMapping, intent: Intent, *, run_id: int | None) -> None:
    """Found: taken in, which adopts it. Not found: sent once more. Not searchable: a person."""
    from hub.app.ingest import again, ingest_page

    stream, find = connection.stream_of(mapping), connection.connector.find
    if find is None or stream.marker is None or stream.idempotency is Idempotency.NONE:
        _ask_person(hub, connection, mapping, intent, run_id=run_id)
        return
    read_at = hub.clock.now()
    try:
        found = find(connection.api, mapping.source, stream.marker, intent.reference)
    except OutcomeUnknown:
        return
    if found and "no_adopt" not in PLANTED:
        ingest_page(hub, connection, mapping.source, list(found), read_at=read_at, run_id=run_id)
    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            current = tx.intents_for([intent.link_id]).get(intent.link_id)
            if current is not None and current.id == intent.id and current.state == "open":
                current.state = "not_done"  # what was found, if anything, are records that were known before
                tx.update_intents([current])
                call_off(tx, current)


def call_off(tx: Tx, intent: Intent) -> None:
    """A create that did not happen is not tried again where the record that it was to replace has come back."""
    links = {link.id: link for link in tx.links_of([intent.entity_id])}
    mine = links.pop(intent.link_id)
    if any((o.connection, o.stream, o.state) == (mine.connection, mine.stream, LinkState.LIVE) for o in links.values()):
        mine.state, mine.behind_since = LinkState.GONE, None
        tx.update_links([mine])


def _ask_person(
    hub: Hub, connection: Connection, mapping: StreamMapping, intent: Intent, *, run_id: int | None
) -> None:
    from hub.app.ingest import again

    row = QuarantineRow(
        connection=connection.name, stream=mapping.name, external_id="", field="", direction="out",
        code="PUSH-UNKNOWN", message="a create may or may not have happened, and the system cannot tell",
        fix="look the record up at the system; if it is not there, `hub quarantine retry`", value=intent.version,
        at=hub.clock.now(), run_id=run_id, entity_id=intent.entity_id, link_id=intent.link_id,
    )  # fmt: skip
    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            tx.add_quarantine([row])
