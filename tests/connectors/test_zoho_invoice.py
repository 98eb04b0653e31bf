"""Zoho Invoice on its twin: newest first, whole records, whole lists, a unique field, refusals with 200."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
import responses

from connectors.zoho_invoice import CONNECTOR
from hub.connector import Settings, WebhookRequest
from hub.errors import NeedsReview, RecordRejected, RetryLater, SignatureError, SignInExpired
from hub.model import Json
from hub.twins.zoho_invoice import ORGANIZATION, TOKEN_PATH, make
from tests.connectors.doors import NOW, Desk, call_in, change, desk, door_to, messages_of, twin_clock

VALUES = {"dc": "eu", "organization": ORGANIZATION}
APP = {"client_id": "twin-client", "client_secret": "twin-secret"}
AUTH = {"kind": "refresh_token", **APP, "refresh_token": "twin-refresh"}
HOOKS = {"secret": "zohosecret12345"}
LIST_ONLY = {"contacts": {"fields": ["email", "first_name"]}}


def opened(**more: Any) -> Any:
    twin = make(clock=twin_clock(), auto_hooks=False, limit_scale=0)
    return desk(CONNECTOR, twin, values=VALUES, auth=AUTH, webhooks=HOOKS, **more)


@pytest.fixture
def made() -> Iterator[Desk]:
    with opened() as found:
        yield found


def people(made: Desk, count: int, **fields: Any) -> list[str]:
    given = {"first_name": "P", "email": "p@example.org", **fields}
    return [made.twin.user_create("contacts", {"contact_name": f"P {n}", **given}) for n in range(count)]


def test_contacts_are_read_newest_first_and_only_changed_ones_whole() -> None:
    with opened() as made:
        ids = people(made, 120, billing_address={"city": "Berlin"})
        records, cursor, pages = made.pull_all("contacts")
        assert sorted(record.external_id for record in records) == ids
        assert records[0].data["billing_address"] == {"city": "Berlin"}
        assert (len(pages), made.calls()) == (3, 1 + 3 + 120)  # sign-in, pages, each contact
        made.advance(1000)
        _, cursor, _ = made.pull_all("contacts", cursor)
        made.twin.user_edit("contacts", ids[7], {"company_name": "Acme"})
        before = made.calls()
        found, _, _ = made.pull_all("contacts", cursor)
        assert [record.external_id for record in found] == [ids[7]]
        assert made.calls() - before == 2


def test_a_mapping_that_needs_no_more_than_lists_costs_one_call_for_200() -> None:
    with opened(streams=LIST_ONLY) as made:
        people(made, 450)
        records, _, pages = made.pull_all("contacts")
        assert (len(records), len(pages), made.calls()) == (450, 3, 4)


def test_all_of_one_second_are_read_again_and_vendors_never(made: Desk) -> None:
    ids = people(made, 70)
    people(made, 1, contact_type="vendor", contact_name="Supplier")
    _, cursor, _ = made.pull_all("contacts")
    assert {record.external_id for record in made.pull_all("contacts", cursor)[0]} == set(ids)


def test_an_inactive_contact_is_archived_and_a_deleted_one_gone(made: Desk) -> None:
    one, two = people(made, 2)
    _, cursor, _ = made.pull_all("contacts")
    made.twin.user_edit("contacts", one, {"status": "inactive"})
    made.twin.user_delete("contacts", two)
    assert (one, "archive") in {(record.external_id, record.op) for record in made.pull_all("contacts", cursor)[0]}
    assert [record.op for record in made.fetch("contacts", [one, two, "x", "1'"])] == ["archive", "delete"]


def test_invoices_know_the_time_and_payments_are_listed_whole(made: Desk) -> None:
    (contact,) = people(made, 1)
    given = {"customer_id": contact, "total": 10.0, "balance": 2.5}
    ids = [made.twin.user_create("invoices", given) for _ in range(210)]
    made.advance(1000)
    records, cursor, _ = made.pull_all("invoices")
    assert (len(records), records[0].data["paid"]) == (210, "7.5")
    made.twin.user_edit("invoices", ids[3], {"balance": 0.0})
    assert [record.external_id for record in made.pull_all("invoices", cursor)[0]] == [ids[3]]
    for _ in range(210):
        made.twin.user_create("customerpayments", {"customer_id": contact, "amount": 5.0})
    records, _, pages = made.pull_all("customerpayments")
    assert (len(records), pages[-1].listing_complete, records[0].data["currency_code"]) == (210, True, "EUR")


def test_a_write_keeps_what_the_vendor_would_take_away(made: Desk) -> None:
    persons = [
        {"contact_person_id": "1", "first_name": "Ada", "email": "ada@example.org", "is_primary_contact": True},
        {"contact_person_id": "2", "first_name": "Kim", "email": "kim@example.org", "is_primary_contact": False},
    ]
    (one,) = people(made, 1, contact_persons=persons, billing_address={"city": "Berlin", "fax": "030"})
    body = {"email": "new@example.org", "designation": "Boss", "billing_address": {"city": "Köln"}}
    (result,) = made.push("contacts", [change("update", body, one)])
    assert result.held is not None
    held = result.held.data
    assert [(p["contact_person_id"], p["email"]) for p in held["contact_persons"]] == [
        ("1", "new@example.org"), ("2", "kim@example.org"),
    ]  # fmt: skip
    assert (held["email"], held["designation"], held["contact_name"]) == ("new@example.org", "Boss", "P 0")
    assert (held["billing_address"]["city"], held["billing_address"]["fax"]) == ("Köln", "030")


def test_the_same_create_twice_is_one_contact(made: Desk) -> None:
    body = {"first_name": "Ada", "last_name": "Byron", "email": "ada@example.org"}
    sent = [change("create", body, reference="hub:7")]
    made.twin.set_faults(script=[{"match": "PUT", "fault": "timeout_after"}])
    (lost,) = made.push("contacts", sent)
    assert lost.outcome == "unknown"
    (found,) = made.find("contacts", "custom_field_hash.cf_hub_id", "hub:7")
    (again,) = made.push("contacts", sent)
    assert (again.outcome, again.external_id) == ("applied", found.external_id)
    assert len(made.twin.snapshot("contacts")) == 1
    (other,) = made.push("contacts", [change("create", body, reference="hub:8")])
    assert (other.outcome, other.code, other.existing_id) == ("duplicate", "3062", again.external_id)


@pytest.mark.parametrize("value", ["𝒳😀", "שלום", "a&b=c+d%20", '{"x":1}', "x" * 100])
def test_any_text_comes_back_as_it_was_sent(made: Desk, value: str) -> None:
    (one,) = people(made, 1)
    (result,) = made.push("contacts", [change("update", {"last_name": value}, one)])
    assert result.held is not None
    assert result.held.data["last_name"] == value


@pytest.mark.parametrize("value", ["a\0b", "x" * 100_000])
def test_what_the_vendor_refuses_is_refused_for_the_one_record(made: Desk, value: str) -> None:
    (one,) = people(made, 1)
    results = made.push("contacts", [change("update", {"last_name": each}, one) for each in (value, "Good")])
    assert [result.outcome for result in results] == ["rejected", "applied"]
    (gone,) = made.push("contacts", [change("update", {"last_name": "X"}, "9" * 25)])
    assert gone.outcome == "not_found"


def test_custom_fields_are_discovered_and_written(made: Desk) -> None:
    (one,) = people(made, 1, _custom={"cf_birthday": "2024-02-29"})
    found = {field.name: field for field in CONNECTOR.discover(made.api, "contacts")}
    birthday = found["custom_field_hash.cf_birthday"]
    assert (birthday.custom, birthday.writable) == (True, True)
    (result,) = made.push("contacts", [change("update", {"custom_field_hash": {"cf_birthday": "2023-03-01"}}, one)])
    assert result.held is not None
    assert result.held.data["custom_field_hash"] == {"cf_birthday": "2023-03-01"}
    assert CONNECTOR.check(made.api) == {"account": ORGANIZATION, "name": "Twin GmbH", "warnings": []}


def test_one_token_is_used_until_it_ends_and_a_refusal_with_200_is_one(made: Desk) -> None:
    for _ in range(5):
        CONNECTOR.check(made.api)
    assert [call["path"] for call in made.twin.calls()].count(TOKEN_PATH) == 1
    made.twin.tokens.revoke_refresh()
    made.advance(3700)
    with pytest.raises(SignInExpired):
        CONNECTOR.check(made.api)


# --- messages: the fact sheet's vectors --------------------------------------------------------------------------

BODY = b'{"data":{"contact_id":"90343"}}'
BILLING = "40e19ca3b059fb82bc23be467c663d8ae3eb01816bcf7916d6faae42a8aabfc7"
PAYMENTS = "t=1793606400000,v=484edf2d1600f9799ab7425737e01bcba72ca1170fc53ed2c9f4f42a73974d73"
GIVEN = Settings(values=VALUES, auth=AUTH, webhooks=HOOKS)


def message(signature: str, *, query: str = "org=7&mode=live", at: float = NOW, body: bytes = BODY) -> WebhookRequest:
    return WebhookRequest(
        method="POST", url=f"https://hub.example.com/hooks/x?{query}", received_at=at, body=body,
        headers={"x-zoho-webhook-signature": signature, "content-type": "application/json"},
    )  # fmt: skip


def test_both_schemes_are_understood() -> None:
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    CONNECTOR.verify(GIVEN, message(BILLING))
    CONNECTOR.verify(GIVEN, message(PAYMENTS, at=NOW + 299))
    (event,) = CONNECTOR.parse(GIVEN, message(BILLING))
    assert (event.stream, event.external_id) == ("contacts", "90343")


@pytest.mark.parametrize(
    "request_",
    [
        message(""), message("x"), message("Ünsinn"), message(BILLING, query="org=8&mode=live"),
        message(BILLING, body=BODY + b" "), message(PAYMENTS, at=NOW + 301), message(PAYMENTS, at=NOW - 301),
        message("t=,v=1"), message("t=²,v=1"), message(PAYMENTS.replace("400000", "400001")),
    ],
)  # fmt: skip
def test_anything_less_is_refused(request_: WebhookRequest) -> None:
    assert CONNECTOR.verify is not None
    with pytest.raises(SignatureError):
        CONNECTOR.verify(GIVEN, request_)


def test_forms_and_the_twins_own_messages_name_their_record(made: Desk) -> None:
    made.twin.set_webhook("https://hub.example.com/hooks/x", HOOKS["secret"])
    (one,) = people(made, 1)
    (sent,) = messages_of(made.twin)
    (event,) = made.parse(sent)
    assert (event.stream, event.external_id, event.at) == ("contacts", one, NOW)
    text = orjson.dumps({"invoice": {"invoice_id": "7"}}).decode()
    pairs = f"JSONString{text}"
    signed = hmac.new(HOOKS["secret"].encode(), pairs.encode(), hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Zoho-Webhook-Signature": signed}
    (event,) = made.parse(call_in(f"JSONString={text}".encode(), headers))
    assert (event.stream, event.external_id) == ("invoices", "7")
    assert CONNECTOR.parse is not None
    assert list(CONNECTOR.parse(GIVEN, call_in(b'{"item": {"item_id": "1"}}', {}))) == []
    for body in (b"[]", b"{", b"7"):
        with pytest.raises(RecordRejected, match="HOOK-BODY"):
            CONNECTOR.parse(GIVEN, call_in(body, {}))


# --- at the wire -------------------------------------------------------------------------------------------------

BASE = "https://www.zohoapis.eu/invoice/v3"


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post("https://accounts.zoho.eu/oauth/v2/token", json={"access_token": "at-1", "expires_in": 3600})
        yield mock


def api() -> Json:
    return CONNECTOR.connect(door_to(CONNECTOR, "", GIVEN), GIVEN)


def test_calls_go_to_the_data_centre_with_its_headers_and_form(wire: responses.RequestsMock) -> None:
    wire.get(f"{BASE}/invoices", json={"code": 0, "invoices": [], "page_context": {"has_more_page": False}})
    CONNECTOR.pull(api(), "invoices", {"since": NOW})
    asked = wire.calls[1].request
    assert asked.headers["Authorization"] == "Zoho-oauthtoken at-1"
    assert asked.headers["X-com-zoho-invoice-organizationid"] == ORGANIZATION
    assert "last_modified_time=2026-11-02T08%3A00%3A00%2B0000" in str(asked.url)
    wire.get(f"{BASE}/contacts/7", json={"code": 0, "contact": {"contact_id": "7", "contact_name": "Ada"}})
    wire.put(f"{BASE}/contacts/7", json={"code": 0, "contact": {"contact_id": "7", "contact_name": "Ada"}})
    assert CONNECTOR.push is not None
    CONNECTOR.push(api(), "contacts", [change("update", {"company_name": "A&B"}, "7")])
    sent = wire.calls[-1].request.body
    assert isinstance(sent, bytes)
    form = parse_qs(sent.decode())
    assert orjson.loads(form["JSONString"][0]) == {"company_name": "A&B", "contact_name": "Ada"}


@pytest.mark.parametrize(
    ("status", "code", "words", "raised"),
    [
        (401, 14, "", SignInExpired), (401, 57, "", NeedsReview), (429, 44, "", RetryLater),
        (200, 1070, "", RetryLater),
        (200, 2, "Invalid value", RecordRejected), (500, 1000, "", RetryLater),
    ],
)  # fmt: skip
def test_answers_are_told_by_their_code(
    wire: responses.RequestsMock, status: int, code: int, words: str, raised: type[Exception]
) -> None:
    wire.get(f"{BASE}/organizations", json={"code": code, "message": words}, status=status)
    with pytest.raises(raised):
        CONNECTOR.check(api())


def test_an_organisation_that_was_shut_out_stays_away_for_an_hour(wire: responses.RequestsMock) -> None:
    words = "For security reasons you have been blocked for some time as you have exceeded the maximum"
    wire.get(f"{BASE}/organizations", json={"code": 45, "message": words}, status=429)
    with pytest.raises(RetryLater) as caught:
        CONNECTOR.check(api())
    assert caught.value.after_s == 3600


def test_a_limit_of_tokens_is_no_refusal(wire: responses.RequestsMock) -> None:
    wire.replace(responses.POST, "https://accounts.zoho.eu/oauth/v2/token", json={"error": "Access Denied"})
    with pytest.raises(RetryLater):
        CONNECTOR.check(api())
    wire.replace(responses.POST, "https://accounts.zoho.eu/oauth/v2/token", json={"error": "invalid_code"})
    with pytest.raises(SignInExpired):
        CONNECTOR.check(api())


def test_the_same_page_again_and_a_page_out_of_order_stop_the_stream(wire: responses.RequestsMock) -> None:
    rows = [{"invoice_id": "1", "last_modified_time": "2026-11-02T09:00:00+0100", "currency_code": "EUR"}]
    wire.get(f"{BASE}/invoices", json={"code": 0, "invoices": rows, "page_context": {"has_more_page": True}})
    at = api()
    page = CONNECTOR.pull(at, "invoices", None)
    with pytest.raises(NeedsReview, match="PAGE-LOOP"):
        CONNECTOR.pull(at, "invoices", page.next_cursor)
    times = ("2026-11-02T09:00:00+0100", "2026-11-02T10:00:00+0100")
    wrong = [{"contact_id": str(n), "last_modified_time": time} for n, time in enumerate(times)]
    wire.get(f"{BASE}/contacts", json={"code": 0, "contacts": wrong, "page_context": {"has_more_page": False}})
    with pytest.raises(NeedsReview, match="PAGE-ORDER"):
        CONNECTOR.pull(at, "contacts", None)
