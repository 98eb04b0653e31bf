"""HubSpot twin: lists, single and batch reads, search."""

from __future__ import annotations

from typing import Any

import pytest

from hub.twins.hubspot import TwinHubSpot
from tests.twins.hubspot.door import DATED, Api, contact, ids

# --- reading -----------------------------------------------------------------------------------------------------


def test_a_list_pages_by_id(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(n) for n in range(1, 251)])
    assert len(api("GET", f"{DATED}/contacts").json()["results"]) == 10
    seen: list[str] = []
    after = ""
    while True:
        page = api("GET", f"{DATED}/contacts?limit=100&after={after}").json()
        seen += ids(page)
        if "paging" not in page:
            break
        after = page["paging"]["next"]["after"]
    assert seen == [str(1000 + n) for n in range(1, 251)]
    assert api("GET", f"{DATED}/contacts?limit=101").status_code == 400


@pytest.mark.parametrize("path", ["/crm/v3/objects/contacts", f"{DATED}/contacts", f"{DATED}/0-1"])
def test_both_generations_of_paths_give_the_same(api: Api, twin: TwinHubSpot, path: str) -> None:
    twin.load("contacts", [contact(1, jobtitle="CEO")])
    assert api("GET", f"{path}/1001?properties=email,jobtitle,city&properties=nonsense").json() == {
        "id": "1001",
        "properties": {
            "city": None,
            "createdate": "2026-11-01T07:58:21.123Z",
            "email": "n1@example.org",
            "hs_object_id": "1001",
            "jobtitle": "CEO",
            "lastmodifieddate": "2026-11-01T08:00:01.123Z",
        },
        "createdAt": "2026-11-01T07:58:21.123Z",
        "updatedAt": "2026-11-01T08:00:01.123Z",
        "archived": False,
    }


@pytest.mark.parametrize("path", ["/crm/v2/objects/contacts", "/crm/objects/2024-01/contacts", "/crm/v3/nothing"])
def test_unknown_paths_are_not_found(api: Api, path: str) -> None:
    assert api("GET", path).status_code == 404


def test_a_row_is_found_by_email_and_by_hub_id(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(1, hub_id="42")])
    assert api("GET", f"{DATED}/contacts/N1@Example.org?idProperty=email").json()["id"] == "1001"
    assert api("GET", f"{DATED}/contacts/42?idProperty=hub_id").json()["id"] == "1001"
    assert api("GET", f"{DATED}/contacts/42?idProperty=city").status_code == 400
    missing = api("GET", f"{DATED}/contacts/9")
    assert (missing.status_code, missing.json()["category"]) == (404, "OBJECT_NOT_FOUND")


def test_archived_rows_are_listed_apart(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(n) for n in (1, 2)])
    assert api("DELETE", f"{DATED}/contacts/1001").status_code == 204
    assert ids(api("GET", f"{DATED}/contacts").json()) == ["1002"]
    gone = api("GET", f"{DATED}/contacts?archived=true").json()["results"]
    assert [(row["id"], row["archived"], row["archivedAt"]) for row in gone] == [
        ("1001", True, "2026-11-02T08:00:00.123Z")
    ]
    assert api("GET", f"{DATED}/contacts/1001").status_code == 404
    assert api("GET", f"{DATED}/contacts/1001?archived=true").status_code == 200
    twin.user_restore("contacts", "1001")
    assert api("GET", f"{DATED}/contacts/1001").status_code == 200


def test_a_batch_read_answers_207_for_missing_ids(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(n, hub_id=f"H{n}") for n in (1, 2, 3)])
    body = {"inputs": [{"id": "H1"}, {"id": "H9"}, {"id": "h3"}], "idProperty": "hub_id", "properties": ["hub_id"]}
    answer = api("POST", f"{DATED}/contacts/batch/read", body)
    assert answer.status_code == 207
    assert sorted(row["properties"]["hub_id"] for row in answer.json()["results"]) == ["H1", "H3"]
    assert answer.json()["numErrors"] == 1
    error = answer.json()["errors"][0]
    assert (error["category"], error["context"]) == ("OBJECT_NOT_FOUND", {"ids": ["H9"]})
    many = {"inputs": [{"id": str(n)} for n in range(101)]}
    assert api("POST", f"{DATED}/contacts/batch/read", many).status_code == 400


def test_a_propertys_history_can_be_read(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(1, phone="1")])
    twin.advance(5)
    twin.user_edit("contacts", "1001", {"phone": "2"}, by="user:9")
    row = api("GET", f"{DATED}/contacts/1001?propertiesWithHistory=phone").json()
    assert row["propertiesWithHistory"]["phone"] == [
        {"value": "2", "timestamp": "2026-11-02T08:00:05.123Z", "sourceType": "CRM_UI", "sourceId": "userId:9"},
        {"value": "1", "timestamp": "2026-11-01T07:58:21.123Z", "sourceType": "AUTOMATION_PLATFORM"},
    ]


# --- search ------------------------------------------------------------------------------------------------------


def changed_since(at_ms: int, prop: str = "lastmodifieddate") -> dict[str, Any]:
    rule = {"propertyName": prop, "operator": "GTE", "value": str(at_ms)}
    return {"filterGroups": [{"filters": [rule]}], "sorts": [{"propertyName": prop, "direction": "ASCENDING"}]}


def test_an_incremental_search_finds_what_changed(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(n) for n in range(1, 301)])
    twin.advance(10)
    twin.user_edit("contacts", "1005", {"phone": "1"})
    found = api.search(**changed_since(1_793_606_410_000), properties=["phone", "city"])
    assert (found["total"], ids(found)) == (1, ["1005"])
    assert found["results"][0]["properties"]["city"] is None
    everything = api.search(**changed_since(0), limit=200)
    assert (everything["total"], len(everything["results"])) == (300, 200)
    assert everything["paging"]["next"]["after"] == "200"
    rest = api.search(**changed_since(0), limit=200, after="200")
    assert ids(everything) + ids(rest) == [str(1000 + n) for n in range(1, 301) if n != 5] + ["1005"]
    assert "paging" not in rest


def test_contacts_and_companies_name_the_modified_date_differently(api: Api, twin: TwinHubSpot) -> None:
    twin.user_create("contacts", {"email": "a@example.org"})
    twin.user_create("companies", {"name": "Acme"})
    assert api.search(**changed_since(0))["total"] == 1
    assert api.search("companies", **changed_since(0, "hs_lastmodifieddate"))["total"] == 1
    assert api("POST", f"{DATED}/companies/search", changed_since(0)).status_code == 400


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"propertyName": "email", "operator": "EQ", "value": "N1@example.org"}, ["1001"]),
        ({"propertyName": "email", "operator": "NEQ", "value": "n1@example.org"}, ["1002", "1003"]),
        ({"propertyName": "email", "operator": "IN", "values": ["n1@example.org", "n3@example.org"]}, ["1001", "1003"]),
        ({"propertyName": "email", "operator": "NOT_IN", "values": ["n1@example.org"]}, ["1002", "1003"]),
        ({"propertyName": "city", "operator": "HAS_PROPERTY"}, ["1002"]),
        ({"propertyName": "city", "operator": "NOT_HAS_PROPERTY"}, ["1001", "1003"]),
        ({"propertyName": "hs_object_id", "operator": "GT", "value": "1001"}, ["1002", "1003"]),
        (
            {"propertyName": "hs_object_id", "operator": "BETWEEN", "value": "1001", "highValue": "1002"},
            ["1001", "1002"],
        ),
        ({"propertyName": "city", "operator": "CONTAINS_TOKEN", "value": "köl*"}, ["1002"]),
        ({"propertyName": "createdate", "operator": "LT", "value": "2026-11-01T07:58:22.000Z"}, ["1001"]),
    ],
)
def test_a_filter_picks_the_rows_it_says(
    api: Api, twin: TwinHubSpot, rule: dict[str, Any], expected: list[str]
) -> None:
    twin.load("contacts", [contact(1), contact(2, city="Bad Köln"), contact(3)])
    assert ids(api.search(filterGroups=[{"filters": [rule]}])) == expected


def test_a_text_search_looks_at_names_and_addresses(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(1, lastname="Müller"), contact(2, lastname="Mair")])
    assert ids(api.search(query="müll")) == ["1001"]
    assert ids(api.search(query="n2@example.org")) == ["1002"]
    assert ids(api.search(query="nobody")) == []


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"limit": 200, "after": "9900"},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "HAS_PROPERTY"}] * 7}]},
        {"filterGroups": [{"filters": [{"propertyName": "nope", "operator": "HAS_PROPERTY"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "LIKE", "value": "x"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ"}]}]},
        {"sorts": ["email", "city"]},
        {"query": "x" * 3000},
    ],
)
def test_a_search_has_its_limits(api: Api, body: dict[str, Any]) -> None:
    refused = api("POST", f"{DATED}/contacts/search", body)
    assert (refused.status_code, refused.json()["category"]) == (400, "VALIDATION_ERROR")


def test_the_index_lags_behind_reads_by_id(api: Api, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(1, city="Old")])
    twin.set_faults(index_lag_s=60.0, seed=2)
    twin.user_create("contacts", {"email": "new@example.org"})
    twin.user_edit("contacts", "1001", {"city": "New"})
    assert api("GET", f"{DATED}/contacts/1001?properties=city").json()["properties"]["city"] == "New"
    found = api.search(properties=["city"])
    assert [(row["id"], row["properties"]["city"]) for row in found["results"]] == [("1001", "Old")]
    twin.advance(61)
    assert [row["properties"]["city"] for row in api.search(properties=["city"])["results"]] == ["New", None]
