"""L22: when everything has come to rest, one person is forgotten. No word of theirs may be left, nor come back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hub.app.erasing import erase
from hub.errors import NeedsReview
from hub.model import LinkState
from hub.verify.backup import told_by
from hub.verify.laws import entities_and_links, sweep

if TYPE_CHECKING:
    from hub.verify.history import History

TOKEN = re.compile(r"(?<![0-9a-f])[0-9]+[a-d](?![0-9a-f])", re.IGNORECASE)  # number and system of what was typed
SPOKEN = (LinkState.LIVE, LinkState.DUPLICATE, LinkState.OUT_OF_SCOPE)


def check_erased(history: History) -> list[str]:
    """L22: after an erasure the store holds no word of the person, also when every system was read once more."""
    entities, links = entities_and_links(history)
    able = [each for each in entities if each.state == "live" and any(k.state in SPOKEN for k in links[each.id])]
    if not able or history.restored or not history.in_memory:
        return []  # (of a store that was put back, the words of the gap are in systems under numbers that came twice)
    chosen = history.people.choice(able)
    theirs = {(link.connection, link.external_id) for link in links[chosen.id] if link.external_id}
    words = _typed(history, theirs) - _typed(history, _records(history) - theirs)
    try:
        erase(history.hub, f"contact:{chosen.id}", by="sim")
    except NeedsReview:
        history.story.counts["erase:under way"] += 1
        return []
    history.story.counts["erased"] += 1
    history.tell(f"contact:{chosen.id} is forgotten")
    left = _left(history, words, "left")
    sweep(history)
    history.round()
    return left or _left(history, words, "back")


def _records(history: History) -> set[tuple[str, str]]:
    return {(name, each) for name, vendor in history.vendors.items() for each in vendor.records}


def _typed(history: History, records: set[tuple[str, str]]) -> set[str]:
    """The marks in whatever these records ever held, codes and tags aside, which others share."""
    found: set[str] = set()
    for name, external_id in records:
        for version in history.vendors[name].records[external_id]:
            fields = version.fields or {}
            texts = (str(value) for field, value in fields.items() if field not in ("code", "tags"))
            found |= {mark.lower() for text in texts for mark in TOKEN.findall(text)}
    return found


def _left(history: History, words: set[str], how: str) -> list[str]:
    kept = {mark.lower() for mark in TOKEN.findall(told_by(history.store))}
    found = sorted(words & kept)
    return [f"L22 {len(found)} words of a person who was erased are {how}: {', '.join(found[:5])}"] if found else []
