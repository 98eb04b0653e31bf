"""Events as they stood at a moment of the past: whose they were, when they happened, and whether they still held.

What is stored of an event follows its record: a buyer who became known later, a moment that was corrected, a payment
taken back. A trial asks what was known at the time, so each answer is computed from the values of that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hub.app.past_values import Moment, Past
from hub.core.rewards import Trigger
from hub.model import EventRow
from hub.store import Tx

PAGE = 500


def events_named(tx: Tx, names: Iterable[str]) -> list[EventRow]:
    """All events of these names in the order in which they became known."""
    found: list[EventRow] = []
    for name in names:
        after_id = 0
        while rows := tx.events_page(after_id=after_id, limit=PAGE, name=name):
            found += rows
            after_id = rows[-1].id or 0
    return sorted(found, key=lambda event: event.id or 0)


def moment_of(event: EventRow) -> Moment:
    """When it was noticed. One of a first load, or of a hub that kept no version, is judged by the values of today."""
    return Moment() if event.silent or event.version is None else Moment(version=event.version)


@dataclass(slots=True, kw_only=True)
class PastEvents:
    """Events of some names, by those whose they ever were."""

    past: Past
    triggers: Mapping[str, Trigger]  # event name -> how it is told
    events: Sequence[EventRow]
    by_kin: dict[int, list[EventRow]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.past.load(event.entity_id for event in self.events)
        for event in self.events:
            for kin in {min(self.past.kin_of(each)) for each in self._ever(event)}:
                self.by_kin.setdefault(kin, []).append(event)

    def _ever(self, event: EventRow) -> set[int]:
        """Whoever the event was ever of."""
        name = self.triggers[event.name].subject
        if not name:
            return {event.entity_id}
        told = [event.subject_id]
        for each in self.past.kin_of(event.entity_id):
            row = self.past.rows.get(each)
            told += [row.values.get(name)] if row is not None else []
            for change in self.past.changes.get(each, ()):
                if name in change.changes:
                    told += [change.changes[name].get("old"), change.changes[name].get("new")]
        return {each for each in told if isinstance(each, int)}

    def of(self, root: int) -> Sequence[EventRow]:
        """What may have been theirs, or of anybody who was ever one with them."""
        return self.by_kin.get(min(self.past.kin_of(root)), ())

    def subject(self, event: EventRow, moment: Moment) -> int | None:
        """Whose it was, as its record named them."""
        name = self.triggers[event.name].subject
        return self.past.values(event.entity_id, moment).get(name) if name else event.entity_id

    def at(self, event: EventRow, moment: Moment) -> float:
        """When it happened, by what was known."""
        values, now = self.past.values(event.entity_id, moment), event.noticed_at or event.at
        return self.triggers[event.name].moment(values, otherwise=event.at, now=max(now, event.at))

    def ever_at(self, event: EventRow) -> set[float]:
        """Every moment at which it was taken to have happened, in the course of time."""
        versions = {event.version} | {
            change.version
            for each in self.past.kin_of(event.entity_id)
            for change in self.past.changes.get(each, ())
            if self.triggers[event.name].event.at in change.changes
        }
        return {self.at(event, Moment(version=each)) for each in versions if each is not None} | {event.at}

    def stands(self, event: EventRow, moment: Moment) -> bool:
        """Whether it held; one per value is history and stays."""
        trigger = self.triggers[event.name]
        return trigger.event.each != "" or trigger.condition(self.past.values(event.entity_id, moment))
