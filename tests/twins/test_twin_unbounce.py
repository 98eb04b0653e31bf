"""The Unbounce twin over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
import requests

from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve
from hub.twins.unbounce import PAGES, TwinUnbounce, make
from tests.twins.conftest import Receiver

Json = Any


@pytest.fixture
def running() -> Iterator[RunningTwin]:
    with serve(make(clock=VirtualClock(), auto_hooks=False)) as served:
        served.twin.load("pages", [{"id": PAGES[0], "fields": {"name": "One"}}])
        yield served


@pytest.fixture
def twin(running: RunningTwin) -> TwinUnbounce:
    assert isinstance(running.twin, TwinUnbounce)
    return running.twin


def ask(running: RunningTwin, path: str, **options: Json) -> requests.Response:
    return requests.get(running.base_url + path, timeout=10, **{"auth": ("twin-token", ""), **options})


def test_the_key_is_a_user_name_with_an_empty_password(running: RunningTwin) -> None:
    assert ask(running, "/pages").status_code == 200
    assert ask(running, "/pages", auth=("twin-token", "x")).status_code == 401
    assert ask(running, "/pages", auth=("wrong", "")).status_code == 401
    assert ask(running, "/pages", headers={"Authorization": "Bearer twin-token"}, auth=None).status_code == 200
    assert ask(running, "/pages", headers={"Authorization": "Basic ü".encode()}, auth=None).status_code == 401


def test_leads_are_listed_per_page_between_two_moments(running: RunningTwin, twin: TwinUnbounce) -> None:
    for n in range(5):
        twin.user_create("leads", {"page_id": PAGES[0], "form_data": {"n": str(n)}})
        twin.advance(1)
    params = {"from": "2026-11-02T08:00:01.000Z", "to": "2026-11-02T08:00:03.000Z", "sort_order": "desc", "limit": 2}
    found = ask(running, f"/pages/{PAGES[0]}/leads", params=params).json()
    assert (found["metadata"]["count"], [row["form_data"]["n"] for row in found["leads"]]) == (3, ["3", "2"])
    assert "leads" not in ask(running, f"/pages/{PAGES[0]}/leads", params={"count": "true"}).json()


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        (f"/pages/{PAGES[1]}/leads", {}, 404), ("/leads/x", {}, 404), ("/sub_accounts/1/leads", {}, 404),
        (f"/pages/{PAGES[0]}/leads", {"limit": 1001}, 400), (f"/pages/{PAGES[0]}/leads", {"from": "soon"}, 400),
        (f"/pages/{PAGES[0]}/leads", {"offset": "-1"}, 400), (f"/pages/{PAGES[0]}/leads", {"sort_order": "up"}, 400),
    ],
)  # fmt: skip
def test_refusals(running: RunningTwin, path: str, params: Json, status: int) -> None:
    assert ask(running, path, params=params).status_code == status


def test_messages_are_forms_of_lists_without_an_id(
    running: RunningTwin, twin: TwinUnbounce, receiver: Receiver
) -> None:
    twin.set_webhook(receiver.url, "")
    lead = twin.user_create("leads", {"page_id": PAGES[0], "form_data": {"email": "kim@example.org"}})
    twin.hooks.drain()
    form = parse_qs(receiver.bodies[0].decode())
    data = orjson.loads(form["data.json"][0])
    assert (form["page_id"], data["email"]) == ([PAGES[0]], ["kim@example.org"])
    assert (data["date_submitted"], data["time_submitted"]) == (["2026-11-02"], ["08:00 AM UTC"])
    assert lead not in receiver.bodies[0].decode()


def test_leads_stay_as_they_were_sent(twin: TwinUnbounce) -> None:
    lead = twin.user_create("leads", {"page_id": PAGES[0], "form_data": {}})
    with pytest.raises(ValueError, match="edited"):
        twin.user_edit("leads", lead, {"form_data": {"a": "b"}})
    with pytest.raises(ValueError, match="no page"):
        twin.user_create("leads", {"page_id": "x"})
