"""What tests of connectors share: a door to a twin or to recorded answers, change sets, webhooks as calls."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hub.connector import Connector, Page, Settings, WebhookEvent, WebhookRequest
from hub.model import ChangeSet, Json, PushResult, SourceRecord
from hub.runtime.clock import VirtualClock
from hub.runtime.http import HttpDoor, open_door
from hub.twins.kit import Twin
from hub.twins.kit import VirtualClock as TwinClock
from hub.twins.server import serve

NOW = 1_793_606_400.0  # 2026-11-02 08:00 UTC, where virtual clocks of twins begin


@dataclass(kw_only=True)
class Desk:
    """A connector at work on a twin."""

    connector: Connector
    twin: Any
    door: HttpDoor
    api: Any
    clock: VirtualClock
    settings: Settings

    def pull_all(self, stream: str, cursor: Json = None) -> tuple[list[SourceRecord], Json, list[Page]]:
        """All pages of one read: the records, the resting cursor, the pages."""
        records: list[SourceRecord] = []
        pages: list[Page] = []
        while True:
            page = self.connector.pull(self.api, stream, cursor)
            pages.append(page)
            records += page.records
            cursor = page.next_cursor
            assert cursor is not None
            if page.complete:
                return records, cursor, pages

    def push(self, stream: str, changes: Sequence[ChangeSet]) -> Sequence[PushResult]:
        assert self.connector.push is not None
        return self.connector.push(self.api, stream, changes)

    def fetch(self, stream: str, ids: Sequence[str]) -> Sequence[SourceRecord]:
        assert self.connector.fetch is not None
        return self.connector.fetch(self.api, stream, ids)

    def find(self, stream: str, name: str, value: str) -> Sequence[SourceRecord]:
        assert self.connector.find is not None
        return self.connector.find(self.api, stream, name, value)

    def parse(self, request: WebhookRequest) -> Sequence[WebhookEvent]:
        """A message, verified where the vendor signs."""
        assert self.connector.parse is not None
        if self.connector.verify is not None:
            self.connector.verify(self.settings, request)
        return self.connector.parse(self.settings, request)

    def calls(self) -> int:
        """Calls that left the hub so far."""
        return self.door.counts.total()

    def advance(self, seconds: float) -> None:
        """Both clocks."""
        self.clock.advance(seconds)
        self.twin.advance(seconds)

    def start_again(self) -> None:
        """A new process: the connector remembers nothing."""
        self.api = self.connector.connect(self.door, self.settings)


@contextmanager
def desk(connector: Connector, twin: Twin, *, clock: VirtualClock | None = None, **settings: Any) -> Iterator[Desk]:
    """Serve a twin and open the connector's door to it. `settings` are those of `Settings`, `auth` too."""
    given = Settings(**{"values": {}, "auth": {"kind": "token", "token": "twin-token"}, "local": True, **settings})
    clock = clock or VirtualClock(NOW)
    with serve(twin) as running:
        door: Any = None  # one that only listens gets none
        if not connector.only_listens:
            base_url, rng = running.base_url, random.Random(1)
            door = open_door(connector, given, account=connector.name, base_url=base_url, clock=clock, rng=rng)
        api = connector.connect(door, given)
        yield Desk(connector=connector, twin=twin, door=door, api=api, clock=clock, settings=given)


def twin_clock() -> TwinClock:
    return TwinClock(NOW)


def door_to(connector: Connector, base_url: str, settings: Settings) -> HttpDoor:
    """A door for recorded answers; waits take no time."""
    return open_door(
        connector, settings, account=connector.name, base_url=base_url, clock=VirtualClock(NOW), rng=random.Random(1)
    )


def change(op: str, body: Mapping[str, Json], external_id: str | None = None, **more: Any) -> ChangeSet:
    given = {"reference": "", "idempotency_key": "", **more}
    return ChangeSet(link_id=1, entity_id=1, op=op, external_id=external_id, values={}, before={}, body=body, **given)


def call_in(body: bytes, headers: Mapping[str, str], *, at: float = NOW) -> WebhookRequest:
    """An inbound call as the web hands it over."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return WebhookRequest(
        method="POST", url="https://hub.example.com/hooks/x", headers=lowered, body=body, received_at=at
    )


def messages_of(twin: Any, at: float = NOW) -> list[WebhookRequest]:
    """What a twin has sent, or tried to: its queue is sent once, to nobody."""
    twin.hooks.pump(force=True)
    return [call_in(sent.body.encode(), sent.headers, at=at) for sent in twin.hooks.log]
