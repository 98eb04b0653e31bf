"""Every point of a history at which a process can die, and every call and commit that can fail (G5, G6).

A history without chance is run once to count its seams; then once for each seam, dying there and nowhere else. The
same with its calls and its commits: the first fails, then the second, and so on, once alone and once with all that
follow, until people and faults stop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from hub.verify.convergence import Report, Result, run_seed
from hub.verify.history import Cuts, Strike

STEPS = 24
EVERY_STEP = frozenset(range(1000))
PLAIN = Cuts(shocks=EVERY_STEP)  # nothing dies but by the strike


def points(seed: int, *, steps: int = STEPS) -> Counter[str]:
    """How many seams, calls and commits a history passes before it comes to rest."""
    found = run_seed(seed, steps=steps, cuts=PLAIN)
    return Counter({name: found.counts[f"chaos {name}"] for name in ("seam", "call", "commit")})


def strikes(seed: int, *, steps: int = STEPS, crash: bool) -> Iterator[Strike]:
    """Each thing that can go wrong once in a history."""
    there = points(seed, steps=steps)
    if crash:
        yield from (Strike(kind="crash", at=number) for number in range(1, there["seam"] + 1))
        return
    for kind in ("call", "commit"):
        for number in range(1, there[kind] + 1):
            yield Strike(kind=kind, at=number)
            yield Strike(kind=kind, at=number, sticky=True)


def everywhere(
    seeds: list[int], *, crash: bool = True, steps: int = STEPS, progress: Callable[[Result], None] | None = None
) -> Report:
    """Run some histories once for each point.

    Args:
        crash: the process dies at each seam; False: each call, each commit fails.
    """
    report = Report()
    for seed in seeds:
        for strike in strikes(seed, steps=steps, crash=crash):
            result = run_seed(seed, steps=steps, cuts=PLAIN, strike=strike)
            result.errors = [f"{each} (seed {seed}, {strike})" for each in result.errors]
            report.add(result)
            if progress is not None:
                progress(result)
    return report
