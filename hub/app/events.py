"""Events as stored facts: each kept once, corrected when its record is, withdrawn when its condition ceases to hold.

The law: for every entity that stands for itself, an event of it stands (under its name or a name that was merged into
it) exactly if the event's condition holds for its values now; its subject and its moment are those that the values
name. Two things are no contradiction: what a merge alone made true is nothing that anybody did, so no event; and an
event per value (`each`) is history, which stays when the value moves on.

One thing is one event: a condition that held, ceased and holds again is the same event, standing again; nothing is
owed for it a second time. The subject is kept as the entity names it, never as the root that speaks for it after
merges: a merge shows one person's events in the other's time line, and an unmerge gives each his own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hub.app.scene import Scene
from hub.core.canonical import Canonical
from hub.core.rewards import Trigger, triggers_of
from hub.model import EventRow, Json

Members = Callable[[int], Sequence[int]]  # root -> itself and its aliases


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a transaction did to one event of one entity: made it true again, moved it, or ended it."""

    root: int
    trigger: Trigger
    values: Mapping[str, Json]
    stands: bool


def turns_of(root: int, triggers: Iterable[Trigger], before: Mapping[str, Json], after: Mapping[str, Json],
             changed: Iterable[str]) -> list[Turn]:  # fmt: skip
    """What these changes did to events that may be stored already."""
    found, names = [], set(changed)
    for trigger in triggers:
        if not names & trigger.looks_at:
            continue
        if trigger.condition(after):
            found.append(Turn(root=root, trigger=trigger, values=after, stands=True))
        elif not trigger.event.each and trigger.condition(before):
            found.append(Turn(root=root, trigger=trigger, values=after, stands=False))
    return found


def follow(scene: Scene, turns: Sequence[Turn], members: Members) -> dict[str, EventRow]:
    """Bring what is stored in line with what is true now; gives the stored events of these turns, by key."""
    keys = {turn.trigger.key(each, turn.values): turn for turn in turns for each in members(turn.root)}
    known = scene.tx.events_by_keys(keys) if keys else {}
    fitting = [(row, _as_now(scene, row, keys[row.key])) for row in known.values()]
    scene.tx.correct_events([now for row, now in fitting if now != row])
    return {now.key: now for _, now in fitting}


def _as_now(scene: Scene, row: EventRow, turn: Turn) -> EventRow:
    if not turn.stands:
        return row if row.withdrawn_at is not None else replace(row, withdrawn_at=scene.now)
    return replace(
        row, subject_id=subject_of(turn.trigger, row.entity_id, turn.values), withdrawn_at=None,
        at=turn.trigger.moment(turn.values, otherwise=row.at, now=scene.now),
    )  # fmt: skip


def subject_of(trigger: Trigger, entity_id: int, values: Mapping[str, Json]) -> int | None:
    """Whose event it is: as the entity names it, or the entity's own."""
    return values.get(trigger.subject) if trigger.subject else entity_id


def merge_hook(canonical: Canonical, *, currency: str) -> Callable[[Scene, Iterable[int]], None]:
    """What `Hub.on_merges` is to be: called with a scene in which entities were merged or parted, not saved yet."""
    triggers = triggers_of(canonical, currency=currency)

    def on_merges(scene: Scene, roots: Iterable[int]) -> None:
        for root in roots:
            members = [each for each, of in scene.root_of.items() if of == root]
            values = scene.values(root)
            turns = [
                Turn(root=root, trigger=trigger, values=values, stands=trigger.condition(values))
                for trigger in triggers.get(scene.entities[root].type, ())
                if not trigger.event.each
            ]
            follow(scene, turns, lambda _, members=members: members)  # type: ignore[misc]

    return on_merges
