"""Every connector on its twin, found by scanning: no list to keep. A twin can be made to answer wrongly."""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import connectors
from hub.connector import Connector, Settings
from hub.kit.contract import Bench
from hub.runtime.http import open_door
from hub.twins import company
from hub.twins.kit import Request, Response
from hub.twins.server import serve
from tests.connectors.clocks import SharedClock
from tests.connectors.doors import twin_clock
from tests.shipped import connection_to

PEOPLE = 150
CREDENTIALS = {
    "token": "twin-token",
    "client_id": "twin-client",
    "client_secret": "twin-secret",
    "refresh_token": "twin-refresh",
    "username": "twin-token",
}
Tamper = Callable[[bytes], bytes | None]


def found_connectors() -> list[Connector]:
    """All of the `connectors` package."""
    modules = (importlib.import_module(f"connectors.{each.name}") for each in pkgutil.iter_modules(connectors.__path__))
    return [_with_streams(module.CONNECTOR) for module in modules]


def _with_streams(connector: Connector) -> Connector:
    """Where each connection describes its own: as the connection to its twin does."""
    told = connection_to(connector.name)
    if not told:
        return connector
    given = Settings(values=told.get("settings", {}), auth={}, streams=told.get("streams", {}))
    if connector.tailored is not None:
        return connector.tailored(given)
    return replace(connector, streams=connector.streams_for(given)) if connector.streams_for is not None else connector


def remote_connectors() -> list[Connector]:
    """Those that speak to a vendor."""
    return [
        connector
        for connector in found_connectors()
        if not (connector.local_files or connector.local_programs or connector.mail)
    ]


@lru_cache
def people() -> company.Company:
    systems = {connector.name for connector in remote_connectors()} - set(company.PRESENCE)
    return company.generate(seed=5, people=PEOPLE, also=sorted(systems))


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


@contextmanager
def bench(
    connector: Connector, *, wrap: Callable[[Any], Any] = lambda twin: twin, filled: bool = True, **options: Any
) -> Iterator[Bench]:
    """A connector at work on its twin, which knows the same 150 people as all others."""
    module = importlib.import_module(f"hub.twins.{connector.name}")
    twin = module.make(**{"clock": twin_clock(), "auto_hooks": False, "limit_scale": 100.0, **options})
    if filled:
        company.fill(people(), {connector.name: twin})
    given = settings_for(connector)
    served = wrap(twin)
    with serve(served) as running:
        if connector.only_listens:
            yield Bench(connector=connector, api=connector.connect(None, given), vendor=served, calls=lambda: 0)
            return
        door = open_door(
            connector,
            given,
            account=connector.name,
            base_url=running.base_url,
            clock=SharedClock(twin),
            rng=random.Random(1),
        )
        yield Bench(
            connector=connector, api=connector.connect(door, given), vendor=served, calls=lambda: door.counts.total()
        )


def settings_for(connector: Connector, **webhooks: str) -> Settings:
    told = connection_to(connector.name)
    kinds = [auth.kind for auth in connector.auth] or ["none"]
    kind = "client_credentials" if "client_credentials" in kinds else "token" if "token" in kinds else kinds[0]
    return Settings(
        values={"limits": {limit.name: limit.calls * 100 for limit in connector.limits}, **told.get("settings", {})},
        auth=told.get("auth") or {"kind": kind, **CREDENTIALS},
        webhooks=webhooks,
        streams=told.get("streams", {}),
        local=True,
    )
