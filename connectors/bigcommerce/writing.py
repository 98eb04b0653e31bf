"""Customers ten at a time, their attributes and first addresses by calls of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from connectors.bigcommerce.api import BATCH, BigCommerceApi, Refused, attribute_id, attributes_of, send
from connectors.bigcommerce.giving import give
from connectors.bigcommerce.reading import ID, by_email, fetch
from hub.errors import HubError, RecordRejected
from hub.kit.paging import batches
from hub.kit.pushing import failed_results, send_batches, send_each
from hub.model import ChangeSet, Json, PushResult, SourceRecord

# customers v3: what an address needs to be made
ADDRESS = ("first_name", "last_name", "address1", "city", "country_code", "state_or_province", "postal_code")


def push(api: BigCommerceApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """Creates and updates in tens; what was written is read back in one call, with addresses and attributes."""
    if stream == "coupons":
        return send_each(changes, partial(give, api), api.door.now)
    good, bad = [], []
    for index, change in enumerate(changes):
        refused = _refuse(stream, change)
        if refused is None:
            good.append(index)
        else:
            bad += failed_results([index], refused)
    creates = [index for index in good if changes[index].op == "create"]
    updates = [index for index in good if changes[index].op == "update"]
    deletes = [index for index in good if changes[index].op == "delete"]
    groups = [*batches(updates, BATCH), *batches(creates, BATCH), *batches(deletes, BATCH)]
    sender = partial(_send, api, changes)
    results = send_batches(groups, sender, api.door.now, refused=partial(_refused, api, changes))
    return sorted([*_read_back(api, results), *bad], key=lambda result: result.index)


def _refuse(stream: str, change: ChangeSet) -> RecordRejected | None:
    if stream != "customers" or change.op not in ("create", "update", "delete"):
        return RecordRejected(f"{stream}: no {change.op}", code="BIGCOMMERCE-OP")
    if change.op != "create" and not ID.fullmatch(change.external_id or ""):
        return RecordRejected("no id of a customer", code="BIGCOMMERCE-ID")
    return None


def _read_back(api: BigCommerceApi, results: Sequence[PushResult]) -> list[PushResult]:
    written = [each.external_id for each in results if each.outcome == "applied" and each.held is None]
    try:
        held = {each.external_id: each for each in fetch(api, "customers", list(filter(None, written)))}
    except HubError:
        return list(results)  # what was written stays written: the engine reads it back
    return [replace(each, held=held.get(each.external_id)) if each.external_id in held else each for each in results]


def _send(api: BigCommerceApi, changes: Sequence[ChangeSet], part: Sequence[int]) -> list[PushResult]:
    by_op = {"create": _create, "update": _update, "delete": _delete}
    return by_op[changes[part[0]].op](api, changes, part)


def _delete(api: BigCommerceApi, changes: Sequence[ChangeSet], part: Sequence[int]) -> list[PushResult]:
    """Never without ids: at other resources of this vendor that would delete everything."""
    ids = {index: str(changes[index].external_id) for index in part}
    params = {"id:in": ",".join(ids.values())}
    api.door.request("DELETE", "/v3/customers", operation="delete", params=params, writes=True)
    return [
        replace(_applied(index, number), held=SourceRecord(external_id=number, data={}, op="delete"))
        for index, number in ids.items()
    ]


def _own(body: Mapping[str, Json]) -> dict[str, Json]:
    """What stands in the customer itself; "" clears."""
    own = {name: value for name, value in body.items() if name not in ("attribute", "addresses")}
    return {name: "" if value is None else value for name, value in own.items()}


def _create(api: BigCommerceApi, changes: Sequence[ChangeSet], part: Sequence[int]) -> list[PushResult]:
    """Ten at once. Refused as a whole, it may have been done in part: that is looked up before anything is repeated."""
    rows = [_new(api, changes[index]) for index in part]
    try:
        made = send(api, "POST", "/v3/customers", "create", rows)
    except Refused:
        if len(part) == 1:
            raise
        there = {str(each.data["email"]).lower(): each for each in by_email(api, [row["email"] for row in rows])}
        landed = [index for index in part if _is_ours(there.get(_email(changes[index])), changes[index])]
        results = [_applied(index, there[_email(changes[index])].external_id) for index in landed]
        for index in part:
            if index not in landed:
                results += _alone(api, changes, index)
        return results
    ids = {str(row.get("email")).lower(): str(row["id"]) for row in made}
    return [
        _applied(index, ids[_email(changes[index])]) if _email(changes[index]) in ids
        else PushResult(index=index, outcome="unknown", code="BIGCOMMERCE-ANSWER")
        for index in part
    ]  # fmt: skip


def _alone(api: BigCommerceApi, changes: Sequence[ChangeSet], index: int) -> list[PushResult]:
    try:
        return _create(api, changes, [index])
    except Refused as error:
        return [_refused(api, changes, index, error)]
    except HubError as error:
        return failed_results([index], error)


def _email(change: ChangeSet) -> str:
    return str(change.body.get("email") or "").strip().lower()


def _is_ours(found: Json, change: ChangeSet) -> bool:
    return found is not None and bool(change.reference) and found.marker == change.reference


def _applied(index: int, external_id: str) -> PushResult:
    return PushResult(index=index, outcome="applied", external_id=external_id)


def _new(api: BigCommerceApi, change: ChangeSet) -> dict[str, Json]:
    """A customer as it is made: attributes and a whole address go along."""
    row = {name: value for name, value in _own(change.body).items() if value != ""}
    wanted = dict(change.body.get("attribute") or {})
    if change.reference and api.marker in attributes_of(api):
        wanted[api.marker] = change.reference
    row["attributes"] = [
        {"attribute_id": attribute_id(api, name), "attribute_value": str(value)}
        for name, value in wanted.items()
        if value not in (None, "")
    ]
    address = _address(change)
    if address and all(address.get(name) for name in ("address1", "city", "country_code")):
        names = {name: row.get(name) or "-" for name in ("first_name", "last_name")}
        row["addresses"] = [{**names, "state_or_province": "", "postal_code": "", **address}]
    return row


def _address(change: ChangeSet) -> dict[str, Json]:
    given = change.body.get("addresses") or [None]
    return {name: "" if value is None else value for name, value in (given[0] or {}).items()}


def _update(api: BigCommerceApi, changes: Sequence[ChangeSet], part: Sequence[int]) -> list[PushResult]:
    """The customers, then their attributes, then their addresses: doing all of it again changes nothing."""
    ids = {index: int(changes[index].external_id or 0) for index in part}
    rows = [{"id": ids[index], **own} for index in part if (own := _own(changes[index].body))]
    if rows:
        send(api, "PUT", "/v3/customers", "update", rows)
    values = [
        {"customer_id": ids[index], "attribute_id": attribute_id(api, name), "value": str(value or "")}
        for index in part
        for name, value in (changes[index].body.get("attribute") or {}).items()
    ]
    for some in batches(values, BATCH):
        send(api, "PUT", "/v3/customers/attribute-values", "attributes", some)
    _put_addresses(api, changes, ids)
    return [_applied(index, str(ids[index])) for index in part]


def _put_addresses(api: BigCommerceApi, changes: Sequence[ChangeSet], ids: Mapping[int, int]) -> None:
    """The first address is changed in its place; a customer without one gets it if it is whole."""
    wanted = {index: address for index in ids if (address := _address(changes[index]))}
    unknown = [str(ids[index]) for index in wanted if str(ids[index]) not in api.addresses]
    people = {each.external_id: each.data for each in fetch(api, "customers", [str(ids[i]) for i in wanted])} if (
        unknown or any(not api.addresses.get(str(ids[index])) for index in wanted)) else {}  # fmt: skip
    old = [{"id": api.addresses[str(ids[i])], **a} for i, a in wanted.items() if api.addresses.get(str(ids[i]))]
    new = []
    for index, address in wanted.items():
        if api.addresses.get(str(ids[index])) or not any(address.values()):
            continue
        person = people.get(str(ids[index]), {})
        row = {"first_name": person.get("first_name"), "last_name": person.get("last_name"), "state_or_province": "",
               "postal_code": "", **address, "customer_id": ids[index]}  # fmt: skip
        lacking = [name for name in ADDRESS[:5] if not row.get(name)]
        if lacking:
            message = f"a new address needs {', '.join(lacking)}"
            raise Refused(message, status=422, field=f"addresses.0.{lacking[0]}")
        new.append(row)
    if old:
        send(api, "PUT", "/v3/customers/addresses", "addresses", old)
    if new:
        send(api, "POST", "/v3/customers/addresses", "addresses", new)


def _refused(api: BigCommerceApi, changes: Sequence[ChangeSet], index: int, error: RecordRejected) -> PushResult:
    """A refusal of one row, or the customer who has its address already."""
    change = changes[index]
    status = error.status if isinstance(error, Refused) else 0
    if status == 404:
        return PushResult(index=index, outcome="not_found", code="NET-404", message=error.message)
    if change.body.get("email") and status in (409, 422):
        for record in by_email(api, [str(change.body["email"])]):
            if record.external_id != change.external_id:
                return PushResult(
                    index=index, outcome="duplicate", code="REC-CONFLICT", field="email", message=error.message,
                    existing_id=record.external_id,
                )  # fmt: skip
    return failed_results([index], error)[0]
