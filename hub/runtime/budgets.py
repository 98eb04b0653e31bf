"""How fast a connection may call: its declared budgets, what the vendor says is used, and the pauses it asks for.

All budgets that cover a call's label hold at once. Of budgets shared with other apps of the account a reserve is left
to people. After a throttling without a wait named, the pace is halved and recovers step by step.

Two workers, one pause: worker A is told "Retry-After: 7" and stores the moment; worker B, about to call, finds it and
waits too. So no call leaves the connection before the vendor's wait is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from pyrate_limiter import AbstractBucket, InMemoryBucket, Rate, RateItem

from hub.connector import RateLimit
from hub.errors import QuotaUsedUp, RetryLater
from hub.runtime.clock import Clock

_LONG_S = 600.0  # a budget at least this long is a quota: running out of it is a pause, not a wait
_LOOK_AGAIN_S = 900.0  # a quota that the vendor says is used up is asked again after this
_SLOWEST = 1 / 16  # lower end of the pace
_RECOVERY = 0.02  # share of the full pace won back with each call that went through

MakeBucket = Callable[[str, list[Rate]], AbstractBucket]


def in_memory(_name: str, rates: list[Rate]) -> AbstractBucket:
    """A bucket of this process. Workers on PostgreSQL hand in a maker of shared ones."""
    return InMemoryBucket(rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseShelf:
    """Where a pause is kept for other processes: epoch seconds until which no call leaves."""

    save: Callable[[float], None]
    load: Callable[[], float]


class Budgets:
    """The budgets of one connection.

    Args:
        limits: as the connector declares them.
        clock: for waits.
        reserve: share (0–1) of shared budgets that is left to people.
        where: connection, for messages.
        make_bucket: (name, rates) -> bucket.
        tick: seconds that buckets count in; a bucket shared by machines needs wall time.
        pauses: shares pauses with other processes; None: there are none.
    """

    def __init__(
        self,
        limits: Sequence[RateLimit],
        *,
        clock: Clock,
        reserve: float = 0.2,
        where: str = "",
        make_bucket: MakeBucket = in_memory,
        tick: Callable[[], float] | None = None,
        pauses: PauseShelf | None = None,
    ) -> None:
        self._clock = clock
        self._reserve = reserve
        self._where = where
        self._pauses = pauses
        self._tick = tick or clock.monotonic
        self._lock = threading.Lock()
        self._limits = sorted((limit for limit in limits if limit.unit != "at_once"), key=lambda limit: -limit.per_s)
        self._buckets = {limit.name: make_bucket(limit.name, [self._rate(limit)]) for limit in self._limits}
        self._gates = [(limit, threading.BoundedSemaphore(limit.calls)) for limit in limits if limit.unit == "at_once"]
        self._used: dict[str, tuple[int, int, float]] = {}  # limit -> used, of, when told
        self._left: dict[str, list[tuple[float, int]]] = {}  # limit -> until when (monotonic), how much was not needed
        self._resume_at = 0.0  # monotonic
        self._share = 1.0  # of the full pace
        self._next_at = 0.0  # monotonic; only while the pace is below full

    def _rate(self, limit: RateLimit) -> Rate:
        share = 1.0 - self._reserve if limit.shared else 1.0
        return Rate(max(1, int(limit.calls * share)), max(1, round(limit.per_s * 1000)))

    @contextmanager
    def using(self, operation: str, *, cost: int, patience_s: float) -> Iterator[None]:
        """Around one call: waits its turn first. Raises RetryLater or QuotaUsedUp if that takes over `patience_s`."""
        self._wait_for_resume(patience_s)
        self._check_quotas()
        for limit in self._limits:
            told = limit.name in self._used  # the vendor's own figure replaces ours
            if not told and (not limit.operations or operation in limit.operations):
                self._take(limit, operation, cost if limit.unit != "calls" else 1, patience_s)
        self._keep_pace(patience_s)
        with ExitStack() as stack:
            for limit, gate in self._gates:
                if not limit.operations or operation in limit.operations:
                    stack.enter_context(gate)
            yield

    def _wait_for_resume(self, patience_s: float) -> None:
        wait = self.paused_s()
        if wait > patience_s:
            raise RetryLater("the vendor asked for a pause", after_s=wait, code="NET-PAUSED", where=self._where)
        self._clock.sleep(wait)

    def _take(self, limit: RateLimit, operation: str, weight: int, patience_s: float) -> None:
        bucket = self._buckets[limit.name]
        weight = min(weight, bucket.rates[0].limit)  # a call dearer than the whole budget waits for all of it
        while True:
            now_ms = int(self._tick() * 1000)
            with self._lock:
                left = self._left_over(limit.name, weight)
                decision = None
                if left < weight:
                    bucket.leak(now_ms)
                    decision = bucket.put_decision(RateItem(operation, now_ms, weight - left))
                if decision is None or decision.allowed:  # type: ignore[union-attr]  # async buckets are never handed in
                    self._use_up(limit.name, left)
                    return
            wait = max((decision.retry_after_ms or 0) / 1000.0, 0.001)  # type: ignore[union-attr]
            if wait > patience_s:
                error = QuotaUsedUp if limit.per_s >= _LONG_S else RetryLater
                raise error(f"the budget {limit.name} is used up", after_s=wait, code="NET-QUOTA", where=self._where)
            self._clock.sleep(wait)

    def give_back(self, name: str, amount: int) -> None:
        """A call took so much more of a budget than it needed: the next ones have it, soon.

        Only for a quarter of the budget's span: what a call of theirs really takes counts from then on, while ours
        leaves the span earlier. By then three quarters of the budget have come back.
        """
        limit = next((each for each in self._limits if each.name == name), None)
        if limit is not None and amount > 0:
            with self._lock:
                until = self._clock.monotonic() + limit.per_s / 4
                self._left.setdefault(name, []).append((until, amount))

    def _left_over(self, name: str, wanted: int) -> int:
        """What others have left over by now, up to that much."""
        now = self._clock.monotonic()
        self._left[name] = [each for each in self._left.get(name, ()) if each[0] > now]
        return min(wanted, sum(amount for _, amount in self._left[name]))

    def _use_up(self, name: str, amount: int) -> None:
        rest = []
        for until, left in self._left[name]:
            taken = min(amount, left)
            amount -= taken
            if left > taken:
                rest.append((until, left - taken))
        self._left[name] = rest

    def _check_quotas(self) -> None:
        now = self._clock.monotonic()
        for name, (used, of, told_at) in list(self._used.items()):
            left = now - told_at
            if used >= of * (1.0 - self._reserve) and left < _LOOK_AGAIN_S:
                raise QuotaUsedUp(
                    f"{used} of {of} calls of {name} are used; the rest is left to people",
                    after_s=_LOOK_AGAIN_S - left,
                    where=self._where,
                )

    def _keep_pace(self, patience_s: float) -> None:
        with self._lock:
            if self._share >= 1.0:
                return
            now = self._clock.monotonic()
            at = max(now, self._next_at)
            self._next_at = at + self._usual_gap() / self._share
        self._clock.sleep(min(at - now, patience_s))

    def _usual_gap(self) -> float:
        return min((limit.per_s / limit.calls for limit in self._limits), default=0.1)

    def paused_s(self) -> float:
        """Seconds until the vendor's wait is over; 0: it is."""
        return max(0.0, self._resume_at - self._clock.monotonic())

    def pause(self, seconds: float) -> None:
        """No call of this connection leaves for so long."""
        with self._lock:
            self._resume_at = max(self._resume_at, self._clock.monotonic() + seconds)
        if self._pauses is not None:
            self._pauses.save(self._clock.now() + self.paused_s())

    def new_run(self) -> None:
        """What another process was told holds here, too."""
        if self._pauses is not None:
            left = self._pauses.load() - self._clock.now()
            with self._lock:
                self._resume_at = max(self._resume_at, self._clock.monotonic() + left)

    def slow_down(self) -> None:
        """Throttled without being told for how long: half the pace."""
        with self._lock:
            self._share = max(_SLOWEST, self._share / 2)

    def went_through(self) -> None:
        """A call was answered: the pace recovers a little."""
        if self._share < 1.0:
            with self._lock:
                self._share = min(1.0, self._share + _RECOVERY)

    def told(self, name: str, used: int, of: int) -> None:
        """The vendor's own figure for a budget. A quota: what all apps and people have used. A short one: its size."""
        limit = next((each for each in self._limits if each.name == name), None)
        if limit is None or limit.per_s >= _LONG_S:
            self._used[name] = (used, of, self._clock.monotonic())
        elif of > 0 and of != limit.calls:
            with self._lock:
                self._limits[self._limits.index(limit)] = replace(limit, calls=of)
                self._buckets[name].rates = [self._rate(replace(limit, calls=of))]
