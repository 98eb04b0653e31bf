"""Consoles over projects in the test's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.console import Console


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console with something on every page, for tests that change nothing."""
    found = Console(tmp_path_factory.mktemp("console"))
    found.start()
    found.sync()
    yield found
    found.stop()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    """A console of its own, synced once."""
    found = Console(tmp_path)
    found.start()
    found.sync()
    yield found
    found.stop()
