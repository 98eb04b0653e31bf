"""The Mindbody twin over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from hub.twins.kit import VirtualClock
from hub.twins.mindbody import TwinMindbody, make, signature
from hub.twins.server import RunningTwin, serve
from tests.twins.conftest import Receiver

Json = Any
KEY = {"Api-Key": "twin-token", "SiteId": "123"}
KIM = {"FirstName": "Kim", "LastName": "Ono", "Email": "kim@example.org"}


@pytest.fixture
def running() -> Iterator[RunningTwin]:
    with serve(make(clock=VirtualClock(), auto_hooks=False)) as served:
        yield served


@pytest.fixture
def twin(running: RunningTwin) -> TwinMindbody:
    assert isinstance(running.twin, TwinMindbody)
    return running.twin


def ask(running: RunningTwin, method: str, path: str, **options: Json) -> requests.Response:
    headers = {**KEY, "Authorization": "Bearer twin-token"}
    return requests.request(method, running.base_url + path, timeout=10, **{"headers": headers, **options})


def test_staff_sign_in_with_a_password_for_an_hour(running: RunningTwin, twin: TwinMindbody) -> None:
    wrong = ask(running, "POST", "/usertoken/issue", headers=KEY, json={"Username": "staff", "Password": "x"})
    assert (wrong.status_code, wrong.json()["Error"]["Code"]) == (401, "DeniedAccess")
    made = ask(
        running, "POST", "/usertoken/issue", headers=KEY, json={"Username": "staff", "Password": "twin-password"}
    )
    headers = {**KEY, "Authorization": f"Bearer {made.json()['AccessToken']}"}
    assert ask(running, "GET", "/public/v6/client/clients", headers=headers).status_code == 200
    twin.advance(3601)
    assert ask(running, "GET", "/client/clients", headers=headers).status_code == 401
    assert ask(running, "GET", "/client/clients", headers=KEY).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/client/clients", {"params": {"clientIDs": list("abcdefghijklmnopqrstu")}}, 400, "InvalidParameter"),
        ("GET", "/client/clients", {"params": {"uniqueIds": "1", "searchText": "x"}}, 400, "InvalidParameter"),
        ("GET", "/client/clients", {"params": {"limit": "x"}}, 400, "InvalidParameter"),
        ("POST", "/client/addclient", {"json": {"FirstName": "Kim"}}, 400, "MissingRequiredFields"),
        ("POST", "/client/addclient", {"json": {**KIM, "Colour": "red"}}, 400, "InvalidParameter"),
        ("POST", "/client/addclient", {"json": {**KIM, "BirthDate": "soon"}}, 400, "InvalidParameter"),
        ("POST", "/client/updateclient", {"json": {"Client": {"Id": "9", "City": "x"}}}, 404, "ClientNotFound"),
        ("GET", "/class/classvisits", {"params": {"classID": "9"}}, 404, "ClassNotFound"),
        ("GET", "/nothing", {}, 404, "NotFound"),
    ],
)  # fmt: skip
def test_refusals_have_the_vendors_form(
    running: RunningTwin, method: str, path: str, options: Json, status: int, code: str
) -> None:
    answer = ask(running, method, path, **options)
    assert (answer.status_code, answer.json()["Error"]["Code"]) == (status, code)


def test_nobody_is_added_twice_and_a_test_adds_nobody(running: RunningTwin, twin: TwinMindbody) -> None:
    assert ask(running, "POST", "/client/addclient", json={**KIM, "Test": True}).status_code == 200
    assert twin.snapshot("clients") == {}
    made = ask(running, "POST", "/client/addclient", json=KIM).json()["Client"]
    assert (made["UniqueId"], made["Id"]) == (100_000_001, "100000001")
    again = ask(running, "POST", "/client/addclient", json={**KIM, "Email": "KIM@example.org"})
    assert again.json()["Error"]["Code"] == "InvalidClientCreation"


def test_without_dates_lists_mean_today(running: RunningTwin, twin: TwinMindbody) -> None:
    for day in ("01", "02", "03"):
        twin.user_create("appointments", {"ClientId": "1", "StartDateTime": f"2026-11-{day}T09:00:00"})
    assert len(ask(running, "GET", "/appointment/staffappointments").json()["Appointments"]) == 1
    params = {"request.startDate": "2026-11-01", "request.endDate": "2026-11-03", "request.limit": 2}
    found = ask(running, "GET", "/appointment/staffappointments", params=params).json()
    assert found["PaginationResponse"] == {"RequestedLimit": 2, "RequestedOffset": 0, "PageSize": 2, "TotalResults": 3}


def test_a_subscription_sends_nothing_before_it_is_active(
    running: RunningTwin, twin: TwinMindbody, receiver: Receiver
) -> None:
    body = {"eventIds": ["client.created"], "eventSchemaVersion": 1, "webhookUrl": receiver.url}
    made = ask(running, "POST", "/api/v1/subscriptions", headers=KEY, json=body).json()
    twin.user_create("clients", dict(KIM))
    path = f"/api/v1/subscriptions/{made['subscriptionId']}"
    assert "messageSignatureKey" not in ask(running, "GET", path, headers=KEY).json()
    ask(running, "PATCH", path, headers=KEY, json={"status": "Active"})
    twin.user_create("clients", {**KIM, "FirstName": "Lee"})
    twin.hooks.drain()
    (sent,) = receiver.bodies
    assert receiver.headers[0]["X-Mindbody-Signature"] == signature(sent, made["messageSignatureKey"])
