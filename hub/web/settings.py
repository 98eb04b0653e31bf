"""Settings, as hub.yaml has them; what a code means; help."""

from __future__ import annotations

from dataclasses import asdict

from starlette.responses import Response

from hub.app.about import about
from hub.app.reference_errors import meaning_of
from hub.errors import NotFound
from hub.web.site import Ask, Routes

ROUTES = Routes()


@ROUTES.get("/settings")
def show(ask: Ask) -> Response:
    project = ask.hub.projects
    own = asdict(project.settings.hub) if project is not None else {}
    faults = list(project.faults) if project is not None else []
    return ask.page(
        "settings.html",
        hub_settings=own,
        guards=ask.hub.guards,
        faults=faults,
        about=about(),
        instance=ask.hub.instance,
    )


@ROUTES.get("/codes/{code}")
def code(ask: Ask) -> Response:
    text, fix = meaning_of(ask.path("code"))
    if not text:
        raise NotFound("that is no code of the hub", where=ask.path("code")[:40], fix="codes of systems are their own")
    return ask.page("code.html", code=ask.path("code"), text=text, fix=fix)
