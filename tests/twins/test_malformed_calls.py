"""Whatever a caller sends, a twin answers in its vendor's form; it never fails itself."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from hub.twins import hubspot, salesforce
from hub.twins.kit import Request, Twin, VirtualClock

PARTS = [
    [{"method": "GET", "url": url, "referenceId": "r", "body": body, "httpHeaders": headers}]
    for url in ("/services/data/v68.0/limits", "x", 1, "/services/data/v68.0/sobjects/Contact", "@{a.b}")
    for body in (None, 1, {"a": "@{r.id}"})
    for headers in (None, {"If-Match": 1})
]
VALUES: list[Any] = [
    *(None, 1, -1, 1.5, True, "", "x", "2026-01-01", "003xx0000000001AAA", [], {}, [1], [None], [{}], {"a": 1}),
    *([{"id": 1}], [{"id": "501", "properties": None}], [{"properties": {"email": 1}}], [{"attributes": None}]),
    *([{"attributes": {"type": 3}}], [{"attributes": {"type": "Contact"}, "LastName": 3}], {"LastName": {"x": 1}}),
    *PARTS,
]
KEYS = [
    "records",
    "ids",
    "fields",
    "inputs",
    "properties",
    "filterGroups",
    "sorts",
    "limit",
    "after",
    "associations",
    "primaryObjectId",
    "objectIdToMerge",
    "name",
    "options",
    "LastName",
    "Email",
    "Account",
    "query",
    "idProperty",
    "allOrNone",
    "compositeRequest",
]
ARGUMENTS = [
    "limit",
    "after",
    "ids",
    "fields",
    "properties",
    "start",
    "end",
    "q",
    "archived",
    "idProperty",
    "associations",
]
TEXTS = ("", "x", "1", "-1", "contacts", "SELECT Id FROM Contact", "2026-11-01T00:00:00Z", "email", "true", "a,b")
SALESFORCE = [
    f"/services/data/v68.0/{path}"
    for path in [
        "limits",
        "sobjects",
        "query",
        "queryAll",
        "query/x-1",
        "composite",
        "composite/sobjects",
        "composite/sobjects/Contact",
        "composite/sobjects/Nope",
        "composite/sobjects/Contact/Hub_Id__c",
        "sobjects/Contact",
        "sobjects/Contact/describe",
        "sobjects/Contact/deleted",
        "sobjects/Contact/updated",
        "sobjects/Contact/003xx0000000001AAA",
        "sobjects/Nope/1",
        "sobjects/Contact/Hub_Id__c/1",
        "sobjects/Contact/Nope/1",
    ]
]
HUBSPOT = [
    f"/crm/v3/{path}"
    for path in [
        "objects/contacts",
        "objects/nope",
        "objects/contacts/search",
        "objects/contacts/merge",
        "objects/contacts/batch/read",
        "objects/contacts/batch/create",
        "objects/contacts/batch/update",
        "objects/contacts/batch/upsert",
        "objects/contacts/501",
        "objects/contacts/batch/archive",
        "objects/contacts/501/associations/default/companies/9001",
        "owners",
        "owners/1",
        "objects/contacts/501/associations/companies",
        "objects/contacts/501/associations/companies/9001",
        "pipelines/x",
        "associations/contacts/companies/batch/read",
        "associations/contacts/companies/batch/associate/default",
        "associations/contacts/companies/batch/archive",
        "properties/contacts",
        "properties/contacts/email",
    ]
]


def body_of(rng: random.Random) -> bytes:
    chance = rng.random()
    if chance < 0.05:
        return b"{bad"
    if chance < 0.15:
        return orjson.dumps(rng.choice(VALUES))
    return orjson.dumps({key: rng.choice(VALUES) for key in rng.sample(KEYS, rng.randrange(5))})


@pytest.mark.parametrize(("make", "paths"), [(salesforce.make, SALESFORCE), (hubspot.make, HUBSPOT)])
def test_a_malformed_call_is_refused_and_harms_nothing(make: Any, paths: list[str]) -> None:
    twin: Twin = make(clock=VirtualClock(), auto_hooks=False, limit_scale=0)
    email = {"salesforce": "Email", "hubspot": "email"}[twin.name]
    name = {"salesforce": "LastName", "hubspot": "lastname"}[twin.name]
    twin.user_create("contacts", {email: "a@example.org", name: "Byron"})
    rng = random.Random(11)
    for _ in range(4000):
        request = Request(
            method=rng.choice(("GET", "POST", "PATCH", "DELETE", "PUT")),
            path=rng.choice(paths),
            query={key: [rng.choice(TEXTS)] for key in rng.sample(ARGUMENTS, rng.randrange(3))},
            headers={"authorization": "Bearer twin-token"},
            body=body_of(rng),
        )
        answer = twin.handle(request)
        assert answer.status in (200, 201, 204, 207, 300, 304, 400, 403, 404, 405, 409, 412), request
        assert answer.status == 204 or answer.body, request
    assert twin.counts()["calls"] == 4000
