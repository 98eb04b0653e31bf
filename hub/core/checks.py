"""The static checks of mappings, beyond what reading a file already finds: laws, tests, other files, the live system.

Pure: files that were read, canonical declarations, and plain facts about connectors and schemas go in, Faults come
out, all of them. Which codes stop a mapping and which are advice stands in hub.core.codes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from hub.core.canonical import Canonical, CanonicalField
from hub.core.check_laws import check_laws, check_peace
from hub.core.check_tests import check_coverage, run_tests
from hub.core.codes import CODES
from hub.core.document import nearest
from hub.core.mapping import FieldRule, StreamMapping, held_form, to_canonical
from hub.core.mapping_file import MappingFile
from hub.core.values import same
from hub.errors import Fault
from hub.model import ANY_NAME, SourceRecord

__all__ = [
    "RemoteField",
    "RemoteStream",
    "advice",
    "check_file",
    "check_sample",
    "check_together",
    "run_tests",
    "stops",
]

FAULTY_VALUES = 0.2


class RemoteField(Protocol):
    """A field as the live system describes it (hub.connector.Field)."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def readable(self) -> bool: ...
    @property
    def writable(self) -> bool: ...
    @property
    def required(self) -> bool: ...
    @property
    def max_length(self) -> int | None: ...
    @property
    def options(self) -> Sequence[str]: ...


class RemoteStream(Protocol):
    """What a connector says of a stream (hub.connector.Stream)."""

    @property
    def writes(self) -> frozenset[str]: ...
    @property
    def acts(self) -> bool: ...


def stops(fault: Fault) -> bool:
    """True if a mapping with this fault may not run."""
    code = CODES.get(fault.code)
    return code is None or code.stops


def advice(faults: Iterable[Fault]) -> list[Fault]:
    """Those that stop nothing."""
    return [fault for fault in faults if not stops(fault)]


# One file


def check_file(
    file: MappingFile,
    *,
    streams: Mapping[str, RemoteStream] | None = None,
    schema: Mapping[str, Sequence[RemoteField]] | None = None,
) -> list[Fault]:
    """Laws, tests and promises of one file.

    Args:
        streams: the connector's streams by name; None or empty: not known, not checked.
        schema: live fields per stream; None: the system was not asked.
    """
    faults: list[Fault] = []
    for mapping in file.streams.values():
        faults += check_laws(mapping)
        faults += run_tests(mapping)
        faults += check_coverage(mapping)
        faults += _check_keys(mapping)
        faults += _check_words(mapping)
        if streams:
            faults += _check_stream(mapping, streams)
        if schema is not None and mapping.source in schema:
            faults += _check_schema(mapping, schema[mapping.source])
    faults += _check_circles(file)
    return list(dict.fromkeys(faults))


def _fault(code: str, where: str, message: str, fix: str) -> Fault:
    return Fault(code=code, where=where, message=message, fix=fix)


def _check_keys(mapping: StreamMapping) -> list[Fault]:
    """Records that bring no strong key are new people every time (unless only linked by their ids)."""
    strong = [key for key in mapping.entity_type.keys if key.strength == "strong"]
    read = {rule.name for rule in mapping.rules if rule.direction != "out"}
    whole = {part for rule in mapping.rules if not rule.part for part in mapping.entity_type.fields[rule.field].parts}
    if not strong or any(set(key.on) <= read | whole for key in strong):
        return []
    names = " or ".join(key.name for key in strong)
    return [_fault("MAP-035", mapping.where, f"{mapping.name} reads no strong key of {mapping.entity}", f"map {names}")]


def _check_words(mapping: StreamMapping) -> list[Fault]:
    """Values of an enum that could never be written."""
    found = []
    for rule in mapping.rules:
        declared = mapping.entity_type.fields[rule.field]
        if rule.direction == "in" or declared.type != "enum" or not rule.words_out or rule.unknown_out == "skip":
            continue
        lacking = [value for value in declared.values if value not in rule.words_out]
        if lacking:
            message = f"{rule.name}: {', '.join(lacking)} cannot be written"
            found.append(_fault("MAP-038", rule.where, message, "give them words, or say unknown: {out: skip}"))
    return found


def _check_circles(file: MappingFile) -> list[Fault]:
    """Parents that are created first must not need their children first."""
    edges = {
        name: [rule.to for rule in mapping.rules if rule.to and rule.missing == "create" and rule.direction != "in"]
        for name, mapping in file.streams.items()
    }

    def reaches(start: str, name: str, seen: frozenset[str]) -> bool:
        following = edges.get(name, ())
        return start in following or any(reaches(start, each, seen | {each}) for each in following if each not in seen)

    return [
        _fault("MAP-028", mapping.where, f"creating {name} would need {name} first", "say missing: skip at one of them")
        for name, mapping in file.streams.items()
        if reaches(name, name, frozenset({name}))
    ]


# The connector and the live system


def _check_stream(mapping: StreamMapping, streams: Mapping[str, RemoteStream]) -> list[Fault]:
    stream = streams.get(mapping.source)
    if stream is None:
        hint = nearest(mapping.source, streams)
        return [_fault("CFG-032", mapping.where, f"{mapping.connector} has no stream {mapping.source}", hint)]
    found = []
    can = stream.writes | ({"create", "update"} if "upsert" in stream.writes else frozenset())
    writes = bool(mapping.out_fields or mapping.cases)
    wanted = {"update": writes and not can & {"create", "update"}, "create": mapping.create != "never"}
    for operation, asked in wanted.items():
        if asked and operation not in can:
            message = f"{mapping.connector} cannot {operation} in {mapping.source}"
            found.append(_fault("MAP-018", mapping.where, message, "say direction: in, and create: never"))
    if mapping.deletes_out != "never" and mapping.deletes_out not in can:
        message = f"{mapping.connector} cannot {mapping.deletes_out} in {mapping.source}"
        found.append(_fault("MAP-018", mapping.where, message, "say deletes: {out: never}"))
    if stream.acts and writes:
        message = f"{mapping.source} holds acts, which are never written"
        found.append(_fault("MAP-029", mapping.where, message, "say direction: in"))
    return found


# Type over there -> canonical types that it converts to without a wire, transform or words.
CONVERTS: Mapping[str, frozenset[str]] = {
    "text": frozenset(
        ("text", "email", "phone", "host", "url", "country", "enum", "boolean", "integer", "decimal", "date", "instant")
    ),
    "email": frozenset(("email", "text")),
    "phone": frozenset(("phone", "text")),
    "url": frozenset(("url", "host", "text")),
    "enum": frozenset(("enum", "text", "country")),
    "set": frozenset(("set",)),
    "boolean": frozenset(("boolean",)),
    "integer": frozenset(("integer", "decimal", "text")),
    "decimal": frozenset(("decimal", "text")),
    "money": frozenset(("decimal",)),
    "date": frozenset(("date", "text")),
    "instant": frozenset(("instant", "text")),
    "ref": frozenset(("ref", "text")),
    "object": frozenset(),
}


def _check_schema(mapping: StreamMapping, fields: Sequence[RemoteField]) -> list[Fault]:
    """Every remote field is there, may be read or written as the mapping does, and has a type that converts."""
    live = {field.name: field for field in fields}
    found = []
    for rule in mapping.rules:
        found += _check_rule(mapping, rule, live)
    for case in mapping.cases:
        found += _check_path(case.remote, live, case.where, writes=True)
    for path in mapping.on_create:
        found += _check_path(path, live, mapping.where, writes=True)
    if mapping.create != "never":
        found += _check_required(mapping, fields)
    return found


def _check_rule(mapping: StreamMapping, rule: FieldRule, live: Mapping[str, RemoteField]) -> list[Fault]:
    found = []
    if rule.direction != "out":
        for path in (rule.remote_in, *rule.extra_in):
            found += _check_path(path, live, rule.where, writes=False)
    if rule.direction != "in":
        for path in (rule.remote_out, *rule.extra_out):
            found += _check_path(path, live, rule.where, writes=True)
    remote = live.get(rule.remote_in or rule.remote_out)
    if remote is None:
        return found
    declared = mapping.entity_type.fields[rule.field]
    kind = declared.parts[rule.part] if rule.part else declared.type
    if not rule.steps and not rule.words_in and kind not in CONVERTS.get(remote.type, frozenset((kind,))):
        message = f"{remote.name} is {remote.type} over there, {rule.name} is {kind}"
        found.append(_fault("MAP-019", rule.where, message, "add a wire or transform, or map another field"))
    found += _check_options(rule, remote)
    longest = declared.max
    if remote.max_length and kind == "text" and rule.direction != "in" and rule.put and not rule.lossy:
        if (longest is None or longest > remote.max_length) and "cut" not in rule.steps and rule.outward is None:
            message = f"{remote.name} takes {remote.max_length} characters, {rule.name} may be longer"
            found.append(_fault("MAP-037", rule.where, message, f"say max: {remote.max_length}"))
    return found


def _check_path(path: str, live: Mapping[str, RemoteField], where: str, *, writes: bool) -> list[Fault]:
    """A path is known by its whole name, or by that of the object that it goes into."""
    if not path or path.startswith(("/", "answer:", "association:")):
        return []
    remote = live.get(path) or next((live[head] for head in _heads(path) if head in live), None)
    if remote is None and ANY_NAME in live:
        return []  # whoever sends says what things are called
    if remote is None:
        return [_fault("MAP-016", where, f"the system has no field {path}", nearest(path, live, "run hub discover"))]
    if writes and not remote.writable:
        return [_fault("MAP-018", where, f"{path} cannot be written over there", "say direction: in")]
    if not writes and not remote.readable:
        return [
            _fault("MAP-017", where, f"{path} cannot be read over there", "say direction: out, or ask for the right")
        ]
    return []


def _heads(path: str) -> list[str]:
    keys = path.split(".")
    return [".".join(keys[:length]) for length in range(len(keys) - 1, 0, -1)]


def _check_options(rule: FieldRule, remote: RemoteField) -> list[Fault]:
    """The live list and the words of the mapping agree both ways."""
    if not rule.words_in or not remote.options:
        return []
    unknown = [] if rule.unknown_in == "skip" else [option for option in remote.options if option not in rule.words_in]
    gone = [word for word in rule.words_in if word not in remote.options]
    messages = []
    if unknown:
        messages.append(f"{rule.name}: the mapping has no word {', '.join(unknown[:5])}")
    if gone and rule.direction != "in":
        messages.append(f"{rule.name}: the system has no option {', '.join(gone[:5])}")
    fix = "bring values: up to date, or say unknown: {in: skip}"
    return [_fault("MAP-021", rule.where, message, fix) for message in messages]


def _check_required(mapping: StreamMapping, fields: Sequence[RemoteField]) -> list[Fault]:
    filled = {path for rule in mapping.rules if rule.direction != "in" for path in (rule.remote_out, *rule.extra_out)}
    filled |= set(mapping.on_create) | {case.remote for case in mapping.cases}
    return [
        _fault(
            "MAP-020",
            mapping.where,
            f"{field.name} must be filled on create, and no rule does",
            "map it, or add it to on_create",
        )
        for field in fields
        if field.required and field.writable and field.name not in filled
    ]


# All files together


def check_together(
    files: Mapping[str, MappingFile],
    canonical: Canonical,
    *,
    connectors: Collection[str],
    where: str = "canonical.yaml",
) -> dict[str, list[Fault]]:
    """What only shows when files meet: sources, ties, mappings that would undo each other.

    Args:
        files: connection -> its file.
        connectors: names of the connectors that are installed.

    Returns:
        Connection -> faults; "" for those of the declarations themselves.
    """
    found: dict[str, list[Fault]] = {"": _check_sources(canonical, {*connectors, *files})}
    for connection, file in files.items():
        found[connection] = []
        if connection not in canonical.sources and file.connector not in canonical.sources:
            message = f"{connection} has no place in sources, so ties with it are not decided"
            found[connection].append(_fault("MAP-050", where, message, f"add {file.connector} to sources"))
    names = list(files)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            if files[first].file != files[second].file:
                found[second] += check_peace(files[first], files[second])
    return found


def _check_sources(canonical: Canonical, known: Collection[str]) -> list[Fault]:
    found = []
    for entity in canonical.entities.values():
        for declared in entity.fields.values():
            for source in (*declared.survivorship.source, *declared.blank.erase_from):
                if source not in known:
                    message = f"{entity.name}.{declared.name}: {source} is no connector and no connection"
                    found.append(_fault("MAP-041", declared.survivorship.where, message, nearest(source, known)))
    return found


# A sample of real records


def check_sample(mapping: StreamMapping, records: Sequence[SourceRecord]) -> list[Fault]:
    """What real records say about a mapping: values that cannot be read, values that change."""
    read = [to_canonical(mapping, record) for record in records]
    found: list[Fault] = []
    for name in sorted({fault.field for mapped in read for fault in mapped.faults}):
        count = sum(any(fault.field == name for fault in mapped.faults) for mapped in read)
        if count > FAULTY_VALUES * len(read):
            message = f"{name}: {count} of {len(read)} values cannot be read"
            found.append(_fault("MAP-049", _where(mapping, name), message, "look at its transforms and type"))
    for declared in _changed_by_reading(mapping, read):
        message = f"{declared.name}: a value that was read would be written differently"
        found.append(_fault("MAP-030", _where(mapping, declared.name), message, "look at its transforms"))
    return found


def _where(mapping: StreamMapping, name: str) -> str:
    return next((rule.where for rule in mapping.rules if name in (rule.name, rule.field)), mapping.where)


def _changed_by_reading(mapping: StreamMapping, read: Sequence[object]) -> list[CanonicalField]:
    """Fields of which a value, read and written, would not be what was read (GetPut)."""
    found = []
    for name in mapping.fields:
        declared = mapping.entity_type.fields[name]
        if name not in mapping.out_fields or declared.kind in ("ref", "consent"):
            continue
        values = [mapped.values[name] for mapped in read if name in mapped.values]  # type: ignore[attr-defined]
        if any(not same(declared, held_form(mapping, name, value), value) for value in values):
            found.append(declared)
    return found
