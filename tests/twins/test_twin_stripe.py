"""The Stripe twin over real HTTP, through the vendor's own SDK wherever that speaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import requests
import stripe

from hub.twins.client import TwinClient, TwinRefused
from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve
from hub.twins.stripe import TwinStripe, make
from hub.twins.stripe_events import signature_header
from tests.twins.conftest import Receiver

Json = Any
NOW = 1_793_606_400.0  # 2026-11-02 08:00 UTC
ADA: Json = {"email": "Ada@Example.org", "name": "Ada Byron", "metadata": {"hub_id": "42"}}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def running(clock: VirtualClock) -> Iterator[RunningTwin]:
    with serve(make(clock=clock, auto_hooks=False)) as served:
        yield served


@pytest.fixture
def twin(running: RunningTwin) -> TwinStripe:
    assert isinstance(running.twin, TwinStripe)
    return running.twin


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


@pytest.fixture
def sdk(running: RunningTwin, session: requests.Session) -> stripe.StripeClient:
    return stripe.StripeClient(
        "sk_test_twin",
        base_addresses={"api": running.base_url},
        http_client=stripe.RequestsClient(session=session, timeout=10),
        max_network_retries=0,
    )


@pytest.fixture
def raw(running: RunningTwin, session: requests.Session) -> Any:
    """Calls without the SDK, for what it hides."""

    def call(method: str, path: str, body: str = "", **headers: str) -> requests.Response:
        sent = {"Authorization": "Bearer sk_test_twin", "Content-Type": "application/x-www-form-urlencoded"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return session.request(method, running.base_url + path, data=body.encode(), headers=sent, timeout=10)

    return call


# --- objects -------------------------------------------------------------------------------------------------------


def test_a_customer_is_created_read_changed_and_deleted(sdk: stripe.StripeClient) -> None:
    made = sdk.v1.customers.create(ADA | {"phone": "+4930123", "address": {"city": "Berlin", "country": "de"}})
    assert made.id.startswith("cus_")
    assert made.to_dict()["address"] == {
        "city": "Berlin",
        "country": "DE",
        "line1": None,
        "line2": None,
        "postal_code": None,
        "state": None,
    }
    assert (made.email, made.created, made.balance, made.livemode) == ("Ada@Example.org", int(NOW), 0, False)
    changed = sdk.v1.customers.update(made.id, {"phone": "", "metadata": {"tier": "gold"}})
    assert (changed.phone, changed.to_dict()["metadata"]) == (None, {"hub_id": "42", "tier": "gold"})
    assert changed.name == "Ada Byron"
    cleared = sdk.v1.customers.update(made.id, {"metadata": {"tier": ""}})
    assert cleared.to_dict()["metadata"] == {"hub_id": "42"}
    assert sdk.v1.customers.delete(made.id).to_dict() == {"id": made.id, "object": "customer", "deleted": True}
    assert sdk.v1.customers.retrieve(made.id).to_dict() == {"id": made.id, "object": "customer", "deleted": True}
    assert sdk.v1.customers.list({}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such customer") as refused:
        sdk.v1.customers.update(made.id, {"name": "x"})
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_a_blank_metadata_removes_all_of_it(sdk: stripe.StripeClient) -> None:
    made = sdk.v1.customers.create({"name": "A", "metadata": {"a": "1", "b": "2"}})
    assert sdk.v1.customers.update(made.id, {"metadata": ""}).to_dict()["metadata"] == {}


@pytest.mark.parametrize(
    "body, code, param",
    [
        ("foo=1", "parameter_unknown", "foo"),
        ("address[foo]=1", "parameter_unknown", "address[foo]"),
        ("email=nope", "email_invalid", "email"),
        ("balance=x", "parameter_invalid_integer", "balance"),
        ("address[country]=Germany", None, "address[country]"),
        ("phone=123456789012345678901", None, "phone"),
        ("metadata[" + "k" * 41 + "]=1", None, "metadata[" + "k" * 41 + "]"),
        ("metadata[k]=" + "v" * 501, None, "metadata[k]"),
        ("tax_exempt=maybe", None, "tax_exempt"),
    ],
)
def test_a_wrong_parameter_is_refused_and_named(raw: Any, body: str, code: str | None, param: str) -> None:
    answer = raw("POST", "/v1/customers", body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error.get("code"), error["param"]) == ("invalid_request_error", code, param)
    assert raw("GET", "/v1/customers").json()["data"] == []


def test_more_than_50_metadata_keys_are_refused(raw: Any) -> None:
    body = "&".join(f"metadata[k{i}]=v" for i in range(51))
    assert raw("POST", "/v1/customers", body).json()["error"]["param"] == "metadata"


def test_product_and_coupon_ids_can_be_chosen_once(sdk: stripe.StripeClient, clock: VirtualClock) -> None:
    product = sdk.v1.products.create({"id": "hub-lamp", "name": "Lamp"})
    assert product.id == "hub-lamp"
    clock.advance(5)
    changed = sdk.v1.products.update("hub-lamp", {"active": False})
    assert (changed.active, changed.updated, changed.created) == (False, int(NOW) + 5, int(NOW))
    with pytest.raises(stripe.InvalidRequestError) as refused:
        sdk.v1.products.create({"id": "hub-lamp", "name": "Lamp"})
    assert refused.value.code == "resource_already_exists"
    coupon = sdk.v1.coupons.create({"id": "TEN", "percent_off": 10, "duration": "once"})
    code = sdk.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "WELCOME"})
    assert code.active is True
    assert sdk.v1.promotion_codes.update(code.id, {"active": False}).active is False
    assert [c.id for c in sdk.v1.promotion_codes.list({"code": "WELCOME"}).data] == [code.id]


# --- reading -------------------------------------------------------------------------------------------------------


def test_lists_are_newest_first_and_paged_by_the_last_id(sdk: stripe.StripeClient, twin: TwinStripe) -> None:
    twin.load("customers", [{"created": NOW - i // 4, "fields": {"name": f"N{i}"}} for i in range(25)])
    first = sdk.v1.customers.list({"limit": 10})
    assert (first.has_more, first.url, len(first.data)) == (True, "/v1/customers", 10)
    names = [customer.name for customer in sdk.v1.customers.list({"limit": 10}).auto_paging_iter()]
    assert sorted(str(name) for name in names) == sorted(f"N{i}" for i in range(25))
    created = [customer.created for customer in sdk.v1.customers.list({"limit": 100}).data]
    assert created == sorted(created, reverse=True)
    back = sdk.v1.customers.list({"limit": 3, "ending_before": first.data[5].id})
    assert [c.id for c in back.data] == [c.id for c in first.data[2:5]]


def test_a_cursor_stays_good_while_new_objects_appear_and_its_own_goes(
    sdk: stripe.StripeClient, twin: TwinStripe
) -> None:
    twin.load("customers", [{"id": f"cus_{i}", "created": NOW - i, "fields": {}} for i in range(5)])
    assert [c.id for c in sdk.v1.customers.list({"limit": 2}).data] == ["cus_0", "cus_1"]
    sdk.v1.customers.create({"name": "new"})
    sdk.v1.customers.delete("cus_1")
    assert [c.id for c in sdk.v1.customers.list({"limit": 2, "starting_after": "cus_1"}).data] == ["cus_2", "cus_3"]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        sdk.v1.customers.list({"starting_after": "cus_x"})
    assert refused.value.param == "starting_after"


def test_lists_are_narrowed_by_creation_and_exact_email(sdk: stripe.StripeClient, twin: TwinStripe, raw: Any) -> None:
    rows = [(f"cus_{i}", NOW - i, {"email": mail}) for i, mail in enumerate(["a@x.org", "A@x.org", "a@x.org"])]
    twin.load("customers", [{"id": number, "created": at, "fields": fields} for number, at, fields in rows])
    assert [c.id for c in sdk.v1.customers.list({"email": "a@x.org"}).data] == ["cus_0", "cus_2"]
    recent = sdk.v1.customers.list({"created": {"gte": int(NOW) - 1, "lt": int(NOW)}})
    assert [c.id for c in recent.data] == ["cus_1"]
    assert raw("GET", "/v1/customers?limit=101").json()["error"]["param"] == "limit"
    assert raw("GET", "/v1/customers?updated=1").json()["error"]["code"] == "parameter_unknown"


def test_search_speaks_its_language_and_lags(sdk: stripe.StripeClient, twin: TwinStripe, clock: VirtualClock) -> None:
    twin.set_faults(index_lag_s=60.0)
    made = sdk.v1.customers.create(ADA)
    assert sdk.v1.customers.search({"query": "email:'ada@example.org'"}).data == []
    assert sdk.v1.customers.retrieve(made.id).id == made.id
    clock.advance(61)
    for query in (
        "email:'ada@example.org'",
        "metadata['hub_id']:'42' AND created>1793606000",
        'name~"byron"',
        "phone:null AND -name:'Ben'",
    ):
        assert [c.id for c in sdk.v1.customers.search({"query": query}).data] == [made.id], query
    assert sdk.v1.customers.search({"query": "name:'Ada' OR email:'x'"}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        sdk.v1.customers.search({"query": "colour:'red'"})


def test_search_pages_by_token(sdk: stripe.StripeClient, twin: TwinStripe) -> None:
    twin.load("customers", [{"created": NOW - i, "fields": {"name": f"N{i}"}} for i in range(5)])
    first = sdk.v1.customers.search({"query": "name~'N'", "limit": 3})
    second = sdk.v1.customers.search({"query": "name~'N'", "limit": 3, "page": str(first.next_page)})
    assert [c.name for c in [*first.data, *second.data]] == ["N0", "N1", "N2", "N3", "N4"]
    assert [first.has_more, second.has_more] == [True, False]
    assert second.to_dict()["next_page"] is None


def test_references_expand_to_objects(sdk: stripe.StripeClient, twin: TwinStripe) -> None:
    customer = twin.user_create("customers", {"name": "Ada"})
    charge = twin.user_action("charge", customer=customer, amount=500)
    row = sdk.v1.charges.list({"expand": ["data.customer"]}).data[0].to_dict()
    assert row["customer"]["name"] == "Ada"
    assert sdk.v1.charges.retrieve(charge).customer == customer
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        sdk.v1.charges.retrieve(charge, {"expand": ["amount"]})


# --- events --------------------------------------------------------------------------------------------------------


def test_events_carry_the_key_of_the_call_and_what_was_there_before(sdk: stripe.StripeClient) -> None:
    made = sdk.v1.customers.create(ADA, {"idempotency_key": "hub-1"})
    sdk.v1.customers.update(made.id, {"name": "Ada L", "metadata": {"tier": "gold"}}, {"idempotency_key": "hub-2"})
    newest = sdk.v1.events.list({"types": ["customer.created", "customer.updated"]}).data
    assert [(e.type, e.request.idempotency_key if e.request else None) for e in newest] == [
        ("customer.updated", "hub-2"),
        ("customer.created", "hub-1"),
    ]
    event = newest[0].to_dict()
    assert event["data"]["previous_attributes"] == {"name": "Ada Byron", "metadata": {"tier": None}}
    assert event["data"]["object"]["name"] == "Ada L"
    assert (event["api_version"], event["created"]) == ("2026-10-28.endive", int(NOW))
    assert newest[1].to_dict()["data"]["object"]["name"] == "Ada Byron"  # frozen as it was


def test_a_persons_edit_has_a_key_that_is_not_ours(sdk: stripe.StripeClient, twin: TwinStripe) -> None:
    number = twin.user_create("customers", {"name": "Ada", "phone": "1"})
    twin.user_edit("customers", number, {"phone": None})
    event = sdk.v1.events.list({"type": "customer.*"}).data[0]
    assert event.request is not None
    assert event.request.idempotency_key not in (None, "")
    assert event.to_dict()["data"]["previous_attributes"] == {"phone": "1"}


def test_events_end_after_30_days_and_filter_like_the_vendors(
    sdk: stripe.StripeClient, twin: TwinStripe, clock: VirtualClock, raw: Any
) -> None:
    old = twin.user_create("customers", {"name": "old"})
    clock.advance(30 * 86_400 + 1)
    new = twin.user_create("customers", {"name": "new"})
    rows = sdk.v1.events.list({"created": {"gte": int(NOW)}}).data
    assert [row.to_dict()["data"]["object"]["id"] for row in rows] == [new]
    assert sdk.v1.customers.retrieve(old).name == "old"
    types = "&".join(f"types[{i}]=a{i}" for i in range(21))
    assert raw("GET", f"/v1/events?{types}").json()["error"]["param"] == "types"
    assert raw("GET", "/v1/events?type=a&types[0]=b").status_code == 400
    assert raw("GET", f"/v1/events/{rows[0].id}").json()["type"] == "customer.created"


def test_a_late_commit_shows_late_in_the_log(sdk: stripe.StripeClient, twin: TwinStripe, clock: VirtualClock) -> None:
    twin.set_faults(late_visible_s=100.0)
    slow = twin.user_create("customers", {"name": "slow"})
    twin.set_faults(late_visible_s=0.0)
    quick = twin.user_create("customers", {"name": "quick"})
    assert [e.to_dict()["data"]["object"]["id"] for e in sdk.v1.events.list({}).data] == [quick]
    clock.advance(101)
    assert [e.to_dict()["data"]["object"]["id"] for e in sdk.v1.events.list({}).data] == [quick, slow]


def test_loading_history_gives_no_event_and_an_unchanged_update_none(
    sdk: stripe.StripeClient, twin: TwinStripe
) -> None:
    twin.load("customers", [{"id": "cus_1", "created": NOW - 5, "fields": {"name": "Ada", "phone": "(030) 12 / 3"}}])
    sdk.v1.customers.update("cus_1", {"name": "Ada"})
    assert sdk.v1.events.list({}).data == []
    assert sdk.v1.customers.retrieve("cus_1").phone == "(030) 12 / 3"


# --- idempotency ---------------------------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_answer_and_one_effect(raw: Any, twin: TwinStripe, clock: VirtualClock) -> None:
    first = raw("POST", "/v1/customers", "name=Ada&email=a%40x.org", Idempotency_Key="k1")
    again = raw("POST", "/v1/customers", "email=a%40x.org&name=Ada", Idempotency_Key="k1")
    assert again.content == first.content
    assert first.headers["Idempotency-Key"] == "k1"
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"] != again.headers["Request-Id"]
    clock.advance(86_400)
    assert (
        raw("POST", "/v1/customers", "name=Ada&email=a%40x.org", Idempotency_Key="k1").json()["id"]
        != first.json()["id"]
    )
    assert len(twin.snapshot("customers")) == 2


def test_a_key_does_not_fit_another_call(sdk: stripe.StripeClient) -> None:
    sdk.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    with pytest.raises(stripe.IdempotencyError) as refused:
        sdk.v1.customers.create({"name": "Ben"}, {"idempotency_key": "k1"})
    assert refused.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        sdk.v1.products.create({"name": "Ada"}, {"idempotency_key": "k1"})


def test_refused_parameters_leave_the_key_free(sdk: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        sdk.v1.customers.create({"email": "nope"}, {"idempotency_key": "k1"})
    assert sdk.v1.customers.create({"email": "a@x.org"}, {"idempotency_key": "k1"}).email == "a@x.org"


def test_a_key_in_use_is_a_conflict(raw: Any, twin: TwinStripe) -> None:
    twin.set_faults(script=[{"match": "POST /v1/customers", "fault": "key_in_use"}])
    answer = raw("POST", "/v1/customers", "name=Ada", Idempotency_Key="k1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert raw("POST", "/v1/customers", "name=Ada", Idempotency_Key="k1").status_code == 200


def test_a_500_is_kept_under_its_key_whether_it_had_an_effect_or_not(
    sdk: stripe.StripeClient, twin: TwinStripe
) -> None:
    twin.set_faults(script=[{"fault": "error_after"}, {"fault": "error_stored", "skip": 1}])
    for name in ("landed", "lost"):
        for _ in range(2):
            with pytest.raises(stripe.APIError) as failed:
                sdk.v1.customers.create({"name": name}, {"idempotency_key": name})
            assert failed.value.http_status == 500
    assert [c.name for c in sdk.v1.customers.list({}).data] == ["landed"]
    assert sdk.v1.customers.create({"name": "lost"}, {"idempotency_key": "lost-2"}).name == "lost"


def test_after_a_time_out_the_same_key_finds_the_write(sdk: stripe.StripeClient, twin: TwinStripe) -> None:
    twin.set_faults(script=[{"fault": "timeout_after"}])
    with pytest.raises(stripe.APIConnectionError):
        sdk.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    again = sdk.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    assert [c.id for c in sdk.v1.customers.list({}).data] == [again.id]


def test_a_write_that_lands_late_and_its_repeat_are_one(
    sdk: stripe.StripeClient, twin: TwinStripe, clock: VirtualClock
) -> None:
    twin.set_faults(script=[{"fault": "lands_late"}], late_apply_s=60.0)
    with pytest.raises(stripe.APIConnectionError):
        sdk.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    assert sdk.v1.customers.list({}).data == []
    sdk.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k1"})
    clock.advance(61)
    assert len(sdk.v1.customers.list({}).data) == 1


# --- refusals ------------------------------------------------------------------------------------------------------


def test_the_sdk_sees_a_rate_limit_without_any_hint_when_to_come_again(clock: VirtualClock, session: Any) -> None:
    with serve(make(clock=clock, limit_scale=1)) as running:
        sdk = stripe.StripeClient(
            "twin-token",
            base_addresses={"api": running.base_url},
            http_client=stripe.RequestsClient(session=session, timeout=10),
            max_network_retries=2,
        )
        for _ in range(25):
            sdk.v1.customers.list({})
        with pytest.raises(stripe.RateLimitError) as refused:
            sdk.v1.customers.list({})
        body: Json = refused.value.json_body
        assert body["error"]["code"] == "rate_limit"
        headers: Json = refused.value.headers
        assert headers["Stripe-Rate-Limited-Reason"] == "global-rate"
        assert "Retry-After" not in headers
        assert running.twin.counts()["calls"] == 26  # the SDK does not repeat a 429
        clock.advance(1)
        assert sdk.v1.customers.list({}).data == []


def test_a_locked_object_is_a_429_of_its_own(raw: Any, twin: TwinStripe) -> None:
    twin.set_faults(script=[{"match": "POST", "fault": "lock_timeout"}])
    answer = raw("POST", "/v1/customers", "name=Ada")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "lock_timeout")
    assert answer.headers["Stripe-Rate-Limited-Reason"] == "resource-specific"


def test_keys_open_what_they_may(running: RunningTwin, twin: TwinStripe, raw: Any) -> None:
    wrong = raw("GET", "/v1/customers", Authorization="Bearer sk_test_wrongabcd")
    assert (wrong.status_code, wrong.json()["error"]["message"]) == (401, "Invalid API Key provided: sk_test_*****abcd")
    assert requests.get(f"{running.base_url}/v1/account", auth=("sk_test_twin", ""), timeout=5).status_code == 200
    twin.settings["restricted"] = {"rk_test_reader": {"customers": "read"}}
    twin.tokens.fixed.add("rk_test_reader")
    assert raw("GET", "/v1/customers", Authorization="Bearer rk_test_reader").status_code == 200
    assert raw("POST", "/v1/customers", "name=A", Authorization="Bearer rk_test_reader").status_code == 403
    assert raw("GET", "/v1/charges", Authorization="Bearer rk_test_reader").status_code == 403


def test_a_rejected_row_and_an_unknown_path(raw: Any, twin: TwinStripe) -> None:
    twin.set_faults(script=[{"fault": "reject"}])
    assert raw("POST", "/v1/customers", "name=Ada").json()["error"]["code"] == "parameter_invalid_empty"
    assert raw("GET", "/v1/nothing").status_code == 404
    assert raw("DELETE", "/v1/charges/ch_1").status_code == 404


# --- people --------------------------------------------------------------------------------------------------------


def test_people_act_through_the_control_endpoint(running: RunningTwin, sdk: stripe.StripeClient) -> None:
    client = TwinClient(running.base_url)
    number = client.user_create("customers", {"name": "Ada", "email": "a@x.org"})
    client.user_edit("customers", number, {"name": "Ada B", "email": ""})
    assert sdk.v1.customers.retrieve(number).to_dict()["email"] is None
    row = client.snapshot("customers")[number]
    assert (row["fields"]["name"], row["fields"]["id"], row["by"]) == ("Ada B", number, "user:1")
    with pytest.raises(TwinRefused, match="Invalid email address"):
        client.user_edit("customers", number, {"email": "x"})
    with pytest.raises(TwinRefused, match="cannot be merged"):
        client.user_merge("customers", number, number)
    with pytest.raises(TwinRefused, match="start_subscription"):
        client.user_create("invoices", {})
    client.user_delete("customers", number)
    assert client.snapshot("customers")[number]["deleted"] is True
    client.close()


# --- webhooks ------------------------------------------------------------------------------------------------------


def test_the_signature_matches_the_published_vectors() -> None:
    signed = signature_header(b'{"id":"1","ok":true}', ["whsec_testsecret"], 1767225600)
    assert signed == "t=1767225600,v1=62eef31f3138c28cbb04fb023eb80489a14f86d92b89f0e0db177e7e6a76fa12"
    body = (
        b'{"id":"evt_1A","object":"event","api_version":"2026-10-28.endive","created":1793606400,"data":{"object":'
        b'{"id":"cus_A1","object":"customer","email":"ada@example.org","name":"Ada Byron","metadata":{"hub_id":"42"}},'
        b'"previous_attributes":{"email":"old@example.org"}},"livemode":false,"pending_webhooks":1,"request":{"id":'
        b'"req_1","idempotency_key":"hub-cus-42-7"},"type":"customer.updated"}'
    )
    assert signature_header(body, ["whsec_testsecret", "whsec_newsecret"], 1793606400) == (
        "t=1793606400,v1=504df15bcfd4e7f85705d7a041848b78c71e7fc0b4ebda7b4c10780c7fdc2249"
        ",v1=64d6317858b230c9bc058f347b89b4de20acdd8c0aac42da200c549e81bff534"
    )


def test_an_endpoint_tells_its_secret_once_and_the_sdk_verifies_its_messages(
    sdk: stripe.StripeClient, twin: TwinStripe, receiver: Receiver
) -> None:
    endpoint = sdk.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.updated"]})
    secret = str(endpoint.secret)
    assert secret.startswith("whsec_")
    assert "secret" not in sdk.v1.webhook_endpoints.retrieve(endpoint.id).to_dict()
    number = twin.user_create("customers", {"name": "Ada"})
    twin.user_edit("customers", number, {"name": "Ada B"})
    twin.drain_hooks()
    assert len(receiver.bodies) == 1
    assert receiver.bodies[0].startswith(b'{\n  "id": "evt_')
    header = receiver.headers[0]["Stripe-Signature"]
    event = stripe.Webhook.construct_event(receiver.bodies[0], header, secret, tolerance=10**9)
    assert (event.type, event.to_dict()["pending_webhooks"]) == ("customer.updated", 1)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(receiver.bodies[0] + b" ", header, secret, tolerance=10**9)
    new = twin.user_action("roll_webhook_secret", endpoint=endpoint.id)
    twin.user_edit("customers", number, {"name": "Ada C"})
    twin.drain_hooks()
    header = receiver.headers[1]["Stripe-Signature"]
    for good in (secret, new):
        assert stripe.Webhook.construct_event(receiver.bodies[1], header, good, tolerance=10**9).type == event.type
    sdk.v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
    twin.user_edit("customers", number, {"name": "Ada D"})
    assert twin.drain_hooks() == []
    sdk.v1.webhook_endpoints.delete(endpoint.id)
    assert sdk.v1.webhook_endpoints.list({}).data == []


def test_a_message_is_tried_again_with_the_same_event_and_a_new_time(
    twin: TwinStripe, receiver: Receiver, clock: VirtualClock
) -> None:
    twin.set_webhook(receiver.url, "whsec_x", topics=["customer.created"])
    receiver.answers = [(500, b""), (200, b"")]
    twin.user_create("customers", {"name": "Ada"})
    attempts = twin.drain_hooks()
    assert [attempt["status"] for attempt in attempts] == [500, 200]
    assert receiver.bodies[0] == receiver.bodies[1]
    assert orjson.loads(receiver.bodies[0])["type"] == "customer.created"


def test_a_flow_of_the_account_acts_on_the_apis_writes_and_is_an_event_too(
    sdk: stripe.StripeClient, twin: TwinStripe
) -> None:
    number = twin.user_create("customers", {"name": "Ada"})
    twin.user_action("automate", stream="customers", field="phone", sets={"description": "called"})
    sdk.v1.customers.update(number, {"phone": "+4930"})
    assert sdk.v1.customers.retrieve(number).description == "called"
    changed = [e.to_dict()["data"].get("previous_attributes") for e in sdk.v1.events.list({}).data]
    assert changed == [{"description": None}, {"phone": None}, None]


def test_values_are_normalised_as_an_update_keeps_them(twin: TwinStripe) -> None:
    given = {"phone": "", "address": {"country": "de"}, "metadata": {"n": 1}, "name": "Ada"}
    assert twin.normalise("customers", given) == {
        "phone": None,
        "address": {"city": None, "country": "DE", "line1": None, "line2": None, "postal_code": None, "state": None},
        "metadata": {"n": "1"},
        "name": "Ada",
    }
    with pytest.raises(ValueError, match="Invalid email"):
        twin.normalise("customers", {"email": "x"})
