"""What the engine is handed: built once in app.bootstrap (or by the simulator), never looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from hub.app.counting import Counts
from hub.connector import Api, Connector, Settings, Stream
from hub.core.canonical import Canonical
from hub.core.computed import Derived
from hub.core.guards import DEFAULTS, Bound
from hub.core.mapping import StreamMapping, external_id_of
from hub.core.rewards import Rewards
from hub.core.triggers import Triggers
from hub.errors import HubError, NotFound
from hub.model import Json, SourceRecord
from hub.runtime.cron import Cron
from hub.store import Store

if TYPE_CHECKING:
    from hub.runtime.secrets import Vault

ASKING_MODES = ("propose", "canary")  # nothing (or a few records) leaves before a person approved a plan


class Clock(Protocol):
    """The seam of time."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class Post(Protocol):
    """Sends one signed webhook; gives the status of the answer."""

    def __call__(self, url: str, secret: str, *, local: bool, key: str, at: float, body: bytes) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One configured account of a system, ready to be spoken to."""

    name: str
    connector: Connector
    api: Api
    settings: Settings
    mode: str  # observe, propose, canary, live
    mappings: Mapping[str, StreamMapping]  # by the mapping's stream name, in file order
    streams: Mapping[str, Stream]  # by stream name
    mapping_version: int = 0
    every_s: Mapping[str, float] = field(default_factory=dict)  # stream -> interval
    crons: Mapping[str, Cron] = field(default_factory=dict)  # stream -> schedule, of those by the calendar
    sweep_s: float = 604_800.0  # how often it is compared whole with what the hub believes (hub.app.reconcile)
    longest_write_s: float = 120.0  # the longest that a request, once started, may still land; the door's own figure
    canary: int = 10  # mode canary: records that a sync may write before it asks
    reserve: float = 0.0  # share of each shared quota that is left to people
    counts: Callable[[], Mapping[str, int]] = dict  # calls per operation since the start, from the door
    new_run: Callable[[], None] = lambda: None  # a run begins: the door's retry budget is full again
    fault: HubError | None = None  # why it cannot be used (credentials, host, mapping); the others go on without it
    barred: set[tuple[str, str]] = field(default_factory=set)  # (stream, id): killed whoever took it in (app.suspects)

    @property
    def writes(self) -> bool:
        """May be written to at all, if need be after approval."""
        return (self.mode == "live" or self.mode in ASKING_MODES) and self.connector.push is not None

    @property
    def asks(self) -> bool:
        """Only what a person approved is written (of a canary's, besides the first records)."""
        return self.writes and self.mode in ASKING_MODES

    def require(self) -> None:
        """Raises the reason if this connection cannot be used."""
        if self.fault is not None:
            raise self.fault

    def mappings_from(self, source: str) -> list[StreamMapping]:
        """The mappings that read a stream's records (a form answer is a submission and speaks for a contact).

        One that another refers to comes first: the submission names the respondent whom the same record makes.
        """
        found = [mapping for mapping in self.mappings.values() if mapping.source == source]
        named = {stream for mapping in found for streams in mapping.named.values() for stream in streams}
        return sorted(found, key=lambda mapping: mapping.name not in named)

    def named(self, source: str, record: SourceRecord) -> tuple[str, str]:
        """(stream, id) under which a record of a source goes into quarantine as a whole: those of its first mapping."""
        mapping = self.mappings_from(source)[0]
        return mapping.name, external_id_of(mapping, record) or record.external_id

    def admitted(self, source: str, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        """The records of a page that may be taken in."""
        return [each for each in records if self.named(source, each) not in self.barred] if self.barred else records

    def stream_of(self, mapping: StreamMapping) -> Stream:
        return self.streams[mapping.source]

    def in_order(self) -> Sequence[str]:
        """Source streams that mappings read, parents first."""
        wanted = [name for name in self.streams if self.mappings_from(name)]
        ordered: list[str] = []

        def add(name: str) -> None:
            if name in ordered or name not in wanted:
                return
            ordered_parents = [parent for parent in self.streams[name].parents if parent != name]
            for parent in ordered_parents:
                add(parent)
            if name not in ordered:
                ordered.append(name)

        for name in wanted:
            add(name)
        return ordered


@dataclass(slots=True, kw_only=True)
class Hub:
    """Everything a use case needs."""

    store: Store
    canonical: Canonical
    connections: dict[str, Connection]
    clock: Clock
    instance: str  # of the store; part of every marker and reward key
    copied: bool = False  # the database is a copy of one that may be at work elsewhere: nothing is written anywhere
    guards: Mapping[str, Bound] = field(default_factory=lambda: dict(DEFAULTS))
    on_changes: Callable[..., Mapping[str, int]] | None = None  # events and grants; app.rewards.on_changes
    on_computed: Callable[..., Mapping[str, int]] | None = None  # triggers after a day's computing; app.triggers
    on_merges: Callable[..., None] | None = None  # events after a merge or its inverse; app.events.merge_hook
    derived: Derived | None = None  # computed fields and segments, if the project has some
    rewards: Rewards | None = None  # the rules in force
    projects: Json = None  # the loaded project, for listings
    call_helpers: Callable[[str, str, int], None] | None = None  # (connection, stream, how many): for hub.app.parts
    reads_ahead: bool = False  # while a page is stored, the next one is on its way
    tell: Callable[[str, str], Sequence[str]] | None = None  # sends a notice; gives names of those who were not reached
    triggers: Triggers = field(default_factory=Triggers)  # rules of triggers.yaml
    post: Post | None = None  # sends a signed webhook; None: nowhere
    vault: Vault | None = None  # for the hub's own secrets; None where there are none (the simulator)
    counts: Counts = field(default_factory=Counts)  # of everything, for pages

    @property
    def zone(self) -> tzinfo:
        """By whose clock its people live."""
        return ZoneInfo(self.projects.settings.hub.timezone) if self.projects is not None else UTC

    def rank(self, connection: str) -> int:
        """Place of a connection in `sources`; a connector there stands for its connections in the order of hub.yaml."""
        sources = self.canonical.sources
        names = list(self.connections)
        found = self.connections.get(connection)
        labels = (connection, found.connector.name if found else "")
        place = next((index for index, source in enumerate(sources) if source in labels), len(sources))
        return place * 1000 + (names.index(connection) if connection in names else 999)

    def mapping_of(self, connection: str, stream: str) -> StreamMapping | None:
        """The mapping that a link belongs to; None when its connection is gone from the configuration."""
        found = self.connections.get(connection)
        return found.mappings.get(stream) if found else None

    def makers_of(self, kind: str) -> list[Connection]:
        """The connections at which records of an entity type may be created at all."""
        return [
            connection
            for connection in self.connections.values()
            if connection.writes
            and any(
                mapping.entity == kind and connection.stream_of(mapping).writes & {"create", "upsert"}
                for mapping in connection.mappings.values()
            )
        ]

    def has_scope(self, kind: str) -> bool:
        """Whether any mapping of an entity type says what belongs there."""
        mappings = (each for connection in self.connections.values() for each in connection.mappings.values())
        return any(mapping.entity == kind and mapping.scope is not None for mapping in mappings)

    def computes_outward(self) -> bool:
        """Whether any mapping computes a value on the way out: a system may lack more than the fields that changed."""
        return any(each.cases for connection in self.connections.values() for each in connection.mappings.values())

    def marker(self, entity_id: int) -> str:
        """The hub's id as it is put on records that the hub creates."""
        return f"{self.instance}-{entity_id}"

    def entity_of_marker(self, marker: str | None) -> int | None:
        """The entity a marker names, if it is this hub's own; another hub's marker says nothing."""
        if not marker or not marker.startswith(f"{self.instance}-"):
            return None
        tail = marker[len(self.instance) + 1 :]
        return int(tail) if tail.isdigit() else None


def connection_of(hub: Hub, name: str) -> Connection:
    """The connection of that name. Raises NotFound with the names that there are."""
    if name not in hub.connections:
        known = ", ".join(hub.connections) or "none"
        raise NotFound(f"there is no connection {name}", where="hub.yaml", fix=f"known are: {known}")
    return hub.connections[name]
