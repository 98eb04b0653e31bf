"""The rows of the QuickBooks twin: names, lengths, and what a new row has."""

from __future__ import annotations

from typing import Any

Json = Any
Fields = dict[str, Json]

# Name -> most characters; 0: an object, a flag or a number (accounting API, "Customer")
CUSTOMER = {
    "Id": 20, "SyncToken": 10, "DisplayName": 500, "Title": 16, "GivenName": 100, "MiddleName": 100, "FamilyName": 100,
    "Suffix": 16, "CompanyName": 100, "PrintOnCheckName": 110, "Notes": 2000, "PrimaryEmailAddr": 0, "PrimaryPhone": 0,
    "AlternatePhone": 0, "Mobile": 0, "Fax": 0, "WebAddr": 0, "BillAddr": 0, "ShipAddr": 0, "Active": 0, "sparse": 0,
    "Taxable": 0, "CurrencyRef": 0, "PreferredDeliveryMethod": 20,
}  # fmt: skip
_READ_ONLY = {"MetaData", "FullyQualifiedName", "Balance", "BalanceWithJobs", "domain"}  # ignored when sent
_INSIDE = {"Address": 100, "FreeFormNumber": 30, "URI": 1000}
_LINE = 500


def refuse_value(name: str, value: Json) -> str:
    """Why a property is not taken; "" if it is."""
    if name in _READ_ONLY:
        return ""
    if name not in CUSTOMER:
        return "Request has invalid or unsupported property"
    most = CUSTOMER[name]
    if most:
        if not isinstance(value, str):
            return "" if value is None else "Request has invalid or unsupported property"
        if name == "DisplayName" and ":" in value:
            return "Invalid character: colon"
        return _too_long(name, value, most)
    if name in ("Active", "sparse", "Taxable"):
        return "" if isinstance(value, bool) else "Request has invalid or unsupported property"
    if value is None:
        return ""
    if not isinstance(value, dict):
        return "Request has invalid or unsupported property"
    for key, inner in value.items():
        if words := _too_long(key, inner, _INSIDE.get(key, _LINE)) if isinstance(inner, str) else "":
            return words
    address = str(value.get("Address") or "") if name == "PrimaryEmailAddr" else ""
    return "" if not address or "@" in address.strip("@") else "Email Address does not conform to the syntax rules"


def _too_long(name: str, value: str, most: int) -> str:
    if "\0" in value:
        return f"{name}: invalid character"
    return f"{name}: string is too long, at most {most} characters" if len(value) > most else ""


def display_name(fields: Fields) -> str:
    parts = [fields.get(name) for name in ("Title", "GivenName", "MiddleName", "FamilyName", "Suffix")]
    return " ".join(str(part).strip() for part in parts if part and str(part).strip())


def blank_row(stream: str) -> Fields:
    if stream == "customers":
        return {"Taxable": False, "Balance": 0, "PreferredDeliveryMethod": "None"}
    if stream == "invoices":
        return {"DocNumber": "", "TxnDate": "2026-01-01", "TotalAmt": 0.0, "Balance": 0.0, "Line": [],
                "EmailStatus": "NotSet", "LinkedTxn": []}  # fmt: skip
    return {"TxnDate": "2026-01-01", "TotalAmt": 0.0, "UnappliedAmt": 0.0, "Line": []}
