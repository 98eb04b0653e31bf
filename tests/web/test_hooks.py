"""The hub's ears, over real HTTP: signed calls are stored and answered, everything else learns nothing."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from hub.app.webhooks import BODY_LIMIT_BYTES, hook_path
from hub.connector import Settings, WebhookEvent, WebhookRequest
from hub.errors import RetryLater, SignatureError
from hub.kit.signing import digest, require_signature
from hub.runtime.secrets import Vault
from hub.verify.vendor import STREAM
from hub.web.server import WebServer, create_app, listen
from tests.app_world import World

KEY = b"between us"


def verify(settings: Settings, request: WebhookRequest) -> None:
    signed = request.url.encode() + request.body
    wanted = hmac.new(KEY, signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, request.headers.get("x-signature", "")):
        raise SignatureError("wrong signature", where="A")


def parse(settings: Settings, request: WebhookRequest) -> list[WebhookEvent]:
    if request.body == b'"busy"':
        raise RetryLater("the store is busy", code="STORE-BUSY")
    return [WebhookEvent(**each) for each in orjson.loads(request.body)]


class Site:
    """A hub that is served on loopback, and a client for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.poked: list[str] = []
        self.listening = listen("127.0.0.1", 0)
        self.port = self.listening.getsockname()[1]
        self.server = WebServer(create_app(world.hub, poke=self._poke), self.listening)
        self.path = hook_path(world.hub, "A")

    def _poke(self, names: Iterable[str]) -> None:
        self.poked += names

    def call(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as client:
            client.request(method, path, body=body, headers=headers or {})
            answer = client.getresponse()
            return answer.status, answer.read()

    def signed(self, body: bytes, *, key: bytes = KEY, path: str = "") -> tuple[int, bytes]:
        signature = hmac.new(key, (path or self.path).encode() + body, hashlib.sha256).hexdigest()
        return self.call("POST", path or self.path, body, {"X-Signature": signature})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    world = World(f"sqlite:///{tmp_path / 'hub.db'}")
    world.hub.vault = Vault(tmp_path, {})
    world.change("A", connector=replace(world.vendors["A"].connector(), verify=verify, parse=parse))
    found = Site(world)
    found.server.start()
    yield found
    found.server.stop()
    world.store.close()


def event(**more: Any) -> bytes:
    return orjson.dumps([{"key": "e1", "stream": STREAM, "external_id": "A1", **more}])


def hints(site: Site) -> list[str]:
    with site.world.store.reading() as tx:
        return [hint.external_id for hint in tx.due_hints("A", site.world.clock.now() + 1.0, 10)]


def test_a_signed_delivery_is_stored_answered_and_worked_on(site: Site) -> None:
    assert site.signed(event()) == (200, b"")
    assert hints(site) == ["A1"]
    assert site.poked == ["A"]


def test_the_same_delivery_twice_is_one(site: Site) -> None:
    assert site.signed(event()) == site.signed(event()) == (200, b"")
    assert site.poked == ["A"], "the second time there is nothing to work on"


def test_the_very_bytes_are_verified(site: Site) -> None:
    spaced = b'[ {"key":"e1" , "stream":"people","external_id":"A1"} ]'
    assert site.signed(spaced) == (200, b"")


@pytest.mark.parametrize("key", [b"another", b""])
def test_a_wrong_signature_is_refused_without_a_word(site: Site, key: bytes) -> None:
    assert site.signed(event(), key=key) == (401, b"")
    assert (hints(site), site.poked) == ([], [])


def test_whoever_does_not_know_a_path_cannot_tell_what_is_wrong_with_it(site: Site) -> None:
    nothing = (404, b"not found\n")
    token = site.path.rpartition("/")[2]
    for method, path in [
        ("POST", f"/hooks/A/{token[:-1]}x"),
        ("POST", f"/hooks/B/{token}"),
        ("POST", f"/hooks/C/{token}"),
        ("POST", "/hooks/A/"),
        ("GET", site.path),
        ("PUT", site.path),
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("POST", "/health"),
    ]:
        assert site.call(method, path) == nothing, (method, path)


def test_a_body_beyond_the_limit_is_not_read(site: Site) -> None:
    assert site.call("POST", site.path, headers={"Content-Length": str(BODY_LIMIT_BYTES + 1)})[0] == 413


def test_a_body_that_lies_about_its_length_is_cut_off(site: Site) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(BODY_LIMIT_BYTES // 65_536 + 2):
            yield b"x" * 65_536

    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)) as client:
        try:
            client.request("POST", site.path, chunks(), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up before everything was sent
        try:
            assert client.getresponse().status == 413
        except (ConnectionResetError, http.client.BadStatusLine):
            pass
    assert site.signed(event()) == (200, b""), "and the next caller is served"


def test_what_can_be_sent_again_later_is_asked_for_again(site: Site) -> None:
    assert site.signed(b'"busy"')[0] == 503


def test_a_system_that_cannot_be_used_now_is_asked_to_send_again(site: Site) -> None:
    from hub.errors import ConfigFault, Fault

    site.world.change("A", fault=ConfigFault([Fault(code="SEC-ENV", where="hub.yaml:1", message="x", fix="y")]))
    assert site.signed(event()) == (503, b"")


def test_health_says_one_word(site: Site) -> None:
    assert site.call("GET", "/health") == (200, b'{"status":"ok"}')


def test_health_fails_with_the_store(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RetryLater("gone", code="STORE-GONE")

    monkeypatch.setattr(site.world.store, "reading", broken)
    assert site.call("GET", "/health") == (503, b'{"status":"down"}')


def test_answers_name_no_software(site: Site) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)) as client:
        client.request("GET", "/health")
        assert client.getresponse().getheader("server") is None


def test_a_port_that_is_taken_is_a_coded_fault(site: Site) -> None:
    from hub.errors import ConfigFault

    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigFault, match="CFG-053"):
            listen("127.0.0.1", taken.getsockname()[1])


# Security matrix 3, 8, 9, 14, 107


def guard(site: Site, name: str, check: Any) -> list[WebhookRequest]:
    """The connection's messages are checked by `check`; gives what was asked to be checked."""
    seen: list[WebhookRequest] = []

    def verify_it(settings: Settings, request: WebhookRequest) -> None:
        seen.append(request)
        check(settings, request)

    connector = replace(site.world.vendors[name].connector(), verify=verify_it, parse=parse)
    site.world.change(name, connector=connector)
    return seen


def by_secret(secret: str) -> Any:
    def check(_settings: Settings, request: WebhookRequest) -> None:
        require_signature([request.headers.get("x-signature", "")], request.body, [secret], where="stub")

    return check


@pytest.mark.parametrize("signature", ["ä" * 64, "\xff\xfe", "0" * 5000, ",".join(["0" * 64] * 5000), "sha1=00"])
def test_a_signature_of_strange_letters_is_refused_and_no_bug(site: Site, signature: str) -> None:
    guard(site, "A", by_secret("between us"))
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)) as client:
        client.putrequest("POST", site.path)
        client.putheader("X-Signature", signature.encode("latin-1"))
        client.putheader("Content-Length", "2")
        try:
            client.endheaders(b"[]")
            assert client.getresponse().status in (400, 401, 431)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it did not even read so long a header
    assert hints(site) == []


def test_a_message_signed_for_one_connection_is_none_for_another(site: Site) -> None:
    for name in "AB":
        guard(site, name, by_secret(f"secret of {name}"))
    server = WebServer(create_app(site.world.hub, poke=site._poke), listen("127.0.0.1", 0))
    port = server._listening.getsockname()[1]
    server.start()
    try:
        for name, secret, status in (("A", "A", 200), ("B", "B", 200), ("B", "A", 401), ("A", "B", 401)):
            body = event(key=f"{name}{secret}")
            signature = digest(f"secret of {secret}", body).decode()
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
                client.request("POST", hook_path(site.world.hub, name), body, {"X-Signature": signature})
                assert client.getresponse().status == status, (name, secret)
    finally:
        server.stop()


def test_a_body_that_drips_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.web.bodies.BODY_S", 0.3)
    with closing(socket.create_connection(("127.0.0.1", site.port), timeout=10)) as client:
        client.sendall(f"POST {site.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
        for _ in range(5):
            client.sendall(b"x")
            time.sleep(0.1)
        assert client.recv(100).startswith(b"HTTP/1.1 408")
    assert site.signed(event())[0] == 200, "and nobody else had to wait"


def test_headers_change_neither_method_nor_address_of_a_message(site: Site) -> None:
    seen = guard(site, "A", lambda *_: None)
    said = {
        "Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher",
        "X-Original-URL": "/x",
        "X-HTTP-Method-Override": "DELETE", "X-Forwarded-For": "127.0.0.1", "Forwarded": "host=evil.example",
    }  # fmt: skip
    assert site.call("POST", site.path, b"[]", said)[0] == 200
    ((method, url),) = [(request.method, request.url) for request in seen]
    assert (method, url) == ("POST", site.path), "the configured address, whatever the call says of itself"
    assert site.call("GET", site.path, b"", {"X-HTTP-Method-Override": "POST"})[0] == 404
    assert site.call("PUT", site.path, b"[]")[0] == 404
    assert len(seen) == 1


@pytest.mark.parametrize("bug", [TypeError("comparing strings"), KeyError("x"), RecursionError(), MemoryError()])
def test_a_check_that_breaks_lets_nothing_in(site: Site, bug: Exception) -> None:
    """What checks has a bug: the message is not taken, and its sender is asked to send it again."""

    def breaks(*_: Any) -> None:
        raise bug

    guard(site, "A", breaks)
    status, body = site.signed(event())
    assert status >= 500
    assert b"Traceback" not in body
    assert type(bug).__name__.encode() not in body
    assert (hints(site), site.poked) == ([], [])
    with site.world.store.reading() as tx:
        assert tx.deliveries("A", ["e1"]) == {}


def test_the_query_of_an_address_is_part_of_what_is_signed(site: Site) -> None:
    event = b'[{"key": "e9", "stream": "%s", "external_id": "A1"}]' % STREAM.encode()
    assert site.signed(event, path=f"{site.path}?reward=1")[0] == 200
    signature = hmac.new(KEY, site.path.encode() + event, hashlib.sha256).hexdigest()
    assert site.call("POST", f"{site.path}?reward=1", event, {"X-Signature": signature})[0] == 401


def test_a_vendor_that_asks_whether_the_address_is_ours_is_answered_and_nobody_else(site: Site) -> None:
    assert site.call("GET", f"{site.path}?word=ours&number=7") == (404, b"not found\n"), "this system does not ask"

    def greet(settings: Settings, query: Any) -> str:
        if query.get("word") != "ours":
            raise SignatureError("the word is wrong", where="A")
        return str(query["number"])

    site.world.change("A", connector=replace(site.world.hub.connections["A"].connector, greet=greet))
    assert site.call("GET", f"{site.path}?word=ours&number=7") == (200, b"7")
    wrong = f"/hooks/A/{'x' * 43}"
    assert {site.call("GET", f"{path}?{query}") for path, query in (
        (site.path, "word=other&number=7"), (site.path, ""), (wrong, "word=ours&number=7"),
    )} == {(404, b"not found\n")}  # fmt: skip
