"""Nothing is longer than a reader can hold: 600 lines a file, 60 a function (its docstring counts)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.source import ROOT, functions, place, python_files

FILE_LINES = 600
FUNCTION_LINES = 60


def long_files(paths: list[Path]) -> list[str]:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    return [f"{_shown(path)}: {lines} lines" for path, lines in lengths.items() if lines > FILE_LINES]


def _shown(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(path.name)


def long_functions(path: Path) -> list[str]:
    found = []
    for function in functions(path):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES:
            found.append(f"{function.name}: {lines} lines")
    return found


def test_no_file_is_longer_than_600_lines() -> None:
    paths = python_files("hub", "connectors", "tests", "bench")
    assert len(paths) > 20, f"the walk found too little below {ROOT}"
    assert long_files(paths) == []


def test_no_function_is_longer_than_60_lines() -> None:
    found = {place(path, 1): long_functions(path) for path in python_files("hub", "connectors", "bench")}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("lines, found", [(600, []), (601, ["big.py: 601 lines"])])
def test_the_600th_line_is_the_last_allowed(tmp_path: Path, lines: int, found: list[str]) -> None:
    (tmp_path / "big.py").write_text("a = 1\n" * lines)
    assert long_files([tmp_path / "big.py"]) == found


@pytest.mark.parametrize("lines, found", [(60, []), (61, ["long: 61 lines"])])
def test_the_60th_line_is_the_last_allowed(tmp_path: Path, lines: int, found: list[str]) -> None:
    (tmp_path / "one.py").write_text("class A:\n    async def long(self):\n" + "        a = 1\n" * (lines - 1))
    assert long_functions(tmp_path / "one.py") == found
