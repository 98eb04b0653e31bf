"""Writing: up to 800 rows and their reading back in one Composite call."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from urllib.parse import quote

from connectors.salesforce.api import OBJECTS, SalesforceApi, call, fields_of, first_error, first_field, path_of
from connectors.salesforce.reading import id18, listed, records_of
from hub.kit.paging import batches
from hub.kit.pushing import send_in_turn
from hub.kit.reading import to_http_date
from hub.model import ChangeSet, Json, PushResult, SourceRecord

COLLECTION = 200  # records of one collection write (sObject Collections)
COLLECTIONS = 4  # of the five collections or queries that one Composite call may hold; the fifth reads back
GUARDED = 24  # of the 25 subrequests of one Composite call; the last reads back


@dataclass(frozen=True, slots=True)
class Part:
    """One subrequest of a Composite call, and the changes in it."""

    request: dict[str, Json]
    indexes: tuple[int, ...]  # positions in the list given to `push`
    collection: bool  # counts among the five; answers with a row per record


def push(api: SalesforceApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """Write and read back; see the module docstring of the package for what travels together."""
    by_op: dict[str, list[int]] = {"create": [], "update": [], "delete": []}
    refused = []
    for index, change in enumerate(changes):
        if change.op not in by_op:
            refused.append(PushResult(index=index, outcome="rejected", code="REC-OP", message=f"no {change.op} here"))
        elif change.op != "create" and not _ID.fullmatch(change.external_id or ""):
            refused.append(PushResult(index=index, outcome="rejected", code="REC-ID", message="no Salesforce id"))
        else:
            by_op[change.op].append(index)
    parts = [
        *_create_parts(api, stream, changes, by_op["create"]),
        *_update_parts(api, stream, changes, by_op["update"]),
        *_delete_parts(api, changes, by_op["delete"]),
    ]
    sends = (
        (
            [index for part in parts_of_call for index in part.indexes],
            partial(_send, api, stream, changes, parts_of_call),
        )
        for parts_of_call in _packed(parts)
    )
    return refused + send_in_turn(sends, api.door.now)


def _create_parts(
    api: SalesforceApi, stream: str, changes: Sequence[ChangeSet], indexes: Sequence[int]
) -> Iterator[Part]:
    """Upserts on the field that carries the hub's id: the same create again finds its own record."""
    path = path_of(api, f"composite/sobjects/{OBJECTS[stream]}/{api.marker}")
    for part in batches(_by_parent(changes, indexes), COLLECTION):
        kind = {"attributes": {"type": OBJECTS[stream]}}
        rows = [{**kind, **changes[i].body, api.marker: changes[i].reference} for i in part]
        yield Part({"method": "PATCH", "url": path, "body": {"allOrNone": False, "records": rows}}, tuple(part), True)


def _update_parts(
    api: SalesforceApi, stream: str, changes: Sequence[ChangeSet], indexes: Sequence[int]
) -> Iterator[Part]:
    """A few: each with its own precondition. Many: collections, which know none; the pre-read stands for it."""
    if len(indexes) <= GUARDED:
        yield from (_guarded_part(api, stream, changes[i], i) for i in indexes)
        return
    for part in batches(_by_parent(changes, indexes), COLLECTION):
        kind = {"attributes": {"type": OBJECTS[stream]}}
        rows = [{**kind, "id": changes[i].external_id, **changes[i].body} for i in part]
        body = {"allOrNone": False, "records": rows}
        yield Part({"method": "PATCH", "url": path_of(api, "composite/sobjects"), "body": body}, tuple(part), True)


def _guarded_part(api: SalesforceApi, stream: str, change: ChangeSet, index: int) -> Part:
    url = path_of(api, f"sobjects/{OBJECTS[stream]}/{change.external_id}")
    request: dict[str, Json] = {"method": "PATCH", "url": url, "body": dict(change.body)}
    if change.stamp is not None:
        request["httpHeaders"] = {"If-Unmodified-Since": to_http_date(change.stamp)}
    return Part(request, (index,), False)


def _delete_parts(api: SalesforceApi, changes: Sequence[ChangeSet], indexes: Sequence[int]) -> Iterator[Part]:
    for part in batches(indexes, COLLECTION):
        ids = ",".join(changes[i].external_id or "" for i in part)
        url = path_of(api, f"composite/sobjects?ids={ids}&allOrNone=false")
        yield Part({"method": "DELETE", "url": url}, tuple(part), True)


def _by_parent(changes: Sequence[ChangeSet], indexes: Sequence[int]) -> list[int]:
    """Rows of one account side by side: fewer UNABLE_TO_LOCK_ROW (REST API guide, error codes)."""
    return sorted(indexes, key=lambda i: str(changes[i].body.get("AccountId") or ""))


def _packed(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Parts into calls, leaving room for the reading back in each."""
    together: list[Part] = []
    for part in parts:
        full = part.collection and sum(each.collection for each in together) >= COLLECTIONS
        if full or len(together) >= GUARDED:
            yield together
            together = []
        together.append(part)
    if together:
        yield together


def _send(api: SalesforceApi, stream: str, changes: Sequence[ChangeSet], parts: Sequence[Part]) -> list[PushResult]:
    """One Composite call: the writes, and a query for what is stored after them."""
    requests = [{**part.request, "referenceId": f"w{number}"} for number, part in enumerate(parts)]
    kept = [changes[i] for part in parts for i in part.indexes if changes[i].op != "delete"]
    if kept:
        url = path_of(api, f"query/?q={quote(_held_soql(api, stream, kept), safe='')}")
        requests.append({"method": "GET", "url": url, "referenceId": "held"})
    body = {"allOrNone": False, "compositeRequest": requests}
    answer = call(api, "POST", "composite", "composite", writes=True, json=body)
    told = {part["referenceId"]: part for part in answer.get("compositeResponse", ())}
    held = _held(api, stream, told.get("held"))
    return [
        _result(index, changes[index], status, row, held)
        for number, part in enumerate(parts)
        for index, status, row in _rows(part, told.get(f"w{number}"))
    ]


def _held_soql(api: SalesforceApi, stream: str, changes: Sequence[ChangeSet]) -> str:
    ids = [change.external_id or "" for change in changes if change.op == "update"]
    markers = [change.reference for change in changes if change.op == "create"]
    conditions = [f"Id IN ({listed(ids)})"] if ids else []
    conditions += [f"{api.marker} IN ({listed(markers)})"] if markers else []
    names = ",".join(fields_of(api, stream))
    return f"SELECT {names} FROM {OBJECTS[stream]} WHERE {' OR '.join(conditions)}"  # noqa: S608


def _held(api: SalesforceApi, stream: str, part: Mapping[str, Json] | None) -> dict[str, SourceRecord]:
    """What is stored now, by id. Nothing, if it could not be read: the engine then fetches."""
    if part is None or part["httpStatusCode"] != 200:
        return {}
    records, _ = records_of(api, stream, part["body"]["records"])
    return {record.external_id: record for record in records}


def _rows(part: Part, told: Mapping[str, Json] | None) -> Iterator[tuple[int, int, dict[str, Json]]]:
    """(index, status, row) for each change of a subrequest; status 0: the answer has no row for it."""
    status, body = (0, {}) if told is None else (told["httpStatusCode"], told["body"])
    if not part.collection or status >= 300 or not isinstance(body, list):
        row = body if isinstance(body, dict) else first_error(body)
        yield from ((index, status, row) for index in part.indexes)
        return
    for index, row in zip_longest(part.indexes, body[: len(part.indexes)]):
        if row is None:
            yield index, 0, {}
        elif row.get("success"):
            yield index, 200, row
        else:
            yield index, 400, (row.get("errors") or [{}])[0]


def _result(
    index: int, change: ChangeSet, status: int, row: Mapping[str, Json], held: Mapping[str, SourceRecord]
) -> PushResult:
    if status == 0:
        return PushResult(index=index, outcome="unknown", code="SF-NO-ROW", message="the answer leaves this row out")
    if status < 300:
        return _applied(index, change, id18(row.get("id") or change.external_id or ""), held)
    if status == 412:
        return PushResult(index=index, outcome="stale", code="SF-412", message="changed since it was read")
    # Collections say statusCode, single requests errorCode.
    code, message = str(row.get("statusCode") or row.get("errorCode") or status), str(row.get("message") or "")
    outcome = "unknown" if status >= 500 else _OUTCOMES.get(code) or ("not_found" if status == 404 else "rejected")
    match = _EXISTING.search(message) if outcome == "duplicate" else None
    existing, name = id18(match[1]) if match else None, first_field(row)
    return PushResult(index=index, outcome=outcome, code=code, field=name, message=message, existing_id=existing)


def _applied(index: int, change: ChangeSet, external_id: str, held: Mapping[str, SourceRecord]) -> PushResult:
    now = held.get(external_id)
    if change.op == "delete":
        now = SourceRecord(external_id=external_id, data={}, op="delete")
    return PushResult(index=index, outcome="applied", external_id=external_id, held=now)


_ID = re.compile(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?")  # anything else in a path would reach other resources
_EXISTING = re.compile(r"record with id: ([A-Za-z0-9]{15,18})")  # message of DUPLICATE_VALUE
_OUTCOMES = {  # REST API guide, status codes and error responses; the rest is "rejected"
    **dict.fromkeys(("DUPLICATE_VALUE", "DUPLICATES_DETECTED", "DUPLICATE_EXTERNAL_ID"), "duplicate"),
    **dict.fromkeys(("ENTITY_IS_DELETED", "NOT_FOUND"), "not_found"),
    **dict.fromkeys(("UNABLE_TO_LOCK_ROW", "REQUEST_LIMIT_EXCEEDED", "SERVER_UNAVAILABLE"), "throttled"),
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": "throttled",
}
