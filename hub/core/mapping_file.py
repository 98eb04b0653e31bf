"""A mapping file (one connector, a level per stream) into StreamMappings. Every fault is noted with file and line.

Reading needs the canonical declarations; the `custom:` sections of all mappings join them first (`extend_canonical`).
What can be told from one file alone is checked while reading; what needs the other files, the connector or the live
schema is in hub.core.checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hub.core.canonical import Canonical, CanonicalField, EntityType
from hub.core.canonical_file import check_language, digest_of
from hub.core.document import Document, Sheet, nearest
from hub.core.expressions import EntityExpression, compile_for_entity, to_json
from hub.core.formats import MappingFault
from hub.core.mapping import Case, FieldRule, MappingTest, StreamMapping, sort_for_reading
from hub.core.mapping_rules import DIRECTIONS, RULE_KEYS, StreamFacts, read_rule
from hub.core.paths import make_getter, make_setter
from hub.model import Json

FILE_KEYS = ("connector", "language", "paths", "streams", "text")
STREAM_KEYS = (
    "entity",
    "from",
    "id",
    "root",
    "direction",
    "create",
    "scope",
    "deletes",
    "acts",
    "claims_at",
    "fields",
    "custom",
    "on_create",
    "tests",
    "text",
)
CASE_KEYS = ("direction", "remote", "cases", "expr", "text")
CUSTOM_TYPES = ("text", "email", "phone", "url", "boolean", "integer", "decimal", "date", "instant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """What mappings take from hub.yaml."""

    currency: str = "EUR"
    country: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingFile:
    """One file, read."""

    connector: str
    streams: Mapping[str, StreamMapping]
    file: str = ""
    digest: str = ""
    document: Document | None = field(default=None, repr=False, compare=False)


# Custom fields


def extend_canonical(canonical: Canonical, sheets: Iterable[Sheet]) -> Canonical:
    """Add the `custom:` fields of all mappings to their entity types. One name has one type everywhere (MAP-034)."""
    entities = dict(canonical.entities)
    for sheet in sheets:
        for _, stream in sheet.at("streams").entries():
            entity = entities.get(stream.text("entity"))
            if entity is None:
                continue
            for name, place in stream.at("custom").entries():
                added = _custom_field(place, name, entity)
                if added is not None:
                    entity = replace(entity, fields={**entity.fields, name: added})
            entities[entity.name] = entity
    return replace(canonical, entities=entities)


def _custom_field(place: Sheet, name: str, entity: EntityType) -> CanonicalField | None:
    known = entity.field_of(name)
    kind = place.choice("type", CUSTOM_TYPES, "text")
    if known is not None and not known.custom:
        place.fault("MAP-034", f"{entity.name} has a field {name} already", "map it under fields:, or rename this one")
        return None
    if known is not None and known.type != kind:
        place.fault("MAP-034", f"{name} is {known.type} in another mapping", f"say type: {known.type}")
        return None
    return known or CanonicalField(name=name, type=kind, custom=True, text=place.text("text"))


# Streams


def read_mapping(sheet: Sheet, canonical: Canonical, hub: Hub) -> MappingFile:
    """All streams of one mapping file; faults are noted in the sheet."""
    sheet.closed(FILE_KEYS, required=("connector", "language", "streams"))
    check_language(sheet)
    connector = sheet.text("connector")
    literal = sheet.choice("paths", ("dotted", "literal"), "literal" if connector == "csv" else "dotted") == "literal"
    streams = {}
    for name, place in sheet.at("streams").entries():
        stream = _stream(place, name, connector, canonical, hub, literal)
        if stream is not None:
            streams[name] = stream
    _check_targets(sheet, streams)
    return MappingFile(
        connector=connector,
        streams=streams,
        file=sheet.document.file,
        digest=digest_of(sheet.document),
        document=sheet.document,
    )


def _stream(
    place: Sheet, name: str, connector: str, canonical: Canonical, hub: Hub, literal: bool
) -> StreamMapping | None:
    if not place.closed(STREAM_KEYS, required=("entity", "fields")):
        return None
    entity = canonical.entities.get(place.text("entity"))
    if entity is None:
        wrong = place.text("entity")
        place.at("entity").fault("MAP-002", f"unknown entity type {wrong}", nearest(wrong, canonical.entities))
        return None
    acts = place.boolean("acts") or place.has("claims_at")
    facts = StreamFacts(
        entity=entity,
        root=place.text("root"),
        literal=literal,
        direction=place.choice("direction", DIRECTIONS, "in" if acts else "both"),
        currency=hub.currency,
        country=hub.country,
    )
    before = len(place.faults)
    rules = _rules(place, facts)
    cases = _cases(place, facts, hub)
    whole = len(place.faults) == before
    mapping = StreamMapping(
        connector=connector,
        name=name,
        source=place.text("from", name),
        entity=entity.name,
        entity_type=entity,
        acts=acts,
        id_path=place.text("id"),
        root=facts.root,
        literal=literal,
        rules=rules,
        cases=cases,
        where=place.where,
    )
    mapping = _with_policies(place, mapping, hub)
    mapping = _with_getters(place, mapping)
    mapping = _with_fields(mapping)
    _check_stream(place, mapping, whole=whole)
    return replace(mapping, tests=_tests(place, mapping))


def _rules(place: Sheet, facts: StreamFacts) -> tuple[FieldRule, ...]:
    rules = []
    for name, at in place.at("fields").entries():
        if isinstance(at.value, Mapping) and ("cases" in at.value or "expr" in at.value):
            continue
        rule = read_rule(at, name, facts)
        if rule is not None:
            rules.append(rule)
    for name, at in place.at("custom").entries():
        rule = _custom_rule(at, name, facts)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _custom_rule(at: Sheet, name: str, facts: StreamFacts) -> FieldRule | None:
    """A custom field's rule: as any other, with its type and bounds beside it."""
    if not at.closed((*RULE_KEYS, "type", "min"), required=("type",)):
        return None
    numeric = at.text("type") in ("integer", "decimal")
    shown = {key: value for key, value in at.value.items() if key not in ("type", "min")}
    if numeric:
        shown.pop("max", None)
    plain = _Narrowed(at, shown)
    rule = read_rule(plain, name, facts)
    if rule is None or not numeric:
        return rule
    return _bounded(rule, at.integer("min"), at.integer("max"))


class _Narrowed(Sheet):
    """The same place with some of its keys left out."""

    def __init__(self, sheet: Sheet, value: Json) -> None:
        super().__init__(sheet.document, sheet.path, sheet.faults)
        self._shown = value

    @property
    def value(self) -> Json:
        return self._shown


def _bounded(rule: FieldRule, least: int | None, most: int | None) -> FieldRule:
    inward = rule.inward
    if inward is None or (least is None and most is None):
        return rule

    def read(value: Json) -> Json:
        number = inward(value)
        if number is not None and (
            (least is not None and float(number) < least) or (most is not None and float(number) > most)
        ):
            raise MappingFault("MAP-117", f"outside {least} to {most}", "correct it at its source, or widen the bounds")
        return number

    return replace(rule, inward=read)


# Computed on the way out


def _cases(place: Sheet, facts: StreamFacts, hub: Hub) -> tuple[Case, ...]:
    found = []
    for name, at in place.at("fields").entries():
        if not (isinstance(at.value, Mapping) and ("cases" in at.value or "expr" in at.value)):
            continue
        at.closed(CASE_KEYS, required=("remote",))
        if at.choice("direction", DIRECTIONS, "both") != "out":
            at.fault("MAP-006", f"{name} is computed on the way out and cannot be read", "say direction: out")
        if facts.entity.field_of(name) is not None:
            at.fault("MAP-023", f"{name} is a field of {facts.entity.name}", "give what is computed a name of its own")
        case = _case(at, name, facts, hub)
        if case is not None:
            found.append(case)
    return tuple(found)


def _case(at: Sheet, name: str, facts: StreamFacts, hub: Hub) -> Case | None:
    remote = at.text("remote")
    if at.has("expr"):
        expression = _condition(at, "expr", facts.entity, hub)
        branches = _always(expression)
    else:
        branches = _branches(at, facts.entity, hub)
    if not remote or not branches:
        return None
    uses = frozenset(
        used for pair in branches for each in pair if isinstance(each, EntityExpression) for used in each.uses
    )
    put = make_setter(remote, literal=facts.literal)
    return Case(name=name, remote=remote, put=put, compute=_compute(branches), uses=uses, where=at.where)


def _always(expression: EntityExpression | None) -> list[tuple[EntityExpression | None, Json]]:
    return [] if expression is None else [(None, expression)]


def _branches(at: Sheet, entity: EntityType, hub: Hub) -> list[tuple[EntityExpression | None, Json]]:
    """(condition, constant) in file order; the last has no condition."""
    found: list[tuple[EntityExpression | None, Json]] = []
    items = at.at("cases").items()
    for position, item in enumerate(items):
        last = position == len(items) - 1
        if last:
            item.closed(("otherwise",), required=("otherwise",))
            found.append((None, item.value.get("otherwise") if isinstance(item.value, Mapping) else None))
        elif item.closed(("when", "set"), required=("when", "set")):
            condition = _condition(item, "when", entity, hub)
            if condition is not None:
                found.append((condition, item.value.get("set")))
    return found


def _compute(branches: Sequence[tuple[EntityExpression | None, Json]]) -> Callable[[Mapping[str, Json]], Json]:
    def compute(values: Mapping[str, Json]) -> Json:
        for condition, result in branches:
            if condition is None or condition(values):
                return to_json(result(values)) if isinstance(result, EntityExpression) else result
        return None

    return compute


def _condition(at: Sheet, key: str, entity: EntityType, hub: Hub) -> EntityExpression | None:
    try:
        return compile_for_entity(at.text(key), entity, currency=hub.currency)
    except MappingFault as fault:
        at.at(key).fault(fault.code, fault.message, fault.fix)
        return None


# Policies and places


def _with_policies(place: Sheet, mapping: StreamMapping, hub: Hub) -> StreamMapping:
    create, create_when = "never", None
    if isinstance(place.at("create").value, Mapping):
        place.at("create").closed(("when",), required=("when",))
        create, create_when = "when", _condition(place.at("create"), "when", mapping.entity_type, hub)
    else:
        create = place.choice("create", ("always", "never"), "never")
    scope = None
    if place.has("scope"):
        place.at("scope").closed(("when", "leaves"), required=("when",))
        scope = _condition(place.at("scope"), "when", mapping.entity_type, hub)
    if place.has("deletes"):
        place.at("deletes").closed(("in", "out"))
    return replace(
        mapping,
        create=create,
        create_when=create_when,
        scope=scope,
        leaves=place.at("scope").choice("leaves", ("report", "detach"), "report"),
        deletes_in=place.at("deletes").choice("in", ("detach", "archive", "delete", "ask"), "detach"),
        deletes_out=place.at("deletes").choice("out", ("never", "archive", "delete"), "never"),
    )


def _with_getters(place: Sheet, mapping: StreamMapping) -> StreamMapping:
    literal, root = mapping.literal, mapping.root
    claims_at = place.text("claims_at")
    constants = {} if not place.has("on_create") else dict(place.at("on_create").entries())
    values = {path: at.value for path, at in constants.items()}
    return replace(
        mapping,
        claims_at=make_getter(claims_at, root=root, literal=literal) if claims_at else None,
        claims_at_path=claims_at,
        read_id=make_getter(mapping.id_path, root=root, literal=literal) if mapping.id_path else None,
        on_create=values,
        on_create_put=tuple((make_setter(path, literal=literal), value) for path, value in values.items()),
    )


def _with_fields(mapping: StreamMapping) -> StreamMapping:
    """Index the rules, and sort them for reading."""
    fields: dict[str, tuple[FieldRule, ...]] = {}
    for rule in mapping.rules:
        fields[rule.field] = (*fields.get(rule.field, ()), rule)
    paths = [path for rule in mapping.rules for path in (rule.remote_in, *rule.extra_in)]
    asked = [path for path in (*paths, mapping.claims_at_path, mapping.id_path) if path and ":" not in path]
    return replace(
        mapping,
        fields=fields,
        references={rule.field: (rule.to, rule.missing) for rule in mapping.rules if rule.to},
        named={rule.field: (rule.to, *rule.or_to) for rule in mapping.rules if rule.to},
        in_fields=frozenset(rule.field for rule in mapping.rules if rule.direction != "out"),
        out_fields=frozenset(rule.field for rule in mapping.rules if rule.direction != "in"),
        remote_fields=tuple(dict.fromkeys(asked)),
        associations=_associations(mapping.rules),
        reading=sort_for_reading(mapping.rules),
    )


def _associations(rules: Sequence[FieldRule]) -> tuple[str, ...]:
    """Streams whose records are read along, and the names of associations that carry a label."""
    read = [rule for rule in rules if rule.remote_in.startswith("association:")]
    names = [rule.remote_in.partition(":")[2] for rule in read]
    return tuple(dict.fromkeys([*(rule.to for rule in read), *(name for name in names if ":" in name)]))


# Checks within a stream


def _check_stream(place: Sheet, mapping: StreamMapping, *, whole: bool) -> None:
    """What the rules promise together. `whole`: none of them was left out for a fault, so absence means something."""
    _check_twice(place, mapping)
    _check_groups(place, mapping)
    _check_regions(place, mapping)
    writes = bool(mapping.out_fields or mapping.cases)
    if mapping.acts and (writes or mapping.create != "never"):
        place.fault("MAP-029", f"{mapping.name} is a stream of acts, which are never written", "say direction: in")
    if mapping.create != "never" and not writes and whole:
        place.at("create").fault("MAP-032", "creates records of which no field is written", "say create: never")
    if mapping.source != mapping.name and writes:
        place.fault("MAP-029", f"{mapping.name} is a second reading of {mapping.source}", "say direction: in")
    if mapping.deletes_out != "never" and not writes:
        place.at("deletes", "out").fault("MAP-029", "deletes where nothing is ever written", "say out: never")


def _check_twice(place: Sheet, mapping: StreamMapping) -> None:
    """One remote field has one writer, and one canonical field one reader (MAP-008)."""
    writers: dict[str, str] = {}
    written = [(path, rule.name) for rule in mapping.rules for path in _paths_out(rule)]
    for path, name in (*written, *((case.remote, case.name) for case in mapping.cases)):
        if path in writers:
            other = writers[path]
            place.at("fields", name).fault(
                "MAP-008", f"{name} and {other} both write {path}", "let one of them say direction: in"
            )
        writers.setdefault(path, name)
    for path in mapping.on_create:
        if path in writers:
            place.at("on_create", path).fault("MAP-008", f"{path} is written by {writers[path]}, too", "leave one out")


def _paths_out(rule: FieldRule) -> tuple[str, ...]:
    return (*((rule.remote_out,) if rule.direction != "in" and rule.remote_out else ()), *rule.extra_out)


def _check_groups(place: Sheet, mapping: StreamMapping) -> None:
    for name, rules in mapping.fields.items():
        if any(rule.part for rule in rules) and any(not rule.part for rule in rules):
            place.at("fields", name).fault(
                "MAP-022", f"{name} is mapped whole and in parts", "keep the whole, or the parts"
            )


def _check_regions(place: Sheet, mapping: StreamMapping) -> None:
    """A rule that looks at another field can do so only if the stream reads that field."""
    read = {rule.name for rule in mapping.rules if rule.direction != "out"}
    for section in ("fields", "custom"):
        for name, at in place.at(section).entries():
            steps = at.at("transforms").value if isinstance(at.value, Mapping) else None
            for step in steps if isinstance(steps, list) else ():
                options = step.get("phone") if isinstance(step, Mapping) else None
                source = options.get("region_from") if isinstance(options, Mapping) else None
                if isinstance(source, str) and source not in read:
                    at.fault("MAP-025", f"{name} is read by {source}, which this stream does not read", f"map {source}")


def _check_targets(sheet: Sheet, streams: Mapping[str, StreamMapping]) -> None:
    """References name streams of this file that hold the right entity type; second readings name their source."""
    for name, mapping in streams.items():
        place = sheet.at("streams", name)
        for rule in mapping.rules:
            if not rule.to:
                continue
            at, wanted = place.at("fields", rule.name, "to"), mapping.entity_type.fields[rule.field].to
            for named in (rule.to, *rule.or_to):
                target = streams.get(named)
                if target is None:
                    at.fault("MAP-014", f"{named} is no stream of this file", nearest(named, streams))
                elif target.entity != wanted:
                    at.fault(
                        "MAP-014",
                        f"{named} holds {target.entity}, {rule.name} is a {wanted}",
                        f"name a stream of {wanted}",
                    )


# Tests in the file


def _tests(place: Sheet, mapping: StreamMapping) -> tuple[MappingTest, ...]:
    found = []
    for at in place.at("tests").items():
        if not at.closed(("in", "record", "out", "write"), required=("out",)):
            continue
        if at.has("in") == at.has("record"):
            at.fault("CFG-016", "a test has either in (fields) or record (the whole record)", "leave one out")
            continue
        record, out = (
            at.value["record"] if at.has("record") else _record_of(mapping, at.value["in"]),
            at.value.get("out"),
        )
        if not isinstance(record, Mapping) or not isinstance(out, Mapping):
            at.fault("CFG-011", "in, record and out of a test are mappings", "write {field: value}")
            continue
        found.append(MappingTest(record=record, values=out, written=at.value.get("write"), where=at.where))
    return tuple(found)


def _record_of(mapping: StreamMapping, flat: Json) -> Json:
    """A record from remote paths and values."""
    if not isinstance(flat, Mapping):
        return None
    record: dict[str, Json] = {}
    for path, value in flat.items():
        place = record if path.startswith("/") or not mapping.root else record.setdefault(mapping.root, {})
        make_setter(path.removeprefix("/"), literal=mapping.literal)(place, value)
    return record
