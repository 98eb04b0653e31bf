"""The data audit judged: what it found at an invented company, against what is true of that company.

Nothing is left out on either side: every two entities that are one person count as seeded, whatever they share, and
every pair that the audit calls duplicates counts as found, namesakes included. Invalid and missing values are compared
record by record: which value of which record, not how many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from hub.app.context import Hub
from hub.twins.company import Company, Key

ADDRESS = ("street", "city", "state", "postal_code", "country")
COLUMNS: Mapping[tuple[str, str], Mapping[str, str]] = {  # remote field -> ours, where each value is one field there
    ("salesforce", "contacts"): {
        "Email": "email", "FirstName": "first_name", "LastName": "last_name", "Phone": "phone",
        "MobilePhone": "mobile", "Birthdate": "birthday", "Title": "job_title", "LeadSource": "lead_source",
        "Preferred_Language__c": "language", "AccountId": "company",
        **dict(zip((f"Mailing{each}" for each in ("Street", "City", "State", "PostalCode", "Country")), ADDRESS,
                   strict=True)),
    },
    ("salesforce", "leads"): {
        "Email": "email", "FirstName": "first_name", "LastName": "last_name", "Phone": "phone",
        "MobilePhone": "mobile", "Company": "company_name", "Title": "job_title", "LeadSource": "lead_source",
        **dict(zip(("Street", "City", "State", "PostalCode", "Country"), ADDRESS, strict=True)),
    },
    ("salesforce", "accounts"): {
        "Name": "name", "Website": "domain", "Phone": "phone", "Industry": "industry",
        "NumberOfEmployees": "employees", "AnnualRevenue": "annual_revenue",
        **dict(zip((f"Billing{each}" for each in ("Street", "City", "State", "PostalCode", "Country")), ADDRESS,
                   strict=True)),
    },
    ("hubspot", "contacts"): {
        "email": "email", "firstname": "first_name", "lastname": "last_name", "phone": "phone",
        "mobilephone": "mobile", "date_of_birth": "birthday", "jobtitle": "job_title", "company": "company_name",
        "lead_source": "lead_source", "hs_language": "language", "hubspot_owner_id": "owner",
        **dict(zip(("address", "city", "state", "zip", "country"), ADDRESS, strict=True)),
    },
    ("hubspot", "companies"): {
        "name": "name", "domain": "domain", "phone": "phone", "numberofemployees": "employees",
        "annualrevenue": "annual_revenue", "hubspot_owner_id": "owner",
        **dict(zip(("address", "city", "state", "zip", "country"), ADDRESS, strict=True)),
    },
}  # fmt: skip
DEALS = {  # what a deal is worth, and in which currency
    ("salesforce", "opportunities"): ("Amount", "CurrencyIsoCode"),
    ("hubspot", "deals"): ("amount", "deal_currency_code"),
}
FIRMS = ("accounts", "companies")
WHOLE = ("JPY", "KRW")  # currencies without smaller coins
INVALID, BLANK = "invalid", "blank"
Value = tuple[str, str, str, str]  # system, stream, id, field: which value of which record
Pair = tuple[int, ...]
Told = Mapping[str, Any]  # an audit's report


@dataclass(slots=True)
class Seen:
    """What an audit tells of single values: handed to it as `seen`."""

    told: dict[str, set[Value]] = field(default_factory=lambda: defaultdict(set))  # kind -> values

    def __call__(self, system: str, stream: str, record: str, name: str, kind: str) -> None:
        self.told[kind].add((system, stream, record, name))


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What an audit found, against the truth."""

    seeded: int  # pairs of entities that are one person
    found: int  # pairs that the audit calls duplicates
    right: int  # of those: that are
    invalid: frozenset[Value]  # values that are wrong and were not found, or are not wrong and were
    blank: frozenset[Value]  # the same of values that are not there

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.seeded if self.seeded else 1.0

    @property
    def ok(self) -> bool:
        return self.precision >= 0.98 and self.recall >= 0.90 and not self.invalid and not self.blank


def judge_audit(company: Company, entities: Mapping[Key, int], report: Told, seen: Seen) -> Judged:
    """Judge a report of `hub audit`, made before anything was written to the company's systems.

    Args:
        entities: record -> root entity, of all records that speak for a person.
        report: with duplicates searched.
        seen: what it told of single values meanwhile.
    """
    seeded, found = seeded_pairs(company, entities), told_pairs(report)
    invalid = _values(company, _is_invalid) | _odd_amounts(company)
    blank = _values(company, _is_blank)
    looked_at = {(system, stream, name) for (system, stream), names in COLUMNS.items() for name in names.values()}
    told = {each for each in seen.told[BLANK] if (each[0], each[1], each[3]) in looked_at}
    return Judged(
        seeded=len(seeded), found=len(found), right=len(seeded & found),
        invalid=frozenset(invalid ^ seen.told[INVALID]), blank=frozenset(blank ^ told),
    )  # fmt: skip


def found_entities(hub: Hub) -> dict[tuple[str, str, str], int]:
    """Record -> root entity, for the score against the ground truth."""
    found = {}
    for connection in hub.connections.values():
        for mapping in connection.mappings.values():
            after = ""
            while True:
                with hub.store.reading() as tx:
                    links = tx.links_by_name(connection.name, mapping.name, after, 1000)
                    roots = tx.roots({link.entity_id for link in links}) if links else {}
                if not links:
                    break
                after = links[-1].external_id or ""
                for link in links:
                    if mapping.entity == "contact":
                        found[connection.name, mapping.source, link.external_id or ""] = roots[link.entity_id]
    return found


def seeded_pairs(company: Company, entities: Mapping[Key, int], more: Iterable[tuple[int, int]] = ()) -> set[Pair]:
    """Every two entities that are one person.

    Args:
        more: further entities that are one: who is there, and who was typed in again.
    """
    people: dict[str, set[int]] = defaultdict(set)
    for key, entity in entities.items():
        if key in company.truth:
            people[company.truth[key]].add(entity)
    groups = [*people.values()]
    for one, other in more:
        touched = [each for each in groups if one in each or other in each]
        groups = [*(each for each in groups if each not in touched), {one, other}.union(*touched)]
    return {pair for each in groups for pair in combinations(sorted(each), 2)}


def told_pairs(report: Told) -> set[Pair]:
    """Every two people whom the audit calls one."""
    return {
        tuple(sorted(int(each.partition(":")[2]) for each in (told["first"], told["second"])))
        for each in report["clusters"]
        if each["entity"] == "contact"
        for told in each["pairs"]
    }


def _values(company: Company, holds: Any) -> set[Value]:
    return {
        (system, stream, record, names[remote])
        for system, stream, names, record, values in _rows(company)
        for remote in names
        if holds(stream, values.get(remote))
    }


def _odd_amounts(company: Company) -> set[Value]:
    """Deals that are worth a part of the smallest coin there is."""
    return {
        (system, stream, row["id"], "amount")
        for (system, stream), (amount, currency) in DEALS.items()
        for row in company.rows.get(system, {}).get(stream, ())
        if row["fields"].get(currency) in WHOLE and float(row["fields"][amount]) % 1
    }


def _rows(company: Company) -> Iterator[tuple[str, str, Mapping[str, str], str, Mapping[str, Any]]]:
    for (system, stream), names in COLUMNS.items():
        for row in company.rows.get(system, {}).get(stream, ()):
            yield system, stream, names, row["id"], row["fields"]


def _is_invalid(stream: str, value: Any) -> bool:
    """A number with an extension is none that can be dialled; the mappings of people say that it may be cut off."""
    return stream in FIRMS and isinstance(value, str) and " ext. " in value


def _is_blank(_: str, value: Any) -> bool:
    return value is None or value == ""
