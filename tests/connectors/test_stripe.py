"""Stripe against its twin, through the vendor's SDK: lists, the event log, keys that make a write one effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pytest
import responses
import stripe

from connectors.stripe import CONNECTOR
from connectors.stripe.api import KINDS
from connectors.stripe.writing import as_form
from hub.connector import Settings, WebhookEvent, WebhookRequest
from hub.errors import HubError, NeedsReview, OutcomeUnknown, RecordRejected, RetryLater, SignatureError, SignInExpired
from hub.model import ChangeSet, Json, PushResult, SourceRecord
from hub.twins.stripe import TwinStripe
from tests.connectors.doors import NOW, Desk, call_in, change, desk, door_to, messages_of, twin_clock

DAY_S = 86_400.0


@pytest.fixture
def bank() -> Iterator[Desk]:
    with desk(CONNECTOR, TwinStripe(clock=twin_clock(), auto_hooks=False)) as made:
        yield made


def load(bank: Desk, count: int, **fields: Json) -> list[str]:
    ids = [f"cus_{n:04d}" for n in range(count)]
    rows = [
        {"id": each, "fields": {"email": f"p{n}@example.org", **fields}, "created": NOW - 90 * DAY_S + n}
        for n, each in enumerate(ids)
    ]
    bank.twin.load("customers", rows)
    return ids


def push(bank: Desk, *changes: ChangeSet, stream: str = "customers") -> Sequence[PushResult]:
    assert CONNECTOR.push is not None
    return CONNECTOR.push(bank.api, stream, changes)


def fetch(bank: Desk, *ids: str, stream: str = "customers") -> Sequence[SourceRecord]:
    assert CONNECTOR.fetch is not None
    return CONNECTOR.fetch(bank.api, stream, ids)


def find(bank: Desk, name: str, value: str) -> list[str]:
    assert CONNECTOR.find is not None
    return [record.external_id for record in CONNECTOR.find(bank.api, "customers", name, value)]


def create(reference: str, key: str = "", **body: Json) -> ChangeSet:
    return change("create", body, reference=reference, idempotency_key=key or f"key-{reference}")


def edit(bank: Desk, external_id: str, **fields: Json) -> None:
    bank.twin.user_edit("customers", external_id, fields)


def ops(records: Sequence[SourceRecord]) -> dict[str, str]:
    return {record.external_id: record.op for record in records}


# --- reading -----------------------------------------------------------------------------------------------------


def test_a_first_read_lists_everything_a_hundred_at_a_time(bank: Desk) -> None:
    ids = load(bank, 1000)
    records, cursor, pages = bank.pull_all("customers")
    assert sorted(record.external_id for record in records) == ids
    assert [len(page.records) for page in pages] == [100] * 10
    assert bank.calls() == 10
    assert cursor == {"since": NOW - 600.0, "done": []}


def test_a_record_is_the_object_without_a_stamp_and_with_the_hubs_id(bank: Desk) -> None:
    load(bank, 1, metadata={"hub_id": "hub-7", "tier": "gold"})
    (record,), _, _ = bank.pull_all("customers")
    assert (record.stamp, record.marker, record.by_hub) == (None, "hub-7", None)
    assert record.data["email"] == "p0@example.org"
    assert record.data["metadata"]["tier"] == "gold"


def test_later_reads_follow_the_event_log_and_read_each_object_once(bank: Desk) -> None:
    ids = load(bank, 50)
    _, cursor, _ = bank.pull_all("customers")
    bank.advance(60)
    for number in range(3):
        edit(bank, ids[7], name=f"Ada {number}")
    edit(bank, ids[9], phone="+49301")
    before = bank.calls()
    records, _, _ = bank.pull_all("customers", cursor)
    assert {record.external_id: record.data.get("name") for record in records} == {ids[7]: "Ada 2", ids[9]: None}
    assert bank.calls() - before == 3  # one page of events, two objects


def test_events_of_the_overlap_that_were_dealt_with_cost_nothing_again(bank: Desk) -> None:
    ids = load(bank, 3)
    _, cursor, _ = bank.pull_all("customers")
    bank.advance(60)
    edit(bank, ids[0], name="Ada")
    _, cursor, _ = bank.pull_all("customers", cursor)
    bank.advance(60)
    before = bank.calls()
    records, cursor, _ = bank.pull_all("customers", cursor)
    assert (len(records), bank.calls() - before) == (0, 1)
    edit(bank, ids[0], name="Augusta")
    assert [record.data["name"] for record in bank.pull_all("customers", cursor)[0]] == ["Augusta"]


def test_an_event_that_shows_up_late_is_found_by_the_overlap(bank: Desk) -> None:
    ids = load(bank, 3)
    _, cursor, _ = bank.pull_all("customers")
    bank.advance(60)
    bank.twin.set_faults(late_visible_s=500.0)
    edit(bank, ids[0], name="Ada")
    bank.twin.set_faults(late_visible_s=0.0)
    seen: list[SourceRecord] = []
    for _ in range(6):
        records, cursor, _ = bank.pull_all("customers", cursor)
        seen += records
        bank.advance(100)
    assert [record.data["name"] for record in seen] == ["Ada"]


def test_many_events_go_over_several_pages_and_objects_are_still_read_once(bank: Desk) -> None:
    ids = load(bank, 5)
    _, cursor, _ = bank.pull_all("customers")
    bank.advance(60)
    for number in range(50):
        for external_id in ids:
            edit(bank, external_id, name=f"Name {number}")
    before = bank.calls()
    records, cursor, pages = bank.pull_all("customers", cursor)
    assert sorted(record.external_id for record in records) == ids
    assert {record.data["name"] for record in records} == {"Name 49"}
    assert (len(pages), bank.calls() - before) == (3, 3 + 5)
    assert len(cursor["done"]) == 250


def test_a_restart_in_the_middle_only_costs_reads_that_were_done_before(bank: Desk) -> None:
    ids = load(bank, 5)
    _, cursor, _ = bank.pull_all("customers")
    bank.advance(60)
    for number in range(30):
        for external_id in ids:
            edit(bank, external_id, name=f"Name {number}")
    first = CONNECTOR.pull(bank.api, "customers", cursor)
    bank.start_again()
    rest, _, _ = bank.pull_all("customers", first.next_cursor)
    assert {record.external_id for record in [*first.records, *rest]} == set(ids)


def test_after_a_gap_longer_than_the_log_everything_is_listed_again(bank: Desk) -> None:
    load(bank, 120)
    _, cursor, _ = bank.pull_all("customers")
    bank.advance(29.5 * DAY_S)
    records, cursor, pages = bank.pull_all("customers", cursor)
    assert (len(records), len(pages)) == (120, 2)
    assert cursor["since"] == NOW + 29.5 * DAY_S - 600.0


def test_deletions_come_as_events_and_as_stubs(bank: Desk) -> None:
    ids = load(bank, 3)
    _, cursor, _ = bank.pull_all("customers")
    bank.advance(60)
    bank.twin.user_delete("customers", ids[1])
    before = bank.calls()
    records, _, _ = bank.pull_all("customers", cursor)
    assert ops(records) == {ids[1]: "delete"}
    assert bank.calls() - before == 1  # a deleted object is not asked for
    assert ops(fetch(bank, *ids, "cus_nobody", "../account")) == {
        ids[0]: "upsert", ids[1]: "delete", ids[2]: "upsert", "cus_nobody": "delete",
    }  # fmt: skip


def test_a_cancelled_subscription_stays_and_is_listed(bank: Desk) -> None:
    (buyer,) = load(bank, 1)
    subscription = bank.twin.user_action("start_subscription", customer=buyer)
    _, cursor, _ = bank.pull_all("subscriptions")
    bank.advance(60)
    bank.twin.user_action("cancel_subscription", subscription=subscription)
    records, _, _ = bank.pull_all("subscriptions", cursor)
    assert [(record.external_id, record.op, record.data["status"]) for record in records] == [
        (subscription, "upsert", "canceled")
    ]
    assert ops(bank.pull_all("subscriptions")[0]) == {subscription: "upsert"}  # status=all


def test_payments_and_refunds_are_read_with_their_charge(bank: Desk) -> None:
    (buyer,) = load(bank, 1)
    _, cursor, _ = bank.pull_all("charges")
    bank.advance(60)
    charge = bank.twin.user_action("charge", customer=buyer, amount=1250)
    records, cursor, _ = bank.pull_all("charges", cursor)
    assert [(record.data["amount"], record.data["currency"]) for record in records] == [(1250, "eur")]
    bank.advance(60)
    bank.twin.user_action("refund", charge=charge)
    (refunded,), _, _ = bank.pull_all("charges", cursor)
    assert (refunded.external_id, refunded.data["amount_refunded"]) == (charge, 1250)


def test_invoices_are_read_as_they_are_paid(bank: Desk) -> None:
    (buyer,) = load(bank, 1)
    invoice = bank.twin.user_action("create_invoice", customer=buyer, amount=500)
    (first,), cursor, _ = bank.pull_all("invoices")
    bank.advance(60)
    bank.twin.user_action("pay_invoice", invoice=invoice)
    (paid,), _, _ = bank.pull_all("invoices", cursor)
    assert (first.data["status"], paid.data["status"], paid.external_id) == ("open", "paid", invoice)


def test_no_stream_asks_for_more_event_types_than_one_call_takes() -> None:
    assert max(len(kind.events) for kind in KINDS.values()) <= 20


def test_a_new_customer_is_found_by_the_hubs_id_though_search_lags(bank: Desk) -> None:
    bank.twin.set_faults(index_lag_s=3600.0)
    (made,) = push(bank, create("hub-1", email="ada@example.org"))
    assert find(bank, "metadata.hub_id", "hub-1") == [made.external_id]
    bank.twin.set_faults(index_lag_s=0.0)
    bank.advance(2 * 3600)
    assert find(bank, "metadata.hub_id", "hub-1") == [made.external_id]
    assert find(bank, "metadata.hub_id", "it's \\ hub-2") == []


def test_several_customers_may_share_an_address(bank: Desk) -> None:
    ids = load(bank, 2, email="ada@example.org")
    assert sorted(find(bank, "email", "ada@example.org")) == ids
    assert find(bank, "email", "nobody@example.org") == []
    with pytest.raises(NeedsReview, match="STRIPE-LOOKUP"):
        find(bank, "name", "Ada")


# --- writing -----------------------------------------------------------------------------------------------------


def test_a_create_carries_the_hubs_id_and_answers_with_what_is_stored(bank: Desk) -> None:
    address = {"city": "Berlin", "line2": None}
    (result,) = push(
        bank, create("hub-1", email="ada@example.org", name=None, metadata={"tier": "gold"}, address=address)
    )
    assert result.outcome == "applied"
    assert result.held is not None
    assert result.held.marker == "hub-1"
    assert result.held.data["metadata"] == {"tier": "gold", "hub_id": "hub-1"}
    assert result.held.data["address"]["city"] == "Berlin"


def test_the_same_key_makes_one_customer_and_another_key_another(bank: Desk) -> None:
    first, again = push(
        bank, create("hub-1", "k1", email="a@example.org"), create("hub-1", "k1", email="a@example.org")
    )
    (other,) = push(bank, create("hub-1", "k2", email="a@example.org"))
    assert first.external_id == again.external_id != other.external_id
    assert len(bank.twin.snapshot("customers")) == 2


def test_a_key_used_for_another_body_is_refused_and_recognised(bank: Desk) -> None:
    push(bank, create("hub-1", "k1", email="a@example.org"))
    (result,) = push(bank, create("hub-1", "k1", email="b@example.org"))
    assert (result.outcome, result.code) == ("rejected", "idempotency_error")


def test_an_update_says_only_what_it_says_and_null_clears(bank: Desk) -> None:
    (one,) = load(bank, 1, name="Ada", phone="+49301", metadata={"tier": "gold"})
    (result,) = push(
        bank, change("update", {"phone": None, "address": {"city": "Bonn"}, "metadata": {"vip": True}}, one)
    )
    assert result.held is not None
    data = result.held.data
    assert (data["name"], data["phone"], data["address"]["city"]) == ("Ada", None, "Bonn")
    assert data["metadata"] == {"tier": "gold", "vip": "true"}


def test_a_deleted_customer_answers_as_such_and_cannot_be_changed(bank: Desk) -> None:
    (one,) = load(bank, 1)
    (gone,) = push(bank, change("delete", {}, one))
    assert gone.held is not None
    assert (gone.outcome, gone.held.op) == ("applied", "delete")
    (late,) = push(bank, change("update", {"name": "Ada"}, one))
    assert late.outcome == "not_found"


def test_one_refused_value_leaves_the_others_alone_and_is_not_quoted(bank: Desk) -> None:
    ids = load(bank, 2)
    results = push(
        bank,
        change("update", {"email": "nonsense"}, ids[0]),
        change("update", {"foo": "x"}, ids[0]),
        change("update", {"name": "Ada"}, ids[1]),
    )
    assert [(result.outcome, result.code, result.field) for result in results] == [
        ("rejected", "email_invalid", "email"),
        ("rejected", "parameter_unknown", "foo"),
        ("applied", "", ""),
    ]
    assert "nonsense" not in repr(results)


def test_what_stripe_cannot_take_is_refused_before_it_is_sent(bank: Desk) -> None:
    results = push(
        bank,
        change("create", {}, reference="hub-1"),
        change("update", {}, "../account"),
        change("archive", {}, "cus_1"),
    )
    assert [result.code for result in results] == ["STRIPE-NO-REFERENCE", "STRIPE-ID", "STRIPE-OP"]
    assert [result.code for result in push(bank, create("hub-1"), stream="invoices")] == ["STRIPE-OP"]
    assert bank.calls() == 0


def test_form_values_are_spelled_as_stripe_reads_them() -> None:
    assert as_form({"a": None, "b": [], "c": True, "d": {"e": None, "f": False}, "g": ["x", None], "h": 0}) == {
        "a": "", "b": "", "c": "true", "d": {"e": "", "f": "false"}, "g": ["x", ""], "h": 0,
    }  # fmt: skip


# --- when things go wrong ----------------------------------------------------------------------------------------


def test_the_sdk_repeats_nothing_by_itself(bank: Desk) -> None:
    bank.twin.set_faults(script=[{"match": "POST", "fault": "error_before"}])
    (result,) = push(bank, create("hub-1", email="a@example.org"))
    assert (result.outcome, bank.calls(), len(bank.twin.calls())) == ("unknown", 1, 1)


@pytest.mark.parametrize("fault", ["error_after", "timeout_after", "html", "cut"])
def test_a_write_without_an_honest_answer_is_unknown_and_the_next_ones_wait(bank: Desk, fault: str) -> None:
    bank.twin.set_faults(script=[{"match": "POST", "fault": fault}])
    results = push(bank, create("hub-1", email="a@example.org"), create("hub-2", email="b@example.org"))
    assert [result.outcome for result in results] == ["unknown", "throttled"]
    assert find(bank, "metadata.hub_id", "hub-1") == ([] if fault == "html" else ["cus_" + each for each in made(bank)])


def made(bank: Desk) -> list[str]:
    return [each.removeprefix("cus_") for each in bank.twin.snapshot("customers")]


def test_too_fast_is_waited_for_by_reads_and_left_to_the_engine_by_writes(bank: Desk) -> None:
    load(bank, 5)
    bank.twin.set_faults(throttle_retry_after=None, script=[{"match": "GET", "fault": "throttle"}])
    assert len(bank.pull_all("customers")[0]) == 5
    bank.twin.set_faults(script=[{"match": "POST", "fault": "throttle"}])
    (result,) = push(bank, create("hub-1", email="a@example.org"))
    assert (result.outcome, result.retry_after_s) == ("throttled", None)
    assert find(bank, "metadata.hub_id", "hub-1") == []


def test_a_locked_object_is_not_done_and_does_not_slow_the_connection(bank: Desk) -> None:
    (one,) = load(bank, 1)
    bank.twin.set_faults(script=[{"match": "POST", "fault": "lock_timeout"}])
    (result,) = push(bank, change("update", {"name": "Ada"}, one))
    assert (result.outcome, result.code) == ("throttled", "NET-BUSY")
    pace: Any = bank.door._budgets
    assert pace._share == 1.0


def test_a_key_whose_first_call_still_runs_is_unknown(bank: Desk) -> None:
    bank.twin.set_faults(script=[{"match": "POST", "fault": "key_in_use"}])
    (result,) = push(bank, create("hub-1", email="a@example.org"))
    assert (result.outcome, result.code) == ("unknown", "idempotency_key_in_use")


def test_a_revoked_key_stops_the_connection() -> None:
    with desk(CONNECTOR, TwinStripe(clock=twin_clock()), auth={"kind": "token", "token": "sk_wrong"}) as bank:
        with pytest.raises(SignInExpired):
            bank.pull_all("customers")
        assert [result.outcome for result in push(bank, create("hub-1"))] == ["auth_expired"]


def test_a_restricted_key_says_what_it_may_not(bank: Desk) -> None:
    rights = {"rk_test_1": {"customers": "write", "charges": "read", "account": "read"}}
    with desk(
        CONNECTOR, TwinStripe(clock=twin_clock(), restricted=rights), auth={"kind": "token", "token": "rk_test_1"}
    ) as poor:
        assert CONNECTOR.check(poor.api)["warnings"] == [
            "the key may not read subscriptions", "the key may not read invoices", "the key may not read coupons",
            "the key may not read promotion_codes",
        ]  # fmt: skip
        with pytest.raises(NeedsReview):
            poor.pull_all("invoices")


def test_a_list_whose_last_object_was_deleted_begins_again(bank: Desk) -> None:
    load(bank, 3)
    page = CONNECTOR.pull(bank.api, "customers", {"list": "cus_never", "from": NOW})
    assert (page.records, page.complete, page.next_cursor) == ((), False, {"list": "", "from": NOW})
    assert len(bank.pull_all("customers", page.next_cursor)[0]) == 3


# --- the account -------------------------------------------------------------------------------------------------


def test_a_check_names_the_account(bank: Desk) -> None:
    answer = CONNECTOR.check(bank.api)
    assert (answer["account"], answer["warnings"]) == ("acct_twin", [])


def test_metadata_keys_in_use_are_fields(bank: Desk) -> None:
    load(bank, 2, metadata={"tier": "gold", "hub_id": "hub-1"})
    found = {field.name: field for field in CONNECTOR.discover(bank.api, "customers")}
    assert found["metadata.tier"].custom
    assert "metadata.hub_id" not in found
    assert found["email"].writable
    assert not found["balance"].writable
    assert {f.name for f in CONNECTOR.discover(bank.api, "invoices")} >= {"status_transitions.paid_at", "customer"}


# --- webhooks ----------------------------------------------------------------------------------------------------


def hints(bank: Desk, secret: str, at: float = NOW) -> list[WebhookEvent]:
    settings = Settings(values={}, auth={}, webhooks={"secret": secret})
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    found: list[WebhookEvent] = []
    for message in messages_of(bank.twin, at):
        CONNECTOR.verify(settings, message)
        stripe.WebhookSignature.verify_header(
            message.body, message.headers["stripe-signature"], secret
        )  # as the SDK sees it
        found += CONNECTOR.parse(settings, message)
    return found


def test_the_endpoint_is_made_once_and_its_messages_become_hints(bank: Desk) -> None:
    assert CONNECTOR.subscribe is not None
    made = CONNECTOR.subscribe(bank.api, "http://127.0.0.1:9/hooks")
    assert made["made"]
    assert not CONNECTOR.subscribe(bank.api, "http://127.0.0.1:9/hooks")["made"]
    (buyer, other) = load(bank, 2)
    edit(bank, buyer, name="Ada")
    subscription = bank.twin.user_action("start_subscription", customer=buyer)
    charge = bank.twin.user_action("charge", customer=buyer, amount=100)
    bank.twin.user_action("refund", charge=charge)
    bank.twin.user_delete("customers", other)
    found = {(event.stream, event.external_id, event.kind) for event in hints(bank, made["secret"])}
    assert {
        ("customers", buyer, "changed"),
        ("subscriptions", subscription, "changed"),
        ("charges", charge, "changed"),
        ("customers", other, "deleted"),
    } <= found
    assert {event.at for event in hints(bank, made["secret"])} == {None}  # objects have no stamp to wait for


# the fact sheet's example: vendor docs, "Webhook signatures"
BODY = (
    b'{"id":"evt_1A","object":"event","api_version":"2026-10-28.endive","created":1793606400,"data":{"object":{"id":'
    b'"cus_A1","object":"customer","email":"ada@example.org","name":"Ada Byron","metadata":{"hub_id":"42"}},'
    b'"previous_attributes":{"email":"old@example.org"}},"livemode":false,"pending_webhooks":1,"request":{"id":"req_1",'
    b'"idempotency_key":"hub-cus-42-7"},"type":"customer.updated"}'
)
GOOD = "t=1793606400,v1=504df15bcfd4e7f85705d7a041848b78c71e7fc0b4ebda7b4c10780c7fdc2249"
ROLLED = "64d6317858b230c9bc058f347b89b4de20acdd8c0aac42da200c549e81bff534"


def message(header: str, body: bytes = BODY, at: float = NOW) -> WebhookRequest:
    return call_in(body, {"Stripe-Signature": header}, at=at)


def settings(**more: Any) -> Settings:
    return Settings(**{"values": {}, "auth": {}, "webhooks": {"secret": "whsec_testsecret"}, **more})


@pytest.mark.parametrize(
    ("header", "secrets"),
    [
        (GOOD, {"secret": "whsec_testsecret"}),
        (f"{GOOD},v1={ROLLED}", {"secret": "whsec_newsecret"}),
        (f"{GOOD},v1={ROLLED},v0=abc", {"secret": "whsec_newsecret", "secret_previous": "whsec_testsecret"}),
    ],
)
def test_the_documented_message_is_good(header: str, secrets: Mapping[str, str]) -> None:
    assert CONNECTOR.verify is not None
    assert CONNECTOR.parse is not None
    CONNECTOR.verify(settings(webhooks=secrets), message(header))
    assert CONNECTOR.parse(settings(), message(header)) == (
        WebhookEvent(key="evt_1A", stream="customers", external_id="cus_A1"),
    )


@pytest.mark.parametrize(
    ("request_", "more"),
    [
        (message(GOOD, at=NOW + 301), {}),
        (message(GOOD, at=NOW - 301), {}),  # from the future: the SDK would take it
        (message(GOOD, BODY + b" "), {}),
        (message("v1=" + GOOD.partition("v1=")[2]), {}),
        (message(GOOD.replace("t=", "t=x")), {}),
        (message(f"t=1,{GOOD}"), {}),
        (message("t=" + "9" * 400 + ",v1=abc"), {}),
        (message("t=1793606400,v0=504df15bcfd4e7f85705d7a041848b78c71e7fc0b4ebda7b4c10780c7fdc2249"), {}),
        (message("t=1793606400" + ",v1=abc" * 10_000), {}),
        (message("t=1793606400,v1=Ünsinn"), {}),
        (message(""), {}),
        (message(GOOD), {"webhooks": {"secret": "whsec_other"}}),
        (message(GOOD), {"webhooks": {}}),
    ],
)
def test_anything_less_is_refused(request_: WebhookRequest, more: dict[str, Any]) -> None:
    assert CONNECTOR.verify is not None
    with pytest.raises(SignatureError):
        CONNECTOR.verify(settings(**more), request_)


def test_events_that_name_nothing_we_read_are_let_pass() -> None:
    assert CONNECTOR.parse is not None
    for body in (
        {"id": "evt_1", "type": "payout.paid", "data": {"object": {"id": "po_1"}}},
        {"id": "evt_2", "type": "invoice.upcoming", "data": {"object": {"object": "invoice"}}},
    ):
        assert CONNECTOR.parse(settings(), call_in(orjson.dumps(body), {})) == ()
    with pytest.raises(RecordRejected, match="HOOK-BODY"):
        CONNECTOR.parse(settings(), call_in(b"<html>", {}))
    foreign = {"id": "evt_3", "type": "customer.updated", "account": "acct_2", "data": {"object": {"id": "cus_1"}}}
    with pytest.raises(RecordRejected, match="HOOK-ACCOUNT"):
        CONNECTOR.parse(settings(values={"stripe_account": "acct_1"}), call_in(orjson.dumps(foreign), {}))


# --- at the wire -------------------------------------------------------------------------------------------------

LIVE = Settings(values={}, auth={"kind": "token", "token": "sk_live_1"})


@pytest.mark.parametrize(
    ("status", "error", "raised", "code"),
    [
        (400, {"type": "invalid_request_error", "code": "parameter_missing"}, RecordRejected, "parameter_missing"),
        (402, {"type": "card_error", "code": "card_declined"}, RecordRejected, "card_declined"),
        (403, {"type": "invalid_request_error"}, NeedsReview, "NET-FORBIDDEN"),
        (424, {"type": "api_error"}, RetryLater, "NET-TROUBLE"),
        (500, {"type": "api_error"}, RetryLater, "NET-TROUBLE"),
    ],
)  # fmt: skip
def test_errors_are_told_by_status_first(status: int, error: Json, raised: type[HubError], code: str) -> None:
    with responses.RequestsMock() as mock:
        mock.get("https://api.stripe.com/v1/customers", json={"error": {"message": "Secret", **error}}, status=status)
        api = CONNECTOR.connect(door_to(CONNECTOR, "", LIVE), LIVE)
        with pytest.raises(raised) as found:
            CONNECTOR.pull(api, "customers", None)
        assert found.value.code == code
        assert "Secret" not in str(found.value)
        request = mock.calls[0].request
    assert request.headers["Authorization"] == "Bearer sk_live_1"
    assert request.headers["Stripe-Version"] == stripe.api_version
    assert "X-Hub-Call" not in request.headers


def test_a_page_that_is_no_json_is_tried_again_later_or_settled_if_it_was_a_write() -> None:
    with responses.RequestsMock() as mock:
        mock.get("https://api.stripe.com/v1/customers", body="<html>")
        mock.post("https://api.stripe.com/v1/customers", body="<html>")
        api = CONNECTOR.connect(door_to(CONNECTOR, "", LIVE), LIVE)
        with pytest.raises(RetryLater):
            CONNECTOR.pull(api, "customers", None)
        assert CONNECTOR.push is not None
        (result,) = CONNECTOR.push(api, "customers", [create("hub-1")])
    assert (result.outcome, result.code) == ("unknown", OutcomeUnknown.default_code)


def test_a_repeated_page_stops_the_stream() -> None:
    with responses.RequestsMock() as mock:
        mock.get("https://api.stripe.com/v1/customers", json={"data": [{"id": "cus_1"}], "has_more": True})
        api = CONNECTOR.connect(door_to(CONNECTOR, "", LIVE), LIVE)
        first = CONNECTOR.pull(api, "customers", None)
        with pytest.raises(NeedsReview, match="PAGE-LOOP"):
            CONNECTOR.pull(api, "customers", first.next_cursor)
