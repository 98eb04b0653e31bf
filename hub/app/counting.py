"""Counts of everything, for pages: what takes long to count is not counted again at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
LONG_S = 0.01  # a count that took longer is kept …
TIMES = 200.0  # … for so many times as long: a count of 25 ms is 5 s old at most


@dataclass(slots=True)
class Counts:
    """Of one hub, in this process."""

    kept: dict[str, tuple[float, Any]] = field(default_factory=dict)  # name -> good until, count

    def of(self, name: str, now: Callable[[], float], count: Callable[[], T]) -> T:
        """The count, or what it was a moment ago; small stores are always counted."""
        began = now()
        known = self.kept.get(name)
        if known is not None and began < known[0]:
            found: T = known[1]
            return found
        found = count()
        took = now() - began
        if took > LONG_S:
            self.kept[name] = (began + took * TIMES, found)
        else:
            self.kept.pop(name, None)
        return found
