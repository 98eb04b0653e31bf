"""`python -m bench.figures`: what dashboards cost with many contacts and events, and what one more event costs them.

A store with the shipped types, figures and goals is filled with rows as the engine stores them. Measured are the first
computation, the restating after one event (also a late one, a refund, a person who is corrected), the time of every
dashboard page, and of what is asked beyond the board how long its page takes while it is computed, until it is there,
and from then on. It is an error (exit 1) if a page takes more than 500 ms, or a figure is not what all records say.
"""

from __future__ import annotations

import argparse
import http.client
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.__main__ import STORES, databases
from bench.console import ADMIN, Asked, ask, served, signed_in
from hub.app.board import board, refresh
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.kpis import list_kpis, show_kpi
from hub.app.people import add_user
from hub.app.projects import init_project
from hub.app.transact import commit
from hub.model import EntityRow, EventRow, Json
from hub.store import Tx

CONTACTS, EVENTS = 350_000, 1_000_000
AT_ONCE = 5_000
TIMES = 7
MUST_MS = 500.0
CHECKED = ("revenue", "new_revenue", "customers", "speed_to_lead", "lead_velocity", "campaign_value", "close_rate")
BEYOND = (
    "/figures/revenue?segment=contact.lead_source", "/figures/new_revenue?segment=source",
    "/figures/speed_to_lead?segment=lead_source&by=week", "/figures/revenue?by=day&since={since}",
    "/figures/won_value?segment=stage",
    "/figures/campaign_value?segment=campaign&records=yes", "/figures/revenue?as_of={then}",
)  # fmt: skip
READY_S = 900.0
LIFECYCLES = ("subscriber", "lead", "lead", "mql", "sql", "opportunity", "customer")
KINDS = ("product_viewed", "email_opened", "content_downloaded", "order_completed")
ORDERS = 0.4  # share of the events that are purchases; the others are acts on the site
GOALS = """\
language: 1
goals:
  more: {{kpi: revenue, baseline: 1, target: 9000000, since: {since}, deadline: {until}, owner: kim@example.com}}
  quick:
    {{kpi: answered_within_5_minutes, baseline: 0.1, target: 0.9, since: {since}, deadline: {until},
     owner: kim@example.com}}
"""
Values = dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Seconds."""

    first: float  # all figures of all records
    first_cpu: float  # of this process: what it would be on a machine with nothing else to do
    single: dict[str, float]  # figure -> as `hub kpis show` computes it, out of all records
    memory_mb: int  # the most that this process ever held
    one: dict[str, float]  # what changed -> until the board tells it, the middle of some times
    pages: Sequence[Asked]
    beyond: dict[str, float]  # path -> until it was there


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.figures", description=__doc__)
    parser.add_argument("--contacts", type=int, default=CONTACTS)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--store", choices=STORES, default=STORES[0])
    parser.add_argument("--times", type=int, default=TIMES)
    given = parser.parse_args(arguments)
    with databases(given.store) as make_url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with make_url(folder, "figures") as url, opened(folder / "project", url) as hub:
            began = time.monotonic()
            fill(hub, given.contacts, given.events)
            sys.stdout.write(f"{given.contacts:,} contacts, {given.events:,} events in {_since(began):.0f} s\n")
            sys.stdout.flush()
            found = measure(hub, given.contacts, times=given.times)
    sys.stdout.write(as_text(found))
    return 0 if all(each.status == 200 and each.median_ms <= MUST_MS for each in found.pages) else 1


@contextmanager
def opened(folder: Path, url: str) -> Iterator[Hub]:
    """A hub on a project with the mappings that are shipped, and two goals."""
    init_project(folder)
    now = datetime.now(UTC)
    since, until = (now - timedelta(days=200)).date(), (now + timedelta(days=60)).date()
    (folder / "mappings" / "goals.yaml").write_text(GOALS.format(since=since, until=until), "utf-8")
    hub = open_hub(folder, url=url, publish=True, by="bench")
    try:
        yield hub
    finally:
        hub.store.close()


# The store


def fill(hub: Hub, contacts: int, events: int) -> None:
    """Rows as the engine stores them: people, their purchases and acts of two years, each with its event."""
    chance, now = random.Random(1), hub.clock.now()
    makers: list[tuple[str, int, Callable[[random.Random, float, int], Values]]] = [
        ("contact", contacts, _contact), ("order", int(events * ORDERS), _order),
        ("activity", events - int(events * ORDERS), _activity), ("deal", contacts // 50, _deal),
    ]  # fmt: skip
    for kind, count, make in makers:
        for start in range(0, count, AT_ONCE):
            made = [make(chance, now, contacts) for _ in range(min(AT_ONCE, count - start))]
            commit(hub, lambda tx, kind=kind, made=made: add(tx, kind, made, now))  # type: ignore[misc]


def add(tx: Tx, kind: str, made: Sequence[Values], now: float) -> None:
    ids = tx.reserve_ids("entity", len(made))
    version = tx.next_version()
    tx.insert_entities(
        [
            EntityRow(id=each, type=kind, version=version, values=own, fields={"v": version, "m": None}, created_at=now)
            for each, own in zip(ids, made, strict=True)
        ]
    )
    acts = [(id_, values) for id_, values in zip(ids, made, strict=True) if kind in ("order", "activity")]
    numbers = iter(tx.reserve_ids("event", len(acts))) if acts else iter(())
    tx.insert_events(
        [
            EventRow(
                id=next(numbers), key=f"{kind}:{id_}", name=f"{kind}.{'paid' if kind == 'order' else values['kind']}",
                entity_id=id_, subject_id=values["contact"], at=now, source="shop", silent=True, values={},
                version=version, noticed_at=now,
            )
            for id_, values in acts
        ]
    )  # fmt: skip


def _past(chance: random.Random, now: float, days: int = 700) -> str:
    return _iso(now - chance.random() * days * 86_400)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _contact(chance: random.Random, now: float, _: int) -> Values:
    created = now - chance.random() * 700 * 86_400
    number = chance.randrange(10**9)
    return {
        "email": f"p{number}@example.com", "name": {"first_name": "Ann", "last_name": f"Lee {number}"},
        "phone": f"+4930{number:09}", "address": {"street": "Lindenallee 1", "city": "Berlin", "country": "DE"},
        "lifecycle": chance.choice(LIFECYCLES), "lead_source": chance.choice(("Web", "Partner Referral")),
        "created_at": _iso(created), "first_response_at": _iso(created + chance.expovariate(1 / 900)),
        "lifetime_value": str(chance.randrange(3000)),
    }  # fmt: skip


def _order(chance: random.Random, now: float, contacts: int) -> Values:
    return {
        "number": f"#{chance.randrange(10**6)}", "contact": chance.randrange(1, contacts + 1),
        "total": {"minor": chance.randrange(500, 50_000), "currency": "EUR"},
        "payment_status": chance.choice(("paid",) * 9 + ("refunded",)), "placed_at": _past(chance, now),
    }  # fmt: skip


def _activity(chance: random.Random, now: float, contacts: int) -> Values:
    return {
        "kind": chance.choice(KINDS), "contact": chance.randrange(1, contacts + 1), "at": _past(chance, now),
        "page": "https://shop.example.com/things/blue", "campaign": chance.choice(("spring", "fair")),
        "amount": {"minor": chance.randrange(500, 9_000), "currency": "EUR"},
    }  # fmt: skip


def _deal(chance: random.Random, now: float, contacts: int) -> Values:
    return {
        "name": f"Deal {chance.randrange(10**9)}", "stage": chance.choice(("new", "qualified", "won", "lost")),
        "amount": {"minor": chance.randrange(10**4, 10**6), "currency": "EUR"},
        "close_date": _past(chance, now, 500)[:10], "contact": chance.randrange(1, contacts + 1),
    }  # fmt: skip


# Measured


def measure(hub: Hub, contacts: int, *, times: int = TIMES) -> Measured:
    began, cpu_began = time.monotonic(), time.process_time()
    refresh(hub, owner="bench")
    first, first_cpu = _since(began), time.process_time() - cpu_began
    one = {name: statistics.median(_restated(hub, change) for _ in range(times)) for name, change in _changes(contacts)}
    began = time.monotonic()
    kept = {each["kpi"]: each["figures"] for each in board(hub)["figures"]}
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    pages, beyond = _pages(hub, times)
    single = {name: _alone(hub, name, kept) for name in CHECKED}
    return Measured(
        first=first, first_cpu=first_cpu, single=single, memory_mb=memory_mb, one=one, pages=pages, beyond=beyond
    )  # fmt: skip


def _alone(hub: Hub, name: str, kept: dict[str, Json]) -> float:
    """One figure of all records; it must be what the board tells."""
    began = time.monotonic()
    found = show_kpi(hub, name)["figures"]
    took = _since(began)
    if [row["value"] for row in found] != [row["value"] for row in kept[name]]:
        raise SystemExit(f"{name}: the board tells something else")
    return took


def _restated(hub: Hub, change: Callable[[Hub], None]) -> float:
    change(hub)
    began = time.monotonic()
    refresh(hub, owner="bench")
    return _since(began)


def _changes(contacts: int) -> list[tuple[str, Callable[[Hub], None]]]:
    chance = random.Random(2)

    def order(days: float) -> Callable[[Hub], None]:
        def work(hub: Hub) -> None:
            now = hub.clock.now()
            made = _order(chance, now, contacts) | {"placed_at": _iso(now - days * 86_400), "payment_status": "paid"}
            commit(hub, lambda tx: add(tx, "order", [made], now))

        return work

    def edited(kind: str, change: Values) -> Callable[[Hub], None]:
        def work(hub: Hub) -> None:
            with hub.store.reading() as tx:
                (row,) = tx.entities_page(kind, after_id=chance.randrange(1, contacts), limit=1)
            row.values = {**row.values, **change}
            commit(hub, lambda tx: tx.update_entities([row]))

        return work

    return [
        ("nothing", lambda hub: None), ("an order", order(0)), ("an order of last month", order(35)),
        ("a refund", edited("order", {"payment_status": "refunded"})),
        ("a person", edited("contact", {"lifecycle": "customer", "first_response_at": None})),
    ]  # fmt: skip


def _pages(hub: Hub, times: int) -> tuple[list[Asked], dict[str, float]]:
    add_user(hub, ADMIN, "admin", by=ADMIN)
    now = hub.clock.now()
    given = {"since": _iso(now - 200 * 86_400)[:10], "then": _iso(now - 1)}
    with served(hub) as port:
        cookie = {"Cookie": signed_in(hub, port)}
        names = [row["kpi"] for row in list_kpis(hub)]
        paths = ["/figures", "/goals", *(f"/figures/{name}" for name in names)]
        paths += [f"/figures/{name}?by={by}" for name in names for by in ("day", "week", "quarter", "year")]
        pages, beyond = [ask(port, path, cookie, times) for path in paths], {}
        for path in (each.format(**given) for each in BEYOND):
            began = time.monotonic()
            pages.append(ask(port, path, cookie, 2))  # it is being computed
            while "Being computed" in _body(port, path, cookie):
                if _since(began) > READY_S:
                    raise SystemExit(f"{path} is not there after {READY_S:g} s")
                time.sleep(0.2)
            beyond[path] = _since(began)
            pages.append(ask(port, path, cookie, times))
        return pages, beyond


def _body(port: int, path: str, headers: dict[str, str]) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as client:
        client.request("GET", path, headers=headers)
        return client.getresponse().read().decode()


def _since(began: float) -> float:
    return time.monotonic() - began


def as_text(found: Measured) -> str:
    """Times, and how they stand to each other."""
    lines = [
        f"first computation          {found.first:>10.1f} s, {found.first_cpu:.1f} s of CPU\n",
        f"memory until then          {found.memory_mb:>10,} MB\n",
    ]
    for name, took in found.one.items():
        ratio = found.first / took
        lines.append(f"{name:<26} {took * 1000:>10.1f} ms = 1/{ratio:,.0f} of the first computation\n")
    for name, took in found.single.items():
        lines.append(f"{name + ' by itself':<26} {took:>10.1f} s = {took / found.first:.2f} of the first computation\n")
    for path, took in found.beyond.items():
        lines.append(f"{path}: there after {took:.1f} s\n")
    slowest = max(found.pages, key=lambda each: each.median_ms)
    lines.append(
        f"{len(found.pages)} pages, slowest {slowest.path}: {slowest.median_ms:.1f} ms (must be {MUST_MS:g}), "
        f"{slowest.cpu_ms:.1f} ms of CPU\n"
    )
    lines += [f"  {each.path}: status {each.status}\n" for each in found.pages if each.status != 200]
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
