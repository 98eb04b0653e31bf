"""Reading in pages: progress that is checked, ties that are not lost.

Nothing here keeps state: cursors are the connector's own JSON values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


def next_in_time(
    low: float | None, position: int, last: float, *, step: int, within: bool, fresh: bool, where: str
) -> tuple[float | None, int]:
    """Where a read up the time of change goes on after a full page: (lower bound, position above it).

    The bound moves to the last row's second, whose rows come once more and are known by their ids; only a second with
    more rows than a page is gone through by position.

    Args:
        low: lower bound of this page; None: from the beginning.
        position: of this page above the bound; 1 is the first.
        last: stamp of the page's last row.
        step: what a page adds to the position: its rows, or 1 where pages are numbered.
        within: the whole page has one stamp.
        fresh: the page brought rows that were not known yet. A later one without any is a vendor that repeats itself.
        where: connection and stream, for the message.
    """
    following = (low, position + step) if within else (last, 1)
    stuck = position > 1 and not fresh
    require_progress([low, position], [low, position] if stuck else [*following], where=where)
    return following


def rest_at(read_started: float, lookback_s: float) -> float:
    """Where the next incremental read starts: the vendor's time when this one started, less the look-back."""
    return max(0.0, read_started - lookback_s)


def behind_anchor(ids: Sequence[str], anchor: str | None, *, full: bool, where: str) -> int | None:
    """Where a page of a list by position has its first new row, if it begins some rows before the end of the last one.

    Rows that came in between move the rest down, rows that vanished move it up; either way the last row that was read
    is still there, unless more vanished than the two pages share.

    Args:
        ids: of the page's rows.
        anchor: id of the last row that was read; None on the first page.
        full: the page has as many rows as a page can have, so there may be more.

    Returns:
        The place of the first new row; None: the anchor is gone, and the list must be read from its start.

    Raises:
        NeedsReview: a full page without a new row: the vendor hands out the same one for ever.
    """
    if anchor is None:
        return 0
    if anchor not in ids:
        return None
    if full:
        require_progress(anchor, ids[-1], where=where)
    return ids.index(anchor) + 1


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Runs of at most `size` items, in order."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def even_cuts(
    start: T, end: T, rows: int, *, parts: int, counts: int, halfway: Callable[[T, T], T], count: Callable[[T, T], int]
) -> list[T]:
    """Where ranges with about as many rows each begin, the first left out.

    The range with the most rows is halved, again and again; then neighbours with few rows are one part. Rows at one
    place stay together.

    Args:
        rows: between `start` and `end`.
        counts: how often the vendor may be asked.
        halfway: a place between two.
        count: rows from a place on, before another.
    """
    ranges = [(start, end, rows)]
    for _ in range(counts):
        low, high, inside = fullest = max(ranges, key=lambda each: each[2])
        place, middle = ranges.index(fullest), halfway(low, high)
        before = count(low, middle)
        ranges[place : place + 1] = [(low, middle, before), (middle, high, inside - before)]
    cuts, taken = [], 0
    for low, _, inside in ranges:
        if taken >= rows / parts and inside:
            cuts.append(low)
            taken = 0
        taken += inside
    return cuts
