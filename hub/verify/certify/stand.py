"""A connector at work on its twin: the vendor on a socket, the door, one time for both, and hands for its people."""

from __future__ import annotations

import importlib
import importlib.util
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from hub.connector import Connector, Settings
from hub.core.mapping import StreamMapping
from hub.kit.contract import Bench, NotShown
from hub.model import Json
from hub.runtime.clock import VirtualClock
from hub.runtime.http import HttpDoor, open_door
from hub.runtime.registry import SHIPPED, connector_names, load_connector
from hub.runtime.sign_in import TokenShelf
from hub.twins import company
from hub.twins.kit import Request, Response
from hub.twins.kit import VirtualClock as TwinClock
from hub.twins.server import serve
from hub.verify.mapping import canonical_beside, read_file

PEOPLE, SEED = 150, 5
NOW = company.NOW
CREDENTIALS = {
    "token": "twin-token",
    "client_id": "twin-client",
    "client_secret": "twin-secret",
    "refresh_token": "twin-refresh",
    "username": "twin-token",
}
RENEWABLE = ("refresh_token", "client_credentials")
Tamper = Callable[[bytes], bytes | None]
Wrap = Callable[[Any], Any]


class SharedClock(VirtualClock):
    """A door's clock that moves a twin's along: a wait of the door is time passing at the vendor."""

    def __init__(self, twin: Any) -> None:
        super().__init__(NOW)
        self._twin = twin

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if seconds > 0:
            self._twin.advance(seconds)

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self._twin.advance(seconds)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A connector, the twin it is judged on, and what its records mean."""

    connector: Connector
    twin: ModuleType | None  # None: it speaks to no vendor, or nobody built one
    mapping: Path  # its mapping file, canonical.yaml beside it; it need not be there

    @cached_property
    def mappings(self) -> Sequence[StreamMapping]:
        """Its mappings, stream by stream; none if there is no file."""
        return read_file(self.mapping, canonical_beside(self.mapping)) if self.mapping.is_file() else ()

    @property
    def told(self) -> Mapping[str, Any]:
        """What hub.yaml would say of a connection to a fresh twin: auth, settings, streams."""
        return getattr(self.twin, "CONNECTION", {})

    def hands(self, stream: str) -> Mapping[str, Json]:
        """What the twin says of its people's work on a stream; empty: the rows themselves tell."""
        found: Mapping[str, Json] = getattr(self.twin, "PEOPLE", {}).get(stream, {})
        return found


@dataclass(frozen=True, kw_only=True)
class Stand(Bench):
    """A bench with all that a check may do to both sides."""

    vendor: Any  # what the hub speaks to
    candidate: Candidate
    twin: Any  # without anybody who alters its answers
    settings: Settings
    door: HttpDoor | None
    clock: VirtualClock
    base_url: str
    saved: dict[str, str] = field(default_factory=dict)  # tokens that outlive a process

    def restarted(self, **more: Any) -> Stand:
        """A new process on the same vendor: nothing is remembered but what was stored."""
        shelf = TokenShelf(save=self.saved.update, load=lambda: dict(self.saved))
        door = None if self.connector.only_listens else _open(self, **{"shelf": shelf, **more})
        api = self.connector.connect(door, self.settings)
        return replace(self, door=door, api=api, calls=lambda: door.counts.total() if door else 0)

    def with_settings(self, **values: Any) -> Stand:
        """The same, as another hub.yaml would have it."""
        return replace(self, settings=replace(self.settings, **values), saved={}).restarted()

    def advance(self, seconds: float) -> None:
        """Time passes, here and there."""
        self.clock.advance(seconds)

    def hidden(self) -> list[str]:
        """What must never stand in a message."""
        public = ("kind", "client_id", "username", "expires_at")
        return [value for name, value in self.settings.auth.items() if name not in public and value]


def _open(stand: Stand, **more: Any) -> HttpDoor:
    return open_door(
        stand.connector, stand.settings, account=stand.connector.name, base_url=stand.base_url, clock=stand.clock,
        rng=random.Random(1), **more,
    )  # fmt: skip


@dataclass
class Tampered:
    """A twin behind somebody who alters its answers."""

    twin: Any
    tamper: Tamper
    altered: int = 0
    first: dict[str, Response] = field(default_factory=dict)

    def handle(self, request: Request) -> Response:
        response: Response = self.twin.handle(request)
        other = self.tamper(response.body) if response.status == 200 else None
        if other is not None:
            response.body = other
            self.altered += 1
        return response

    def __getattr__(self, name: str) -> Any:
        return getattr(self.twin, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("twin", "tamper", "altered", "first"):
            object.__setattr__(self, name, value)
        else:
            setattr(self.twin, name, value)


class Stuck(Tampered):
    """A twin that answers every later page with the first one."""

    def handle(self, request: Request) -> Response:
        response: Response = self.twin.handle(request)
        if response.status != 200 or "token" in request.path:
            return response
        return self.first.setdefault(f"{request.method} {request.path}", response)


def candidates() -> list[Candidate]:
    """Every connector that is installed, found by looking: there is no list."""
    return [candidate(name) for name in connector_names()]


def candidate(name: str, *, twin: str = "", mapping: Path | None = None) -> Candidate:
    """A connector by name, on the twin of its name, or on the one in module `twin`, with a mapping file.

    Raises:
        ConfigFault: there is no such connector, or it cannot be loaded.
        ModuleNotFoundError: there is no module of the twin's name.
    """
    module = importlib.import_module(twin) if twin else _twin_of(name)
    return candidate_of(load_connector(name), module, mapping or SHIPPED / f"{name}.yaml")


def candidate_of(connector: Connector, twin: ModuleType | None, mapping: Path) -> Candidate:
    """The same, of things in hand. Where each connection describes its own: as the connection to its twin does."""
    made = Candidate(connector=connector, twin=twin, mapping=mapping)
    if not made.told:
        return made
    given = Settings(values=made.told.get("settings", {}), auth={}, streams=made.told.get("streams", {}))
    if connector.tailored is not None:
        return replace(made, connector=connector.tailored(given))
    if connector.streams_for is None:
        return made
    return replace(made, connector=replace(connector, streams=connector.streams_for(given)))


def _twin_of(name: str) -> ModuleType | None:
    where = f"hub.twins.{name}"
    return importlib.import_module(where) if importlib.util.find_spec(where) else None


@lru_cache
def people() -> company.Company:
    """The company that all twins know, each its part of it."""
    known = {each for each in connector_names() if _twin_of(each)} - set(company.PRESENCE)
    return company.generate(seed=SEED, people=PEOPLE, also=sorted(known))


def rows_of(given: Candidate) -> Mapping[str, list[dict[str, Json]]]:
    """What stands at this vendor of the company, stream by stream, as Twin.load takes it; and what the twin adds.

    `ROWS` of a twin's module are rows that a first sync of the company should not find: orders that people placed.
    """
    name, module = given.connector.name, given.twin
    ours = name in people().rows or module is None or not hasattr(module, "sketch")
    rows = people().rows if ours else _people_of(name, module).rows
    return {**rows.get(name, {}), **getattr(module, "ROWS", {})}


@lru_cache
def _people_of(name: str, module: ModuleType) -> company.Company:
    """The company with a system whose twin lives elsewhere."""
    return company.generate(seed=SEED, people=PEOPLE, drawn={name: module.sketch})


@contextmanager
def stand_of(
    given: Candidate,
    *,
    wrap: Wrap = lambda twin: twin,
    filled: bool = True,
    settings: Mapping[str, Json] | None = None,
    **options: Any,
) -> Iterator[Stand]:
    """A connector at work on its twin, which knows the same people as all others.

    Args:
        given: the connector and its twin.
        wrap: puts somebody between the two.
        filled: False: the vendor has no records.
        settings: more for the connection's settings.
        options: of the twin.

    Raises:
        NotShown: it has no twin.
    """
    if given.twin is None:
        raise NotShown(f"{_source_of(given.connector)}, and it has no twin")
    twin = given.twin.make(**{"clock": TwinClock(NOW), "auto_hooks": False, "limit_scale": 100.0, **options})
    if filled:
        for stream, rows in rows_of(given).items():
            twin.load(stream, rows)
    served = wrap(twin)
    told = settings_for(given, more=settings or {})
    with serve(served) as running:
        empty = Stand(
            connector=given.connector, api=None, vendor=served, calls=lambda: 0, candidate=given, twin=twin,
            settings=told, door=None, clock=SharedClock(twin), base_url=running.base_url,
        )  # fmt: skip
        yield empty.restarted()


def _source_of(connector: Connector) -> str:
    """What a connector speaks to that is no vendor."""
    if connector.local_files:
        return "files are its source"
    if connector.local_programs:
        return "programs are its source"
    if connector.inside:
        return "it is the hub's own"
    return "mail is what it sends" if connector.mail else "it speaks for no vendor of its own"


def settings_for(given: Candidate, *, more: Mapping[str, Json] | None = None, **webhooks: str) -> Settings:
    """A connection to a fresh twin, with limits that nobody runs into."""
    connector, told = given.connector, given.told
    kinds = [auth.kind for auth in connector.auth] or ["none"]
    kind = "client_credentials" if "client_credentials" in kinds else "token" if "token" in kinds else kinds[0]
    wide = {limit.name: limit.calls * 100 for limit in connector.limits}
    return Settings(
        values={"limits": wide, **told.get("settings", {}), **(more or {})},
        auth=told.get("auth") or {"kind": kind, **CREDENTIALS},
        webhooks=webhooks,
        streams=_streams(given),
        local=True,
    )


def _streams(given: Candidate) -> dict[str, dict[str, Json]]:
    """What the connection asks for: the fields that its mapping reads, as in production."""
    streams: dict[str, dict[str, Json]] = {name: dict(each) for name, each in given.told.get("streams", {}).items()}
    for mapping in given.mappings:
        wanted = streams.setdefault(mapping.source, {})
        wanted["fields"] = [*wanted.get("fields", ()), *mapping.remote_fields]
        wanted["associations"] = [*wanted.get("associations", ()), *mapping.associations]
    return streams
