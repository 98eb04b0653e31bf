"""Results of a push: one per change, also when a whole call failed."""

from __future__ import annotations

from collections.abc import Iterable

from hub.errors import HubError, NotFound, OutcomeUnknown, PreconditionFailed, RecordRejected, RetryLater, SignInExpired
from hub.model import PushResult

START_WITHIN_S = 30.0  # a push stops starting calls after this: the deadline of its intents counts on it


def failed_results(indexes: Iterable[int], error: HubError) -> list[PushResult]:
    """What a failed call means for the changes that were in it.

    Args:
        indexes: positions of those changes in the list given to `push`.
        error: what the door raised.
    """
    outcome = _outcome(error)
    wait = error.after_s if isinstance(error, RetryLater) else None
    field = error.field if isinstance(error, RecordRejected) else ""
    return [
        PushResult(
            index=index, outcome=outcome, code=error.code, field=field, message=error.message, retry_after_s=wait
        )
        for index in indexes
    ]


def _outcome(error: HubError) -> str:
    if isinstance(error, OutcomeUnknown):
        return "unknown"
    if isinstance(error, RetryLater):
        return "throttled"
    if isinstance(error, SignInExpired):
        return "auth_expired"
    if isinstance(error, PreconditionFailed):
        return "stale"
    if isinstance(error, NotFound):
        return "not_found"
    return "rejected"


def not_sent(indexes: Iterable[int]) -> list[PushResult]:
    """Changes whose call was not started because the push ran out of time, or an earlier call must be settled."""
    return [PushResult(index=index, outcome="throttled", code="PUSH-NOT-SENT") for index in indexes]
