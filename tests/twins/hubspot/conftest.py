"""A served HubSpot portal, a session of plain requests, and hubspot-api-client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hubspot
import pytest
import requests

from hub.twins.hubspot import TwinHubSpot, make
from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve
from tests.twins.hubspot.door import START, Api, contact


@pytest.fixture
def twin() -> TwinHubSpot:
    return make(clock=VirtualClock(START), auto_hooks=False)


@pytest.fixture
def running(twin: TwinHubSpot) -> Iterator[RunningTwin]:
    with serve(twin) as served:
        yield served


@pytest.fixture
def api(running: RunningTwin) -> Iterator[Api]:
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer twin-token"
        yield Api(running.base_url, session)


@pytest.fixture
def client(running: RunningTwin) -> Any:
    return hubspot.HubSpot(access_token="twin-token", host=running.base_url, base_url=running.base_url, retry=False)


@pytest.fixture
def family(twin: TwinHubSpot) -> None:
    twin.load("companies", [{"id": key, "created": START, "fields": {"name": key}} for key in ("9001", "9002")])
    twin.load("contacts", [contact(1), contact(2)])
