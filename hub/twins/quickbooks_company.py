"""The invented company in QuickBooks: customers, their invoices, and the payments of most of them."""

from __future__ import annotations

from datetime import UTC, datetime

from hub.twins.company_cast import Cast
from hub.twins.company_views import DAY_S

KNOWN = 0.3  # share of the people


def write_down(cast: Cast) -> None:
    for number, (person, view) in enumerate(cast.known(KNOWN), 58):
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
        cast.add("customers", customer, (view.created, view.modified), fields)
        cast.knows("customers", customer, person)
        for _ in range(cast.rng.choice((0, 1, 1, 2))):
            _invoice(cast, customer, view.created)


def _invoice(cast: Cast, customer: str, since: float) -> None:
    rng, number = cast.rng, str(1001 + cast.ledger.count(cast.system, "invoices"))
    at = float(int(rng.uniform(since, cast.ledger.now - DAY_S)))
    total, paid = rng.choice((120.5, 89.0, 640.25, 1500.0)), rng.random() < 0.7
    currency = {"CurrencyRef": {"value": "EUR", "name": "Euro"}} if rng.random() < 0.5 else {}
    refers = {"CustomerRef": {"value": customer}, **currency}
    fields = {"DocNumber": number, "TxnDate": day(at), "DueDate": day(at + 14 * DAY_S), "TotalAmt": total, **refers,
              "Balance": 0.0 if paid else total}  # fmt: skip
    cast.add("invoices", number, (at, at), fields)
    if paid:
        later = min(at + 5 * DAY_S, cast.ledger.now - DAY_S)
        line = {"Amount": total, "LinkedTxn": [{"TxnId": number, "TxnType": "Invoice"}]}
        payment = {"TxnDate": day(later), "TotalAmt": total, "UnappliedAmt": 0.0, "Line": [line], **refers}
        cast.add("payments", str(5000 + int(number)), (later, later), payment)


def day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
