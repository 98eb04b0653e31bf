"""One call per record, or a job for many updates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import orjson

from connectors.freshsales.api import BULK, BULK_FROM, ID, KINDS, NUMBERS, POLLS, FreshsalesApi, id_of
from connectors.freshsales.reading import as_record, looked_up, newest
from hub.connector import HttpResponse
from hub.errors import RecordRejected
from hub.kit.paging import batches
from hub.kit.pushing import failed_results, send_in_turn
from hub.model import ChangeSet, Json, PushResult, SourceRecord


def push(api: FreshsalesApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """Creates and few updates one by one, many updates as a job."""
    updates = [index for index, change in enumerate(changes) if change.op == "update" and _knows(api, change)]
    bulk = updates if len(updates) >= BULK_FROM else []
    single = [index for index in range(len(changes)) if index not in set(bulk)]
    sends = [
        *(((index,), partial(_send, api, stream, index, changes[index])) for index in single),
        *((part, partial(_send_bulk, api, stream, part, changes)) for part in batches(bulk, BULK)),
    ]
    return send_in_turn(sends, api.door.now)


def _knows(api: FreshsalesApi, change: ChangeSet) -> bool:
    """Whether the owner is known, so that a bulk row need not change it."""
    return "owner_id" in change.body or "owner_id" in api.known.get(change.external_id or "", {})


def _send(api: FreshsalesApi, stream: str, index: int, change: ChangeSet) -> list[PushResult]:
    if stream not in KINDS or change.op not in ("create", "update", "delete"):
        raise RecordRejected(f"{stream}: no {change.op}", code="FRESHSALES-OP")
    kind, path = KINDS[stream], f"/api/{stream}"
    if change.op != "create":
        if not ID.fullmatch(change.external_id or ""):
            raise RecordRejected("no id of a record", code="FRESHSALES-ID")
        path = f"{path}/{change.external_id}"
    if change.op == "delete":  # into the bin, from where people may take it back
        api.door.request("DELETE", path, operation="delete", writes=True)
        gone = SourceRecord(external_id=str(change.external_id), data={}, op="delete")
        return [PushResult(index=index, outcome="applied", external_id=change.external_id, held=gone)]
    body = _outgoing(api, stream, change)
    answer = api.door.request(
        "PUT" if change.op == "update" else "POST",
        path,
        operation=change.op,
        params={"include": kind.include},
        json={kind.one: body},
        writes=True,
        expect=(400, 409, 422),
    )
    if answer.status >= 400:
        return [_refused(api, stream, index, change, said(answer))]
    row = answer.json()[kind.one]
    # Answers may leave out what only `include` shows; then the record is read
    held = as_record(api, stream, row) if "owner_id" in row else None
    return [PushResult(index=index, outcome="applied", external_id=str(row["id"]), held=held)]


def _outgoing(api: FreshsalesApi, stream: str, change: ChangeSet) -> dict[str, Json]:
    """The body with ids for words, and with whole lists where the vendor replaces them."""
    known = api.known.get(change.external_id or "", {})
    body: dict[str, Json] = {}
    for name, value in change.body.items():
        choice = KINDS[stream].choices.get(name)
        if choice is not None:
            body[choice[0]] = None if value is None else id_of(api, choice[1], str(value), name)
        elif name in NUMBERS:
            body[name] = int(value) if value else None
        elif name == "emails":
            body[name] = _emails(value, known.get("emails") or ())
        elif name == "sales_accounts":
            body[name] = _accounts(value, known.get("sales_accounts") or ())
        elif name == "contacts_added_list":
            body[name] = [int(each) for each in value or () if each]
        else:
            body[name] = value
    if change.op == "create" and change.reference:
        if stream == "contacts":
            body["external_id"] = change.reference
        else:
            body["custom_field"] = {**(body.get("custom_field") or {}), api.marker: change.reference}
    return body


def _emails(wanted: Json, there: Iterable[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """The primary address is replaced in its place; a blank one is taken away."""
    primary = next((entry for entry in there if entry.get("is_primary")), None)
    address = (wanted[0] or {}).get("value") if wanted else None
    place = {"id": primary["id"]} if primary else {}
    if not address:
        return [{**place, "_destroy": True}] if primary else []
    return [{**place, "value": address, "is_primary": True}]


def _accounts(wanted: Json, there: Iterable[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """The list replaces the one that is there: other accounts are kept, and only one is the primary."""
    first = (wanted[0] or {}).get("id") if wanted else None
    others = [
        {"id": each["id"], "is_primary": False}
        for each in there
        if not each.get("is_primary") and str(each["id"]) != str(first)
    ]
    return [*([{"id": int(first), "is_primary": True}] if first else []), *others]


def said(answer: HttpResponse) -> list[str]:
    """The vendor's words; errors come in three shapes."""
    try:
        body = answer.json() if answer.body.lstrip().startswith((b"{", b"[")) else {}
        errors = body.get("errors", body) if isinstance(body, dict) else body
        found = [each.get("message", "") for each in errors] if isinstance(errors, list) else [errors.get("message")]
    except AttributeError:
        return []
    return [str(text) for each in found for text in (each if isinstance(each, list) else [each]) if text]


def _refused(api: FreshsalesApi, stream: str, index: int, change: ChangeSet, messages: Sequence[str]) -> PushResult:
    """A refusal, or the record that is already there. The vendor's words quote no values."""
    text = "; ".join(messages)[:300]
    if "not unique" not in text:
        return PushResult(index=index, outcome="rejected", code="REC-REJECTED", message=text)
    name, emails = ("mobile_number", None) if "MobileNumber" in text else ("email", change.body.get("emails"))
    value = (emails[0] or {}).get("value") if emails else change.body.get(name)
    found = looked_up(api, stream, name, str(value)) if value and stream == "contacts" else []
    existing = next((record.external_id for record in found if record.op != "delete"), None)
    field_name = "emails.0.value" if name == "email" else name
    return PushResult(
        index=index, outcome="duplicate", code="REC-CONFLICT", field=field_name, message=text, existing_id=existing
    )


def _send_bulk(api: FreshsalesApi, stream: str, part: Sequence[int], changes: Sequence[ChangeSet]) -> list[PushResult]:
    """One job; rows that cannot be expressed are left out of it and told."""
    rows, results, sent = [], [], []
    for index in part:
        change = changes[index]
        try:
            body = _outgoing(api, stream, change)
        except RecordRejected as error:
            results += failed_results([index], error)
            continue
        owner = api.known.get(change.external_id or "", {}).get("owner_id")
        rows.append({"id": change.external_id, "data": {"owner_id": owner, **body} if owner else body})
        sent.append(index)
    if not rows:
        return results
    path = f"/api/{stream}/bulk_upsert"
    answer = api.door.request("POST", path, operation="bulk", json={stream: rows}, writes=True).json()
    job = str(answer["job_status_url"]).rstrip("/").rpartition("/")[2]
    return [*results, *_job_results(api, stream, job, sent, changes)]


def _job_results(
    api: FreshsalesApi, stream: str, job: str, sent: Sequence[int], changes: Sequence[ChangeSet]
) -> list[PushResult]:
    """What became of the rows. A job that does not end in time is unknown, as is a row that it does not account for."""
    ended = _wait_for(api, job) if ID.fullmatch(job) else None
    if ended is None:
        return [PushResult(index=index, outcome="unknown", code="FRESHSALES-JOB") for index in sent]
    failures = {
        str(row.get("id")): "; ".join(map(str, row.get("error_message") or ()))[:300]
        for row in ended.get("detailed_failure_report") or ()
    }
    counts = ended.get("record_status") or {}
    told = int(counts.get("succeeded") or 0) + int(counts.get("failed") or 0) == len(sent)
    held = {record.external_id: record for record in newest(api, stream)} if told else {}
    results = []
    for index in sent:
        external_id = str(changes[index].external_id)
        if external_id in failures:
            message = failures[external_id]
            results.append(PushResult(index=index, outcome="rejected", code="REC-REJECTED", message=message))
        elif told:
            record = held.get(external_id)
            results.append(PushResult(index=index, outcome="applied", external_id=external_id, held=record))
        else:
            results.append(PushResult(index=index, outcome="unknown", code="FRESHSALES-JOB"))
    return results


def _wait_for(api: FreshsalesApi, job: str) -> dict[str, Json] | None:
    """What a job says at its end; its `data` is an object, or JSON in a text (both observed)."""
    for _ in range(POLLS):
        body = api.door.request("GET", f"/api/job_statuses/{job}", operation="job_status").json()
        if str(body.get("status")).upper() == "SUCCESS":
            data = body.get("data") or {}
            found = orjson.loads(data) if isinstance(data, str) else data
            return found if isinstance(found, dict) else None
    return None
