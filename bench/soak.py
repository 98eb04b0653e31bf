"""`python -m bench.soak`, or `make soak`: people edit at random for half an hour, vendors fail; then all must be well.

The hub runs as `hub run` does, on SQLite, over simulated vendors in a process of their own. People edit and create
contacts in both CRMs; calls are throttled, refused, lost on the way there and on the way back. Then people and faults
stop, and four things must hold: systems and hub agree record by record; nothing is under way, due or running any more;
every row that waits has a reason that a person can read; and the process holds no more memory than in the middle.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.app.bootstrap import open_hub, start_logging
from hub.app.context import Hub
from hub.app.syncing import sync_now
from hub.app.worker import Worker
from hub.runtime.clock import SystemClock
from hub.twins.client import TwinClient
from hub.verify.judge import Verdict, compare
from hub.verify.rehearsal import ENVIRONMENT, vendors, write_project

SEED = 5
EVERY = "3s"  # the hub looks this often
NEW = 0.02  # share of edits that make a record
FAULTS = {
    "throttle_rate": 0.01, "throttle_retry_after": 1.0, "error_before_rate": 0.01, "error_after_rate": 0.005,
    "timeout_before_rate": 0.005, "timeout_after_rate": 0.005, "partial_batch_rate": 0.005,
}  # fmt: skip
CALM: Mapping[str, float] = {name: 0.0 for name in FAULTS if name.endswith("_rate")}
FIELDS = {  # system -> fields that people change
    "salesforce": ("Title", "Phone", "FirstName"),
    "hubspot": ("jobtitle", "phone", "firstname"),
}
PATIENCE_S = 400.0  # longer than any write may still land
ROUNDS = 12
FOR_EVER = 1e12
SAMPLE_S = 1.0
MANY = 1_000_000
MORE_MEMORY = 1.10  # of the last third over the middle third

Twins = Mapping[str, TwinClient]


class LaterClock(SystemClock):
    """The machine's clock, which may be put forward: what must only be waited for is not waited for."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


@dataclass(slots=True)
class People:
    """Everybody who works in the two systems."""

    twins: Twins
    rng: random.Random
    done: Counter[str] = field(default_factory=Counter)
    known: dict[str, list[str]] = field(default_factory=dict)

    def look_around(self) -> None:
        for name in FIELDS:
            rows = self.twins[name].snapshot("contacts")
            self.known[name] = [each for each, row in rows.items() if not row["deleted"]]

    def act(self) -> None:
        name, number = self.rng.choice(list(FIELDS)), sum(self.done.values())
        if self.rng.random() < NEW:
            fields = {"LastName": f"Neu{number}", "Email": f"neu{number}@example.org"}
            fields = (
                fields if name == "salesforce" else {"lastname": f"New{number}", "email": f"new{number}@example.org"}
            )
            self.known[name].append(self.twins[name].user_create("contacts", fields))
            self.done["made"] += 1
            return
        title, phone, first = FIELDS[name]
        fields = self.rng.choice(
            [{title: f"Post {number}"}, {phone: f"+4930{2_000_000 + number}"}, {first: f"Zoë {number}"}]
        )
        self.twins[name].user_edit("contacts", self.rng.choice(self.known[name]), fields)
        self.done["edited"] += 1


@dataclass(slots=True, kw_only=True)
class Found:
    """What a soak ended with."""

    seconds: float
    done: Mapping[str, int]
    verdict: Verdict
    stuck: list[str]
    unexplained: list[str]
    memory_mb: list[float]

    @property
    def memory(self) -> tuple[float, float]:
        """(in the middle third, in the last one), each the median of its samples."""
        third = max(1, len(self.memory_mb) // 3)
        return statistics.median(self.memory_mb[third : 2 * third] or self.memory_mb), statistics.median(
            self.memory_mb[-third:]
        )

    @property
    def faults(self) -> list[str]:
        middle, last = self.memory
        memory = [f"memory grew from {middle:.0f} to {last:.0f} MB"] if last > middle * MORE_MEMORY else []
        return [*self.verdict.differences, *self.verdict.unknown, *self.stuck, *self.unexplained, *memory]

    def as_text(self) -> str:
        middle, last = self.memory
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.done.items()))
        wrong = len(self.verdict.differences) + len(self.verdict.unknown)
        seen = f"{self.verdict.records} records and {self.verdict.fields} values compared, {self.verdict.listed} listed"
        lines = [
            f"soak: {self.seconds:.0f} s, {done}; memory {middle:.0f} MB in the middle, {last:.0f} MB at the end",
            f"{seen}; not converged {wrong}, stuck {len(self.stuck)}, unexplained {len(self.unexplained)}",
            *(f"  {each}" for each in self.faults[:20]),
        ]
        return "\n".join(lines) + "\n"


def soak(folder: Path, *, seconds: float, rate: float, people: int, seed: int = SEED) -> Found:
    """Run it once."""
    with vendors(seed, people) as (twins, _), _hub(folder, twins) as (hub, clock):
        _until_quiet(hub, clock)
        crowd = People(twins, random.Random(seed))
        crowd.look_around()
        for name in FIELDS:
            twins[name].set_faults(seed=seed, **FAULTS)
        began, memory = time.monotonic(), _at_work(hub, crowd, seconds, rate)
        lasted = time.monotonic() - began
        for name in FIELDS:
            twins[name].set_faults(**CALM)
        _until_quiet(hub, clock)
        return Found(
            seconds=lasted, done=crowd.done, verdict=compare(hub, _present(twins)), stuck=_stuck(hub),
            unexplained=_unexplained(hub), memory_mb=memory,
        )  # fmt: skip


@contextmanager
def _hub(folder: Path, twins: Twins) -> Any:
    write_project(folder, {name: twin.base_url for name, twin in twins.items()}, public_url="http://127.0.0.1:9")
    settings = folder / "hub.yaml"
    settings.write_text(settings.read_text("utf-8").replace("every: 5m", f"every: {EVERY}"), "utf-8")
    clock = LaterClock()
    hub = open_hub(folder, clock=clock, environ=ENVIRONMENT, url=f"sqlite:///{folder / 'hub.db'}", publish=True)
    start_logging(hub)
    try:
        yield hub, clock
    finally:
        hub.store.close()


def _at_work(hub: Hub, people: People, seconds: float, rate: float) -> list[float]:
    """People act, the hub runs; how much memory it held meanwhile."""
    worker, memory = Worker(hub, owner="soak"), []
    worker.start()
    began = time.monotonic()
    sample_at = began
    try:
        while (now := time.monotonic()) < began + seconds:
            if now >= sample_at:
                memory.append(_rss_mb())
                sample_at = now + SAMPLE_S
            while sum(people.done.values()) < (now - began) * rate:
                people.act()
            time.sleep(0.02)
    finally:
        worker.stop()
    return memory


def _rss_mb() -> float:
    """What this process holds now (proc(5), `statm`)."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _until_quiet(hub: Hub, clock: LaterClock) -> None:
    """Sync as long as there is anything to write, to settle or to read again."""
    for _ in range(ROUNDS):
        written = sum(row["created"] + row["updated"] for row in sync_now(hub, owner="soak").rows)
        with hub.store.reading() as tx:
            waits = [*tx.open_intents(), *tx.count_behind(), *_hints(hub, tx)]
        if not written and not waits:
            return
        clock.ahead_s += 0.0 if written else PATIENCE_S


def _hints(hub: Hub, tx: Any) -> list[Any]:
    return [hint for name in hub.connections for hint in tx.due_hints(name, FOR_EVER, 1)]


def _present(twins: Twins) -> dict[tuple[str, str], list[str]]:
    return {
        (name, "contacts"): [each for each, row in twins[name].snapshot("contacts").items() if not row["deleted"]]
        for name in FIELDS
    }


def _stuck(hub: Hub) -> list[str]:
    """What is under way or due for ever: open intents, hints, runs without an end."""
    with hub.store.reading() as tx:
        runs = [f"run {run.id} of {run.connection} never ended" for run in tx.runs(limit=MANY) if run.ended_at is None]
        intents = [f"intent {each.id} at {each.connection} is open" for each in tx.open_intents()]
        hints = [f"hint of {each.connection}/{each.external_id}: {each.reason}" for each in _hints(hub, tx)]
    return runs + intents + hints


def _unexplained(hub: Hub) -> list[str]:
    """Links that are behind, and no quarantine row, hold or conflict says why."""
    found = []
    with hub.store.reading() as tx:
        rows = tx.quarantine(state="open", limit=MANY)
        told = {(row.connection, row.external_id) for row in rows} | {row.link_id for row in rows}
        told |= {conflict.entity_id for conflict in tx.conflicts(state="open", limit=MANY)}
        for name, connection in hub.connections.items():
            for stream in connection.mappings:
                for link in tx.links_page(name, stream, limit=MANY, raw=False):
                    marks = {(name, link.external_id or ""), link.id, link.entity_id}
                    if link.behind_since is not None and link.hold_id is None and not marks & told:
                        found.append(f"{name}/{stream}/{link.external_id} is behind without a reason")
        found += [f"quarantine row {row.id} has no fix" for row in rows if not (row.code and row.message and row.fix)]
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=20.0, help="edits per second")
    parser.add_argument("--people", type=int, default=300, help="whom the company knows")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), seconds=given.minutes * 60, rate=given.rate, people=given.people)
    sys.stdout.write(found.as_text())
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
