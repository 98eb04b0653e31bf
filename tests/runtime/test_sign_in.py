"""Tokens: one refresh for many workers, rotated pairs saved before they are used, no storm after a refusal."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import orjson
import pytest

from hub.connector import Auth, HttpResponse
from hub.errors import RetryLater, SignInExpired
from hub.runtime.clock import VirtualClock
from hub.runtime.sign_in import SignIn, TokenShelf

ROTATING = Auth(kind="refresh_token", token_url="/token", rotates=True)
APP = {"client_id": "app", "client_secret": "app-secret", "refresh_token": "r0"}


class TokenEndpoint:
    """A vendor that kills a refresh token with its first use, and the whole grant when an old one is used again."""

    def __init__(self, **answer: object) -> None:
        self.current, self.number, self.asked = "r0", 0, 0
        self.answer = answer
        self.lock = threading.Lock()

    def __call__(self, path: str, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        with self.lock:
            self.asked += 1
            if f"refresh_token={self.current}" not in body.decode():
                self.current = "revoked"
                return HttpResponse(status=400, headers={}, body=b'{"error":"invalid_grant"}', at=0.0)
            self.number += 1
            self.current = f"r{self.number}"
            pair = {"access_token": f"a{self.number}", "refresh_token": self.current, **self.answer}
            return HttpResponse(status=200, headers={}, body=orjson.dumps(pair), at=0.0)


def answering(status: int, body: bytes = b"{}") -> TokenEndpoint:
    class Fixed(TokenEndpoint):
        def __call__(self, path: str, headers: Mapping[str, str], body_sent: bytes) -> HttpResponse:
            self.asked += 1
            return HttpResponse(status=status, headers={}, body=body, at=0.0)

    return Fixed()


def test_many_workers_with_one_dead_token_refresh_once() -> None:
    vendor = TokenEndpoint()
    sign_in = SignIn(ROTATING, APP, clock=VirtualClock(), ask=vendor)
    dead = sign_in.token()
    start = threading.Barrier(8)

    def worker(_: int) -> str:
        start.wait()
        assert sign_in.renew(dead)
        return sign_in.token()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(worker, range(8))) == {"a2"}
    assert vendor.asked == 2


def test_a_rotated_pair_is_saved_before_it_is_used() -> None:
    saved: list[Mapping[str, str]] = []
    sign_in = SignIn(ROTATING, APP, clock=VirtualClock(), ask=TokenEndpoint(), shelf=TokenShelf(save=saved.append))
    assert sign_in.token() == "a1"
    assert saved == [{"access_token": "a1", "refresh_token": "r1"}]
    sign_in.renew("a1")
    assert saved[-1] == {"access_token": "a2", "refresh_token": "r2"}


def test_a_pair_that_cannot_be_saved_is_not_used() -> None:
    def broken(_: Mapping[str, str]) -> None:
        raise RetryLater("the store is busy")

    sign_in = SignIn(ROTATING, APP, clock=VirtualClock(), ask=TokenEndpoint(), shelf=TokenShelf(save=broken))
    with pytest.raises(RetryLater):
        sign_in.token()
    assert sign_in._token == ""


def test_a_restart_goes_on_with_the_saved_pair_not_with_the_configured_one() -> None:
    vendor = TokenEndpoint()
    kept: dict[str, str] = {}
    shelf = TokenShelf(save=kept.update, load=lambda: dict(kept))
    SignIn(ROTATING, APP, clock=VirtualClock(), ask=vendor, shelf=shelf).token()
    again = SignIn(ROTATING, APP, clock=VirtualClock(), ask=vendor, shelf=shelf)
    assert again.token() == "a1"
    again.renew("a1")
    assert again.token() == "a2"
    assert vendor.current == "r2"


def test_two_machines_share_one_refresh_through_the_shelf() -> None:
    vendor, lock = TokenEndpoint(), threading.Lock()
    kept: dict[str, str] = {}

    @contextmanager
    def exclusive() -> Iterator[None]:
        with lock:
            yield

    shelf = TokenShelf(save=kept.update, load=lambda: dict(kept), exclusive=exclusive)
    machines = [SignIn(ROTATING, APP, clock=VirtualClock(), ask=vendor, shelf=shelf) for _ in range(2)]
    machines[0].token()
    dead = [machine.token() for machine in machines]
    assert dead == ["a1", "a1"]
    for machine in machines:
        machine.renew("a1")
    assert [machine.token() for machine in machines] == ["a2", "a2"]
    assert vendor.asked == 2


def test_invalid_grant_ends_the_connection_and_is_asked_only_once() -> None:
    vendor = answering(400, b'{"error":"invalid_grant"}')
    sign_in = SignIn(ROTATING, APP, clock=VirtualClock(), ask=vendor)
    for _ in range(5):
        with pytest.raises(SignInExpired):
            sign_in.token()
    assert vendor.asked == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_token_endpoint_in_trouble_is_no_reason_to_sign_in_again(status: int) -> None:
    with pytest.raises(RetryLater):
        SignIn(ROTATING, APP, clock=VirtualClock(), ask=answering(status)).token()


def test_an_answer_without_a_token_is_not_taken_for_one() -> None:
    with pytest.raises(RetryLater):
        SignIn(ROTATING, APP, clock=VirtualClock(), ask=answering(200, b'{"access_token": ""}')).token()


def test_a_token_is_renewed_before_it_runs_out() -> None:
    clock = VirtualClock()
    sign_in = SignIn(ROTATING, APP, clock=clock, ask=TokenEndpoint(expires_in="1800"))
    assert sign_in.token() == "a1"
    clock.advance(1700)
    assert sign_in.token() == "a1"
    clock.advance(50)
    assert sign_in.token() == "a2"


def test_what_the_answer_says_beside_the_tokens_is_kept() -> None:
    sign_in = SignIn(ROTATING, APP, clock=VirtualClock(), ask=TokenEndpoint(id="https://login.example/id/00D/005"))
    sign_in.token()
    assert sign_in.notes == {"id": "https://login.example/id/00D/005"}


@pytest.mark.parametrize(
    ("auth", "credentials", "headers"),
    [
        (Auth(kind="token"), {"token": "t"}, {"Authorization": "Bearer t"}),
        (Auth(kind="token", header="X-Shop-Token", scheme=""), {"token": "t"}, {"X-Shop-Token": "t"}),
        (Auth(kind="basic"), {"username": "u", "password": "p"}, {"Authorization": "Basic dTpw"}),
        (Auth(kind="none"), {}, {}),
    ],
)
def test_each_kind_signs_in_its_way(auth: Auth, credentials: dict[str, str], headers: dict[str, str]) -> None:
    assert SignIn(auth, credentials, clock=VirtualClock(), ask=answering(500)).headers()[0] == headers


def test_secrets_are_known_so_that_they_can_be_kept_out_of_messages() -> None:
    sign_in = SignIn(ROTATING, APP, clock=VirtualClock(), ask=TokenEndpoint())
    sign_in.token()
    assert set(sign_in.secrets()) == {"app-secret", "r1", "a1"}


class Recorder:
    """A token endpoint that keeps what it was sent."""

    def __init__(self, body: bytes = b'{"access_token": "a1"}') -> None:
        self.body, self.asked = body, list[tuple[str, Mapping[str, str], bytes]]()

    def __call__(self, path: str, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        self.asked.append((path, headers, body))
        return HttpResponse(status=200, headers={}, body=self.body, at=0.0)


def test_the_apps_id_and_secret_stand_in_the_header_where_the_vendor_wants_them_there() -> None:
    endpoint = Recorder()
    auth = Auth(kind="refresh_token", token_url="/token", token_client="basic")
    SignIn(auth, APP, clock=VirtualClock(), ask=endpoint).token()
    ((_, headers, body),) = endpoint.asked
    assert headers["Authorization"] == "Basic YXBwOmFwcC1zZWNyZXQ="
    assert body == b"grant_type=refresh_token&refresh_token=r0"


@pytest.mark.parametrize(
    ("body", "raised"),
    [(b'{"error": "invalid_code"}', SignInExpired), (b'{"error": "Access Denied"}', RetryLater), (b"{}", RetryLater)],
)
def test_a_refusal_with_200_is_a_refusal_and_a_limit_is_not(body: bytes, raised: type[Exception]) -> None:
    sign_in = SignIn(ROTATING, APP, clock=VirtualClock(), ask=Recorder(body))
    with pytest.raises(raised):
        sign_in.token()


@pytest.mark.parametrize(("scheme", "header"), [("Bearer", "Bearer t"), ("Token token=", "Token token=t"), ("", "t")])
def test_a_scheme_that_ends_in_an_equals_sign_has_no_blank_before_the_token(scheme: str, header: str) -> None:
    sign_in = SignIn(Auth(kind="token", scheme=scheme), {"token": "t"}, clock=VirtualClock(), ask=Recorder())
    assert sign_in.headers() == ({"Authorization": header}, "t")
