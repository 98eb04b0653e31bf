"""The part of SOQL that connectors use: parse a query, and turn its conditions into a test of one row.

Understood: ``SELECT fields | COUNT() FROM object [WHERE ..] [ORDER BY f [ASC|DESC] [NULLS FIRST|LAST], ..] [LIMIT n]
[OFFSET n]``. Conditions compare a field with a literal by = != < <= > >= LIKE, IN, NOT IN, INCLUDES, EXCLUDES, and are
joined by AND, OR, NOT and parentheses. AND and OR on one level without parentheses are refused, as by the vendor.
Rows are compared in rendered form: dates and times are texts whose order is the order in time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = Any
Getter = Callable[[Any], Json]
Fold = Callable[[Json], Json]

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')"
    r"|(?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<number>[+-]?\d+(?:\.\d+)?)"
    r"|(?P<op><=|>=|!=|<>|=|<|>|\(|\)|,)"
    r"|(?P<name>[A-Za-z_][\w.]*))"
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_WORDS = {
    "select",
    "from",
    "where",
    "order",
    "by",
    "limit",
    "offset",
    "and",
    "or",
    "not",
    "in",
    "like",
    "null",
    "nulls",
}


class SoqlFault(Exception):
    """The query cannot be run; `code` is the vendor's errorCode."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    kind: str  # string | number | date | datetime | boolean | null
    value: Json  # datetime: rendered in UTC as the API renders it


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    field: str
    op: str  # = != < <= > >= like in not_in includes excludes
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    op: str  # and | or | not
    parts: tuple[Condition, ...]


Condition = Compare | Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    field: str
    descending: bool = False
    nulls_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    fields: tuple[str, ...]
    source: str
    where: Condition | None
    order: tuple[Order, ...]
    limit: int | None
    offset: int
    counts: bool  # SELECT COUNT()


def render_time(at: datetime) -> str:
    """A time as the API writes it: UTC, milliseconds, +0000."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "+0000"


def parse(text: str) -> Query:
    """Raises SoqlFault with MALFORMED_QUERY."""
    return _Parser(text).query()


def lower_bound(condition: Condition | None, name: str) -> str | None:
    """The smallest value of `name` that can satisfy the condition, if that is certain; else None."""
    if isinstance(condition, Compare):
        fits = condition.field.lower() == name.lower() and condition.op in ("=", ">", ">=")
        value = condition.values[0].value if fits else None
        return value if isinstance(value, str) else None
    if condition is None or condition.op == "not":
        return None
    bounds = [lower_bound(part, name) for part in condition.parts]
    if condition.op == "and":
        return max((bound for bound in bounds if bound is not None), default=None)
    known = [bound for bound in bounds if bound is not None]
    return min(known) if len(known) == len(bounds) else None


def exact_values(condition: Condition | None, name: str) -> list[Json] | None:
    """The only values of `name` that can satisfy the condition, if they are listed in it; else None."""
    if isinstance(condition, Compare):
        fits = condition.field.lower() == name.lower() and condition.op in ("=", "in")
        return [literal.value for literal in condition.values] if fits else None
    if condition is not None and condition.op == "and":
        for part in condition.parts:
            if (values := exact_values(part, name)) is not None:
                return values
    return None


def compile_condition(
    condition: Condition,
    getter: Callable[[str], Getter],
    check: Callable[[Compare], Compare] = lambda compare: compare,
    fold: Callable[[str], Fold] = lambda name: folded,
) -> Callable[[Any], bool]:
    """A test of one row.

    Args:
        getter: field name -> how to read it off a row.
        check: refuses or adapts a comparison (field types, ids); raises SoqlFault.
        fold: field name -> what is compared in place of its values; text ignores case, ids do not.
    """
    if isinstance(condition, Compare):
        compare = check(condition)
        alike, read = fold(compare.field), getter(compare.field)
        return _compare(compare, lambda row: alike(read(row)), alike)
    tests = [compile_condition(part, getter, check, fold) for part in condition.parts]
    if condition.op == "not":
        return lambda row: not tests[0](row)
    if condition.op == "and":
        return lambda row: all(test(row) for test in tests)
    return lambda row: any(test(row) for test in tests)


def sort_rows(
    rows: list[Any],
    order: tuple[Order, ...],
    getter: Callable[[str], Getter],
    fold: Callable[[str], Fold] = lambda name: folded,
) -> None:
    """Sort in place. Without NULLS LAST nulls come first, descending too (vendor docs, "ORDER BY")."""
    for rule in reversed(order):
        read, alike = getter(rule.field), fold(rule.field)
        values = [(row, read(row)) for row in rows]
        nulls = [row for row, value in values if value is None]
        filled = [(alike(value), row) for row, value in values if value is not None]
        filled.sort(key=lambda pair: pair[0], reverse=rule.descending)
        kept = [row for _, row in filled]
        rows[:] = kept + nulls if rule.nulls_last else nulls + kept


# --- comparing ---------------------------------------------------------------------------------------------------


def folded(value: Json) -> Json:
    """Text without its case; other values as they are."""
    return value.casefold() if isinstance(value, str) else value


def _compare(compare: Compare, read: Getter, alike: Fold) -> Callable[[Any], bool]:
    values = [alike(literal.value) for literal in compare.values]
    first = values[0] if values else None
    match compare.op:
        case "=":
            return lambda row: read(row) == first
        case "!=":
            return lambda row: read(row) != first
        case "in":
            wanted = set(values)
            return lambda row: read(row) in wanted
        case "not_in":
            refused = set(values)
            return lambda row: read(row) not in refused
        case "like":
            pattern = _like(str(first))
            return lambda row: (value := read(row)) is not None and pattern.fullmatch(str(value)) is not None
        case "includes" | "excludes":
            included = compare.op == "includes"
            sets = [set(value.split(";")) for value in values]
            return lambda row: any(s <= set((read(row) or "").split(";")) for s in sets) is included
    return _ordered(compare.op, read, first)


def _ordered(op: str, read: Getter, limit: Json) -> Callable[[Any], bool]:
    """Order comparisons; null is neither smaller nor greater than anything."""
    if op == "<":
        return lambda row: (value := read(row)) is not None and value < limit
    if op == "<=":
        return lambda row: (value := read(row)) is not None and value <= limit
    if op == ">":
        return lambda row: (value := read(row)) is not None and value > limit
    return lambda row: (value := read(row)) is not None and value >= limit


def _like(pattern: str) -> re.Pattern[str]:
    """% any text, _ one character; an escaped one (marked by a NUL while parsing) stands for itself."""
    parts = []
    for piece in re.findall("\0.|.", pattern, re.DOTALL):
        parts.append(re.escape(piece[1:]) if piece[0] == "\0" else {"%": ".*", "_": "."}.get(piece, re.escape(piece)))
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


# --- parsing -----------------------------------------------------------------------------------------------------


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0

    def query(self) -> Query:
        self._word("select")
        fields, counts = self._fields()
        self._word("from")
        source = self._name()
        where = self._condition() if self._takes("where") else None
        order: list[Order] = []
        if self._takes("order"):
            self._word("by")
            order.append(self._order())
            while self._takes(","):
                order.append(self._order())
        limit = self._number() if self._takes("limit") else None
        offset = self._number() if self._takes("offset") else 0
        if self._at < len(self._tokens):
            raise self._unexpected()
        return Query(
            fields=tuple(fields),
            source=source,
            where=where,
            order=tuple(order),
            limit=limit,
            offset=offset,
            counts=counts,
        )

    def _fields(self) -> tuple[list[str], bool]:
        first = self._name()
        if first.lower() in ("count", "fields") and self._takes("("):
            if first.lower() == "count":
                self._word(")")
                return [], True
            group = self._name()
            self._word(")")
            return [f"FIELDS({group.upper()})"], False
        fields = [first]
        while self._takes(","):
            fields.append(self._name())
        return fields, False

    def _condition(self) -> Condition:
        parts = [self._unary()]
        joiner = next((word for word in ("and", "or") if self._is(word)), None)
        while joiner and self._takes(joiner):
            parts.append(self._unary())
        if self._is("and") or self._is("or"):
            raise self._unexpected()
        return Group(op=joiner, parts=tuple(parts)) if joiner else parts[0]

    def _unary(self) -> Condition:
        if self._takes("not"):
            return Group(op="not", parts=(self._unary(),))
        if self._takes("("):
            inner = self._condition()
            self._word(")")
            return inner
        name = self._name()
        return self._comparison(name)

    def _comparison(self, name: str) -> Compare:
        if self._takes("not"):
            self._word("in")
            return Compare(field=name, op="not_in", values=self._list())
        for word in ("in", "includes", "excludes"):
            if self._takes(word):
                return Compare(field=name, op=word, values=self._list())
        if self._takes("like"):
            return Compare(field=name, op="like", values=(self._literal(keep_escapes=True),))
        for op in ("=", "!=", "<>", "<=", ">=", "<", ">"):
            if self._takes(op):
                return Compare(field=name, op="!=" if op == "<>" else op, values=(self._literal(),))
        raise self._unexpected()

    def _list(self) -> tuple[Literal, ...]:
        self._word("(")
        if self._is("select"):
            raise SoqlFault("MALFORMED_QUERY", "sub-queries are not part of what this twin understands")
        values = [self._literal()]
        while self._takes(","):
            values.append(self._literal())
        self._word(")")
        return tuple(values)

    def _literal(self, *, keep_escapes: bool = False) -> Literal:
        if self._at >= len(self._tokens):
            raise self._unexpected()
        kind, text = self._tokens[self._at]
        self._at += 1
        match kind, text.lower():
            case "string", _:
                return Literal(kind="string", value=_unescaped(text[1:-1], for_like=keep_escapes))
            case "number", _:
                return Literal(kind="number", value=float(text) if "." in text else int(text))
            case "date", _:
                return Literal(kind="date", value=text)
            case "datetime", _:
                return Literal(kind="datetime", value=_time(text))
            case "name", ("true" | "false") as word:
                return Literal(kind="boolean", value=word == "true")
            case "name", "null":
                return Literal(kind="null", value=None)
        self._at -= 1
        raise self._unexpected()

    def _order(self) -> Order:
        name = self._name()
        descending = self._takes("desc")
        if not descending:
            self._takes("asc")
        nulls_last = False
        if self._takes("nulls"):
            nulls_last = self._takes("last")
            if not nulls_last:
                self._word("first")
        return Order(field=name, descending=descending, nulls_last=nulls_last)

    def _number(self) -> int:
        literal = self._literal()
        if literal.kind != "number" or literal.value < 0 or literal.value != int(literal.value):
            self._at -= 1
            raise self._unexpected()
        return int(literal.value)

    def _name(self) -> str:
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")
        if kind != "name" or text.lower() in _WORDS:
            raise self._unexpected()
        self._at += 1
        return text

    def _is(self, word: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at][1].lower() == word

    def _takes(self, word: str) -> bool:
        found = self._is(word)
        self._at += found
        return found

    def _word(self, word: str) -> None:
        if not self._takes(word):
            raise self._unexpected()

    def _unexpected(self) -> SoqlFault:
        token = self._tokens[self._at][1] if self._at < len(self._tokens) else "<EOF>"
        return SoqlFault("MALFORMED_QUERY", f"unexpected token: '{token}'")


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, text = 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            message = "no viable alternative at character" if not rest.startswith("'") else "unterminated string at"
            raise SoqlFault("MALFORMED_QUERY", f"line 1:{at} {message} '{rest[:1]}'")
        found.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        at = match.end()
    return found


def _unescaped(text: str, *, for_like: bool) -> str:
    def replace(match: re.Match[str]) -> str:
        letter = match.group(1)
        if letter in "%_" and for_like:
            return "\0" + letter
        if letter not in "nrtbfNRTBF\"'\\%_":
            raise SoqlFault("MALFORMED_QUERY", f"Illegal string literal: invalid escape '\\{letter}'")
        return _ESCAPES.get(letter.lower(), letter)

    return re.sub(r"\\(.)", replace, text, flags=re.DOTALL)


def _time(text: str) -> str:
    try:
        return render_time(datetime.fromisoformat(text))
    except ValueError:
        raise SoqlFault("INVALID_QUERY_FILTER_OPERATOR", f"invalid date-time '{text}'") from None
