"""Deletes: what they ask of other systems, what they never do, and how records come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub.app.ingest import ingest_page
from hub.app.plan import plan
from hub.app.review import drop_hold, release_hold, resolve_conflict
from hub.core.guards import Bound
from hub.core.plan import removal
from hub.core.planted import PLANTED
from hub.model import LinkState, PushResult, SourceRecord
from hub.verify.vendor import STREAM
from tests.app.deleting import removed, restore, with_deletes
from tests.app_world import World


def ann(make: Any, a: tuple[str, str], b: tuple[str, str], **more: Any) -> tuple[World, str, str]:
    """Ann in A and B, at rest."""
    world = with_deletes(make, {"A": a, "B": b}, **more)
    at_a = world.person("A")
    world.settle()
    return world, at_a, world.twin_of("A", at_a, "B")


def delete(world: World, system: str, external_id: str) -> None:
    world.clock.sleep(1.0)
    world.vendors[system].user_delete(external_id)


# What a delete asks


@pytest.mark.parametrize(
    ("asked", "allowed", "done"),
    [
        ("detach", "delete", []),
        ("archive", "archive", ["archive"]),
        ("archive", "delete", ["archive"]),
        ("delete", "archive", ["archive"]),
        ("delete", "delete", ["delete"]),
        ("delete", "never", []),
    ],
)
def test_the_milder_of_what_is_asked_and_allowed_is_done(make: Any, asked: str, allowed: str, done: list[str]) -> None:
    world, at_a, at_b = ann(make, (asked, "never"), ("detach", allowed))
    delete(world, "A", at_a)
    world.settle()
    assert removed(world, "B") == [(operation, at_b) for operation in done]
    assert world.links("A")[at_a].state == LinkState.GONE
    assert world.links("B")[at_b].state == (LinkState.GONE if done else LinkState.LIVE)
    assert world.conflicts(None) == []
    writes = world.writes()
    world.settle()
    assert world.writes() == writes, "a deleted record is not made again, nor deleted twice"


def test_an_archive_stands_in_for_a_delete_and_never_the_other_way_round() -> None:
    assert removal("delete", "delete", {"archive"}) == "archive"
    assert removal("archive", "delete", {"delete"}) is None
    assert removal("ask", "delete", {"delete"}) is None


def test_a_duplicate_that_is_deleted_asks_for_nothing(make: Any) -> None:
    """Somebody tidies up at A: of two records of Ann one goes. Ann is still there."""
    world, at_a, at_b = ann(make, ("delete", "never"), ("detach", "delete"))
    second = world.person("A", name="Ann again")
    world.settle()
    assert world.links("A")[second].state == LinkState.DUPLICATE
    delete(world, "A", second)
    world.settle()
    assert removed(world, "B") == []
    assert world.links("B")[at_b].state == LinkState.LIVE
    delete(world, "A", at_a)
    world.settle()
    assert removed(world, "B") == [("delete", at_b)]


def test_what_a_system_cannot_do_is_listed(make: Any) -> None:
    world, at_a, at_b = ann(make, ("archive", "never"), ("detach", "delete"), can={"B": ["create", "update", "delete"]})
    delete(world, "A", at_a)
    world.settle()
    assert removed(world, "B") == []
    (row,) = world.quarantine()
    assert (row.code, row.connection, row.external_id, row.direction) == ("PUSH-CANNOT", "B", at_b, "out")


def test_a_removal_leaves_with_an_intent_and_its_before_image(make: Any) -> None:
    world, at_a, at_b = ann(make, ("delete", "never"), ("detach", "delete"))
    delete(world, "A", at_a)
    runs = world.sync()
    with world.store.reading() as tx:
        (intent,) = tx.intents_of_run(runs["B"].run_id)
    assert (intent.op, intent.external_id, intent.state) == ("delete", at_b, "done")
    assert intent.before["phone"] == "+4930111"
    assert runs["B"].counts["removed"] == 1


def test_a_plan_shows_what_would_be_removed(make: Any) -> None:
    world, at_a, at_b = ann(make, ("delete", "never"), ("detach", "archive"))
    delete(world, "A", at_a)
    world.clock.sleep(60.0)
    found = plan(world.hub, owner="test")
    assert [(row["op"], row["connection"], row["external_id"]) for row in found["changes"]] == [("archive", "B", at_b)]
    assert {row["connection"]: row["removes"] for row in found["connections"]} == {"A": 0, "B": 1}
    assert removed(world, "B") == []


def test_a_lost_answer_to_a_removal_is_settled_by_the_next_read(make: Any) -> None:
    world, at_a, at_b = ann(make, ("delete", "never"), ("detach", "delete"))
    delete(world, "A", at_a)
    vendor = world.vendors["B"]
    connector = vendor.connector()

    def unanswered(_: Any, __: str, changes: Any) -> list[PushResult]:
        vendor.push(changes)
        return []

    world.change("B", connector=replace(connector, push=unanswered))
    world.sync()
    world.change("B", connector=connector)
    for _ in range(4):
        world.sync(after_s=200.0)
    assert removed(world, "B") == [("delete", at_b)], "once"
    assert world.links("B")[at_b].state == LinkState.GONE
    with world.store.reading() as tx:
        assert tx.open_intents() == []


# Guards


def test_a_mass_delete_is_held_on_its_way_in_and_on_its_way_out(make: Any) -> None:
    world = with_deletes(
        make, {"A": ("delete", "never"), "B": ("detach", "delete")},
        guards={"deletes": Bound(over=2, share=0.0)},
    )  # fmt: skip
    people = world.people("A", 6)
    world.settle()
    for each in people:
        world.vendors["A"].user_delete(each)
    world.settle()
    assert len(removed(world, "B")) == 2, "two pass the guard; the others are not even taken in"
    (hold,) = world.holds()
    assert (hold.guard, hold.connection, hold.field, hold.count) == ("deletes", "A", "", 4)
    release_hold(world.hub, hold.id, by="mia")
    world.settle()
    (outgoing,) = world.holds()
    assert (outgoing.guard, outgoing.connection, outgoing.field, outgoing.count) == ("deletes", "B", "removals", 2)
    assert len(removed(world, "B")) == 4
    release_hold(world.hub, outgoing.id, by="mia")
    world.settle()
    assert len(removed(world, "B")) == 6


def test_dropped_removals_leave_the_records_where_they_are(make: Any) -> None:
    world = with_deletes(
        make, {"A": ("delete", "never"), "B": ("detach", "delete")}, guards={"deletes": Bound(over=0, share=0.0)}
    )
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    delete(world, "A", at_a)
    world.sync()
    release_hold(world.hub, world.holds()[0].id, by="mia")
    world.sync()
    (outgoing,) = world.holds()
    assert outgoing.field == "removals"
    drop_hold(world.hub, outgoing.id, by="mia")
    world.settle()
    assert removed(world, "B") == []
    assert (world.links("B")[at_b].state, world.links("B")[at_b].leaving) == (LinkState.LIVE, None)


# Deletes against edits


def test_a_delete_against_a_concurrent_edit_asks_a_person(make: Any) -> None:
    world, at_a, at_b = ann(make, ("delete", "never"), ("detach", "delete"))
    world.edit("B", at_b, phone="+4930222")
    delete(world, "A", at_a)
    world.settle()
    assert removed(world, "B") == []
    (conflict,) = world.conflicts()
    assert (conflict.kind, conflict.field, conflict.state) == ("edit_delete", "", "open")
    assert "deleted at A" in conflict.note
    assert "phone at B" in conflict.note
    assert world.values()["phone"] == "+4930222", "the edit stands"
    assert len(world.vendors["A"].alive()) == 0, "and the deleted side is not made again"


@pytest.mark.parametrize(("candidate", "expected"), [(0, "deleted"), (1, "kept")])
def test_a_person_decides_between_delete_and_edit(make: Any, candidate: int, expected: str) -> None:
    world, at_a, at_b = ann(make, ("delete", "never"), ("detach", "delete"))
    world.edit("B", at_b, phone="+4930222")
    delete(world, "A", at_a)
    world.settle()
    resolve_conflict(world.hub, world.conflicts()[0].id or 0, candidate=candidate, by="mia")
    world.settle()
    assert world.conflicts() == []
    if expected == "deleted":
        assert removed(world, "B") == [("delete", at_b)]
        assert world.vendors["A"].alive() == []
    else:
        assert removed(world, "B") == []
        (again,) = world.vendors["A"].alive()
        assert again != at_a
        assert world.held_at("A", again)["phone"] == "+4930222"
        assert world.links("A")[at_a].state == LinkState.GONE, "the old id stays what it is"


def test_an_edit_that_comes_in_before_the_removal_leaves_keeps_the_record(make: Any) -> None:
    """The delete is read; B is edited before the push reads it once more."""
    world, at_a, at_b = ann(make, ("delete", "never"), ("detach", "delete"))
    delete(world, "A", at_a)
    world.sync("A")
    assert world.links("B")[at_b].leaving == "delete"
    world.edit("B", at_b, phone="+4930222")
    world.settle()
    assert removed(world, "B") == []
    (conflict,) = world.conflicts()
    assert conflict.kind == "edit_delete"
    assert world.links("B")[at_b].leaving is None


def test_an_edit_that_the_deleted_side_was_given_is_no_conflict(make: Any) -> None:
    world, at_a, at_b = ann(make, ("delete", "never"), ("detach", "delete"))
    world.edit("B", at_b, phone="+4930222")
    world.settle()
    delete(world, "A", at_a)
    world.settle()
    assert removed(world, "B") == [("delete", at_b)]
    assert world.conflicts() == []


def test_ask_asks(make: Any) -> None:
    world, at_a, at_b = ann(make, ("ask", "never"), ("detach", "archive"))
    delete(world, "A", at_a)
    world.settle()
    assert removed(world, "B") == []
    (conflict,) = world.conflicts()
    assert conflict.kind == "edit_delete"
    resolve_conflict(world.hub, conflict.id or 0, value="delete", by="mia")
    world.settle()
    assert removed(world, "B") == [("archive", at_b)]


# Restores, and what is none


def test_a_restored_record_gets_its_link_and_its_voice_back(make: Any) -> None:
    world, at_a, at_b = ann(make, ("detach", "never"), ("detach", "never"))
    link = world.links("A")[at_a]
    delete(world, "A", at_a)
    world.settle()
    assert world.links("A")[at_a].state == LinkState.GONE
    restore(world, "A", at_a)
    world.settle()
    assert (world.links("A")[at_a].id, world.links("A")[at_a].state) == (link.id, LinkState.LIVE)
    world.edit("A", at_a, phone="+4930777")
    world.settle()
    assert world.held_at("B", at_b)["phone"] == "+4930777"
    assert len(world.entities()) == 1


def late(world: World, at_a: str, before: dict[str, Any], **more: Any) -> None:
    """A record as it was before the delete arrives once more: a stale page, a late webhook's read, a replay."""
    record = SourceRecord(external_id=at_a, data={**before, "id": at_a}, stamp=more.pop("stamp"))
    ingest_page(world.hub, world.hub.connections["A"], STREAM, [record], **more)


def test_no_late_read_brings_a_deleted_record_back(make: Any) -> None:
    world, at_a, _ = ann(make, ("detach", "never"), ("detach", "never"))
    before, stamp, read_at = dict(world.held_at("A", at_a)), world.links("A")[at_a].stamp, world.clock.now()
    delete(world, "A", at_a)
    world.settle()
    gone = world.links("A")[at_a]
    late(world, at_a, before, stamp=stamp, read_at=read_at)
    late(world, at_a, before, stamp=stamp, read_at=world.clock.now())
    late(world, at_a, before, stamp=None, read_at=read_at, by_id=True)
    late(world, at_a, before, stamp=None, read_at=gone.read_at, by_id=True)
    world.settle()
    assert world.links("A")[at_a].state == LinkState.GONE


def test_without_tombstones_a_late_page_would(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world, at_a, _ = ann(make, ("detach", "never"), ("detach", "never"))
    before = dict(world.held_at("A", at_a))
    delete(world, "A", at_a)
    world.sync()
    monkeypatch.setattr("hub.app.gone.PLANTED", {*PLANTED, "no_tombstones"})
    late(world, at_a, before, stamp=None, read_at=world.clock.now())
    assert world.links("A")[at_a].state == LinkState.LIVE


def test_who_was_deleted_before_the_hub_saw_them_is_not_brought_in_by_a_stale_page(make: Any) -> None:
    world, _, _ = ann(make, ("detach", "never"), ("detach", "never"))
    bob = world.person("A", code="P2", email="bob@example.org")
    world.vendors["A"].user_delete(bob)
    before = next(each.fields for each in world.vendors["A"].records[bob] if each.fields is not None)
    read_at = world.clock.now()
    world.settle()
    late(world, bob, before, stamp=read_at - 1.0, read_at=read_at)
    late(world, bob, before, stamp=read_at - 1.0, read_at=world.clock.now())
    world.settle()
    assert len(world.entities()) == 1
    restore(world, "A", bob)
    world.settle()
    assert len(world.entities()) == 2


def test_a_tombstone_keeps_keyed_hashes_and_no_address(make: Any) -> None:
    world, at_a, _ = ann(make, ("detach", "never"), ("detach", "never"))
    delete(world, "A", at_a)
    world.sync()
    with world.store.reading() as tx:
        proof = tx.tombstones("A", STREAM, [at_a])[at_a]
        assert tx.tombstones_by_keys(proof["keys"]).keys() == set(proof["keys"])
    assert len(proof["keys"]) == 2
    assert all(len(key) == 32 and "ann" not in key for key in proof["keys"])
    assert proof["stamp"] is not None


def test_who_is_deleted_everywhere_is_created_nowhere(make: Any) -> None:
    """A third system is connected after everybody deleted Ann: nobody brings her there (law L7)."""
    world = with_deletes(
        make, {"A": ("delete", "never"), "B": ("detach", "delete"), "C": ("detach", "never")}, modes={"C": "observe"}
    )
    at_a = world.person("A")
    world.settle()
    delete(world, "A", at_a)
    world.settle()
    assert world.entities()[0].state == "deleted"
    world.change("C", mode="live")
    world.settle()
    assert world.vendors["C"].records == {}
    restore(world, "A", at_a)
    world.settle()
    assert world.entities()[0].state == "live"
    assert len(world.vendors["C"].alive()) == 1


def test_a_new_record_of_somebody_who_was_deleted_is_that_person_again(make: Any) -> None:
    world, at_a, at_b = ann(make, ("delete", "never"), ("detach", "delete"))
    delete(world, "A", at_a)
    world.settle()
    again = world.person("A")
    world.settle()
    (entity,) = world.entities()
    assert entity.state == "live"
    assert world.links("A")[again].state == LinkState.LIVE
    assert world.links("B")[at_b].state == LinkState.GONE
    assert len(world.vendors["B"].alive()) == 0, "B's record was deleted there, and only a person brings it back"


def test_a_create_that_is_due_is_called_off_with_its_source(make: Any) -> None:
    world = with_deletes(
        make, {"A": ("detach", "never"), "B": ("detach", "never")}, guards={"creates": Bound(over=0, share=0.0)}
    )
    at_a = world.person("A")
    world.settle()
    delete(world, "A", at_a)
    world.settle()
    for hold in world.holds():
        release_hold(world.hub, hold.id, by="mia")
    world.settle()
    assert world.vendors["B"].records == {}


def test_a_record_that_is_gone_when_it_is_written_is_not_made_again(make: Any) -> None:
    world, at_a, at_b = ann(make, ("detach", "never"), ("detach", "never"))
    world.edit("B", at_b, phone="+4930222")
    world.sync("B")
    world.vendors["A"].user_delete(at_a)
    world.settle()
    assert world.vendors["A"].alive() == []
    (conflict,) = world.conflicts()
    assert conflict.kind == "edit_delete"


def test_made_again_on_404_it_would_be(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.app.gone.PLANTED", {*PLANTED, "recreate_on_404"})
    world, at_a, at_b = ann(make, ("detach", "never"), ("detach", "never"))
    world.edit("B", at_b, phone="+4930222")
    world.sync("B")
    world.vendors["A"].user_delete(at_a)
    world.settle()
    assert len(world.vendors["A"].alive()) == 1


def test_a_record_that_was_to_be_kept_and_comes_back_is_not_made_again(make: Any) -> None:
    world, at_a, at_b = ann(make, ("delete", "never"), ("detach", "delete"))
    world.edit("B", at_b, phone="+4930222")
    delete(world, "A", at_a)
    world.settle()
    resolve_conflict(world.hub, world.conflicts()[0].id or 0, candidate=1, by="mia")
    world.clock.sleep(60.0)
    restore(world, "A", at_a)
    world.settle()
    assert world.vendors["A"].alive() == [at_a]
    assert world.links("A")[at_a].state == LinkState.LIVE
    assert world.held_at("A", at_a)["phone"] == "+4930222"
