"""Times as vendors write them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def seconds(at: float) -> str:
    """UTC with Z, whole seconds."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def millis(at: float) -> str:
    """UTC with Z, three digits of a second."""
    return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def micros(at: float) -> str:
    """UTC with Z, six digits of a second."""
    return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='microseconds').removesuffix('+00:00')}Z"


@lru_cache(maxsize=65_536)
def seconds_of(text: str) -> float:
    """Epoch seconds of an ISO time; UTC unless it says otherwise. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
