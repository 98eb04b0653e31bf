"""Every module is named after what lives in it; a drawer for odds and ends has no place in the house."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.source import ROOT, python_files

DRAWERS = {"common", "helper", "helpers", "misc", "tools", "util", "utils", "utilities"}


def drawers(paths: list[Path]) -> list[str]:
    """Files with a drawer's word in their name or in a folder's above them; paths are relative to the project."""
    return [str(path) for path in paths if DRAWERS & set(re.split(r"[/_]", path.with_suffix("").as_posix()))]


def test_no_module_is_a_drawer() -> None:
    assert drawers([path.relative_to(ROOT) for path in python_files("hub", "connectors", "tests", "bench")]) == []


@pytest.mark.parametrize("name", ["hub/utils.py", "hub/core/date_utils.py", "hub/common/dates.py", "tests/helpers.py"])
def test_a_drawer_is_seen(name: str) -> None:
    assert drawers([Path(name)]) == [name]
