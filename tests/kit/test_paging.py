"""Reading up the time of change: equal stamps at a page's edge, and a vendor that repeats itself."""

from __future__ import annotations

import pytest

from hub.errors import NeedsReview
from hub.kit.paging import next_in_time


def test_the_bound_moves_to_the_last_second_of_a_page() -> None:
    assert next_in_time(None, 1, 50.0, step=1, within=False, fresh=True, where="x") == (50.0, 1)
    assert next_in_time(50.0, 3, 60.0, step=1, within=False, fresh=True, where="x") == (60.0, 1)


def test_a_second_with_more_rows_than_a_page_is_gone_through_by_position() -> None:
    assert next_in_time(None, 1, 50.0, step=1000, within=True, fresh=True, where="x") == (None, 1001)
    assert next_in_time(50.0, 1001, 50.0, step=1000, within=True, fresh=True, where="x") == (50.0, 2001)


@pytest.mark.parametrize(
    ("low", "position", "within", "fresh"),
    [(50.0, 1, False, True), (50.0, 2, True, False), (None, 3, True, False)],
)
def test_a_vendor_that_repeats_itself_is_found_out(low: float | None, position: int, within: bool, fresh: bool) -> None:
    with pytest.raises(NeedsReview, match="PAGE-LOOP"):
        next_in_time(low, position, 50.0, step=1, within=within, fresh=fresh, where="x")
