"""An undo puts back exactly what a run wrote and nobody changed since, and what it put back stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from hub.app.apply import Applied, apply
from hub.app.review import resolve_conflict
from hub.app.undo import undo, undo_plan
from hub.core.canonical import CanonicalField
from hub.core.document import Sheet
from hub.core.guards import allowance
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub as HubFacts
from hub.core.mapping_file import read_mapping
from hub.errors import NotFound, OutcomeUnknown
from hub.model import Json, LinkState
from hub.runtime.yaml import parse_yaml
from hub.verify.vendor import STREAM, Traits, cut
from tests.app_world import World

Held = dict[str, dict[str, Mapping[str, Json]]]


def state(world: World) -> Held:
    """What every system holds, without its ids: a record that is made again has another."""
    return {
        name: {str(fields["code"]): dict(fields) for each in vendor.alive() if (fields := vendor.current(each).fields)}
        for name, vendor in world.vendors.items()
    }


def undone(world: World, *runs: int, **more: Any) -> tuple[dict[str, Any], Applied]:
    world.clock.sleep(60.0)
    return undo(world.hub, runs, by="ann", owner="test", **more)


def stays(world: World) -> None:
    """Three more syncs write nothing, so nothing moves."""
    before, writes = state(world), world.writes()
    for _ in range(3):
        world.sync()
    assert (world.writes(), state(world)) == (writes, before)


def left(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["field"], row["code"]) for row in document["left"]]


def deletes(world: World, system: str, policy: str) -> None:
    mapping: StreamMapping = world.hub.connections[system].mappings[STREAM]
    world.change(system, mappings={STREAM: replace(mapping, deletes_out=policy)})


def written(make: Any, **more: Any) -> tuple[World, str, str, int, Held]:
    """Ann in A and B; a run wrote her new phone from A to B: the world, her ids, the run, the state before it."""
    world: World = make(**more)
    ann = world.person("A")
    world.settle()
    twin = world.twin_of("A", ann, "B")
    world.edit("A", ann, phone="+4930222")
    before = state(world)
    run = world.sync()["B"]
    assert world.held_at("B", twin)["phone"] == "+4930222"
    return world, ann, twin, run.run_id, before


# Fields


def test_a_field_is_put_back_and_stays(make: Any) -> None:
    world, ann, twin, run, before = written(make)
    document, done = undone(world, run)
    assert (state(world), done.written, done.exit_code, document["left"]) == (before, 1, 0, [])
    assert (world.held_at("A", ann)["phone"], world.held_at("B", twin)["phone"]) == ("+4930222", "+4930111")
    stays(world)


def test_the_plan_of_an_undo_writes_nothing_and_says_what_it_is_of(make: Any) -> None:
    world, _, twin, run, _ = written(make)
    before = world.writes()
    document = undo_plan(world.hub, [run])
    assert world.writes() == before
    assert [(row["op"], row["field"], row["old"], row["new"], row["why"]) for row in document["changes"]] == [
        ("update", "phone", "+4930222", "+4930111", f"undo of run {run}")
    ]
    assert (document["connections"][0]["updates"], document["connections"][0]["calls"]) == (1, 2)
    done = apply(world.hub, document, by="ann", owner="test")
    assert (done.written, world.held_at("B", twin)["phone"]) == (1, "+4930111")


def test_a_second_undo_does_nothing(make: Any) -> None:
    world, _, _, run, before = written(make)
    undone(world, run)
    writes = world.writes()
    document, done = undone(world, run)
    assert (document["writes"], document["left"], document["already"]) == ([], [], 1)
    assert (done.written, done.exit_code, world.writes(), state(world)) == (0, 0, writes, before)


def test_undoing_the_undo_restores(make: Any) -> None:
    world, _, twin, run, _ = written(make)
    after = state(world)
    _, first = undone(world, run)
    stays(world)
    _, second = undone(world, first.runs[0].run_id)
    assert (state(world), second.written) == (after, 1)
    stays(world)
    _, third = undone(world, second.runs[0].run_id)
    assert (world.held_at("B", twin)["phone"], third.written) == ("+4930111", 1)
    stays(world)


def test_what_somebody_edited_since_is_listed_and_left(make: Any) -> None:
    world, _, twin, run, _ = written(make)
    world.edit("B", twin, phone="+4930999")
    document, done = undone(world, run)
    assert (left(document), document["writes"], done.exit_code) == ([("phone", "UNDO-EDITED")], [], 0)
    assert world.held_at("B", twin)["phone"] == "+4930999"


def test_an_edit_of_another_field_does_not_keep_the_rest_from_being_undone(make: Any) -> None:
    world, _, twin, run, _ = written(make)
    world.edit("B", twin, name="Anna")
    document, _ = undone(world, run)
    assert (left(document), world.held_at("B", twin)["phone"]) == ([], "+4930111")
    assert world.held_at("B", twin)["name"] == "Anna"


def test_an_edit_between_plan_and_apply_is_refused(make: Any) -> None:
    world, _, twin, run, _ = written(make)
    document = undo_plan(world.hub, [run])
    world.edit("B", twin, phone="+4930999")
    done = apply(world.hub, document, by="ann", owner="test")
    assert [row["code"] for row in done.refused] == ["PLAN-ENTITY"]
    assert world.held_at("B", twin)["phone"] == "+4930999"


def test_what_a_later_run_wrote_is_left_to_its_own_undo(make: Any) -> None:
    world, ann, twin, run, _ = written(make)
    world.edit("A", ann, phone="+4930333")
    later = world.sync()["B"].run_id
    document, _ = undone(world, run)
    assert left(document) == [("phone", "UNDO-SINCE")]
    undone(world, later)
    assert world.held_at("B", twin)["phone"] == "+4930222"
    undone(world, later, run)
    assert world.held_at("B", twin)["phone"] == "+4930222", "the newest word on that field is the undo's"


def test_two_runs_are_undone_together_to_the_state_before_both(make: Any) -> None:
    world, ann, twin, run, before = written(make)
    world.edit("A", ann, phone="+4930333")
    later = world.sync()["B"].run_id
    undone(world, run, later)
    assert world.held_at("B", twin) == before["B"]["P1"]
    stays(world)


def test_a_newer_value_that_is_on_its_way_goes_out_and_is_not_swallowed(make: Any) -> None:
    world, ann, twin, run, _ = written(make)
    world.edit("A", ann, phone="+4930333")
    world.sync("A")
    document, _ = undone(world, run)
    assert left(document) == [("phone", "UNDO-MOVED")]
    world.settle()
    assert world.held_at("B", twin)["phone"] == "+4930333"


def test_after_an_undo_a_new_edit_goes_everywhere_as_ever(make: Any) -> None:
    world, ann, twin, run, _ = written(make)
    undone(world, run)
    world.edit("A", ann, phone="+4930333")
    world.settle()
    assert world.held_at("B", twin)["phone"] == "+4930333"
    world.edit("B", twin, phone="+4930444")
    world.settle()
    assert world.held_at("A", ann)["phone"] == "+4930444"


def test_a_person_at_the_system_that_was_put_back_may_still_speak(make: Any) -> None:
    world, ann, twin, run, _ = written(make)
    undone(world, run)
    world.edit("B", twin, phone="+4930555")
    world.settle()
    assert world.held_at("A", ann)["phone"] == "+4930555"


def test_the_undo_of_a_correction_gives_the_refused_edit_back(make: Any) -> None:
    world: World = make(phone="source")
    field, fields = world.entity.fields["phone"], cast(dict[str, CanonicalField], world.entity.fields)
    fields["phone"] = replace(field, survivorship=replace(field.survivorship, source=("A",)))
    ann = world.person("A")
    world.settle()
    twin = world.twin_of("A", ann, "B")
    world.edit("B", twin, phone="+4930777")
    run = world.sync()["B"].run_id
    assert world.held_at("B", twin)["phone"] == "+4930111", "A's word counts"
    undone(world, run)
    assert world.held_at("B", twin)["phone"] == "+4930777"
    stays(world)


def test_a_ruling_stands_and_its_write_can_be_undone(make: Any) -> None:
    world: World = make(phone="manual")
    ann = world.person("A")
    world.settle()
    twin = world.twin_of("A", ann, "B")
    world.edit("B", twin, phone="+4930777")
    world.sync()
    (conflict,) = world.conflicts()
    resolve_conflict(world.hub, conflict.id or 0, value="+4930888", by="ann")
    run = world.sync()["B"].run_id
    assert world.held_at("B", twin)["phone"] == "+4930888"
    undone(world, run)
    assert (world.held_at("B", twin)["phone"], world.held_at("A", ann)["phone"]) == ("+4930777", "+4930888")
    stays(world)


def test_blanks_and_sets_are_put_back_too(make: Any) -> None:
    world: World = make()
    ann = world.person("A", note=None, tags=["lead"])
    world.settle()
    world.edit("A", ann, note="called", tags=["press", "vip"])
    before = state(world)
    run = world.sync()["B"].run_id
    assert state(world) != before
    undone(world, run)
    assert state(world) == before
    stays(world)


def test_a_vendor_that_cuts_what_it_is_given_is_put_back_as_well(make: Any) -> None:
    world: World = make(traits=Traits(page_size=100, max_batch=100, normalise=cut))
    ann = world.person("A", note="short")
    world.settle()
    world.edit("A", ann, note="much longer than twelve")
    cast(dict[str, Json], world.held_at("A", ann))["note"] = "much longer than twelve"  # A cuts nothing
    before = state(world)
    run = world.sync()["B"].run_id
    undone(world, run)
    assert state(world)["B"] == before["B"]
    stays(world)


CASES = """
connector: B
language: 1
streams:
  people:
    entity: contact
    create: always
    fields:
      code: {remote: code}
      email: {remote: email}
      name: {remote: name}
      phone: {remote: phone}
      tier: {direction: out, remote: note, cases: [{when: "phone == '+4930222'", set: gold}, {otherwise: bronze}]}
"""


def test_what_is_computed_on_the_way_out_is_put_back_and_stays(make: Any) -> None:
    world: World = make()
    sheet = Sheet(parse_yaml(CASES, "B.yaml"))
    mapping = read_mapping(sheet, world.hub.canonical, HubFacts()).streams[STREAM]
    assert not sheet.faults
    world.change("B", mappings={STREAM: mapping})
    ann = world.person("A")
    world.settle()
    world.edit("A", ann, phone="+4930222")
    before = state(world)
    run = world.sync()["B"].run_id
    twin = world.twin_of("A", ann, "B")
    assert (world.held_at("B", twin)["note"], before["B"]["P1"]["note"]) == ("gold", "bronze")
    _, done = undone(world, run)
    assert state(world) == before
    stays(world)
    undone(world, done.runs[0].run_id)
    assert world.held_at("B", twin)["note"] == "gold"
    stays(world)
    world.edit("A", ann, phone="+4930333")
    world.settle()
    assert world.held_at("B", twin)["note"] == "bronze"


def test_a_field_that_the_mapping_no_longer_writes_is_left(make: Any) -> None:
    world, _, twin, run, _ = written(make)
    mapping = world.hub.connections["B"].mappings[STREAM]
    world.change("B", mappings={STREAM: replace(mapping, out_fields=mapping.out_fields - {"phone"})})
    document, done = undone(world, run)
    assert (left(document), done.written) == ([("phone", "UNDO-MAPPING")], 0)
    assert world.held_at("B", twin)["phone"] == "+4930222"


@pytest.mark.parametrize("mode", ["propose", "canary"])
def test_an_undo_is_approved_by_who_asks_for_it(make: Any, mode: str) -> None:
    world, _, _, run, before = written(make)
    world.change("B", mode=mode)
    undone(world, run)
    assert state(world) == before
    stays(world)


def test_nothing_is_undone_at_a_connection_that_is_only_observed(make: Any) -> None:
    world, _, twin, run, _ = written(make)
    world.change("B", mode="observe")
    _, done = undone(world, run)
    assert [row["code"] for row in done.refused] == ["PLAN-MODE"]
    assert world.held_at("B", twin)["phone"] == "+4930222"


def test_a_run_that_is_not_there_is_told(make: Any) -> None:
    world = make()
    with pytest.raises(NotFound):
        undo_plan(world.hub, [99])


# Records that the run created


def created(make: Any, *, policy: str = "delete", people: int = 3) -> tuple[World, int, Held]:
    world: World = make()
    deletes(world, "B", policy)
    world.people("A", people)
    before = state(world)
    run = world.sync()["B"].run_id
    assert len(state(world)["B"]) == people
    return world, run, before


def test_created_records_are_deleted_where_the_mapping_allows_it_and_not_made_again(make: Any) -> None:
    world, run, before = created(make)
    document, done = undone(world, run)
    assert (state(world), dict(done.carried["B"].written), document["left"]) == (before, {"delete": 3}, [])
    assert {link.state for link in world.links("B").values()} == {LinkState.GONE}
    stays(world)


def test_created_records_stay_where_the_mapping_says_never_unless_it_is_asked_for(make: Any) -> None:
    world, run, before = created(make, policy="never")
    document, done = undone(world, run)
    assert (left(document), done.written) == ([("", "UNDO-CREATED")] * 3, 0)
    _, done = undone(world, run, delete_created=True)
    assert (state(world), done.written) == (before, 3)
    stays(world)


def test_created_records_stay_where_the_system_cannot_delete(make: Any) -> None:
    world, run, _ = created(make)
    stream = world.hub.connections["B"].streams[STREAM]
    world.change("B", streams={STREAM: replace(stream, writes=frozenset({"create", "update"}))})
    document, _ = undone(world, run, delete_created=True)
    assert left(document) == [("", "UNDO-CANNOT")] * 3


def test_a_created_record_that_somebody_worked_on_is_left(make: Any) -> None:
    world, run, _ = created(make)
    kept = next(each for each in world.vendors["B"].alive() if world.held_at("B", each)["code"] == "P1")
    world.edit("B", kept, note="called her")
    document, done = undone(world, run)
    assert (left(document), done.written) == ([("", "UNDO-EDITED")], 2)
    assert list(state(world)["B"]) == ["P1"]


def test_work_in_fields_that_no_mapping_reads_keeps_a_record_too(make: Any) -> None:
    """The system says that its last writer was not the hub."""
    world, run, _ = created(make)
    vendor = world.vendors["B"]
    kept = vendor.alive()[0]
    world.clock.sleep(5.0)
    vendor._append(kept, "user", dict(world.held_at("B", kept)))
    document, done = undone(world, run)
    assert (left(document), done.written) == ([("", "UNDO-EDITED")], 2)


def test_a_created_record_that_the_hub_alone_updated_since_is_still_taken_back(make: Any) -> None:
    world, run, _ = created(make)
    first = world.vendors["A"].alive()[0]
    world.edit("A", first, phone="+4930222")
    world.settle()
    _, done = undone(world, run)
    assert (state(world)["B"], done.written) == ({}, 3)
    stays(world)


def test_undoing_the_undo_makes_deleted_records_again(make: Any) -> None:
    world, run, before = created(make)
    after = state(world)
    _, first = undone(world, run)
    stays(world)
    document, second = undone(world, first.runs[0].run_id)
    assert (state(world), dict(second.carried["B"].written), document["left"]) == (after, {"create": 3}, [])
    stays(world)
    _, third = undone(world, second.runs[0].run_id)
    assert (state(world), third.written) == (before, 3)
    stays(world)


def test_more_deletes_than_any_guard_would_pass_are_an_undo_all_the_same(make: Any) -> None:
    world, run, before = created(make, people=60)
    assert allowance(world.hub.guards["deletes"], 60) == 10
    _, done = undone(world, run)
    assert (done.written, state(world), world.holds()) == (60, before, [])
    stays(world)


def test_a_delete_whose_answer_is_lost_is_settled_by_reading(make: Any) -> None:
    world, run, before = created(make)
    connector = world.hub.connections["B"].connector

    def mute(api: Any, stream: str, changes: Any) -> Any:
        assert connector.push is not None
        connector.push(api, stream, changes)
        raise OutcomeUnknown("the answer was lost")

    world.change("B", connector=replace(connector, push=mute))
    _, done = undone(world, run)
    assert (done.exit_code, len(done.pending)) == (3, 3)
    world.change("B", connector=connector)
    assert state(world) == before
    world.settle()
    with world.store.reading() as tx:
        assert {each.state for each in tx.intents_of_run(done.runs[0].run_id)} == {"done"}
    stays(world)
