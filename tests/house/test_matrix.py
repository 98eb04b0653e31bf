"""Every row of the fault and security tables is there once, and every test it names is in the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from hub.verify.matrix import FAULTS, ROWS, SECURITY, Row, counted, node_ids, read_matrix

ROOT = Path(__file__).parents[2]
GOALS = {FAULTS: 90, SECURITY: 95}


def rows() -> Iterator[tuple[str, Row]]:
    for name in ROWS:
        for row in read_matrix(ROOT, name):
            yield f"{name} {row.number}", row


@cache
def named_in(file: Path) -> frozenset[str]:
    """Names of the tests in a file, found in its text."""
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def is_there(node: str, root: Path = ROOT) -> bool:
    file, _, name = node.partition("::")
    path = root / file
    return path.is_file() and name.partition("[")[0] in named_in(path)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_there_once(name: str) -> None:
    assert [row.number for row in read_matrix(ROOT, name)] == list(range(1, ROWS[name] + 1))


def test_a_row_has_tests_or_says_why_not() -> None:
    for name, row in rows():
        given = [bool(row.tests), bool(row.review), bool(row.not_yet)]
        assert given.count(True) == 1, f"{name}: tests, or review, or not_yet"
        assert row.wrong, name
        assert row.must, name
        assert not row.lacks or row.tests, f"{name}: lacks tells what its tests leave open"


def test_every_named_test_is_in_the_code() -> None:
    missing = [f"{name}: {test}" for name, row in rows() for test in row.tests if not is_there(test)]
    assert missing == []


def test_a_test_that_is_not_in_the_code_is_seen() -> None:
    here = "tests/house/test_matrix.py"
    assert is_there(f"{here}::test_every_row_is_there_once[faults]")
    assert not is_there(f"{here}::test_that_nobody_wrote")
    assert not is_there("tests/house/gone.py::test_every_row_is_there_once")


@pytest.mark.parametrize("name", ROWS)
def test_enough_rows_are_proved(name: str) -> None:
    have, of = counted(ROOT, name)
    assert of == ROWS[name]
    assert have >= GOALS[name]
    assert len(node_ids(ROOT, name)) >= have * 0.8, "one test cannot prove everything"
