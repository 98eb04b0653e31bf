"""`make verify`: everything that a change has to show, by one command, and a page that says what it came to.

Each goal of the plan (G1 …) is run for real and timed; its line on the page says when. `--only` runs some of them anew
and leaves the lines of the others. Goals that pytest proves are run through pytest. Ends with 0 only if every goal that
was run was met.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from hub.app.publishing import KINDS, stem_of
from hub.verify import crashes, days, matrix, proofs
from hub.verify.convergence import Report, run_seed, verify
from hub.verify.mapping import verify_mappings
from hub.verify.report import Proof
from hub.verify.rewards import verify_rewards
from hub.verify.situations import SITUATIONS, missing

HISTORIES, STEPS = 1000, 200
REWARDS = 20_000
EXAMPLES = 2000
CURATED = 15  # histories that are crashed at every point
STRUCK = 5  # histories of which every call and commit fails
TWICE = 20  # seeds whose traces are compared
LEAST_CRASHES = 5000
KILLS = 100  # of real processes, on each database
JOBS = 2
ALONE = 0.15  # least share of histories that live by one channel, or without an overlap

PAGE = "docs/trust.md"
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "3600")
CORE = ("changes", "conditions", "derived", "explain", "first", "guards", "identity", "merge", "plan", "rewards")
DECISION = (*(f"hub/core/{name}.py" for name in (*CORE, "schedule", "shadow")), "hub/kit/signing.py")
HOSTILE = (
    "tests/app/test_hostile_text.py", "tests/cli/test_hostile_text.py", "tests/connectors/test_queries.py",
    "tests/runtime/test_log_hostile.py", "tests/web/test_hostile_pages.py",
)  # fmt: skip
MATRICES = (
    ("G13", "rows of the fault matrix with a test (at least 90)", matrix.FAULTS, 90),
    ("G14", "rows of the security matrix with a test (at least 95)", matrix.SECURITY, 95),
)
KILL_TESTS = ("tests/e2e/test_kill.py", "tests/e2e/test_kill_rewards.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One goal and what it came to."""

    goal: str  # G1 …, as in the plan
    what: str
    reached: str
    ok: bool
    seconds: float
    on: str  # date


@dataclass(slots=True)
class Trust:
    """All goals, run in order."""

    base: int  # first seed
    now: datetime
    lines: list[Line]
    say: Callable[[str], None]

    def add(self, goal: str, what: str, run: Callable[[], tuple[str, bool]]) -> None:
        """Run one goal and keep what it came to."""
        began = time.monotonic()
        reached, ok = run()
        line = Line(
            goal=goal, what=what, reached=reached, ok=ok, seconds=time.monotonic() - began, on=f"{self.now:%Y-%m-%d}"
        )
        self.lines.append(line)
        self.say(f"{'ok ' if ok else 'NOT'} {goal:4} {what}: {reached} ({line.seconds:.0f} s)")


def seed_of_day(now: datetime) -> int:
    """The first seed of a day: new histories every day, the same on every machine."""
    return now.toordinal() * 10_000


def run(root: Path, *, base: int | None = None, only: Sequence[str] = (), say: Callable[[str], None]) -> bool:
    """Prove everything, or the named parts of it, and write the page. True if every goal that was run was met."""
    now = datetime.now(UTC)
    trust = Trust(seed_of_day(now) if base is None else base, now, [], say)
    say(f"seeds from {trust.base} (of the day; --base runs the same again)")
    for name, part in PARTS.items():
        if not only or name in only:
            part(trust, root)
            _write(trust, root, keep=bool(only))
    return all(line.ok for line in trust.lines)


def _write(trust: Trust, root: Path, *, keep: bool) -> None:
    """The page after each part, so that a run that is cut short leaves what it came to."""
    path = root / PAGE
    known = _rows_of(path.read_text("utf-8")) if keep and path.exists() else {}
    path.write_text(page(known | {line.goal: _row(line) for line in trust.lines}, trust.base), "utf-8")


# The goals


def stored_seeds(root: Path) -> list[int]:
    """Seeds that once failed, and run for ever (tests/verify/seeds.txt)."""
    lines = (root / "tests" / "verify" / "seeds.txt").read_text("utf-8").splitlines()
    return [int(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def _simulator(trust: Trust, root: Path) -> None:
    report = Report()

    def histories() -> tuple[str, bool]:
        stored = stored_seeds(root)
        fresh = range(trust.base, trust.base + HISTORIES - len(stored))
        nonlocal report
        report = verify([*stored, *fresh], steps=STEPS, jobs=JOBS)
        for line in Proof(name="convergence", report=report, replay=proofs.replay("convergence", None)).lines():
            trust.say(line)
        return f"{report.seeds} histories of {STEPS} steps, {len(report.failures)} broken", report.ok

    trust.add("G1", "simulated histories, whole engine, 2–5 systems", histories)
    counts = report.counts
    trust.add("G4", "crashes survived in them", lambda: (f"{counts['crash']}", counts["crash"] >= LEAST_CRASHES))
    names = ("channel polls", "channel hooks", "no overlap")
    shares = {name: counts[name] / max(1, report.seeds) for name in names}
    told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    trust.add("G8", "single channel, no overlap: at least 15 % each", lambda: (told, min(shares.values()) >= ALONE))
    never = missing(counts)
    met = f"{len(SITUATIONS) - len(never)} of {len(SITUATIONS)}" + (f"; never: {', '.join(never)}" if never else "")
    trust.add("G10", "situations met at least once", lambda: (met, not never))
    zeros = Proof(name="convergence", report=report).zeros
    trust.add("G11", "violations of any law", lambda: (str(sum(zeros.values())), report.ok))
    trust.add("G22", "found by a full sweep before it repairs", lambda: _none(report, "L13"))
    guarded = counts["exposed, though guarded"]
    trust.add("G23", "edits lost where there are preconditions", lambda: (str(guarded), guarded == 0))
    trust.add("G24", "edits in the window of systems without, counted", lambda: (str(counts["exposed"]), True))
    trust.add("G25", "duplicate people after ambiguous creates", lambda: _none(report, "duplicate"))


def _twice(trust: Trust, _root: Path) -> None:
    trust.add("G12", "same seed, same trace, in two processes", lambda: _traces(trust.base))


def _none(report: Report, law: str) -> tuple[str, bool]:
    found = sum(each.errors[0].startswith(law) for each in report.failures)
    return str(found), found == 0


def _trace(seed: int) -> str:
    return run_seed(seed, steps=80).trace


def _traces(base: int) -> tuple[str, bool]:
    """Each process has a hash seed of its own: what hangs on the order of a set shows here."""
    seeds = range(base, base + TWICE)
    told = []
    for _ in range(2):
        with get_context("spawn").Pool(JOBS) as pool:
            told.append(pool.map(_trace, seeds))
    differ = sum(one != other for one, other in zip(*told, strict=True))
    return f"{TWICE} seeds twice, {differ} differ", differ == 0


def _struck(order: tuple[int, bool]) -> Report:
    seed, crash = order
    return crashes.everywhere([seed], crash=crash)


def _all_points(seeds: Sequence[int], *, crash: bool) -> Report:
    total = Report()
    with get_context("spawn").Pool(JOBS) as pool:
        for report in pool.imap_unordered(_struck, [(seed, crash) for seed in seeds]):
            total.seeds += report.seeds
            total.counts += report.counts
            total.failures += report.failures
    return total


def _crashes(trust: Trust, _root: Path) -> None:
    def points() -> tuple[str, bool]:
        found = _all_points(range(CURATED), crash=True)
        _tell_broken(trust, found)
        return f"{CURATED} histories, {found.seeds} runs, {len(found.failures)} broken", found.ok

    def calls() -> tuple[str, bool]:
        found = _all_points(range(STRUCK), crash=False)
        _tell_broken(trust, found)
        return f"{STRUCK} histories, {found.seeds} runs, {len(found.failures)} broken", found.ok

    trust.add("G5", "a crash at every point", points)
    trust.add("G6", "every call and every commit fails, once and for good", calls)


def _tell_broken(trust: Trust, report: Report) -> None:
    for each in report.failures[:5]:
        trust.say(f"    {each.errors[0]}")


def _rewards(trust: Trust, _root: Path) -> None:
    def histories() -> tuple[str, bool]:
        found = verify_rewards(range(trust.base, trust.base + REWARDS), jobs=JOBS)
        _tell_broken(trust, found)
        counts = found.counts
        return f"{found.seeds} histories, {counts['orders']} orders, {len(found.failures)} broken", found.ok

    trust.add("G3", "reward histories", histories)


def _mappings(trust: Trust, root: Path) -> None:
    def files() -> tuple[str, bool]:
        paths = [each for each in sorted((root / "mappings").glob("*.yaml")) if each.stem not in NO_MAPPING]
        found = verify_mappings(paths, examples=EXAMPLES)
        _tell_broken(trust, found)
        return f"{found.seeds} streams, {EXAMPLES} examples of each law, {len(found.failures)} broken", found.ok

    trust.add("G17", "round trips of the shipped mappings", files)


def _inverses(trust: Trust, _root: Path) -> None:
    for name in ("unmerge", "undo"):
        if name in proofs.known_proofs():
            trust.add("D14" if name == "undo" else "L19", name, partial(_proved, trust, name))


NO_MAPPING = frozenset(map(stem_of, KINDS))  # what a project has beside its mappings


def _proved(trust: Trust, name: str) -> tuple[str, bool]:
    proof = proofs.prove(name, jobs=JOBS, faults=None)
    _tell_broken(trust, proof.report)
    caught = sum(bool(how) for how in proof.planted.values())
    return f"{proof.report.seeds} cases, {caught} of {len(proof.planted)} planted faults caught", proof.ok


def _caught(order: tuple[str, str]) -> tuple[str, str]:
    name, fault = order
    return fault, proofs.catch(name, fault)


def _planted(trust: Trust, _root: Path) -> None:
    def plant() -> tuple[str, bool]:
        orders = [(name, fault) for name in ("convergence", "rewards") for fault in proofs.plantable(name)]
        with get_context("spawn").Pool(JOBS) as pool:
            found = dict(pool.imap_unordered(_caught, orders))
        free = [fault for fault, how in found.items() if not how]
        for fault in free:
            trust.say(f"    not caught: {fault}")
        return f"{len(found) - len(free)} of {len(found)} caught", not free

    trust.add("G9", f"planted faults, each within {proofs.WITHIN} histories", plant)


def _days(trust: Trust, _root: Path) -> None:
    def idle() -> tuple[str, bool]:
        found = days.idle_day()
        return "; ".join(found) or "0 writes, the store unmoved", not found

    def outage() -> tuple[str, bool]:
        found = days.outage()
        told = f"{found.changed:,} changes drained in {found.windows} windows of the quota with {found.calls:,} calls"
        told += f" (at least {found.least:,}), {found.refused} refused, others late in {found.late} runs"
        return "; ".join([told, *found.errors]), found.ok

    trust.add("G20", "a day of runs without an edit, 5 systems, 10,000 records", idle)
    trust.add("G21", "three hours without one system, while another changes", outage)


def _decisions(trust: Trust, root: Path) -> None:
    """The tests of what is pure, under measurement: a branch that none of them takes is unproved or idle."""
    with TemporaryDirectory() as folder:
        data = ["--data-file", str(Path(folder) / "coverage")]
        command = [*PYTEST, "tests/properties", "tests/core", "tests/kit/test_signing.py"]
        measured = [sys.executable, "-m", "coverage", "run", *data, *command[1:]]
        trust.add("G2", "pure decisions: merges, mappings, properties", partial(_run_tests, root, measured))
        trust.add("G18", "branches of the decision that its tests take", lambda: _branches(root, data))


def _branches(root: Path, data: Sequence[str]) -> tuple[str, bool]:
    told = Path(data[1]).with_name("told.json")
    for step in (["combine", "-q", *data], ["json", "-q", *data, "-o", str(told), "--include", ",".join(DECISION)]):
        subprocess.run([sys.executable, "-m", "coverage", *step], cwd=root, capture_output=True, check=True)
    found = orjson.loads(told.read_bytes())
    total, open_ = found["totals"], []
    for file, each in found["files"].items():
        lines = [str(line) for line in each["missing_lines"]]
        lines += [f"{one}->{other}" for one, other in each["missing_branches"]]
        open_ += [f"{file}:{', '.join(lines)}"] if lines else []
    missed = f"; not {'; '.join(open_)}" if open_ else ""
    return f"{total['covered_branches']} of {total['num_branches']} in {len(found['files'])} files{missed}", not open_


def _kills(trust: Trust, root: Path) -> None:
    what = f"real processes killed, {KILLS} on each database"
    trust.add("G7", what, partial(_pytest, root, [*KILL_TESTS, "--kills", str(KILLS)]))


def _inputs(trust: Trust, root: Path) -> None:
    files = [file for file in matrix.BAD_INPUTS if (root / file).exists()]
    trust.add("G16", "at least 150 bad inputs have code, place and fix", partial(_pytest, root, files))
    strings = "six hundred hostile strings through every field, table and page"
    trust.add("G15", strings, partial(_pytest, root, HOSTILE))


def _matrices(trust: Trust, root: Path) -> None:
    """Every test that stands behind a row is run; a row without one is no excuse for another."""
    for goal, what, name, least in MATRICES:
        trust.add(goal, what, partial(_rows_proved, root, name, least))


def _rows_proved(root: Path, name: str, least: int) -> tuple[str, bool]:
    have, of = matrix.counted(root, name)
    reached, ok = _pytest(root, ["-m", "long or not long", *matrix.node_ids(root, name)])
    return f"{have} of {of}: {reached}", ok and have >= least


def _shrinking(trust: Trust, root: Path) -> None:
    trust.add("G26", "a failing history is made small", partial(_pytest, root, ["tests/verify/test_shrink.py"]))


def _pytest(root: Path, arguments: Sequence[str]) -> tuple[str, bool]:
    return _run_tests(root, [*PYTEST, *arguments])


def _run_tests(root: Path, command: Sequence[str]) -> tuple[str, bool]:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return (lines[-1].strip("= ") if lines else done.stderr[-200:]), done.returncode == 0


PARTS: Mapping[str, Callable[[Trust, Path], None]] = {
    "histories": _simulator, "traces": _twice, "crashes": _crashes, "rewards": _rewards, "mappings": _mappings,
    "inverses": _inverses, "planted": _planted, "days": _days, "decisions": _decisions, "inputs": _inputs,
    "shrinking": _shrinking, "matrices": _matrices, "kills": _kills,
}  # fmt: skip


# The page


def _row(line: Line) -> str:
    met = "yes" if line.ok else "**no**"
    return f"| {line.goal} | {line.what} | {line.reached} | {met} | {line.seconds:.0f} s | {line.on} |"


def _rows_of(page_: str) -> dict[str, str]:
    """Goal -> its row on a page that was written before."""
    found = (line for line in page_.splitlines() if re.match(r"\| [A-Z]\d+ \|", line))
    return {row.split("|")[1].strip(): row for row in found}


def page(rows: Mapping[str, str], base: int) -> str:
    """docs/trust.md. Rows by goal, in the order of their numbers."""
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    faults = [f"| `{name}` | {fault.text} | {fault.law} |" for name, fault in proofs.planted.PLANTABLE.items()]
    ordered = [rows[goal] for goal in sorted(rows, key=lambda goal: (goal[0], int(goal[1:])))]
    return "\n".join(
        [
            "# What was tried, and what it came to", "",
            "Written by `make verify`; do not edit. How it works: [concepts](concepts.md#laws).", "",
            f"Last run on {machine}, {JOBS} processes, seeds from {base}. Each line tells its day.", "",
            "| goal | what | reached | met | took | on |", "| --- | --- | --- | --- | --- | --- |", *ordered, "",
            "## Faults that are planted to prove that the laws can fail", "",
            "| fault | what the engine then does | law that should notice |", "| --- | --- | --- |", *faults, "",
            *_survivors(),
        ]
    )  # fmt: skip


def _survivors() -> list[str]:
    if not proofs.planted.SURVIVORS:
        return []
    rows = [f"- `{name}`: {why}" for name, why in proofs.planted.SURVIVORS.items()]
    return [
        "Mechanisms that can be taken out without any law noticing, and why they are there all the same:",
        "",
        *rows,
        "",
    ]
