"""Bodies that no vendor sends, at the ears of every connector: refused with a code, or read as nothing, never a bug."""

from __future__ import annotations

import pytest

from hub.connector import WebhookEvent
from hub.errors import HubError
from hub.verify.certify.stand import Candidate, candidates, settings_for
from tests.connectors.doors import call_in

LISTENING = [each for each in candidates() if each.connector.parse is not None]
DEEP = b"[" * 100_000 + b"]" * 100_000
WORDS = b"""
    id data type object event events payload body resource resource_id resource_type topic store_id created_at action
    subscriptionType objectId portalId eventId changeSource occurredAt form_id formID submissionID rawRequest token
    form_response event_type contact contact_id customer customer_id order_id admin_graphql_api_id producer scope hash
    eventNotifications realmId dataChangeEvent entities name operation account lead_id page_uuid orderId poNumber email
    eventSchemaVersion eventInstanceOriginationDateTime eventData siteId clientId api_url config webhook date_created
    invitee uri created_by answers definition response invoice invoice_id live livemode api_version
""".split()
SCALARS = (
    b"null", b"true", b"0", b"-1", b"1e999", b"9" * 60, b'""', b'"x"', b'"\\ud800"', b"[]", b"{}", b"[null]", b"[[]]",
    b'{"":null}',
)  # fmt: skip


def _object(value: bytes) -> bytes:
    return b"{" + b",".join(b'"' + word + b'":' + value for word in WORDS) + b"}"


BODIES: list[bytes] = [
    b"", b" ", b"\0", b"\xff\xfe", b"<html>", b"a=b&c=d", b"{", b"[", b'{"a":', b"NaN", b"Infinity", b"9" * 6000, DEEP,
    b'{"a":' * 3000 + b"1" + b"}" * 3000, b"[]" * 2, b'\xef\xbb\xbf{"id":1}', "{\"id\":\"ä\"}".encode("latin-1"),
    b'{"id":1,"id":2}', b'--x\r\nContent-Disposition: form-data; name="rawRequest"\r\n\r\n{\r\n--x--',
    *SCALARS, *(b"[" + each + b"]" for each in SCALARS), *(_object(each) for each in SCALARS),
    *(b"[" + _object(each) + b"]" for each in SCALARS), *(_object(_object(each)) for each in SCALARS),
    *(b'[{"subscriptionType":"contact.merge","mergedObjectIds":' + each + b"}]" for each in SCALARS),
    *(b'{"data":{"object":' + _object(each) + b"}}" for each in SCALARS), _object(b'"' + b"x" * 100_000 + b'"'),
]  # fmt: skip
TYPES = ("application/json", "multipart/form-data; boundary=x")


@pytest.mark.parametrize("listener", LISTENING, ids=lambda each: each.connector.name)
def test_no_body_is_a_bug(listener: Candidate) -> None:
    connector, given = listener.connector, settings_for(listener, secret="s3cret-s3cret")
    assert connector.parse is not None
    refused = 0
    for body in BODIES:
        for content_type in TYPES:
            request = call_in(body, {"Content-Type": content_type})
            try:
                events = list(connector.parse(given, request))
            except HubError as error:
                refused += bool(error.code)
            else:
                assert all(isinstance(each, WebhookEvent) and _is_sound(each) for each in events), (body[:80], events)
            if connector.verify is not None:
                with pytest.raises(HubError):
                    connector.verify(given, request)
    assert refused > 20


def _is_sound(event: WebhookEvent) -> bool:
    """Texts where texts belong: what is stored and looked up next."""
    return all(isinstance(each, str) for each in (event.key, event.stream, event.external_id, event.kind))
