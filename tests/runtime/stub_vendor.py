"""A vendor of a few lines: a local server that answers what a test scripted, and a door to it."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hub.connector import Auth, Connector, Page, RateLimit
from hub.runtime.calls import Bounds
from hub.runtime.clock import Clock, VirtualClock
from hub.runtime.http import HttpDoor

Answer = tuple[int, dict[str, str], bytes]
CUT, SILENT, DRIP = "cut", "silent", "drip"  # half of the body, nothing at all, a byte now and then


class StubVendor(ThreadingHTTPServer):
    """Answers one after the other from `script`; then `last` for ever. Keeps every request."""

    daemon_threads = True

    def __init__(self, *script: Answer | str | Callable[[], Answer], last: Answer = (200, {}, b"{}")) -> None:
        self.script: list[Any] = list(script)
        self.last = last
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next(self) -> Any:
        with self.lock:
            answer = self.script.pop(0) if self.script else self.last
        return answer() if callable(answer) else answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StubVendor

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, body))
        answer = self.server.next()
        if answer == SILENT:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, extra, payload = (200, {}, b'{"half": true}') if answer in (CUT, DRIP) else answer
        self.send_response_only(status)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        with suppress(OSError):  # the door hung up in the middle, as some tests want
            self.end_headers()
            if answer == DRIP:
                self._drip(payload)
            self.wfile.write(payload[: len(payload) // 2] if answer == CUT else payload)
        if answer == CUT:
            self.close_connection = True

    def _drip(self, payload: bytes) -> None:
        for byte in payload:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            self.server.stopping.wait(0.1)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def vendor(*script: Any, **more: Any) -> Iterator[StubVendor]:
    server = StubVendor(*script, **more)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()


def connector(**more: Any) -> Connector:
    given: dict[str, Any] = {
        "name": "stub",
        "title": "Stub",
        "base_url": "",
        "hosts": ("api.vendor.example", ".shops.vendor.example"),
        "auth": (Auth(kind="token"),),
        "limits": (RateLimit(name="burst", calls=1000, per_s=1),),
        "streams": (),
        "connect": lambda door, settings: door,
        "check": lambda api: {},
        "discover": lambda api, stream: (),
        "pull": lambda api, stream, cursor: Page(records=(), next_cursor=None, complete=True),
    }
    return Connector(**{**given, **more})


def door_to(base_url: str, *, clock: Clock | None = None, **more: Any) -> HttpDoor:
    """A door with a virtual clock and short time-outs; `of` names another connector."""
    given: dict[str, Any] = {
        "account": "stub",
        "auth": Auth(kind="token"),
        "credentials": {"token": "tok-secret-1"},
        "local": base_url.startswith("http://"),
        "rng": random.Random(7),
        "bounds": Bounds(connect_s=0.5, read_s=0.5, total_s=2.0),
    }
    of = more.pop("of", None) or connector()
    return HttpDoor(of, base_url=base_url, clock=clock or VirtualClock(), **{**given, **more})
