"""Connections: how each is, adding one, trying it, running it now, putting it to rest, what may be written."""

from __future__ import annotations

from starlette.responses import Response

from hub.app import listings
from hub.app.connection_setup import MODE_TEXTS, add, connector_form, connector_forms, set_mode
from hub.app.overview import overview
from hub.app.pausing import pause, pause_of, resume
from hub.app.people import Right
from hub.app.runs import connection_of
from hub.app.webhooks import public_url, takes_webhooks
from hub.errors import ConfigFault, HubError
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


def _one(ask: Ask, tried: dict[str, object] | None = None, status: int = 200) -> Response:
    connection = connection_of(ask.hub, ask.path("name"))
    row = next(each for each in overview(ask.hub)["connections"] if each["connection"] == connection.name)
    limits = [
        {"name": limit.name, "calls": limit.calls, "per_s": limit.per_s, "unit": limit.unit}
        for limit in connection.connector.limits
    ]
    return ask.page(
        "connection.html", status, row=row, connection=connection, tried=tried, modes=MODE_TEXTS, limits=limits,
        paused=pause_of(ask.hub, connection.name), progress=ask.service.progress(connection.name),
        runs=listings.runs(ask.hub, connection=connection.name, limit=8),
        slots=listings.slots(ask.hub, connection=connection.name, limit=8), hooks=takes_webhooks(connection),
        public=public_url(ask.hub),
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


@ROUTES.post("/connections/{name}/mode", Right.CONFIGURE)
def mode(ask: Ask) -> Response:
    set_mode(ask.hub, ask.path("name"), ask.said("mode"), by=ask.by)
    ask.service.reload(by=ask.by)
    return ask.go(f"/connections/{ask.path('name')}", "mode")
