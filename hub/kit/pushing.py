"""Results of a push: one per change, also when a whole call failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

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


Send = tuple[Sequence[int], Callable[[], list[PushResult]]]  # positions of the changes in a call, and the call


def send_in_turn(sends: Iterable[Send], now: Callable[[], float]) -> list[PushResult]:
    """Make the calls of a push one after the other; a result for each change, in the order of the changes.

    After a call that must be waited for or settled, and after 30 s, no other is started: its changes were certainly
    not sent.

    Args:
        sends: the calls, lazily.
        now: the door's clock.
    """
    started, stopped = now(), False
    results: list[PushResult] = []
    for indexes, send in sends:
        if stopped or now() - started > START_WITHIN_S:
            results += [PushResult(index=index, outcome="throttled", code="PUSH-NOT-SENT") for index in indexes]
            continue
        try:
            answered = send()
        except HubError as error:
            answered = failed_results(indexes, error)
        results += answered
        stopped = any(result.outcome in ("unknown", "throttled", "auth_expired") for result in answered)
    return sorted(results, key=lambda result: result.index)
