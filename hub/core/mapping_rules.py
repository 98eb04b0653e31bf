"""One line of a mapping file into a FieldRule: its paths, its chain of steps, both directions bound to closures.

The chain, seen from the remote value: wire, transforms in the order of the file, `values:`, the type's normal form.
Outward the same backwards. What the chain needs to promise (an inverse, no silent loss) is checked here, where the
steps are known: MAP-006, MAP-007, MAP-010, MAP-011.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from hub.core.canonical import CanonicalField, EntityType
from hub.core.canonical_file import names_of, read_blank
from hub.core.document import Sheet, nearest
from hub.core.mapping import OUT_SKIPPED, OUT_UNKNOWN, FieldRule, MappingFault, Unsaid, View
from hub.core.paths import is_flat, make_answer_getter, make_association_getter, make_getter, make_setter
from hub.core.transforms import Place, Step, bind, table
from hub.core.values import LONGEST_TEXT, Normaliser, is_blank, normaliser
from hub.model import Json

RULE_KEYS = (
    "remote",
    "direction",
    "transforms",
    "wire",
    "values",
    "prefer",
    "unknown",
    "to",
    "missing",
    "required",
    "blank",
    "lossy",
    "constant",
    "max",
    "text",
)
DIRECTIONS = ("both", "in", "out")
FEW_WORDS = ("country", "enum", "boolean")  # types of which a system writes few different texts
REMEMBERED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """What every rule of a stream shares."""

    entity: EntityType
    root: str
    literal: bool
    direction: str  # default of its rules
    currency: str
    country: str | None


@dataclass(frozen=True, slots=True)
class _Remote:
    """Where a rule reads and writes."""

    read: str = ""
    write: str = ""
    answer: str = ""
    answer_type: str = ""
    take: str = "label"
    association: str = ""
    own_id: bool = False


def read_rule(sheet: Sheet, name: str, facts: StreamFacts) -> FieldRule | None:
    """The rule at this place; None if it cannot be one (the reason is noted)."""
    if not sheet.closed(RULE_KEYS):
        return None
    declared = facts.entity.field_of(name)
    if declared is None:
        hint = nearest(name, names_of(facts.entity), "declare it in canonical.yaml, or under custom:")
        sheet.fault("MAP-001", f"{facts.entity.name} has no field {name}", hint)
        return None
    part = name if declared.kind == "group" and name != declared.name else ""
    direction = sheet.choice("direction", DIRECTIONS, facts.direction)
    remote = _remote(sheet, direction, facts)
    if remote is None or not _reference_fits(sheet, declared):
        return None
    targets = tuple(sheet.texts("to"))
    rule = FieldRule(
        name=name,
        field=declared.name,
        part=part,
        direction=direction,
        remote_in=remote.read if direction != "out" else "",
        remote_out=remote.write if direction != "in" else "",
        required=sheet.choice("required", ("create",), "") == "create",
        blank=read_blank(sheet, declared.blank) if sheet.has("blank") else None,
        to=targets[0] if targets else "",
        or_to=targets[1:],
        missing=sheet.choice("missing", ("skip", "create"), "skip"),
        lossy=sheet.choice("lossy", ("accept",), "") == "accept",
        where=sheet.where,
        steps=_step_names(sheet),
    )
    _check_direction(sheet, rule, declared)
    return _bind(sheet, rule, declared, remote, facts)


# Paths


def _remote(sheet: Sheet, direction: str, facts: StreamFacts) -> _Remote | None:
    at = sheet.at("remote")
    value = at.value
    if sheet.has("constant"):
        if sheet.has("remote"):
            at.fault("CFG-016", "a constant is read from nowhere", "leave out remote or constant")
        return _Remote()
    if isinstance(value, Mapping):
        return _remote_of_keys(at)
    path = sheet.text("remote")
    if not path:
        sheet.fault("CFG-013", f"{sheet.name} lacks remote", "say remote: <field over there>")
        return None
    if path.startswith("/") and direction != "in" and not facts.literal:
        at.fault("MAP-006", "a path from the record's top can only be read", "say direction: in")
    return _Remote(path, path)


def _remote_of_keys(at: Sheet) -> _Remote | None:
    at.closed(("in", "out", "answer", "answer_type", "take", "association", "own_id"))
    if at.boolean("own_id"):
        return _Remote(own_id=True)
    answer, kind, association = at.text("answer"), at.text("answer_type"), at.text("association")
    if answer or kind:
        return _Remote(answer=answer, answer_type=kind, take=at.choice("take", ("label", "ref", "id"), "label"))
    if association:
        return _Remote(association=association)
    if not (at.has("in") or at.has("out")):
        at.fault("CFG-013", "remote names no place", "say in: and out:, or answer:, association: or own_id:")
        return None
    return _Remote(at.text("in"), at.text("out"))


def _reference_fits(sheet: Sheet, declared: CanonicalField) -> bool:
    if declared.kind == "ref" and not sheet.has("to"):
        sheet.fault("MAP-015", f"{declared.name} is a reference and names no stream", "say to: <stream>")
        return False
    if declared.kind != "ref" and sheet.has("to"):
        sheet.at("to").fault("MAP-015", f"{declared.name} is no reference", "leave out to:")
        return False
    return True


def _check_direction(sheet: Sheet, rule: FieldRule, declared: CanonicalField) -> None:
    if declared.derived and rule.direction != "out":
        sheet.fault("MAP-033", f"{rule.name} is computed by the hub and cannot be read", "say direction: out")
    if rule.required and rule.direction == "in":
        sheet.at("required").fault("MAP-020", f"{rule.name} is required to create, and only read", "let it be written")
    if sheet.has("constant") and declared.kind == "consent":
        sheet.at("constant").fault("MAP-024", "consent cannot be a constant", "map the answer that gave it")
    if sheet.has("constant") and rule.direction != "in":
        sheet.fault("MAP-006", "a constant cannot be written", "say direction: in; for writes use on_create")


# The chain


def _bind(
    sheet: Sheet, rule: FieldRule, declared: CanonicalField, remote: _Remote, facts: StreamFacts
) -> FieldRule | None:
    kind = declared.parts[rule.part] if rule.part else declared.type
    typed = CanonicalField(name=rule.name, type=kind, max=declared.max) if rule.part else declared
    place = Place(
        type=kind,
        field=declared,
        entity=facts.entity,
        remote=remote.read or remote.write,
        root=facts.root,
        literal=facts.literal,
        currency=facts.currency,
        country=facts.country,
    )
    steps = _steps(sheet, place)
    if steps is None:
        return None
    if kind in ("money", "consent") and not sheet.has("wire") and not sheet.has("constant"):
        sheet.fault("MAP-009", f"{rule.name} is {kind} and does not say how it is written there", "add wire:")
        return None
    words = _words(sheet, typed)
    if words is not None:
        steps.append(words[0])
        rule = replace(rule, **words[1])
    longest = sheet.integer("max", least=1)
    if longest is not None:
        steps.append(_length(longest))
    _check_inverse(sheet, rule, remote, steps)
    rule = _with_getter(sheet, rule, remote, facts)
    if rule.to:
        return replace(rule, put=_make_put(rule, [], remote, facts))
    return _with_chain(rule, typed, steps, remote, facts)


def _steps(sheet: Sheet, place: Place) -> list[Step] | None:
    found: list[Step | None] = []
    if sheet.has("wire"):
        found.append(_step(sheet.at("wire"), place, wire=True))
    for at in sheet.at("transforms").items():
        found.append(_step(at, place, wire=False))
    if None in found:
        return None
    return [step for step in found if step is not None]


def _step_names(sheet: Sheet) -> tuple[str, ...]:
    transforms = sheet.at("transforms").value
    found = [sheet.at("wire").value, *(transforms if isinstance(transforms, list) else ())]
    return tuple(str(next(iter(each), "") if isinstance(each, Mapping) else each) for each in found if each is not None)


def _step(at: Sheet, place: Place, *, wire: bool) -> Step | None:
    value, options = at.value, None
    if isinstance(value, Mapping) and len(value) == 1:
        ((value, options),) = value.items()
    word = "wire" if wire else "transform"
    if not isinstance(value, str):
        at.fault("CFG-011", f"a {word} is a name, or {{name: options}}", "see docs/mapping.md, Transforms")
        return None
    entry = table().get(value)
    if entry is None or entry.wire != wire:
        known = [name for name, each in table().items() if each.wire == wire]
        misplaced = entry is not None
        hint = f"{value} goes under {'transforms' if wire else 'wire'}:" if misplaced else nearest(value, known)
        at.fault("MAP-003", f"unknown {word} {value}", hint)
        return None
    try:
        return bind(entry, options, place)
    except MappingFault as fault:
        at.fault(fault.code, fault.message, fault.fix)
        return None


def _length(longest: int) -> Step:
    """Texts that do not fit over there are not cut: the write is refused, with its reason."""

    def outward(value: Json) -> Json:
        if isinstance(value, str) and len(value) > longest:
            raise MappingFault("MAP-103", f"longer than the {longest} characters that fit", "shorten it, or add cut")
        return value

    return Step(outward=outward)


# Words of enums


def _words(sheet: Sheet, typed: CanonicalField) -> tuple[Step, Mapping[str, Json]] | None:
    """The step that `values:` makes, and what the rule keeps of it."""
    if not sheet.has("values"):
        if sheet.has("prefer") or sheet.has("unknown"):
            sheet.fault("CFG-016", "prefer and unknown belong to values", "add values:, or leave them out")
        return None
    element = CanonicalField(name=typed.name, type=typed.of) if typed.kind == "set" else typed
    inward, outward = _word_maps(sheet, element)
    policy = sheet.at("unknown")
    if sheet.has("unknown"):
        policy.closed(("in", "out"))
    unknown_in = policy.choice("in", ("quarantine", "skip"), "quarantine")
    unknown_out = policy.choice("out", ("quarantine", "skip"), "quarantine")
    read, write = _word_reader(inward, unknown_in == "skip"), _word_writer(outward, unknown_out == "skip")
    if typed.kind == "set":
        read, write = _each(read), _each(write)
    kept = {"words_in": inward, "words_out": outward, "unknown_in": unknown_in, "unknown_out": unknown_out}
    return Step(inward=read, outward=write), kept


def _each(one: Normaliser) -> Normaliser:
    return lambda value: [one(each) for each in (value if isinstance(value, list) else [value])]


def _word_maps(sheet: Sheet, element: CanonicalField) -> tuple[dict[str, Json], dict[Json, Json]]:
    """(word there -> canonical value, canonical value -> word there); collisions need `prefer`."""
    read = normaliser(element)
    prefer = sheet.texts("prefer")
    theirs: dict[str, list[Json]] = {}
    outward: dict[Json, Json] = {}
    for key, at in sheet.at("values").entries():
        try:
            value = read(key)
        except MappingFault:
            at.fault(
                "MAP-010", f"{element.name} has no value {key}", nearest(key, element.values, "use one of its values")
            )
            continue
        words = at.value if isinstance(at.value, list) else [at.value]
        if any(isinstance(word, Mapping | list) or word is None for word in words) or not words:
            at.fault("CFG-011", f"{key} should have a word, or a list of words", "say key: word")
            continue
        outward[value] = _chosen(at, key, words, prefer)
        for word in words:
            theirs.setdefault(_as_word(word), []).append(value)
    inward = {word: _preferred(sheet.at("values"), word, values, prefer) for word, values in theirs.items()}
    return inward, outward


def _as_word(value: Json) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _chosen(at: Sheet, key: str, words: Sequence[Json], prefer: Sequence[str]) -> Json:
    """The one of several words that is written."""
    chosen = [word for word in words if _as_word(word) in prefer]
    if len(words) > 1 and len(chosen) != 1:
        at.fault(
            "MAP-011", f"several words mean {key}, and none is to be written", f"add prefer: [{_as_word(words[0])}]"
        )
    return chosen[0] if chosen else words[0]


def _preferred(at: Sheet, word: str, values: Sequence[Json], prefer: Sequence[str]) -> Json:
    """The one of several values that a word is read as."""
    chosen = [value for value in values if _as_word(value) in prefer]
    if len(values) > 1 and len(chosen) != 1:
        at.fault(
            "MAP-011", f"{word} means several values, and none is to be read", f"add prefer: [{_as_word(values[0])}]"
        )
    return chosen[0] if chosen else values[0]


def _word_reader(words: Mapping[str, Json], skip: bool) -> Normaliser:
    def read(value: Json) -> Json:
        word = value if isinstance(value, str) else _as_word(value)
        if word in words:
            return words[word]
        if skip:
            raise Unsaid("MAP-116", "a word that the mapping leaves alone")
        raise MappingFault("MAP-116", "a word that the mapping does not know", "add it to values: of the mapping")

    return read


def _word_writer(words: Mapping[Json, Json], skip: bool) -> Normaliser:
    def write(value: Json) -> Json:
        if value in words:
            return words[value]
        code = OUT_SKIPPED if skip else OUT_UNKNOWN
        raise MappingFault(code, f"the system has no word for {value}", "add it to values: of the mapping")

    return write


# Promises


def _check_inverse(sheet: Sheet, rule: FieldRule, remote: _Remote, steps: Sequence[Step]) -> None:
    if rule.direction != "in" and (remote.answer or remote.answer_type or remote.own_id):
        what = "a record's own id" if remote.own_id else "an answer of a form"
        sheet.fault("MAP-006", f"{what} cannot be written", "say direction: in")
        return
    if rule.direction != "both" or sheet.has("constant"):
        return
    if not remote.association and not (remote.read and remote.write):
        lacks = "in" if not remote.read else "out"
        sheet.at("remote").fault("MAP-006", f"a two-way field without {lacks}", f"add {lacks}:, or say direction")
    if not all(step.two_way for step in steps):
        sheet.fault("MAP-006", f"{rule.name} goes both ways, and a step of it has no inverse", "say direction: in")
    losses = [step.loses for step in steps if step.loses]
    if losses and not rule.lossy:
        fix = "say lossy: accept if that is meant, or direction: in"
        sheet.fault("MAP-007", f"{rule.name} goes both ways and loses {' and '.join(losses)}", fix)


# Closures


def _with_getter(sheet: Sheet, rule: FieldRule, remote: _Remote, facts: StreamFacts) -> FieldRule:
    if rule.direction == "out":
        return replace(rule, remote_out=f"association:{remote.association}") if remote.association else rule
    if sheet.has("constant"):
        constant = sheet.value["constant"]
        return replace(rule, get=lambda record: constant)
    if remote.own_id:
        return replace(rule, own_id=True)
    if remote.answer or remote.answer_type:
        getter = make_answer_getter(remote.answer, kind=remote.answer_type, take=remote.take)
        return replace(rule, remote_in=f"answer:{remote.answer or remote.answer_type}", get=getter)
    if remote.association:
        getter = make_association_getter(remote.association, rule.to)
        path = f"association:{remote.association}"
        return replace(rule, remote_in=path, remote_out=path if rule.direction == "both" else "", get=getter)
    if is_flat(remote.read, literal=facts.literal):
        return replace(rule, key=remote.read)
    return replace(rule, get=make_getter(remote.read, root=facts.root, literal=facts.literal))


def _with_chain(
    rule: FieldRule, typed: CanonicalField, steps: Sequence[Step], remote: _Remote, facts: StreamFacts
) -> FieldRule:
    looks = [step for step in steps if step.inward_in is not None]
    inward = inward_in = None
    if looks:
        inward_in = _chain_in(steps, normaliser(typed))
    else:
        inward = _chain(steps, normaliser(typed), typed)
    outward = _chain_out(steps)
    put = _make_put(rule, steps, remote, facts)
    rule = replace(
        rule,
        inward=inward,
        inward_in=inward_in,
        plain=min(typed.max or LONGEST_TEXT, LONGEST_TEXT) if _is_plain(typed, steps) else 0,
        outward=outward,
        put=put,
        extra_in=tuple(path for step in steps for path in step.extra_in),
        extra_out=tuple(path for step in steps for path in step.extra_out) if rule.direction != "in" else (),
    )
    return replace(rule, settle=_settle(rule, steps, remote, facts))


def _chain(steps: Sequence[Step], read: Normaliser, typed: CanonicalField) -> Normaliser:
    """Inward as one closure; whatever turns blank on the way is blank."""
    moves = [step.inward for step in steps if step.inward is not None]
    if not moves:
        return _remembered(read) if typed.type in FEW_WORDS else _unless_blank(read)
    if len(moves) == 1:
        move = moves[0]

        def run_one(value: Json) -> Json:
            if value.__class__ is str and value.isspace():
                return None
            value = move(value)
            return None if is_blank(value) else read(value)

        return run_one

    def run(value: Json) -> Json:
        for move in moves:
            if is_blank(value):
                return None
            value = move(value)
        return None if is_blank(value) else read(value)

    return run


def _is_plain(typed: CanonicalField, steps: Sequence[Step]) -> bool:
    """The commonest cell of all: text that nothing is done to (`FieldRule.plain`)."""
    return typed.type == "text" and all(step.inward is None and step.inward_in is None for step in steps)


def _unless_blank(read: Normaliser) -> Normaliser:
    def run(value: Json) -> Json:
        if value.__class__ is str:
            return read(value) if value and not value.isspace() else None
        return None if is_blank(value) else read(value)

    return run


def _remembered(read: Normaliser) -> Normaliser:
    """For types whose values repeat from record to record: what a text means is looked up once."""
    known = lru_cache(REMEMBERED)(_unless_blank(read))

    def run(value: Json) -> Json:
        if value.__class__ is str:
            return known(value)
        return None if is_blank(value) else read(value)

    return run


def _chain_in(steps: Sequence[Step], read: Normaliser) -> Callable[[Json, View], Json]:
    if len(steps) == 1 and steps[0].inward_in is not None and steps[0].normal:
        return steps[0].inward_in

    def run(value: Json, view: View) -> Json:
        for step in steps:
            if step.inward_in is not None:
                value = step.inward_in(value, view)
            elif step.inward is not None:
                value = step.inward(value)
            if is_blank(value):
                return None
        return read(value)

    return run


def _chain_out(steps: Sequence[Step]) -> Normaliser | None:
    moves = [step.outward for step in reversed(steps) if step.outward is not None]
    if not moves:
        return None
    if len(moves) == 1:
        return moves[0]

    def run(value: Json) -> Json:
        for move in moves:
            value = move(value)
            if value is None:
                return None
        return value

    return run


def _make_put(
    rule: FieldRule, steps: Sequence[Step], remote: _Remote, facts: StreamFacts
) -> Callable[[dict[str, Json], Json, Json], None] | None:
    if rule.direction == "in":
        return None
    if remote.association:
        association = remote.association
        return lambda body, raw, value: body.setdefault("associations", {}).__setitem__(association, raw)
    first = make_setter(remote.write, literal=facts.literal)
    more = [step.put for step in steps if step.put is not None]

    def put(body: dict[str, Json], raw: Json, value: Json) -> None:
        first(body, raw)
        for also in more:
            also(body, value)

    return put


def _settle(rule: FieldRule, steps: Sequence[Step], remote: _Remote, facts: StreamFacts) -> Normaliser | None:
    """Out and in again. None where every step gives its own value back."""
    out, inward, inward_in = rule.outward, rule.inward, rule.inward_in
    if rule.direction == "in" or all(step.exact for step in steps):
        return None

    def settle(value: Json) -> Json:
        raw = value if out is None else out(value)
        if is_blank(raw):
            return None
        if inward_in is None:
            return raw if inward is None else inward(raw)
        body: dict[str, Json] = {}
        for step in steps:
            if step.put_in is not None:
                step.put_in(body, value)
        return inward_in(raw, View({facts.root: body} if facts.root else body, {}))

    return settle
