"""What the door and its fronts share: one call, the bounds it has, its counts, and which failures left no trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import requests
import urllib3

from hub.kit.statuses import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long and how much a call may take."""

    connect_s: float = 10.0
    read_s: float = 60.0  # without a byte
    total_s: float = 120.0  # for the whole body
    body_bytes: int = 64 * 1024 * 1024  # decoded
    tries: int = 4  # of a read, the first included
    read_patience_s: float = 120.0  # longest wait for a budget or a Retry-After before a read gives up
    write_patience_s: float = 5.0  # the same for a write: its deadline is running
    first_wait_s: float = 0.5  # back-off: upper end of the first wait …
    longest_wait_s: float = 60.0  # … and of any
    longest_pause_s: float = 86_400.0  # a Retry-After beyond this is cut (HubSpot's move of region: up to 24 h)
    failures_to_open: int = 5  # connections in a row that could not be made: circuit opens …
    open_s: float = 30.0  # … for so long


@dataclass(slots=True, kw_only=True)
class OperationCount:
    """Calls that left the hub under one label. Repeats count each; `reads + writes == calls`."""

    calls: int = 0
    reads: int = 0
    writes: int = 0
    repeats: int = 0  # of the calls: tries after the first, for whatever reason
    throttled: int = 0
    failed: int = 0  # no answer, or one of the kinds trouble and strange


@dataclass(slots=True)
class CallCounts:
    """Exact counts of a connection's calls, sign-in included (label "token")."""

    by_operation: dict[str, OperationCount] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, operation: str, **increments: int) -> None:
        """Add to the named counters of an operation."""
        with self._lock:
            count = self.by_operation.setdefault(operation, OperationCount())
            for name, increment in increments.items():
                setattr(count, name, getattr(count, name) + increment)

    def total(self, name: str = "calls") -> int:
        """Sum of one counter over all operations."""
        with self._lock:
            return sum(getattr(count, name) for count in self.by_operation.values())

    def snapshot(self) -> dict[str, OperationCount]:
        """A copy that stays as it is."""
        with self._lock:
            return {name: replace(count) for name, count in self.by_operation.items()}


class RetryBudget:
    """How often a run may repeat reads in all: a vendor that is down must not be hammered by every page.

    At most `least` repeats, plus `share` of the calls made.
    """

    def __init__(self, least: int = 20, share: float = 0.1) -> None:
        self._least, self._share = least, share
        self._calls = self._repeats = 0
        self._lock = threading.Lock()

    def called(self) -> None:
        """A call was made."""
        with self._lock:
            self._calls += 1

    def may_repeat(self) -> bool:
        """Take one repeat. False: none left."""
        with self._lock:
            if self._repeats >= self._least + self._share * self._calls:
                return False
            self._repeats += 1
            return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as the door sees it, whoever asked for it."""

    method: str
    url: str  # absolute, on an allowed host
    operation: str
    headers: Mapping[str, str]
    body: bytes | None = None
    writes: bool = False
    cost: int = 1
    expect: frozenset[int] = frozenset()
    leave: frozenset[Kind] = frozenset({Kind.OK})  # kinds of answers that the caller takes as they are
    signed: bool = True


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it wraps; requests and urllib3 keep theirs in `args` and `reason`."""
    seen: set[int] = set()
    stack = [error]
    while stack:
        current = stack.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        stack += [getattr(current, "reason", None), current.__cause__, current.__context__]
        stack += [arg for arg in current.args if isinstance(arg, BaseException)]
    return


def never_left(error: Exception) -> bool:
    """Whether no byte of the request can have reached the vendor."""
    before = (
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.NameResolutionError,
        urllib3.exceptions.ConnectTimeoutError,
        requests.exceptions.ConnectTimeout,
        ConnectionRefusedError,
    )
    return is_tls(error) or any(isinstance(cause, before) for cause in _causes(error))


def is_tls(error: Exception) -> bool:
    return any(
        isinstance(cause, (requests.exceptions.SSLError, urllib3.exceptions.SSLError)) for cause in _causes(error)
    )
