"""Webhooks of a twin: what is due, to whom, how often it is tried, and what became of it.

Two ways to deliver. A background thread sends as events come, as a vendor does; `drain` sends all there is at once,
retries included, for tests that want to know when it is over. Both go over real HTTP.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import requests

from hub.twins.faults import Faults

Json = Any
SHUFFLE_SPREAD_S = 0.2  # shuffled messages leave within this time when sent in the background
SEND_TIMEOUT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """One subscription: where to send, what, and with which secret to sign."""

    url: str
    secret: str
    topics: tuple[str, ...] = ()  # empty: everything
    options: dict[str, Json] = field(default_factory=dict)  # the vendor's own settings of a subscription
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, kw_only=True)
class HookEvent:
    """Something to tell: one topic, one record."""

    topic: str
    payload: Json
    at: float
    stream: str = ""
    record_id: str = ""
    group: str = ""  # events of different groups never share a message


@dataclass(kw_only=True)
class _Message:
    target: Target
    events: list[HookEvent]
    due: float
    attempt: int = 0


@dataclass(frozen=True, kw_only=True)
class HookDelivery:
    """One attempt to deliver one message."""

    at: float  # the twin's clock
    url: str
    topics: list[str]
    record_ids: list[str]
    attempt: int  # 0 is the first
    status: int  # 0: no answer; -1: dropped on purpose
    accepted: bool
    body: str
    headers: dict[str, str]


class Sender(Protocol):
    """What the vendor decides about its webhooks; Twin has defaults for all of it."""

    hook_batch: int  # most events in one message
    hook_attempts: int  # tries per message, the first included
    hook_backoff_s: float  # wait before the first retry; doubles each time; compressed against the vendor's

    @property
    def faults(self) -> Faults: ...

    def now(self) -> float: ...

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        """Body and headers, signed at this moment."""

    def hook_accepted(self, status: int, body: bytes) -> bool: ...


class Hooks:
    """Queue and delivery. Sending holds `_sending`, never the twin's own lock."""

    def __init__(self, sender: Sender, *, auto: bool = True) -> None:
        self.log: list[HookDelivery] = []
        self.targets: dict[str, Target] = {}
        self._sender = sender
        self._auto = auto
        self._events: list[tuple[Target, HookEvent]] = []
        self._messages: list[_Message] = []
        self._wake = threading.Condition()
        self._sending = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = False
        self._thread: threading.Thread | None = None
        self._stopped = False

    def add(self, target: Target) -> Target:
        """Subscribe; a target with the same url and topics is replaced."""
        for old in list(self.targets.values()):
            if (old.url, old.topics) == (target.url, target.topics):
                del self.targets[old.id]
        self.targets[target.id] = target
        if self._auto and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="twin-hooks", daemon=True)
            self._thread.start()
        return target

    def remove(self, target_id: str) -> bool:
        return self.targets.pop(target_id, None) is not None

    def emit(self, events: Sequence[HookEvent]) -> None:
        """Queue events for every target that wants their topic."""
        due = [(t, e) for e in events for t in self.targets.values() if not t.topics or e.topic in t.topics]
        if due:
            with self._wake:
                self._events.extend(due)
                self._wake.notify()

    def pending(self) -> int:
        with self._wake:
            return len(self._events) + len(self._messages)

    def pump(self, *, force: bool = False) -> int:
        """Send what is due (with `force`: everything queued) once. Returns the number of attempts made."""
        with self._sending:
            messages = self._take(force)
            for message in messages:
                self._send(message)
            return len(messages)

    def drain(self, timeout_s: float = 30.0) -> list[HookDelivery]:
        """Send until nothing is queued, retries without waiting. Returns the attempts that this call saw."""
        seen, end = len(self.log), time.monotonic() + timeout_s
        while self.pending() and time.monotonic() < end:
            self.pump(force=True)
        with self._sending:  # the background thread may still be sending what it took
            return self.log[seen:]

    def clear(self) -> None:
        with self._wake:
            self._events.clear()
            self._messages.clear()
            self.targets.clear()
        with self._sending:
            self.log.clear()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(SEND_TIMEOUT_S)
        self._session.close()

    # --- inside ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and not self._is_due():
                    self._wake.wait(self._pause())
                if self._stopped:
                    return
            self.pump()

    def _is_due(self) -> bool:
        now = time.monotonic()
        return bool(self._events) or any(message.due <= now for message in self._messages)

    def _pause(self) -> float | None:
        if not self._messages:
            return None
        return max(0.001, min(message.due for message in self._messages) - time.monotonic())

    def _take(self, force: bool) -> list[_Message]:
        now = time.monotonic()
        with self._wake:
            self._messages += self._packed(now)
            self._events.clear()
            due = [m for m in self._messages if force or m.due <= now]
            self._messages = [m for m in self._messages if not (force or m.due <= now)]
        if force and self._sender.faults.hook_shuffle:
            self._sender.faults.rng.shuffle(due)
        return due

    def _packed(self, now: float) -> list[_Message]:
        faults = self._sender.faults
        by_target: dict[tuple[str, str], list[HookEvent]] = {}
        targets: dict[str, Target] = {}
        for target, event in self._events:
            targets[target.id] = target
            by_target.setdefault((target.id, event.group), []).append(event)
        messages: list[_Message] = []
        size = self._sender.hook_batch
        for (target_id, _), events in by_target.items():
            for start in range(0, len(events), size):
                for _ in range(2 if faults.hits(faults.hook_duplicate_rate) else 1):
                    spread = faults.rng.uniform(0, SHUFFLE_SPREAD_S) if faults.hook_shuffle else 0.0
                    batch = events[start : start + size]
                    messages.append(_Message(target=targets[target_id], events=batch, due=now + spread))
        return messages

    def _send(self, message: _Message) -> None:
        sender = self._sender
        body, headers = sender.hook_request(message.target, message.events, message.attempt)
        if sender.faults.hits(sender.faults.hook_drop_rate):
            self._note(message, -1, accepted=False, body=body, headers=headers)
            return
        status, answer = self._post(message.target.url, body, headers)
        accepted = status != 0 and sender.hook_accepted(status, answer)
        self._note(message, status, accepted=accepted, body=body, headers=headers)
        if not accepted and message.attempt + 1 < sender.hook_attempts:
            message.due = time.monotonic() + sender.hook_backoff_s * 2**message.attempt
            message.attempt += 1
            with self._wake:
                self._messages.append(message)

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            answer = self._session.post(url, data=body, headers=headers, timeout=SEND_TIMEOUT_S, allow_redirects=False)
        except requests.RequestException:
            return 0, b""
        return answer.status_code, answer.content

    def _note(self, message: _Message, status: int, *, accepted: bool, body: bytes, headers: dict[str, str]) -> None:
        self.log.append(
            HookDelivery(
                at=self._sender.now(),
                url=message.target.url,
                topics=[event.topic for event in message.events],
                record_ids=[event.record_id for event in message.events],
                attempt=message.attempt,
                status=status,
                accepted=accepted,
                body=body.decode("utf-8", "replace"),
                headers=headers,
            )
        )


def as_json(delivery: HookDelivery) -> dict[str, Json]:
    return asdict(delivery)
