"""A mapping at work: one stream's records into canonical terms, and an entity's values into the system's terms.

Declarations become closures once, when the file is read (hub.core.mapping_file); what is here only runs them.
Nothing raises for a bad value: each is a CellFault beside the values that could be read, and its cell is left out.
A group (name, address) is one cell: a bad part keeps the whole group out, since half a group would be mixed with
another system's half.

Bodies: a write's body stands below the stream's `root`, nested as the path says; None means "clear it". The id of
an associated record stands in `associations: {association name: id}`.

Invariant: same mapping and record, same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import field as _field  # FieldRule has a field called `field`
from typing import NamedTuple

from hub.core.canonical import Blank, CanonicalField, EntityType
from hub.core.paths import MISSING, Getter, Setter
from hub.core.values import MappingFault, is_blank, keys_of, to_instant
from hub.model import CellFault, Json, MappedRecord, Reference, SourceRecord

__all__ = [
    "Case",
    "FieldRule",
    "MappingFault",
    "MappingTest",
    "Outward",
    "StreamMapping",
    "View",
    "blank_policy",
    "external_id_of",
    "held_form",
    "keys_of",
    "to_canonical",
    "to_external",
]

PARENT_WAITS = "MAP-PARENT-WAITS"  # the parent must be created first; the same plan does it
PARENT_NONE = "MAP-PARENT-NONE"  # the parent is not in that system; the field is left out, and listed
REQUIRED_BLANK = "MAP-REQUIRED"  # nothing can be created without this value
OUT_UNKNOWN = "MAP-OUT-UNKNOWN"  # an enum value that the system has no word for

OUT_SKIPPED = "MAP-OUT-SKIPPED"  # the same, where the mapping says `unknown: {out: skip}`: nobody needs to look


class Unsaid(MappingFault):
    """A value that the mapping tells to leave alone (`unknown: {in: skip}`): as if it were not there."""


Condition = Callable[[Mapping[str, Json]], Json]  # over an entity's values; null counts as no


class View(NamedTuple):
    """What a rule may look at beside its own value while reading."""

    record: Mapping[str, Json]  # the whole source record
    values: Mapping[str, Json]  # canonical values read so far


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """One line of a mapping: where a value stands over there, and how it becomes ours and theirs."""

    name: str  # as the file names it: a field, a group's part, or a label for what is computed on the way out
    field: str  # canonical field; "" if computed
    part: str = ""  # of a group; "" for the whole field
    direction: str = "both"  # both, in, out
    remote_in: str = ""  # path read
    remote_out: str = ""  # path written
    extra_in: tuple[str, ...] = ()  # further paths that reading looks at (the currency beside an amount)
    extra_out: tuple[str, ...] = ()  # further paths that the same write fills
    key: str = ""  # the flat key at the root, when reading is that simple
    get: Getter | None = None  # reads from the whole record; None if `key` does or nothing is read
    own_id: bool = False  # reads the record's own external id
    inward: Callable[[Json], Json] | None = None  # value over there (not blank) -> canonical value or None
    inward_in: Callable[[Json, View], Json] | None = None  # the same where it needs the rest of the record
    plain: int = 0  # printable text of at most that length, not beginning with a blank, is taken as it is; 0: none is
    outward: Callable[[Json], Json] | None = None  # canonical value (not blank) -> value over there
    put: Callable[[dict[str, Json], Json, Json], None] | None = None  # body, outward value, canonical value
    settle: Callable[[Json], Json] | None = None  # what outward and inward leave of a value; None: all of it
    required: bool = False  # no create without it
    blank: Blank | None = None  # narrows the canonical field's
    to: str = ""  # reference: stream it names
    or_to: tuple[str, ...] = ()  # further streams, where the system gives ids of several kinds
    missing: str = "skip"  # reference without a link: skip, create
    lossy: bool = False  # accepted
    steps: tuple[str, ...] = ()  # names of wire and transforms, from the remote value inward
    words_in: Mapping[str, Json] = _field(default_factory=dict)  # `values:`: word over there -> canonical value
    words_out: Mapping[Json, Json] = _field(default_factory=dict)  # canonical value -> word written
    unknown_in: str = "quarantine"  # word that `values:` does not know: quarantine, skip
    unknown_out: str = "quarantine"  # canonical value without a word
    where: str = ""  # file:line


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A value computed on the way out."""

    name: str
    remote: str
    put: Setter
    compute: Callable[[Mapping[str, Json]], Json]  # over the entity's values -> value over there
    uses: frozenset[str]  # canonical fields it looks at
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingTest:
    """A pair that the file promises: a record and what it means."""

    record: Mapping[str, Json]  # whole source record
    values: Mapping[str, Json]  # canonical name -> value; an expected fault is given as {"fault": code}
    written: Mapping[str, Json] | None  # body that a create with `values` gives; None: not stated
    where: str


# Field or part, key at the root, how long a text may be that is taken as it is (0: none is), inward, its rule
Column = tuple[str, str, int, Callable[[Json], Json], FieldRule]
LookingColumn = tuple[str, str, Callable[[Json, View], Json], FieldRule]  # the same for what looks at other values


class Reading(NamedTuple):
    """The rules of a stream sorted for reading, the commonest shapes laid out flat: this is the hottest loop."""

    flat: tuple[Column, ...] = ()  # one key at the root, one field
    groups: tuple[tuple[str, tuple[Column, ...]], ...] = ()  # group -> parts, each one key at the root
    others: tuple[FieldRule, ...] = ()  # nested paths, references; last what looks at other values
    looking: tuple[LookingColumn, ...] = ()  # the same as `others`, where all of them look and have a key at the root


def sort_for_reading(rules: Sequence[FieldRule]) -> Reading:
    """Every rule that reads, once."""
    reading = [rule for rule in rules if rule.direction != "out" and rule.field]
    simple = [rule for rule in reading if rule.key and not rule.to and rule.inward is not None]
    flat = [rule for rule in simple if not rule.part]
    grouped = {
        name: [rule for rule in reading if rule.field == name]
        for name in dict.fromkeys(rule.field for rule in simple if rule.part)
    }
    grouped = {name: parts for name, parts in grouped.items() if all(part in simple for part in parts)}
    done = [*flat, *(rule for parts in grouped.values() for rule in parts)]
    others = sorted((rule for rule in reading if rule not in done), key=lambda rule: rule.inward_in is not None)
    looking = tuple(
        (rule.field, rule.key, rule.inward_in, rule)
        for rule in others
        if rule.inward_in is not None and rule.key and not rule.part and not rule.to and not rule.own_id
    )
    whole = len(looking) == len(others) == len({rule.field for rule in others})
    return Reading(
        flat=tuple(_column(rule, rule.field) for rule in flat),
        groups=tuple((name, tuple(_column(rule, rule.part) for rule in parts)) for name, parts in grouped.items()),
        others=() if whole else tuple(others),
        looking=looking if whole else (),
    )


def _column(rule: FieldRule, name: str) -> Column:
    return name, rule.key, rule.plain, rule.inward or _as_it_is, rule


def _as_it_is(value: Json) -> Json:
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMapping:
    """How one stream and one entity type relate."""

    connector: str
    name: str  # stream, or the name of a second reading of `source`
    source: str  # stream whose pages are read
    entity: str
    entity_type: EntityType
    create: str = "never"  # always, never, when
    create_when: Condition | None = None
    scope: Condition | None = None  # None: everything
    leaves: str = "report"  # what happens to a linked record that leaves the scope: report, detach
    deletes_in: str = "detach"  # detach, archive, delete, ask
    deletes_out: str = "never"  # never, archive, delete
    acts: bool = False  # records of acts: many links per entity, never written
    claims_at: Getter | None = None  # where the moment stands that a record of acts speaks at
    claims_at_path: str = ""
    id_path: str = ""  # where the external id stands in a second reading; "": the record's own
    read_id: Getter | None = None
    root: str = ""  # object inside the record that paths start at
    literal: bool = False  # paths are keys, dots and all (CSV headers)
    rules: tuple[FieldRule, ...] = ()
    cases: tuple[Case, ...] = ()
    on_create: Mapping[str, Json] = field(default_factory=dict)  # remote path -> value
    on_create_put: tuple[tuple[Setter, Json], ...] = ()
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # canonical field -> (stream, missing)
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the same -> every stream it may name
    fields: Mapping[str, tuple[FieldRule, ...]] = field(default_factory=dict)  # canonical field -> its rules
    in_fields: frozenset[str] = frozenset()  # canonical fields that are read
    out_fields: frozenset[str] = frozenset()  # canonical fields that may be written
    remote_fields: tuple[str, ...] = ()  # paths to ask the system for
    associations: tuple[str, ...] = ()  # streams whose associations are read
    tests: tuple[MappingTest, ...] = ()
    where: str = ""
    reading: Reading = field(default=Reading(), repr=False, compare=False)

    def allows_create(self, values: Mapping[str, Json]) -> bool:
        """True if a record may be created here for an entity with these values."""
        if self.create == "when":
            return self.create_when is not None and bool(self.create_when(values))
        return self.create == "always"

    @property
    def needs_key(self) -> bool:
        """Whether a record without a key is nobody: it speaks for one who would have to be known by it.

        Of what has no keys at all (an activity), every record is one of its own.
        """
        return self.name != self.source and bool(self.entity_type.keys)

    def in_scope(self, values: Mapping[str, Json]) -> bool:
        """True if an entity with these values belongs here; what cannot be told does not."""
        return self.scope is None or bool(self.scope(values))

    @property
    def direction(self) -> str:
        """`in` if nothing may ever be written, else `both`."""
        return "both" if self.out_fields or self.cases or self.create != "never" else "in"


class Outward(NamedTuple):
    """What a write says, and what it leaves out."""

    body: dict[str, Json]  # below the stream's root
    sent: dict[str, Json]  # canonical field -> value as the system will be able to express it
    skipped: dict[str, CellFault]  # canonical field -> why it is not in the body
    blocked: bool  # a create that lacks a required value: not to be sent


# Inward


def to_canonical(mapping: StreamMapping, record: SourceRecord) -> MappedRecord:
    """A record in canonical terms; bad values are faults of their cells. A reference is given, not resolved."""
    values: dict[str, Json] = {}
    faults: list[CellFault] = []
    data = record.data
    if not data:
        return MappedRecord(source=record, values=values)
    at_root = data
    if mapping.root:
        below = data.get(mapping.root)
        at_root = below if isinstance(below, dict) else {}
    get = at_root.get
    flat, groups, others, looking = mapping.reading
    _read_flat(flat, get, values, faults)
    for name, parts in groups:
        value: dict[str, Json] = {}
        if _read_flat(parts, get, value, faults) and value:
            values[name] = value
    references: dict[str, Reference | None] = {}
    if looking:
        _read_looking(looking, data, get, values, faults)
    elif others:
        _read_others(others, record, get, values, references, faults)
    acted_at = _moment(mapping.claims_at(data)) if mapping.claims_at is not None else None
    return MappedRecord(source=record, values=values, references=references, faults=tuple(faults), acted_at=acted_at)


def _read_flat(
    columns: tuple[Column, ...], get: Callable[[str, Json], Json], values: dict[str, Json], faults: list[CellFault]
) -> bool:
    """Put in what is there; False if any of it is bad."""
    fine = True
    for name, key, plain, convert, rule in columns:
        raw = get(key, MISSING)
        if raw.__class__ is str:
            if raw == "":
                values[name] = None
                continue
            if len(raw) <= plain and raw[0] != " " and raw.isprintable():
                values[name] = raw
                continue
        elif raw is None:
            values[name] = None
            continue
        elif raw is MISSING:
            continue
        try:
            values[name] = convert(raw)
        except Unsaid:
            continue
        except MappingFault as fault:
            faults.append(_cell_fault(rule, fault, raw))
            fine = False
    return fine


def _read_looking(
    columns: tuple[LookingColumn, ...],
    data: Mapping[str, Json],
    get: Callable[[str, Json], Json],
    values: dict[str, Json],
    faults: list[CellFault],
) -> None:
    """What looks at the rest of the record, and at what was read of it so far."""
    view = View(data, values)
    for name, key, convert, rule in columns:
        raw = get(key, MISSING)
        if raw is MISSING:
            continue
        if raw is None or raw == "" or is_blank(raw):
            values[name] = None
            continue
        try:
            values[name] = convert(raw, view)
        except Unsaid:
            continue
        except MappingFault as fault:
            faults.append(_cell_fault(rule, fault, raw))


def _read_others(
    rules: tuple[FieldRule, ...],
    record: SourceRecord,
    get: Callable[[str, Json], Json],
    values: dict[str, Json],
    references: dict[str, Reference | None],
    faults: list[CellFault],
) -> None:
    """Nested paths, references, and last the rules that look at other values."""
    data = record.data
    broken: set[str] = set()
    for rule in rules:
        raw = record.external_id if rule.own_id else get(rule.key, MISSING) if rule.get is None else rule.get(data)
        if raw is MISSING:
            continue
        if rule.to:
            if isinstance(raw, dict | list | bool | float):
                fault = MappingFault("MAP-170", "no id of a record", "map the field that holds the id")
                faults.append(_cell_fault(rule, fault, raw))
            else:
                references[rule.field] = None if is_blank(raw) else _reference(rule, str(raw))
            continue
        try:
            value = None if is_blank(raw) else _read(rule, raw, data, values)
        except Unsaid:
            continue
        except MappingFault as fault:
            faults.append(_cell_fault(rule, fault, raw))
            broken.add(rule.field)
            continue
        if rule.part:
            values.setdefault(rule.field, {})[rule.part] = value
        else:
            values[rule.field] = value
    for name in broken:
        values.pop(name, None)


def _read(rule: FieldRule, raw: Json, data: Mapping[str, Json], values: Mapping[str, Json]) -> Json:
    if rule.inward_in is not None:
        return rule.inward_in(raw, View(data, values))
    return rule.inward(raw) if rule.inward is not None else raw


def _cell_fault(rule: FieldRule, fault: MappingFault, value: Json) -> CellFault:
    return CellFault(code=fault.code, field=rule.name, message=fault.message, fix=fault.fix, value=value)


def _moment(raw: Json) -> float | None:
    """Epoch seconds of an ISO moment or of a number of seconds; None if there is none."""
    from hub.core.canonical import CanonicalField
    from hub.core.values import normalise

    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(raw)
    try:
        text = None if raw is MISSING else normalise(CanonicalField(name="at", type="instant"), raw)
    except MappingFault:
        return None
    return None if text is None else to_instant(text)


def external_id_of(mapping: StreamMapping, record: SourceRecord) -> str | None:
    """The id that this stream's links carry: the record's own, or what `id:` names in a second reading."""
    if mapping.read_id is None:
        return record.external_id
    raw = mapping.read_id(record.data)
    return None if raw is MISSING or is_blank(raw) else str(raw)


# Outward


def to_external(
    mapping: StreamMapping,
    values: Mapping[str, Json],
    *,
    changed: Iterable[str],
    external_ids: Mapping[tuple[str, int], str],
    creating: bool,
) -> Outward:
    """The body of a write of `changed` canonical fields (of a create: of what is not blank).

    Args:
        values: the entity's values; a changed field that is blank is cleared.
        external_ids: (stream, entity id) -> external id, for references.

    A group is written with all its mapped parts. What is computed on the way out is added when a field that it looks
    at changed. Consent that is unknown is never written.
    """
    wanted = frozenset(changed)
    body: dict[str, Json] = {}
    sent: dict[str, Json] = {}
    skipped: dict[str, CellFault] = {}
    for name in mapping.fields:
        if name in wanted and name in mapping.out_fields and not (creating and is_blank(values.get(name))):
            _write_field(mapping, name, values.get(name), external_ids, creating, body, sent, skipped)
    blocked = creating and _lacks_required(mapping, values, skipped)
    for case in mapping.cases:
        if creating or case.uses & wanted:
            computed = case.compute(values)
            if computed is not None or not creating:
                case.put(body, computed)
    if creating:
        body = _without_blanks(body)
        for put, constant in mapping.on_create_put:
            put(body, constant)
    return Outward(body, sent, skipped, blocked)


def _without_blanks(body: dict[str, Json]) -> dict[str, Json]:
    """There is nothing to clear in a record that does not exist yet."""
    kept = {}
    for key, value in body.items():
        if isinstance(value, dict):
            value = _without_blanks(value)
        elif isinstance(value, list):
            value = [_without_blanks(each) if isinstance(each, dict) else each for each in value]
        if value is not None:
            kept[key] = value
    return kept


def _write_field(
    mapping: StreamMapping,
    name: str,
    value: Json,
    external_ids: Mapping[tuple[str, int], str],
    creating: bool,
    body: dict[str, Json],
    sent: dict[str, Json],
    skipped: dict[str, CellFault],
) -> None:
    rules = [rule for rule in mapping.fields[name] if rule.direction != "in"]
    if mapping.entity_type.fields[name].kind == "consent" and is_blank(value):
        return
    try:
        parts = [(rule, (value or {}).get(rule.part) if rule.part else value) for rule in rules]
        written = [(rule, _outward(rule, part, external_ids), part) for rule, part in parts]
    except _NotWritten as reason:
        skipped[name] = reason.fault
        return
    for rule, raw, part in written:
        if rule.put is not None and not (creating and raw is None):
            rule.put(body, raw, part)
    sent[name] = held_form(mapping, name, value)


class _NotWritten(Exception):
    def __init__(self, fault: CellFault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def _outward(rule: FieldRule, value: Json, external_ids: Mapping[tuple[str, int], str]) -> Json:
    if is_blank(value):
        return None
    if rule.to:
        return _parent_id(rule, value, external_ids)
    try:
        return rule.outward(value) if rule.outward is not None else value
    except MappingFault as fault:
        raise _NotWritten(_cell_fault(rule, fault, value)) from None


def _parent_id(rule: FieldRule, entity_id: int, external_ids: Mapping[tuple[str, int], str]) -> str:
    for stream in (rule.to, *rule.or_to):
        if (stream, entity_id) in external_ids:
            return external_ids[stream, entity_id]
    waits = rule.missing == "create"
    raise _NotWritten(
        CellFault(
            code=PARENT_WAITS if waits else PARENT_NONE,
            field=rule.name,
            message=f"the record it refers to is not in {rule.to}",
            fix="it is created first" if waits else f"create it in {rule.to}, or say `missing: create`",
            value=entity_id,
        )
    )


def _reference(rule: FieldRule, text: str) -> Reference:
    """The record that an id names: of the first stream, unless the id says another, as "leads:00Q…" does."""
    stream, _, external_id = text.partition(":")
    return Reference(stream, external_id) if stream in rule.or_to else Reference(rule.to, text)


def _lacks_required(mapping: StreamMapping, values: Mapping[str, Json], skipped: dict[str, CellFault]) -> bool:
    lacking = False
    for rule in mapping.rules:
        if not rule.required:
            continue
        value = values.get(rule.field)
        part = (value or {}).get(rule.part) if rule.part else value
        if is_blank(part) or rule.field in skipped:
            lacking = True
            skipped.setdefault(
                rule.field,
                CellFault(
                    code=REQUIRED_BLANK,
                    field=rule.name,
                    message=f"{mapping.connector} {mapping.name} cannot be created without {rule.name}",
                    fix="fill it in one of the systems",
                ),
            )
    return lacking


def held_form(mapping: StreamMapping, canonical_field: str, value: Json) -> Json:
    """What is left of an entity's value, in canonical terms, once written through this mapping and read back.

    A group is left with the parts that are mapped. A value that the system cannot express comes back as it is: it
    differs from what is held, and writing it lists the reason.
    """
    rules = mapping.fields.get(canonical_field, ())
    if not rules:
        return value
    if not rules[0].part:
        return _settled(rules[0], value)
    parts = value if isinstance(value, Mapping) else {}
    return {rule.part: _settled(rule, parts.get(rule.part)) for rule in rules}


def _settled(rule: FieldRule, value: Json) -> Json:
    if rule.settle is None or is_blank(value):
        return value
    try:
        return rule.settle(value)
    except MappingFault:
        return value


def blank_policy(mapping: StreamMapping, canonical_field: str) -> Blank:
    """What a blank of this field means here: the canonical field's policy, unless the mapping narrows it."""
    for rule in mapping.fields.get(canonical_field, ()):
        if rule.blank is not None:
            return rule.blank
    return mapping.entity_type.fields[canonical_field].blank


def field_of(mapping: StreamMapping, name: str) -> CanonicalField | None:
    """The canonical field that a mapping's name stands for (a group, for one of its parts)."""
    return mapping.entity_type.field_of(name)
