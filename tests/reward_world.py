"""A small company for tests of rewards: a shop, a CRM and a provider of gift cards, over the real engine and store.

The provider is hub.verify's: of any class, and as rude as a test asks for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from hub.app.context import Connection, Hub
from hub.app.events import merge_hook
from hub.app.ingest import ingest_page
from hub.app.reward_orders import issue_due
from hub.app.reward_providers import Timing
from hub.app.rewards import reward_hook
from hub.connector import Auth, Connector, Page, Settings, Stream
from hub.core.canonical import Canonical
from hub.core.canonical_file import read_canonical
from hub.core.derived import FUNCTIONS
from hub.core.document import Sheet
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub as HubFacts
from hub.core.mapping_file import read_mapping
from hub.core.rewards import Rewards
from hub.core.rewards_file import parse_rules
from hub.model import EntityRow, Grant, Json, SourceRecord
from hub.runtime.clock import VirtualClock
from hub.runtime.yaml import parse_yaml
from hub.store import Store
from hub.store.rows import BudgetRow
from hub.verify.cards import CardProvider

DAY = 86_400.0
START = datetime(2026, 12, 5, 12, tzinfo=UTC).timestamp()

CANONICAL = """
language: 1
sources: [shop, crm]
entities:
  contact:
    text: A person.
    keys: [{on: [email], strength: strong}]
    fields:
      email: {type: email}
      phone: {type: phone}
      name: {type: group, parts: {first_name: text, last_name: text}}
      country: {type: country}
      timezone: {type: text}
      lifetime_value: {type: decimal, derived: paid_orders_total}
      mood: {type: text, derived: trigger}
    events: {big_spender: {when: "lifetime_value >= 1000"}}
  owner:
    text: A sales rep.
    keys: [{on: [email], strength: strong}]
    fields: {email: {type: email}}
  deal:
    text: A sale.
    fields:
      stage: {type: enum, values: [new, won]}
      amount: {type: money}
      contact: {type: ref, to: contact}
      owner: {type: ref, to: owner}
    events: {won: {when: "stage == 'won'", subject: contact}}
  order:
    text: A purchase.
    fields:
      total: {type: money}
      contact: {type: ref, to: contact}
      paid_at: {type: instant}
      refunded_at: {type: instant}
    events:
      paid: {when: "paid_at is not None", at: paid_at}
      refunded: {when: "refunded_at is not None", at: refunded_at}
  task:
    text: Something to do.
    fields:
      subject: {type: text}
      description: {type: text}
      contact: {type: ref, to: contact}
      owner: {type: ref, to: owner}
      status: {type: enum, values: [open, done]}
      priority: {type: enum, values: [low, normal, high]}
      due_on: {type: date}
      source: {type: text}
"""

RULES = """
language: 1
budgets: {thanks: {amount: 100 EUR, per: year}}
rules:
  big_order:
    text: A gift card for an order over 500.
    on: order.paid
    when: "order.total >= 500 and contact.country == 'DE'"
    who: contact
    give: {connection: plum, product: "5671", amount: 25 EUR, deliver: provider}
    once_per: event
    budget: thanks
    active_from: 2026-12-01T00:00:00Z
    reverse_on: [order.refunded]
"""

SHOP = """
connector: shop
language: 1
streams:
  customers:
    entity: contact
    create: never
    fields: {email: {remote: email}, phone: {remote: phone}, first_name: {remote: name}, country: {remote: country},
             timezone: {remote: timezone}}
  orders:
    entity: order
    acts: true
    fields:
      contact: {remote: customer, to: customers}
      total: {remote: total, wire: {major_decimal: {currency_from: currency}}}
      paid_at: {remote: paid_at}
      refunded_at: {remote: refunded_at}
"""

CRM = """
connector: crm
language: 1
streams:
  users: {entity: owner, direction: in, fields: {email: {remote: email}}}
  deals:
    entity: deal
    direction: in
    fields:
      stage: {remote: stage, values: {new: new, won: won}}
      amount: {remote: amount, wire: {major_decimal: {currency: EUR}}}
      owner: {remote: owner, to: users}
"""


@cache
def read_rules(text: str = RULES) -> Rewards:
    sheet = Sheet(parse_yaml(text, "rewards.yaml"))
    rewards = parse_rules(sheet, declared())
    assert sheet.faults == []
    return rewards


@cache
def mappings_of(text: str) -> Mapping[str, StreamMapping]:
    sheet = Sheet(parse_yaml(text, "mapping.yaml"))
    found = read_mapping(sheet, declared(), HubFacts(currency="EUR", country="DE")).streams
    assert sheet.faults == []
    return found


@cache
def declared() -> Canonical:
    sheet = Sheet(parse_yaml(CANONICAL, "canonical.yaml"))
    found = read_canonical(sheet, derived=FUNCTIONS)
    assert sheet.faults == []
    return found


class World:
    """One hub and its systems. Everything that arrives goes through `ingest_page`."""

    def __init__(
        self,
        url: str = "sqlite://",
        *,
        rules: str = RULES,
        kind: str = "A",
        seam: Callable[[str], None] | None = None,
        listed: bool = True,
    ) -> None:
        self.clock = VirtualClock(START)
        self.canonical = declared()
        self.rewards = read_rules(rules)
        self.provider = CardProvider(kind, self.clock.now, seam=seam or (lambda point: None))
        self.store = Store(url) if seam is None else Store(url, seam=seam)
        if listed:
            self.mark_listed()
        self.hub = self.start()

    def start(self) -> Hub:
        """A new process on the store."""
        plum = self.provider.connector()
        connections = {
            "shop": self._source("shop", SHOP, ("customers", "orders")),
            "crm": self._source("crm", CRM, ("users", "deals")),
            "plum": Connection(
                name="plum", connector=plum, api=None, settings=Settings(values={}, auth={}), mode="live", mappings={},
                streams={stream.name: stream for stream in plum.streams},
            ),
        }  # fmt: skip
        hub = Hub(
            store=self.store, canonical=self.canonical, connections=connections, clock=self.clock, instance="hub"
        )  # fmt: skip
        hub.rewards = self.rewards
        hub.on_changes = reward_hook(self.rewards, self.canonical)
        hub.on_merges = merge_hook(self.canonical, currency="EUR")
        return hub

    def _source(self, name: str, text: str, streams: Sequence[str]) -> Connection:
        connector = Connector(
            name=name, title=name, base_url="", hosts=(), auth=(Auth(kind="none"),), limits=(),
            streams=tuple(Stream(name=each, acts=each == "orders") for each in streams),
            connect=lambda door, settings: None, check=lambda api: {}, discover=lambda api, stream: (),
            pull=lambda api, stream, cursor: Page(records=(), next_cursor=None, complete=True),
        )  # fmt: skip
        return Connection(
            name=name, connector=connector, api=None, settings=Settings(values={}, auth={}), mode="live",
            mappings=mappings_of(text), streams={stream.name: stream for stream in connector.streams},
        )  # fmt: skip

    def mark_listed(self, *, orders: bool = True) -> None:
        with self.store.transaction() as tx:
            for connection, stream in (("shop", "customers"), ("shop", "orders"), ("crm", "users"), ("crm", "deals")):
                done = orders or stream != "orders"
                tx.set_cursor(connection, stream, {"at": 1, "first_done": done, "since": START})

    # Arrivals

    def take(self, connection: str, stream: str, *records: dict[str, Json], first_load: bool = False) -> Counter[str]:
        """Take in one page."""
        return ingest_page(
            self.hub, self.hub.connections[connection], stream,
            [SourceRecord(external_id=each["id"], data=each) for each in records],
            read_at=self.clock.now(), first_load=first_load,
        )  # fmt: skip

    def customer(self, id: str, *, first_load: bool = False, **fields: Json) -> Counter[str]:
        record = {"id": id, "email": f"{id}@example.com", "name": id, "country": "DE", "phone": None}
        return self.take("shop", "customers", record | fields, first_load=first_load)

    def order(
        self, id: str, customer: str, total: str = "600", *, first_load: bool = False, **fields: Json
    ) -> Counter[str]:
        return self.take("shop", "orders", order_record(id, customer, total, **fields), first_load=first_load)

    def issue(self, timing: Timing | None = None) -> Counter[str]:
        return issue_due(self.hub, "plum", run_id=None, timing=timing)

    # What is there

    def grants(self, state: str | None = None) -> list[Grant]:
        with self.store.reading() as tx:
            return tx.grants(state)

    def grant_states(self) -> list[str]:
        return [grant.state for grant in self.grants()]

    def budget(self) -> BudgetRow | None:
        with self.store.reading() as tx:
            return next(iter(tx.budgets()), None)

    def money(self) -> tuple[int, int]:
        """(set aside, spent) in minor units, over all budgets."""
        with self.store.reading() as tx:
            rows = tx.budgets()
        return sum(row.reserved_minor for row in rows), sum(row.spent_minor for row in rows)

    def entity(self, type_: str, index: int = 0) -> EntityRow:
        with self.store.reading() as tx:
            return tx.entities_page(type_)[index]

    def entries(self, grant_id: int) -> list[str]:
        with self.store.reading() as tx:
            return [entry.kind for entry in tx.entries(grant_id)]


def order_record(id: str, customer: str | None, total: str = "600", **fields: Json) -> dict[str, Json]:
    record = {"id": id, "customer": customer, "total": total, "currency": "EUR", "paid_at": "2026-12-05T11:00:00Z"}
    return {**record, "refunded_at": None, **fields}


MakeWorld = Callable[..., World]


@contextmanager
def worlds(url: str) -> Iterator[MakeWorld]:
    """A maker of worlds on one database; they are closed in the end."""
    made: list[World] = []

    def make(**options: Any) -> World:
        made.append(World(url, **options))
        return made[-1]

    yield make
    for world in made:
        world.store.close()
