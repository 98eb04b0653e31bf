"""The invented company in Shopify, Stripe, Typeform and Plum: buyers, orders, payments, form answers, rewards."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hub.twins.company_people import Address, Person
from hub.twins.company_views import DAY_S, Ledger, View, draw_view, write_phone

Json = Any
ORDER_TOTALS = (19.9, 34.5, 59.0, 89.95, 120.5, 240.0, 480.0, 640.0, 1250.0)
FORM_ID = "u6nXL7"
FORM_FIELDS = (
    ("aB1", "email_ref", "email", "Your e-mail"),
    ("aB2", "first_name_ref", "short_text", "First name"),
    ("aB3", "last_name_ref", "short_text", "Last name"),
    ("aB4", "phone_ref", "phone_number", "Phone"),
    ("aB5", "company_ref", "short_text", "Company"),
    ("aB6", "job_title_ref", "short_text", "What do you do there?"),
    ("aB7", "interests_ref", "multiple_choice", "What are you interested in?"),
    ("aB8", "newsletter_ref", "yes_no", "May we write to you?"),
)
PRICES = (("price_basic", "Basic", 1_900), ("price_team", "Team", 9_900), ("price_scale", "Scale", 49_900))
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(kw_only=True)
class Commerce:
    """Ids and addresses that are in use."""

    ledger: Ledger
    rng: random.Random
    taken: set[str] = field(default_factory=set)  # addresses in the shop, where each may stand once
    orders: int = 0

    # --- Shopify -----------------------------------------------------------------------------------------------

    def add_to_shopify(self, person: Person, email: str | None = None) -> None:
        """A customer with some orders; left out if the address is another customer's already."""
        view = draw_view(self.rng, person, self.ledger.now, email)
        address = view.email.strip().lower()
        if address in self.taken:
            return
        self.taken.add(address)
        rng = self.rng
        number = str(7_100_000_000_001 + self.ledger.count("shopify", "customers"))
        fields: dict[str, Json] = {
            "email": view.email.strip(),
            "firstName": view.first_name.strip(),
            "lastName": view.last_name.strip(),
            "locale": person.language,
            "phone": write_phone(rng, person.mobile, None, tidy=True) if person.mobile and rng.random() < 0.5 else None,
        }
        if view.address:
            fields["addresses"] = [_shop_address(view, view.address)]
        if person.opted_out and rng.random() < 0.6:
            fields["emailMarketingConsent"] = {"marketingState": "UNSUBSCRIBED"}
        elif not person.opted_out and rng.random() < 0.3:
            fields["emailMarketingConsent"] = {
                "marketingState": "SUBSCRIBED",
                "marketingOptInLevel": "SINGLE_OPT_IN",
                "consentUpdatedAt": moment(view.created),
            }
        self.ledger.add("shopify", "customers", number, view.created, view.modified, fields)
        self.ledger.truth["shopify", "customers", f"gid://shopify/Customer/{number}"] = person.id
        for _ in range(rng.choice((1, 1, 2, 3))):
            self._add_order(number, view)

    def _add_order(self, customer: str, view: View) -> None:
        rng, number = self.rng, 1001 + self.orders
        self.orders += 1
        at = float(int(rng.uniform(view.created, self.ledger.now - DAY_S)))
        fields = {
            "name": f"#{number}",
            "customer": customer,
            "totalPrice": rng.choice(ORDER_TOTALS),
            "currencyCode": "EUR",
            "displayFinancialStatus": rng.choices(("PAID", "PENDING", "REFUNDED"), (88, 8, 4))[0],
            "email": view.email.strip(),
            "processedAt": moment(at),
        }
        self.ledger.add("shopify", "orders", str(5_100_000_000_000 + number - 1000), at, at, fields)

    # --- Stripe ------------------------------------------------------------------------------------------------

    def add_prices(self) -> None:
        since = self.ledger.now - 1000 * DAY_S
        self.ledger.add("stripe", "products", "prod_hub", since, since, {"name": "Acme Cloud"})
        for price, name, amount in PRICES:
            self.ledger.add("stripe", "prices", price, since, since, _price(name, amount))

    def add_to_stripe(self, person: Person, email: str | None = None) -> None:
        """A customer; most have a subscription, the others a single payment."""
        rng = self.rng
        view = draw_view(rng, person, self.ledger.now, email)
        customer = self._id("cus_")
        fields = {
            "email": view.email.strip(),
            "name": f"{view.first_name.strip()} {view.last_name.strip()}",
            "phone": None if view.phone in (None, "-", "n/a", "none") else view.phone,
            "address": _stripe_address(view),
            "preferred_locales": [person.language],
        }
        self.ledger.add("stripe", "customers", customer, view.created, view.modified, fields)
        self.ledger.truth["stripe", "customers", customer] = person.id
        if rng.random() < 0.6:
            self._add_subscription(customer, view)
        else:
            self._add_charge(customer, rng.choice((1_500, 4_990, 25_000)), view.created + DAY_S)

    def _add_subscription(self, customer: str, view: View) -> None:
        rng = self.rng
        price, name, amount = rng.choice(PRICES)
        start = float(int(max(view.created, self.ledger.now - rng.randrange(10, 150) * DAY_S)))
        months = int((self.ledger.now - DAY_S - start) // (30 * DAY_S)) + 1
        subscription = self._id("sub_")
        is_over = rng.random() < 0.15
        period = start + (months - 1) * 30 * DAY_S
        item = {
            "id": self._id("si_"),
            "object": "subscription_item",
            "created": int(start),
            "metadata": {},
            "quantity": 1,
            "price": {"id": price, "object": "price", "created": int(start), "livemode": False, **_price(name, amount)},
            "current_period_start": int(period),
            "current_period_end": int(period + 30 * DAY_S),
        }
        ended = int(self.ledger.now - DAY_S) if is_over else None
        fields = {
            "customer": customer,
            "status": "canceled" if is_over else "active",
            "items": [item],
            "currency": "eur",
            "start_date": int(start),
            "billing_cycle_anchor": int(start),
            "canceled_at": ended,
            "ended_at": ended,
        }
        for month in range(months):
            fields["latest_invoice"] = self._add_invoice(customer, subscription, item, start + month * 30 * DAY_S)
        self.ledger.add("stripe", "subscriptions", subscription, start, max(start, float(ended or start)), fields)

    def _add_invoice(self, customer: str, subscription: str, item: dict[str, Json], at: float) -> str:
        invoice, amount = self._id("in_"), item["price"]["unit_amount"]
        self._add_charge(customer, amount, at)
        line = {
            "id": self._id("il_"),
            "object": "line_item",
            "amount": amount,
            "currency": "eur",
            "description": f"1 × {item['price']['nickname']}",
            "discounts": [],
            "metadata": {},
            "parent": None,
            "period": {"start": int(at), "end": int(at + 30 * DAY_S)},
            "pricing": {
                "type": "price_details",
                "price_details": {"price": item["price"]["id"], "product": "prod_hub"},
                "unit_amount_decimal": str(amount),
            },
            "quantity": 1,
            "taxes": [],
        }
        details = {"metadata": {}, "subscription": subscription}
        fields = {
            "customer": customer,
            "currency": "eur",
            "status": "paid",
            "number": f"A-{self.ledger.count('stripe', 'invoices') + 1:05}",
            "lines": [line],
            "subtotal": amount,
            "total": amount,
            "total_excluding_tax": amount,
            "amount_due": amount,
            "amount_paid": amount,
            "billing_reason": "subscription_cycle",
            "parent": {"type": "subscription_details", "subscription_details": details, "quote_details": None},
            "period_start": int(at),
            "period_end": int(at),
            "effective_at": int(at),
            "attempted": True,
            "attempt_count": 1,
            "status_transitions": {
                "finalized_at": int(at),
                "marked_uncollectible_at": None,
                "paid_at": int(at),
                "voided_at": None,
            },
        }
        self.ledger.add("stripe", "invoices", invoice, at, at, fields)
        return invoice

    def _add_charge(self, customer: str, amount: int, at: float) -> None:
        charge = {"customer": customer, "amount": amount, "amount_captured": amount, "currency": "eur"}
        if self.rng.random() < 0.04:
            charge |= {"status": "failed", "paid": False, "captured": False, "amount_captured": 0}
        self.ledger.add("stripe", "charges", self._id("ch_"), float(int(at)), float(int(at)), charge)

    def _id(self, prefix: str) -> str:
        return prefix + "".join(self.rng.choices(_ALPHABET, k=14))

    # --- Typeform ----------------------------------------------------------------------------------------------

    def add_form(self) -> None:
        since = self.ledger.now - 700 * DAY_S
        definition = {"title": "Talk to us", "hidden": ["utm_source"], "fields": form_fields()}
        self.ledger.add("typeform", "forms", FORM_ID, since, since, definition)

    def add_to_typeform(self, person: Person, email: str | None = None) -> None:
        """One filled-in form; questions that were skipped are absent."""
        rng = self.rng
        view = draw_view(rng, person, self.ledger.now, email)
        token = "".join(rng.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=24))
        values: dict[str, Json] = {
            "email_ref": view.email.strip(),
            "first_name_ref": view.first_name,
            "last_name_ref": view.last_name,
            "phone_ref": person.mobile if rng.random() < 0.4 else None,
            "company_ref": view.company_name,
            "job_title_ref": view.job_title,
            "interests_ref": {"labels": list(person.interests)} if person.interests else None,
            "newsletter_ref": rng.random() < 0.5 and not person.opted_out,
        }
        submitted = view.created
        fields = {
            "form_id": FORM_ID,
            "token": token,
            "response_id": token,
            "landing_id": token,
            "response_type": "completed",
            "landed_at": moment(submitted - 90),
            "submitted_at": moment(submitted),
            "metadata": {
                "user_agent": "Mozilla/5.0",
                "platform": "other",
                "referer": f"https://form.example.com/to/{FORM_ID}",
            },
            "hidden": {"utm_source": rng.choice(("mail", "search", "partner"))},
            "calculated": {"score": rng.randrange(0, 10)},
            "answers": [answer for entry in FORM_FIELDS if (answer := _answer(entry, values[entry[1]])) is not None],
        }
        self.ledger.add("typeform", "responses", token, submitted, submitted, fields)
        self.ledger.truth["typeform", "responses", f"{FORM_ID}:{token}"] = person.id

    # --- Plum --------------------------------------------------------------------------------------------------

    def add_rewards(self) -> None:
        since = self.ledger.now - 500 * DAY_S
        for product, name, currency, country, values in (
            ("5671", "Bookshop  eGift", "EUR", "DE", "10,25,50,100"),
            ("5672", "Coffee House eGift", "EUR", "FR", "10,20"),
            ("5673", "Outdoor Store eGift", "USD", "US", "10,25,50"),
            ("5674", "Księgarnia eKarta", "PLN", "PL", "50,100,200"),
        ):
            fields = {
                "name": name,
                "currencyCode": currency,
                "countryCode": country,
                "valueDenominations": values,
                "description": f"A gift card for {name.replace('  ', ' ')}.",
            }
            self.ledger.add("plum", "catalogue", product, since, since, fields)
        balance = {"amount": 5000.0, "currency": "EUR"}
        self.ledger.add("plum", "balance", "EUR", since, since, balance)


def form_fields() -> list[dict[str, Json]]:
    """The form's questions as its definition lists them."""
    fields: list[dict[str, Json]] = [
        {"id": key, "ref": ref, "type": kind, "title": title} for key, ref, kind, title in FORM_FIELDS
    ]
    choices = [
        {"id": f"c{place}", "ref": label.lower(), "label": label}
        for place, label in enumerate(("Product", "Pricing", "Support", "Training"))
    ]
    next(f for f in fields if f["ref"] == "interests_ref")["properties"] = {
        "allow_multiple_selection": True,
        "choices": choices,
    }
    return fields


def _answer(entry: tuple[str, str, str, str], value: Json) -> dict[str, Json] | None:
    key, ref, kind, _ = entry
    if value is None:
        return None
    shape = {"short_text": "text", "multiple_choice": "choices", "yes_no": "boolean"}.get(kind, kind)
    return {"field": {"id": key, "ref": ref, "type": kind}, "type": shape, shape: value}


def phone_answer(number: str) -> Json:
    """The form's answer that holds a telephone number."""
    return _answer(FORM_FIELDS[3], number)


def _price(name: str, amount: int) -> dict[str, Json]:
    return {
        "nickname": name,
        "product": "prod_hub",
        "currency": "eur",
        "type": "recurring",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }


def _shop_address(view: View, held: Address) -> dict[str, Json]:
    return {
        "address1": held.street,
        "city": held.city,
        "zip": held.postal_code or None,
        "countryCode": held.country,
        "firstName": view.first_name.strip(),
        "lastName": view.last_name.strip(),
        "company": view.company_name if len(held.street) % 3 == 0 else None,  # parcels to the office
    }


def _stripe_address(view: View) -> dict[str, Json] | None:
    if view.address is None:
        return None
    held = view.address
    return {
        "line1": held.street,
        "line2": None,
        "city": held.city,
        "state": held.state or None,
        "postal_code": held.postal_code or None,
        "country": held.country,
    }


def moment(at: float) -> str:
    """UTC with Z, whole seconds."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
