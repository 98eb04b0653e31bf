"""The door: repeats, waits, unknown outcomes, bounds, counts. Fault matrix 1-25 (reliability.md)."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import responses

from hub.connector import Auth, HttpResponse, RateLimit, Settings
from hub.errors import (
    ConfigFault,
    NeedsReview,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    QuotaUsedUp,
    RecordRejected,
    RetryLater,
    SignInExpired,
)
from hub.kit.statuses import Kind
from hub.runtime.calls import Bounds, RetryBudget
from hub.runtime.clock import SystemClock, VirtualClock
from hub.runtime.http import HttpDoor, open_door
from tests.runtime.stub_vendor import CUT, DRIP, SILENT, Answer, connector, door_to, vendor

OK: Answer = (200, {}, b'{"ok": true}')
DATE = "Mon, 02 Nov 2026 08:00:00 GMT"


def read(door: HttpDoor) -> HttpResponse:
    return door.request("GET", "/things", operation="list")


def write(door: HttpDoor) -> HttpResponse:
    return door.request("POST", "/things", operation="create", json={"a": 1}, writes=True)


# repeats and waits


def test_a_429_in_seconds_is_waited_for_and_the_read_goes_through() -> None:
    clock = VirtualClock()
    with vendor((429, {"Retry-After": "7"}, b""), OK) as server:
        assert read(door_to(server.base_url, clock=clock)).json() == {"ok": True}
    assert 7.0 <= sum(clock.slept) <= 8.0
    assert len(server.seen) == 2


def test_a_429_as_a_date_counts_from_the_answers_own_date_not_from_our_clock() -> None:
    clock = VirtualClock(start=0.0)  # decades away from the vendor's
    throttled = (429, {"Date": DATE, "Retry-After": "Mon, 02 Nov 2026 08:00:09 GMT"}, b"")
    with vendor(throttled, OK) as server:
        read(door_to(server.base_url, clock=clock))
    assert 9.0 <= sum(clock.slept) <= 10.0


def test_a_date_in_the_past_is_no_wait_and_no_negative_one() -> None:
    clock = VirtualClock()
    with vendor((429, {"Date": DATE, "Retry-After": "Mon, 02 Nov 2026 07:00:00 GMT"}, b""), OK) as server:
        read(door_to(server.base_url, clock=clock))
    assert sum(clock.slept) == 0.0


def test_nobody_calls_before_the_pause_is_over() -> None:
    clock = VirtualClock()
    with vendor((429, {"Retry-After": "3"}, b""), OK, OK) as server:
        door = door_to(server.base_url, clock=clock)
        with pytest.raises(RetryLater) as caught:
            write(door)
        assert caught.value.after_s == 3.0
        start = clock.now()
        read(door)  # another worker
        assert clock.now() - start >= 3.0


def test_a_pause_longer_than_patience_is_handed_to_the_caller_with_its_length() -> None:
    clock = VirtualClock()
    with vendor((429, {"Retry-After": "4000"}, b"")) as server:
        door = door_to(server.base_url, clock=clock)
        for _ in range(2):
            with pytest.raises(RetryLater) as caught:
                read(door)
            assert caught.value.after_s == 4000.0
    assert len(server.seen) == 1
    assert clock.slept == []


def test_a_429_without_a_wait_backs_off_with_jitter_and_slows_the_connection_down() -> None:
    clock = VirtualClock()
    of = connector(limits=(RateLimit(name="burst", calls=10, per_s=1),))
    with vendor((429, {}, b""), (429, {}, b""), OK) as server:
        door = door_to(server.base_url, clock=clock, of=of)
        read(door)
        waited = sum(clock.slept)
        assert 0.0 < waited <= 0.5 + 1.0 + 1.0  # full jitter under 0.5 and 1 s, and the slower pace
        start = clock.now()
        for _ in range(5):
            read(door)
        assert clock.now() - start > 5 * 0.1  # slower than ten a second


def test_a_read_is_repeated_after_5xx_a_cut_and_silence() -> None:
    with vendor((503, {}, b""), CUT, SILENT, OK) as server:
        door = door_to(server.base_url)
        assert read(door).json() == {"ok": True}
    count = door.counts.by_operation["list"]
    assert (count.calls, count.reads, count.writes, count.repeats, count.failed) == (4, 4, 0, 3, 3)


def test_a_read_gives_up_after_its_tries() -> None:
    with vendor(last=(500, {}, b"")) as server, pytest.raises(RetryLater) as caught:
        read(door_to(server.base_url))
    assert caught.value.code == "NET-TROUBLE"
    assert len(server.seen) == 4


def test_a_run_has_one_retry_budget_for_all_its_reads() -> None:
    with vendor(last=(500, {}, b"")) as server:
        door = door_to(server.base_url)
        for _ in range(30):
            with pytest.raises(RetryLater):
                read(door)
        assert len(server.seen) < 30 + 20 + 0.2 * 60  # 20 repeats and a tenth of the calls, not three for each
        door.new_run()
        before = len(server.seen)
        with pytest.raises(RetryLater):
            read(door)
        assert len(server.seen) == before + 4


def test_the_retry_budget_counts_its_share() -> None:
    budget = RetryBudget(least=1, share=0.5)
    for _ in range(4):
        budget.called()
    assert [budget.may_repeat() for _ in range(4)] == [True, True, True, False]


# writes


@pytest.mark.parametrize("what", [(500, {}, b""), (503, {"Retry-After": "1"}, b""), CUT, SILENT])
def test_a_write_without_a_clear_answer_is_unknown_and_never_repeated(what: object) -> None:
    with vendor(what) as server:
        door = door_to(server.base_url)
        with pytest.raises(OutcomeUnknown):
            write(door)
    assert len(server.seen) == 1
    assert door.counts.total("writes") == 1


def test_a_throttled_write_certainly_did_not_happen_and_is_the_callers_to_repeat() -> None:
    with vendor((429, {"Retry-After": "2"}, b"")) as server, pytest.raises(RetryLater) as caught:
        write(door_to(server.base_url))
    assert caught.value.after_s == 2.0
    assert len(server.seen) == 1


def test_a_refused_connection_is_certainly_not_done_and_opens_the_circuit() -> None:
    with vendor() as server:
        gone = server.base_url
    clock = VirtualClock()
    door = door_to(gone, clock=clock)
    for _ in range(5):
        with pytest.raises(RetryLater) as caught:
            write(door)
        assert caught.value.code == "NET-CONNECT"
    with pytest.raises(RetryLater) as caught:
        write(door)
    assert caught.value.code == "NET-CIRCUIT"
    assert door.counts.total() == 5
    clock.advance(31)
    with pytest.raises(RetryLater) as caught:
        write(door)
    assert caught.value.code == "NET-CONNECT"


def test_an_unknown_host_is_certainly_not_done() -> None:
    door = door_to("https://api.vendor.example", local=False)  # .example never resolves (RFC 6761)
    with pytest.raises(RetryLater) as caught:
        write(door)
    assert caught.value.code == "NET-CONNECT"


@responses.activate
def test_a_bad_certificate_is_certainly_not_done() -> None:
    import requests

    responses.post("https://api.vendor.example/things", body=requests.exceptions.SSLError("certificate verify failed"))
    with pytest.raises(RetryLater) as caught:
        write(door_to("https://api.vendor.example", local=False))
    assert caught.value.code == "NET-TLS"


# what answers mean


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, RecordRejected, "REC-REJECTED"),
        (403, NeedsReview, "NET-FORBIDDEN"),
        (404, NotFound, "NET-404"),
        (409, RecordRejected, "REC-CONFLICT"),
        (410, NotFound, "NET-404"),
        (412, PreconditionFailed, "REC-MOVED"),
        (418, NeedsReview, "NET-STRANGE"),
        (302, NeedsReview, "NET-REDIRECT"),
        (401, SignInExpired, "AUTH-EXPIRED"),
    ],
)
@responses.activate
def test_each_status_is_one_kind_of_error(status: int, error: type[Exception], code: str) -> None:
    responses.get("https://api.vendor.example/things", status=status, headers={"Location": "https://evil.example/"})
    with pytest.raises(error) as caught:
        read(door_to("https://api.vendor.example", local=False))
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert {call.request.url for call in responses.calls} == {"https://api.vendor.example/things"}


@responses.activate
def test_an_expected_status_is_handed_to_the_connector() -> None:
    responses.get("https://api.vendor.example/things", status=404, json={"why": "gone"})
    answer = door_to("https://api.vendor.example", local=False).request("GET", "/things", operation="x", expect=(404,))
    assert answer.json() == {"why": "gone"}


@responses.activate
def test_the_connectors_word_about_a_body_comes_before_the_status() -> None:
    clock = VirtualClock()
    url = "https://api.vendor.example/things"
    responses.get(url, json={"throttled": 4})
    responses.get(url, json={"ok": True})
    of = connector(
        classify=lambda answer: Kind.THROTTLED if b"throttled" in answer.body else None,
        wait_s=lambda answer: 4.0 if b"throttled" in answer.body else None,
    )
    assert read(door_to("https://api.vendor.example", local=False, clock=clock, of=of)).json() == {"ok": True}
    assert 4.0 <= sum(clock.slept) <= 5.0


@responses.activate
def test_a_used_up_quota_is_a_planned_pause_without_repeats() -> None:
    responses.get("https://api.vendor.example/things", status=403, json={})
    of = connector(statuses={403: Kind.QUOTA})
    with pytest.raises(QuotaUsedUp):
        read(door_to("https://api.vendor.example", local=False, of=of))
    assert len(responses.calls) == 1


@responses.activate
def test_html_in_place_of_json_is_a_transport_error_not_no_records() -> None:
    responses.get("https://api.vendor.example/things", body="<html>Maintenance</html>")
    with pytest.raises(RetryLater) as caught:
        read(door_to("https://api.vendor.example", local=False)).json()
    assert caught.value.code == "NET-NOT-JSON"


# bounds


def test_a_body_beyond_the_limit_is_given_up() -> None:
    with vendor(last=(200, {}, b"x" * 200_000)) as server, pytest.raises(RetryLater) as caught:
        read(door_to(server.base_url, bounds=Bounds(body_bytes=100_000, tries=1)))
    assert caught.value.code == "NET-TOO-BIG"


def test_a_compressed_bomb_counts_by_what_it_unpacks_to() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < 60_000
    with vendor(last=(200, {"Content-Encoding": "gzip"}, bomb)) as server, pytest.raises(RetryLater) as caught:
        read(door_to(server.base_url, bounds=Bounds(body_bytes=1_000_000, tries=1)))
    assert caught.value.code == "NET-TOO-BIG"


def test_a_compressed_answer_arrives_unpacked() -> None:
    body = gzip.compress(b'{"ok": true}')
    with vendor((200, {"Content-Encoding": "gzip"}, body)) as server:
        assert read(door_to(server.base_url)).json() == {"ok": True}


def test_a_body_that_drips_is_given_up_although_bytes_keep_coming() -> None:
    bounds = Bounds(read_s=0.5, total_s=0.3, tries=1)
    with vendor(DRIP) as server, pytest.raises(RetryLater) as caught:
        read(door_to(server.base_url, clock=SystemClock(), bounds=bounds))
    assert caught.value.code == "NET-TOO-BIG"


def test_an_answer_that_never_comes_ends_at_the_time_out() -> None:
    done = threading.Event()

    def slow() -> tuple[int, dict[str, str], bytes]:
        done.wait(1.0)
        return OK

    with vendor(slow) as server:
        with pytest.raises(OutcomeUnknown):
            write(door_to(server.base_url, bounds=Bounds(read_s=0.1)))
        done.set()


# sign-in


@responses.activate
def test_a_401_is_answered_by_one_refresh_and_one_repeat_with_the_same_headers() -> None:
    url = "https://api.vendor.example"
    responses.post(f"{url}/token", json={"access_token": "t1"})
    responses.patch(f"{url}/things/1", status=401)
    responses.post(f"{url}/token", json={"access_token": "t2"})
    responses.patch(f"{url}/things/1", status=204)
    auth = Auth(kind="client_credentials", token_url="/token")
    door = door_to(url, local=False, auth=auth, credentials={"client_id": "c", "client_secret": "s"})
    guard = {"If-Unmodified-Since": DATE}
    door.request("PATCH", "/things/1", operation="update", headers=guard, json={}, writes=True)
    sent = [call.request.headers for call in responses.calls if call.request.method == "PATCH"]
    assert [(each["Authorization"], each["If-Unmodified-Since"]) for each in sent] == [
        ("Bearer t1", DATE),
        ("Bearer t2", DATE),
    ]
    assert door.counts.by_operation["update"].repeats == 1
    assert door.counts.by_operation["token"].calls == 2


@responses.activate
def test_a_token_refused_twice_ends_the_connection_not_in_a_loop() -> None:
    url = "https://api.vendor.example"
    responses.post(f"{url}/token", json={"access_token": "t1"})
    responses.get(f"{url}/things", status=401)
    auth = Auth(kind="client_credentials", token_url="/token")
    with pytest.raises(SignInExpired):
        read(door_to(url, local=False, auth=auth, credentials={"client_id": "c", "client_secret": "s"}))
    assert len(responses.calls) == 4


# counts, budgets, fronts


def test_every_call_is_counted_once_with_its_label() -> None:
    with vendor(last=OK) as server:
        door = door_to(server.base_url)
        read(door)
        write(door)
        door.session().get(server.base_url + "/x")
        door.pool().request("POST", server.base_url + "/y", body="{}")
        with door.count("sdk", writes=True):
            pass
    counted = {name: (each.calls, each.reads, each.writes) for name, each in door.counts.snapshot().items()}
    assert counted == {"list": (1, 1, 0), "create": (1, 0, 1), "get": (1, 1, 0), "post": (1, 0, 1), "sdk": (1, 0, 1)}
    assert door.counts.total() == len(server.seen) + 1


def test_parallel_calls_are_all_counted() -> None:
    with vendor(last=OK) as server:
        door = door_to(server.base_url)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: read(door), range(40)))
    assert door.counts.total() == 40


def test_several_budgets_hold_at_once_and_only_for_their_labels() -> None:
    clock = VirtualClock()
    limits = (
        RateLimit(name="burst", calls=10, per_s=1),
        RateLimit(name="search", calls=2, per_s=1, operations=("search",)),
    )
    with vendor(last=OK) as server:
        door = door_to(server.base_url, clock=clock, of=connector(limits=limits))
        for _ in range(10):
            read(door)
        assert clock.slept == []
        start = clock.now()
        for _ in range(4):
            door.request("POST", "/s", operation="search", json={})
        assert clock.now() - start >= 1.0


def test_an_error_shows_neither_token_nor_mail_address_nor_body() -> None:
    body = b'{"error": "tok-secret-1 is unknown to ann@example.org"}'
    with vendor((400, {}, body)) as server, pytest.raises(RecordRejected) as caught:
        door_to(server.base_url).request("GET", "/people/ann@example.org/tok-secret-1", operation="read")
    assert str(caught.value) == "stub/read: REC-REJECTED: GET /people/…/… answered 400"


def test_a_door_opens_as_hub_yaml_says() -> None:
    of = connector(base_url="https://{shop}.shops.vendor.example", limits=(RateLimit(name="burst", calls=1, per_s=1),))
    settings = Settings(values={"shop": "acme", "limits": {"burst": 50}}, auth={"kind": "token", "token": "t"})
    door = open_door(of, settings, account="shop")
    assert door.base_url == "https://acme.shops.vendor.example"


@pytest.mark.parametrize(
    ("values", "auth", "code"),
    [
        ({}, {"kind": "token"}, "CFG-BASE-URL"),
        ({"shop": "acme.evil.example/"}, {"kind": "token"}, "CFG-BASE-URL"),
        ({"shop": "acme"}, {"kind": "basic"}, "CFG-AUTH"),
    ],
)
def test_a_door_that_cannot_open_says_what_to_set(values: dict, auth: dict, code: str) -> None:
    of = connector(base_url="https://{shop}.shops.vendor.example")
    with pytest.raises(ConfigFault) as caught:
        open_door(of, Settings(values=values, auth=auth), account="shop")
    assert caught.value.code == code
    assert caught.value.faults[0].fix
