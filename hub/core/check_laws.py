"""The lens laws of a mapping on generated values (reliability.md L11), and peace between two mappings.

Equality is the type's `~`. A value that cannot be written is refused with a code, which is honest, so it proves
nothing against a rule. What a rule declares as lost (`lossy: accept`, `prefer`) may be lost once, never twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.core.canonical import CanonicalField
from hub.core.formats import MappingFault
from hub.core.mapping import FieldRule, StreamMapping, held_form
from hub.core.mapping_file import MappingFile
from hub.core.values import is_blank, same
from hub.errors import Fault
from hub.model import Json

CLEANERS = frozenset(("trim", "collapse", "join"))  # their whole effect is the canonical form

SAMPLES: Mapping[str, Sequence[Json]] = {
    "text": (
        "a",
        "Ann Müller",
        "O'Neil & Sons; Ltd",
        "UPPER lower",
        "a  b",
        "日本 株式会社",
        "line\nbreak",
        "12.50",
        "x" * 300,
    ),
    "email": ("ann@example.com", "Ann.Byron+x@example.co.uk", "ü@bücher.example"),
    "phone": ("+12022243441", "+49301234567", "+390612345678", "+44207946000"),
    "host": ("example.com", "shop.example.co.uk", "bücher.example"),
    "url": ("https://example.com/", "http://example.com/A?b=c#d"),
    "country": ("DE", "US", "KR", "BO", "CZ", "GB", "TR", "MK"),
    "boolean": (True, False),
    "integer": (0, 1, -7, 1_000_000),
    "decimal": ("0", "12.5", "-0.01", "1000000", "0.125"),
    "date": ("2026-11-02", "1969-12-31", "2000-02-29", "0999-01-01"),
    "instant": ("2026-11-02T08:00:00Z", "1969-12-31T23:59:59Z", "2026-06-30T12:00:00.123Z"),
    "money": (
        {"minor": 1250, "currency": "EUR"},
        {"minor": 0, "currency": "EUR"},
        {"minor": -99, "currency": "USD"},
        {"minor": 1250, "currency": "JPY"},
        {"minor": 12345, "currency": "KWD"},
        {"minor": 500, "currency": "ISK"},
    ),
}
NAMES = ("Ann", "Ada Maria", "Müller", "d'Arc", "李")


def samples(declared: CanonicalField) -> Sequence[Json]:
    """Values of a field in their normal form."""
    if declared.type == "enum":
        return declared.values
    if declared.type == "set":
        elements = [str(each) for each in SAMPLES.get(declared.of, ())][:4]
        return ([elements[0]], sorted(elements)) if elements else ()
    if declared.type == "group":
        return tuple(_group(declared, turn) for turn in range(len(NAMES)))
    return SAMPLES.get(declared.type, ())


def _group(declared: CanonicalField, turn: int) -> dict[str, Json]:
    value: dict[str, Json] = {}
    for position, (part, kind) in enumerate(declared.parts.items()):
        of_kind = NAMES if kind == "text" else SAMPLES.get(kind, (None,))
        value[part] = of_kind[(turn + position) % len(of_kind)]
    return value


# One rule


def check_laws(mapping: StreamMapping) -> list[Fault]:
    """MAP-030 for every two-way rule that changes a value it does not say it changes, or never comes to rest."""
    found = []
    for rule in mapping.rules:
        declared = mapping.entity_type.fields[rule.field]
        if rule.direction != "both" or rule.to or declared.kind == "consent" or rule.settle is None:
            continue
        typed = CanonicalField(name=rule.name, type=declared.parts[rule.part]) if rule.part else declared
        broken = next((value for value in samples(typed) if not _holds(rule, typed, value)), None)
        if broken is not None:
            message = f"{rule.name}: {broken!r} does not survive the way out and back"
            fix = "choose transforms that undo each other, or say lossy: accept if it settles"
            found.append(Fault(code="MAP-030", where=rule.where, message=message, fix=fix))
    return found


def _holds(rule: FieldRule, typed: CanonicalField, value: Json) -> bool:
    settle = rule.settle
    assert settle is not None  # noqa: S101  (the caller chose such rules)
    try:
        once = settle(value)
    except MappingFault:
        return True
    try:
        twice = once if is_blank(once) else settle(once)
    except MappingFault:
        return False
    if not same(typed, once, twice):
        return False
    return rule.lossy or _merges_words(rule, value) or _cleaned(rule, once, value) or same(typed, once, value)


def _merges_words(rule: FieldRule, value: Json) -> bool:
    """True where two values share a word and `prefer` says which one is read."""
    if not rule.words_out:
        return False
    words = [rule.words_out[each] for each in (value if isinstance(value, list) else [value]) if each in rule.words_out]
    return any(list(rule.words_out.values()).count(word) > 1 for word in words)


def _cleaned(rule: FieldRule, once: Json, value: Json) -> bool:
    if not CLEANERS & set(rule.steps):
        return False
    if isinstance(value, list):
        return set(once or ()) == {str(each).strip() for each in value} - {""}
    return isinstance(once, str) and isinstance(value, str) and once.split() == value.split()


# Two mappings


def check_peace(first: MappingFile, second: MappingFile) -> list[Fault]:
    """MAP-031 where two systems would rewrite each other's form of a value without end."""
    found = []
    for ours in first.streams.values():
        for theirs in second.streams.values():
            if ours.entity == theirs.entity:
                found += _quarrels(ours, theirs)
    return found


def _quarrels(ours: StreamMapping, theirs: StreamMapping) -> list[Fault]:
    found = []
    for name in theirs.fields:
        declared = theirs.entity_type.fields[name]
        both_ways = all(name in each for each in (ours.in_fields, ours.out_fields, theirs.in_fields, theirs.out_fields))
        if not both_ways or declared.kind in ("ref", "consent"):
            continue
        if any(not _rests(declared, ours, theirs, value) for value in samples(declared)):
            message = f"{theirs.connector} and {ours.connector} would undo each other's {name} for ever"
            fix = f"use the same transforms in both, or one direction (see {ours.where})"
            found.append(Fault(code="MAP-031", where=theirs.fields[name][0].where, message=message, fix=fix))
    return found


def _rests(declared: CanonicalField, ours: StreamMapping, theirs: StreamMapping, value: Json) -> bool:
    """True if passing the value round soon changes nothing any more, on either side."""
    for _ in range(4):
        value = _pass(declared, theirs, _pass(declared, ours, value))
    return all(same(declared, _pass(declared, each, value), value) for each in (ours, theirs))


def _pass(declared: CanonicalField, mapping: StreamMapping, value: Json) -> Json:
    held = held_form(mapping, declared.name, value)
    if isinstance(value, dict) and isinstance(held, dict):
        return {**value, **held}
    return held
