"""Website events: what a message means, what is refused, and the whole way through the hub over real HTTP."""

from __future__ import annotations

import base64
import gzip
import http.client
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.website import CONNECTOR, MOST_BATCH_BYTES, MOST_EVENT_BYTES, MOST_ITEMS
from hub.app.bootstrap import opened
from hub.app.context import Hub
from hub.app.pull import pull_stream, serve_hints
from hub.app.webhooks import hook_token, hooks
from hub.connector import Settings, WebhookEvent, WebhookRequest
from hub.errors import RecordRejected
from hub.model import Json
from hub.runtime.registry import SHIPPED
from hub.twins.website import TwinWebsite
from hub.web.server import WebServer, create_app, listen
from tests.connectors.doors import NOW, twin_clock

WHO = {"userId": "C-17", "anonymousId": "a-7"}
KIM = {"email": "Kim@Example.test", "firstName": "Kim", "lastName": "Ono"}
IDENTIFY = {"type": "identify", "messageId": "m-1", **WHO, "traits": KIM, "timestamp": "2026-02-01T09:01:00.000Z"}
VIEW = {
    "type": "track", "messageId": "m-2", "event": "Product Viewed", "userId": "C-17",
    "timestamp": "2026-02-01T09:01:01.000Z",
    "properties": {"name": "Tea", "product_id": "P1", "revenue": 20.5, "currency": "EUR"},
}  # fmt: skip


def of(call: str, body: Json, *, at: float = NOW) -> list[WebhookEvent]:
    assert CONNECTOR.parse is not None
    request = WebhookRequest(
        method="POST", url=f"https://hub.example.com/v1/{call}", headers={}, body=orjson.dumps(body), received_at=at
    )
    return list(CONNECTOR.parse(Settings(values={}, auth={}), request))


def told(call: str, body: Json, **more: Any) -> list[tuple[str, str]]:
    return [(each.stream, each.external_id) for each in of(call, body, **more)]


# --- one message -----------------------------------------------------------------------------------------------------


def test_each_call_says_who_what_or_where() -> None:
    page = {**WHO, "messageId": "m-3", "name": "Pricing"}
    assert told("batch", {"batch": [IDENTIFY, VIEW]}) == [("visitors", "C-17"), ("events", "m-2")]
    assert told("page", page) == told("p", page) == told("screen", page) == [("events", "m-3")]
    assert told("group", {**WHO, "groupId": 7, "messageId": "m"}) == [("visitors", "C-17"), ("groups", "7")]
    (alias,) = of("alias", {"previousId": "old", "userId": "C-17", "messageId": "m-4"})
    assert alias.record is not None
    assert (alias.external_id, alias.record.op, alias.record.merged_into) == ("old", "merged_into", "C-17")


def test_a_person_without_an_id_is_known_by_the_address() -> None:
    told_ = {"anonymousId": "a-7", "messageId": "m", "traits": {"email": " Kim@Example.test"}}
    assert told("identify", told_) == [("visitors", "email:kim@example.test")]
    within = {
        "anonymousId": "a-7",
        "messageId": "m",
        "event": "X",
        "context": {"traits": {"email": "kim@example.test"}},
    }
    assert told("track", within) == [("visitors", "email:kim@example.test"), ("events", "m")]
    (nobody,) = of("track", {"anonymousId": "a-7", "messageId": "m", "event": "X"})
    assert nobody.record is not None
    assert "person" not in nobody.record.data


def test_numbers_as_ids_are_texts() -> None:
    (event,) = of("identify", {"userId": 12345678901234567890, "messageId": 9, "traits": {}})
    assert (event.external_id, event.key) == ("12345678901234567890", "9/who")


def test_what_the_batch_says_holds_for_each_of_its_messages() -> None:
    (event,) = of("batch", {"batch": [VIEW], "context": {"locale": "de"}, "integrations": {"All": False}})
    assert event.record is not None
    assert event.record.data["context"] == {"locale": "de"}
    assert event.record.data["integrations"] == {"All": False}


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ({"timestamp": "2026-02-01T09:01:00.000Z"}, "2026-02-01T09:01:00.000Z"),
        # the sender's clock is an hour slow: sent 2 s after it happened
        ({"originalTimestamp": "2026-11-02T06:59:58Z", "sentAt": "2026-11-02T07:00:00Z"}, "2026-11-02T07:59:58.000Z"),
        ({"timestamp": "2027-01-01T00:00:00Z"}, "2026-11-02T08:00:00.000Z"),
        ({"timestamp": "yesterday"}, "2026-11-02T08:00:00.000Z"),
        ({}, "2026-11-02T08:00:00.000Z"),
    ],
)
def test_it_happened_when_it_says_by_our_clock(said: dict[str, str], at: str) -> None:
    (event,) = of("track", {**WHO, "event": "X", **said})
    assert event.record is not None
    assert event.record.data["at"] == at


def test_a_message_without_an_id_is_known_by_what_it_says() -> None:
    view = {name: value for name, value in VIEW.items() if name != "messageId"}
    assert told("track", view) == told("track", view, at=NOW + 60), "the same message, sent again"
    bare = {name: value for name, value in view.items() if name != "timestamp"}
    assert told("track", bare) != told("track", bare, at=NOW + 60), "nothing tells a repeat from a second view"


def test_no_currency_is_guessed() -> None:
    (dear,) = of("track", VIEW)
    (bare,) = of("track", {**VIEW, "properties": {"revenue": 20.5}})
    assert dear.record is not None
    assert bare.record is not None
    assert (dear.record.data["amount"], "amount" in bare.record.data) == ("20.5", False)


@pytest.mark.parametrize(
    ("traits", "first", "last"),
    [
        ({"firstName": "Mary Ann", "lastName": "Ono"}, "Mary Ann", "Ono"), ({"first_name": "Kim"}, "Kim", None),
        ({"name": "Mary Ann Ono"}, "Mary Ann", "Ono"), ({"name": "Kim"}, "Kim", None), ({"name": 7}, None, None),
    ],
)  # fmt: skip
def test_a_name_is_taken_as_it_is_given(traits: Json, first: str | None, last: str | None) -> None:
    (event,) = of("identify", {**WHO, "traits": traits})
    assert event.record is not None
    assert (event.record.data.get("first_name"), event.record.data.get("last_name")) == (first, last)


UNFIT: list[Json] = [
    7, None, [], {"type": "track"}, {"type": "track", **WHO}, {"type": "buy", **WHO}, {"type": "group", **WHO},
    {"type": "alias", "userId": "a"}, {"type": "alias", "anonymousId": "a", "previousId": "b"},
    {"type": "track", "event": 7, **WHO}, {"type": "identify", "userId": {"a": 1}}, {"type": ["track"], **WHO},
    {"type": "track", "event": "x", "userId": "", "anonymousId": None},
    {"type": "track", "event": "x" * MOST_EVENT_BYTES, **WHO},
]  # fmt: skip


@pytest.mark.parametrize("item", UNFIT, ids=range(len(UNFIT)))
def test_a_message_that_is_unfit_stops_no_other_and_is_kept(item: Json) -> None:
    first, unfit, last = of("batch", {"batch": [IDENTIFY, item, VIEW]})
    assert (first.external_id, last.external_id) == ("C-17", "m-2")
    assert unfit.fault is not None
    assert (unfit.fault["code"], unfit.fault["value"]) == ("TRK-MESSAGE", item)


@pytest.mark.parametrize(
    "body", [7, [], "x", {"batch": 7}, {"batch": [VIEW] * (MOST_ITEMS + 1)}, {"a": "x" * MOST_BATCH_BYTES}]
)
def test_a_body_that_is_no_call_is_refused_whole(body: Json) -> None:
    with pytest.raises(RecordRejected, match="TRK-"):
        of("batch", body)


def test_a_single_message_that_is_too_large_is_refused() -> None:
    with pytest.raises(RecordRejected, match="TRK-SIZE"):
        of("track", {**VIEW, "note": "x" * MOST_EVENT_BYTES})


@pytest.mark.parametrize("text", ["𝔘𝔫𝔦 🦄", "\u202eevil", "9" * 300, "a\0b", "\n"])
def test_hostile_texts_are_kept_as_they_came_and_ids_stay_plain(text: str) -> None:
    (event,) = of("track", {"userId": text + "!", "messageId": text + "!", "event": text + "!"})
    assert event.record is not None
    assert event.record.data["action"] == text + "!"
    assert "\0" not in event.key
    assert max(len(event.key), len(event.record.data["person"])) <= 200


# --- the whole way ---------------------------------------------------------------------------------------------------

HUB_YAML = """
hub: {name: acme, currency: EUR, country: DE, timezone: UTC, public_url: "https://hub.example.com"}
connections:
  website: {connector: website}
"""


class Site:
    """A hub that listens, and whoever sends to it."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.poked = hub, Counter[str]()
        self.key = hook_token(hub, "website")
        listening = listen("127.0.0.1", 0)
        self.port = listening.getsockname()[1]
        self.server = WebServer(create_app(hub, poke=self.poked.update), listening)
        self.server.start()
        for stream in hub.connections["website"].streams:  # from now on what comes is news
            pull_stream(hub, hub.connections["website"], stream, run_id=None, tally=Counter())

    def call(
        self, path: str, body: bytes = b"", headers: dict[str, str] | None = None, *, method: str = "POST"
    ) -> tuple[int, Json, dict[str, str]]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as client:
            client.request(method, path, body, headers or {})
            answer = client.getresponse()
            said = answer.read()
            return answer.status, orjson.loads(said) if said else None, {k.lower(): v for k, v in answer.getheaders()}

    def send(self, call: str, body: Json, **headers: str) -> int:
        basic = "Basic " + base64.b64encode(f"{self.key}:".encode()).decode()
        return self.call(f"/v1/{call}", orjson.dumps(body), {"Authorization": basic, **headers})[0]

    def take_in(self) -> Counter[str]:
        return serve_hints(self.hub, self.hub.connections["website"], run_id=None, tally=Counter())

    def values(self, kind: str) -> list[Json]:
        with self.hub.store.reading() as tx:
            return [entity.values for entity in tx.entities_page(kind)]

    def unfit(self, code: str = "TRK-MESSAGE") -> list[Any]:
        with self.hub.store.reading() as tx:
            return tx.quarantine(state="open", connection="website", code=code)

    def happened(self) -> list[tuple[str, bool]]:
        with self.hub.store.reading() as tx:
            return [(event.name, event.subject_id is not None) for event in tx.events_page(after_id=0, limit=100)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "hub.yaml").write_text(HUB_YAML, encoding="utf-8")
    for name in ("canonical", "website"):
        (tmp_path / "mappings" / f"{name}.yaml").write_bytes((SHIPPED / f"{name}.yaml").read_bytes())
    with opened(tmp_path, publish=True) as hub:
        made = Site(hub)
        yield made
        made.server.stop()


def test_a_segment_library_is_understood(site: Site) -> None:
    """`segment-analytics-python`, unaltered, with its own queue, thread, batches and gzip."""
    analytics = pytest.importorskip("segment.analytics", reason="segment-analytics-python is not installed")
    failed: list[Any] = []
    for packed in (False, True):
        client = analytics.Client(
            site.key, host=f"http://127.0.0.1:{site.port}", gzip=packed, max_retries=1,
            on_error=lambda error, items: failed.append(error),
        )  # fmt: skip
        client.identify(user_id="C-17", traits={"email": "kim@example.test", "firstName": "Kim", "lastName": "Ono"})
        client.group(user_id="C-17", group_id="G1", traits={"name": "Ono Ltd", "website": "https://ono.example"})
        client.page(user_id="C-17", category="Docs", name="Pricing", properties={"url": "https://example.test/p"})
        client.track(user_id="C-17", event="Coupon Applied", properties={"coupon": "WELCOME"})
        client.track(user_id="C-17", event="Content Downloaded", properties={"name": "Price list"})
        client.screen(user_id="C-17", name="Home")
        client.alias(previous_id="device-9", user_id="C-17")
        client.flush()
        client.join()
    assert failed == []
    site.take_in()
    (person,), (company,) = site.values("contact"), site.values("company")
    assert (person["email"], person["name"]["first_name"]) == ("kim@example.test", "Kim")
    assert company["domain"] == "ono.example"
    done = Counter(each.get("kind") for each in site.values("activity"))
    assert done == {"page_viewed": 4, "code_used": 2, "content_downloaded": 2}
    assert all(each["contact"] for each in site.values("activity"))
    assert Counter(site.happened()) == {("activity.code_used", True): 2, ("activity.content_downloaded", True): 2}


@pytest.mark.parametrize("packed", [False, True])
def test_messages_are_taken_in_once_however_often_they_are_sent(site: Site, packed: bool) -> None:
    twin = TwinWebsite(clock=twin_clock(), auto_hooks=False, packed=packed)
    twin.set_webhook(f"http://127.0.0.1:{site.port}/v1/batch", site.key)
    twin.user_create("sent", IDENTIFY)
    twin.user_create("sent", VIEW)
    assert [each["status"] for each in twin.drain_hooks()] == [200]
    assert (site.values("contact"), site.poked) == ([], {"website": 1}), "stored, and not yet taken in"
    site.take_in()
    (view,) = site.values("activity")
    assert (view["kind"], view["amount"], view["product"]) == (
        "product_viewed", {"minor": 2050, "currency": "EUR"}, "Tea",
    )  # fmt: skip
    twin.act_send_all()
    twin.drain_hooks()
    assert (site.take_in(), site.poked) == (Counter(), {"website": 1})
    assert len(site.values("activity")) == 1
    twin.stop()


def test_what_is_done_before_anybody_is_known_finds_its_person(site: Site) -> None:
    assert site.send("track", VIEW) == 200
    site.take_in()
    assert [each.get("contact") for each in site.values("activity")] == [None]
    assert len(site.unfit("REF-WAITS")) == 1
    assert site.take_in() == Counter(), "it rests, and costs nothing"
    site.send("identify", {**WHO, "messageId": "m-8", "traits": {"plan": "pro"}})
    site.take_in()
    assert site.values("contact") == [], "nobody can be told by that"
    site.send("identify", IDENTIFY)
    site.take_in()
    with site.hub.store.reading() as tx:
        (person,) = tx.entities_page("contact")
    assert [each["contact"] for each in site.values("activity")] == [person.id]
    assert site.unfit("REF-WAITS") == []


def test_an_older_statement_that_comes_late_changes_nothing(site: Site) -> None:
    site.send(
        "identify",
        {**IDENTIFY, "messageId": "n", "timestamp": "2026-03-01T00:00:00Z", "traits": {**KIM, "title": "CEO"}},
    )
    site.take_in()
    site.send("identify", {**IDENTIFY, "traits": {**KIM, "title": "Buyer"}})
    site.take_in()
    assert [each["job_title"] for each in site.values("contact")] == ["CEO"]


def test_every_way_of_naming_the_write_key_is_understood(site: Site) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(f"{site.key}:".encode()).decode()}
    inside = orjson.dumps({**VIEW, "writeKey": site.key})
    plain = orjson.dumps(VIEW)
    assert site.call("/v1/track", plain, basic)[0] == 200
    assert site.call("/v1/t", inside, {"Content-Type": "text/plain"})[0] == 200
    assert site.call("/v1/t", inside, {"Authorization": "Bearer token"})[0] == 200
    assert site.call("/v1/b", orjson.dumps({"batch": [{**VIEW, "writeKey": site.key}]}))[0] == 200
    wrong = [{}, {"Authorization": "Basic " + base64.b64encode(b"other:").decode()}, {"Authorization": "Basic §"}]
    assert [site.call("/v1/track", plain, each)[0] for each in wrong] == [401, 401, 401]


def test_browsers_may_send_from_any_page(site: Site) -> None:
    status, _, headers = site.call("/v1/t", method="OPTIONS")
    assert (status, headers["access-control-allow-origin"]) == (204, "*")
    status, told_, headers = site.call(f"/v1/projects/{site.key}/settings", method="GET", headers={"Host": "t.example"})
    assert (status, headers["access-control-allow-origin"]) == (200, "*")
    assert told_["integrations"]["Segment.io"] == {"apiKey": site.key, "apiHost": "t.example/v1"}
    assert site.call("/v1/projects/other/settings", method="GET")[0] == 404
    assert site.call("/v1/m", b"{}")[:2] == (200, {"success": True})
    status, said, headers = site.call("/v1/t", b"{")
    assert (status, said["success"], headers["access-control-allow-origin"]) == (400, False, "*")


def test_hostile_calls_get_their_answer_and_leave_nothing(site: Site) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    packed = {"Content-Encoding": "gzip"}
    calls = [
        (b"{", {}, 400), (b"", {}, 400), (b"\xff", {}, 400), (b"[" * 100_000, {}, 400), (b"x" * 600_000, {}, 400),
        (bomb, packed, 400), (b"no gzip", packed, 400), (gzip.compress(b"{}")[:-5], packed, 400),
        (b"{}", {"Content-Encoding": "br"}, 400), (b"[]", {}, 401), (b'{"batch": {}}', {}, 401), (b"7", {}, 401),
    ]  # fmt: skip
    assert [site.call("/v1/batch", body, headers)[0] for body, headers, _ in calls] == [each[2] for each in calls]
    assert site.send("purchase", VIEW) == 404
    assert (site.take_in(), site.unfit(), site.poked) == (Counter(), [], {})


def test_an_unfit_message_of_a_batch_waits_for_a_person_and_the_rest_goes_on(site: Site) -> None:
    bad = {"type": "track", **WHO, "note": "no event"}
    for _ in range(2):
        assert site.send("batch", {"batch": [IDENTIFY, bad, VIEW]}) == 200
    (row,) = site.unfit()
    assert (row.message, row.value) == ("`event` is missing", bad)
    site.take_in()
    assert (len(site.values("contact")), len(site.values("activity"))) == (1, 1)


def test_a_store_that_is_busy_asks_for_the_same_call_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.app import webhooks
    from hub.errors import RetryLater

    def busy(*_: object) -> None:
        raise RetryLater("busy", code="STORE-BUSY")

    with monkeypatch.context() as patched:
        patched.setattr(webhooks, "commit", busy)
        assert site.send("track", VIEW) == 503
    assert site.send("track", VIEW) == 200


def test_a_person_is_told_what_to_give_the_library(site: Site) -> None:
    (row,) = hooks(site.hub)
    assert row["library"] == f"host https://hub.example.com, write key {site.key}"
