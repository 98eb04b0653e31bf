"""The HubSpot twin over HTTP, by plain requests in both generations of paths and by hubspot-api-client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hubspot
import pytest
import requests
from hubspot.crm import contacts as sdk_contacts
from hubspot.crm.associations import v4 as sdk_associations
from hubspot.utils.signature import Signature

from hub.twins.hubspot import TwinHubSpot, make, sign_v3
from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve

START = 1_793_606_400.123  # 2026-11-02 08:00:00.123 UTC
DATED = "/crm/objects/2026-09"


@pytest.fixture
def twin() -> TwinHubSpot:
    return make(clock=VirtualClock(START), auto_hooks=False)


@pytest.fixture
def running(twin: TwinHubSpot) -> Iterator[RunningTwin]:
    with serve(twin) as served:
        yield served


class Api:
    """Shorthand for calls by path."""

    def __init__(self, base_url: str, session: requests.Session) -> None:
        self._base, self._session = base_url, session

    def __call__(self, method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        return self._session.request(method, self._base + path, json=body, timeout=10, **kwargs)

    def search(self, name: str = "contacts", **body: Any) -> Any:
        return self("POST", f"{DATED}/{name}/search", body).json()


@pytest.fixture
def api(running: RunningTwin) -> Iterator[Api]:
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer twin-token"
        yield Api(running.base_url, session)


@pytest.fixture
def client(running: RunningTwin) -> Any:
    return hubspot.HubSpot(access_token="twin-token", host=running.base_url, base_url=running.base_url, retry=False)


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer["results"]]


def contact(number: int, **fields: str) -> dict[str, Any]:
    at = START - 86_400 + number
    named = {"email": f"n{number}@example.org", "firstname": f"N{number}"}
    return {"id": str(1000 + number), "created": at - 100, "modified": at, "fields": {**named, **fields}}


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


@pytest.mark.parametrize("wait_s", [10, None])
def test_a_429_comes_with_or_without_retry_after(api: Api, twin: TwinHubSpot, wait_s: int | None) -> None:
    twin.set_faults(script=[{"fault": "throttle"}], throttle_retry_after=wait_s)
    refused = api("GET", f"{DATED}/contacts")
    assert refused.status_code == 429
    assert refused.headers.get("Retry-After") == (None if wait_s is None else "10")


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


@pytest.fixture
def family(twin: TwinHubSpot) -> None:
    twin.load("companies", [{"id": key, "created": START, "fields": {"name": key}} for key in ("9001", "9002")])
    twin.load("contacts", [contact(1), contact(2)])


def test_a_new_row_can_bring_its_company(api: Api, family: None) -> None:
    link = [{"to": {"id": "9001"}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}]}]
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
    assert twin.snapshot("contacts")["1001"]["associations"] == {"companies": ["9001"], "deals": []}


def test_labels_are_known(api: Api) -> None:
    labels = api("GET", "/crm/v4/associations/deals/companies/labels").json()["results"]
    assert [(label["typeId"], label["label"]) for label in labels] == [(341, None), (5, "Primary")]
    assert api("GET", "/crm/v4/associations/deals/owners/labels").status_code == 400


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


def test_new_options_replace_the_old(api: Api, twin: TwinHubSpot) -> None:
    options = [{"label": "Fair", "value": "FAIR"}]
    api("PATCH", "/crm/v3/properties/contacts/lead_source", {"options": options})
    assert [o["value"] for o in api("GET", "/crm/v3/properties/contacts/lead_source").json()["options"]] == ["FAIR"]
    twin.user_action("set_options", stream="contacts", prop="lead_source", values=["A", "B"])
    assert len(api("GET", "/crm/v3/properties/contacts/lead_source").json()["options"]) == 2


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
    first, second = requests.models.complexjson.loads(receiver.bodies[0])
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
    linked, merged = requests.models.complexjson.loads(receiver.bodies[0])
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
    assert [len(requests.models.complexjson.loads(body)) for body in receiver.bodies] == [100, 20]


def test_a_refused_delivery_is_tried_ten_times_more_and_freshly_signed(twin: TwinHubSpot, receiver: Any) -> None:
    receiver.default = (500, b"")
    twin.set_webhook(receiver.url, SECRET)
    twin.user_create("contacts", {"firstname": "Ada"})
    assert [attempt["attempt"] for attempt in twin.drain_hooks()] == list(range(11))
    numbers = [requests.models.complexjson.loads(body)[0]["attemptNumber"] for body in receiver.bodies]
    assert numbers == list(range(11))
    assert len({headers["X-HubSpot-Signature-v3"] for headers in receiver.headers}) == 11
