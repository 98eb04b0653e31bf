"""The invented company's shop at Shopify: what it sells, and what some buyers left without paying."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from hub.twins.company_commerce import moment
from hub.twins.company_views import DAY_S, Ledger

Json = Any
FIRST_PRODUCT, FIRST_CHECKOUT = 8_100_000_000_001, 3_100_000_000_001
LEFT = 0.2  # share of the customers
PAID_LATER = 0.25  # of those
# title, sort, prices
PRODUCTS = (
    ("Standing desk", "Furniture", ("480.0", "640.0")),
    ("Desk lamp", "Lighting", ("59.0",)),
    ("Notebook, dotted", "Paper", ("19.9", "34.5")),
    ("Headset", "Audio", ("89.95", "120.5", "240.0")),
    ("Chair mat (old)", "Furniture", ("34.5",)),
)


@dataclass(kw_only=True)
class Goods:
    """Draws from numbers of its own, so that the rest of the company stays as it was."""

    ledger: Ledger
    rng: random.Random

    def add(self) -> None:
        since = self.ledger.now - 900 * DAY_S
        for number, (title, kind, prices) in enumerate(PRODUCTS, FIRST_PRODUCT):
            old = title.endswith("(old)")
            fields: dict[str, Json] = {
                "title": title, "productType": kind, "vendor": "Acme", "description": f"{title}, made to last.",
                "prices": list(prices), "status": "ARCHIVED" if old else "ACTIVE",
                "publishedAt": None if old else moment(since),
            }  # fmt: skip
            self.ledger.add("shopify", "products", str(number), since, since + self.rng.randrange(800) * DAY_S, fields)
        for row in self.ledger.rows.get("shopify", {}).get("customers", ()):
            if self.rng.random() < LEFT:
                self._add_checkout(row)

    def _add_checkout(self, customer: dict[str, Json]) -> None:
        rng = self.rng
        number = FIRST_CHECKOUT + self.ledger.count("shopify", "checkouts")
        begun = float(int(rng.uniform(max(customer["created"], self.ledger.now - 90 * DAY_S), self.ledger.now - DAY_S)))
        paid = begun + rng.randrange(900, 80_000) if rng.random() < PAID_LATER else None
        lines = [
            {"title": title, "price": rng.choice(prices), "quantity": rng.choice((1, 1, 2))}
            for title, _, prices in rng.sample(PRODUCTS, rng.choice((1, 2)))
        ]
        fields = {
            "customer": customer["id"],
            "lineItems": lines,
            "currency": "EUR",
            "completedAt": moment(paid) if paid else None,
        }
        self.ledger.add("shopify", "checkouts", str(number), begun, paid or begun + 120, fields)
