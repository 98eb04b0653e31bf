"""A trigger's webhook over real HTTP: signed for independent eyes, sent again under its id, kept from private hosts.

The receiver is a server of its own and checks signatures by hand, as its owner would, by what Standard Webhooks says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hub.core.triggers import TRIES
from hub.runtime.outgoing import Outgoing
from tests.reward_world import DAY
from tests.trigger_world import TriggerWorld, rule

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()
DIES = -1  # instead of a status: the connection is cut before an answer


class Receiver(ThreadingHTTPServer):
    """Keeps what arrives; answers what `answers` says, then 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.elsewhere = ""  # where a redirect leads

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hooks"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        if status == DIES:
            self.connection.close()
            return
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", self.server.elsewhere)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """Whoever follows a redirect comes this way."""
        self.server.calls.append(({}, b""))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


Make = Callable[..., TriggerWorld]


@pytest.fixture
def make(migrated_url: str) -> Iterator[Make]:
    made: list[TriggerWorld] = []

    def one(url: str, *, local: str = "true", secret: Callable[[str], str] = lambda name: SECRET) -> TriggerWorld:
        do = f'webhook: {{url: "{url}", secret: "secret:hooks", local: {local}}}'
        world = TriggerWorld(migrated_url, triggers=rule("paid", "on: order.paid, who: contact", do))
        world.hub.post = Outgoing(secret).post
        world.customer("ann")
        world.order("o1", "ann", "10")
        made.append(world)
        return world

    yield one
    for world in made:
        world.store.close()


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """As a receiver checks it: HMAC-SHA256 of `id.timestamp.body`, base64, one of the versions in the header."""
    key = base64.b64decode(secret.split("_", 1)[1])
    told = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode()
    offered = [each.split(",", 1) for each in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(sign, wanted) for version, sign in offered)


def test_what_arrives_is_signed_and_says_who_and_why(make: Make, receiver: Receiver) -> None:
    world = make(receiver.url)
    assert world.work() == {"done": 1}
    ((headers, body),) = receiver.calls
    assert is_signed(headers, body, SECRET)
    assert not is_signed(headers, body + b" ", SECRET)
    assert not is_signed({**headers, "webhook-id": "other"}, body, SECRET)
    assert abs(int(headers["webhook-timestamp"]) - world.clock.now()) <= 1
    told = json.loads(body)
    assert (told["type"], told["data"]["rule"], told["data"]["values"]["email"]) == (
        "trigger.paid", "paid", "ann@example.com",
    )  # fmt: skip


def test_after_a_500_and_after_a_lost_answer_it_comes_again_under_the_same_id(make: Make, receiver: Receiver) -> None:
    world = make(receiver.url)
    receiver.answers = [500, DIES]
    for expected in ({"waiting": 1}, {"waiting": 1}, {"done": 1}):
        assert world.work() == expected
        assert world.work() == {}  # not before its time
        world.clock.advance(600)
    assert len({headers["webhook-id"] for headers, _ in receiver.calls}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.calls}) == 3
    assert all(is_signed(headers, body, SECRET) for headers, body in receiver.calls)
    assert world.firings()[0].attempts == 3


def test_whoever_wants_no_more_of_it_is_left_alone_and_whoever_never_answers_not_for_ever(
    make: Make, receiver: Receiver
) -> None:
    world = make(receiver.url)
    receiver.answers = [410]
    assert world.work() == {"failed": 1}
    world.order("o2", "ann", "10")
    receiver.answers = [503] * 20
    for _ in range(TRIES + 2):
        world.work()
        world.clock.advance(DAY)
    assert world.states() == ["failed", "failed"]
    assert len(receiver.calls) == 1 + TRIES


def test_a_redirect_is_not_followed(make: Make, receiver: Receiver) -> None:
    world = make(receiver.url)
    receiver.elsewhere = f"{receiver.url}/elsewhere"
    receiver.answers = [302, 307, 308]
    for _ in range(3):
        assert world.work() == {"waiting": 1}
        world.clock.advance(1000)
    assert len(receiver.calls) == 3
    assert "302" not in world.firings()[0].reason
    assert "308" in world.firings()[0].reason


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:10.0.0.1]"]
)
def test_an_address_that_is_not_marked_local_leads_to_no_private_host(
    make: Make, receiver: Receiver, host: str
) -> None:
    world = make(f"https://{host}:{receiver.server_address[1]}/hooks", local="false")
    world.work()
    assert receiver.calls == []
    assert world.states() != ["done"]
    assert "TRG-WEBHOOK" in world.firings()[0].reason or "NET-" in world.firings()[0].reason


def test_a_secret_is_changed_while_something_waits(make: Make, receiver: Receiver) -> None:
    """The signature is made when it leaves: what is sent again is signed by the secret of that day."""
    secrets = [SECRET]
    world = make(receiver.url, secret=lambda name: secrets[-1])
    receiver.answers = [500]
    world.work()
    secrets.append("whsec_" + base64.b64encode(b"another secret of thirty-two....").decode())
    world.clock.advance(600)
    assert world.work() == {"done": 1}
    (first, one), (second, other) = receiver.calls
    assert (is_signed(first, one, secrets[0]), is_signed(second, other, secrets[0])) == (True, False)
    assert is_signed(second, other, secrets[1])
    assert first["webhook-id"] == second["webhook-id"]
