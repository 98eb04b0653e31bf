"""`hub verify mapping FILE…`: the lens laws (L11) of somebody's own mapping files, on generated values.

Equality is the type's `~`. A vendor is played by the least it must do: it keeps what it is given, and shows it under
the names that it is read by. What a vendor changes on save is its twin's business.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path

from hub.core.canonical import Canonical, CanonicalField
from hub.core.canonical_file import read_canonical
from hub.core.check_laws import CLEANERS, NAMES, SAMPLES
from hub.core.document import Sheet
from hub.core.formats import MappingFault
from hub.core.mapping import FieldRule, Outward, StreamMapping, held_form, to_canonical, to_external
from hub.core.mapping_file import Hub as Shared
from hub.core.mapping_file import read_mapping
from hub.core.paths import MISSING, make_getter, make_setter
from hub.core.values import is_blank, normalise, same
from hub.errors import ConfigFault, NotFound
from hub.model import Json, SourceRecord
from hub.runtime.yaml import load_yaml
from hub.verify.convergence import Report, Result

EXAMPLES = 2000  # per field
Values = Mapping[str, Json]


# The least that a vendor does


def external_ids(mapping: StreamMapping) -> dict[tuple[str, int], str]:
    """Records that references may name: three of each stream."""
    return {(rule.to, number): f"{rule.to}-{number}" for rule in mapping.rules if rule.to for number in (1, 2, 3)}


def write(
    mapping: StreamMapping, record: dict[str, Json], values: Values, *, creating: bool = False
) -> tuple[dict[str, Json], Outward]:
    """The record after a write of these values, and the write."""
    sent = to_external(mapping, values, changed=values, external_ids=external_ids(mapping), creating=creating)
    after = deepcopy(record)
    place = after.setdefault(mapping.root, {}) if mapping.root else after
    for rule in mapping.rules:
        _keep(rule, sent.body, place)
        for inward, outward in zip(rule.extra_in, rule.extra_out, strict=False):
            _copy(sent.body, outward, place, inward)
        if rule.remote_out.startswith("association:"):
            name = rule.remote_out.partition(":")[2]
            if name in sent.body.get("associations", {}):
                target = sent.body["associations"][name]
                results = [] if target is None else [{"id": target, "type": name}]
                after.setdefault("associations", {})[rule.to] = {"results": results}
    return after, sent


def _keep(rule: FieldRule, body: Json, place: dict[str, Json]) -> None:
    if rule.direction == "both" and rule.remote_in and ":" not in rule.remote_in:
        _copy(body, rule.remote_out, place, rule.remote_in)


def _copy(body: Json, outward: str, place: dict[str, Json], inward: str) -> None:
    value = make_getter(outward)(body)
    if value is MISSING:
        return
    known = make_getter(inward)(place)
    if isinstance(known, dict) and isinstance(value, dict):
        value = {**known, **value}
    make_setter(inward)(place, value)


def read(mapping: StreamMapping, record: dict[str, Json]) -> dict[str, Json]:
    """The record in canonical terms, references as the numbers they were written as. Raises MappingFault."""
    mapped = to_canonical(mapping, SourceRecord(external_id="1", data=record))
    for fault in mapped.faults:
        raise MappingFault(fault.code, f"{fault.field}: {fault.message}", fault.fix)
    numbers = {f"{stream}-{number}": number for stream, number in external_ids(mapping)}
    found = {name: reference and numbers[reference.external_id] for name, reference in mapped.references.items()}
    return {**mapped.values, **found}


def agree(mapping: StreamMapping, name: str, left: Json, right: Json) -> bool:
    return same(mapping.entity_type.fields[name], left, right)


def is_exact(mapping: StreamMapping, name: str) -> bool:
    """True if the mapping says nowhere that this field may come back changed."""
    rules = mapping.fields[name]
    declared = mapping.entity_type.fields[name]
    loose = any(rule.lossy or rule.words_out or CLEANERS & set(rule.steps) for rule in rules)
    return not loose and declared.kind != "consent"


# The laws: the name of the field that breaks one, or ""


def put_get(mapping: StreamMapping, values: Values) -> str:
    """What was sent is what is read; and what was sent is what was meant, unless the mapping says otherwise."""
    record, sent = write(mapping, {}, values, creating=True)
    found = read(mapping, record)
    for name, expressed in sent.sent.items():
        if name not in mapping.in_fields or is_blank(expressed):
            continue
        if not agree(mapping, name, found.get(name), expressed):
            return name
        if is_exact(mapping, name) and not agree(mapping, name, expressed, values[name]):
            return name
    return ""


def get_put(mapping: StreamMapping, values: Values) -> str:
    """Writing what was read changes nothing."""
    record, _ = write(mapping, {}, values, creating=True)
    found = read(mapping, record)
    again, _ = write(mapping, record, {name: value for name, value in found.items() if name in mapping.out_fields})
    there = read(mapping, again)
    nothing = to_external(mapping, found, changed=(), external_ids=external_ids(mapping), creating=False)
    if (nothing.body, nothing.sent, nothing.skipped) != ({}, {}, {}):
        return next(iter(nothing.sent), "the whole record")
    return next((name for name, value in found.items() if not agree(mapping, name, value, there.get(name))), "")


def put_put(mapping: StreamMapping, first: Values, second: Values) -> str:
    """The second write is as if it had been the first."""
    once, sent = write(mapping, {}, second)
    twice, _ = write(mapping, write(mapping, {}, first)[0], second)
    left, right = read(mapping, once), read(mapping, twice)
    return next((name for name in sent.sent if not agree(mapping, name, left.get(name), right.get(name))), "")


def frame(mapping: StreamMapping, values: Values, name: str) -> str:
    """A write touches only the paths of its fields."""
    allowed = {
        field: [path for rule in rules if rule.direction != "in" for path in (rule.remote_out, *rule.extra_out)]
        for field, rules in mapping.fields.items()
    }
    sent = to_external(mapping, values, changed=[name], external_ids=external_ids(mapping), creating=False)
    others = [each for other, paths in allowed.items() if other != name for each in paths]
    for path in leaves(sent.body):
        if path in others or not any(path == each or path.startswith(f"{each}.") for each in allowed[name]):
            return name
    return ""


def stability(mapping: StreamMapping, values: Values) -> str:
    """Five generations are as good as one."""
    for name, value in values.items():
        first = later = held_form(mapping, name, value)
        for _ in range(4):
            later = held_form(mapping, name, later)
        if not agree(mapping, name, first, later):
            return name
    return ""


def honesty(mapping: StreamMapping, record: dict[str, Json]) -> str:
    """Any JSON is a value in its normal form, or a fault; never an exception."""
    mapped = to_canonical(mapping, SourceRecord(external_id="1", data=record))
    for name, value in mapped.values.items():
        declared = mapping.entity_type.fields[name]
        if not same(declared, normalise(declared, value), value):
            return name
    return ""


def leaves(body: Json, path: str = "") -> list[str]:
    """Paths of a body; an association is one."""
    if path == "associations":
        return [f"association:{name}" for name in body]
    steps = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    found = [leaf for key, value in steps for leaf in leaves(value, f"{path}.{key}" if path else str(key))]
    return found or ([path] if path else [])


# Values


def draw_value(rng: random.Random, declared: CanonicalField) -> Json:
    """A value of a field in its normal form: one of the hard ones, or one made up."""
    match declared.type:
        case "enum":
            return rng.choice(declared.values)
        case "set":
            return sorted({str(draw_scalar(rng, declared.of)) for _ in range(rng.randint(1, 4))})
        case "group":
            return {part: rng.choice((None, draw_scalar(rng, kind))) for part, kind in declared.parts.items()}
        case "consent":
            state = rng.choice(("opted_in", "opted_out"))
            return {"state": state, "at": draw_scalar(rng, "instant"), "source": "form"}
        case "ref":
            return rng.randint(1, 3)
    value = draw_scalar(rng, declared.type)
    if declared.type == "text":
        return str(value)[: declared.max or 50].strip() or "x"
    return value


LETTERS = "abcxyzÄöß éñ日本\u0301\u200d'\"-,;:|/\\<>&%$#@!?()[]{}0123456789"


def draw_scalar(rng: random.Random, kind: str) -> Json:
    """One value of a scalar type."""
    if kind in SAMPLES and rng.random() < 0.3:
        return rng.choice(SAMPLES[kind])
    number = rng.randrange(10**6)
    match kind:
        case "text":
            made = "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 40))).strip()
            return made or rng.choice(NAMES)
        case "email":
            return f"{rng.choice('abc')}{number}@{rng.choice(('example.com', 'mail.example.co.uk'))}"
        case "phone":
            return f"+4930{1_000_000 + number}"
        case "host":
            return f"h{number}.example.com"
        case "url":
            return f"https://example.com/{number}"
        case "boolean":
            return rng.random() < 0.5
        case "integer":
            return rng.randint(-(10**9), 10**9)
        case "decimal":
            return f"{rng.randint(-(10**6), 10**6)}.{rng.choice('123456789')}"
        case "date":
            return f"{rng.randint(1900, 2099)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        case "instant":
            return f"{draw_scalar(rng, 'date')}T{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}Z"
        case "money":
            return {"minor": rng.randint(-(10**9), 10**9), "currency": rng.choice(("EUR", "USD", "JPY", "KWD"))}
    return rng.choice(SAMPLES[kind])


def draw_values(rng: random.Random, mapping: StreamMapping) -> dict[str, Json]:
    """Some of the fields that a mapping writes."""
    names = [name for name in mapping.fields if name in mapping.out_fields and rng.random() < 0.7]
    drawn = {name: draw_value(rng, mapping.entity_type.fields[name]) for name in names}
    return {name: value for name, value in drawn.items() if not is_blank(value)}


def draw_rubbish(rng: random.Random, mapping: StreamMapping) -> dict[str, Json]:
    """A record in which anything may stand anywhere."""
    record: dict[str, Json] = {}
    place = record.setdefault(mapping.root, {}) if mapping.root else record
    for rule in mapping.rules:
        for path in (rule.remote_in, *rule.extra_in):
            if path and ":" not in path and rng.random() < 0.5:
                try:
                    make_setter(path)(place, _rubbish(rng))
                except (AttributeError, TypeError, ValueError, IndexError):
                    continue
    if rng.random() < 0.3:
        record["associations"] = _rubbish(rng)
    return record


def _rubbish(rng: random.Random, depth: int = 0) -> Json:
    plain = (None, True, 0, -1.5, "", " ", "a", float("nan"), 10**30, "2026-13-40", "\u0000", "€")
    if depth > 2 or rng.random() < 0.7:
        return rng.choice(plain)
    inner = [_rubbish(rng, depth + 1) for _ in range(rng.randrange(3))]
    return inner if rng.random() < 0.5 else {rng.choice(("id", "type", "results", "at")): each for each in inner}


# A file


def broken_laws(mapping: StreamMapping, rng: random.Random, examples: int) -> Iterator[str]:
    """One line per law that some value breaks."""
    tries: dict[str, Callable[[], tuple[str, Json]]] = {}
    if mapping.out_fields:
        tries = {
            "put-get": lambda: _try(put_get, mapping, draw_values(rng, mapping)),
            "get-put": lambda: _try(get_put, mapping, draw_values(rng, mapping)),
            "put-put": lambda: _try(put_put, mapping, draw_values(rng, mapping), draw_values(rng, mapping)),
            "frame": lambda: _frame(mapping, draw_values(rng, mapping), rng),
            "stability": lambda: _try(stability, mapping, draw_values(rng, mapping)),
        }
    tries["honesty"] = lambda: _try(honesty, mapping, draw_rubbish(rng, mapping))
    for law, attempt in tries.items():
        for _ in range(examples):
            name, given = attempt()
            if name:
                yield f"L11 {mapping.connector}.{mapping.name}.{name} breaks {law} with {given!r}"
                break


def _try(law: Callable[..., str], mapping: StreamMapping, *given: Json) -> tuple[str, Json]:
    try:
        return law(mapping, *given), given
    except MappingFault as fault:
        return f"({fault.code})", given


def _frame(mapping: StreamMapping, values: dict[str, Json], rng: random.Random) -> tuple[str, Json]:
    return _try(frame, mapping, values, rng.choice(sorted(values))) if values else ("", values)


def read_file(path: Path, canonical: Canonical) -> Sequence[StreamMapping]:
    """The streams of a mapping file. Raises ConfigFault with every fault of it."""
    sheet = Sheet(load_yaml(path))
    found = read_mapping(sheet, canonical, Shared(country="DE")).streams
    if sheet.faults:
        raise ConfigFault(sheet.faults)
    return tuple(found.values())


def canonical_beside(path: Path) -> Canonical:
    """The canonical.yaml of a mapping file: in its folder. Raises NotFound, ConfigFault."""
    place = path.parent / "canonical.yaml"
    if not place.is_file():
        raise NotFound("there is no canonical.yaml beside it", where=str(path), fix="keep both in one folder")
    sheet = Sheet(load_yaml(place))
    found = read_canonical(sheet)
    if sheet.faults:
        raise ConfigFault(sheet.faults)
    return found


def verify_mappings(
    paths: Sequence[Path], *, examples: int = EXAMPLES, progress: Callable[[Result], None] | None = None
) -> Report:
    """Prove mapping files; one "seed" per stream, numbered as they come.

    Raises:
        ConfigFault: a file is not even readable as a mapping (`hub mapping check` says more).
    """
    report = Report()
    for path in paths:
        for mapping in read_file(path, canonical_beside(path)):
            errors = list(broken_laws(mapping, random.Random(mapping.name), examples))
            counts = Counter({"examples": examples * 6, "streams": 1, "fields": len(mapping.fields)})
            result = Result(report.seeds, errors, [], counts)
            report.add(result)
            if progress is not None:
                progress(result)
    return report
