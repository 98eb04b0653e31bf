"""A run holds its connection's lease, tells the truth about itself, and takes over from nobody who lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hub.app.leases import LEASE_S, LeaseLost, Stopped, connection_lease
from hub.app.runs import sync
from hub.app.syncing import sync_now
from hub.errors import HubError, NotFound, QuotaUsedUp, SignInExpired
from hub.model import ChangeSet, PushResult
from hub.runtime.process import owner_name
from hub.verify.vendor import STREAM
from tests.app_world import World


def failing(world: World, system: str, error: Exception) -> None:
    def pull(*_: Any) -> Any:
        raise error

    world.change(system, connector=replace(world.vendors[system].connector(), pull=pull))


def lease(world: World, system: str, owner: str) -> int | None:
    with world.store.transaction() as tx:
        return tx.lease(connection_lease(system), owner, world.clock.now(), LEASE_S)


def slots(world: World, system: str) -> list[tuple[str, str]]:
    with world.store.reading() as tx:
        return [(slot.outcome, slot.why) for slot in tx.slots(system)]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SignInExpired("refused"), "failed"),
        (QuotaUsedUp("empty"), "paused"),
        (HubError("down", code="NET-CUT"), "failed"),
        (Stopped("shutting down"), "interrupted"),
    ],
)
def test_a_run_that_did_not_get_through_says_so_and_the_others_go_on(make: Any, error: HubError, status: str) -> None:
    world = make()
    failing(world, "A", error)
    world.person("B")
    runs = world.sync()
    assert (runs["A"].status, runs["A"].code) == (status, error.code)
    assert runs["B"].status == "success"
    with world.store.reading() as tx:
        stored = {row.connection: (row.status, row.error) for row in tx.runs()}
    assert stored["A"] == (status, str(error))


def test_a_bug_is_not_caught_and_leaves_no_run_that_claims_success(make: Any) -> None:
    world = make()
    failing(world, "A", KeyError("oops"))
    with pytest.raises(KeyError):
        world.sync()
    with world.store.reading() as tx:
        assert {row.connection: row.status for row in tx.runs()} == {"A": "failed", "B": "failed"}
    assert lease(world, "A", "another") is not None, "its lease is free again"


def test_a_connection_that_another_process_runs_is_skipped_and_says_so(make: Any) -> None:
    world = make()
    lease(world, "A", "another-machine/1/1")
    runs = world.sync()
    assert list(runs) == ["B"]
    assert slots(world, "A") == []  # nobody had planned it: only scheduled moments are slots
    outcome = sync_now(world.hub, owner="test")
    assert (outcome.skipped, outcome.exit_code) == (["A"], 1)
    assert [row["status"] for row in outcome.rows] == ["success", "skipped"]


def test_the_lease_of_a_process_that_died_here_is_taken_over_at_once(make: Any) -> None:
    world = make(names="A")
    host, _, _ = owner_name().split("/")
    lease(world, "A", f"{host}/4194000/1")
    with world.store.transaction() as tx:
        dead = tx.start_run("A", "sync", world.clock.now(), lease=connection_lease("A"))
    assert world.sync()["A"].status == "success"
    with world.store.reading() as tx:
        assert tx.run(dead).status == "interrupted"


def test_a_lease_is_given_back_after_the_run(make: Any) -> None:
    world = make(names="A")
    world.sync()
    assert lease(world, "A", "another-machine/1/1") is not None


def test_a_run_whose_lease_was_taken_stops_at_its_next_page(make: Any) -> None:
    world = make(names="A")
    world.people("A", 3)
    stolen: list[str] = []

    def steal(_connection: str, phase: str, _stream: str, _rows: int) -> None:
        stolen.append(phase)
        raise LeaseLost("taken")

    (run,) = sync(world.hub, owner="test", watch=steal)
    assert (run.status, run.code, stolen) == ("failed", "RUN-LEASE", ["pull"])


def test_only_the_streams_that_are_due_are_read(make: Any) -> None:
    world = make()
    world.person("A")
    sync(world.hub, owner="test", only={"A": frozenset()})
    assert world.entities() == []
    sync(world.hub, owner="test", only={"A": frozenset({STREAM})})
    assert len(world.entities()) == 1


def test_what_is_due_is_written_without_reading_the_streams(make: Any) -> None:
    world = make()
    at_a = world.person("A")
    world.settle()
    world.edit("A", at_a, phone="+4930222")
    world.sync("A")
    failing(world, "B", AssertionError("the streams are not read"))
    (run,) = sync(world.hub, ["B"], owner="test", kind="webhook", pull=False)
    assert (run.status, run.counts["updated"]) == ("success", 1)
    assert world.held_at("B", world.twin_of("A", at_a, "B"))["phone"] == "+4930222"


def test_a_connection_that_does_not_exist_is_named_with_those_that_do(make: Any) -> None:
    world = make()
    with pytest.raises(NotFound, match="known are: A, B"):
        sync_now(world.hub, ["C"], owner="test")


def test_open_rows_ask_for_a_person_and_a_clean_hub_for_nobody(make: Any) -> None:
    world = make(phone="manual")
    at_a = world.person("A")
    world.settle()
    assert sync_now(world.hub, owner="test").exit_code == 0
    world.edit("A", at_a, phone="+4930222")
    world.edit("B", world.twin_of("A", at_a, "B"), phone="+4930333")
    world.clock.sleep(60.0)
    outcome = sync_now(world.hub, owner="test")
    assert (outcome.waiting.conflicts, outcome.exit_code) == (1, 3)
    assert str(outcome.waiting).startswith("waits for a person: 1 conflicts")


def throttled_once(world: World, system: str, wait_s: float | None) -> None:
    """The system's next write is turned away, with a wait or without."""
    connector = world.hub.connections[system].connector
    honest = connector.push
    assert honest is not None
    waits = [wait_s]

    def push(api: Any, stream: str, changes: Sequence[ChangeSet]) -> Sequence[PushResult]:
        if not waits:
            return honest(api, stream, changes)
        wait = waits.pop()
        return [PushResult(index=i, outcome="throttled", retry_after_s=wait) for i in range(len(changes))]

    world.change(system, connector=replace(connector, push=push))


def test_a_vendor_that_asks_for_a_moment_gets_it_and_then_the_writes(make: Any) -> None:
    world = make()
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    world.edit("A", at_a, note="second")
    throttled_once(world, "B", 7.0)
    run = world.sync()["B"]
    assert (run.status, run.error, run.counts["updated"]) == ("success", "", 1)
    assert world.held_at("B", at_b)["note"] == "second"


def test_a_longer_wait_ends_the_run_and_the_record_is_due_again_at_once(make: Any) -> None:
    world = make()
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    world.edit("A", at_a, note="second")
    throttled_once(world, "B", 3600.0)
    assert world.sync()["B"].status == "failed"
    assert world.links("B")[at_b].attempts == 0
    assert world.sync(after_s=0.0)["B"].counts["updated"] == 1
