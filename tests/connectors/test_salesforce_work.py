"""Salesforce's tasks, campaigns and their members: who they are about, and what may be written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.salesforce import CONNECTOR
from hub.model import Json, PushResult
from tests.connectors.doors import Desk, change
from tests.connectors.test_salesforce import counted, load, open_org


@pytest.fixture
def org() -> Iterator[Desk]:
    with open_org() as made:
        yield made


def create_task(org: Desk, **body: Json) -> PushResult:
    return org.push("tasks", [change("create", {"Subject": "Call back", **body}, reference="acme:t1")])[0]


def test_a_task_is_made_for_a_contact_or_a_lead_and_read_back_as_such(org: Desk) -> None:
    (contact,), (lead,) = load(org, 1), load(org, 1, stream="leads")
    for who, told in ((contact, contact), (lead, f"leads:{lead}")):
        held = org.push("tasks", [change("create", {"Subject": "Call", "WhoId": who}, reference=f"acme:{who}")])[0].held
        assert held is not None
        assert (held.data["WhoId"], held.marker) == (told, f"acme:{who}")
    read = {each.data["WhoId"] for each in org.pull_all("tasks")[0]}
    assert read == {contact, f"leads:{lead}"}


def test_what_a_task_is_about_is_told_by_its_kind(org: Desk) -> None:
    account = org.twin.user_create("accounts", {"Name": "Acme"})
    deal = org.twin.user_create("opportunities", {"Name": "D", "StageName": "Prospecting", "CloseDate": "2026-12-31"})
    for number, what in enumerate((account, deal, None)):
        org.push("tasks", [change("create", {"Subject": "Call", "WhatId": what}, reference=f"acme:{number}")])
    org.api.settings.streams["tasks"] = {"fields": ["Subject", "what.account", "what.opportunity"]}
    org.api.fields.clear()
    told = [record.data["what"] for record in org.pull_all("tasks")[0]]
    assert told == [
        {"account": account, "opportunity": None}, {"account": None, "opportunity": deal},
        {"account": None, "opportunity": None},
    ]  # fmt: skip
    assert CONNECTOR.discover(org.api, "tasks")[-1].ref_to == "opportunities"


def test_a_task_made_twice_is_one(org: Desk) -> None:
    org.twin.set_faults(script=[{"match": "POST /services/data/v68.0/composite", "fault": "timeout_after"}])
    assert create_task(org).outcome == "unknown"
    assert create_task(org).outcome == "applied"
    assert len(org.twin.snapshot("tasks")) == 1


def test_a_task_of_nobody_that_is_there_is_refused(org: Desk) -> None:
    assert create_task(org, WhoId="003xx00000000ZZAAA").code == "INVALID_CROSS_REFERENCE_KEY"
    assert create_task(org, WhoId="005xx0000000001AAA").code == "FIELD_INTEGRITY_EXCEPTION"


def test_a_task_done_is_read_with_what_follows_from_it(org: Desk) -> None:
    made = create_task(org, ActivityDate="2026-11-03")
    org.twin.user_edit("tasks", made.external_id, {"Status": "Completed"})
    (record,) = org.pull_all("tasks")[0]
    assert (record.data["Status"], record.data["IsClosed"], record.data["ActivityDate"]) == (
        "Completed", True, "2026-11-03",
    )  # fmt: skip


def test_tasks_follow_a_converted_lead_and_a_merged_contact(org: Desk) -> None:
    (lead,) = load(org, 1, stream="leads")
    create_task(org, WhoId=lead)
    contact = org.twin.user_action("convert_lead", lead_id=lead)["ConvertedContactId"]
    assert org.pull_all("tasks")[0][0].data["WhoId"] == contact
    other = org.twin.user_create("contacts", {"LastName": "Byron"})
    org.twin.user_merge("contacts", other, contact)
    assert org.pull_all("tasks")[0][0].data["WhoId"] == other


def test_campaigns_and_members_are_read_and_not_written(org: Desk) -> None:
    (contact,), (lead,) = load(org, 1), load(org, 1, stream="leads")
    campaign = org.twin.user_create("campaigns", {"Name": "Fair", "Type": "Trade Show"})
    for field, who in (("ContactId", contact), ("LeadId", lead)):
        org.twin.user_create("campaign_members", {"CampaignId": campaign, field: who, "Status": "Responded"})
    (read,) = org.pull_all("campaigns")[0]
    assert (read.external_id, read.data["Name"], read.data["Status"]) == (campaign, "Fair", "Planned")
    members = org.pull_all("campaign_members")[0]
    assert [each.data["LeadOrContactId"] for each in members] == [contact, f"leads:{lead}"]
    assert {each.data["HasResponded"] for each in members} == {True}
    assert all(not CONNECTOR.stream(name).writes for name in ("campaigns", "campaign_members", "users"))
    org.advance(60)
    org.twin.user_delete("campaign_members", members[0].external_id)
    assert [each.op for each in org.pull_all("campaign_members")[0]] == ["upsert", "delete"]


def test_what_is_only_read_needs_no_field_for_the_hubs_id(org: Desk) -> None:
    org.twin.user_create("campaigns", {"Name": "Fair"})
    before = counted(org).get("describe", 0)
    org.pull_all("campaigns")
    assert counted(org)["describe"] - before == 1  # without a mapping, all fields; none was refused
    assert org.api.dropped == {}


def test_an_object_without_the_field_for_the_hubs_id_is_told(org: Desk) -> None:
    org.api.settings.streams["tasks"] = {"fields": ["Subject"]}
    del org.twin.schema.objects["Task"]["Hub_Id__c"]
    (warning,) = org.connector.check(org.api)["warnings"]
    assert warning == "Task has no external id field Hub_Id__c: nothing can be created there safely"


def test_a_member_stands_in_a_campaign_once_and_is_somebody(org: Desk) -> None:
    (contact,) = load(org, 1)
    campaign = org.twin.user_create("campaigns", {"Name": "Fair"})
    body = {"CampaignId": campaign, "ContactId": contact}
    at = "/services/data/v68.0/sobjects/CampaignMember"
    answers = [
        org.door.request("POST", at, operation="x", json=given, expect=(400,)).json()
        for given in (body, body, {"CampaignId": campaign})
    ]
    assert answers[0]["success"]
    assert [each[0]["errorCode"] for each in answers[1:]] == ["DUPLICATE_VALUE", "REQUIRED_FIELD_MISSING"]
