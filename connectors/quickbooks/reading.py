"""Queries up the time of change, the change log, records by id."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial

from connectors.quickbooks.api import ENTITIES, OVERLAP_S, PAGE, REMEMBERED, QuickBooksApi, call, home_currency, select
from hub.connector import Page
from hub.errors import NeedsReview, RecordRejected
from hub.kit.paging import batches, next_in_time, require_ascending, rest_at
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.model import Json, SourceRecord

LOG_DAYS = 29.0  # vendor docs, "Change data capture": 30; a day is left
LOG_MOST = 1000  # objects of an answer, which has no pages
IDS = 200  # of one query by ids
DAY_S = 86_400.0
ID = re.compile(r"[0-9]{1,19}")
VOIDED = "Voided"
# A whole customer shows no blank fields: what it does not show is blank, not unknown
BLANKS = dict.fromkeys(
    ("Title", "GivenName", "MiddleName", "FamilyName", "Suffix", "CompanyName", "Notes", "PrimaryEmailAddr",
     "PrimaryPhone", "AlternatePhone", "Mobile", "Fax", "WebAddr", "BillAddr", "ShipAddr")
)  # fmt: skip


# --- shapes ------------------------------------------------------------------------------------------------------


def as_record(api: QuickBooksApi, stream: str, row: dict[str, Json]) -> SourceRecord:
    """A row with its currency, and for invoices what the amounts say of their state."""
    external_id, stamp = _id(row), parse_time(row["MetaData"]["LastUpdatedTime"])
    if row.get("status") == "Deleted":
        return SourceRecord(external_id=external_id, data={}, stamp=stamp, op="delete")
    token = str(row.get("SyncToken") or "")
    if stream == "customers":
        remember(api, external_id, stamp, token)
        if row.get("Active") is False:
            return SourceRecord(external_id=external_id, data={}, stamp=stamp, op="archive", etag=token)
        return SourceRecord(external_id=external_id, data={**BLANKS, **row}, stamp=stamp, etag=token)
    data = {**row, "Currency": (row.get("CurrencyRef") or {}).get("value") or home_currency(api)}
    if stream == "invoices":
        data |= _state(row)
    return SourceRecord(external_id=external_id, data=data, stamp=stamp, etag=token)


def _id(row: Mapping[str, Json]) -> str:
    text = str(row["Id"])
    if not ID.fullmatch(text):
        raise ValueError("no id")
    return text


def remember(api: QuickBooksApi, external_id: str, stamp: float | None, token: str) -> None:
    """The version that belongs to a stamp, for the next write."""
    if len(api.versions) >= REMEMBERED:
        api.versions.clear()
    api.versions[external_id] = (stamp, token)


def _state(row: Mapping[str, Json]) -> dict[str, Json]:
    """An invoice has no status: its balance says it (accounting API, "Invoice")."""
    try:
        total, balance = Decimal(str(row.get("TotalAmt") or 0)), Decimal(str(row.get("Balance") or 0))
    except InvalidOperation:
        return {"PaidAmt": None, "Status": None}
    if total == 0 and VOIDED in str(row.get("PrivateNote") or ""):
        return {"PaidAmt": "0", "Status": "void"}
    return {"PaidAmt": str(total - balance), "Status": "open" if balance else "paid"}


# --- pages -------------------------------------------------------------------------------------------------------


def pull(api: QuickBooksApi, stream: str, cursor: Json) -> Page:
    """What the change log names, or one page of the query.

    Cursor at rest: {"since": epoch s}. Within a query also {"from": start of this read, "min": lower bound or None,
    "start": position within it, "seen": ids of its last second}.
    """
    if cursor is None or "from" in cursor:
        return _queried(api, stream, cursor or {"min": None, "start": 1, "seen": []})
    if cursor["since"] < api.door.vendor_now() - LOG_DAYS * DAY_S:
        return _queried(api, stream, {"min": cursor["since"], "start": 1, "seen": []})
    entity = ENTITIES[stream]
    params = {"entities": entity, "changedSince": to_iso(cursor["since"], digits=0)}
    try:
        answer = call(api, "GET", "/cdc", "changes", params=params)
    except RecordRejected:  # one stored record breaks the whole answer; a query tells which
        return _queried(api, stream, {"min": cursor["since"], "start": 1, "seen": []})
    found = answer.json()["CDCResponse"][0]["QueryResponse"]
    rows = [row for part in found for row in part.get(entity) or ()]
    if len(rows) >= LOG_MOST:
        # Deleted ones are in no query: those that the log named are taken from it
        gone = [row for row in rows if isinstance(row, dict) and row.get("status") == "Deleted"]
        records, faults = read_rows(gone, partial(as_record, api, stream), id_key="Id")
        following = {"from": answer.at, "min": cursor["since"], "start": 1, "seen": []}
        return Page(records=records, next_cursor=following, complete=False, faults=faults, read_at=answer.at)
    records, faults = read_rows(rows, partial(as_record, api, stream), id_key="Id")
    rest = {"since": rest_at(answer.at, OVERLAP_S)}
    return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=answer.at)


def _queried(api: QuickBooksApi, stream: str, at: Mapping[str, Json]) -> Page:
    """Up the time: the next page starts at the last row's second; positions are used only within one second."""
    low, start, where = at["min"], at["start"], f"{api.door.account}/{stream}"
    started = at.get("from")
    rows, broken, now = _rows(api, stream, low, start, PAGE)
    found, faults = read_rows(rows, partial(as_record, api, stream), id_key="Id")
    faults += [
        {"external_id": "", "code": "QUICKBOOKS-BROKEN", "message": "a stored record breaks every query that meets it",
         "fix": f"mend the {ENTITIES[stream].lower()} that lists in QuickBooks show near position {place}"}
        for place in broken
    ]  # fmt: skip
    stamps = [record.stamp or 0.0 for record in found]
    require_ascending(stamps, where=where)
    seen = set(at["seen"])
    records = [record for record in found if record.external_id not in seen]
    started = started or now
    if len(rows) + len(broken) < PAGE or not stamps:
        rest = {"since": rest_at(started, OVERLAP_S)}
        return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=started)
    last, within = stamps[-1], stamps[0] == stamps[-1] or bool(broken)
    edge = {record.external_id for record in found if record.stamp == last}
    bound, position = next_in_time(low, start, last, step=PAGE, within=within, fresh=bool(records), where=where)
    step = {"from": started, "min": bound, "start": position, "seen": sorted(seen | edge if within else edge)}
    return Page(records=records, next_cursor=step, complete=False, faults=faults, read_at=started)


def _rows(
    api: QuickBooksApi, stream: str, low: float | None, start: int, size: int
) -> tuple[list[dict[str, Json]], list[int], float]:
    """Rows of a query, the positions of those that break it, and the vendor's time.

    QueryProcessingError (4002) fails the whole page for one row (QuickBooks-V3-Java-SDK #47): it is found by halves.
    """
    conditions = [f"MetaData.LastUpdatedTime >= '{to_iso(low, digits=0)}'"] if low is not None else []
    text = select(stream, *conditions, order="MetaData.LastUpdatedTime", start=start, most=size)
    try:
        answer = call(api, "POST", "/query", "query", text=text)
    except RecordRejected:
        if size == 1:
            return [], [start], api.door.vendor_now()
        half = size // 2
        left, broken, now = _rows(api, stream, low, start, half)
        if len(left) + len(broken) < half:
            return left, broken, now
        right, more, _ = _rows(api, stream, low, start + half, size - half)
        return [*left, *right], [*broken, *more], now
    rows = (answer.json().get("QueryResponse") or {}).get(ENTITIES[stream]) or []
    return rows, [], answer.at


# --- by id -------------------------------------------------------------------------------------------------------


def fetch(api: QuickBooksApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """By id, 200 of a query; deleted transactions are in none."""
    asked = [external_id for external_id in dict.fromkeys(ids) if ID.fullmatch(external_id)]
    records: list[SourceRecord] = []
    for part in batches(asked, IDS):
        wanted = f"Id IN ({', '.join(map(quoted, part))})"
        found = {each.external_id: each for each in _where(api, stream, wanted, "fetch")}
        records += [found.get(each) or SourceRecord(external_id=each, data={}, op="delete") for each in part]
    return records


def quoted(text: str) -> str:
    """A text of the query language."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _where(api: QuickBooksApi, stream: str, condition: str, operation: str) -> list[SourceRecord]:
    answer = call(api, "POST", "/query", operation, text=select(stream, condition)).json()
    rows = (answer.get("QueryResponse") or {}).get(ENTITIES[stream]) or []
    return read_rows(rows, partial(as_record, api, stream), id_key="Id")[0]


# Remote field -> its place in the query language
LOOKUPS = {
    "customers": {"PrimaryEmailAddr.Address": "PrimaryEmailAddr", "DisplayName": "DisplayName"},
    "invoices": {"DocNumber": "DocNumber"},
    "payments": {},
}


def find(api: QuickBooksApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Customers by e-mail address or display name, invoices by their number."""
    if name == "Id":
        return [record for record in fetch(api, stream, [value]) if record.op == "upsert"]
    place = LOOKUPS[stream].get(name)
    if place is None:
        raise NeedsReview(f"{stream} cannot be looked up by {name}", code="QUICKBOOKS-LOOKUP", where=api.door.account)
    return [record for record in _where(api, stream, f"{place} = {quoted(value)}", "search") if record.op == "upsert"]
