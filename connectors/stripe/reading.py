"""Lists newest first, then the event log, and each object by its id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from connectors.stripe.api import (
    DAY_S,
    EVENT_DAYS,
    GONE,
    ID,
    KINDS,
    MARKER,
    OVERLAP_S,
    PAGE,
    REMEMBERED,
    SEARCH_LAG_S,
    StripeApi,
    call,
)
from connectors.stripe.codes import FACTS
from hub.connector import Page
from hub.errors import NeedsReview, NotFound, RecordRejected
from hub.kit.paging import require_progress, rest_at
from hub.kit.reading import read_rows
from hub.model import Json, SourceRecord


def record_of(api: StripeApi, row: dict[str, Json]) -> SourceRecord:
    """An object; codes and coupons also say what they are worth, as `codes` tells."""
    if row.get("deleted"):
        return SourceRecord(external_id=row["id"], data={}, op="delete")
    facts = FACTS.get(str(row.get("object")))
    data = {**row, **facts(row)} if facts is not None else row
    return SourceRecord(external_id=row["id"], data=data, marker=(row.get("metadata") or {}).get(api.marker) or None)


def pull(api: StripeApi, stream: str, cursor: Json) -> Page:
    """One page of the list, or of the events since the last read with the objects they name.

    Cursor: {"list": last id or "", "from": start of this read}, or {"since": epoch s, "done": events of the overlap
    that were dealt with}, which while under way also has {"after": event, "from": start, "new": events for "done"}.
    """
    if cursor is None:
        return _listed(api, stream, {"list": "", "from": None})
    if "list" in cursor:
        return _listed(api, stream, cursor)
    if cursor["since"] < api.door.vendor_now() - EVENT_DAYS * DAY_S:
        return _listed(api, stream, {"list": "", "from": None})
    return _changed(api, stream, cursor)


def _listed(api: StripeApi, stream: str, at: Mapping[str, Json]) -> Page:
    """Newest first: what is made meanwhile stands in front, and the events since the start tell of it."""
    kind = KINDS[stream]
    params = {"limit": PAGE, **kind.listing, **_expanded(stream, "data."), **_after(at)}
    try:
        answer = call(api, "get", kind.path, stream, params)
    except (NotFound, RecordRejected) as error:
        if not at["list"] or error.code != "resource_missing":
            raise
        # The object that the page was to start after has been deleted: from the front again
        return Page(records=(), next_cursor={"list": "", "from": at["from"]}, complete=False, read_at=at["from"])
    started = at["from"] or api.door.vendor_now()
    records, faults = read_rows(answer["data"], partial(record_of, api), id_key="id")
    if not answer["has_more"]:
        rest = {"since": rest_at(started, OVERLAP_S), "done": []}
        return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=started)
    last = answer["data"][-1].get("id", at["list"]) if answer["data"] else at["list"]
    following = {"list": require_progress(at["list"], last, where=f"{api.door.account}/{stream}"), "from": started}
    return Page(records=records, next_cursor=following, complete=False, faults=faults, read_at=started)


def _after(at: Mapping[str, Json]) -> dict[str, Json]:
    return {"starting_after": at["list"]} if at["list"] else {}


def _expanded(stream: str, within: str = "") -> dict[str, Json]:
    path = KINDS[stream].expand
    return {"expand": [f"{within}{path}"]} if path else {}


def _changed(api: StripeApi, stream: str, at: Mapping[str, Json]) -> Page:
    """Objects named by one page of events, newest first, each read once in a read."""
    params: dict[str, Any] = {
        "limit": PAGE, "types": list(KINDS[stream].events), "created": {"gte": int(at["since"])},
    }  # fmt: skip
    if at.get("after"):
        params["starting_after"] = at["after"]
    answer = call(api, "get", "/v1/events", "events", params)
    started = at.get("from") or api.door.vendor_now()
    events = answer["data"]
    records = _named(api, stream, events, frozenset(at["done"]), started)
    rest_since = rest_at(started, OVERLAP_S)
    new = [*at.get("new", ()), *(event["id"] for event in events if event["created"] >= rest_since)]
    if not answer["has_more"]:
        api.seen.pop(stream, None)
        # Forgetting some of them only means that their objects are read once more
        rest = {"since": rest_since, "done": new if len(new) <= REMEMBERED else []}
        return Page(records=records, next_cursor=rest, complete=True, read_at=started)
    last = events[-1]["id"] if events else at.get("after")
    after = require_progress(at.get("after"), last, where=f"{api.door.account}/{stream}")
    following = {"since": at["since"], "done": at["done"], "after": after, "from": started, "new": new}
    return Page(records=records, next_cursor=following, complete=False, read_at=started)


def _named(
    api: StripeApi, stream: str, events: Sequence[Mapping[str, Json]], done: frozenset[str], started: float
) -> list[SourceRecord]:
    """The objects of these events as they are now. What earlier pages of this read brought is not read again."""
    known = api.seen.get(stream)
    seen = known[1] if known and known[0] == started else set()
    newest: dict[str, str] = {}  # object -> type of its newest event
    for event in events:
        external_id = object_id(event)
        if event["id"] not in done and external_id and external_id not in seen:
            newest.setdefault(external_id, event["type"])
    records = [
        SourceRecord(external_id=external_id, data={}, op="delete") if kind in GONE else _get(api, stream, external_id)
        for external_id, kind in newest.items()
    ]
    api.seen[stream] = (started, seen | set(newest))
    return records


def object_id(event: Mapping[str, Json]) -> str:
    """The object that an event makes us read: disputes and refunds are read with their charge."""
    subject = event["data"]["object"]
    name = "charge" if subject.get("object") in ("dispute", "refund") else "id"
    return str(subject.get(name) or "")  # invoice.upcoming has none


def _get(api: StripeApi, stream: str, external_id: str) -> SourceRecord:
    """One object, a strong read; deleted ones answer with a stub, or not at all."""
    try:
        return record_of(api, call(api, "get", f"{KINDS[stream].path}/{external_id}", "fetch", _expanded(stream)))
    except NotFound:
        return SourceRecord(external_id=external_id, data={}, op="delete")


def fetch(api: StripeApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """By id, one call each: there is no read of several."""
    return [_get(api, stream, external_id) for external_id in dict.fromkeys(ids) if ID.fullmatch(external_id)]


def find(api: StripeApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Customers by exact e-mail address or by the hub's id, promotion codes by their code.

    Search may be an hour behind, so for the hub's id the customers made in the last hour are listed as well.
    """
    if name == "id":
        return [record for record in fetch(api, stream, [value]) if record.op != "delete"]
    if stream == "promotion_codes" and name == "code":
        return list(_all(api, stream, "find", code=value))
    if stream == "customers" and name == "email":
        return list(_all(api, stream, "find", email=value))
    if stream == "customers" and name in (MARKER, f"metadata.{api.marker}"):
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        wanted = {"query": f"metadata['{api.marker}']:'{quoted}'", "limit": PAGE}
        answer = call(api, "get", f"{KINDS[stream].path}/search", "search", wanted)
        found = {row["id"]: record_of(api, row) for row in answer["data"]}
        since = int(api.door.vendor_now() - SEARCH_LAG_S)
        found |= {record.external_id: record for record in _all(api, stream, "find", created={"gte": since})}
        return [record for record in found.values() if record.marker == value]
    raise NeedsReview(f"{stream} cannot be looked up by {name}", code="STRIPE-LOOKUP", where=api.door.account)


def _all(api: StripeApi, stream: str, operation: str, **params: Any) -> Iterator[SourceRecord]:
    after: dict[str, str] = {}
    while True:
        answer = call(
            api, "get", KINDS[stream].path, operation, {"limit": PAGE, **params, **_expanded(stream, "data."), **after}
        )
        yield from (record_of(api, row) for row in answer["data"])
        if not answer["has_more"]:
            return
        after = {"starting_after": answer["data"][-1]["id"]}
