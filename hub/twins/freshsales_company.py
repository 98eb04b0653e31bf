"""The invented company in Freshsales: owners, accounts, contacts and deals, in the vendor's own field names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hub.twins.company_people import Firm, Person
from hub.twins.company_sketch import Sketch
from hub.twins.company_views import DAY_S, View, firm_country, write_phone
from hub.twins.freshsales_schema import SELECTORS

Json = Any
KNOWN = 0.5  # share of the people
STAGES = {"subscriber": 0, "lead": 0, "mql": 0, "sql": 1, "opportunity": 1, "customer": 2}


def sketch(pen: Sketch) -> None:
    owners = {}
    for number, rep in enumerate(pen.reps, 70_000_000_101):
        owners[rep.id] = number
        fields = {"display_name": f"{rep.first_name} {rep.last_name}", "email": rep.email, "is_active": True}
        pen.put("owners", str(number), pen.times(), fields, rep=rep)
    accounts = {}
    for number, firm in enumerate(pen.firms, 70_001_000_001):
        if pen.rng.random() < 0.6:
            accounts[firm.id] = number
            pen.put("sales_accounts", str(number), pen.times(), _account(pen, firm, owners[firm.rep.id]), firm=firm)
    for number, (person, view) in enumerate(pen.once(KNOWN), 70_002_000_001):
        account = accounts.get(person.firm.id) if person.firm else None
        fields = _contact(pen, person, view, owners[person.rep.id], account)
        pen.put("contacts", str(number), (view.created, view.modified), fields, person=person)
        if account and pen.rng.random() < 0.3:
            _deal(pen, person, number, account, owners[person.rep.id])


def _account(pen: Sketch, firm: Firm, owner: int) -> dict[str, Json]:
    rng = pen.rng
    return {
        "name": firm.name,
        "website": f"https://www.{firm.domain}",
        "phone": write_phone(rng, firm.phone, firm.address.country) if rng.random() < 0.7 else None,
        "number_of_employees": firm.employees if rng.random() < 0.5 else None,
        "annual_revenue": f"{firm.revenue}.0" if rng.random() < 0.5 else None,
        "industry_type_id": rng.choice([choice["id"] for choice in SELECTORS["industry_types"]]),
        "address": firm.address.street,
        "city": firm.address.city,
        "state": firm.address.state or None,
        "zipcode": firm.address.postal_code or None,
        "country": firm_country(rng, firm),
        "owner_id": owner,
    }


def _contact(pen: Sketch, person: Person, view: View, owner: int, account: int | None) -> dict[str, Json]:
    held, rng = view.address, pen.rng
    sources = {choice["name"]: choice["id"] for choice in SELECTORS["lead_sources"]}
    stages = SELECTORS["lifecycle_stages"]
    return {
        "email": view.email,
        "first_name": view.first_name,
        "last_name": view.last_name,
        "work_number": view.phone,
        "mobile_number": view.mobile,
        "job_title": view.job_title,
        "address": held.street if held else None,
        "city": held.city if held else None,
        "state": (held.state or None) if held else None,
        "zipcode": (held.postal_code or None) if held else None,
        "country": view.country if held else None,
        "lifecycle_stage_id": stages[STAGES[view.lifecycle]]["id"],
        "lead_source_id": sources[person.lead_source] if rng.random() < 0.5 else None,
        "do_not_disturb": rng.random() < 0.03,
        "owner_id": owner,
        "sales_accounts": [{"id": account, "is_primary": True}] if account else [],
        "custom_field": {
            "cf_birthday": view.birthday,
            "cf_language": person.language,
            "cf_tier": None,
            "cf_score": None,
        },
    }


def _deal(pen: Sketch, person: Person, contact: int, account: int, owner: int) -> None:
    rng, number = pen.rng, 70_003_000_001 + pen.count("deals")
    closes = datetime.fromtimestamp(pen.now + rng.randrange(-300, 200) * DAY_S, UTC)
    currencies = {choice["currency_code"]: choice["id"] for choice in SELECTORS["currencies"]}
    fields = {
        "name": f"{person.firm.name if person.firm else person.last_name} Suite {number - 70_003_000_000}",
        "amount": rng.choice(("900.0", "2450.5", "18000.0")),
        "currency_id": currencies["USD"] if rng.random() < 0.2 else None,
        "deal_stage_id": rng.choice([choice["id"] for choice in SELECTORS["deal_stages"]]),
        "expected_close": closes.date().isoformat(),
        "sales_account_id": account,
        "contacts": [{"id": contact}],
        "owner_id": owner,
    }
    pen.put("deals", str(number), pen.times(), fields)
