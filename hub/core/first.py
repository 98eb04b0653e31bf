"""First contact of a whole record, in one go: the documents that its cells and states would be packed to.

Most of what a first load brings is one shape: a link that was never read, so every field that is not blank is a claim
of that link, and all these claims have one window. Cells, claims and states made one by one would all say the same;
what is here says it once. Where a record has another shape, these functions give None and the general code is asked.

Invariant: what is built here is, byte for byte, what `observe_cell`, `decide_field` and the packers of `core.shadow`
give for the same record (tests/properties/test_first_contact.py takes whole pages in both ways).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence

from hub.core.canonical import CanonicalField
from hub.core.merge import Voice, place_of
from hub.core.shadow import is_empty
from hub.model import LONG_AGO, NO_VERSION, WHOLE, Json

Own = list[Json]  # a claim as documents write it: [link, after, before, base, taken]

BY_TIME = "by time"  # of two claims of one value, the one made earlier wins
STAYS, YIELDS = "stays", "yields"
_NOT_THERE = object()


def kinds_of(fields: Mapping[str, CanonicalField], names: Iterable[str]) -> dict[str, str]:
    """Field -> kind, of the fields among `names` that links can hold, in the order of their names."""
    return {name: fields[name].kind for name in sorted(names) if not fields[name].derived}


def first_claim(link: int, before: float, version: int) -> Own:
    """What every filled field of a record that was never read says of itself."""
    return [link, LONG_AGO, before, NO_VERSION, version]


def first_held(kinds: Mapping[str, str], shown: Mapping[str, Json]) -> tuple[dict[str, Json], list[str]] | None:
    """(field -> value as held, names of those that are claims, in order) of a record that was never read.

    None where a field's claims would not have the window of the read: consent with evidence of its own, and sets that
    name an element twice.
    """
    held: dict[str, Json] = {}
    filled: list[str] = []
    for name, value in shown.items():
        kind = kinds.get(name)
        if kind is None:
            continue
        if value.__class__ is str:
            held[name] = value
            if value:
                filled.append(name)
            continue
        if value is None and kind != "set":
            held[name] = None
            continue
        if kind == "set":
            value = sorted(value or ())
            if len(value) != len(set(value)):
                return None
        elif kind == "consent" and value is not None:
            if value.get("state") not in ("opted_in", "opted_out"):
                value = None
            elif value.get("at"):
                return None
        held[name] = value
        if value is not None and not is_empty(value):
            filled.append(name)
    filled.sort()
    return held, filled


def first_shadow(held: dict[str, Json], filled: Sequence[str], own: Own) -> dict[str, Json]:
    """The document of a link that was read for the first time."""
    return {"held": held, "agreed": NO_VERSION, "own": own if filled else None}


def values_alone(
    fields: Mapping[str, CanonicalField], held: Mapping[str, Json], filled: Sequence[str], own: Own
) -> tuple[dict[str, Json], dict[str, Json]] | None:
    """(values, fields) of an entity of which nothing is known but one record's first contact; `filled` in order.

    None where no field has the short form, so that there is no default to write down.
    """
    values: dict[str, Json] = dict(zip(filled, map(held.__getitem__, filled), strict=True))
    exceptions: dict[str, Json] = {}
    version = own[4]
    for name, value in values.items():
        if value.__class__ is dict and (field := fields[name]).kind == "group" and [*value] != [*field.parts]:
            whole = {part: value.get(part) for part in field.parts}
            if whole != value:
                exceptions[name] = [version, {WHOLE: [own[0], value, *own[1:]]}, None]
            values[name] = whole
    if len(exceptions) == len(values):
        return None
    document: dict[str, Json] = {"v": version, "m": own}
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


def undecided(
    entity: Mapping[str, Json],
    values: Mapping[str, Json],
    old: Mapping[str, Json],
    new: Mapping[str, Json],
    filled: Sequence[str],
    precedences: Mapping[str, str],
) -> list[str]:
    """Fields that a second record's first contact may change in an entity with one other link; mostly none.

    Args:
        entity: its document; `values` beside it.
        old, new: shadows of the two links.
        filled: fields that the new one claims.
        precedences: field -> of `precedence`.
    """
    memory, own = entity.get("m"), new["own"]
    if memory is None or memory.__class__ is not list or memory != old.get("own") or own is None:
        return list(filled)  # (without claims of its own, a record has filled nothing in)
    exceptions, odd, before, now = entity.get("x"), old.get("x"), old["held"], new["held"]
    earlier = memory[2] < own[2]
    if not exceptions and not odd:
        claimed = [*map(now.__getitem__, filled)]
        if [*map(before.get, filled)] == claimed == [*map(values.get, filled)]:  # mostly, and told without a loop
            return [
                name for name in filled if not ((order := precedences[name]) is STAYS or (earlier and order is BY_TIME))
            ]
        return [
            name
            for name in filled
            if not (before.get(name, _NOT_THERE) == now[name] == values.get(name))
            or not ((order := precedences[name]) is STAYS or (earlier and order is BY_TIME))
        ]
    exceptions, odd, found = exceptions or {}, odd or {}, []
    for name in filled:
        value, order = now[name], precedences[name]
        if (
            before.get(name, _NOT_THERE) != value
            or name in odd
            or not (order is STAYS or (earlier and order is BY_TIME))
        ):
            found.append(name)
        elif name not in exceptions:
            if values.get(name) != value:
                found.append(name)
        elif exceptions[name][1:] != [{WHOLE: [memory[0], value, *memory[1:]]}, None]:
            found.append(name)
    return found


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

    def __iter__(self) -> Iterator[str]:
        yield from self._values
        yield from (name for name in self._more if name not in self._values)

    def __len__(self) -> int:
        return len(self._values.keys() | self._more.keys())
