"""The compact documents of a link (`shadow`) and an entity (`fields`): one default, and exceptions per field.

    shadow = {"held": {field: value}, "agreed": version, "own": claim | None, "x": {field: [agreed, claims]}}
    fields = {"v": version, "m": claim | None, "x": {field: [version, claims, ruling, frozen, 1 if withdrawn]}}

A *claim* is written [link, after, before, base, taken] when its value is the field's own (for a set: when every
element was added by that one claim); else claims are written {part: [link, value, after, before, base, taken]}.
The default holds for every field that is not blank; a blank field without exception has no claims.

Invariant: unpacking what was packed gives the same cells (tests/properties/test_shadow.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from hub.model import NO_VERSION, WHOLE, Cell, Claim, FieldState, Json

NO_CLAIMS: Mapping[str, Claim] = {}


def is_empty(value: Json) -> bool:
    """Nothing there: None, an empty set, or a group (or consent) without a single part."""
    if value is None or value == [] or value == "":
        return True
    return isinstance(value, dict) and all(part is None for part in value.values())


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


def _default(packed: Json) -> str | None:
    """A hashable form of a short claim; None where the long form is needed."""
    return None if isinstance(packed, dict) else repr(packed)


def pack_shadow(cells: Mapping[str, Cell]) -> dict[str, Json]:
    """Cells of a link -> its document."""
    packed = {name: (cell.agreed, pack_claims(cell.held, cell.own)) for name, cell in cells.items()}
    votes = Counter(
        (agreed, _default(own))
        for name, (agreed, own) in packed.items()
        if not isinstance(own, dict) and not is_empty(cells[name].held)
    )
    common = votes.most_common(1)[0][0] if votes else (NO_VERSION, "None")
    own_default = next((own for agreed, own in packed.values() if (agreed, _default(own)) == common), None)
    document: dict[str, Json] = {
        "held": {name: cell.held for name, cell in cells.items()},
        "agreed": common[0],
        "own": own_default,
    }
    exceptions = {
        name: [agreed, own]
        for name, (agreed, own) in packed.items()
        if (agreed, own) != ((common[0], None) if is_empty(cells[name].held) else (common[0], own_default))
    }
    if exceptions:
        document["x"] = exceptions
    return document


class Shadow(Mapping[str, Cell]):
    """The cells of a link, unpacked one by one when they are asked for; most of a record is never looked at."""

    __slots__ = ("_agreed", "_cells", "_exceptions", "_held", "_own")

    def __init__(self, document: Mapping[str, Json]) -> None:
        self._held: Mapping[str, Json] = document.get("held") or {}
        self._agreed: int = document.get("agreed", NO_VERSION)
        self._own: Json = document.get("own")
        self._exceptions: Mapping[str, Json] = document.get("x", {})
        self._cells: dict[str, Cell] = {}

    def __getitem__(self, name: str) -> Cell:
        cell = self._cells.get(name)
        if cell is None:
            cell = self._cells[name] = self._unpacked(name)
        return cell

    def _unpacked(self, name: str) -> Cell:
        value = self._held[name]
        if name in self._exceptions:
            agreed, claims = self._exceptions[name]
            return Cell(held=value, agreed=agreed, own=unpack_claims(value, claims))
        if is_empty(value):
            return Cell(held=value, agreed=self._agreed)
        return Cell(held=value, agreed=self._agreed, own=unpack_claims(value, self._own))

    def __contains__(self, name: object) -> bool:
        return name in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def unpack_shadow(document: Mapping[str, Json]) -> Mapping[str, Cell]:
    """Inverse of pack_shadow; an empty document is a link that was never read."""
    return Shadow(document)


def pack_fields(states: Mapping[str, FieldState]) -> dict[str, Json]:
    """Field states of an entity -> its document; the values themselves stand in `entity.values`."""
    packed = {name: (state.version, pack_claims(state.value, state.memory)) for name, state in states.items()}
    votes = Counter(
        (version, _default(memory))
        for name, (version, memory) in packed.items()
        if not isinstance(memory, dict) and not is_empty(states[name].value)
    )
    common = votes.most_common(1)[0][0] if votes else (NO_VERSION, "None")
    memory_default = next((m for v, m in packed.values() if (v, _default(m)) == common), None)
    document: dict[str, Json] = {"v": common[0], "m": memory_default}
    exceptions = {}
    for name, (version, memory) in packed.items():
        usual = (common[0], None) if is_empty(states[name].value) else (common[0], memory_default)
        rare = _rare(states[name])
        if (version, memory) != usual or rare != [None]:
            exceptions[name] = [version, memory, *rare]
    if exceptions:
        document["x"] = exceptions
    return document


def _rare(state: FieldState) -> list[Json]:
    """What few fields have: ruling, frozen, withdrawn; without what is missing at the end."""
    rare: list[Json] = [state.ruling, state.frozen, 1 if state.withdrawn else None]
    while len(rare) > 1 and rare[-1] is None:
        rare.pop()
    return rare


def unpack_fields(document: Mapping[str, Json], values: Mapping[str, Json]) -> dict[str, FieldState]:
    """Inverse of pack_fields."""
    if not document:
        return {}
    version, memory, exceptions = document["v"], document["m"], document.get("x", {})
    states = {}
    for name, value in values.items():
        if name in exceptions:
            its_version, claims, ruling, *rest = exceptions[name]
            states[name] = FieldState(
                value=value, version=its_version, memory=unpack_claims(value, claims), ruling=ruling,
                frozen=rest[0] if rest else None, withdrawn=len(rest) > 1,
            )  # fmt: skip
        elif is_empty(value):
            states[name] = FieldState(value=value, version=version)
        else:
            states[name] = FieldState(value=value, version=version, memory=unpack_claims(value, memory))
    return states
