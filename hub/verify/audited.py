"""The data audit judged: what it found at an invented company, against what is true of that company."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hub.twins.company import Company, Key

PHONES = {
    ("salesforce", "contacts"): ("Phone", "MobilePhone"), ("salesforce", "leads"): ("Phone", "MobilePhone"),
    ("salesforce", "accounts"): ("Phone",), ("hubspot", "contacts"): ("phone", "mobilephone"),
    ("hubspot", "companies"): ("phone",),
}  # fmt: skip
TRAITS = {  # two telephones, day of birth, street
    ("salesforce", "contacts"): ("Phone", "MobilePhone", "Birthdate", "MailingStreet"),
    ("salesforce", "leads"): ("Phone", "MobilePhone", "", "Street"),
    ("hubspot", "contacts"): ("phone", "mobilephone", "date_of_birth", "address"),
}  # fmt: skip
FIELDS = {"Phone": "phone", "MobilePhone": "mobile", "phone": "phone", "mobilephone": "mobile"}
Cell = tuple[str, str, str]  # system, stream, canonical field
Told = Mapping[str, Any]  # an audit's report


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What an audit found, against the truth."""

    seeded: int  # pairs of entities that are one person …
    knowable: int  # … and share more than a name: somebody could know it
    found: int  # pairs that the audit calls duplicates
    right: int  # of those: that are
    known: int  # knowable ones that it found
    invalid: Mapping[Cell, tuple[int, int]]  # values that cannot be right: (seeded, found); only where they differ
    blank: Mapping[Cell, tuple[int, int]]  # records without a value: (seeded, found); only where they differ

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.known / self.knowable if self.knowable else 1.0

    @property
    def ok(self) -> bool:
        return self.precision >= 0.98 and self.recall >= 0.90 and not self.invalid and not self.blank


def judge_audit(company: Company, entities: Mapping[Key, int], report: Told) -> Judged:
    """Judge a report of `hub audit`, made before anything was written to the company's systems.

    Args:
        entities: record -> root entity, of all records that speak for a person.
        report: with duplicates searched.
    """
    people: dict[str, set[int]] = defaultdict(set)
    for key, entity in entities.items():
        if key in company.truth:
            people[company.truth[key]].add(entity)
    seeded = {pair for each in people.values() for pair in combinations(sorted(each), 2)}
    traits = _traits(company, entities)
    knowable = {pair for pair in seeded if traits[pair[0]] & traits[pair[1]]}
    found = {
        pair
        for each in report["clusters"]
        if each["entity"] == "contact"
        for told in each["pairs"]
        if (pair := _pair(told["first"], told["second"]))
    }
    found -= _doubles_by_chance(company, entities, found - seeded)
    columns = {(row["system"], row["stream"], row["field"]): row for row in report["inventory"]}
    findings = {each["key"]: each["count"] for each in report["findings"]}
    return Judged(
        seeded=len(seeded), knowable=len(knowable), found=len(found), right=len(seeded & found),
        known=len(knowable & found),
        invalid=_other(_phones(company, _is_invalid), lambda cell: findings.get("invalid:{}/{}.{}".format(*cell), 0)),
        blank=_other(_phones(company, _is_blank), lambda cell: columns[cell]["blank"]),
    )  # fmt: skip


def _pair(first: str, second: str) -> tuple[int, ...]:
    return tuple(sorted(int(each.partition(":")[2]) for each in (first, second)))


def _traits(company: Company, entities: Mapping[Key, int]) -> dict[int, set[str]]:
    """Entity -> what its records say that hardly another has: numbers, the day of birth, where it lives."""
    found: dict[int, set[str]] = defaultdict(set)
    for (system, stream), names in TRAITS.items():
        for row in company.rows.get(system, {}).get(stream, ()):
            entity = entities.get((system, stream, row["id"]))
            values = [str(row["fields"].get(name) or "") for name in names]
            if entity is not None:
                *numbers, birthday, street = values
                tails = ["".join(filter(str.isdigit, each))[-7:] for each in numbers]
                kinds = zip(
                    ("phone", "mobile", "birthday", "street"), (*tails, birthday, street.casefold()), strict=True
                )
                found[entity].update(f"{kind} {value}" for kind, value in kinds if value)
    return found


def _doubles_by_chance(
    company: Company, entities: Mapping[Key, int], pairs: set[tuple[int, ...]]
) -> set[tuple[int, ...]]:  # fmt: skip
    """Pairs of people whom the invention gave one name and one number: numbers that may be invented are few.

    Nobody could tell them apart by their data, so they say nothing of who tries.
    """
    told: dict[int, set[tuple[str, str, str]]] = defaultdict(set)
    people = {person.id: person for person in company.people}
    for key, entity in entities.items():
        person = people.get(company.truth.get(key, ""))
        if person is not None:
            numbers = (person.phone, person.mobile)
            told[entity].update((person.first_name, person.last_name, number) for number in numbers if number)
    return {pair for pair in pairs if told[pair[0]] & told[pair[1]]}


def _other(seeded: Mapping[Cell, int], told: Callable[[Cell], int]) -> dict[Cell, tuple[int, int]]:
    return {cell: (count, found) for cell, count in seeded.items() if count != (found := told(cell))}


def _phones(company: Company, counts: Callable[[Cell, Any], bool]) -> dict[Cell, int]:
    """Telephone numbers are where the company's people write what is none."""
    found: dict[Cell, int] = defaultdict(int)
    for cell, value in _written(company):
        found[cell] += counts(cell, value)
    return found


def _written(company: Company) -> Iterator[tuple[Cell, Any]]:
    for (system, stream), names in PHONES.items():
        for row in company.rows.get(system, {}).get(stream, ()):
            for name in names:
                yield (system, stream, FIELDS[name]), row["fields"].get(name)


def _is_invalid(cell: Cell, value: Any) -> bool:
    """A number with an extension is none that can be dialled; the mappings of people say that it may be cut off."""
    return cell[1] in ("accounts", "companies") and isinstance(value, str) and " ext. " in value


def _is_blank(cell: Cell, value: Any) -> bool:
    return value is None or value == ""
