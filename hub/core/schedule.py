"""When a connection is due: slots on a fixed grid, the same for every process and after every restart.

A slot is a moment `offset + k * every` (epoch seconds). A schedule needs no memory: what was missed while the hub was
down follows from the grid and the last slot on record.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from math import ceil, floor

LEAST_S = 1.0  # nothing is due more often


def offset_of(name: str, every_s: float) -> float:
    """A connection's place on the grid, so that not all systems are asked in the same second."""
    return float(zlib.crc32(name.encode()) % max(1, int(every_s)))


def slot_at(every_s: float, offset_s: float, now: float) -> float:
    """The newest slot that is not later than now."""
    return offset_s + floor((now - offset_s) / every_s) * every_s


def slots_between(every_s: float, offset_s: float, after: float, until: float, *, limit: int = 1000) -> list[float]:
    """Slots later than `after`, up to and with `until`; of very many, the newest `limit`."""
    first = floor((after - offset_s) / every_s) + 1
    last = floor((until - offset_s) / every_s)
    return [offset_s + k * every_s for k in range(max(first, last - limit + 1), last + 1)]


def base_of(every_s: Mapping[str, float]) -> float:
    """How often a connection is looked at: as often as its most frequent stream."""
    return max(LEAST_S, min(every_s.values(), default=300.0))


def streams_due(every_s: Mapping[str, float], offset_s: float, after: float | None, slot: float) -> frozenset[str]:
    """Streams with a slot later than `after` (None: all of them), up to and with this one."""
    if after is None:
        return frozenset(every_s)
    return frozenset(
        name
        for name, every in every_s.items()
        if floor((slot - offset_s) / max(LEAST_S, every)) > floor((after - offset_s) / max(LEAST_S, every))
    )


def next_slot(every_s: float, offset_s: float, now: float) -> float:
    """The first slot later than now."""
    following = offset_s + ceil((now - offset_s) / every_s) * every_s
    return following if following > now else following + every_s
