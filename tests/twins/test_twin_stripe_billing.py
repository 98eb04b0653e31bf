"""Money at the Stripe twin: subscriptions, invoices, charges and refunds, by API and by people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe

from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve
from hub.twins.stripe import TwinStripe, make

Json = Any
NOW = 1_793_606_400.0  # 2026-11-02 08:00 UTC
MONTH_S = 30 * 86_400


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
def sdk(running: RunningTwin) -> Iterator[stripe.StripeClient]:
    with requests.Session() as session:
        session.trust_env = False
        yield stripe.StripeClient(
            "sk_test_twin",
            base_addresses={"api": running.base_url},
            http_client=stripe.RequestsClient(session=session, timeout=10),
            max_network_retries=0,
        )


@pytest.fixture
def customer(twin: TwinStripe) -> str:
    return twin.user_create("customers", {"name": "Ada", "email": "a@x.org"})


def event_names(twin: TwinStripe) -> list[str]:
    """Oldest first, without those of customers, products and prices."""
    names = [event["type"] for event in reversed(list(twin.events.newest_first({})))]
    quiet = ("customer.created", "customer.updated", "product", "price")
    return [name for name in names if not name.startswith(quiet)]


def test_a_subscription_bills_its_first_period(sdk: stripe.StripeClient, twin: TwinStripe, customer: str) -> None:
    number = twin.user_action("start_subscription", customer=customer, amount=4900, currency="eur")
    shown = sdk.v1.subscriptions.retrieve(number).to_dict()
    assert (shown["status"], shown["customer"], shown["currency"]) == ("active", customer, "eur")
    assert "current_period_end" not in shown  # it lives on the items
    item = shown["items"]["data"][0]
    assert (item["current_period_start"], item["current_period_end"]) == (int(NOW), int(NOW) + MONTH_S)
    assert (item["price"]["unit_amount"], item["price"]["type"], item["quantity"]) == (4900, "recurring", 1)
    invoice = sdk.v1.invoices.retrieve(shown["latest_invoice"]).to_dict()
    assert (invoice["status"], invoice["amount_paid"], invoice["amount_remaining"]) == ("paid", 4900, 0)
    assert invoice["parent"]["subscription_details"]["subscription"] == number
    assert invoice["billing_reason"] == "subscription_create"
    assert invoice["number"].endswith("-0001")
    assert invoice["customer_email"] == "a@x.org"
    intent = invoice["payments"]["data"][0]["payment"]["payment_intent"]
    charge = sdk.v1.charges.list({"payment_intent": intent}).data[0]
    assert (charge.amount, charge.status, charge.billing_details.email) == (4900, "succeeded", "a@x.org")
    assert sdk.v1.customers.retrieve(customer).currency == "eur"
    assert event_names(twin) == [
        "customer.subscription.created",
        "invoice.created",
        "customer.subscription.updated",
        "invoice.updated",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.created",
        "payment_intent.succeeded",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
    ]


def test_a_subscription_made_through_the_api(sdk: stripe.StripeClient, customer: str) -> None:
    product = sdk.v1.products.create({"name": "Pro"})
    price = sdk.v1.prices.create(
        {"product": product.id, "currency": "EUR", "unit_amount": 900, "recurring": {"interval": "year"}}
    )
    assert (price.currency, price.type) == ("eur", "recurring")
    made = sdk.v1.subscriptions.create(
        {"customer": customer, "items": [{"price": price.id, "quantity": 3}], "metadata": {"hub_id": "s1"}}
    )
    assert made.to_dict()["items"]["data"][0]["current_period_end"] == int(NOW) + 365 * 86_400
    assert sdk.v1.invoices.list({"subscription": made.id}).data[0].total == 2700
    changed = sdk.v1.subscriptions.update(made.id, {"cancel_at_period_end": True, "metadata": {"tier": "b"}})
    assert (changed.cancel_at_period_end, changed.cancel_at) == (True, int(NOW) + 365 * 86_400)
    assert changed.to_dict()["metadata"] == {"hub_id": "s1", "tier": "b"}
    with pytest.raises(stripe.InvalidRequestError, match="No such price"):
        sdk.v1.subscriptions.create({"customer": customer, "items": [{"price": "price_x"}]})


def test_a_canceled_subscription_stays_but_leaves_the_usual_list(
    sdk: stripe.StripeClient, twin: TwinStripe, customer: str
) -> None:
    first = twin.user_action("start_subscription", customer=customer)
    second = twin.user_action("start_subscription", customer=customer, trial_days=14)
    assert sdk.v1.subscriptions.retrieve(second).status == "trialing"
    gone = sdk.v1.subscriptions.cancel(first)
    assert (gone.status, gone.ended_at) == ("canceled", int(NOW))
    assert event_names(twin)[-1] == "customer.subscription.deleted"
    assert [s.id for s in sdk.v1.subscriptions.list({"customer": customer}).data] == [second]
    assert [s.id for s in sdk.v1.subscriptions.list({"status": "all"}).data] == [second, first]
    assert [s.id for s in sdk.v1.subscriptions.list({"status": "canceled"}).data] == [first]
    twin.user_delete("customers", customer)
    assert sdk.v1.subscriptions.retrieve(second).status == "canceled"


def test_a_renewal_moves_the_period_and_pays_again(
    sdk: stripe.StripeClient, twin: TwinStripe, customer: str, clock: VirtualClock
) -> None:
    number = twin.user_action("start_subscription", customer=customer, amount=100)
    clock.advance(MONTH_S)
    twin.user_action("renew_subscription", subscription=number)
    item = sdk.v1.subscriptions.retrieve(number).to_dict()["items"]["data"][0]
    assert item["current_period_end"] == int(NOW) + 2 * MONTH_S
    invoices = sdk.v1.invoices.list({"customer": customer}).data
    assert [i.billing_reason for i in invoices] == ["subscription_cycle", "subscription_create"]


def test_an_invoice_is_paid_voided_or_refused(sdk: stripe.StripeClient, twin: TwinStripe, customer: str) -> None:
    paid = twin.user_action("create_invoice", customer=customer, amount=12_000, description="Work")
    assert sdk.v1.invoices.retrieve(paid).status == "open"
    twin.user_action("pay_invoice", invoice=paid)
    shown = sdk.v1.invoices.retrieve(paid).to_dict()
    assert (shown["status"], shown["status_transitions"]["paid_at"]) == ("paid", int(NOW))
    assert shown["lines"]["data"][0]["description"] == "Work"
    assert sdk.raw_request("get", f"/v1/invoices/{paid}/lines").body.count('"line_item"') == 1
    with pytest.raises(ValueError, match="must be open"):
        twin.user_action("pay_invoice", invoice=paid)
    open_one = twin.user_action("create_invoice", customer=customer, amount=500)
    assert sdk.v1.invoices.void_invoice(open_one).status == "void"
    assert event_names(twin)[-1] == "invoice.voided"
    due = twin.user_action("create_invoice", customer=customer, amount=700)
    assert sdk.v1.invoices.pay(due).status == "paid"
    assert [i.id for i in sdk.v1.invoices.list({"status": "paid"}).data] == [due, paid]


def test_a_charge_is_refunded_in_parts_and_never_beyond(
    sdk: stripe.StripeClient, twin: TwinStripe, customer: str
) -> None:
    charge = twin.user_action("charge", customer=customer, amount=1000)
    part = sdk.v1.refunds.create({"charge": charge, "amount": 300, "reason": "requested_by_customer"})
    assert (part.amount, part.status, part.currency) == (300, "succeeded", "eur")
    assert sdk.v1.charges.retrieve(charge).refunded is False
    with pytest.raises(stripe.InvalidRequestError) as refused:
        sdk.v1.refunds.create({"charge": charge, "amount": 701})
    assert refused.value.param == "amount"
    rest = twin.user_action("refund", charge=charge)
    whole = sdk.v1.charges.retrieve(charge)
    assert (whole.refunded, whole.amount_refunded) == (True, 1000)
    assert [r.id for r in sdk.v1.refunds.list({"charge": charge}).data] == [rest, part.id]
    with pytest.raises(stripe.InvalidRequestError) as again:
        sdk.v1.refunds.create({"charge": charge})
    assert again.value.code == "charge_already_refunded"
    assert event_names(twin)[-4:] == ["refund.created", "charge.refunded", "refund.created", "charge.refunded"]


def test_a_declined_card_is_kept_under_its_key(sdk: stripe.StripeClient, twin: TwinStripe, customer: str) -> None:
    given: Json = {"amount": 100, "currency": "eur", "customer": customer, "source": "tok_chargeDeclined"}
    for _ in range(2):
        with pytest.raises(stripe.CardError) as refused:
            sdk.v1.charges.create(given, {"idempotency_key": "k"})
        assert (refused.value.http_status, refused.value.code) == (402, "card_declined")
    failed = sdk.v1.charges.list({"customer": customer}).data
    assert [(c.status, c.failure_code) for c in failed] == [("failed", "card_declined")]
    assert event_names(twin) == ["charge.failed"]


def test_history_is_loaded_as_it_stands(sdk: stripe.StripeClient, twin: TwinStripe, customer: str) -> None:
    fields = {"customer": customer, "status": "paid", "total": 700, "amount_paid": 700, "number": "A-1"}
    twin.load("invoices", [{"id": "in_1", "created": NOW - 9, "fields": fields}])
    shown = sdk.v1.invoices.retrieve("in_1")
    assert (shown.status, shown.total, shown.created, shown.number) == ("paid", 700, int(NOW) - 9, "A-1")
    with pytest.raises(ValueError, match="no field colour"):
        twin.load("invoices", [{"created": NOW, "fields": {"colour": "red"}}])
