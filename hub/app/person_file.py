"""Everything that is known of one person, as one document: what the person may ask for.

Of the entity and of all that were merged into it: values with their reasons, every system's record as it was last
read, every change, every conflict with what lost in it, rulings, notes, events, rewards with their lines, and what
could not be taken in. Whoever takes such a document out is on record with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.notes import notes_of
from hub.app.page import stored_record
from hub.app.transact import commit
from hub.app.why import find_entity, why
from hub.model import Json, LinkRow
from hub.store import Tx

MANY = 100_000


def person_file(hub: Hub, target: str, *, by: str) -> Dict:
    """The document. Raises NotFound."""
    with hub.store.reading() as tx:
        root = find_entity(hub, tx, target)
        found = _gathered(hub, tx, root)
    found["reasons"] = why(hub, found["entity"])
    commit(hub, lambda tx: tx.audit(by, "person exported", found["entity"], None, None, hub.clock.now()))
    return found


def _gathered(hub: Hub, tx: Tx, root: int) -> Dict:
    row = tx.entities([root])[root]
    members = list(tx.alias_closure([root])[root])
    links = tx.links_of(members)
    rows = tx.entities(members)
    events = {event.key: event for event in tx.events(subject_ids=members) + tx.events(entity_ids=members)}
    rulings = [asdict(ruling) for each in tx.rulings(members).values() for ruling in each.values()]
    grants = [grant for member in members for grant in tx.grants(subject_id=member, limit=MANY)]
    return {
        "entity": f"{row.type}:{root}",
        "made_at": iso(hub.clock.now()),
        "created_at": iso(row.created_at),
        "values": row.values,
        "aliases": {f"{row.type}:{each}": rows[each].values for each in members if each != root},
        "records": [_record(link) for link in links],
        "history": [asdict(each) for each in tx.history(members)],
        "conflicts": [asdict(each) for each in tx.conflicts_of(members)],
        "rulings": rulings,
        "notes": [note for member in members for note in notes_of(tx, f"{row.type}:{member}")],
        "events": [asdict(event) for event in events.values()],
        "rewards": [{**asdict(grant), "lines": [asdict(line) for line in tx.entries(grant.id)]} for grant in grants],
        "waiting": _waiting(tx, links),
    }


def _record(link: LinkRow) -> dict[str, Json]:
    """A system's record, as it was last read."""
    return {
        "connection": link.connection, "stream": link.stream, "external_id": link.external_id,
        "state": str(link.state), "read_at": iso(link.read_at), "data": stored_record(link).data,
    }  # fmt: skip


def _waiting(tx: Tx, links: Sequence[LinkRow]) -> list[Dict]:
    """What of these records could not be taken in or written."""
    return [
        asdict(row)
        for link in links
        if link.external_id is not None
        for row in tx.quarantine(None, link.connection, MANY, external_id=link.external_id)
    ]
