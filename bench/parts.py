"""A first load by several workers on PostgreSQL: one runs it, the others help (hub.app.parts).

`load` starts the workers as processes of their own and tells how long the load took; a worker is this module, run:
`python -m bench.parts '{"folder": …, "url": …, "helps": bool}'`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from hub.app.context import Hub
from hub.app.parts import help_read
from hub.app.pull import pages, pull_stream

PAUSE_S = 0.02
STREAM = "contacts"

Worker = subprocess.Popen[str]


def start(folder: Path, url: str, *, helps: bool) -> Worker:
    """A worker; it says a line once it is ready, begins at the next line it is given, and says one more at its end."""
    asked = orjson.dumps({"folder": str(folder), "url": url, "helps": helps}).decode()
    command = [sys.executable, "-m", "bench.parts", asked]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line_of(worker: Worker) -> str:
    assert worker.stdout is not None  # noqa: S101
    return worker.stdout.readline().strip()


def begin(worker: Worker) -> None:
    assert worker.stdin is not None  # noqa: S101
    worker.stdin.write("go\n")
    worker.stdin.flush()


@contextmanager
def workers(folder: Path, url: str, helpers: int) -> Iterator[tuple[Worker, Sequence[Worker]]]:
    """The one that runs the load, and its helpers; all ready."""
    started = [start(folder, url, helps=place > 0) for place in range(helpers + 1)]
    try:
        for each in started:
            line_of(each)
        yield started[0], started[1:]
    finally:
        for each in started:
            each.kill()
            each.communicate()


def load(folder: Path, url: str, helpers: int) -> dict[str, Any]:
    """Wall seconds of a first load of both systems, and what was read."""
    with workers(folder, url, helpers) as (runs, others):
        began = time.perf_counter()
        for each in (*others, runs):
            begin(each)
        told = line_of(runs)
        if not told:
            raise RuntimeError("the worker that ran the load died")
        return {"wall_s": time.perf_counter() - began, "result": orjson.loads(told)}


def read_all(hub: Hub) -> Counter[str]:
    """Run the load: every stream, in parts where there are others."""
    hub.call_helpers = lambda _connection, _stream, _many: None  # they look by themselves
    total: Counter[str] = Counter()
    for connection in hub.connections.values():
        total += pull_stream(hub, connection, STREAM, run_id=None, tally=Counter())
    return total


def help_until_done(hub: Hub) -> None:
    while not _all_read(hub):
        if not sum(help_read(hub, connection, STREAM, pages) for connection in hub.connections.values()):
            time.sleep(PAUSE_S)


def _all_read(hub: Hub) -> bool:
    with hub.store.reading() as tx:
        return all((tx.cursor(name, STREAM) or {}).get("first_done") for name in hub.connections)


def main(asked: dict[str, Any]) -> None:
    from bench import load as loading

    loading.find_own_connectors()
    with loading.opened(Path(asked["folder"]), asked["url"]) as hub:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        if asked["helps"]:
            help_until_done(hub)
        else:
            sys.stdout.write(orjson.dumps(read_all(hub)).decode() + "\n")


if __name__ == "__main__":
    main(orjson.loads(sys.argv[1]))
