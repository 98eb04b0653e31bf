"""`hub mapping check --data`: what the systems hold, read as the mappings read it; keys are counted, values tried.

Reads only, stores nothing. What is counted stands in hub.core.check_keys.
"""

from __future__ import annotations

from collections.abc import Iterator

from hub.app.context import Connection, Hub
from hub.core.check_keys import KeyCount, count_keys, fault_of
from hub.core.checks import check_sample
from hub.errors import Fault, HubError
from hub.model import Json, SourceRecord

SAMPLE = 5000  # records of a stream


def check_streams(hub: Hub, *, sample: int = SAMPLE) -> tuple[list[KeyCount], list[Fault]]:
    """Keys of every stream that holds one record per entity; and advice on keys, values and what could not be read.

    Args:
        sample: records that are read of each stream, at most.
    """
    counts: list[KeyCount] = []
    faults: list[Fault] = []
    for connection in hub.connections.values():
        try:
            connection.require()
            for mapping in connection.mappings.values():
                records = list(_records(connection, mapping.source, sample))
                faults += check_sample(mapping, records)
                if not connection.stream_of(mapping).acts:
                    counts += count_keys(connection.name, mapping, records)
        except HubError as error:
            faults.append(Fault(code=error.code, where=connection.name, message=error.message, fix=error.fix))
    return counts, faults + [fault_of(each) for each in counts if each.suspicious]


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
