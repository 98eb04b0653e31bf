"""The kit by itself: a vendor of three lines, served over HTTP and driven through the control endpoint."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from hub.twins.client import TwinClient, TwinRefused
from hub.twins.kit import (
    Bucket,
    Change,
    HookEvent,
    Record,
    Records,
    Request,
    Response,
    Rollback,
    Twin,
    VirtualClock,
    Window,
)
from hub.twins.server import RunningTwin, serve


class TwinNotes(Twin):
    """GET /notes lists what a reader may see; POST /notes adds one."""

    name = "notes"
    streams = ("notes",)

    def route(self, request: Request) -> Response:
        if request.method == "POST":
            return Response.json({"id": self.records.create("notes", request.json()).id}, 201, rows=1)
        seen = [self.see(record) for record in self.records.all("notes")]
        return Response.json([record.fields for record in seen if record and not record.deleted])

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        payload = {"id": record.id, "kind": change.kind}
        return [HookEvent(topic=f"note.{change.kind}", payload=payload, at=change.at, record_id=record.id)]


AUTH = {"Authorization": "Bearer twin-token"}


@pytest.fixture
def running() -> Iterator[RunningTwin]:
    with serve(TwinNotes(clock=VirtualClock(1000.0), auto_hooks=False)) as served:
        yield served


@pytest.fixture
def control(running: RunningTwin) -> Iterator[TwinClient]:
    client = TwinClient(running.base_url)
    yield client
    client.close()


def test_a_call_needs_the_token(running: RunningTwin) -> None:
    assert requests.get(f"{running.base_url}/notes", timeout=5).status_code == 401
    assert requests.get(f"{running.base_url}/notes", headers=AUTH, timeout=5).json() == []


def test_one_connection_serves_many_calls(running: RunningTwin) -> None:
    with requests.Session() as session:
        session.headers.update(AUTH)
        for text in ("a", "b", "ü"):
            assert session.post(f"{running.base_url}/notes", json={"text": text}, timeout=5).status_code == 201
        assert session.get(f"{running.base_url}/notes", timeout=5).json() == [
            {"text": "a"},
            {"text": "b"},
            {"text": "ü"},
        ]
    assert running.twin.counts() == {
        "calls": 4,
        "writes": 3,
        "early": 0,
        "faults": 0,
        "by_operation": {"POST /notes": 3, "GET /notes": 1},
        "by_status": {"201": 3, "200": 1},
    }


def test_a_chunked_body_is_read(running: RunningTwin) -> None:
    parts = iter([b'{"text":', b' "in parts"}'])
    assert requests.post(f"{running.base_url}/notes", data=parts, headers=AUTH, timeout=5).status_code == 201
    assert running.twin.snapshot("notes")["1"]["fields"] == {"text": "in parts"}


def test_the_answers_date_is_the_twins_clock(running: RunningTwin) -> None:
    answer = requests.get(f"{running.base_url}/notes", headers=AUTH, timeout=5)
    assert answer.headers["Date"] == "Thu, 01 Jan 1970 00:16:40 GMT"


def test_people_act_through_the_control_endpoint(running: RunningTwin, control: TwinClient) -> None:
    assert control.load("notes", [{"id": "7", "created": 10.0, "modified": 20.0, "fields": {"text": "old"}}]) == 1
    new = control.user_create("notes", {"text": "new", "tag": "x"})
    control.advance(5)
    control.user_edit("notes", "7", {"text": "edited"})
    assert control.user_merge("notes", "7", new) == "7"
    kept = control.snapshot("notes")
    assert kept["7"]["fields"] == {"text": "edited", "tag": "x"}
    assert kept["7"]["modified"] == 1005.0
    assert (kept[new]["deleted"], kept[new]["merged_into"]) == (True, "7")
    assert control.counts()["calls"] == 0
    control.reset()
    assert control.snapshot("notes") == {}


def test_a_refused_control_action_says_why(control: TwinClient) -> None:
    with pytest.raises(TwinRefused, match="unknown faults: thunder"):
        control.set_faults(thunder=1)
    with pytest.raises(TwinRefused, match="RecordNotFound"):
        control.user_edit("notes", "404", {})


def test_the_control_endpoint_answers_loopback_names_only(running: RunningTwin) -> None:
    answer = requests.post(f"{running.base_url}/_twin/counts", headers={"Host": "evil.example.org"}, timeout=5)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("fault", "took_effect"),
    [("error_before", False), ("error_after", True), ("timeout_before", False), ("timeout_after", True)],
)
def test_a_fault_before_or_after_decides_if_the_write_took_effect(
    running: RunningTwin, control: TwinClient, fault: str, took_effect: bool
) -> None:
    control.set_faults(script=[{"match": "POST /notes", "fault": fault}])
    if fault.startswith("timeout"):
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{running.base_url}/notes", json={"text": "x"}, headers=AUTH, timeout=5)
    else:
        answer = requests.post(f"{running.base_url}/notes", json={"text": "x"}, headers=AUTH, timeout=5)
        assert answer.status_code == 500
    assert len(control.snapshot("notes")) == (1 if took_effect else 0)
    assert requests.post(f"{running.base_url}/notes", json={}, headers=AUTH, timeout=5).status_code == 201


def test_a_late_write_lands_when_its_time_has_come(running: RunningTwin, control: TwinClient) -> None:
    control.set_faults(script=[{"match": "POST", "fault": "lands_late"}], late_apply_s=30.0)
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{running.base_url}/notes", json={"text": "x"}, headers=AUTH, timeout=5)
    assert requests.get(f"{running.base_url}/notes", headers=AUTH, timeout=5).json() == []
    control.advance(31)
    assert requests.get(f"{running.base_url}/notes", headers=AUTH, timeout=5).json() == [{"text": "x"}]


def test_a_call_before_retry_after_has_passed_counts_as_early(running: RunningTwin, control: TwinClient) -> None:
    control.set_faults(script=[{"fault": "throttle"}], throttle_retry_after=7)
    answer = requests.get(f"{running.base_url}/notes", headers=AUTH, timeout=5)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    requests.get(f"{running.base_url}/notes", headers=AUTH, timeout=5)
    control.advance(7)
    requests.get(f"{running.base_url}/notes", headers=AUTH, timeout=5)
    assert control.counts()["early"] == 1


def test_a_cut_body_breaks_the_answer(running: RunningTwin, control: TwinClient) -> None:
    control.user_create("notes", {"text": "x" * 100})
    control.set_faults(script=[{"fault": "cut"}])
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(f"{running.base_url}/notes", headers=AUTH, timeout=5)


def test_a_script_can_let_calls_pass_first(running: RunningTwin, control: TwinClient) -> None:
    control.set_faults(script=[{"match": "GET /notes", "fault": "error_before", "skip": 1, "times": 2}])
    statuses = [requests.get(f"{running.base_url}/notes", headers=AUTH, timeout=5).status_code for _ in range(4)]
    assert statuses == [200, 500, 500, 200]


# --- records -----------------------------------------------------------------------------------------------------


def test_ids_are_in_order_of_number() -> None:
    records = Records(VirtualClock(0.0))
    for record_id in ("10", "9", "100"):
        records.create("notes", {}, id=record_id)
    assert [record.id for record in records.all("notes")] == ["9", "10", "100"]
    assert [record.id for record in records.after("notes", "9")] == ["10", "100"]
    assert [record.id for record in records.before("notes", "100")] == ["10", "9"]
    assert records.create("notes", {}).id == "101"


def test_rows_come_by_time_of_change_then_id() -> None:
    clock = VirtualClock(100.0)
    records = Records(clock)
    for record_id in ("1", "2", "3"):
        records.create("notes", {"n": record_id}, id=record_id)
    clock.advance(1)
    records.update("notes", "2", {"n": "2b"})
    records.update("notes", "1", {"n": "1b"})
    assert [record.id for record in records.since("notes", 100.0)] == ["3", "1", "2"]
    assert [record.id for record in records.since("notes", 101.0)] == ["1", "2"]
    assert [record.id for record in records.since("notes", 0.0, 101.0)] == ["3"]


def test_an_index_follows_the_values() -> None:
    records = Records(VirtualClock(0.0))
    records.add_index("people", "email", lambda fields: [fields["email"].lower()] if fields.get("email") else [])
    ada = records.create("people", {"email": "Ada@example.org"})
    assert [r.id for r in records.lookup("people", "email", "ada@example.org")] == [ada.id]
    records.update("people", ada.id, {"email": "ada@example.net"})
    assert records.lookup("people", "email", "ada@example.org") == []
    records.delete("people", ada.id)
    assert records.lookup("people", "email", "ada@example.net") == []
    assert [r.id for r in records.lookup("people", "email", "ada@example.net", deleted=True)] == [ada.id]


class Slow:
    def late_visible(self) -> float:
        return 10.0

    def index_lag(self) -> float:
        return 20.0


def test_a_reader_sees_the_state_before_a_late_write() -> None:
    clock = VirtualClock(100.0)
    records = Records(clock, delays=Slow())
    note = records.create("notes", {"text": "old"}, by="load", created=50.0)
    assert records.seen(note, now=100.0) is note
    records.update("notes", note.id, {"text": "new", "tag": "x"})
    past = records.seen(note, now=109.0)
    assert past is not None
    assert (past.fields, past.modified, past.by) == ({"text": "old", "tag": None}, 50.0, "load")
    assert records.seen(note, now=110.0) is note
    in_index = records.seen(note, now=119.0, index=True)
    assert in_index is not None
    assert in_index.fields["text"] == "old"


def test_a_stale_replica_does_not_know_a_new_or_deleted_record_yet() -> None:
    clock = VirtualClock(100.0)
    records = Records(clock)
    note = records.create("notes", {"text": "x"})
    clock.advance(10)
    assert records.seen(note, now=110.0, lag_s=15.0) is None
    assert records.seen(note, now=110.0, lag_s=5.0) is note
    records.delete("notes", note.id)
    stale = records.seen(note, now=110.0, lag_s=5.0)
    assert stale is not None
    assert stale.deleted is False


def test_a_transaction_is_undone_as_a_whole_and_nobody_is_told() -> None:
    told: list[str] = []
    clock = VirtualClock(100.0)
    records = Records(clock, on_change=lambda record, change: told.append(f"{change.kind} {record.id}"))
    records.create("notes", {"text": "a"}, id="1", created=50.0)
    records.create("notes", {"text": "b"}, id="2", created=50.0)
    with records.transaction():
        records.update("notes", "1", {"text": "A"})
        records.delete("notes", "2")
        records.create("notes", {"text": "c"}, id="3")
        raise Rollback
    assert [(r.id, r.fields, r.modified, r.deleted) for r in records.all("notes")] == [
        ("1", {"text": "a"}, 50.0, False),
        ("2", {"text": "b"}, 50.0, False),
    ]
    assert [r.id for r in records.since("notes", 0.0)] == ["1", "2"]
    assert told == []
    with records.transaction():
        records.update("notes", "1", {"text": "A"})
        assert told == []
    assert told == ["update 1"]


def test_a_flow_of_the_vendor_follows_an_api_write_but_not_itself() -> None:
    twin = TwinNotes(auto_hooks=False)
    note = twin.user_create("notes", {"text": "x"})
    twin.user_action("automate", stream="notes", field="text", sets={"seen": True})
    twin.user_edit("notes", note, {"text": "y"})
    assert twin.snapshot("notes")[note]["fields"] == {"text": "y"}
    twin.records.update("notes", note, {"text": "z"}, by="api")
    assert twin.snapshot("notes")[note]["fields"] == {"text": "z", "seen": True}
    assert twin.snapshot("notes")[note]["by"] == "system"


# --- limits ------------------------------------------------------------------------------------------------------


def test_a_window_admits_so_many_calls_per_span() -> None:
    window = Window(2, 10.0)
    assert [window.take(0.0), window.take(4.0)] == [0.0, 0.0]
    assert window.take(5.0) == 5.0
    assert window.remaining(5.0) == 0
    assert window.take(10.0) == 0.0


def test_a_bucket_refills_with_time() -> None:
    bucket = Bucket(100, 50)
    assert bucket.take(1.0, 90) == 0.0
    assert bucket.take(1.0, 60) == 1.0
    assert bucket.take(2.0, 60) == 0.0
    assert bucket.available(2.0) == 0.0


# --- webhooks ----------------------------------------------------------------------------------------------------


def test_a_refused_webhook_is_sent_again(control: TwinClient, receiver: Any) -> None:
    receiver.answers = [(500, b""), (503, b"")]
    control.set_webhook(receiver.url, "secret")
    control.user_create("notes", {"text": "x"})
    attempts = control.drain_hooks()
    assert [(a["attempt"], a["status"], a["accepted"]) for a in attempts] == [
        (0, 500, False),
        (1, 503, False),
        (2, 200, True),
    ]
    assert receiver.bodies == [b'[{"id":"1","kind":"create"}]'] * 3


def test_an_unreachable_receiver_is_given_up(control: TwinClient) -> None:
    control.set_webhook("http://127.0.0.1:9/hooks", "secret")
    control.user_create("notes", {"text": "x"})
    assert [a["status"] for a in control.drain_hooks()] == [0, 0, 0, 0, 0]
    assert control.drain_hooks() == []


def test_only_the_topics_asked_for_are_sent(control: TwinClient, receiver: Any) -> None:
    control.set_webhook(receiver.url, "secret", topics=["note.update"])
    note = control.user_create("notes", {"text": "x"})
    control.user_edit("notes", note, {"text": "y"})
    control.drain_hooks()
    assert receiver.bodies == [b'[{"id":"1","kind":"update"}]']


def test_webhooks_can_come_twice_or_never(control: TwinClient, receiver: Any) -> None:
    control.set_webhook(receiver.url, "secret")
    control.set_faults(hook_duplicate_rate=1.0)
    control.user_create("notes", {"text": "x"})
    control.drain_hooks()
    assert len(receiver.bodies) == 2
    control.set_faults(hook_duplicate_rate=0.0, hook_drop_rate=1.0)
    control.user_create("notes", {"text": "y"})
    assert [a["status"] for a in control.drain_hooks()] == [-1]
    assert len(receiver.bodies) == 2


def test_shuffled_webhooks_come_in_another_order(control: TwinClient, receiver: Any) -> None:
    control.set_webhook(receiver.url, "secret")
    control.set_faults(hook_shuffle=True, seed=3)
    for number in range(6):
        control.user_create("notes", {"n": number})
    control.drain_hooks()
    ids = [body.split(b'"')[3].decode() for body in receiver.bodies]
    assert sorted(ids) == ["1", "2", "3", "4", "5", "6"]
    assert ids != sorted(ids)


def test_the_background_thread_delivers_by_itself(receiver: Any) -> None:
    twin = TwinNotes()
    try:
        twin.set_webhook(receiver.url, "secret")
        twin.user_create("notes", {"text": "x"})
        arrived = threading.Event()
        for _ in range(100):
            if receiver.bodies:
                break
            arrived.wait(0.01)
        assert receiver.bodies == [b'[{"id":"1","kind":"create"}]']
    finally:
        twin.stop()
