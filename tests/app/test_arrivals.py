"""Whether a message arrived: signed webhooks of real twins, in any order, and what a person can do if it did not."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors import twilio, whatsapp
from hub.app.pull import serve_hints
from hub.app.reward_orders import issue_due
from hub.app.reward_ways import resend, ways
from hub.app.webhooks import accept_webhook
from hub.connector import Settings, WebhookRequest
from hub.core.arrivals import is_news
from hub.core.rewards import Entry
from hub.errors import NeedsReview, RecordRejected, SignatureError
from hub.model import Grant, Json
from tests.app.test_delivery import calling, sent
from tests.connectors.doors import Desk
from tests.reward_world import World

URL = "https://127.0.0.1:9/hooks/x"  # nobody answers there: what is sent is read from the log
CASES = {
    "twilio": ({"secret": "twin-token", "callback": URL}, ("delivered", "undelivered", "30003", "TWILIO-30003")),
    "whatsapp": ({"secret": "app-secret"}, ("delivered", "failed", 131026, "WA-131026")),
}  # fmt: skip


class Story:
    """One message that left, and whoever tells of it."""

    def __init__(self, name: str, world: World, made: Desk) -> None:
        self.name, self.world, self.made = name, world, made
        made.twin.hook_attempts = 1
        _, (self.good, self.bad, self.number, self.code) = CASES[name]

    @property
    def message(self) -> str:
        return list(self.made.twin.snapshot("messages"))[-1]

    def tell(self, status: str, code: Json = None, message: str = "") -> None:
        told = {"message": message or self.message, "status": status, **({"code": code} if code else {})}
        self.made.twin.user_action("tell", **told)

    def calls(self) -> list[WebhookRequest]:
        self.made.twin.hooks.pump(force=True)
        found = [
            WebhookRequest(
                method="POST", url=URL, headers={k.lower(): v for k, v in each.headers.items()},
                body=each.body.encode(), received_at=self.world.clock.now(),
            )
            for each in self.made.twin.hooks.log
        ]  # fmt: skip
        self.made.twin.hooks.log.clear()
        return found

    def hear(self) -> Any:
        for call in self.calls():
            accept_webhook(self.world.hub, self.world.hub.connections[self.name], call)
        return serve_hints(self.world.hub, self.world.hub.connections[self.name], run_id=None, tally=Counter())

    def issue(self) -> None:
        issue_due(self.world.hub, self.name, run_id=None)

    def lines(self, grant: Grant) -> list[str]:
        with self.world.store.reading() as tx:
            return [entry.kind for entry in tx.entries(grant.id)]


@pytest.fixture(params=sorted(CASES))
def story(request: pytest.FixtureRequest) -> Iterator[Story]:
    name = request.param
    secrets, _ = CASES[name]
    with calling(name) as (world, made):
        found = world.hub.connections[name]
        settings = replace(found.settings, webhooks=secrets)
        api = found.connector.connect(made.door, settings)
        world.hub.connections[name] = replace(found, settings=settings, api=api)
        if name == "whatsapp":
            made.twin.set_webhook(URL, secrets["secret"])
        yield Story(name, world, made)


def test_a_message_that_arrives_is_told_once_however_often_it_is_said(story: Story) -> None:
    story.issue()
    for status in ("sent", story.good, story.good, "read"):
        story.tell(status)
    assert story.hear() == {"arrivals": 2, "hints_served": 2}
    (grant,) = story.world.grants()
    assert story.lines(grant)[-3:] == ["issued", "delivered", "read"]
    story.tell(story.good)
    assert story.hear() == {}
    assert (grant.state, story.world.money()) == ("issued", (0, 2500))


@pytest.mark.parametrize("order", list(itertools.permutations(("sent", "good", "read"))))
def test_what_is_known_never_goes_back(story: Story, order: tuple[str, ...]) -> None:
    story.issue()
    for word in order:
        story.tell(story.good if word == "good" else word)
        story.hear()
    story.tell(story.bad, story.number)
    story.hear()
    (grant,) = story.world.grants()
    told = [kind for kind in story.lines(grant) if kind in ("delivered", "read", "undelivered")]
    assert told == (["delivered", "read"] if order.index("good") < order.index("read") else ["read"])
    assert grant.state == "issued"


def test_one_that_does_not_arrive_is_shown_with_the_vendors_code_and_may_arrive_after_all(story: Story) -> None:
    story.issue()
    story.tell(story.bad, story.number)
    assert story.hear() == {"arrivals": 1, "arrivals_failed": 1, "hints_served": 1}
    (grant,) = story.world.grants("undelivered")
    assert grant.detail == f"DLV-FAILED: it did not arrive ({story.code})"
    assert story.world.money() == (0, 2500), "the claim link is out there: the money stays spent"
    story.issue()
    assert len(sent(story.made)) == 1, "nothing is sent again by itself"
    story.tell(story.good)
    story.hear()
    assert story.world.grant_states() == ["issued"]


def test_it_is_sent_another_way_once_and_the_reward_stays_one(story: Story) -> None:
    story.issue()
    story.tell(story.bad, story.number)
    story.hear()
    (grant,) = story.world.grants()
    way = f"{story.name}/thanks"
    assert ways(story.world.hub) == [way]
    with pytest.raises(NeedsReview, match="DLV-WAY"):
        resend(story.world.hub, grant.id, "mail/thanks", by="kim")
    story.world.customer("ann", phone="+4915112345679")
    found = resend(story.world.hub, grant.id, way, by="kim")
    with pytest.raises(NeedsReview, match="RWD-STATE"):
        resend(story.world.hub, grant.id, way, by="kim")
    story.issue()
    story.issue()
    reward, message = story.world.grants()
    assert (reward.state, message.state) == ("issued", "issued")
    assert (message.id, message.parent_id) == (found["message"], grant.id)
    first, second = map(str, sent(story.made))
    assert (grant.reference in first, grant.reference in second) == (True, True), "the same claim link"
    assert ("15112345678" in first, "15112345679" in second) == (True, True), "to where she can be reached now"
    assert (story.world.money(), story.lines(reward)[-1]) == ((0, 2500), "resent")
    story.tell(story.bad, story.number)
    story.hear()
    (again,) = story.world.grants("undelivered")
    assert resend(story.world.hub, again.id, way, by="kim")["message"] not in (reward.id, message.id)
    assert [each.parent_id for each in story.world.grants()] == [None, grant.id, grant.id]


def test_what_is_taken_back_is_told_nobody_another_way(story: Story) -> None:
    story.issue()
    story.tell(story.bad, story.number)
    story.hear()
    (grant,) = story.world.grants()
    story.world.order("o1", "ann", refunded_at="2026-12-05T13:00:00Z")
    (grant,) = story.world.grants()
    assert (grant.state, grant.detail.partition(":")[0]) == ("undelivered", "RWD-TAKE-BACK")


def test_a_word_that_is_here_before_the_number_waits_for_it(story: Story) -> None:
    story.issue()
    (grant,) = story.world.grants()
    with story.world.store.transaction() as tx:  # the answer to the call is not stored yet
        number, grant.order_id = grant.order_id, None
        tx.update_grants([grant])
    story.tell(story.good)
    assert story.hear() == {}
    with story.world.store.transaction() as tx:
        grant.order_id = number
        tx.update_grants([grant])
    story.world.clock.advance(31)
    assert story.hear() == {"arrivals": 1, "hints_served": 1}


def test_a_message_of_somebody_else_is_forgotten_after_a_while(story: Story) -> None:
    story.issue()
    story.made.twin.user_action("carry")
    waited, total = 0, 0
    while not total and waited < 20:
        total += story.hear()["hints_served"]
        story.world.clock.advance(40_000)
        waited += 1
    assert (total, waited) == (1 if story.name == "twilio" else 2, 9)
    assert story.lines(story.world.grants()[0])[-1] == "issued"


def test_what_nobody_signed_leaves_nothing(story: Story) -> None:
    story.issue()
    story.tell(story.bad, story.number)
    (call,) = story.calls()
    connection = story.world.hub.connections[story.name]
    forged = call.body.replace(story.message.encode(), b"SM" + b"9" * 32)
    for other in (replace(call, body=forged), replace(call, headers={}), replace(call, body=b"\xff\xfe")):
        with pytest.raises(SignatureError):
            accept_webhook(story.world.hub, connection, other)
    if story.name == "twilio":  # the address is part of what is signed
        with pytest.raises(SignatureError):
            accept_webhook(story.world.hub, connection, replace(call, url=URL + "?reward=1"))
    assert story.hear() == {}
    assert story.world.grant_states() == ["issued"]


# --- as the vendors write it -----------------------------------------------------------------------------------------


def test_twilios_published_signatures_are_understood() -> None:
    """Vectors of the fact sheet on delivery channels, computed by another implementation."""
    settings = Settings(values={}, auth={}, webhooks={"secret": "twilio-test-token"})
    form = (
        b"MessageSid=SM00000000000000000000000000000001&MessageStatus=delivered&To=%2B818055501234"
        b"&From=%2B15005550006&AccountSid=AC00000000000000000000000000000001"
    )
    call = WebhookRequest(
        method="POST", url="https://hub.example.com/hooks/twilio/status?reward=42", body=form, received_at=0.0,
        headers={"x-twilio-signature": "U2ameUu3vScG4sCUVZ7trPH4pIs="},
    )  # fmt: skip
    twilio.verify(settings, call)
    (event,) = twilio.parse(settings, call)
    assert (event.stream, event.external_id) == ("arrivals", "SM00000000000000000000000000000001")
    digest = "52af87f66c64a51349181145be0427321fe6dd84a9c7d8cdfdc453aed4f04d1a"
    told = WebhookRequest(
        method="POST", url=f"https://hub.example.com/hooks/twilio/json?bodySHA256={digest}", received_at=0.0,
        body=b'{"reward":"42","status":"delivered"}',
        headers={"x-twilio-signature": "H+9sbm/yvoXatvNg5Gfklgldtls="},
    )  # fmt: skip
    twilio.verify(settings, told)
    for other in (replace(told, body=b"{}"), replace(told, url=told.url[:-1] + "b")):
        with pytest.raises(SignatureError):
            twilio.verify(settings, other)


def test_metas_published_signature_is_understood() -> None:
    settings = Settings(values={}, auth={}, webhooks={"secret": "meta-test-secret"})
    body = (
        b'{"object":"whatsapp_business_account","entry":[{"id":"100","changes":[{"field":"messages","value":'
        b'{"messaging_product":"whatsapp","statuses":[{"id":"wamid.T1","status":"delivered","timestamp":"1793606400",'
        b'"recipient_id":"818055501234"}]}}]}]}'
    )
    signature = "sha256=bf9d76a1c6c3934bac67b4dfca7e4b8e0ce75dceade39e7a75539872fad12ec4"
    call = WebhookRequest(
        method="POST", url=URL, body=body, received_at=0.0, headers={"x-hub-signature-256": signature}
    )  # fmt: skip
    whatsapp.verify(settings, call)
    (event,) = whatsapp.parse(settings, call)
    assert (event.external_id, event.at) == ("wamid.T1", 1_793_606_400.0)
    with pytest.raises(SignatureError):
        whatsapp.verify(settings, replace(call, headers={"x-hub-signature-256": signature.removeprefix("sha256=")}))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"entry": 1}', b'{"entry": [1]}', b'{"entry": [{"changes": [[]]}]}']
)
def test_a_body_that_is_none_of_the_vendors_is_refused(body: bytes) -> None:
    call = WebhookRequest(method="POST", url=URL, body=body, received_at=0.0, headers={})
    for connector in (whatsapp, twilio):
        with pytest.raises(RecordRejected, match="HOOK-BODY"):
            connector.parse(Settings(values={}, auth={}), call)


def test_meta_is_greeted_only_if_it_knows_our_word() -> None:
    settings = Settings(values={}, auth={}, webhooks={"verify_token": "our-word"})
    asked = {"hub.mode": "subscribe", "hub.verify_token": "our-word", "hub.challenge": "1158201444"}
    assert whatsapp.greet(settings, asked) == "1158201444"
    wrong = [
        {"hub.verify_token": "other"}, {"hub.verify_token": ""}, {"hub.mode": "unsubscribe"}, {"hub.challenge": ""},
        {"hub.challenge": "<script>"}, {"hub.challenge": "1" * 500}, {"hub.verify_token": "ö\ud800"},
    ]  # fmt: skip
    for each in wrong:
        with pytest.raises(SignatureError):
            whatsapp.greet(settings, asked | each)
    with pytest.raises(SignatureError):
        whatsapp.greet(Settings(values={}, auth={}), asked | {"hub.verify_token": ""})


def test_what_was_said_decides_whether_a_word_is_news() -> None:
    said = [Entry.ISSUED, Entry.UNDELIVERED]
    assert [is_news(word, said) for word in ("failed", "delivered", "read", "sent")] == [False, True, True, False]
    assert [is_news(word, [*said, Entry.READ]) for word in ("failed", "delivered", "read")] == [False, False, False]
