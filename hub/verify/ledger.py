"""The reward ledger in memory, for histories by the ten thousand: the store's promises without its tables.

Only what `hub.app.reward_orders` and `hub.app.reward_moves` ask of a transaction. A transaction works on copies, and
what it changed is there wholly or not at all; around it are the same seams as around the real store's. That the real
store keeps these promises, on both databases, is what tests/properties/test_reward_laws.py and tests/store are for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from hub.errors import NotFound
from hub.model import Grant, Json


@dataclass(slots=True)
class Books:
    """Everything that a backup holds."""

    grants: dict[int, Grant] = field(default_factory=dict)
    entries: dict[int, list[str]] = field(default_factory=dict)  # grant -> kinds of its lines, oldest first
    reserved: int = 0
    spent: int = 0
    roots: dict[int, int] = field(default_factory=dict)  # person -> the one he turned out to be

    def root(self, person: int) -> int:
        while person in self.roots and self.roots[person] != person:
            person = self.roots[person]
        return person


class Ledger:
    """Stands where a hub has its store."""

    place = None  # it lies in memory

    def __init__(self, seam: Callable[[str], None]) -> None:
        self.books = Books()
        self._seam = seam

    @contextmanager
    def transaction(self, *, relaxed: bool = False) -> Iterator[LedgerTx]:
        self._seam("begin")
        tx = LedgerTx(self.books)
        yield tx
        self._seam("commit:before")
        tx.write_to(self.books)
        self._seam("commit:after")

    @contextmanager
    def reading(self) -> Iterator[LedgerTx]:
        yield LedgerTx(self.books)

    def copy(self) -> Books:
        return deepcopy(self.books)


class LedgerTx:
    """One transaction: reads what was committed and what it changed itself."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._grants: dict[int, Grant] = {}
        self._lines: list[tuple[int, str]] = []
        self.reserved, self.spent = books.reserved, books.spent

    def write_to(self, books: Books) -> None:
        books.grants.update(self._grants)
        for grant_id, kind in self._lines:
            books.entries.setdefault(grant_id, []).append(kind)
        books.reserved, books.spent = self.reserved, self.spent

    # Grants

    def grant(self, id: int) -> Grant:
        found = self._grants.get(id) or self._books.grants.get(id)
        if found is None:
            raise NotFound(f"there is no grant {id}", where=f"grant {id}")
        return replace(found)

    def grants(
        self,
        state: str | None = None,
        connection: str | None = None,
        *,
        rule: str | None = None,
        subject_id: int | None = None,
        limit: int = 500,
        after_id: int = 0,
    ) -> list[Grant]:
        known = {**self._books.grants, **self._grants}
        found = [
            replace(g)
            for i, g in sorted(known.items())
            if i > after_id
            and state in (None, g.state)
            and rule in (None, g.rule)
            and subject_id in (None, g.subject_id)
        ]
        return found[:limit]

    def add_grant(self, row: Grant) -> bool:
        if any(each.key == row.key for each in self.grants(limit=10**9)):
            return False
        self._grants[row.id] = replace(row)
        return True

    def update_grants(self, rows: Sequence[Grant]) -> None:
        self._grants |= {row.id: replace(row) for row in rows}

    def add_grant_entry(self, grant_id: int, kind: str, amount: str, at: float, detail: str = "") -> None:
        self._lines.append((grant_id, str(kind)))

    def entries(self, grant_id: int) -> list[Any]:
        fresh = [kind for each, kind in self._lines if each == grant_id]
        return [SimpleNamespace(kind=kind) for kind in [*self._books.entries.get(grant_id, ()), *fresh]]

    # Money

    def reserve(self, budget: str, period: str, amount_minor: int, cap: int) -> bool:
        if self.reserved + self.spent + amount_minor > cap:
            return False
        self.reserved += amount_minor
        return True

    def spend(self, budget: str, period: str, amount_minor: int) -> bool:
        if amount_minor > self.reserved:
            return False
        self.reserved, self.spent = self.reserved - amount_minor, self.spent + amount_minor
        return True

    def give_back(self, budget: str, period: str, amount_minor: int, *, spent: bool = False) -> bool:
        if amount_minor > (self.spent if spent else self.reserved):
            return False
        if spent:
            self.spent -= amount_minor
        else:
            self.reserved -= amount_minor
        return True

    # People

    def roots(self, ids: Iterable[int]) -> dict[int, int]:
        return {each: self._books.root(each) for each in ids}

    def alias_closure(self, root_ids: Iterable[int]) -> dict[int, list[int]]:
        people = {grant.subject_id for grant in {**self._books.grants, **self._grants}.values()} | {*self._books.roots}
        return {
            root: [root, *sorted(each for each in people if each != root and self._books.root(each) == root)]
            for root in root_ids
        }

    def events_page(self, after_id: int = 0, limit: int = 500) -> list[Any]:
        return []

    # What else a restored store is asked

    def entities(self, ids: Sequence[int], *, lock: bool = False) -> dict[int, Json]:
        return {}

    def skip_numbers(self, n: int) -> None:
        """Grants of these histories are numbered by their orders."""

    def settings(self, prefix: str = "") -> dict[str, Json]:
        return {}

    def setting(self, name: str) -> Json:
        return "the simulator's key"

    def code_key(self) -> str:
        return "the simulator's lot"

    def audit(self, by: str, action: str, target: str, before: Json, after: Json, at: float) -> None:
        """Nobody reads it here."""
