"""The simulator over the real engine: no law broken by the seeds that once failed, nor by others.

HUB_SEED_BASE=day takes new ones each day (`make verify` always does), a number those from there on.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import pytest

from hub.verify.convergence import Report, run_seed, verify
from hub.verify.situations import SITUATIONS, missing
from hub.verify.trust import seed_of_day, stored_seeds
from hub.verify.world import draw_swarm

ROOT = Path(__file__).parents[2]
ASKED = os.environ.get("HUB_SEED_BASE", "0")
BASE = seed_of_day(datetime.now(UTC)) if ASKED == "day" else int(ASKED)
CHUNK, CHUNKS = 125, 4


def broken(report: Report) -> list[str]:
    return [f"seed {result.seed}: {result.errors[:2]}" for result in report.failures]


@pytest.mark.timeout(900)
def test_seeds_that_once_failed_break_no_law() -> None:
    assert broken(verify(stored_seeds(ROOT), jobs=1)) == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_histories_break_no_law(chunk: int) -> None:
    first = BASE + chunk * CHUNK
    report = verify(range(first, first + CHUNK), jobs=1)
    assert broken(report) == [], f"HUB_SEED_BASE={BASE} runs them again"
    for thing in ("crash", "writes", "in:adopted", "in:deleted", "ruling", "run:success", "push:RetryLater"):
        assert report.counts[thing] > 0, f"no history had any {thing}: the green says little"


def test_every_situation_is_one_that_histories_count() -> None:
    assert len(SITUATIONS) >= 40
    assert missing(Counter(dict.fromkeys(SITUATIONS, 1))) == []
    assert missing(Counter()) == list(SITUATIONS)


def test_a_fifth_of_the_seeds_lives_by_one_channel_and_a_sixth_without_overlap() -> None:
    import random

    swarms = [draw_swarm(random.Random(f"world-{seed}")) for seed in range(2000)]
    for channel in ("polls", "hooks"):
        assert sum(swarm.channel == channel for swarm in swarms) >= 0.15 * len(swarms)
    assert sum(swarm.bare for swarm in swarms) >= 0.15 * len(swarms)


def _trace(seed: int) -> str:
    return run_seed(seed, steps=60).trace


def test_the_same_seed_tells_the_same_story_in_another_process() -> None:
    seeds = range(BASE, BASE + 4)
    with get_context("spawn").Pool(1) as pool:  # with a hash seed of its own
        there = pool.map(_trace, seeds)
    assert there == [_trace(seed) for seed in seeds]
