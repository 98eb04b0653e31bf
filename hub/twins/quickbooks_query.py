"""The query language of QuickBooks, as far as it goes: one entity, conditions joined by AND, one order, a window."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import eq, ge, gt, le, lt
from typing import Any

Json = Any
Condition = tuple[str, str, list[str]]  # field, operator, values

_TEXT = re.compile(
    r"\s*select\s+(?P<what>\*|count\(\*\))\s+from\s+(?P<entity>\w+)(?:\s+where\s+(?P<where>.+?))?"
    r"(?:\s+order\s*by\s+(?P<order>[\w.]+)(?:\s+(?P<way>asc|desc))?)?"
    r"(?:\s+startposition\s+(?P<start>\d{1,9}))?(?:\s+maxresults\s+(?P<most>\d{1,9}))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_QUOTED = r"'(?:[^'\\]|\\.)*'"
_CONDITION = re.compile(
    rf"\s*([\w.]+)\s*(?:(in)\s*\(([^()]*(?:{_QUOTED}[^()]*)*)\)|(<=|>=|=|<|>|like)\s*({_QUOTED}|true|false|-?\d+(?:\.\d+)?))\s*",
    re.IGNORECASE,
)
_VALUE = re.compile(rf"\s*({_QUOTED}|true|false)\s*(?:,|$)", re.IGNORECASE)
_AND = re.compile(r"and\b", re.IGNORECASE)


class BadQuery(ValueError):
    """The text is not in the language."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a text asks for."""

    entity: str
    counts: bool
    conditions: list[Condition]
    order: str
    descending: bool
    start: int
    most: int  # 0: not said


def parse_query(text: str) -> Query:
    """Raises BadQuery."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise BadQuery("not a query")
    start = int(found["start"] or 1)
    if start < 1:
        raise BadQuery("STARTPOSITION begins at 1")
    return Query(
        entity=found["entity"],
        counts=found["what"] != "*",
        conditions=_conditions(found["where"] or ""),
        order=found["order"] or "Id",
        descending=(found["way"] or "").lower() == "desc",
        start=start,
        most=int(found["most"] or 0),
    )


def _conditions(text: str) -> list[Condition]:
    found: list[Condition] = []
    place = 0
    while place < len(text):
        if found:
            joint = _AND.match(text, place)
            if joint is None:
                raise BadQuery(f"AND expected at {place}")
            place = joint.end()
        match = _CONDITION.match(text, place)
        if match is None:
            raise BadQuery(f"no condition at {place}")
        name, is_in, listed, operator, value = match.groups()
        values = _listed(listed) if is_in else [_plain(value)]
        found.append((name, "in" if is_in else operator.lower(), values))
        place = match.end()
    return found


def _listed(text: str) -> list[str]:
    values, place = [], 0
    while place < len(text):
        match = _VALUE.match(text, place)
        if match is None:
            raise BadQuery("a list of values is expected")
        values.append(_plain(match[1]))
        place = match.end()
    return values


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith("'") else text.lower()


def value_of(row: Mapping[str, Json], name: str) -> Json:
    """The value under a dotted name; an e-mail address counts as its text."""
    value: Json = row
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value.get("Address", value.get("value")) if isinstance(value, Mapping) else value


def order_of(row: Mapping[str, Json], name: str) -> Json:
    value = value_of(row, name)
    if name.startswith("MetaData."):
        return datetime.fromisoformat(value).timestamp()
    return (len(str(value)), str(value)) if name == "Id" else str(value or "")


def matches(row: Mapping[str, Json], condition: Condition) -> bool:
    """Whether a row fulfils a condition. Raises BadQuery for a time that is none."""
    name, operator, wanted = condition
    value = value_of(row, name)
    if isinstance(value, bool):
        return str(value).lower() in wanted
    if operator == "in":
        return str(value) in wanted
    if operator == "like":
        return wanted[0].strip("%").lower() in str(value or "").lower()
    if value is None:
        return False
    left, right = _comparable(name, value), _comparable(name, wanted[0])
    compare = {"=": eq, "<": lt, ">": gt, "<=": le, ">=": ge}[operator]
    return bool(compare(left, right))


def _comparable(name: str, value: Json) -> Json:
    if name.startswith("MetaData."):
        try:
            return datetime.fromisoformat(str(value)).timestamp()
        except ValueError:
            raise BadQuery("a time is expected") from None
    try:
        return float(value) if name.endswith(("Amt", "Balance")) else str(value)
    except ValueError:
        raise BadQuery("a number is expected") from None
