"""The Salesforce twin over HTTP, by plain requests and by simple-salesforce."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from hub.twins.kit import VirtualClock
from hub.twins.salesforce import TwinSalesforce, make
from hub.twins.salesforce_schema import Schema, make_id, number_of, to_18
from hub.twins.server import RunningTwin, serve

START = 1_793_606_400.0  # 2026-11-02 08:00:00 UTC
DATA = "/services/data/v68.0"


@pytest.fixture
def twin() -> TwinSalesforce:
    return make(clock=VirtualClock(START), auto_hooks=False)


@pytest.fixture
def running(twin: TwinSalesforce) -> Iterator[RunningTwin]:
    with serve(twin) as served:
        yield served


@pytest.fixture
def session(running: RunningTwin) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.headers["Authorization"] = "Bearer twin-token"
        yield made


@pytest.fixture
def sf(running: RunningTwin, gateway: Any) -> Iterator[Salesforce]:
    door = gateway(running.base_url)
    yield Salesforce(
        instance_url="https://acme.my.salesforce.com",
        session_id="twin-token",
        session=door,
        version="68.0",
        object_pairs_hook=None,
    )
    door.close()


class Api:
    """Shorthand for calls by path under the data API."""

    def __init__(self, base_url: str, session: requests.Session) -> None:
        self._base, self._session = base_url + DATA, session

    def __call__(self, method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        return self._session.request(method, f"{self._base}/{path}", json=body, timeout=10, **kwargs)

    def query(self, soql: str, path: str = "query/") -> Any:
        return self("GET", path, params={"q": soql}).json()

    def names(self, where: str, path: str = "query/") -> list[str]:
        found = self.query(f"SELECT LastName FROM Contact WHERE {where} ORDER BY LastName", path)
        return [row["LastName"] for row in found["records"]]


@pytest.fixture
def api(running: RunningTwin, session: requests.Session) -> Api:
    return Api(running.base_url, session)


def error_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()[0]["errorCode"]


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


# --- one row -----------------------------------------------------------------------------------------------------


def test_a_row_is_created_read_changed_and_deleted(sf: Salesforce, twin: TwinSalesforce) -> None:
    made = sf.Contact.create({"LastName": "Byron", "FirstName": "Ada", "Email": "Ada@Example.org", "Hub_Id__c": "42"})
    assert made == {"id": "003xx0000000001AAA", "success": True, "errors": []}
    row = sf.Contact.get("003xx0000000001")  # 15 characters will do
    assert row["attributes"] == {"type": "Contact", "url": f"{DATA}/sobjects/Contact/003xx0000000001AAA"}
    assert row["Id"] == "003xx0000000001AAA"
    assert row["Name"] == "Ada Byron"
    assert row["Email"] == "Ada@Example.org"
    assert row["SystemModstamp"] == "2026-11-02T08:00:00.000+0000"
    assert row["HasOptedOutOfEmail"] is False
    twin.advance(1.9)
    assert sf.Contact.update(made["id"], {"Email": None, "Phone": " 030 / 1234-5 "}) == 204
    row = sf.Contact.get_by_custom_id("Hub_Id__c", "42")
    assert (row["Email"], row["Phone"]) == (None, "030 / 1234-5")
    assert row["SystemModstamp"] == "2026-11-02T08:00:01.000+0000"
    assert sf.Contact.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound):
        sf.Contact.get(made["id"])
    with pytest.raises(SalesforceResourceNotFound) as gone:
        sf.Contact.update(made["id"], {"Phone": "1"})
    assert gone.value.content[0]["errorCode"] == "ENTITY_IS_DELETED"


def test_a_guarded_update_is_refused_if_the_row_changed(api: Api, twin: TwinSalesforce) -> None:
    contact = twin.user_create("contacts", {"LastName": "Byron"})
    stamp = api("GET", f"sobjects/Contact/{contact}?fields=Id").headers["Last-Modified"]
    assert stamp == "Mon, 02 Nov 2026 08:00:00 GMT"
    guard = {"headers": {"If-Unmodified-Since": stamp}}
    assert api("PATCH", f"sobjects/Contact/{contact}", {"Phone": "1"}, **guard).status_code == 204
    twin.advance(1)
    twin.user_edit("contacts", contact, {"Title": "Countess"})
    assert api("PATCH", f"sobjects/Contact/{contact}", {"Phone": "2"}, **guard).status_code == 412
    assert twin.snapshot("contacts")[contact]["fields"]["Phone"] == "1"
    assert api("GET", f"sobjects/Contact/{contact}", **guard).status_code == 412
    wrong = {"headers": {"If-Unmodified-Since": "yesterday"}}
    assert api("PATCH", f"sobjects/Contact/{contact}", {"Phone": "2"}, **wrong).status_code == 400


def test_only_accounts_have_etags(api: Api, twin: TwinSalesforce) -> None:
    account = twin.user_create("accounts", {"Name": "Acme"})
    tag = api("GET", f"sobjects/Account/{account}").headers["ETag"]
    guard = {"headers": {"If-Match": tag}}
    assert api("PATCH", f"sobjects/Account/{account}", {"Phone": "1"}, **guard).status_code == 204
    assert api("PATCH", f"sobjects/Account/{account}", {"Phone": "2"}, **guard).status_code == 412
    contact = twin.user_create("contacts", {"LastName": "B"})
    assert "ETag" not in api("GET", f"sobjects/Contact/{contact}").headers


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"FirstName": "Ada"}, "REQUIRED_FIELD_MISSING"),
        ({"LastName": "   "}, "REQUIRED_FIELD_MISSING"),
        ({"LastName": "B", "Foo__c": "1"}, "INVALID_FIELD"),
        ({"LastName": "x" * 81}, "STRING_TOO_LONG"),
        ({"LastName": "B", "Email": "not-an-address"}, "INVALID_EMAIL_ADDRESS"),
        ({"LastName": "B", "Preferred_Language__c": "xx"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ({"LastName": "B", "Name": "Ada B"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"LastName": "B", "SystemModstamp": "2026-11-02T08:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"LastName": "B", "Birthdate": "31.12.1999"}, "JSON_PARSER_ERROR"),
        ({"LastName": "B", "DoNotCall": "perhaps"}, "JSON_PARSER_ERROR"),
        ({"LastName": "B", "AccountId": "001xx0000000009AAA"}, "INVALID_CROSS_REFERENCE_KEY"),
        ({"LastName": "B", "AccountId": "42"}, "MALFORMED_ID"),
        ({"LastName": "B", "AccountId": "003xx0000000001AAA"}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"LastName": "B", "Account": {"Hub_Id__c": "A1"}}, "INVALID_FIELD"),
    ],
)
def test_a_bad_value_is_refused_with_its_code(api: Api, fields: dict[str, Any], code: str) -> None:
    assert error_of(api("POST", "sobjects/Contact/", fields)) == (400, code)


def test_the_error_body_is_as_documented(api: Api) -> None:
    assert api("POST", "sobjects/Contact/", {"FirstName": "Ada"}).json() == [
        {
            "message": "Required fields are missing: [LastName]",
            "errorCode": "REQUIRED_FIELD_MISSING",
            "fields": ["LastName"],
        }
    ]


def test_users_are_read_only(api: Api, twin: TwinSalesforce) -> None:
    user = twin.user_create("users", {"LastName": "Rep", "Email": "rep@example.org", "IsActive": True})
    assert error_of(api("PATCH", f"sobjects/User/{user}", {"LastName": "X"})) == (
        403,
        "INSUFFICIENT_ACCESS_OR_READONLY",
    )


def test_saving_trims_blanks_rounds_and_orders(api: Api, twin: TwinSalesforce) -> None:
    contact = api(
        "POST", "sobjects/Contact/", {"LastName": " B ", "Title": "  ", "Interests__c": "Training;Product"}
    ).json()["id"]
    held = twin.snapshot("contacts")[contact]["fields"]
    assert (held["LastName"], held["Title"], held["Interests__c"]) == ("B", None, "Product;Training")
    deal = api(
        "POST",
        "sobjects/Opportunity/",
        {"Name": "D", "StageName": "Closed Won", "CloseDate": "2026-11-30", "Amount": 10.005},
    ).json()["id"]
    row = api("GET", f"sobjects/Opportunity/{deal}").json()
    assert (row["Amount"], row["Probability"], row["IsWon"], row["IsClosed"]) == (10.01, 100.0, True, True)
    assert (row["ExpectedRevenue"], row["CurrencyIsoCode"]) == (10.01, "EUR")


def test_the_hub_id_is_unique_and_names_the_holder(sf: Salesforce) -> None:
    sf.Contact.create({"LastName": "Byron", "Hub_Id__c": "H-1"})
    with pytest.raises(SalesforceMalformedRequest) as taken:
        sf.Contact.create({"LastName": "Other", "Hub_Id__c": "h-1"})
    assert taken.value.content == [
        {
            "message": "duplicate value found: Hub_Id__c duplicates value on record with id: 003xx0000000001",
            "errorCode": "DUPLICATE_VALUE",
            "fields": [],
        }
    ]


def test_a_deleted_rows_hub_id_is_free_again(sf: Salesforce) -> None:
    first = sf.Contact.create({"LastName": "Byron", "Hub_Id__c": "H-1"})["id"]
    sf.Contact.delete(first)
    assert sf.Contact.create({"LastName": "Byron", "Hub_Id__c": "H-1"})["id"] != first


def test_an_upsert_creates_updates_or_asks_which(api: Api, sf: Salesforce) -> None:
    path = "sobjects/Contact/Hub_Id__c/a%2Fb"
    made = api("PATCH", path, {"LastName": "Byron"})
    assert (made.status_code, made.json()["created"]) == (201, True)
    again = api("PATCH", path, {"Phone": "1"})
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert again.json()["id"] == made.json()["id"]
    assert error_of(api("PATCH", path, {"Hub_Id__c": "x"})) == (400, "INVALID_FIELD")
    ids = [sf.Contact.create({"LastName": "Twin", "Email": "twin@example.org"})["id"] for _ in range(2)]
    with pytest.raises(SalesforceMoreThanOneRecord) as several:
        sf.Contact.upsert("Email/twin@example.org", {"Title": "x"})
    assert several.value.content == [f"{DATA}/sobjects/Contact/{record_id}" for record_id in ids]
    assert error_of(api("PATCH", "sobjects/Contact/Phone/1", {"LastName": "x"})) == (404, "NOT_FOUND")


def test_a_parent_can_be_named_by_its_external_id(api: Api, twin: TwinSalesforce) -> None:
    account = twin.user_create("accounts", {"Name": "Acme", "Hub_Id__c": "A1"})
    contact = api("POST", "sobjects/Contact/", {"LastName": "B", "Account": {"Hub_Id__c": "A1"}}).json()["id"]
    assert twin.snapshot("contacts")[contact]["fields"]["AccountId"] == account


def test_who_wrote_last_can_be_seen(api: Api, twin: TwinSalesforce) -> None:
    rep = twin.user_create("users", {"LastName": "Rep"})
    contact = twin.user_create("contacts", {"LastName": "B"}, by=f"user:{rep}")
    row = api("GET", f"sobjects/Contact/{contact}").json()
    assert (row["CreatedById"], row["LastModifiedById"]) == (rep, rep)
    api("PATCH", f"sobjects/Contact/{contact}", {"Phone": "1"})
    row = api("GET", f"sobjects/Contact/{contact}").json()
    assert (row["CreatedById"], row["LastModifiedById"]) == (rep, "005xx0000000000AAA")


def test_a_duplicate_rule_can_be_overruled_by_header(api: Api, twin: TwinSalesforce) -> None:
    twin.settings["duplicate_rule"] = True
    twin.user_create("contacts", {"LastName": "B", "Email": "b@example.org"})
    body = {"LastName": "B", "Email": "B@example.org"}
    assert error_of(api("POST", "sobjects/Contact/", body)) == (400, "DUPLICATES_DETECTED")
    allow = {"headers": {"Sforce-Duplicate-Rule-Header": "allowSave=true"}}
    assert api("POST", "sobjects/Contact/", body, **allow).status_code == 201


# --- queries -----------------------------------------------------------------------------------------------------


def rows(number: int, at: float = START - 86_400) -> list[dict[str, Any]]:
    return [
        {"id": make_id("Contact", n), "created": at, "modified": at + n // 100, "fields": {"LastName": f"N{n:05}"}}
        for n in range(1, number + 1)
    ]


def test_pages_follow_a_locator(sf: Salesforce, twin: TwinSalesforce) -> None:
    twin.load("contacts", rows(4500))
    page = sf.query("SELECT Id, LastName FROM Contact ORDER BY SystemModstamp, Id")
    assert (page["totalSize"], page["done"], len(page["records"])) == (4500, False, 2000)
    assert re.fullmatch(r"/services/data/v68\.0/query/01gxx\w{13}-2000", page["nextRecordsUrl"])
    everyone = sf.query_all("SELECT Id FROM Contact ORDER BY SystemModstamp, Id")
    assert everyone["done"] is True
    assert [row["Id"] for row in everyone["records"]] == [make_id("Contact", n) for n in range(1, 4501)]
    assert twin.counts()["by_operation"] == {"query": 2, "query_more": 2}


def test_the_batch_size_is_the_callers_within_bounds(api: Api, twin: TwinSalesforce) -> None:
    twin.load("contacts", rows(700))
    for asked, got in ((300, 300), (5, 200), (9999, 700)):
        page = api(
            "GET",
            "query/",
            params={"q": "SELECT Id FROM Contact"},
            headers={"Sforce-Query-Options": f"batchSize={asked}"},
        )
        assert len(page.json()["records"]) == got


def test_a_locator_ends_after_two_days_or_when_ten_newer_are_open(api: Api, twin: TwinSalesforce) -> None:
    twin.load("contacts", rows(2001))

    def open_one() -> str:
        return str(api.query("SELECT Id FROM Contact")["nextRecordsUrl"]).removeprefix(f"{DATA}/")

    oldest = open_one()
    newer = [open_one() for _ in range(10)]
    assert error_of(api("GET", oldest)) == (400, "INVALID_QUERY_LOCATOR")
    assert len(api("GET", newer[0]).json()["records"]) == 1
    twin.advance(2 * 86_400 + 1)
    assert error_of(api("GET", newer[0])) == (400, "INVALID_QUERY_LOCATOR")


def test_a_query_filters_orders_and_limits(api: Api, twin: TwinSalesforce) -> None:
    twin.load("contacts", rows(300))
    twin.advance(10)
    twin.user_edit("contacts", make_id("Contact", 7), {"Email": "Seven@example.org", "DoNotCall": True})
    assert api.names("SystemModstamp >= 2026-11-02T08:00:10Z") == ["N00007"]
    assert api.names("Email = 'seven@EXAMPLE.org'") == ["N00007"]
    assert api.names("DoNotCall = true AND Email != null") == ["N00007"]
    assert api.names("LastName LIKE 'n0000%' AND Id > '003xx0000000006'") == ["N00007", "N00008", "N00009"]
    assert api.names(f"Id IN ('{make_id('Contact', 3)}', '{make_id('Contact', 4)[:15]}')") == ["N00003", "N00004"]
    found = api.query("SELECT Id FROM Contact WHERE DoNotCall = false ORDER BY LastName DESC LIMIT 2 OFFSET 1")
    assert [row["Id"] for row in found["records"]] == [make_id("Contact", 299), make_id("Contact", 298)]
    assert api.query("SELECT COUNT() FROM Contact") == {"totalSize": 300, "done": True, "records": []}
    assert api.query("SELECT Id FROM Contact WHERE LastName = 'none'") == {
        "totalSize": 0,
        "done": True,
        "records": [],
    }


def test_a_keyset_over_equal_stamps_loses_nothing(api: Api, twin: TwinSalesforce) -> None:
    twin.load("contacts", [{**row, "modified": START - 50} for row in rows(450)])
    seen: list[str] = []
    where = ""
    while True:
        found = api.query(f"SELECT Id, SystemModstamp FROM Contact {where} ORDER BY SystemModstamp, Id LIMIT 200")
        if not found["records"]:
            break
        seen += [row["Id"] for row in found["records"]]
        last = found["records"][-1]
        at = last["SystemModstamp"].replace("+0000", "Z")
        where = f"WHERE (SystemModstamp = {at} AND Id > '{last['Id']}') OR SystemModstamp > {at}"
    assert seen == [make_id("Contact", n) for n in range(1, 451)]


def test_a_parents_fields_can_be_selected_and_compared(api: Api, twin: TwinSalesforce) -> None:
    acme = twin.user_create("accounts", {"Name": "Acme"})
    twin.user_create("contacts", {"LastName": "In", "AccountId": acme})
    twin.user_create("contacts", {"LastName": "Out"})
    found = api.query("SELECT LastName, Account.Name FROM Contact ORDER BY LastName")["records"]
    assert found[0]["Account"] == {
        "attributes": {"type": "Account", "url": f"{DATA}/sobjects/Account/{acme}"},
        "Name": "Acme",
    }
    assert found[1]["Account"] is None
    assert api.names("Account.Name = 'acme'") == ["In"]


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Foo FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Foo = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Contact ORDER BY Foo", "INVALID_FIELD"),
        ("SELECT Foo.Name FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Thing", "INVALID_TYPE"),
        ("SELECT Id FROM Contact WHERE SystemModstamp > '2026-11-02T08:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE LastName = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM Contact", "MALFORMED_QUERY"),
    ],
)
def test_a_bad_query_is_refused_with_its_code(api: Api, soql: str, code: str) -> None:
    twin_answer = api("GET", "query/", params={"q": soql})
    assert error_of(twin_answer) == (400, code)


def test_a_long_query_fits_only_into_a_body(api: Api) -> None:
    ids = ",".join(f"'{make_id('Contact', n)}'" for n in range(1000))
    soql = f"SELECT Id FROM Contact WHERE Id IN ({ids})"
    assert api("GET", "query/", params={"q": soql}).status_code == 414
    part = {"method": "GET", "url": f"{DATA}/query/?q={soql.replace(' ', '+')}", "referenceId": "q"}
    answer = api("POST", "composite", {"compositeRequest": [part]}).json()
    assert answer["compositeResponse"][0]["httpStatusCode"] == 200


# --- deletions, merges, conversion -------------------------------------------------------------------------------


def test_deleted_rows_show_only_to_query_all_and_the_log_of_deletions(sf: Salesforce, twin: TwinSalesforce) -> None:
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


def contact_row(**fields: Any) -> dict[str, Any]:
    return {"attributes": {"type": "Contact"}, **fields}


def test_a_collection_answers_row_by_row_in_order(sf: Salesforce) -> None:
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
    parts = [
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


def test_the_sdk_sees_the_vendors_errors(sf: Salesforce, twin: TwinSalesforce) -> None:
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
