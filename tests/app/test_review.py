"""What people decide stands, lets through exactly what was shown, and can be refused when the world has moved on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hub.app.inbox import PERSON, Wanted, conflict_page
from hub.app.review import chosen_value, drop_hold, release_hold, resolve_conflict, retry_all, retry_quarantine
from hub.connector import Idempotency
from hub.core.canonical import CanonicalField
from hub.core.guards import Bound
from hub.core.mapping import StreamMapping
from hub.errors import Drifted, NeedsReview, NotFound, OutcomeUnknown
from hub.model import WHOLE, ChangeSet, PushResult
from hub.verify.vendor import STREAM, Traits
from tests.app_world import World, mapping_of

TIGHT = Bound(over=2, share=0.0)


def disagreeing(make: Any, **rules: str) -> tuple[World, str, str]:
    """One person at A and B, whose phone was then edited in both at once."""
    world = make(**(rules or {"phone": "manual"}))
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    world.edit("A", at_a, phone="+4930222")
    world.edit("B", at_b, phone="+4930333")
    world.sync()
    return world, at_a, at_b


# Conflicts


def test_a_manual_conflict_waits_and_a_candidate_that_a_person_chose_stands_everywhere(make: Any) -> None:
    world, at_a, at_b = disagreeing(make)
    (conflict,) = world.conflicts()
    assert (conflict.field, world.values()["phone"]) == ("phone", "+4930111")
    index = next(i for i, each in enumerate(conflict.candidates) if each["value"] == "+4930333")
    ruling = resolve_conflict(world.hub, conflict.id or 0, candidate=index, by="mia", note="asked her")
    world.settle()
    assert (ruling.value, ruling.by) == ("+4930333", "mia")
    assert world.held_at("A", at_a)["phone"] == world.held_at("B", at_b)["phone"] == "+4930333"
    assert world.conflicts() == []
    with world.store.reading() as tx:
        decided = tx.conflict(conflict.id or 0)
        assert (decided.state, decided.decided_by, decided.winner) == ("closed", f"ruling:{ruling.id}", "+4930333")
        assert [(row.actor, row.action) for row in tx.audit_log()] == [("mia", "conflict resolved")]
    before = world.writes()
    world.settle()
    assert world.writes() == before


def test_conflicts_are_found_by_the_policy_that_decides_them(make: Any) -> None:
    world, _, _ = disagreeing(make, phone="manual", name="source")

    def found(policy: str, *, waits: bool) -> list[str]:
        wanted = Wanted(policy=policy)
        return [row["field"] for row in conflict_page(world.hub, wanted, waits=waits)["rows"]]

    assert (found("manual", waits=True), found("source", waits=True)) == (["phone"], [])
    assert [found(policy, waits=False) for policy in ("manual", PERSON)] == [[], []]
    resolve_conflict(world.hub, world.conflicts()[0].id or 0, candidate=0, by="mia")
    assert found(PERSON, waits=False) == ["phone"]


def test_a_person_may_choose_a_value_that_nobody_said(make: Any) -> None:
    world, at_a, at_b = disagreeing(make)
    resolve_conflict(world.hub, world.conflicts()[0].id or 0, value="+4930999", by="mia")
    world.settle()
    assert world.held_at("A", at_a)["phone"] == world.held_at("B", at_b)["phone"] == "+4930999"


def test_a_conflict_that_changed_since_it_was_shown_is_not_decided(make: Any) -> None:
    world, at_a, _ = disagreeing(make)
    seen = world.conflicts()[0]
    world.edit("A", at_a, phone="+4930444")
    world.sync()
    with pytest.raises(Drifted, match="changed since it was shown"):
        resolve_conflict(world.hub, world.conflicts()[0].id or 0, candidate=0, by="mia", digest=seen.digest)
    entity_id = world.entities()[0].id
    with world.store.reading() as tx:
        assert tx.rulings([entity_id]) == {}
    assert world.values()["phone"] == "+4930111"


def test_no_machine_overrides_a_ruling_and_whoever_tries_is_asked_about(make: Any) -> None:
    world, at_a, at_b = disagreeing(make)
    resolve_conflict(world.hub, world.conflicts()[0].id or 0, value="+4930999", by="mia")
    world.settle()
    world.edit("A", at_a, phone="+4930555")
    world.settle()
    assert world.values()["phone"] == "+4930999"
    assert world.held_at("B", at_b)["phone"] == "+4930999"
    assert world.held_at("A", at_a)["phone"] == "+4930555", "it is not written over before a person has decided"
    (asked,) = world.conflicts()
    resolve_conflict(world.hub, asked.id or 0, value="+4930555", by="mia")
    world.settle()
    assert world.held_at("B", at_b)["phone"] == "+4930555"


def test_a_conflict_that_a_rule_closed_may_be_overruled_while_its_value_stands(make: Any) -> None:
    world, at_a, _at_b = disagreeing(make, phone="newest")
    (closed,) = world.conflicts("closed")
    assert closed.winner == "+4930222", "concurrent: the tie goes to the first source"
    resolve_conflict(world.hub, closed.id or 0, value="+4930333", by="mia")
    world.settle()
    assert world.held_at("A", at_a)["phone"] == "+4930333"


def test_a_conflict_whose_value_has_moved_on_is_not_decided_any_more(make: Any) -> None:
    world, at_a, _ = disagreeing(make, phone="newest")
    (closed,) = world.conflicts("closed")
    world.settle()
    world.edit("A", at_a, phone="+4930444")
    world.settle()
    with pytest.raises(Drifted, match="moved on"):
        resolve_conflict(world.hub, closed.id or 0, value="+4930333", by="mia")
    assert world.values()["phone"] == "+4930444"


def test_a_candidate_that_is_not_there_or_no_choice_at_all_is_refused(make: Any) -> None:
    world, _, _ = disagreeing(make)
    conflict_id = world.conflicts()[0].id or 0
    with pytest.raises(NotFound, match="no candidate 7"):
        resolve_conflict(world.hub, conflict_id, candidate=7, by="mia")
    with pytest.raises(NeedsReview):
        resolve_conflict(world.hub, conflict_id, by="mia")
    with pytest.raises(NotFound):
        resolve_conflict(world.hub, 4711, candidate=0, by="mia")


# Holds


def mass_edit(make: Any, value: str | None, *, guard: str) -> tuple[World, list[str]]:
    """Five people in both systems, then one value put into all their notes at A."""
    world = make(guards={guard: TIGHT})
    ids = world.people("A", 5)
    world.settle()
    for each in ids:
        world.edit("A", each, note=value)
    world.sync()
    return world, ids


def notes_at(world: World, system: str) -> list[str | None]:
    return [world.held_at(system, each)["note"] for each in sorted(world.links(system))]


def test_a_release_lets_held_values_through_and_they_are_written(make: Any) -> None:
    world, _ = mass_edit(make, "taken over", guard="one_value")
    (hold,) = world.holds()
    assert (hold.guard, hold.field, hold.count) == ("one_value", "note", 3)
    assert notes_at(world, "B").count("taken over") == 2, "what the guard lets by flows on"
    counts = release_hold(world.hub, hold.id, by="mia")
    world.settle()
    assert counts["cells"] == 3
    assert notes_at(world, "B") == ["taken over"] * 5
    assert world.holds() == []
    before = world.writes()
    world.settle()
    assert world.writes() == before


def test_a_drop_puts_held_values_back_where_they_came_from(make: Any) -> None:
    world, _ = mass_edit(make, "taken over", guard="one_value")
    drop_hold(world.hub, world.holds()[0].id, by="mia")
    world.settle()
    assert sorted(notes_at(world, "A"), key=str) == ["first", "first", "first", "taken over", "taken over"]
    assert sorted(notes_at(world, "B"), key=str) == ["first", "first", "first", "taken over", "taken over"]
    assert [hold.state for hold in world.holds(None)] == ["dropped"]


def test_held_blanks_pass_only_when_released(make: Any) -> None:
    world, _ = mass_edit(make, None, guard="blanks")
    assert notes_at(world, "B").count(None) == 2
    release_hold(world.hub, world.holds()[0].id, by="mia")
    world.settle()
    assert notes_at(world, "B") == [None] * 5


def test_a_released_value_does_not_beat_a_younger_edit_in_silence(make: Any) -> None:
    world, ids = mass_edit(make, "taken over", guard="one_value")
    held = next(each for each in ids if world.held_at("B", world.twin_of("A", each, "B"))["note"] == "first")
    at_b = world.twin_of("A", held, "B")
    world.edit("B", at_b, note="a person's own words")
    world.sync()
    world.sync()  # A is read again after B's edit: that must not make its held value the younger one
    release_hold(world.hub, world.holds()[0].id, by="mia")
    world.settle()
    found = [row for row in world.conflicts("closed") if row.entity_id == world.links("A")[held].entity_id]
    assert [(row.kind, row.field, row.winner) for row in found] == [("concurrent", "note", "taken over")]
    assert world.held_at("B", at_b)["note"] == "taken over", "nobody can tell which came first: the first source"


def test_what_a_guard_holds_is_not_written_over(make: Any) -> None:
    world, ids = mass_edit(make, "taken over", guard="one_value")
    held = next(each for each in ids if world.held_at("B", world.twin_of("A", each, "B"))["note"] == "first")
    world.edit("B", world.twin_of("A", held, "B"), note="a person's own words")
    world.settle()
    assert world.held_at("A", held)["note"] == "taken over"
    drop_hold(world.hub, world.holds()[0].id, by="mia")
    world.settle()
    assert world.held_at("A", held)["note"] == "a person's own words"


def test_a_hold_is_decided_once(make: Any) -> None:
    world, _ = mass_edit(make, "taken over", guard="one_value")
    hold_id = world.holds()[0].id
    release_hold(world.hub, hold_id, by="mia")
    with pytest.raises(Drifted, match="released already"):
        drop_hold(world.hub, hold_id, by="tom")
    with pytest.raises(NotFound):
        release_hold(world.hub, 4711, by="mia")


def mass_delete(make: Any) -> tuple[World, list[str]]:
    world = make(guards={"deletes": TIGHT})
    ids = world.people("A", 5)
    world.settle()
    for each in ids:
        world.vendors["A"].user_delete(each)
    world.sync("A")
    return world, ids


def states(world: World, system: str) -> list[str]:
    return sorted(str(link.state) for link in world.links(system).values())


def test_held_deletes_are_asked_for_once_more_when_released(make: Any) -> None:
    world, _ = mass_delete(make)
    assert states(world, "A") == ["gone", "gone", "live", "live", "live"]
    release_hold(world.hub, world.holds()[0].id, by="mia")
    assert states(world, "A") == ["gone"] * 5


def test_a_held_delete_that_was_undone_meanwhile_is_not_taken_as_one(make: Any) -> None:
    world, ids = mass_delete(make)
    held = next(each for each in ids if world.links("A")[each].state == "live")
    world.clock.sleep(5.0)
    world.vendors["A"]._append(held, "user", dict(world.vendors["A"].records[held][0].fields or {}))
    release_hold(world.hub, world.holds()[0].id, by="mia")
    assert states(world, "A") == ["gone", "gone", "gone", "gone", "live"]


def test_dropped_deletes_leave_the_links_as_they_were(make: Any) -> None:
    world, _ = mass_delete(make)
    drop_hold(world.hub, world.holds()[0].id, by="mia")
    assert states(world, "A") == ["gone", "gone", "live", "live", "live"]
    assert world.holds() == []


def test_released_creates_are_made_and_no_more_than_were_held(make: Any) -> None:
    world = make(guards={"creates": TIGHT})
    world.people("A", 6)
    world.sync()
    world.sync()
    (hold,) = world.holds()
    assert (hold.guard, hold.count, len(world.vendors["B"].records)) == ("creates", 4, 2)
    counts = release_hold(world.hub, hold.id, by="mia")
    world.settle()
    assert (counts["creates"], len(world.vendors["B"].records)) == (4, 6)


def test_dropped_creates_are_never_made(make: Any) -> None:
    world = make(guards={"creates": TIGHT})
    world.people("A", 6)
    world.sync()
    drop_hold(world.hub, world.holds()[0].id, by="mia")
    world.settle()
    assert len(world.vendors["B"].records) == 2


# Quarantine


def strict_note(world: World) -> StreamMapping:
    """A's notes must be one word: whatever is another is quarantined."""
    strict = "{remote: note, values: {fine: fine}, unknown: {in: quarantine, out: skip}}"
    return mapping_of("A", world.hub.canonical, note=strict)


def test_a_retry_reads_the_record_again_and_says_what_is_still_wrong(make: Any) -> None:
    world = make(names="A")
    world.change("A", mappings={STREAM: strict_note(world)})
    at_a = world.person("A", note="foul")
    world.sync()
    (row,) = world.quarantine()
    assert (row.field, row.direction, world.values().get("note")) == ("note", "in", None)
    world.clock.sleep(5.0)
    assert retry_quarantine(world.hub, row.id or 0, by="mia").state == "open"
    world.edit("A", at_a, note="fine")
    assert retry_quarantine(world.hub, row.id or 0, by="mia").state == "mended"
    assert world.values()["note"] == "fine"


def test_a_retry_after_the_mapping_was_mended_takes_a_record_in_that_did_not_change(make: Any) -> None:
    world = make(names="A")
    good = world.hub.connections["A"].mappings
    world.change("A", mappings={STREAM: strict_note(world)})
    world.person("A", note="foul")
    world.sync()
    world.change("A", mappings=good)
    world.sync()
    assert len(world.quarantine()) == 1, "nothing changed over there, so nothing was looked at"
    assert [each["state"] for each in retry_all(world.hub, None, by="mia")] == ["mended"]
    assert world.values()["note"] == "foul"


class Picky:
    """Refuses writes of a note until told otherwise."""

    def __init__(self, world: World, system: str) -> None:
        self.vendor, self.refuses = world.vendors[system], True
        connector = self.vendor.connector()
        world.change(system, connector=replace(connector, push=self.push))

    def push(self, api: Any, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
        results = []
        for index, change in enumerate(changes):
            if self.refuses and change.body.get("note") == "forbidden":
                results.append(PushResult(index=index, outcome="rejected", code="BAD-NOTE", field="note"))
            else:
                results.append(replace(self.vendor.push([change])[0], index=index))
        return results


def test_a_refused_write_is_tried_again_only_after_a_person_said_so(make: Any) -> None:
    world = make()
    at_a = world.person("A")
    world.settle()
    picky, at_b = Picky(world, "B"), world.twin_of("A", at_a, "B")
    world.edit("A", at_a, note="forbidden")
    world.settle()
    (row,) = world.quarantine()
    assert (row.code, row.direction, row.field) == ("BAD-NOTE", "out", "note")
    picky.refuses = False
    world.settle()
    assert world.held_at("B", at_b)["note"] == "first", "the same value is not sent again by itself"
    retry_quarantine(world.hub, row.id or 0, by="mia")
    world.settle()
    assert world.held_at("B", at_b)["note"] == "forbidden"
    with pytest.raises(Drifted, match="mended already"):
        retry_quarantine(world.hub, row.id or 0, by="mia")


def test_a_create_of_which_nobody_can_tell_is_sent_again_once_a_person_has_looked(make: Any) -> None:
    world = make(traits=Traits(idempotency=Idempotency.NONE, page_size=100, max_batch=100))
    world.sync()
    lost = True

    def push(api: Any, stream: str, changes: Sequence[ChangeSet]) -> Any:
        if lost:
            raise OutcomeUnknown("the answer was lost")
        return world.vendors["B"].push(changes)

    world.change("B", connector=replace(world.vendors["B"].connector(), push=push))
    world.person("A")
    world.sync()
    world.sync(after_s=3600.0)
    (row,) = world.quarantine()
    assert row.code == "PUSH-UNKNOWN"
    lost = False
    world.settle()
    assert len(world.vendors["B"].records) == 0, "nothing is sent on a guess"
    retry_quarantine(world.hub, row.id or 0, by="mia")
    world.settle()
    assert len(world.vendors["B"].records) == 1


def test_a_set_that_nobody_could_attribute_is_ruled_as_it_was_read() -> None:
    tags = CanonicalField(name="tags", type="set", kind="set")
    assert chosen_value({"part": WHOLE, "value": ["vip", "lead"]}, tags, ["press"]) == ["lead", "vip"]
    assert chosen_value({"part": "vip", "value": True}, tags, ["press"]) == ["press", "vip"]
    assert chosen_value({"part": "press", "value": False}, tags, ["press"]) == []
