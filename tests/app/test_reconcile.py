"""A system and the hub's picture of it: exactly what differs is found, and mended on the normal ways."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from hub.app.explaining import explain_all
from hub.app.reconcile import is_due, reconcile
from hub.core.guards import Bound
from hub.core.shadow import pack_shadow, unpack_shadow
from hub.errors import NotFound, RetryLater
from hub.model import Cell, LinkState, SourceRecord
from tests.app_world import World


def at_rest(make: Any, people: int = 12, **more: Any) -> World:
    """People at rest, long enough ago that reading what is new does not look at them again."""
    world: World = make(**more)
    world.people("A", people)
    world.settle()
    world.clock.sleep(3600.0)
    world.person("A", code="late", email="late@example.org")
    world.settle()
    return world


def believe(world: World, external_id: str, **held: Any) -> None:
    """Make the hub's picture of a record of A wrong."""
    link = world.links("A")[external_id]
    cells = dict(unpack_shadow(link.shadow))
    for name, value in held.items():
        cells[name] = Cell(held=value, agreed=cells[name].agreed, own=cells[name].own)
    link.shadow, link.hash = pack_shadow(cells), "other"
    with world.store.transaction() as tx:
        tx.update_links([link])


def mistake(world: World, external_id: str, other: str) -> None:
    """The link of a record of A names another that is not there: one record is missing, one a ghost."""
    link = world.links("A")[external_id]
    link.external_id, link.hash = other, "other"
    with world.store.transaction() as tx:
        tx.update_links([link])


def found(world: World, **more: Any) -> dict[str, Any]:
    world.clock.sleep(60.0)
    return reconcile(world.hub, "A", owner="test", **more)


def kinds(report: dict[str, Any]) -> dict[str, str]:
    return {row["external_id"]: row["kind"] for row in report["finds"]}


def with_traceless(world: World) -> None:
    """Records vanish at A without a trace, and it says so when asked for them."""
    vendor = world.vendors["A"]
    plain = vendor.connector()

    def fetch(_: Any, __: str, ids: Any) -> Any:
        here = vendor.fetch(ids)
        return here + [
            SourceRecord(external_id=each, data={}, op="delete") for each in ids if each not in vendor.records
        ]

    connector = replace(plain, fetch=fetch)
    world.change("A", connector=connector)


def test_nothing_is_found_where_nothing_is_wrong(make: Any) -> None:
    world = at_rest(make)
    report = found(world)
    assert report["finds"] == []
    (row,) = report["streams"]
    assert (row["records"], row["links"], row["missing"], row["stale"], row["ghosts"]) == (13, 13, 0, 0, 0)


def test_what_is_stale_missing_or_a_ghost_is_found_exactly(make: Any) -> None:
    world = at_rest(make)
    with_traceless(world)
    ids = sorted(world.links("A"))
    believe(world, ids[0], phone="+49000")
    believe(world, ids[1], note=None)
    mistake(world, ids[2], "nowhere")
    report = found(world)
    assert kinds(report) == {ids[0]: "stale", ids[1]: "stale", ids[2]: "missing", "nowhere": "ghost"}
    fields = {row["external_id"]: row["fields"] for row in report["finds"]}
    assert (fields[ids[0]], fields[ids[1]]) == (["phone"], ["note"])
    assert not any(row["repaired"] for row in report["finds"])
    assert kinds(found(world)) == kinds(report), "looking changes nothing"


def test_a_repair_mends_all_of_it_on_the_normal_ways(make: Any) -> None:
    world = at_rest(make)
    with_traceless(world)
    ids = sorted(world.links("A"))
    believe(world, ids[0], phone="+49000")
    mistake(world, ids[2], "nowhere")
    report = found(world, repair=True)
    assert all(row["repaired"] for row in report["finds"])
    assert found(world)["finds"] == []
    links = world.links("A")
    assert links[ids[2]].state == LinkState.LIVE
    assert links["nowhere"].state == LinkState.GONE
    assert len(world.entities()) == 13
    assert explain_all(world.hub)["differs"] == []


def test_ghosts_beyond_the_guard_wait_for_a_person(make: Any) -> None:
    world = at_rest(make, guards={"deletes": Bound(over=1, share=0.0)})
    with_traceless(world)
    for number, each in enumerate(sorted(world.links("A"))[:3]):
        mistake(world, each, f"nowhere {number}")
    report = found(world, repair=True)
    ghosts = [row["repaired"] for row in report["finds"] if row["kind"] == "ghost"]
    assert Counter(ghosts) == {True: 1, False: 2}
    (hold,) = world.holds()
    assert (hold.guard, hold.count) == ("deletes", 2)


def test_without_reading_by_id_only_a_whole_listing_proves_a_ghost(make: Any) -> None:
    world = at_rest(make)
    plain = world.vendors["A"].connector()
    mistake(world, min(world.links("A")), "nowhere")
    world.change("A", connector=replace(plain, fetch=None))
    assert set(kinds(found(world)).values()) == {"missing"}

    def whole(api: Any, name: str, cursor: Any) -> Any:
        page = plain.pull(api, name, cursor)
        return replace(page, listing_complete=page.complete)

    world.change("A", connector=replace(plain, fetch=None, pull=whole))
    assert set(kinds(found(world)).values()) == {"missing", "ghost"}


def test_bytes_that_nobody_maps_are_no_defect(make: Any) -> None:
    world = at_rest(make)
    for version in world.vendors["A"].records.values():
        assert version[-1].fields is not None
        version[-1].fields["unmapped"] = "something"
    assert found(world)["finds"] == []


def test_an_edit_made_while_the_listing_runs_is_left_to_the_next_read(make: Any) -> None:
    world = at_rest(make)
    plain = world.vendors["A"].connector()
    ids = sorted(world.links("A"))
    calls = iter(range(100))

    def pull(api: Any, name: str, cursor: Any) -> Any:
        page = plain.pull(api, name, cursor)
        if next(calls) == 0:  # the incremental read before is through
            world.vendors["A"].user_edit(ids[0], "phone", "+49555")
        return page

    world.change("A", connector=replace(plain, pull=pull))
    report = found(world)
    assert kinds(report).get(ids[0]) in (None, "stale")
    world.sync()
    assert found(world)["finds"] == []


def test_a_stream_that_is_not_mapped_is_told(make: Any) -> None:
    with pytest.raises(NotFound, match="maps no stream orders"):
        reconcile(at_rest(make).hub, "A", stream="orders", owner="test")


def test_a_sweep_is_due_once_in_its_time(make: Any) -> None:
    world = at_rest(make)
    world.change("A", sweep_s=7 * 86_400.0)
    connection = world.hub.connections["A"]
    assert not is_due(world.hub, connection), "it was just listed whole"
    world.clock.sleep(7 * 86_400.0 + 1)
    assert is_due(world.hub, connection)
    found(world)
    assert not is_due(world.hub, connection)
    with world.store.reading() as tx:
        assert [run.kind for run in tx.runs(limit=1, connection="A")] == ["reconcile"]


def test_a_sweep_that_failed_is_tried_again_after_some_hours(make: Any) -> None:
    world = at_rest(make)
    assert not is_due(world.hub, world.hub.connections["A"])
    world.clock.sleep(7 * 86_400.0 + 1)
    plain = world.vendors["A"].connector()

    def broken(api: Any, name: str, cursor: Any) -> Any:
        if cursor is None:  # the whole listing; what is new can be read
            raise RetryLater("down", code="NET-TROUBLE")
        return plain.pull(api, name, cursor)

    world.change("A", connector=replace(plain, pull=broken))
    assert "NET-TROUBLE" in found(world)["error"]
    assert not is_due(world.hub, world.hub.connections["A"])
    world.clock.sleep(6 * 3600.0)
    assert is_due(world.hub, world.hub.connections["A"])
    world.change("A", connector=plain)
    assert found(world)["error"] == ""
    assert not is_due(world.hub, world.hub.connections["A"])
