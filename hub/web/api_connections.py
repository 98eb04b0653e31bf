"""How connections are set up, for programs: a part of hub.web.api."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, Field, SecretStr

from hub.app import backfill, connection_setup, listings, pausing, schedules, webhook_setup
from hub.app.connection_case import connection_case
from hub.app.past import parse_moment
from hub.app.runs import connection_of
from hub.web.api import ROUTER, Admin, Body, Hubs, Name, Reader, Runner, Word, closed

Day = Annotated[str | None, Query(max_length=40, description="A day or a moment, ISO 8601; none: from the beginning.")]


class Mode(BaseModel):
    """What may be done at a system."""

    model_config = closed({"mode": "observe"})
    mode: Literal["observe", "propose", "canary", "live"]


Duration = Annotated[str, Field(max_length=40)]
CronLine = Annotated[str, Field(max_length=200, description="Minute, hour, day, month, weekday: 0 6 * * 1-5.")]
Zone = Annotated[str, Field(max_length=80, description="Of `cron`; none: the hub's own.")]


class Rhythm(BaseModel):
    """When one stream is read; nothing: when the connection is."""

    model_config = closed({"every": "30s"}, {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}, {})
    every: Duration = ""
    cron: CronLine = ""
    timezone: Zone = ""


class Schedule(BaseModel):
    """When a system is read, at intervals or by the calendar, and how often compared; what is left out stays."""

    model_config = closed(
        {"every": "5m", "sweep": "7d"}, {"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"},
        {"streams": {"users": {"cron": "0 3 * * *"}, "contacts": {"every": "30s"}, "companies": {}}},
    )  # fmt: skip
    every: Duration = Field(default="", description="Between two reads: 30s, 5m, 1h30m, 7d.")
    cron: CronLine = ""
    timezone: Zone = ""
    sweep: Duration = Field(default="", description="Between two comparisons of everything.")
    streams: dict[Annotated[str, Field(max_length=80)], Rhythm] = Field(default={}, max_length=100)


class Again(BaseModel):
    """What is read again; nothing: all streams, from the beginning."""

    model_config = closed({"stream": "contacts", "since": "2026-11-01"}, {})
    stream: str | None = Field(default=None, max_length=80)
    since: str | None = Field(default=None, max_length=40, description="A day or a moment, ISO 8601.")


class Secret(BaseModel):
    """What a vendor signs its webhooks with."""

    model_config = closed({"secret": "whsec_…"})
    secret: str = Field(min_length=1, max_length=4000)


class Credentials(BaseModel):
    """Credentials in the place of those that are kept."""

    model_config = closed({"credentials": {"token": "pat-eu1-…"}})
    credentials: dict[Annotated[str, Field(max_length=80)], SecretStr] = Field(
        min_length=1, max_length=40, description="Kept encrypted; never shown, logged or written into a file."
    )


class NewConnection(BaseModel):
    """A connection to be added. Its form tells what it needs: /connectors/{connector}."""

    model_config = closed(
        {
            "name": "crm", "connector": "hubspot", "kind": "token", "credentials": {"token": "pat-eu1-…"},
        },
        {"name": "orders", "connector": "csv", "settings": {"folder": "data/orders"}},
    )  # fmt: skip
    name: str = Field(min_length=1, max_length=80)
    connector: str = Field(min_length=1, max_length=80)
    kind: str = Field(default="", max_length=80, description="How one signs in, of the form's `auth`.")
    credentials: dict[Annotated[str, Field(max_length=80)], SecretStr] = Field(
        default={}, max_length=40, description="Kept encrypted; never shown, logged or written into a file."
    )
    settings: dict[Annotated[str, Field(max_length=80)], Annotated[str, Field(max_length=4000)]] = Field(
        default={}, max_length=80
    )
    base_url: str = Field(default="", max_length=400, description="Of a system that stands somewhere else.")


@ROUTER.get("/connectors")
def get_connectors(_: Admin) -> list[Body]:
    """Every connector that is installed: its streams, how one signs in, its settings."""
    return connection_setup.connector_forms()


@ROUTER.get("/connectors/{connector}")
def get_connector(_: Admin, connector: Name) -> Body:
    """What adding a connection of one connector needs."""
    return connection_setup.connector_form(connector)


@ROUTER.get("/connections")
def get_connections(service: Hubs, _: Reader) -> list[Body]:
    """Every connection, with what waits there."""
    return listings.connections(service.hub)


@ROUTER.post("/connections", status_code=201)
def add_connection(service: Hubs, person: Admin, it: NewConnection) -> Body:
    """Add a connection, in mode observe: it is read, and nothing is written to it. Takes effect at once."""
    credentials = {key: value.get_secret_value() for key, value in it.credentials.items()}
    connection_setup.add(
        service.hub, it.name, it.connector, kind=it.kind, credentials=credentials, settings=it.settings,
        base_url=it.base_url, by=person.name,
    )  # fmt: skip
    service.reload(by=person.name)
    return {"connection": it.name, "mode": service.hub.connections[it.name].mode}


@ROUTER.get("/connections/{connection}")
def get_connection(service: Hubs, _: Reader, connection: Name) -> Body:
    """One connection: how it is, its schedule, limits, webhooks, and what it did last."""
    return connection_case(service, connection)


@ROUTER.get("/connections/{connection}/progress")
def get_progress(service: Hubs, _: Reader, connection: Name) -> Body:
    """What the run of a connection is at; null in `run`: none is going on."""
    return {"run": service.progress(connection)}


@ROUTER.post("/connections/{connection}/run", status_code=202)
def run_now(service: Hubs, person: Runner, connection: Name) -> Body:
    """Read and write one connection now."""
    service.run_now(connection, by=person.name)
    return {"begun": True}


@ROUTER.post("/connections/{connection}/pause")
def pause(service: Hubs, person: Runner, connection: Name) -> Body:
    """Put a connection to rest."""
    pausing.pause(service.hub, connection, by=person.name)
    return {"paused": True}


@ROUTER.post("/connections/{connection}/resume")
def resume(service: Hubs, person: Runner, connection: Name) -> Body:
    """Let a connection run again."""
    pausing.resume(service.hub, connection, by=person.name)
    service.poke([connection])
    return {"paused": False}


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
    schedules.set_schedule(
        service.hub, connection, every=it.every, cron=it.cron, timezone=it.timezone, sweep=it.sweep,
        streams={stream: each.model_dump() for stream, each in it.streams.items()}, by=person.name,
    )  # fmt: skip
    service.reload(by=person.name)
    return schedules.schedule(service.hub, connection)


@ROUTER.get("/connections/{connection}/backfill")
def get_backfill(service: Hubs, _: Runner, connection: Name, stream: Word = None, since: Day = None) -> Body:
    """What reading a system again would take of its limits."""
    at = parse_moment(since) if since else None
    return backfill.backfill_cost(service.hub, connection, stream=stream, since=at)


@ROUTER.post("/connections/{connection}/backfill", status_code=202)
def read_again(service: Hubs, person: Runner, connection: Name, it: Again) -> Body:
    """Read a system again: with a run that begins now, or with the one that follows the present one."""
    at = parse_moment(it.since) if it.since else None
    return service.read_again(connection, stream=it.stream, since=at, by=person.name)


@ROUTER.post("/connections/{connection}/credentials")
def renew_credentials(service: Hubs, person: Admin, connection: Name, it: Credentials) -> Body:
    """Keep other credentials in the place of those that are kept encrypted; what is not named stays as it is."""
    given = {key: value.get_secret_value() for key, value in it.credentials.items()}
    kept = connection_setup.renew_credentials(service.hub, connection, given, by=person.name)
    service.reload(by=person.name)
    return {"kept": kept}


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
