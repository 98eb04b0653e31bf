"""Undo, by seeded histories: no law broken, on both databases; and the oracle sees what is planted."""

from __future__ import annotations

import pytest

from hub.core.planted import PLANTED
from hub.verify.undo import PLANTABLE, run_seed, verify

SEEDS = 60
PLANTED_WITHIN = 200  # histories in which a planted fault must be found


@pytest.mark.timeout(600)
def test_undo_restores_what_nobody_edited_since_in_every_history() -> None:
    report = verify(range(SEEDS))
    assert [f"seed {result.seed}: {result.errors[:2]}" for result in report.failures] == []
    assert report.seeds == SEEDS
    for thing in ("changed by the syncs", "put back", "left", "crash"):
        assert report.counts[thing] > 0, f"no history had any {thing}: the green says little"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(1000, 1006))
def test_a_history_ends_the_same_on_either_database(database_url: str, seed: int) -> None:
    assert run_seed(seed, steps=20, url=database_url).errors == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", PLANTABLE)
def test_a_planted_fault_is_found(fault: str) -> None:
    report = verify(range(PLANTED_WITHIN), planted=[fault], stop_at_first=True)
    assert report.failures, f"{fault}: {PLANTABLE[fault]}, and no law noticed"
    assert not PLANTED, "planted in the processes that ran the histories alone"
