"""Customers one call each, the answer being the object as it is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from connectors.stripe.api import ID, KINDS, StripeApi, call
from connectors.stripe.giving import give
from connectors.stripe.reading import record_of
from hub.errors import RecordRejected
from hub.kit.pushing import send_each
from hub.model import ChangeSet, Json, PushResult


def push(api: StripeApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """One call per change; the answer is the object as it is now."""
    return send_each(changes, partial(_send, api, stream), api.door.now)


def _send(api: StripeApi, stream: str, index: int, change: ChangeSet) -> list[PushResult]:
    if stream == "promotion_codes":
        return give(api, index, change)
    external_id, path, key = change.external_id or "", KINDS[stream].path, change.idempotency_key
    if stream != "customers" or change.op not in ("create", "update", "delete"):
        raise RecordRejected(f"{stream}: no {change.op}", code="STRIPE-OP")
    if change.op != "create" and not ID.fullmatch(external_id):
        raise RecordRejected("no id of a customer", code="STRIPE-ID")
    if change.op == "delete":
        row = call(api, "delete", f"{path}/{external_id}", "delete", writes=True)
    elif change.op == "update":
        row = call(api, "post", f"{path}/{external_id}", "update", as_form(change.body), key=key, writes=True)
    else:
        if not change.reference or not key:
            raise RecordRejected("a create needs the hub's id and a key", code="STRIPE-NO-REFERENCE")
        body = _said(change.body)
        body["metadata"] = {**body.get("metadata", {}), api.marker: change.reference}
        row = call(api, "post", path, "create", as_form(body), key=key, writes=True)
    held = record_of(api, row)
    return [PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)]


def as_form(body: Mapping[str, Json]) -> dict[str, Any]:
    """A body as form parameters: "" clears, lists too; booleans are words (vendor docs, "Updating objects")."""
    return {name: _form_value(value) for name, value in body.items()}


def _form_value(value: Json) -> Any:
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return as_form(value)
    return [_form_value(each) for each in value] if isinstance(value, list) else value


def _said(body: Mapping[str, Json]) -> dict[str, Any]:
    """Without blanks: a new customer has them anyway, and an empty e-mail address is refused."""
    said: dict[str, Any] = {}
    for name, value in body.items():
        kept = _said(value) if isinstance(value, Mapping) else value
        if kept not in (None, "", [], {}):
            said[name] = kept
    return said
