"""Entities, their keys, aliases and history."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hub.model import EntityRow, HistoryRow
from hub.store import Store, Tx

Add = Callable[..., list[int]]


def full(id_: int) -> EntityRow:
    return EntityRow(
        id=id_, type="contact", version=7, state="live", values={"email": "ann@example.org", "tags": ["a", "b"]},
        fields={"": [7, 1, 2.5]}, created_at=1_760_000_000.125,
    )  # fmt: skip


def test_an_entity_comes_back_as_it_was_put(store: Store) -> None:
    with store.transaction() as tx:
        tx.insert_entities([full(1), EntityRow(id=2, type="order")])
    with store.reading() as tx:
        assert tx.entities([2, 1, 1, 99]) == {1: full(1), 2: EntityRow(id=2, type="order")}


def test_an_update_writes_what_may_change_and_leaves_the_rest(store: Store) -> None:
    with store.transaction() as tx:
        tx.insert_entities([full(1), full(2)])
        changed = EntityRow(
            id=2, type="ignored", version=9, state="alias", alias_of=1, values={"a": None}, fields={}, created_at=0.0
        )
        tx.update_entities([changed])
    with store.reading() as tx:
        assert tx.entities([1, 2]) == {
            1: full(1),
            2: EntityRow(
                id=2, type="contact", version=9, state="alias", alias_of=1, values={"a": None}, fields={},
                created_at=1_760_000_000.125,
            ),
        }  # fmt: skip


@pytest.fixture
def family(store: Store, add_entities: Add) -> list[int]:
    """1 is the root of 2 and 3; 4 was merged into 3 before; 5 stands alone."""
    with store.transaction() as tx:
        ids = add_entities(tx, 5)
        rows = tx.entities(ids)
        for alias, root in ((2, 1), (3, 1), (4, 3)):
            rows[alias].alias_of, rows[alias].state = root, "alias"
        tx.update_entities(list(rows.values()))
    assert ids == [1, 2, 3, 4, 5]
    return ids


@pytest.mark.usefixtures("family")
def test_roots_follow_aliases_to_the_end(store: Store) -> None:
    with store.reading() as tx:
        assert tx.roots([4, 2, 5, 1, 99]) == {4: 1, 2: 1, 5: 5, 1: 1}
        assert tx.roots([]) == {}


@pytest.mark.usefixtures("family")
def test_a_closure_holds_the_root_first_and_all_its_aliases(store: Store) -> None:
    with store.reading() as tx:
        assert tx.alias_closure([5, 1]) == {1: [1, 2, 3, 4], 5: [5]}
        assert tx.alias_closure([3]) == {3: [3, 4]}


# Keys


def test_entities_are_found_by_their_keys(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        one, two, three = add_entities(tx, 3)
        tx.set_keys(
            [
                (one, "contact", {("email", "ann@example.org"), ("phone", "+491")}),
                (two, "contact", {("email", "ann@example.org")}),
                (three, "company", {("email", "ann@example.org")}),
            ]
        )
        found = tx.find_by_keys("contact", [("email", "ann@example.org"), ("phone", "+491"), ("phone", "+492")])
    assert found == {("email", "ann@example.org"): [one, two], ("phone", "+491"): [one]}


def test_a_value_is_found_only_under_its_own_key(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        tx.set_keys([(one, "contact", {("email", "x"), ("phone", "y")})])
        assert tx.find_by_keys("contact", [("email", "y"), ("phone", "x")]) == {}


def test_setting_keys_replaces_those_of_this_entity_alone(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        one, two = add_entities(tx, 2)
        tx.set_keys([(each, "contact", {("email", "old"), ("email", "kept")}) for each in (one, two)])
    with store.transaction() as tx:
        tx.set_keys([(one, "contact", {("email", "kept"), ("email", "new")})])
        found = tx.find_by_keys("contact", [("email", each) for each in ("old", "kept", "new")])
    assert found == {("email", "old"): [two], ("email", "kept"): [one, two], ("email", "new"): [one]}
    with store.transaction() as tx:
        tx.set_keys([(one, "contact", set())])
        assert tx.find_by_keys("contact", [("email", "kept"), ("email", "new")]) == {("email", "kept"): [two]}


def test_a_key_of_any_length_is_found(store: Store, add_entities: Add) -> None:
    long_one, other = "ü" * 6000, "ü" * 5999 + "u"
    with store.transaction() as tx:
        (one,) = add_entities(tx, 1)
        tx.set_keys([(one, "contact", {("text", long_one)})])
        assert tx.find_by_keys("contact", [("text", long_one), ("text", other)]) == {("text", long_one): [one]}


# Lists


def test_pages_walk_through_all_entities_once(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        contacts = add_entities(tx, 7)
        orders = add_entities(tx, 3, "order")
        assert [row.id for row in tx.entities_page(limit=4)] == contacts[:4]
        assert [row.id for row in tx.entities_page(after_id=4, limit=4)] == [*contacts[4:], orders[0]]
        assert [row.id for row in tx.entities_page("order", after_id=orders[0])] == orders[1:]
        assert tx.entities_page("nothing") == []


def test_entities_are_counted_by_type_the_living_only(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        ids = add_entities(tx, 4) + add_entities(tx, 2, "order")
        rows = tx.entities(ids)
        rows[ids[0]].state = "deleted"
        tx.update_entities([rows[ids[0]]])
        assert tx.count_entities() == {"contact": 3, "order": 2}


@pytest.mark.parametrize(
    "query, found",
    [
        ("ANN", [1]),
        ("100%", [2]),
        ("100_", []),
        ("_", [3]),
        ("\\", [4]),
        ('"', [5]),
        ("Zoë", [6]),
        ("zoë", [6]),
        ("ZOË", []),  # only ASCII letters lose their case: the same on both databases
        ("nobody", []),
    ],
)
def test_entities_are_searched_by_any_text_in_their_values(store: Store, query: str, found: list[int]) -> None:
    texts = ["ann@example.org", "100% wool", "a_b", "back\\slash", 'quo"te', "Zoë"]
    with store.transaction() as tx:
        tx.insert_entities([EntityRow(id=n, type="contact", values={"x": text}) for n, text in enumerate(texts, 1)])
        assert [row.id for row in tx.entities_page(query=query)] == found
        assert [row.id for row in tx.entities_page("contact", query=query)] == found
        assert tx.entities_page("order", query=query) == []


# History


def history_row(entity_id: int, version: int, **changes: object) -> HistoryRow:
    return HistoryRow(
        entity_id=entity_id, version=version, at=float(version), changes=changes, run_id=None, mapping_version=3,
        actor="sync",
    )  # fmt: skip


def test_history_tells_what_became_of_an_entity_oldest_first(store: Store, add_entities: Add) -> None:
    with store.transaction() as tx:
        one, two = add_entities(tx, 2)
        rows = [
            history_row(one, 1, email={"old": None, "new": "a"}),
            history_row(two, 1, phone={"old": None, "new": 1}),
            history_row(one, 2, phone={"old": 1, "new": 2}),
            history_row(one, 3, email={"old": "a", "new": "b"}),
        ]
        tx.add_history(rows)
        assert tx.history([one]) == [rows[0], rows[2], rows[3]]
        assert tx.history([one], "email") == [rows[0], rows[3]]
        assert tx.history([one, two], limit=2) == [rows[2], rows[3]]
        assert tx.history([one], "email", limit=1) == [rows[3]]
        assert tx.history([99]) == []


# Pages of any size


def test_a_page_may_hold_five_thousand_ids(store: Store) -> None:
    ids = list(range(1, 5001))
    keys = [("email", f"u{each}@example.org") for each in ids]
    with store.transaction() as tx:
        tx.insert_entities([EntityRow(id=each, type="contact", version=1) for each in ids])
        tx.set_keys([(each, "contact", {key}) for each, key in zip(ids, keys, strict=True)])
    with store.transaction() as tx:
        rows = tx.entities(ids, lock=True)
        assert sorted(rows) == ids
        for row in rows.values():
            row.version = 2
        tx.update_entities(list(rows.values()))
        assert len(tx.roots(ids)) == 5000
        assert len(tx.alias_closure(ids)) == 5000
        assert tx.find_by_keys("contact", keys) == {key: [each] for each, key in zip(ids, keys, strict=True)}
        tx.set_keys([(each, "contact", set()) for each in ids])
        assert tx.find_by_keys("contact", keys) == {}
    with store.reading() as tx:
        assert {row.version for row in tx.entities(ids).values()} == {2}


def test_an_empty_page_asks_and_writes_nothing(store: Store) -> None:
    def nothing(tx: Tx) -> list[object]:
        tx.insert_entities([])
        tx.update_entities([])
        tx.set_keys([])
        tx.add_history([])
        return [tx.entities([]), tx.find_by_keys("contact", []), tx.alias_closure([])]

    with store.transaction() as tx:
        assert nothing(tx) == [{}, {}, {}]
