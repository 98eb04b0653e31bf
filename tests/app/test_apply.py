"""A plan is carried out to the letter: its writes and no others, each once, and none whose record drifted."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.app.apply import Applied, apply, load_file
from hub.app.plan import plan, write_file
from hub.app.planned import digest_of, unpacked
from hub.app.proposals import list_plans, reject_plan
from hub.core.guards import Bound
from hub.errors import ConfigFault, Drifted, NeedsReview, NotFound
from hub.verify.vendor import STREAM
from tests.app_world import World

Document = dict[str, Any]


def planned(world: World) -> Document:
    world.clock.sleep(60.0)
    return plan(world.hub, owner="test")


def applied(world: World, document: Any, **more: Any) -> Applied:
    world.clock.sleep(60.0)
    return apply(world.hub, document, by="ann", owner="test", **more)


def codes(done: Applied) -> list[str]:
    return [row["code"] for row in done.refused]


def two_with_work(make: Any, **more: Any) -> tuple[World, str]:
    """Ann in both systems, her phone just edited at A; Bob only at A."""
    world: World = make(**more)
    ann = world.person("A")
    world.settle()
    world.edit("A", ann, phone="+4930222")
    world.person("A", code="P2", email="bob@example.org", name="Bob")
    return world, ann


def test_exactly_the_planned_writes_are_made(make: Any) -> None:
    world, ann = two_with_work(make)
    document, before = planned(world), world.writes()
    world.person("A", code="P3", email="carl@example.org", name="Carl")  # after the plan: not in it
    done = applied(world, document)
    assert (done.exit_code, dict(done.carried["B"].written), done.refused) == (0, {"update": 1, "create": 1}, [])
    assert world.writes() == before + 2
    assert world.held_at("B", world.twin_of("A", ann, "B"))["phone"] == "+4930222"
    assert sorted(world.held_at("B", each)["name"] for each in world.vendors["B"].alive()) == ["Ann", "Bob"]


def test_a_second_apply_writes_nothing_and_says_so(make: Any) -> None:
    world, _ = two_with_work(make)
    document = planned(world)
    applied(world, document)
    before = world.writes()
    done = applied(world, document)
    assert (done.exit_code, done.before, done.written) == (0, True, 0)
    assert str(done) == "this plan was applied before: nothing was written"
    assert world.writes() == before


def test_after_a_plan_was_applied_a_sync_has_nothing_left_to_do(make: Any) -> None:
    world, _ = two_with_work(make)
    applied(world, planned(world))
    before = world.writes()
    world.settle()
    assert world.writes() == before
    assert planned(world)["writes"] == []


def another_name(world: World, ann: str) -> None:
    world.edit("B", world.twin_of("A", ann, "B"), name="Anna")


def another_phone(world: World, ann: str) -> None:
    world.edit("A", ann, phone="+4930333")
    world.clock.sleep(60.0)
    world.sync("A")


def deleted(world: World, ann: str) -> None:
    world.clock.sleep(1.0)
    world.vendors["B"].user_delete(world.twin_of("A", ann, "B"))


def mapped_anew(world: World, ann: str) -> None:
    world.change("B", mapping_version=7)


def only_observed(world: World, ann: str) -> None:
    world.change("B", mode="observe")


def outside_the_mapping(world: World, ann: str) -> None:
    """Nothing that the mapping reads, but the record is not the one that was looked at."""
    world.clock.sleep(1.0)
    vendor, external_id = world.vendors["B"], world.twin_of("A", ann, "B")
    vendor._append(external_id, "user", dict(world.held_at("B", external_id)))


@pytest.mark.parametrize(
    ("meanwhile", "code"),
    [
        (another_name, "PLAN-ENTITY"),
        (another_phone, "PLAN-ENTITY"),
        (deleted, "PLAN-GONE"),
        (mapped_anew, "PLAN-MAPPING"),
        (only_observed, "PLAN-MODE"),
        (outside_the_mapping, "PLAN-STAMP"),
    ],
)
def test_what_drifted_is_refused_and_told_one_by_one(
    make: Any, meanwhile: Callable[[World, str], None], code: str
) -> None:
    world, ann = two_with_work(make)
    document, before = planned(world), world.writes()
    update = next(write for write in document["writes"] if write["op"] == "update")
    meanwhile(world, ann)
    done = applied(world, document)
    mine = [row for row in done.refused if row["entity"] == update["entity"]]
    assert [(row["code"], row["op"], row["external_id"]) for row in mine] == [(code, "update", update["external_id"])]
    assert mine[0]["reason"]
    assert done.exit_code == 3
    whole = code in ("PLAN-MAPPING", "PLAN-MODE")
    assert world.writes() == before + (0 if whole else 1), "the other record is written all the same"


def test_what_was_refused_is_in_the_next_plan(make: Any) -> None:
    world, ann = two_with_work(make)
    document = planned(world)
    another_phone(world, ann)
    assert codes(applied(world, document)) == ["PLAN-ENTITY"]
    (left,) = planned(world)["writes"]
    assert left["values"] == {"phone": "+4930333"}


def test_a_create_that_somebody_made_meanwhile_is_refused(make: Any) -> None:
    world, _ = two_with_work(make)
    document, before = planned(world), world.writes()
    world.person("B", code="P2", email="bob@example.org", name="Bob")
    planned(world)  # reads B: Bob is linked by his code
    assert codes(applied(world, document)) == ["PLAN-EXISTS"]
    assert world.writes() == before + 1


def test_a_plan_that_was_changed_by_hand_is_no_plan(make: Any, tmp_path: Path) -> None:
    world, _ = two_with_work(make)
    document = planned(world)
    file = tmp_path / "plan.json"
    write_file(document, file)
    assert file.stat().st_mode & 0o077 == 0, "it holds people's data"
    assert "changes" not in load_file(file)
    told = json.loads(file.read_text())
    told["writes"][0]["values"]["phone"] = told["writes"][0]["body"]["phone"] = "+49900"
    wrongs: list[tuple[Any, str]] = [
        (told, "PLAN-DIGEST"),
        ({**document, "connections": []}, "PLAN-DIGEST"),
        ({"some": "file"}, "PLAN-FILE"),
        ([], "PLAN-FILE"),
    ]
    for wrong, code in wrongs:
        with pytest.raises(ConfigFault) as caught:
            applied(world, wrong)
        assert caught.value.code == code
    elsewhere = copy.deepcopy({**document, "hub": "another"})
    elsewhere["digest"] = digest_of(elsewhere)
    with pytest.raises(ConfigFault, match="PLAN-HUB"):
        applied(world, elsewhere)
    assert applied(world, load_file(file)).written == 2


def test_a_file_that_is_not_there_or_no_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="PLAN-FILE"):
        load_file(tmp_path / "none.json")
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(ConfigFault, match="PLAN-FILE"):
        load_file(tmp_path / "plan.json")
    with pytest.raises(ConfigFault, match="PLAN-WRITE"):
        write_file({}, tmp_path / "no" / "plan.json")


def test_a_connection_that_is_gone_is_told(make: Any) -> None:
    world, _ = two_with_work(make)
    document = planned(world)
    del world.hub.connections["B"]
    with pytest.raises(NotFound):
        applied(world, document)


def test_what_a_guard_would_keep_back_goes_only_with_approval(make: Any) -> None:
    world = make(guards={"creates": Bound(over=2, share=0.0)})
    world.people("A", 6)
    document = planned(world)
    assert [write.get("guard") for write in document["writes"]] == [None, None, *["creates"] * 4]
    with pytest.raises(NeedsReview, match="PLAN-HELD"):
        applied(world, document)
    assert world.writes() == 0, "not even what the guard lets pass"
    done = applied(world, document, approve=True)
    assert (done.written, done.exit_code, world.writes()) == (6, 0, 6)
    assert world.holds() == []


def test_what_waits_in_a_hold_is_in_no_plan_but_is_listed(make: Any) -> None:
    world = make(guards={"creates": Bound(over=2, share=0.0)})
    world.people("A", 6)
    world.sync()
    document = planned(world)
    assert document["writes"] == []
    assert [(row["guard"], row["connection"], row["count"]) for row in document["held"]] == [("creates", "B", 4)]


def test_a_hold_that_came_after_the_plan_is_kept(make: Any) -> None:
    world, ann = two_with_work(make)
    document = planned(world)
    link = world.links("B")[world.twin_of("A", ann, "B")]
    with world.store.transaction() as tx:
        hold = tx.join_hold(
            guard="blanks", connection="B", stream=STREAM, field="phone", count=1, of=1, at=0.0, run_id=None, message=""
        )
        tx.add_hold_items(hold, [(link.id, "phone")])
    assert codes(applied(world, document)) == ["PLAN-HOLD"]


def test_a_plan_of_fields_that_the_mapping_no_longer_writes_is_refused(make: Any) -> None:
    """Direction is judged when the write is made, not believed from the file."""
    world, _ = two_with_work(make)
    document = planned(world)
    mapping = world.hub.connections["B"].mappings[STREAM]
    world.change("B", mappings={STREAM: replace(mapping, out_fields=mapping.out_fields - {"phone"})})
    done = applied(world, document)
    assert sorted(codes(done)) == ["PLAN-NOT-DUE", "PLAN-VALUES"]
    assert done.written == 0


def test_every_update_says_which_rule_and_system_decided(make: Any) -> None:
    world, _ = two_with_work(make)
    rows = [row for row in planned(world)["changes"] if row["op"] == "update"]
    assert [(row["field"], row["old"], row["new"], row["why"]) for row in rows] == [
        ("phone", "+4930111", "+4930222", "newest, from A")
    ]


def test_one_digest_for_one_state_whenever_it_is_planned(make: Any) -> None:
    world, ann = two_with_work(make)
    first = planned(world)
    again = planned(world)
    assert (first["digest"], first["made_at"] == again["made_at"]) == (again["digest"], False)
    assert digest_of(first) == first["digest"]
    world.edit("A", ann, phone="+4930444")
    assert planned(world)["digest"] != first["digest"]


def test_a_plan_cut_off_in_the_middle_goes_on_where_it_stopped(make: Any) -> None:
    world = make()
    world.people("A", 5)
    document = planned(world)
    push, calls = world.hub.connections["B"].connector.push, 0

    def dies(api: Any, stream: str, changes: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return push(api, stream, changes)

    connector = world.hub.connections["B"].connector
    small = replace(world.hub.connections["B"].streams[STREAM], max_batch=2)
    world.change("B", connector=replace(connector, push=dies), streams={STREAM: small})
    with pytest.raises(KeyboardInterrupt):
        applied(world, document)
    assert world.writes() == 2
    world.change("B", connector=connector)
    world.clock.sleep(600.0)
    again = applied(world, document)
    assert (again.carried["B"].already, again.written) == (4, 1), "two had landed, two were under way"
    assert applied(world, document).before
    assert sorted(world.held_at("B", each)["code"] for each in world.vendors["B"].alive()) == [
        "P0", "P1", "P2", "P3", "P4"
    ]  # fmt: skip
    assert world.writes() == 5


def test_a_rejected_plan_cannot_be_applied(make: Any) -> None:
    world, _ = two_with_work(make)
    world.change("B", mode="propose")
    world.sync()
    (waiting,) = list_plans(world.hub)
    reject_plan(world.hub, waiting["plan"], by="ann")
    with world.store.reading() as tx:
        document = unpacked(tx.plan(waiting["plan"]).content)
    before = world.writes()
    with pytest.raises(Drifted, match="PLAN-REJECTED"):
        applied(world, document)
    assert world.writes() == before
