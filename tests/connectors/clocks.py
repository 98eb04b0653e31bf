"""One time for the door and the twin: a wait of the door is time passing at the vendor."""

from __future__ import annotations

from typing import Any

from hub.runtime.clock import VirtualClock
from tests.connectors.doors import NOW


class SharedClock(VirtualClock):
    """A door's clock that moves a twin's along."""

    def __init__(self, twin: Any) -> None:
        super().__init__(NOW)
        self._twin = twin

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if seconds > 0:
            self._twin.advance(seconds)

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self._twin.advance(seconds)
