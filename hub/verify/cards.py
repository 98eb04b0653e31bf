"""A provider of gift cards for the simulator and the tests: of any class of reliability.md §4.9, and rude.

It loses answers before and after an order exists, lets orders land long after their answer was lost, refuses,
throttles, and shows orders to a look-up only after a while. Its own book is what the laws are judged by.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hub.connector import Auth, Connector, Idempotency, Page, Stream
from hub.errors import OutcomeUnknown, RetryLater
from hub.model import ChangeSet, Json, PushResult, SourceRecord


@dataclass(slots=True)
class Order:
    """One line of the provider's own book."""

    id: str
    at: float  # when it came to be
    reference: str
    body: dict[str, Json]
    mark: str  # what it is looked up by: the reference, or the code
    on: bool = True  # False: it was taken back
    used: bool = False  # what was used stays given


@dataclass(slots=True)
class CardProvider:
    """A provider of gift cards. `seam(point)` is called around every call and may crash."""

    kind: str  # A, B, C, D
    now: Callable[[], float]
    gives: str = "order"  # or code: its orders are known by the code that the ledger makes up
    cancels: bool = False  # takes back what was not used
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    seam: Callable[[str], None] = lambda point: None
    fault_rate: float = 0.0
    index_lag_s: float = 60.0
    key_life_s: float = 3600.0
    latest_s: float = (
        119.0  # just below Connection.longest_write_s: how long after its answer was lost an order may still come to be
    )
    book: list[Order] = field(default_factory=list)
    late: list[tuple[float, ChangeSet]] = field(default_factory=list)
    script: list[str] = field(default_factory=list)  # outcomes of the next pushes, instead of chance
    calls: Counter[str] = field(default_factory=Counter)
    alone: threading.Lock = field(default_factory=threading.Lock)  # one order at a time, whoever calls

    def connector(self) -> Connector:
        writes = frozenset({"create", "delete"}) if self.cancels else frozenset({"create"})
        orders = Stream(
            name="orders", gives=self.gives, writes=writes, idempotency=Idempotency(self.kind),
            marker="code" if self.gives == "code" else "poNumber", key_life_s=self.key_life_s, lag_s=self.index_lag_s,
        )  # fmt: skip
        return Connector(
            name="plum", title="Cards", base_url="", hosts=(), auth=(Auth(kind="none"),), limits=(), streams=(orders,),
            connect=lambda door, settings: self, check=lambda api: {}, discover=lambda api, stream: (),
            pull=lambda api, stream, cursor: self.listed(),
            fetch=lambda api, stream, ids: self.fetch(ids), push=lambda api, stream, changes: self.push(changes),
            find=None if self.kind == "D" else lambda api, stream, name, value: self.find(value),
        )  # fmt: skip

    def push(self, changes: Sequence[ChangeSet]) -> list[PushResult]:
        self.seam("call:before")
        self.calls["push"] += 1
        self.land()
        (change,) = changes
        match self.script.pop(0) if self.script else self._luck():
            case "throttled":
                raise RetryLater("too many calls", after_s=7.0)
            case "rejected":
                return [PushResult(index=0, outcome="rejected", code="PLE10012", message="out of stock")]
            case "lost before":
                raise OutcomeUnknown("the request was cut")
            case "late":
                self.late.append((self.now() + self.rng.choice((1.0, 30.0, self.latest_s)), change))
                raise OutcomeUnknown("no answer")
            case outcome:
                result = self._do(change)
                self.seam("call:after")
                if outcome == "lost after":
                    raise OutcomeUnknown("the answer was cut")
                return [result]

    def _luck(self) -> str:
        draw = self.rng.random()
        names = ("throttled", "rejected", "lost before", "late", "lost after")
        index = int(draw / self.fault_rate * len(names)) if self.fault_rate else len(names)
        return names[index] if index < len(names) else "applied"

    def _do(self, change: ChangeSet, at: float | None = None) -> PushResult:
        at = self.now() if at is None else at
        return self._take_back(change) if change.op == "delete" else self._place(change, at)

    def _take_back(self, change: ChangeSet) -> PushResult:
        """Asked twice is asked once; what was used took its effect."""
        with self.alone:
            order = next((each for each in self.book if each.id == change.external_id), None)
            if order is None:
                return PushResult(index=0, outcome="not_found")
            if order.used:
                return PushResult(index=0, outcome="rejected", code="USED", message="it was used already")
            order.on = False
        return PushResult(index=0, outcome="applied", external_id=order.id)

    def _mark(self, change: ChangeSet) -> str:
        return str(change.body["code"]) if self.gives == "code" else change.reference

    def _place(self, change: ChangeSet, at: float) -> PushResult:
        with self.alone:
            if self.kind in "AB":
                for order in self.book:
                    alive = self.kind == "A" or at - order.at < self.key_life_s
                    if order.mark == self._mark(change) and alive:
                        return PushResult(index=0, outcome="duplicate", code="PLE1", existing_id=order.id)
            number = f"880{len(self.book) + 1:03}"
            order = Order(number, at, change.reference, dict(change.body), self._mark(change))
            self.book.append(order)
        return PushResult(index=0, outcome="applied", external_id=order.id)

    def land(self) -> None:
        """Requests that were on their way arrive."""
        due = sorted((each for each in self.late if each[0] <= self.now()), key=lambda each: each[0])
        self.late = [each for each in self.late if each[0] > self.now()]
        for at, change in due:
            self._do(change, at)

    def find(self, reference: str) -> list[SourceRecord]:
        self.seam("call:before")
        self.calls["find"] += 1
        self.land()
        if self.fault_rate and self.rng.random() < self.fault_rate / 2:
            raise RetryLater("down")
        return [
            self._record(order)
            for order in self.book
            if order.mark == reference and order.at <= self.now() - self.index_lag_s
        ]

    def listed(self) -> Page:
        self.land()
        return Page(records=[self._record(order) for order in self.book], next_cursor={}, complete=True)

    def fetch(self, ids: Sequence[str]) -> list[SourceRecord]:
        self.seam("call:before")
        self.calls["fetch"] += 1
        return [self._record(order) for order in self.book if order.id in ids]

    def _record(self, order: Order) -> SourceRecord:
        data = {"poNumber": order.reference, "active": order.on, **order.body}
        return SourceRecord(external_id=order.id, data=data)
