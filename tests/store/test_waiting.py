"""Quarantine and holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hub.errors import NotFound
from hub.model import HoldRow, QuarantineRow
from hub.store import Store

Add = Callable[..., list[int]]


def fault(external_id: str = "r1", field: str = "phone", **changes: object) -> QuarantineRow:
    base = QuarantineRow(
        connection="crm", stream="contacts", external_id=external_id, field=field, direction="in", code="MAP-014",
        message="no phone number", fix="correct it", value={"raw": [1, None]}, at=2.0, run_id=3, entity_id=None,
        link_id=None,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_fault_comes_back_as_it_was_put(store: Store) -> None:
    row = fault(entity_id=4, link_id=5)
    with store.transaction() as tx:
        tx.add_quarantine([row])
    with store.reading() as tx:
        assert tx.quarantine() == [replace(row, id=1)]
        assert tx.quarantine_row(1) == replace(row, id=1)
        with pytest.raises(NotFound):
            tx.quarantine_row(2)


def test_a_cell_has_one_open_row_brought_up_to_date_in_place(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_quarantine([fault(), fault(field="email"), fault("r2"), fault(direction="out"), fault(message="twice")])
    newer = fault(code="MAP-020", message="still none", value=None, at=9.0, run_id=None, link_id=7)
    with store.transaction() as tx:
        tx.add_quarantine([newer])
        rows = tx.quarantine()
    assert [row.id for row in rows] == [1, 2, 3, 4]
    assert rows[0] == replace(newer, id=1)


def test_cells_that_are_well_are_mended(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_quarantine([fault(), fault(field="email"), fault("r2"), fault(direction="out")])
        assert tx.mend_quarantine("crm", "contacts", "in", {"r1": ["phone"], "r2": ["email"], "r3": [""]}) == 1
        assert tx.mend_quarantine("crm", "contacts", "in", {"r1": ["phone"]}) == 0
        assert tx.mend_quarantine("crm", "leads", "in", {"r2": ["phone"]}) == 0
        assert tx.mend_quarantine("crm", "contacts", "in", {}) == 0
        assert [row.id for row in tx.quarantine()] == [2, 3, 4]
        assert [row.id for row in tx.quarantine("mended")] == [1]


def test_a_cell_that_breaks_again_gets_a_row_of_its_own(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_quarantine([fault()])
        tx.mend_quarantine("crm", "contacts", "in", {"r1": ["phone"]})
        tx.add_quarantine([fault()])
        assert [(row.id, row.state) for row in tx.quarantine(None)] == [(1, "mended"), (2, "open")]


def test_a_refused_create_is_known_by_its_link(store: Store) -> None:
    refused = fault("", "email", direction="out", link_id=1, value="a")
    with store.transaction() as tx:
        tx.add_quarantine([refused, replace(refused, link_id=2, value="b"), replace(refused, value="c")])
        tx.add_quarantine([fault("r3", "", direction="out", link_id=3, value=12), fault("r3", "phone", link_id=3)])
        assert tx.blocked_fields([1, 2, 3, 4]) == {1: {"email": "c"}, 2: {"email": "b"}, 3: {"": 12}}
        assert tx.mend_links([1, 3]) == 2
        assert tx.blocked_fields([1, 2, 3]) == {2: {"email": "b"}}
        assert tx.mend_links([3], "in") == 1


def test_faults_are_listed_and_counted_by_what_is_asked(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_quarantine(
            [fault(), fault("r2", code="REF-WAITS"), fault(direction="out"), fault("r4", connection="shop")]
        )
        assert tx.close_quarantine([2, 99], "dropped") == 1
        assert tx.close_quarantine([]) == 0

        def ids(**asked: object) -> list[int | None]:
            return [row.id for row in tx.quarantine(**asked)]  # type: ignore[arg-type]

        assert ids() == [1, 3, 4]
        assert ids(state=None) == [1, 2, 3, 4]
        assert ids(state="dropped") == [2]
        assert ids(connection="shop") == [4]
        assert ids(direction="out") == [3]
        assert ids(code="MAP-014", stream="contacts", limit=1) == [1]
        assert ids(external_id="r1", after_id=1) == [3]
        assert ids(run_id=4) == []
        assert tx.count_quarantine() == {("crm", "in"): 1, ("crm", "out"): 1, ("shop", "in"): 1}
        assert tx.count_quarantine("dropped") == {("crm", "in"): 1}


# Holds


def hold(id_: int, **changes: object) -> HoldRow:
    base = HoldRow(
        id=id_, guard="deletes", connection="crm", stream="contacts", field="", count=3, of=100, state="open",
        message="many deleted", at=1.0, run_id=2, ceiling=0,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_hold_comes_back_as_it_was_put_and_changes_only_as_told(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.add_hold(hold(1)) == 1
        assert tx.hold(1) == hold(1)
        tx.update_hold(1, ceiling=5, state="released")
        assert tx.hold(1) == hold(1, ceiling=5, state="released")
        tx.update_hold(1, count=0, message="", at=9.0, of=7)
        assert tx.hold(1) == hold(1, ceiling=5, state="released", count=0, message="", at=9.0, of=7)
        with pytest.raises(NotFound):
            tx.hold(2)
        with pytest.raises(NotFound):
            tx.update_hold(2, count=1)


def test_what_is_held_for_the_same_reason_joins_one_hold(store: Store) -> None:
    where = {"guard": "blanks", "connection": "crm", "stream": "contacts", "field": "phone", "run_id": 1}
    with store.transaction() as tx:
        first = tx.join_hold(**where, count=5, of=100, at=1.0, message="five")  # type: ignore[arg-type]
        assert tx.join_hold(**where, count=2, of=110, at=2.0, message="more") == first  # type: ignore[arg-type]
        other = tx.join_hold(**{**where, "field": "email"}, count=1, of=1, at=3.0, message="one")  # type: ignore[arg-type]
        (joined, _) = tx.open_holds("crm")
        assert (joined.id, joined.count, joined.of, joined.at, joined.message) == (first, 7, 110, 2.0, "more")
        tx.update_hold(first, state="dropped")
        assert tx.join_hold(**where, count=1, of=1, at=4.0, message="new") not in (first, other)  # type: ignore[arg-type]


def test_holds_are_listed_by_what_is_asked(store: Store) -> None:
    with store.transaction() as tx:
        for row in (
            hold(1), hold(2, guard="creates"), hold(3, connection="shop"), hold(4, state="released"),
            hold(5, stream="leads", state="dropped"),
        ):  # fmt: skip
            tx.add_hold(row)
        assert [row.id for row in tx.open_holds()] == [1, 2, 3]
        assert [row.id for row in tx.open_holds("shop")] == [3]
        assert [row.id for row in tx.holds_of("crm", "contacts", "deletes")] == [1, 4]
        assert [row.id for row in tx.holds(state="dropped")] == [5]
        assert [row.id for row in tx.holds(limit=2, after_id=1)] == [2, 3]


def test_held_cells_are_known_while_their_hold_is_open(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        one, two, three = add_links(tx, 3)
        tx.add_hold(hold(1))
        tx.add_hold(hold(2, guard="blanks", field="phone"))
        tx.add_hold_items(1, [(one, ""), (two, ""), (one, "")])
        tx.add_hold_items(2, [(one, "phone")])
        tx.add_hold_items(2, [(one, "phone")])
        assert tx.held_items([one, two, three]) == {one: {("", 1), ("phone", 2)}, two: {("", 1)}}
        assert tx.held_items([]) == {}
        tx.update_hold(1, state="released")
        assert tx.held_items([one, two, three]) == {one: {("phone", 2)}}


def test_cells_of_a_hold_are_paged_and_dropped(store: Store, add_links: Add) -> None:
    with store.transaction() as tx:
        one, two, three = add_links(tx, 3)
        tx.add_hold(hold(1))
        cells = [(one, "email"), (one, "phone"), (two, ""), (three, "email")]
        tx.add_hold_items(1, cells)
        assert tx.hold_items(1) == cells
        assert tx.hold_items(1, limit=2) == cells[:2]
        assert tx.hold_items(1, limit=2, after=cells[1]) == cells[2:]
        assert tx.drop_hold_items(1, [cells[0], cells[2], (one, "other")]) == 2
        assert tx.hold_items(1) == [cells[1], cells[3]]
        assert tx.drop_hold_items(1) == 2
        assert tx.hold_items(1) == []
