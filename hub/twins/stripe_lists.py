"""Lists and searches: newest first, by cursor, narrowed by filters; searches by the vendor's small query language."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hub.twins.records import Fields, Record
from hub.twins.stripe_objects import Resource
from hub.twins.stripe_params import Refused, boolean, integer, invalid, missing

Json = Any

LIMIT_DEFAULT, LIMIT_MAX = 10, 100  # vendor docs, "Pagination"
RANGE = {"gt": "__gt__", "gte": "__ge__", "lt": "__lt__", "lte": "__le__"}
_PAGING = {"limit", "starting_after", "ending_before", "expand", "created"}
_CLAUSE = re.compile(
    r"""\s*(?P<minus>-)?(?P<name>\w+)(?:\[(?P<q>["'])(?P<key>.*?)(?P=q)\])?
    (?P<op>>=|<=|:|~|>|<)(?:(?P<q2>["'])(?P<text>(?:\\.|(?!(?P=q2)).)*)(?P=q2)|(?P<bare>[^\s"']+))
    \s*(?P<join>AND|OR|$)""",
    re.VERBOSE,
)


def limit_of(given: Fields) -> int:
    limit = integer(given.get("limit"), "limit")
    if limit is None:
        return LIMIT_DEFAULT
    if not 1 <= limit <= LIMIT_MAX:
        raise invalid(
            f"This value must be between 1 and {LIMIT_MAX} (inclusive).", "limit", "parameter_invalid_integer"
        )
    return int(limit)


def page_of(rows: Iterable[Fields], given: Fields, url: str, kind: str) -> Fields:
    """One page of `rows` (newest first). Raises Refused for a cursor that names none of them."""
    limit, after, before = limit_of(given), given.get("starting_after"), given.get("ending_before")
    if after and before:
        raise invalid("You cannot use both ending_before and starting_after.", "ending_before")
    if before:
        newer = _until(rows, str(before), kind)
        return {"object": "list", "data": newer[-limit:], "has_more": len(newer) > limit, "url": url}
    found = []
    for row in _past(iter(rows), str(after), kind) if after else rows:
        found.append(row)
        if len(found) > limit:
            break
    return {"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": url}


def _past(rows: Iterator[Fields], cursor: str, kind: str) -> Iterator[Fields]:
    for row in rows:
        if row["id"] == cursor:
            return rows
    raise missing(kind, cursor, "starting_after", 400)


def _until(rows: Iterable[Fields], cursor: str, kind: str) -> list[Fields]:
    newer: list[Fields] = []
    for row in rows:
        if row["id"] == cursor:
            return newer
        newer.append(row)
    raise missing(kind, cursor, "ending_before", 400)


def created_test(given: Fields) -> Callable[[int], bool]:
    """`created=123` or `created[gte]=123`."""
    asked = given.get("created")
    if asked is None:
        return lambda at: True
    if not isinstance(asked, dict):
        exact = integer(asked, "created")
        return lambda at: at == exact
    if unknown := set(asked) - set(RANGE):
        raise invalid(f"Received unknown parameter: created[{min(unknown)}]", "created", "parameter_unknown")
    bounds = [(RANGE[name], integer(value, f"created[{name}]")) for name, value in asked.items()]
    return lambda at: all(getattr(at, compare)(bound) for compare, bound in bounds)


def filter_test(resource: Resource, given: Fields) -> Callable[[Record], bool]:
    """What the query parameters ask of a row. Raises Refused for a parameter that this list does not know."""
    for name in given:
        if name not in _PAGING and name not in resource.filters:
            raise invalid(f"Received unknown parameter: {name}", name, "parameter_unknown")
    in_range = created_test(given)
    tests = [_filter(name, given[name]) for name in resource.filters if given.get(name) not in (None, "")]
    if resource.kind == "subscription" and not given.get("status"):
        tests.append(lambda row: row.fields["status"] != "canceled")  # only status=all shows those
    return lambda row: in_range(int(row.created)) and all(test(row) for test in tests)


def _filter(name: str, value: Json) -> Callable[[Record], bool]:
    match name:
        case "active":
            wanted = boolean(value, name)
            return lambda row: row.fields["active"] is wanted
        case "ids":
            return lambda row: row.id in value
        case "lookup_keys":
            return lambda row: row.fields["lookup_key"] in value
        case "status" if value == "all":
            return lambda row: True
        case "status" if value == "ended":
            return lambda row: row.fields["status"] in ("canceled", "incomplete_expired")
        case "subscription":
            return lambda row: ((row.fields["parent"] or {}).get("subscription_details") or {}).get(name) == value
        case "coupon":
            return lambda row: row.fields["promotion"]["coupon"] == value
        case "price":
            return lambda row: any(item["price"]["id"] == value for item in row.fields["items"])
    return lambda row: row.fields.get(name) == value


# --- search ------------------------------------------------------------------------------------------------------


def search_test(resource: Resource, query: str) -> Callable[[Record], bool]:
    """``email:'a@b.c' AND metadata['k']:'v'``. Clauses are joined by AND or by OR, not by both."""
    tests, joins, position = [], set(), 0
    while position < len(query):
        clause = _CLAUSE.match(query, position)
        if clause is None or clause["name"] not in resource.searchable:
            raise Refused(400, f"We were unable to parse your search query at: {query[position:]}", None, "query")
        tests.append(_clause_test(clause))
        joins |= {clause["join"]} - {""}
        position = clause.end()
    if not tests or len(joins) > 1:
        raise Refused(400, "Combine clauses either with AND or with OR", None, "query")
    combine = any if joins == {"OR"} else all
    return lambda row: combine(test(row) for test in tests)


def _clause_test(clause: re.Match[str]) -> Callable[[Record], bool]:
    name, key, op = clause["name"], clause["key"], clause["op"]
    quoted = clause["text"]
    wanted = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else clause["bare"]

    def value_of(row: Record) -> Json:
        if name == "created":
            return int(row.created)
        return (row.fields["metadata"] or {}).get(key) if name == "metadata" else row.fields.get(name)

    def test(row: Record) -> bool:
        value = value_of(row)
        if wanted == "null" and clause["text"] is None:
            return value is None
        if op == "~":
            return wanted.lower() in str(value or "").lower()
        if op == ":":
            return value is not None and _plain(value) == wanted.lower()
        return value is not None and bool(getattr(float(value), _COMPARE[op])(float(wanted)))

    return (lambda row: not test(row)) if clause["minus"] else test


_COMPARE = {">": "__gt__", ">=": "__ge__", "<": "__lt__", "<=": "__le__"}


def _plain(value: Json) -> str:
    return str(value).lower()


def search_page(rows: list[Fields], given: Fields, url: str) -> Fields:
    start = _offset(str(given["page"])) if given.get("page") else 0
    end = start + limit_of(given)
    more = end < len(rows)
    token = base64.urlsafe_b64encode(f"page-{end}".encode()).decode() if more else None
    return {"object": "search_result", "url": url, "has_more": more, "next_page": token, "data": rows[start:end]}


def _offset(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("page-"))
    except ValueError:
        raise invalid("Invalid page token", "page") from None
