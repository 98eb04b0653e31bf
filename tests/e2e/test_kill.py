"""`kill -9` in the middle of `hub sync`: whatever it hits, the next syncs end where an undisturbed hub ends.

Two equal companies, one hub each. One hub is never disturbed. The other is killed again and again, by the calls that
have reached the twins: some of the kills while it reads, some while it writes, between calls, within them, and in the
transactions that follow. The twins live in a process of their own and keep what they were given.

What is compared: every record at the twins, every entity's values, its links, its conflicts and what waits for people.
Numbers that the worlds give away (ids, versions, times) are replaced by names first.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.syncing import sync_now
from hub.model import ConflictRow, EntityRow, LinkRow, QuarantineRow
from hub.twins.client import TwinClient
from hub.verify.judge import compare
from tests.e2e.clocks import LaterClock
from tests.e2e.commands import ROOT, Forks, copy_project, environment, served, start

SEED, PEOPLE = 11, 40
STREAMS = {"salesforce": ("accounts", "contacts"), "hubspot": ("companies", "contacts")}
REFERENCES = ("AccountId",)
MARKERS = ("Hub_Id__c", "hub_id")  # carry the hub's own numbers
PATIENCE_S = 400.0  # longer than any write may still land, or any index may lag
FOR_EVER = 1e12  # a time after every due date: what is put off counts, too
ROUNDS = 8
EDITS = 2  # rounds of edits after the first load
# What is counted until a kill, and the most of it: five calls read both systems, two writes bring one up to date.
KILLS = (("calls", 5), ("calls", 5), ("calls", 9), ("writes", 1), ("writes", 2), ("calls", 14))
POLL_S = 0.01  # half as long as a call takes
# Between the hub's last write and the people: an edit within one second of Salesforce's clock is read once more later,
# and which edit was met first is in the conflict log. That it is not lost: tests/app/test_put_off.py.
TICK_S = 1.1
MANY = 10_000

Name = str
Key = tuple[str, str, str]  # connection, stream, external id
Twins = Mapping[str, TwinClient]


@dataclass(kw_only=True)
class World:
    """One company, its two systems, and a hub."""

    folder: Path
    url: str
    twins: Twins
    names: dict[Key, Name]  # of the records that people made
    clock: LaterClock = field(default_factory=LaterClock)

    @contextmanager
    def hub(self) -> Iterator[Hub]:
        hub = open_hub(self.folder, clock=self.clock, environ=environment(self.url), url=self.url, publish=True)
        try:
            yield hub
        finally:
            hub.store.close()

    def calls(self, kind: str = "calls") -> int:
        return sum(int(twin.counts()[kind]) for twin in self.twins.values())

    def until_quiet(self) -> None:
        """Sync as often as there is anything to write, to settle or to read again."""
        for _ in range(ROUNDS):
            with self.hub() as hub:
                outcome = sync_now(hub, owner="test")
                assert not [run.error for run in outcome.runs if run.error]
                written = sum(row["created"] + row["updated"] for row in outcome.rows)
                with hub.store.reading() as tx:
                    hints = [hint for name in hub.connections for hint in tx.due_hints(name, FOR_EVER, 1)]
                    waits = [*tx.open_intents(), *tx.count_behind(), *hints]
            if not written and not waits:
                return
            self.clock.ahead_s += 0.0 if written else PATIENCE_S  # for good: no clock goes back
        raise AssertionError(f"not quiet after {ROUNDS} syncs: {waits}")


@contextmanager
def world(now: float, folder: Path, url: str) -> Iterator[World]:
    """A company and a project of its own, as they are before the first sync."""
    script = [str(ROOT / "tests" / "e2e" / "company_twins.py"), str(now), str(SEED), str(PEOPLE)]
    with served(script) as twins:
        copy_project(ROOT / "tests" / "e2e" / "kill_project", folder, twins)
        names = {key: "/".join(key) for key in records(twins)}
        yield World(folder=folder, url=url, twins=twins, names=names)


def records(twins: Twins) -> dict[Key, dict[str, Any]]:
    """Every record that is alive."""
    return {
        (system, stream, record_id): row
        for system, streams in STREAMS.items()
        for stream in streams
        for record_id, row in twins[system].snapshot(stream).items()
        if not row["deleted"]
    }


# People at work: the same in every world


def edit(world: World, number: int) -> None:
    """The n-th afternoon in both systems: plain edits, edits of one field of one person in both, new people."""
    if number == 0:
        return  # as the company was found
    time.sleep(TICK_S)
    org, portal = world.twins["salesforce"], world.twins["hubspot"]
    there = {
        row["fields"]["Email"]: each for each, row in org.snapshot("contacts").items() if row["fields"].get("Email")
    }
    here = {
        row["fields"]["email"]: each for each, row in portal.snapshot("contacts").items() if row["fields"].get("email")
    }
    both = sorted(email for email in there if email in here)
    assert len(both) >= 9
    for place, email in enumerate(both[:9]):
        if place < 6:
            org.user_edit(
                "contacts", there[email], {"Title": f"Chief {number}", "Phone": f"+49 30 90{number}000{place}"}
            )
        if place > 2:
            portal.user_edit(
                "contacts", here[email], {"phone": f"+49 30 91{number}000{place}", "firstname": f"Zoë {number}"}
            )
    for place in range(3):
        email = f"neu{number}{place}@example.org"
        made = org.user_create("contacts", {"LastName": f"Neu{number}{place}", "Email": email})
        world.names["salesforce", "contacts", made] = f"salesforce/{email}"
        email = f"new{number}{place}@example.org"
        made = portal.user_create("contacts", {"lastname": f"New{number}{place}", "email": email})
        world.names["hubspot", "contacts", made] = f"hubspot/{email}"


# What is compared


@dataclass(frozen=True, kw_only=True)
class State:
    """A world without the numbers that it gave away."""

    entities: dict[Name, Any]
    links: dict[Name, list[tuple[str, str, str]]]
    conflicts: list[Any]
    quarantine: list[Any]
    records: dict[Name, Any]


def state_of(world: World) -> State:
    """The hub's books and the twins' records; also checks that the two agree, field by field."""
    with world.hub() as hub:
        verdict = compare(hub, present(world))
        assert (verdict.differences, verdict.unknown) == ([], [])
        books = Books.read(hub, world)
    rows = records(world.twins)
    return State(
        entities={books.entity_names[root]: books.values(root) for root in books.rows},
        links={books.entity_names[root]: books.links_of(root) for root in books.rows},
        conflicts=sorted(books.conflict(row) for row in books.conflicts),
        quarantine=sorted((row.connection, row.stream, row.field, row.code, repr(row.value)) for row in books.waits),
        records={books.record_names[key]: contents(key, row, books.record_names) for key, row in rows.items()},
    )


def present(world: World) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for system, stream, record_id in records(world.twins):
        found.setdefault((system, stream), []).append(record_id)
    return found


@dataclass(kw_only=True)
class Books:
    """What a hub has stored. An entity is called by the records that people made of it."""

    links: list[LinkRow]
    roots: Mapping[int, int]
    rows: Mapping[int, EntityRow]
    conflicts: list[ConflictRow]
    waits: list[QuarantineRow]
    references: Mapping[str, set[str]]  # entity type -> fields that hold an entity's number
    named: Mapping[Key, Name]

    @classmethod
    def read(cls, hub: Hub, world: World) -> Books:
        streams = [(each.name, stream) for each in hub.connections.values() for stream in each.mappings]
        with hub.store.reading() as tx:
            links = [link for connection, stream in streams for link in tx.links_page(connection, stream, limit=MANY)]
            roots = tx.roots({link.entity_id for link in links})
            return cls(
                links=links,
                roots=roots,
                rows=tx.entities(set(roots.values())),
                conflicts=tx.conflicts(limit=MANY),
                waits=tx.quarantine(limit=MANY),
                references={
                    name: {each.name for each in kind.fields.values() if each.kind == "ref"}
                    for name, kind in hub.canonical.entities.items()
                },
                named=world.names,
            )

    @cached_property
    def entity_names(self) -> dict[int, Name]:
        found: dict[int, list[Name]] = {}
        for link in self.links:
            if key_of(link) in self.named:
                found.setdefault(self.roots[link.entity_id], []).append(self.named[key_of(link)])
        assert found.keys() == self.rows.keys()  # nobody was invented
        return {root: " + ".join(sorted(names)) for root, names in found.items()}

    @cached_property
    def record_names(self) -> dict[Key, Name]:
        """Of all records: those that people made, and those that the hub made of an entity, one per stream."""
        made = [link for link in self.links if key_of(link) not in self.named]
        names = {key_of(each): f"{each.stream} of {self.entity_names[self.roots[each.entity_id]]}" for each in made}
        assert len({(key[0], name) for key, name in names.items()}) == len(names)  # no duplicate
        return {**self.named, **names}

    def plain(self, root: int, name: str, value: Any) -> Any:
        """A value with the entity's name in the place of its number."""
        return self.entity_names.get(value, value) if name in self.references[self.rows[root].type] else value

    def values(self, root: int) -> dict[str, Any]:
        return {name: self.plain(root, name, value) for name, value in self.rows[root].values.items()}

    def links_of(self, root: int) -> list[tuple[str, str, str]]:
        mine = [link for link in self.links if self.roots[link.entity_id] == root]
        return sorted((link.connection, link.state, self.record_names[key_of(link)]) for link in mine)

    def conflict(self, row: ConflictRow) -> tuple[str, ...]:
        root = self.roots.get(row.entity_id, row.entity_id)
        told = sorted(
            (str(each["connection"]), repr(self.plain(root, row.field, each["value"])), each["won"])
            for each in row.candidates
        )
        winner = repr(self.plain(root, row.field, row.winner))
        return self.entity_names[root], row.field, row.kind, row.state, winner, repr(told)


def key_of(link: LinkRow) -> Key:
    return link.connection, link.stream, link.external_id or f"wanted {link.id}"


def contents(key: Key, row: Mapping[str, Any], names: Mapping[Any, Name]) -> dict[str, Any]:
    """A record's filled fields, with names in the place of ids."""
    system, _, _ = key
    by_id = {record_id: name for (connection, _, record_id), name in names.items() if connection == system}
    fields = {name: value for name, value in row["fields"].items() if value not in (None, "") and name not in MARKERS}
    fields |= {name: by_id.get(fields[name], fields[name]) for name in REFERENCES if name in fields}
    linked = {
        target: sorted(by_id.get(each, each) for each in ids) for target, ids in row.get("associations", {}).items()
    }
    return fields | linked


# The two hubs


@pytest.fixture(scope="module")
def now() -> float:
    return float(int(time.time()))


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(now: float, tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> list[State]:
    """How a world ends without a kill: after the first load, and after each round of edits."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copy(migrated_sqlite / "hub.db", folder)
    states = []
    with world(now, folder / "project", f"sqlite:///{folder / 'hub.db'}") as calm:
        for number in range(EDITS + 1):
            edit(calm, number)
            calm.until_quiet()
            states.append(state_of(calm))
    return states


def kill_once(world: World, forks: Forks, rng: random.Random, kind: str, most: int) -> bool:
    """Start a sync, and kill it shortly after so many further calls (or writes) have reached the twins.

    Returns:
        Whether there was anything left to kill.
    """
    goal = world.calls(kind) + rng.randint(1, most)
    pid = forks.sync(world.folder, world.url, world.clock.ahead_s)
    while not forks.is_over() and world.calls(kind) < goal:
        time.sleep(POLL_S)
    time.sleep(rng.uniform(0.0, 0.07))  # within the call, which takes 20 ms, or in what follows from it
    if not forks.is_over():
        os.kill(pid, signal.SIGKILL)
    return forks.wait() == -signal.SIGKILL


def kill_the_command(world: World, rng: random.Random) -> None:
    """The same with `hub sync` itself, which has everything to do yet."""
    goal = rng.randint(2, 10)
    process = start(["sync"], world.folder, world.url)
    while world.calls() < goal:
        assert process.poll() is None
        time.sleep(POLL_S)
    process.kill()
    process.communicate()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_hub_ends_where_an_undisturbed_one_does(
    seed: int, now: float, undisturbed: list[State], forks: Forks, migrated_url: str, tmp_path: Path
) -> None:
    rng, kills = random.Random(seed), []
    with world(now, tmp_path / "project", migrated_url) as hit:
        for number, expected in enumerate(undisturbed):
            edit(hit, number)
            if number == 0:
                kill_the_command(hit, rng)
            for kind, most in KILLS:
                kills.append(kill_once(hit, forks, rng, kind, most))
            hit.until_quiet()
            found = state_of(hit)
            assert found.records == expected.records
            assert found.entities == expected.entities
            assert found.links == expected.links
            assert found.conflicts == expected.conflicts
            assert found.quarantine == expected.quarantine
    assert sum(kills) > len(kills) / 2  # the others came too late: there was nothing left to do
