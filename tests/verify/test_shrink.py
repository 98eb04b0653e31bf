"""A failing history is made small: fewer steps, the same law, a story of at most 20 lines."""

from __future__ import annotations

import pytest

from hub.core.planted import PLANTED
from hub.verify.convergence import run_seed
from hub.verify.shrink import shrink


@pytest.fixture
def planted() -> object:
    PLANTED.add("recreate_gone")
    yield
    PLANTED.clear()


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("planted")
def test_what_it_takes_to_break_a_law_is_told_in_twenty_lines() -> None:
    seed = next(seed for seed in range(20) if run_seed(seed).errors)
    whole = run_seed(seed)
    small = shrink(whole, steps=200, budget_s=60.0)
    assert small.errors[0].split()[0] == whole.errors[0].split()[0]
    assert len(small.story) <= 20
    assert small.counts["edits"] < whole.counts["edits"]
    assert sum("person deletes" in line for line in small.story) >= 1  # it takes a delete, and that is told
