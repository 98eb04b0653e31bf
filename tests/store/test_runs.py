"""Runs, slots, leases."""

from __future__ import annotations

import threading

import pytest

from hub.errors import NotFound
from hub.model import RunRow
from hub.store import Store
from hub.store.rows import LeaseRow, RunStreamRow, SlotRow
from tests.store.test_transactions import in_threads, retried


def test_a_run_says_what_became_of_it(store: Store) -> None:
    with store.transaction() as tx:
        run_id = tx.start_run("crm", "sync", 5.0)
        assert tx.run(run_id) == RunRow(id=run_id, connection="crm", kind="sync", started_at=5.0)
        tx.finish_run(run_id, 9.0, "partial", {"new": 3}, "one row waits")
        assert tx.run(run_id) == RunRow(
            id=run_id, connection="crm", kind="sync", started_at=5.0, ended_at=9.0, status="partial", counts={"new": 3},
            error="one row waits",
        )  # fmt: skip
        with pytest.raises(NotFound):
            tx.run(99)


def test_runs_are_listed_newest_first(store: Store) -> None:
    with store.transaction() as tx:
        ids = [tx.start_run(connection, "sync", 1.0) for connection in ("crm", "shop", "crm")]
        assert [run.id for run in tx.runs()] == ids[::-1]
        assert [run.id for run in tx.runs(connection="crm")] == [ids[2], ids[0]]
        assert [run.id for run in tx.runs(limit=1, before_id=ids[2])] == [ids[1]]


def test_counts_of_a_stream_add_up(store: Store) -> None:
    with store.transaction() as tx:
        run_id = tx.start_run("crm", "sync", 1.0)
        tx.add_run_stream(run_id, "contacts", "in", {"seen": 2, "new": 1})
        tx.add_run_stream(run_id, "contacts", "in", {"seen": 3, "stale": 1})
        tx.add_run_stream(run_id, "contacts", "out", {"sent": 1})
        assert tx.run_streams(run_id) == [
            RunStreamRow(run_id=run_id, stream="contacts", direction="in", counts={"seen": 5, "new": 1, "stale": 1}),
            RunStreamRow(run_id=run_id, stream="contacts", direction="out", counts={"sent": 1}),
        ]
        assert tx.run_streams(99) == []


# Runs of dead processes


def test_a_run_whose_lease_ran_out_was_interrupted(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.lease("crm", "worker 1", 100.0, 30.0) == 1
        alive = tx.start_run("crm", "sync", 100.0)
        done = tx.start_run("crm", "sync", 100.0)
        tx.finish_run(done, 101.0, "success", {})
        assert tx.mark_interrupted(129.0) == []
        assert tx.mark_interrupted(130.0) == [alive]
        assert (tx.run(alive).status, tx.run(alive).ended_at) == ("interrupted", 130.0)
        assert tx.run(done).status == "success"
        assert tx.mark_interrupted(140.0) == []


def test_a_run_whose_lease_went_on_to_another_was_interrupted(store: Store) -> None:
    with store.transaction() as tx:
        tx.lease("crm", "worker 1", 100.0, 30.0)
        old = tx.start_run("crm", "sync", 100.0)
        assert tx.lease("crm", "worker 2", 131.0, 30.0) == 2
        new = tx.start_run("crm", "sync", 131.0)
        assert tx.mark_interrupted(132.0) == [old]
        assert tx.run(new).status == "running"


def test_a_run_lives_by_the_lease_it_names(store: Store) -> None:
    with store.transaction() as tx:
        tx.lease("rewards", "worker 1", 100.0, 30.0)
        named = tx.start_run("plum", "rewards", 100.0, lease="rewards")
        nameless = tx.start_run("plum", "sync", 100.0)  # nobody holds "plum"
        assert tx.mark_interrupted(101.0) == [nameless]
        assert tx.run(named).status == "running"


# Slots


def test_every_slot_has_one_row_and_its_last_word(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.last_slot("crm") is None
        tx.add_slot("crm", 10.0, "ran")
        tx.add_slot("crm", 20.0, "skipped", "the run before goes on")
        tx.add_slot("shop", 15.0, "missed", "the hub was down")
        tx.add_slot("crm", 10.0, "missed", "after all")
        skipped = SlotRow(connection="crm", due_at=20.0, outcome="skipped", why="the run before goes on")
        missed = SlotRow(connection="crm", due_at=10.0, outcome="missed", why="after all")
        assert tx.last_slot("crm") == skipped
        assert tx.slots("crm") == [skipped, missed]
        assert [slot.due_at for slot in tx.slots(limit=2)] == [20.0, 15.0]


# Leases


def test_a_lease_is_held_by_one_until_it_runs_out(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.lease_holder("crm") is None
        assert tx.lease("crm", "a", 100.0, 30.0) == 1
        assert tx.lease("crm", "b", 129.9, 30.0) is None
        assert tx.lease("shop", "b", 100.0, 30.0) == 1
        assert tx.lease_holder("crm") == LeaseRow(name="crm", owner="a", epoch=1, expires_at=130.0)
        assert tx.lease("crm", "b", 130.0, 30.0) == 2
        assert tx.lease_holder("crm") == LeaseRow(name="crm", owner="b", epoch=2, expires_at=160.0)


def test_the_old_holder_is_fenced_off_after_a_take_over(store: Store) -> None:
    with store.transaction() as tx:
        tx.lease("crm", "a", 100.0, 30.0)
        assert tx.renew("crm", "a", 1, 120.0, 30.0)
        assert tx.lease("crm", "b", 140.0, 30.0) is None
        assert not tx.renew("crm", "a", 1, 150.0, 30.0)  # it ran out, though nobody took it yet
        assert tx.lease("crm", "b", 150.0, 30.0) == 2
        assert not tx.renew("crm", "a", 1, 151.0, 30.0)
        assert not tx.renew("crm", "b", 1, 151.0, 30.0)
        assert tx.renew("crm", "b", 2, 151.0, 30.0)
        assert not tx.release("crm", "a")


def test_a_lease_given_back_is_free_at_once_with_a_higher_epoch(store: Store) -> None:
    with store.transaction() as tx:
        tx.lease("crm", "a", 100.0, 30.0)
        assert tx.release("crm", "a")
        assert not tx.renew("crm", "a", 1, 101.0, 30.0)
        assert tx.lease("crm", "b", 101.0, 30.0) == 2


def test_who_takes_its_own_lease_again_begins_a_new_epoch(store: Store) -> None:
    """A worker that died and came back under the same name must not share an epoch with what it left behind."""
    with store.transaction() as tx:
        assert tx.lease("crm", "a", 100.0, 30.0) == 1
        assert tx.lease("crm", "a", 101.0, 30.0) == 2
        assert not tx.renew("crm", "a", 1, 102.0, 30.0)


def test_of_many_who_ask_at_once_one_gets_the_lease(store: Store) -> None:
    got: list[str] = []
    lock = threading.Lock()

    def ask(owner: str) -> None:
        answers: list[int | None] = []
        retried(store, lambda tx: answers.append(tx.lease("crm", owner, 100.0, 30.0)))
        if answers[-1] is not None:
            with lock:
                got.append(owner)

    assert in_threads([lambda n=n: ask(f"worker {n}") for n in range(6)]) == []  # type: ignore[misc]
    assert len(got) == 1
