"""Notes that people write beside things, for whoever comes next."""

from __future__ import annotations

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.transact import commit
from hub.errors import RecordRejected
from hub.store import Tx

LONGEST = 2000


def add_note(hub: Hub, target: str, text: str, *, by: str) -> None:
    """Raises RecordRejected: NOTE-TEXT, there is nothing in it, or too much."""
    said = text.strip()
    if not 0 < len(said) <= LONGEST:
        raise RecordRejected("a note is empty, or too long", code="NOTE-TEXT", fix=f"write 1 to {LONGEST} characters")
    commit(hub, lambda tx: tx.add_note(target, by, hub.clock.now(), said))


def notes_of(tx: Tx, target: str) -> list[Dict]:
    """Oldest first."""
    return [{"by": row.by, "at": iso(row.at), "text": row.text} for row in tx.notes(target)]
