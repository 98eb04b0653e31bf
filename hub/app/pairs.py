"""What taking in a page finds out about who is who, and how it is kept: pairs to look at, crowded keys, merges seen.

A finding is stored with its page. Nothing here joins anything: a person does, or hub.app.merging for what a system
itself has merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.core.canonical import EntityType
from hub.core.identity import Crowd
from hub.model import Json, LinkRow
from hub.store import Tx
from hub.store.identities import pair_key
from hub.store.rows import IdentityRow

EXAMPLES = 10  # entities named with a crowded key
LONGEST_KEY = 500  # characters
WEAK_KEY = "weak key"
NEVER, ALWAYS, REVIEW, MERGE, CROWDED, PARTED = "never", "always", "review", "merge", "crowded", "parted"


class RecordRuling(NamedTuple):
    """What a person said of a record before it was there."""

    row: IdentityRow
    other: int  # entity of the other record


@dataclass(slots=True, kw_only=True)
class Findings:
    """Of one transaction."""

    weak: list[tuple[int, Mapping[int, str]]] = field(default_factory=list)  # entity, others -> name of the weak key
    crowded: list[Crowd] = field(default_factory=list)
    merged: list[tuple[LinkRow, str]] = field(default_factory=list)  # link that its system merged away, into which id
    parted: list[LinkRow] = field(default_factory=list)  # links whose record came back after a merge
    obeyed: list[tuple[RecordRuling, int]] = field(default_factory=list)  # ruling, entity that the record has now

    def seen_merged(self, link: LinkRow, into: str) -> None:
        self.merged.append((link, into))

    def __bool__(self) -> bool:
        return bool(self.weak or self.crowded or self.merged or self.parted or self.obeyed)


def store_findings(
    tx: Tx, found: Findings, entity_type: Callable[[int], EntityType], *, at: float, run_id: int | None
) -> None:
    """Keep what was found, once the entities it names are stored; what is known already stays as it is."""
    if not found:
        return
    pairs = [(one, other, key) for one, others in found.weak for other, key in others.items()]
    apart = kept_apart(tx, {each for one, other, _ in pairs for each in (one, other)}) if pairs else set()
    tx.add_reviews(
        [
            pair(REVIEW, one, other, by=WEAK_KEY, at=at, run_id=run_id, evidence={"key": key})
            for one, other, key in pairs
            if _ordered(one, other) not in apart
        ]
    )
    tx.add_once([_crowded(entity_type(crowd.owners[0]).name, crowd, at, run_id) for crowd in found.crowded])
    tx.add_once([_merged(link, into, at, run_id) for link, into in found.merged])
    tx.add_once([_parted(link, at, run_id) for link in found.parted])
    _close_obeyed(tx, found.obeyed, at)


def _parted(link: LinkRow, at: float, run_id: int | None) -> IdentityRow:
    key = f"{link.connection}/{link.stream}/{link.external_id}"[:LONGEST_KEY]
    return {
        "kind": PARTED, "key": key, "by": link.connection, "entity_id": link.entity_id, "at": at, "run_id": run_id
    }  # fmt: skip


def _crowded(kind: str, crowd: Crowd, at: float, run_id: int | None) -> IdentityRow:
    return {
        "kind": CROWDED, "key": f"{kind}:{crowd.name}:{crowd.value}"[:LONGEST_KEY], "by": "limits",
        "entity_id": crowd.owners[0], "at": at, "run_id": run_id,
        "evidence": {"key": crowd.name, "value": crowd.value, "entities": list(crowd.owners[:EXAMPLES])},
    }  # fmt: skip


def _merged(link: LinkRow, into: str, at: float, run_id: int | None) -> IdentityRow:
    return {
        "kind": MERGE, "key": f"{link.connection}/{link.stream}/{link.external_id}>{into}"[:LONGEST_KEY],
        "by": link.connection, "other_id": link.entity_id, "at": at, "run_id": run_id,
        "evidence": {
            "connection": link.connection, "stream": link.stream, "from": link.external_id, "into": into
        },
    }  # fmt: skip


def _close_obeyed(tx: Tx, obeyed: Iterable[tuple[RecordRuling, int]], at: float) -> None:
    """The record is there, so its entity is known: the ruling is one about entities from now on."""
    for (row, other), entity_id in obeyed:
        tx.update_identity({**row, "state": "accepted"})
        if row["kind"] == NEVER and entity_id != other:
            ruling = pair(
                NEVER, entity_id, other, by=row["by"], at=at, note=row.get("note", ""), evidence=row.get("evidence")
            )
            tx.add_pair_rulings([ruling])


def pair(
    kind: str,
    one: int,
    other: int,
    *,
    by: str,
    at: float,
    note: str = "",
    score: float | None = None,
    evidence: Json = None,
    run_id: int | None = None,
) -> IdentityRow:
    """A row about two entities, its ends in their order."""
    low, high = _ordered(one, other)
    return {
        "kind": kind, "key": pair_key(low, high), "entity_id": low, "other_id": high, "by": by, "at": at, "note": note,
        "score": score, "evidence": evidence, "run_id": run_id,
    }  # fmt: skip


def _ordered(one: int, other: int) -> tuple[int, int]:
    return min(one, other), max(one, other)


def kept_apart(tx: Tx, roots: Iterable[int]) -> set[tuple[int, int]]:
    """Pairs of roots that a person said are never one, under whatever names."""
    members = {member: root for root, group in tx.alias_closure(roots).items() for member in group}
    apart = set()
    for row in tx.identities_of(members, kind=NEVER):
        ends = [members.get(row["entity_id"] or 0), members.get(row["other_id"] or 0)]
        if row["state"] == "open" and ends[0] is not None and ends[1] is not None:
            apart.add(_ordered(ends[0], ends[1]))
    return apart


def records_of(row: IdentityRow) -> list[tuple[str, str, str]]:
    """The records that a ruling names by where they live."""
    evidence: Json = row.get("evidence") or {}
    return [(each[0], each[1], each[2]) for each in evidence.get("records", ())]
