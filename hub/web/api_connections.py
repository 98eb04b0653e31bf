"""How connections are set up, for programs: a part of hub.web.api."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from hub.app import backfill, connection_setup, listings, webhook_setup
from hub.app.past import parse_moment
from hub.app.runs import connection_of
from hub.errors import RetryLater
from hub.web.api import ROUTER, Admin, Body, Hubs, Name, Reader, Runner, Word

Day = Annotated[str | None, Query(max_length=40, description="A day or a moment, ISO 8601; none: from the beginning.")]


class Mode(BaseModel):
    """What may be done at a system."""

    model_config = ConfigDict(extra="forbid")
    mode: Literal["observe", "propose", "canary", "live"]


class Schedule(BaseModel):
    """How often; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    every: str = Field(default="", max_length=40, description="Between two reads: 30s, 5m, 1h30m, 7d.")
    sweep: str = Field(default="", max_length=40, description="Between two comparisons of everything.")


class Again(BaseModel):
    """What is read again; nothing: all streams, from the beginning."""

    model_config = ConfigDict(extra="forbid")
    stream: str | None = Field(default=None, max_length=80)
    since: str | None = Field(default=None, max_length=40, description="A day or a moment, ISO 8601.")


class Secret(BaseModel):
    """What a vendor signs its webhooks with."""

    model_config = ConfigDict(extra="forbid")
    secret: str = Field(min_length=1, max_length=4000)


@ROUTER.post("/connections/{connection}/test")
def try_connection(service: Hubs, _: Runner, connection: Name) -> Body:
    """Speak to a system once."""
    connection_of(service.hub, connection)
    (found,) = listings.try_all(service.hub, [connection])
    return found


@ROUTER.post("/connections/{connection}/mode")
def set_mode(service: Hubs, person: Admin, connection: Name, it: Mode) -> Body:
    """Say what may be done at a system; takes effect at once."""
    connection_setup.set_mode(service.hub, connection, it.mode, by=person.name)
    service.reload(by=person.name)
    return {"mode": it.mode}


@ROUTER.post("/connections/{connection}/schedule")
def set_schedule(service: Hubs, person: Admin, connection: Name, it: Schedule) -> Body:
    """Say how often a system is read, and compared whole; takes effect at once."""
    connection_setup.set_schedule(service.hub, connection, every=it.every, sweep=it.sweep, by=person.name)
    service.reload(by=person.name)
    return dict(connection_setup.schedule(service.hub, connection))


@ROUTER.get("/connections/{connection}/backfill")
def get_backfill(service: Hubs, _: Runner, connection: Name, stream: Word = None, since: Day = None) -> Body:
    """What reading a system again would take of its limits."""
    at = parse_moment(since) if since else None
    return backfill.backfill_cost(service.hub, connection, stream=stream, since=at)


@ROUTER.post("/connections/{connection}/backfill", status_code=202)
def read_again(service: Hubs, person: Runner, connection: Name, it: Again) -> Body:
    """Read a system again: with a run that begins now, or with the one that follows the present one."""
    at = parse_moment(it.since) if it.since else None
    asked = backfill.ask_backfill(service.hub, connection, stream=it.stream, since=at, by=person.name)
    try:
        service.run_now(connection, by=person.name)
    except RetryLater:
        return {**asked, "begun": False}
    return {**asked, "begun": True}


@ROUTER.get("/connections/{connection}/webhooks")
def get_webhooks(service: Hubs, _: Reader, connection: Name) -> Body:
    """Whether a system's webhooks can come, and whether they do."""
    return webhook_setup.webhook_state(service.hub, connection)


@ROUTER.post("/connections/{connection}/webhooks/address")
def get_address(service: Hubs, person: Admin, connection: Name) -> Body:
    """The address to enter at the system. It is a secret, and that it was asked for is noted."""
    return {"url": webhook_setup.webhook_address(service.hub, connection, by=person.name)}


@ROUTER.post("/connections/{connection}/webhooks/subscribe")
def subscribe(service: Hubs, person: Admin, connection: Name) -> Body:
    """Have a system send its webhooks here, or do so once more."""
    made = webhook_setup.subscribe_here(service.hub, connection, by=person.name)
    service.reload(by=person.name)
    return made


@ROUTER.post("/connections/{connection}/webhooks/secret")
def set_secret(service: Hubs, person: Admin, connection: Name, it: Secret) -> Body:
    """Keep what a system signs its webhooks with."""
    webhook_setup.set_webhook_secret(service.hub, connection, it.secret, by=person.name)
    service.reload(by=person.name)
    return {"kept": True}
