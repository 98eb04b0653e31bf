"""unmerge(merge(s)) == s, over the hub and every system, in 500 companies; and each planted fault is found."""

from __future__ import annotations

import pytest

from hub.core.planted import PLANTED
from hub.verify.unmerge import KINDS, PLANTABLE, run_seed, verify

SEEDS = 500
PLANTED_WITHIN = 50  # companies in which a planted fault must be found


@pytest.mark.long
@pytest.mark.timeout(900)
def test_what_was_merged_and_split_is_as_it_was_in_five_hundred_companies() -> None:
    told: list[int] = []
    report = verify(range(SEEDS), progress=lambda result: told.append(result.seed))
    assert [f"seed {result.seed}: {result.errors[:2]}" for result in report.failures] == []
    assert (report.seeds, told) == (SEEDS, list(range(SEEDS)))
    for thing in {*KINDS, "writes"}:
        assert report.counts[thing] > 20, f"hardly any {thing}: the green says little"


def test_what_was_merged_and_split_is_as_it_was_in_forty_companies() -> None:
    report = verify(range(40))
    assert [f"seed {result.seed}: {result.errors[:2]}" for result in report.failures] == []


@pytest.mark.parametrize("fault", PLANTABLE)
def test_a_planted_fault_is_found(fault: str) -> None:
    report = verify(range(PLANTED_WITHIN), planted=[fault], stop_at_first=True)
    assert report.failures, f"{fault}: {PLANTABLE[fault]}, and no law noticed"
    assert report.failures[0].story
    assert set() == PLANTED, "nothing stays planted"


def test_the_same_seed_tells_the_same_story() -> None:
    first, second = run_seed(7), run_seed(7)
    assert (first.errors, first.counts) == (second.errors, second.counts)


@pytest.mark.parametrize("seed", range(6))
def test_on_postgresql_it_is_the_same(seed: int, migrated_url: str) -> None:
    assert run_seed(seed, url=migrated_url).errors == []
