"""When a connection is due: slots of a rhythm, the same for every process and after every restart.

A slot is a moment in epoch seconds: `offset + k * every` on a grid, or a moment of the calendar (hub.runtime.cron). A
schedule needs no memory: what was missed while the hub was down follows from the rhythm and the last slot on record.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Protocol

LEAST_S = 1.0  # nothing is due more often


class Rhythm(Protocol):
    """Slots without beginning and end."""

    def newest(self, now: float) -> float:
        """The newest slot that is not later than now."""

    def following(self, now: float) -> float:
        """The first slot later than now."""

    def between(self, after: float, until: float, *, limit: int = 1000) -> list[float]:
        """Slots later than `after`, up to and with `until`; of very many, the newest `limit`."""


NO_CRONS: Mapping[str, Rhythm] = {}


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


def streams_due(
    every_s: Mapping[str, float], offset_s: float, after: float | None, slot: float,
    crons: Mapping[str, Rhythm] = NO_CRONS,
) -> frozenset[str]:  # fmt: skip
    """Streams with a slot later than `after`, up to and with this one.

    Args:
        every_s: streams on the grid; with `after` None all of them.
        crons: streams by the calendar; with `after` None those of which this slot is a moment.
    """
    if after is None:
        return frozenset(every_s) | {name for name, cron in crons.items() if cron.newest(slot) == slot}
    called = frozenset(name for name, cron in crons.items() if cron.newest(slot) > after)
    return called | frozenset(
        name
        for name, every in every_s.items()
        if floor((slot - offset_s) / max(LEAST_S, every)) > floor((after - offset_s) / max(LEAST_S, every))
    )


def next_slot(every_s: float, offset_s: float, now: float) -> float:
    """The first slot later than now."""
    following = offset_s + ceil((now - offset_s) / every_s) * every_s
    return following if following > now else following + every_s


@dataclass(frozen=True, slots=True)
class Grid:
    """Slots at an interval."""

    every_s: float
    offset_s: float

    def newest(self, now: float) -> float:
        return slot_at(self.every_s, self.offset_s, now)

    def following(self, now: float) -> float:
        return next_slot(self.every_s, self.offset_s, now)

    def between(self, after: float, until: float, *, limit: int = 1000) -> list[float]:
        return slots_between(self.every_s, self.offset_s, after, until, limit=limit)


@dataclass(frozen=True, slots=True)
class Joint:
    """Slots of several rhythms, each moment once."""

    parts: tuple[Rhythm, ...]

    def newest(self, now: float) -> float:
        return max(each.newest(now) for each in self.parts)

    def following(self, now: float) -> float:
        return min(each.following(now) for each in self.parts)

    def between(self, after: float, until: float, *, limit: int = 1000) -> list[float]:
        return sorted({slot for each in self.parts for slot in each.between(after, until, limit=limit)})[-limit:]


def rhythm_of(name: str, every_s: Mapping[str, float], crons: Mapping[str, Rhythm] = NO_CRONS) -> Rhythm:
    """When a connection is looked at: whenever a stream of it may be due."""
    base = base_of(every_s)
    grids = [Grid(base, offset_of(name, base))] if every_s or not crons else []
    parts: list[Rhythm] = [*grids, *dict.fromkeys(crons.values())]
    return parts[0] if len(parts) == 1 else Joint(tuple(parts))
