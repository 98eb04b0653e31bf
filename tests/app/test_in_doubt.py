"""What is in doubt stays in doubt until something proves it; what is gone may come back, and what was asked with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hub.app.ingest import ingest_page
from hub.app.restored import after_restore
from hub.app.review import resolve_conflict
from hub.connector import Idempotency
from hub.errors import Drifted, OutcomeUnknown, RetryLater
from hub.model import ChangeSet, LinkState, PushResult, SourceRecord
from hub.verify.vendor import STREAM, Traits
from tests.app_world import World

PLAIN = Traits(page_size=100, max_batch=100)


def answered(world: World, system: str, *errors: Exception | None) -> None:
    """The next writes at a system end so, whatever became of them; None: the write lands, its answer is lost."""
    connection, script = world.hub.connections[system], list(errors)
    honest = connection.connector.push
    assert honest is not None

    def push(api: Any, stream: str, changes: Sequence[ChangeSet]) -> Sequence[PushResult]:
        if not script:
            return honest(api, stream, changes)
        error = script.pop(0)
        if error is None:
            honest(api, stream, changes)
            raise OutcomeUnknown("the answer was lost")
        raise error

    world.hub.connections[system] = replace(connection, connector=replace(connection.connector, push=push))


def intent_states(world: World) -> list[str]:
    ids = [entity.id for entity in world.entities()]
    with world.store.reading() as tx:
        found = tx.intents_of_entities(ids)
    return [each.state for each in found if each.connection == "B"]


def test_a_throttled_repeat_of_a_create_proves_nothing_about_the_first_attempt(make: Any) -> None:
    world: World = make(traits=replace(PLAIN, idempotency=Idempotency.UNIQUE_REFERENCE))
    world.person("A")
    answered(world, "B", OutcomeUnknown("no answer"), RetryLater("throttled"))
    world.sync()
    world.sync()
    assert intent_states(world) == ["open"]
    world.settle()
    assert intent_states(world) == ["done"]


def test_our_own_create_that_was_deleted_before_it_was_read_is_settled_and_not_made_again(make: Any) -> None:
    world: World = make(traits=replace(PLAIN, idempotency=Idempotency.SEARCHABLE_REFERENCE))
    world.person("A")
    answered(world, "B", None)
    world.sync()
    (made,) = world.vendors["B"].alive()
    world.vendors["B"].user_delete(made)
    world.sync(after_s=1000.0)
    world.settle()
    assert world.vendors["B"].alive() == []
    assert world.links("B")[made].state == LinkState.GONE
    with world.store.reading() as tx:
        assert tx.open_intents() == []


def test_a_record_that_was_missed_and_then_told_as_merged_is_merged(make: Any) -> None:
    world: World = make()
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    take(world, at_b, SourceRecord(external_id=at_b, data={}, op="delete"))
    assert world.links("B")[at_b].state == LinkState.GONE
    take(world, at_b, SourceRecord(external_id=at_b, data={}, op="merged_into", merged_into="B9"))
    assert world.links("B")[at_b].state == LinkState.MERGED_INTO


def take(world: World, at_b: str, record: SourceRecord) -> None:
    """B says this of the record, a moment later."""
    world.clock.sleep(1.0)
    ingest_page(world.hub, world.hub.connections["B"], STREAM, [record], read_at=world.clock.now())


def test_a_stale_read_between_two_deletes_brings_nothing_back(make: Any) -> None:
    world: World = make()
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    data, stamp = dict(world.held_at("B", at_b)), world.clock.now()
    for when in (stamp + 10.0, stamp + 30.0):  # it was back in between, unseen
        take(world, at_b, SourceRecord(external_id=at_b, data={}, op="delete", stamp=when))
    take(world, at_b, SourceRecord(external_id=at_b, data=data, stamp=stamp + 20.0))
    assert world.links("B")[at_b].state == LinkState.GONE


def test_a_write_in_doubt_when_its_record_went_away_is_settled_when_it_comes_back(make: Any) -> None:
    world: World = make()
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    world.edit("A", at_a, note="second")
    answered(world, "B", None)
    world.sync()
    assert world.held_at("B", at_b)["note"] == "second"
    world.vendors["B"].user_delete(at_b)
    world.sync()
    world.edit("A", at_a, note="third")
    world.sync()
    world.vendors["B"].user_restore(at_b)
    world.sync(after_s=1000.0)
    world.settle()
    assert world.held_at("A", at_a)["note"] == world.held_at("B", at_b)["note"] == "third"


def in_question(make: Any) -> tuple[World, str, str]:
    """Two systems disagree about a phone that only a person may decide."""
    world: World = make(phone="manual")
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    world.edit("A", at_a, phone="+4930222")
    world.edit("B", at_b, phone="+4930333")
    world.sync()
    return world, at_a, at_b


def test_a_candidate_whose_record_came_back_is_in_question_again(make: Any) -> None:
    world, at_a, at_b = in_question(make)
    world.vendors["B"].user_delete(at_b)
    world.sync()
    world.edit("A", at_a, phone="+4930444")
    world.sync()
    world.vendors["B"].user_restore(at_b)
    world.sync()
    (conflict,) = world.conflicts()
    assert {"+4930333", "+4930444"} <= {each["value"] for each in conflict.candidates}


def test_a_decided_conflict_is_not_decided_anew_while_the_field_is_in_question(make: Any) -> None:
    world, at_a, _ = in_question(make)
    (old,) = world.conflicts()
    resolve_conflict(world.hub, old.id or 0, value="+4930999", by="mia")
    world.settle()
    world.edit("A", at_a, phone="+4930555")
    world.sync()
    assert len(world.conflicts()) == 1
    with pytest.raises(Drifted, match="in question again"):
        resolve_conflict(world.hub, old.id or 0, value="+4930777", by="kim")


def test_a_restored_store_reads_everything_before_it_creates_and_repeats_no_number(make: Any) -> None:
    world: World = make()
    world.person("A")
    world.settle()
    before = max(link.id for link in world.links("B").values())
    assert after_restore(world.hub, by="mia") == {"streams": 2, "grants_in_doubt": 0}
    with world.store.reading() as tx:
        assert [tx.cursor(name, STREAM) for name in "AB"] == [None, None]
    world.person("A", code="P2", email="two@example.org")
    world.settle()
    assert max(link.id for link in world.links("B").values()) > before + 100_000
    codes = [world.held_at("B", each)["code"] for each in world.vendors["B"].alive()]
    assert sorted(codes) == ["P1", "P2"]
