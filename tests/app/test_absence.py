"""Absence is evidence only in a complete listing that began after the record was last seen; never in an empty one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub.app.absence import take_absent
from hub.app.review import release_hold
from hub.core.guards import Bound
from hub.core.planted import PLANTED
from hub.model import LinkState
from hub.verify.vendor import STREAM
from tests.app.deleting import Remover, removed, with_deletes
from tests.app_world import World, mapping_of


class File(Remover):
    """A system whose every read is a complete listing; what is gone leaves no trace."""

    lists_all = True
    whole = True

    def pull(self, cursor: Any) -> Any:
        return replace(super().pull(cursor), listing_complete=self.whole)

    def vanish(self, *external_ids: str) -> None:
        for each in external_ids:
            del self.records[each]

    def fetch(self, ids: Any) -> Any:
        from hub.model import SourceRecord

        found = super().fetch(ids)
        return found + [
            SourceRecord(external_id=each, data={}, op="delete") for each in ids if each not in self.records
        ]


def with_file(make: Any, people: int = 3, **more: Any) -> tuple[World, File, list[str]]:
    """A file A whose deletes ask B to delete, too; everybody is in both."""
    world = with_deletes(make, {"A": ("delete", "never"), "B": ("detach", "delete")}, **more)
    plain = world.vendors["A"]
    file = File(
        name="A", traits=plain.traits, clock=plain.clock, rng=plain.rng, seam=plain.seam,
        check_intent=plain.check_intent, depth=plain.depth,
    )  # fmt: skip
    file.faulty, file.removed = False, []
    world.vendors["A"] = file
    world.connect("A", file.connector())
    mapping = replace(mapping_of("A", world.hub.canonical), deletes_in="delete")
    world.change("A", mappings={STREAM: mapping})
    ids = world.people("A", people)
    world.settle()
    return world, file, ids


def states(world: World) -> list[str]:
    return [str(link.state) for link in world.links("A").values()]


def test_a_vanished_row_is_a_delete(make: Any) -> None:
    world, file, ids = with_file(make)
    at_b = world.twin_of("A", ids[0], "B")
    file.vanish(ids[0])
    world.settle()
    assert world.links("A")[ids[0]].state == LinkState.GONE
    assert removed(world, "B") == [("delete", at_b)]
    assert states(world).count("live") == 2


def test_an_incomplete_listing_proves_nothing(make: Any) -> None:
    world, file, ids = with_file(make)
    file.whole = False
    file.vanish(ids[0])
    world.settle()
    assert states(world) == ["live"] * 3


def test_absence_in_any_page_would_delete_half_the_customers(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world, file, ids = with_file(make)
    monkeypatch.setattr("hub.app.absence.PLANTED", {*PLANTED, "absence_deletes"})
    file.whole = False
    file.vanish(ids[0])
    world.sync()
    assert world.links("A")[ids[0]].state == LinkState.GONE


def test_an_empty_listing_is_held_as_a_whole(make: Any) -> None:
    world, file, ids = with_file(make)
    file.vanish(*ids)
    world.settle()
    assert states(world) == ["live"] * 3
    (hold,) = world.holds()
    assert (hold.guard, hold.connection, hold.count, hold.of) == ("deletes", "A", 3, 3)
    assert "missing in a complete listing" in hold.message
    release_hold(world.hub, hold.id, by="mia")
    world.settle()
    assert states(world) == ["gone"] * 3
    assert len(removed(world, "B")) == 3


def test_a_much_shorter_listing_is_held_as_a_whole_and_counted_once(make: Any) -> None:
    world, file, ids = with_file(make, people=8, guards={"deletes": Bound(over=2, share=0.0)})
    file.vanish(*ids[:5])
    world.settle()
    assert states(world) == ["live"] * 8, "not even the first two are believed"
    assert [hold.count for hold in world.holds()] == [5]


def test_what_was_created_while_the_listing_ran_is_not_missing(make: Any) -> None:
    """Trap T40: a record made by us, read back during the listing, on a page already passed."""
    world, _, ids = with_file(make)
    began = world.clock.now()
    world.clock.sleep(1.0)
    *passed, untouched = world.links("A").values()
    with world.store.transaction() as tx:
        tx.touch_links([link.id for link in passed], world.clock.now())
    counts = take_absent(world.hub, world.hub.connections["A"], STREAM, began=began, run_id=None)
    assert states(world) == ["live"] * 3, "and the third, asked for by its id, is there after all"
    assert untouched.external_id in ids
    assert counts["deleted"] == 0


def test_a_crash_between_the_listing_and_what_follows_loses_no_delete(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, file, ids = with_file(make)
    file.vanish(ids[0])

    def die(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr("hub.app.pull.take_absent", die)
        world.sync("A")
    assert world.links("A")[ids[0]].state == LinkState.LIVE
    file.lists_all, file.whole = True, False  # the next read proves nothing by itself
    world.settle()
    assert world.links("A")[ids[0]].state == LinkState.GONE


# Scope


def scoped(make: Any, leaves: str) -> tuple[World, str, str]:
    """B is only for people whose notes say so; Ann is in both."""
    world: World = make()
    mapping = replace(
        mapping_of("B", world.hub.canonical), scope=lambda values: values.get("note") == "in", leaves=leaves
    )
    world.change("B", mappings={STREAM: mapping})
    at_a = world.person("A", note="in")
    world.settle()
    return world, at_a, world.twin_of("A", at_a, "B")


@pytest.mark.parametrize(
    ("leaves", "state", "heard"), [("report", "out_of_scope", True), ("detach", "detached", False)]
)
def test_who_leaves_the_scope_is_heard_or_cut(make: Any, leaves: str, state: str, heard: bool) -> None:
    world, at_a, at_b = scoped(make, leaves)
    world.edit("A", at_a, note="out")
    world.settle()
    assert str(world.links("B")[at_b].state) == state
    assert world.held_at("B", at_b)["note"] == "in", "never written once it is out"
    world.edit("B", at_b, phone="+4930777")
    world.settle()
    assert (world.values()["phone"] == "+4930777") is heard
    assert len(world.vendors["B"].alive()) == 1, "scope never deletes"


def test_who_was_cut_comes_back_into_the_scope(make: Any) -> None:
    world, at_a, at_b = scoped(make, "detach")
    world.edit("A", at_a, note="out")
    world.settle()
    world.edit("A", at_a, note="in", phone="+4930555")
    world.edit("B", at_b, name="Anna")
    world.settle()
    assert world.links("B")[at_b].state == LinkState.LIVE
    assert world.held_at("B", at_b)["phone"] == "+4930555"
    assert world.values()["name"] == "Anna"
