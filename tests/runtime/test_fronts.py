"""The door as SDKs see it: same headers, same body, the connection's scheme and sign-in."""

from __future__ import annotations

import pytest

from hub.connector import CALL_HEADER, Auth, call_label
from hub.errors import OutcomeUnknown, RetryLater
from tests.runtime.stub_vendor import connector, door_to, vendor


def test_a_session_keeps_an_sdks_headers_and_body_and_replaces_scheme_and_token() -> None:
    with vendor((200, {"X-Usage": "18"}, b'{"ok": true}')) as server:
        door = door_to(server.base_url)
        host = server.base_url.removeprefix("http://")
        answer = door.session().patch(
            f"https://{host}/records/1?a=b%20c",
            json={"Email": None},
            headers={"Authorization": "Bearer other", "If-Unmodified-Since": "x", **call_label("update", writes=True)},
        )
        assert (answer.status_code, answer.json(), answer.headers["x-usage"]) == (200, {"ok": True}, "18")
    method, path, headers, body = server.seen[0]
    assert (method, path, body) == ("PATCH", "/records/1?a=b%20c", b'{"Email": null}')
    assert headers["authorization"] == "Bearer tok-secret-1"
    assert headers["if-unmodified-since"] == "x"
    assert CALL_HEADER.lower() not in headers
    assert door.counts.by_operation["update"].writes == 1


def test_a_pool_answers_like_urllib3() -> None:
    with vendor((207, {"X-Left": "3"}, b'{"results": []}')) as server:
        answer = (
            door_to(server.base_url)
            .pool()
            .request(
                "GET",
                server.base_url + "/objects",
                fields=[("limit", 100), ("properties", "a")],
                headers=call_label("list"),
            )
        )
        assert (answer.status, answer.data, answer.headers["x-left"]) == (207, b'{"results": []}', "3")
    assert server.seen[0][1] == "/objects?limit=100&properties=a"


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 422])
def test_answers_about_a_record_go_back_to_the_sdk(status: int) -> None:
    with vendor((status, {}, b"[]")) as server:
        assert door_to(server.base_url).session().get(server.base_url + "/x").status_code == status


def test_trouble_is_the_doors_business() -> None:
    with vendor((500, {}, b""), (429, {}, b"")) as server:
        session = door_to(server.base_url).session()
        with pytest.raises(OutcomeUnknown):
            session.post(server.base_url + "/x", json={})
        with pytest.raises(RetryLater):
            session.post(server.base_url + "/x", json={})


def test_a_guarded_write_of_an_sdk_stays_guarded_through_a_new_sign_in() -> None:
    first, second = b'{"access_token": "t1"}', b'{"access_token": "t2"}'
    with vendor((200, {}, first), (401, {}, b""), (200, {}, second), (412, {}, b"")) as server:
        auth = Auth(kind="client_credentials", token_url="/token")
        door = door_to(server.base_url, auth=auth, credentials={"client_id": "c", "client_secret": "s"}, of=connector())
        answer = door.session().patch(server.base_url + "/x", json={}, headers={"If-Unmodified-Since": "then"})
        assert answer.status_code == 412
    guarded = [headers["if-unmodified-since"] for method, _, headers, _ in server.seen if method == "PATCH"]
    assert guarded == ["then", "then"]
