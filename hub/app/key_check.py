"""Do keys identify? Each stream is read as its mapping reads it, and how many records share a key is counted.

Asked before a mapping goes live: a strong key joins by itself, and one that many records of one stream share (a
switchboard's number, info@) would make one person of them. Reads only, stores nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from hub.app.context import Connection, Hub
from hub.core.mapping import StreamMapping, to_canonical
from hub.core.values import keys_of
from hub.errors import Fault, HubError
from hub.model import Json, SourceRecord

SAMPLE = 5000  # records of a stream
TOLERATED = 0.01  # share of records with a strong key that may share it
EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCount:
    """One key of one stream."""

    connection: str
    stream: str
    entity: str
    key: str
    strength: str
    records: int  # read
    with_key: int  # that have it
    shared: int  # of those, that share it with another record
    examples: Sequence[tuple[str, int]]  # values that the most records share, with how many

    @property
    def suspicious(self) -> bool:
        """A strong key that joins more than it should."""
        return self.strength == "strong" and self.shared > TOLERATED * self.with_key


def count_keys(hub: Hub, *, sample: int = SAMPLE) -> tuple[list[KeyCount], list[Fault]]:
    """Keys of every stream that holds one record per entity; and what could not be read, or is suspicious.

    Args:
        sample: records that are read of each stream, at most.
    """
    counts: list[KeyCount] = []
    faults: list[Fault] = []
    for connection in hub.connections.values():
        try:
            connection.require()
            for mapping in connection.mappings.values():
                if not connection.stream_of(mapping).acts and mapping.entity_type.keys:
                    counts += _count(connection, mapping, sample)
        except HubError as error:
            faults.append(Fault(code=error.code, where=connection.name, message=error.message, fix=error.fix))
    return counts, faults + [_fault(each) for each in counts if each.suspicious]


def _count(connection: Connection, mapping: StreamMapping, sample: int) -> list[KeyCount]:
    found: dict[str, Counter[str]] = {key.name: Counter() for key in mapping.entity_type.keys}
    total = 0
    for record in _records(connection, mapping.source, sample):
        total += 1
        for name, value, _ in keys_of(mapping.entity_type, to_canonical(mapping, record).values):
            found[name][value] += 1
    return [
        KeyCount(
            connection=connection.name, stream=mapping.name, entity=mapping.entity, key=key.name,
            strength=key.strength, records=total, with_key=found[key.name].total(),
            shared=sum(n for n in found[key.name].values() if n > 1),
            examples=[(_plain(v), n) for v, n in found[key.name].most_common(EXAMPLES) if n > 1],
        )
        for key in mapping.entity_type.keys
    ]  # fmt: skip


def _records(connection: Connection, source: str, sample: int) -> Iterator[SourceRecord]:
    """The first records of a stream, without those that are gone."""
    cursor: Json = None
    left = sample
    while left > 0:
        page = connection.connector.pull(connection.api, source, cursor)
        living = [record for record in page.records if record.op in ("upsert", "restore")][:left]
        yield from living
        left -= len(living)
        if page.complete or page.next_cursor == cursor:
            return
        cursor = page.next_cursor


def _plain(value: str) -> str:
    return value.replace("\x1f", ", ")


def _fault(count: KeyCount) -> Fault:
    examples = "; ".join(f"{value} {many} times" for value, many in count.examples)
    return Fault(
        code="MAP-048", where=f"{count.connection}/{count.stream}",
        message=f"{count.shared} of {count.with_key} records share their {count.key} with another: {examples}",
        fix="make the key weak in canonical.yaml, join it with another field, or clean the records up",
    )  # fmt: skip


def told(counts: Sequence[KeyCount]) -> list[dict[str, Json]]:
    """For people and programs."""
    return [{**asdict(each), "examples": [f"{value} ({many})" for value, many in each.examples]} for each in counts]
