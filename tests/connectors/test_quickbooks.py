"""QuickBooks on its twin: queries, the change log, versions, keys, rotating tokens, broken records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
import responses

from connectors.quickbooks import CONNECTOR
from hub.connector import Settings
from hub.errors import NeedsReview, RecordRejected, RetryLater, SignatureError, SignInExpired
from hub.model import Json
from hub.runtime.sign_in import TokenShelf
from hub.twins.quickbooks import REALM, make
from tests.connectors.doors import NOW, Desk, call_in, change, desk, door_to, messages_of, twin_clock

VALUES = {"realm": REALM}
APP = {"client_id": "twin-client", "client_secret": "twin-secret"}
AUTH = {"kind": "refresh_token", **APP, "refresh_token": "twin-refresh"}
HOOKS = {"secret": "qbo-verifier-token"}


@pytest.fixture
def made() -> Iterator[Desk]:
    twin = make(clock=twin_clock(), auto_hooks=False, limit_scale=0)
    with desk(CONNECTOR, twin, values=VALUES, auth=AUTH, webhooks=HOOKS) as found:
        yield found


def people(made: Desk, count: int) -> list[str]:
    return [made.twin.user_create("customers", {"GivenName": "P", "FamilyName": f"Q{n}"}) for n in range(count)]


def invoice(made: Desk, **fields: Any) -> str:
    number: str = made.twin.user_create("invoices", {"TotalAmt": 10.0, "Balance": 10.0, **fields})
    return number


def test_the_first_read_is_queries_and_later_ones_ask_the_log(made: Desk) -> None:
    ids = people(made, 1500)  # all in one second
    records, cursor, pages = made.pull_all("customers")
    assert sorted(record.external_id for record in records) == sorted(ids)
    assert (len(pages), made.calls()) == (2, 3)  # two queries, and the sign-in
    made.advance(1000)
    _, cursor, _ = made.pull_all("customers", cursor)
    made.twin.user_edit("customers", ids[7], {"CompanyName": "Acme"})
    made.twin.user_delete("customers", ids[8])
    before = made.calls()
    found, _, _ = made.pull_all("customers", cursor)
    assert {(record.external_id, record.op) for record in found} == {(ids[7], "upsert"), (ids[8], "archive")}
    assert made.calls() - before == 1


def test_deleted_invoices_stand_in_the_log(made: Desk) -> None:
    one, two = invoice(made), invoice(made)
    _, cursor, _ = made.pull_all("invoices")
    made.advance(500)
    made.twin.user_delete("invoices", one)
    found, _, _ = made.pull_all("invoices", cursor)
    assert (one, "delete") in {(record.external_id, record.op) for record in found}
    assert [record.op for record in made.fetch("invoices", [one, two])] == ["delete", "upsert"]


def test_more_changes_than_the_log_holds_are_queried_and_deletes_are_kept(made: Desk) -> None:
    first = invoice(made)
    _, cursor, _ = made.pull_all("invoices")
    made.advance(10)
    made.twin.user_delete("invoices", first)
    ids = [invoice(made) for _ in range(1100)]
    found, _, pages = made.pull_all("invoices", cursor)
    assert {record.external_id for record in found if record.op == "upsert"} == set(ids)
    assert (first, "delete") in {(record.external_id, record.op) for record in found}
    assert len(pages) >= 3


def test_after_a_month_without_a_read_queries_are_used_again(made: Desk) -> None:
    ids = people(made, 3)
    made.advance(1000)
    _, cursor, _ = made.pull_all("customers")
    made.advance(31 * 86_400)
    made.twin.user_edit("customers", ids[0], {"CompanyName": "Acme"})
    assert [record.external_id for record in made.pull_all("customers", cursor)[0]] == [ids[0]]


def test_a_broken_record_is_found_by_halves_and_the_others_are_read(made: Desk) -> None:
    ids = people(made, 40)
    made.twin.user_action("break", stream="customers", record_id=ids[13])
    records, cursor, pages = made.pull_all("customers")
    assert {record.external_id for record in records} == set(ids) - {ids[13]}
    assert [fault["code"] for page in pages for fault in page.faults] == ["QUICKBOOKS-BROKEN"]
    found, _, pages = made.pull_all("customers", cursor)  # the log breaks on it, too
    assert {record.external_id for record in found} == set(ids) - {ids[13]}


def test_an_invoices_state_is_told_by_its_balance(made: Desk) -> None:
    for fields in ({}, {"Balance": 0.0}, {"TotalAmt": 0.0, "Balance": 0.0, "PrivateNote": "Voided"}, {"Balance": 2.5}):
        invoice(made, **fields)
    records, _, _ = made.pull_all("invoices")
    assert [record.data["Status"] for record in records] == ["open", "paid", "void", "open"]
    assert [record.data["PaidAmt"] for record in records] == ["0.0", "10.0", "0", "7.5"]
    assert {record.data["Currency"] for record in records} == {"EUR"}


def test_thirty_go_at_once_each_with_its_version(made: Desk) -> None:
    ids = people(made, 70)
    stamps = {record.external_id: record.stamp for record in made.pull_all("customers")[0]}
    before = made.calls()
    sent = [change("update", {"CompanyName": f"C{n}"}, each, stamp=stamps[each], idempotency_key=f"k{n}")
            for n, each in enumerate(ids)]  # fmt: skip
    results = made.push("customers", sent)
    assert [result.held.data["CompanyName"] for result in results if result.held] == [f"C{n}" for n in range(70)]
    assert made.calls() - before == 3
    assert {made.twin.snapshot("customers")[each]["fields"]["GivenName"] for each in ids} == {"P"}  # sparse


def test_an_edit_that_was_not_seen_is_never_overwritten(made: Desk) -> None:
    one, two = people(made, 2)
    stamps = {record.external_id: record.stamp for record in made.pull_all("customers")[0]}
    made.advance(5)
    made.twin.user_edit("customers", one, {"CompanyName": "Theirs"})
    sent = [change("update", {"CompanyName": "Ours"}, each, stamp=stamps[each]) for each in (one, two)]
    assert [result.outcome for result in made.push("customers", sent)] == ["stale", "applied"]
    made.start_again()  # a new process knows no versions: it looks, and sees another stamp
    assert [result.outcome for result in made.push("customers", sent)] == ["stale", "stale"]
    assert made.twin.snapshot("customers")[one]["fields"]["CompanyName"] == "Theirs"


def test_an_edit_in_the_same_second_is_not_overwritten_either(made: Desk) -> None:
    (one,) = people(made, 1)
    (record,), _, _ = made.pull_all("customers")
    made.twin.user_edit("customers", one, {"CompanyName": "Theirs"})
    (result,) = made.push("customers", [change("update", {"CompanyName": "Ours"}, one, stamp=record.stamp)])
    assert (result.outcome, result.code) == ("stale", "5010")


def test_the_same_create_twice_is_one_customer(made: Desk) -> None:
    sent = [change("create", {"GivenName": "Ada", "FamilyName": "Byron"}, idempotency_key="k1")]
    made.twin.set_faults(script=[{"match": "POST /batch", "fault": "timeout_after"}])
    (lost,) = made.push("customers", sent)
    assert lost.outcome == "unknown"
    (again,) = made.push("customers", sent)
    assert again.outcome == "applied"
    assert len(made.twin.snapshot("customers")) == 1
    (other,) = made.push("customers", [replace(sent[0], idempotency_key="k2")])
    assert (other.outcome, other.code, other.existing_id) == ("duplicate", "6240", again.external_id)


def test_good_items_of_a_batch_are_done_and_bad_ones_told(made: Desk) -> None:
    ids = people(made, 4)
    made.pull_all("customers")
    stamp, long, nobody = NOW, {"CompanyName": "x" * 101}, {"PrimaryEmailAddr": {"Address": "nobody"}}
    bodies: list[Json] = [long, nobody, {"Nonsense": "x"}, {"CompanyName": "Good"}]
    sent = [change("update", body, each, stamp=stamp) for body, each in zip(bodies, ids, strict=True)]
    results = made.push("customers", sent)
    assert [(result.outcome, result.field) for result in results] == [
        ("rejected", "CompanyName"), ("rejected", "PrimaryEmailAddr"), ("rejected", "Nonsense"), ("applied", ""),
    ]  # fmt: skip
    made.twin.set_faults(script=[{"match": "POST /batch", "fault": "partial_batch", "rows": 1}])
    (result,) = made.push("customers", [change("update", {"Notes": "n"}, ids[0], stamp=stamp)])
    assert (result.outcome, result.retry_after_s) == ("throttled", 60.0)


@pytest.mark.parametrize("value", ["𝒳😀", "שלום", "O'Brien \\ '", "<b>", "a" * 100])
def test_any_text_comes_back_as_it_was_sent(made: Desk, value: str) -> None:
    (one,) = people(made, 1)
    (result,) = made.push("customers", [change("update", {"CompanyName": value, "DisplayName": value}, one)])
    assert result.held is not None
    assert result.held.data["CompanyName"] == value
    assert [record.external_id for record in made.find("customers", "DisplayName", value)] == [one]


def test_ids_that_are_none_never_get_into_a_query(made: Desk) -> None:
    assert made.fetch("customers", ["x' OR Id > '0", "", "1 ", "9" * 20]) == []
    (gone,) = made.fetch("customers", ["9" * 19])
    assert gone.op == "delete"


def test_the_refresh_token_that_came_is_the_one_used_next() -> None:
    kept: dict[str, str] = {}
    twin = make(clock=twin_clock(), auto_hooks=False, limit_scale=0)
    with desk(CONNECTOR, twin, values=VALUES, auth=AUTH) as made:
        made.door._sign_in._shelf = TokenShelf(save=lambda tokens: kept.update(tokens), load=lambda: dict(kept))
        made.pull_all("customers")
        first = kept["refresh_token"]
        made.advance(3700)
        made.pull_all("customers")
        assert kept["refresh_token"] not in ("twin-refresh", first)
        twin.tokens.revoke_refresh()
        made.advance(3700)
        with pytest.raises(SignInExpired):
            CONNECTOR.check(made.api)
        before = made.calls()
        with pytest.raises(SignInExpired):
            CONNECTOR.check(made.api)
        assert made.calls() == before  # nobody storms the vendor


# --- messages: the fact sheet's vectors ----------------------------------------------------------------------------

SHORT = b'{"id":"1","ok":true}'
WHOLE = (
    b'[{"specversion":"1.0","id":"evt-1","source":"intuit.test","type":"qbo.customer.updated.v1","datacontenttype":'
    b'"application/json","time":"2026-11-02T08:00:00Z","intuitentityid":"58","intuitaccountid":"9130000000000001",'
    b'"data":{}}]'
)
GIVEN = Settings(values=VALUES, auth=AUTH, webhooks=HOOKS)


def test_the_documented_messages_are_good() -> None:
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    short = call_in(SHORT, {"intuit-signature": "dcA/L4NlzmAUZvjnntfr67ynjGkU3t12g3U+8m0wriA="})
    CONNECTOR.verify(replace(GIVEN, webhooks={"secret": "topsecret"}), short)
    whole = call_in(WHOLE, {"intuit-signature": "0iG5yNfRxxxRcH1AN3nzd9xoIiSH/gcfd4jaqEJ0buY="})
    CONNECTOR.verify(GIVEN, whole)
    (event,) = CONNECTOR.parse(GIVEN, whole)
    assert (event.key, event.stream, event.external_id, event.at) == ("evt-1", "customers", "58", NOW)


@pytest.mark.parametrize("signature", ["", "x", "Ünsinn", "dcA/L4NlzmAUZvjnntfr67ynjGkU3t12g3U+8m0wriA="])
def test_anything_less_is_refused(signature: str) -> None:
    assert CONNECTOR.verify is not None
    for given in (GIVEN, replace(GIVEN, webhooks={})):
        with pytest.raises(SignatureError):
            CONNECTOR.verify(given, call_in(WHOLE, {"intuit-signature": signature}))


def test_messages_about_several_companies_and_the_old_format(made: Desk) -> None:
    made.twin.set_webhook("https://hub.example.com/hooks/x", HOOKS["secret"])
    (one,) = people(made, 1)
    (sent,) = messages_of(made.twin)
    assert [(event.stream, event.external_id) for event in made.parse(sent)] == [("customers", one)]
    assert CONNECTOR.parse is not None
    other = WHOLE.replace(b"9130000000000001", b"1")
    assert list(CONNECTOR.parse(GIVEN, call_in(other, {}))) == []
    entity = {"name": "Invoice", "id": "7", "operation": "Delete", "lastUpdated": "2026-11-02T08:00:00Z"}
    entities = [entity, {**entity, "name": "Bill"}]
    old = {"eventNotifications": [{"realmId": REALM, "dataChangeEvent": {"entities": entities}}]}
    (event,) = CONNECTOR.parse(GIVEN, call_in(orjson.dumps(old), {}))
    assert (event.stream, event.external_id, event.kind, event.at) == ("invoices", "7", "deleted", NOW)
    for body in (b"{}", b"[7]", b"[{}]", b"{", b'[{"type":"x","id":"1","intuitaccountid":"1","intuitentityid":"1"}]'):
        with pytest.raises(RecordRejected, match="HOOK-BODY"):
            CONNECTOR.parse(GIVEN, call_in(body, {}))


# --- at the wire -------------------------------------------------------------------------------------------------

BASE = f"https://quickbooks.api.intuit.com/v3/company/{REALM}"


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        token = {"access_token": "at-1", "refresh_token": "rt-2", "expires_in": 3600}
        mock.post("https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer", json=token)
        yield mock


def api() -> Json:
    return CONNECTOR.connect(door_to(CONNECTOR, "", GIVEN), GIVEN)


def test_a_query_and_the_sign_in_are_sent_as_documented(wire: responses.RequestsMock) -> None:
    wire.post(f"{BASE}/query", json={"QueryResponse": {}})
    CONNECTOR.pull(api(), "customers", None)
    assert wire.calls[0].request.headers["Authorization"] == "Basic dHdpbi1jbGllbnQ6dHdpbi1zZWNyZXQ="
    assert wire.calls[0].request.body == b"grant_type=refresh_token&refresh_token=twin-refresh"
    asked = wire.calls[1].request
    assert (asked.headers["Accept"], asked.headers["Content-Type"]) == ("application/json", "application/text")
    assert asked.body == (
        b"SELECT * FROM Customer WHERE Active IN (true, false) ORDERBY MetaData.LastUpdatedTime STARTPOSITION 1 "
        b"MAXRESULTS 1000"
    )


def fault(code: str, key: str = "Fault") -> Json:
    inner = "Error" if key == "Fault" else "error"
    return {key: {inner: [{"Message": "words", "Detail": "words", "code": code}], "type": "ValidationFault"}}


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (401, fault("3200", "fault"), SignInExpired), (403, fault("3100"), NeedsReview),
        (400, fault("5020"), NeedsReview),
        (429, fault("3001"), RetryLater), (429, fault("3001", "fault"), RetryLater), (200, fault("6190"), NeedsReview),
        (500, fault("10000"), RetryLater), (400, fault("4000"), RecordRejected),
    ],
)  # fmt: skip
def test_faults_are_told_by_their_code(
    wire: responses.RequestsMock, status: int, body: Json, raised: type[Exception]
) -> None:
    wire.post(f"{BASE}/query", json=body, status=status)
    with pytest.raises(raised):
        CONNECTOR.check(api())


def test_a_throttling_is_waited_for_a_minute(wire: responses.RequestsMock) -> None:
    wire.post(f"{BASE}/query", json=fault("3001"), status=429)
    wire.post(f"{BASE}/query", json={"QueryResponse": {"CompanyInfo": [{"Id": "1", "CompanyName": "Acme"}]}})
    made = door_to(CONNECTOR, "", GIVEN)
    assert CONNECTOR.check(CONNECTOR.connect(made, GIVEN))["name"] == "Acme"
    clock: Any = made._clock
    assert sum(clock.slept) >= 60.0


def test_an_item_that_the_answer_lacks_is_unknown(wire: responses.RequestsMock) -> None:
    wire.post(f"{BASE}/batch", json={"BatchItemResponse": []})
    assert CONNECTOR.push is not None
    (result,) = CONNECTOR.push(api(), "customers", [change("create", {"GivenName": "A"}, idempotency_key="k")])
    assert (result.outcome, result.code) == ("unknown", "QUICKBOOKS-ITEM")
