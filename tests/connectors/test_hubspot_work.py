"""HubSpot's tickets, tasks, lists and labelled associations, and the same calls under a version by date."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.hubspot import CONNECTOR
from connectors.hubspot.api import dated
from hub.errors import NotFound
from hub.model import Json, PushResult
from tests.connectors.doors import NOW, Desk, change
from tests.connectors.test_hubspot import company, counted, create, load, open_portal, push, update

LABEL = "deal_to_contact:Decision maker"
TASK = {"fields": ["hs_task_subject", "hs_timestamp", "hs_task_status"], "associations": ["contacts"]}


@pytest.fixture
def portal() -> Iterator[Desk]:
    with open_portal() as made:
        made.api.settings.streams.update(tasks=TASK, tickets={"fields": ["subject"], "associations": ["contacts"]})
        yield made


def make_task(portal: Desk, **body: Json) -> PushResult:
    given = {"hs_task_subject": "Call back", **body}
    return push(portal, change("create", given, reference="acme:t1"), stream="tasks")[0]


# tasks and tickets


def test_a_task_is_made_for_somebody_and_read_back(portal: Desk) -> None:
    (contact,) = load(portal, 1)
    made = make_task(portal, hs_timestamp="2026-11-03T00:00:00Z", associations={"task_to_contact": contact})
    assert made.outcome == "applied"
    (record,) = portal.pull_all("tasks")[0]
    assert record.data["properties"]["hs_task_status"] == "NOT_STARTED"
    assert record.data["properties"]["hs_timestamp"] == "2026-11-03T00:00:00.000Z"
    assert record.data["associations"]["contacts"]["results"] == [{"id": contact, "type": "task_to_contact"}]
    assert record.marker == "acme:t1"


def test_a_task_without_a_day_gets_the_time_at_which_it_is_made(portal: Desk) -> None:
    assert make_task(portal).outcome == "applied"
    (record,) = portal.pull_all("tasks")[0]
    assert record.data["properties"]["hs_timestamp"] == "2026-11-02T08:00:00.000Z"


def test_the_twin_takes_no_task_without_its_time_as_the_vendor_takes_none(portal: Desk) -> None:
    body = {"properties": {"hs_task_subject": "Call back"}}
    answer = portal.door.request("POST", "/crm/v3/objects/tasks", operation="x", json=body, expect=(400,))
    assert (answer.status, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_a_task_made_twice_is_one(portal: Desk) -> None:
    portal.twin.set_faults(script=[{"match": "POST /crm/v3/objects/tasks/batch/create", "fault": "timeout_after"}])
    assert make_task(portal).outcome == "unknown"
    again = make_task(portal)
    assert again.outcome == "duplicate"
    assert list(portal.twin.snapshot("tasks")) == [again.existing_id]


def test_what_changed_of_tickets_is_found_by_search(portal: Desk) -> None:
    (contact,) = load(portal, 1)
    ticket = portal.twin.user_create("tickets", {"subject": "Help", "hs_pipeline_stage": "1"})
    portal.twin.user_action("associate", stream="tickets", record_id=ticket, target="contacts", other_id=contact)
    _, cursor, _ = portal.pull_all("tickets")
    portal.advance(600)
    portal.twin.user_edit("tickets", ticket, {"hs_pipeline_stage": "4"})
    (record,) = portal.pull_all("tickets", cursor)[0]
    assert record.external_id == ticket
    assert record.data["associations"]["contacts"]["results"][0]["id"] == contact


# lists


def test_lists_of_contacts_are_read_and_the_members_of_those_that_are_named() -> None:
    with open_portal(values={"lists": ["2", "1"]}) as portal:
        people = load(portal, 600)
        for name, kind, what in (("A", "MANUAL", "0-1"), ("B", "DYNAMIC", "0-1"), ("Firms", "MANUAL", "0-2")):
            portal.twin.user_create("lists", {"name": name, "processingType": kind, "objectTypeId": what})
        portal.twin.load("list_members", [
            {"id": f"1:{each}", "fields": {"listId": "1", "recordId": each}, "created": NOW - 9_000.0}
            for each in people
        ])  # fmt: skip
        portal.twin.user_create("list_members", {"listId": "2", "recordId": people[0]})
        assert [each.data["name"] for each in portal.pull_all("lists")[0]] == ["A", "B"]
        members, _, pages = portal.pull_all("list_members")
        assert len(members) == 601
        assert [len(page.records) for page in pages] == [1, 250, 250, 100]
        assert [page.listing_complete for page in pages] == [False, False, False, True]
        assert members[0].data | {"membershipTimestamp": ""} == {
            "id": f"2:{people[0]}", "list": "2", "contact": people[0], "at": "2026-11-02T08:00:00.000Z",
            "recordId": people[0], "membershipTimestamp": "",
        }  # fmt: skip
        (one,) = portal.fetch("list_members", [f"1:{people[599]}"])
        assert one.data["contact"] == people[599]


def test_a_list_that_was_deleted_has_no_members_and_without_the_setting_there_are_none(portal: Desk) -> None:
    assert [page.listing_complete for page in portal.pull_all("list_members")[2]] == [True]
    with open_portal(values={"lists": "99"}) as other:
        records, _, pages = other.pull_all("list_members")
        assert (records, pages[-1].listing_complete) == ([], True)


# labels


@pytest.fixture
def labelled(portal: Desk) -> Desk:
    portal.api.settings.streams["deals"]["associations"] = ["contacts", LABEL]
    portal.twin.user_action("add_label", source="deals", target="contacts", label="Decision maker")
    return portal


def shown(portal: Desk) -> list[Json]:
    (record,) = portal.pull_all("deals")[0]
    found: list[Json] = record.data["associations"]["contacts"]["results"]
    return found


def test_an_association_with_a_label_is_read_under_its_name_and_the_others_beside_it(labelled: Desk) -> None:
    one, two = load(labelled, 2)
    deal = labelled.twin.user_create("deals", {"dealname": "D"})
    for contact in (one, two):
        labelled.twin.user_action("associate", stream="deals", record_id=deal, target="contacts", other_id=contact)
    labelled.twin.user_action(
        "label", source="deals", record_id=deal, target="contacts", other_id=two, label="Decision maker"
    )
    assert shown(labelled) == [
        {"id": one, "type": "deal_to_contact"}, {"id": two, "type": "deal_to_contact"}, {"id": two, "type": LABEL},
    ]  # fmt: skip
    (record,) = labelled.fetch("deals", [deal])
    assert record.data["associations"]["contacts"]["results"] == shown(labelled)


def test_a_label_is_given_moved_and_taken_away(labelled: Desk) -> None:
    one, two = load(labelled, 2)
    made = push(
        labelled, change("create", {"dealname": "D", "associations": {LABEL: one}}, reference="acme:d"), stream="deals"
    )[0]
    assert made.held is not None
    assert made.held.data["associations"]["contacts"]["results"] == shown(labelled)
    deal = made.external_id or ""
    for target in (two, None):
        (result,) = push(labelled, update(deal, associations={LABEL: target}), stream="deals")
        assert result.outcome == "applied"
        assert [each["id"] for each in shown(labelled) if each["type"] == LABEL] == ([target] if target else [])
    assert {each["id"] for each in shown(labelled)} == {one, two}, "without its label the association stays"
    assert counted(labelled)["labels"] == 1


def test_a_label_that_the_account_has_not_is_refused_by_name(labelled: Desk) -> None:
    (one,) = load(labelled, 1)
    (result,) = push(
        labelled, change("create", {"dealname": "D", "associations": {"deal_to_contact:Boss": one}}), stream="deals"
    )
    assert (result.outcome, result.code) == ("rejected", "HS-LABEL")


# versions


@pytest.mark.parametrize(("old", "new"), [
    ("http://x/crm/v3/objects/contacts/batch/read?archived=false", "http://x/crm/objects/2026-09/contacts/batch/read?archived=false"),
    ("/crm/v4/associations/deals/contacts/batch/read", "/crm/associations/2026-09/deals/contacts/batch/read"),
    ("/crm/v3/owners/?limit=100", "/crm/owners/2026-09/?limit=100"),
    ("/crm/v3/lists/search", "/crm/lists/2026-09/search"),
    ("/crm/v3/properties/contacts", "/crm/properties/2026-09/contacts"),
])  # fmt: skip
def test_a_path_gets_its_version_by_date(old: str, new: str) -> None:
    assert dated(old, "2026-09") == new
    assert dated(old, "v3") == old


def everything(portal: Desk) -> list[Json]:
    """All kinds of calls there are, and what came of them."""
    firm = company(portal, "Acme")
    made = push(portal, *[create(n, associations={"contact_to_company": firm}) for n in range(3)])
    ids = [each.external_id or "" for each in made]
    push(portal, update(ids[0], firstname="Ada", associations={"contact_to_company": None}), create(0))
    portal.advance(600)
    push(portal, change("archive", {}, ids[2]))
    listed, cursor, _ = portal.pull_all("contacts")
    portal.advance(4_000)
    portal.twin.user_edit("contacts", ids[1], {"firstname": "Bob"})
    changed, _, _ = portal.pull_all("contacts", cursor)
    about = CONNECTOR.check(portal.api)
    fields = [each.name for each in CONNECTOR.discover(portal.api, "contacts")]
    people = [portal.pull_all(stream)[0] for stream in ("owners", "lists", "companies")]
    found = portal.find("contacts", "email", "new1@example.org")
    return [made, listed, changed, about, fields, people, found, portal.fetch("contacts", ids)]


def test_a_version_by_date_changes_every_path_and_no_record() -> None:
    with open_portal() as old, open_portal(values={"version": "2026-09"}) as new:
        for each in (old, new):
            each.twin.load("owners", [{"id": "301", "fields": {"email": "k@example.com"}, "created": 1_793_000_000.0}])
        assert everything(old) == everything(new)
        assert counted(old) == counted(new)
        paths = [call["path"] for call in new.twin.calls() if "token" not in call["path"]]
        assert paths
        assert [path for path in paths if "/2026-09" not in path] == []


def test_rules_of_the_account_hold_from_that_version_on() -> None:
    with open_portal(values={"version": "2026-09"}) as portal:
        portal.twin.user_action("require", stream="deals", prop="closedate", when="dealstage", values=["closedwon"])
        (result,) = push(
            portal, change("create", {"dealname": "D", "dealstage": "closedwon"}, reference="acme:1"), stream="deals"
        )
        assert (result.outcome, result.code, result.field) == (
            "rejected", "MISSING_CONDITIONAL_REQUIRED_PROPERTY", "closedate",
        )  # fmt: skip


def test_a_version_that_is_no_longer_there_is_told() -> None:
    with open_portal(values={"version": "2024-03"}) as portal, pytest.raises(NotFound):
        portal.pull_all("contacts")


def test_the_twin_keeps_the_rules_of_lists() -> None:
    with open_portal() as portal:
        (one,) = load(portal, 1)
        for kind in ("MANUAL", "DYNAMIC"):
            portal.twin.user_create("lists", {"name": kind, "processingType": kind})
        answers = [
            portal.door.request("PUT", f"/crm/v3/lists/{each}/memberships/{what}", operation="x", json=[one, "999"],
                                expect=(400,))
            for each, what in (("1", "add"), ("2", "add"), ("1", "remove"))
        ]  # fmt: skip
        assert [each.status for each in answers] == [200, 400, 200]
        assert answers[0].json()["recordsIdsAdded"] == [one]
        assert answers[0].json()["recordIdsMissing"] == ["999"]
