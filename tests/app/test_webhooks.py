"""A webhook is verified, stored once and answered; it leaves a hint, never a value."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from hub.app.pull import serve_hints
from hub.app.webhooks import KEEP_S, Receiver, accept_webhook, forget_old, hook_path, hook_token, hooks
from hub.connector import Settings, WebhookEvent, WebhookRequest
from hub.errors import NotFound, SignatureError
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
    from collections import Counter

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
