"""Views page by page, records by id, and look-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from connectors.freshsales.api import BIN, ID, KINDS, OVERLAP_S, PAGE, REMEMBERED, FreshsalesApi, views_of, word_of
from hub.connector import HttpResponse, Page
from hub.errors import NeedsReview, NotFound
from hub.kit.paging import require_ascending, require_progress, rest_at
from hub.kit.reading import parse_time, read_rows
from hub.model import Json, SourceRecord


def as_record(api: FreshsalesApi, stream: str, row: dict[str, Json]) -> SourceRecord:
    """A row with the words of its choices. What is in the bin is deleted."""
    external_id, stamp = str(int(row["id"])), parse_time(row["updated_at"])
    if row.get("is_deleted"):
        return SourceRecord(external_id=external_id, data={}, stamp=stamp, op="delete")
    kind = KINDS[stream]
    words = {
        word: word_of(api, name, row.get(id_field))
        for word, (id_field, name) in kind.choices.items()
        if id_field in row
    }
    marker = row.get("external_id") if stream == "contacts" else (row.get("custom_field") or {}).get(api.marker)
    data = {**row, **words}
    if stream == "deals" and "contacts" in row:
        data["contact_id"] = next((each.get("id") for each in row["contacts"] or ()), None)
    return SourceRecord(external_id=external_id, data=data, stamp=stamp, marker=marker or None)


def _view(api: FreshsalesApi, stream: str, name: str, page: int) -> HttpResponse:
    number = views_of(api, stream).get(name)
    if number is None:
        fix = "share this view with the user of the API key, or rename it back"
        where = f"{api.door.account}/{stream}"
        raise NeedsReview(f"there is no view {name!r}", code="FRESHSALES-VIEW", where=where, fix=fix)
    params = {
        "page": page, "per_page": PAGE, "sort": "updated_at", "sort_type": "desc", "include": KINDS[stream].include,
    }  # fmt: skip
    try:
        return api.door.request("GET", f"/api/{stream}/view/{number}", operation="list", params=params)
    except NotFound:  # deleted and made again: asked for by its name at the next read
        api.views.pop(stream, None)
        raise


def pull(api: FreshsalesApi, stream: str, cursor: Json) -> Page:
    """One page of one view, newest change first.

    Cursor at rest: {"since": epoch s}. Under way also {"view": which of the stream's views, the bin being the last,
    "page", "total": rows of the view, "edge": first and last id of the page before, "from": start of this read}.
    """
    if stream == "owners":
        return _owners(api)
    at = cursor or {"since": None}
    names = [*KINDS[stream].views, *([BIN] if BIN in views_of(api, stream) else [])]
    view, number = at.get("view", 0), at.get("page", 1)
    answer = _view(api, stream, names[view], number)
    body, started = answer.json(), at.get("from") or answer.at
    rows, meta = body[stream], body["meta"]
    records, faults = read_rows(rows, partial(as_record, api, stream), id_key="id")
    where = f"{api.door.account}/{stream}"
    require_ascending([record.stamp or 0.0 for record in reversed(records)], where=where)
    # What went into the bin before the first read was never here
    since = at["since"] if names[view] != BIN or at["since"] is not None else rest_at(started, OVERLAP_S)
    going_on = {"since": at["since"], "from": started}
    behind = since is not None and any((record.stamp or 0.0) < since for record in records)
    total = int(meta["total"])
    lost = max(0, int(at.get("total", total)) - total)
    if lost and number > 1:  # that many rows left the view, and later ones moved to pages that were read
        step = {"view": view, "page": max(1, number - -(-lost // PAGE)), "total": total}
        return Page(records=records, next_cursor={**going_on, **step}, complete=False, faults=faults, read_at=started)
    if rows and number < int(meta["total_pages"]) and not behind:
        edge = [rows[0].get("id"), rows[-1].get("id")]
        require_progress(at.get("edge"), edge, where=where)
        step = {"view": view, "page": number + 1, "total": total, "edge": edge}
        return Page(records=records, next_cursor={**going_on, **step}, complete=False, faults=faults, read_at=started)
    if view + 1 < len(names):
        step = {"view": view + 1, "page": 1}
        return Page(records=records, next_cursor={**going_on, **step}, complete=False, faults=faults, read_at=started)
    rest = {"since": rest_at(started, OVERLAP_S)}
    return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=started)


def _owners(api: FreshsalesApi) -> Page:
    answer = api.door.request("GET", "/api/selector/owners", operation="selector")
    records, faults = read_rows(answer.json()["users"], _owner, id_key="id")
    return Page(
        records=records, next_cursor={}, complete=True, listing_complete=not faults, faults=faults, read_at=answer.at
    )


def _owner(row: dict[str, Json]) -> SourceRecord:
    return SourceRecord(external_id=str(int(row["id"])), data=row)


def fetch(api: FreshsalesApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """By id, one call each; owners all at once. What answers 404 was erased for good."""
    asked = [external_id for external_id in dict.fromkeys(ids) if ID.fullmatch(external_id)]
    if stream == "owners":
        found = {record.external_id: record for record in _owners(api).records}
        return [found.get(each) or SourceRecord(external_id=each, data={}, op="delete") for each in asked]
    return [get_one(api, stream, external_id) for external_id in asked]


def get_one(api: FreshsalesApi, stream: str, external_id: str) -> SourceRecord:
    kind = KINDS[stream]
    path, params = f"/api/{stream}/{external_id}", {"include": kind.include}
    try:
        answer = api.door.request("GET", path, operation="fetch", params=params)
    except NotFound:
        return SourceRecord(external_id=external_id, data={}, op="delete")
    row = answer.json()[kind.one]
    if len(api.known) >= REMEMBERED:
        api.known.clear()
    api.known[external_id] = {name: row[name] for name in ("owner_id", "emails", "sales_accounts") if name in row}
    return as_record(api, stream, row)


# `f` of the lookup call (reference, "Lookup"): exact, from an index that may be behind
LOOKUPS = {"email": "email", "mobile_number": "mobile_number", "external_id": "external_id", "name": "name"}


def find(api: FreshsalesApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """By e-mail, mobile number or the hub's id (contacts), by name or the hub's id (accounts, deals).

    The index may lag, so for the hub's id the newest page of the stream is looked through as well.
    """
    if name == "id":
        return [record for record in fetch(api, stream, [value]) if record.op != "delete"]
    marker = "external_id" if stream == "contacts" else api.marker
    if name.removeprefix("custom_field.") == marker:
        found = {record.external_id: record for record in looked_up(api, stream, marker, value)}
        found |= {record.external_id: record for record in newest(api, stream)}
        return [record for record in found.values() if record.op != "delete" and record.marker == value]
    if stream not in KINDS or name not in LOOKUPS:
        message = f"{stream} cannot be looked up by {name}"
        raise NeedsReview(message, code="FRESHSALES-LOOKUP", where=api.door.account)
    return [record for record in looked_up(api, stream, name, value) if record.op != "delete"]


def looked_up(api: FreshsalesApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Ids by the index, records by id: rows of a search may be thin (observed: deals)."""
    if name in LOOKUPS:
        params: Mapping[str, Json] = {"q": value, "f": LOOKUPS[name], "entities": KINDS[stream].one}
        answer = api.door.request("GET", "/api/lookup", operation="search", params=params).json()
        rows = (answer.get(stream) or {}).get(stream) or ()
    else:
        rule = {"attribute": name, "operator": "is_equal_to", "value": value}
        path, params = f"/api/filtered_search/{KINDS[stream].one}", {"page": 1, "per_page": PAGE}
        answer = api.door.request("POST", path, operation="search", params=params, json={"filter_rule": [rule]}).json()
        rows = answer.get(stream) or ()
    return [get_one(api, stream, str(row["id"])) for row in rows]


def newest(api: FreshsalesApi, stream: str) -> list[SourceRecord]:
    """The first page of the stream's first view: what was written last."""
    rows = _view(api, stream, KINDS[stream].views[0], 1).json()[stream]
    return read_rows(rows, partial(as_record, api, stream), id_key="id")[0]
