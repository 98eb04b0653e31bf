"""Salesforce twin: ids, sign-in, limits, what the org tells about itself."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from hub.twins.kit import VirtualClock
from hub.twins.salesforce import TwinSalesforce, make
from hub.twins.salesforce_schema import Schema, make_id, number_of, to_18
from hub.twins.server import RunningTwin, serve
from tests.twins.salesforce.door import DATA, START, Api, error_of

# --- ids and schema ----------------------------------------------------------------------------------------------


def test_an_id_carries_check_letters() -> None:
    assert to_18("003xx0000000001") == "003xx0000000001AAA"
    assert to_18("00130000000xbnD") == "00130000000xbnDAAQ"
    assert make_id("Contact", 12345) == "003xx00000003D7AAI"
    assert number_of("003xx00000003D7AAI") == 12345


def test_ids_of_later_rows_sort_behind() -> None:
    made = [make_id("Lead", number) for number in (1, 9, 10, 61, 62, 4000)]
    assert made == sorted(made)


def test_labels_are_words() -> None:
    fields = Schema().objects["Contact"]
    assert [fields[n].label for n in ("FirstName", "OwnerId", "Hub_Id__c")] == ["First Name", "Owner ID", "Hub ID"]


# --- sign-in -----------------------------------------------------------------------------------------------------


def grant(running: RunningTwin, **form: str) -> requests.Response:
    base = {"client_id": "twin-client", "client_secret": "twin-secret"}
    return requests.post(f"{running.base_url}/services/oauth2/token", data={**base, **form}, timeout=10)


def test_client_credentials_give_a_session_that_ends(running: RunningTwin, twin: TwinSalesforce) -> None:
    answer = grant(running, grant_type="client_credentials").json()
    assert answer["instance_url"] == running.base_url
    assert answer["token_type"] == "Bearer"
    assert "expires_in" not in answer
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    url = f"{running.base_url}{DATA}/limits"
    assert requests.get(url, headers=headers, timeout=10).status_code == 200
    twin.advance(7200)
    expired = requests.get(url, headers=headers, timeout=10)
    assert expired.status_code == 401
    assert expired.json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


def test_a_rotating_refresh_token_works_once(twin: TwinSalesforce, running: RunningTwin) -> None:
    twin.settings["rotate_refresh"] = True
    first = grant(running, grant_type="refresh_token", refresh_token="twin-refresh").json()
    assert grant(running, grant_type="refresh_token", refresh_token=first["refresh_token"]).status_code == 200
    again = grant(running, grant_type="refresh_token", refresh_token="twin-refresh")
    assert (again.status_code, again.json()) == (
        400,
        {"error": "invalid_grant", "error_description": "expired access/refresh token"},
    )


def test_a_sign_in_is_never_throttled(running: RunningTwin, twin: TwinSalesforce, api: Api) -> None:
    twin.set_faults(script=[{"fault": "throttle"}])
    assert grant(running, grant_type="client_credentials").status_code == 200
    assert api("GET", "limits").status_code == 403


def test_wrong_credentials_are_named(running: RunningTwin) -> None:
    assert grant(running, grant_type="client_credentials", client_secret="x").json()["error"] == "invalid_client"
    assert grant(running, grant_type="client_credentials", client_id="x").json()["error"] == "invalid_client_id"
    assert grant(running, grant_type="password").json()["error"] == "unsupported_grant_type"


def test_versions_need_no_sign_in(running: RunningTwin) -> None:
    versions = requests.get(f"{running.base_url}/services/data/", timeout=10).json()
    assert versions[-1]["version"] == "68.0"
    assert versions[0]["version"] == "31.0"


def test_every_answer_tells_the_usage(api: Api) -> None:
    api("GET", "limits")
    answer = api("GET", "limits")
    assert answer.headers["Sforce-Limit-Info"] == "api-usage=2/1000000"
    assert answer.json()["DailyApiRequests"] == {"Max": 1_000_000, "Remaining": 999_998}


def test_the_daily_limit_is_a_403_without_retry_after(gateway: Any) -> None:
    twin = make(clock=VirtualClock(START), daily_calls=2, limit_scale=1, auto_hooks=False)
    with serve(twin) as running, requests.Session() as session:
        session.headers["Authorization"] = "Bearer twin-token"
        api = Api(running.base_url, session)
        assert [api("GET", "limits").status_code for _ in range(2)] == [200, 200]
        refused = api("GET", "limits")
        assert refused.json() == [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]
        assert refused.status_code == 403
        assert refused.headers["Sforce-Limit-Info"] == "api-usage=2/2"
        assert "Retry-After" not in refused.headers
        twin.advance(86_401)
        assert api("GET", "limits").status_code == 200


# --- discovery ---------------------------------------------------------------------------------------------------


def test_describe_tells_types_lengths_and_picklists(api: Api) -> None:
    described = api("GET", "sobjects/Contact/describe").json()
    fields = {field["name"]: field for field in described["fields"]}
    assert (fields["LastName"]["type"], fields["LastName"]["length"], fields["LastName"]["nillable"]) == (
        "string",
        80,
        False,
    )
    assert fields["Hub_Id__c"]["externalId"] is True
    assert fields["Hub_Id__c"]["unique"] is True
    assert fields["Preferred_Language__c"]["restrictedPicklist"] is True
    assert [option["value"] for option in fields["Salutation"]["picklistValues"]][:2] == ["Mr.", "Ms."]
    assert fields["AccountId"]["referenceTo"] == ["Account"]
    assert (fields["Name"]["createable"], fields["Name"]["updateable"]) == (False, False)
    names = {"Contact", "Lead", "Account", "Opportunity"}
    for name in names:
        marker = [f for f in api("GET", f"sobjects/{name}/describe").json()["fields"] if f["name"] == "Hub_Id__c"]
        assert marker[0]["externalId"] is True
    assert names < {entry["name"] for entry in api("GET", "sobjects/").json()["sobjects"]}


def test_describe_can_be_revalidated(api: Api, twin: TwinSalesforce) -> None:
    stamp = api("GET", "sobjects/Contact/describe").headers["Last-Modified"]
    headers = {"If-Modified-Since": stamp}
    assert api("GET", "sobjects/Contact/describe", headers=headers).status_code == 304
    twin.user_action("set_picklist", stream="contacts", field="LeadSource", values=["Web"], restricted=True)
    assert api("GET", "sobjects/Contact/describe", headers=headers).status_code == 200
    refused = api("POST", "sobjects/Contact/", {"LastName": "B", "LeadSource": "Fair"})
    assert error_of(refused) == (400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")


def test_an_admin_adds_fields_and_external_ids(api: Api, twin: TwinSalesforce) -> None:
    twin.user_action("add_field", stream="contacts", name="Erp_Id__c", length=20, external=True)
    fields = {field["name"]: field for field in api("GET", "sobjects/Contact/describe").json()["fields"]}
    assert (fields["Erp_Id__c"]["length"], fields["Erp_Id__c"]["unique"], fields["Erp_Id__c"]["custom"]) == (
        20,
        True,
        True,
    )
    assert api("PATCH", "sobjects/Contact/Erp_Id__c/E1", {"LastName": "Byron"}).status_code == 201
    assert api("PATCH", "sobjects/Contact/Erp_Id__c/E1", {"LastName": "King"}).status_code == 200
    assert api.names("Erp_Id__c = 'e1'") == ["King"]
    taken = api("POST", "sobjects/Contact/", {"LastName": "B", "Erp_Id__c": "E1"})
    assert error_of(taken) == (400, "DUPLICATE_VALUE")


def test_an_admin_adds_a_field_once_and_under_the_name_of_a_custom_field(twin: TwinSalesforce) -> None:
    twin.user_action("add_field", stream="leads", name="Erp_Id__c")
    with pytest.raises(ValueError, match="already"):
        twin.user_action("add_field", stream="leads", name="Erp_Id__c")
    with pytest.raises(ValueError, match="no name"):
        twin.user_action("add_field", stream="leads", name="ErpId")


def test_middle_names_and_suffixes_are_a_choice_of_the_org(api: Api, twin: TwinSalesforce) -> None:
    person = {"FirstName": "Sammy", "MiddleName": "G.", "LastName": "Davis", "Suffix": "Jr."}
    assert error_of(api("POST", "sobjects/Contact/", person)) == (400, "INVALID_FIELD")
    twin.user_action("allow_name_parts")
    assert api("POST", "sobjects/Contact/", person).status_code == 201
    assert api.query("SELECT Name FROM Contact")["records"][0]["Name"] == "Sammy G. Davis Jr."
    twin.reset()
    assert error_of(api("POST", "sobjects/Contact/", person)) == (400, "INVALID_FIELD")


def test_a_reset_leaves_the_integration_user_and_undoes_what_admins_changed(api: Api, twin: TwinSalesforce) -> None:
    twin.user_action("set_picklist", stream="contacts", field="LeadSource", values=["Web"], restricted=True)
    twin.user_create("contacts", {"LastName": "B"})
    twin.reset()
    assert api("POST", "sobjects/Contact/", {"LastName": "B", "LeadSource": "Fair"}).status_code == 201
    assert list(twin.snapshot("users")) == ["005xx0000000000AAA"]
