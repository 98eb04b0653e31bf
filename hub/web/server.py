"""What the hub listens to: webhooks, website events, a health check, and the console.

Webhooks come first, and a wrong one learns nothing: every refusal is the same 404. Everything else is the console's
(hub.web.app); without one it is that 404, too.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.app.bootstrap import listen_fault, open_hub, start_logging
from hub.app.context import Hub
from hub.app.fleet import Fleet
from hub.app.health import health
from hub.app.service import Service
from hub.app.webhooks import BODY_LIMIT_BYTES, Receiver
from hub.app.worker import Worker
from hub.errors import HubError, NotFound, RetryLater, SignatureError
from hub.web.app import create_console
from hub.web.bodies import Poke, TooBig, body_of
from hub.web.screen import add_screen
from hub.web.tracking import add_tracking

GRACE_S = 5  # for calls under way when the hub stops


def create_app(hub: Hub, *, poke: Poke, console: FastAPI | None = None) -> FastAPI:
    """The web application over an open hub.

    Args:
        poke: told the connections that just got hints.
        console: serves every other path.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    receiver = Receiver(hub)

    @app.exception_handler(HTTPException)
    async def refuse(_request: Request, _error: HTTPException) -> Response:
        return _nothing()  # wrong path or wrong method: nobody learns which

    @app.get("/health")
    def get_health() -> Response:
        ok = health(hub)
        return Response(
            '{"status":"ok"}' if ok else '{"status":"down"}', 200 if ok else 503, media_type="application/json"
        )

    @app.post("/hooks/{connection}/{token}")
    async def hook(connection: str, token: str, request: Request) -> Response:
        if not receiver.knows(connection, token):
            return _nothing()
        try:
            body = await body_of(request, BODY_LIMIT_BYTES)
        except TooBig:
            return Response(status_code=413)
        except TimeoutError:
            return Response(status_code=408)
        headers = {name.lower(): value for name, value in request.headers.items()}
        return await run_in_threadpool(_take, receiver, poke, connection, token, headers, body, request.url.query)

    @app.get("/hooks/{connection}/{token}")
    def greeting(connection: str, token: str, request: Request) -> Response:
        try:
            said = receiver.greet(connection, token, request.query_params)
        except (NotFound, SignatureError):
            return _nothing()
        return Response(said, media_type="text/plain")

    add_tracking(app, receiver, poke)
    add_screen(app, hub)
    if console is not None:
        app.mount("/hooks", _silent)
        app.mount("/", console)
    app.add_middleware(_OneLength)
    return app


class _OneLength:
    """Refuses a request that says twice, and differently, where it ends (RFC 9112, section 6.1): a proxy in front may
    believe the other half, and what stands behind would be a request that it never saw.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope.get("headers", ())}
        if {b"content-length", b"transfer-encoding"} <= names:
            await Response(status_code=400, headers={"Connection": "close"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Below /hooks there is nothing but hooks."""
    await _nothing()(scope, receive, send)


def _nothing() -> Response:
    return Response("not found\n", status_code=404, media_type="text/plain")


def _take(
    receiver: Receiver, poke: Poke, connection: str, token: str, headers: dict[str, str], body: bytes, query: str
) -> Response:
    """2xx once it is stored; a refusal tells nothing; what may go through later asks to be sent again."""
    try:
        accepted = receiver.receive(connection, token, headers=headers, body=body, query=query)
    except NotFound:
        return _nothing()
    except SignatureError:
        return Response(status_code=401)
    except RetryLater:
        return Response(status_code=503, headers={"Retry-After": "5"})
    except HubError:
        return Response(status_code=503, headers={"Retry-After": "300"})
    if accepted.hints:
        poke([connection])
    return Response(status_code=200)


# Serving


def run_hub(folder: Path, *, host: str, port: int, ready: Callable[[str], None], jobs: int | None = None) -> int:
    """Run a project's hub until SIGTERM or Ctrl-C; gives the exit code.

    Args:
        ready: told the address once everything has started.
        jobs: None: this process does all the work. Else work goes into the queue that workers share (PostgreSQL), and
            this process takes so many jobs at a time itself.

    Raises:
        ConfigFault: what all connections share is broken, or the address cannot be listened on.
    """
    stop = threading.Event()
    _on_signals(stop)
    hub = open_hub(folder, publish=True)
    try:
        start_logging(hub)
        listening = listen(host, port)
        service = Service(hub, make_worker=Worker if jobs is None else partial(Fleet, at_once=jobs, ticks=True))
        app = create_app(hub, poke=service.poke, console=create_console(service))
        server = WebServer(app, listening)
        service.start()
        server.start()
        ready(f"http://{host}:{listening.getsockname()[1]}")
        stop.wait()
        server.stop()
        return 0 if service.stop() else 1
    finally:
        hub.store.close()


def _on_signals(stop: threading.Event) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ConfigFault CFG-053 if the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or asyncio would not switch Nagle off, and every answer would wait 40 ms for its last part.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # who calls before the server has started waits in the queue
    except OSError as error:
        listening.close()
        raise listen_fault(host, port, error.strerror or "refused") from None
    return listening


class WebServer:
    """uvicorn in a thread of its own, so that signals stay with us."""

    def __init__(self, app: FastAPI, listening: socket.socket) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", server_header=False,
            timeout_graceful_shutdown=GRACE_S, timeout_keep_alive=30,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._listening = listening
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    def _serve(self) -> None:
        self._server.run(sockets=[self._listening])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(GRACE_S + 1)
        self._listening.close()
