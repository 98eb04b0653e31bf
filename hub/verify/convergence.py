"""`hub verify convergence`: many seeded histories over the real engine, and every law asked of each.

A failing seed tells its story (hub.verify.shrink makes it short) and the command that replays it.
"""

from __future__ import annotations

import hashlib
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TypeVar

from hub.core.planted import PLANTED
from hub.verify import books, erased, laws
from hub.verify.history import Crash, Cuts, History, Strike

T = TypeVar("T")
R = TypeVar("R")

STORY_LINES = 20

AT_REST = (  # in this order: completeness before anything else touches the records (L13)
    laws.check_complete,
    laws.check_converged,
    laws.check_everywhere,
    books.check_deletes,
    laws.check_no_loss,
    laws.check_guarded,
    laws.check_no_revert,
    books.check_nothing_invented,
    books.check_evidence,
    books.check_consent,
    laws.check_calm_edits,
    laws.check_converged,
    laws.check_everywhere,
    books.check_evidence,
    laws.check_replay,
    laws.check_quiet,
    books.check_runs,
    erased.check_erased,
)


@dataclass(slots=True)
class Result:
    """What became of one seed."""

    seed: int
    errors: list[str]
    story: list[str]
    counts: Counter[str]
    trace: str = ""  # hash of everything that happened: the same seed, the same trace


@dataclass(slots=True)
class Report:
    """All seeds together."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Result] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.failures

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.counts += result.counts
        self.failures += [result] if result.errors else []


def run_seed(
    seed: int,
    *,
    steps: int = 200,
    systems: int | None = None,
    url: str = "sqlite://",
    focus: str = "",
    cuts: Cuts | None = None,
    strike: Strike | None = None,
) -> Result:
    """One history: chaos, healing, rest, every law, calm edits, rest, replay, idle rounds."""
    history = History(seed, steps=steps, systems=systems, url=url, focus=focus, cuts=cuts, strike=strike)
    try:
        errors = _phases(history)
    except Crash:
        errors = ["bug: a crash outside the chaos, the simulator is wrong"]
    except Exception as bug:  # noqa: BLE001  (a bug of the engine is a finding like any other)
        where = traceback.extract_tb(bug.__traceback__)[-1]
        errors = [f"bug: {type(bug).__name__}: {bug} ({where.name}, line {where.lineno})"]
    finally:
        history.store.close()
    return Result(seed, errors, history.story.lines[-STORY_LINES:] if errors else [], _counts(history), trace(history))


def _counts(history: History) -> Counter[str]:
    counts, vendors = history.story.counts, history.vendors.values()
    counts["writes"] += history.writes()
    counts["seams"] += history.points["seam"]
    counts["calls"] += sum(vendor.calls for vendor in vendors)
    counts["exposed"] += sum(len(vendor.exposed) for vendor in vendors)
    counts["exposed, though guarded"] += sum(len(v.exposed) for v in vendors if v.guards)
    counts["edits"] += sum(len(vendor.edits) for vendor in vendors)
    counts[f"channel {history.swarm.channel}"] += 1
    counts["no overlap"] += all(not vendor.traits.overlap for vendor in vendors)
    return counts


def trace(history: History) -> str:
    """A hash of the whole story."""
    told = "\n".join([*history.story.lines, *(f"{k} {v}" for k, v in sorted(history.story.counts.items()))])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _phases(history: History) -> list[str]:
    history.chaos()
    if history.errors:
        return history.errors
    history.calm()
    if history.swarm.breaks:
        broken = _heal_some(history)
        if broken:
            return broken
    rounds = history.drain()
    if rounds is None:
        return [*history.errors, "L1 no rest after people and faults stopped"]
    history.story.counts["rounds"] += rounds
    for law in AT_REST:
        broken = law(history) + history.errors
        if broken:
            return broken
    return []


def _heal_some(history: History) -> list[str]:
    """L24: those that heal finish, though another stays broken."""
    names = sorted(history.vendors)
    sick = history.people.choice(names)
    history.vendors[sick].down = True
    history.tell(f"{sick} stays down")
    history.story.counts["one stayed down"] += 1
    if history.drain() is None:
        return ["L24 no rest among those that healed"]
    broken = laws.check_converged(history, only=[name for name in names if name != sick])
    history.vendors[sick].down = False
    return [f"L24 while {sick} is down: {each}" for each in broken]


# Many


@contextmanager
def spread(job: Callable[[T], R], orders: Iterable[T], jobs: int) -> Iterator[Iterator[R]]:
    """The results of all orders, as they come: from processes of their own, or with one job from this one."""
    if jobs == 1:
        yield map(job, orders)
        return
    with get_context("spawn").Pool(jobs) as pool:  # leaving ends the processes, whatever they are at
        yield pool.imap_unordered(job, orders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One history to run in another process."""

    seed: int
    steps: int = 200
    systems: int | None = None
    focus: str = ""
    planted: tuple[str, ...] = ()


def run_order(order: Order) -> Result:
    """What an order says, in this process; whatever was planted before is planted again afterwards."""
    before = set(PLANTED)
    PLANTED.clear()
    PLANTED.update(order.planted)
    try:
        return _run_order(order)
    finally:
        PLANTED.clear()
        PLANTED.update(before)


def _run_order(order: Order) -> Result:
    return run_seed(order.seed, steps=order.steps, systems=order.systems, focus=order.focus)


def verify(
    seeds: Iterable[int],
    *,
    steps: int = 200,
    systems: int | None = None,
    jobs: int = 2,
    focus: str = "",
    planted: Sequence[str] = (),
    stop_at_first: bool = False,
    progress: Callable[[Result], None] | None = None,
) -> Report:
    """Run seeds over all cores.

    Args:
        focus: the field that people mostly edit.
        planted: faults to plant (keys of hub.verify.planted.PLANTABLE).
        stop_at_first: end with the first failing seed.
    """
    report = Report()
    orders = (Order(seed=seed, steps=steps, systems=systems, focus=focus, planted=tuple(planted)) for seed in seeds)
    with spread(run_order, orders, jobs) as results:
        for result in results:
            report.add(result)
            if progress is not None:
                progress(result)
            if result.errors and stop_at_first:
                break
    report.failures.sort(key=lambda result: result.seed)
    return report
