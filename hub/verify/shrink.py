"""Making a failing history small: leave out what it fails without, and tell the rest in a few lines (G26).

A history is a list of steps; each has dice of its own, so one can be left out and the others stay as they are. First
whole steps go (an edit, a worker's task), in chunks that get smaller; then crashes, sleeps and visitors inside calls;
then the faults of the systems. What is left is what it takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from hub.verify.convergence import STORY_LINES, Result, run_seed
from hub.verify.history import Cuts

BUDGET_S = 90.0
PARTS = ("acts", "shocks", "faults")


def shrink(
    result: Result, *, steps: int, systems: int | None = None, focus: str = "", budget_s: float = BUDGET_S
) -> Result:
    """The smallest history found that breaks the same law; its story is at most 20 lines.

    Args:
        result: of the failing seed, as a whole.
        budget_s: how long it may take, by the machine's clock.
    """
    law, until = result.errors[0].split()[0], time.monotonic() + budget_s
    best, cuts = result, Cuts()

    def fails(candidate: Cuts) -> bool:
        nonlocal best
        if time.monotonic() > until:
            return False
        found = run_seed(result.seed, steps=steps, systems=systems, focus=focus, cuts=candidate)
        if not found.errors or found.errors[0].split()[0] != law:
            return False
        best = found
        return True

    for part in PARTS:
        cuts = _without(cuts, part, steps, fails)
    best.story = best.story[-STORY_LINES:]
    return best


def _without(cuts: Cuts, part: str, steps: int, fails: Callable[[Cuts], bool]) -> Cuts:
    """Leave out as many steps as possible of one concern, chunk by chunk."""
    size = steps
    while size:
        for start in range(0, steps, size):
            chunk = frozenset(range(start, min(steps, start + size)))
            candidate = replace(cuts, **{part: getattr(cuts, part) | chunk})
            if not chunk <= getattr(cuts, part) and fails(candidate):
                cuts = candidate
        size //= 2
    return cuts
