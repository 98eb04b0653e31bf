"""A day on which nothing happens, and an afternoon on which one system is not there (reliability.md §5, G20 and G21).

Many people, few faults, no crash: what counts here is how much the hub does, not whether it survives. Whole runs over
the real engine and store; the systems are simulated ones in one process.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import ceil

from hub.app.context import Connection, Hub
from hub.app.runs import sync
from hub.connector import Settings
from hub.core.guards import DEFAULTS, Bound
from hub.model import Json
from hub.runtime.clock import VirtualClock
from hub.store import Store
from hub.verify.laws import snapshot
from hub.verify.vendor import QUOTA_S, STREAM, SimVendor, Traits, blank_record
from hub.verify.world import draw_canonical, read_sim_mapping

EVERY_S = 300.0  # between runs
OUTAGE_S = 3 * 3600.0
PAGE = 1000
BATCH = 100
QUOTA = 100  # calls per QUOTA_S of the system that was away
FREE = Bound(over=10**9, share=1.0)  # a guard that holds nothing: what comes is wanted


class Company:
    """People who are in every system already, under one code; at rest."""

    def __init__(
        self, names: Sequence[str], people: int, *, limited: Mapping[str, int] | None = None, url: str = "sqlite://"
    ) -> None:
        self.clock, self.store, self.people = VirtualClock(), Store(url), people
        canonical = draw_canonical(random.Random("days"), list(names))
        traits = Traits(precondition=True, hooks=False, page_size=PAGE, max_batch=BATCH)
        quotas = limited or {}
        self.vendors = {name: self._vendor(name, replace(traits, quota=quotas.get(name, 0))) for name in names}
        connections = {}
        for name, vendor in self.vendors.items():
            connector = vendor.connector()
            connections[name] = Connection(
                name=name, connector=connector, api=vendor, settings=Settings(values={}, auth={}), mode="live",
                mappings={STREAM: read_sim_mapping(name, canonical, consent=traits.consent, note="both")},
                streams={STREAM: connector.streams[0]}, every_s={STREAM: EVERY_S},
            )  # fmt: skip
        self.hub = Hub(
            store=self.store, canonical=canonical, connections=connections, clock=self.clock, instance="days",
            guards=dict.fromkeys(DEFAULTS, FREE),
        )  # fmt: skip
        for number in range(people):
            self.clock.advance(1.0)  # nobody's list ends in a crowd of equal stamps
            for vendor in self.vendors.values():
                named = {"code": f"P{number}", "email": f"p{number}@example.com", "name": f"Name {number}"}
                vendor.user_create({**blank_record(traits), **named})
        for _ in range(3):
            self.run()

    def _vendor(self, name: str, traits: Traits) -> SimVendor:
        return SimVendor(
            name=name, traits=traits, clock=self.clock.now, rng=random.Random(name), seam=self._call,
            check_intent=lambda system, change: None, depth=lambda: 0, faulty=bool(traits.quota),
        )  # fmt: skip

    def _call(self, _point: str) -> None:
        self.clock.advance(0.005)

    def run(self) -> None:
        """All connections once, at the next slot."""
        self.clock.advance(EVERY_S)
        sync(self.hub, owner="days")

    def writes(self) -> int:
        return sum(vendor.writes for vendor in self.vendors.values())

    def behind(self, name: str) -> int:
        """Records of a system that lack something."""
        with self.store.reading() as tx:
            return sum(count for (connection, _), count in tx.count_behind().items() if connection == name)


def idle_day(people: int = 2000, *, systems: str = "ABCDE", hours: int = 24, url: str = "sqlite://") -> list[str]:
    """G20: in a day of runs nobody edits anything; nothing may be written, neither to a system nor in the store."""
    company = Company(systems, people, url=url)
    writes, before = company.writes(), snapshot(company.store)
    for _ in range(int(hours * 3600 / EVERY_S)):
        company.run()
    found = []
    if company.writes() != writes:
        found.append(f"L3 {company.writes() - writes} writes though nothing happened")
    if snapshot(company.store) != before:
        found.append("L3 the store moved though nothing happened")
    company.store.close()
    return found


@dataclass(slots=True, kw_only=True)
class Outage:
    """What became of the changes of three hours in which one system was down."""

    changed: int
    late: int = 0  # runs after which the healthy system lacked something
    calls: int = 0  # of the system that came back, until it lacked nothing
    least: int = 0  # that its changes need: full pages, full batches
    refused: int = 0  # calls beyond its quota
    windows: int = 0  # of its quota, until it lacked nothing
    errors: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """On time, within the quota (a run that asks once too often is told so), in twice what it takes at least."""
        runs = self.windows * int(QUOTA_S / EVERY_S)
        soon = self.windows <= 2 * ceil(self.least / QUOTA) and self.calls <= 2 * self.least
        return not self.errors and not self.late and soon and self.refused <= runs


def outage(changed: int = 100_000, *, url: str = "sqlite://") -> Outage:
    """G21: B is down for three hours while A changes; C must be on time, B drained within twice what it takes."""
    company = Company("ABC", changed, limited={"B": QUOTA}, url=url)
    found, (a, b) = Outage(changed=changed), (company.vendors["A"], company.vendors["B"])
    rounds = int(OUTAGE_S / EVERY_S)
    b.down, records = True, iter(sorted(a.records))
    for number in range(rounds):
        for external_id in islice(records, ceil(changed / rounds)):
            a.user_edit(external_id, "phone", f"+49{number}")
        company.run()
        found.late += company.behind("C") > 0
    b.down, calls, refused = False, b.calls, b.refused
    found.least = 2 * ceil(changed / BATCH)  # each batch is read once more before it is written
    most = 4 * ceil(found.least / QUOTA) + 4
    while company.behind("B") and found.windows < most:
        found.windows += 1
        for _ in range(int(QUOTA_S / EVERY_S)):
            company.run()
    found.calls, found.refused = b.calls - calls, b.refused - refused
    if company.behind("B"):
        found.errors.append(f"L24 B lacks {company.behind('B')} records after {found.windows} windows of its quota")
    for vendor in company.vendors.values():
        apart = sum(_phone(vendor, each) != _phone(a, "A" + each[1:]) for each in vendor.records)
        if apart:
            found.errors.append(f"L2 {apart} records of {vendor.name} hold another number")
    company.store.close()
    return found


def _phone(vendor: SimVendor, external_id: str) -> Json:
    return (vendor.current(external_id).fields or {}).get("phone")
