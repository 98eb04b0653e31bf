"""Notes of changed entities: taken while somebody goes by them, and no change that neither note nor counting has."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from hub.store import Store, notes
from tests.store.conftest import AddRecords


def begin(store: Store) -> None:
    with store.transaction() as tx:
        tx.begin_notes()


def test_nobody_who_goes_by_notes_no_notes(store: Store, add_entities: AddRecords) -> None:
    with store.transaction() as tx:
        add_entities(tx, 3)
    with store.reading() as tx:
        assert not tx.notes_stand()
        assert tx.change_notes(10) == []


def test_a_change_leaves_a_note_until_it_was_seen_to(store: Store, add_entities: AddRecords) -> None:
    begin(store)
    with store.transaction() as tx:
        made = add_entities(tx, 3)
    with store.reading() as tx:
        assert tx.notes_stand()
        found = tx.change_notes(10)
    assert [entity for _, entity in found] == made
    with store.transaction() as tx:
        tx.drop_change_notes(number for number, _ in found[:2])
    with store.transaction() as tx:
        assert tx.change_notes(10) == found[2:]
        tx.begin_notes()
    with store.reading() as tx:
        assert tx.notes_stand()
        assert tx.change_notes(10) == []


def test_more_notes_than_counting_anew_costs_are_not_kept(
    store: Store, add_entities: AddRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MANY", 5)
    begin(store)
    for _ in range(4):
        with store.transaction() as tx:
            add_entities(tx, 4)
    with store.reading() as tx:
        assert not tx.notes_stand()
        assert len(tx.change_notes(100)) == 8


def test_what_notes_cannot_tell_ends_them(store: Store, add_entities: AddRecords) -> None:
    begin(store)
    with store.transaction() as tx:
        (made,) = add_entities(tx, 1)
    with store.transaction() as tx:
        tx.erase_entities([made], [], [])
    with store.reading() as tx:
        assert not tx.notes_stand()


def test_counting_begins_once_all_changes_without_a_note_can_be_seen(store: Store, add_entities: AddRecords) -> None:
    written, waited, made = Event(), Event(), []

    def change() -> None:
        with store.transaction() as tx:
            made.extend(add_entities(tx, 1))
            written.set()
            waited.wait(0.3)  # nobody sets it while this transaction is open: whoever begins must wait

    writer = Thread(target=change)
    writer.start()
    assert written.wait(5)
    begin(store)
    waited.set()
    with store.reading() as tx:
        assert tx.change_notes(10) == []
        assert set(tx.entities(made)) == set(made)
    writer.join()
