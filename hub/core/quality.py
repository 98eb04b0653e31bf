"""What makes data good, as numbers: invalid values, odd forms, tiers of customers, the score.

Pure: the audit (hub.app.auditing) counts with these over the whole store. Every threshold stands here and is explained
in docs/audit.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from hub.core.canonical import CanonicalField, EntityType
from hub.core.formats import email_key
from hub.core.likeness import BIRTHDAYS
from hub.core.mapping import FieldRule, StreamMapping
from hub.core.paths import MISSING
from hub.core.values import MappingFault, is_blank, normalise, same
from hub.model import Json

EARLIEST_YEAR = 1900  # before it: a placeholder, or a slip
YEARS_AHEAD = 50  # farther away than that nothing is planned
_DONE = re.compile(r"(?<!expect)(?<!schedul)(?<!plann)(?:ed|paid|ed_up)_(?:at|on)$")  # placed_at, paid_on, signed_up_at
READ_AS_IT_IS = ("phone", "host", "url")  # one form everywhere, also where a mapping only reads
WITH_FORM = frozenset({"text", "email", "country", "date", "instant", *READ_AS_IT_IS})
TIERS = (("A", 0.80), ("B", 0.95), ("C", 1.0))  # up to that share of what all customers spent, the best first
NO_TIER = "none"  # those who spent nothing
WEIGHTS: Mapping[str, float] = {
    "completeness": 0.25, "validity": 0.25, "uniqueness": 0.20, "agreement": 0.15, "uniformity": 0.15
}  # fmt: skip


class Column(NamedTuple):
    """One value of a stream's records that a mapping reads: a field, or a part of a group."""

    name: str  # as the mapping names it
    declared: CanonicalField
    part: str  # "" for the whole field
    kind: str  # scalar type
    reads: FieldRule
    writes: FieldRule | None

    def of(self, values: Mapping[str, Json]) -> Json:
        """The value among canonical ones; None if blank."""
        value = values.get(self.declared.name)
        if self.part:
            value = value.get(self.part) if isinstance(value, Mapping) else None
        return None if is_blank(value) else value


def columns_of(mapping: StreamMapping) -> tuple[Column, ...]:
    """What the mapping reads, in file order."""
    written = {(rule.field, rule.part): rule for rule in mapping.rules if rule.field and rule.direction != "in"}
    found: dict[tuple[str, str], Column] = {}
    for rule in mapping.rules:
        declared = mapping.entity_type.fields.get(rule.field)
        if declared is None or rule.direction == "out":
            continue
        cell = (rule.field, rule.part)
        kind = declared.parts[rule.part] if rule.part else declared.type
        found.setdefault(cell, Column(rule.name, declared, rule.part, kind, rule, written.get(cell)))
    return tuple(found.values())


# Invalid values


def invalid(column: Column, value: Json, today: date) -> str:
    """Why a canonical value (not blank) cannot be right, in words without it; "" if it can."""
    whole = {column.part: value} if column.part else value
    try:
        normalise(column.declared, whole)
    except MappingFault as fault:
        return fault.message
    if column.kind == "phone" and len(set(value[4:])) == 1:
        return "a telephone number of one digit, repeated"
    if column.kind in ("date", "instant"):
        return _implausible(column.part or column.declared.name, value, today)
    return ""


def _implausible(name: str, value: str, today: date) -> str:
    if int(value[:4]) < EARLIEST_YEAR:
        return f"before {EARLIEST_YEAR}"
    if int(value[:4]) > today.year + YEARS_AHEAD:
        return f"more than {YEARS_AHEAD} years ahead"
    past = name in BIRTHDAYS or _DONE.search(name) is not None
    if past and (date.fromisoformat(value[:10]) - today).days > 1:  # it may be tomorrow already, over there
        return "in the future"
    return ""


# Uniform forms


def raw_value(mapping: StreamMapping, rule: FieldRule, data: Mapping[str, Json]) -> Json:
    """What stands in the system's own record where the rule reads; None if nothing does."""
    if rule.get is not None:
        found = rule.get(data)
    else:
        root = data.get(mapping.root) if mapping.root else data
        found = root.get(rule.key, MISSING) if isinstance(root, Mapping) else MISSING
    return None if found is MISSING else found


def expected_form(column: Column, raw: str, held: Json) -> str | None:
    """The one form in which the system should hold what it holds; None where there is no such form.

    What the hub would write there itself, so a system that keeps names of countries is asked for names. E-mails: lower
    case. Text: no blanks at its ends, and in one line no two in a row.
    """
    if column.kind == "email":
        return email_key(raw.strip())
    if column.kind == "text":
        return raw.strip() if "\n" in raw.strip() else " ".join(raw.split())
    writes = column.writes
    if writes is not None and column.kind in WITH_FORM:
        try:
            form = writes.outward(held) if writes.outward is not None else held
        except MappingFault:
            return None
        return form if isinstance(form, str) else None
    return held if column.kind in READ_AS_IT_IS and isinstance(held, str) else None


def is_odd(column: Column, raw: Json, held: Json) -> bool:
    """True if the system holds the value in another form than the field's one.

    A record that was stored before our last write to it says nothing: what it tells must still be what is held.
    """
    if not isinstance(raw, str) or column.reads.words_in or column.reads.to or column.declared.kind == "set":
        return False
    form = expected_form(column, raw, held)
    if form is None or form == raw:
        return False
    return _tells(column, raw, held)


def _tells(column: Column, raw: str, held: Json) -> bool:
    reads = column.reads
    if reads.inward_in is not None:
        return False
    try:
        told = reads.inward(raw) if reads.inward is not None else raw
    except MappingFault:
        return False
    if column.part:
        return bool(told == held)
    return same(column.declared, told, held)


def shape(text: str) -> str:
    """A text without what it says: every letter a or A, every digit 9, runs of letters cut to three."""
    plain = "".join(
        "9" if each.isdigit() else ("A" if each.isupper() else "a") if each.isalpha() else each for each in text[:60]
    )
    return re.sub(r"([aA])\1{2,}", r"\1\1\1", plain)


# Tiers


def spent_field(entity: EntityType) -> str:
    """The derived field that says what somebody has spent; "" if the type has none."""
    return next(
        (name for name, each in entity.fields.items() if each.derived and each.type in ("decimal", "money")), ""
    )


def tiers_of(spent: Sequence[float]) -> list[str]:
    """The tier of each, in the given order.

    Source: ABC analysis, after V. Pareto: the best customers who bring the first 80 % of all that was spent are A, the
    next 15 % B, the rest C.
    """
    total = sum(each for each in spent if each > 0)
    found, reached = [NO_TIER] * len(spent), 0.0
    for place in sorted((n for n, each in enumerate(spent) if each > 0), key=lambda n: -spent[n]):
        found[place] = next(name for name, share in TIERS if reached < share * total or name == TIERS[-1][0])
        reached += spent[place]
    return found


# Score


def score_of(shares: Mapping[str, float | None]) -> int | None:
    """0 to 100: the weighted mean of the shares (0 to 1) that there are; None where there is none."""
    known = {name: share for name, share in shares.items() if share is not None}
    weight = sum(WEIGHTS[name] for name in known)
    return round(100 * sum(WEIGHTS[name] * share for name, share in known.items()) / weight) if weight else None


def share_good(bad: int, total: int) -> float | None:
    """1 less the share that is bad; None of nothing."""
    return 1 - min(bad, total) / total if total else None
