"""Reading in pages: progress that is checked, ties that are not lost.

Nothing here keeps state: cursors are the connector's own JSON values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

from hub.errors import NeedsReview
from hub.model import Json

T = TypeVar("T")


def require_progress(before: Json, after: Json, *, where: str) -> Json:
    """The next cursor. Raises NeedsReview if the vendor handed out the one it was given (fault matrix, 52)."""
    if after == before:
        raise NeedsReview(
            "the vendor repeats its page token", code="PAGE-LOOP", where=where, fix="the cursor is kept; ask the vendor"
        )
    return after


def require_ascending(stamps: Sequence[float], *, where: str) -> None:
    """Raises NeedsReview if a stamp falls within a page: one that lies about its order must not move a cursor.

    Ties are the vendor's to order: how it compares ids need not be how Python compares text.
    """
    if any(later < earlier for earlier, later in pairwise(stamps)):
        raise NeedsReview(
            "the page is not in the order that was asked for",
            code="PAGE-ORDER",
            where=where,
            fix="the cursor is kept; run a backfill of this stream",
        )


def rest_at(read_started: float, lookback_s: float) -> float:
    """Where the next incremental read starts: the vendor's time when this one started, less the look-back."""
    return max(0.0, read_started - lookback_s)


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Runs of at most `size` items, in order."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
