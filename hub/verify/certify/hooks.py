"""Webhooks: only the vendor is believed, each message once, and it names the record that changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hub.connector import WebhookRequest
from hub.errors import HubError, SignatureError
from hub.kit.contract import NotShown
from hub.model import Json
from hub.verify.certify import hands
from hub.verify.certify.reading import SECRET, URL, messages
from hub.verify.certify.stand import Stand

GARBAGE = (b"", b"{", b"[]", b"null", b'"text"', b"{}", b"\x00\xff", b'[{"a": 1}]', b"a=1&b=2", b"<html>")
DAY_S = 86_400.0
OTHERS = ("", "0" * 64, "A" * 43 + "=", "ä")


def signed(stand: Stand, secret: str = SECRET) -> tuple[Stand, WebhookRequest]:
    """A genuine message, and the connection that expects it. Raises NotShown where nothing is signed."""
    if stand.connector.parse is None:
        raise NotShown("the vendor sends no webhooks")
    if stand.connector.verify is None:
        raise NotShown("the vendor signs nothing; the secret address is all there is")
    return replace(stand, settings=_with_secrets(stand, secret=secret)), _genuine(stand, secret)


def _with_secrets(stand: Stand, **secrets: str) -> Json:
    return replace(stand.settings, webhooks=secrets)


def _genuine(stand: Stand, secret: str) -> WebhookRequest:
    """What the vendor sends when people work there."""
    stand.twin.set_webhook(URL, secret)
    if stand.connector.only_listens:  # whoever can only send says everything
        stand.twin.user_action("send_all")
    for stream in (facts.name for facts in stand.connector.streams):
        for work in (hands.remove, hands.add, hands.edit):
            _if_they_can(work, stand, stream)
    found = messages(stand)
    if not found:
        raise NotShown("nothing that people do here is told by webhook")
    return found[0]


def _if_they_can(work: Callable[[Stand, str], object], stand: Stand, stream: str) -> None:
    try:
        work(stand, stream)
    except NotShown:
        return


def _accepts(stand: Stand, request: WebhookRequest) -> bool:
    assert stand.connector.verify is not None
    try:
        stand.connector.verify(stand.settings, request)
    except SignatureError:
        return False
    return True


def check_genuine(stand: Stand) -> str:
    """A message as the vendor signs it is accepted."""
    hub, request = signed(stand)
    assert _accepts(hub, request), "a genuine message is refused"
    return ""


def check_unsigned(stand: Stand) -> str:
    """Without any signature: refused."""
    hub, request = signed(stand)
    assert not _accepts(hub, replace(request, headers={})), "accepted without any signature"
    return ""


def check_altered(stand: Stand) -> str:
    """One byte more than was signed: refused."""
    hub, request = signed(stand)
    assert not _accepts(hub, replace(request, body=request.body + b" ")), "accepted with another body"
    return ""


def check_forged(stand: Stand) -> str:
    """Empty, made up and strange signatures: refused, without a crash."""
    hub, request = signed(stand)
    for other in OTHERS:
        headers = {name: other if _is_signature(name) else value for name, value in request.headers.items()}
        assert headers != request.headers, "no header looks like a signature"
        assert not _accepts(hub, replace(request, headers=headers)), f"accepted with the signature {other!r}"
    return f"{len(OTHERS)} forgeries"


def _is_signature(header: str) -> bool:
    return "signature" in header or "hmac" in header


def check_other_secret(stand: Stand) -> str:
    """Signed with another secret: refused."""
    hub, request = signed(stand)
    other = replace(hub, settings=_with_secrets(hub, secret="another-secret"))
    assert not _accepts(other, request), "accepted although signed with another secret"
    return ""


def check_no_secret(stand: Stand) -> str:
    """Where no secret is set nothing is accepted: no secret never means no check."""
    hub, request = signed(stand)
    for secrets in ({}, {"secret": ""}):
        assert not _accepts(replace(hub, settings=_with_secrets(hub, **secrets)), request), "accepted without a secret"
    return ""


def check_two_secrets(stand: Stand) -> str:
    """While a secret is being replaced both are good, and none else."""
    hub, request = signed(stand)
    both = replace(hub, settings=_with_secrets(hub, secret="the-next-secret", secret_previous=SECRET))
    assert _accepts(both, request), "the previous secret is refused while it is still set"
    neither = replace(hub, settings=_with_secrets(hub, secret="the-next-secret", secret_previous="an-older-one"))
    assert not _accepts(neither, request), "accepted by a secret that is none"
    return ""


def check_old(stand: Stand) -> str:
    """Signed a day ago: refused, where the vendor signs the time."""
    hub, request = signed(stand)
    if _accepts(hub, replace(request, received_at=request.received_at + DAY_S)):
        raise NotShown("the vendor signs no time; a repeat is dropped by its key")
    return ""


def check_early(stand: Stand) -> str:
    """Signed in the future: refused, where the vendor signs the time."""
    hub, request = signed(stand)
    if _accepts(hub, replace(request, received_at=request.received_at + DAY_S)):
        raise NotShown("the vendor signs no time")
    assert not _accepts(hub, replace(request, received_at=request.received_at - DAY_S)), "accepted from the future"
    return ""


def check_replayed(stand: Stand) -> str:
    """The same message again has the same keys, another one others: so a repeat is dropped."""
    if stand.connector.parse is None:
        raise NotShown("the vendor sends no webhooks")
    request = _genuine(stand, SECRET)
    hub = replace(stand, settings=_with_secrets(stand, secret=SECRET))
    first, again = ([event.key for event in _parsed(hub, request)] for _ in range(2))
    assert first == again, "the same message again counts as another"
    assert all(first), "an event without a key"
    later = [event.key for each in messages(stand)[1:] for event in _parsed(hub, each) if each.body != request.body]
    assert not set(first) & set(later), "another message counts as the same"
    return f"{len(first)} events, {len(later)} others"


def _parsed(hub: Stand, request: WebhookRequest) -> list[Json]:
    assert hub.connector.parse is not None
    return list(hub.connector.parse(hub.settings, request))


def check_names_record(stand: Stand) -> str:
    """A message leads to the record that changed: a read by its id shows the change, or brings it whole."""
    if stand.connector.parse is None:
        raise NotShown("the vendor sends no webhooks")
    hub = replace(stand, settings=_with_secrets(stand, secret=SECRET))
    _genuine(stand, SECRET)
    events = [event for each in messages(stand) for event in _parsed(hub, each)]
    assert events, "messages, and nothing in them"
    known = {facts.name for facts in stand.connector.streams}
    assert {event.stream for event in events} <= known, "a message about a stream that is none"
    assert all(event.external_id for event in events), "a message about no record"
    whole = [event for event in events if event.record is not None]
    unread = [event for event in events if event.record is None]
    if stand.connector.fetch is None or not unread:
        assert not unread, "nothing can be read by id, and the message does not bring the record"
        return f"{len(whole)} records brought"
    event = next((each for each in unread if each.kind == "changed"), unread[0])
    found = stand.connector.fetch(stand.api, event.stream, [event.external_id])
    assert event.external_id in {each.external_id for each in found}, "the record it names cannot be read"
    return f"{len(events)} events of {', '.join(sorted({event.stream for event in events}))}"


def check_garbage(stand: Stand) -> str:
    """A body that is none of the vendor's is refused or says nothing; it never stops the endpoint."""
    if stand.connector.parse is None:
        raise NotShown("the vendor sends no webhooks")
    hub = replace(stand, settings=_with_secrets(stand, secret=SECRET))
    for body in GARBAGE:
        request = WebhookRequest(method="POST", url=URL, headers={"content-type": "application/json"}, body=body,
                                 received_at=stand.twin.now())  # fmt: skip
        try:
            events = _parsed(hub, request)
        except HubError:
            continue
        assert all(event.external_id for event in events), f"{body!r} is about a record without a name"
    return f"{len(GARBAGE)} bodies"
