"""The Calendly twin over real HTTP: what the vendor refuses, it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from hub.twins.calendly import ORGANIZATION, USER, TwinCalendly, make, signature
from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve
from tests.twins.conftest import Receiver

Json = Any
OWN = {"organization": ORGANIZATION}


@pytest.fixture
def running() -> Iterator[RunningTwin]:
    with serve(make(clock=VirtualClock(), auto_hooks=False)) as served:
        yield served


@pytest.fixture
def twin(running: RunningTwin) -> TwinCalendly:
    assert isinstance(running.twin, TwinCalendly)
    return running.twin


def ask(running: RunningTwin, method: str, path: str, **options: Json) -> requests.Response:
    headers = {"Authorization": "Bearer twin-token"}
    return requests.request(method, running.base_url + path, timeout=10, **{"headers": headers, **options})


def book(twin: TwinCalendly, number: int) -> list[str]:
    return [twin.user_create("invitees", {"email": f"p{n}@example.org", "name": f"P{n}"}) for n in range(number)]


@pytest.mark.parametrize(
    ("method", "path", "params", "status", "title"),
    [
        ("GET", "/scheduled_events", {}, 400, "Invalid Argument"),
        ("GET", "/scheduled_events", {**OWN, "count": 101}, 400, "Invalid Argument"),
        ("GET", "/scheduled_events", {**OWN, "sort": "created_at:asc"}, 400, "Invalid Argument"),
        ("GET", "/scheduled_events", {**OWN, "updated_since": "x"}, 400, "Invalid Argument"),
        ("GET", "/scheduled_events", {**OWN, "min_start_time": "soon"}, 400, "Invalid Argument"),
        ("GET", "/scheduled_events", {**OWN, "page_token": "x"}, 400, "Invalid Argument"),
        ("GET", "/scheduled_events", {"organization": "https://api.calendly.com/organizations/X"}, 403,
         "Permission Denied"),
        ("GET", "/scheduled_events/NONE", {}, 404, "Resource Not Found"),
        ("GET", "/contacts", {}, 404, "Resource Not Found"),
        ("POST", "/webhook_subscriptions", {}, 400, "Invalid Argument"),
    ],
)  # fmt: skip
def test_refusals_have_the_vendors_form(
    running: RunningTwin, method: str, path: str, params: Json, status: int, title: str
) -> None:
    answer = ask(running, method, path, params=params)
    assert (answer.status_code, answer.json()["title"]) == (status, title)
    assert answer.headers["X-RateLimit-Limit"] == "5000"


def test_a_page_token_is_good_with_its_own_filters_only(running: RunningTwin, twin: TwinCalendly) -> None:
    book(twin, 5)
    first = ask(running, "GET", "/scheduled_events", params={**OWN, "count": 2}).json()
    token = first["pagination"]["next_page_token"]
    path = first["pagination"]["next_page"].removeprefix("https://api.calendly.com")
    assert len(ask(running, "GET", path).json()["collection"]) == 2
    wrong = ask(
        running, "GET", "/scheduled_events", params={**OWN, "count": 2, "status": "active", "page_token": token}
    )
    assert wrong.status_code == 400


def test_a_stranger_gets_nothing(running: RunningTwin) -> None:
    answer = ask(running, "GET", "/users/me", headers={})
    assert (answer.status_code, answer.json()["title"]) == (401, "Unauthenticated")
    assert ask(running, "GET", "/users/me").json()["resource"]["uri"] == USER


def test_a_subscription_is_made_once_signs_and_can_be_deleted(
    running: RunningTwin, twin: TwinCalendly, receiver: Receiver
) -> None:
    body = {"url": receiver.url, "events": ["invitee.created"], **OWN, "scope": "organization", "signing_key": "k"}
    made = ask(running, "POST", "/webhook_subscriptions", json=body)
    assert made.status_code == 201
    assert "signing_key" not in made.json()["resource"]
    assert ask(running, "POST", "/webhook_subscriptions", json=body).status_code == 409
    (invitee,) = book(twin, 1)
    twin.act_cancel(invitee)  # not subscribed to
    twin.hooks.drain()
    (sent,) = receiver.bodies
    assert receiver.headers[0]["Calendly-Webhook-Signature"] == signature(sent, "k", int(twin.now()))
    uuid = made.json()["resource"]["uri"].rpartition("/")[2]
    assert ask(running, "DELETE", f"/webhook_subscriptions/{uuid}").status_code == 204
    assert ask(running, "GET", f"/webhook_subscriptions/{uuid}").status_code == 404


def test_an_event_is_cancelled_with_all_its_people_and_only_once(running: RunningTwin, twin: TwinCalendly) -> None:
    (invitee,) = book(twin, 1)
    event = twin.records.get("invitees", invitee).fields["event"]
    assert ask(running, "POST", f"/scheduled_events/{event}/cancellation", json={"reason": "ill"}).status_code == 201
    found = ask(running, "GET", f"/scheduled_events/{event}/invitees/{invitee}").json()["resource"]
    assert (found["status"], found["cancellation"]["reason"]) == ("canceled", "ill")
    assert ask(running, "POST", f"/scheduled_events/{event}/cancellation", json={}).status_code == 403


def test_nobody_is_absent_before_the_event(running: RunningTwin, twin: TwinCalendly) -> None:
    (invitee,) = book(twin, 1)
    event = twin.records.get("invitees", invitee).fields["event"]
    uri = f"https://api.calendly.com/scheduled_events/{event}/invitees/{invitee}"
    assert ask(running, "POST", "/invitee_no_shows", json={"invitee": uri}).status_code == 403
    twin.advance(2 * 86_400)
    made = ask(running, "POST", "/invitee_no_shows", json={"invitee": uri})
    assert made.status_code == 201
    mark = made.json()["resource"]["uri"].rpartition("/")[2]
    assert ask(running, "DELETE", f"/invitee_no_shows/{mark}").status_code == 204
    assert ask(running, "DELETE", f"/invitee_no_shows/{mark}").status_code == 404
