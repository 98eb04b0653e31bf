"""The Jotform twin over real HTTP: its envelope, its filters, its webhooks by position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import requests

from hub.twins.jotform import QUESTIONS, TwinJotform, make
from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve
from tests.twins.conftest import Receiver

Json = Any


@pytest.fixture
def running() -> Iterator[RunningTwin]:
    with serve(make(clock=VirtualClock(), auto_hooks=False)) as served:
        served.twin.user_create("forms", {"title": "Quiz", "questions": QUESTIONS})
        yield served


@pytest.fixture
def twin(running: RunningTwin) -> TwinJotform:
    assert isinstance(running.twin, TwinJotform)
    return running.twin


def form_of(twin: TwinJotform) -> str:
    (form,) = twin.snapshot("forms")
    return form


def ask(running: RunningTwin, method: str, path: str, **options: Json) -> requests.Response:
    return requests.request(
        method, running.base_url + path, timeout=10, **{"headers": {"apikey": "twin-token"}, **options}
    )


def test_everything_comes_in_one_envelope_with_what_is_left(running: RunningTwin) -> None:
    first = ask(running, "GET", "/user").json()
    assert (first["responseCode"], first["message"], first["content"]["username"]) == (200, "success", "twin")
    assert ask(running, "GET", "/v1/user").json()["limit-left"] == first["limit-left"] - 1


def test_a_key_in_the_query_is_good_and_none_is_not(running: RunningTwin) -> None:
    assert ask(running, "GET", "/user?apiKey=twin-token", headers={}).status_code == 200
    answer = ask(running, "GET", "/user", headers={})
    assert (answer.status_code, answer.json()["responseCode"]) == (401, 401)


def test_times_are_local_and_the_one_of_change_is_null_until_there_is_one(
    running: RunningTwin, twin: TwinJotform
) -> None:
    made = twin.user_create("submissions", {"form_id": form_of(twin), "answers": {"email4": "a@example.org"}})
    shown = ask(running, "GET", f"/submission/{made}").json()["content"]
    assert (shown["created_at"], shown["updated_at"]) == ("2026-11-02 03:00:00", None)
    assert shown["answers"]["4"]["answer"] == "a@example.org"
    assert "answer" not in shown["answers"]["3"]
    twin.advance(60)
    twin.user_edit("submissions", made, {"notes": "called"})
    assert ask(running, "GET", f"/submission/{made}").json()["content"]["updated_at"] == "2026-11-02 03:01:00"


def test_filters_and_windows(running: RunningTwin, twin: TwinJotform) -> None:
    for _ in range(5):
        twin.user_create("submissions", {"form_id": form_of(twin), "answers": {}})
        twin.advance(1)
    params = {"filter": orjson.dumps({"created_at:gt": "2026-11-02 03:00:01"}).decode(), "limit": 2}
    answer = ask(running, "GET", "/user/submissions", params=params).json()
    assert answer["resultSet"] == {"offset": 0, "limit": 2, "count": 2}
    assert [row["created_at"][-2:] for row in answer["content"]] == ["04", "03"], "newest first"
    params["offset"] = 2
    assert len(ask(running, "GET", "/user/submissions", params=params).json()["content"]) == 1
    never = {"filter": orjson.dumps({"updated_at:gt": "2020-01-01 00:00:00"}).decode()}
    assert ask(running, "GET", "/user/submissions", params=never).json()["content"] == []
    for bad in ({"filter": "x"}, {"orderby": "colour"}, {"filter": '{"id:like":"1"}'}, {"limit": "-1"}):
        assert ask(running, "GET", "/user/submissions", params=bad).status_code == 400


def test_webhooks_stand_by_position_and_move_up(running: RunningTwin, twin: TwinJotform, receiver: Receiver) -> None:
    path = f"/form/{form_of(twin)}/webhooks"
    for url in ("http://127.0.0.1:9/a", receiver.url):
        ask(running, "POST", path, data={"webhookURL": url})
    assert ask(running, "DELETE", f"{path}/0").json()["content"] == {"0": receiver.url}
    assert ask(running, "DELETE", f"{path}/1").status_code == 404
    made = twin.user_create("submissions", {"form_id": form_of(twin), "answers": {"email4": "a@example.org"}})
    twin.user_edit("submissions", made, {"notes": "edits are not told"})
    twin.hooks.drain()
    (body,) = receiver.bodies
    assert receiver.headers[0]["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="submissionID"\r\n\r\n' + made.encode() in body
    assert b'"q4_email4":"a@example.org"' in body


def test_the_days_calls_end(running: RunningTwin) -> None:
    with serve(make(clock=VirtualClock(), limit_scale=0.002)) as poor:
        assert [ask(poor, "GET", "/user").status_code for _ in range(3)] == [200, 200, 429]
        poor.twin.advance(86_400)
        assert ask(poor, "GET", "/user").status_code == 200


def test_nobody_answers_a_form_that_is_not_there(twin: TwinJotform) -> None:
    with pytest.raises(ValueError, match="no form"):
        twin.user_create("submissions", {"form_id": "1", "answers": {}})
