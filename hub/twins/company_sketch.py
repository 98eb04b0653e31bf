"""What a further system holds of the invented company: a twin's `sketch` draws its rows with the pen given here."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hub.twins.company_people import Firm, Person, Rep
from hub.twins.company_views import Ledger, View, draw_times, draw_view

Json = Any


@dataclass(kw_only=True)
class Sketch:
    """One system being filled."""

    system: str
    ledger: Ledger
    people: tuple[Person, ...]
    firms: tuple[Firm, ...]
    reps: tuple[Rep, ...]
    rng: random.Random

    @property
    def now(self) -> float:
        """Where the company's history ends, a day later."""
        return self.ledger.now

    def chosen(self, share: float) -> Iterator[tuple[Person, View]]:
        """About so many of the people, at least one, each as this system sees him."""
        some = [person for person in self.people if self.rng.random() < share] or list(self.people[:1])
        for person in some:
            yield person, draw_view(self.rng, person, self.now)

    def once(self, share: float) -> Iterator[tuple[Person, View]]:
        """About so many of the people, each address once: few vendors take one twice."""
        taken: set[str] = set()
        for person in self.people:
            if self.rng.random() < share and person.email not in taken:
                taken.add(person.email)
                yield person, draw_view(self.rng, person, self.now)

    def times(self) -> tuple[float, float]:
        """(created, modified) of a record."""
        return draw_times(self.rng, self.now)

    def count(self, stream: str) -> int:
        """Rows of a stream so far."""
        return self.ledger.count(self.system, stream)

    def put(self, stream: str, record_id: str, at: tuple[float, float], fields: dict[str, Json], **whose: Any) -> None:
        """`add`, with both times together."""
        self.add(stream, record_id, at[0], fields, modified=at[1], **whose)

    def add(
        self,
        stream: str,
        record_id: str,
        created: float,
        fields: dict[str, Json],
        *,
        modified: float | None = None,
        person: Person | None = None,
        firm: Firm | None = None,
        rep: Rep | None = None,
        external_id: str = "",
        read_as: str = "",
    ) -> None:
        """Write a row down; with `person`, `firm` or `rep` it is known whose it is.

        Args:
            external_id, read_as: the id, and the stream, under which connectors know it, where they are others.
        """
        changed = created if modified is None else modified
        self.ledger.add(self.system, stream, record_id, created, changed, fields)
        if person is not None:
            self.ledger.truth[self.system, read_as or stream, external_id or record_id] = person.id
        if firm is not None:
            self.ledger.firms[self.system, stream, record_id] = firm.id
        if rep is not None:
            self.ledger.reps[self.system, stream, record_id] = rep.id
