"""Requests that no page of ours makes: parameters twice, headers without end, other origins, forms that lie."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from hub.app import people, sessions
from hub.app.people import Person
from hub.errors import NotAllowed, RecordRejected
from hub.runtime import passwords
from hub.runtime.clock import VirtualClock
from hub.web.show import money
from hub.web.site import COOKIE
from tests.hostile import HOSTILE
from tests.web.console import Browser, Console

PASSWORD = "correct horse battery"


def token(console: Console, *scopes: str) -> str:
    made = sessions.make_token(console.hub, "robot", scopes or ("read",), person=Person(name="admin", role="admin"))
    return str(made["token"])


def api(console: Console, path: str, key: str, method: str = "GET") -> tuple[int, Any]:
    answer = Browser(console.port).ask(method, f"/api/v1{path}", "", {"Authorization": f"Bearer {key}"})
    return answer.status, orjson.loads(answer.body) if answer.body else None


# Parameters


def test_filters_and_searches_take_any_text_for_text(synced: Console) -> None:
    admin, key = synced.as_("admin"), token(synced)
    before = synced.audit()
    for text in HOSTILE[::14]:
        said = quote(text.encode())
        for path in ("/conflicts?field=", "/conflicts?connection=", "/conflicts?type=", "/runs?connection="):
            assert admin.get(path + said).status in (200, 404, 422), (path, text)
        for path in ("/conflicts?field=", "/conflicts?connection=", "/runs?connection=", "/records?q=xx"):
            status, found = api(synced, path + said, key)
            assert status in (200, 404, 422), (path, text, found)
            assert status != 200 or not (found["rows"] if isinstance(found, dict) else found), (path, text)
        assert admin.get(f"/records/{quote(text.encode(), safe='')}").status in (200, 404, 405, 422), text
    assert synced.audit() == before
    assert api(synced, "/conflicts?field=name", key)[1]["rows"], "the filter does find what is there"


def test_a_parameter_given_twice_is_no_bug_and_no_way_round(synced: Console) -> None:
    admin, key = synced.as_("admin"), token(synced)
    for path in ("/conflicts?field=name&field=x", "/runs?before=1&before=x", "/search?q=ann&q=bob", "/runs?a[]=a"):
        assert admin.get(path).status == 200, path
    for path in ("/conflicts?limit=1&limit=100000", "/conflicts?limit=100000&limit=99999", "/runs?limit[]=1&limit=0"):
        assert api(synced, path, key)[0] == 422, path
    status, found = api(synced, "/conflicts?limit=500&limit=1", key)
    assert (status, len(found["rows"])) == (200, 1)


def test_no_list_is_longer_than_its_page(console: Console) -> None:
    admin, key = console.as_("admin"), token(console, "read", "people")
    with console.hub.store.transaction() as tx:
        for number in range(1000):
            tx.audit("test", "counted", str(number), None, None, 0.0)
    for path in ("/conflicts", "/runs", "/audit"):
        for limit in (0, -1, 201, 10**9, "1e3", "all"):
            assert api(console, f"{path}?limit={limit}", key)[0] == 422, (path, limit)
    for path in ("/audit", "/audit?limit=100000", "/audit?limit=100000&before=999999"):
        assert 10 < admin.get(path).text.count("<tr") <= 110, path
    assert len(api(console, "/audit", key)[1]) == 50
    assert len(api(console, "/audit?limit=200", key)[1]) == 200
    assert api(console, f"/records?q={'x' * 101}", key)[0] == 422


# Doors


def test_a_fresh_hub_lets_nobody_in(tmp_path: Path) -> None:
    found = Console(tmp_path)
    found.server.start()
    try:
        browser = Browser(found.port)
        assert browser.get("/").to.startswith("/sign-in")
        for name, password in (("admin", "admin"), ("admin", ""), ("root", "root"), ("", "")):
            assert browser.post("/sign-in", name=name, password=password).status == 403
        for path in ("/users", "/tokens", "/connections/add"):
            assert browser.post(path, name="me", role="admin", password=PASSWORD).to.startswith("/sign-in")
        assert people.users(found.hub) == []
        assert browser.get("/sign-in").status == 200
    finally:
        found.server.stop()
        found.hub.store.close()


def test_an_unknown_name_costs_a_hash_as_well(synced: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    people.add_user(synced.hub, "with-password", "viewer", password=PASSWORD, by="test")
    passwords.matches("", "warm up")
    real, counted = passwords._hasher, []

    class Counting:
        def verify(self, *given: Any) -> bool:
            counted.append(given)
            return real.verify(*given)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    for name in ("with-password", "nobody at all", "viewer"):  # the last has no password
        counted.clear()
        with pytest.raises(NotAllowed, match="AUTH-SIGN-IN"):
            sessions.sign_in(synced.hub, name, "wrong horse battery", address=name)
        assert len(counted) == 1, name


@pytest.mark.parametrize(
    "password",
    ["password1234", "Password123!", "P@ssw0rd2024!", "qwertyuiop12", "123456789012", "aaaaaaaaaaaa", "ababababababab",
     "welcome12345", "letmein!!!!!", "abcdefghijkl", "administrator", "passwordpassword", "iloveyou2026",
     "margaret-2026"],
)  # fmt: skip
def test_well_known_passwords_are_refused(synced: Console, password: str) -> None:
    with pytest.raises(RecordRejected, match="AUTH-PASSWORD"):
        people.add_user(synced.hub, "margaret@example.org", "viewer", password=password, by="test")


@pytest.mark.parametrize("password", [PASSWORD, "x7#kQ9!mPz2w", "Wir fahren nach Köln", "trombone-lemon-42-ostrich"])
def test_passwords_that_nobody_tries_are_taken(password: str) -> None:
    assert not passwords.is_tried_first(password, "margaret@example.org")


def test_a_session_is_new_at_each_sign_in(synced: Console) -> None:
    """Whoever plants a cookie beforehand does not know the one that counts afterwards."""
    people.add_user(synced.hub, "planted", "viewer", password=PASSWORD, by="test")
    browser, cookies = Browser(synced.port, {COOKIE: "planted-by-somebody"}), set()
    for _ in range(3):
        assert browser.post("/sign-in", name="planted", password=PASSWORD).status == 303
        cookies.add(browser.cookies[COOKIE])
    assert len(cookies) == 3
    assert "planted-by-somebody" not in cookies
    assert sessions.who(synced.hub, "planted-by-somebody") is None


def test_a_token_is_good_in_its_header_alone_and_for_a_year(console: Console) -> None:
    key = token(console)
    assert len(key.removeprefix("hub_")) >= 43, "256 bits"
    assert api(console, "/overview", key)[0] == 200
    for path in (f"?token={key}", f"?access_token={key}", f"?authorization=Bearer%20{key}", f"?key={key}"):
        assert api(console, f"/overview{path}", "hub_x")[0] == 401
    for header in ({"X-Api-Key": key}, {"Cookie": f"{COOKIE}={key}"}, {"Authorization": f"Basic {key}"}):
        assert Browser(console.port).ask("GET", "/api/v1/overview", "", header).status == 401
    assert [row["used_at"] is not None for row in sessions.tokens(console.hub)] == [True], "when it was used is shown"
    console.hub.clock = VirtualClock(start=console.hub.clock.now() + 366 * 86_400.0)
    assert sessions.who_by_token(console.hub, key) is None


# Other sites, other methods


@pytest.mark.parametrize(
    "path", ["/", "/sign-in", "/users", "/api/v1/overview", "/api/v1/openapi.json", "/static/console.js"]
)
def test_no_answer_invites_another_origin(synced: Console, path: str) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ("GET", "OPTIONS", "HEAD"):
        answer = synced.as_("admin").ask(method, path, "", asked)
        assert [name for name in answer.headers if name.startswith("access-control")] == []
        assert method != "OPTIONS" or answer.status >= 400


def test_what_a_form_says_beside_its_fields_changes_nothing(console: Console) -> None:
    """More fields than the form has: an actor, a role, a hash. The actor is the session's."""
    support, admin = console.as_("support"), console.as_("admin")
    more: dict[str, Any] = {
        "by": "admin",
        "actor": "admin",
        "user": "admin",
        "role": "admin",
        "at": "0",
        "is_admin": "1",
    }
    conflict = console.conflict()
    assert support.post(f"/conflicts/{conflict}/notes", text="seen", **more).status == 303
    assert admin.post("/users", name="eve", **{**more, "role": "viewer"}, password_hash="x", active="out").status == 303
    assert support.post(f"/conflicts/{conflict}", choice="candidate:0", candidate="0", **more).status in (303, 422)
    with console.hub.store.reading() as tx:
        notes = tx.notes(f"conflict:{conflict}", 10)
        eve = tx.users()["eve"]
    assert [(note.by, note.text) for note in notes] == [("support", "seen")]
    assert (eve.role, eve.password_hash, eve.active) == ("viewer", "", True)
    assert {row["role"] for row in people.users(console.hub) if row["user"] == "support"} == {"support"}
    assert all(actor in ("test", "support", "admin") for actor, _, _ in console.audit())
    assert not [row for row in console.audit() if row[0] == "admin" and row[1] in ("note", "conflict resolved")]


# The server


def raw(console: Console, text: bytes) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", console.port), timeout=10)) as client:
        client.settimeout(3.0)
        try:
            client.sendall(text)
            found = b""
            while len(found) < 100_000 and (more := client.recv(65536)):
                found += more
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass
        return found


HEAD = b"POST /sign-in HTTP/1.1\r\nHost: x\r\n"
SECOND = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
        HEAD + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello" + SECOND,
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SECOND,
        HEAD + b"Content-Length: -1\r\n\r\n" + SECOND,
        HEAD + b"Content-Length : 5\r\n\r\nhello" + SECOND,
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 500_000 + b"\r\n\r\n" + SECOND,
        b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n" + SECOND,
        b"\x16\x03\x01\x02\x00" + b"\0" * 500,
    ],
    ids=["two lengths", "length twice", "odd coding", "negative", "blank", "header", "line", "no HTTP"],
)  # fmt: skip
def test_smuggled_and_swollen_requests_are_refused(synced: Console, text: bytes) -> None:
    """Refused, and the connection closed: what stands behind is not taken for a request of its own."""
    answer = raw(synced, text)
    assert b'{"status":"ok"}' not in answer, answer[:300]
    assert answer == b"" or answer.split(b" ")[1][:1] == b"4", answer[:100]
    assert Browser(synced.port).get("/health").status == 200


def test_nothing_for_developers_is_served(synced: Console) -> None:
    admin = synced.as_("admin")
    paths = (
        "docs redoc openapi.json metrics debug api/v1/docs api/v1/redoc _twin .git/config .env hub.yaml .hub-key "
        "hub.db static/ static/../hub.yaml"
    )
    for path in paths.split():
        assert admin.get(f"/{path}").status == 404, path


def test_a_bug_is_told_without_its_trace(synced: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any, **__: Any) -> None:
        raise RuntimeError("inner detail: tok-secret-1 in /srv/hub")

    monkeypatch.setattr("hub.web.operations.overview", bug)
    monkeypatch.setattr("hub.app.overview.overview", bug)
    for answer in (
        synced.as_("admin").get("/"),
        Browser(synced.port).ask("GET", "/api/v1/overview", "", {"Authorization": f"Bearer {token(synced)}"}),
    ):
        assert answer.status == 500
        assert "inner detail" not in answer.text
        assert "Traceback" not in answer.text
        assert "RuntimeError" not in answer.text


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(1250, "EUR", "12.50 EUR"), (1250, "JPY", "1,250 JPY"), (1250, "KWD", "1.250 KWD"), (-5, "EUR", "-0.05 EUR"),
     (123456789012345678, "USD", "1,234,567,890,123,456.78 USD"), (7, "CLF", "0.0007 CLF"), (7, "XQX", "0.07 XQX")],
)  # fmt: skip
def test_money_is_shown_in_its_own_minor_units(minor: int, currency: str, shown: str) -> None:
    assert money(minor, currency) == shown
