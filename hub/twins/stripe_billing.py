"""Money at Stripe: subscriptions, invoices, charges and refunds, and how one leads to the other.

Amounts are integers in minor units. The same functions serve the API and people's actions; `by` says who acted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.twins.records import Fields, Record
from hub.twins.stripe_objects import show
from hub.twins.stripe_params import Refused, invalid, merge_metadata, missing

if TYPE_CHECKING:
    from hub.twins.stripe import TwinStripe

Json = Any

DAY_S = 86_400
INTERVAL_S = {"day": DAY_S, "week": 7 * DAY_S, "month": 30 * DAY_S, "year": 365 * DAY_S}
DECLINED = "tok_chargeDeclined"  # the vendor's test source that is always refused


class Billing:
    """The flows over one account's records."""

    def __init__(self, twin: TwinStripe) -> None:
        self._twin = twin

    # --- subscriptions -----------------------------------------------------------------------------------------

    def start_subscription(self, given: Fields, by: str) -> Record:
        """Create a subscription, bill its first period and collect. `given` is checked SUBSCRIPTION parameters."""
        customer = self._customer(given.get("customer"))
        items = [self._item(entry, place) for place, entry in enumerate(given.get("items") or [])]
        if not items:
            raise invalid("Missing required param: items.", "items", "parameter_missing")
        now, trial_s = int(self._twin.now()), (given.get("trial_period_days") or 0) * DAY_S
        start, end = now, now + (trial_s or _period_s(items[0]))
        fields = {name: given[name] for name in _PLAIN if given.get(name) is not None}
        subscription = self._twin.add(
            "subscriptions",
            {
                **fields,
                "customer": customer.id,
                "currency": items[0]["price"]["currency"],
                "items": [_with_period(item, start, end) for item in items],
                "metadata": merge_metadata({}, given.get("metadata") or {}),
                "start_date": now,
                "billing_cycle_anchor": end if trial_s else now,
                "status": "trialing" if trial_s else "incomplete",
                "trial_start": now if trial_s else None,
                "trial_end": end if trial_s else None,
            },
            by,
        )
        if not trial_s:
            self._bill_period(subscription, by, "subscription_create")
        return subscription

    def renew_subscription(self, subscription: str, by: str) -> Record:
        """The next period begins: invoice it and collect."""
        record = self._record("subscriptions", subscription)
        moved = []
        for item in record.fields["items"]:
            start = item["current_period_end"]
            moved.append(_with_period(item, start, start + _period_s(item)))
        record = self._twin.records.update("subscriptions", subscription, {"items": moved, "trial_end": None}, by=by)
        self._bill_period(record, by, "subscription_cycle")
        return record

    def change_subscription(self, record: Record, given: Fields, by: str) -> Record:
        changes = {name: given[name] for name in _PLAIN if name in given}
        if "items" in given:
            kept = {item["id"]: item for item in record.fields["items"]}
            changes["items"] = [self._changed_item(entry, kept, place) for place, entry in enumerate(given["items"])]
        if "metadata" in given:
            changes["metadata"] = merge_metadata(record.fields["metadata"], given["metadata"])
        if given.get("cancel_at_period_end") is not None:
            end = record.fields["items"][0]["current_period_end"]
            changes["cancel_at"] = end if given["cancel_at_period_end"] else None
        return self._twin.records.update("subscriptions", record.id, changes, by=by)

    def cancel_subscription(self, subscription: str, by: str) -> Record:
        """The object stays, with status canceled; its event is called deleted."""
        record = self._record("subscriptions", subscription)
        if record.fields["status"] == "canceled":
            raise missing("subscription", subscription)
        now = int(self._twin.now())
        changes = {"status": "canceled", "canceled_at": now, "ended_at": now}
        return self._twin.records.update("subscriptions", subscription, changes, by=by)

    def _bill_period(self, subscription: Record, by: str, reason: str) -> None:
        fields = subscription.fields
        lines = [
            self._line(_price_text(item), item["price"]["unit_amount"] * item["quantity"], fields["currency"], item)
            for item in fields["items"]
        ]
        invoice = self._invoice(fields["customer"], lines, fields["currency"], by, subscription.id, reason)
        self._twin.records.update("subscriptions", subscription.id, {"latest_invoice": invoice.id}, by=by)
        self.finalize_invoice(invoice.id, by)
        if fields["collection_method"] == "charge_automatically":
            self.pay_invoice(invoice.id, by)
        self._twin.records.update("subscriptions", subscription.id, {"status": "active"}, by=by)

    def _item(self, entry: Fields, place: int) -> Fields:
        price = self._twin.records.find("prices", str(entry.get("price")))
        if price is None:
            raise missing("price", str(entry.get("price")), f"items[{place}][price]", 400)
        return {
            "id": self._twin.make_id("si_"),
            "object": "subscription_item",
            "created": int(self._twin.now()),
            "metadata": merge_metadata({}, entry.get("metadata") or {}),
            "price": show("prices", price),
            "quantity": entry.get("quantity") or 1,
        }

    def _changed_item(self, entry: Fields, kept: dict[str, Fields], place: int) -> Fields:
        old = kept.get(str(entry.get("id")))
        if old is None:
            start = int(self._twin.now())
            item = self._item(entry, place)
            return _with_period(item, start, start + _period_s(item))
        item = {**old, "quantity": entry.get("quantity") or old["quantity"]}
        if entry.get("price"):
            item["price"] = self._item(entry, place)["price"]
        return item

    # --- invoices ----------------------------------------------------------------------------------------------

    def create_invoice(self, customer: str, amount: int, currency: str, description: str | None, by: str) -> Record:
        """An open invoice of one line."""
        line = self._line(description or "Item", amount, currency, None)
        invoice = self._invoice(self._customer(customer).id, [line], currency, by, None, "manual")
        return self.finalize_invoice(invoice.id, by)

    def finalize_invoice(self, invoice: str, by: str) -> Record:
        record = self._in_status(invoice, "draft")
        prefix = show("customers", self._customer(record.fields["customer"]))["invoice_prefix"]
        number = 1 + sum(
            row.fields["number"] is not None
            for row in self._twin.records.lookup("invoices", "customer", record.fields["customer"])
        )
        changes = {
            "status": "open",
            "number": f"{prefix}-{number:04d}",
            "effective_at": int(self._twin.now()),
            "hosted_invoice_url": f"https://invoice.stripe.com/i/{invoice}",
            "invoice_pdf": f"https://pay.stripe.com/invoice/{invoice}/pdf",
        }
        return self._move(record, "finalized_at", changes, by)

    def pay_invoice(self, invoice: str, by: str, source: str | None = None) -> Record:
        """Collect what is due; an invoice of nothing is paid without a charge."""
        record = self._in_status(invoice, "open")
        due, payments = record.fields["amount_due"], []
        if due:
            charge = self.charge(record.fields["customer"], due, record.fields["currency"], None, by, source=source)
            payments = [_payment(self._twin.make_id("inpay_"), record, charge, due)]
        changes = {
            "status": "paid",
            "amount_paid": due,
            "amount_remaining": 0,
            "attempted": True,
            "attempt_count": record.fields["attempt_count"] + 1,
            "payments": payments,
        }
        return self._move(record, "paid_at", changes, by)

    def void_invoice(self, invoice: str, by: str) -> Record:
        record = self._in_status(invoice, "open")
        return self._move(record, "voided_at", {"status": "void", "amount_remaining": 0}, by)

    def give_up_invoice(self, invoice: str, by: str) -> Record:
        record = self._in_status(invoice, "open")
        return self._move(record, "marked_uncollectible_at", {"status": "uncollectible"}, by)

    def _in_status(self, invoice: str, status: str) -> Record:
        record = self._record("invoices", invoice)
        if record.fields["status"] != status:
            raise Refused(400, f"Invoice is {record.fields['status']}, it must be {status}", "invoice_not_editable")
        return record

    def _move(self, record: Record, step: str, changes: Fields, by: str) -> Record:
        steps = {**record.fields["status_transitions"], step: int(self._twin.now())}
        return self._twin.records.update("invoices", record.id, {**changes, "status_transitions": steps}, by=by)

    def _invoice(
        self, customer: str, lines: list[Fields], currency: str, by: str, subscription: str | None, reason: str
    ) -> Record:
        owner, whole, now = self._customer(customer), sum(line["amount"] for line in lines), int(self._twin.now())
        parent = None
        if subscription is not None:
            details = {"metadata": {}, "subscription": subscription}
            parent = {"type": "subscription_details", "subscription_details": details, "quote_details": None}
        if owner.fields["currency"] is None:
            self._twin.records.update("customers", owner.id, {"currency": currency}, by="system")
        return self._twin.add(
            "invoices",
            {
                **{
                    f"customer_{name}": owner.fields[name] for name in ("email", "name", "phone", "address", "shipping")
                },
                "customer": customer,
                "currency": currency,
                "lines": lines,
                "subtotal": whole,
                "total": whole,
                "total_excluding_tax": whole,
                "amount_due": max(0, whole),
                "amount_remaining": max(0, whole),
                "billing_reason": reason,
                "parent": parent,
                "period_start": now,
                "period_end": now,
            },
            by,
        )

    def _line(self, description: str, amount: int, currency: str, item: Fields | None) -> Fields:
        now = int(self._twin.now())
        pricing = None
        if item is not None:
            details = {"price": item["price"]["id"], "product": item["price"]["product"]}
            unit = item["price"]["unit_amount_decimal"]
            pricing = {"type": "price_details", "price_details": details, "unit_amount_decimal": unit}
        return {
            "id": self._twin.make_id("il_"),
            "object": "line_item",
            "amount": amount,
            "currency": currency,
            "description": description,
            "discounts": [],
            "metadata": {},
            "parent": None,
            "period": {"start": now, "end": item["current_period_end"] if item else now},
            "pricing": pricing,
            "quantity": item["quantity"] if item else 1,
            "taxes": [],
        }

    # --- charges and refunds -----------------------------------------------------------------------------------

    def charge(
        self,
        customer: str | None,
        amount: int,
        currency: str,
        description: str | None,
        by: str,
        *,
        metadata: Fields | None = None,
        source: str | None = None,
    ) -> Record:
        """A payment intent with its one charge. Raises Refused 402 for a source that is declined."""
        owner = self._customer(customer) if customer else None
        shared = {
            "amount": amount,
            "currency": currency,
            "customer": owner.id if owner else None,
            "description": description,
            "metadata": merge_metadata({}, metadata or {}),
        }
        intent_id, charge_id = self._twin.make_id("pi_"), self._twin.make_id("ch_")
        if source == DECLINED:
            self._declined({**shared, "payment_intent": intent_id}, charge_id, by)
        details = {name: owner.fields[name] if owner else None for name in ("address", "email", "name", "phone")}
        charge = self._twin.add(
            "charges",
            {**shared, "amount_captured": amount, "payment_intent": intent_id, "billing_details": details},
            by,
            record_id=charge_id,
        )
        intent = {**shared, "amount_received": amount, "latest_charge": charge_id}
        self._twin.add("payment_intents", intent, by, record_id=intent_id)
        return charge

    def _declined(self, fields: Fields, charge_id: str, by: str) -> None:
        message = "Your card has insufficient funds."
        failed = {"status": "failed", "paid": False, "failure_code": "card_declined", "failure_message": message}
        self._twin.add("charges", {**fields, **failed, "captured": False}, by, record_id=charge_id)
        more = (("charge", charge_id), ("decline_code", "insufficient_funds"))
        raise Refused(402, message, "card_declined", kind="card_error", began=True, more=more)

    def refund(self, charge: str, amount: int | None, reason: str | None, metadata: Fields | None, by: str) -> Record:
        """Give back `amount`, or all that is left. Raises Refused if that is more than is left."""
        record = self._record("charges", charge, status=400)
        left = record.fields["amount_captured"] - record.fields["amount_refunded"]
        if left <= 0:
            raise Refused(400, f"Charge {charge} has already been refunded.", "charge_already_refunded")
        back = left if amount is None else amount
        if not 0 < back <= left:
            raise invalid(f"Refund amount ({back}) is greater than unrefunded amount on charge ({left})", "amount")
        refund = self._twin.add(
            "refunds",
            {
                "amount": back,
                "charge": charge,
                "currency": record.fields["currency"],
                "payment_intent": record.fields["payment_intent"],
                "reason": reason,
                "metadata": merge_metadata({}, metadata or {}),
            },
            by,
        )
        done = record.fields["amount_refunded"] + back
        changes = {"amount_refunded": done, "refunded": done == record.fields["amount_captured"]}
        self._twin.records.update("charges", charge, changes, by=by)
        return refund

    # --- looking up --------------------------------------------------------------------------------------------

    def _customer(self, customer: str | None) -> Record:
        record = self._twin.records.find("customers", str(customer))
        if record is None or record.deleted:
            raise missing("customer", str(customer), "customer", 400)
        return record

    def _record(self, stream: str, record_id: str, status: int = 404) -> Record:
        record = self._twin.records.find(stream, record_id)
        if record is None or record.deleted:
            raise missing(stream.removesuffix("s"), record_id, stream.removesuffix("s"), status)
        return record


_PLAIN = (
    "cancel_at", "cancel_at_period_end", "collection_method", "days_until_due", "default_payment_method", "description",
)  # fmt: skip


def _payment(payment_id: str, invoice: Record, charge: Record, amount: int) -> Fields:
    return {
        "id": payment_id,
        "object": "invoice_payment",
        "amount_paid": amount,
        "amount_requested": amount,
        "created": int(charge.created),
        "currency": charge.fields["currency"],
        "invoice": invoice.id,
        "is_default": True,
        "livemode": False,
        "payment": {"type": "payment_intent", "payment_intent": charge.fields["payment_intent"]},
        "status": "paid",
    }


def _period_s(item: Fields) -> int:
    recurring = item["price"]["recurring"] or {}
    return INTERVAL_S[recurring.get("interval") or "month"] * int(recurring.get("interval_count") or 1)


def _with_period(item: Fields, start: int, end: int) -> Fields:
    return {**item, "current_period_start": start, "current_period_end": end}


def _price_text(item: Fields) -> str:
    return f"{item['quantity']} × {item['price']['nickname'] or item['price']['product']}"
