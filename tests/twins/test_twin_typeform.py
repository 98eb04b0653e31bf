"""The Typeform twin over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import requests

from hub.twins.client import TwinClient, TwinRefused
from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve
from hub.twins.typeform import TwinTypeform, make, signature
from tests.twins.conftest import Receiver

Json = Any
NOW = 1_793_606_400.0  # 2026-11-02 08:00 UTC
FORM: Json = {
    "id": "u6nXL7",
    "title": "Quiz",
    "hidden": ["utm_source", "cid"],
    "fields": [
        {"id": "aB1", "ref": "email_ref", "type": "email", "title": "Your e-mail"},
        {
            "id": "aB2",
            "ref": "size_ref",
            "type": "multiple_choice",
            "title": "Size?",
            "properties": {"choices": [{"id": "c1", "ref": "c1r", "label": "Small"}]},
        },
        {
            "id": "aG",
            "ref": "group",
            "type": "group",
            "title": "You",
            "properties": {"fields": [{"id": "aB3", "ref": "score_ref", "type": "number", "title": "Score"}]},
        },
    ],
}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def running(clock: VirtualClock) -> Iterator[RunningTwin]:
    with serve(make(clock=clock, auto_hooks=False)) as served:
        served.twin.user_create("forms", FORM)
        yield served


@pytest.fixture
def twin(running: RunningTwin) -> TwinTypeform:
    assert isinstance(running.twin, TwinTypeform)
    return running.twin


@pytest.fixture
def call(running: RunningTwin) -> Iterator[Any]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer twin-token"

        def send(method: str, path: str, **options: Json) -> requests.Response:
            return session.request(method, running.base_url + path, timeout=10, **options)

        yield send


def fill_in(twin: TwinTypeform, email: str, **more: Json) -> str:
    return twin.user_create("responses", {"form_id": "u6nXL7", "answers": {"email_ref": email}, **more})


def load(twin: TwinTypeform, number: int) -> None:
    """r0 is the oldest; two share a second each."""
    rows = [{"id": f"r{i}", "created": NOW - 100 + i // 2, "fields": {"form_id": "u6nXL7"}} for i in range(number)]
    twin.load("responses", rows)


def tokens(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["token"] for item in answer.json()["items"]]


# --- forms and responses -------------------------------------------------------------------------------------------


def test_forms_are_listed_and_described(call: Any, twin: TwinTypeform) -> None:
    twin.user_create("forms", {"title": "Second"})
    listed = call("GET", "/forms", params={"page_size": 1, "page": 2}).json()
    assert (listed["total_items"], listed["page_count"], len(listed["items"])) == (2, 2, 1)
    assert [form["title"] for form in call("GET", "/forms", params={"search": "qui"}).json()["items"]] == ["Quiz"]
    form = call("GET", "/forms/u6nXL7").json()
    assert [field["ref"] for field in form["fields"]] == ["email_ref", "size_ref", "group"]
    assert (form["hidden"], form["created_at"]) == (["utm_source", "cid"], "2026-11-02T08:00:00Z")
    missing = call("GET", "/forms/nope")
    assert (missing.status_code, missing.json()["code"]) == (404, "FORM_NOT_FOUND")


def test_a_response_has_the_vendors_shape_without_its_form(call: Any, twin: TwinTypeform) -> None:
    answers = {"email_ref": "kim@example.test", "size_ref": "Small", "score_ref": 4}
    token = twin.user_create(
        "responses", {"form_id": "u6nXL7", "answers": answers, "hidden": {"utm_source": "mail"}, "token": "l9x2"}
    )
    listed = call("GET", "/forms/u6nXL7/responses").json()
    assert (listed["total_items"], listed["page_count"]) == (1, 1)
    item = listed["items"][0]
    assert item["metadata"]["browser"] == "default"
    del item["metadata"]
    assert item == {
        "landing_id": token,
        "token": "l9x2",
        "response_id": "l9x2",
        "response_type": "completed",
        "landed_at": "2026-11-02T07:59:00Z",
        "submitted_at": "2026-11-02T08:00:00Z",
        "hidden": {"utm_source": "mail"},
        "calculated": {"score": 0},
        "variables": [],
        "tags": [],
        "answers": [
            {"field": {"id": "aB1", "ref": "email_ref", "type": "email"}, "type": "email", "email": "kim@example.test"},
            {
                "field": {"id": "aB2", "ref": "size_ref", "type": "multiple_choice"},
                "type": "choice",
                "choice": {"id": "c1", "ref": "c1r", "label": "Small"},
            },
            {"field": {"id": "aB3", "ref": "score_ref", "type": "number"}, "type": "number", "number": 4},
        ],
    }


def test_walking_backwards_by_before_reaches_every_response(call: Any, twin: TwinTypeform) -> None:
    load(twin, 7)
    seen: list[str] = []
    query: Json = {"page_size": 3, "since": int(NOW) - 100}
    totals = []
    while page := call("GET", "/forms/u6nXL7/responses", params=query).json():
        totals.append(page["total_items"])
        seen += [item["token"] for item in page["items"]]
        if page["page_count"] <= 1:
            break
        query["before"] = seen[-1]
    assert seen == ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]
    assert totals == [7, 4, 1]


def test_walking_forwards_by_after_reaches_every_response(call: Any, twin: TwinTypeform) -> None:
    load(twin, 7)
    first = tokens(call("GET", "/forms/u6nXL7/responses", params={"sort": "submitted_at,asc", "page_size": 4}))
    second = tokens(call("GET", "/forms/u6nXL7/responses", params={"after": first[-1], "page_size": 4}))
    assert first + second == [f"r{i}" for i in range(7)]
    empty = call("GET", "/forms/u6nXL7/responses", params={"after": "r6"}).json()
    assert empty == {"total_items": 0, "page_count": 0, "items": []}


@pytest.mark.parametrize(
    "query, field",
    [
        ({"after": "r0", "sort": "submitted_at,asc"}, "/sort"),
        ({"page_size": 1001}, "/page_size"),
        ({"page": 2}, "/page"),
        ({"since": "yesterday"}, "/since"),
        ({"after": "nope"}, "/after"),
    ],
)
def test_a_wrong_query_is_a_validation_error(call: Any, twin: TwinTypeform, query: Json, field: str) -> None:
    load(twin, 1)
    answer = call("GET", "/forms/u6nXL7/responses", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert answer.json()["details"][0]["field"] == field


def test_since_and_until_are_inclusive_and_ids_can_be_asked_for(call: Any, twin: TwinTypeform) -> None:
    load(twin, 6)
    window = {"since": "2026-11-02T07:58:21", "until": str(int(NOW) - 99)}
    assert tokens(call("GET", "/forms/u6nXL7/responses", params=window)) == ["r3", "r2"]
    chosen = {"included_response_ids": "r0,r5,zz"}
    assert tokens(call("GET", "/forms/u6nXL7/responses", params=chosen)) == ["r5", "r0"]


def test_only_completed_responses_come_unless_asked_for(call: Any, twin: TwinTypeform) -> None:
    whole = fill_in(twin, "a@x.org")
    part = fill_in(twin, "b@x.org", response_type="partial")
    assert tokens(call("GET", "/forms/u6nXL7/responses")) == [whole]
    asked = {"response_type": "started,partial,completed"}
    assert set(tokens(call("GET", "/forms/u6nXL7/responses", params=asked))) == {whole, part}
    row = call("GET", "/forms/u6nXL7/responses", params={"response_type": "partial"}).json()["items"][0]
    assert "submitted_at" not in row


def test_fresh_responses_are_missing_for_a_while(call: Any, twin: TwinTypeform, clock: VirtualClock) -> None:
    twin.set_faults(index_lag_s=1800.0)
    token = fill_in(twin, "a@x.org")
    assert tokens(call("GET", "/forms/u6nXL7/responses")) == []
    clock.advance(1801)
    assert tokens(call("GET", "/forms/u6nXL7/responses")) == [token]


def test_responses_are_deleted_by_token(call: Any, twin: TwinTypeform) -> None:
    load(twin, 3)
    assert call("DELETE", "/forms/u6nXL7/responses", params={"included_tokens": "r0,r2"}).status_code == 200
    assert tokens(call("GET", "/forms/u6nXL7/responses")) == ["r1"]
    assert call("DELETE", "/forms/u6nXL7/responses").status_code == 400
    assert twin.snapshot("responses")["r0"]["deleted"] is True


# --- limits, faults, sign-in ---------------------------------------------------------------------------------------


def test_two_calls_a_second_and_webhooks_do_not_count(clock: VirtualClock) -> None:
    twin = make(clock=clock, limit_scale=1, auto_hooks=False)
    twin.user_create("forms", FORM)
    auth = {"Authorization": "Bearer twin-token"}
    with serve(twin) as running:
        for _ in range(2):
            assert requests.get(f"{running.base_url}/forms", headers=auth, timeout=5).status_code == 200
        refused = requests.get(f"{running.base_url}/forms", headers=auth, timeout=5)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        hooks = requests.get(f"{running.base_url}/forms/u6nXL7/webhooks", headers=auth, timeout=5)
        assert hooks.json() == {"items": []}
        clock.advance(1)
        assert requests.get(f"{running.base_url}/forms", headers=auth, timeout=5).status_code == 200
        assert twin.counts()["early"] == 1  # the webhook call came before the wait was over


def test_a_wrong_token_is_403_and_a_refresh_token_works_once(running: RunningTwin, call: Any) -> None:
    wrong = requests.get(f"{running.base_url}/forms", headers={"Authorization": "Bearer x"}, timeout=5)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "AUTHENTICATION_ERROR")
    given = {
        "grant_type": "refresh_token",
        "refresh_token": "twin-refresh",
        "client_id": "twin-client",
        "client_secret": "twin-secret",
    }
    first = call("POST", "/oauth/token", data=given).json()
    assert first["expires_in"] == 604_800
    auth = {"Authorization": f"Bearer {first['access_token']}"}
    assert requests.get(f"{running.base_url}/forms", headers=auth, timeout=5).status_code == 200
    again = call("POST", "/oauth/token", data=given)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert call("POST", "/oauth/token", data={**given, "refresh_token": first["refresh_token"]}).status_code == 200


def test_faults_strike_as_placed(call: Any, twin: TwinTypeform) -> None:
    load(twin, 2)
    twin.set_faults(
        script=[
            {"match": "DELETE /forms", "fault": "error_after"},
            {"match": "GET /forms", "fault": "throttle"},
            {"match": "GET /forms", "fault": "timeout_before"},
        ],
        throttle_retry_after=None,
    )
    failed = call("DELETE", "/forms/u6nXL7/responses", params={"included_tokens": "r0"})
    assert failed.status_code == 500
    throttled = call("GET", "/forms/u6nXL7/responses")
    assert throttled.status_code == 429
    assert "Retry-After" not in throttled.headers
    with pytest.raises(requests.ConnectionError):
        call("GET", "/forms/u6nXL7/responses")
    assert tokens(call("GET", "/forms/u6nXL7/responses")) == ["r1"]


# --- webhooks ------------------------------------------------------------------------------------------------------


def put(call: Any, url: str, **more: Json) -> Json:
    given = {"url": url, "enabled": True, "secret": "typeform-test-secret", "event_types": {"form_response": True}}
    answer = call("PUT", "/forms/u6nXL7/webhooks/hub", json={**given, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_signature_matches_the_published_vectors() -> None:
    secret = "typeform-test-secret"
    body = (
        b'{"event_id":"01K9TESTEVENT","event_type":"form_response","form_response":{"form_id":"u6nXL7","token":"l9x2"}}'
    )
    assert signature(body, secret) == "sha256=HCCBUXC72duK5c82yotzb3LAXm6D27JoQiwFPP1abWM="
    body = (
        b'{"event_id":"01K9TESTEVENT","event_type":"form_response","form_response":{"form_id":"u6nXL7","token":"l9x2",'
        b'"landed_at":"2026-11-02T07:58:10Z","submitted_at":"2026-11-02T08:00:00Z","hidden":{"utm_source":"mail"},'
        b'"definition":{"id":"u6nXL7","title":"Quiz","fields":[{"id":"aB1","ref":"email_ref","type":"email","title":'
        b'"Your e-mail"}]},"answers":[{"type":"email","email":"kim@example.test","field":{"id":"aB1","ref":"email_ref",'
        b'"type":"email"}}]}}'
    )
    assert signature(body, secret) == "sha256=y2EevPp8RjrWbIcbhMqgSZlGrfcTM36P3D/0tDtPaFQ="


def test_a_webhook_is_put_replaced_and_deleted(call: Any, clock: VirtualClock) -> None:
    first = put(call, "https://hub.example.com/a")
    assert first["created_at"] == "2026-11-02T08:00:00.000Z"
    assert first["secret"] == "typeform-test-secret"
    clock.advance(5)
    second = put(call, "https://hub.example.com/b", secret=None)
    assert (second["id"], second["created_at"]) == (first["id"], first["created_at"])
    assert second["updated_at"] == "2026-11-02T08:00:05.000Z"
    assert "secret" not in second
    assert call("GET", "/forms/u6nXL7/webhooks").json() == {"items": [second]}
    assert call("DELETE", "/forms/u6nXL7/webhooks/hub").status_code == 204
    assert call("GET", "/forms/u6nXL7/webhooks/hub").status_code == 404
    wrong = call("PUT", "/forms/u6nXL7/webhooks/hub", json={"url": 5})
    assert wrong.json()["details"][0] == {
        "code": "WRONG_TYPE",
        "description": "should be string",
        "field": "/url",
        "in": "body",
    }


def test_a_submission_is_sent_at_once_and_signed(call: Any, twin: TwinTypeform, receiver: Receiver) -> None:
    twin.set_faults(index_lag_s=1800.0)
    put(call, receiver.url)
    token = twin.user_create("responses", {"form_id": "u6nXL7", "answers": {"size_ref": "Small"}})
    twin.drain_hooks()
    assert receiver.headers[0]["Typeform-Signature"] == signature(receiver.bodies[0], "typeform-test-secret")
    body = orjson.loads(receiver.bodies[0])
    assert (body["event_type"], body["form_response"]["form_id"]) == ("form_response", "u6nXL7")
    assert body["form_response"]["token"] == token
    fields = body["form_response"]["definition"]["fields"]
    assert [field["ref"] for field in fields] == ["email_ref", "size_ref", "score_ref"]
    assert fields[1]["choices"] == [{"id": "c1", "ref": "c1r", "label": "Small"}]


def test_a_webhook_without_secret_or_not_enabled(call: Any, twin: TwinTypeform, receiver: Receiver) -> None:
    put(call, receiver.url, secret=None)
    fill_in(twin, "a@x.org")
    twin.drain_hooks()
    assert "Typeform-Signature" not in receiver.headers[0]
    call("PUT", "/forms/u6nXL7/webhooks/hub", json={"url": receiver.url})  # enabled is off unless sent
    fill_in(twin, "b@x.org")
    assert twin.drain_hooks() == []


def test_partial_responses_are_told_only_if_asked_for(call: Any, twin: TwinTypeform, receiver: Receiver) -> None:
    put(call, receiver.url, event_types={"form_response": True, "form_response_partial": True})
    fill_in(twin, "a@x.org", response_type="partial")
    fill_in(twin, "a@x.org", response_type="started")
    twin.drain_hooks()
    assert [orjson.loads(body)["event_type"] for body in receiver.bodies] == ["form_response_partial"]


@pytest.mark.parametrize("status", [404, 410])
def test_gone_switches_the_webhook_off_at_once(call: Any, twin: TwinTypeform, receiver: Receiver, status: int) -> None:
    put(call, receiver.url)
    receiver.answers = [(status, b"")]
    fill_in(twin, "a@x.org")
    assert len(twin.drain_hooks()) == 1
    assert call("GET", "/forms/u6nXL7/webhooks/hub").json()["enabled"] is False
    fill_in(twin, "b@x.org")
    assert twin.drain_hooks() == []


def test_other_failures_are_tried_again_with_the_same_event(call: Any, twin: TwinTypeform, receiver: Receiver) -> None:
    put(call, receiver.url)
    receiver.answers = [(503, b""), (500, b"")]
    fill_in(twin, "a@x.org")
    assert [attempt["status"] for attempt in twin.drain_hooks()] == [503, 500, 200]
    assert len(set(receiver.bodies)) == 1


# --- people --------------------------------------------------------------------------------------------------------


def test_people_fill_in_forms_through_the_control_endpoint(running: RunningTwin) -> None:
    client = TwinClient(running.base_url)
    token = client.user_create("responses", {"form_id": "u6nXL7", "answers": {"email_ref": "a@x.org"}})
    assert client.snapshot("responses")[token]["fields"]["form_id"] == "u6nXL7"
    with pytest.raises(TwinRefused, match="has no field colour"):
        client.user_create("responses", {"form_id": "u6nXL7", "answers": {"colour": "red"}})
    with pytest.raises(TwinRefused, match="no form x"):
        client.user_create("responses", {"form_id": "x"})
    with pytest.raises(TwinRefused, match="cannot be edited"):
        client.user_edit("responses", token, {})
    client.close()
