"""Results of a push: one per change, whatever fails, and a bad row found in few calls."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import HubError, NotFound, OutcomeUnknown, PreconditionFailed, RecordRejected, RetryLater, SignInExpired
from hub.kit.pushing import failed_results, send_batches, send_in_turn
from hub.model import PushResult


def applied(indexes: Sequence[int]) -> list[PushResult]:
    return [PushResult(index=index, outcome="applied") for index in indexes]


class Vendor:
    """Refuses a batch as a whole if a bad row is in it."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.calls, self.written = bad, 0, list[int]()

    def __call__(self, indexes: Sequence[int]) -> list[PushResult]:
        self.calls += 1
        if self.bad & set(indexes):
            raise RecordRejected("one of these", code="BAD")
        self.written += indexes
        return applied(indexes)


@given(size=st.integers(1, 100), bad=st.sets(st.integers(0, 99), max_size=4))
def test_every_row_gets_its_result_and_good_rows_are_written_once(size: int, bad: set[int]) -> None:
    vendor = Vendor({index for index in bad if index < size})
    results = send_batches([range(size)], vendor, lambda: 0.0)
    assert [result.index for result in results] == list(range(size))
    assert {result.index for result in results if result.outcome == "rejected"} == vendor.bad
    assert sorted(vendor.written) == [index for index in range(size) if index not in vendor.bad]


@pytest.mark.parametrize("size", [1, 2, 3, 64, 100])
def test_a_bad_row_costs_no_more_than_log2_and_one_extra_calls(size: int) -> None:
    for bad in range(size):
        vendor = Vendor({bad})
        send_batches([range(size)], vendor, lambda: 0.0)
        assert vendor.calls - 1 <= ceil(log2(size)) + 1


def test_after_an_unknown_answer_nothing_else_is_sent() -> None:
    def send(indexes: Sequence[int]) -> list[PushResult]:
        raise OutcomeUnknown("no answer")

    results = send_batches([[0, 1], [2]], send, lambda: 0.0)
    assert [(result.outcome, result.code) for result in results] == [
        ("unknown", "NET-UNKNOWN"),
        ("unknown", "NET-UNKNOWN"),
        ("throttled", "PUSH-NOT-SENT"),
    ]


def test_a_call_that_could_not_start_in_time_is_not_started() -> None:
    clock = iter([0.0, 0.0, 31.0, 31.0, 31.0])
    results = send_in_turn([([0], lambda: applied([0])), ([1], lambda: applied([1]))], lambda: next(clock))
    assert [result.outcome for result in results] == ["applied", "throttled"]


def test_what_is_left_when_time_runs_out_while_splitting_is_not_sent() -> None:
    times = iter([0.0, 0.0, 0.0, 0.0, 31.0, *[31.0] * 20])
    vendor = Vendor({3})
    results = send_batches([range(4)], vendor, lambda: next(times))
    assert [result.index for result in results] == [0, 1, 2, 3]
    assert {result.outcome for result in results} <= {"applied", "throttled"}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (OutcomeUnknown("x"), "unknown"),
        (RetryLater("x", after_s=3.0), "throttled"),
        (SignInExpired("x"), "auth_expired"),
        (PreconditionFailed("x"), "stale"),
        (NotFound("x"), "not_found"),
        (RecordRejected("x", field="email"), "rejected"),
        (HubError("x"), "rejected"),
    ],
)
def test_a_failed_call_is_one_outcome_for_all_its_rows(error: HubError, outcome: str) -> None:
    results = failed_results([4, 7], error)
    assert [(result.index, result.outcome) for result in results] == [(4, outcome), (7, outcome)]
    assert results[0].retry_after_s == (3.0 if outcome == "throttled" else None)
    assert results[0].field == ("email" if isinstance(error, RecordRejected) else "")
