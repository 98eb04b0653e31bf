"""Salesforce twin: deletions, merges, collections, composite calls, faults, outbound messages."""

from __future__ import annotations

from typing import Any

import pytest
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceGeneralError,
    SalesforceRefusedRequest,
)

from hub.twins.salesforce import TwinSalesforce
from hub.twins.salesforce_schema import make_id
from tests.twins.salesforce.door import DATA, Api, contact_row, error_of

# --- deletions, merges, conversion -------------------------------------------------------------------------------


def test_deleted_rows_show_only_to_query_all_and_the_log_of_deletions(sf: Any, twin: TwinSalesforce) -> None:
    gone = twin.user_create("contacts", {"LastName": "Gone"})
    twin.user_create("contacts", {"LastName": "Here"})
    twin.advance(60)
    twin.user_delete("contacts", gone)
    twin.advance(60)
    assert [r["LastName"] for r in sf.query("SELECT LastName FROM Contact")["records"]] == ["Here"]
    everyone = sf.query("SELECT LastName, IsDeleted FROM Contact ORDER BY LastName", include_deleted=True)["records"]
    assert [(r["LastName"], r["IsDeleted"]) for r in everyone] == [("Gone", True), ("Here", False)]
    window = "start=2026-11-02T07:00:00Z&end=2026-11-02T08:02:00%2B00:00"
    assert sf.restful(f"sobjects/Contact/deleted/?{window}") == {
        "deletedRecords": [{"id": gone, "deletedDate": "2026-11-02T08:01:00.000+0000"}],
        "earliestDateAvailable": "2026-10-18T08:02:00.000+0000",
        "latestDateCovered": "2026-11-02T08:02:00.000+0000",
    }
    assert len(sf.restful(f"sobjects/Contact/updated/?{window}")["ids"]) == 1


def test_an_emptied_bin_leaves_no_row_and_says_since_when_it_knows(api: Api, twin: TwinSalesforce) -> None:
    gone = twin.user_create("contacts", {"LastName": "Gone"})
    twin.user_delete("contacts", gone)
    twin.advance(100)
    assert twin.user_action("empty_bin", stream="contacts") == 1
    assert api.names("IsDeleted = true", "queryAll/") == []
    answer = api("GET", "sobjects/Contact/deleted/?start=2026-11-01T00:00:00Z&end=2026-11-02T09:00:00Z").json()
    assert (answer["deletedRecords"], answer["earliestDateAvailable"]) == ([], "2026-11-02T08:01:40.000+0000")
    fresh = twin.user_create("contacts", {"LastName": "New"})
    assert fresh != gone


def test_a_merge_leaves_a_pointer_to_the_survivor(api: Api, twin: TwinSalesforce) -> None:
    acme = twin.user_create("accounts", {"Name": "Acme"})
    acme_2 = twin.user_create("accounts", {"Name": "ACME GmbH", "Phone": "1"})
    contact = twin.user_create("contacts", {"LastName": "B", "AccountId": acme_2})
    twin.advance(5)
    twin.user_merge("accounts", acme, acme_2[:15])
    found = api.query(
        "SELECT Id, MasterRecordId FROM Account WHERE IsDeleted = true AND SystemModstamp >= 2026-11-02T08:00:05Z",
        "queryAll/",
    )["records"]
    assert [(row["Id"], row["MasterRecordId"]) for row in found] == [(acme_2, acme)]
    assert twin.snapshot("contacts")[contact]["fields"]["AccountId"] == acme
    assert twin.snapshot("accounts")[acme]["fields"]["Phone"] == "1"
    with pytest.raises(ValueError, match="cannot be merged"):
        twin.user_merge("opportunities", "x", "y")


def test_a_converted_lead_points_at_its_contact_and_is_closed_to_writes(api: Api, twin: TwinSalesforce) -> None:
    lead = twin.user_create(
        "leads", {"LastName": "Byron", "FirstName": "Ada", "Company": "Acme", "Email": "ada@example.org"}
    )
    made = twin.user_action("convert_lead", lead_id=lead, opportunity=True)
    row = api("GET", f"sobjects/Lead/{lead}").json()
    assert (row["IsConverted"], row["ConvertedDate"]) == (True, "2026-11-02")
    assert row["ConvertedContactId"] == made["ConvertedContactId"]
    contact = api("GET", f"sobjects/Contact/{made['ConvertedContactId']}").json()
    assert (contact["Name"], contact["Email"], contact["AccountId"]) == (
        "Ada Byron",
        "ada@example.org",
        made["ConvertedAccountId"],
    )
    assert api("GET", f"sobjects/Opportunity/{made['ConvertedOpportunityId']}").json()["StageName"] == "Prospecting"
    assert error_of(api("PATCH", f"sobjects/Lead/{lead}", {"Phone": "1"})) == (400, "CANNOT_UPDATE_CONVERTED_LEAD")


# --- collections and composite -----------------------------------------------------------------------------------


def test_a_collection_answers_row_by_row_in_order(sf: Any) -> None:
    body = {"records": [contact_row(LastName="A"), contact_row(LastName="B", Email="nope"), contact_row(LastName="C")]}
    answer = sf.restful("composite/sobjects", method="POST", json={"allOrNone": False, **body})
    assert answer[0] == {"id": "003xx0000000001AAA", "success": True, "errors": []}
    assert answer[1] == {
        "success": False,
        "errors": [
            {
                "statusCode": "INVALID_EMAIL_ADDRESS",
                "message": "Email: invalid email address: nope",
                "fields": ["Email"],
            }
        ],
    }
    assert answer[2]["success"] is True
    changed = {
        "records": [contact_row(id=answer[0]["id"][:15], Phone="1"), contact_row(id=answer[2]["id"], LastName="")]
    }
    update = sf.restful("composite/sobjects", method="PATCH", json={"allOrNone": False, **changed})
    assert [row["success"] for row in update] == [True, False]
    assert update[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"


def test_all_or_none_undoes_the_good_rows(api: Api, twin: TwinSalesforce) -> None:
    body = {"allOrNone": True, "records": [contact_row(LastName="A"), contact_row(LastName="B", Email="nope")]}
    answer = api("POST", "composite/sobjects", body).json()
    assert answer[0]["errors"][0]["statusCode"] == "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert answer[1]["errors"][0]["statusCode"] == "INVALID_EMAIL_ADDRESS"
    assert twin.snapshot("contacts") == {}


def test_collections_have_their_limits(api: Api) -> None:
    many = {"records": [contact_row(LastName="A")] * 201}
    assert error_of(api("POST", "composite/sobjects", many)) == (400, "EXCEEDED_ID_LIMIT")
    mixed = [contact_row(LastName="A"), {"attributes": {"type": "Account"}, "Name": "B"}] * 6
    assert error_of(api("POST", "composite/sobjects", {"records": mixed})) == (400, "LIMIT_EXCEEDED")
    assert len(api("POST", "composite/sobjects", {"records": mixed[:10]}).json()) == 10


def test_a_collection_upserts_by_external_id(api: Api) -> None:
    path = "composite/sobjects/Contact/Hub_Id__c"
    body = {"records": [contact_row(Hub_Id__c="1", LastName="A"), contact_row(Hub_Id__c="2", LastName="B")]}
    assert [row["created"] for row in api("PATCH", path, body).json()] == [True, True]
    body = {"records": [contact_row(Hub_Id__c="2", Phone="1"), contact_row(Hub_Id__c="2", Phone="2")]}
    answer = api("PATCH", path, body).json()
    assert (answer[0]["created"], answer[1]["errors"][0]["statusCode"]) == (False, "DUPLICATE_EXTERNAL_ID")


def test_rows_by_ids_come_in_order_with_null_for_the_missing(api: Api, twin: TwinSalesforce) -> None:
    ids = [twin.user_create("contacts", {"LastName": name}) for name in "AB"]
    body = {"ids": [ids[1], make_id("Contact", 99), ids[0]], "fields": ["Id", "LastName"]}
    answer = api("POST", "composite/sobjects/Contact", body).json()
    assert [row and row["LastName"] for row in answer] == ["B", None, "A"]
    assert twin.calls()[-1]["is_write"] is False
    api("DELETE", f"composite/sobjects?ids={ids[0]},{ids[0]}&allOrNone=false")
    again = api("GET", f"composite/sobjects/Contact?ids={ids[0]},{ids[1]}&fields=LastName").json()
    assert [row and row["LastName"] for row in again] == [None, "B"]


def test_a_second_delete_says_that_it_is_gone(api: Api, twin: TwinSalesforce) -> None:
    contact = twin.user_create("contacts", {"LastName": "A"})
    answer = api("DELETE", f"composite/sobjects?ids={contact},{contact}").json()
    assert answer[0] == {"id": contact, "success": True, "errors": []}
    assert answer[1]["errors"][0]["statusCode"] == "ENTITY_IS_DELETED"


def test_a_composite_call_counts_once_and_passes_headers(api: Api, twin: TwinSalesforce) -> None:
    contact = twin.user_create("contacts", {"LastName": "A"})
    twin.advance(10)
    parts = [
        {"method": "GET", "url": f"{DATA}/query/?q=SELECT+Id+FROM+Contact", "referenceId": "q1"},
        {"method": "GET", "url": f"{DATA}/sobjects/Contact/{make_id('Contact', 9)}", "referenceId": "r2"},
        {
            "method": "PATCH",
            "url": f"{DATA}/sobjects/Contact/{contact}",
            "referenceId": "stale",
            "body": {"Phone": "1"},
            "httpHeaders": {"If-Unmodified-Since": "Mon, 02 Nov 2026 07:59:59 GMT"},
        },
        {
            "method": "PATCH",
            "url": f"{DATA}/sobjects/Contact/{contact}",
            "referenceId": "good",
            "body": {"Title": "Dr."},
            "httpHeaders": {"If-Unmodified-Since": "Mon, 02 Nov 2026 08:00:00 GMT"},
        },
    ]
    answer = api("POST", "composite", {"allOrNone": False, "compositeRequest": parts})
    got = answer.json()["compositeResponse"]
    assert [(part["referenceId"], part["httpStatusCode"]) for part in got] == [
        ("q1", 200),
        ("r2", 404),
        ("stale", 412),
        ("good", 204),
    ]
    assert got[0]["body"]["records"][0]["Id"] == contact
    assert got[3]["body"] is None
    assert answer.headers["Sforce-Limit-Info"].startswith("api-usage=1/")
    assert twin.counts()["by_operation"] == {"composite": 1}
    assert twin.counts()["writes"] == 1


def test_a_part_can_use_an_earlier_answer_and_all_or_none_undoes_both(api: Api, twin: TwinSalesforce) -> None:
    parts: list[dict[str, Any]] = [
        {"method": "POST", "url": f"{DATA}/sobjects/Account", "referenceId": "acc", "body": {"Name": "Acme"}},
        {
            "method": "POST",
            "url": f"{DATA}/sobjects/Contact",
            "referenceId": "con",
            "body": {"LastName": "B", "AccountId": "@{acc.id}"},
        },
    ]
    got = api("POST", "composite", {"allOrNone": True, "compositeRequest": parts}).json()["compositeResponse"]
    account, contact = (part["body"]["id"] for part in got)
    assert got[0]["httpHeaders"]["Location"] == f"{DATA}/sobjects/Account/{account}"
    assert twin.snapshot("contacts")[contact]["fields"]["AccountId"] == account
    parts[1]["body"]["LastName"] = ""
    got = api("POST", "composite", {"allOrNone": True, "compositeRequest": parts}).json()["compositeResponse"]
    assert [part["body"][0]["errorCode"] for part in got] == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING"]
    assert len(twin.snapshot("accounts")) == 1


def test_a_composite_call_takes_25_parts_and_5_queries(api: Api) -> None:
    query = {"method": "GET", "url": f"{DATA}/query/?q=SELECT+Id+FROM+Lead", "referenceId": "q"}
    limits = {"method": "GET", "url": f"{DATA}/limits", "referenceId": "l"}
    assert error_of(api("POST", "composite", {"compositeRequest": [query] * 6})) == (400, "LIMIT_EXCEEDED")
    assert error_of(api("POST", "composite", {"compositeRequest": [limits] * 26})) == (400, "LIMIT_EXCEEDED")
    assert api("POST", "composite", {"compositeRequest": [query] * 5 + [limits] * 20}).status_code == 200


# --- faults ------------------------------------------------------------------------------------------------------


def test_the_sdk_sees_the_vendors_errors(sf: Any, twin: TwinSalesforce) -> None:
    twin.set_faults(script=[{"fault": "throttle"}, {"fault": "error_before"}, {"fault": "expire_token"}])
    with pytest.raises(SalesforceRefusedRequest):
        sf.query("SELECT Id FROM Contact")
    with pytest.raises(SalesforceGeneralError) as broken:
        sf.query("SELECT Id FROM Contact")
    assert broken.value.status == 503
    with pytest.raises(SalesforceExpiredSession):
        sf.query("SELECT Id FROM Contact")
    assert twin.counts()["early"] == 0


def test_a_locked_row_can_be_tried_again(api: Api, twin: TwinSalesforce) -> None:
    contact = twin.user_create("contacts", {"LastName": "A"})
    twin.set_faults(script=[{"match": "PATCH", "fault": "partial_batch"}])
    assert api("PATCH", f"sobjects/Contact/{contact}", {"Phone": "1"}).json() == [
        {
            "message": "unable to obtain exclusive access to this record",
            "errorCode": "UNABLE_TO_LOCK_ROW",
            "fields": [],
        }
    ]
    assert api("PATCH", f"sobjects/Contact/{contact}", {"Phone": "1"}).status_code == 204
    twin.set_faults(script=[{"match": "POST /services/data/v68.0/composite", "fault": "partial_batch", "rows": 2}])
    rows_in = {"records": [contact_row(LastName=name) for name in "ABCD"]}
    assert [row["success"] for row in api("POST", "composite/sobjects", rows_in).json()] == [False, False, True, True]


def test_a_row_may_appear_behind_the_watermark(api: Api, twin: TwinSalesforce) -> None:
    twin.set_faults(late_visible_s=100.0, seed=1)
    twin.user_create("contacts", {"LastName": "Late"})
    twin.set_faults(late_visible_s=0.0)
    twin.advance(5)
    twin.user_create("contacts", {"LastName": "Soon"})
    assert api.names("Id != null") == ["Soon"]
    answer = api("GET", "sobjects/Contact/updated/?start=2026-11-02T07:00:00Z&end=2026-11-02T08:00:10Z").json()
    assert answer["latestDateCovered"] == "2026-11-02T08:00:00.000+0000"
    twin.advance(100)
    assert api.names("SystemModstamp < 2026-11-02T08:00:05Z") == ["Late"]


# --- outbound messages -------------------------------------------------------------------------------------------

ACK = b"<Envelope><Body><notificationsResponse><Ack>true</Ack></notificationsResponse></Body></Envelope>"


def test_an_outbound_message_is_soap_and_wants_an_ack(twin: TwinSalesforce, receiver: Any) -> None:
    receiver.answers = [(200, b""), (200, ACK)]
    receiver.default = (200, ACK)
    twin.set_webhook(f"{receiver.url}/s3cret", "unused", fields={"contacts": ["Email", "DoNotCall"]})
    contact = twin.user_create("contacts", {"LastName": "B", "Email": "a&b@example.org"})
    twin.user_create("accounts", {"Name": "Acme"})
    attempts = twin.drain_hooks()
    assert [(a["topics"], a["attempt"], a["accepted"]) for a in attempts] == [
        (["contacts"], 0, False),
        (["accounts"], 0, True),
        (["contacts"], 1, True),
    ]
    assert receiver.paths[0] == "/hooks/s3cret"
    assert receiver.headers[0]["SOAPAction"] == '""'
    assert receiver.headers[0]["Content-Type"] == "text/xml; charset=utf-8"
    text = receiver.bodies[0].decode()
    assert "<OrganizationId>00Dxx0000000001EAA</OrganizationId>" in text
    assert f"<sf:Id>{contact}</sf:Id><sf:Email>a&amp;b@example.org</sf:Email><sf:DoNotCall>false</sf:DoNotCall>" in text
    assert 'xsi:type="sf:Contact"' in text


def test_a_deletion_sends_no_outbound_message(twin: TwinSalesforce, receiver: Any) -> None:
    contact = twin.user_create("contacts", {"LastName": "B"})
    twin.set_webhook(receiver.url, "unused")
    twin.user_delete("contacts", contact)
    assert twin.drain_hooks() == []
