"""Answers of Salesforce and HubSpot that no twin gives by itself: rows missing, out of order, named twice, locked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import responses

from connectors.hubspot import CONNECTOR as HUBSPOT
from connectors.salesforce import CONNECTOR as SALESFORCE
from hub.connector import Connector, Settings
from hub.errors import ConfigFault, NeedsReview, QuotaUsedUp, RetryLater
from hub.model import Json, PushResult
from hub.twins.salesforce import TwinSalesforce
from hub.verify.certify.stand import Stuck
from tests.connectors.doors import NOW, change, desk, door_to, twin_clock

ORG = "https://acme.my.salesforce.com"
DATA = f"{ORG}/services/data/v68.0"
PORTAL = "https://api.hubapi.com"
TOKEN = {"kind": "token", "token": "t"}
STREAMS = {"contacts": {"fields": ["LastName"]}}


def api_of(connector: Connector, base_url: str, streams: Any = STREAMS) -> Any:
    settings = Settings(values={"domain": "acme.my"}, auth=TOKEN, streams=streams)
    made = connector.connect(door_to(connector, base_url, settings), settings)
    if connector is SALESFORCE:
        made.me = "005xx0000000000AAA"  # who we are was asked before
    return made


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def contact(number: int, stamp: str = "2026-11-02T08:00:00.000+0000") -> dict[str, Json]:
    return {
        "attributes": {"type": "Contact", "url": "/x"},
        "Id": f"003xx000000000{number}AAA",
        "LastName": f"L{number}",
        "SystemModstamp": stamp,
        "IsDeleted": False,
        "LastModifiedById": "005xx0000000000AAA",
    }


def composite(*parts: tuple[int, Json]) -> dict[str, Json]:
    names = [f"w{number}" for number in range(len(parts) - 1)] + ["held"]
    return {
        "compositeResponse": [
            {"body": body, "httpHeaders": {}, "httpStatusCode": status, "referenceId": name}
            for name, (status, body) in zip(names, parts, strict=True)
        ]
    }


def creates(count: int) -> list[Any]:
    return [change("create", {"LastName": f"L{n}"}, reference=f"acme:{n}") for n in range(count)]


def outcomes(results: Any) -> list[tuple[int, str, str]]:
    found: list[PushResult] = list(results)
    return [(result.index, result.outcome, result.code) for result in found]


# Salesforce


def test_salesforce_rows_out_of_order_move_no_cursor(wire: responses.RequestsMock) -> None:
    rows = [contact(1, "2026-11-02T08:00:05.000+0000"), contact(2, "2026-11-02T08:00:00.000+0000")]
    wire.get(f"{DATA}/queryAll/", json={"totalSize": 2, "done": True, "records": rows})
    with pytest.raises(NeedsReview) as caught:
        SALESFORCE.pull(api_of(SALESFORCE, ORG), "contacts", None)
    assert caught.value.code == "PAGE-ORDER"


def test_a_salesforce_org_that_repeats_its_page_is_found_out() -> None:
    twin = TwinSalesforce(clock=twin_clock(), auto_hooks=False)
    rows = [{"fields": {"LastName": f"L{n}"}, "created": NOW - 9000.0 + n} for n in range(2001)]
    twin.load("contacts", rows)
    with (
        desk(SALESFORCE, Stuck(twin, lambda body: body), streams=STREAMS) as org,  # type: ignore[arg-type]
        pytest.raises(NeedsReview) as caught,
    ):
        org.pull_all("contacts")
    assert caught.value.code == "PAGE-LOOP"


def test_a_salesforce_row_without_stamp_is_a_fault_and_the_listing_not_complete(wire: responses.RequestsMock) -> None:
    rows = [contact(1), {**contact(2), "SystemModstamp": None}, contact(3)]
    wire.get(f"{DATA}/queryAll/", json={"totalSize": 3, "done": True, "records": rows})
    page = SALESFORCE.pull(api_of(SALESFORCE, ORG), "contacts", None)
    assert [record.external_id for record in page.records] == ["003xx0000000001AAA", "003xx0000000003AAA"]
    assert [fault["external_id"] for fault in page.faults] == ["003xx0000000002AAA"]
    assert not page.listing_complete


def test_a_salesforce_answer_that_lacks_a_row_leaves_that_row_unknown(wire: responses.RequestsMock) -> None:
    first = {"id": "003xx0000000001", "success": True, "errors": [], "created": True}
    held = {"totalSize": 1, "done": True, "records": [contact(1)]}
    wire.post(f"{DATA}/composite", json=composite((200, [first]), (200, held)))
    assert SALESFORCE.push is not None
    results = SALESFORCE.push(api_of(SALESFORCE, ORG), "contacts", creates(2))
    assert outcomes(results) == [(0, "applied", ""), (1, "unknown", "SF-NO-ROW")]
    assert results[0].external_id == "003xx0000000001AAA"
    assert results[0].held is not None


def test_a_salesforce_reading_back_that_fails_leaves_the_write_applied_and_unread(wire: responses.RequestsMock) -> None:
    row = {"id": "003xx0000000001AAA", "success": True, "errors": [], "created": True}
    failed = [{"errorCode": "QUERY_TIMEOUT", "message": ""}]
    wire.post(f"{DATA}/composite", json=composite((200, [row]), (400, failed)))
    assert SALESFORCE.push is not None
    (result,) = SALESFORCE.push(api_of(SALESFORCE, ORG), "contacts", creates(1))
    assert (result.outcome, result.held) == ("applied", None)


def test_a_taken_unique_value_names_the_record_with_its_long_id(wire: responses.RequestsMock) -> None:
    message = "duplicate value found: Email__c duplicates value on record with id: 003xx0000000001"
    row = {"success": False, "errors": [{"statusCode": "DUPLICATE_VALUE", "message": message, "fields": []}]}
    wire.post(f"{DATA}/composite", json=composite((200, [row]), (200, {"records": []})))
    assert SALESFORCE.push is not None
    (result,) = SALESFORCE.push(api_of(SALESFORCE, ORG), "contacts", creates(1))
    assert (result.outcome, result.existing_id) == ("duplicate", "003xx0000000001AAA")


def test_a_whole_subrequest_refused_refuses_its_rows_only(wire: responses.RequestsMock) -> None:
    refused = [{"errorCode": "INVALID_FIELD", "message": "No such column 'Foo__c'", "fields": []}]
    row = {"id": "003xx0000000001AAA", "success": True, "errors": []}
    wire.post(f"{DATA}/composite", json=composite((400, refused), (200, [row]), (200, {"records": []})))
    assert SALESFORCE.push is not None
    changes = [*creates(1), change("delete", {}, "003xx0000000001AAA")]
    results = SALESFORCE.push(api_of(SALESFORCE, ORG), "contacts", changes)
    assert outcomes(results) == [(0, "rejected", "INVALID_FIELD"), (1, "applied", "")]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("TotalRequests Limit exceeded.", QuotaUsedUp),
        ("ConcurrentPerOrgLongTxn Limit exceeded.", RetryLater),
    ],
)
def test_a_limit_told_as_403_is_told_apart(wire: responses.RequestsMock, message: str, error: type[Exception]) -> None:
    wire.get(f"{DATA}/queryAll/", status=403, json=[{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": message}])
    with pytest.raises(error) as caught:
        SALESFORCE.pull(api_of(SALESFORCE, ORG), "contacts", None)
    assert type(caught.value) is error


def test_a_query_too_long_for_a_url_travels_in_a_body(wire: responses.RequestsMock) -> None:
    body = {"totalSize": 1, "done": True, "records": [contact(1)]}
    wire.post(f"{DATA}/composite", json=composite((200, body)))
    many = [f"A_rather_long_name_of_a_custom_field_{n:03}__c" for n in range(300)]
    page = SALESFORCE.pull(api_of(SALESFORCE, ORG, {"contacts": {"fields": many}}), "contacts", None)
    assert len(page.records) == 1
    sent = json.loads(wire.calls[0].request.body or "{}")["compositeRequest"][0]
    assert sent["method"] == "GET"
    assert len(sent["url"]) > 12_000


def test_salesforce_goes_to_its_own_hosts_only() -> None:
    settings = Settings(values={"domain": "acme.my"}, auth=TOKEN)
    assert door_to(SALESFORCE, "", settings).base_url == ORG
    with pytest.raises(ConfigFault):
        door_to(SALESFORCE, "https://my.salesforce.com.evil.example", settings)


# HubSpot


def contact_row(number: int, **more: Json) -> dict[str, Json]:
    return {
        "id": str(number),
        "properties": {"email": f"p{number}@example.org"},
        "createdAt": "2026-11-02T08:00:00.000Z",
        "updatedAt": "2026-11-02T08:00:00.000Z",
        "archived": False,
        **more,
    }


def updates(*ids: str) -> list[Any]:
    return [change("update", {"firstname": "A"}, each) for each in ids]


def test_hubspot_results_out_of_order_and_one_missing(wire: responses.RequestsMock) -> None:
    answer = {"status": "COMPLETE", "results": [contact_row(503), contact_row(501)]}
    wire.post(f"{PORTAL}/crm/v3/objects/contacts/batch/update", status=207, json=answer)
    assert HUBSPOT.push is not None
    results = HUBSPOT.push(api_of(HUBSPOT, PORTAL), "contacts", updates("501", "502", "503"))
    assert outcomes(results) == [(0, "applied", ""), (1, "unknown", "HS-NO-ROW"), (2, "applied", "")]
    assert [result.external_id for result in results] == ["501", None, "503"]


def test_hubspot_creates_without_trace_ids_are_matched_by_the_hubs_id(wire: responses.RequestsMock) -> None:
    rows = [contact_row(502), contact_row(501)]
    for row, reference in zip(rows, ("acme:1", "acme:0"), strict=True):
        row["properties"]["hub_id"] = reference
    wire.post(f"{PORTAL}/crm/v3/objects/contacts/batch/create", status=201, json={"results": rows})
    assert HUBSPOT.push is not None
    results = HUBSPOT.push(api_of(HUBSPOT, PORTAL), "contacts", creates(2))
    assert [(result.index, result.external_id) for result in results] == [(0, "501"), (1, "502")]


def test_a_hubspot_lock_is_waited_for_two_seconds_by_the_caller(wire: responses.RequestsMock) -> None:
    wire.post(f"{PORTAL}/crm/v3/objects/contacts/batch/update", status=423, json={"category": "LOCKED"})
    assert HUBSPOT.push is not None
    (result,) = HUBSPOT.push(api_of(HUBSPOT, PORTAL), "contacts", updates("501"))
    assert (result.outcome, result.retry_after_s) == ("throttled", 2.0)
    assert len(wire.calls) == 1


def test_a_missing_scope_is_for_a_person_and_names_the_call(wire: responses.RequestsMock) -> None:
    wire.get(f"{PORTAL}/crm/v3/owners/", status=403, json={"category": "MISSING_SCOPES", "message": "x"})
    with pytest.raises(NeedsReview) as caught:
        HUBSPOT.pull(api_of(HUBSPOT, PORTAL), "owners", None)
    assert caught.value.code == "NET-FORBIDDEN"
    assert "MISSING_SCOPES" in str(caught.value)


def test_hubspot_pages_out_of_order_move_no_cursor(wire: responses.RequestsMock) -> None:
    rows = [contact_row(1), contact_row(2, updatedAt="2026-11-01T08:00:00.000Z")]
    wire.post(f"{PORTAL}/crm/v3/objects/contacts/search", json={"total": 2, "results": rows})
    at = {"mode": "search", "since": 0, "seen": [], "from": None, "swept": NOW}
    with pytest.raises(NeedsReview) as caught:
        HUBSPOT.pull(api_of(HUBSPOT, PORTAL), "contacts", at)
    assert caught.value.code == "PAGE-ORDER"


def test_a_changed_row_without_id_is_a_fault_and_the_search_goes_on(wire: responses.RequestsMock) -> None:
    bad = contact_row(2)
    del bad["id"]
    wire.post(f"{PORTAL}/crm/v3/objects/contacts/search", json={"total": 9, "results": [contact_row(1), bad]})
    at = {"mode": "search", "since": 0, "seen": [], "from": None, "swept": NOW}
    page = HUBSPOT.pull(api_of(HUBSPOT, PORTAL), "contacts", at)
    assert [record.external_id for record in page.records] == ["1"]
    assert len(page.faults) == 1
    assert (page.complete, page.next_cursor["seen"]) == (False, ["1"])


def test_a_primary_company_listed_under_two_types_is_one(wire: responses.RequestsMock) -> None:
    listed = [
        {"id": "9002", "type": "contact_to_company_unlabeled"},
        {"id": "9001", "type": "contact_to_company_unlabeled"},
        {"id": "9001", "type": "contact_to_company"},
    ]
    row = contact_row(501, associations={"companies": {"results": listed}})
    wire.get(f"{PORTAL}/crm/v3/objects/contacts", json={"results": [row]})
    streams = {"contacts": {"fields": ["email"], "associations": ["companies"]}}
    (record,) = HUBSPOT.pull(api_of(HUBSPOT, PORTAL, streams), "contacts", None).records
    assert [each["id"] for each in record.data["associations"]["companies"]["results"]] == ["9001", "9002"]


def test_hubspots_own_token_never_leaves_for_another_host() -> None:
    with pytest.raises(ConfigFault):
        api_of(HUBSPOT, "https://api.hubapi.com.evil.example")
