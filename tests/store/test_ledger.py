"""Events, grants, budgets: at most once, and never above the cap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from hub.errors import NotFound, RetryLater
from hub.model import EventRow, Grant
from hub.store import Store
from hub.store.rows import BudgetRow
from tests.store.test_transactions import in_threads, retried

Add = Callable[..., list[int]]


def event(key: str, entity_id: int = 1, **changes: object) -> EventRow:
    base = EventRow(
        key=key, name="order.paid", entity_id=entity_id, subject_id=2, at=5.0, source="shop", silent=False,
        values={"total": {"minor": 50_000, "currency": "EUR"}},
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def test_an_event_happens_once(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        add_entities(tx, 2)
        assert tx.insert_events([event("a"), event("b", silent=True), event("a", at=9.0)]) == {"a", "b"}
        assert tx.insert_events([event("a", at=7.0), event("c")]) == {"c"}
        assert tx.insert_events([event("a")]) == set()
        assert tx.insert_events([]) == set()
        assert tx.events_by_keys(["a", "b", "x"]) == {"a": event("a", id=1), "b": event("b", silent=True, id=2)}


def test_of_two_pages_with_one_event_only_one_is_told_that_it_is_new(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        add_entities(tx, 2)
    told: list[set[str]] = []

    def bring() -> None:
        answers: list[set[str]] = []
        retried(store, lambda tx: answers.append(tx.insert_events([event("a"), event("b")])))
        told.append(answers[-1])

    assert in_threads([bring] * 4) == []
    assert sorted(map(len, told)) == [0, 0, 0, 2]


def test_events_are_found_by_who_did_them_and_for_whom(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        add_entities(tx, 3)
        tx.insert_events(
            [event("a"), event("b", 3, subject_id=None, at=1.0), event("c", 2, name="deal.won", source="crm")]
        )

        def keys(*args: object, **asked: object) -> list[str]:
            return [each.key for each in tx.events(*args, **asked)]  # type: ignore[arg-type]

        assert keys([1, 3]) == ["a", "b"]
        assert keys(subject_ids=[2]) == ["a", "c"]
        assert keys([3], [2]) == ["a", "b", "c"]
        assert keys([1, 2, 3], name="deal.won") == ["c"]
        assert keys([1, 2, 3], since=5.0) == ["a", "c"]
        assert keys() == []
        assert [each.key for each in tx.events_page(after_id=1, limit=1)] == ["b"]
        assert [each.key for each in tx.events_page(source="crm")] == ["c"]
        assert [each.key for each in tx.events_page(subject_id=2, name="order.paid", entity_id=1)] == ["a"]


# Grants


def grant(id_: int, **changes: object) -> Grant:
    base = Grant(
        id=id_, key=f"key-{id_}", rule="big_order", subject_id=1, event_id=7, connection="plum", product="5671",
        amount="25.00", currency="EUR", budget="thanks", reference=f"ref-{id_}", state="reserved",
        recipient={"email": "ann@example.org"}, not_before=1.5, created_at=2.5,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_grant_is_given_once_per_key(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        add_entities(tx, 1)
        assert tx.add_grant(grant(1))
        assert not tx.add_grant(grant(2, key="key-1"))
        assert tx.grants() == [grant(1)]
        assert tx.grant(1) == grant(1)
        with pytest.raises(NotFound):
            tx.grant(2)


def test_a_reference_is_used_once_per_provider(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        add_entities(tx, 1)
        tx.add_grant(grant(1))
        tx.add_grant(grant(2, reference="ref-1", connection="other"))
    with pytest.raises(RetryLater), store.transaction() as tx:
        tx.add_grant(grant(3, reference="ref-1"))


def test_a_grant_changes_state_but_never_who_what_and_how_much(store: Store, add_entities: Add) -> None:
    issued = grant(
        1, state="issued", recipient={"email": "new@example.org"}, not_before=3.0, first_sent=4.0, last_possible=5.0,
        order_id="o-1", attempts=2, epoch=3, detail="sent",
    )  # fmt: skip
    with store.transaction() as tx:
        add_entities(tx, 1)
        tx.add_grant(grant(1))
        tx.update_grants([replace(issued, amount="99", subject_id=5, reference="other", key="other")])
        assert tx.grant(1) == issued


def test_grants_are_listed_by_what_is_asked(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        add_entities(tx, 2)
        for row in (
            grant(1), grant(2, subject_id=2), grant(3, state="issued"), grant(4, rule="birthday", connection="other"),
        ):  # fmt: skip
            tx.add_grant(row)

        def ids(**asked: object) -> list[int]:
            return [row.id for row in tx.grants(**asked)]  # type: ignore[arg-type]

        assert ids() == [1, 2, 3, 4]
        assert ids(state="reserved", connection="plum") == [1, 2]
        assert ids(subject_id=2) == [2]
        assert ids(rule="birthday") == [4]
        assert ids(key="key-3") == [3]
        assert ids(reference="ref-3") == [3]
        assert ids(budget="thanks", event_id=7, limit=2, after_id=1) == [2, 3]


def test_grants_of_a_person_are_counted_under_all_names(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        add_entities(tx, 3)
        states = ("reserved", "issued", "unknown", "needs_person", "refused", "rejected", "reversed")
        for n, state in enumerate(states, 1):
            tx.add_grant(grant(n, state=state, subject_id=1 + n % 2))
        tx.add_grant(grant(8, rule="other"))
        tx.add_grant(grant(9, created_at=0.5))
        tx.add_grant(grant(10, subject_id=3))
        assert tx.count_grants_of([1, 2], "big_order", 1.0) == 4
        assert tx.count_grants_of([1], "big_order", 1.0) == 2
        assert tx.count_grants_of([1], "big_order", 0.0) == 3
        assert tx.count_grants_of([], "big_order", 0.0) == 0


def test_the_lines_of_a_ledger_stay_in_order(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        add_entities(tx, 1)
        tx.add_grant(grant(1))
        tx.add_grant(grant(2))
        tx.add_grant_entry(1, "reserved", "25.00", 3.0)
        tx.add_grant_entry(2, "reserved", "25.00", 3.0)
        tx.add_grant_entry(1, "reversed", "-25.00", 4.0, "refunded")
        lines = [(line.kind, line.amount, line.at, line.detail) for line in tx.entries(1)]
    assert lines == [("reserved", "25.00", 3.0, ""), ("reversed", "-25.00", 4.0, "refunded")]


# Budgets


def budget(store: Store) -> tuple[int, int, int]:
    with store.reading() as tx:
        (row,) = tx.budgets()
    assert row == BudgetRow(
        budget="thanks", period="2026-11", cap_minor=row.cap_minor, reserved_minor=row.reserved_minor,
        spent_minor=row.spent_minor,
    )  # fmt: skip
    return row.cap_minor, row.reserved_minor, row.spent_minor


def test_money_is_set_aside_spent_and_given_back(store: Store) -> None:
    this = ("thanks", "2026-11")
    with store.transaction() as tx:
        assert tx.reserve(*this, 60, 100)
        assert not tx.reserve(*this, 41, 100)
        assert tx.reserve(*this, 40, 100)
    assert budget(store) == (100, 100, 0)
    with store.transaction() as tx:
        assert tx.spend(*this, 60)
        assert not tx.spend(*this, 41)
        assert not tx.reserve(*this, 1, 100)
        assert tx.give_back(*this, 40)
        assert not tx.give_back(*this, 1)
        assert tx.give_back(*this, 10, spent=True)
        assert not tx.give_back(*this, 51, spent=True)
    assert budget(store) == (100, 0, 50)


def test_a_cap_may_be_raised_and_lowered(store: Store) -> None:
    this = ("thanks", "2026-11")
    with store.transaction() as tx:
        assert tx.reserve(*this, 80, 100)
        assert not tx.reserve(*this, 10, 50)  # lowered below what is taken: nothing more, nothing breaks
        assert tx.reserve(*this, 40, 150)
        assert not tx.reserve(*this, 151, 150)
        assert not tx.reserve("thanks", "2026-12", 151, 150)
        assert tx.reserve("thanks", "2026-12", 150, 150)
    with store.reading() as tx:
        assert [(row.period, row.cap_minor, row.reserved_minor) for row in tx.budgets()] == [
            ("2026-11", 150, 120), ("2026-12", 150, 150),
        ]  # fmt: skip


def test_a_rolled_back_reservation_takes_nothing(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.reserve("thanks", "2026-11", 10, 100)
    with pytest.raises(KeyError), store.transaction() as tx:
        assert tx.reserve("thanks", "2026-11", 90, 100)
        raise KeyError("the grant could not be stored")
    assert budget(store) == (100, 10, 0)


def test_two_who_ask_at_once_never_take_more_than_there_is(store: Store) -> None:
    granted: list[bool] = []
    both = threading.Barrier(2)

    def take() -> None:
        both.wait(10)
        for _ in range(12):
            answers: list[bool] = []
            retried(store, lambda tx: answers.append(tx.reserve("thanks", "2026-11", 7, 100)))  # noqa: B023
            granted.append(answers[-1])

    assert in_threads([take] * 2) == []
    assert granted.count(True) == 14  # 14 × 7 = 98
    assert budget(store) == (100, 98, 0)
