"""Measured trust: what counts against a source, what does not, and when it speaks for another order."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.trust import (
    ENOUGH,
    Trust,
    count_conflict,
    count_spans,
    reason,
    separated,
    spans_of,
    suggested_order,
)


def trust(given: int, failed: int) -> Trust:
    return Trust(given=given, corrected=failed)


def change(at: float, was: str | None, now: str | None, rule: str = "rule:newest", new: Any = "x") -> Any:
    return at, int(at), {"was": was, "connection": now, "rule": rule, "new": new}


def counted(
    changes: list[Any], source: str | None, *, weighed: tuple[int, ...] = (), bounced: float | None = None
) -> dict[str, Trust]:
    found: dict[str, Trust] = defaultdict(Trust)
    spans = spans_of(changes, source, weighed)
    for span in spans:
        span.bounced = bounced is not None and span.since <= bounced and (span.until is None or bounced < span.until)
    count_spans(spans, found)
    return dict(found)


def test_a_value_that_others_replaced_was_corrected_and_an_own_change_was_not() -> None:
    found = counted([change(1, "crm", "crm"), change(2, "crm", "shop"), change(3, "shop", "shop")], "shop")
    assert found == {"crm": Trust(given=2, corrected=1), "shop": Trust(given=2)}
    assert counted([], "crm") == {"crm": Trust(given=1)}
    assert counted([change(1, None, "shop")], "shop") == {"shop": Trust(given=1)}, "nobody knows who said the first"
    assert counted([change(1, "crm", "shop", new=None)], None)["crm"] == Trust(given=1), "a blank corrects nothing"


def test_a_person_counts_as_one_and_an_order_of_sources_proves_nothing() -> None:
    assert counted([change(1, "crm", None, "ruling:7")], None) == {"crm": Trust(given=1, corrected=1, by_person=1)}
    assert counted([change(1, "crm", "shop", "rule:source")], "shop") == {"shop": Trust(given=1)}


def test_a_value_counts_once() -> None:
    """One that bounced and was corrected then; one that lost a conflict in the version in which it was replaced."""
    assert counted([change(5, "crm", "shop")], "shop", bounced=2.0)["crm"] == Trust(given=1, bounced=1)
    assert counted([change(5, "crm", "shop")], "shop", bounced=6.0) == {
        "crm": Trust(given=1, corrected=1), "shop": Trust(given=1, bounced=1)
    }  # fmt: skip
    found = counted([change(5, "crm", "shop")], "shop", weighed=(5,))
    assert found == {"shop": Trust(given=1)}
    told: dict[str, Trust] = defaultdict(Trust, found)
    sides = [{"connection": "crm", "value": "a"}, {"connection": "shop", "value": "b"}]
    count_conflict(sides, "b", "rule:newest", told)
    assert (told["crm"].measured, told["crm"].failed) == (1, 1)
    assert (told["shop"].measured, told["shop"].failed) == (1, 0)
    count_conflict(sides, "b", "rule:source", told)
    assert (told["crm"].lost, told["crm"].by_rank, told["crm"].failed) == (2, 1, 1)
    count_conflict(sides, "a", "ruling:3", told)
    assert (told["shop"].lost, told["shop"].by_person) == (1, 1)


@pytest.mark.parametrize(
    ("a", "b", "parted"),
    [
        (trust(400, 8), trust(400, 60), True),
        (trust(60, 1), trust(60, 6), False),  # five in fifty may be chance
        (trust(ENOUGH - 1, 0), trust(400, 200), False),  # too few
        (trust(ENOUGH, 0), trust(ENOUGH, ENOUGH), True),
        (trust(0, 0), trust(400, 200), False),
    ],
)
def test_sources_are_parted_only_by_intervals_that_do_not_touch(a: Trust, b: Trust, parted: bool) -> None:
    assert separated(a, b) is parted
    assert separated(b, a) is False


def test_an_order_moves_only_who_is_parted() -> None:
    good, bad, few = trust(400, 8), trust(400, 60), trust(9, 0)
    assert suggested_order(["a", "b", "c"], {"a": bad, "b": good, "c": few}, ranked=True) == ["b", "a", "c"]
    assert suggested_order(["few", "bad", "good"], {"few": few, "bad": bad, "good": good}, ranked=True) == [
        "few", "good", "bad"
    ]  # fmt: skip
    assert suggested_order(["b", "a"], {"a": bad, "b": good}, ranked=True) == [], "it holds already"
    assert suggested_order(["b", "a"], {"a": bad, "b": good}, ranked=False) == ["b", "a"], "it decides nothing yet"
    assert suggested_order(["a", "c"], {"a": bad, "c": few}, ranked=False) == []
    assert reason(["b", "a"], {"a": bad, "b": good}).startswith("b 8 of 400 failed (1.0% to 3.9%); a 60 of 400 failed")


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 500), st.floats(0, 1)), min_size=2))
def test_every_order_is_complete_and_never_puts_the_worse_first(drawn: dict[str, tuple[int, float]]) -> None:
    trusts = {name: trust(number, int(number * share)) for name, (number, share) in drawn.items()}
    now = sorted(trusts, reverse=True)
    found = suggested_order(now, trusts, ranked=False)
    assert sorted(found) in ([], sorted(now))
    for place, one in enumerate(found):
        for other in found[place + 1 :]:
            assert not separated(trusts[other], trusts[one])
    if not found:
        assert not any(separated(trusts[one], trusts[other]) for one in now for other in now)
