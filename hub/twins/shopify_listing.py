"""How a call sees the shop's records: one by one, by unique keys, and as sorted, searched, paged connections.

Two ways in: by id or key, which is always fresh, and by connection with a search string, which asks the search index
and so sees what the index has (late rows, old values).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson
from graphql import GraphQLError

from hub.twins.records import Fields, Record, id_order
from hub.twins.shopify_search import EmptyFilter, FieldTest, Search, Test, compile_search
from hub.twins.shopify_shapes import financial_status, show_customer, show_order, total
from hub.twins.shopify_values import number_of, parse_time

if TYPE_CHECKING:
    from hub.twins.shopify import TwinShopify

Json = Any
Key = tuple[Any, tuple[int, str]]  # sort value, then id: a keyset that no change of other rows can shift

PAGE_MAX = 250  # vendor docs, "Limits": first, ids and other array arguments
EVERYTHING = 2**31 - 1  # what a bulk operation puts into the place of `first`; nobody else could pay for it
ORDER_WINDOW_S = 60 * 86_400.0  # without read_all_orders
DAY_S = 86_400


class Visit:
    """One call under way: what its resolvers may see."""

    def __init__(self, twin: TwinShopify) -> None:
        self.twin = twin
        self.search_notes: list[Json] = []  # warnings about search strings, for `extensions`

    def may(self, scope: str) -> bool:
        return scope in self.twin.scopes

    def customer(self, record: Record | None) -> Fields | None:
        seen = self.seen(record)
        return None if seen is None else show_customer(seen, self.orders_of(seen.id), self.twin.shop)

    def written(self, record: Record | None) -> Fields | None:
        """A customer just written: a mutation answers from the primary, however late its readers are."""
        return None if record is None else show_customer(record, self.orders_of(record.id), self.twin.shop)

    def order(self, record: Record | None) -> Fields | None:
        seen = self.seen(record)
        return None if seen is None or not self.is_in_window(seen) else show_order(seen)

    def seen(self, record: Record | None, *, index: bool = False) -> Record | None:
        seen = self.twin.see(record, index=index) if record is not None else None
        return None if seen is None or seen.deleted else seen

    def orders_of(self, customer: str) -> list[Record]:
        return self.twin.records.lookup("orders", "customer", customer)

    def is_in_window(self, order: Record) -> bool:
        return self.may("read_all_orders") or order.created >= self.twin.now() - ORDER_WINDOW_S

    def find(self, global_id: str, kind: str) -> Record | None:
        """Raises GraphQLError for what is no global id at all; another kind's id finds nothing."""
        if not global_id.startswith("gid://shopify/"):
            raise bad_argument(f"Invalid global id '{global_id}'")
        number = number_of(global_id.partition("?")[0], kind)
        return self.twin.records.find(STREAM_OF[kind], number) if number else None

    def by_custom_id(self, stream: str, custom: Fields) -> Record | None:
        """The row with this value of a unique metafield. Raises GraphQLError if none is defined."""
        name = f"{custom.get('namespace') or '$app'}.{custom['key']}"
        if not self.twin.is_custom_id(stream, name):
            message = "Metafield definition of type 'id' is required when using custom ids."
            raise GraphQLError(message, extensions={"code": "NOT_FOUND"})
        return next(iter(self.twin.records.lookup(stream, "custom", f"{name}={custom['value']}")), None)


STREAM_OF = {
    "Customer": "customers", "Order": "orders", "DiscountCodeNode": "discounts", "Product": "products",
    "AbandonedCheckout": "checkouts",
}  # fmt: skip


def bad_argument(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "argumentLiteralsIncompatible"})


def guard(scope: str, field: str, visit: Visit) -> None:
    """Raises GraphQLError if the app lacks the scope."""
    if not visit.may(scope):
        needed = f"`{scope}` access scope."
        raise GraphQLError(
            f"Access denied for {field} field. Required access: {needed}",
            extensions={"code": "ACCESS_DENIED", "documentation": ACCESS_PAGE, "requiredAccess": needed},
        )


ACCESS_PAGE = "https://shopify.dev/api/usage/access-scopes"


# --- paging ------------------------------------------------------------------------------------------------------


def connection(rows: list[Json], cursors: list[str], *, more: bool, later: bool) -> Fields:
    return {
        "nodes": rows,
        "edges": lambda _info: [{"cursor": c, "node": row} for c, row in zip(cursors, rows, strict=True)],
        "pageInfo": {
            "hasNextPage": more,
            "hasPreviousPage": later,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def encode_cursor(value: Json, record_id: str) -> str:
    return base64.b64encode(orjson.dumps({"last_id": int(record_id), "last_value": value})).decode()


def decode_cursor(text: str) -> tuple[Json, str]:
    try:
        cursor = orjson.loads(base64.b64decode(text, validate=True))
        return cursor["last_value"], str(cursor["last_id"])
    except (ValueError, KeyError, TypeError):
        raise bad_argument(f"Invalid cursor for current pagination sort: {text}") from None


def page_size(first: int | None, field: str) -> int:
    if first is None:
        raise bad_argument("you must provide one of first or last")
    if first != EVERYTHING and not 0 <= first <= PAGE_MAX:
        raise bad_argument(
            f"Argument 'first' on Field '{field}' has an invalid value ({first}). Maximum is {PAGE_MAX}."
        )
    return first


def page_of_list(rows: list[Fields], first: int | None, after: str | None, field: str) -> Fields:
    """A short list as a connection; cursors are positions."""
    start = int(decode_cursor(after)[1]) if after else 0
    end = start + page_size(first, field)
    cursors = [encode_cursor(None, str(position + 1)) for position in range(start, min(end, len(rows)))]
    return connection(rows[start:end], cursors, more=end < len(rows), later=start > 0)


class Listing:
    """One connection over a stream: what is searched, in which order, where it goes on."""

    def __init__(self, visit: Visit, stream: str, arguments: Mapping[str, Json], keep: Test | None = None) -> None:
        self._visit, self._stream, self._keep = visit, stream, keep
        self._sort = str(arguments.get("sortKey") or "ID")
        self._reverse = bool(arguments.get("reverse"))
        self._after = arguments.get("after")
        self._indexed = bool(arguments.get("query"))
        self._search = search_for(visit, stream, arguments.get("query"))

    def page(self, size: int, show: Callable[[Record], Fields]) -> Fields:
        rows = list(self._rows(size + 1))
        page, more = rows[:size], len(rows) > size
        cursors = [encode_cursor(self._value(row), row.id) for row in page]
        return connection([show(row) for row in page], cursors, more=more, later=self._after is not None)

    def count(self) -> int:
        return sum(1 for row in self._visit.twin.records.all(self._stream) if self._match(row) is not None)

    def _rows(self, wanted: int) -> Iterable[Record]:
        found: list[Record] = []
        start = self._start()
        in_order, candidates = self._candidates(start)
        for record in candidates:
            seen = self._match(record)
            if seen is not None and (start is None or self._is_past(seen, start)):
                found.append(seen)
                if in_order and len(found) >= wanted:
                    return found
        return found if in_order else sorted(found, key=self._key, reverse=self._reverse)[:wanted]

    def _candidates(self, start: Key | None) -> tuple[bool, Iterable[Record]]:
        """Rows that may come next, and whether they are in the order asked for."""
        records, faults = self._visit.twin.records, self._visit.twin.faults
        if self._sort == "ID" and not self._reverse:
            return True, records.after(self._stream, start[1][1] if start else None)
        if self._sort == "UPDATED_AT" and not self._reverse:
            calm = not (faults.index_lag_s or faults.late_visible_s or faults.replica_lag_s)
            return calm, records.since(self._stream, max(start[0] if start else 0.0, self._floor()))
        return False, records.all(self._stream)

    def _floor(self) -> float:
        """No row before this can match. Search days of customers are the shop's, so a day of room is left."""
        bound = self._search.lower_bounds.get("updated_at") if self._search else None
        return 0.0 if bound is None else parse_time(bound, self._visit.twin.shop.timezone) - 2 * DAY_S

    def _match(self, record: Record) -> Record | None:
        seen = self._visit.seen(record, index=self._indexed)
        if seen is None or (self._keep is not None and not self._keep(seen)):
            return None
        return seen if self._search is None or self._search.matches(seen) else None

    def _start(self) -> Key | None:
        if self._after is None:
            return None
        value, record_id = decode_cursor(self._after)
        return (value, id_order(record_id))

    def _key(self, record: Record) -> Key:
        return (self._value(record), id_order(record.id))

    def _value(self, record: Record) -> Json:
        return SORT_VALUES[self._sort](record)

    def _is_past(self, record: Record, start: Key) -> bool:
        key = self._key(record)
        return key < start if self._reverse else key > start


def _customer_name(record: Record) -> str:
    return f"{record.fields.get('lastName') or ''} {record.fields.get('firstName') or ''}".lower()


SORT_VALUES: dict[str, Callable[[Record], Json]] = {
    "ID": lambda record: 0,
    "RELEVANCE": lambda record: 0,
    "UPDATED_AT": lambda record: record.modified,
    "CREATED_AT": lambda record: record.created,
    "NAME": _customer_name,
    "TITLE": lambda record: record.fields["title"].lower(),
    "CHECKOUT_ID": lambda record: 0,
    "LOCATION": lambda record: str([a["countryCode"] for a in record.fields["addresses"][:1]]),
    "PROCESSED_AT": lambda record: record.fields["processedAt"],
    "ORDER_NUMBER": lambda record: record.fields["number"],
    "TOTAL_PRICE": lambda record: float(total(record.fields)),
    "CUSTOMER_NAME": lambda record: record.fields["email"] or "",
}


# --- searching ---------------------------------------------------------------------------------------------------


def search_for(visit: Visit, stream: str, text: str | None) -> Search | None:
    """Raises GraphQLError for an empty filter: the vendor's own internal error."""
    if not text:
        return None
    zone = visit.twin.shop.timezone
    fields, words = _SEARCHED[stream]
    try:
        search = compile_search(text, fields(zone), words)
    except EmptyFilter:
        message = "Internal error. Looks like something went wrong on our end."
        raise GraphQLError(message, extensions={"code": "INTERNAL_SERVER_ERROR"}) from None
    if search.warnings:
        visit.search_notes.append({"path": [stream], "query": text, "warnings": search.warnings})
    return search


def _compare(op: str, left: Any, right: Any) -> bool:
    match op:
        case ">":
            return bool(left > right)
        case ">=":
            return bool(left >= right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
    return bool(left == right)


def _instant(read: Callable[[Record], float], zone: str) -> FieldTest:
    def make(op: str, value: str, quoted: bool) -> Test:
        try:
            bound = parse_time(value, zone)
        except ValueError:
            return lambda record: True  # the vendor ignores what it cannot read
        return lambda record: _compare(op, read(record), bound)

    return make


def _day(read: Callable[[Record], float], zone: str) -> FieldTest:
    """A customer's times match by whole days, whatever the clock part says (schema text of `customers`)."""
    shop_zone = ZoneInfo(zone)

    def make(op: str, value: str, quoted: bool) -> Test:
        try:
            bound = datetime.fromtimestamp(parse_time(value, zone), shop_zone).date()
        except ValueError:
            return lambda record: True
        return lambda record: _compare(op, datetime.fromtimestamp(read(record), shop_zone).date(), bound)

    return make


def _number(read: Callable[[Record], int]) -> FieldTest:
    def make(op: str, value: str, quoted: bool) -> Test:
        digits = value.rpartition("/")[2]
        return (lambda record: _compare(op, read(record), int(digits))) if digits.isdigit() else (lambda record: False)

    return make


def _text(read: Callable[[Record], Json]) -> FieldTest:
    """Quoted: the whole value. Bare: every word of it, in any place (so `email:a@b.c` finds more than one hopes)."""

    def make(op: str, value: str, quoted: bool) -> Test:
        wanted = value.lower()
        if quoted:
            return lambda record: str(read(record) or "").lower() == wanted
        if wanted.endswith("*"):
            prefix = wanted[:-1]
            return lambda record: any(w.startswith(prefix) for w in _split(str(read(record) or "").lower()))
        words = _split(wanted)
        return lambda record: words <= _split(str(read(record) or "").lower())

    return make


def _split(text: str) -> set[str]:
    return set("".join(c if c.isalnum() else " " for c in text).split())


def _one_of(read: Callable[[Record], Iterable[str]]) -> FieldTest:
    def make(op: str, value: str, quoted: bool) -> Test:
        wanted = value.lower()
        return lambda record: wanted in {item.lower() for item in read(record)}

    return make


def _is_true(read: Callable[[Record], bool]) -> FieldTest:
    return lambda op, value, quoted: lambda record: read(record) is (value.lower() == "true")


def _customer_fields(zone: str) -> dict[str, FieldTest]:
    return {
        "updated_at": _day(lambda r: r.modified, zone),
        "customer_date": _day(lambda r: r.created, zone),
        "created_at": _day(lambda r: r.created, zone),
        "id": _number(lambda r: int(r.id)),
        "email": _text(lambda r: r.fields["email"]),
        "phone": _text(lambda r: r.fields["phone"]),
        "first_name": _text(lambda r: r.fields["firstName"]),
        "last_name": _text(lambda r: r.fields["lastName"]),
        "state": _text(lambda r: r.fields["state"]),
        "country": _one_of(lambda r: [a["countryCode"] or "" for a in r.fields["addresses"]]),
        "tag": _one_of(lambda r: r.fields["tags"]),
        "accepts_marketing": _is_true(lambda r: r.fields["emailMarketing"]["state"] == "SUBSCRIBED"),
    }


def _customer_words(op: str, value: str, quoted: bool) -> Test:
    make = _text(
        lambda r: " ".join(str(r.fields[n] or "") for n in ("firstName", "lastName", "email", "phone", "note"))
    )
    return make(op, value, False)


def _order_fields(zone: str) -> dict[str, FieldTest]:
    return {
        "updated_at": _instant(lambda r: r.modified, zone),
        "created_at": _instant(lambda r: r.created, zone),
        "processed_at": _instant(lambda r: parse_time(r.fields["processedAt"], zone), zone),
        "id": _number(lambda r: int(r.id)),
        "customer_id": _number(lambda r: int(r.fields["customer"] or 0)),
        "name": _text(lambda r: f"#{r.fields['number']}"),
        "email": _text(lambda r: r.fields["email"]),
        "tag": _one_of(lambda r: r.fields["tags"]),
        "financial_status": _text(lambda r: financial_status(r.fields)),
        "fulfillment_status": _text(lambda r: r.fields["fulfillment"]),
        "source_identifier": _text(lambda r: r.fields["sourceIdentifier"]),
        "po_number": _text(lambda r: r.fields["poNumber"]),
        "test": _is_true(lambda r: r.fields["test"]),
        "status": _order_status,
    }


def _order_status(op: str, value: str, quoted: bool) -> Test:
    match value.lower():
        case "open":
            return lambda r: r.fields["closedAt"] is None and r.fields["cancelledAt"] is None
        case "closed":
            return lambda r: r.fields["closedAt"] is not None
        case "cancelled":
            return lambda r: r.fields["cancelledAt"] is not None
        case "not_closed":
            return lambda r: r.fields["closedAt"] is None
    return lambda r: True


def _words(op: str, value: str, quoted: bool) -> Test:
    return _text(lambda r: f"{r.fields['number']} {r.fields['email'] or ''}")(op, value, False)


def _product_fields(zone: str) -> dict[str, FieldTest]:
    return {
        "updated_at": _instant(lambda r: r.modified, zone),
        "created_at": _instant(lambda r: r.created, zone),
        "id": _number(lambda r: int(r.id)),
        "title": _text(lambda r: r.fields["title"]),
        "handle": _text(lambda r: r.fields["handle"]),
        "product_type": _text(lambda r: r.fields["productType"]),
        "vendor": _text(lambda r: r.fields["vendor"]),
        "status": _text(lambda r: r.fields["status"]),
        "tag": _one_of(lambda r: r.fields["tags"]),
    }


def _product_words(op: str, value: str, quoted: bool) -> Test:
    return _text(lambda r: f"{r.fields['title']} {r.fields['vendor']}")(op, value, False)


def _checkout_fields(zone: str) -> dict[str, FieldTest]:
    return {
        "updated_at": _instant(lambda r: r.modified, zone),
        "created_at": _instant(lambda r: r.created, zone),
        "id": _number(lambda r: int(r.id)),
        "status": lambda op, value, quoted: lambda r: (r.fields["completedAt"] is None) is (value.lower() == "open"),
    }


def _checkout_words(op: str, value: str, quoted: bool) -> Test:
    return _text(lambda r: " ".join(line["title"] for line in r.fields["lines"]))(op, value, False)


_SEARCHED: dict[str, tuple[Callable[[str], dict[str, FieldTest]], FieldTest]] = {
    "customers": (_customer_fields, _customer_words),
    "orders": (_order_fields, _words),
    "products": (_product_fields, _product_words),
    "checkouts": (_checkout_fields, _checkout_words),
}
