"""The ClickFunnels twin over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from hub.twins.clickfunnels import TwinClickfunnels, make, signature
from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve
from tests.twins.conftest import Receiver

Json = Any
HEADERS = {"Authorization": "Bearer twin-token", "User-Agent": "acme"}


@pytest.fixture
def running() -> Iterator[RunningTwin]:
    with serve(make(clock=VirtualClock(), auto_hooks=False)) as served:
        yield served


@pytest.fixture
def twin(running: RunningTwin) -> TwinClickfunnels:
    assert isinstance(running.twin, TwinClickfunnels)
    return running.twin


def ask(running: RunningTwin, method: str, path: str, **options: Json) -> requests.Response:
    return requests.request(method, running.base_url + path, timeout=10, **{"headers": HEADERS, **options})


def upsert(running: RunningTwin, **contact: Json) -> requests.Response:
    return ask(running, "POST", "/workspaces/32/contacts/upsert", json={"contact": contact})


def test_pages_are_bare_arrays_of_twenty_and_headers_say_what_comes(
    running: RunningTwin, twin: TwinClickfunnels
) -> None:
    for n in range(25):
        twin.user_create("contacts", {"email_address": f"p{n}@example.org"})
    first = ask(running, "GET", "/api/v2/workspaces/32/contacts")
    assert (len(first.json()), first.headers["Pagination-Next"]) == (20, "20")
    last = ask(running, "GET", "/workspaces/32/contacts", params={"after": "20"})
    assert (len(last.json()), last.headers.get("Pagination-Next")) == (5, None)
    newest = ask(
        running, "GET", "/workspaces/32/contacts", params={"sort_property": "updated_at", "sort_order": "desc"}
    )
    assert newest.json()[0]["id"] == 25


def test_an_upsert_matches_by_address_and_never_clears(running: RunningTwin) -> None:
    made = upsert(running, email_address=" Kim@Example.org ", first_name="Kim", custom_attributes={"a": "1"})
    assert (made.status_code, made.json()["email_address"]) == (201, "kim@example.org")
    again = upsert(running, email_address="kim@example.ORG", first_name=None, custom_attributes={"b": "2"})
    assert again.status_code == 200
    assert (again.json()["id"], again.json()["first_name"]) == (made.json()["id"], "Kim")
    assert again.json()["custom_attributes"] == {"a": "1", "b": "2"}
    cleared = ask(running, "PUT", f"/contacts/{made.json()['public_id']}", json={"contact": {"first_name": None}})
    assert cleared.json()["first_name"] is None


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/workspaces/32/contacts", {"headers": {"Authorization": "Bearer twin-token"}}, 403),
        ("GET", "/workspaces/32/contacts", {"headers": {"User-Agent": "acme"}}, 401),
        ("GET", "/workspaces/33/contacts", {}, 404),
        ("GET", "/contacts/9", {}, 404),
        ("GET", "/workspaces/32/contacts", {"params": {"filter[colour]": "red"}}, 400),
        ("GET", "/workspaces/32/contacts", {"params": {"sort_property": "name"}}, 400),
        ("GET", "/workspaces/32/contacts", {"params": {"after": "9"}}, 404),
        ("POST", "/workspaces/32/contacts/upsert", {"json": {"email": "x"}}, 400),
        ("POST", "/workspaces/32/contacts/upsert", {"json": {"contact": {"first_name": "x"}}}, 422),
        ("POST", "/workspaces/32/contacts/upsert", {"json": {"contact": {"uuid": "x"}}}, 422),
        ("POST", "/workspaces/32/webhooks/outgoing/endpoints", {"json": {}}, 422),
        ("DELETE", "/orders/1", {}, 404),
    ],
)
def test_refusals(running: RunningTwin, method: str, path: str, options: Json, status: int) -> None:
    answer = ask(running, method, path, **options)
    assert answer.status_code == status
    assert set(answer.json()) <= {"error", "errors"}


def test_anonymous_visitors_are_not_listed_and_filters_are_lists(running: RunningTwin, twin: TwinClickfunnels) -> None:
    twin.user_create("contacts", {"anonymous": True})
    for n in range(3):
        twin.user_create("contacts", {"email_address": f"p{n}@example.org"})
    assert len(ask(running, "GET", "/workspaces/32/contacts").json()) == 3
    some = ask(
        running, "GET", "/workspaces/32/contacts", params={"filter[email_address]": "P0@example.org,p2@example.org"}
    )
    assert [row["id"] for row in some.json()] == [2, 4]


def test_the_secret_is_shown_once_and_events_are_kept_in_the_log(
    running: RunningTwin, twin: TwinClickfunnels, receiver: Receiver
) -> None:
    body = {"webhooks_outgoing_endpoint": {"url": receiver.url, "name": "x", "event_type_ids": ["contact.identified"]}}
    made = ask(running, "POST", "/workspaces/32/webhooks/outgoing/endpoints", json=body).json()
    shown = ask(running, "GET", f"/webhooks/outgoing/endpoints/{made['id']}").json()
    assert "webhook_secret" not in shown
    twin.user_create("contacts", {"email_address": "kim@example.org"})
    twin.hooks.drain()
    (sent,) = receiver.bodies
    headers = {name.lower(): value for name, value in receiver.headers[0].items()}
    stamp = headers["x-webhook-clickfunnels-timestamp"]
    assert headers["x-webhook-clickfunnels-signature"] == signature(sent, made["webhook_secret"], stamp)
    log = ask(running, "GET", "/workspaces/32/webhooks/outgoing/events").json()
    assert [row["event_type_id"] for row in log] == ["contact.created", "contact.identified"]
