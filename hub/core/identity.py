"""Who is who: links are followed before keys, strong keys link, weak ones go to a person.

Pure: the store answers which entities carry a key, this decides what that means. A key that too many share is no
evidence, whatever its strength; what a person ruled about a record comes before every key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hub.core.canonical import EntityType
from hub.core.mapping import keys_of
from hub.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """A key that too many share."""

    name: str
    value: str
    owners: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What an unlinked record is."""

    outcome: str  # one, new, ambiguous, keyless
    entity_id: int | None = None
    candidates: tuple[int, ...] = ()  # for ambiguous
    by: str = ""  # the key that decided
    weak: Mapping[int, str] = field(default_factory=dict)  # entities that share a weak key, with its name: for review
    crowded: tuple[Crowd, ...] = ()


NEW, KEYLESS = Match(outcome="new"), Match(outcome="keyless")


def keys_for(entity: EntityType, holdings: Iterable[Mapping[str, Json]]) -> set[tuple[str, str]]:
    """All (key name, key value) that an entity answers to: its values' and those its systems hold."""
    return {(name, value) for values in holdings for name, value, _ in keys_of(entity, values)}


def decide_match(
    entity: EntityType,
    keys: Sequence[tuple[str, str, str]],
    found: Mapping[tuple[str, str], Sequence[int]],
    *,
    here: Mapping[int, int] | None = None,
    apart: Collection[int] = (),
) -> Match:
    """Decide over one record's keys.

    Args:
        keys: of the record, as `keys_of` gives them: (name, value, strength).
        found: (key name, key value) -> root entities that carry it.
        here: root entity -> how many records of this very stream it has already; missing: none.
        apart: root entities that a person said this record does not belong to.
    """
    if not found:
        for key in keys:
            if key[2] == "strong":
                return NEW
        return KEYLESS
    strong: dict[int, str] = {}
    weak: dict[int, str] = {}
    crowded = []
    has_key = False
    for name, value, strength in keys:
        has_key = has_key or strength == "strong"
        owners = [each for each in found.get((name, value), ()) if each not in apart]
        if _is_crowded(entity, owners, here or {}, strength):
            crowded.append(Crowd(name=name, value=value, owners=tuple(owners)))
            continue
        for entity_id in owners:
            (strong if strength == "strong" else weak).setdefault(entity_id, name)
    maybe = {each: name for each, name in sorted(weak.items()) if each not in strong}
    outcome, one = ("new" if has_key else "keyless"), None
    if strong:
        outcome, one = ("one", next(iter(strong))) if len(strong) == 1 else ("ambiguous", None)
    return Match(
        outcome=outcome, entity_id=one, by=strong[one] if one is not None else "", weak=maybe,
        candidates=tuple(sorted(strong)) if one is None else (), crowded=tuple(crowded),
    )  # fmt: skip


def _is_crowded(entity: EntityType, owners: Sequence[int], here: Mapping[int, int], strength: str) -> bool:
    """A key that has brought so many records to one entity, or is shared by so many, says nothing of who it is."""
    full = strength == "strong" and any(here.get(each, 0) >= entity.limits.links for each in owners)
    return full or len(owners) > entity.limits.sharing
