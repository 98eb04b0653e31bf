"""Connections: how each is, adding one, trying it, running it now, putting it to rest, what may be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from hub.app import listings
from hub.app.backfill import backfill_cost
from hub.app.connection_case import connection_case
from hub.app.connection_setup import (
    MODE_TEXTS,
    add,
    connector_form,
    connector_forms,
    renew_credentials,
    set_mode,
)
from hub.app.overview import overview
from hub.app.pausing import pause, resume
from hub.app.people import Right
from hub.app.runs import connection_of
from hub.app.schedules import KEYS, set_schedule
from hub.app.webhook_setup import set_webhook_secret, subscribe_here, webhook_address
from hub.errors import ConfigFault, HubError
from hub.web.confirm import unsure
from hub.web.show import several, span
from hub.web.site import Ask, Routes, status_of

ROUTES = Routes()


@ROUTES.get("/connections")
def all_of_them(ask: Ask) -> Response:
    return ask.page("connections.html", rows=overview(ask.hub)["connections"])


@ROUTES.get("/connections/add", Right.CONFIGURE)
def choose(ask: Ask) -> Response:
    connector = ask.query("connector")
    if connector is None:
        return ask.page("connector_choice.html", forms=connector_forms())
    return _form(ask, connector)


def _form(ask: Ask, connector: str, error: HubError | None = None) -> Response:
    form = connector_form(connector)
    kind = ask.said("kind") or ask.query("kind") or (form["auth"][0]["kind"] if form["auth"] else "")
    typed = {name: ask.said(name) for name in ask.form if name.startswith(("setting.", "open."))}
    return ask.page(
        "connection_add.html", status_of(error) if error else 200, form=form, kind=kind, error=error, typed=typed,
        auth=next((auth for auth in form["auth"] if auth["kind"] == kind), None),
        faults=error.faults if isinstance(error, ConfigFault) else (), name=ask.said("name") or connector,
        base_url=ask.said("base_url"),
    )  # fmt: skip


@ROUTES.post("/connections/add", Right.CONFIGURE)
def keep(ask: Ask) -> Response:
    connector, name = ask.said("connector"), ask.said("name").strip()
    form = ask.form
    credentials = {
        key.partition(".")[2]: ask.said(key) for key in form if key.startswith(("secret.", "open."))
    }  # fmt: skip
    settings = {key.removeprefix("setting."): ask.said(key) for key in form if key.startswith("setting.")}
    try:
        add(
            ask.hub, name, connector, kind=ask.said("kind"), credentials=credentials, settings=settings,
            base_url=ask.said("base_url"), by=ask.by,
        )  # fmt: skip
        ask.service.reload(by=ask.by)
    except HubError as error:
        return _form(ask, connector, error)
    return ask.go(f"/connections/{name}", "added")


@ROUTES.get("/connections/{name}")
def one(ask: Ask) -> Response:
    return _one(ask)


def _one(
    ask: Ask, tried: dict[str, object] | None = None, error: HubError | None = None, address: str = ""
) -> Response:
    it = connection_case(ask.service, ask.path("name"))
    if error is not None and "sweep" in ask.form:  # what was typed into the schedule is still there
        it["schedule"] |= {key: ask.said(key) for key in (*KEYS, "sweep")}
        said = _said_of_streams(ask)
        it["schedule"]["streams"] = [each | said.get(each["stream"], {}) for each in it["schedule"]["streams"]]
    return ask.page(
        "connection.html", status_of(error) if error else 200, connection=connection_of(ask.hub, ask.path("name")),
        tried=tried, modes=MODE_TEXTS, error=error, faults=error.faults if isinstance(error, ConfigFault) else (),
        address=address, **it,
    )  # fmt: skip


@ROUTES.get("/connections/{name}/progress")
def progress(ask: Ask) -> Response:
    name = ask.path("name")
    last = next(iter(listings.runs(ask.hub, connection=name, limit=1)), None)
    return ask.page("progress.html", progress=ask.service.progress(name), name=name, last=last)


@ROUTES.post("/connections/{name}/run", Right.RUN)
def run_now(ask: Ask) -> Response:
    name = ask.path("name")
    ask.service.run_now(name, by=ask.by)
    return ask.go(f"/connections/{name}", "run")


@ROUTES.post("/connections/{name}/test", Right.RUN)
def test(ask: Ask) -> Response:
    connection_of(ask.hub, ask.path("name"))
    (found,) = listings.try_all(ask.hub, [ask.path("name")])
    return _one(ask, found)


@ROUTES.post("/connections/{name}/pause", Right.RUN)
def rest(ask: Ask) -> Response:
    pause(ask.hub, ask.path("name"), by=ask.by)
    return ask.go(f"/connections/{ask.path('name')}", "paused")


@ROUTES.post("/connections/{name}/resume", Right.RUN)
def wake(ask: Ask) -> Response:
    resume(ask.hub, ask.path("name"), by=ask.by)
    ask.service.poke([ask.path("name")])
    return ask.go(f"/connections/{ask.path('name')}", "resumed")


@ROUTES.post("/connections/{name}/credentials", Right.CONFIGURE)
def sign_in_anew(ask: Ask) -> Response:
    """Other credentials in the place of those that are kept, such as after a mistake or once they expired."""
    name = ask.path("name")
    given = {key.removeprefix("secret."): ask.said(key) for key in ask.form if key.startswith("secret.")}
    try:
        renew_credentials(ask.hub, name, given, by=ask.by)
    except ConfigFault as error:
        return _one(ask, error=error)
    ask.service.reload(by=ask.by)
    return ask.go(f"/connections/{name}", "credentials")


@ROUTES.post("/connections/{name}/mode", Right.CONFIGURE)
def mode(ask: Ask) -> Response:
    set_mode(ask.hub, ask.path("name"), ask.said("mode"), by=ask.by)
    ask.service.reload(by=ask.by)
    return ask.go(f"/connections/{ask.path('name')}", "mode")


# Schedule


@ROUTES.post("/connections/{name}/schedule", Right.CONFIGURE)
def reschedule(ask: Ask) -> Response:
    name = ask.path("name")
    try:
        own = {key: ask.said(key) for key in (*KEYS, "sweep")}
        set_schedule(ask.hub, name, **own, streams=_said_of_streams(ask), by=ask.by)
        ask.service.reload(by=ask.by)
    except ConfigFault as error:
        return _one(ask, error=error)
    return ask.go(f"/connections/{name}", "schedule")


def _said_of_streams(ask: Ask) -> dict[str, dict[str, str]]:
    """stream -> what was typed beside it: "every.contacts", "cron.contacts"."""
    found: dict[str, dict[str, str]] = {}
    for field in ask.form:
        key, dot, stream = field.partition(".")
        if dot and key in KEYS:
            found.setdefault(stream, {"own": "yes"})[key] = ask.said(field)
    return found


# Reading again


@ROUTES.post("/connections/{name}/backfill", Right.RUN)
def read_again(ask: Ask) -> Response:
    """Says first what it takes of the system's limits; begins at once, or with the run that follows the present one."""
    name, stream = ask.path("name"), ask.said("stream") or None
    try:
        since = ask.times.read(ask.said("since")).at if ask.said("since") else None
        cost = backfill_cost(ask.hub, name, stream=stream, since=since)
    except HubError as error:
        return _one(ask, error=error)
    asked = unsure(
        ask, title=f"Read {name} again?", back=f"/connections/{name}", button="Read it again",
        texts=_price(cost, whole=since is None),
    )  # fmt: skip
    if asked is not None:
        return asked
    ask.service.read_again(name, stream=stream, since=since, by=ask.by)
    return ask.go(f"/connections/{name}", "backfill")


def _price(cost: Mapping[str, Any], *, whole: bool) -> list[str]:
    """What reading again means and takes, a paragraph each."""
    texts = [
        f"{row['stream']}: {_beginning(row['from'], whole=whole)}; {row['records']:,} "
        f"{several('record', row['records'])} known, {row['calls']:,} {several('call', row['calls'])} "
        f"{'at least' if whole else 'at most'}."
        for row in cost["streams"]
    ]
    for limit in cost["limits"]:
        whole_limit = f"{limit['allowed']:,} in {span(limit['per_s'])}"
        texts.append(f"That is {limit['share'] * 100:.1f} % of the limit {limit['limit']}, {whole_limit}.")
    took = f"{cost['minutes']:g} minutes at least" if cost["minutes"] else "no waiting for the system’s limits"
    texts.append(f"Together {cost['calls']:,} {several('call', cost['calls'])}, {took}.")
    if any(row["from"] is None for row in cost["streams"]):
        texts.append(
            "Whoever is read from the beginning is read as at first: old purchases and sign-ups bring no rewards, and "
            "nothing is created there until all of it was read. What is known and unchanged stays as it is."
        )
    return texts


def _beginning(start: str | None, *, whole: bool) -> str:
    if start is None:
        return "from its beginning" if whole else "from its beginning, since nobody noted where reading rested then"
    return f"from where reading rested on {start[:10]}"


# Webhooks


@ROUTES.post("/connections/{name}/webhooks/address", Right.CONFIGURE)
def show_address(ask: Ask) -> Response:
    """The address is a secret: it is shown when it is asked for, to those who set connections up, and that is noted."""
    try:
        return _one(ask, address=webhook_address(ask.hub, ask.path("name"), by=ask.by))
    except ConfigFault as error:
        return _one(ask, error=error)


@ROUTES.post("/connections/{name}/webhooks/subscribe", Right.CONFIGURE)
def tell_system(ask: Ask) -> Response:
    name = ask.path("name")
    connection_of(ask.hub, name)
    try:
        subscribe_here(ask.hub, name, by=ask.by)
        ask.service.reload(by=ask.by)
    except HubError as error:
        return _one(ask, error=error)
    return ask.go(f"/connections/{name}", "subscribed")


@ROUTES.post("/connections/{name}/webhooks/secret", Right.CONFIGURE)
def keep_webhook_secret(ask: Ask) -> Response:
    name = ask.path("name")
    connection_of(ask.hub, name)
    try:
        set_webhook_secret(ask.hub, name, ask.said("secret"), by=ask.by)
        ask.service.reload(by=ask.by)
    except HubError as error:
        return _one(ask, error=error)
    return ask.go(f"/connections/{name}", "hook-secret")
