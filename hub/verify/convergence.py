"""`hub verify convergence`: many seeded histories over the real engine, and the planted faults that prove the oracle.

A failing seed prints its story (the last lines before the break) and the command that replays it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context

from hub.core.planted import PLANTED
from hub.verify import laws
from hub.verify.history import Crash, History

STORY_LINES = 20

# The faults that can be planted, one at a time, each a mechanism taken out of the real engine (reliability.md §1.4).
PLANTABLE = {
    "no_shadow": "what a system was last seen to hold is not kept",
    "agreed_on_lost": "agreed moves on when a claim merely lost",
    "no_intent": "writes leave without an intent",
    "stale_reads": "reads older than what was accepted count",
    "push_if_differs": "a write is due whenever values differ",
    "no_conflict_log": "losers are not put on record",
    "no_adopt": "records that carry the hub's id are not adopted",
    "no_settle": "a pull does not settle open intents",
    "no_readback": "what a vendor stored is never looked at",
    "no_put_off": "a record whose new content is put off is written over all the same",
    "no_overlap": "a read starts exactly at its cursor",
}


@dataclass(slots=True)
class Result:
    """What became of one seed."""

    seed: int
    errors: list[str]
    story: list[str]
    counts: Counter[str]


@dataclass(slots=True)
class Report:
    """All seeds together."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Result] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.failures

    def laws_broken(self) -> Counter[str]:
        return Counter(error.split()[0] for result in self.failures for error in result.errors[:1])


def run_seed(seed: int, *, steps: int = 200, systems: int | None = None, url: str = "sqlite://") -> Result:
    """One history: chaos, rest, every law, calm edits, rest, replay, idle rounds."""
    history = History(seed, steps=steps, systems=systems, url=url)
    try:
        errors = _phases(history)
    except Crash:
        errors = ["a crash outside the chaos: the simulator is wrong"]
    finally:
        history.store.close()
    counts = history.story.counts
    counts["writes"] += history.writes()
    counts["calls"] += sum(vendor.calls for vendor in history.vendors.values())
    counts["exposed"] += sum(len(vendor.exposed) for vendor in history.vendors.values())
    counts["edits"] += sum(len(vendor.edits) for vendor in history.vendors.values())
    return Result(seed, errors, history.story.lines[-STORY_LINES:] if errors else [], counts)


def _phases(history: History) -> list[str]:
    history.chaos()
    history.calm()
    if history.errors:
        return history.errors
    if history.drain() is None:
        return ["L1 no rest after people and faults stopped"]
    for law in (
        laws.check_complete,
        laws.check_converged,
        laws.check_everywhere,
        laws.check_no_loss,
        laws.check_no_revert,
        laws.check_calm_edits,
        laws.check_converged,
        laws.check_replay,
        laws.check_quiet,
    ):
        broken = law(history) + history.errors
        if broken:
            return broken
    return []


def _job(order: tuple[int, int, int | None, tuple[str, ...]]) -> Result:
    seed, steps, systems, planted = order
    PLANTED.clear()
    PLANTED.update(planted)
    return run_seed(seed, steps=steps, systems=systems)


def verify(
    seeds: Iterable[int],
    *,
    steps: int = 200,
    systems: int | None = None,
    jobs: int = 2,
    planted: Sequence[str] = (),
    stop_at_first: bool = False,
    progress: Callable[[Result], None] | None = None,
) -> Report:
    """Run seeds over all cores.

    Args:
        planted: faults to plant (keys of PLANTABLE).
        stop_at_first: end with the first failing seed.
    """
    report = Report()
    jobs_to_do = [(seed, steps, systems, tuple(planted)) for seed in seeds]
    with get_context("spawn").Pool(jobs) as pool:  # leaving ends the processes, whatever they are at
        for result in pool.imap_unordered(_job, jobs_to_do):
            report.seeds += 1
            report.counts += result.counts
            if result.errors:
                report.failures.append(result)
            if progress is not None:
                progress(result)
            if result.errors and stop_at_first:
                break
    report.failures.sort(key=lambda result: result.seed)
    return report
