"""The door in the shapes that vendors' SDKs know: a requests.Session, and urllib3's PoolManager.request.

An SDK's call keeps its own headers (preconditions too) and body; scheme and Authorization become the connection's. A
label (`hub.connector.call_label`) says what it is for and never leaves the hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from hub.connector import CALL_HEADER, HttpResponse
from hub.kit.statuses import ABOUT_THE_RECORD
from hub.runtime.addresses import refuse
from hub.runtime.calls import Call

_DROPPED = frozenset({CALL_HEADER.lower(), "authorization", "content-length", "cookie"})
_REBUILT = frozenset({"content-encoding", "content-length", "transfer-encoding"})  # the body is decoded and whole


class Exchange(Protocol):
    """What a front needs of the door."""

    account: str
    base_url: str

    def same_host(self, url: str) -> bool:
        """Whether a URL is on the connection's host."""
        ...

    def exchange(self, call: Call) -> HttpResponse:
        """Carry out one call."""
        ...


def _call(door: Exchange, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Call:
    """A call of an SDK as a call of the door. Raises ConfigFault if it goes anywhere else."""
    if not door.same_host(url):
        raise refuse("an SDK wants to leave the connection's host", door.account, "report this; nothing was sent")
    base, wanted = urlsplit(door.base_url), urlsplit(url)
    method = method.upper()
    label = next((value for name, value in headers.items() if name.lower() == CALL_HEADER.lower()), "")
    operation, way, cost = label.split(";") if label else (method.lower(), "", "1")
    return Call(
        method=method,
        url=wanted._replace(scheme=base.scheme).geturl(),
        operation=operation,
        headers={name: value for name, value in headers.items() if name.lower() not in _DROPPED},
        body=body,
        writes=way == "write" if way else method not in ("GET", "HEAD"),
        cost=int(cost),
        leave=ABOUT_THE_RECORD,
    )


def _answer(answer: HttpResponse) -> urllib3.HTTPResponse:
    headers = {name: value for name, value in answer.headers.items() if name not in _REBUILT}
    return urllib3.HTTPResponse(
        body=BytesIO(answer.body), headers=headers, status=answer.status, preload_content=False, decode_content=False
    )


class _DoorAdapter(HTTPAdapter):
    """Transport of a session: hands every prepared request to the door."""

    def __init__(self, door: Exchange) -> None:
        super().__init__(max_retries=0)
        self._door = door

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        body = request.body.encode() if isinstance(request.body, str) else request.body
        headers = {str(name): str(value) for name, value in request.headers.items()}
        call = _call(self._door, request.method or "GET", request.url or "", headers, body)
        return self.build_response(request, _answer(self._door.exchange(call)))


def door_session(door: Exchange) -> requests.Session:
    """A session for SDKs built on requests (simple-salesforce, stripe)."""
    session = requests.Session()
    session.trust_env = False
    adapter = _DoorAdapter(door)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class DoorPool:
    """Stands where a generated SDK keeps its PoolManager (`rest_client.pool_manager`)."""

    def __init__(self, door: Exchange) -> None:
        self._door = door

    def request(
        self,
        method: str,
        url: str,
        fields: Any = None,
        headers: Mapping[str, str] | None = None,
        body: str | bytes | None = None,
        **_: Any,
    ) -> urllib3.HTTPResponse:
        """As urllib3: `fields` go into the query. Time-outs and preloading are the door's."""
        if fields:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(fields)}"
        sent = {name: str(value) for name, value in (headers or {}).items()}
        call = _call(self._door, method, url, sent, body.encode() if isinstance(body, str) else body)
        return _answer(self._door.exchange(call))
