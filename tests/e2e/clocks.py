"""The machine's clock, moved on."""

from __future__ import annotations

from hub.runtime.clock import SystemClock


class LaterClock(SystemClock):
    """Ahead of the machine: a write that a killed process left in doubt is settled once it can no longer land."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.ahead_s = ahead_s

    def now(self) -> float:
        return super().now() + self.ahead_s
