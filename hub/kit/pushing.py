"""Results of a push: one per change, also when a whole call failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from hub.errors import HubError, NotFound, OutcomeUnknown, PreconditionFailed, RecordRejected, RetryLater, SignInExpired
from hub.model import ChangeSet, PushResult, SourceRecord

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


def send_in_turn(sends: Iterable[Send], clock: Callable[[], float]) -> list[PushResult]:
    """Make the calls of a push one after the other; a result for each change, in the order of the changes.

    After a call that must be waited for or settled, and after 30 s, no other is started: its changes were certainly
    not sent.

    Args:
        sends: the calls, lazily.
        clock: the door's clock.
    """
    started, stopped = clock(), False
    results: list[PushResult] = []
    for indexes, send in sends:
        if stopped or clock() - started > START_WITHIN_S:
            results += _not_sent(indexes)
            continue
        try:
            answered = send()
        except HubError as error:
            answered = failed_results(indexes, error)
        results += answered
        stopped = _must_stop(answered)
    return sorted(results, key=lambda result: result.index)


def send_each(
    changes: Sequence[ChangeSet], send: Callable[[int, ChangeSet], list[PushResult]], clock: Callable[[], float]
) -> list[PushResult]:
    """`send_in_turn` where each change is a call of its own: `send` is given its position and the change."""
    return send_in_turn((([index], partial(send, index, change)) for index, change in enumerate(changes)), clock)


def send_batches(
    batches: Iterable[Sequence[int]],
    send: Callable[[Sequence[int]], list[PushResult]],
    clock: Callable[[], float],
    refused: Callable[[int, RecordRejected], PushResult] = lambda index, error: failed_results([index], error)[0],
) -> list[PushResult]:
    """`send_in_turn` for a vendor that refuses a whole batch because of one row: that row is found by halves.

    Each step sends half of the suspects: accepted, the bad row is in the other half; refused, it is in this one, and
    the other half waits, to be sent whole at the end. So a bad row costs ⌈log₂ n⌉ + 1 extra calls (fault matrix, 28).

    Args:
        batches: positions of the changes that go together.
        send: makes one call; raises RecordRejected if nothing of the batch was written because of a row in it.
        clock: the door's clock.
        refused: the result of a row that was found to be the bad one.
    """
    waiting, turns = deque(batches), _Turns(send, clock)
    while waiting:
        suspects, cleared = waiting.popleft(), list[int]()
        error = turns.take(suspects)
        while error is not None and len(suspects) > 1:
            first, second = suspects[: len(suspects) // 2], suspects[len(suspects) // 2 :]
            inner = turns.take(first)
            if turns.stopped:
                turns.results += _not_sent(second)
                error = None
            elif inner is None:
                suspects = second
            else:
                suspects, error = first, inner
                cleared += second
        if error is not None:
            turns.results.append(refused(suspects[0], error))
        if cleared:
            waiting.appendleft(cleared)
    return sorted(turns.results, key=lambda result: result.index)


class _Turns:
    """The calls of one push: their results, and whether another may be started."""

    def __init__(self, send: Callable[[Sequence[int]], list[PushResult]], clock: Callable[[], float]) -> None:
        self._send, self._clock = send, clock
        self._started = clock()
        self._stopped = False
        self.results: list[PushResult] = []

    @property
    def stopped(self) -> bool:
        return self._stopped or self._clock() - self._started > START_WITHIN_S

    def take(self, indexes: Sequence[int]) -> RecordRejected | None:
        """Make one call; the error, if the vendor refused the batch as a whole. What is not sent is noted so."""
        if self.stopped:
            self.results += _not_sent(indexes)
            return None
        try:
            answered = self._send(indexes)
        except RecordRejected as error:
            return error
        except HubError as error:
            answered = failed_results(indexes, error)
        self.results += answered
        self._stopped = _must_stop(answered)
        return None


def _must_stop(answered: Iterable[PushResult]) -> bool:
    return any(result.outcome in ("unknown", "throttled", "auth_expired") for result in answered)


def _not_sent(indexes: Iterable[int]) -> list[PushResult]:
    return [PushResult(index=index, outcome="throttled", code="PUSH-NOT-SENT") for index in indexes]


def made_before(look: Callable[[], Sequence[SourceRecord]], index: int, code: str, *, where: str) -> list[PushResult]:
    """What a refused create had made already, at an earlier attempt: a duplicate; empty if there is nothing.

    Args:
        look: asks for what was to be made, a strong read.
        index: of the change.
        code: of the refusal.

    Raises OutcomeUnknown: it cannot be read now, so the refusal proves nothing.
    """
    try:
        there = list(look())
    except HubError as error:
        message = f"it was refused, and whether it is there already cannot be read ({error.code})"
        raise OutcomeUnknown(message, where=where) from None
    return [
        PushResult(index=index, outcome="duplicate", existing_id=held.external_id, held=held, code=code)
        for held in there[:1]
    ]
