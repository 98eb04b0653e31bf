"""A record whose parent never comes is read again ever less often; how often so far stands in the hint itself."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from hub.app import parents
from hub.app.parents import LATE_S, LONGEST_S, SOON, WAITS, waited
from hub.model import Hint, Reference

NOW = 1000.0


def hint(external_id: str, reason: str) -> Hint:
    return Hint(
        id=1, connection="shop", stream="orders", external_id=external_id, not_before_stamp=None, attempts=0,
        due_at=0.0, reason=reason,
    )  # fmt: skip


def asked_again(monkeypatch: pytest.MonkeyPatch, times: int) -> list[Any]:
    """The hints that a read leaves which found no parent, after so many before it."""
    monkeypatch.setattr(parents, "quarantine_row", lambda *told: told)
    page = SimpleNamespace(
        scene=SimpleNamespace(now=NOW), mapping=SimpleNamespace(source="orders"), waited={"7": times}, hints=[],
        connection=SimpleNamespace(name="shop", connector=SimpleNamespace(only_listens=False)), counts=Counter(),
        quarantine=[],
    )  # fmt: skip
    parents._wait_for_parent(page, SimpleNamespace(external_id="7"), "contact", Reference("contacts", "9"))  # type: ignore[arg-type]
    return page.hints


def test_how_often_a_record_was_asked_for_is_told_by_its_hints() -> None:
    told = [hint("1", "webhook"), hint("2", WAITS), hint("3", f"{WAITS} (4)"), hint("4", "parent")]
    assert waited(told) == {"2": 1, "3": 4}


def test_a_parent_is_looked_for_at_once_and_then_ever_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = [asked_again(monkeypatch, times)[1][4] - NOW for times in (0, SOON - 1, SOON, SOON + 1, SOON + 40)]
    assert waits == [0.0, 0.0, LATE_S, 2 * LATE_S, LONGEST_S]
    parent, child = asked_again(monkeypatch, SOON)
    assert (parent[1:3], parent[4], child[1:3]) == (("contacts", "9"), NOW + LATE_S, ("orders", "7"))
    assert waited([hint("7", child[5])]) == {"7": SOON + 1}
