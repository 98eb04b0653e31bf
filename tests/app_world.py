"""A small world for tests of what people and programs do to a running hub: simulated systems over the real engine.

Systems are hub.verify's, without faults and lags unless a test asks for them; they share one entity type, `contact`,
whose fields every system maps both ways under their own names. Time moves only when a test says so.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hub.app.context import Connection, Hub
from hub.app.runs import ConnectionRun, sync
from hub.connector import Connector, Settings
from hub.core.canonical import Blank, Canonical, CanonicalField, EntityType, Key, Survivorship
from hub.core.document import Sheet
from hub.core.guards import DEFAULTS, Bound
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub as HubFacts
from hub.core.mapping_file import read_mapping
from hub.model import ConflictRow, EntityRow, HoldRow, Json, LinkRow, QuarantineRow
from hub.runtime.clock import VirtualClock
from hub.runtime.yaml import parse_yaml
from hub.store import Store
from hub.verify.vendor import STREAM, SimVendor, Traits

PERSON: Mapping[str, Json] = {
    "code": "P1", "email": "ann@example.org", "name": "Ann", "note": "first", "phone": "+4930111", "tags": []
}  # fmt: skip


def contact(**rules: str) -> EntityType:
    """The entity type; a rule per field where a test wants another than newest."""

    def text(name: str) -> CanonicalField:
        rule = Survivorship(rule=rules.get(name, "newest"), where=f"canonical.yaml:{name}")
        return CanonicalField(name=name, type="text", survivorship=rule, blank=Blank(inward="erase", outward="clear"))

    fields = {name: text(name) for name in ("code", "email", "name", "note", "phone")}
    union = Survivorship(rule="union", where="canonical.yaml:tags")
    fields["tags"] = CanonicalField(name="tags", type="set", kind="set", survivorship=union)
    return EntityType(name="contact", keys=(Key(on=("code",)), Key(on=("email",), strength="weak")), fields=fields)


MAPPING = """
connector: {connector}
language: 1
streams:
  people:
    entity: contact
    create: always
    fields: {{code: {{remote: code}}, email: {{remote: email}}, name: {{remote: name}}, note: {note},
      phone: {{remote: phone}}, tags: {{remote: tags}}}}
"""


def mapping_of(connector: str, canonical: Canonical, note: str = "{remote: note}") -> StreamMapping:
    """Every field both ways, under its own name; the notes perhaps by another rule."""
    sheet = Sheet(parse_yaml(MAPPING.format(connector=connector, note=note), f"{connector}.yaml"))
    found = read_mapping(sheet, canonical, HubFacts()).streams[STREAM]
    assert not sheet.faults, sheet.faults
    return found


class World:
    """Systems A and B (and more, by name) around one hub."""

    def __init__(
        self, url: str, *, names: str = "AB", modes: Mapping[str, str] | None = None, traits: Traits | None = None,
        clock: Any = None, guards: Mapping[str, Bound] | None = None, **rules: str,
    ) -> None:  # fmt: skip
        self.clock = clock or VirtualClock()
        self.store = Store(url)
        self.entity = contact(**rules)
        canonical = Canonical(sources=tuple(names), entities={"contact": self.entity})
        self.vendors = {name: self._vendor(name, traits or Traits(page_size=100, max_batch=100)) for name in names}
        self.hub = Hub(
            store=self.store, canonical=canonical, connections={}, clock=self.clock, instance="world",
            guards={**DEFAULTS, **(guards or {})},
        )  # fmt: skip
        for name in names:
            self.connect(name, self.vendors[name].connector(), mode=(modes or {}).get(name, "live"))

    def _vendor(self, name: str, traits: Traits) -> SimVendor:
        vendor = SimVendor(
            name=name, traits=traits, clock=self.clock.now, rng=random.Random(name), seam=self._call,
            check_intent=lambda system, change: None, depth=lambda: 0,
        )  # fmt: skip
        vendor.faulty = False
        return vendor

    def _call(self, _point: str) -> None:
        """Calls take time."""
        if isinstance(self.clock, VirtualClock):
            self.clock.advance(0.01)

    def connect(self, name: str, connector: Connector, *, mode: str = "live", **more: Any) -> Connection:
        """(Re)make a connection, perhaps with another connector."""
        self.hub.connections[name] = Connection(
            name=name, connector=connector, api=self.vendors[name], settings=Settings(values={}, auth={}), mode=mode,
            mappings={STREAM: mapping_of(name, self.hub.canonical)}, streams={STREAM: connector.streams[0]},
            every_s={STREAM: 300.0}, **more,
        )  # fmt: skip
        return self.hub.connections[name]

    def change(self, name: str, **more: Any) -> None:
        """Replace attributes of a connection."""
        self.hub.connections[name] = replace(self.hub.connections[name], **more)

    # People

    def person(self, system: str, **fields: Json) -> str:
        """Somebody makes a record; gives its id."""
        return self.vendors[system].user_create({**PERSON, **fields})

    def people(self, system: str, number: int, **fields: Json) -> list[str]:
        return [
            self.person(system, **{"code": f"P{n}", "email": f"p{n}@example.org", "name": f"Name {n}", **fields})
            for n in range(number)
        ]

    def edit(self, system: str, external_id: str, **fields: Json) -> None:
        self.clock.sleep(1.0)
        for name, value in fields.items():
            self.vendors[system].user_edit(external_id, name, value)

    # The hub

    def sync(self, *names: str, after_s: float = 60.0) -> dict[str, ConnectionRun]:
        """A run of these connections (all of them unless named), a minute later."""
        self.clock.sleep(after_s)
        return {run.connection: run for run in sync(self.hub, names or None, owner="test")}

    def settle(self) -> None:
        """Runs until nothing moves any more."""
        for _ in range(4):
            self.sync()

    def writes(self) -> int:
        return sum(vendor.writes for vendor in self.vendors.values())

    def held_at(self, system: str, external_id: str) -> Mapping[str, Json]:
        """What the system itself holds."""
        fields = self.vendors[system].current(external_id).fields
        assert fields is not None
        return fields

    def links(self, system: str) -> dict[str, LinkRow]:
        with self.store.reading() as tx:
            return {link.external_id or f"wanted {link.id}": link for link in tx.links_page(system, STREAM)}

    def entities(self) -> list[EntityRow]:
        with self.store.reading() as tx:
            return tx.entities_page("contact")

    def values(self) -> Mapping[str, Json]:
        """Of the only entity."""
        (only,) = self.entities()
        return only.values

    def conflicts(self, state: str | None = "open") -> list[ConflictRow]:
        with self.store.reading() as tx:
            return tx.conflicts(state=state)

    def holds(self, state: str | None = "open") -> list[HoldRow]:
        with self.store.reading() as tx:
            return tx.holds(state=state)

    def quarantine(self, state: str | None = "open") -> list[QuarantineRow]:
        with self.store.reading() as tx:
            return tx.quarantine(state=state)

    def twin_of(self, system: str, external_id: str, other: str) -> str:
        """The id at another system of whoever has this id here."""
        entity = self.links(system)[external_id].entity_id
        return next(each for each, link in self.links(other).items() if link.entity_id == entity)
