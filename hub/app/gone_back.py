"""A system that was put back to its own backup: its records are older than what it told before.

A read that is older than what was accepted is ignored (law L5), for a replica may be late. But a read by id that began
later after the accepted one than any replica is late tells the truth: the record itself has gone back, and to ignore it
for ever would hide every edit until its stamps have caught up. Which way to go is nobody's to guess: such a record is
held, neither read nor written, until a person says whether what stands there now counts (release), or is put right
(drop).
"""

from __future__ import annotations

from hub.app.page import RECORD, PageContext
from hub.model import LinkRow, SourceRecord

GUARD = "rolled_back"
PATIENCE_S = 300.0  # beyond the declared lag: a system may be later than it says


def may_go_back(page: PageContext, link: LinkRow, record: SourceRecord) -> bool:
    """Whether a read older than the accepted one is taken in, as a person decided; a record that went back is held."""
    if record.op != "upsert" or record.stamp is None or link.stamp is None or link.read_at is None:
        return False
    asked = page.by_id and page.connection.connector.fetch is not None
    if not asked or page.read_at <= link.read_at + page.lag_s + PATIENCE_S:
        return False
    if (link.id, RECORD) in page.released or (link.id, RECORD) in page.dropped:
        link.stamp = None
        return True
    if all(name != RECORD for name, _ in page.held_items.get(link.id, ())):
        page.held_back.setdefault((GUARD, RECORD), []).append(link.id)
        page.counts["held_records"] += 1
    return False
