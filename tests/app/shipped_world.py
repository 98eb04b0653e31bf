"""A year of an invented company under the canonical types, figures and computed fields that the hub ships.

Everything that was sent is kept as plain rows (`Sent`), so that a test can compute from them what the hub should tell.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from hub.app.context import Connection, Hub
from hub.app.derived import after_merges, compute_hook
from hub.app.events import merge_hook
from hub.app.identity import merge, unmerge
from hub.app.ingest import ingest_page
from hub.app.rewards import reward_hook
from hub.connector import Auth, Connector, Page, Settings, Stream
from hub.core.canonical import Canonical
from hub.core.canonical_file import read_canonical
from hub.core.computed import Derived
from hub.core.computed_file import parse_derived
from hub.core.derived import FUNCTIONS
from hub.core.document import Sheet
from hub.core.kpis import Kpis
from hub.core.kpis_file import parse_kpis
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub as HubFacts
from hub.core.mapping_file import read_mapping
from hub.core.rewards import Rewards
from hub.model import SourceRecord
from hub.runtime.clock import VirtualClock
from hub.runtime.yaml import load_yaml, parse_yaml
from hub.store import Store
from tests.shipped import FOLDER

ZONE = ZoneInfo("America/New_York")
DAY = timedelta(days=1)
BEGIN = datetime(2026, 3, 10, 14, tzinfo=UTC)  # the first load
NOW = datetime(2026, 12, 5, 17, tzinfo=UTC)
FIRST = datetime(2025, 12, 3, 5, tzinfo=UTC)  # the oldest that is told of
STAGES = ("new", "qualified", "presentation", "decision", "contract", "won")
LIFECYCLES = ("subscriber", "lead", "mql", "sql", "opportunity", "customer")
SOURCES = ("Webinar", "Partner Referral", "Ad", None)
COUNTRIES = ("DE", "AT", "JP", "US", None)
KINDS = (
    "product_viewed", "content_downloaded", "checkout_started", "email_opened", "email_opened", "email_clicked",
    "order_completed", "page_viewed", "answered",
)  # fmt: skip
PAGE = 500

Row = dict[str, Any]


def _same(values: Sequence[str]) -> str:
    return "{" + ", ".join(f"{each}: {each}" for each in values) + "}"


ORDER_STATES = ("pending", "paid", "partially_refunded", "refunded")
INVOICE_STATES = ("draft", "open", "paid", "void")
SUBSCRIPTION_STATES = ("incomplete", "active", "canceled")
APPOINTMENT_STATES = ("booked", "completed", "cancelled", "no_show")
MONEY = "wire: {major_decimal: {currency_from: currency}}"
FEED = f"""
connector: csv
language: 1
streams:
  contacts:
    entity: contact
    direction: in
    fields:
      email: {{remote: email}}
      phone: {{remote: phone}}
      last_name: {{remote: last_name}}
      country: {{remote: country}}
      job_title: {{remote: job_title}}
      lifecycle: {{remote: lifecycle, values: {_same(LIFECYCLES)}}}
      lead_source: {{remote: lead_source}}
      created_at: {{remote: created_at}}
      first_response_at: {{remote: first_response_at}}
  deals:
    entity: deal
    direction: in
    fields:
      stage: {{remote: stage, values: {_same((*STAGES, "lost"))}}}
      amount: {{remote: amount, {MONEY}}}
      close_date: {{remote: close_date}}
  orders:
    entity: order
    acts: true
    fields:
      contact: {{remote: contact, to: contacts}}
      total: {{remote: total, {MONEY}}}
      payment_status: {{remote: status, values: {_same(ORDER_STATES)}}}
      placed_at: {{remote: placed_at}}
      cancelled_at: {{remote: cancelled_at}}
  invoices:
    entity: invoice
    acts: true
    fields:
      status: {{remote: status, values: {_same(INVOICE_STATES)}}}
      issued_at: {{remote: issued_at}}
      paid_at: {{remote: paid_at}}
  subscriptions:
    entity: subscription
    acts: true
    fields:
      contact: {{remote: contact, to: contacts}}
      status: {{remote: status, values: {_same(SUBSCRIPTION_STATES)}}}
      started_at: {{remote: started_at}}
      ended_at: {{remote: ended_at}}
  forms:
    entity: form_submission
    acts: true
    fields:
      contact: {{remote: contact, to: contacts}}
      submitted_at: {{remote: submitted_at}}
      nps: {{remote: nps}}
      csat: {{remote: csat}}
  activities:
    entity: activity
    acts: true
    fields:
      contact: {{remote: contact, to: contacts}}
      kind: {{remote: kind, values: {_same(tuple(dict.fromkeys(KINDS)))}}}
      at: {{remote: at}}
      amount: {{remote: amount, {MONEY}}}
      campaign: {{remote: campaign}}
  appointments:
    entity: appointment
    acts: true
    fields:
      contact: {{remote: contact, to: contacts}}
      status: {{remote: status, values: {_same(APPOINTMENT_STATES)}}}
      booked_at: {{remote: booked_at}}
      starts_at: {{remote: starts_at}}
      no_show_at: {{remote: no_show_at}}
  costs:
    entity: cost
    acts: true
    fields:
      amount: {{remote: amount, {MONEY}}}
      spent_on: {{remote: spent_on}}
"""
STREAMS = ("contacts", "deals", "orders", "invoices", "subscriptions", "forms", "activities", "appointments", "costs")


@cache
def shipped() -> tuple[Canonical, Derived, Kpis]:
    """What the hub ships, in New York and euros."""
    sheets = {name: Sheet(load_yaml(FOLDER / f"{name}.yaml")) for name in ("canonical", "derived", "kpis")}
    plain = read_canonical(sheets["canonical"], derived=FUNCTIONS)
    derived, canonical = parse_derived(sheets["derived"], plain, zone=ZONE)
    kpis = parse_kpis(sheets["kpis"], canonical, zone=ZONE)
    assert [fault for sheet in sheets.values() for fault in sheet.faults] == []
    return canonical, derived, kpis


@cache
def feed() -> dict[str, StreamMapping]:
    sheet = Sheet(parse_yaml(FEED, "feed.yaml"))
    found = read_mapping(sheet, shipped()[0], HubFacts(currency="EUR", country="US")).streams
    assert sheet.faults == []
    return dict(found)


class Project:
    """All that figures and merges ask of a project."""

    def __init__(self, kpis: Kpis) -> None:
        self.kpis = kpis
        self.goals: dict[str, object] = {}
        self.settings = self.hub = self
        self.currency = kpis.currency


@dataclass(kw_only=True)
class Sent:
    """What was sent, as it was sent last; and when the hub was told first."""

    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in STREAMS})
    known: dict[str, datetime] = field(default_factory=dict)
    stages: dict[str, list[tuple[datetime, str, bool]]] = field(default_factory=dict)  # deal -> (when, stage, silent)
    merged: dict[str, str] = field(default_factory=dict)  # contact -> the one it is part of

    def person(self, id_: str | None) -> str | None:
        return None if id_ is None else self.merged.get(id_, id_)


class Year:
    """A hub, and the company that feeds it."""

    def __init__(self, url: str, *, people: int, seed: int) -> None:
        self.clock = VirtualClock(BEGIN.timestamp())
        self.chance, self.people, self.sent = random.Random(seed), people, Sent()
        canonical, derived, kpis = shipped()
        connector = Connector(
            name="csv", title="feed", base_url="", hosts=(), auth=(Auth(kind="none"),), limits=(),
            streams=tuple(Stream(name=each, acts=feed()[each].acts) for each in STREAMS),
            connect=lambda door, settings: None, check=lambda api: {}, discover=lambda api, stream: (),
            pull=lambda api, stream, cursor: Page(records=(), next_cursor=None, complete=True),
        )  # fmt: skip
        connection = Connection(
            name="feed", connector=connector, api=None, settings=Settings(values={}, auth={}), mode="live",
            mappings=feed(), streams={stream.name: stream for stream in connector.streams},
        )  # fmt: skip
        self._known: list[str] = []
        self.store = Store(url)
        self.hub = Hub(
            store=self.store, canonical=canonical, connections={"feed": connection}, clock=self.clock, instance="hub"
        )  # fmt: skip
        self.hub.projects, self.hub.derived = Project(kpis), derived
        rewards = Rewards(currency="EUR")
        self.hub.on_changes = reward_hook(rewards, canonical, compute=compute_hook(derived, canonical))
        self.hub.on_merges = after_merges(merge_hook(canonical, currency="EUR"), derived, canonical)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now(), UTC)

    # Arrivals

    def send(self, stream: str, rows: Sequence[Row], *, first_load: bool = False) -> None:
        for start in range(0, len(rows), PAGE):
            page = rows[start : start + PAGE]
            records = [SourceRecord(external_id=each["id"], data=each) for each in page]
            ingest_page(
                self.hub, self.hub.connections["feed"], stream, records, read_at=self.clock.now(),
                first_load=first_load,
            )  # fmt: skip
        for row in rows:
            self.sent.rows[stream][row["id"]] = row
            self.sent.known.setdefault(row["id"], self.now)
            told = self.sent.stages.setdefault(row["id"], []) if stream == "deals" else []
            if stream == "deals" and (not told or told[-1][1] != row["stage"]):
                told.append((self.now, row["stage"], first_load))

    def live(self, look: Callable[[], None]) -> None:
        """The whole year: a first load, then what happens, comes late, is refunded, merged and parted.

        Args:
            look: called between.
        """
        self.send("contacts", [self.contact(n) for n in range(self.people)], first_load=True)
        deals = [self.deal(n) for n in range(self.people // 2)]
        self.send("deals", deals, first_load=True)
        self.acts(0, first_load=True, until=BEGIN)
        with self.store.transaction() as tx:
            for stream in STREAMS:
                tx.set_cursor("feed", stream, {"at": 1, "first_done": True, "since": self.clock.now()})
        self.joined(0, self.people // 20)
        look()
        for number, days in enumerate((41, 73, 96), start=1):
            self.clock.advance(days * 86_400.0)
            fresh = [self.contact(n) for n in range(self.people * number, self.people * (number + 1))][
                : self.people // 4
            ]
            self.send("contacts", fresh)
            self.send("deals", [self.deal(n) for n in range(self.people * number, self.people * number + len(fresh))])
            self.acts(number, until=self.now)
            self.move_deals()
            self.refund()
            self.joined(self.people * number, len(fresh) // 6)
            self.part()
            look()
        self.clock.advance(NOW.timestamp() - self.clock.now())
        self.rush()

    def rush(self) -> None:
        """Some want to buy, these days."""
        for n in range(0, self.people, 9):
            forms = [self.form(f"rush-{n}-{each}", NOW - DAY) for each in range(2)]
            acts = [self.activity(f"rush-act-{n}-{each}", NOW - DAY) for each in range(2)]
            days = (NOW - self.chance.randrange(1, 6) * DAY).isoformat()
            self.send("forms", [{**each, "contact": f"c{n}", "submitted_at": days} for each in forms])
            self.send("activities", [{**x, "contact": f"c{n}", "kind": "checkout_started", "at": days} for x in acts])

    def acts(self, number: int, *, until: datetime, first_load: bool = False) -> None:
        """Orders and the like, dated anywhere from the oldest day on: much of it comes late."""
        count = self.people
        for stream, make, times in self.makers():
            rows = [make(f"{stream}-{number}-{n}", until) for n in range(int(count * times))]
            self.send(stream, rows, first_load=first_load)

    def makers(self) -> Sequence[tuple[str, Callable[[str, datetime], Row], float]]:
        return (
            ("orders", self.order, 1.5), ("invoices", self.invoice, 0.4), ("subscriptions", self.subscription, 0.4),
            ("forms", self.form, 0.6), ("activities", self.activity, 2.0), ("appointments", self.appointment, 0.3),
            ("costs", self.cost, 0.1),
        )  # fmt: skip

    # Rows

    def moment(self, until: datetime, since: datetime = FIRST) -> datetime:
        """Often close to a midnight of New York; never twice the same."""
        span = max(1, int((until - since).total_seconds()))
        at = since + timedelta(seconds=self.chance.randrange(span))
        if self.chance.random() < 0.2:
            midnight = at.astimezone(ZONE).replace(hour=0, minute=0, second=0).astimezone(UTC)
            at = midnight + timedelta(seconds=self.chance.choice((-1, 0, 1)))
        return min(at, until).replace(microsecond=self.chance.randrange(1_000_000))

    def someone(self) -> str | None:
        known = self.sent.rows["contacts"]
        return None if self.chance.random() < 0.05 else self.chance.choice(self._ids(len(known)))

    def _ids(self, count: int) -> list[str]:
        if len(self._known) != count:
            self._known = list(self.sent.rows["contacts"])
        return self._known

    def money(self) -> tuple[str, str]:
        return f"{self.chance.randrange(100, 90_000) / 100:.2f}", self.chance.choice(("EUR",) * 9 + ("USD",))

    def contact(self, n: int) -> Row:
        created = self.moment(self.now)
        wait = self.chance.choice((20, 60, 61, 299, 300, 301, 4_000, 90_000))
        answered = created + timedelta(seconds=wait)
        country = self.chance.choice(COUNTRIES)
        return {
            "id": f"c{n}", "email": f"c{n}@example.com", "last_name": self.chance.choice(("Lee", "Ray", None)),
            "phone": f"+4930{1_000_000 + n}" if country == "DE" else None, "country": country,
            "job_title": self.chance.choice(("Buyer", None)), "lifecycle": self.chance.choice(LIFECYCLES),
            "lead_source": self.chance.choice(SOURCES), "created_at": created.isoformat(),
            "first_response_at": answered.isoformat() if self.chance.random() < 0.7 and answered < self.now else None,
        }  # fmt: skip

    def deal(self, n: int) -> Row:
        amount, currency = self.money()
        close = (self.moment(NOW + 40 * DAY)).date().isoformat()
        stage = self.chance.choice((*STAGES, "new", "lost"))
        return {"id": f"d{n}", "stage": stage, "amount": amount, "currency": currency, "close_date": close}

    def order(self, id_: str, until: datetime) -> Row:
        total, currency = self.money()
        placed = self.moment(until)
        cancelled = (placed + DAY).isoformat() if self.chance.random() < 0.05 else None
        return {
            "id": id_, "contact": self.someone(), "total": total, "currency": currency,
            "status": self.chance.choice(("paid",) * 5 + ORDER_STATES), "placed_at": placed.isoformat(),
            "cancelled_at": cancelled,
        }  # fmt: skip

    def invoice(self, id_: str, until: datetime) -> Row:
        issued = self.moment(until)
        paid = issued + self.chance.choice((1, 29, 30, 31, 60)) * DAY
        done = paid < until and self.chance.random() < 0.8
        return {
            "id": id_, "status": self.chance.choice(("paid",) if done else ("open", "draft", "void")),
            "issued_at": issued.isoformat(), "paid_at": paid.isoformat() if done else None,
        }  # fmt: skip

    def subscription(self, id_: str, until: datetime) -> Row:
        started = self.moment(until)
        ended = started + self.chance.randrange(1, 300) * DAY
        over = ended < until and self.chance.random() < 0.6
        status = "canceled" if over else self.chance.choice(("active", "active", "incomplete"))
        return {
            "id": id_, "contact": self.someone(), "status": status, "started_at": started.isoformat(),
            "ended_at": ended.isoformat() if over else None,
        }  # fmt: skip

    def form(self, id_: str, until: datetime) -> Row:
        return {
            "id": id_, "contact": self.someone(), "submitted_at": self.moment(until).isoformat(),
            "nps": self.chance.choice((None, *range(12))), "csat": self.chance.choice((None, "1", "4", "5")),
        }  # fmt: skip

    def activity(self, id_: str, until: datetime) -> Row:
        amount, currency = self.money()
        return {
            "id": id_, "contact": self.someone(), "kind": self.chance.choice(KINDS),
            "at": self.moment(until).isoformat(), "amount": amount, "currency": currency,
            "campaign": self.chance.choice(("spring", "fair", None)),
        }  # fmt: skip

    def appointment(self, id_: str, until: datetime) -> Row:
        starts = self.moment(until + 20 * DAY)
        status = self.chance.choice(APPOINTMENT_STATES)
        missed = (
            (starts + timedelta(hours=1)).isoformat() if status == "no_show" and self.chance.random() < 0.5 else None
        )
        booked = self.moment(min(starts, until), FIRST - DAY)
        return {
            "id": id_, "contact": self.someone(), "status": status, "booked_at": booked.isoformat(),
            "starts_at": starts.isoformat(), "no_show_at": missed,
        }  # fmt: skip

    def cost(self, id_: str, until: datetime) -> Row:
        amount, currency = self.money()
        day = self.moment(until).date().isoformat()
        return {"id": id_, "amount": amount, "currency": currency, "spent_on": day}

    # What becomes of them

    def move_deals(self) -> None:
        """Some go on, over days; a few are lost."""
        for _ in range(2):
            self.clock.advance(self.chance.randrange(1, 5) * 86_400.0 + 7)
            rows = []
            for row in list(self.sent.rows["deals"].values()):
                if row["stage"] in STAGES[:-1] and self.chance.random() < 0.4:
                    place = STAGES.index(row["stage"]) + self.chance.choice((1, 1, 2))
                    stage = STAGES[min(place, 5)] if self.chance.random() < 0.85 else "lost"
                    rows.append({**row, "stage": stage})
            self.send("deals", rows)

    def refund(self) -> None:
        rows = []
        for row in list(self.sent.rows["orders"].values()):
            if row["status"] == "paid" and self.chance.random() < 0.1:
                part = self.chance.random() < 0.5
                left = f"{float(row['total']) / 2:.2f}"
                rows.append(
                    {**row, "status": "partially_refunded", "total": left} if part else {**row, "status": "refunded"}
                )
        self.send("orders", rows)

    def joined(self, first: int, count: int) -> None:
        """People who turn out to be one: twins of others, known under another address."""
        for n in range(first, first + count):
            twin, own = f"t{n}", self.sent.rows["contacts"][f"c{n}"]
            created = self.moment(self.now)
            row = {
                **own, "id": twin, "email": f"{twin}@example.com", "created_at": created.isoformat(),
                "lifecycle": self.chance.choice(LIFECYCLES), "first_response_at": None,
            }  # fmt: skip
            self.send("contacts", [row])
            self.send("orders", [{**self.order(f"order-of-{twin}", self.now), "contact": twin}])
            merge(self.hub, self.target(own["id"]), self.target(twin), by="kim")
            self.sent.merged[twin] = own["id"]

    def part(self) -> None:
        """Every third of them turns out to be two after all."""
        for twin in list(self.sent.merged)[::3]:
            unmerge(self.hub, self.target(self.sent.merged.pop(twin)), by="kim")

    def target(self, id_: str) -> str:
        with self.store.reading() as tx:
            (link,) = tx.links_by_keys("feed", "contacts", [id_], raw=False).values()
        return f"contact:{link.entity_id}"

    def events(self) -> int:
        with self.store.reading() as tx:
            last, count = 0, 0
            while page := tx.events_page(after_id=last, limit=5_000):
                last, count = page[-1].id or 0, count + len(page)
        return count
