"""A hub's side of webhooks, and the door through which a vendor's SDK reaches a twin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter


class Receiver:
    """Answers each post with the next of `answers` (status, body), then with 200; keeps what came."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.default = (200, b"")
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.headers.append(dict(self.headers.items()))
                receiver.paths.append(self.path)
                status, body = receiver.answers.pop(0) if receiver.answers else receiver.default
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hooks"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


class Gateway(HTTPAdapter):
    """Sends whatever host a SDK names to one base url on this machine."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        super().__init__()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(request.url)
        request.url = self.base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        kwargs["timeout"] = kwargs.get("timeout") or 10
        return super().send(request, *args, **kwargs)


def session_to(base_url: str) -> requests.Session:
    """A session whose https:// calls all go to `base_url`."""
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", Gateway(base_url))
    return session


@pytest.fixture
def gateway() -> Any:
    return session_to
