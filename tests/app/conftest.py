"""Worlds for tests of the app: built on the database of the test, closed after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.app_world import World


@pytest.fixture
def make(database_url: str) -> Iterator[Any]:
    """Builds a world; see tests.app_world."""
    worlds: list[World] = []

    def build(**more: Any) -> World:
        worlds.append(World(database_url, **more))
        return worlds[-1]

    yield build
    for world in worlds:
        world.store.close()
