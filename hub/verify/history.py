"""One simulated history: a seed decides the systems, the people, the faults, the schedule, the crashes.

The hub in it is the real one: engine, mappings and store (SQLite in memory), driven through its seams. At every call
and commit the seam may let somebody else run (a person, a webhook, another worker), let the process sleep, or end it
as kill -9 does: from that instant every seam raises, the open transaction is gone, and a new hub starts on the store.

Each concern has dice of its own, thrown anew for every step: what is left out of one step moves nothing in the others.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from hub.app.context import Connection, Hub
from hub.app.merging import carry_out_merges
from hub.app.pull import pull_stream, serve_hints
from hub.app.push import push_stream
from hub.app.review import retry_quarantine
from hub.app.runs import sync
from hub.app.suspects import CODE as SUSPECT
from hub.app.wants import want_missing
from hub.connector import Settings
from hub.errors import HubError, RetryLater
from hub.model import ChangeSet, Json
from hub.runtime.clock import VirtualClock
from hub.store import Store
from hub.verify import steps
from hub.verify.backup import Backups
from hub.verify.people import People
from hub.verify.vendor import STREAM, SimVendor
from hub.verify.world import MORE, NAMES, draw_canonical, draw_swarm, draw_traits, read_sim_mapping

NESTED = 2  # how deep others may run inside a call
LOOK_EVERY = 20  # steps between two looks at what must hold all the time
PAUSES_S = (1.0, 40.0, 400.0)  # how long a process may sleep; the last is longer than any lease or write
ROUND_S = 61.0
START = VirtualClock().now()
FOR_EVER = 1e12  # a time after every due date
NEVER = frozenset[int]()


class Crash(BaseException):
    """The end of a process. Not an Exception: nothing in the hub may catch it."""


@dataclass(slots=True)
class Story:
    """What happened, for people, and how often, for the report."""

    lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def tell(self, at: float, line: str) -> None:
        self.lines.append(f"{at - START:10.2f}  {line}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """What is left out of a history: to shrink one that fails, or to count how it does without."""

    acts: frozenset[int] = NEVER  # steps in which nobody does anything; time passes all the same
    shocks: frozenset[int] = NEVER  # steps without a crash, without others inside calls, without sleep
    faults: frozenset[int] = NEVER  # steps in which the systems answer as they should


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One thing that goes wrong, once or from then on, instead of the seed's chance."""

    kind: str  # crash (at a seam), call, commit
    at: int  # the n-th, from 1
    sticky: bool = False


class Dice:
    """Chance, a stream per concern."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.people, self.faults, self.work, self.shocks = (random.Random() for _ in range(4))
        self.turn("start")

    def turn(self, step: int | str) -> None:
        """New dice for a step."""
        for name, stream in (("p", self.people), ("f", self.faults), ("w", self.work), ("s", self.shocks)):
            stream.seed(f"{name}{self._seed}.{step}")


class History:
    """One seed, from drawing the world to the laws."""

    plain = False  # True: every field stands alone, goes both ways, by every channel (for proofs that build on it)

    def __init__(
        self,
        seed: int,
        *,
        steps: int = 200,
        systems: int | None = None,
        url: str = "sqlite://",
        focus: str = "",
        cuts: Cuts | None = None,
        strike: Strike | None = None,
    ) -> None:
        self.seed, self.steps, self.cuts, self.strike = seed, steps, cuts or Cuts(), strike
        rng = random.Random(f"world-{seed}")
        self.swarm = draw_swarm(rng)
        if self.plain:
            self.swarm = replace(self.swarm, channel="both", runs=False, restores=False, merges=False, poison=False)
        self.dice, self.clock, self.story = Dice(seed), VirtualClock(), Story()
        self.people, self.token = self.dice.people, 0  # every text that anybody types carries a number of its own
        self.dead, self.shaken, self.depth, self.workers = False, False, 0, 0
        self.points: Counter[str] = Counter()  # seams passed, by kind
        self.errors: list[str] = []
        self.stamps: dict[int, float] = {}  # of links, as last looked at
        self.restored = False
        self.unread: set[str] = set()  # systems whose first load did not get through yet
        self.store, self.in_memory = Store(url, seam=self.seam), url == "sqlite://"
        drawn = rng.choice((2, 2, 3))
        names = list(NAMES[: systems or MORE.get(seed % 20, drawn)])
        self.canonical = draw_canonical(rng, names)
        self.crowd = People(self, focus)
        self.vendors = {name: self._vendor(name, rng) for name in names}
        one_way = rng.choice((None, None, None, names[0])) if not self.plain else None  # its note is only ever read
        self.mappings = {
            name: read_sim_mapping(
                name, self.canonical, consent=vendor.traits.consent, note="in" if name == one_way else "both"
            )
            for name, vendor in self.vendors.items()
        }
        self.first = rng.choice((1, 2, 2, 6))  # people whom the systems knew before the hub
        self.backups = Backups(self) if self.swarm.restores and url == "sqlite://" else None
        self.hub = self._start()

    # The world

    def _vendor(self, name: str, rng: random.Random) -> SimVendor:
        return SimVendor(
            name=name, traits=draw_traits(rng, self.swarm), clock=self.clock.now,
            rng=random.Random(f"{name}{self.seed}"), seam=self.seam, check_intent=self.check_write,
            depth=lambda: self.depth, told=self.tell,
        )  # fmt: skip

    def _start(self) -> Hub:
        """A new process on the store."""
        connections = {}
        for name, vendor in self.vendors.items():
            connector = vendor.connector()
            connections[name] = Connection(
                name=name, connector=connector, api=vendor, settings=Settings(values={}, auth={}), mode="live",
                mappings={STREAM: self.mappings[name]}, streams={STREAM: connector.streams[0]},
            )  # fmt: skip
        return Hub(
            store=self.store, canonical=self.canonical, connections=connections, clock=self.clock, instance="sim"
        )

    def anew(self) -> None:
        """The old process is gone, and everything that it was shown and had not stored."""
        self.dead, self.depth = False, 0
        for vendor in self.vendors.values():
            vendor.forget_readers()
        self.hub = self._start()

    def tell(self, line: str) -> None:
        self.story.tell(self.clock.now(), line)

    def check_write(self, system: str, change: ChangeSet) -> None:
        self.errors += steps.check_write(self, self.vendors[system], change)

    # Seams

    def seam(self, point: str) -> None:
        """Called around every call and commit."""
        if self.dead:
            raise Crash
        call = point.startswith("call")
        self.points["seam"] += 1
        if call:
            self.clock.advance(0.01 if self.depth else self.dice.work.choice((0.01, 0.1, 0.5)))
        self._strike(point)
        if not self.shaken:
            return
        if self.swarm.crash_rate and self.dice.shocks.random() < self.swarm.crash_rate:
            self._die(point)
        if self.swarm.pause_rate and not self.depth and point in ("commit:after", "call:after"):
            if self.dice.shocks.random() < self.swarm.pause_rate:
                self.tell(f"the process sleeps at {point}")
                self.story.counts["pause"] += 1
                self.clock.advance(self.dice.shocks.choice(PAUSES_S))
        if (call or point == "begin") and self.depth < NESTED:
            if self.dice.shocks.random() < self.swarm.nest_rate * (1.0 if call else 0.1):
                self.depth += 1
                try:
                    self.act()
                finally:
                    self.depth -= 1

    def _die(self, point: str) -> None:
        self.dead = True
        self.tell(f"crash at {point}")
        raise Crash

    def _strike(self, point: str) -> None:
        """Count, and let happen what was ordered for just this place."""
        kind, strike = {"call:before": "call", "begin": "commit"}.get(point, ""), self.strike
        self.points[kind] += 1
        if strike is None:
            return
        if strike.kind == "crash" and self.points["seam"] == strike.at:
            self._die(point)
        now = self.points[kind]
        if kind == strike.kind and (now == strike.at or (strike.sticky and now > strike.at)):
            self.tell(f"{kind} {now} fails")
            raise RetryLater("struck", code="STORE-BUSY" if kind == "commit" else "NET-RETRY")

    # Actions

    def act(self) -> None:
        """Somebody does something."""
        if self.people.random() < self.swarm.edit_rate:
            self.crowd.act()
            return
        name = self.dice.work.choice(sorted(self.vendors))
        luck = self.dice.work.random()
        if luck < 0.35 and self.swarm.polls:
            self.work("pull", name)
        elif luck < 0.6:
            self.work("hints", name)
        else:
            self.work("push", name)

    def work(self, what: str, name: str) -> None:
        """One worker does one thing for a connection; an error of the outside world ends it, as in a run."""
        if self.swarm.runs:
            self.run(name, pull=what == "pull", push=what == "push")
            return
        connection = self.hub.connections[name]
        task = {"pull": self.pull, "hints": self.hints, "push": self.push}[what]
        self.guarded(what, partial(task, connection))

    def guarded(self, what: str, task: Callable[[], object]) -> None:
        try:
            task()
            self.story.counts[what] += 1
        except HubError as error:
            self.story.counts[f"{what}:{type(error).__name__}"] += 1

    def pull(self, connection: Connection) -> None:
        counts = pull_stream(self.hub, connection, STREAM, run_id=None, tally=Counter())
        self.count("in", counts)
        self.errors += steps.check_sum(connection.name, counts)
        want_missing(self.hub, connection)

    def hints(self, connection: Connection) -> None:
        self.deliver_hooks(self.vendors[connection.name])
        self.count("in", serve_hints(self.hub, connection, run_id=None, tally=Counter()))

    def push(self, connection: Connection) -> None:
        self.count("out", push_stream(self.hub, connection, connection.mappings[STREAM], run_id=None))

    def run(self, name: str, *, pull: bool, push: bool) -> None:
        """The same by a whole run, under the connection's lease, by a worker of its own name."""
        self.workers += 1
        self.deliver_hooks(self.vendors[name])
        before = steps.lease_of(self, name)
        runs = sync(self.hub, [name], owner=f"worker {self.workers}", pull=pull, push=push)
        self.errors += steps.check_lease(self, name, before, runs)
        for each in runs:
            self.count("run", Counter({each.status: 1}))
            for (_, direction), counts in each.streams.items():
                self.count(direction, counts)

    def count(self, prefix: str, counts: Counter[str]) -> None:
        """For the list of what happened at least once."""
        for name, number in counts.items():
            self.story.counts[f"{prefix}:{name}"] += number

    def deliver_hooks(self, vendor: SimVendor) -> None:
        """Due webhooks, in any order, become hints."""
        due = [hook for hook in vendor.hooks if hook[0] <= self.clock.now()]
        vendor.hooks = [hook for hook in vendor.hooks if hook[0] > self.clock.now()]
        if not due:
            return
        self.dice.faults.shuffle(due)
        try:
            with self.store.transaction() as tx:
                tx.add_hints(
                    [(vendor.name, STREAM, each, stamp, self.clock.now(), "webhook") for _, each, stamp in due]
                )
        except (HubError, Crash):  # it was not stored, so it was not acknowledged: it comes again
            vendor.hooks += due
            raise

    def records(self) -> list[tuple[SimVendor, str, dict[str, Json]]]:
        """All that is alive, in every system."""
        found = [(vendor, each) for vendor in self.vendors.values() for each in vendor.alive()]
        return [(vendor, each, fields) for vendor, each in found if (fields := vendor.current(each).fields) is not None]

    def person_creates(self, vendor: SimVendor, code: str) -> None:
        self.crowd.create(vendor, code)

    def person_edits(self) -> None:
        self.crowd.edit_something(self.vendors[self.people.choice(sorted(self.vendors))])

    # Phases

    def chaos(self) -> None:
        """People, faults and crashes."""
        for _ in range(self.first):
            code = self.crowd.new_code()
            for name in self.people.sample(sorted(self.vendors), self.people.choice((1, 1, 2))):
                self.crowd.create(self.vendors[name], code)
        self.clock.advance(60.0)  # what was there before the hub came is in every index
        if not self.swarm.polls:
            self.first_load()
        for step in range(self.steps):
            self.dice.turn(step)
            self.clock.advance(self.dice.work.choice((0.01, 0.1, 1.0, 3.0, 20.0)))
            if step not in self.cuts.acts:
                self._step(step)
            if step % LOOK_EVERY == LOOK_EVERY - 1:
                self.errors += steps.check_always(self)
            if self.errors:
                return

    def first_load(self) -> None:
        """Where nothing is polled, each system is read once, when connected; what fails is done when faults stop."""
        for vendor in self.vendors.values():
            vendor.faulty = False
        self.unread = set(self.vendors)
        for name in self.vendors:
            self.survive(partial(self._first_read, name))
        for vendor in self.vendors.values():
            vendor.faulty = True

    def _first_read(self, name: str) -> None:
        def read() -> None:
            self.pull(self.hub.connections[name])
            self.unread.discard(name)

        self.guarded("pull", read)

    def _retry_suspects(self) -> None:
        """People look at the records during which the process died so often: they were not to blame."""
        with self.store.reading() as tx:
            rows = tx.quarantine(state="open", code=SUSPECT)
        for row in rows:
            self.guarded("retry", partial(retry_quarantine, self.hub, row.id or 0, by="sim"))

    def survive(self, task: Callable[[], object]) -> None:
        """What somebody sees to: it is done again after a crash."""
        try:
            task()
        except Crash:
            self.restart()
            task()

    def _step(self, step: int) -> None:
        self.shaken = step not in self.cuts.shocks
        for vendor in self.vendors.values():
            vendor.faulty = step not in self.cuts.faults
            vendor.rng.seed(f"{vendor.name}{self.seed}.{step}")
        try:
            if self.backups is not None:
                self.backups.step(step)
            self.crowd.hurry() if self.people.random() < self.swarm.haste else self.act()
        except Crash:
            self.restart()
        except RetryLater:
            self.story.counts["intake refused"] += 1  # of a webhook; it comes again

    def restart(self) -> None:
        self.anew()
        self.story.counts["crash"] += 1
        self.errors += steps.check_cursors(self)

    def calm(self) -> None:
        """Faults stop; whatever is under way may still land."""
        self.dice.turn("calm")
        for name in ("seam", "call", "commit"):
            self.story.counts[f"chaos {name}"] = self.points[name]
        self.shaken, self.strike = False, None
        for vendor in self.vendors.values():
            vendor.faulty = False
        for name in sorted(self.unread):
            self._first_read(name)

    def round(self, *, pull: bool | None = None) -> None:
        """One pull of every stream that is polled, all hints, all due writes; who is down stops nobody."""
        self._retry_suspects()
        pull = self.swarm.polls if pull is None else pull
        tasks: list[tuple[str, Callable[[Connection], object]]] = [("hints", self.hints)]
        tasks += [("pull", self.pull)] if pull else []
        tasks += [("want", partial(want_missing, self.hub)), ("push", self.push)]
        for vendor in self.vendors.values():
            vendor.land_late()
        for what, task in tasks:
            if what == "want" and not self.swarm.runs:
                carry_out_merges(self.hub)  # as a run does before it writes
            for name, vendor in self.vendors.items():
                if self.swarm.runs and what in ("pull", "push"):
                    self.run(name, pull=what == "pull", push=what == "push")
                elif vendor.down:
                    self.guarded(what, partial(task, self.hub.connections[name]))
                else:
                    task(self.hub.connections[name])

    def writes(self) -> int:
        return sum(vendor.writes for vendor in self.vendors.values())

    def is_busy(self) -> bool:
        """Something is still open at a system that is up: a write, an intent, a hint."""
        up = {name for name, vendor in self.vendors.items() if not vendor.down}
        with self.store.reading() as tx:
            behind = sum(n for (name, _), n in tx.count_behind().items() if name in up)
            open_ = [intent for intent in tx.open_intents() if intent.connection in up]
            hints = [hint for name in up for hint in tx.due_hints(name, FOR_EVER, 1)]
        return bool(behind or open_ or hints or any(v.hooks or v.late for v in self.vendors.values() if v.name in up))

    def drain(self, limit: int = 60) -> int | None:
        """Rounds until nothing is written and nothing is open; None if that never comes."""
        for number in range(limit):
            before = self.writes()
            self.clock.advance(ROUND_S)
            self.round()
            if number >= 2 and before == self.writes() and not self.is_busy():
                return number
        return None
