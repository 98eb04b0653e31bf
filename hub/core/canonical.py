"""The declared shape of the truth: entity types, their fields, keys, survivorship and events.

Filled from `mappings/canonical.yaml` (and the `custom:` sections of mappings) by the registry; read by everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SCALARS = (
    "text",
    "email",
    "phone",
    "host",
    "url",
    "country",
    "enum",
    "boolean",
    "integer",
    "decimal",
    "date",
    "instant",
)
KINDS = ("scalar", "set", "group", "consent", "ref")
SET_BY_TRIGGER = "trigger"  # `derived:` of a field that triggers alone fill: no system speaks for it
RULES = ("source", "newest", "first", "max", "min", "longest", "union", "majority", "consent", "manual")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivorship:
    """Which claim wins."""

    rule: str = "newest"  # of RULES
    source: tuple[str, ...] = ()  # for rule source: sticky order of connectors or connections
    where: str = ""  # file:line of the declaration, for `why`


@dataclass(frozen=True, slots=True, kw_only=True)
class Blank:
    """What a blank means, inward and outward."""

    inward: str = "ignore"  # ignore, erase, erase_if_from
    erase_from: tuple[str, ...] = ()  # connectors or connections whose blank erases
    outward: str = "keep"  # keep (a blank entity value is not written), clear


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalField:
    """One field of an entity type."""

    name: str
    type: str  # of SCALARS, or money, set, group, consent, ref
    kind: str = "scalar"  # of KINDS; money is a scalar whose value is a document
    text: str = ""
    of: str = "text"  # element type of a set
    parts: Mapping[str, str] = field(default_factory=dict)  # of a group: part -> scalar type
    values: tuple[str, ...] = ()  # of an enum, in order: `max` means further down the list
    to: str = ""  # of a ref: entity type
    max: int | None = None  # text length
    survivorship: Survivorship = Survivorship()
    blank: Blank = Blank()
    derived: str = ""  # name of a registered pure function; such a field has no claims
    custom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Fields that identify an entity together."""

    on: tuple[str, ...]
    strength: str = "strong"  # strong links by itself; weak goes to review

    @property
    def name(self) -> str:
        return "+".join(self.on)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """Something that happens when a condition over an entity turns true."""

    name: str  # "paid"; everywhere else "order.paid"
    when: str  # expression over the entity's fields
    at: str  # field that holds the moment; "" for the read's time
    subject: str = ""  # ref field that names whose event it is; "" for the entity itself
    each: str = ""  # field of which each value is an event of its own; "" for once per entity
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a key may be believed: one that too many share (a switchboard, info@) identifies nobody."""

    links: int = 10  # records of one stream that a key may bring to one entity
    sharing: int = 20  # entities that may share a key


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityType:
    """One kind of canonical record."""

    name: str
    text: str = ""
    keys: tuple[Key, ...] = ()
    limits: Limits = Limits()
    fields: Mapping[str, CanonicalField] = field(default_factory=dict)
    events: Mapping[str, EventType] = field(default_factory=dict)

    def field_of(self, path: str) -> CanonicalField | None:
        """The field that a mapping path names: `phone`, a group's part `first_name`, or `consent.email`."""
        if path in self.fields:
            return self.fields[path]
        return next((each for each in self.fields.values() if each.kind == "group" and path in each.parts), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonical:
    """Everything declared in canonical.yaml."""

    sources: tuple[str, ...] = ()  # connectors or connections, in the order that decides ties
    entities: Mapping[str, EntityType] = field(default_factory=dict)
    version: int = 0
    digest: str = ""
