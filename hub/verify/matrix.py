"""What can go wrong and what an attacker may try, row by row, with the tests that prove what must come of it.

The two tables stand in tests/verify/: `faults.yaml` (99 rows) and `security.yaml` (108). A row has tests (node ids of
pytest), or says why it has none: `review` (no single test can tell) or `not_yet`. `lacks` tells which part of a row
the hub does not have, where the tests prove the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hub.model import Json
from hub.runtime.yaml import load_yaml

FAULTS, SECURITY = "faults", "security"
ROWS = {FAULTS: 99, SECURITY: 108}
FOLDER = Path("tests", "verify")
BAD_INPUTS = (  # goal G16: each of their tables holds inputs that get a code, a place and a way out
    "tests/e2e/test_bad_inputs.py",
    "tests/e2e/test_bad_input.py",
    "tests/core/test_checks.py",
    "tests/runtime/test_registry.py",
    "tests/runtime/test_yaml.py",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that goes wrong."""

    number: int
    wrong: str  # what happens, or is tried
    must: str  # what has to come of it
    tests: tuple[str, ...] = ()  # that would fail if something else came of it
    lacks: str = ""  # part of it that the hub does not have
    review: str = ""  # why people must look
    not_yet: str = ""  # why nothing proves it


def read_matrix(root: Path, name: str) -> list[Row]:
    """The rows of one table, in their order."""
    data = load_yaml(root / FOLDER / f"{name}.yaml").data
    return [_row(int(number), each) for number, each in data.items()]


def _row(number: int, given: Mapping[str, Json]) -> Row:
    tests = tuple(given.get("tests") or ())
    return Row(number=number, **{key: value for key, value in given.items() if key != "tests"}, tests=tests)


def counted(root: Path, name: str) -> tuple[int, int]:
    """How many rows of a table have a test, of how many."""
    return sum(bool(row.tests) for row in read_matrix(root, name)), ROWS[name]


def node_ids(root: Path, name: str) -> list[str]:
    """Every test that proves a row, once, in order: what pytest is given."""
    return list(dict.fromkeys(test for row in read_matrix(root, name) for test in row.tests))


def report(root: Path) -> Iterator[str]:
    """The counts, and every row that nothing proves, with its reason."""
    for name in ROWS:
        have, of = counted(root, name)
        yield f"{name}: {have} of {of} rows have a test ({len(node_ids(root, name))} tests)"
        for row in read_matrix(root, name):
            if not row.tests:
                yield f"    {row.number}: {row.wrong}: {row.review or row.not_yet}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in report(Path(__file__).parents[2]))
