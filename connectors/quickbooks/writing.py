"""Customers, thirty at a time, each with its version and a key of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial

import orjson

from connectors.quickbooks.api import BATCH, KINDS, WAIT_S, QuickBooksApi, call, error_of
from connectors.quickbooks.reading import ID, as_record, fetch, find
from hub.errors import RecordRejected
from hub.kit.paging import batches
from hub.kit.pushing import failed_results, send_in_turn
from hub.kit.statuses import Kind
from hub.model import ChangeSet, Json, PushResult

REQUEST = "hub"  # of a batch, joined with an item's id to the key that makes the same item twice one: 50 characters
KEY_LENGTH = 40


def push(api: QuickBooksApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """In batches; a result per item, by its id: the order of answers is not promised."""
    results: list[PushResult] = []
    good: list[int] = []
    for index, change in enumerate(changes):
        refused = _refuse(stream, change)
        if refused is None:
            good.append(index)
        else:
            results += failed_results([index], refused)
    sends = ((part, partial(_send, api, part, changes)) for part in batches(good, BATCH))
    return sorted([*results, *send_in_turn(sends, api.door.now)], key=lambda result: result.index)


def _refuse(stream: str, change: ChangeSet) -> RecordRejected | None:
    if stream != "customers" or change.op not in ("create", "update", "archive"):
        return RecordRejected(f"{stream}: no {change.op}", code="QUICKBOOKS-OP")
    if change.op != "create" and not ID.fullmatch(change.external_id or ""):
        return RecordRejected("no id of a customer", code="QUICKBOOKS-ID")
    if change.op == "create" and not change.idempotency_key:
        return RecordRejected("a create needs a key", code="QUICKBOOKS-KEY")
    return None


def _send(api: QuickBooksApi, part: Sequence[int], changes: Sequence[ChangeSet]) -> list[PushResult]:
    results: list[PushResult] = []
    tokens = _versions(api, [changes[index] for index in part if changes[index].op != "create"])
    items, places = [], dict[str, int]()
    for index in part:
        change = changes[index]
        body = {"Active": False} if change.op == "archive" else _plain(change.body)
        if change.op != "create":
            outcome, token = tokens[change.external_id or ""]
            if outcome:
                results.append(PushResult(index=index, outcome=outcome, code="REC-MOVED"))
                continue
            body |= {"Id": change.external_id, "SyncToken": token, "sparse": True}
        # The same change twice is one effect; another one, or on another version, is another
        text = f"{change.idempotency_key} {orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()}"
        key = hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
        places[key] = index
        items.append({"bId": key, "operation": "create" if change.op == "create" else "update", "Customer": body})
    if not items:
        return results
    params, payload = {"requestid": REQUEST}, {"BatchItemRequest": items}
    answer = call(api, "POST", "/batch", "batch", params=params, json=payload, writes=True).json()
    told = {str(each.get("bId")): each for each in answer.get("BatchItemResponse") or ()}
    return [*results, *(_result(api, index, changes[index], told.get(key)) for key, index in places.items())]


def _versions(api: QuickBooksApi, updates: Sequence[ChangeSet]) -> dict[str, tuple[str, str]]:
    """(outcome or "", version) per customer. Only the version of the record that was decided on is good."""
    unknown = [
        external_id
        for change in updates
        if not change.etag
        and ((external_id := str(change.external_id)) not in api.versions
             or change.stamp not in (None, api.versions[external_id][0]))
    ]  # fmt: skip
    there = {record.external_id: record for record in fetch(api, "customers", unknown)} if unknown else {}
    found: dict[str, tuple[str, str]] = {}
    for change in updates:
        external_id = str(change.external_id)
        stamp, token = api.versions.get(external_id, (None, ""))
        if change.etag:
            found[external_id] = ("", change.etag)
        elif external_id in there and there[external_id].op == "delete":
            found[external_id] = ("not_found", "")
        else:
            found[external_id] = ("", token) if change.stamp is None or stamp == change.stamp else ("stale", "")
    return found


def _plain(body: Mapping[str, Json]) -> dict[str, Json]:
    """The body; "" clears a text. Nested objects are replaced whole, so a blank one goes as blanks."""
    return {name: _plain(value) if isinstance(value, Mapping) else "" if value is None else value
            for name, value in body.items()}  # fmt: skip


def _result(api: QuickBooksApi, index: int, change: ChangeSet, item: Mapping[str, Json] | None) -> PushResult:
    """What one item of the answer says; an item that is missing is unknown."""
    if item is None:
        return PushResult(index=index, outcome="unknown", code="QUICKBOOKS-ITEM")
    row = item.get("Customer")
    if isinstance(row, dict):
        held = as_record(api, "customers", row)
        return PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)
    code, message, name = error_of(item)
    kind = KINDS.get(code)
    if kind is Kind.STALE:
        api.versions.pop(change.external_id or "", None)
        return PushResult(index=index, outcome="stale", code=code, message=message)
    if kind is Kind.NOT_FOUND:
        return PushResult(index=index, outcome="not_found", code=code, message=message)
    if kind is Kind.THROTTLED:
        return PushResult(index=index, outcome="throttled", code=code, message=message, retry_after_s=WAIT_S)
    if kind is Kind.SIGN_IN:
        return PushResult(index=index, outcome="auth_expired", code=code, message=message)
    if code == "6240":
        return _taken(api, index, change, message)
    if code == "10000":  # internal: it may have been done
        return PushResult(index=index, outcome="unknown", code=code, message=message)
    return PushResult(index=index, outcome="rejected", code=code or "REC-REJECTED", field=name, message=message)


def _taken(api: QuickBooksApi, index: int, change: ChangeSet, message: str) -> PushResult:
    """The name is a customer's, or a vendor's or an employee's: then nothing is found."""
    parts = [change.body.get(name) for name in ("Title", "GivenName", "MiddleName", "FamilyName", "Suffix")]
    name = str(change.body.get("DisplayName") or " ".join(str(part) for part in parts if part))
    found = find(api, "customers", "DisplayName", name) if name else []
    existing = next((record.external_id for record in found if record.external_id != change.external_id), None)
    return PushResult(
        index=index, outcome="duplicate", code="6240", field="DisplayName", message=message, existing_id=existing
    )
