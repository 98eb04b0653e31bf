"""The console as one web application: its pages, its static files, the API, and what guards them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from hub.app.service import Service
from hub.errors import HubError, NotFound
from hub.web import (
    api_connections,
    api_desk,
    api_events,
    api_figures,
    api_identity,
    api_mappings,
    api_people,
    api_plans,
    api_records,
    api_rewards,
    api_triggers,
    audit,
    conflicts,
    connections,
    doors,
    figures,
    identity,
    mappings,
    operations,
    plans,
    records,
    reward_report,
    rewards,
    settings,
    triggers,
)
from hub.web.api import create_api
from hub.web.show import STATIC, asset, static
from hub.web.site import Ask, Route, Site, failed

TOPICS = (
    doors,
    conflicts,
    records,
    operations,
    connections,
    mappings,
    rewards,
    reward_report,
    triggers,
    identity,
    plans,
    figures,
    audit,
    settings,
)
# Importing each has put its calls on the router of the API.
CALLS = (
    *(api_connections, api_desk, api_events, api_figures, api_identity, api_mappings, api_people, api_plans),
    *(api_records, api_rewards, api_triggers),
)
ROUTES: tuple[Route, ...] = tuple(route for topic in TOPICS for route in topic.ROUTES.found)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would make browsers hide the Origin of our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
FOR_EVER = "public, max-age=31536000, immutable"


def create_console(service: Service) -> FastAPI:
    """Pages and API over a hub at work."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    site = Site(service=service)
    app.mount("/api/v1", create_api(service))
    app.add_route("/static/{name}", _static, methods=["GET"])
    for route in ROUTES:
        app.add_route(route.path, site.endpoint(route), methods=[route.method])

    @app.exception_handler(HTTPException)
    async def refuse(request: Request, error: HTTPException) -> Response:
        if error.status_code != 404:
            return PlainTextResponse(f"{error.detail}\n", error.status_code)
        return await run_in_threadpool(_nothing_here, site, request)

    @app.exception_handler(Exception)  # it is raised again once this was answered, so that it is in the log
    async def broken(request: Request, _error: Exception) -> Response:
        return _broken(site, request)

    app.add_middleware(Guarded)
    return app


def _nothing_here(site: Site, request: Request) -> Response:
    def say(ask: Ask) -> Response:
        return failed(ask, NotFound("there is no such page", where=request.url.path[:120], fix="look in the menu"))

    return site.shown_to(request, say)


def _broken(site: Site, request: Request) -> Response:
    """A bug. Nothing is asked of the store: it may be what broke."""
    error = HubError(
        "something went wrong in the hub itself", fix="try again; if it stays so, tell whoever runs the hub"
    )
    answer = failed(Ask(service=site.service, request=request, person=None, form=FormData()), error)
    answer.status_code = 500
    answer.headers.update(HEADERS)  # it is answered outside of what guards the others
    return answer


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return PlainTextResponse("not found\n", 404)
    fresh = asset(name).endswith(f"v={request.query_params.get('v', '')}")
    headers = {"Cache-Control": FOR_EVER if fresh else "no-cache"}
    return Response(static(name), media_type=STATIC[name][2], headers=headers)


class Guarded:
    """Says with every answer what browsers may do with it."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)
