"""Budgets that all processes of a hub share: counted in the store, in parts of their time.

A budget of 100 calls per 10 s is kept as what was used in each fortieth of those 10 s. A part counts until it lies
wholly outside the window, so that the vendor, whatever clock it counts by, never sees more than it allows; that costs
at most one part in forty of the pace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyrate_limiter import AbstractBucket, Rate, RateItem
from pyrate_limiter.abstracts.algorithm import ADMITTED, Decision

from hub.app.context import Hub
from hub.app.transact import commit
from hub.connector import RateLimit
from hub.runtime.budgets import Budgets, PauseShelf
from hub.runtime.clock import Clock
from hub.store import Tx

PARTS = 40  # of a budget's time


class SharedBucket(AbstractBucket):
    """One budget of one connection; time is epoch milliseconds, since machines share no other."""

    is_async = False

    def __init__(self, hub: Hub, connection: str, name: str, rates: list[Rate]) -> None:
        self._hub, self._connection, self._name = hub, connection, name
        self.rates = rates

    def put(self, item: RateItem) -> bool:
        """Takes of the budget, or tells when something of it will be free."""
        return self._record(item, commit(self._hub, lambda tx: self._decided(tx, item)))

    def _decided(self, tx: Tx, item: RateItem) -> Decision:
        rate = self.rates[0]
        part_ms = self._part_ms()
        tx.lock_rate(self._connection, self._name)
        used = tx.rate_used(self._connection, self._name, self._first_part(item.timestamp))
        if used and sum(n for _, n in used) + item.weight > rate.limit:
            free_at = (self._last_in_the_way(used, item.weight) + 1) * part_ms + rate.interval
            return Decision(failing_rate=rate, retry_after_ms=max(1, free_at - item.timestamp))
        part = item.timestamp // part_ms
        if not used or used[-1][0] < part:  # a new part begins: the oldest no longer count
            tx.forget_rate(self._connection, self._name, self._first_part(item.timestamp))
        tx.use_rate(self._connection, self._name, part, item.weight)
        return ADMITTED

    def _last_in_the_way(self, used: list[tuple[int, int]], weight: int) -> int:
        """The part after whose end there is room."""
        total = sum(n for _, n in used)
        for part, n in used:
            total -= n
            if total + weight <= self.rates[0].limit:
                return part
        return used[-1][0]

    def _part_ms(self) -> int:
        return max(1, self.rates[0].interval // PARTS)

    def _first_part(self, now_ms: int) -> int:
        """The oldest part that does not lie wholly before the window."""
        return (now_ms - self.rates[0].interval) // self._part_ms()

    def leak(self, current_timestamp: int | None = None) -> int:
        """Nothing: what no longer counts is forgotten by the way."""
        return 0

    def flush(self) -> None:
        commit(self._hub, lambda tx: tx.forget_rate(self._connection, self._name, 2**62))

    def count(self) -> int:
        with self._hub.store.reading() as tx:
            used = tx.rate_used(self._connection, self._name, self._first_part(int(self._hub.clock.now() * 1000)))
        return sum(n for _, n in used)

    def peek(self, index: int) -> Any:
        """None: no single calls are kept."""
        return None


def shared_budgets(hub: Hub) -> Callable[..., Budgets]:
    """A maker of budgets whose use and pauses every process of this hub knows of."""

    def make(limits: Sequence[RateLimit], *, clock: Clock, reserve: float, where: str) -> Budgets:
        pause = f"pause:{where}"

        def save(until: float) -> None:
            commit(hub, lambda tx: tx.set_setting(pause, until))

        def load() -> float:
            with hub.store.reading() as tx:
                return float(tx.setting(pause) or 0.0)

        return Budgets(
            limits, clock=clock, reserve=reserve, where=where, tick=clock.now,
            make_bucket=lambda name, rates: SharedBucket(hub, where, name, rates),
            pauses=PauseShelf(save=save, load=load),
        )  # fmt: skip

    return make
