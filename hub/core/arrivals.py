"""Whether a message arrived, by what its provider says of it: in any order, twice, or never.

Invariant: what is known only moves on. That it arrived is proof, whatever is said before or after; that it failed
counts until it is said to have arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hub.core.rewards import Entry

FAILED, DELIVERED, READ = "failed", "delivered", "read"  # words that connectors use
LINES: Mapping[str, Entry] = {FAILED: Entry.UNDELIVERED, DELIVERED: Entry.DELIVERED, READ: Entry.READ}
_FURTHER = (Entry.UNDELIVERED, Entry.DELIVERED, Entry.READ)  # each beats those before


def is_news(word: str, kinds: Iterable[str]) -> bool:
    """Whether a word says more than a grant's ledger lines (their kinds) do."""
    if word not in LINES:
        return False
    known = set(kinds)
    return not known & set(_FURTHER[_FURTHER.index(LINES[word]) :])
