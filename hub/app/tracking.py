"""The tracking API: calls of Segment libraries, as the libraries send them.

A call names its connection by a write key: the user of Basic, or `writeKey` in the body. The key is in every page that
the library runs in, so it proves nothing; what it lets in is stored like any webhook, under the messages' own ids, and
answered as Segment does: 200 for whatever could be read, unfit messages too (they wait in quarantine), 400 for what
cannot be read at all. Senders repeat 5xx and nothing else, so 503 is said where the same call may go through later.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from hub.app.webhooks import Receiver
from hub.errors import HubError, RecordRejected, RetryLater
from hub.model import Json

MOST_BYTES = 500 * 1024  # of a call, packed or unpacked ("HTTP API source", limits)
LETTERS = frozenset("itpsgab")  # what browsers call identify, track, page, screen, group, alias, batch
CALLS = frozenset({"identify", "track", "page", "screen", "group", "alias", "batch"}) | LETTERS
UNUSED = frozenset({"m", "metrics"})  # what libraries measure of themselves
DONE: Mapping[str, Json] = {"success": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the sender is told."""

    status: int
    body: Json
    connection: str = ""  # that got something to work on
    after_s: int = 0


def track(receiver: Receiver, call: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
    """Take one call.

    Args:
        call: last part of the path: `track`, `batch`, `t` …
        headers: lower-case names.
        body: at most `MOST_BYTES` and one.
    """
    if call in UNUSED:
        return Answer(status=200, body=DONE)
    if call not in CALLS:
        return _refused(404, "there is no such call")
    try:
        plain = unpacked(body, headers.get("content-encoding", ""))
        connection = receiver.tracker(_user(headers) or _key_within(plain))
        if not connection:
            return _refused(401, "the write key is unknown")
        accepted = receiver.take(connection, f"/v1/{call}", headers=headers, body=plain)
    except RecordRejected as error:
        return _refused(400, error.message)
    except RetryLater as error:
        return Answer(status=503, body=_said("busy"), after_s=int(error.after_s or 5))
    except HubError:
        return Answer(status=503, body=_said("not now"), after_s=300)
    return Answer(status=200, body=DONE, connection=connection if accepted.hints else "")


def library_settings(receiver: Receiver, write_key: str, host: str) -> Answer:
    """What the browser library asks for before it sends: where to. `host` without a scheme."""
    if not receiver.tracker(write_key):
        return _refused(404, "the write key is unknown")
    told = {"integrations": {"Segment.io": {"apiKey": write_key, "apiHost": f"{host}/v1"}}, "plan": {"track": {}}}
    return Answer(status=200, body=told)


def _refused(status: int, why: str) -> Answer:
    return Answer(status=status, body=_said(why))


def _said(why: str) -> Json:
    return {"success": False, "message": why}


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body as it was before gzip. Raises RecordRejected: too large (then, too), broken, another packing."""
    if len(body) > MOST_BYTES:
        raise _too_large()
    if encoding.strip().lower() in ("", "identity"):
        return body
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise RecordRejected(
            "packed in a way that is not understood", code="TRK-BODY", where="tracking", fix="use gzip"
        )
    opener = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        plain = opener.decompress(body, MOST_BYTES + 1)
    except zlib.error:
        raise RecordRejected("the body is no gzip", code="TRK-BODY", where="tracking") from None
    if len(plain) > MOST_BYTES:
        raise _too_large()
    if not opener.eof:
        raise RecordRejected("the body ends too early", code="TRK-BODY", where="tracking")
    return plain


def _too_large() -> RecordRejected:
    fix = f"send at most {MOST_BYTES} bytes in a call"
    return RecordRejected("the call is too large", code="TRK-SIZE", where="tracking", fix=fix)


def _user(headers: Mapping[str, str]) -> str:
    """The user of Basic; "" without one."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(given.strip(), validate=True).decode().partition(":")[0]
    except ValueError:
        return ""


def _key_within(body: bytes) -> str:
    """`writeKey` of the body, or of its first message (browsers). Raises RecordRejected for what is no JSON."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RecordRejected("the body is no JSON", code="TRK-BODY", where="tracking") from None
    batch = told.get("batch") if isinstance(told, dict) else None
    for each in (told, *(batch[:1] if isinstance(batch, list) else ())):
        if isinstance(each, dict) and isinstance(each.get("writeKey"), str):
            return str(each["writeKey"])
    return ""
