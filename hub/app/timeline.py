"""What a customer did, newest first, over every name that was merged into theirs; paged by the last event's key.

An event that stands under two names of one record (two deals that turned out to be one) is told once: as it was known
first. Withdrawn events are left in and say so; they count nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.titles import cards, title_of
from hub.app.why import find_entity
from hub.core.canonical import Canonical
from hub.core.rewards import key_under
from hub.errors import NeedsReview
from hub.model import EventRow
from hub.store import Tx

COLUMNS = ["at", "event", "what", "record", "source", "withdrawn_at"]
PAGE, MOST = 50, 500
NEWEST = (1e18, 0)  # before every event


def timeline(hub: Hub, target: str, *, before: str = "", limit: int = PAGE) -> Dict:
    """A page of an entity's events.

    Args:
        target: "contact:42", or "contact:" and a key of it.
        before: `next` of the page before.

    Returns:
        {"entity", "title": what people call it, "events": [{at, event, text, record, what: a name for it, source,
         silent, withdrawn_at, values}], "next": where the next page begins, or None}

    Raises:
        NotFound: no such entity. NeedsReview PAGE-EDGE: `before` is no place in a time line.
    """
    edge, limit = _edge(before), min(limit, MOST)
    with hub.store.reading() as tx:
        root = find_entity(hub, tx, target)
        (row,) = tx.entities([root]).values()
        rows = tx.timeline(tx.alias_closure([root])[root], limit + 1, edge)
        shown = rows[:limit]
        found = documents(hub.canonical, tx, told_once(tx, shown))
    more = len(rows) > len(shown)
    return {
        "entity": f"{row.type}:{root}", "title": title_of(row), "events": found,
        "next": f"{shown[-1].at!r}:{shown[-1].id}" if more else None,
    }  # fmt: skip


def _edge(text: str) -> tuple[float, int]:
    if not text:
        return NEWEST
    at, _, id_ = text.rpartition(":")
    try:
        found = float(at), int(id_)
    except ValueError:
        found = (math.nan, 0)
    if not math.isfinite(found[0]) or not 0 <= found[1] < 2**63:
        raise NeedsReview(
            f"{text[:40]} is no place in a time line", code="PAGE-EDGE", where="before", fix="take `next` of a page"
        )
    return found


def told_once(tx: Tx, events: Sequence[EventRow]) -> list[EventRow]:
    """Without events that stand under another name of the same record, too, and were known there first."""
    roots = tx.roots({event.entity_id for event in events}) if events else {}
    groups = {root: members for root, members in tx.alias_closure(set(roots.values())).items() if len(members) > 1}
    several = [event for event in events if roots.get(event.entity_id) in groups]
    if not several:
        return list(events)
    keys = {event.key: [key_under(event, each) for each in groups[roots[event.entity_id]]] for event in several}
    known = tx.events_by_keys(key for each in keys.values() for key in each)
    first: dict[str, int | None] = {}
    for key, names in keys.items():
        standing = [known[name] for name in names if name in known and known[name].withdrawn_at is None]
        first[key] = min((event.id or 0 for event in standing), default=None)
    return [event for event in events if first.get(event.key) in (None, event.id) or event.withdrawn_at is not None]


def documents(canonical: Canonical, tx: Tx, events: Sequence[EventRow]) -> list[Dict]:
    """Events as people read them."""
    named = cards(tx, {event.entity_id for event in events}) if events else {}
    return [_document(canonical, event, named.get(event.entity_id, {})) for event in events]


def _document(canonical: Canonical, event: EventRow, of: Mapping[str, str]) -> Dict:
    kind, _, name = event.name.partition(".")
    declared = canonical.entities[kind].events.get(name) if kind in canonical.entities else None
    each = event.key.removeprefix(f"{event.name}:{event.entity_id}").removeprefix(":")
    return {
        "at": iso(event.at), "event": event.name, "each": each, "text": declared.text if declared else "",
        "record": of.get("entity", f"{kind}:{event.entity_id}"), "what": of.get("title", ""), "source": event.source,
        "silent": event.silent, "withdrawn_at": iso(event.withdrawn_at), "values": dict(event.values),
    }  # fmt: skip
