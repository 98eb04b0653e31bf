"""Do keys identify? How many records of a sample share each key, before a mapping goes live.

A strong key joins by itself: one that many records of one stream share (a switchboard's number, info@) would make one
person of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.core.mapping import StreamMapping, keys_of, to_canonical
from hub.errors import Fault
from hub.model import SourceRecord

TOLERATED = 0.01  # share of records with a strong key that may share it
EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCount:
    """One key of one stream."""

    connection: str
    stream: str
    key: str
    strength: str
    records: int  # read
    with_key: int  # that have it
    shared: int  # of those, that share it with another record
    examples: Sequence[str]  # values that the most records share, with how many

    @property
    def suspicious(self) -> bool:
        """A strong key that joins more than it should."""
        return self.strength == "strong" and self.shared > TOLERATED * self.with_key


def count_keys(connection: str, mapping: StreamMapping, records: Iterable[SourceRecord]) -> list[KeyCount]:
    """Every key of the mapping's entity type, counted over records of one connection."""
    found: dict[str, Counter[str]] = {key.name: Counter() for key in mapping.entity_type.keys}
    total = 0
    for record in records:
        total += 1
        for name, value, _ in keys_of(mapping.entity_type, to_canonical(mapping, record).values):
            found[name][value] += 1
    return [
        KeyCount(
            connection=connection, stream=mapping.name, key=key.name, strength=key.strength, records=total,
            with_key=found[key.name].total(), shared=sum(n for n in found[key.name].values() if n > 1),
            examples=[f"{_plain(value)} ({n})" for value, n in found[key.name].most_common(EXAMPLES) if n > 1],
        )
        for key in mapping.entity_type.keys
    ]  # fmt: skip


def _plain(value: str) -> str:
    return value.replace("\x1f", ", ")


def fault_of(count: KeyCount) -> Fault:
    """What to say of a suspicious key."""
    return Fault(
        code="MAP-048", where=f"{count.connection}/{count.stream}",
        message=f"{count.shared} of {count.with_key} records share their {count.key} with another: "
        + ", ".join(count.examples),
        fix="make the key weak in canonical.yaml, join it with another field, or clean the records up",
    )  # fmt: skip
