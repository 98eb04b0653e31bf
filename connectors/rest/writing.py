"""Writes, one call each, as the connection's settings describe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import unquote

from connectors.rest.reading import RestApi, answered, path_of
from connectors.rest.spec import Spec
from hub.connector import HttpResponse
from hub.errors import RecordRejected
from hub.kit.pushing import send_in_turn
from hub.model import ChangeSet, Json, PushResult, SourceRecord


def push(api: RestApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """One call per change; the answer is the record where it holds one, else it is read back."""
    spec = api.specs[stream]
    sends = (((index,), partial(_send, api, spec, index, change)) for index, change in enumerate(changes))
    return send_in_turn(sends, api.door.now)


def _send(api: RestApi, spec: Spec, index: int, change: ChangeSet) -> list[PushResult]:
    write = spec.writes.get(change.op)
    if write is None:
        raise RecordRejected(f"{spec.name}: no {change.op}", code="REST-OP")
    external_id = change.external_id or ""
    if change.op != "create" and not external_id:
        raise RecordRejected("no id of a record", code="REST-ID")
    headers = {}
    if spec.key_header and change.idempotency_key:
        headers[spec.key_header] = change.idempotency_key
    answer = api.door.request(
        write.method, path_of(write.path, external_id), operation=change.op, headers=headers, writes=True,
        json=None if change.op == "delete" else _body(spec, change, write.under),
    )  # fmt: skip
    if change.op == "delete":
        held = SourceRecord(external_id=external_id, data={}, op="delete")
        return [PushResult(index=index, outcome="applied", external_id=external_id, held=held)]
    return [_applied(spec, index, external_id, answer)]


def _body(spec: Spec, change: ChangeSet, under: str) -> dict[str, Json]:
    body = dict(change.body)
    if change.op == "create" and spec.marker:
        if not change.reference:
            raise RecordRejected("a create needs the hub's id", code="REST-NO-REFERENCE")
        body = _with(body, spec.marker.split("."), change.reference)
    return {under: body} if under else body


def _with(body: Mapping[str, Json], steps: Sequence[str], value: Json) -> dict[str, Json]:
    """The body with a value at a path."""
    first, *rest = steps
    inner = body.get(first)
    return {**body, first: _with(inner if isinstance(inner, Mapping) else {}, rest, value) if rest else value}


def _applied(spec: Spec, index: int, external_id: str, answer: HttpResponse) -> PushResult:
    """What the answer tells of the record; of a create at least its id, else nobody knows what was made."""
    held = answered(spec, answer)
    if held is not None and external_id and held.external_id != external_id:
        held = None
    named = external_id or (held.external_id if held is not None else _located(answer))
    if not named:
        return PushResult(index=index, outcome="unknown", code="REST-NO-RECORD", message="the answer names no record")
    return PushResult(index=index, outcome="applied", external_id=named, held=held)


def _located(answer: HttpResponse) -> str:
    """The id at the end of the Location that an answer names."""
    return unquote(answer.headers.get("location", "").partition("?")[0].rstrip("/").rpartition("/")[2])
