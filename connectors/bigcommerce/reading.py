"""Customers by the vendor's cursor, orders up their time, coupons whole, carts by id."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from functools import partial
from uuid import UUID

from connectors.bigcommerce.api import OVERLAP_S, PAGE, BigCommerceApi, ask, attributes_of, rows_of
from hub.connector import Page
from hub.errors import NeedsReview, NotFound
from hub.kit.paging import batches, next_in_time, require_ascending, require_progress, rest_at
from hub.kit.reading import parse_time, read_rows, to_iso
from hub.model import Json, SourceRecord

ID = re.compile(r"[1-9][0-9]{0,18}")
INCLUDE = ["addresses", "attributes"]
MARKER_DAYS = 2.0  # a create is looked for among the customers of so many days
REMEMBERED = 5000
# orders v2: status_id; the label in `status` may be the store's own
STATUSES = (
    "Incomplete", "Pending", "Shipped", "Partially Shipped", "Refunded", "Cancelled", "Declined", "Awaiting Payment",
    "Awaiting Pickup", "Awaiting Shipment", "Completed", "Awaiting Fulfillment", "Manual Verification Required",
    "Disputed", "Partially Refunded",
)  # fmt: skip


# --- shapes ------------------------------------------------------------------------------------------------------


def _id(row: Mapping[str, Json]) -> str:
    return str(int(row["id"]))


def customer_of(api: BigCommerceApi, row: dict[str, Json]) -> SourceRecord:
    """A customer, with its attributes by name and its first address."""
    names = {definition["id"]: name for name, definition in attributes_of(api).items()}
    given: dict[str, Json] = dict.fromkeys(names.values())  # without a value an attribute is blank, not unknown
    given |= {
        names[each["attribute_id"]]: each.get("attribute_value") or None
        for each in row.get("attributes") or ()
        if each.get("attribute_id") in names
    }
    data = {**row, "attribute": given, "address": next(iter(row.get("addresses") or ()), None)}
    return SourceRecord(
        external_id=_id(row), data=data, stamp=parse_time(row["date_modified"]), marker=given.get(api.marker)
    )


def order_of(row: dict[str, Json]) -> SourceRecord:
    """An order; its times are RFC 2822, a guest's customer is 0, and the total does not say what was paid back."""
    stamp = moment(row["date_modified"])
    if row.get("is_deleted"):
        return SourceRecord(external_id=_id(row), data={}, stamp=stamp, op="archive")
    number = row.get("status_id")
    data = {
        **row,
        "number": _id(row),
        "customer_id": row.get("customer_id") or None,
        "status_name": dict[Json, str](enumerate(STATUSES)).get(number, row.get("status")),
        "net_total": _net(row),
        "placed_at": to_iso(moment(row["date_created"]), digits=0) if row.get("date_created") else None,
    }
    return SourceRecord(external_id=_id(row), data=data, stamp=stamp)


def _net(row: Mapping[str, Json]) -> str | None:
    try:
        return str(Decimal(str(row["total_inc_tax"])) - Decimal(str(row.get("refunded_amount") or 0)))
    except (KeyError, InvalidOperation):
        return None


def moment(text: str) -> float:
    """RFC 2822 ("Tue, 20 Nov 2026 00:00:00 +0000") to epoch seconds. Raises ValueError."""
    found = parsedate_to_datetime(str(text))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def coupon_of(row: dict[str, Json]) -> SourceRecord:
    """A coupon, with what the ledger of rewards compares under the names of an order."""
    expires, money_off = row.get("expires"), row.get("type") == "per_total_discount"
    data = {
        **row,
        "expires_at": to_iso(moment(expires), digits=0) if expires else None,
        "denomination": row.get("amount") if money_off else None,
        "quantity": row.get("max_uses") or None,
    }
    return SourceRecord(external_id=_id(row), data=data)


def cart_of(row: dict[str, Json]) -> SourceRecord:
    """A cart, with the names of what is in it, whatever sort of thing that is."""
    lines = [each for kind in (row.get("line_items") or {}).values() for each in kind]
    titles = [each["name"] for each in lines if each.get("name")]
    data = {**row, "customer_id": row.get("customer_id") or None, "titles": titles}
    return SourceRecord(external_id=str(row["id"]), data=data, stamp=parse_time(row["updated_time"]))


# --- pages -------------------------------------------------------------------------------------------------------


def pull(api: BigCommerceApi, stream: str, cursor: Json) -> Page:
    """One page.

    Cursor at rest: {"since": epoch s}. Under way also {"from": start of this read} and, for customers, {"after": the
    vendor's cursor}; for orders {"min": lower bound, "page", "seen": ids of that very second, "archived"}; for coupons
    {"after": last id}.
    """
    at = cursor or {"since": None}
    if stream == "customers":
        return _customers(api, at)
    if stream == "orders":
        return _orders(api, at)
    if stream == "coupons":
        return _coupons(api, at)
    now = api.door.vendor_now()  # nothing lists carts
    return Page(records=(), next_cursor={"since": now}, complete=True, read_at=now)


def _time(at: float) -> str:
    return to_iso(at, digits=0)


def _customers(api: BigCommerceApi, at: Mapping[str, Json]) -> Page:
    window = {} if at["since"] is None else {"date_modified:min": _time(at["since"])}
    place = {"after": at["after"]} if at.get("after") else {}
    answer = ask(api, "/v3/customers", "customers", limit=PAGE, include=INCLUDE, **window, **place)
    body, started = answer.json(), at.get("from") or answer.at
    records, faults = read_rows(body["data"], partial(customer_of, api), id_key="id")
    following = ((body.get("meta") or {}).get("cursor_pagination") or {}).get("end_cursor")
    if len(body["data"]) < PAGE or not following:
        rest = {"since": rest_at(started, OVERLAP_S)}
        return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=started)
    require_progress(at.get("after"), following, where=f"{api.door.account}/customers")
    step = {"since": at["since"], "from": started, "after": following}
    return Page(records=records, next_cursor=step, complete=False, faults=faults, read_at=started)


def _orders(api: BigCommerceApi, at: Mapping[str, Json]) -> Page:
    """Up the time of change: the next page starts at the last row's second, and its rows are known by their ids.

    Only a second with more rows than a page is gone through by page numbers.
    """
    low, page, archived = at.get("min", at["since"]), at.get("page", 1), bool(at.get("archived"))
    window = {} if low is None else {"min_date_modified": _time(low)}
    deleted = {"is_deleted": "true"} if archived else {}
    answer = ask(api, "/v2/orders", "orders", limit=PAGE, page=page, sort="date_modified", **window, **deleted)
    rows, started, where = rows_of(answer), at.get("from") or answer.at, f"{api.door.account}/orders"
    found, faults = read_rows(rows, order_of, id_key="id")
    stamps = [record.stamp or 0.0 for record in found]
    require_ascending(stamps, where=where)
    seen = set(at.get("seen") or ())
    records = [record for record in found if record.external_id not in seen]
    going_on: dict[str, Json] = {"since": at["since"], "from": started, "archived": archived}
    if len(rows) >= PAGE and stamps:
        last = stamps[-1]
        edge = {record.external_id for record in found if record.stamp == last}
        within = stamps[0] == last
        bound, number = next_in_time(low, page, last, step=1, within=within, fresh=bool(records), where=where)
        step = {"min": bound, "page": number, "seen": sorted(seen | edge if within else edge)}
        return Page(records=records, next_cursor={**going_on, **step}, complete=False, faults=faults, read_at=started)
    if not archived:
        # What was archived before the first read was never here
        low = at["since"] if at["since"] is not None else rest_at(started, OVERLAP_S)
        step = {"min": low, "page": 1, "seen": [], "archived": True}
        return Page(records=records, next_cursor={**going_on, **step}, complete=False, faults=faults, read_at=started)
    rest = {"since": rest_at(started, OVERLAP_S)}
    return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=started)


def _coupons(api: BigCommerceApi, at: Mapping[str, Json]) -> Page:
    """All of them, from the last id on (the pager that the vendor recommends)."""
    after = at.get("after")
    answer = ask(api, "/v2/coupons", "coupons", limit=PAGE, **({"min_id": after + 1} if after else {}))
    rows, started = rows_of(answer), at.get("from") or answer.at
    records, faults = read_rows(rows, coupon_of, id_key="id")
    whole = at.get("whole", True) and not faults
    if len(rows) < PAGE:
        return Page(
            records=records, next_cursor={"since": started}, complete=True, listing_complete=whole, faults=faults,
            read_at=started,
        )  # fmt: skip
    last = max(int(row["id"]) for row in rows if "id" in row)
    if after is not None and last <= after:
        require_progress(last, last, where=f"{api.door.account}/coupons")
    step = {"since": at["since"], "from": started, "after": last, "whole": whole}
    return Page(records=records, next_cursor=step, complete=False, faults=faults, read_at=started)


# --- by id -------------------------------------------------------------------------------------------------------


def fetch(api: BigCommerceApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """Customers 250 at once, others one call each; what is not there was deleted."""
    asked = [each for each in dict.fromkeys(ids) if _is_uuid(each) or (stream != "carts" and ID.fullmatch(each))]
    if stream != "customers":
        return [_single(api, stream, external_id) for external_id in asked]
    records: list[SourceRecord] = []
    for part in batches(asked, PAGE):
        rows = rows_of(ask(api, "/v3/customers", "fetch", limit=PAGE, include=INCLUDE, **{"id:in": list(part)}))
        there = {record.external_id: record for record in read_rows(rows, partial(customer_of, api), id_key="id")[0]}
        if len(api.addresses) > REMEMBERED:
            api.addresses.clear()
        for external_id, record in there.items():
            first = next(iter(record.data.get("addresses") or ()), None)
            api.addresses[external_id] = int(first["id"]) if first else 0
        records += [there.get(each) or SourceRecord(external_id=each, data={}, op="delete") for each in part]
    return records


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _single(api: BigCommerceApi, stream: str, external_id: str) -> SourceRecord:
    path = f"/v3/carts/{external_id}" if stream == "carts" else f"/v2/{stream}/{external_id}"
    try:
        answer = ask(api, path, "fetch")
    except NotFound:
        return SourceRecord(external_id=external_id, data={}, op="delete")
    if answer.status == 204:  # v2 for "none"
        return SourceRecord(external_id=external_id, data={}, op="delete")
    body = answer.json()
    return cart_of(body["data"]) if stream == "carts" else {"orders": order_of, "coupons": coupon_of}[stream](body)


def find(api: BigCommerceApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Customers by exact e-mail address, or by the hub's id among those of the last two days; coupons by code.

    No filter by an attribute's value is documented. An older create is found by its address, which no two share.
    """
    if name == "id":
        return [record for record in fetch(api, stream, [value]) if record.op == "upsert"]
    if stream == "customers" and name == "email":
        return by_email(api, [value])
    if stream == "customers" and name == f"attribute.{api.marker}":
        since = _time(api.door.vendor_now() - MARKER_DAYS * 86_400.0)
        return [record for record in _matching(api, **{"date_created:min": since}) if record.marker == value]
    if stream == "coupons" and name == "code":
        rows = rows_of(ask(api, "/v2/coupons", "search", code=value))
        return [coupon_of(row) for row in rows if row.get("code") == value]
    raise NeedsReview(f"{stream} cannot be looked up by {name}", code="BIGCOMMERCE-LOOKUP", where=api.door.account)


def by_email(api: BigCommerceApi, addresses: Sequence[str]) -> list[SourceRecord]:
    """Customers with one of these addresses. A comma would part an address in two, and no shop takes one."""
    plain = [address.strip() for address in addresses if "," not in address]
    wanted = {address.lower() for address in plain}
    found = _matching(api, **{"email:in": plain}) if plain else []
    return [record for record in found if str(record.data.get("email")).lower() in wanted]


def _matching(api: BigCommerceApi, **params: Json) -> list[SourceRecord]:
    found: list[SourceRecord] = []
    after = ""
    while True:
        place = {"after": after} if after else {}
        body = ask(api, "/v3/customers", "search", limit=PAGE, include=INCLUDE, **params, **place).json()
        found += read_rows(body["data"], partial(customer_of, api), id_key="id")[0]
        following = ((body.get("meta") or {}).get("cursor_pagination") or {}).get("end_cursor")
        if len(body["data"]) < PAGE or not following:
            return found
        after = require_progress(after, following, where=f"{api.door.account}/customers")
