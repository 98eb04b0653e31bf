"""What goes wrong at a vendor, how often it may be called, and what it was asked.

Faults are data: rates that can be set while a twin runs, and a script of one-shot faults that a test places exactly.
All randomness comes from one seeded generator.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass, field, fields
from typing import Any

Json = Any


@dataclass(kw_only=True)
class Faults:
    """Rates are shares of calls (0-1). Everything is off by default.

    `script` holds one-shot faults, first match wins:
    ``{"match": "POST /path-prefix", "fault": "error_after", "times": 1}``; `match` is method and path prefix ("" or
    absent: any call; a method alone: any path), "skip": n lets the first n matching calls pass.
    Fault names the kit knows: throttle, error_before, error_after, timeout_before, timeout_after, lands_late,
    expire_token, html, redirect, cut. Row faults: partial_batch, reject ("rows": how many rows, default 1).
    Other names reach the twin's `route` in ``request.fault``.
    """

    seed: int = 0
    throttle_rate: float = 0.0
    throttle_retry_after: float | None = 1.0  # seconds; None: the answer has no such header
    error_before_rate: float = 0.0
    error_after_rate: float = 0.0  # 5xx although the write took effect; writes only
    timeout_before_rate: float = 0.0  # the socket is closed without an answer, nothing was done
    timeout_after_rate: float = 0.0  # the same, but the write took effect; writes only
    partial_batch_rate: float = 0.0  # share of rows of a batch that fail for a passing reason
    reject_rate: float = 0.0  # share of rows that are refused for good
    late_visible_s: float = 0.0  # each write becomes visible after 0..this many seconds
    index_lag_s: float = 0.0  # the same for the search index
    replica_lag_s: float = 0.0  # each call reads a replica 0..this many seconds old
    page_drift_rate: float = 0.0  # share of offset pages that are shifted by one row
    hook_duplicate_rate: float = 0.0
    hook_shuffle: bool = False
    hook_drop_rate: float = 0.0
    expire_token_after: int = 0  # every so many calls all issued access tokens end; 0: never
    latency_s: float = 0.0  # added to each answer
    late_apply_s: float = 60.0  # how much later a "lands_late" write takes effect
    script: list[dict[str, Json]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self._row_faults: list[str] = []

    def set(self, **values: Json) -> None:
        """Change settings by name; a new `seed` restarts the generator. Raises ValueError for an unknown name."""
        known = {f.name for f in fields(self)}
        if unknown := set(values) - known:
            raise ValueError(f"unknown faults: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
        for name, value in values.items():
            setattr(self, name, [dict(entry) for entry in value] if name == "script" else value)
        if "seed" in values:
            self.rng = random.Random(self.seed)

    def as_dict(self) -> dict[str, Json]:
        return asdict(self)

    def hits(self, rate: float) -> bool:
        """Throw the dice once; a rate of 0 uses up no randomness."""
        return rate > 0 and self.rng.random() < rate

    def late_visible(self) -> float:
        return self.rng.uniform(0, self.late_visible_s) if self.late_visible_s else 0.0

    def index_lag(self) -> float:
        return self.rng.uniform(0, self.index_lag_s) if self.index_lag_s else 0.0

    def replica_lag(self) -> float:
        return self.rng.uniform(0, self.replica_lag_s) if self.replica_lag_s else 0.0

    def choose(self, method: str, path: str, is_write: bool, *, metered: bool = True) -> str | None:
        """The fault for this call: the first scripted one that matches, else one drawn by the rates.

        A call that is not `metered`, such as a sign-in, is never throttled.
        """
        self._row_faults = []
        scripted = self._take_scripted(method, path, is_write=is_write, metered=metered)
        if scripted is not None:
            name: str = scripted["fault"]
            if name in ("partial_batch", "reject"):
                self._row_faults = [name] * int(scripted.get("rows", 1))
            return name
        for name, rate in (
            ("throttle", self.throttle_rate if metered else 0.0),
            ("error_before", self.error_before_rate),
            ("timeout_before", self.timeout_before_rate),
            ("error_after", self.error_after_rate if is_write else 0.0),
            ("timeout_after", self.timeout_after_rate if is_write else 0.0),
        ):
            if self.hits(rate):
                return name
        return None

    def row_fault(self) -> str | None:
        """Ask once per row of a write: "reject" (refused for good), "partial_batch" (failed for now) or None."""
        if self._row_faults:
            return self._row_faults.pop()
        if self.hits(self.reject_rate):
            return "reject"
        return "partial_batch" if self.hits(self.partial_batch_rate) else None

    def _take_scripted(self, method: str, path: str, *, is_write: bool, metered: bool) -> dict[str, Json] | None:
        for entry in self.script:
            wanted, _, prefix = str(entry.get("match", "")).partition(" ")
            if (wanted and wanted != method) or not path.startswith(prefix):
                continue
            if entry["fault"] == "throttle" and not metered:
                continue
            if entry["fault"] in ("error_after", "timeout_after") and not is_write and not prefix:
                continue  # a method may read as well; these are for writes
            if entry.get("skip", 0) > 0:
                entry["skip"] -= 1
                continue
            entry["times"] = entry.get("times", 1) - 1
            if entry["times"] <= 0:
                self.script.remove(entry)
            return entry
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as the vendor counted it."""

    at: float
    method: str
    path: str
    status: int  # 0: the socket was closed without an answer
    operation: str  # the vendor's operation: query, batch_update ...
    is_write: bool
    fault: str | None
    early: bool  # arrived before the Retry-After of an earlier 429 had passed
    rows: int  # rows the call carried or brought, as far as the twin tells


class RequestLog:
    """Every call in order of arrival."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)

    def counts(self) -> dict[str, Json]:
        """{"calls", "writes", "early", "faults", "by_operation": {name: n}, "by_status": {"200": n}}"""
        with self._lock:
            calls = list(self.calls)
        return {
            "calls": len(calls),
            "writes": sum(call.is_write for call in calls),
            "early": sum(call.early for call in calls),
            "faults": sum(call.fault is not None for call in calls),
            "by_operation": dict(Counter(call.operation for call in calls)),
            "by_status": dict(Counter(str(call.status) for call in calls)),
        }

    def clear(self) -> None:
        with self._lock:
            self.calls.clear()


class Window:
    """Sliding window: at most `calls` in any `per_s` seconds. `calls` 0: no limit."""

    def __init__(self, calls: int, per_s: float) -> None:
        self.calls, self.per_s = calls, per_s
        self._times: deque[float] = deque()

    def take(self, now: float) -> float:
        """0.0 and counted, or the seconds to wait and not counted."""
        self._forget(now)
        if self.calls and len(self._times) >= self.calls:
            return self._times[0] + self.per_s - now
        self._times.append(now)
        return 0.0

    def used(self, now: float) -> int:
        self._forget(now)
        return len(self._times)

    def remaining(self, now: float) -> int:
        return max(0, self.calls - self.used(now))

    def clear(self) -> None:
        self._times.clear()

    def _forget(self, now: float) -> None:
        while self._times and self._times[0] <= now - self.per_s:
            self._times.popleft()


class Bucket:
    """Leaky bucket: `size` units at most, `per_s` units flow back each second. `size` 0: no limit."""

    def __init__(self, size: float, per_s: float) -> None:
        self.size, self.per_s = size, per_s
        self._level, self._at = size, 0.0

    def available(self, now: float) -> float:
        self._level = min(self.size, self._level + max(0.0, now - self._at) * self.per_s)
        self._at = now
        return self._level

    def take(self, now: float, cost: float = 1.0) -> float:
        """0.0 and taken, or the seconds until `cost` units are there and nothing taken."""
        available = self.available(now)
        if self.size and available < cost:
            return (cost - available) / self.per_s
        self._level -= cost
        return 0.0
