"""The company's people as one further system is shown them: who of them it knows, and what it believes of each."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hub.twins.company_people import Firm, Person, Rep
from hub.twins.company_views import Ledger, View, draw_times, draw_view

Json = Any


@dataclass(frozen=True, kw_only=True)
class Cast:
    """What the `write_down` of a system's `<system>_company` module is given."""

    system: str
    ledger: Ledger
    rng: random.Random  # the system's own: what others hold does not depend on it
    people: Sequence[Person]
    firms: Sequence[Firm]
    reps: Sequence[Rep]

    def known(self, share: float) -> Iterator[tuple[Person, View]]:
        """So many of the people, each address once: few vendors take one twice."""
        taken: set[str] = set()
        for person in self.people:
            if self.rng.random() >= share or person.email in taken:
                continue
            taken.add(person.email)
            yield person, draw_view(self.rng, person, self.ledger.now)

    def times(self) -> tuple[float, float]:
        """(created, modified) of a record."""
        return draw_times(self.rng, self.ledger.now)

    def add(self, stream: str, record_id: str, at: tuple[float, float], fields: dict[str, Json]) -> None:
        """One row of the system. Whose record it is, `knows`, `employs` and `staffs` tell."""
        self.ledger.add(self.system, stream, record_id, *at, fields)

    def knows(self, stream: str, external_id: str, person: Person) -> None:
        self.ledger.truth[self.system, stream, external_id] = person.id

    def employs(self, stream: str, external_id: str, firm: Firm) -> None:
        self.ledger.firms[self.system, stream, external_id] = firm.id

    def staffs(self, stream: str, external_id: str, rep: Rep) -> None:
        self.ledger.reps[self.system, stream, external_id] = rep.id
