"""Deliveries that are records: how they are kept, and how they are found again.

Some systems send what nobody can read from them afterwards. Such a delivery is stored before it is answered, under a
key of its own, with a hint that names the key; it is taken in from there, like a page, and again after a crash.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from hub.model import SourceRecord
from hub.store import Tx


def as_document(record: SourceRecord) -> bytes:
    """A record as its delivery keeps it."""
    kept = {"external_id": record.external_id, "data": record.data, "stamp": record.stamp}
    if record.op != "upsert":
        kept |= {"op": record.op, "merged_into": record.merged_into}
    return orjson.dumps(kept)


def delivered(tx: Tx, connection: str, keys: Sequence[str]) -> list[SourceRecord]:
    """The records that were stored as deliveries under these keys, in that order; other keys are left out."""
    bodies = tx.deliveries(connection, keys)
    return [SourceRecord(**orjson.loads(bodies[key])) for key in keys if bodies.get(key)]
