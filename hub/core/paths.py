"""Where a value stands in a record: compiled getters and setters.

A remote path is written as the vendor writes it: `Email`, `address.line1`, `addresses.0.city`. In a stream with a
`root` it starts there (`root: properties`), a leading `/` starts at the record itself. Literal paths (CSV headers)
are one key, dots and all. Two more places have forms of their own: an answer of a form, an association.

Three things are kept apart: a key that is not there (MISSING: nothing was said), null or empty (blank), and a value.
A null on the way (`address: null`) is blank, not missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from hub.model import Json


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()

Getter = Callable[[Mapping[str, Json]], Json]  # whole record -> value, or MISSING
Setter = Callable[[dict[str, Json], Json], None]  # body of a write (below the root), value


def split_path(text: str, *, literal: bool = False) -> tuple[str, ...]:
    """Keys on the way. A literal path is one key."""
    return (text,) if literal else tuple(text.split("."))


def is_flat(text: str, *, literal: bool = False) -> bool:
    """True if the path is a single key at the root, the fast case."""
    return literal or ("." not in text and not text.startswith("/"))


def make_getter(text: str, *, root: str = "", literal: bool = False) -> Getter:
    """Reads the path from a whole record."""
    keys = split_path(text.removeprefix("/"), literal=literal)
    if root and not text.startswith("/"):
        keys = (*split_path(root), *keys)

    def get(record: Mapping[str, Json]) -> Json:
        value: Json = record
        for key in keys:
            value = _step(value, key)
            if value is MISSING or value is None:
                return value
        return value

    return get


def _step(value: Json, key: str) -> Json:
    if isinstance(value, Mapping):
        return value.get(key, MISSING)
    if isinstance(value, list) and key.isdigit():
        return value[int(key)] if int(key) < len(value) else MISSING
    return MISSING


def make_setter(text: str, *, literal: bool = False) -> Setter:
    """Puts a value into the body of a write, making objects (and lists, for digits) on the way."""
    keys = split_path(text, literal=literal)

    def put(body: dict[str, Json], value: Json) -> None:
        place: Json = body
        for key, following in pairwise(keys):
            place = _descend(place, key, [] if following.isdigit() else {})
        _assign(place, keys[-1], value)

    return put


def _descend(place: Json, key: str, empty: Json) -> Json:
    if isinstance(place, list):
        _assign(place, key, place[int(key)] if int(key) < len(place) and place[int(key)] is not None else empty)
        return place[int(key)]
    return place.setdefault(key, empty)


def _assign(place: Json, key: str, value: Json) -> None:
    if isinstance(place, list):
        place.extend([None] * (int(key) + 1 - len(place)))
        place[int(key)] = value
    else:
        place[key] = value


def make_answer_getter(ref: str, *, kind: str = "", take: str = "label") -> Getter:
    """Reads a form answer by its field's `ref` (else its id), or the first of a type; skipped questions are MISSING.

    A type is that of the answer (number) or of the question (nps, rating).
    The value stands under a key named like the answer's type (Typeform, "Responses": answers). A choice gives its
    `label` (what `take` names: label, ref or id) or the free text typed instead; choices give a list.
    """

    def get(record: Mapping[str, Json]) -> Json:
        answers = record.get("answers")
        for answer in answers if isinstance(answers, list) else ():
            place = answer.get("field") if isinstance(answer, Mapping) else None
            if not isinstance(place, Mapping):
                continue
            if (kind and kind in (answer.get("type"), place.get("type"))) or (
                ref and ref in (place.get("ref"), place.get("id"))
            ):
                return _answer_value(answer, take)
        return MISSING

    return get


def _answer_value(answer: Mapping[str, Json], take: str) -> Json:
    kind = answer.get("type")
    value = answer.get(kind) if isinstance(kind, str) else None
    if kind == "choice" and isinstance(value, Mapping):
        return value.get(take) or value.get("other")
    if kind == "choices" and isinstance(value, Mapping):
        listed = value.get(f"{take}s")
        chosen = listed if isinstance(listed, list) else [listed] if listed else []
        return [*chosen, value["other"]] if value.get("other") else list(chosen)
    return value


def make_association_getter(name: str, stream: str) -> Getter:
    """Reads the id of the associated record: `associations.<stream>.results`, first of type `name`, else untyped.

    A name with a label ("deal_to_contact:Decision maker") stands for associations that carry it, and no others.

    No `associations` at all is MISSING (search results lack them), an empty list is blank.
    HubSpot, "Reading": list with `associations=`.
    """

    def get(record: Mapping[str, Json]) -> Json:
        associations = record.get("associations")
        if not isinstance(associations, Mapping):
            return MISSING
        listed = associations.get(stream)
        results = listed.get("results") if isinstance(listed, Mapping) else None
        found = [each for each in results if isinstance(each, Mapping)] if isinstance(results, list) else []
        named = [each for each in found if each.get("type") in (name, None)] or ([] if ":" in name else found)
        return named[0].get("id") if named else None

    return get
