"""Implausible change is held, not passed on: counts and shares per run, stream and field.

Only what exceeds *both* bounds of a guard is held; a release is a ceiling. While a hold of the same kind is open,
everything that would exceed it joins it, so that a run a minute cannot trickle through what one run may not do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hub.core.canonical import CanonicalField
from hub.core.shadow import is_empty
from hub.model import Json

GUARDS = ("deletes", "blanks", "one_value", "consent_flips", "owner_changes", "creates", "first_contact", "rewards")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Both must be passed to hold."""

    over: int
    share: float  # 0-1 of the stream's live links, for first_contact of the matched records


DEFAULTS: Mapping[str, Bound] = {  # design.md §6, hub.yaml
    "deletes": Bound(over=10, share=0.01),
    "blanks": Bound(over=20, share=0.02),
    "one_value": Bound(over=50, share=0.2),
    "consent_flips": Bound(over=20, share=0.01),
    "owner_changes": Bound(over=50, share=0.1),
    "creates": Bound(over=100, share=0.2),
    "first_contact": Bound(over=50, share=0.5),
    "rewards": Bound(over=20, share=0.1),
}


def exceeds(bound: Bound, count: int, of: int) -> bool:
    """True if the count-th case of a kind, among `of`, is one too many."""
    return count > bound.over and count > bound.share * of


def allowance(bound: Bound, of: int) -> int:
    """How many cases pass before the guard holds."""
    return max(bound.over, int(bound.share * of))


def cell_guards(field: CanonicalField, old: Json, new: Json) -> list[str]:
    """The guards that one incoming cell counts for, when the system was known to hold `old`."""
    kinds = []
    if field.kind == "consent":
        if not is_empty(old) and not is_empty(new) and old["state"] != new["state"]:
            kinds.append("consent_flips")
    elif is_empty(new) and not is_empty(old):
        kinds.append("blanks")
    elif not is_empty(new):
        kinds.append("one_value")
    if field.kind == "ref" and field.to == "owner":
        kinds.append("owner_changes")
    return kinds
