"""Rewards that are messages: by a real mail server, and by Twilio and WhatsApp over real HTTP, each sent once."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from connectors import mail, twilio, whatsapp
from hub.app.context import Connection
from hub.app.reward_book import confirm, decline
from hub.app.reward_orders import change_of, issue_due
from hub.app.reward_providers import desk_of
from hub.connector import Connector, Settings
from hub.errors import ConfigFault, RetryLater, SignInExpired
from hub.model import Json
from hub.runtime.mail import open_mail
from hub.runtime.qr import qr_png
from hub.twins.kit import VirtualClock as TwinClock
from hub.twins.twilio import ACCOUNT, TwinTwilio
from hub.twins.twilio import CONNECTION as TWILIO
from hub.twins.whatsapp import CONNECTION as WHATSAPP
from hub.twins.whatsapp import TwinWhatsapp
from tests.connectors.doors import Desk, change, desk
from tests.reward_world import RULES, START, World

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # our server speaks in the open, on this machine
HAS_QR = importlib.util.find_spec("segno") is not None
PHONE = "+4915112345678"
TEMPLATES: Json = {"thanks": {"subject": "Thank you, {name}", "text": "{amount} {currency} for you:\n.{link}"}}


def world_of(connection: str) -> World:
    return World(rules=RULES.replace('connection: plum, product: "5671"', f"connection: {connection}, product: thanks"))


def connected(world: World, name: str, connector: Connector, api: Any, settings: Settings, **more: Any) -> None:
    world.hub.connections[name] = Connection(
        name=name, connector=connector, api=api, settings=settings, mode="live", mappings={},
        streams={stream.name: stream for stream in connector.streams}, **more,
    )  # fmt: skip


# --- e-mail ----------------------------------------------------------------------------------------------------------


class Post:
    """What a mail server does with what it is handed."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.answers: dict[str, str] = {}  # step -> what it says instead
        self.hang_up = False

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if "rcpt" in self.answers:
            return self.answers["rcpt"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if "data" in self.answers:
            return self.answers["data"]
        self.letters.append(envelope)
        if self.hang_up:
            server.transport.abort()
        return "250 OK"

    def read(self) -> list[EmailMessage]:
        return [message_from_bytes(each.content, policy=policy.default) for each in self.letters]


def lets_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"hub", b"right-password")
    return AuthResult(success=good, handled=False)


@contextmanager
def mail_server(**options: Any) -> Iterator[tuple[Post, int]]:
    post = Post()
    controller = Controller(post, hostname="127.0.0.1", port=0, **options)
    controller.port = free_port()
    controller.start()
    try:
        yield post, controller.port
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mail_settings(at: int, *, password: str = "right-password", kind: str = "basic", **values: Json) -> Settings:
    given = {
        "host": "127.0.0.1", "port": at, "security": "none", "sender": "Acme <thanks@acme.example>",
        "link": "https://acme.example/claim/{reference}", "templates": TEMPLATES, **values,
    }  # fmt: skip
    auth = {"kind": kind, **({"username": "hub", "password": password} if kind == "basic" else {})}
    return Settings(values=given, auth=auth, local=True)


def mail_api(world: World, settings: Settings) -> mail.MailApi:
    door = open_mail(mail.CONNECTOR, settings, account="mail", clock=world.clock)
    api = mail.connect(door, settings)
    connected(world, "mail", mail.CONNECTOR, api, settings, longest_write_s=door.longest_write_s)
    return api


@pytest.fixture
def mailing() -> Iterator[tuple[World, Post]]:
    """A hub that owes one mail, and a mail server that asks for a password."""
    with mail_server(auth_required=True, auth_require_tls=False, authenticator=lets_in) as (post, port):
        world = world_of("mail")
        mail_api(world, mail_settings(port))
        world.customer("ann", name="Ann <b>")
        world.order("o1", "ann")
        yield world, post
        world.store.close()


def issue(world: World, connection: str = "mail") -> dict[str, int]:
    return dict(issue_due(world.hub, connection, run_id=None))


def test_a_reward_is_a_mail_once(mailing: tuple[World, Post]) -> None:
    world, post = mailing
    assert issue(world) == {"rewards_issued": 1}
    assert issue(world) == {}
    (letter,), (grant,) = post.read(), world.grants()
    link = f"https://acme.example/claim/{grant.reference}"
    assert (letter["To"], letter["From"], letter["Subject"]) == (
        "ann@example.com", "Acme <thanks@acme.example>", "Thank you, Ann <b>",
    )  # fmt: skip
    assert (letter["Message-ID"], letter["Auto-Submitted"]) == (f"<{grant.reference}@acme.example>", "auto-generated")
    assert letter.get_content().split() == ["25", "EUR", "for", "you:", f".{link}"], "a dot at a line's start stays one"
    assert (grant.state, grant.order_id) == ("issued", f"{grant.reference}@acme.example")
    assert world.money() == (0, 2500)


def test_a_lost_answer_is_never_sent_again_by_a_machine(mailing: tuple[World, Post]) -> None:
    world, post = mailing
    post.hang_up = True
    assert issue(world) == {"rewards_unknown": 1}
    assert len(post.letters) == 1, "the server had it"
    for _ in range(3):
        world.clock.advance(4000)
        issue(world)
    (grant,) = world.grants()
    assert (grant.state, len(post.letters)) == ("needs_person", 1)
    assert grant.detail.startswith("RWD-UNKNOWN")
    confirm(world.hub, grant.id, "ann", order_id="seen")
    assert world.grant_states() == ["issued"]


@pytest.mark.parametrize(
    ("step", "said", "state"),
    [("rcpt", "451 later", "reserved"), ("data", "452 full", "reserved"), ("rcpt", "550 5.1.1 nobody", "rejected"),
     ("data", "554 spam", "rejected")],
)  # fmt: skip
def test_what_the_server_says_no_to_was_not_sent(mailing: tuple[World, Post], step: str, said: str, state: str) -> None:
    world, post = mailing
    post.answers[step] = said
    issue(world)
    assert (world.grant_states(), post.letters) == ([state], [])
    post.answers.clear()
    world.clock.advance(4000)
    issue(world)
    assert world.grant_states() == ["issued" if state == "reserved" else "rejected"]
    assert len(post.letters) == (1 if state == "reserved" else 0)


def test_a_server_that_is_away_is_tried_again_and_a_wrong_password_told() -> None:
    world = world_of("mail")
    mail_api(world, mail_settings(free_port()))
    world.customer("ann")
    world.order("o1", "ann")
    assert issue(world) == {"rewards_throttled": 1}
    with mail_server(auth_required=True, auth_require_tls=False, authenticator=lets_in) as (_, port):
        api = mail_api(world, mail_settings(port, password="wrong-password"))
        with pytest.raises(SignInExpired):
            mail.check(api)
        world.clock.advance(4000)
        with pytest.raises(SignInExpired):
            issue(world)
        assert world.grant_states() == ["reserved"]
    world.store.close()


def test_a_server_that_cannot_encrypt_gets_nothing() -> None:
    world = world_of("mail")
    with mail_server() as (post, port):
        api = mail_api(world, mail_settings(port, kind="none", security="starttls"))
        with pytest.raises(ConfigFault, match="NET-HOST"):
            mail.check(api)
        api = mail_api(world, mail_settings(port, kind="none", security="tls"))
        with pytest.raises(RetryLater, match="MAIL-LATER"):
            mail.check(api)
        assert post.letters == []
    world.store.close()


@pytest.mark.parametrize("values", [
    {"security": "open"}, {"port": "smtp"}, {"port": 0}, {"host": "a b"}, {"host": ""}, {"sender": "nobody"},
    {"templates": {}}, {"templates": {"a": 7}}, {"templates": {"a": {"subject": "x"}}},
    {"templates": {"a": {"text": "{secret}"}}}, {"templates": {"a": {"text": "{link}"}}, "link": ""},
    {"templates": {"a": {"text": "{name.__class__}"}}}, {"link": "http://acme.example/{reference}"},
    {"link": "https://acme.example/"}, {"templates": {"a": {"text": "x", "colour": "red"}}},
])  # fmt: skip
def test_settings_that_cannot_be_are_told(values: dict[str, Json]) -> None:
    world = world_of("mail")
    with pytest.raises(ConfigFault, match=r"MAIL-|DLV-"):
        mail_api(world, mail_settings(25, **values))
    with pytest.raises(ConfigFault, match="in the open"):
        mail_api(world, replace(mail_settings(25), local=False))
    world.store.close()


@pytest.mark.parametrize("email", ["a@b.example\r\nBcc: x@y.example", "a b@c.example", "<a@b.example>", ""])
def test_no_address_smuggles_anything_in(mailing: tuple[World, Post], email: str) -> None:
    world, post = mailing
    body = {"productId": "thanks", "denomination": 25, "email": email, "tag": "big_order"}
    found = mail.push(world.hub.connections["mail"].api, "orders", [change("create", body, reference="r1")])
    assert [each.outcome for each in found] == ["rejected"]
    assert post.letters == []


def test_only_an_order_of_a_template_that_is_there_is_a_message(mailing: tuple[World, Post]) -> None:
    world, _ = mailing
    api = world.hub.connections["mail"].api
    body = {"productId": "thanks", "email": "a@b.example"}
    wrong = [
        ("orders", change("create", body | {"productId": "other"}, reference="r")), ("orders", change("create", body)),
        ("orders", change("delete", body, "1", reference="r")), ("templates", change("create", body, reference="r")),
    ]  # fmt: skip
    found = [mail.push(api, stream, [each])[0].code for stream, each in wrong]
    assert found == ["DLV-NO-TEMPLATE", "DLV-NO-REFERENCE", "DLV-OP", "DLV-OP"]


@pytest.mark.skipif(not HAS_QR, reason="segno is not installed")
def test_the_claim_link_is_in_the_picture_and_markup_is_escaped(mailing: tuple[World, Post]) -> None:
    world, post = mailing
    port = world.hub.connections["mail"].settings.values["port"]
    told = {"thanks": {"subject": "Hi", "text": "Dear {name}\n{link}", "qr": True}}
    mail_api(world, mail_settings(port, templates=told))
    issue(world)
    (letter,), (grant,) = post.read(), world.grants()
    html = letter.get_body(("html",))
    assert html is not None
    assert "Dear Ann &lt;b&gt;" in html.get_content()
    (picture,) = [part for part in letter.walk() if part.get_content_type() == "image/png"]
    assert picture["Content-ID"] == "<qr>"
    assert picture.get_content() == qr_png(f"https://acme.example/claim/{grant.reference}")


@pytest.mark.skipif(HAS_QR, reason="segno is installed")
def test_a_qr_code_without_segno_is_told_at_the_start() -> None:
    world = world_of("mail")
    with pytest.raises(ConfigFault, match="DLV-QR"):
        mail_api(world, mail_settings(25, templates={"a": {"text": "{link}", "qr": True}}))
    world.store.close()


# --- by telephone ----------------------------------------------------------------------------------------------------

CHANNELS: dict[str, tuple[Connector, Any, dict[str, Any]]] = {
    "twilio": (twilio.CONNECTOR, TwinTwilio, TWILIO), "whatsapp": (whatsapp.CONNECTOR, TwinWhatsapp, WHATSAPP),
}  # fmt: skip


@contextmanager
def calling(name: str, *, phone: str | None = PHONE, **options: Any) -> Iterator[tuple[World, Desk]]:
    """A hub that owes one message, and who sends it."""
    connector, make, told = CHANNELS[name]
    own = {key: options.pop(key) for key in ("values",) if key in options}
    world = world_of(name)
    values = {**told["settings"], **own.get("values", {})}
    twin = make(clock=TwinClock(START), auto_hooks=False, **options)
    with desk(connector, twin, clock=world.clock, auth=told["auth"], values=values) as made:
        connected(world, name, connector, made.api, made.settings)
        world.customer("ann", phone=phone)
        world.order("o1", "ann")
        yield world, made
    world.store.close()


def sent(made: Desk) -> list[dict[str, Json]]:
    return [row["fields"] for row in made.twin.snapshot("messages").values()]


def test_a_reward_is_a_text_message() -> None:
    with calling("twilio") as (world, made):
        assert issue(world, "twilio") == {"rewards_issued": 1}
        (grant,) = world.grants()
        link = f"https://shop.example/claim/{grant.reference}"
        assert sent(made) == [{"To": PHONE, "From": "+15005550006", "Body": f"25 EUR for you, ann: {link}"}]
        assert grant.order_id == "SM" + "1".zfill(32)
        assert made.connector.check(made.api)["account"] == ACCOUNT


def test_twilio_sends_approved_templates_to_whatsapp_by_a_service() -> None:
    templates = {"thanks": {"remote": "HX1", "parameters": ["{name}", "{link}"]}}
    values = {"channel": "whatsapp", "sender": "MG1", "templates": templates}
    with calling("twilio", values=values) as (world, made):
        issue(world, "twilio")
        (message,) = sent(made)
        assert (message["To"], message["MessagingServiceSid"], message["ContentSid"]) == (
            f"whatsapp:{PHONE}",
            "MG1",
            "HX1",
        )
        assert message["ContentVariables"].startswith('{"1":"ann","2":"https://shop.example/claim/')


def test_a_reward_is_a_whatsapp_template() -> None:
    with calling("whatsapp") as (world, made):
        assert issue(world, "whatsapp") == {"rewards_issued": 1}
        (message,), (grant,) = sent(made), world.grants()
        slots = [slot["text"] for slot in message["template"]["components"][0]["parameters"]]
        assert slots == ["ann", f"https://shop.example/claim/{grant.reference}"]
        assert (message["to"], message["biz_opaque_callback_data"]) == (PHONE[1:], grant.reference)
        assert made.connector.check(made.api)["name"] == "Twin"


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize(
    "fault", ["error_before", "error_after", "timeout_before", "timeout_after", "cut", "html", "lands_late", "throttle"]
)
def test_at_most_one_message_whatever_happens_to_the_call(name: str, fault: str) -> None:
    with calling(name) as (world, made):
        made.twin.set_faults(script=[{"match": "POST", "fault": fault}])
        first = issue(world, name)
        for _ in range(4):
            made.advance(400)
            issue(world, name)
        (grant,) = world.grants()
        if fault == "throttle":
            assert (first, grant.state, len(sent(made))) == ({"rewards_throttled": 1}, "issued", 1)
        else:
            assert (first, grant.state) == ({"rewards_unknown": 1}, "needs_person")
            assert len(sent(made)) <= 1
            decline(world.hub, grant.id, "ann", note="called and asked")
            assert world.money() == (0, 0)


@pytest.mark.parametrize("name", CHANNELS)
def test_who_has_no_number_gets_none_and_it_is_told(name: str) -> None:
    with calling(name, phone=None) as (world, made):
        assert issue(world, name) == {"rewards_rejected": 1}
        assert world.grants()[0].detail.startswith("DLV-PHONE")
        assert (sent(made), world.money()) == ([], (0, 0))


def test_a_refusal_is_told_by_its_code_and_not_with_the_number() -> None:
    with calling("twilio", opted_out=(PHONE,)) as (world, _):
        assert issue(world, "twilio") == {"rewards_rejected": 1}
        assert world.grants()[0].detail == "TWILIO-21610: Twilio refuses the message"
    with calling("whatsapp", templates={"reward_ready": 3}) as (world, _):
        assert issue(world, "whatsapp") == {"rewards_rejected": 1}
        assert world.grants()[0].detail == "WA-132000: WhatsApp refuses the message"


@pytest.mark.parametrize("name", CHANNELS)
def test_a_refused_sign_in_stops_the_connection_and_keeps_the_reward(name: str) -> None:
    with calling(name) as (world, made):
        made.twin.settings["token"] = "another"
        made.twin.tokens.fixed.clear()
        with pytest.raises(SignInExpired):
            issue(world, name)
        assert world.grant_states() == ["reserved"]


@pytest.mark.parametrize(("name", "values"), [
    ("twilio", {"account": "x"}), ("twilio", {"sender": "me"}), ("twilio", {"channel": "fax"}),
    ("twilio", {"templates": {"a": {"subject": "x"}}}), ("whatsapp", {"sender": "+49"}),
    ("whatsapp", {"version": "23"}), ("whatsapp", {"templates": {"a": {"text": "x"}}}),
])  # fmt: skip
def test_settings_of_a_channel_that_cannot_be_are_told(name: str, values: dict[str, Json]) -> None:
    connector, _, told = CHANNELS[name]
    with pytest.raises(ConfigFault, match="DLV-"):
        connector.connect(None, Settings(values={**told["settings"], **values}, auth={}))


def test_the_same_order_is_the_same_message(mailing: tuple[World, Post]) -> None:
    world, _ = mailing
    (grant,) = world.grants()
    api = world.hub.connections["mail"].api
    sent = desk_of(world.hub, world.hub.connections["mail"])
    assert sent is not None
    first, again = (mail.message_of(api, api.templates["thanks"], change_of(sent, grant)).as_bytes() for _ in range(2))
    assert first == again
