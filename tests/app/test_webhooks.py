"""A webhook is verified, stored once and answered; it leaves a hint, never a value."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from hub.app.pull import serve_hints
from hub.app.webhooks import KEEP_S, Receiver, accept_webhook, forget_old, hook_path, hook_token, hooks
from hub.connector import Settings, WebhookEvent, WebhookRequest
from hub.errors import NotFound, SignatureError
from hub.model import SourceRecord
from hub.runtime.secrets import Vault
from hub.verify.vendor import STREAM
from tests.app_world import World

KEY = b"between us"


def verify(settings: Settings, request: WebhookRequest) -> None:
    wanted = hmac.new(KEY, request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, request.headers.get("x-signature", "")):
        raise SignatureError("wrong signature", where="A")


def parse(settings: Settings, request: WebhookRequest) -> list[WebhookEvent]:
    return [WebhookEvent(**each) for each in orjson.loads(request.body)]


@pytest.fixture
def world(make: Any, tmp_path: Path) -> World:
    """A sends webhooks, B does not."""
    found: World = make()
    found.hub.vault = Vault(tmp_path, {})
    found.change("A", connector=replace(found.vendors["A"].connector(), verify=verify, parse=parse))
    return found


def call(world: World, *events: dict[str, Any], key: bytes = KEY) -> WebhookRequest:
    body = orjson.dumps([{"stream": STREAM, "external_id": "A1", **each} for each in events])
    signature = hmac.new(key, body, hashlib.sha256).hexdigest()
    return WebhookRequest(
        method="POST", url="https://hub.example/hooks", headers={"x-signature": signature}, body=body,
        received_at=world.clock.now(),
    )  # fmt: skip


def take(world: World, *events: dict[str, Any], key: bytes = KEY) -> Any:
    return accept_webhook(world.hub, world.hub.connections["A"], call(world, *events, key=key))


def hints(world: World) -> list[tuple[str, str, str, float | None]]:
    with world.store.reading() as tx:
        found = tx.due_hints("A", world.clock.now() + 1e6, 100)
    return [(hint.connection, hint.stream, hint.external_id, hint.not_before_stamp) for hint in found]


def test_a_delivery_leaves_a_hint_for_each_record(world: World) -> None:
    found = take(world, {"key": "e1", "at": 12.5}, {"key": "e2", "external_id": "A2"})
    assert (found.events, found.fresh, found.hints) == (2, 2, 2)
    assert sorted(hints(world), key=str) == [("A", STREAM, "A1", 12.5), ("A", STREAM, "A2", None)]
    with world.store.reading() as tx:
        assert tx.delivery("A", "e1") is not None


def test_a_repeated_event_leaves_nothing_even_in_another_delivery(world: World) -> None:
    take(world, {"key": "e1"})
    with world.store.transaction() as tx:
        tx.done_hints([hint.id for hint in tx.due_hints("A", world.clock.now(), 10)])
    found = take(world, {"key": "e1"}, {"key": "e3", "external_id": "A3"})
    assert (found.events, found.fresh, found.hints) == (2, 1, 1)
    assert [each[2] for each in hints(world)] == ["A3"]


def test_a_wrong_signature_stores_nothing(world: World) -> None:
    with pytest.raises(SignatureError):
        take(world, {"key": "e1"}, key=b"somebody else")
    assert hints(world) == []
    with world.store.reading() as tx:
        assert tx.delivery("A", "e1") is None


def test_events_of_streams_that_no_mapping_reads_are_kept_and_need_no_read(world: World) -> None:
    found = take(world, {"key": "e1", "stream": "invoices"})
    assert (found.events, found.hints) == (1, 0)
    assert hints(world) == []


def test_a_value_in_a_webhook_is_never_believed_the_record_is_read(world: World) -> None:
    at_a = world.person("A", note="as it is")
    assert take(world, {"key": "e1", "external_id": at_a, "kind": "changed"}).hints == 1
    world.clock.sleep(1.0)
    serve_hints(world.hub, world.hub.connections["A"], run_id=None, tally=Counter())
    assert world.values()["note"] == "as it is"


def test_the_token_is_long_random_kept_encrypted_and_the_same_tomorrow(world: World) -> None:
    token = hook_token(world.hub, "A")
    assert len(token) >= 43, "32 random bytes in base64"
    assert hook_token(world.hub, "A") == token != hook_token(world.hub, "B")
    assert hook_path(world.hub, "A") == f"/hooks/A/{token}"
    with world.store.reading() as tx:
        assert token.encode() not in tx.secrets()["webhook:A"]


def test_only_systems_that_send_webhooks_have_an_address(world: World) -> None:
    assert [row["connection"] for row in hooks(world.hub)] == ["A"]


def test_a_receiver_knows_its_paths_and_no_others(world: World) -> None:
    receiver, token = Receiver(world.hub), hook_token(world.hub, "A")
    assert receiver.knows("A", token)
    for connection, other in (("A", token[:-1]), ("A", ""), ("B", token), ("C", token), ("", "")):
        assert not receiver.knows(connection, other)
    request = call(world, {"key": "e1"})
    assert receiver.receive("A", token, headers=request.headers, body=request.body).hints == 1
    with pytest.raises(NotFound):
        receiver.receive("A", "x", headers=request.headers, body=request.body)


def test_old_deliveries_are_forgotten(world: World) -> None:
    take(world, {"key": "e1"})
    assert forget_old(world.hub) == 0
    world.clock.sleep(KEEP_S + 1)
    assert forget_old(world.hub) == 1


# Where the delivery is the record


def parse_record(settings: Settings, request: WebhookRequest) -> list[WebhookEvent]:
    def event(told: dict[str, Any]) -> WebhookEvent:
        record = SourceRecord(external_id=told["id"], data=told)
        return WebhookEvent(key=f"{told['id']}#{told['note']}", stream=STREAM, external_id=told["id"], record=record)

    return [event(each) for each in orjson.loads(request.body)]


@pytest.fixture
def listening(world: World) -> World:
    """A only listens: nothing can be read from it."""
    connector = replace(world.vendors["A"].connector(), verify=verify, parse=parse_record, fetch=None)
    world.change("A", connector=connector)
    return world


def tell(world: World, *people: dict[str, Any]) -> Any:
    sent = [{"code": each["id"], "email": f"{each['id']}@example.org", "name": "N", **each} for each in people]
    body = orjson.dumps(sent)
    headers = {"x-signature": hmac.new(KEY, body, hashlib.sha256).hexdigest()}
    request = WebhookRequest(method="POST", url="", headers=headers, body=body, received_at=world.clock.now())
    world.clock.sleep(1.0)
    return accept_webhook(world.hub, world.hub.connections["A"], request)


def serve(world: World) -> Counter[str]:
    return serve_hints(world.hub, world.hub.connections["A"], run_id=None, tally=Counter())


def notes(world: World) -> dict[str, str]:
    return {entity.values["code"]: entity.values["note"] for entity in world.entities()}


def test_a_delivery_that_is_a_record_is_stored_first_and_then_taken_in_like_a_page(listening: World) -> None:
    assert tell(listening, {"id": "P1", "note": "one"}, {"id": "P2", "note": "two 🦄"}).hints == 2
    assert listening.entities() == [], "stored, and not yet taken in"
    assert serve(listening)["new"] == 2
    assert notes(listening) == {"P1": "one", "P2": "two 🦄"}
    assert hints(listening) == []


def test_the_same_record_again_changes_nothing_even_after_another_one(listening: World) -> None:
    first, second = {"id": "P1", "note": "one"}, {"id": "P1", "note": "corrected"}
    for each in (first, second):
        tell(listening, each)
        serve(listening)
    assert notes(listening) == {"P1": "corrected"}
    before = listening.entities()
    for each in (first, second, first):  # repeated, and out of order
        assert tell(listening, each).fresh == 0
        serve(listening)
    assert listening.entities() == before


def test_two_of_one_record_in_one_go_are_taken_in_the_order_of_their_arrival(listening: World) -> None:
    tell(listening, {"id": "P1", "note": "one"})
    tell(listening, {"id": "P1", "note": "two"})
    serve(listening)
    assert notes(listening) == {"P1": "two"}


def test_a_record_that_was_not_taken_in_is_kept_however_old(listening: World) -> None:
    tell(listening, {"id": "P1", "note": "one"})
    listening.clock.sleep(KEEP_S + 1)
    assert forget_old(listening.hub) == 0
    serve(listening)
    assert notes(listening) == {"P1": "one"}
    assert forget_old(listening.hub) == 1


def test_a_hint_that_leads_to_no_delivery_ends(listening: World) -> None:
    with listening.store.transaction() as tx:
        tx.add_hints([("A", STREAM, "P9", None, listening.clock.now(), "waits for a parent")])
    serve(listening)
    assert hints(listening) == []
