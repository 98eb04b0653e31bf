"""What a further system holds of the invented company: a twin's `sketch` draws its rows with the pen given here."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hub.twins.company_people import Person
from hub.twins.company_views import Ledger, View, draw_view

Json = Any


@dataclass(kw_only=True)
class Sketch:
    """One system being filled."""

    system: str
    ledger: Ledger
    people: tuple[Person, ...]
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

    def add(
        self,
        stream: str,
        record_id: str,
        created: float,
        fields: dict[str, Json],
        *,
        modified: float | None = None,
        person: Person | None = None,
        external_id: str = "",
    ) -> None:
        """Write a row down; with `person` it is known whom it speaks for, under the id that a connector reads."""
        changed = created if modified is None else modified
        self.ledger.add(self.system, stream, record_id, created, changed, fields)
        if person is not None:
            self.ledger.truth[self.system, stream, external_id or record_id] = person.id
