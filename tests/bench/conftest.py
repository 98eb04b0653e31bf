"""What the bench adds to the hub's own connectors is gone when its tests are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import connectors


@pytest.fixture(autouse=True, scope="module")
def own_connectors() -> Iterator[None]:
    path = list(connectors.__path__)
    yield
    connectors.__path__[:] = path
