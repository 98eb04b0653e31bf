"""Contacts, accounts and deals one by one; many plain updates of contacts as one import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from connectors.activecampaign.api import (
    EVENTS,
    IMPORT_FROM,
    IMPORT_MOST,
    MULTIPLE,
    ONE,
    ActiveCampaignApi,
    call,
    field_id,
    id_by,
    read,
    table,
)
from connectors.activecampaign.reading import ID, LOST, WON, fetch, find, shape
from connectors.activecampaign.tracking import track
from hub.connector import HttpResponse
from hub.errors import HubError, RecordRejected
from hub.kit.paging import batches
from hub.kit.pushing import failed_results, send_in_turn
from hub.model import ChangeSet, Json, PushResult, SourceRecord

POLLS = 8  # of an import; the budget `polls` keeps them two seconds apart
PLAIN = frozenset({"firstName", "lastName", "phone", "fields"})  # what an import takes of a contact
IMPORT_NAMES = {"firstName": "first_name", "lastName": "last_name", "phone": "phone"}
APART = ("tags", "subscription", "account_id", "job_title")  # stand in rows of their own


def push(api: ActiveCampaignApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """One call per change and association, or an import; written contacts are read back a hundred at a time."""
    if stream == EVENTS:
        return track(api, changes)
    imported = [index for index, change in enumerate(changes) if stream == "contacts" and _imports(api, change)]
    imported = imported if len(imported) >= IMPORT_FROM else []
    single = [index for index in range(len(changes)) if index not in set(imported)]
    sends = [
        *(((index,), partial(_send, api, stream, index, changes[index])) for index in single),
        *((part, partial(_import, api, part, changes)) for part in batches(imported, IMPORT_MOST)),
    ]
    results = send_in_turn(sends, api.door.now)
    return _read_back(api, results) if stream == "contacts" else results


def _read_back(api: ActiveCampaignApi, results: Sequence[PushResult]) -> list[PushResult]:
    """A contact's answer lacks its lists, tags and account, so the written ones are read."""
    written = [
        each.external_id for each in results if each.outcome == "applied" and each.external_id and each.held is None
    ]
    try:
        held = {record.external_id: record for record in fetch(api, "contacts", written)} if written else {}
    except HubError:
        return list(results)  # what was written stays written: the engine reads it back
    return [
        replace(each, held=held[each.external_id]) if each.external_id in held and each.held is None else each
        for each in results
    ]


def _send(api: ActiveCampaignApi, stream: str, index: int, change: ChangeSet) -> list[PushResult]:
    if stream not in ONE or change.op not in ("create", "update", "delete"):
        raise RecordRejected(f"{stream}: no {change.op}", code="ACTIVECAMPAIGN-OP")
    if change.op != "create" and not ID.fullmatch(change.external_id or ""):
        raise RecordRejected("no id of a record", code="ACTIVECAMPAIGN-ID")
    if change.op == "delete":
        call(api, "DELETE", f"{stream}/{change.external_id}", "delete", writes=True)
        gone = SourceRecord(external_id=str(change.external_id), data={}, op="delete")
        return [PushResult(index=index, outcome="applied", external_id=change.external_id, held=gone)]
    external_id, held = change.external_id or "", None
    body = _outgoing(api, stream, change)
    if body or change.op == "create":
        method, path = ("PUT", f"{stream}/{external_id}") if external_id else ("POST", stream)
        answer = call(api, method, path, change.op, json={ONE[stream]: body}, writes=True, expect=(400, 404, 409, 422))
        if answer.status >= 400:
            return [_refused(api, stream, index, change, answer)]
        row = answer.json()[ONE[stream]]
        external_id = str(row["id"])
        held = None if stream == "contacts" else shape(api, stream)(row)
    if stream == "contacts":
        refused = _associate(api, external_id, change)
        if refused:
            code = "REC-REJECTED"
            return [PushResult(index=index, outcome="rejected", external_id=external_id, code=code, message=refused)]
    return [PushResult(index=index, outcome="applied", external_id=external_id, held=held)]


def _outgoing(api: ActiveCampaignApi, stream: str, change: ChangeSet) -> dict[str, Json]:
    """The record's own part of the body; "" clears."""
    own = {name: value for name, value in change.body.items() if name not in (*APART, "fields")}
    body = {name: "" if value is None else value for name, value in own.items()}
    if stream == "contacts":
        fields = dict(change.body.get("fields") or {})
        if change.op == "create" and change.reference and id_by(api, "fields", "perstag", api.marker):
            fields[api.marker] = change.reference
        if fields:
            body["fieldValues"] = [
                {"field": field_id(api, tag), "value": _field_text(api, tag, value)} for tag, value in fields.items()
            ]
    if stream == "deals" and "stage_name" in body:
        body |= _stage(api, str(body.pop("stage_name")))
    return body


def _field_text(api: ActiveCampaignApi, tag: str, value: Json) -> str:
    if isinstance(value, list):
        return f"||{'||'.join(map(str, value))}||" if value else ""
    definition = table(api, "fields")[field_id(api, tag)]
    text = "" if value is None else str(value)
    return f"||{text}||" if text and definition.get("type") in MULTIPLE else text


def _stage(api: ActiveCampaignApi, word: str) -> dict[str, Json]:
    """Won and lost are states of a deal, in whatever stage it is."""
    if word in (WON, LOST):
        return {"status": 1 if word == WON else 2}
    stage_id = id_by(api, "dealStages", "title", word)
    if stage_id is None:
        raise RecordRejected(f"no stage {word!r}", field="stage_name", code="ACTIVECAMPAIGN-STAGE")
    return {"stage": stage_id, "group": table(api, "dealStages")[stage_id].get("group"), "status": 0}


def _associate(api: ActiveCampaignApi, contact: str, change: ChangeSet) -> str:
    """Account, list and tags of a contact; the vendor's words if one of them is refused."""
    body, known = change.body, api.known.get(contact, {})
    calls: list[tuple[str, str, Json]] = []
    if "account_id" in body or "job_title" in body:
        calls += _account_calls(contact, body, known)
    if body.get("subscription"):
        calls.append(("POST", "contactLists", {"contactList": _membership(api, contact, body["subscription"])}))
    if "tags" in body:
        wanted, there = set(body["tags"] or ()), known.get("tags") or {}
        calls += [("POST", "contactTags", {"contactTag": {"contact": contact, "tag": _tag(api, tag)}})
                  for tag in sorted(wanted - set(there))]  # fmt: skip
        calls += [("DELETE", f"contactTags/{there[tag]}", None) for tag in sorted(set(there) - wanted)]
    for method, path, payload in calls:
        answer = call(api, method, path, "associate", json=payload, writes=True, expect=(400, 404, 422))
        if answer.status in (400, 422):
            return said(answer)[0]
    return ""


def _account_calls(contact: str, body: Mapping[str, Json], known: Mapping[str, Json]) -> list[tuple[str, str, Json]]:
    """A contact has one association at most: it is made, changed, or taken away."""
    given = {
        **({"account": body["account_id"]} if body.get("account_id") else {}),
        **({"jobTitle": body["job_title"] or ""} if "job_title" in body else {}),
    }
    place = known.get("association")
    if place and "account_id" in body and not body["account_id"]:
        return [("DELETE", f"accountContacts/{place}", None)]
    if place:
        return [("PUT", f"accountContacts/{place}", {"accountContact": given})]
    if "account" not in given:
        return []  # a job title has no place without an account
    return [("POST", "accountContacts", {"accountContact": {"contact": contact, **given}})]


def _membership(api: ActiveCampaignApi, contact: str, wanted: Mapping[str, Json]) -> dict[str, Json]:
    """Subscribing again someone who left needs `sourceid` 4 (vendor docs, "Update a contact's list status")."""
    if not api.list_id:
        raise RecordRejected("no list stands for consent", field="subscription", code="ACTIVECAMPAIGN-LIST")
    subscribed = wanted.get("marketingState") == "SUBSCRIBED"
    more = {"sourceid": 4} if subscribed else {}
    return {"list": api.list_id, "contact": contact, "status": 1 if subscribed else 2, **more}


def _tag(api: ActiveCampaignApi, word: str) -> str:
    """The tag's id; it is made if there is none."""
    found = id_by(api, "tags", "tag", word)
    if found is not None:
        return found
    payload = {"tag": {"tag": word, "tagType": "contact", "description": ""}}
    row = call(api, "POST", "tags", "associate", json=payload, writes=True).json()["tag"]
    api.names["tags"][str(row["id"])] = row
    return str(row["id"])


def said(answer: HttpResponse) -> tuple[str, str, str]:
    """Words, code and field of a refusal."""
    try:
        body = answer.json()
        error = (body.get("errors") or [{}])[0]
        text = str(error.get("title") or error.get("detail") or body.get("message") or "")
        pointer = str((error.get("source") or {}).get("pointer") or "").rpartition("/")[2]
    except (AttributeError, HubError):
        return "", "", ""
    return text[:300], str(error.get("code") or ""), pointer


def _refused(api: ActiveCampaignApi, stream: str, index: int, change: ChangeSet, answer: HttpResponse) -> PushResult:
    text, code, name = said(answer)
    if answer.status == 404:
        return PushResult(index=index, outcome="not_found", code="NET-404", message=text)
    if code == "duplicate":
        address = str(change.body.get("email") or "")
        found: Sequence[SourceRecord] = find(api, stream, "email", address) if stream == "contacts" and address else ()
        existing = next((record.external_id for record in found), None)
        return PushResult(
            index=index, outcome="duplicate", code="REC-CONFLICT", field=name, message=text, existing_id=existing
        )
    return PushResult(index=index, outcome="rejected", code=code or "REC-REJECTED", field=name, message=text)


# --- imports -----------------------------------------------------------------------------------------------------


def _imports(api: ActiveCampaignApi, change: ChangeSet) -> bool:
    """An import knows contacts by their address, and whether a blank clears there is not told."""
    values = [*change.body.values(), *(change.body.get("fields") or {}).values()]
    plain_only = (
        change.op == "update" and set(change.body) <= PLAIN and all(value not in (None, "", []) for value in values)
    )
    return plain_only and bool(api.known.get(change.external_id or "", {}).get("email"))


def _import(api: ActiveCampaignApi, part: Sequence[int], changes: Sequence[ChangeSet]) -> list[PushResult]:
    rows, results, sent = [], [], dict[str, int]()
    for index in part:
        change = changes[index]
        address = str(api.known[change.external_id or ""]["email"])
        try:
            row: dict[str, Json] = {new: change.body[name] for name, new in IMPORT_NAMES.items() if name in change.body}
            row["fields"] = [
                {"id": int(field_id(api, tag)), "value": _field_text(api, tag, value)}
                for tag, value in (change.body.get("fields") or {}).items()
            ]
        except RecordRejected as error:
            results += failed_results([index], error)
            continue
        rows.append({"email": address, **{name: value for name, value in row.items() if value != []}})
        sent[address.lower()] = index
    if not rows:
        return results
    payload = {"contacts": rows, "exclude_automations": False}
    answer = call(api, "POST", "import/bulk_import", "import", json=payload, writes=True).json()
    return [*results, *_import_results(api, str(answer.get("batchId") or ""), sent, changes)]


def _import_results(
    api: ActiveCampaignApi, batch: str, sent: Mapping[str, int], changes: Sequence[ChangeSet]
) -> list[PushResult]:
    """Failed ones are named by address, without a reason; what an import does not account for is unknown."""
    info: dict[str, Json] = {}
    for _ in range(POLLS if batch else 0):
        info = read(api, "import/info", "import_status", batchId=batch)
        if info.get("status") == "completed":
            break
    done = {str(each) for each in info.get("success") or ()} if info.get("status") == "completed" else set()
    failed = {str(each).lower() for each in info.get("failure") or ()}
    results = []
    for address, index in sent.items():
        external_id = str(changes[index].external_id)
        if external_id in done:
            results.append(PushResult(index=index, outcome="applied", external_id=external_id))
        elif address in failed:
            message = "the import refused this contact"
            results.append(PushResult(index=index, outcome="rejected", code="ACTIVECAMPAIGN-IMPORT", message=message))
        else:
            results.append(PushResult(index=index, outcome="unknown", code="ACTIVECAMPAIGN-IMPORT"))
    return results
