"""What the overview says of a connection's health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hub.app.overview import overview

REFUSED = "AUTH-EXPIRED: the credentials are refused\nmore of it"
READ: Mapping[str, int] = {"calls": 3, "pages": 1}
IDLE: Mapping[str, int] = {}


@pytest.mark.parametrize(
    ("runs", "health"),
    [
        ((("failed", IDLE, REFUSED), ("success", IDLE, "")), ("bad", "AUTH-EXPIRED: the credentials are refused")),
        ((("failed", IDLE, REFUSED), ("success", READ, ""), ("success", IDLE, "")), ("good", "works")),
        ((("success", READ, ""), ("partial", READ, "")), ("warn", "last run: partial")),
        ((("success", IDLE, ""),), ("good", "works")),
        ((), ("rest", "has not run yet")),
    ],
)
def test_a_run_that_asked_the_system_nothing_proves_nothing_of_its_health(
    make: Any, runs: tuple[tuple[str, Mapping[str, int], str], ...], health: tuple[str, str]
) -> None:
    world = make()
    with world.store.transaction() as tx:
        for status, counts, error in runs:
            tx.finish_run(tx.start_run("A", "sync", world.clock.now()), world.clock.now(), status, counts, error)
    row = next(each for each in overview(world.hub)["connections"] if each["connection"] == "A")
    assert (row["health"], row["said"]) == health
