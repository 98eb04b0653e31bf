"""`derived.yaml` into `Derived`, and its fields into canonical.yaml's contact. Every fault is noted with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, tzinfo

from hub.core.canonical import Canonical, CanonicalField, EntityType, Survivorship
from hub.core.canonical_file import check_language, digest_of
from hub.core.computed import COMPUTED, KINDS, LOW, PURCHASE, SEGMENTS, Computed, Derived, Rule, Segment
from hub.core.conditions import Condition, condition_of
from hub.core.document import Sheet, nearest
from hub.core.formats import MappingFault
from hub.core.rewards_file import check_name

PERSON = "contact"  # whose fields these are
RULE_KEYS = ("on", "when", "points", "half_life_days", "most")
FIELD_KEYS = ("text", "kind")
LEAST_BUYERS, YEAR_DAYS = 100, 365  # of a forecast: customers who bought again; how far it looks
NUMBERS = ("integer", "decimal", "money")


def parse_derived(
    sheet: Sheet, canonical: Canonical, *, currency: str = "EUR", zone: tzinfo = UTC
) -> tuple[Derived, Canonical]:
    """The fields and segments of a derived.yaml, and the canonical types with these fields in; faults are noted.

    Args:
        currency: the hub's; money in another is not counted.
        zone: where days begin.
    """
    sheet.closed(("language", "fields", "segments"), required=("language",))
    check_language(sheet)
    person = canonical.entities.get(PERSON)
    if person is None:
        sheet.fault("DRV-003", f"canonical.yaml declares no {PERSON}", "these are fields of people")
        return Derived(currency=currency, zone=zone), canonical
    fields: dict[str, Computed] = {}
    for name, place in sheet.at("fields").entries():
        found = _field(place, name, canonical, person, fields, currency)
        if found is not None:
            fields[name] = found
            person = _with(person, _declared(found))
    segments = []
    if sheet.has("segments"):
        if SEGMENTS in person.fields:
            sheet.at("segments").fault("DRV-003", f"{PERSON} has a field {SEGMENTS} already", "rename that field")
        for name, place in sheet.at("segments").entries():
            check_name(place, name)
            place.closed(("text", "when"), required=("when",))
            when = _condition(place, person, currency)
            if when is not None:
                segments.append(Segment(name=name, text=place.text("text"), when=when))
        text = "Segments of derived.yaml that the person is in."
        declared = CanonicalField(name=SEGMENTS, type="set", kind="set", of="text", derived=COMPUTED, text=text)
        person = _with(person, replace(declared, survivorship=Survivorship(where=sheet.at("segments").where)))
    derived = Derived(
        fields=tuple(fields.values()), segments=tuple(segments), currency=currency, zone=zone,
        digest=digest_of(sheet.document),
    )  # fmt: skip
    return derived, replace(canonical, entities={**canonical.entities, PERSON: person})


def _with(entity: EntityType, declared: CanonicalField) -> EntityType:
    return replace(entity, fields={**entity.fields, declared.name: declared})


def _declared(field: Computed) -> CanonicalField:
    kind = KINDS[field.kind]
    values = tuple(name for name, _ in field.levels) if kind.type == "enum" else ()
    return CanonicalField(
        name=field.name, type=kind.type, text=field.text or kind.text, values=values, derived=COMPUTED,
        survivorship=Survivorship(where=field.where),
    )  # fmt: skip


def _field(
    place: Sheet, name: str, canonical: Canonical, person: EntityType, known: Mapping[str, Computed], currency: str
) -> Computed | None:
    before = len(place.faults)
    check_name(place, name)
    kind = KINDS.get(place.text("kind"))
    if kind is None:
        place.fault("DRV-001", f"no kind of field {place.text('kind')}", f"kinds are {', '.join(KINDS)}")
        return None
    place.closed((*FIELD_KEYS, *kind.takes), required=("kind", *kind.needs))
    if name in person.fields:
        place.fault("DRV-003", f"{PERSON} has a field {name} already", "choose another name")
    if kind.buys and PURCHASE not in _events(canonical):
        place.fault("DRV-003", f"there is no event {PURCHASE}", "declare it in canonical.yaml")
    of, on = place.text("of"), place.text("kind")
    score = known.get(of)
    if on == "stage" and (score is None or score.kind != "score"):
        place.at("of").fault("DRV-003", f"{of} is no score above", nearest(of, known))
    declared = person.fields.get(of)
    if on == "tier" and (declared is None or declared.type not in NUMBERS):
        place.at("of").fault("DRV-003", f"{of} is no number of {PERSON}", nearest(of, person.fields))
    rules = tuple(_rule(each, canonical, person, currency) for each in place.at("rules").items())
    levels = _levels(place, first=LOW if on == "churn" else "") if "levels" in kind.takes else ()
    found = Computed(
        name=name, kind=on, text=place.text("text"), rules=rules, step=place.integer("step", 1, least=1) or 1,
        of=score, field=of, type=declared.type if declared is not None else "", levels=levels,
        begins=_named(place, "from", canonical), ends=_named(place, "to" if on == "wait" else "on", canonical),
        least=place.integer("least", LEAST_BUYERS if on == "expected" else 3, least=1) or 3,
        days=(place.integer("days", YEAR_DAYS, least=1) or YEAR_DAYS) if on == "expected" else 0, where=place.where,
    )  # fmt: skip
    return found if len(place.faults) == before else None


def _events(canonical: Canonical) -> list[str]:
    return [f"{entity.name}.{event}" for entity in canonical.entities.values() for event in entity.events]


def _named(place: Sheet, key: str, canonical: Canonical) -> tuple[str, ...]:
    """Events of canonical.yaml."""
    known = _events(canonical)
    names = place.texts(key) if place.has(key) else ()
    for name in names:
        if name not in known:
            place.at(key).fault("DRV-003", f"there is no event {name}", nearest(name, known))
    return names


def _levels(place: Sheet, *, first: str) -> tuple[tuple[str, float], ...]:
    """Names with the number at which each begins, rising; `first` begins at 0 by itself."""
    inner, found = place.at("levels"), [(first, 0.0)] if first else []
    for name, at in inner.entries():
        check_name(at, name)
        least = inner.number(name, 0.0)
        if found and least <= found[-1][1]:
            at.fault("DRV-002", f"{name} begins at {least:g}, not above {found[-1][0]}", "let levels rise")
        found.append((name, least))
    return tuple(found)


def _rule(place: Sheet, canonical: Canonical, person: EntityType, currency: str) -> Rule:
    place.closed(RULE_KEYS, required=("points",))
    on, known = place.text("on"), _events(canonical)
    if bool(on) == place.has("when"):
        place.fault("DRV-002", "a rule is about an event or about the person", "say on: or when:, one of the two")
    if on and on not in known:
        place.at("on").fault("DRV-003", f"there is no event {on}", nearest(on, known))
    for key in ("half_life_days", "most"):
        if place.has(key) and not on:
            place.at(key).fault("DRV-002", f"{key} belongs to events", "leave it out")
    return Rule(
        points=_points(place), on=on, when=_condition(place, person, currency) if place.has("when") else None,
        half_life_days=place.number("half_life_days", 0.0), most=place.number("most", float("inf")),
        text=on or place.text("when"),
    )  # fmt: skip


def _points(place: Sheet) -> float:
    """A number, which may be below zero."""
    value = place.at("points").value
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e6:
        place.at("points").fault("DRV-002", "points are a number", "write 10, or -5 to take some away")
        return 0.0
    return float(value)


def _condition(place: Sheet, person: EntityType, currency: str) -> Condition | None:
    try:
        return condition_of(place.text("when"), person, currency=currency)
    except MappingFault as fault:
        place.at("when").fault(fault.code, fault.message, fault.fix)
        return None
