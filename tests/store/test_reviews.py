"""Conflicts and rulings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hub.errors import NotFound, RetryLater
from hub.model import ConflictKind, ConflictRow, RulingRow
from hub.store import Store

Add = Callable[..., list[int]]


def conflict(entity_id: int, field: str = "phone", digest: str = "d1", **changes: object) -> ConflictRow:
    base = ConflictRow(
        entity_id=entity_id, field=field, kind=ConflictKind.CONCURRENT,
        candidates=[{"link": 1, "value": "+491", "after": -1.0}, {"link": 2, "value": None}], digest=digest,
        winner={"minor": 5, "currency": "EUR"}, winner_link=1, decided_by="rule:newest", state="closed", at=3.0,
        version=4, run_id=5, note="n",
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def waiting(entity_id: int, field: str = "phone", digest: str = "d1", **changes: object) -> ConflictRow:
    return conflict(entity_id, field, digest, state="open", decided_by="", winner_link=None, **changes)


def test_a_conflict_comes_back_as_it_was_put(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        assert tx.add_conflicts([conflict(one)]) == 1
    with store.reading() as tx:
        assert tx.conflicts() == [conflict(one, id=1)]
        assert tx.conflict(1) == conflict(one, id=1)
        with pytest.raises(NotFound):
            tx.conflict(2)


def test_the_same_conflict_is_stored_once(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        one, two = add_entities(tx, 2)
        assert tx.add_conflicts([conflict(one), conflict(one), conflict(two), conflict(one, "email")]) == 3
    with store.transaction() as tx:
        assert tx.add_conflicts([conflict(one), conflict(one, digest="d2")]) == 1
        assert [(row.entity_id, row.field, row.digest) for row in tx.conflicts()] == [
            (one, "phone", "d1"), (two, "phone", "d1"), (one, "email", "d1"), (one, "phone", "d2"),
        ]  # fmt: skip


def test_a_field_has_one_open_conflict_brought_up_to_date_in_place(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        tx.add_conflicts([waiting(one)])
    newer = waiting(one, digest="d2", candidates=[{"value": "new"}], winner="w", at=9.0, kind="refused")
    with store.transaction() as tx:
        assert tx.add_conflicts([newer]) == 0
        assert tx.conflicts() == [replace(newer, id=1)]
        assert tx.add_conflicts([waiting(one, "email"), waiting(one, digest="d3")]) == 1
        assert [(row.field, row.digest) for row in tx.conflicts("open")] == [("phone", "d3"), ("email", "d1")]


def test_two_open_ones_of_one_page_become_one(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        assert tx.add_conflicts([waiting(one), waiting(one, digest="d2")]) == 1
        assert [row.digest for row in tx.conflicts("open")] == ["d2"]


def test_one_settled_by_rule_stands_beside_the_open_one(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        tx.add_conflicts([waiting(one), conflict(one, digest="d2")])
        assert tx.count_conflicts() == {("concurrent", "open"): 1, ("concurrent", "closed"): 1}
        assert tx.count_open_conflicts() == 1


def test_an_open_one_that_comes_back_decided_is_closed(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        tx.add_conflicts([waiting(one)])
        assert tx.add_conflicts([conflict(one, decided_by="rule:source")]) == 0
        assert tx.conflicts() == [conflict(one, decided_by="rule:source", id=1)]


def test_a_replay_opens_nothing_that_was_decided(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        tx.add_conflicts([waiting(one)])
        assert tx.close_conflict(1, "ruling:7", "+492", note="asked her")
        assert not tx.close_conflict(1, "ruling:8", "+493")
        assert tx.add_conflicts([waiting(one)]) == 0
        found = tx.conflict(1)
    assert (found.state, found.decided_by, found.winner, found.winner_link, found.note) == (
        "closed", "ruling:7", "+492", None, "asked her",
    )  # fmt: skip


def test_the_database_itself_allows_one_open_conflict_per_field(store: Store, add_entities: Add) -> None:
    """Two pages that did not lock the entity: the second is told to run again."""
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        tx.add_conflicts([waiting(one), conflict(one, digest="d2")])
    with pytest.raises(RetryLater) as refused, store.transaction() as tx:
        from hub.store.reviews import CHANGED_CONFLICTS, _changing

        tx._update(CHANGED_CONFLICTS, [(*_changing(waiting(one, digest="d2")), 2)])
    assert refused.value.code == "STORE-BUSY"


def test_conflicts_are_listed_by_what_is_asked(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        one, two = add_entities(tx, 2)
        tx.add_conflicts(
            [
                conflict(one),
                waiting(one, "email"),
                conflict(two, kind="refused", run_id=None),
                waiting(two, digest="d2"),
            ]
        )

        def ids(**asked: object) -> list[int | None]:
            return [row.id for row in tx.conflicts(**asked)]  # type: ignore[arg-type]

        assert ids() == [1, 2, 3, 4]
        assert ids(state="open") == [2, 4]
        assert ids(entity_id=two) == [3, 4]
        assert ids(field="email") == [2]
        assert ids(kind="refused") == [3]
        assert ids(run_id=5) == [1, 2, 4]
        assert ids(limit=2) == [1, 2]
        assert ids(after_id=2, limit=1) == [3]
        assert ids(state="closed", entity_id=one, field="phone") == [1]


# Rulings


def ruling(id_: int, entity_id: int, field: str, value: object) -> RulingRow:
    return RulingRow(id=id_, entity_id=entity_id, field=field, value=value, version=id_, by="kim", at=1.0, note="")


def test_the_newest_ruling_of_each_field_stands(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        one, two = add_entities(tx, 2)
        rows = [ruling(1, one, "phone", "a"), ruling(2, one, "email", None), ruling(3, one, "phone", ["b"])]
        for row in rows:
            assert tx.add_ruling(row) == row.id
        assert tx.rulings([one, two]) == {one: {"phone": rows[2], "email": rows[1]}}


def test_a_conflict_is_put_back_as_it_was(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        tx.add_conflicts([waiting(one)])
        (before,) = tx.conflicts()
        assert tx.close_conflict(before.id or 0, "merge", None)
        tx.put_conflicts([before])
        assert tx.conflicts() == [before]
