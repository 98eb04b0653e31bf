"""The invented company in QuickBooks: customers, their invoices, and the payments of most of them."""

from __future__ import annotations

from datetime import UTC, datetime

from hub.twins.company_sketch import Sketch
from hub.twins.company_views import DAY_S

KNOWN = 0.3  # share of the people


def sketch(pen: Sketch) -> None:
    for number, (person, view) in enumerate(pen.once(KNOWN), 58):
        held, customer = view.address, str(number)
        fields = {
            "GivenName": view.first_name.strip(),
            "FamilyName": view.last_name.strip(),
            "CompanyName": view.company_name,
            "PrimaryEmailAddr": {"Address": view.email.strip()},
            "PrimaryPhone": {"FreeFormNumber": view.phone} if view.phone else None,
            "Mobile": {"FreeFormNumber": view.mobile} if view.mobile else None,
        }
        if held is not None:
            places = {"Line1": held.street, "City": held.city, "CountrySubDivisionCode": held.state,
                      "PostalCode": held.postal_code, "Country": view.country}  # fmt: skip
            fields["BillAddr"] = {name: text for name, text in places.items() if text}
        pen.put("customers", customer, (view.created, view.modified), fields, person=person)
        for _ in range(pen.rng.choice((0, 1, 1, 2))):
            _invoice(pen, customer, view.created)


def _invoice(pen: Sketch, customer: str, since: float) -> None:
    rng, number = pen.rng, str(1001 + pen.count("invoices"))
    at = float(int(rng.uniform(since, pen.now - DAY_S)))
    total, paid = rng.choice((120.5, 89.0, 640.25, 1500.0)), rng.random() < 0.7
    currency = {"CurrencyRef": {"value": "EUR", "name": "Euro"}} if rng.random() < 0.5 else {}
    refers = {"CustomerRef": {"value": customer}, **currency}
    fields = {"DocNumber": number, "TxnDate": day(at), "DueDate": day(at + 14 * DAY_S), "TotalAmt": total, **refers,
              "Balance": 0.0 if paid else total}  # fmt: skip
    pen.put("invoices", number, (at, at), fields)
    if paid:
        later = min(at + 5 * DAY_S, pen.now - DAY_S)
        line = {"Amount": total, "LinkedTxn": [{"TxnId": number, "TxnType": "Invoice"}]}
        payment = {"TxnDate": day(later), "TotalAmt": total, "UnappliedAmt": 0.0, "Line": [line], **refers}
        pen.put("payments", str(5000 + int(number)), (later, later), payment)


def day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
