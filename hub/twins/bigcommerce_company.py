"""The invented company in BigCommerce: customers with an address, their orders, a few coupons."""

from __future__ import annotations

from hub.twins.company_cast import Cast, Json
from hub.twins.company_people import Person
from hub.twins.company_views import DAY_S, View, write_phone

KNOWN = 0.25  # share of the people
TOTALS = ("19.9000", "89.9500", "240.0000", "640.0000")


def write_down(cast: Cast) -> None:
    for number, (person, view) in enumerate(cast.known(KNOWN), 12):
        fields = {
            "email": view.email.strip(),
            "first_name": view.first_name.strip(),
            "last_name": view.last_name.strip(),
            "company": view.company_name or "",
            "phone": write_phone(cast.rng, person.mobile, None, tidy=True) if person.mobile else "",
            "addresses": _addresses(view),
            "_values": {"3": person.language, **({"2": view.birthday} if view.birthday else {})},
        }
        cast.add("customers", str(number), (view.created, view.modified), fields)
        cast.knows("customers", str(number), person)
        for _ in range(cast.rng.choice((0, 1, 1, 2))):
            _order(cast, number, person, view)
    for number, (code, kind, amount) in enumerate(
        (("SPRING10", "percentage_discount", "10.0000"), ("FIVER", "per_total_discount", "5.0000"),
         ("POST", "free_shipping", "0.0000")), 1,
    ):  # fmt: skip
        uses = {"num_uses": cast.rng.randrange(50), "max_uses": 100}
        coupon: dict[str, Json] = {"name": code.title(), "code": code, "type": kind, "amount": amount, **uses}
        cast.add("coupons", str(number), cast.times(), coupon)


def _addresses(view: View) -> list[dict[str, str]]:
    held = view.address
    if held is None:
        return []
    return [{
        "first_name": view.first_name.strip(), "last_name": view.last_name.strip(), "address1": held.street,
        "city": held.city, "state_or_province": held.state, "postal_code": held.postal_code,
        "country_code": held.country,
    }]  # fmt: skip


def _order(cast: Cast, customer: int, person: Person, view: View) -> None:
    number = 100 + cast.ledger.count(cast.system, "orders")
    at = float(int(cast.rng.uniform(view.created, cast.ledger.now - DAY_S)))
    total, status = cast.rng.choice(TOTALS), cast.rng.choice((2, 7, 10, 10, 11, 4))
    fields = {
        "customer_id": customer if cast.rng.random() < 0.9 else 0,
        "status_id": status,
        "total_inc_tax": total,
        "refunded_amount": total if status == 4 else "0.0000",
        "billing_address": {"email": person.email, "first_name": person.first_name, "last_name": person.last_name},
    }
    cast.add("orders", str(number), (at, at), fields)
