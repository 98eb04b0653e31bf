"""The query language of the Salesforce twin, without HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from hub.twins.salesforce_soql import (
    Compare,
    Group,
    Literal,
    Order,
    SoqlFault,
    compile_condition,
    exact_values,
    lower_bound,
    parse,
    sort_rows,
)

ROWS: list[dict[str, Any]] = [
    {"Id": "1", "Name": "Ada O'Neil", "City": "Köln", "Age": 36, "Out": True, "At": "2026-11-02T08:00:00.000+0000"},
    {"Id": "2", "Name": "bob_1", "City": None, "Age": None, "Out": False, "At": "2026-11-02T09:00:00.000+0000"},
    {"Id": "3", "Name": "Cy", "City": "Łódź", "Age": 7, "Out": False, "At": "2026-11-03T08:00:00.000+0000"},
]


def ids(where: str) -> list[str]:
    condition = parse(f"SELECT Id FROM Contact WHERE {where}").where
    assert condition is not None
    test = compile_condition(condition, lambda name: lambda row: row[name])
    return [row["Id"] for row in ROWS if test(row)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("Name = 'ada o\\'neil'", ["1"]),
        ("Name != 'Cy'", ["1", "2"]),
        ("City = null", ["2"]),
        ("City != null", ["1", "3"]),
        ("City != 'Köln'", ["2", "3"]),
        ("City IN ('köln', 'Łódź')", ["1", "3"]),
        ("City NOT IN ('Köln')", ["2", "3"]),
        ("Age > 7", ["1"]),
        ("Age >= 7.0", ["1", "3"]),
        ("Age < 100", ["1", "3"]),
        ("Out = true", ["1"]),
        ("Out = FALSE AND Age <= 7", ["3"]),
        ("(Age = 7 OR City = null) AND Name LIKE 'b%'", ["2"]),
        ("NOT Name LIKE '%o%'", ["3"]),
        ("Name LIKE 'bob\\_1'", ["2"]),
        ("Name LIKE 'b_b_1'", ["2"]),
        ("Name LIKE 'a\\%'", []),
        ("At >= 2026-11-02T09:00:00Z", ["2", "3"]),
        ("At < 2026-11-02T11:00:00.000+02:00 AND At >= 2026-11-02T08:00:00+0000", ["1"]),
        ("(At = 2026-11-02T08:00:00Z AND Id > '1') OR At > 2026-11-02T08:00:00Z", ["2", "3"]),
        ("City INCLUDES ('Köln')", ["1"]),
    ],
)
def test_a_condition_picks_the_rows_it_says(where: str, expected: list[str]) -> None:
    assert ids(where) == expected


def test_a_query_is_read_into_its_parts() -> None:
    query = parse(
        "select Id, Account.Name from Contact where Email = 'a\\nb' "
        "order by SystemModstamp, Id DESC NULLS LAST limit 5 offset 2"
    )
    assert query.fields == ("Id", "Account.Name")
    assert query.source == "Contact"
    assert query.where == Compare(field="Email", op="=", values=(Literal(kind="string", value="a\nb"),))
    assert query.order == (Order(field="SystemModstamp"), Order(field="Id", descending=True, nulls_last=True))
    assert (query.limit, query.offset, query.counts) == (5, 2, False)


def test_counting_and_field_groups() -> None:
    assert parse("SELECT COUNT() FROM Lead").counts is True
    assert parse("SELECT FIELDS(ALL) FROM Lead LIMIT 200").fields == ("FIELDS(ALL)",)


def test_not_binds_to_what_follows_it() -> None:
    where = parse("SELECT Id FROM Lead WHERE NOT (A = 1 OR B = 2) AND C = 3").where
    assert isinstance(where, Group)
    assert [part.op for part in where.parts] == ["not", "="]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT FROM Contact", "unexpected token: 'FROM'"),
        ("SELECT Id, FROM Contact", "unexpected token: 'FROM'"),
        ("SELECT * FROM Contact", "line 1:6 no viable alternative at character '*'"),
        ("SELECT Id FROM Contact WHERE", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Contact WHERE A = 1 AND B = 2 OR C = 3", "unexpected token: 'OR'"),
        ("SELECT Id FROM Contact WHERE A = 'x", "line 1:32 unterminated string at '''"),
        ("SELECT Id FROM Contact WHERE A = 'x' B = 'y'", "unexpected token: 'B'"),
        ("SELECT Id FROM Contact WHERE A == 1", "unexpected token: '='"),
        ("SELECT Id FROM Contact WHERE A IN ()", "unexpected token: ')'"),
        ("SELECT Id FROM Contact LIMIT x", "unexpected token: 'x'"),
        ("SELECT Id FROM Contact LIMIT 5 WHERE A = 1", "unexpected token: 'WHERE'"),
        ("SELECT Id FROM Contact WHERE A = 'x\\q'", "Illegal string literal: invalid escape '\\q'"),
        ("", "unexpected token: '<EOF>'"),
    ],
)
def test_a_malformed_query_says_where(text: str, message: str) -> None:
    with pytest.raises(SoqlFault) as caught:
        parse(text)
    assert (caught.value.code, caught.value.message) == ("MALFORMED_QUERY", message)


def test_the_least_possible_time_is_found_through_and_and_or() -> None:
    def bound(where: str) -> str | None:
        return lower_bound(parse(f"SELECT Id FROM Contact WHERE {where}").where, "SystemModstamp")

    day = "2026-11-02T00:00:00.000+0000"
    assert bound("SystemModstamp >= 2026-11-02T00:00:00Z AND Name != 'x'") == day
    assert bound("(SystemModstamp = 2026-11-02T00:00:00Z AND Id > '1') OR SystemModstamp > 2026-11-02T00:00:00Z") == day
    assert bound("SystemModstamp > 2026-11-02T00:00:00Z OR Name = 'x'") is None
    assert bound("SystemModstamp < 2026-11-02T00:00:00Z") is None
    assert bound("NOT SystemModstamp > 2026-11-02T00:00:00Z") is None


def test_listed_values_are_found_only_where_nothing_else_can_match() -> None:
    def values(where: str) -> list[Any] | None:
        return exact_values(parse(f"SELECT Id FROM Contact WHERE {where}").where, "Id")

    assert values("Id IN ('1','2') AND Name != 'x'") == ["1", "2"]
    assert values("Id = '1'") == ["1"]
    assert values("Id = '1' OR Name = 'x'") is None
    assert values("Id != '1'") is None


def test_nulls_come_first_unless_asked_for_last() -> None:
    def order(text: str) -> list[str]:
        rows = list(ROWS)
        sort_rows(rows, parse(f"SELECT Id FROM Contact ORDER BY {text}").order, lambda name: lambda row: row[name])
        return [row["Id"] for row in rows]

    assert order("Age") == ["2", "3", "1"]
    assert order("Age DESC") == ["2", "1", "3"]
    assert order("Age ASC NULLS LAST") == ["3", "1", "2"]
    assert order("Name") == ["1", "2", "3"]
    assert order("Out, At DESC") == ["3", "2", "1"]
