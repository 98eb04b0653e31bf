"""Inbound webhooks: what is a record, when two are one, and a whole way through the hub over real HTTP."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.inbound import CONNECTOR, MOST_RECORDS, PROFILES
from hub.app.bootstrap import opened
from hub.app.context import Hub
from hub.app.pull import serve_hints
from hub.app.webhooks import hook_path
from hub.connector import Settings
from hub.errors import ConfigFault, RecordRejected
from hub.model import Json, SourceRecord
from hub.runtime.registry import SHIPPED
from hub.twins.inbound import TwinInbound
from hub.web.server import WebServer, create_app, listen
from tests.connectors.doors import NOW, call_in, twin_clock

BEACON = {
    "email": "kim@example.test", "first_name": "Kim", "last_name": "Ono", "lead_magnet": "Pricing checklist",
    "page_url": "https://example.test/checklist", "consent": True, "captured_at": "2026-02-01T09:01:02Z",
}  # fmt: skip
CONVERTFLOW = {
    "contact": {"email": "kim@example.test", "first_name": "Kim", "tags": ["quiz-small"]},
    "campaign": {"id": 88961, "name": "Size quiz"}, "answers": {"size": "Small"}, "url": "https://example.test/",
    "occurred_at": "2026-02-01T09:01:02Z",
}  # fmt: skip
NASTY = ["𝔘𝔫𝔦 🦄", "\u202eevil", "100 kB: " + "x" * 100_000, "9" * 300, "2028-02-29", "a\0b"]


def of(profile: str, *bodies: Json, at: float = NOW, **values: Json) -> list[Any]:
    assert CONNECTOR.parse is not None
    given = Settings(values={"profile": profile, **values}, auth={})
    return [
        event
        for body in bodies
        for event in CONNECTOR.parse(given, call_in(orjson.dumps(body), {"Content-Type": "application/json"}, at=at))
    ]


def test_the_agreed_shapes_are_records_as_they_came_with_their_moment() -> None:
    (beacon,) = of("beacon", BEACON)
    assert beacon.record == SourceRecord(
        external_id=beacon.external_id, data={**BEACON, "submitted_at": "2026-02-01T09:01:02Z"}
    )
    (quiz,) = of("convertflow", CONVERTFLOW)
    assert quiz.record.data == {**CONVERTFLOW, "submitted_at": "2026-02-01T09:01:02Z"}
    assert beacon.external_id.startswith("key:")
    assert quiz.external_id.startswith("key:")


def test_the_same_lead_in_the_same_minute_is_one_record_and_any_other_is_another() -> None:
    same = {**BEACON, "email": " KIM@example.test", "captured_at": "2026-02-01T10:01:59+01:00"}
    others = [{**BEACON, "lead_magnet": "Other"}, {**BEACON, "captured_at": "2026-02-01T09:02:00Z"},
              {**BEACON, "email": "lee@example.test"}]  # fmt: skip
    found = of("beacon", BEACON, same, *others)
    assert found[0].external_id == found[1].external_id
    assert found[0].key != found[1].key, "what they say differs"
    assert len({event.external_id for event in found}) == 4


def test_an_id_of_the_senders_own_counts_before_all_else() -> None:
    found = of("beacon", {**BEACON, "external_id": 7}, {**BEACON, "external_id": "7", "email": "x@example.test"})
    assert [event.external_id for event in found] == ["7", "7"]
    odd = of("beacon", *({**BEACON, "external_id": each} for each in ("a\0b", "x" * 201, "a#b", "\n")))
    assert all(each.external_id.startswith(("id:", "key:")) for each in odd)


def test_without_id_and_key_the_bytes_are_the_record() -> None:
    first, again, other = of("beacon", {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2})
    assert (first.external_id, first.key) == (again.external_id, again.key)
    assert other.external_id != first.external_id
    assert first.external_id.startswith("body:")


def test_a_replay_is_the_same_delivery_whenever_it_comes() -> None:
    for profile, body in (("beacon", BEACON), ("generic", {"email": "a@example.test"}), ("generic", {"x": 1})):
        first, replay = of(profile, body), of(profile, body, at=NOW + 86_400)
        assert first[0].key == replay[0].key


def test_without_a_moment_of_the_senders_that_of_the_arrival_counts() -> None:
    for told in ({}, {"captured_at": "yesterday"}, {"captured_at": 5}, {"captured_at": "2026-02-01 09:01"}):
        lead = {name: value for name, value in BEACON.items() if name != "captured_at"}
        assert of("beacon", {**lead, **told})[0].record.data["submitted_at"] == "2026-11-02T08:00:00Z"


def test_a_connection_may_say_where_things_stand() -> None:
    body = {"lead": {"id": 5, "email": "a@example.test", "time": "2026-02-01T09:01:02Z"}}
    (event,) = of_with(body, id="lead.id", at="lead.time")
    assert (event.external_id, event.record.data["submitted_at"]) == ("5", "2026-02-01T09:01:02Z")


def of_with(body: Json, **values: Json) -> list[Any]:
    assert CONNECTOR.parse is not None
    return list(CONNECTOR.parse(Settings(values=values, auth={}), call_in(orjson.dumps(body), {})))


def test_a_form_is_an_object_and_its_json_is_read() -> None:
    assert CONNECTOR.parse is not None
    body = (
        b"page_id=p1&tag=a&tag=b&data.json=%7B%22email%22%3A%5B%22kim%40example.test%22%5D%2C%22x%22%3A%5B1%2C2%5D%7D"
    )
    request = call_in(body, {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
    (event,) = CONNECTOR.parse(Settings(values={"profile": "unbounce"}, auth={}), request)
    assert event.record is not None
    assert event.record.data == {
        "page_id": "p1", "tag": ["a", "b"], "data": {"email": "kim@example.test", "x": [1, 2]},
        "submitted_at": "2026-11-02T08:00:00Z",
    }  # fmt: skip


def test_a_list_is_several_records() -> None:
    found = of("generic", [{"id": 1}, {"id": 2}])
    assert [event.external_id for event in found] == ["1", "2"]


@pytest.mark.parametrize("text", NASTY)
def test_whatever_is_sent_is_kept_as_it_came(text: str) -> None:
    (event,) = of("generic", {"email": "a@example.test", "note": text, "id": text})
    assert event.record.data["note"] == text
    assert len(event.external_id) <= 200
    assert "\0" not in event.key


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b""), ("application/json", b"{"), ("application/json", b"[]"), ("", b"{}"),
        ("application/json", b"7"), ("application/json", b"[[]]"), ("application/json", b"\xff"),
        ("application/json", orjson.dumps([{"a": 1}] * (MOST_RECORDS + 1))),
        ("application/x-www-form-urlencoded", b""), ("application/x-www-form-urlencoded", b"a=1&data.json=%7B"),
        ("application/x-www-form-urlencoded", b"\xff=\xff"), ("multipart/form-data; boundary=b", b"--b--"),
    ],
)  # fmt: skip
def test_a_body_without_records_is_refused(kind: str, body: bytes) -> None:
    assert CONNECTOR.parse is not None
    with pytest.raises(RecordRejected, match="HOOK-BODY"):
        CONNECTOR.parse(Settings(values={}, auth={}), call_in(body, {"Content-Type": kind}))


def test_every_profile_is_known_and_no_other() -> None:
    for name in PROFILES:
        api = CONNECTOR.connect(None, Settings(values={"profile": name}, auth={}))
        assert CONNECTOR.check(api)["name"] == PROFILES[name].text
        assert CONNECTOR.pull(api, "leads", None).complete
    with pytest.raises(ConfigFault, match="CFG-PROFILE"):
        CONNECTOR.connect(None, Settings(values={"profile": "sonar"}, auth={}))


# --- the whole way ---------------------------------------------------------------------------------------------------

HUB_YAML = """
hub: {name: acme, currency: EUR, country: DE, timezone: UTC, public_url: "http://127.0.0.1"}
connections:
  beacon: {connector: inbound, mapping: beacon.yaml, settings: {profile: beacon}}
"""


@contextmanager
def listening(hub: Hub) -> Iterator[int]:
    socket = listen("127.0.0.1", 0)
    server = WebServer(create_app(hub, poke=lambda names: None), socket)
    server.start()
    yield socket.getsockname()[1]
    server.stop()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "hub.yaml").write_text(HUB_YAML, encoding="utf-8")
    for name in ("canonical", "beacon"):
        (tmp_path / "mappings" / f"{name}.yaml").write_bytes((SHIPPED / f"{name}.yaml").read_bytes())
    return tmp_path


def take_in(hub: Hub) -> Counter[str]:
    return serve_hints(hub, hub.connections["beacon"], run_id=None, tally=Counter())


def people(hub: Hub) -> list[Json]:
    with hub.store.reading() as tx:
        return [entity.values for entity in tx.entities_page("contact")]


def test_a_lead_that_is_posted_becomes_a_contact_and_its_submission_once(project: Path) -> None:
    with opened(project, publish=True) as hub, listening(hub) as port:
        twin = TwinInbound(clock=twin_clock(), auto_hooks=False)
        twin.set_webhook(f"http://127.0.0.1:{port}{hook_path(hub, 'beacon')}", "")
        twin.user_create("sent", BEACON)
        assert [each["status"] for each in twin.drain_hooks()] == [200]
        assert people(hub) == [], "stored, and not yet taken in"
        assert take_in(hub)["new"] == 2
        (person,) = people(hub)
        assert (person["email"], person["name"]["last_name"]) == ("kim@example.test", "Ono")
        assert person["consent.email"]["state"] == "opted_in"
        with hub.store.reading() as tx:
            (submission,) = tx.entities_page("form_submission")
        assert (submission.values["form"], submission.values["submitted_at"]) == (
            "Pricing checklist", "2026-02-01T09:01:02Z"
        )  # fmt: skip
        version = submission.version
        twin.act_send_all()  # the automation is run again
        twin.drain_hooks()
        assert take_in(hub) == Counter()
        with hub.store.reading() as tx:
            assert [entity.version for entity in tx.entities_page("form_submission")] == [version]
        twin.stop()


def test_only_the_secret_path_is_listened_to(project: Path) -> None:
    with opened(project, publish=True) as hub, listening(hub) as port:
        path = hook_path(hub, "beacon")
        for method, where, status in (("POST", path[:-1], 404), ("GET", path, 404), ("POST", path, 200)):
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
                client.request(method, where, orjson.dumps(BEACON), {"Content-Type": "application/json"})
                assert client.getresponse().status == status
