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
FIELDS = {"Phone": "phone", "MobilePhone": "mobile", "phone": "phone", "mobilephone": "mobile"}
Cell = tuple[str, str, str]  # system, stream, canonical field
Told = Mapping[str, Any]  # an audit's report


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What an audit found, against the truth."""

    seeded: int  # pairs of entities that are one person
    found: int  # pairs that the audit calls duplicates
    right: int  # of those: that are
    invalid: Mapping[Cell, tuple[int, int]]  # values that cannot be right: (seeded, found); only where they differ
    blank: Mapping[Cell, tuple[int, int]]  # records without a value: (seeded, found); only where they differ

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.seeded if self.seeded else 1.0

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
    found = {
        pair
        for each in report["clusters"]
        if each["entity"] == "contact"
        for told in each["pairs"]
        if (pair := _pair(told["first"], told["second"]))
    }
    columns = {(row["system"], row["stream"], row["field"]): row for row in report["inventory"]}
    findings = {each["key"]: each["count"] for each in report["findings"]}
    return Judged(
        seeded=len(seeded), found=len(found), right=len(seeded & found),
        invalid=_other(_phones(company, _is_invalid), lambda cell: findings.get("invalid:{}/{}.{}".format(*cell), 0)),
        blank=_other(_phones(company, _is_blank), lambda cell: columns[cell]["blank"]),
    )  # fmt: skip


def _pair(first: str, second: str) -> tuple[int, ...]:
    return tuple(sorted(int(each.partition(":")[2]) for each in (first, second)))


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
