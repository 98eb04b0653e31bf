"""A served Salesforce org, a session of plain requests, and simple-salesforce."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from simple_salesforce import Salesforce

from hub.twins.kit import VirtualClock
from hub.twins.salesforce import TwinSalesforce, make
from hub.twins.server import RunningTwin, serve
from tests.twins.salesforce.door import START, Api


@pytest.fixture
def twin() -> TwinSalesforce:
    return make(clock=VirtualClock(START), auto_hooks=False)


@pytest.fixture
def running(twin: TwinSalesforce) -> Iterator[RunningTwin]:
    with serve(twin) as served:
        yield served


@pytest.fixture
def api(running: RunningTwin) -> Iterator[Api]:
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer twin-token"
        yield Api(running.base_url, session)


@pytest.fixture
def sf(running: RunningTwin, gateway: Any) -> Iterator[Salesforce]:
    door = gateway(running.base_url)
    yield Salesforce(
        instance_url="https://acme.my.salesforce.com",
        session_id="twin-token",
        session=door,
        version="68.0",
        object_pairs_hook=None,
    )
    door.close()
