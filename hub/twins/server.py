"""A twin on a socket: HTTP/1.1 on 127.0.0.1, one thread per connection, kept alive.

`POST /_twin/<action>` is the control endpoint: it plays the part of people at the vendor's own pages and of the test
that looks in. It asks for no sign-in, never counts as a call, and cannot be reached from another machine.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qs, unquote

import orjson

from hub.twins.kit import Request, Response, Twin, VirtualClock

Json = Any
log = logging.getLogger(__name__)

HOST = "127.0.0.1"
CONTROL = "/_twin/"
BODY_LIMIT_BYTES = 64 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, twin: Twin, port: int) -> None:
        self.twin = twin
        super().__init__((HOST, port), _Connection)


class _BadRequest(Exception):
    """The bytes are not HTTP we understand."""


class _Connection(socketserver.StreamRequestHandler):
    """One client's connection: requests are answered one after the other until it is closed."""

    rbufsize = 64 * 1024
    wbufsize = 256 * 1024
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        try:
            while self._serve_one():
                pass
        except (ConnectionError, TimeoutError, _BadRequest) as fault:
            log.debug("connection ended: %s", fault)

    def _serve_one(self) -> bool:
        line = self.rfile.readline(65_537)
        if not line.strip():
            return False
        try:
            method, target, version = line.decode("latin-1").split()
        except ValueError:
            raise _BadRequest(f"request line {line[:80]!r}") from None
        headers = self._headers()
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        path, _, query = target.partition("?")
        request = Request(
            method=method,
            path=unquote(path),
            query=parse_qs(query, keep_blank_values=True),
            headers=headers,
            body=self._body(headers),
            target=target,
        )
        response = self._answer(request)
        if response.delay_s:
            time.sleep(response.delay_s)
        if response.drop:
            self.connection.shutdown(socket.SHUT_RDWR)
            return False
        keep = version != "HTTP/1.0" and headers.get("connection", "").lower() != "close"
        return self._send(response, method, keep=keep and response.cut_after is None)

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while True:
            line = self.rfile.readline(65_537)
            if line in (b"\r\n", b"\n", b""):
                return headers
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        length = int(headers.get("content-length") or 0)
        if not 0 <= length <= BODY_LIMIT_BYTES:
            raise _BadRequest(f"body of {length} bytes")
        return self.rfile.read(length) if length else b""

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := int(self.rfile.readline(1024).split(b";")[0] or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline(8)
        self.rfile.readline(8)
        return b"".join(parts)

    def _answer(self, request: Request) -> Response:
        twin = self.server.twin
        try:
            if request.path.startswith(CONTROL):
                return control(twin, request)
            return twin.handle(request)
        except Exception:
            # A bug of the twin, not a simulated fault: say so loudly, so that no test takes it for one.
            log.exception("twin %s failed at %s %s", twin.name, request.method, request.path)
            return Response(status=599, headers={"Content-Type": "text/plain"}, body=b"bug in the twin")

    def _send(self, response: Response, method: str, *, keep: bool) -> bool:
        headers = {
            "Date": formatdate(self.server.twin.now(), usegmt=True),
            "Connection": "keep-alive" if keep else "close",
            **response.headers,
        }
        if response.status != 204:
            headers["Content-Length"] = str(len(response.body))
        reason = _REASONS.get(response.status, "Unknown")
        head = f"HTTP/1.1 {response.status} {reason}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        body = b"" if method == "HEAD" or response.status == 204 else response.body
        self.wfile.write(head.encode("latin-1") + b"\r\n" + body[: response.cut_after])
        self.wfile.flush()
        return keep


class RunningTwin:
    """A twin being served. `base_url` has no slash at its end."""

    def __init__(self, twin: Twin, server: _Server) -> None:
        self.twin = twin
        self.base_url = f"http://{HOST}:{server.server_address[1]}"
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(0.05,), name=f"twin-{twin.name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        stopping = threading.Thread(target=self._server.shutdown)
        stopping.start()
        with suppress(OSError):  # a caller wakes it, so that nobody waits for its next look round
            socket.create_connection((HOST, self._server.server_address[1]), timeout=1.0).close()
        stopping.join()
        self._server.server_close()
        self._thread.join()
        self.twin.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(twin: Twin, port: int = 0) -> RunningTwin:
    """Start serving on 127.0.0.1; port 0 takes a free one. Stop it with `.stop()` or as a context manager."""
    running = RunningTwin(twin, _Server(twin, port))
    twin.base_url = running.base_url
    return running


# --- control endpoint --------------------------------------------------------------------------------------------


def control(twin: Twin, request: Request) -> Response:
    """Run one control action; arguments and result are JSON. 400 with {"error"} if it cannot be done."""
    if request.headers.get("host", "").split(":")[0] not in (HOST, "localhost"):
        return Response.json({"error": "loopback only"}, 403)  # a page that points its own name at us stays out
    action = ACTIONS.get(request.path.removeprefix(CONTROL))
    if action is None or request.method != "POST":
        return Response.json({"error": f"POST to one of: {', '.join(sorted(ACTIONS))}"}, 404)
    try:
        result = action(twin, request.json())
    except (KeyError, TypeError, ValueError) as fault:
        return Response.json({"error": f"{type(fault).__name__}: {fault}"}, 400)
    return Response(headers={"Content-Type": "application/json"}, body=orjson.dumps({"result": result}))


def _clock(twin: Twin, payload: Json) -> Json:
    if payload.get("advance"):
        twin.advance(float(payload["advance"]))
    return {"now": twin.now(), "virtual": isinstance(twin.clock, VirtualClock)}


ACTIONS: dict[str, Callable[[Twin, Json], Json]] = {
    "about": lambda twin, p: {"name": twin.name, "streams": list(twin.streams), "base_url": twin.base_url},
    "load": lambda twin, p: twin.load(p["stream"], p["rows"]),
    "user_create": lambda twin, p: twin.user_create(**p),
    "user_edit": lambda twin, p: twin.user_edit(**p),
    "user_delete": lambda twin, p: twin.user_delete(**p),
    "user_restore": lambda twin, p: twin.user_restore(**p),
    "user_merge": lambda twin, p: twin.user_merge(**p),
    "user_action": lambda twin, p: twin.user_action(p["action"], **p.get("arguments", {})),
    "snapshot": lambda twin, p: twin.snapshot(p["stream"]),
    "faults": lambda twin, p: twin.set_faults(**p),
    "log": lambda twin, p: twin.calls(),
    "counts": lambda twin, p: twin.counts(),
    "set_webhook": lambda twin, p: twin.set_webhook(**p),
    "remove_webhook": lambda twin, p: twin.remove_webhook(**p),
    "pump": lambda twin, p: twin.pump(),
    "drain_hooks": lambda twin, p: twin.drain_hooks(),
    "hook_log": lambda twin, p: twin.hook_log(),
    "reset": lambda twin, p: twin.reset(),
    "clock": _clock,
}
