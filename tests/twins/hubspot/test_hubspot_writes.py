"""HubSpot twin: writes one by one and in batches, merges, associations."""

from __future__ import annotations

from typing import Any

import pytest

from hub.twins.hubspot import TwinHubSpot
from tests.twins.hubspot.door import DATED, START, Api, contact, ids

# --- writing -----------------------------------------------------------------------------------------------------


def test_a_row_is_created_and_changed(api: Api, twin: TwinHubSpot) -> None:
    made = api("POST", f"{DATED}/contacts", {"properties": {"email": " Ada@Example.ORG ", "phone": "030 / 12-3"}})
    assert made.status_code == 201
    record_id = made.json()["id"]
    assert (made.json()["properties"]["email"], made.json()["properties"]["phone"]) == ("ada@example.org", "030 / 12-3")
    twin.advance(1)
    changed = api("PATCH", f"{DATED}/contacts/{record_id}", {"properties": {"jobtitle": "CEO", "phone": ""}}).json()
    assert (changed["properties"]["jobtitle"], changed["properties"]["phone"]) == ("CEO", None)
    assert changed["updatedAt"] == "2026-11-02T08:00:01.123Z"
    twin.advance(1)
    same = api("PATCH", f"{DATED}/contacts/ada@example.org?idProperty=email", {"properties": {"jobtitle": "CEO"}})
    assert same.json()["updatedAt"] == "2026-11-02T08:00:01.123Z"


def test_a_taken_address_names_its_holder(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(1, hs_additional_emails="second@example.org")])
    for address in ("N1@example.org", "second@example.org"):
        refused = api("POST", f"{DATED}/contacts", {"properties": {"email": address}})
        assert refused.status_code == 409
        assert refused.json()["message"] == "Contact already exists. Existing ID: 1001"
        assert refused.json()["category"] == "CONFLICT"
    with pytest.raises(ValueError, match="Existing ID: 1001"):
        twin.user_create("contacts", {"email": "n1@example.org"})


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"email": "nope"}, "INVALID_EMAIL"),
        ({"email": "a@example.org", "foo": "1"}, "PROPERTY_DOESNT_EXIST"),
        ({"email": "a@example.org", "hs_language": "German"}, "INVALID_OPTION"),
        ({"email": "a@example.org", "interests": "product;other"}, "INVALID_OPTION"),
        ({"email": "a@example.org", "createdate": "2026-01-01"}, "READ_ONLY_VALUE"),
        ({"email": "a@example.org", "date_of_birth": "2000-01-01T10:00:00Z"}, "INVALID_DATE"),
        ({"email": "a@example.org", "hubspot_owner_id": "9"}, "INVALID_OWNER_ID"),
    ],
)
def test_a_bad_value_is_refused_with_its_code(api: Api, properties: dict[str, str], code: str) -> None:
    refused = api("POST", f"{DATED}/contacts", {"properties": properties})
    assert (refused.status_code, refused.json()["category"]) == (400, "VALIDATION_ERROR")
    assert refused.json()["errors"][0]["code"] == code
    assert refused.json()["message"].startswith('Property values were not valid: [{"isValid":false,')


def test_saving_brings_values_to_the_vendors_form(api: Api) -> None:
    company = {"name": "Acme", "domain": "https://www.Acme.example/en", "numberofemployees": 12}
    assert api("POST", f"{DATED}/companies", {"properties": company}).json()["properties"] == {
        "createdate": "2026-11-02T08:00:00.123Z",
        "domain": "acme.example",
        "hs_lastmodifieddate": "2026-11-02T08:00:00.123Z",
        "hs_object_id": "9001",
        "name": "Acme",
        "numberofemployees": "12",
    }
    person = {"email": "a@example.org", "date_of_birth": "946684800000", "hs_email_optout": True}
    row = api("POST", f"{DATED}/contacts", {"properties": person}).json()["properties"]
    assert (row["date_of_birth"], row["hs_email_optout"]) == ("2000-01-01", "true")
    refused = api("POST", f"{DATED}/deals", {"properties": {"dealname": "D", "amount": "1,000.00"}})
    assert refused.json()["errors"][0]["code"] == "INVALID_NUMBER"


def test_a_lifecycle_stage_only_rises_unless_it_is_cleared(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(1, lifecyclestage="customer")])

    def set_stage(stage: str) -> str | None:
        body = {"properties": {"lifecyclestage": stage}}
        return str(api("PATCH", f"{DATED}/contacts/1001", body).json()["properties"]["lifecyclestage"])

    assert set_stage("lead") == "customer"
    assert set_stage("") == "None"
    assert set_stage("lead") == "lead"
    assert set_stage("opportunity") == "opportunity"


def test_a_deal_knows_its_stage(api: Api) -> None:
    deal = api("POST", f"{DATED}/deals", {"properties": {"dealname": "D", "dealstage": "closedwon"}}).json()["id"]
    names = "hs_is_closed,hs_is_closed_won,hs_deal_stage_probability,pipeline"
    properties = api("GET", f"{DATED}/deals/{deal}?properties={names}").json()["properties"]
    assert [properties[name] for name in names.split(",")] == ["true", "true", "1.0", "default"]
    refused = api("PATCH", f"{DATED}/deals/{deal}", {"properties": {"dealstage": "won"}})
    assert refused.json()["errors"][0]["code"] == "INVALID_OPTION"


def test_rules_of_admins_hold_from_2026_09_on(api: Api, twin: TwinHubSpot) -> None:
    twin.user_action("require", stream="deals", prop="closedate", when="dealstage", values=["closedwon"])
    body = {"properties": {"dealname": "D", "dealstage": "closedwon"}}
    refused = api("POST", f"{DATED}/deals", body)
    assert refused.json()["errors"][0]["code"] == "MISSING_CONDITIONAL_REQUIRED_PROPERTY"
    assert api("POST", "/crm/v3/objects/deals", body).status_code == 201


# --- batches -----------------------------------------------------------------------------------------------------


def test_one_duplicate_refuses_a_whole_batch_of_new_rows(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(1)])
    emails = ("a@example.org", "n1@example.org", "a@example.org")
    body = {"inputs": [{"properties": {"email": email}} for email in emails]}
    refused = api("POST", f"{DATED}/contacts/batch/create", body)
    assert (refused.status_code, refused.json()["message"]) == (409, "Contact already exists. Existing ID: 1001")
    assert list(twin.snapshot("contacts")) == ["1001"]


def test_created_rows_come_in_any_order_with_their_trace(api: Api) -> None:
    inputs = [
        {"properties": {"email": f"n{number}@example.org"}, "objectWriteTraceId": f"t{number}"} for number in range(30)
    ]
    answer = api("POST", f"{DATED}/contacts/batch/create", {"inputs": inputs})
    assert answer.status_code == 201
    rows = answer.json()["results"]
    assert {row["objectWriteTraceId"]: row["properties"]["email"] for row in rows} == {
        f"t{number}": f"n{number}@example.org" for number in range(30)
    }
    assert [row["objectWriteTraceId"] for row in rows] != [f"t{number}" for number in range(30)]


def test_a_partial_failure_is_a_207(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(n) for n in (1, 2, 3)])
    twin.set_faults(script=[{"match": "POST", "fault": "partial_batch"}])
    inputs = [{"id": key, "properties": {"city": "X"}} for key in ("1001", "1002", "1003", "77")]
    answer = api("POST", f"{DATED}/contacts/batch/update", {"inputs": inputs})
    assert answer.status_code == 207
    assert sorted(ids(answer.json())) == ["1002", "1003"]
    assert [(error["category"], error["context"]) for error in answer.json()["errors"]] == [
        ("LOCKED", {"ids": ["1001"]}),
        ("OBJECT_NOT_FOUND", {"ids": ["77"]}),
    ]
    assert twin.snapshot("contacts")["1001"]["fields"].get("city") is None


def test_a_bad_value_refuses_a_whole_batch(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(n) for n in (1, 2)])
    inputs = [
        {"id": "1001", "properties": {"city": "X"}},
        {"id": "1002", "properties": {"hs_language": "Klingon"}},
    ]
    assert api("POST", f"{DATED}/contacts/batch/update", {"inputs": inputs}).status_code == 400
    assert twin.snapshot("contacts")["1001"]["fields"].get("city") is None
    twice = [{"id": "1001", "properties": {}}] * 2
    assert api("POST", f"{DATED}/contacts/batch/update", {"inputs": twice}).status_code == 400


def test_an_upsert_by_the_hubs_id_creates_or_updates(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(1, hub_id="H1")])
    inputs = [
        {"id": "H1", "idProperty": "hub_id", "objectWriteTraceId": "a", "properties": {"city": "X"}},
        {"id": "H2", "idProperty": "hub_id", "objectWriteTraceId": "b", "properties": {"email": "b@example.org"}},
    ]
    answer = api("POST", f"{DATED}/contacts/batch/upsert", {"inputs": inputs}).json()
    assert sorted((row["objectWriteTraceId"], row["new"]) for row in answer["results"]) == [("a", False), ("b", True)]
    assert api("GET", f"{DATED}/contacts/H2?idProperty=hub_id").json()["properties"]["email"] == "b@example.org"


def test_the_hubs_id_is_unique(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(1, hub_id="H1"), contact(2)])
    refused = api("PATCH", f"{DATED}/contacts/1002", {"properties": {"hub_id": "h1"}})
    assert refused.status_code == 400
    assert refused.json()["errors"][0] == {
        "message": "1001 already has that value.",
        "code": "CONFLICTING_UNIQUE_VALUE",
        "context": {"propertyName": ["hub_id"]},
    }


def test_a_batch_archives(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(n) for n in (1, 2, 3)])
    body = {"inputs": [{"id": "1001"}, {"id": "1003"}, {"id": "99"}]}
    assert api("POST", f"{DATED}/contacts/batch/archive", body).status_code == 204
    assert ids(api("GET", f"{DATED}/contacts").json()) == ["1002"]
    assert ids(api("GET", f"{DATED}/contacts?archived=true").json()) == ["1001", "1003"]


# --- merges ------------------------------------------------------------------------------------------------------


def test_a_merge_makes_a_new_record_by_default(api: Api, twin: TwinHubSpot) -> None:
    twin.load("companies", [{"id": "9001", "created": START, "fields": {"name": "Acme"}}])
    twin.load("contacts", [contact(1), {**contact(2, city="Köln"), "associations": {"companies": ["9001"]}}])
    survivor = twin.user_merge("contacts", "1001", "1002")
    assert survivor == "1003"
    names = "email,city,hs_merged_object_ids,hs_additional_emails,associatedcompanyid,hs_calculated_merged_vids"
    row = api("GET", f"{DATED}/contacts/1003?properties={names}").json()["properties"]
    assert (row["email"], row["city"], row["associatedcompanyid"]) == ("n1@example.org", "Köln", "9001")
    assert (row["hs_merged_object_ids"], row["hs_additional_emails"]) == ("1001;1002", "n2@example.org")
    assert row["hs_calculated_merged_vids"] == "1001:1793606400123;1002:1793606400123"
    assert api("GET", f"{DATED}/contacts/1001").json()["id"] == "1003"
    assert api("GET", f"{DATED}/contacts?archived=true").json()["results"] == []
    assert ids(api("GET", f"{DATED}/contacts").json()) == ["1003"]


def test_a_merge_can_keep_the_first_record(twin: TwinHubSpot, api: Api) -> None:
    twin.settings["merge_keeps_id"] = True
    twin.load("contacts", [contact(1), contact(2), contact(3)])
    merge = {"primaryObjectId": "1001", "objectIdToMerge": "1002"}
    assert api("POST", "/crm/v3/objects/contacts/merge", merge).json()["id"] == "1001"
    assert twin.user_merge("contacts", "1001", "1003") == "1001"
    assert twin.snapshot("contacts")["1001"]["fields"]["hs_merged_object_ids"] == "1002;1003"
    assert twin.snapshot("contacts")["1002"]["merged_into"] == "1001"


# --- associations ------------------------------------------------------------------------------------------------


def test_a_new_row_can_bring_its_company(api: Api, family: None) -> None:
    link: list[dict[str, Any]] = [
        {"to": {"id": "9001"}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}]}
    ]
    made = api("POST", f"{DATED}/contacts", {"properties": {"email": "a@example.org"}, "associations": link}).json()
    listed = api("GET", f"{DATED}/contacts/{made['id']}?associations=companies&properties=associatedcompanyid").json()
    assert listed["associations"] == {
        "companies": {
            "results": [
                {"id": "9001", "type": "contact_to_company"},
                {"id": "9001", "type": "contact_to_company_unlabeled"},
            ]
        }
    }
    assert listed["properties"]["associatedcompanyid"] == "9001"
    link[0]["to"]["id"] = "77"
    refused = api("POST", f"{DATED}/contacts", {"properties": {"email": "b@example.org"}, "associations": link})
    assert refused.status_code == 400
    assert api("GET", f"{DATED}/contacts/b@example.org?idProperty=email").status_code == 404


def test_associations_are_read_and_written_in_batches(api: Api, family: None) -> None:
    inputs = [{"from": {"id": "1001"}, "to": {"id": "9001"}}, {"from": {"id": "1001"}, "to": {"id": "9002"}}]
    path = "/crm/associations/2026-09/contacts/companies/batch"
    made = api("POST", f"{path}/associate/default", {"inputs": inputs}).json()
    assert len(made["results"]) == 4
    read = api("POST", f"{path}/read", {"inputs": [{"id": "1001"}, {"id": "1002"}]})
    assert read.status_code == 207
    assert read.json()["results"] == [
        {
            "from": {"id": "1001"},
            "to": [
                {
                    "toObjectId": "9001",
                    "associationTypes": [
                        {"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None},
                        {"category": "HUBSPOT_DEFINED", "typeId": 1, "label": "Primary"},
                    ],
                },
                {
                    "toObjectId": "9002",
                    "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None}],
                },
            ],
        }
    ]
    assert read.json()["errors"][0]["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    back = api("GET", "/crm/v4/objects/companies/9002/associations/contacts").json()
    assert back["results"][0]["toObjectId"] == 1001
    gone = {"inputs": [{"from": {"id": "1001"}, "to": [{"id": "9001"}]}]}
    assert api("POST", f"{path}/archive", gone).status_code == 204
    assert len(api("GET", f"{DATED}/contacts/1001/associations/companies").json()["results"]) == 1


def test_associating_does_not_move_the_modified_date(api: Api, twin: TwinHubSpot, family: None) -> None:
    before = twin.snapshot("contacts")["1001"]["modified"]
    twin.advance(5)
    for path in ("/crm/v4/objects", DATED):
        assert api("PUT", f"{path}/contacts/1001/associations/default/companies/9001").status_code == 200
    assert twin.snapshot("contacts")["1001"]["modified"] == before
    assert twin.snapshot("contacts")["1001"]["associations"]["companies"] == ["9001"]


def test_labels_are_known(api: Api) -> None:
    labels = api("GET", "/crm/v4/associations/deals/companies/labels").json()["results"]
    assert [(label["typeId"], label["label"]) for label in labels] == [(341, None), (5, "Primary")]
    assert api("GET", "/crm/v4/associations/deals/owners/labels").status_code == 400
