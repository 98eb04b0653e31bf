"""Who is who: pairs, rulings on records that are not there yet, merges."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hub.errors import NotFound
from hub.store import Store
from hub.store.identities import pair_key
from hub.store.rows import IdentityRow

Add = Callable[..., list[int]]


def pair(one: int, other: int, kind: str = "review", **more: object) -> IdentityRow:
    ends = sorted((one, other))
    row = {"kind": kind, "key": pair_key(one, other), "entity_id": ends[0], "other_id": ends[1], "at": 1.0, "by": "x"}
    return {**row, **more}  # type: ignore[typeddict-item]


def test_a_pair_to_review_stands_once_and_its_decision_stays(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        one, two, three = add_entities(tx, 3)
        tx.add_reviews([pair(two, one, score=0.91), pair(two, three, score=0.95)])
        (first,) = tx.identities_of([one])
        assert (first["entity_id"], first["other_id"], first["state"]) == (one, two, "open")
        assert tx.decide_identity(first["id"], "refused", "father and son")
        tx.add_reviews([pair(one, two, score=0.99, evidence={"why": "new"})])
        (again,) = tx.identities_of([one])
    assert again == {**first, "state": "refused", "note": "father and son", "score": 0.99, "evidence": {"why": "new"}}


def test_the_likeliest_pair_comes_first_and_one_without_score_last(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        one, two, three = add_entities(tx, 3)
        tx.add_reviews([pair(one, two), pair(one, three, score=0.9), pair(two, three, score=0.95)])
        assert [row["score"] for row in tx.identities_ranked("review", "open")] == [0.95, 0.9, None]
        assert len(tx.identities_ranked("review", "open", limit=1)) == 1
        assert tx.count_identities() == {("review", "open"): 3}


def test_a_ruling_that_was_taken_back_is_in_force_again_when_made_again(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        one, two = add_entities(tx, 2)
        tx.add_pair_rulings([pair(one, two, "never", by="kim")])
        (row,) = tx.identities(kind="never")
        assert tx.decide_identity(row["id"], "undone")
        assert not tx.decide_identity(99, "undone")
        tx.add_pair_rulings([pair(two, one, "never", by="mia", note="twins", at=2.0)])
        (again,) = tx.identities(kind="never")
        assert (again["id"], again["state"], again["by"], again["note"]) == (row["id"], "open", "mia", "twins")
        assert tx.identities_of([two], kind="never") == [again]
        assert tx.identities_by_keys("never", [pair_key(two, one), "7-8"]) == {pair_key(one, two): again}


def test_of_rows_that_count_once_the_first_does(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        crowded: IdentityRow = {
            "kind": "crowded",
            "key": "contact:email:info",
            "entity_id": one,
            "at": 1.0,
            "by": "limits",
        }
        tx.add_once([crowded, {**crowded, "at": 2.0}])
        tx.add_once([{**crowded, "at": 3.0}])
        assert [row["at"] for row in tx.identities(kind="crowded")] == [1.0]


def test_a_ruling_on_a_record_is_found_by_where_the_record_lives(store: Store) -> None:
    with store.transaction() as tx:
        row: IdentityRow = {"kind": "always", "key": "crm/contacts/1>shop/people/2", "at": 1.0, "by": "kim"}
        tx.add_pair_rulings([row])
        id_ = tx.identities(kind="always")[0]["id"]
        tx.add_pair_records(id_, [("crm", "contacts", "1"), ("shop", "people", "2")])
        tx.add_pair_records(id_, [("crm", "contacts", "1")])
        assert [each["id"] for each in tx.rulings_on_records("crm", "contacts", ["1", "2"])["1"]] == [id_]
        assert tx.rulings_on_records("shop", "people", ["1", "2"]).keys() == {"2"}
        tx.decide_identity(id_, "accepted")
        assert tx.rulings_on_records("crm", "contacts", ["1"]) == {}


def test_a_merge_keeps_the_images_that_an_unmerge_needs(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        one, two = add_entities(tx, 2)
        before = {"survivor": {"values": {"a": 1}}, "alias": {"values": {}}}
        merge: IdentityRow = {
            "kind": "merge", "entity_id": one, "other_id": two, "at": 1.0, "by": "kim", "before": before,
            "version": 12, "run_id": 3, "state": "accepted", "note": "same person", "evidence": None, "score": None,
            "key": None,
        }  # fmt: skip
        id_ = tx.add_identity(merge)
        assert tx.add_identity(merge) != id_, "merges have no key: the same two may be merged again"
    with store.reading() as tx:
        assert tx.identity(id_) == {**merge, "id": id_}
        with pytest.raises(NotFound):
            tx.identity(99)
