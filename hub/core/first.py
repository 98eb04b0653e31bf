"""First contact of a whole record, in one go: the documents that its cells and states would be packed to.

Most of what a first load brings is one shape: a link that was never read, so every field that is not blank is a claim
of that link, and all these claims have one window. Cells, claims and states made one by one would all say the same;
what is here says it once. Where a record has another shape, these functions give None and the general code is asked.

Invariant: what is built here is, byte for byte, what `observe_cell`, `decide_field` and the packers of `core.shadow`
give for the same record (tests/properties/test_first_contact.py takes whole pages in both ways).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import NamedTuple

from hub.core.canonical import CanonicalField
from hub.core.merge import Voice, place_of
from hub.core.shadow import is_empty
from hub.model import LONG_AGO, NO_VERSION, WHOLE, Json

Own = list[Json]  # a claim as documents write it: [link, after, before, base, taken]

BY_TIME = "by time"  # of two claims of one value, the one made earlier wins
STAYS, YIELDS = "stays", "yields"


def kinds_of(fields: Mapping[str, CanonicalField], names: Iterable[str]) -> dict[str, str]:
    """Field -> kind, of the fields among `names` that links can hold, in the order of their names."""
    return {name: fields[name].kind for name in sorted(names) if not fields[name].derived}


def first_claim(link: int, before: float, version: int) -> Own:
    """What every filled field of a record that was never read says of itself."""
    return [link, LONG_AGO, before, NO_VERSION, version]


def odd_kinds(kinds: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """(field, kind) of the fields whose values must be looked into: the others hold one thing, or nothing."""
    return tuple((name, kind) for name, kind in kinds.items() if kind in ("set", "group", "consent"))


def groups_of(fields: Mapping[str, CanonicalField]) -> dict[str, list[str]]:
    """Group -> its parts, in the order of names."""
    return {name: [*fields[name].parts] for name in sorted(fields) if fields[name].kind == "group"}


def first_held(
    kinds: Mapping[str, str], odd: Sequence[tuple[str, str]], shown: Mapping[str, Json]
) -> tuple[dict[str, Json], list[str]] | None:
    """(field -> value as held, names of those that are claims, in order) of a record that was never read.

    None where a field's claims would not have the window of the read: consent with evidence of its own, and sets that
    name an element twice.
    """
    held = dict(shown) if shown.keys() <= kinds.keys() else {name: shown[name] for name in shown if name in kinds}
    hollow = []
    for name, kind in odd:
        if name not in held:
            continue
        value = held[name]
        if kind == "group":
            if value and is_empty(value):
                hollow.append(name)
        elif kind == "set":
            held[name] = elements = sorted(value or ())
            if len(elements) > 1 and len(elements) != len(set(elements)):
                return None
        elif value is not None:
            if value.get("state") not in ("opted_in", "opted_out"):
                held[name] = None
            elif value.get("at"):
                return None
    get = held.get
    filled = [name for name in kinds if (value := get(name)) or value == 0]  # 0 and False are values
    return held, [name for name in filled if name not in hollow] if hollow else filled


def first_shadow(held: dict[str, Json], filled: Sequence[str], own: Own) -> dict[str, Json]:
    """The document of a link that was read for the first time."""
    return {"held": held, "agreed": NO_VERSION, "own": own if filled else None}


def values_alone(
    groups: Mapping[str, list[str]], held: Mapping[str, Json], filled: Sequence[str], own: Own
) -> tuple[dict[str, Json], dict[str, Json]] | None:
    """(values, fields) of an entity of which nothing is known but one record's first contact.

    None where no field has the short form, so that there is no default to write down.

    Args:
        groups: of `groups_of`.
        filled: fields that it claims, in order.
    """
    values: dict[str, Json] = dict(zip(filled, map(held.__getitem__, filled), strict=True))
    exceptions: dict[str, Json] = {}
    for name, parts in groups.items():
        value = values.get(name)
        if value is not None and [*value] != parts:
            whole = {part: value.get(part) for part in parts}
            if whole != value:
                exceptions[name] = [own[4], {WHOLE: [own[0], value, *own[1:]]}, None]
            values[name] = whole
    if len(exceptions) == len(values):
        return None
    document: dict[str, Json] = {"v": own[4], "m": own}
    if exceptions:
        document["x"] = exceptions
    return values, document


def precedence(field: CanonicalField, old: Voice, new: Voice) -> str:
    """Whether a claim of the link `old` keeps its place when `new`, never read before, claims the same value.

    Over equal values a rule looks only at places, ranks and times (core.merge.pick); a first claim is later than none.
    """
    rule = field.survivorship.rule
    if field.kind == "consent":
        return YIELDS
    if rule in ("manual", "first"):
        return BY_TIME
    ranks = (old.rank, old.link), (new.rank, new.link)
    if rule == "source":
        places = tuple(place_of(field.survivorship.source, voice) for voice in (old, new))
        return STAYS if (places[0], ranks[0]) < (places[1], ranks[1]) else YIELDS
    return STAYS if ranks[0] < ranks[1] else YIELDS


class Standing(NamedTuple):
    """What becomes of a claim when a link that was never read claims the same value, between two connections."""

    yields: frozenset[str]  # fields in which it gives way
    unless_earlier: frozenset[str]  # those, and the ones in which it gives way only if it was not made earlier
    passes: frozenset[str]  # fields in which giving way changes nothing but whose claim is remembered

    @classmethod
    def between(cls, fields: Mapping[str, CanonicalField], old: Voice, new: Voice) -> Standing:
        orders = {name: precedence(field, old, new) for name, field in fields.items()}
        return cls(
            yields=frozenset(name for name, order in orders.items() if order is YIELDS),
            unless_earlier=frozenset(name for name, order in orders.items() if order is not STAYS),
            passes=frozenset(name for name, field in fields.items() if field.kind not in ("set", "consent")),
        )


def undecided(
    entity: Mapping[str, Json],
    values: Mapping[str, Json],
    old: Mapping[str, Json],
    new: Mapping[str, Json],
    filled: Sequence[str],
    standing: Standing,
) -> tuple[list[str], list[str]]:
    """What a second record's first contact may change in an entity with one other link; mostly nothing.

    Args:
        entity: its document; `values` beside it.
        old, new: shadows of the two links.
        filled: fields that the new one claims.

    Returns:
        Fields that must be decided, and fields in which the new claim takes the place of the old one (`taken_over`).
    """
    memory, own = entity.get("m"), new["own"]
    if memory is None or memory.__class__ is not list or memory != old.get("own") or own is None:
        return list(filled), []  # (without claims of its own, a record has filled nothing in)
    exceptions, odd, before, now = entity.get("x"), old.get("x"), old["held"], new["held"]
    weak = standing.yields if memory[2] < own[2] else standing.unless_earlier
    if not exceptions and not odd:
        claimed, stood, value = [*map(now.get, filled)], [*map(before.get, filled)], [*map(values.get, filled)]
        open_: list[str] = []
        if not stood == claimed == value:  # mostly they are, and that is told without a loop
            rows = zip(filled, stood, claimed, value, strict=True)
            open_ = [name for name, was, is_, stands in rows if not was == is_ == stands]
        yielding = [name for name in filled if name in weak and name not in open_] if weak else []
        if not yielding or not memory[1] == own[1] == LONG_AGO or entity["v"] == NO_VERSION:
            return open_ + yielding, []
        sure = standing.passes if memory[2] != own[2] else standing.passes & standing.yields
        taken = [name for name in yielding if name in sure]
        return open_ + [name for name in yielding if name not in sure], taken
    exceptions, odd, found = exceptions or {}, odd or {}, []
    for name in filled:
        claim = now[name]
        if before.get(name) != claim or name in odd or name in weak:
            found.append(name)
        elif name not in exceptions:
            if values.get(name) != claim:
                found.append(name)
        elif exceptions[name][1:] != [{WHOLE: [memory[0], claim, *memory[1:]]}, None]:
            found.append(name)
    return found, []


def taken_over(
    entity: Mapping[str, Json], values: Mapping[str, Json], names: Sequence[str], own: Own
) -> dict[str, Json]:
    """The document of an entity without exceptions after these fields, not blank, are remembered by another claim."""
    rest = [name for name, value in values.items() if name not in names and not is_empty(value)]
    default, few, theirs = entity["m"], names, own
    if len(names) > len(rest) or (len(names) == len(rest) and _first_of(values, names, rest) in names):
        default, few, theirs = own, rest, entity["m"]
    document: dict[str, Json] = {"v": entity["v"], "m": default}
    if few:
        document["x"] = {name: [entity["v"], theirs, None] for name in values if name in few}
    return document


def _first_of(values: Mapping[str, Json], names: Sequence[str], rest: Sequence[str]) -> str:
    return next(name for name in values if name in names or name in rest)


class AllNew(MutableMapping[str, tuple[Json, Json]]):
    """Field -> (old, new) of an entity that was not there before, without a pair for each until it is asked for."""

    __slots__ = ("_more", "_values")

    def __init__(self, values: Mapping[str, Json]) -> None:
        self._values = values
        self._more: dict[str, tuple[Json, Json]] = {}

    def __getitem__(self, name: str) -> tuple[Json, Json]:
        found = self._more.get(name)
        return (None, self._values[name]) if found is None else found

    def __setitem__(self, name: str, change: tuple[Json, Json]) -> None:
        self._more[name] = change

    def __delitem__(self, name: str) -> None:
        raise TypeError("what changed stays changed")

    def __contains__(self, name: object) -> bool:
        return name in self._values or name in self._more

    def __iter__(self) -> Iterator[str]:
        yield from self._values
        yield from (name for name in self._more if name not in self._values)

    def __len__(self) -> int:
        return len(self._values.keys() | self._more.keys())

    def before(self) -> dict[str, Json]:
        """Field -> what stood there."""
        return {**dict.fromkeys(self._values), **{name: old for name, (old, _) in self._more.items()}}
