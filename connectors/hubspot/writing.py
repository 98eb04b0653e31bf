"""Writing: 100 records a call; a batch refused for one row is split; what is stored comes from the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from connectors.hubspot.api import (
    ASSOCIATIONS,
    Association,
    HubspotApi,
    Refused,
    call,
    dated,
    existing_id,
    first_error,
)
from connectors.hubspot.reading import OWN, associated, ids_by, record_of
from hub.errors import HubError, RecordRejected
from hub.kit.paging import batches
from hub.kit.pushing import failed_results, send_batches
from hub.kit.reading import to_iso
from hub.model import ChangeSet, Json, PushResult, SourceRecord

BATCH = 100  # records of one batch call (CRM API guide)
_PREFIX = "association:"


def push(api: HubspotApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """Creates, updates, archives; one kind per call."""
    by_op: dict[str, list[int]] = {"create": [], "update": [], "archive": []}
    refused = []
    for index, change in enumerate(changes):
        op = "archive" if change.op == "delete" else change.op  # HubSpot's delete is an archive, restorable for 90 days
        if op not in by_op:
            refused.append(PushResult(index=index, outcome="rejected", code="REC-OP", message=f"no {op} here"))
        elif op != "create" and not (change.external_id or "").isdecimal():
            refused.append(PushResult(index=index, outcome="rejected", code="REC-ID", message="no HubSpot id"))
        else:
            by_op[op].append(index)
    groups = [part for indexes in by_op.values() for part in batches(indexes, BATCH)]
    return refused + send_batches(groups, partial(_send, api, stream, changes), api.door.now, _found)


def _send(api: HubspotApi, stream: str, changes: Sequence[ChangeSet], indexes: Sequence[int]) -> list[PushResult]:
    op = changes[indexes[0]].op
    if op == "create":
        return _create(api, stream, changes, indexes)
    if op == "update":
        return _update(api, stream, changes, indexes)
    body = {"inputs": [{"id": changes[i].external_id} for i in indexes]}
    call(api, api.objects.batch.archive, stream, body, operation="batch_archive", writes=True)
    return [_applied(i, SourceRecord(external_id=changes[i].external_id or "", data={}, op="delete")) for i in indexes]


# values


def _wire(value: Json) -> str:
    """Every property value is text; the empty one clears (CRM API guide, properties)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ";".join(str(each) for each in value)
    return str(value)


def _split(change: ChangeSet) -> tuple[dict[str, str], dict[str, str | None]]:
    """Properties, and associations by name: target id, or None to clear."""
    properties = {
        name: _wire(value)
        for name, value in change.body.items()
        if name != "associations" and not name.startswith(_PREFIX)
    }
    wanted = dict(change.body.get("associations") or {})
    wanted |= {name.removeprefix(_PREFIX): value for name, value in change.body.items() if name.startswith(_PREFIX)}
    return properties, {name: None if value is None else str(value) for name, value in wanted.items()}


def _kind(name: str) -> Association:
    """What an association's name stands for, with or without a label."""
    return ASSOCIATIONS[name.partition(":")[0]]


def _types(api: HubspotApi, name: str) -> list[dict[str, Json]]:
    if label := name.partition(":")[2]:
        return [{"associationCategory": OWN, "associationTypeId": _label_id(api, _kind(name), label)}]
    return [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": _kind(name).type_id}]


def _label_id(api: HubspotApi, kind: Association, label: str) -> int:
    """The type that the account gave to a label. Raises RecordRejected HS-LABEL if it has none of that name."""
    pair = (kind.source, kind.target)
    if pair not in api.labels:
        path = dated(f"/crm/v4/associations/{kind.source}/{kind.target}/labels", api.version)
        rows = api.door.request("GET", path, operation="labels").json()["results"]
        api.labels[pair] = {str(row["label"]): int(row["typeId"]) for row in rows if row.get("category") == OWN}
    if label not in api.labels[pair]:
        raise RecordRejected(f"associations have no label {label}", code="HS-LABEL", where=api.door.account)
    return api.labels[pair][label]


# creates


def _create(api: HubspotApi, stream: str, changes: Sequence[ChangeSet], indexes: Sequence[int]) -> list[PushResult]:
    """One batch of creates. Raises Refused if nothing was written because of one of them."""
    body = {"inputs": [_input(api, changes[i], i) for i in indexes]}
    try:
        answer = call(api, api.objects.batch.create, stream, body, operation="batch_create", writes=True)
    except Refused as error:
        if error.status != 409:
            raise
        return _without_taken(api, stream, changes, indexes, error)
    traced = [(_trace(api, changes, indexes, row), row) for row in answer.get("results", ())]
    rows = {i: row for i, row in traced if i is not None}
    return _results(api, changes, indexes, rows, answer)


def _input(api: HubspotApi, change: ChangeSet, index: int) -> dict[str, Json]:
    properties, wanted = _split(change)
    filled = {name: value for name, value in properties.items() if value != ""} | {api.marker: change.reference}
    links = [{"to": {"id": target}, "types": _types(api, name)} for name, target in wanted.items() if target]
    if "hs_task_subject" in filled:  # a task must have its time (tasks guide)
        filled.setdefault("hs_timestamp", to_iso(api.door.vendor_now()))
    return {"properties": filled, "associations": links, "objectWriteTraceId": str(index)}


def _trace(
    api: HubspotApi, changes: Sequence[ChangeSet], indexes: Sequence[int], row: Mapping[str, Json]
) -> int | None:
    """Which change a created row belongs to; answers are in no order."""
    trace = str(row.get("objectWriteTraceId") or "")
    if trace.isdecimal():
        return int(trace)
    marker = (row.get("properties") or {}).get(api.marker)
    return next((i for i in indexes if changes[i].reference == marker), None)


def _without_taken(
    api: HubspotApi, stream: str, changes: Sequence[ChangeSet], indexes: Sequence[int], error: Refused
) -> list[PushResult]:
    """409 refuses the batch and names one offender: ask for all of them at once, then send the rest.

    Both questions are strong reads by unique property. A conflict that neither shows (a second e-mail address of
    somebody) is left to the splitting.
    """
    found = {i: taken for i, taken in _taken(api, stream, changes, indexes).items() if taken != changes[i].external_id}
    if not found:
        raise error
    rest = [i for i in indexes if i not in found]
    results = [_duplicate(i, error, existing) for i, existing in found.items()]
    return results + (send_batches([rest], partial(_send, api, stream, changes), api.door.now, _found) if rest else [])


def _taken(api: HubspotApi, stream: str, changes: Sequence[ChangeSet], indexes: Sequence[int]) -> dict[int, str]:
    """Which rows name a hub id or an e-mail address that a record already has, and whose."""
    found: dict[int, str] = {}
    references = {i: changes[i].reference for i in indexes if changes[i].op == "create"}
    mails = {i: str(changes[i].body["email"]) for i in indexes if changes[i].body.get("email")}
    for name, values in ((api.marker, references), ("email", mails if stream == "contacts" else {})):
        asked = {i: value.lower() for i, value in values.items() if i not in found}
        owners = ids_by(api, stream, name, sorted(set(asked.values()))) if asked else {}
        found |= {i: owners[value] for i, value in asked.items() if value in owners}
    return found


def _found(index: int, error: RecordRejected) -> PushResult:
    """The row because of which a batch was refused: a key that is taken is a 409, another unique value a 400."""
    existing = existing_id(error.message)
    if isinstance(error, Refused) and (error.status == 409 or existing):
        return _duplicate(index, error, existing)
    return failed_results([index], error)[0]


def _duplicate(index: int, error: Refused, existing: str | None) -> PushResult:
    return PushResult(
        index=index,
        outcome="duplicate",
        code=error.code,
        field=error.field,
        message=error.message,
        existing_id=existing,
    )


# updates


def _update(api: HubspotApi, stream: str, changes: Sequence[ChangeSet], indexes: Sequence[int]) -> list[PushResult]:
    """One batch of updates, then the associations that changed. Raises Refused as `_create`."""
    parts = {i: _split(changes[i]) for i in indexes}
    inputs = [
        {"id": changes[i].external_id, "properties": properties, "objectWriteTraceId": str(i)}
        for i, (properties, _) in parts.items()
        if properties
    ]
    results: list[PushResult] = []
    if inputs:
        update, body = api.objects.batch.update, {"inputs": inputs}
        try:
            answer = call(api, update, stream, body, operation="batch_update", writes=True)
        except Refused as error:
            if error.status != 409:
                raise
            return _without_taken(api, stream, changes, indexes, error)
        by_id = {str(row["id"]): row for row in answer.get("results", ())}
        sent = [i for i in indexes if parts[i][0]]
        rows = {i: by_id[changes[i].external_id or ""] for i in sent if changes[i].external_id in by_id}
        results = _results(api, changes, sent, rows, answer)
    results += [
        PushResult(index=i, outcome="applied", external_id=changes[i].external_id) for i in indexes if not parts[i][0]
    ]
    return _associate(api, changes, {i: wanted for i, (_, wanted) in parts.items() if wanted}, results)


def _associate(
    api: HubspotApi,
    changes: Sequence[ChangeSet],
    wanted: Mapping[int, Mapping[str, str | None]],
    results: Sequence[PushResult],
) -> list[PushResult]:
    """Write changed associations of applied updates; what then holds must be read back, the answer has no record."""
    told = {result.index: result for result in results}
    for name in sorted({name for each in wanted.values() for name in each}):
        rows = {i: each[name] for i, each in wanted.items() if name in each and told[i].outcome == "applied"}
        try:
            _link(api, name, {changes[i].external_id or "": target for i, target in rows.items()})
        except HubError as error:
            told |= {result.index: result for result in failed_results(rows, error)}
        else:
            told |= {i: _unread(i, changes[i]) for i in rows}
    return list(told.values())


def _unread(index: int, change: ChangeSet) -> PushResult:
    return PushResult(index=index, outcome="applied", external_id=change.external_id)


def _link(api: HubspotApi, name: str, targets: Mapping[str, str | None]) -> None:
    """Set or clear one association of several records: id -> target id, or None."""
    kind = _kind(name)
    if ":" in name:
        _unlabel(api, name, targets)
    cleared = [source for source, target in targets.items() if target is None and ":" not in name]
    if cleared:
        now = associated(api, kind.source, kind.target, cleared)
        gone = [{"from": {"id": source}, "to": [{"id": next(iter(held))}]} for source, held in now.items() if held]
        if gone:
            body: dict[str, Json] = {"inputs": gone}
            archive = api.associations.archive
            call(api, archive, kind.source, kind.target, body, operation="associations_archive", writes=True)
    inputs = [
        {"from": {"id": source}, "to": {"id": target}, "types": _types(api, name)}
        for source, target in targets.items()
        if target is not None
    ]
    if inputs:
        create = api.associations.create
        call(api, create, kind.source, kind.target, {"inputs": inputs}, operation="associations_create", writes=True)


def _unlabel(api: HubspotApi, name: str, targets: Mapping[str, str | None]) -> None:
    """Take the label from others than the new target; the association itself stays."""
    kind, label = _kind(name), name.partition(":")[2]
    gone = [
        {"from": {"id": source}, "to": {"id": other}, "types": _types(api, name)}
        for source, held in associated(api, kind.source, kind.target, list(targets)).items()
        for other, labels in held.items()
        if label in labels and other != targets[source]
    ]
    if gone:
        archive, body = api.associations.archive_labels, {"inputs": gone}
        call(api, archive, kind.source, kind.target, body, operation="associations_archive", writes=True)


# answers


def _results(
    api: HubspotApi,
    changes: Sequence[ChangeSet],
    indexes: Sequence[int],
    rows: Mapping[int, dict[str, Json]],
    answer: Mapping[str, Json],
) -> list[PushResult]:
    """Results of a batch: rows that are there, rows that an error names, and the rest, which is unknown."""
    refused = _named_errors(changes, indexes, answer)
    results = []
    for i in indexes:
        row = rows.get(i)
        if row is not None:
            results.append(_applied(i, _stored(api, changes[i], row)))
        elif i in refused:
            results.append(_refused_row(i, refused[i]))
        else:
            results.append(PushResult(index=i, outcome="unknown", code="HS-NO-ROW", message="the answer leaves it out"))
    return results


def _named_errors(
    changes: Sequence[ChangeSet], indexes: Sequence[int], answer: Mapping[str, Json]
) -> dict[int, dict[str, Json]]:
    by_id = {changes[i].external_id: i for i in indexes if changes[i].external_id}
    found = {}
    for error in answer.get("errors") or ():
        context = error.get("context") or {}
        for trace in context.get("objectWriteTraceId") or ():
            if str(trace).isdecimal():
                found[int(trace)] = error
        for external_id in context.get("ids") or ():
            if str(external_id) in by_id:
                found[by_id[str(external_id)]] = error
    return found


def _refused_row(index: int, error: Mapping[str, Json]) -> PushResult:
    code, name, words = first_error(error)
    existing = existing_id(words)
    category = error.get("category")
    outcome = "not_found" if category == "OBJECT_NOT_FOUND" else "duplicate" if category == "CONFLICT" else "rejected"
    return PushResult(index=index, outcome=outcome, code=code, field=name, message=words, existing_id=existing)


def _stored(api: HubspotApi, change: ChangeSet, row: dict[str, Json]) -> SourceRecord:
    """What the answer says is stored. A create that was accepted made its associations, too: they are part of it."""
    if change.op == "create":
        _, wanted = _split(change)
        links: dict[str, Json] = {}
        for name, target in wanted.items():
            if target:
                told = links.setdefault(_kind(name).target, {"results": []})["results"]
                told += [{"id": target, "type": each} for each in dict.fromkeys((name.partition(":")[0], name))]
        if links:
            row = {**row, "associations": links}
    return record_of(api, row)


def _applied(index: int, held: SourceRecord) -> PushResult:
    return PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)
