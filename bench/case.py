"""One measurement in a process of its own, so that memory and caches are its own: JSON in the argument, JSON out.

{"case": "floor" | "engine" | "connectors", "store": "sqlite" | "postgres", "url": of the database (SQLite: of its
file), "source": base URL, "folder": for the project, "changes": per cycle, "events": webhooks, "profile": how many
lines, 0: none}
"""

from __future__ import annotations

import cProfile
import pstats
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson

from bench import floor

CYCLES = 3
Figures = dict[str, Any]


def measured(work: Callable[[], Any]) -> Figures:
    """Wall and CPU seconds of this process, all threads, over a piece of work."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "result": result}


def peak_mb() -> float:
    """Most memory that this process ever held (ru_maxrss is in KiB on Linux, in bytes on macOS)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def run(asked: Figures) -> Figures:
    if asked["case"] == "floor":
        store = (
            floor.into_sqlite(Path(asked["url"])) if asked["store"] == "sqlite" else floor.into_postgres(asked["url"])
        )
        return {"first_load": measured(lambda: floor.load(asked["source"], store)), "peak_mb": peak_mb()}
    return hub_case(asked)


def hub_case(asked: Figures) -> Figures:
    """First load, everything again unchanged, and cycles; with plain connectors also the writing back."""
    from bench import load, webhooks  # the floor's process should not hold the hub

    load.find_own_connectors()
    folder, way = Path(asked["folder"]), asked["case"]
    load.write_project(folder, asked["source"], way)
    found: Figures = {"mapping_us": load.mapping_us()}
    with load.opened(folder, asked["url"]) as hub:
        if asked["profile"]:
            with profiled(asked["profile"]):
                load.pull_alone(hub)
            return found
        found["first_load"] = measured(lambda: load.sync_once(hub))
        found["peak_mb"], found["stored"] = peak_mb(), load.stored(hub)
        load.read_again(hub)
        found["read_again"] = measured(lambda: load.sync_once(hub))
        found["cycle"] = median(asked, lambda: load.sync_once(hub), first_turn=1)
    if way == "engine":
        load.write_project(folder, asked["source"], way, mode="live")
        with load.opened(folder, asked["url"]) as hub:
            found["first_push"] = measured(lambda: load.sync_once(hub))
            found["cycle_with_writes"] = median(asked, lambda: load.sync_once(hub), first_turn=100)
        found["webhooks"] = webhooks.measure(folder, asked["url"], asked["source"], asked["events"])
    return found


def median(asked: Figures, work: Callable[[], Any], *, first_turn: int) -> Figures:
    """The middle one of some cycles: people change records, then the hub syncs."""
    cycles = []
    for turn in range(first_turn, first_turn + CYCLES):
        ask = Request(f"{asked['source']}/change?count={asked['changes']}&turn={turn}", method="POST")  # noqa: S310
        urlopen(ask).close()  # noqa: S310
        cycles.append(measured(work))
    return sorted(cycles, key=lambda each: each["wall_s"])[CYCLES // 2] | {
        "cpu_s": statistics.median(each["cpu_s"] for each in cycles)
    }


@contextmanager
def profiled(lines: int) -> Iterator[None]:
    """A profile of the main thread, to the error stream."""
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        for order in ("cumulative", "tottime"):
            pstats.Stats(profile, stream=sys.stderr).sort_stats(order).print_stats(lines)


if __name__ == "__main__":
    sys.stdout.write(orjson.dumps(run(orjson.loads(sys.argv[1]))).decode() + "\n")
