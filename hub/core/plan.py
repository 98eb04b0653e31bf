"""What each linked system still lacks: pure planning over entities, links and mappings.

A write is due when the link does not hold the entity's value and either says so itself (it has a claim) or was last
given an older version (design.md §4, idea 2). Direction, blanks, scope and open decisions are weighed here and
nowhere else, so that a write against them cannot even be planned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from hub.core.canonical import CanonicalField, EntityType
from hub.core.mapping import StreamMapping, blank_policy, held_form
from hub.core.merge import is_frozen, is_open
from hub.core.planted import PLANTED
from hub.core.shadow import is_empty
from hub.core.values import same
from hub.model import NO_VERSION, Cell, FieldState, Json, LinkRow, LinkState, RulingRow

NEVER_GIVEN = Cell()


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One link's overdue fields."""

    fields: tuple[str, ...]
    waiting: tuple[str, ...]  # fields that a person must decide first


def is_due(
    field: CanonicalField, cell: Cell | None, state: FieldState, mapping: StreamMapping, ruling: RulingRow | None
) -> str:
    """ "due", "waits" (a person first), or "" for one field of one live link."""
    cell = cell or NEVER_GIVEN
    if state.version == NO_VERSION or same(field, state.value, cell.held):
        return ""
    if is_empty(state.value):  # an emptied set is a value: its elements were taken out one by one
        policy = blank_policy(mapping, field.name).outward
        keeps = field.kind != "set" and policy == "keep" and ruling is None and not state.withdrawn
        if is_empty(cell.held) or keeps:
            return ""
    if field.kind == "consent" and is_empty(state.value):
        return ""
    if "push_if_differs" not in PLANTED and not (cell.own or cell.agreed < state.version):
        return ""
    if is_frozen(state, ruling):
        return "waits"
    expected = held_form(mapping, field.name, state.value)
    if "push_if_differs" not in PLANTED and same(field, expected, cell.held):
        return ""  # all of the value that this system has a form for
    if "write_over_questions" not in PLANTED and cell.own and is_open(cell, field, ruling, expected):
        return "waits"
    return "due"


def fields_due(
    entity: EntityType,
    mapping: StreamMapping,
    states: Mapping[str, FieldState],
    cells: Mapping[str, Cell],
    rulings: Mapping[str, RulingRow],
    *,
    names: Iterable[str] | None = None,
) -> Due:
    """What one live link lacks, over the fields that its mapping may write (or those of `names` among them)."""
    due, waiting = _cases_due(mapping, states, cells, names), []
    for name in sorted(mapping.out_fields if names is None else mapping.out_fields & frozenset(names)):
        state = states.get(name)
        if state is None:
            continue
        match is_due(entity.fields[name], cells.get(name), state, mapping, rulings.get(name)):
            case "due":
                due.append(name)
            case "waits":
                waiting.append(name)
    return Due(fields=tuple(due), waiting=tuple(waiting))


CASE = "="  # cells of what is computed on the way out are named by this and the case's name


def _cases_due(
    mapping: StreamMapping,
    states: Mapping[str, FieldState],
    cells: Mapping[str, Cell],
    names: Iterable[str] | None,
) -> list[str]:
    """Computed values that the system was last given otherwise; they have no claims, so what was sent is held.

    A value put back by an undo stays until something that it is computed from changes again.
    """
    asked = None if names is None else frozenset(names)
    cases = [case for case in mapping.cases if asked is None or case.uses & asked]
    if not cases:
        return []
    values = {name: state.value for name, state in states.items()}
    found = []
    for case in cases:
        cell = cells.get(CASE + case.name, NEVER_GIVEN)
        newest = max((states[name].version for name in case.uses if name in states), default=NO_VERSION)
        if case.compute(values) != cell.held and (cell.agreed == NO_VERSION or cell.agreed < newest):
            found.append(CASE + case.name)
    return found


def wants_create(
    mapping: StreamMapping, values: Mapping[str, Json], siblings: Iterable[LinkRow], *, creates: bool
) -> bool:
    """True if this stream should get a record for an entity that has none here.

    Args:
        siblings: every link of the entity's closure at this connection into streams of the same entity type (no
            streams of acts), whatever its state: a record that is gone is not made again (law L7).
        creates: the connector can create in this stream.
    """
    if "recreate_gone" in PLANTED:
        siblings = [link for link in siblings if link.state != LinkState.GONE]
    if not creates or any(True for _ in siblings):
        return False
    return mapping.allows_create(values) and mapping.in_scope(values)


REMOVALS = ("archive", "delete")  # operations that end a record over there


def removal(asked: str, allowed: str, writes: Collection[str]) -> str | None:
    """What a delete seen in one system does in another; None: nothing.

    Args:
        asked: by the mapping of the system where it was seen (`deletes: in`).
        allowed: by the mapping of the other one (`deletes: out`). The milder of the two holds.
        writes: what the other system can. An archive may stand in for a delete, never the other way round.
    """
    if asked not in REMOVALS or allowed not in REMOVALS:
        return None
    mild = "archive" if "archive" in (asked, allowed) else "delete"
    return next((each for each in (mild, "archive") if each in writes), None)


def erases(mapping: StreamMapping, name: str, *names: str) -> bool:
    """Whether a blank from this system (its connection and connector names) is a claim: the blank policy `in`."""
    policy = blank_policy(mapping, name)
    return policy.inward == "erase" or (policy.inward == "erase_if_from" and any(n in policy.erase_from for n in names))
