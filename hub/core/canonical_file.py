"""`canonical.yaml` into `Canonical`: entity types, fields, keys, survivorship, blanks, events. Every fault is noted.

What stands here is written once and counts for every mapping. The consent of a contact becomes one field per channel,
named `consent.<channel>`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace

import orjson

from hub.core.canonical import (
    RULES,
    SCALARS,
    SET_BY_TRIGGER,
    Blank,
    Canonical,
    CanonicalField,
    EntityType,
    EventType,
    Key,
    Limits,
    Survivorship,
)
from hub.core.document import Document, Sheet, nearest
from hub.core.expressions import compile_for_entity
from hub.core.formats import MappingFault

LANGUAGE = 1
CHANNELS = ("email", "sms", "phone", "whatsapp", "post")
TYPES = (*SCALARS, "money", "set", "group", "consent", "ref")
_KIND = {"set": "set", "group": "group", "consent": "consent", "ref": "ref"}
_FIELD_KEYS = ("type", "text", "of", "parts", "values", "to", "max", "survivorship", "blank", "derived", "channels")
_ORDERED = ("integer", "decimal", "money", "date", "instant", "enum")


def read_canonical(
    sheet: Sheet,
    *,
    derived: Collection[str] | None = None,
    currency: str = "EUR",
    version: int = 0,
) -> Canonical:
    """The declarations of a canonical.yaml; faults are noted in the sheet.

    Args:
        derived: names of the registered pure functions; None: not known here, not checked.
    """
    sheet.closed(("language", "sources", "defaults", "entities"), required=("language", "entities"))
    check_language(sheet)
    defaults = _defaults(sheet)
    entities: dict[str, EntityType] = {}
    for name, place in sheet.at("entities").entries():
        _check_name(place, name)
        entities[name] = _entity(place, name, defaults, derived)
    canonical = Canonical(
        sources=sheet.texts("sources"), entities=entities, version=version, digest=digest_of(sheet.document)
    )
    _check_references(sheet, canonical)
    _check_sources(sheet, canonical)
    for name, entity in entities.items():
        _check_events(sheet.at("entities", name), entity, currency)
    return canonical


def check_language(sheet: Sheet) -> None:
    """A file says in which edition of the format it is written."""
    if sheet.has("language") and sheet.value["language"] != LANGUAGE:
        sheet.at("language").fault(
            "CFG-014", "an edition of the format that this hub does not read", "write language: 1"
        )


def digest_of(document: Document) -> str:
    """SHA-256 of what the file says, whatever its layout."""
    return hashlib.sha256(orjson.dumps(document.data, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _check_name(place: Sheet, name: str) -> None:
    if not name.replace("_", "a").isalnum() or not name[:1].isalpha() or name != name.lower() or not name.isascii():
        place.fault("CFG-015", f"{name} is no name", "use small letters, digits and underscores")


# Entities


def _entity(
    place: Sheet, name: str, defaults: tuple[Survivorship, Blank], derived: Collection[str] | None
) -> EntityType:
    place.closed(("text", "keys", "limits", "fields", "events"), required=("text", "fields"))
    fields: dict[str, CanonicalField] = {}
    for field_name, at in place.at("fields").entries():
        _check_name(at, field_name)
        for declared in _fields(at, field_name, defaults, derived):
            fields[declared.name] = declared
    entity = EntityType(name=name, text=place.text("text"), fields=fields)
    _check_parts(place, entity)
    keys = tuple(_key(at, entity) for at in place.at("keys").items())
    events = {event: _event(at, event) for event, at in place.at("events").entries()}
    return replace(entity, keys=keys, limits=_limits(place.at("limits")), events=events)


def _limits(place: Sheet) -> Limits:
    usual = Limits()
    if place.value is None:
        return usual
    place.closed(("links", "sharing"))
    links, sharing = place.integer("links", least=1), place.integer("sharing", least=1)
    return Limits(links=links or usual.links, sharing=sharing or usual.sharing)


def _check_parts(place: Sheet, entity: EntityType) -> None:
    """A part's name must name one thing, since mappings use it alone."""
    seen: dict[str, str] = {}
    for declared in entity.fields.values():
        for part in declared.parts:
            if part in entity.fields or part in seen:
                other = seen.get(part, "a field")
                place.at("fields", declared.name).fault(
                    "MAP-036", f"part {part} has the name of {other}", "rename one of the two"
                )
            seen[part] = f"a part of {declared.name}"


def _key(place: Sheet, entity: EntityType) -> Key:
    place.closed(("on", "strength"), required=("on",))
    on = place.texts("on")
    for path in on:
        declared = entity.field_of(path)
        if declared is None:
            place.at("on").fault("MAP-043", f"key over {path}, which {entity.name} does not have", _hint(entity, path))
        elif declared.kind in ("set", "consent") or (declared.kind == "group" and path == declared.name):
            place.at("on").fault("MAP-043", f"{path} cannot identify anything", "use a field with one plain value")
    return Key(on=on, strength=place.choice("strength", ("strong", "weak"), "strong"))


def _hint(entity: EntityType, path: str) -> str:
    return nearest(path, names_of(entity))


def names_of(entity: EntityType) -> list[str]:
    """Every name that a mapping may use: fields, and parts of groups."""
    return [*entity.fields, *(part for each in entity.fields.values() for part in each.parts)]


def _event(place: Sheet, name: str) -> EventType:
    place.closed(("when", "at", "subject", "each", "text"), required=("when",))
    _check_name(place, name)
    return EventType(
        name=name, when=place.text("when"), at=place.text("at"), subject=place.text("subject"),
        each=place.text("each"), text=place.text("text"),
    )  # fmt: skip


# Fields


def _fields(
    place: Sheet, name: str, defaults: tuple[Survivorship, Blank], derived: Collection[str] | None
) -> list[CanonicalField]:
    if not place.closed(_FIELD_KEYS, required=("type",)):
        return []
    kind = place.choice("type", TYPES, "text")
    base = CanonicalField(
        name=name,
        type=kind,
        kind=_KIND.get(kind, "scalar"),
        text=place.text("text"),
        of=place.choice("of", SCALARS, "text"),
        parts=_parts(place),
        values=place.texts("values"),
        to=place.text("to"),
        max=place.integer("max", least=1),
        survivorship=_survivorship(place, kind, defaults[0]),
        blank=read_blank(place, defaults[1]),
        derived=place.text("derived"),
    )
    _check_shape(place, base)
    if base.derived and derived is not None and base.derived not in (*derived, SET_BY_TRIGGER):
        place.at("derived").fault("MAP-045", f"unknown function {base.derived}", nearest(base.derived, derived))
    if kind != "consent":
        return [base]
    return [replace(base, name=f"{name}.{channel}") for channel in _channels(place)]


def _parts(place: Sheet) -> Mapping[str, str]:
    parts = {}
    for part, at in place.at("parts").entries():
        _check_name(at, part)
        parts[part] = place.at("parts").choice(part, SCALARS, "text")
    return parts


def _channels(place: Sheet) -> tuple[str, ...]:
    channels = place.texts("channels")
    for channel in channels:
        if channel not in CHANNELS:
            place.at("channels").fault("CFG-012", f"unknown channel {channel}", nearest(channel, CHANNELS))
    return channels


def _check_shape(place: Sheet, declared: CanonicalField) -> None:
    """Each type asks for its own keys and for no others."""
    needs = {"enum": "values", "group": "parts", "ref": "to", "consent": "channels"}
    needed = needs.get(declared.type)
    if needed and not place.has(needed):
        place.fault("CFG-013", f"{declared.name} is a {declared.type} and lacks {needed}", f"add {needed}:")
    for kind, key in (*needs.items(), ("set", "of")):
        if place.has(key) and declared.type != kind:
            place.at(key).fault(
                "CFG-016", f"{key} belongs to fields of type {kind}", f"leave it out, or say type: {kind}"
            )
    if declared.max is not None and declared.type not in ("text", "email", "url", "host"):
        place.at("max").fault("CFG-016", "max belongs to texts", "leave it out")
    if len(set(declared.values)) != len(declared.values):
        place.at("values").fault("CFG-012", "a value stands twice", "name each value once")
    if declared.kind == "group" and "enum" in declared.parts.values():
        place.at("parts").fault("CFG-012", "a part cannot be an enum", "make it a field of its own, or text")
    if declared.kind == "set" and declared.of == "enum":
        place.at("of").fault("CFG-012", "a set of enum is a set of text", "say of: text")


# Survivorship and blanks


def _defaults(sheet: Sheet) -> tuple[Survivorship, Blank]:
    place = sheet.at("defaults")
    if sheet.has("defaults"):
        place.closed(("survivorship", "blank"))
    return _survivorship(place, "text", Survivorship()), read_blank(place, Blank())


def _survivorship(place: Sheet, kind: str, default: Survivorship) -> Survivorship:
    if kind == "consent":
        if place.has("survivorship"):
            place.at("survivorship").fault("MAP-042", "the rule of consent is fixed", "leave survivorship out")
        return Survivorship(rule="consent", where=place.where)
    at = place.at("survivorship")
    value = at.value
    if value is None:
        rule = "union" if kind == "set" and default.rule == "newest" else default.rule
        return replace(default, rule=rule, where=default.where or place.where)
    if isinstance(value, Mapping):
        at.closed(("source",), required=("source",))
        return Survivorship(rule="source", source=at.texts("source"), where=at.where)
    rule = place.choice("survivorship", [each for each in RULES if each not in ("source", "consent")], "newest")
    _check_rule(at, rule, kind)
    return Survivorship(rule=rule, where=at.where)


def _check_rule(at: Sheet, rule: str, kind: str) -> None:
    fits = {"max": _ORDERED, "min": _ORDERED, "longest": ("text", "url"), "union": ("set",)}
    if rule in fits and kind not in fits[rule]:
        at.fault("MAP-047", f"{rule} does not suit a {kind}", f"it suits {', '.join(fits[rule])}")


def read_blank(place: Sheet, default: Blank) -> Blank:
    """A `blank:` entry; also mappings may have one."""
    at = place.at("blank")
    if not place.has("blank"):
        return default
    at.closed(("in", "out"))
    inward, erase_from = default.inward, default.erase_from
    if isinstance(at.value, Mapping) and isinstance(at.value.get("in"), Mapping):
        at.at("in").closed(("erase_if_from",), required=("erase_if_from",))
        inward, erase_from = "erase_if_from", at.at("in").texts("erase_if_from")
    else:
        inward = at.choice("in", ("ignore", "erase"), inward)
    return Blank(inward=inward, erase_from=erase_from, outward=at.choice("out", ("keep", "clear"), default.outward))


# Across the file


def _check_references(sheet: Sheet, canonical: Canonical) -> None:
    for entity in canonical.entities.values():
        for declared in entity.fields.values():
            if declared.to and declared.to not in canonical.entities:
                place = sheet.at("entities", entity.name, "fields", declared.name, "to")
                place.fault("MAP-002", f"unknown entity type {declared.to}", nearest(declared.to, canonical.entities))


def _check_sources(sheet: Sheet, canonical: Canonical) -> None:
    """Whoever is named in a rule must also have a place in the order that decides ties."""
    for entity in canonical.entities.values():
        for declared in entity.fields.values():
            place = sheet.at("entities", entity.name, "fields", declared.name.partition(".")[0])
            for source in (*declared.survivorship.source, *declared.blank.erase_from):
                if source not in canonical.sources:
                    hint = nearest(source, canonical.sources, "add it to sources")
                    place.fault("MAP-041", f"{source} is not in sources, so ties would not be decided", hint)


def _check_events(place: Sheet, entity: EntityType, currency: str) -> None:
    for event in entity.events.values():
        at = place.at("events", event.name)
        try:
            compile_for_entity(event.when, entity, currency=currency)
        except MappingFault as fault:
            at.at("when").fault(fault.code, fault.message, fault.fix)
        moment = entity.fields.get(event.at) if event.at else None
        if event.at and (moment is None or moment.type not in ("instant", "date")):
            at.at("at").fault("MAP-044", f"{event.at} is no moment of {entity.name}", "name an instant or date field")
        subject = entity.fields.get(event.subject) if event.subject else None
        if event.subject and (subject is None or subject.kind != "ref"):
            at.at("subject").fault("MAP-044", f"{event.subject} is no reference of {entity.name}", "name a ref field")
        told = entity.fields.get(event.each) if event.each else None
        if event.each and (told is None or told.type not in ("enum", "text", "date", "instant", "integer")):
            at.at("each").fault("MAP-044", f"{event.each} is no plain value of {entity.name}", "name an enum or a text")
