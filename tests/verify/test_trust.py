"""The page about what was tried: each line is of its own day, and a line that was not run anew stays."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.verify import trust
from hub.verify.trust import PAGE, PARTS, Trust, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def part(goal: str, reached: str, ok: bool) -> object:
        return lambda book, _root: book.add(goal, f"what {goal} is", lambda: (reached, ok))

    parts = {"one": part("G2", "two of two", True), "other": part("G10", "none of three", False)}
    monkeypatch.setattr(trust, "PARTS", parts)
    (tmp_path / "docs").mkdir()
    return tmp_path


def lines(root: Path) -> list[str]:
    return [line for line in (root / PAGE).read_text("utf-8").splitlines() if line.startswith("| G")]


def test_all_parts_are_run_and_told_in_the_order_of_their_numbers(root: Path) -> None:
    said: list[str] = []
    assert run(root, base=7, say=said.append) is False
    assert [line.split(" |")[0] for line in lines(root)] == ["| G2", "| G10"]
    assert "two of two | yes" in lines(root)[0]
    assert "none of three | **no**" in lines(root)[1]
    assert any(line.startswith("NOT G10") for line in said)


def test_one_part_run_anew_leaves_the_lines_of_the_others(root: Path) -> None:
    run(root, base=7, say=lambda line: None)
    path = root / PAGE
    path.write_text(path.read_text("utf-8").replace("two of two", "one of two"), "utf-8")
    assert run(root, base=7, only=["other"], say=lambda line: None) is False
    assert "one of two" in lines(root)[0]
    assert run(root, base=7, only=["one"], say=lambda line: None) is True
    assert "two of two" in lines(root)[0]


def test_a_goal_is_timed_and_dated() -> None:
    book = Trust(1, datetime(2026, 11, 28, tzinfo=UTC), [], lambda line: None)
    book.add("G1", "a goal", lambda: ("met", True))
    assert (book.lines[0].on, book.lines[0].ok) == ("2026-11-28", True)
    assert set(PARTS) >= {"histories", "crashes", "kills", "planted"}
