"""The invented company in BigCommerce: customers with an address, their orders, a few coupons."""

from __future__ import annotations

from hub.twins.company_people import Person
from hub.twins.company_sketch import Json, Sketch
from hub.twins.company_views import DAY_S, View, write_phone

KNOWN = 0.25  # share of the people
TOTALS = ("19.9000", "89.9500", "240.0000", "640.0000")


def sketch(pen: Sketch) -> None:
    for number, (person, view) in enumerate(pen.once(KNOWN), 12):
        fields = {
            "email": view.email.strip(),
            "first_name": view.first_name.strip(),
            "last_name": view.last_name.strip(),
            "company": view.company_name or "",
            "phone": write_phone(pen.rng, person.mobile, None, tidy=True) if person.mobile else "",
            "addresses": _addresses(view),
            "_values": {"3": person.language, **({"2": view.birthday} if view.birthday else {})},
        }
        pen.put("customers", str(number), (view.created, view.modified), fields, person=person)
        for _ in range(pen.rng.choice((0, 1, 1, 2))):
            _order(pen, number, person, view)
    for number, (code, kind, amount) in enumerate(
        (("SPRING10", "percentage_discount", "10.0000"), ("FIVER", "per_total_discount", "5.0000"),
         ("POST", "free_shipping", "0.0000")), 1,
    ):  # fmt: skip
        uses = {"num_uses": pen.rng.randrange(50), "max_uses": 100}
        coupon: dict[str, Json] = {"name": code.title(), "code": code, "type": kind, "amount": amount, **uses}
        pen.put("coupons", str(number), pen.times(), coupon)


def _addresses(view: View) -> list[dict[str, str]]:
    held = view.address
    if held is None:
        return []
    return [{
        "first_name": view.first_name.strip(), "last_name": view.last_name.strip(), "address1": held.street,
        "city": held.city, "state_or_province": held.state, "postal_code": held.postal_code,
        "country_code": held.country,
    }]  # fmt: skip


def _order(pen: Sketch, customer: int, person: Person, view: View) -> None:
    number = 100 + pen.count("orders")
    at = float(int(pen.rng.uniform(view.created, pen.now - DAY_S)))
    total, status = pen.rng.choice(TOTALS), pen.rng.choice((2, 7, 10, 10, 11, 4))
    fields = {
        "customer_id": customer if pen.rng.random() < 0.9 else 0,
        "status_id": status,
        "total_inc_tax": total,
        "refunded_amount": total if status == 4 else "0.0000",
        "billing_address": {"email": person.email, "first_name": person.first_name, "last_name": person.last_name},
    }
    pen.put("orders", str(number), (at, at), fields)
