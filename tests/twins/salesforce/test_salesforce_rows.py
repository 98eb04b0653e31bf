"""Salesforce twin: single rows and queries."""

from __future__ import annotations

import re
from typing import Any

import pytest
from simple_salesforce.exceptions import (
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)

from hub.twins.salesforce import TwinSalesforce
from hub.twins.salesforce_schema import make_id
from tests.twins.salesforce.door import DATA, START, Api, error_of

# --- one row -----------------------------------------------------------------------------------------------------


def test_a_row_is_created_read_changed_and_deleted(sf: Any, twin: TwinSalesforce) -> None:
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
    content: Any = gone.value.content
    error = content[0]
    assert error["errorCode"] == "ENTITY_IS_DELETED"


def test_a_guarded_update_is_refused_if_the_row_changed(api: Api, twin: TwinSalesforce) -> None:
    contact = twin.user_create("contacts", {"LastName": "Byron"})
    stamp = api("GET", f"sobjects/Contact/{contact}?fields=Id").headers["Last-Modified"]
    assert stamp == "Mon, 02 Nov 2026 08:00:00 GMT"
    guard: Any = {"headers": {"If-Unmodified-Since": stamp}}
    assert api("PATCH", f"sobjects/Contact/{contact}", {"Phone": "1"}, **guard).status_code == 204
    twin.advance(1)
    twin.user_edit("contacts", contact, {"Title": "Countess"})
    assert api("PATCH", f"sobjects/Contact/{contact}", {"Phone": "2"}, **guard).status_code == 412
    assert twin.snapshot("contacts")[contact]["fields"]["Phone"] == "1"
    assert api("GET", f"sobjects/Contact/{contact}", **guard).status_code == 412
    wrong: Any = {"headers": {"If-Unmodified-Since": "yesterday"}}
    assert api("PATCH", f"sobjects/Contact/{contact}", {"Phone": "2"}, **wrong).status_code == 400


def test_only_accounts_have_etags(api: Api, twin: TwinSalesforce) -> None:
    account = twin.user_create("accounts", {"Name": "Acme"})
    tag = api("GET", f"sobjects/Account/{account}").headers["ETag"]
    guard: Any = {"headers": {"If-Match": tag}}
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


def test_the_hub_id_is_unique_and_names_the_holder(sf: Any) -> None:
    sf.Contact.create({"LastName": "Byron", "Hub_Id__c": "H-1"})
    with pytest.raises(SalesforceMalformedRequest) as taken:
        sf.Contact.create({"LastName": "Other", "Hub_Id__c": "h-1"})
    refused: Any = taken.value.content
    assert refused == [
        {
            "message": "duplicate value found: Hub_Id__c duplicates value on record with id: 003xx0000000001",
            "errorCode": "DUPLICATE_VALUE",
            "fields": [],
        }
    ]


def test_a_deleted_rows_hub_id_is_free_again(sf: Any) -> None:
    first = sf.Contact.create({"LastName": "Byron", "Hub_Id__c": "H-1"})["id"]
    sf.Contact.delete(first)
    assert sf.Contact.create({"LastName": "Byron", "Hub_Id__c": "H-1"})["id"] != first


def test_an_upsert_creates_updates_or_asks_which(api: Api, sf: Any) -> None:
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
    found: Any = several.value.content
    assert found == [f"{DATA}/sobjects/Contact/{record_id}" for record_id in ids]
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
    allow: Any = {"headers": {"Sforce-Duplicate-Rule-Header": "allowSave=true"}}
    assert api("POST", "sobjects/Contact/", body, **allow).status_code == 201


# --- queries -----------------------------------------------------------------------------------------------------


def rows(number: int, at: float = START - 86_400) -> list[dict[str, Any]]:
    return [
        {"id": make_id("Contact", n), "created": at, "modified": at + n // 100, "fields": {"LastName": f"N{n:05}"}}
        for n in range(1, number + 1)
    ]


def test_pages_follow_a_locator(sf: Any, twin: TwinSalesforce) -> None:
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
