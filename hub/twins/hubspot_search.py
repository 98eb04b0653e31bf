"""The search endpoint of the HubSpot twin: its limits, its filters, and how values compare.

Search reads the index, which lags; every other read of the vendor is consistent with its writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hub.twins.hubspot_schema import MODIFIED, Property
from hub.twins.kit import Record

Json = Any
Read = Callable[[Record, str], str | None]

# Strictest of the published limits (fact sheet, "Search caps").
GROUPS, FILTERS, FILTERS_IN_ALL = 5, 6, 18
PAGE_ROWS, WINDOW_ROWS, BODY_CHARS = 200, 10_000, 3_000
_TEXT_PROPERTIES = {
    "contacts": ("firstname", "lastname", "email", "phone", "company"),
    "companies": ("name", "domain", "phone", "website"),
    "deals": ("dealname", "description"),
}
_OPERATORS = {
    *("EQ", "NEQ", "LT", "LTE", "GT", "GTE", "BETWEEN", "IN", "NOT_IN", "HAS_PROPERTY", "NOT_HAS_PROPERTY"),
    *("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"),
}


class SearchFault(ValueError):
    """The search is refused; answered with 400 VALIDATION_ERROR."""


def check_limits(body: dict[str, Json], size_chars: int) -> None:
    """Raises SearchFault if the request is larger than the vendor takes."""
    groups = body.get("filterGroups") or []
    filters = [group.get("filters") or [] for group in groups]
    faults = [
        (size_chars > BODY_CHARS, f"Request body of {size_chars} characters exceeds {BODY_CHARS}"),
        (len(groups) > GROUPS, f"There were {len(groups)} filterGroups, at most {GROUPS} are allowed"),
        (any(len(f) > FILTERS for f in filters), f"A filterGroup may have at most {FILTERS} filters"),
        (sum(map(len, filters)) > FILTERS_IN_ALL, f"At most {FILTERS_IN_ALL} filters are allowed"),
        (len(body.get("sorts") or []) > 1, "Only one sort is allowed"),
        (not 0 < int(body.get("limit") or 10) <= PAGE_ROWS, f"limit must be between 1 and {PAGE_ROWS}"),
        (
            int(body.get("after") or 0) + int(body.get("limit") or 10) > WINDOW_ROWS,
            f"Paging is limited to the first {WINDOW_ROWS} results",
        ),
    ]
    for is_over, message in faults:
        if is_over:
            raise SearchFault(message)


def compile_groups(groups: list[Json], find: Callable[[str], Property | None], read: Read) -> Callable[[Record], bool]:
    """A test of one row: any group, all filters of it. Raises SearchFault."""
    compiled = [[_compile(f, find, read) for f in group.get("filters") or []] for group in groups]
    if not compiled:
        return lambda record: True
    return lambda record: any(all(test(record) for test in tests) for tests in compiled)


def modified_since(groups: list[Json], name: str) -> float | None:
    """Epoch seconds before which no row can match, if every group sets such a bound; else None."""
    bounds: list[float] = []
    for group in groups:
        found = [
            _instant(f.get("value"))
            for f in group.get("filters") or []
            if f.get("propertyName") == MODIFIED[name] and f.get("operator") in ("GT", "GTE", "BETWEEN", "EQ")
        ]
        if not found:
            return None
        bounds.append(max(found))
    return min(bounds) if bounds else None


def sort_key(sorts: list[Json], find: Callable[[str], Property | None], read: Read) -> tuple[Callable[..., Any], bool]:
    """(key of a row, descending); rows without a value come last in ascending order. Default: by id."""
    if not sorts:
        return (lambda record: int(record.id)), False
    rule = sorts[0] if isinstance(sorts[0], dict) else {"propertyName": str(sorts[0])}
    prop = find(str(rule.get("propertyName")))
    if prop is None:
        raise SearchFault(f"There is no property {rule.get('propertyName')} to sort by")
    name = prop.name

    def key(record: Record) -> tuple[bool, Any]:
        value = read(record, name)
        return (value is None, 0 if value is None else _comparable(prop, value))

    return key, str(rule.get("direction", "ASCENDING")).upper() == "DESCENDING"


def matches_text(query: str, name: str, read: Read) -> Callable[[Record], bool]:
    """The free-text search over a type's default searchable properties: every word begins some word of the row."""
    words = query.lower().split()

    def test(record: Record) -> bool:
        values = " ".join(read(record, prop) or "" for prop in _TEXT_PROPERTIES[name]).lower()
        known = [values, *re.split(r"[\s@.,]+", values)]
        return all(any(entry.startswith(word) for entry in known) or word in values for word in words)

    return test


def _compile(rule: Json, find: Callable[[str], Property | None], read: Read) -> Callable[[Record], bool]:
    prop = find(str(rule.get("propertyName")))
    operator = str(rule.get("operator"))
    if prop is None:
        raise SearchFault(f"There was a problem with the request: property {rule.get('propertyName')} does not exist")
    if operator not in _OPERATORS:
        raise SearchFault(f"Invalid operator {operator}")
    name = prop.name
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        wanted = operator == "HAS_PROPERTY"
        return lambda record: (read(record, name) is not None) is wanted
    if operator in ("IN", "NOT_IN"):
        return _membership(prop, rule, read, wanted=operator == "IN")
    if rule.get("value") is None:
        raise SearchFault(f"operator {operator} needs a value")
    if operator in ("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"):
        pattern = _token(str(rule["value"]))
        contains = operator == "CONTAINS_TOKEN"
        return lambda record: bool(pattern.search(read(record, name) or "")) is contains
    return _ordered(prop, rule, operator, read)


def _membership(prop: Property, rule: Json, read: Read, *, wanted: bool) -> Callable[[Record], bool]:
    values = rule.get("values")
    if not isinstance(values, list) or not values:
        raise SearchFault("operators IN and NOT_IN need values")
    known = {_comparable(prop, str(value)) for value in values}

    def test(record: Record) -> bool:
        value = read(record, prop.name)
        return value is not None and (_comparable(prop, value) in known) is wanted

    return test


def _ordered(prop: Property, rule: Json, operator: str, read: Read) -> Callable[[Record], bool]:
    low = _comparable(prop, str(rule["value"]))
    high = _comparable(prop, str(rule["highValue"])) if operator == "BETWEEN" else low
    compare: Callable[[Any], bool] = {
        "EQ": lambda value: value == low,
        "NEQ": lambda value: value != low,
        "LT": lambda value: value < low,
        "LTE": lambda value: value <= low,
        "GT": lambda value: value > low,
        "GTE": lambda value: value >= low,
        "BETWEEN": lambda value: low <= value <= high,
    }[operator]

    def test(record: Record) -> bool:
        value = read(record, prop.name)
        return value is not None and compare(_comparable(prop, value))

    return test


def _comparable(prop: Property, value: str) -> Json:
    """Numbers and times compare as such, text without its case."""
    try:
        if prop.type in ("date", "datetime"):
            return round(_instant(value) * 1000)
        if prop.type == "number":
            return float(value)
    except ValueError:
        raise SearchFault(f"{value} is no {prop.type} for {prop.name}") from None
    return value.lower()


def _instant(value: Json) -> float:
    """Epoch seconds of an epoch-ms text or an ISO time."""
    text = str(value).strip()
    if re.fullmatch(r"-?\d+", text):
        return int(text) / 1000
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _token(text: str) -> re.Pattern[str]:
    """A word, with * for any letters."""
    return re.compile(r"(?<!\w)" + re.escape(text).replace(r"\*", r"\S*") + r"(?!\w)", re.IGNORECASE)
