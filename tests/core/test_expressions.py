"""The language of conditions: what it says, what it refuses, and that null does no harm."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hub.core.canonical import CanonicalField, EntityType
from hub.core.expressions import compile_expression, compile_for_entity, entity_names, entity_values, to_json
from hub.core.formats import MappingFault
from hub.model import Json

NAMES = ("a", "b", "order.total", "contact.country", "tags")


def result(text: str, **values: Json) -> Json:
    return compile_expression(text, NAMES)({"a": None, **values})


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a >= 3", {"a": 3}, True),
        ("a >= 3 and b == 'x'", {"a": 3, "b": "x"}, True),
        ("a in ('x', 'y')", {"a": "y"}, True),
        ("a not in ('x', 'y')", {"a": "z"}, True),
        ("'golf' in tags", {"tags": ["golf"]}, True),
        ("a is None", {}, True),
        ("a is not None", {"a": 0}, True),
        ("not a", {"a": False}, True),
        ("'big' if a > 10 else 'small'", {"a": 11}, "big"),
        ("a + ' ' + b", {"a": "Ann", "b": "Byron"}, "Ann Byron"),
        ("0.1 + 0.2", {}, Decimal("0.3")),
        ("a * 2 - -1", {"a": 2}, 5),
        ("7 // 2 + 7 % 2", {}, 4),
        ("1 / 4", {}, Decimal("0.25")),
        ("1 < a < 3", {"a": 2}, True),
    ],
)
def test_what_can_be_said(text: str, values: dict[str, Json], expected: Json) -> None:
    assert result(text, **values) == expected


def test_dotted_names_are_one_name() -> None:
    expression = compile_expression("order.total >= 500 and contact.country == 'DE'", NAMES)
    assert expression.uses == {"order.total", "contact.country"}
    assert expression({"order.total": Decimal("500.00"), "contact.country": "DE"}) is True
    assert expression({"order.total": Decimal("499.99"), "contact.country": "DE"}) is False


@pytest.mark.parametrize("text", ["a >= 3", "a < 3", "a == 3", "a != 3", "a in (1, 2)", "a not in (1, 2)", "a in b"])
def test_a_comparison_with_null_is_false(text: str) -> None:
    assert result(text) is False


@pytest.mark.parametrize("text", ["a + 1", "1 - a", "a * a", "a / 2", "-a", "1 / 0", "1 % 0", "a + 'x'"])
def test_arithmetic_with_null_or_by_nothing_is_null(text: str) -> None:
    assert result(text) is None


def test_things_without_order_compare_as_false() -> None:
    assert result("a >= 3", a="text") is False
    assert result("a + 1", a="text") is None
    assert result("a * 3", a="text") is None


@pytest.mark.parametrize(
    "text",
    [
        "().__class__",
        "'{}'.format(a)",
        "a.__class__",
        "a.real",
        "open('x')",
        "rand()",
        "__import__('os')",
        "[a]",
        "{'a': 1}",
        "[x for x in a]",
        "lambda: 1",
        "f'{a}'",
        "a[0]",
        "a[0:1]",
        "9 ** 9",
        "1 << 99",
        "a & 1",
        "~a",
        "(a, b)",
        "a := 1",
        "a = 1",
        "a; b",
        "a\nb",
        "",
        "a >=",
        "a == None",
        "a is 3",
        "1j",
        "b'x'",
        "...",
        "(" * 300 + ")" * 300,
        "a + " * 300 + "a",
        "a" * 1001,
        "yield a",
        "await a",
        "*a",
        "\0",
    ],
)
def test_what_is_not_in_the_language_is_refused_before_it_runs(text: str) -> None:
    with pytest.raises(MappingFault) as refusal:
        compile_expression(text, NAMES)
    assert refusal.value.code in ("MAP-012", "MAP-013")


def test_an_unknown_name_is_hinted_at() -> None:
    with pytest.raises(MappingFault) as refusal:
        compile_expression("order.totl > 3", NAMES)
    assert refusal.value.code == "MAP-013"
    assert "order.total" in refusal.value.fix


def test_repeating_a_text_is_no_way_to_fill_memory() -> None:
    assert result("a + a", a="x" * 6000) is None


def test_an_entitys_values_are_seen_as_numbers_states_and_parts() -> None:
    fields = {
        "total": CanonicalField(name="total", type="money"),
        "spent": CanonicalField(name="spent", type="decimal"),
        "consent.email": CanonicalField(name="consent.email", type="consent", kind="consent"),
        "address": CanonicalField(name="address", type="group", kind="group", parts={"country": "country"}),
    }
    entity = EntityType(name="contact", fields=fields)
    text = (
        "total >= 12.5 and spent > 9 and consent.email == 'opted_in' and country in ('DE',) and address.country == 'DE'"
    )
    expression = compile_for_entity(text, entity, currency="EUR")
    values = {
        "total": {"minor": 1250, "currency": "EUR"},
        "spent": "10",
        "consent.email": {"state": "opted_in", "at": None, "source": None},
        "address": {"country": "DE"},
    }
    assert expression.uses == frozenset(fields)
    assert expression(values) is True
    assert expression({**values, "total": {"minor": 1250, "currency": "USD"}}) is False
    assert expression({}) is False


def test_names_carry_the_prefix_they_are_asked_with() -> None:
    entity = EntityType(name="order", fields={"total": CanonicalField(name="total", type="money")})
    assert list(entity_names(entity, "order.")) == ["order.total"]
    values = entity_values(entity, {"total": {"minor": 150, "currency": "EUR"}}, currency="EUR", prefix="order.")
    assert values == {"order.total": Decimal("1.5")}


def test_results_become_plain_json() -> None:
    assert [to_json(each) for each in (Decimal("2.0"), Decimal("0.25"), "x", True, None)] == [
        2,
        "0.25",
        "x",
        True,
        None,
    ]
