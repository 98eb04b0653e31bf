"""Who is who: links are followed before keys, strong keys link, weak ones go to a person.

Pure: the store answers which entities carry a key, this decides what that means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hub.core.canonical import EntityType
from hub.core.mapping import keys_of
from hub.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What an unlinked record is."""

    outcome: str  # one, new, ambiguous, keyless
    entity_id: int | None = None
    candidates: tuple[int, ...] = ()  # for ambiguous
    by: str = ""  # the key that decided
    weak: tuple[int, ...] = ()  # entities that share a weak key: for review


def keys_for(entity: EntityType, holdings: Iterable[Mapping[str, Json]]) -> set[tuple[str, str]]:
    """All (key name, key value) that an entity answers to: its values' and those its systems hold."""
    return {(name, value) for values in holdings for name, value, _ in keys_of(entity, values)}


def decide_match(
    entity: EntityType, values: Mapping[str, Json], found: Mapping[tuple[str, str], Sequence[int]]
) -> Match:
    """Decide over one record's keys.

    Args:
        values: the record in canonical terms.
        found: (key name, key value) -> root entities that carry it.
    """
    strong: dict[int, str] = {}
    weak: set[int] = set()
    has_key = False
    for name, value, strength in keys_of(entity, values):
        has_key = has_key or strength == "strong"
        for entity_id in found.get((name, value), ()):
            if strength == "strong":
                strong.setdefault(entity_id, name)
            else:
                weak.add(entity_id)
    maybe = tuple(sorted(weak - set(strong)))
    if len(strong) == 1:
        (entity_id, by), *_ = strong.items()
        return Match(outcome="one", entity_id=entity_id, by=by, weak=maybe)
    if strong:
        return Match(outcome="ambiguous", candidates=tuple(sorted(strong)), weak=maybe)
    return Match(outcome="new" if has_key else "keyless", weak=maybe)
