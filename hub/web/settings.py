"""Settings, as hub.yaml has them; what a code means; help."""

from __future__ import annotations

from starlette.responses import Response

from hub.app.about import about
from hub.app.reference_errors import meaning_of
from hub.app.settings_case import settings_case
from hub.errors import NotFound
from hub.web.site import Ask, Routes

ROUTES = Routes()


@ROUTES.get("/settings")
def show(ask: Ask) -> Response:
    return ask.page("settings.html", about=about(), **settings_case(ask.hub))


@ROUTES.get("/codes/{code}")
def code(ask: Ask) -> Response:
    text, fix = meaning_of(ask.path("code"))
    if not text:
        raise NotFound("that is no code of the hub", where=ask.path("code")[:40], fix="codes of systems are their own")
    return ask.page("code.html", code=ask.path("code"), text=text, fix=fix)
