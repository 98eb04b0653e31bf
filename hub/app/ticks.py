"""Vendor stamps have a grain: two edits within one tick of a system's clock cannot be told apart by them.

A record that is read with another content under the stamp that was accepted is read again when every replica must show
the last of the two; until then nothing is written to it.
"""

from __future__ import annotations

from hub.app.page import PageContext
from hub.core.planted import PLANTED
from hub.core.values import same
from hub.model import LinkRow, MappedRecord, SourceRecord

STAMP_SLACK_S = 2.0  # what a measured clock offset may be wrong by: request time plus whole-second Date headers


def is_same_tick(page: PageContext, link: LinkRow, record: SourceRecord, mapped: MappedRecord) -> bool:
    """True for another content under the accepted stamp, while a lagging read could still show the older of the two.

    Vendor stamps have a grain: two edits within it cannot be told apart by their stamps. The record is read again when
    every replica must show the last of them. A read that answers or may settle a write of ours is never put off, unless
    it began before the accepted one: it tells nothing of the write that the accepted one did not.
    Until it was read again nothing is written to it, since a write would land on an edit that no claim speaks for (L4).
    """
    older = link.read_at is not None and page.read_at < link.read_at
    if link.id in page.intents and not older:
        return False
    early = early_s_of(page, link, record)
    fields, cells = page.mapping.entity_type.fields, page.scene.cells(link.id)
    if early <= 0 or all(same(fields[n], v, cells[n].held) for n, v in mapped.values.items() if n in cells):
        return False
    put_off(page, link, record, early)
    page.counts["deferred"] += 1
    return True


def early_s_of(page: PageContext, link: LinkRow, record: SourceRecord) -> float:
    """For how long a read may still show any of several contents under the accepted stamp; 0 for another stamp."""
    if record.stamp is None or record.stamp != link.stamp:
        return 0.0
    return (link.read_at or 0.0) + page.stream.stamp_tick_s + page.lag_s - page.read_at


def put_off(page: PageContext, link: LinkRow, record: SourceRecord, early_s: float) -> None:
    """Read it again when every replica shows the last of them, and write nothing to it until then."""
    strong = page.stream.stamp_tick_s + page.stream.fetch_lag_s  # the hint reads it by id
    due_at = page.scene.now + min(early_s, strong) + STAMP_SLACK_S
    page.hints.append((link.connection, page.mapping.source, record.external_id, None, due_at, "edits within one tick"))
    if "no_put_off" not in PLANTED:
        link.retry_at = max(link.retry_at or 0.0, due_at)
        page.scene.dirty(link)
