"""Contacts newest change first, invoices by their time, payments whole; records by id."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial

from connectors.zoho_invoice.api import DETAILED, OVERLAP_S, PAGE, ZohoApi, call, home_currency
from hub.connector import HttpResponse, Page
from hub.errors import NeedsReview, NotFound
from hub.kit.paging import require_ascending, require_progress, rest_at
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.model import Json, SourceRecord

ID = re.compile(r"[0-9]{1,25}")
ID_PATHS = {"contacts": "contact_id", "invoices": "invoice_id", "customerpayments": "payment_id"}
ONE = {"contacts": "contact", "invoices": "invoice", "customerpayments": "payment"}
HEAVY = ("line_items", "invoices", "billing_address", "shipping_address")  # of invoices and payments, and not in lists
REMEMBERED = 2000
NEWEST = 2  # pages that are looked through for the hub's id


# --- shapes ------------------------------------------------------------------------------------------------------


def _id(stream: str, row: Mapping[str, Json]) -> str:
    text = str(row[ID_PATHS[stream]])
    if not ID.fullmatch(text):
        raise ValueError("no id")
    return text


def _stamp(row: Mapping[str, Json]) -> float | None:
    text = row.get("last_modified_time")  # missing on some rows (NangoHQ/integration-templates 536): counts as changed
    return parse_time(text) if text else None


def contact_of(api: ZohoApi, row: dict[str, Json]) -> SourceRecord:
    """A contact, with what only its primary person has."""
    external_id = _id("contacts", row)
    if row.get("status") == "inactive":
        return SourceRecord(external_id=external_id, data={}, stamp=_stamp(row), op="archive")
    data = dict(row)
    primary = primary_of(row.get("contact_persons") or ())
    if primary is not None:
        data |= {name: primary.get(name) for name in ("salutation", "designation")}
    marker = (row.get("custom_field_hash") or {}).get(api.marker)
    return SourceRecord(external_id=external_id, data=data, stamp=_stamp(row), marker=marker or None)


def primary_of(persons: Sequence[Mapping[str, Json]]) -> Mapping[str, Json] | None:
    return next((person for person in persons if person.get("is_primary_contact")), None)


def act_of(api: ZohoApi, stream: str, row: dict[str, Json]) -> SourceRecord:
    """An invoice or a payment without its parts, with its currency and what was paid of it."""
    data = {name: value for name, value in row.items() if name not in HEAVY}
    data["currency_code"] = row.get("currency_code") or home_currency(api)
    if stream == "invoices":
        data["paid"] = _paid(row)
    return SourceRecord(external_id=_id(stream, row), data=data, stamp=_stamp(row))


def _paid(row: Mapping[str, Json]) -> str | None:
    try:
        return str(Decimal(str(row["total"])) - Decimal(str(row["balance"])))
    except (KeyError, InvalidOperation):
        return None


# --- pages -------------------------------------------------------------------------------------------------------


def pull(api: ZohoApi, stream: str, cursor: Json) -> Page:
    """One page. Cursor at rest: {"since": epoch s}. Under way also {"page", "from": start of this read, "first": id of
    the first row of the page before}.
    """
    at = cursor or {"since": None}
    page = at.get("page", 1)
    answer = call(api, "GET", f"/{stream}", "list", params=_asked(api, stream, at["since"], page))
    body, started, where = answer.json(), at.get("from") or answer.at, f"{api.door.account}/{stream}"
    # One specification has the payments' key in another spelling
    rows = body.get(stream) or (body.get("customer_payments") if stream == "customerpayments" else None) or []
    ended = not (body.get("page_context") or {}).get("has_more_page")
    records, faults = _contacts(api, rows, at["since"], where) if stream == "contacts" else read_rows(
        rows, partial(act_of, api, stream), id_key=ID_PATHS[stream])  # fmt: skip
    if stream == "contacts" and at["since"] is not None:
        stamps = [_stamp(row) for row in rows if isinstance(row, dict) and "contact_id" in row]
        ended = ended or any(stamp is not None and stamp < at["since"] for stamp in stamps)
    whole = at.get("whole", True) and not faults
    if ended or not rows:
        rest = {"since": rest_at(started, OVERLAP_S)}
        return Page(
            records=records, next_cursor=rest, complete=True, faults=faults, read_at=started,
            listing_complete=stream == "customerpayments" and whole,
        )  # fmt: skip
    first = rows[0].get(ID_PATHS[stream])
    require_progress(at.get("first"), first, where=where)
    step = {"since": at["since"], "from": started, "page": page + 1, "first": first, "whole": whole}
    return Page(records=records, next_cursor=step, complete=False, faults=faults, read_at=started)


def _asked(api: ZohoApi, stream: str, since: float | None, page: int) -> dict[str, Json]:
    size = DETAILED if stream == "contacts" and api.details else PAGE
    params: dict[str, Json] = {"page": page, "per_page": size}
    if stream == "contacts":
        return {**params, "filter_by": "Status.All", "sort_column": "last_modified_time", "sort_order": "D"}
    if stream == "invoices":
        window = {} if since is None else {"last_modified_time": to_iso(since, digits=0).replace("Z", "+0000")}
        return {**params, **window, "sort_column": "created_time", "sort_order": "A"}
    return params


def _contacts(
    api: ZohoApi, rows: Sequence[Json], since: float | None, where: str
) -> tuple[list[SourceRecord], list[dict[str, str]]]:
    """Customers of a page that changed since; vendors are not ours. Each is read whole where that is wanted."""
    ours = [row for row in rows if not isinstance(row, dict) or row.get("contact_type") != "vendor"]
    found, faults = read_rows(ours, partial(contact_of, api), id_key="contact_id")
    require_ascending([record.stamp for record in reversed(found) if record.stamp is not None], where=where)
    fresh = [each for each in found if since is None or each.stamp is None or each.stamp >= since]
    if not api.details:
        return fresh, faults
    return [_get(api, "contacts", each.external_id) if each.op == "upsert" else each for each in fresh], faults


# --- by id -------------------------------------------------------------------------------------------------------


def fetch(api: ZohoApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """By id, one call each; what is not there was deleted."""
    return [_get(api, stream, external_id) for external_id in dict.fromkeys(ids) if ID.fullmatch(external_id)]


def _get(api: ZohoApi, stream: str, external_id: str) -> SourceRecord:
    try:
        answer = call(api, "GET", f"/{stream}/{external_id}", "fetch")
    except NotFound:
        return SourceRecord(external_id=external_id, data={}, op="delete")
    return whole_of(api, stream, answer)


def whole_of(api: ZohoApi, stream: str, answer: HttpResponse) -> SourceRecord:
    """The record of an answer about one; of a contact is kept what its next write must send along."""
    row = answer.json()[ONE[stream]]
    if stream != "contacts":
        return act_of(api, stream, row)
    if len(api.known) >= REMEMBERED:
        api.known.clear()
    names = ("contact_name", "contact_persons", "billing_address")
    api.known[str(row["contact_id"])] = {name: row[name] for name in names if name in row}
    return contact_of(api, row)


def find(api: ZohoApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Contacts by e-mail address or name, or by the hub's id among the newest; invoices by number."""
    if name == ID_PATHS[stream]:
        return [record for record in fetch(api, stream, [value]) if record.op == "upsert"]
    if stream == "contacts" and name == f"custom_field_hash.{api.marker}":
        return [record for record in _newest(api) if record.marker == value]
    filters = {"contacts": ("email", "contact_name"), "invoices": ("invoice_number", "reference_number")}
    if name not in filters.get(stream, ()):
        raise NeedsReview(f"{stream} cannot be looked up by {name}", code="ZOHO-LOOKUP", where=api.door.account)
    rows = call(api, "GET", f"/{stream}", "search", params={name: value, "per_page": PAGE}).json().get(stream) or []
    same = [row for row in rows if str(row.get(name) or "").lower() == value.strip().lower()]
    found = fetch(api, stream, [str(row[ID_PATHS[stream]]) for row in same])
    return [record for record in found if record.op == "upsert"]


def _newest(api: ZohoApi) -> list[SourceRecord]:
    """Contacts that were made last; lists show the custom fields."""
    found: list[SourceRecord] = []
    for page in range(1, NEWEST + 1):
        params = {"page": page, "per_page": PAGE, "sort_column": "created_time", "sort_order": "D"}
        body = call(api, "GET", "/contacts", "search", params=params).json()
        rows = [row for row in body.get("contacts") or () if (row.get("custom_field_hash") or {}).get(api.marker)]
        found += read_rows(rows, partial(contact_of, api), id_key="contact_id")[0]
        if not (body.get("page_context") or {}).get("has_more_page"):
            break
    return found
