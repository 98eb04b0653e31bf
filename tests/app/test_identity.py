"""Who is who: a person merges, splits and rules; machines ask, obey, and never join what a person parted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hub.app.identity import (
    always,
    later,
    lift,
    list_crowded,
    list_merges,
    list_pairs,
    list_parted,
    list_rulings,
    merge,
    merge_pair,
    never,
    preview_merge,
    preview_unmerge,
    show_pair,
    unmerge,
)
from hub.app.past import show
from hub.app.review import resolve_conflict
from hub.core.canonical import Limits
from hub.errors import Drifted, NeedsReview, NotFound
from hub.model import ChangeSet, LinkState, PushResult
from tests.app_world import World

TWO = {"code": "P2", "email": "bob@example.org", "name": "Bob", "note": "second", "phone": "+4930222"}


def two_people(make: Any, **more: Any) -> tuple[World, int, int]:
    """Ann, first met at A, and Bob, first met at B; both have a record in both systems by now."""
    world = make(**more)
    world.person("A")
    world.person("B", **TWO)
    world.settle()
    ids = {row.values["code"]: row.id for row in world.entities()}
    return world, ids["P1"], ids["P2"]


def named(entity_id: int) -> str:
    return f"contact:{entity_id}"


def states(world: World, entity_id: int) -> dict[str, str]:
    with world.store.reading() as tx:
        return {link.connection: str(link.state) for link in tx.links_of([entity_id])}


def held(world: World, entity_id: int) -> dict[str, Any]:
    with world.store.reading() as tx:
        return {
            link.connection: world.held_at(link.connection, link.external_id or "") for link in tx.links_of([entity_id])
        }


def value(world: World, entity_id: int, name: str) -> Any:
    return next(row.values.get(name) for row in world.entities() if row.id == entity_id)


# Merging and splitting


def test_a_merge_makes_one_of_two_and_a_split_puts_every_system_back(make: Any) -> None:
    world, ann, bob = two_people(make)
    before = {each: held(world, each) for each in (ann, bob)}
    told = merge(world.hub, named(ann), named(bob), by="kim", note="same phone")
    world.settle()
    assert (told["survivor"], told["alias"]) == (named(ann), named(bob))
    assert states(world, bob) == {"A": "duplicate", "B": "duplicate"}, "one live record per system"
    assert held(world, bob) == before[bob], "what is not kept up to date is not written"
    writes = world.writes()
    world.settle()
    assert world.writes() == writes
    unmerge(world.hub, named(ann), by="kim")
    world.settle()
    assert {each: held(world, each) for each in (ann, bob)} == before
    assert states(world, bob) == {"A": "live", "B": "live"}
    with world.store.reading() as tx:
        actions = [(row.actor, row.action, row.target) for row in tx.audit_log()]
    assert actions == [("kim", "split", named(ann)), ("kim", "merged", named(ann))]


def test_a_merge_fills_what_the_survivor_lacks_and_a_split_takes_it_away_again(make: Any) -> None:
    world = make()
    world.person("A", email=None, phone=None)
    world.person("B", **{**TWO, "note": None})
    world.settle()
    ann, bob = sorted(row.id for row in world.entities())
    if value(world, ann, "code") != "P1":
        ann, bob = bob, ann
    merge(world.hub, named(ann), named(bob), by="kim")
    world.settle()
    assert {fields["phone"] for fields in held(world, ann).values()} == {"+4930222"}
    unmerge(world.hub, named(bob), by="kim")
    world.settle()
    assert {fields["phone"] for fields in held(world, ann).values()} == {None}, (
        "blank again, also where blanks are kept"
    )
    assert {fields["phone"] for fields in held(world, bob).values()} == {"+4930222"}


def test_what_is_edited_while_they_are_one_belongs_to_whose_record_it_is(make: Any) -> None:
    world, ann, bob = two_people(make)
    merge(world.hub, named(ann), named(bob), by="kim")
    world.settle()
    with world.store.reading() as tx:
        at_b = next(link.external_id for link in tx.links_of([bob]) if link.connection == "B")
    world.edit("B", at_b or "", note="edited as one")
    world.settle()
    assert value(world, ann, "note") == "edited as one"
    unmerge(world.hub, named(ann), by="kim")
    world.settle()
    assert (value(world, ann, "note"), value(world, bob, "note")) == ("first", "edited as one")
    assert {fields["note"] for fields in held(world, bob).values()} == {"edited as one"}


def test_history_tells_what_stood_when_before_while_and_after(make: Any) -> None:
    world, ann, bob = two_people(make)
    moments = [world.clock.now()]
    for act in (merge, unmerge):
        world.clock.sleep(60.0)
        act(world.hub, named(ann), *([named(bob)] if act is merge else []), by="kim")
        moments.append(world.clock.now())
    joint = show(world.hub, named(ann), as_of=moments[1])["fields"]
    for entity_id, name in ((ann, "Ann"), (bob, "Bob")):
        for moment in (moments[0], moments[2]):
            told = show(world.hub, named(entity_id), as_of=moment)
            assert (told["entity"], _field(told["fields"], "name")) == (named(entity_id), name)
    assert _field(joint, "name") in ("Ann", "Bob")


def _field(fields: Sequence[dict[str, Any]], name: str) -> Any:
    return next(each["value"] for each in fields if each["field"] == name)


def test_the_newest_merge_goes_first(make: Any) -> None:
    world, ann, bob = two_people(make)
    world.person("A", code="P3", email="cy@example.org", name="Cy")
    world.settle()
    cy = max(row.id for row in world.entities())
    first = merge(world.hub, named(ann), named(bob), by="kim")
    second = merge(world.hub, named(ann), named(cy), by="kim")
    with pytest.raises(Drifted) as told:
        unmerge(world.hub, str(first["merge"]), by="kim")
    assert (told.value.code, told.value.fix) == ("IDN-ORDER", f"take merge {second['merge']} back first")
    assert [row["merge"] for row in list_merges(world.hub)] == [second["merge"], first["merge"]]
    unmerge(world.hub, named(cy), by="kim")
    unmerge(world.hub, str(first["merge"]), by="kim")
    with pytest.raises(Drifted, match="does not stand"):
        unmerge(world.hub, str(first["merge"]), by="kim")
    world.settle()
    assert [value(world, each, "name") for each in (ann, bob, cy)] == ["Ann", "Bob", "Cy"]


def test_an_alias_under_an_alias_waits_for_the_merge_above_it(make: Any) -> None:
    world, ann, bob = two_people(make)
    world.person("A", code="P3", email="cy@example.org", name="Cy")
    world.settle()
    cy = max(row.id for row in world.entities())
    below = merge(world.hub, named(bob), named(cy), by="kim")
    joint = value(world, bob, "name")
    above = merge(world.hub, named(ann), named(bob), by="kim")
    with pytest.raises(Drifted) as told:
        unmerge(world.hub, str(below["merge"]), by="kim")
    assert told.value.code == "IDN-ORDER"
    unmerge(world.hub, str(above["merge"]), by="kim")
    assert (value(world, ann, "name"), value(world, bob, "name")) == ("Ann", joint)
    unmerge(world.hub, str(below["merge"]), by="kim")
    assert [value(world, each, "name") for each in (ann, bob, cy)] == ["Ann", "Bob", "Cy"]


def test_a_record_that_arrives_while_they_are_one_is_the_survivors(make: Any) -> None:
    world, ann, bob = two_people(make, names="ABC", modes={"C": "observe"})
    merge(world.hub, named(ann), named(bob), by="kim")
    world.person("C", code="P2", email="new@example.org")
    world.settle()
    assert states(world, ann)["C"] == "live", "Bob's key still finds him, under his new name"
    unmerge(world.hub, named(ann), by="kim")
    assert "C" not in states(world, bob)


def test_a_merge_that_cannot_be_is_refused(make: Any) -> None:
    world, ann, bob = two_people(make)
    with pytest.raises(NotFound):
        merge(world.hub, named(ann), "contact:999", by="kim")
    with pytest.raises(Drifted) as told:
        merge(world.hub, named(ann), named(ann), by="kim")
    assert told.value.code == "IDN-SAME"
    merge(world.hub, named(ann), named(bob), by="kim")
    with pytest.raises(Drifted, match="one already"):
        merge(world.hub, named(bob), named(ann), by="kim")


def test_who_was_never_merged_cannot_be_split(make: Any) -> None:
    world, ann, _bob = two_people(make)
    for target in (named(ann), "1"):
        with pytest.raises(NotFound):
            unmerge(world.hub, target, by="kim")


def test_a_record_that_is_just_being_created_is_waited_for(make: Any) -> None:
    world, ann, _bob = two_people(make)
    world.person("A", code="P3", email="cy@example.org", name="Cy")
    usual = world.hub.connections["B"].connector

    def unknown(api: Any, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
        return [PushResult(index=index, outcome="unknown") for index, _ in enumerate(changes)]

    world.change("B", connector=replace(usual, push=unknown))
    world.sync()
    cy = max(row.id for row in world.entities())
    with pytest.raises(NeedsReview) as told:
        merge(world.hub, named(ann), named(cy), by="kim")
    assert told.value.code == "IDN-BUSY"
    world.change("B", connector=usual)
    world.clock.sleep(600.0)
    world.settle()
    merge(world.hub, named(ann), named(cy), by="kim")


def test_a_wanted_record_beside_a_live_one_is_not_created_and_wanted_again_after_the_split(make: Any) -> None:
    world = make(modes={"B": "observe"})
    world.person("A")
    world.person("B", **TWO)
    world.settle()
    ids = {row.values["code"]: row.id for row in world.entities()}
    ann, bob = ids["P1"], ids["P2"]
    world.change("B", mode="live")
    with world.store.transaction() as tx:
        tx.set_setting("wanted:B:contact", "")
    world.hub.guards = {**world.hub.guards, "creates": replace(world.hub.guards["creates"], over=0, share=0.0)}
    world.settle()
    assert states(world, ann)["B"] == "wanted", "a guard keeps it back"
    merge(world.hub, named(ann), named(bob), by="kim")
    assert states(world, ann)["B"] == "duplicate"
    world.settle()
    unmerge(world.hub, named(ann), by="kim")
    assert states(world, ann)["B"] == "wanted"


def test_open_conflicts_of_both_are_as_they_were_after_a_split(make: Any) -> None:
    world, ann, bob = two_people(make, phone="manual")
    with world.store.reading() as tx:
        at_a = next(link.external_id for link in tx.links_of([bob]) if link.connection == "A")
    world.edit("A", at_a or "", phone="+4930999")
    world.sync()
    (open_before,) = world.conflicts()
    merge(world.hub, named(ann), named(bob), by="kim")
    assert {row.entity_id for row in world.conflicts()} <= {ann}, "one person, one list"
    unmerge(world.hub, named(ann), by="kim")
    assert world.conflicts() == [open_before]


def test_a_ruling_of_either_counts_while_they_are_one_and_goes_with_its_owner(make: Any) -> None:
    world, ann, bob = two_people(make, phone="manual")
    with world.store.reading() as tx:
        at_a = next(link.external_id for link in tx.links_of([bob]) if link.connection == "A")
    world.edit("A", at_a or "", phone="+4930999")
    world.sync()
    resolve_conflict(world.hub, world.conflicts()[0].id or 0, value="+4930888", by="kim")
    world.settle()
    merge(world.hub, named(ann), named(bob), by="kim")
    assert value(world, ann, "phone") == "+4930888"
    unmerge(world.hub, named(ann), by="kim")
    assert (value(world, ann, "phone"), value(world, bob, "phone")) == ("+4930111", "+4930888")


# Before it is done


def test_a_preview_shows_what_a_merge_would_do_and_changes_nothing(make: Any) -> None:
    world, ann, bob = two_people(make)
    world.change("B", connector=replace(world.hub.connections["B"].connector, merging="B never parts what it merged"))
    rows = world.entities()
    told = preview_merge(world.hub, named(ann), named(bob))
    assert world.entities() == rows
    assert list_merges(world.hub) == []
    assert {row["field"] for row in told["fields"]} >= {"name", "phone"}
    assert [(row["connection"], len(row["records"])) for row in told["systems"]] == [("A", 2), ("B", 2)]
    assert [row["undo"] for row in told["systems"]] == [
        "a split puts all back", "a split puts all back; B never parts what it merged",
    ], "said before, not after"  # fmt: skip
    done = merge(world.hub, named(ann), named(bob), by="kim")
    assert value(world, ann, "name") == next(row["joint"] for row in told["fields"] if row["field"] == "name")
    assert done["survivor"] == told["survivor"]


def test_a_preview_shows_what_a_split_would_do_and_changes_nothing(make: Any) -> None:
    world, ann, bob = two_people(make)
    merge(world.hub, named(ann), named(bob), by="kim")
    rows, joint = world.entities(), value(world, ann, "name")
    told = preview_unmerge(world.hub, named(ann))
    assert (world.entities(), len(list_merges(world.hub))) == (rows, 1)
    by_field = {row["field"]: row for row in told["fields"]}
    assert by_field["name"]["joint"] == joint
    assert {(row["connection"], row["goes_to"]) for row in told["systems"]} == {
        (system, named(each)) for system in "AB" for each in (ann, bob)
    }
    unmerge(world.hub, named(ann), by="kim")
    for name, row in by_field.items():
        assert (row["first"], row["second"]) == (value(world, ann, name), value(world, bob, name))
    with pytest.raises(NotFound):
        preview_unmerge(world.hub, named(ann))


# Seen at a system


def test_what_a_system_has_merged_is_merged_here_and_split_makes_a_record_there_again(make: Any) -> None:
    world, ann, bob = two_people(make)
    with world.store.reading() as tx:
        at_b = {each: next(k.external_id for k in tx.links_of([each]) if k.connection == "B") for each in (ann, bob)}
    world.vendors["B"].user_merge(at_b[ann] or "", at_b[bob] or "")
    world.settle()
    (row,) = list_merges(world.hub)
    assert (row["survivor"], row["alias"], row["by"], row["note"]) == (named(ann), named(bob), "sync", "merged at B")
    assert states(world, bob) == {"A": "duplicate", "B": "merged_into"}
    writes = world.writes()
    world.settle()
    assert world.writes() == writes
    unmerge(world.hub, named(ann), by="kim")
    world.settle()
    with world.store.reading() as tx:
        links = [(link.connection, str(link.state), link.external_id) for link in tx.links_of([bob])]
    assert ("B", "merged_into", at_b[bob]) in links, "the retired id stays an alias for ever"
    new = next(each for connection, state, each in links if (connection, state) == ("B", "live"))
    assert world.held_at("B", new or "")["name"] == "Bob"


def test_a_merge_that_makes_a_new_id_moves_the_link_and_is_followed(make: Any) -> None:
    world, ann, bob = two_people(make)
    with world.store.reading() as tx:
        at_b = {each: next(k.external_id for k in tx.links_of([each]) if k.connection == "B") for each in (ann, bob)}
    new = world.vendors["B"].user_merge(at_b[ann] or "", at_b[bob] or "", anew=True)
    world.settle()
    links = world.links("B")
    assert (links[new].entity_id, links[new].state) == (ann, LinkState.LIVE)
    assert {links[each or ""].state for each in at_b.values()} == {LinkState.MERGED_INTO}
    assert [row["survivor"] for row in list_merges(world.hub)] == [named(ann)]
    world.edit("A", next(each for each, link in world.links("A").items() if link.entity_id == ann), note="goes on")
    world.settle()
    assert world.held_at("B", new)["note"] == "goes on"


def test_a_record_that_comes_back_after_a_merge_is_heard_and_listed(make: Any) -> None:
    world, ann, bob = two_people(make)
    with world.store.reading() as tx:
        at_b = {each: next(k.external_id for k in tx.links_of([each]) if k.connection == "B") for each in (ann, bob)}
    world.vendors["B"].user_merge(at_b[ann] or "", at_b[bob] or "")
    world.settle()
    world.vendors["B"].user_restore(at_b[bob] or "")
    world.settle()
    assert states(world, bob)["B"] == "duplicate"
    (row,) = list_parted(world.hub)
    assert (row["record"], row["entity"], row["one_with"]) == (f"B/people/{at_b[bob]}", named(bob), named(ann))
    unmerge(world.hub, named(bob), by="kim")
    world.settle()
    assert list_parted(world.hub) == []
    assert states(world, bob)["B"] == "live"
    assert {fields["name"] for fields in held(world, bob).values()} == {"Bob"}


def test_a_pair_that_a_person_keeps_apart_is_not_merged_because_a_system_did(make: Any) -> None:
    world, ann, bob = two_people(make)
    never(world.hub, named(ann), named(bob), by="kim")
    with world.store.reading() as tx:
        at_b = {each: next(k.external_id for k in tx.links_of([each]) if k.connection == "B") for each in (ann, bob)}
    world.vendors["B"].user_merge(at_b[ann] or "", at_b[bob] or "")
    world.settle()
    assert list_merges(world.hub) == []
    assert all(row.alias_of is None for row in world.entities())
    (asked,) = list_pairs(world.hub)
    assert asked["because"] == "merged at B"


# Pairs


def test_a_weak_key_asks_and_a_person_merges_the_pair(make: Any) -> None:
    world = make()
    world.person("A")
    world.person("A", code="P2", name="Anne", email="ann@example.org")
    world.settle()
    (asked,) = list_pairs(world.hub)
    assert (asked["because"], asked["score"]) == ("weak key email", None)
    shown = show_pair(world.hub, asked["pair"])
    told = {row["field"]: (row["first"], row["second"], row["agreement"]) for row in shown["fields"]}
    assert told["name"] == ("Ann", "Anne", "differs")
    assert told["email"][2] == "same"
    merge_pair(world.hub, asked["pair"], by="kim")
    assert list_pairs(world.hub) == []
    assert [row["pair"] for row in list_pairs(world.hub, state="accepted")] == [asked["pair"]]


def test_a_pair_that_was_put_off_or_ruled_apart_leaves_the_queue(make: Any) -> None:
    world = make()
    world.person("A")
    world.person("A", code="P2", name="Anne")
    world.settle()
    (asked,) = list_pairs(world.hub)
    later(world.hub, asked["pair"], by="kim", note="ask her")
    assert (list_pairs(world.hub), len(list_pairs(world.hub, state="later"))) == ([], 1)
    never(world.hub, asked["first"], asked["second"], by="kim", note="sisters")
    assert [row["pair"] for row in list_pairs(world.hub, state="refused")] == [asked["pair"]]
    with pytest.raises(Drifted, match="refused already"):
        later(world.hub, asked["pair"], by="kim")
    (ruling,) = list_rulings(world.hub)
    assert (ruling["kind"], ruling["note"]) == ("never", "sisters")
    lift(world.hub, ruling["ruling"], by="kim")
    assert list_rulings(world.hub) == []
    with pytest.raises(Drifted):
        lift(world.hub, ruling["ruling"], by="kim")


def test_two_that_were_split_stay_apart_unless_it_is_said_that_keys_may_join_them(make: Any) -> None:
    world, ann, bob = two_people(make)
    merge(world.hub, named(ann), named(bob), by="kim")
    unmerge(world.hub, named(ann), by="kim", note="brothers")
    (ruling,) = list_rulings(world.hub)
    assert (ruling["kind"], ruling["first"], ruling["second"]) == ("never", *map(named, sorted((ann, bob))))
    merge(world.hub, named(ann), named(bob), by="kim")
    assert list_rulings(world.hub) == [], "who merges them says that they are one"
    unmerge(world.hub, named(ann), by="kim", apart=False)
    assert list_rulings(world.hub) == []


# Rulings on records


def test_a_record_is_joined_to_whom_a_person_said_when_it_arrives(make: Any) -> None:
    world, ann, _bob = two_people(make)
    told = always(world.hub, named(ann), "B/people/B3", by="kim")
    assert told["waits"]
    world.person("B", code="P9", email="other@example.org", name="Somebody")
    world.settle()
    assert world.links("B")["B3"].entity_id == ann
    assert world.links("B")["B3"].state == LinkState.DUPLICATE
    assert list_rulings(world.hub) == []


def test_a_record_is_not_joined_to_whom_a_person_said_it_is_not(make: Any) -> None:
    world, ann, _bob = two_people(make)
    with world.store.reading() as tx:
        at_b = next(link.external_id for link in tx.links_of([ann]) if link.connection == "B")
    never(world.hub, f"B/people/{at_b}", "B/people/B3", by="kim", note="her sister")
    world.person("B", code="P1", email="sister@example.org", name="Sister")
    world.sync()
    sister = world.links("B")["B3"].entity_id
    assert sister != ann, "the same strong key, and yet another person"
    (ruling,) = list_rulings(world.hub)
    assert {ruling["first"], ruling["second"]} == {named(ann), named(sister)}, "it is about entities now"


def test_always_between_two_that_are_there_is_a_merge(make: Any) -> None:
    world, ann, bob = two_people(make)
    with world.store.reading() as tx:
        at_a = next(link.external_id for link in tx.links_of([bob]) if link.connection == "A")
    told = always(world.hub, named(ann), f"A/people/{at_a}", by="kim")
    assert told["merge"] == list_merges(world.hub)[0]["merge"]


def test_a_ruling_needs_something_to_hold_on_to(make: Any) -> None:
    world, _ann, _bob = two_people(make)
    with pytest.raises(NotFound, match="names no record"):
        never(world.hub, "B/people/B3", "C/people/1", by="kim")
    with pytest.raises(NotFound):
        always(world.hub, "contact:nobody@example.org", "B/people/B3", by="kim")


# Limits


def test_a_key_that_brought_too_many_records_is_no_evidence_and_is_told_once(make: Any) -> None:
    world = make()
    kind = replace(world.entity, limits=Limits(links=3, sharing=20))
    world.hub.canonical = replace(world.hub.canonical, entities={"contact": kind})
    world.connect("A", world.vendors["A"].connector())
    world.connect("B", world.vendors["B"].connector(), mode="observe")
    for number in range(6):
        world.person("A", email=f"p{number}@example.org", name=f"Name {number}")
    world.sync()
    world.sync()
    per_entity = sorted(
        len([k for k in world.links("A").values() if k.entity_id == row.id]) for row in world.entities()
    )
    assert per_entity == [1, 1, 1, 3], "three by the key, then the key is not believed any more"
    (crowded,) = list_crowded(world.hub)
    assert (crowded["key"], crowded["value"]) == ("code", "p1")


def test_a_weak_key_that_too_many_share_asks_nobody(make: Any) -> None:
    world = make(modes={"B": "observe"})
    kind = replace(world.entity, limits=Limits(links=10, sharing=2))
    world.hub.canonical = replace(world.hub.canonical, entities={"contact": kind})
    world.connect("A", world.vendors["A"].connector())
    for number in range(6):
        world.person("A", code=f"P{number}", email="info@example.org", name=f"Name {number}")
    world.sync()
    assert len(list_pairs(world.hub)) == 3, "the first three are asked about, pair by pair"
    assert [row["value"] for row in list_crowded(world.hub)] == ["info@example.org"]
