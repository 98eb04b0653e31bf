"""Expressions made into functions say what SimpleEval says of the same text with the same operators."""

from __future__ import annotations

import ast
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from simpleeval import InvalidExpression, SimpleEval

from hub.core.expressions import _OPERATORS, _Plain, compile_expression
from hub.core.formats import MappingFault
from hub.model import Json

NAMES = ("a", "b", "address.city")
CONSTANTS = ("None", "True", "False", "0", "1", "-2", "0.5", "'x'", "''", "('x', 1)")
VALUES: st.SearchStrategy[Json] = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "x", "xy"]), st.just(["x", 1]),
    st.just({"x": 1}),
    st.sampled_from([Decimal("0.5"), Decimal(-2), Decimal(0)]),
)  # fmt: skip


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.builds(
            "({0[0]} {1} {0[1]})".format,
            pair,
            st.sampled_from(
                ["and", "or", "+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "in", "not in"]
            ),
        ),
        st.builds("({0[0]} < {0[1]} <= {1})".format, pair, inner),
        st.builds("({0[0]} if {1} else {0[1]})".format, pair, inner),
        st.builds("({0} {1} None)".format, inner, st.sampled_from(["is", "is not"])),
        st.builds("(not {0})".format, inner), st.builds("(-{0})".format, inner),
    )  # fmt: skip


TEXTS = st.recursive(st.sampled_from([*NAMES, *CONSTANTS]), larger, max_leaves=9)


@given(TEXTS, st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES)))
def test_a_function_says_what_simpleeval_says(text: str, values: dict[str, Json]) -> None:
    try:
        found = compile_expression(text, NAMES)(values)
    except MappingFault:
        return  # not in the language
    assert (type(found), found) == told_by_simpleeval(text, values)


def told_by_simpleeval(text: str, values: dict[str, Json]) -> tuple[type, Any]:
    node = _Plain().visit(ast.parse(text, mode="eval").body)
    try:
        found = SimpleEval(operators=_OPERATORS, functions={}, names=values).eval(text, previously_parsed=node)
    except (InvalidExpression, TypeError, ArithmeticError):
        found = None
    return type(found), found
