"""HubSpot twin: sign-in, limits, discovery, and the vendor's own SDK."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from hubspot.crm import contacts as sdk_contacts
from hubspot.crm.associations import v4 as sdk_associations

from hub.twins.hubspot import TwinHubSpot, make
from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve
from tests.twins.hubspot.door import DATED, START, Api, contact, ids

# --- sign-in -----------------------------------------------------------------------------------------------------


def grant(running: RunningTwin, path: str = "/oauth/2026-03/token", **form: str) -> requests.Response:
    base = {"client_id": "twin-client", "client_secret": "twin-secret", "grant_type": "refresh_token"}
    return requests.post(running.base_url + path, data={**base, **form}, timeout=10)


@pytest.mark.parametrize("path", ["/oauth/2026-03/token", "/oauth/v1/token"])
def test_an_access_token_lives_half_an_hour(running: RunningTwin, twin: TwinHubSpot, path: str) -> None:
    answer = grant(running, path, refresh_token="twin-refresh").json()
    assert (answer["token_type"], answer["refresh_token"], answer["expires_in"]) == ("bearer", "twin-refresh", 1800)
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    url = f"{running.base_url}{DATED}/contacts"
    assert requests.get(url, headers=headers, timeout=10).status_code == 200
    twin.advance(1920)
    expired = requests.get(url, headers=headers, timeout=10)
    assert expired.status_code == 401
    body = expired.json()
    assert body["category"] == "EXPIRED_AUTHENTICATION"
    assert body["message"] == "The OAuth token used to make this call expired 2 minute(s) ago."
    assert body["context"] == {"expire time": ["2026-11-02T08:30:00.123Z"]}


def test_wrong_credentials_are_named(running: RunningTwin) -> None:
    refused = grant(running, refresh_token="other")
    assert (refused.status_code, refused.json()) == (
        400,
        {
            "status": "BAD_REFRESH_TOKEN",
            "message": "missing or invalid refresh token",
            "error": "invalid_grant",
        },
    )
    assert grant(running, client_id="x").json()["status"] == "BAD_CLIENT_ID"
    assert grant(running, client_secret="x").json()["status"] == "BAD_CLIENT_SECRET"


def test_an_unknown_token_is_refused(running: RunningTwin) -> None:
    refused = requests.get(f"{running.base_url}{DATED}/contacts", timeout=10)
    assert (refused.status_code, refused.json()["category"]) == (401, "INVALID_AUTHENTICATION")


def test_the_account_is_known(api: Api) -> None:
    for path in ("/account-info/2026-09/details", "/account-info/v3/details"):
        account = api("GET", path).json()
        assert (account["portalId"], account["accountType"], account["companyCurrency"]) == (62515, "STANDARD", "EUR")


# --- limits ------------------------------------------------------------------------------------------------------


def limited(**options: Any) -> TwinHubSpot:
    return make(clock=VirtualClock(START), limit_scale=1, auto_hooks=False, **options)


def test_the_burst_limit_and_its_headers() -> None:
    twin = limited()
    with serve(twin) as running, requests.Session() as session:
        session.headers["Authorization"] = "Bearer twin-token"
        api = Api(running.base_url, session)
        first = api("GET", f"{DATED}/contacts")
        assert {key: value for key, value in first.headers.items() if key.startswith("X-HubSpot")} == {
            "X-HubSpot-RateLimit-Max": "190",
            "X-HubSpot-RateLimit-Remaining": "189",
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Daily": "625000",
            "X-HubSpot-RateLimit-Daily-Remaining": "624999",
        }
        for _ in range(189):
            assert api("GET", f"{DATED}/contacts").status_code == 200
        refused = api("GET", f"{DATED}/contacts")
        assert (refused.status_code, refused.json()["policyName"]) == (429, "TEN_SECONDLY_ROLLING")
        assert (refused.json()["errorType"], "Retry-After" in refused.headers) == ("RATE_LIMIT", False)
        twin.advance(10)
        assert api("GET", f"{DATED}/contacts").status_code == 200


def test_search_has_its_own_limit_and_no_headers() -> None:
    twin = limited(retry_after=True)
    with serve(twin) as running, requests.Session() as session:
        session.headers["Authorization"] = "Bearer twin-token"
        api = Api(running.base_url, session)
        for _ in range(5):
            answer = api("POST", f"{DATED}/contacts/search", {})
            assert answer.status_code == 200
            assert not [key for key in answer.headers if key.startswith("X-HubSpot")]
        refused = api("POST", f"{DATED}/contacts/search", {})
        assert (refused.status_code, refused.json()["policyName"]) == (429, "SECONDLY")
        assert refused.headers["Retry-After"] == "1"
        assert api("GET", f"{DATED}/contacts").status_code == 200
        assert twin.counts()["early"] == 1


def test_oauth_apps_have_110_calls_and_no_daily_headers() -> None:
    with serve(limited(app="oauth")) as running:
        answer = requests.get(
            f"{running.base_url}{DATED}/contacts", headers={"Authorization": "Bearer twin-token"}, timeout=10
        )
    assert answer.headers["X-HubSpot-RateLimit-Max"] == "110"
    assert "X-HubSpot-RateLimit-Daily" not in answer.headers


def test_a_twin_without_limits_still_tells_the_vendors() -> None:
    with serve(make(clock=VirtualClock(START), limit_scale=0, auto_hooks=False)) as running:
        headers = {"Authorization": "Bearer twin-token"}
        for _ in range(3):
            answer = requests.get(f"{running.base_url}{DATED}/contacts", headers=headers, timeout=10)
        assert answer.headers["X-HubSpot-RateLimit-Remaining"] == "190"


@pytest.mark.parametrize("wait_s", [10, None])
def test_a_429_comes_with_or_without_retry_after(api: Api, twin: TwinHubSpot, wait_s: int | None) -> None:
    twin.set_faults(script=[{"fault": "throttle"}], throttle_retry_after=wait_s)
    refused = api("GET", f"{DATED}/contacts")
    assert refused.status_code == 429
    assert refused.headers.get("Retry-After") == (None if wait_s is None else "10")


# --- discovery ---------------------------------------------------------------------------------------------------


def test_properties_are_told_with_type_options_and_access(api: Api) -> None:
    found = {p["name"]: p for p in api("GET", "/crm/properties/2026-09/contacts").json()["results"]}
    assert (found["email"]["type"], found["email"]["fieldType"]) == ("string", "text")
    assert found["hub_id"]["hasUniqueValue"] is True
    assert [option["value"] for option in found["lifecyclestage"]["options"]][-1] == "other"
    assert found["hubspot_owner_id"]["referencedObjectType"] == "OWNER"
    assert found["lastmodifieddate"]["modificationMetadata"]["readOnlyValue"] is True
    assert "lastmodifieddate" not in {p["name"] for p in api("GET", "/crm/v3/properties/deals").json()["results"]}


def test_a_unique_property_can_be_added(api: Api) -> None:
    body = {
        "name": "erp_id",
        "label": "ERP id",
        "type": "string",
        "fieldType": "text",
        "groupName": "contactinformation",
        "hasUniqueValue": True,
    }
    assert api("POST", "/crm/properties/2026-09/contacts", body).status_code == 201
    again = api("POST", "/crm/properties/2026-09/contacts", body)
    assert (again.status_code, again.json()["category"]) == (409, "OBJECT_ALREADY_EXISTS")
    api("POST", f"{DATED}/contacts", {"properties": {"email": "a@example.org", "erp_id": "E1"}})
    assert api("GET", f"{DATED}/contacts/E1?idProperty=erp_id").status_code == 200
    assert api("DELETE", "/crm/properties/2026-09/contacts/erp_id").status_code == 204
    assert api("GET", "/crm/properties/2026-09/contacts/erp_id").status_code == 404


def test_an_admin_adds_a_property_once(api: Api, twin: TwinHubSpot) -> None:
    twin.user_action("add_property", stream="contacts", name="erp_id", unique=True)
    found = api("GET", "/crm/v3/properties/contacts/erp_id").json()
    assert (found["hasUniqueValue"], found["groupName"], found["label"]) == (True, "contactinformation", "Erp id")
    for status in (201, 400):  # no two records share a unique value
        answer = api("POST", f"{DATED}/contacts", {"properties": {"firstname": "Ada", "erp_id": "E1"}})
        assert answer.status_code == status
    with pytest.raises(ValueError, match="already exists"):
        twin.user_action("add_property", stream="contacts", name="erp_id")


def test_new_options_replace_the_old(api: Api, twin: TwinHubSpot) -> None:
    options = [{"label": "Fair", "value": "FAIR"}]
    api("PATCH", "/crm/v3/properties/contacts/lead_source", {"options": options})
    assert [o["value"] for o in api("GET", "/crm/v3/properties/contacts/lead_source").json()["options"]] == ["FAIR"]
    twin.user_action("set_options", stream="contacts", prop="lead_source", values=["A", "B"])
    assert len(api("GET", "/crm/v3/properties/contacts/lead_source").json()["options"]) == 2


def test_a_reset_undoes_what_admins_changed(api: Api, twin: TwinHubSpot) -> None:
    twin.user_action("set_options", stream="contacts", prop="lead_source", values=["A"])
    twin.user_create("contacts", {"email": "a@example.org"})
    twin.reset()
    assert len(api("GET", "/crm/v3/properties/contacts/lead_source").json()["options"]) == 7
    assert api("GET", f"{DATED}/contacts").json() == {"results": []}


def test_pipelines_and_owners_are_told(api: Api, twin: TwinHubSpot) -> None:
    stages = api("GET", "/crm/pipelines/2026-09/deals").json()["results"][0]["stages"]
    assert [(s["id"], s["metadata"]["isClosed"]) for s in stages][-2:] == [
        ("closedwon", "true"),
        ("closedlost", "true"),
    ]
    twin.user_create("owners", {"email": "rep@example.org", "firstName": "Re", "lastName": "P", "userId": 7})
    for path in ("/crm/v3/owners/", "/crm/owners/2026-09"):
        assert ids(api("GET", path).json()) == ["301"]
    assert api("GET", "/crm/v3/owners/7?idProperty=userId").json()["email"] == "rep@example.org"
    made = api("POST", f"{DATED}/contacts", {"properties": {"email": "a@example.org", "hubspot_owner_id": "301"}})
    assert made.status_code == 201


# --- the vendor's own SDK ----------------------------------------------------------------------------------------


def test_the_sdk_reads_and_writes(client: Any, twin: TwinHubSpot) -> None:
    basic = client.crm.contacts.basic_api
    made = basic.create({"properties": {"email": "ada@example.org", "firstname": "Ada"}}, _request_timeout=10)
    assert (made.id, made.properties["email"]) == ("501", "ada@example.org")
    basic.update("501", {"properties": {"lastname": "Byron"}}, _request_timeout=10)
    row = basic.get_by_id("501", properties=["lastname"], _request_timeout=10)
    assert row.properties["lastname"] == "Byron"
    assert row.updated_at.isoformat() == "2026-11-02T08:00:00.123000+00:00"
    page = basic.get_page(limit=5, properties=["email"], _request_timeout=10)
    assert [entry.id for entry in page.results] == ["501"]
    found = client.crm.contacts.search_api.do_search(
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ", "value": "ada@example.org"}]}]},
        _request_timeout=10,
    )
    assert found.total == 1
    assert [owner.email for owner in client.crm.owners.owners_api.get_page(_request_timeout=10).results] == []
    assert client.crm.pipelines.pipelines_api.get_all("deals", _request_timeout=10).results[0].id == "default"
    names = [p.name for p in client.crm.properties.core_api.get_all("contacts", _request_timeout=10).results]
    assert "hub_id" in names


def test_the_sdk_sees_partial_failures_and_errors(client: Any, twin: TwinHubSpot) -> None:
    twin.load("contacts", [contact(1, hub_id="H1")])
    batch = client.crm.contacts.batch_api
    inputs = [{"id": "1001", "properties": {"city": "X"}}, {"id": "77", "properties": {"city": "X"}}]
    answer = batch.update({"inputs": inputs}, _request_timeout=10)
    assert (answer.num_errors, answer.errors[0].category) == (1, "OBJECT_NOT_FOUND")
    upserted = batch.upsert(
        {"inputs": [{"id": "H1", "idProperty": "hub_id", "properties": {"city": "Y"}}]}, _request_timeout=10
    )
    assert upserted.results[0].new is False
    with pytest.raises(sdk_contacts.ApiException) as refused:
        client.crm.contacts.basic_api.create({"properties": {"email": "n1@example.org"}}, _request_timeout=10)
    assert refused.value.status == 409
    twin.set_faults(script=[{"fault": "throttle"}], throttle_retry_after=3)
    with pytest.raises(sdk_contacts.ApiException) as throttled:
        client.crm.contacts.basic_api.get_page(_request_timeout=10)
    assert (throttled.value.status, throttled.value.headers["Retry-After"]) == (429, "3")


def test_the_sdk_reads_associations(client: Any, twin: TwinHubSpot, family: None) -> None:
    api = client.crm.associations.v4
    api.basic_api.create_default("contacts", "1001", "companies", "9001", _request_timeout=10)
    inputs = sdk_associations.BatchInputPublicFetchAssociationsBatchRequest(inputs=[{"id": "1001"}])
    read = api.batch_api.get_page("contacts", "companies", inputs, _request_timeout=10)
    assert [link.to_object_id for link in read.results[0].to] == ["9001"]
