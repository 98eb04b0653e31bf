"""The invented company in Zoho Invoice: customers with their address, invoices, payments."""

from __future__ import annotations

from datetime import UTC, datetime

from hub.twins.company_sketch import Sketch
from hub.twins.company_views import DAY_S

KNOWN = 0.2  # share of the people
STATES = ("paid", "paid", "sent", "overdue", "draft", "partially_paid")
FIRST = 460_000_000_000_001


def sketch(pen: Sketch) -> None:
    names: set[str] = set()
    for number, (person, view) in enumerate(pen.once(KNOWN), FIRST):
        held, contact = view.address, str(number)
        name = f"{view.first_name.strip()} {view.last_name.strip()}"
        name = name if name.lower() not in names else f"{name} {number - FIRST}"
        names.add(name.lower())
        address = {}
        if held is not None:
            address = {"address": held.street, "city": held.city, "state": held.state, "zip": held.postal_code,
                       "country": view.country or ""}  # fmt: skip
        fields = {
            "contact_name": name,
            "company_name": view.company_name or "",
            "first_name": view.first_name.strip(),
            "last_name": view.last_name.strip(),
            "salutation": person.salutation,
            "designation": view.job_title or "",
            "email": view.email.strip(),
            "phone": view.phone or "",
            "mobile": view.mobile or "",
            "language_code": person.language,
            "billing_address": address,
        }
        pen.put("contacts", contact, (view.created, view.modified), fields, person=person)
        if pen.rng.random() < 0.7:
            _invoice(pen, contact, view.created)


def _invoice(pen: Sketch, contact: str, since: float) -> None:
    rng, count = pen.rng, pen.count("invoices")
    number, at = str(460_000_000_100_001 + count), float(int(rng.uniform(since, pen.now - DAY_S)))
    total, status = (
        rng.choice((120.5, 89.0, 640.25)),
        rng.choice(("paid", "paid", "sent", "overdue", "draft", "partially_paid")),
    )
    left = {"paid": 0.0, "partially_paid": total / 2}.get(status, total)
    fields = {"invoice_number": f"INV-{count + 1:06}", "customer_id": contact, "status": status, "date": day(at),
              "due_date": day(at + 14 * DAY_S), "total": total, "balance": round(left, 2),
              "currency_code": rng.choice(("EUR", "EUR", "USD"))}  # fmt: skip
    pen.put("invoices", number, (at, at), fields)
    if status == "paid":
        paid = {"customer_id": contact, "amount": total, "date": day(at), "payment_mode": "banktransfer",
                "invoices": [{"invoice_id": number, "amount_applied": total}]}  # fmt: skip
        pen.put("customerpayments", str(460_000_000_200_001 + count), (at, at), paid)


def day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
