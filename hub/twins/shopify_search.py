"""The vendor's search strings: ``updated_at:>='2026-11-02' (tag:vip OR state:enabled) -email:"a@b.c"``.

A search string becomes one test over documents. Which fields can be searched, and how each compares, is a table given
by the caller. A field that is not in the table is dropped with a warning, as the vendor does: the rest still counts.

Source: vendor docs, "Search syntax"; the fact sheet's section 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = Any
Test = Callable[[Document], bool]
FieldTest = Callable[[str, str, bool], Test]  # (operator, value, quoted) -> test

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<open>\() | (?P<close>\)) | (?P<minus>-)(?=\S)
        | (?:(?P<name>[A-Za-z_][\w.]*):)?
          (?P<op>>=|<=|>|<)?
          (?: "(?P<double>(?:\\.|[^"\\])*)" | '(?P<single>(?:\\.|[^'\\])*)' | (?P<bare>[^\s()'"]+) )?
    )""",
    re.VERBOSE,
)


class EmptyFilter(ValueError):
    """A filter with a field and no value: the vendor answers it with an internal error."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A compiled search string."""

    matches: Test
    warnings: list[dict[str, str]] = field(default_factory=list)
    lower_bounds: dict[str, str] = field(default_factory=dict)  # field -> value of a >= or > that every row must meet


@dataclass(frozen=True, slots=True)
class _Term:
    name: str
    op: str
    value: str
    quoted: bool


_Token = _Term | str  # a term, or "(", ")", "-"


def compile_search(text: str, fields: Mapping[str, FieldTest], words: FieldTest) -> Search:
    """Compile a search string; `words` tests terms without a field. Raises EmptyFilter."""
    parser = _Parser(_tokens(text), fields, words)
    test = parser.any_of()
    bounds = {} if parser.branching else parser.bounds
    return Search(matches=test, warnings=parser.warnings, lower_bounds=bounds)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            position += 1  # a stray quote: the vendor ignores it
            continue
        position = match.end()
        found.append(_token(match))
    return found


def _token(match: re.Match[str]) -> _Token:
    for sign in ("open", "close", "minus"):
        if match[sign]:
            return str(match[sign])
    quoted = match["double"] if match["double"] is not None else match["single"]
    value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else (match["bare"] or "")
    if match["name"] and not value:
        raise EmptyFilter(match["name"])
    return _Term(match["name"] or "", match["op"] or "", value, quoted is not None)


class _Parser:
    """Recursive descent: any_of > all_of > one."""

    def __init__(self, tokens: list[_Token], fields: Mapping[str, FieldTest], words: FieldTest) -> None:
        self.warnings: list[dict[str, str]] = []
        self.bounds: dict[str, str] = {}
        self.branching = False  # an OR or a NOT somewhere: then no bound holds for every row
        self._tokens, self._at = tokens, 0
        self._fields, self._words = fields, words

    def any_of(self) -> Test:
        tests = [self._all_of()]
        while self._take("OR"):
            self.branching = True
            tests.append(self._all_of())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _all_of(self) -> Test:
        tests: list[Test] = []
        while (token := self._peek()) is not None and token != ")" and not _is_word(token, "OR"):
            if self._take("AND"):
                continue
            if test := self._one():
                tests.append(test)
        return lambda row: all(test(row) for test in tests)

    def _one(self) -> Test | None:
        if self._take("-") or self._take("NOT"):
            self.branching = True
            inner = self._one()
            return (lambda row: not inner(row)) if inner else None
        if self._take("("):
            test = self.any_of()
            self._take(")")
            return test
        token = self._tokens[self._at]
        self._at += 1
        return self._term(token) if isinstance(token, _Term) else None

    def _term(self, term: _Term) -> Test | None:
        if not term.name:
            return self._words(term.op, term.value, term.quoted)
        make = self._fields.get(term.name)
        if make is None:
            message = "Invalid search field for this query."
            self.warnings.append({"field": term.name, "message": message, "code": "invalid_field"})
            return None
        if term.op in (">", ">="):
            self.bounds.setdefault(term.name, term.value)
        return make(term.op, term.value, term.quoted)

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, sign: str) -> bool:
        token = self._peek()
        if token is not None and (token == sign or _is_word(token, sign)):
            self._at += 1
            return True
        return False


def _is_word(token: _Token, word: str) -> bool:
    return isinstance(token, _Term) and not token.name and not token.quoted and token.value == word
