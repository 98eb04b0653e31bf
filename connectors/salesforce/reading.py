"""Reading: keyset pages or jobs, records by id, records by a field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from simple_salesforce.format import format_soql

from connectors.salesforce.api import OBJECTS, WHAT, SalesforceApi, call, count, select, whoami, with_visible_fields
from connectors.salesforce.bulk import is_flat, is_ready, results, start_job
from hub.connector import Page
from hub.errors import RecordRejected
from hub.kit.paging import batches, even_cuts, require_ascending, require_progress, rest_at
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.model import Json, SourceRecord

PAGE = 2000  # rows of a query page, and ids of one collection retrieve (REST API guide)
SPLIT_FROM = 200_000  # rows: counting them costs 22 calls, reading them a hundred and more
COUNTS = 20
BULK_FROM = 50_000  # rows: a job costs its making, its polls and a call per 10,000 rows, queries one per 2,000
ORDER = "ORDER BY SystemModstamp, Id"
LOOKBACK_S = 600.0  # a long transaction commits after its stamps were given (airbyte #27146)


def _record(api: SalesforceApi, stream: str, row: dict[str, Json]) -> SourceRecord:
    """A row as it came, but for `attributes`. Raises KeyError, TypeError or ValueError if it cannot be read."""
    row.pop("attributes", None)
    external_id, stamp = id18(row["Id"]), parse_time(row["SystemModstamp"])
    op, survivor = "upsert", None
    if row.get("IsDeleted"):
        master = row.get("MasterRecordId")
        op, survivor = ("merged_into", id18(master)) if master else ("delete", None)
    elif stream == "leads" and row.get("IsConverted") and row.get("ConvertedContactId"):
        op, survivor = "merged_into", "contacts:" + id18(row["ConvertedContactId"])
    author = row.get("LastModifiedById")
    ours = id18(author) == api.me if author and api.me else None
    for name in _ANYBODY & row.keys():
        row[name] = _anybody(row[name])
    if WHAT in row:
        row["what"] = {name: _named(row[WHAT], prefix) for name, prefix in _WHATS.items()}
    data, marker = {} if op == "delete" else row, row.get(api.marker) or None
    return SourceRecord(
        external_id=external_id, data=data, stamp=stamp, op=op, merged_into=survivor, marker=marker, by_hub=ours
    )


_WHATS = {"account": "001", "opportunity": "006"}  # key prefixes (Object Reference)


def _named(text: Json, prefix: str) -> str | None:
    return id18(text) if isinstance(text, str) and text.startswith(prefix) else None


_ANYBODY = {"WhoId", "LeadOrContactId"}  # may name a contact or a lead


def _anybody(text: Json) -> Json:
    """The id of a contact as it is, that of a lead as "leads:00Q…", for a mapping's ``to: [contacts, leads]``."""
    return f"leads:{id18(text)}" if isinstance(text, str) and text.startswith("00Q") else text


def records_of(
    api: SalesforceApi, stream: str, rows: Sequence[Json]
) -> tuple[list[SourceRecord], list[dict[str, str]]]:
    """Records, and faults of rows that cannot be read."""
    _know_me(api)
    return read_rows(rows, lambda row: _record(api, stream, row), id_key="Id")


def _know_me(api: SalesforceApi) -> None:
    """Whose writes are ours; asked once."""
    if api.me is None:
        api.me = id18(whoami(api)[1])


def id18(text: str) -> str:
    """The 18-character form of an id: three letters of checksum tell upper from lower case of the first 15."""
    if len(text) != 15:
        return text
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, letter in enumerate(text[start : start + 5]) if "A" <= letter <= "Z")
        suffix += "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits]
    return text + suffix


def pull(api: SalesforceApi, stream: str, cursor: Json) -> Page:
    """One page. Cursor: {"t": stamp as text, "id": last id of that stamp, "from": start of this read, "all": bool}.

    At rest `id` is "" and `t` lies ten minutes before the read that reached the end. In a part of a first load `until`
    is where the next part begins. While a query job is read `job` is its id, and `locator` its next page.
    """
    at = cursor or {"t": "", "id": "", "from": None, "all": True}
    if at.get("job"):
        return _pull_job(api, stream, at)
    answer = select(api, stream, _after(at), deleted=True)
    started = at["from"] or api.door.vendor_now()
    records, faults = records_of(api, stream, answer["records"])
    where = f"{api.door.account}/{stream}"
    require_ascending([record.stamp or 0.0 for record in records], where=where)
    if answer["done"]:
        return _last(at, records, faults, started)
    following = {**at, "from": started}
    if records:
        following |= {"t": to_iso(records[-1].stamp or 0.0), "id": records[-1].external_id}
    require_progress({**at, "from": started}, following, where=where)
    if not at["id"] and (at["all"] or "until" in at):
        following |= _job_from(api, stream, following)
    return Page(records=records, next_cursor=following, complete=False, faults=faults, read_at=started)


def _last(
    at: Mapping[str, Json], records: Sequence[SourceRecord], faults: Sequence[Mapping[str, str]], started: float
) -> Page:
    """The last page of a read, and where the next one begins."""
    rest = {"t": to_iso(rest_at(started, LOOKBACK_S)), "id": "", "from": None, "all": False}
    whole = bool(at["all"]) and not faults
    return Page(
        records=records, next_cursor=rest, complete=True, listing_complete=whole, faults=faults, read_at=started
    )


def _job_from(api: SalesforceApi, stream: str, at: Mapping[str, Json]) -> dict[str, Json]:
    """A query job for what lies beyond the first page of a first load, if that is much; {} if it is not."""
    least = int(api.settings.values.get("bulk_from", BULK_FROM))
    condition = _condition(at)
    if not least or count(api, stream, condition) < least or not is_flat(api, stream):
        return {}
    return {"job": start_job(api, stream, f"WHERE {condition} {ORDER}"), "locator": ""}


def _pull_job(api: SalesforceApi, stream: str, at: Mapping[str, Json]) -> Page:
    """One page of a job's results: the rows that queries would have given, in the same order.

    A job that failed or is gone is replaced by queries, which go on behind the last row that was read.
    """
    plain = {name: value for name, value in at.items() if name not in ("job", "locator")}
    if not at["locator"] and not is_ready(api, at["job"]):
        return Page(records=[], next_cursor=plain, complete=False, read_at=at["from"])
    found = results(api, stream, at["job"], at["locator"])
    if found is None:
        return Page(records=[], next_cursor=plain, complete=False, read_at=at["from"])
    records, faults = records_of(api, stream, found.rows)
    require_ascending([record.stamp or 0.0 for record in records], where=f"{api.door.account}/{stream}")
    if not found.locator:
        return _last(at, records, faults, at["from"])
    following = {**at, "locator": require_progress(at["locator"], found.locator, where=f"{api.door.account}/{stream}")}
    if records:
        following |= {"t": to_iso(records[-1].stamp or 0.0), "id": records[-1].external_id}
    return Page(records=records, next_cursor=following, complete=False, faults=faults, read_at=at["from"])


def _after(at: Mapping[str, Json]) -> str:
    """Rows after the cursor. One row more than a page: `done` then tells if there is more."""
    condition = _condition(at)
    return f"{f'WHERE {condition} ' if condition else ''}{ORDER} LIMIT {PAGE + 1}"


def _condition(at: Mapping[str, Json]) -> str:
    """Keyset: (stamp, id) after the cursor, and before the end of its part."""
    conditions = []
    if at["t"]:
        stamp = to_iso(parse_time(at["t"]))
        after = f"SystemModstamp >= {stamp}"
        if at["id"]:
            tie = format_soql("(SystemModstamp = {:literal} AND Id > {})", stamp, at["id"])
            after = f"({tie} OR SystemModstamp > {stamp})"
        conditions.append(after)
    if at.get("until"):
        conditions.append(f"SystemModstamp < {to_iso(parse_time(at['until']))}")
    return " AND ".join(conditions)


def split(api: SalesforceApi, stream: str, parts: int) -> list[Json]:
    """Ranges of the modification time with about as many rows each; none where there are few rows."""
    oldest = select(api, stream, "ORDER BY SystemModstamp LIMIT 1", deleted=True)["records"]
    end = api.door.vendor_now()
    rows = count(api, stream, f"SystemModstamp < {to_iso(end)}") if oldest else 0
    least = int(api.settings.values.get("split_from", SPLIT_FROM))
    if not least or rows < least:
        return []
    cuts = even_cuts(
        parse_time(oldest[0]["SystemModstamp"]), end, rows, parts=parts, counts=COUNTS,
        halfway=lambda low, high: parse_time(to_iso((low + high) / 2)),
        count=lambda low, high: count(
            api, stream, f"SystemModstamp >= {to_iso(low)} AND SystemModstamp < {to_iso(high)}"
        ),
    )  # fmt: skip
    edges = ["", *map(to_iso, cuts), ""]
    return [{"t": t, "id": "", "from": None, "all": False, "until": u} for t, u in pairwise(edges)]


def fetch(api: SalesforceApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Records by id, 2,000 a call, a strong read.

    An id without answer is looked for among the deleted ones; if it is not there either (hard delete, or no longer
    shared with our user), it is left out: that is no proof of a delete.
    """
    found: list[SourceRecord] = []
    for part in batches(list(dict.fromkeys(ids)), PAGE):
        found += _fetch_page(api, stream, part)
    return found


def _fetch_page(api: SalesforceApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    path = f"composite/sobjects/{OBJECTS[stream]}"
    rows = with_visible_fields(
        api, stream, lambda names: call(api, "POST", path, "fetch", json={"ids": list(ids), "fields": names})
    )
    records, _ = records_of(api, stream, [row for row in rows if row])
    missing = [asked for asked, row in zip(ids, rows, strict=True) if not row]
    if not missing or stream == "users":
        return records
    answer = select(api, stream, f"WHERE Id IN ({listed(missing)})", deleted=True)
    return records + records_of(api, stream, answer["records"])[0]


def listed(values: Iterable[str]) -> str:
    return ",".join(format_soql("{}", value) for value in values)


def find(api: SalesforceApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Live records whose field has this value; a strong read."""
    if not re.fullmatch(r"\w+", name):
        raise RecordRejected("no field name", code="REC-FIELD", field=name, where=api.door.account)
    condition = format_soql("WHERE {:literal} = {} LIMIT 200", name, value)
    return records_of(api, stream, select(api, stream, condition, deleted=False)["records"])[0]
