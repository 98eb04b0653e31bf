"""The proofs by name, as `hub verify` runs them: what is run, how many seeds, which faults are planted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import chain

from hub.verify import convergence, planted, rewards
from hub.verify.convergence import Report, Result
from hub.verify.report import Proof
from hub.verify.shrink import shrink
from hub.verify.vendor import CONSENT

SEEDS: Mapping[str, int] = {"convergence": 500, "consent": 100, "rewards": 20_000, "unmerge": 500, "undo": 200}
NIGHTLY = 50  # times as many
WITHIN = 1000  # histories in which a planted fault must be caught
STEPS = 200
SHRUNK = 2  # failing histories that are made small; the others are told as they end
FOCUS: Mapping[str, str] = {"convergence": "", "consent": CONSENT}  # what people mostly edit

Progress = Callable[[Result], None]


def known_proofs() -> list[str]:
    """Proofs of this hub; those of merges and undo are rooms of their own, and may not be built yet."""
    return [name for name in SEEDS if name not in ("unmerge", "undo") or find_spec(f"hub.verify.{name}")]


def prove(
    name: str,
    *,
    seeds: int | None = None,
    first: int = 0,
    steps: int = STEPS,
    systems: int | None = None,
    jobs: int = 2,
    faults: Sequence[str] | None = (),
    progress: Progress | None = None,
) -> Proof:
    """Run one proof.

    Args:
        seeds: how many; None for the proof's own number.
        first: the first of them.
        faults: to plant afterwards, one at a time; None for all that the proof knows.
    """
    wanted = range(first, first + (seeds or SEEDS[name]))
    proof = Proof(name=name, report=_run(name, wanted, steps, systems, jobs, progress), replay=replay(name, systems))
    if name in FOCUS:
        for place, broken in enumerate(proof.report.failures[:SHRUNK]):
            proof.report.failures[place] = shrink(broken, steps=steps, systems=systems, focus=FOCUS[name])
    for fault in plantable(name) if faults is None else faults:
        proof.planted[fault] = catch(name, fault, steps=steps, jobs=jobs)
    return proof


def _run(
    name: str, seeds: Iterable[int], steps: int, systems: int | None, jobs: int, progress: Progress | None
) -> Report:
    if name in FOCUS:
        return convergence.verify(
            seeds, steps=steps, systems=systems, jobs=jobs, focus=FOCUS[name], progress=progress
        )  # fmt: skip
    if name == "rewards":
        return rewards.verify_rewards(seeds, jobs=jobs, progress=progress)
    report: Report = import_module(f"hub.verify.{name}").verify(seeds, systems=systems, progress=progress)
    return report


def replay(name: str, systems: int | None) -> str:
    """The command that runs one seed of a proof again; {seed} stands for it."""
    return f"hub verify {name} --first {{seed}} --seeds 1" + (f" --systems {systems}" if systems else "")


# Planted faults


def plantable(name: str) -> list[str]:
    """The faults that a proof must catch."""
    if name == "convergence":
        return list(planted.PLANTABLE)
    if name == "rewards":
        return list(rewards.PLANTABLE)
    if name in ("unmerge", "undo"):
        return list(import_module(f"hub.verify.{name}").PLANTABLE)
    return []


def catch(name: str, fault: str, *, steps: int = STEPS, jobs: int = 1, within: int = WITHIN) -> str:
    """Plant one fault; gives the error that told of it, "" if none did within so many histories."""
    if name == "convergence":
        seeds = in_order(planted.PLANTABLE[fault].seed, within)
        report = convergence.verify(seeds, steps=steps, jobs=jobs, planted=[fault], stop_at_first=True)
    elif name == "rewards":
        report = rewards.verify_rewards(range(within), jobs=jobs, planted=[fault], stop_at_first=True)
    else:
        module = import_module(f"hub.verify.{name}")
        report = module.verify(range(within), planted=[fault], stop_at_first=True)
    return f"seed {report.failures[0].seed}: {report.failures[0].errors[0]}" if report.failures else ""


def in_order(seed: int, within: int) -> Iterable[int]:
    """So many seeds, the one that is known to catch it first."""
    return chain([seed], (each for each in range(within) if each != seed))
