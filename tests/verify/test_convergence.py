"""The simulator over the real engine: no law broken in 500 histories, and every planted fault found."""

from __future__ import annotations

import pytest

from hub.verify.convergence import PLANTABLE, run_seed, verify

SEEDS, STEPS = 500, 200
FAULTS = (
    "no_shadow",
    "agreed_on_lost",
    "no_intent",
    "stale_reads",
    "push_if_differs",
    "no_conflict_log",
    "no_adopt",
    "no_settle",
    "no_put_off",
)
PLANTED_WITHIN = 500  # histories in which a planted fault must be found


@pytest.mark.timeout(600)
def test_five_hundred_histories_break_no_law() -> None:
    report = verify(range(SEEDS), steps=STEPS)
    broken = [f"seed {result.seed}: {result.errors[:2]}" for result in report.failures]
    assert broken == []
    assert report.seeds == SEEDS
    for thing in ("crash", "writes", "exposed", "push:RetryLater", "pull:RetryLater"):
        assert report.counts[thing] > 0, f"no history had any {thing}: the green says little"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    assert fault in PLANTABLE
    report = verify(range(PLANTED_WITHIN), steps=STEPS, planted=[fault], stop_at_first=True)
    assert report.failures, f"{fault}: {PLANTABLE[fault]}, and no law noticed"


def test_the_same_seed_tells_the_same_story() -> None:
    first, second = run_seed(7, steps=80), run_seed(7, steps=80)
    assert (first.errors, first.counts) == (second.errors, second.counts)
