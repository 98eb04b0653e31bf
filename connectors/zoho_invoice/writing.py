"""Contacts, one call each: whole lists, the name that every write must name, a unique field on creates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from connectors.zoho_invoice.api import ZohoApi, call, code_of
from connectors.zoho_invoice.reading import ID, fetch, find, primary_of, whole_of
from hub.connector import HttpResponse
from hub.errors import RecordRejected
from hub.kit.pushing import send_each
from hub.model import ChangeSet, Json, PushResult, SourceRecord

# Fields of a contact that are its primary person's
PERSON = ("salutation", "first_name", "last_name", "email", "phone", "mobile", "designation")
TAKEN = 3062  # a contact of this name exists


def push(api: ZohoApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """One call per change; the answer is the whole record."""
    return send_each(changes, partial(_send, api, stream), api.door.now)


def _send(api: ZohoApi, stream: str, index: int, change: ChangeSet) -> list[PushResult]:
    if stream != "contacts" or change.op not in ("create", "update", "archive", "delete"):
        raise RecordRejected(f"{stream}: no {change.op}", code="ZOHO-OP")
    external_id = change.external_id or ""
    if change.op != "create" and not ID.fullmatch(external_id):
        raise RecordRejected("no id of a contact", code="ZOHO-ID")
    if change.op in ("archive", "delete"):
        return [_put_away(api, index, change.op, external_id)]
    if change.op == "update":
        if external_id not in api.known:
            fetch(api, "contacts", [external_id])
        if external_id not in api.known:
            return [PushResult(index=index, outcome="not_found", code="NET-404")]
        body = _body(change.body, api.known[external_id])
        answer = call(api, "PUT", f"/contacts/{external_id}", "update", body=body, expect=(400, 409))
    else:
        if not change.reference:
            raise RecordRejected("a create needs the hub's id", code="ZOHO-NO-REFERENCE")
        body = {"contact_type": "customer", **_body(_with_marker(api, change), {})}
        # Books documentation, "Upsert": the record that has this value in a unique field, or a new one
        headers = {
            "X-Unique-Identifier-Key": api.marker, "X-Unique-Identifier-Value": change.reference, "X-Upsert": "true",
        }  # fmt: skip
        answer = call(api, "PUT", "/contacts", "create", body=body, headers=headers, expect=(400, 409))
    if answer.status >= 400:
        return [_refused(api, index, change, answer)]
    held = whole_of(api, stream, answer)
    return [PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)]


def _put_away(api: ZohoApi, index: int, op: str, external_id: str) -> PushResult:
    """Inactive, or deleted; with transactions a contact cannot be deleted (code 3000)."""
    if op == "archive":
        call(api, "POST", f"/contacts/{external_id}/inactive", op, body={})
    else:
        answer = call(api, "DELETE", f"/contacts/{external_id}", op, expect=(400,))
        if answer.status >= 400:
            code, message = code_of(answer)
            return PushResult(index=index, outcome="rejected", code=str(code), message=message)
    held = SourceRecord(external_id=external_id, data={}, op=op)
    return PushResult(index=index, outcome="applied", external_id=external_id, held=held)


def _with_marker(api: ZohoApi, change: ChangeSet) -> dict[str, Json]:
    hashed = {**(change.body.get("custom_field_hash") or {}), api.marker: change.reference}
    return {**change.body, "custom_field_hash": hashed}


def _body(given: Mapping[str, Json], known: Mapping[str, Json]) -> dict[str, Json]:
    """What is sent: scalars as they are, lists and addresses whole, custom fields as the list that writes want."""
    body: dict[str, Json] = {}
    for name, value in given.items():
        if name == "custom_field_hash":
            body["custom_fields"] = [{"api_name": key, "value": _blank(inner)} for key, inner in value.items()]
        elif name in ("billing_address", "shipping_address"):
            there = known.get(name) or {}
            body[name] = {**there, **{key: _blank(inner) for key, inner in (value or {}).items()}}
        elif name not in PERSON:
            body[name] = _blank(value)
    person = {name: _blank(given[name]) for name in PERSON if name in given}
    if person:
        body["contact_persons"] = _persons(person, known.get("contact_persons") or ())
    if "contact_name" not in body:  # every write must name it
        named = " ".join(str(part) for part in (given.get("first_name"), given.get("last_name")) if part)
        body["contact_name"] = known.get("contact_name") or named or given.get("company_name") or given.get("email")
    return body


def _blank(value: Json) -> Json:
    return "" if value is None else value


def _persons(person: Mapping[str, Json], there: Sequence[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """The primary person with its new values, and all others as they are: one that is missing would be removed."""
    primary = primary_of(there)
    others = [dict(each) for each in there if each is not primary]
    return [{**(primary or {}), **person, "is_primary_contact": True}, *others]


def _refused(api: ZohoApi, index: int, change: ChangeSet, answer: HttpResponse) -> PushResult:
    code, message = code_of(answer)
    if code == TAKEN:
        message = "a contact of this name exists"  # the vendor's words quote it
        name = str(_body(change.body, api.known.get(change.external_id or "", {})).get("contact_name") or "")
        found = find(api, "contacts", "contact_name", name) if name else []
        existing = next((record.external_id for record in found if record.external_id != change.external_id), None)
        return PushResult(
            index=index, outcome="duplicate", code="3062", field="contact_name", message=message, existing_id=existing
        )
    return PushResult(index=index, outcome="rejected", code=str(code or "REC-REJECTED"), message=message)
