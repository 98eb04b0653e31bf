"""A hub in several processes: one keeps the clock, two work; `kill -9` of a worker in the middle costs nothing."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.commands import start
from tests.e2e.test_kill import World, state_of, world
from tests.postgres import Server

WITHIN_S = 100.0  # a dead worker is noticed after 20 s; the rest is for slow machines


@contextmanager
def process(arguments: list[str], hit: World) -> Iterator[subprocess.Popen[bytes]]:
    """`hub …` as a person starts it; killed at the end if it still runs."""
    found = start(arguments, hit.folder, hit.url)
    try:
        assert found.stdout is not None
        assert found.stdout.readline(), found.communicate()[1]  # it says that it runs
        yield found
    finally:
        found.kill()
        found.communicate()


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def all_ran(hit: World) -> bool:
    with hit.hub() as hub, hub.store.reading() as tx:
        return all(any(slot.outcome == "ran" for slot in tx.slots(name)) for name in hub.connections)


@pytest.mark.timeout(300)
def test_a_worker_killed_in_the_middle_is_replaced_and_nothing_is_lost_or_doubled(
    postgres: Server, migrated_postgres: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(postgres.database(template=migrated_postgres))
        hit = stack.enter_context(world(float(int(time.time())), tmp_path / "project", url))
        first = stack.enter_context(process(["worker", "--jobs", "2"], hit))
        clock = stack.enter_context(process(["run", "--queue", "--port", "0"], hit))
        assert until(lambda: hit.calls() >= 3), "nobody took a job"
        first.send_signal(signal.SIGKILL)
        second = stack.enter_context(process(["worker", "--jobs", "2"], hit))
        assert until(lambda: all_ran(hit)), "nobody took over"
        for each in (clock, second):
            each.send_signal(signal.SIGTERM)
            assert each.wait(timeout=40) == 0
        hit.until_quiet()
        state_of(hit)  # hub and systems agree, record by record; no record twice, no entity invented
