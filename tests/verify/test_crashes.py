"""A history crashed at every single point, and one of which every call and commit fails, ends as it should."""

from __future__ import annotations

import pytest

from hub.verify.convergence import run_seed
from hub.verify.crashes import PLAIN, STEPS, everywhere, points
from hub.verify.history import Strike

SEED = 0


@pytest.mark.parametrize("at", [39, 43])
def test_a_write_that_never_left_is_settled_though_its_record_became_a_second_one(at: int) -> None:
    """B2 has an open write when its entity is merged with that of B3; nobody writes B2 again, and nobody would ask."""
    assert run_seed(5, steps=STEPS, cuts=PLAIN, strike=Strike(kind="crash", at=at)).errors == []


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_crash_at_every_point_breaks_no_law() -> None:
    report = everywhere([SEED], crash=True)
    assert [each.errors[0] for each in report.failures] == []
    assert report.seeds == points(SEED)["seam"]
    assert report.counts["crash"] >= 0.9 * report.seeds  # each run died once; those in a webhook's intake, there


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_call_and_commit_may_fail_once_and_for_good() -> None:
    report = everywhere([SEED], crash=False)
    assert [each.errors[0] for each in report.failures] == []
    there = points(SEED)
    assert report.seeds == 2 * (there["call"] + there["commit"])
