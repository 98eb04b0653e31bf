"""Named transforms and wires: value functions with their inverse, found by name, bound to their options once.

A *transform* cleans or rewrites a value of its canonical type; a *wire* says how the vendor writes the type. Inward the
wire comes first, then the transforms in the order of the file; outward the same backwards. Each entry declares the
types it serves and what it loses: a two-way rule with a loss must say `lossy: accept` (else MAP-007), one without an
inverse cannot be two-way at all (MAP-006).

A step's functions are never given a blank; they may return None for one, and raise MappingFault for garbage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hub.core.canonical import CanonicalField, EntityType
from hub.core.formats import MappingFault
from hub.core.mapping import View
from hub.core.values import Normaliser
from hub.model import Json

TEXTS = ("text", "email", "phone", "host", "url", "country", "enum")
SCALAR_TYPES = (*TEXTS, "boolean", "integer", "decimal", "date", "instant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One bound transform."""

    inward: Normaliser | None = None  # None: nothing to do
    inward_in: Callable[[Json, View], Json] | None = None  # instead of inward, where the rest of the record matters
    outward: Normaliser | None = None  # None: nothing to do
    put: Callable[[dict[str, Json], Json], None] | None = None  # further paths that the write fills; gets the value
    put_in: Callable[[dict[str, Json], Json], None] | None = None  # the same, where reading will look for them
    extra_in: tuple[str, ...] = ()  # further remote paths that it reads
    extra_out: tuple[str, ...] = ()  # further remote paths that it writes
    looks_at: tuple[str, ...] = ()  # canonical names it reads beside its own
    two_way: bool = True  # False: it has no inverse
    exact: bool = False  # inward leaves every canonical value as it is, outward nothing happens
    normal: bool = False  # what inward gives is in the type's normal form already, and never blank
    loses: str = ""  # what cannot come back; "" if nothing does


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a transform stands: what it may know beside its options."""

    type: str  # canonical scalar type, or set, group, money, consent
    field: CanonicalField
    entity: EntityType
    remote: str = ""  # path of the rule
    root: str = ""
    literal: bool = False
    currency: str = "EUR"  # the hub's
    country: str | None = None  # the hub's


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a transform."""

    text: str
    kind: str = "text"  # text, texts, integer, boolean, map (text -> text or texts)
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """An entry of the table: what may be written in a mapping, and what it means."""

    name: str
    wire: bool  # written as `wire:`, else in the list of `transforms:`
    types: tuple[str, ...]  # canonical types it serves
    text: str  # one sentence for the reference
    make: Callable[[Mapping[str, Json], Place], Step]
    options: Mapping[str, Option] = field(default_factory=dict)
    alone: str = ""  # option that `{name: value}` sets
    loses: str = ""  # what a two-way rule gives up; stated for the reference


PLUG_INS: list[Transform] = []


def register(transform: Transform) -> Transform:
    """Add a pair written in Python, with its tests beside it.

    Raises:
        ValueError: the name is taken.
    """
    if transform.name in table():
        raise ValueError(f"transform {transform.name} is there already")
    PLUG_INS.append(transform)
    return transform


def bind(transform: Transform, given: Json, place: Place) -> Step:
    """A transform with its options, at its place.

    Args:
        given: None, a mapping of options, or the one value of the transform's `alone` option.

    Raises:
        MappingFault: MAP-004 wrong options, MAP-005 wrong type of field.
    """
    if place.type not in transform.types:
        raise MappingFault("MAP-005", f"{transform.name} does not serve {place.type} fields", _serves(transform))
    options = _options(transform, given)
    return transform.make(options, place)


def _serves(transform: Transform) -> str:
    return f"it serves {', '.join(transform.types)}"


def _options(transform: Transform, given: Json) -> Mapping[str, Json]:
    options = given if isinstance(given, Mapping) else {}
    if given is not None and not isinstance(given, Mapping):
        if not transform.alone:
            raise MappingFault("MAP-004", f"{transform.name} takes no single value", _takes(transform))
        options = {transform.alone: given}
    elif isinstance(given, Mapping) and transform.alone and transform.options[transform.alone].kind == "map":
        options = given if set(given) <= transform.options.keys() else {transform.alone: given}
    unknown = sorted(set(options) - transform.options.keys())
    lacking = [name for name, option in transform.options.items() if option.required and name not in options]
    if unknown or lacking:
        what = f"no option {unknown[0]}" if unknown else f"needs {lacking[0]}"
        raise MappingFault("MAP-004", f"{transform.name}: {what}", _takes(transform))
    return {name: _option(transform, name, value) for name, value in options.items()}


def _takes(transform: Transform) -> str:
    return f"its options: {', '.join(transform.options)}" if transform.options else "it takes none"


def _option(transform: Transform, name: str, value: Json) -> Json:
    option = transform.options[name]
    wrong = MappingFault("MAP-004", f"{transform.name}: {name} should be {option.kind}", option.text)
    if option.kind == "texts":
        value = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) for each in value):
            raise wrong
    elif option.kind == "map":
        if not isinstance(value, Mapping):
            raise wrong
    elif not isinstance(value, {"text": str, "integer": int, "boolean": bool}[option.kind]) or (
        option.kind == "integer" and isinstance(value, bool)
    ):
        raise wrong
    if option.choices and value not in option.choices:
        raise MappingFault("MAP-004", f"{transform.name}: {name} is none of {', '.join(option.choices)}", option.text)
    return value


def table() -> Mapping[str, Transform]:
    """All transforms and wires by name. The entries stand beside their subjects."""
    from hub.core import transforms_numbers, transforms_texts, transforms_times

    shipped = (*transforms_texts.ENTRIES, *transforms_numbers.ENTRIES, *transforms_times.ENTRIES)
    return {entry.name: entry for entry in (*shipped, *PLUG_INS)}
