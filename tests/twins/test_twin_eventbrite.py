"""The Eventbrite twin over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import requests

from hub.twins.eventbrite import TwinEventbrite, make
from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve
from tests.twins.conftest import Receiver

Json = Any


@pytest.fixture
def running() -> Iterator[RunningTwin]:
    with serve(make(clock=VirtualClock(), auto_hooks=False)) as served:
        served.twin.user_create("events", {"name": {"text": "Open day"}})
        yield served


@pytest.fixture
def twin(running: RunningTwin) -> TwinEventbrite:
    assert isinstance(running.twin, TwinEventbrite)
    return running.twin


def ask(running: RunningTwin, method: str, path: str, **options: Json) -> requests.Response:
    headers = {"Authorization": "Bearer twin-token"}
    return requests.request(method, running.base_url + path, timeout=10, **{"headers": headers, **options})


@pytest.mark.parametrize(
    ("path", "params", "status", "error"),
    [
        ("/users/me", {}, 404, "NOT_FOUND"),
        ("/orders/1/", {}, 404, "NOT_FOUND"),
        ("/organizations/9/orders/", {}, 403, "NOT_AUTHORIZED"),
        ("/organizations/101/orders/", {"changed_since": "soon"}, 400, "ARGUMENTS_ERROR"),
        ("/organizations/101/orders/", {"expand": "everything"}, 400, "ARGUMENTS_ERROR"),
        ("/organizations/101/events/", {"changed_since": "2026-01-01T00:00:00Z"}, 400, "ARGUMENTS_ERROR"),
        ("/organizations/101/orders/", {"continuation": "x"}, 400, "BAD_CONTINUATION_TOKEN"),
    ],
)
def test_refusals_have_the_vendors_form(running: RunningTwin, path: str, params: Json, status: int, error: str) -> None:
    answer = ask(running, "GET", path, params=params)
    assert (answer.status_code, answer.json()["error"], answer.json()["status_code"]) == (status, error, status)


def test_changed_since_is_on_or_after(running: RunningTwin, twin: TwinEventbrite) -> None:
    twin.user_create("orders", {"event_id": "7001", "email": "a@example.org"})
    for since, number in (("2026-11-02T08:00:00Z", 1), ("2026-11-02T08:00:01Z", 0)):
        found = ask(running, "GET", "/v3/organizations/101/orders/", params={"changed_since": since}).json()
        assert found["pagination"]["object_count"] == len(found["orders"]) == number


def test_a_token_is_bound_to_its_parameters_and_ends(running: RunningTwin, twin: TwinEventbrite) -> None:
    for n in range(60):
        twin.user_create("orders", {"event_id": "7001", "email": f"p{n}@example.org"})
    first = ask(running, "GET", "/organizations/101/orders/").json()["pagination"]
    assert (first["has_more_items"], first["page_count"]) == (True, 2)
    token = {"continuation": first["continuation"]}
    assert len(ask(running, "GET", "/organizations/101/orders/", params=token).json()["orders"]) == 10
    other = {**token, "changed_since": "2026-01-01T00:00:00Z"}
    assert ask(running, "GET", "/organizations/101/orders/", params=other).status_code == 400
    twin.advance(601)
    assert ask(running, "GET", "/organizations/101/orders/", params=token).status_code == 400


def test_answers_come_only_when_asked_for(running: RunningTwin, twin: TwinEventbrite) -> None:
    twin.user_create("orders", {"event_id": "7001", "email": "a@example.org", "tickets": [{"name": "Kim"}]})
    path = "/events/7001/attendees/9001/"
    assert "answers" not in ask(running, "GET", path).json()
    shown = ask(running, "GET", path, params={"expand": "answers,event"}).json()
    assert (shown["answers"], shown["event"]["name"]["text"]) == ([], "Open day")
    assert shown["costs"]["gross"] == {"currency": "USD", "value": 2550, "major_value": "25.50", "display": "25.50 USD"}


def test_messages_are_thin(running: RunningTwin, twin: TwinEventbrite, receiver: Receiver) -> None:
    body = {"endpoint_url": receiver.url, "actions": "order.placed,attendee.checked_in"}
    assert ask(running, "POST", "/organizations/101/webhooks/", json=body).json()["id"] == "1"
    twin.user_create("orders", {"event_id": "7001", "email": "a@example.org", "tickets": [{"name": "Kim"}]})
    twin.act_check_in("9001")
    twin.hooks.drain()
    told = [orjson.loads(each) for each in receiver.bodies]
    assert [(each["config"]["action"], each["api_url"]) for each in told] == [
        ("order.placed", "https://www.eventbriteapi.com/v3/orders/8001/"),
        ("attendee.checked_in", "https://www.eventbriteapi.com/v3/events/7001/attendees/9001/"),
    ]
    assert ask(running, "POST", "/organizations/101/webhooks/", json={}).status_code == 400
    assert ask(running, "DELETE", "/webhooks/1/").json() == {"success": True}


def test_the_hours_calls_end(running: RunningTwin) -> None:
    with serve(make(clock=VirtualClock(), limit_scale=0.001)) as poor:
        answers = [ask(poor, "GET", "/users/me/") for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert answers[2].json()["error"] == "HIT_RATE_LIMIT"


def test_discounts_are_listed_by_scope(running: RunningTwin, twin: TwinEventbrite) -> None:
    mine = twin.user_create("discounts", {"code": "EARLY20", "percent_off": "20.00", "event_id": "7001"})
    every = twin.user_create("discounts", {"code": "FRIEND5", "amount_off": "5.00"})

    def listed(**params: Json) -> list[str]:
        answer = ask(running, "GET", "/organizations/101/discounts/", params=params)
        return [each["id"] for each in answer.json()["discounts"]] if answer.status_code == 200 else ["refused"]

    assert listed(scope="user") == [mine, every]
    assert listed(scope="multi_events") == [every]
    assert listed(scope="event", event_id="7001") == [mine]
    for wrong in ({}, {"scope": "all"}, {"scope": "event"}, {"scope": "multi_events", "event_id": "7001"}):
        assert listed(**wrong) == ["refused"], wrong
    shown = ask(running, "GET", f"/discounts/{mine}/").json()
    assert (shown["code"], shown["quantity_sold"], "changed" in shown) == ("EARLY20", 0, False)
