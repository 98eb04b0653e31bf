"""One simulated history: a seed decides the systems, the people, the faults, the schedule, the crashes.

The hub in it is the real one: engine, mappings and store (SQLite in memory), driven through its seams. At every call
and commit the seam may let somebody else run (a person, a webhook, another worker) or end the process as kill -9
does: from that instant every seam raises, the open transaction is gone, and a new hub starts on the store.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hub.app.context import Connection, Hub
from hub.app.pull import pull_stream, serve_hints
from hub.app.push import push_stream
from hub.app.wants import want_missing
from hub.connector import Idempotency, Settings
from hub.core.canonical import Canonical, CanonicalField, EntityType, Key, Survivorship
from hub.core.document import Sheet
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub as Shared
from hub.core.mapping_file import read_mapping
from hub.core.planted import PLANTED
from hub.errors import ConfigFault, HubError
from hub.model import ChangeSet, Json
from hub.runtime.clock import VirtualClock
from hub.runtime.yaml import parse_yaml
from hub.store import Store
from hub.verify.vendor import FIELDS, NORMALISERS, STREAM, SimVendor, Traits

NESTED = 2  # how deep others may run inside a call
TAGS = ("vip", "lead", "press", "partner")


class Crash(BaseException):
    """The end of a process. Not an Exception: nothing in the hub may catch it."""


@dataclass(slots=True)
class Story:
    """What happened, for people; the newest lines are kept."""

    lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def tell(self, at: float, line: str) -> None:
        self.lines.append(f"{at - 1_790_000_000.0:10.2f}  {line}")


def sim_canonical(rng: random.Random, names: list[str]) -> Canonical:
    """The entity type of the simulated company; survivorship is drawn per seed."""
    order = names[:]
    rng.shuffle(order)
    rule = rng.choice(("newest", "newest", "source", "longest", "manual"))
    fields = {
        "code": CanonicalField(name="code", type="text"),
        "email": CanonicalField(name="email", type="text"),
        "name": CanonicalField(name="name", type="text"),
        "note": CanonicalField(name="note", type="text"),
        "phone": CanonicalField(
            name="phone", type="text",
            survivorship=Survivorship(rule=rule, source=tuple(order) if rule == "source" else ()),
        ),
        "tags": CanonicalField(name="tags", type="set", kind="set", survivorship=Survivorship(rule="union")),
    }  # fmt: skip
    entity = EntityType(name="contact", keys=(Key(on=("code",)),), fields=fields)
    return Canonical(sources=tuple(order), entities={"contact": entity})


MAPPING = """
connector: {connector}
language: 1
streams:
  people:
    entity: contact
    create: always
    fields:
      code: {{remote: code}}
      email: {{remote: email}}
      name: {{remote: name}}
      note: {{remote: note}}
      phone: {{remote: phone}}
      tags: {{remote: tags}}
"""


def sim_mapping(connector: str, canonical: Canonical) -> StreamMapping:
    """Every field both ways under its own name, in the language that everybody's mappings are written in."""
    sheet = Sheet(parse_yaml(MAPPING.format(connector=connector), f"{connector}.yaml"))
    streams = read_mapping(sheet, canonical, Shared()).streams
    if sheet.faults:
        raise ConfigFault(sheet.faults)
    return streams[STREAM]


class History:
    """One seed, from drawing the world to the laws."""

    def __init__(self, seed: int, *, steps: int = 200, systems: int | None = None, url: str = "sqlite://") -> None:
        self.seed, self.steps = seed, steps
        self.rng = random.Random(f"world-{seed}")
        self.people = random.Random(f"people-{seed}")
        self.faults = random.Random(f"faults-{seed}")
        self.clock = VirtualClock()
        self.story = Story()
        self.dead = False
        self.depth = 0
        self.token = 0
        self.errors: list[str] = []
        self.crash_rate = self.rng.choice((0.0, 0.005, 0.02))
        self.nest_rate = self.rng.choice((0.0, 0.05, 0.2))
        self.edit_rate = self.rng.choice((0.5, 0.2, 0.05))
        self.polls = self.rng.random() < 0.85
        self.haste = self.rng.choice((0.0, 0.03)) if self.polls else 0.0
        self.store = Store(url, seam=self.seam)
        names = ["A", "B", "C", "D"][: systems or self.rng.choice((2, 2, 3))]
        self.canonical = sim_canonical(self.rng, names)
        self.vendors = {name: self._vendor(name) for name in names}
        self.mappings = {name: sim_mapping(name, self.canonical) for name in names}
        self.hub = self._start()

    # The world

    def _vendor(self, name: str) -> SimVendor:
        draw = self.rng
        fault_rate = draw.choice((0.0, 0.04, 0.12))
        traits = Traits(
            normalise=draw.choice(NORMALISERS), precondition=draw.random() < 0.4, tick_s=draw.choice((1.0, 0.001)),
            skew_s=draw.choice((0.0, 0.0, -300.0, 300.0)), search_lag_s=draw.choice((0.0, 5.0, 20.0)),
            replica_lag_s=draw.choice((0.0, 2.0, 8.0)), late_rows=draw.random() < 0.4,
            answers_with_record=draw.random() < 0.6, tells_writer=draw.random() < 0.7,
            hooks=draw.random() < 0.7 or not self.polls, page_size=draw.choice((1, 2, 3, 5)),
            idempotency=draw.choice((Idempotency.UNIQUE_REFERENCE, Idempotency.SEARCHABLE_REFERENCE)),
            fault_rate=fault_rate, max_batch=draw.choice((1, 2, 5)),
        )  # fmt: skip
        vendor = SimVendor(
            name=name, traits=traits, clock=self.clock.now, rng=random.Random(f"vendor-{name}-{self.seed}"),
            seam=self.seam, check_intent=self.check_intent, depth=lambda: self.depth,
        )  # fmt: skip
        vendor.no_overlap = "no_overlap" in PLANTED
        return vendor

    def _start(self) -> Hub:
        """A new process on the store."""
        connections = {}
        for name, vendor in self.vendors.items():
            connector = vendor.connector()
            mapping = self.mappings[name]
            connections[name] = Connection(
                name=name, connector=connector, api=vendor, settings=Settings(values={}, auth={}), mode="live",
                mappings={STREAM: mapping}, streams={STREAM: connector.streams[0]},
            )  # fmt: skip
        return Hub(
            store=self.store, canonical=self.canonical, connections=connections, clock=self.clock, instance="sim"
        )

    # Seams

    def seam(self, point: str) -> None:
        """Called around every call and commit."""
        if self.dead:
            raise Crash
        if point.startswith("call"):
            self.clock.advance(0.01 if self.depth else self.faults.choice((0.01, 0.1, 0.5)))
        if self.crash_rate and self.faults.random() < self.crash_rate:
            self.dead = True
            self.story.tell(self.clock.now(), f"crash at {point}")
            raise Crash
        if point.startswith("call") and self.depth < NESTED and self.faults.random() < self.nest_rate:
            self.depth += 1
            try:
                self.act()
            finally:
                self.depth -= 1

    def check_intent(self, system: str, change: ChangeSet) -> None:
        """L15: no call leaves without its intent, with the same body; a resent create may just have been proved."""
        with self.store.reading() as tx:
            known = [each for each in tx.intents_of_entities([change.entity_id]) if each.link_id == change.link_id]
        fits = [each for each in known if each.body == dict(change.body) and each.op == change.op]
        if not any(each.state in ("open", "acked") or (each.op, each.state) == ("create", "done") for each in fits):
            self.errors.append(f"L15 write without intent at {system}: {change.op} {change.external_id}")

    # Actions

    def act(self) -> None:
        """Somebody does something."""
        if self.people.random() < self.edit_rate:
            self.person_edits()
            return
        vendor = self.vendors[self.faults.choice(sorted(self.vendors))]
        connection = self.hub.connections[vendor.name]
        choice = self.faults.random()
        if choice < 0.35 and self.polls:
            self.run(
                "pull", vendor.name, lambda: pull_stream(self.hub, connection, STREAM, run_id=None, tally=Counter())
            )
        elif choice < 0.6:
            self.deliver_hooks(vendor)
            self.run("hints", vendor.name, lambda: serve_hints(self.hub, connection, run_id=None, tally=Counter()))
        else:
            self.run("push", vendor.name, partial(self.push, connection))

    def push(self, connection: Connection) -> None:
        push_stream(self.hub, connection, connection.mappings[STREAM], run_id=None)

    def pull(self, connection: Connection) -> None:
        pull_stream(self.hub, connection, STREAM, run_id=None, tally=Counter())
        want_missing(self.hub, connection)

    def run(self, what: str, name: str, task: Callable[[], object]) -> None:
        """One worker's task; an error of the outside world ends it, as in a run."""
        try:
            task()
            self.story.counts[what] += 1
        except HubError as error:
            self.story.counts[f"{what}:{type(error).__name__}"] += 1

    def deliver_hooks(self, vendor: SimVendor) -> None:
        """Due webhooks, in any order, become hints."""
        due = [hook for hook in vendor.hooks if hook[0] <= self.clock.now()]
        vendor.hooks = [hook for hook in vendor.hooks if hook[0] > self.clock.now()]
        if not due:
            return
        self.faults.shuffle(due)
        with self.store.transaction() as tx:
            tx.add_hints([(vendor.name, STREAM, each, stamp, self.clock.now(), "webhook") for _, each, stamp in due])

    def person_edits(self) -> None:
        vendor = self.vendors[self.people.choice(sorted(self.vendors))]
        alive = vendor.alive()
        if not alive:
            return
        if self.people.random() < 0.05:  # a bulk edit: many records, one tick
            name = self.people.choice(("name", "note"))
            for external_id in alive:
                self.edit(vendor, external_id, name)
            return
        self.edit(vendor, self.people.choice(alive), self.people.choice(FIELDS))

    def edit(self, vendor: SimVendor, external_id: str, name: str) -> None:
        fields = vendor.current(external_id).fields
        assert fields is not None
        if name == "tags":
            value: Json = sorted(set(fields["tags"] or []) ^ {self.people.choice(TAGS)})
        else:
            self.token += 1
            value = f"{self.token}{vendor.name} {'Long Text' if self.people.random() < 0.3 else ''} "
        if vendor.user_edit(external_id, name, value):
            self.story.tell(self.clock.now(), f"{vendor.name} person sets {external_id}.{name} = {value!r}")

    def hasty_people(self) -> None:
        """One field of one person, edited in every system and then again, with the hub at work between and after.

        Edits so close to the hub's own writes fall within one tick of a coarse clock.
        """
        codes = {fields["code"] for _, _, fields in self.records()}
        code, name = self.people.choice(sorted(codes)), self.people.choice(("name", "note", "phone"))
        for _ in range(2):
            for vendor, external_id, fields in self.records():
                if fields["code"] == code and self.people.random() < 0.7:
                    self.edit(vendor, external_id, name)
            for connection in self.hub.connections.values():
                self.run("pull", connection.name, partial(self.pull, connection))
            for connection in self.hub.connections.values():
                self.run("push", connection.name, partial(self.push, connection))

    def records(self) -> list[tuple[SimVendor, str, dict[str, Json]]]:
        """All that is alive, in every system."""
        found = [(vendor, each) for vendor in self.vendors.values() for each in vendor.alive()]
        return [(vendor, each, fields) for vendor, each in found if (fields := vendor.current(each).fields) is not None]

    def person_creates(self, vendor: SimVendor, code: str) -> None:
        self.token += 1
        fields = {name: f"{name} {vendor.name}{self.token}" for name in FIELDS}
        external_id = vendor.user_create({**fields, "tags": [], "code": code})
        self.story.tell(self.clock.now(), f"{vendor.name} person creates {external_id} ({code})")

    # Phases

    def chaos(self) -> None:
        """People, faults and crashes."""
        for number in range(self.rng.choice((1, 2, 2, 6))):
            for vendor in self.rng.sample(sorted(self.vendors), self.rng.choice((1, 1, 2))):
                self.person_creates(self.vendors[vendor], f"P{number}")
        self.clock.advance(60.0)  # what was there before the hub came is in every index
        for _ in range(self.steps):
            self.clock.advance(self.faults.choice((0.01, 0.1, 1.0, 3.0, 20.0)))
            try:
                self.hasty_people() if self.people.random() < self.haste else self.act()
            except Crash:
                self.restart()

    def restart(self) -> None:
        self.dead, self.depth = False, 0
        for vendor in self.vendors.values():
            vendor.forget_readers()
        self.story.counts["crash"] += 1
        self.hub = self._start()

    def calm(self) -> None:
        """Faults stop; whatever is under way may still land."""
        self.crash_rate = self.nest_rate = 0.0
        for vendor in self.vendors.values():
            vendor.faulty = False

    def round(self, *, pull: bool = True) -> None:
        """One pull of every stream, all hints, all due writes."""
        for name, vendor in self.vendors.items():
            connection = self.hub.connections[name]
            vendor.land_late()
            self.deliver_hooks(vendor)
            serve_hints(self.hub, connection, run_id=None, tally=Counter())
            if pull:
                pull_stream(self.hub, connection, STREAM, run_id=None, tally=Counter())
        for connection in self.hub.connections.values():
            want_missing(self.hub, connection)
        for name in self.vendors:
            self.push(self.hub.connections[name])

    def writes(self) -> int:
        return sum(vendor.writes for vendor in self.vendors.values())

    def is_busy(self) -> bool:
        """Something is still open: a write, an intent, a hint."""
        with self.store.reading() as tx:
            behind = sum(tx.count_behind().values())
            open_ = len(tx.open_intents())
        return bool(behind or open_ or any(vendor.hooks or vendor.late for vendor in self.vendors.values()))

    def drain(self, limit: int = 60) -> int | None:
        """Rounds until nothing is written and nothing is open; None if that never comes."""
        for number in range(limit):
            before = self.writes()
            self.clock.advance(61.0)
            self.round()
            if number >= 2 and before == self.writes() and not self.is_busy():
                return number
        return None
