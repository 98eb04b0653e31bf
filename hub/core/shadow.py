"""The compact documents of a link (`shadow`) and an entity (`fields`): one default, and exceptions per field.

    shadow = {"held": {field: value}, "agreed": version, "own": claim | None, "x": {field: [agreed, claims]}}
    fields = {"v": version, "m": claim | None, "x": {field: [version, claims, ruling, frozen, 1 if withdrawn]}}

A *claim* is written [link, after, before, base, taken] when its value is the field's own (for a set: when every
element was added by that one claim); else claims are written {part: [link, value, after, before, base, taken]}.
The default holds for every field that is not blank; a blank field without exception has no claims.

Invariant: unpacking what was packed gives the same cells (tests/properties/test_shadow.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Self, TypeVar

from hub.model import NO_VERSION, WHOLE, Cell, Claim, FieldState, Json

T = TypeVar("T", Cell, FieldState)
NO_CLAIMS: Mapping[str, Json] = {}


def is_empty(value: Json) -> bool:
    """Nothing there: None, an empty set, or a group (or consent) without a single part."""
    if value.__class__ is str:
        return not value
    if value is None or value == []:
        return True
    return isinstance(value, dict) and [*value.values()].count(None) == len(value)  # asked of each group: no generator


def pack_claims(value: Json, claims: Mapping[str, Claim]) -> Json:
    """The shortest form of a field's claims, given the value that the field has."""
    if not claims:
        return None
    first = next(iter(claims.values()))
    if isinstance(value, list):
        plain = len(claims) == len(value) and all(
            part in claims
            and claims[part].value is True
            and claims[part][2:] == first[2:]
            and claims[part][0] == first[0]
            for part in value
        )
    else:
        plain = len(claims) == 1 and WHOLE in claims and first.value == value
    if plain:
        return [first.link, *first[2:]]
    return {part: list(claim) for part, claim in claims.items()}


def unpack_claims(value: Json, packed: Json) -> dict[str, Claim]:
    """Inverse of pack_claims."""
    if packed is None:
        return {}
    if isinstance(packed, dict):
        return {part: Claim(*claim) for part, claim in packed.items()}
    link, *window = packed
    if isinstance(value, list):
        return {part: Claim(link, True, *window) for part in value}
    return {WHOLE: Claim(link, value, *window)}


Packed = tuple[int, Json]  # a version (agreed, or the value's own), and the claims as pack_claims writes them


def _commonest(packed: Mapping[str, Packed], values: Mapping[str, Json]) -> Packed:
    """What most fields that are not blank have in common, where it has the short form; the first of equals."""
    votes: dict[tuple[int, tuple[Json, ...] | None], int] = {}
    for name, (version, claims) in packed.items():
        if claims.__class__ is not dict and not is_empty(values[name]):
            key = (version, None if claims is None else tuple(claims))
            votes[key] = votes.get(key, 0) + 1
    if not votes:
        return NO_VERSION, None
    version, claim = max(votes, key=votes.__getitem__)
    return version, None if claim is None else list(claim)


class Unpacked(MutableMapping[str, T]):
    """What a document holds per field, unpacked one by one when it is asked for; most of a record is never looked at.

    What was not touched is packed again as it was, without a look.
    """

    __slots__ = ("_document", "_items", "_values")

    def __init__(self, document: Mapping[str, Json], values: Mapping[str, Json]) -> None:
        self._document = document
        self._values = values
        self._items: dict[str, T | None] = dict.fromkeys(values)  # None: not unpacked yet

    def _unpacked(self, name: str) -> T:
        raise NotImplementedError

    def __getitem__(self, name: str) -> T:
        item = self._items[name]
        if item is None:
            item = self._items[name] = self._unpacked(name)
        return item

    def __setitem__(self, name: str, item: T) -> None:
        self._items[name] = item

    def __delitem__(self, name: str) -> None:
        del self._items[name]

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def copy(self) -> Self:
        """Of its own, to be changed."""
        other = type(self)(self._document, self._values)
        other._items = dict(self._items)
        return other


class Shadow(Unpacked[Cell]):
    """The cells of a link."""

    __slots__ = ()

    def _unpacked(self, name: str) -> Cell:
        agreed, claims = self._usual(name)
        return Cell(held=self._values[name], agreed=agreed, own=unpack_claims(self._values[name], claims))

    def _usual(self, name: str) -> Packed:
        found = self._document.get("x", NO_CLAIMS).get(name)
        if found is not None:
            return found[0], found[1]
        return self._document["agreed"], None if is_empty(self._values[name]) else self._document["own"]

    def packed(self) -> tuple[dict[str, Json], dict[str, Packed]]:
        """(field -> held, field -> agreed and claims)."""
        held, packed = {}, {}
        for name, cell in self._items.items():
            held[name] = self._values[name] if cell is None else cell.held
            packed[name] = self._usual(name) if cell is None else (cell.agreed, pack_claims(cell.held, cell.own))
        return held, packed


class States(Unpacked[FieldState]):
    """The fields of an entity."""

    __slots__ = ()

    def _unpacked(self, name: str) -> FieldState:
        version, claims, (ruling, *rest) = self._usual(name)
        value = self._values[name]
        return FieldState(
            value=value, version=version, memory=unpack_claims(value, claims), ruling=ruling,
            frozen=rest[0] if rest else None, withdrawn=len(rest) > 1,
        )  # fmt: skip

    def _usual(self, name: str) -> tuple[int, Json, list[Json]]:
        found = self._document.get("x", NO_CLAIMS).get(name)
        if found is not None:
            return found[0], found[1], found[2:]
        return self._document["v"], None if is_empty(self._values[name]) else self._document["m"], [None]

    def plain(self) -> dict[str, Json]:
        """Field -> value."""
        return {name: self._values[name] if item is None else item.value for name, item in self._items.items()}

    def packed(self) -> dict[str, tuple[int, Json, list[Json]]]:
        """Field -> version, claims, and what few fields have."""
        return {name: self._usual(name) if item is None else _packed_state(item) for name, item in self._items.items()}

    def newest(self) -> int:
        """The highest version that a field has."""
        versions = [self._usual(name)[0] if item is None else item.version for name, item in self._items.items()]
        return max(versions, default=NO_VERSION)

    def repacked(self) -> dict[str, Json] | None:
        """The document, where what nobody looked at outnumbers the rest: so its default stands as it stood."""
        document, values = self._document, self._values
        known = document.get("x", NO_CLAIMS)
        looked = {name: item for name, item in self._items.items() if item is not None or name in known}
        rest = [name for name in self._items if name not in looked and not is_empty(values[name])]
        if not rest or len(rest) <= len(looked):
            return None
        version, memory = document["v"], document["m"]
        exceptions: dict[str, Json] = {}
        for name, item in looked.items():
            if item is None:
                exceptions[name] = known[name]
                continue
            its_version, claims, rare = _packed_state(item)
            usual = None if is_empty(item.value) else memory
            if its_version != version or rare != [None] or claims != usual:
                exceptions[name] = [its_version, claims, *rare]
        found: dict[str, Json] = {"v": version, "m": memory}
        if exceptions:
            found["x"] = exceptions
        return found


def _packed_state(state: FieldState) -> tuple[int, Json, list[Json]]:
    return state.version, pack_claims(state.value, state.memory), _rare(state)


def _rare(state: FieldState) -> list[Json]:
    """What few fields have: ruling, frozen, withdrawn; without what is missing at the end."""
    rare: list[Json] = [state.ruling, state.frozen, 1 if state.withdrawn else None]
    while len(rare) > 1 and rare[-1] is None:
        rare.pop()
    return rare


def pack_shadow(cells: Mapping[str, Cell]) -> dict[str, Json]:
    """Cells of a link -> its document."""
    if isinstance(cells, Shadow):
        held, packed = cells.packed()
    else:
        held = {name: cell.held for name, cell in cells.items()}
        packed = {name: (cell.agreed, pack_claims(cell.held, cell.own)) for name, cell in cells.items()}
    agreed, own = _commonest(packed, held)
    document: dict[str, Json] = {"held": held, "agreed": agreed, "own": own}
    exceptions = {
        name: [its_agreed, claims]
        for name, (its_agreed, claims) in packed.items()
        if its_agreed != agreed or claims != (None if is_empty(held[name]) else own)
    }
    if exceptions:
        document["x"] = exceptions
    return document


def unpack_shadow(document: Mapping[str, Json]) -> Shadow:
    """Inverse of pack_shadow; an empty document is a link that was never read."""
    return Shadow(document, document.get("held") or {})


def pack_fields(states: Mapping[str, FieldState]) -> dict[str, Json]:
    """Field states of an entity -> its document; the values themselves stand in `entity.values`."""
    if isinstance(states, States):
        repacked = states.repacked()
        if repacked is not None:
            return repacked
        values, packed = states.plain(), states.packed()
    else:
        values = {name: state.value for name, state in states.items()}
        packed = {name: _packed_state(state) for name, state in states.items()}
    version, memory = _commonest({name: each[:2] for name, each in packed.items()}, values)
    document: dict[str, Json] = {"v": version, "m": memory}
    exceptions = {
        name: [its_version, claims, *rare]
        for name, (its_version, claims, rare) in packed.items()
        if its_version != version or rare != [None] or claims != (None if is_empty(values[name]) else memory)
    }
    if exceptions:
        document["x"] = exceptions
    return document


def unpack_fields(document: Mapping[str, Json], values: Mapping[str, Json]) -> States:
    """Inverse of pack_fields."""
    return States(document, values if document else {})
