"""The fields, choices and views of the Freshsales twin's account, and which values each kind of field takes."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

Json = Any
Fields = dict[str, Json]

ONE = {"sales_accounts": "sales_account", "contacts": "contact", "deals": "deal"}
VIEWS: dict[str, dict[int, str]] = {
    "sales_accounts": {31: "All Accounts", 33: "My Accounts", 32: "Recycle Bin"},
    "contacts": {11: "All Contacts", 13: "My Contacts", 12: "Recycle Bin"},
    "deals": {21: "Open Deals", 25: "My Deals", 22: "Won Deals", 23: "Lost Deals", 24: "Recycle Bin"},
}
# What a row shows only if `include` names the key
INCLUDES: dict[str, dict[str, tuple[str, ...]]] = {
    "sales_accounts": {},
    "contacts": {"sales_accounts": ("sales_accounts",)},
    "deals": {"owner": ("owner_id",), "deal_reason": ("deal_reason_id",), "contacts": ("contacts",)},
}


def _choices(first: int, *names: str) -> list[Fields]:
    return [{"id": first + place, "name": name, "position": place + 1} for place, name in enumerate(names)]


SELECTORS: dict[str, list[Fields]] = {
    "lifecycle_stages": _choices(71_000_000_001, "Lead", "Sales Qualified Lead", "Customer"),
    "lead_sources": _choices(
        72_000_000_001, "Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Trade Show", "Webinar", "Other"
    ),
    "industry_types": _choices(73_000_000_001, "Technology", "Manufacturing", "Retail", "Consulting"),
    "deal_stages": _choices(
        74_000_000_001, "New", "Qualification", "Demo", "Negotiation", "Contract Sent", "Won", "Lost"
    ),
    "deal_reasons": _choices(75_000_000_001, "Price", "Features"),
    "currencies": [
        {"id": 76_000_000_002, "currency_code": "USD", "exchange_rate": "1.1", "currency_type": 2, "is_active": True},
        {"id": 76_000_000_001, "currency_code": "EUR", "exchange_rate": "1.0", "currency_type": 1, "is_active": True},
        *(
            {
                "id": 76_000_000_010 + n,
                "currency_code": code,
                "exchange_rate": "4.2",
                "currency_type": 2,
                "is_active": True,
            }
            for n, code in enumerate(("GBP", "PLN", "CHF", "SEK", "JPY", "AED", "INR", "BRL", "CAD", "DKK"))
        ),
    ],
}

# name -> kind; a selector's name means: one of its ids
_ADDRESS = dict.fromkeys(("address", "city", "state", "zipcode", "country"), "text")
FIELDS: dict[str, dict[str, str]] = {
    "sales_accounts": {
        "name": "text",
        **_ADDRESS,
        "number_of_employees": "number",
        "annual_revenue": "decimal",
        "website": "text",
        "phone": "text",
        "industry_type_id": "industry_types",
        "owner_id": "owner",
        "parent_sales_account_id": "account",
        "facebook": "text",
        "twitter": "text",
        "linkedin": "text",
    },
    "contacts": {
        "first_name": "text",
        "last_name": "text",
        "work_number": "text",
        "mobile_number": "text",
        "job_title": "text",
        "department": "text",
        **_ADDRESS,
        "time_zone": "text",
        "lead_source_id": "lead_sources",
        "lifecycle_stage_id": "lifecycle_stages",
        "owner_id": "owner",
        "external_id": "text",
        "do_not_disturb": "checkbox",
        "medium": "text",
        "keyword": "text",
        "facebook": "text",
        "twitter": "text",
        "linkedin": "text",
    },
    "deals": {
        "name": "text",
        "amount": "decimal",
        "currency_id": "currencies",
        "sales_account_id": "account",
        "deal_stage_id": "deal_stages",
        "deal_reason_id": "deal_reasons",
        "lead_source_id": "lead_sources",
        "probability": "number",
        "expected_close": "date",
        "owner_id": "owner",
    },
}
CUSTOM: dict[str, dict[str, str]] = {
    "sales_accounts": {"cf_hub_id": "text", "cf_tier": "dropdown"},
    "contacts": {"cf_birthday": "date", "cf_language": "text", "cf_tier": "dropdown", "cf_score": "number"},
    "deals": {"cf_hub_id": "text"},
}
TIERS = ("Gold", "Silver", "Bronze")
TEXT_MAX = 255
REQUIRED = {"sales_accounts": "name", "deals": "name"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def blank_row(stream: str) -> Fields:
    row: Fields = dict.fromkeys(FIELDS[stream])
    if stream == "contacts":
        row |= {"email": None, "emails": [], "sales_accounts": [], "sales_account_id": None, "display_name": ""}
        row |= {"do_not_disturb": False, "lifecycle_stage_id": SELECTORS["lifecycle_stages"][0]["id"], "tags": []}
    if stream == "deals":
        row |= {"contacts": [], "deal_stage_id": SELECTORS["deal_stages"][0]["id"], "amount": "0.0"}
    row["custom_field"] = dict.fromkeys(CUSTOM[stream])
    return row


def show_field(stream: str, name: str, number: int) -> Fields:
    """A field as the settings endpoint describes it; choices of standard dropdowns are ids elsewhere."""
    kind = FIELDS[stream].get(name) or CUSTOM[stream][name]
    shown = {"owner": "auto_complete", "account": "auto_complete"}.get(kind, "dropdown" if kind in SELECTORS else kind)
    values = TIERS if kind == "dropdown" else ()
    return {
        "id": str(78_000_000_000 + number),
        "name": name,
        "label": name.removeprefix("cf_").replace("_", " ").capitalize(),
        "type": shown,
        "default": not name.startswith("cf_"),
        "required": REQUIRED.get(stream) == name,
        "actionable": True,
        "visible": True,
        "position": number,
        "base_model": ONE[stream],
        "choices": [{"id": place, "value": value, "position": place} for place, value in enumerate(values, 1)],
    }


def refuse_value(kind: str, name: str, value: Json, owners: set[int]) -> str:
    """Why this kind of field does not take the value; "" if it does."""
    if value is None:
        return "Name can't be blank" if name == "name" else ""
    good = {
        "text": lambda: isinstance(value, str) and len(value) <= TEXT_MAX and "\0" not in value,
        "number": lambda: isinstance(value, int) and not isinstance(value, bool),
        "decimal": lambda: _is_decimal(value),
        "checkbox": lambda: isinstance(value, bool),
        "date": lambda: isinstance(value, str) and _is_day(value),
        "dropdown": lambda: value in TIERS,
        "owner": lambda: value in owners,
        "account": lambda: isinstance(value, int),
    }
    if kind in SELECTORS:
        fits = any(choice["id"] == value for choice in SELECTORS[kind])
    else:
        fits = good[kind]()
    return "" if fits else f"{name.removesuffix('_id').replace('_', ' ').capitalize()} is invalid"


def _is_decimal(value: Json) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    return bool(re.fullmatch(r"-?\d{1,15}(\.\d{1,8})?", str(value)))


def _is_day(text: str) -> bool:
    try:
        return bool(_DAY.fullmatch(text[:10])) and date.fromisoformat(text[:10]) is not None
    except ValueError:
        return False
