"""What systems do to a sync, one fault at a time, held against what must come of it; see tests/verify/faults.yaml."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from hub.connector import Idempotency, Page
from hub.errors import QuotaUsedUp
from hub.model import ChangeSet, Json, PushResult
from hub.verify.vendor import STREAM, Traits, cut
from tests.app_world import World, mapping_of

ONE_ROW = Traits(page_size=1, max_batch=100)


@pytest.fixture
def make() -> Iterator[Callable[..., World]]:
    """Builds worlds in memory: these tests are about systems, not about databases."""
    worlds: list[World] = []

    def build(**more: Any) -> World:
        worlds.append(World("sqlite://", **more))
        return worlds[-1]

    yield build
    for world in worlds:
        world.store.close()


def pair(make: Callable[..., World], **more: Any) -> tuple[World, str, str]:
    """One person, known to A and B."""
    world = make(**more)
    at_a = world.person("A")
    world.settle()
    return world, at_a, world.twin_of("A", at_a, "B")


def answers(world: World, system: str, push: Callable[[ChangeSet], PushResult | None]) -> None:
    """The system answers as `push` says; where it says nothing, as it always does."""
    vendor = world.vendors[system]

    def answer(_api: Any, _stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
        found = [push(change) or vendor.push([change])[0] for change in changes]
        return [replace(result, index=index) for index, result in enumerate(found)]

    world.change(system, connector=replace(vendor.connector(), push=answer))


def shows(world: World, system: str, show: Callable[[Mapping[str, Json]], Mapping[str, Json]]) -> None:
    """The system's records are shown as `show` makes them."""
    connector = world.vendors[system].connector()

    def pull(api: Any, stream: str, cursor: Json) -> Page:
        page = connector.pull(api, stream, cursor)
        return replace(page, records=[replace(each, data=show(each.data)) for each in page.records])

    def fetch(api: Any, stream: str, ids: Sequence[str]) -> Any:
        assert connector.fetch is not None
        return [replace(each, data=show(each.data)) for each in connector.fetch(api, stream, ids)]

    world.change(system, connector=replace(connector, pull=pull, fetch=fetch))


def without_phone(data: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in data.items() if name != "phone"}


def quiet(world: World) -> None:
    """Nothing is written any more, and nobody differs."""
    before = world.writes()
    world.settle()
    assert world.writes() == before


# Limits


def test_a_quota_that_ends_in_the_middle_keeps_what_was_read_and_goes_on_by_itself(make: Any) -> None:
    world: World = make(traits=ONE_ROW)
    world.people("A", 4)
    connector, left = world.vendors["A"].connector(), [2]

    def pull(api: Any, stream: str, cursor: Json) -> Page:
        if not left[0]:
            raise QuotaUsedUp("the day's calls are used up", after_s=3600.0)
        left[0] -= 1
        return connector.pull(api, stream, cursor)

    world.change("A", connector=replace(connector, pull=pull))
    runs = world.sync()
    assert (runs["A"].status, runs["B"].status) == ("paused", "success")
    assert (len(world.links("A")), len(world.links("B"))) == (2, 2), "what was read is kept, and passed on"
    left[0] = 2  # the next day; what was read is not read again
    assert world.sync()["A"].status == "success"
    assert len(world.links("A")) == 4
    left[0] = 100
    world.settle()
    assert len(world.vendors["B"].alive()) == 4


# Writes


def test_a_refused_field_waits_and_the_rest_of_the_record_goes(make: Any) -> None:
    world, at_a, at_b = pair(make)

    def choosy(change: ChangeSet) -> PushResult | None:
        if change.body.get("note") != "purple":
            return None
        return PushResult(index=0, outcome="rejected", code="BAD-OPTION", field="note", message="one of: red, green")

    answers(world, "B", choosy)
    world.edit("A", at_a, note="purple", name="Anne", phone="+4930999")
    world.settle()
    (row,) = world.quarantine()
    assert (row.code, row.field, row.message, row.direction) == ("BAD-OPTION", "note", "one of: red, green", "out")
    assert row.fix
    held = world.held_at("B", at_b)
    assert (held["name"], held["phone"], held["note"]) == ("Anne", "+4930999", "first")
    quiet(world)


def test_a_record_that_a_rule_over_there_refuses_waits_with_the_rules_words(make: Any) -> None:
    world, at_a, at_b = pair(make)
    other = world.person("A", code="P2", email="bob@example.org", name="Bob")
    words = "Who has a phone needs a country."

    def strict(change: ChangeSet) -> PushResult | None:
        refused = change.op == "update" and "phone" in change.body
        return PushResult(index=0, outcome="rejected", code="RULE", message=words) if refused else None

    answers(world, "B", strict)
    world.edit("A", at_a, phone="+4930777")
    world.settle()
    (row,) = world.quarantine()
    assert (row.code, row.message, row.field) == ("RULE", words, "")
    assert world.held_at("B", at_b)["phone"] == "+4930111", "nothing is invented to please the rule"
    assert world.twin_of("A", other, "B"), "the others go on"
    quiet(world)


def test_a_value_that_is_cut_over_there_stays_whole_here_and_is_written_once(make: Any) -> None:
    world: World = make()
    world.vendors["B"].traits = replace(world.vendors["B"].traits, normalise=cut)
    at_a = world.person("A", note="much longer than twelve")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    assert world.held_at("B", at_b)["note"] == "much longer "
    assert world.values()["note"] == world.held_at("A", at_a)["note"] == "much longer than twelve"
    assert world.writes() == 1
    quiet(world)


def test_what_an_automation_changes_beside_our_write_is_its_systems_edit(make: Any) -> None:
    world, at_a, at_b = pair(make)
    vendor = world.vendors["B"]

    def automation(change: ChangeSet) -> PushResult | None:
        result = vendor.push([change])[0]
        world.clock.sleep(1.0)
        vendor.user_edit(change.external_id or "", "note", "phone changed")
        return replace(result, held=None)

    answers(world, "B", automation)
    world.edit("A", at_a, phone="+4930222")
    world.settle()
    assert world.held_at("A", at_a)["note"] == "phone changed", "an edit like any other"
    assert world.held_at("B", at_b)["phone"] == "+4930222"
    assert world.conflicts() == []
    quiet(world)


def test_a_field_that_is_ignored_over_there_is_not_sent_for_ever(make: Any) -> None:
    world, at_a, at_b = pair(make)
    vendor, sent = world.vendors["B"], []

    def deaf(change: ChangeSet) -> PushResult | None:
        sent.append(dict(change.body))
        rest = {name: value for name, value in change.body.items() if name != "phone"}
        return vendor.push([replace(change, body=rest)])[0]

    answers(world, "B", deaf)
    world.edit("A", at_a, phone="+4930222")
    for _ in range(8):
        world.sync()
    assert 1 <= len(sent) <= 3, "tried again, and then known to be ignored"
    assert world.held_at("B", at_b)["phone"] == "+4930111"
    assert world.values()["phone"] == world.held_at("A", at_a)["phone"] == "+4930222"
    quiet(world)


def test_a_key_that_answers_with_its_first_failure_is_followed_by_another_after_a_look(make: Any) -> None:
    """The first create fails inside B and makes nothing; whoever repeats its key gets that failure for an hour."""
    world = make(traits=Traits(page_size=100, max_batch=100, idempotency=Idempotency.KEY_WITH_LIFE))
    vendor = world.vendors["B"]
    connector = vendor.connector()
    asked: list[tuple[str, int]] = []
    looked: list[str] = []

    def push(_api: Any, _stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
        (change,) = changes
        asked.append((change.idempotency_key, len(looked)))
        if change.idempotency_key == asked[0][0]:
            return [PushResult(index=0, outcome="unknown")]
        return vendor.push([change])

    def find(_api: Any, _stream: str, _name: str, value: str) -> Any:
        looked.append(value)
        return vendor.find(value)

    world.change("B", connector=replace(connector, push=push, find=find))
    world.person("A")
    for _ in range(12):
        world.sync(after_s=900.0)
    keys = list(dict.fromkeys(key for key, _ in asked))
    assert (len(keys), len(vendor.alive())) == (2, 1)
    assert next(looks for key, looks in asked if key == keys[1]) >= 1, "looked up first"
    quiet(world)


# Reads


def test_a_stamp_of_next_year_wins_nothing_and_hides_nothing(make: Any) -> None:
    """B's clock runs a year ahead. A's later edit stands all the same, and B is still heard."""
    world: World = make()
    world.vendors["B"].traits = replace(world.vendors["B"].traits, skew_s=365 * 86_400.0)
    at_a = world.person("A")
    world.settle()
    at_b = world.twin_of("A", at_a, "B")
    world.edit("B", at_b, phone="+4930222")
    world.settle()
    assert world.held_at("A", at_a)["phone"] == "+4930222", "B is heard"
    world.edit("A", at_a, phone="+4930333")
    world.settle()
    assert world.held_at("B", at_b)["phone"] == world.values()["phone"] == "+4930333", "and wins nothing by its clock"
    assert world.conflicts(None) == []
    quiet(world)


def test_a_field_that_is_not_shown_is_blanked_nowhere_and_goes_on_when_it_is_back(make: Any) -> None:
    world, at_a, at_b = pair(make)
    shows(world, "B", without_phone)
    world.edit("B", at_b, note="seen")
    world.settle()
    assert world.values()["phone"] == world.held_at("A", at_a)["phone"] == "+4930111", "missing is not blank"
    assert world.held_at("A", at_a)["note"] == "seen"
    world.edit("B", at_b, phone="+4930222")  # nobody sees it
    for _ in range(5):
        world.sync(after_s=7 * 86_400.0)
    assert world.values()["phone"] == "+4930111"
    world.change("B", connector=world.vendors["B"].connector())
    world.edit("B", at_b, note="and back")
    world.settle()
    assert world.held_at("A", at_a)["phone"] == "+4930222", "an edit against what was last seen there"
    assert world.conflicts() == []
    quiet(world)


POISON: Sequence[tuple[str, Json, str]] = (
    ("note", "x" * 5_000_000, "MAP-103"),
    ("tags", [f"tag {n}" for n in range(20_000)], "MAP-103"),
    ("note", {"a": [{"b": "deep"}] * 50}, "MAP-101"),
    ("note", "nul\0", "MAP-102"),
    ("note", "half \ud800", "MAP-102"),
    ("note", float("nan"), "MAP-106"),
    ("note", 10**40, "MAP-107"),
)


def test_a_record_beyond_every_measure_waits_and_its_neighbours_go_on(database_url: str) -> None:
    world = World(database_url)
    ids = world.people("A", len(POISON) + 3)
    for at_a, (field, poison, _) in zip(ids, POISON, strict=False):
        world.vendors["A"].records[at_a][-1].fields = {**world.held_at("A", at_a), field: poison}
    world.settle()
    found = {row.external_id: (row.field, row.code, bool(row.fix)) for row in world.quarantine()}
    assert found == {at_a: (field, code, True) for at_a, (field, _, code) in zip(ids, POISON, strict=False)}
    names = {world.held_at("B", world.twin_of("A", at_a, "B"))["name"] for at_a in ids}
    assert names == {f"Name {n}" for n in range(len(ids))}, "their other fields arrived, and all of their neighbours"
    quiet(world)
    world.store.close()


@pytest.mark.parametrize("answers_with_record", [True, False])
def test_a_field_that_may_be_written_and_not_seen_is_written_once(make: Any, answers_with_record: bool) -> None:
    """B takes phones and shows none. That it took one, its acknowledgement tells; nothing else ever will."""
    world, at_a, at_b = pair(make, traits=Traits(page_size=100, max_batch=100, answers_with_record=answers_with_record))
    shows(world, "B", without_phone)
    before = world.writes()
    world.edit("A", at_a, phone="+4930222", note="both at once")
    world.settle()
    assert world.writes() == before + 1
    assert (world.held_at("B", at_b)["phone"], world.held_at("B", at_b)["note"]) == ("+4930222", "both at once")
    world.edit("A", at_a, phone="+4930333")
    world.settle()
    assert world.writes() == before + 2
    quiet(world)


def test_an_answer_that_leaves_a_field_out_proves_nothing_about_it(make: Any) -> None:
    """B's answers never show phones, its reads do, and it ignores them: what it still holds is nobody's edit."""
    world, at_a, at_b = pair(make)
    vendor = world.vendors["B"]

    def push(change: ChangeSet) -> PushResult | None:
        result = vendor.push([replace(change, body=without_phone(change.body))])[0]
        assert result.held is not None
        return replace(result, held=replace(result.held, data=without_phone(result.held.data)))

    answers(world, "B", push)
    world.edit("A", at_a, phone="+4930222")
    for _ in range(4):
        world.settle()
    assert world.values()["phone"] == world.held_at("A", at_a)["phone"] == "+4930222"
    assert world.held_at("B", at_b)["phone"] == "+4930111"
    assert world.conflicts(None) == []
    quiet(world)


# Operation


def test_ten_thousand_messages_about_one_record_are_one_read(make: Any) -> None:
    world, at_a, _ = pair(make)
    reads = world.vendors["A"].calls
    for _delivery in range(100):
        with world.store.transaction() as tx:
            tx.add_hints([("A", STREAM, at_a, None, world.clock.now(), "webhook:changed")] * 100)
    with world.store.reading() as tx:
        assert len(tx.due_hints("A", world.clock.now(), 20_000)) == 1
    world.sync("A")
    assert world.vendors["A"].calls - reads <= 3, "the stream's read, one read of the record"


class Jumping:
    """The machine's clock: not that of the systems."""

    def __init__(self, true: Any) -> None:
        self._true, self.days = true, 0.0

    def now(self) -> float:
        return float(self._true.now()) + self.days * 86_400.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._true, name)


def test_a_clock_that_jumps_a_day_loses_and_doubles_nothing(make: Any) -> None:
    """Forth and back, and below what it was; an edit of that day may lose against a "younger" one, and says so."""
    world, at_a, at_b = pair(make)
    clock = Jumping(world.clock)
    world.hub.clock = clock
    for days, phone in ((1, "+4930222"), (0, "+4930333"), (-1, "+4930444"), (0, "+4930555")):
        clock.days = days
        system, place = ("A", at_a) if days else ("B", at_b)
        world.edit(system, place, phone=phone)
        for _ in range(6):
            assert {run.status for run in world.sync(after_s=300.0).values()} == {"success"}
        stands = world.values()["phone"]
        assert world.held_at("A", at_a)["phone"] == world.held_at("B", at_b)["phone"] == stands
        lost = {each["value"] for conflict in world.conflicts(None) for each in conflict.candidates if not each["won"]}
        assert stands == phone or (days < 0 and phone in lost), (days, phone)
    assert stands == "+4930555", "the clock is right again"
    assert (len(world.vendors["A"].alive()), len(world.vendors["B"].alive())) == (1, 1)
    quiet(world)


def test_a_run_ends_with_the_mapping_it_began_with(make: Any) -> None:
    """While page one of three is being stored, somebody publishes a mapping that reads no notes."""
    world: World = make(names="A", traits=ONE_ROW)
    world.people("A", 3)
    connector = world.vendors["A"].connector()

    def pull(api: Any, stream: str, cursor: Json) -> Page:
        other = mapping_of("A", world.hub.canonical, note="{remote: code, direction: in}")
        world.change("A", mappings={STREAM: other}, mapping_version=2)
        return connector.pull(api, stream, cursor)

    world.change("A", connector=replace(connector, pull=pull))
    world.sync()
    assert {row.values["note"] for row in world.entities()} == {"first"}
    assert {link.mapping_version for link in world.links("A").values()} == {0}


def test_a_full_disk_is_told_and_all_goes_on_once_there_is_room(tmp_path: Any) -> None:
    world = World(f"sqlite:///{tmp_path / 'hub.db'}")
    world.people("A", 2)
    world.settle()

    def room(pages: int) -> None:
        writer = world.store._database._lent_to_write().driver_connection  # type: ignore[attr-defined]
        writer.execute(f"PRAGMA max_page_count = {pages}")

    room(1)  # no page more than there are
    words = "".join(hashlib.sha256(b"%d" % number).hexdigest() for number in range(500))  # which nothing packs well
    world.people("A", 60, note=words)
    for n, each in enumerate(world.vendors["A"].alive()):
        if n > 1:
            world.edit("A", each, code=f"Q{n}", email=f"q{n}@example.org")
    run = world.sync()["A"]
    assert (run.status, run.code) == ("failed", "STORE-FULL")
    assert "make room" in run.error
    room(2**31 - 2)
    with sqlite3.connect(tmp_path / "hub.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    world.settle()
    assert len(world.vendors["B"].alive()) == len(world.vendors["A"].alive()) == 62
    quiet(world)
    world.store.close()
