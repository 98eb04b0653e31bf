"""Deciding once more: an entity's fields from the evidence that is stored, held against the values that are stored.

The very functions that decide (hub.core.merge) decide again; so a value without the evidence for it, or a rule that
was changed and never applied, is found (law L21). Pure, like the decision itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hub.core.canonical import CanonicalField
from hub.core.merge import Voice, decide, evidence, is_frozen
from hub.model import Cell, Claim, FieldState, Json, RulingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """What the stored evidence of one field comes to."""

    value: Json
    winners: Mapping[str, Claim]  # part -> claim
    decided_by: str  # "rule:source", "ruling:7", "frozen", "" without any evidence
    same: bool  # value and winners are those that are stored


def recompute(
    field: CanonicalField,
    cells: Mapping[int, Cell],
    state: FieldState,
    voices: Mapping[int, Voice],
    ruling: RulingRow | None,
) -> Recomputed:
    """Decide one field from its cells, its memory and its ruling, as if it had no value yet.

    Only parts of a group that nobody has ever claimed are taken from the value that stands (design.md §4 rule 8).
    """
    known = state.value if field.kind == "group" else [] if field.kind == "set" else None
    if is_frozen(state, ruling):
        return Recomputed(value=state.value, winners=state.memory, decided_by="frozen", same=bool(state.memory))
    found = evidence(field, cells, [state], voices)
    value, winners = decide(field, found, known, voices)
    rule = "consent" if field.kind == "consent" else field.survivorship.rule
    decided_by = f"rule:{rule}" if winners else ""
    if ruling is not None:
        value, decided_by = ruling.value, f"ruling:{ruling.id}"
    alike = value == state.value and (ruling is None or state.ruling == ruling.id)
    return Recomputed(
        value=value, winners=winners, decided_by=decided_by, same=alike and _who(winners) == _who(state.memory)
    )


def _who(winners: Mapping[str, Claim]) -> dict[str, int]:
    return {part: claim.link for part, claim in winners.items()}
