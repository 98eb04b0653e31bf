"""A first load in parts: whoever reads which part, and whoever dies at it, the store ends as if one had read it all."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from hub.app.leases import LeaseLost
from hub.app.parts import help_read, split
from hub.app.pull import pages, pull_stream
from hub.connector import Page
from hub.model import Json, SourceRecord
from hub.verify.vendor import STREAM

PEOPLE, PAGE = 40, 3


class Killed(BaseException):
    """What the engine cannot catch: the process is gone."""


class Listed:
    """A system whose stream is a list of people, sorted by time; who asks for the place `dies_at` dies of it."""

    def __init__(self, people: int = PEOPLE) -> None:
        self.people = people
        self.asked: list[int] = []
        self.dies_at: int | None = None
        self.helper: threading.Thread | None = None

    def split(self, _api: Any, _stream: str, parts: int) -> list[Json]:
        edges = [self.people * place // parts for place in range(parts)]
        return [{"at": start, "until": end} for start, end in zip(edges, [*edges[1:], None], strict=True)]

    def pull(self, _api: Any, _stream: str, cursor: Json) -> Page:
        at = {"at": 0, "until": None, **(cursor or {})}
        if at["at"] == self.dies_at:
            self.dies_at = None
            raise Killed
        self.asked.append(at["at"])
        end = min(at["at"] + PAGE, self.people if at["until"] is None else at["until"])
        records = [
            SourceRecord(external_id=f"r{n}", data={"code": f"P{n // 2}", "name": f"N{n}"}, stamp=float(n))
            for n in range(at["at"], end)
        ]
        complete = end == (self.people if at["until"] is None else at["until"])
        return Page(records=records, next_cursor={**at, "at": end}, complete=complete)


def in_parts(make: Any, listed: Listed) -> Any:
    world = make()
    world.change("A", connector=replace(world.vendors["A"].connector(), pull=listed.pull, split=listed.split))
    world.hub.call_helpers = lambda _connection, _stream, _many: None
    return world


def read(world: Any, name: str = "A") -> Counter[str]:
    return pull_stream(world.hub, world.hub.connections[name], STREAM, run_id=None, tally=Counter())


def cursor(world: Any, stream: str = STREAM) -> Json:
    with world.store.reading() as tx:
        return tx.cursor("A", stream)


def known(world: Any) -> dict[str, Any]:
    """Record -> what its entity says, and which other records it has: two of each person are one."""
    with world.store.reading() as tx:
        links = tx.links_page("A", STREAM, limit=1000)
        entities = tx.entities({link.entity_id for link in links})
    together: dict[int, list[str]] = {}
    for link in links:
        together.setdefault(link.entity_id, []).append(link.external_id)
    return {
        link.external_id: (entities[link.entity_id].values["code"], sorted(together[link.entity_id])) for link in links
    }


def test_parts_read_by_one_make_what_one_read_makes(make: Any) -> None:
    world = in_parts(make, Listed())
    counts = read(world)
    assert (counts["rows"], counts["new"]) == (PEOPLE, PEOPLE)
    state = cursor(world)
    assert (state["at"]["at"], state["first_done"], "parts" in state) == (PEOPLE, True, False)
    assert state["since"] is not None
    found = known(world)
    assert found == {f"r{n}": (f"P{n // 2}", sorted([f"r{n // 2 * 2}", f"r{n // 2 * 2 + 1}"])) for n in range(PEOPLE)}


def test_others_help_and_everything_is_counted_once(make: Any) -> None:
    listed = Listed()
    world = in_parts(make, listed)
    helpers: list[threading.Thread] = []

    def call(_connection: str, _stream: str, many: int) -> None:
        for _ in range(many):
            helper = threading.Thread(target=lambda: help_read(world.hub, world.hub.connections["A"], STREAM, pages))
            helpers.append(helper)
            helper.start()

    world.hub.call_helpers = call
    counts = read(world)
    for helper in helpers:
        helper.join()
    assert helpers
    assert (counts["rows"], counts["new"], len(known(world))) == (PEOPLE, PEOPLE, PEOPLE)
    assert sorted(listed.asked) == sorted(set(listed.asked)), "a page was read twice"


@pytest.mark.parametrize("place", [0, 8, 38])
def test_who_dies_in_the_middle_of_a_part_is_replaced_without_a_gap(make: Any, place: int) -> None:
    listed = Listed()
    world = in_parts(make, listed)
    listed.dies_at = place
    with pytest.raises(Killed):
        read(world)
    assert not (cursor(world) or {}).get("first_done")
    before = list(listed.asked)
    counts = read(world)
    assert (counts["rows"], len(known(world))) == (PEOPLE, PEOPLE)
    assert not set(before) & set(listed.asked[len(before) :]), "a page that was stored was read again"


def test_who_slept_while_another_took_its_part_stores_nothing(make: Any) -> None:
    listed = Listed()
    world = in_parts(make, listed)
    connection = world.hub.connections["A"]
    assert split(world.hub, connection, STREAM, {"at": None, "first_done": False, "since": None})
    name = cursor(world)["parts"][0]
    ask = listed.pull

    def slow(api: Any, stream: str, at: Json) -> Page:
        page = ask(api, stream, at)
        with world.store.transaction() as tx:  # meanwhile another read this very page
            tx.set_cursor("A", name, {"at": {"at": 3, "until": 5}, "done": False, "counts": {"rows": 3}})
        return page

    world.change("A", connector=replace(connection.connector, pull=slow))
    with pytest.raises(LeaseLost):
        help_read(world.hub, world.hub.connections["A"], STREAM, pages)
    assert known(world) == {}
    assert cursor(world, name)["counts"] == {"rows": 3}


def test_without_others_nothing_is_split(make: Any) -> None:
    listed = Listed()
    world = in_parts(make, listed)
    world.hub.call_helpers = None
    read(world)
    assert listed.asked == list(range(0, PEOPLE, PAGE))


def test_two_pages_that_bring_one_person_at_once_make_one_entity(make: Any) -> None:
    """The other page is stored after this one has looked who is known, and before it stores what it found."""
    listed = Listed(people=4)
    world = in_parts(make, listed)
    taken = threading.Event()

    def other_page(scene: Any, *, first_load: bool) -> dict[str, int]:
        if world.hub.store.many_writers and not taken.is_set():
            taken.set()
            other = threading.Thread(target=read, args=(world, "B"))
            other.start()
            other.join()
        return {}

    world.person("B", code="P0")
    world.hub.on_changes = other_page
    read(world)
    if not taken.is_set():  # one writer: they cannot meet
        read(world, "B")
    with world.store.reading() as tx:
        people = [link.entity_id for name in "AB" for link in tx.links_page(name, STREAM) if link.external_id]
    assert len(people) == 5
    assert len(set(people)) == 2, "one person became two entities"
