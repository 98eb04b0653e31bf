"""HubSpot twin: webhooks and their signatures."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hubspot.utils.signature import Signature

from hub.twins.hubspot import TwinHubSpot, make, sign_v3
from tests.twins.hubspot.door import contact

# --- webhooks ----------------------------------------------------------------------------------------------------

SECRET = "hub-test-secret"


@pytest.mark.parametrize(
    ("url", "body", "stamp", "expected"),
    [
        (
            "https://hub.example.com/hooks/hubspot",
            b'[{"eventId":1,"objectId":501,"subscriptionType":"contact.creation"}]',
            "1790000001000",
            "/9L462MMYN2gdVCr9Eo+X7v6nR8LDHn+dJUupR2CACY=",
        ),
        (
            "https://hub.example.com/hooks/hubspot?src=crm%3Aeu",
            (
                b'[{"eventId":2,"subscriptionType":"contact.propertyChange","portalId":62515,"objectId":501,'
                b'"propertyName":"email","propertyValue":"ada@example.org"}]'
            ),
            "1793606400000",
            "yH1ADgf3EZB6zwgPdAy1l7TGrs6LEH5w1sheLgPxbeM=",
        ),
        (
            "https://hub.example.com/hooks/hubspot",
            (
                b'[{"eventId":100,"subscriptionId":12,"portalId":62515,"appId":54321,"occurredAt":1793606399000,'
                b'"subscriptionType":"contact.propertyChange","attemptNumber":0,"objectId":501,"propertyName":"email",'
                b'"propertyValue":"ada@example.org","changeSource":"CRM_UI","sourceId":"userId:9"}]'
            ),
            "1793606400000",
            "avfVurCh1MTN/5qyo/u0qRwMhqEbxl6xc/okk1GudQA=",
        ),
    ],
)
def test_signatures_match_the_fact_sheets_vectors(url: str, body: bytes, stamp: str, expected: str) -> None:
    assert sign_v3(SECRET, "POST", url, body, stamp) == expected


def test_a_delivery_is_signed_so_that_the_sdk_accepts_it(receiver: Any) -> None:
    twin = make(auto_hooks=False)  # the SDK compares with the machine's clock
    twin.set_webhook(receiver.url, SECRET)
    twin.user_create("contacts", {"email": "ada@example.org"}, by="user:9")
    twin.drain_hooks()
    headers, body = receiver.headers[0], receiver.bodies[0].decode()
    assert Signature.is_valid(
        signature=headers["X-HubSpot-Signature-v3"],
        client_secret=SECRET,
        request_body=body,
        http_uri=receiver.url,
        http_method="POST",
        signature_version="v3",
        timestamp=headers["X-HubSpot-Request-Timestamp"],
    )
    assert Signature.is_valid(
        signature=headers["X-HubSpot-Signature"], client_secret=SECRET, request_body=body, signature_version="v1"
    )


def test_events_tell_what_changed_and_by_whom(twin: TwinHubSpot, receiver: Any) -> None:
    twin.load("contacts", [contact(1)])
    twin.set_webhook(receiver.url, SECRET, signed_url="https://hub.example.com/hooks/hubspot")
    twin.user_edit("contacts", "1001", {"email": "New@example.org", "website": "x"}, by="user:9")
    twin.user_delete("contacts", "1001")
    assert len(twin.drain_hooks()) == 1
    first, second = orjson.loads(receiver.bodies[0])
    assert {key: value for key, value in first.items() if key != "subscriptionId"} == {
        "eventId": 101,
        "portalId": 62515,
        "appId": 54321,
        "occurredAt": 1793606400123,
        "subscriptionType": "contact.propertyChange",
        "attemptNumber": 0,
        "objectId": 1001,
        "propertyName": "email",
        "propertyValue": "new@example.org",
        "changeSource": "CRM_UI",
        "sourceId": "userId:9",
    }
    assert (second["subscriptionType"], second["objectId"]) == ("contact.deletion", 1001)
    stamp = receiver.headers[0]["X-HubSpot-Request-Timestamp"]
    assert receiver.headers[0]["X-HubSpot-Signature-v3"] == sign_v3(
        SECRET, "POST", "https://hub.example.com/hooks/hubspot", receiver.bodies[0], stamp
    )


def test_merges_and_associations_have_their_own_events(twin: TwinHubSpot, family: None, receiver: Any) -> None:
    twin.set_webhook(receiver.url, SECRET)
    twin.user_action("associate", stream="contacts", record_id="1001", target="companies", other_id="9001")
    survivor = twin.user_merge("contacts", "1001", "1002")
    twin.drain_hooks()
    linked, merged = orjson.loads(receiver.bodies[0])
    assert (linked["subscriptionType"], linked["associationType"]) == (
        "contact.associationChange",
        "CONTACT_TO_COMPANY",
    )
    assert (linked["fromObjectId"], linked["toObjectId"], linked["isPrimaryAssociation"]) == (1001, 9001, True)
    assert merged["subscriptionType"] == "contact.merge"
    assert (merged["primaryObjectId"], merged["mergedObjectIds"], merged["newObjectId"]) == (
        1001,
        [1002],
        int(survivor),
    )


def test_at_most_100_events_travel_together(twin: TwinHubSpot, receiver: Any) -> None:
    twin.set_webhook(receiver.url, SECRET, topics=["contact.creation"])
    for number in range(120):
        twin.user_create("contacts", {"email": f"n{number}@example.org"})
    twin.drain_hooks()
    assert [len(orjson.loads(body)) for body in receiver.bodies] == [100, 20]


def test_a_refused_delivery_is_tried_ten_times_more_and_freshly_signed(twin: TwinHubSpot, receiver: Any) -> None:
    receiver.default = (500, b"")
    twin.set_webhook(receiver.url, SECRET)
    twin.user_create("contacts", {"firstname": "Ada"})
    assert [attempt["attempt"] for attempt in twin.drain_hooks()] == list(range(11))
    numbers = [orjson.loads(body)[0]["attemptNumber"] for body in receiver.bodies]
    assert numbers == list(range(11))
    assert len({headers["X-HubSpot-Signature-v3"] for headers in receiver.headers}) == 11
