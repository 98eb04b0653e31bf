"""Values and persons as they were at a moment of the past: what a rule would have seen.

History keeps what changed, merges keep the image of whoever became a name of another. So the past can be asked for
both: who somebody was known as, and what was known of them. Nothing here decides or changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hub.app.merging import UNMERGE
from hub.app.pairs import MERGE
from hub.model import EntityRow, HistoryRow, Json
from hub.store import Tx
from hub.store.rows import IdentityRow

PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """After a transaction, or just before a time; with neither: now."""

    version: int | None = None
    at: float | None = None  # epoch seconds; counts where no version is known

    def precedes(self, version: int, at: float) -> bool:
        """Whether that transaction came later."""
        if self.version is not None:
            return version > self.version
        return self.at is not None and at >= self.at


NOW = Moment()


@dataclass(slots=True, kw_only=True)
class Merge:
    """One entity was a name of another for a while."""

    survivor: int
    alias: int
    version: int
    at: float
    image: Mapping[str, Json]  # values of the alias just before
    undone_version: int | None = None
    undone_at: float = 0.0

    def stands(self, moment: Moment) -> bool:
        if moment.precedes(self.version, self.at):
            return False
        return self.undone_version is None or moment.precedes(self.undone_version, self.undone_at)


@dataclass(slots=True, kw_only=True)
class Past:
    """Reads what was; loads by pages, and each entity once."""

    tx: Tx
    since: float  # changes before that are not known
    rows: dict[int, EntityRow] = field(default_factory=dict)
    changes: dict[int, list[HistoryRow]] = field(default_factory=dict)  # newest first
    merges: dict[int, list[Merge]] = field(default_factory=dict)  # alias -> its merges, oldest first
    kin: dict[int, set[int]] = field(default_factory=dict)  # entity -> all that were ever one with it

    def __post_init__(self) -> None:
        for merge in _merges(self.tx):
            self.merges.setdefault(merge.alias, []).append(merge)
            joined = self.kin_of(merge.alias) | self.kin_of(merge.survivor)
            self.kin |= dict.fromkeys(joined, joined)

    @property
    def merge_versions(self) -> set[int]:
        """Transactions that only merged or parted: what they changed is nothing that anybody did."""
        told = [merge for group in self.merges.values() for merge in group]
        return {each.version for each in told} | {each.undone_version for each in told if each.undone_version}

    def kin_of(self, entity_id: int) -> set[int]:
        return self.kin.get(entity_id) or {entity_id}

    def load(self, ids: Iterable[int]) -> None:
        """One query per table for all that are not known yet."""
        wanted = {kin for each in set(ids) for kin in self.kin_of(each)} - self.changes.keys()
        if not wanted:
            return
        self.rows |= self.tx.entities(wanted)
        told: dict[int, list[HistoryRow]] = {each: [] for each in wanted}
        for row in self.tx.history(wanted, since=self.since):
            told[row.entity_id].append(row)
        self.changes |= {each: rows[::-1] for each, rows in told.items()}

    def root(self, entity_id: int, moment: Moment) -> int:
        """Who stood for an entity at that moment."""
        while (merge := next((m for m in self.merges.get(entity_id, ()) if m.stands(moment)), None)) is not None:
            entity_id = merge.survivor
        return entity_id

    def members(self, root: int, moment: Moment) -> set[int]:
        """All whom it stood for."""
        return {each for each in self.kin_of(root) if self.root(each, moment) == root}

    def values(self, entity_id: int, moment: Moment) -> dict[str, Json]:
        """What was known of an entity under whoever stood for it. It must be loaded."""
        root = self.root(entity_id, moment)
        row = self.rows.get(root)
        if row is None:
            return {}
        merge = next((m for m in self.merges.get(root, ()) if moment.precedes(m.version, m.at)), None)
        values = dict(merge.image if merge is not None else row.values)
        for change in self.changes[root]:
            if not moment.precedes(change.version, change.at):
                break
            if merge is None or change.version < merge.version:
                values |= {name: each.get("old") for name, each in change.changes.items()}
        return values


def _merges(tx: Tx) -> Iterator[Merge]:
    """Every merge that was carried out, oldest first, also those that were taken back."""
    ended = {row["evidence"]["merge"]: row for row in _identities(tx, UNMERGE) if row.get("evidence")}
    done = [row for row in _identities(tx, MERGE) if row["state"] in ("accepted", "undone") and row.get("before")]
    for row in sorted(done, key=lambda each: each["version"]):
        over = ended.get(row["id"])
        yield Merge(
            survivor=row["entity_id"] or 0, alias=row["other_id"] or 0, version=row["version"], at=row["at"],
            image=row["before"]["alias"]["values"],
            undone_version=over["version"] if over is not None else None,
            undone_at=over["at"] if over is not None else 0.0,
        )  # fmt: skip


def _identities(tx: Tx, kind: str) -> Iterator[IdentityRow]:
    after_id = 0
    while rows := tx.identities(kind=kind, limit=PAGE, after_id=after_id):
        yield from rows
        after_id = rows[-1]["id"]
