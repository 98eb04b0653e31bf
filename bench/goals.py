"""The table of goals: what must hold, what we aim at, and what was measured, as the median of some runs.

Figures are ratios within one run wherever that is possible, so that the machine falls out. A goal that these cases
cannot show (an own loader for comparison) is not in the table.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.people import SYSTEMS

Figures = dict[str, Any]
LIST_PAGES = (2000, 100)  # records a page of the two systems' own lists

HEAD = f"{'':<58}{'must':>9}{'aim':>9}{'median':>10}{'lowest':>10}{'highest':>10}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One row."""

    text: str
    must: float
    aim: float
    measure: Callable[[Sequence[Figures]], float | None]  # the figures of one run -> value; None: not measured


class Run:
    """One run's figures, to be asked by case, store and number of records."""

    def __init__(self, found: Sequence[Figures]) -> None:
        self._found = {(each["case"], each["store"], each["records"]): each for each in found}
        self.stores = sorted({store for case, store, _ in self._found if case == "floor"})
        self.sizes = sorted({records for _, _, records in self._found})

    def cpu(self, case: str, store: str, step: str, records: int) -> float | None:
        each = self._found.get((case, store, records))
        return each[step]["cpu_s"] if each is not None and step in each else None

    def figure(self, case: str, store: str, records: int, *path: str) -> Any:
        found: Any = self._found.get((case, store, records))
        for name in path:
            found = None if found is None else found.get(name)
        return found

    def over_floor(self, store: str, step: str) -> float | None:
        """CPU of a step over that of the floor's load of the same records, at the largest number of them."""
        ours, floor = (
            self.cpu("engine", store, step, self.sizes[-1]),
            self.cpu("floor", store, "first_load", self.sizes[-1]),
        )
        return ours / floor if ours is not None and floor else None

    def growth(self, store: str) -> float | None:
        """Exponent of the CPU of a first load in the number of records."""
        small, large = self.sizes[0], self.sizes[-1]
        costs = [self.cpu("engine", store, "first_load", size) for size in (small, large)]
        if small == large or None in costs:
            return None
        return math.log(costs[1] / costs[0]) / math.log(large / small)  # type: ignore[operator]

    def cycles(self, store: str) -> float | None:
        """CPU of a cycle with 100 changes, at the largest number of records over that at the smallest."""
        small, large = (self.cpu("engine", store, "cycle", self.sizes[place]) for place in (0, -1))
        return large / small if self.sizes[0] != self.sizes[-1] and small and large else None

    def calls(self, store: str, step: str) -> float | None:
        """API calls of the vendors' connectors over the fewest that can do it: full pages, and one for what changed."""
        made = self.figure("connectors", store, self.sizes[-1], step, "result", "calls")
        half = self.sizes[-1] // 2
        least = sum(math.ceil(half / page) for page in LIST_PAGES) if step == "first_load" else len(SYSTEMS)
        return made / least if made else None


def _goals(store: str) -> list[Goal]:
    def of(ask: Callable[[Run], float | None]) -> Callable[[Sequence[Figures]], float | None]:
        return lambda found: ask(Run(found))

    return [
        Goal(text="first load ÷ floor, CPU", must=6, aim=3, measure=of(lambda r: r.over_floor(store, "first_load"))),
        Goal(text="reading unchanged records again ÷ floor, CPU", must=1.5, aim=1,
             measure=of(lambda r: r.over_floor(store, "read_again"))),
        Goal(text="peak memory at the largest number of records, MB", must=150, aim=100,
             measure=of(lambda r: r.figure("engine", store, r.sizes[-1], "peak_mb"))),
        Goal(text="growth exponent of a first load's CPU", must=1.10, aim=1.05, measure=of(lambda r: r.growth(store))),
        Goal(text="cycle with 100 changes, largest ÷ smallest, CPU", must=1.5, aim=1.2,
             measure=of(lambda r: r.cycles(store))),
        Goal(text="cycle with 100 changes at the largest, seconds", must=0.25, aim=0.06,
             measure=of(lambda r: r.figure("engine", store, r.sizes[-1], "cycle", "wall_s"))),
        Goal(text="API calls ÷ fewest possible, first load", must=1.05, aim=1,
             measure=of(lambda r: r.calls(store, "first_load"))),
        Goal(text="API calls ÷ fewest possible, cycle with 100 changes", must=1.05, aim=1,
             measure=of(lambda r: r.calls(store, "cycle"))),
        Goal(text="webhook to written in the other, 20 a second, p50 ms", must=50, aim=10,
             measure=of(lambda r: r.figure("engine", store, r.sizes[0], "webhooks", "p50_ms"))),
        Goal(text="webhook to written in the other, 20 a second, p99 ms", must=250, aim=60,
             measure=of(lambda r: r.figure("engine", store, r.sizes[0], "webhooks", "p99_ms"))),
        Goal(text="mapping of 20 plain fields, µs", must=15, aim=5,
             measure=of(lambda r: r.figure("engine", store, r.sizes[-1], "mapping_us"))),
    ]  # fmt: skip


def as_table(runs: Sequence[Sequence[Figures]]) -> str:
    """All goals of all stores, over some runs."""
    lines = []
    first = Run(runs[0])
    for store in first.stores:
        sizes = " and ".join(f"{size:,}" for size in dict.fromkeys((first.sizes[0], first.sizes[-1])))
        lines += [f"\n{store}, {sizes} records, {len(runs)} run{'s' * (len(runs) > 1)}\n", HEAD]
        for goal in _goals(store):
            values = [value for found in runs if (value := goal.measure(found)) is not None]
            if values:
                lines.append(_row(goal, values))
    return "".join(lines)


def _row(goal: Goal, values: Sequence[float]) -> str:
    middle = statistics.median(values)
    word = "" if middle <= goal.aim else " within must" if middle <= goal.must else " over must"
    figures = "".join(f"{each:>10.3g}" for each in (middle, min(values), max(values)))
    return f"{goal.text:<58}{goal.must:>9g}{goal.aim:>9g}{figures}{word}\n"
