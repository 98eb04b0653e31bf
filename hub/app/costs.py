"""What reading and writing cost: calls, and the minutes that the limits of a vendor make of them; lower bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil

from hub.app.context import Connection
from hub.app.planned import PlannedWrite
from hub.connector import RateLimit, Stream
from hub.model import Json
from hub.store.rows import RunStreamRow

FETCH = "fetch"


def calls_by_operation(stream: Stream, writes: Sequence[PlannedWrite]) -> Counter[str]:
    """Operation -> calls at least: the writes in full batches, and reading the records once more before.

    The reading before is what keeps a write off a record that moved (design.md §8); records per call are the
    vendor's own figures (`Stream.minimum`).
    """
    ops = Counter(write.op for write in writes)
    per_write = max(1, min(stream.max_batch, stream.minimum.get("write", stream.max_batch)))
    per_fetch = max(1, stream.minimum.get(FETCH, stream.page_size))
    known = len(writes) - ops["create"]
    calls = Counter({op: ceil(count / per_write) for op, count in ops.items()})
    return calls + Counter({FETCH: ceil(known / per_fetch)})


def least_calls(connection: Connection, part: RunStreamRow) -> int:
    """What one stream of one run needs at least: full pages, full batches, one read by id before an update."""
    mapping = connection.mappings.get(part.stream)
    source = part.stream if mapping is None else mapping.source
    facts, counts = connection.streams.get(source), part.counts
    if facts is None:
        return 0
    if part.direction == "in":
        return max(1, ceil(counts.get("rows", 0) / facts.minimum.get("read", facts.page_size)))
    written = counts.get("created", 0) + counts.get("updated", 0)
    reads = ceil(counts.get("updated", 0) / facts.minimum.get(FETCH, facts.page_size))
    return ceil(written / facts.minimum.get("write", facts.max_batch)) + reads


def limits_used(connection: Connection, calls: Mapping[str, int]) -> list[dict[str, Json]]:
    """One row per limit that these calls count against: how much of it they use, and how long they take at least."""
    rows = []
    for limit in connection.connector.limits:
        used = sum(count for name, count in calls.items() if _counts(limit, name))
        if limit.unit != "at_once" and limit.per_s and used:
            allowed = limit.calls * (1 - connection.reserve if limit.shared else 1)
            rows.append(
                {
                    "limit": limit.name, "allowed": round(allowed), "per_s": limit.per_s, "calls": used,
                    "share": round(used / allowed, 4), "minutes": round(_minutes(used, allowed, limit.per_s), 1),
                }
            )  # fmt: skip
    return rows


def _counts(limit: RateLimit, operation: str) -> bool:
    """A limit of named operations counts those; a connector may call its batches batch_create and so on."""
    return not limit.operations or bool({operation, f"batch_{operation}"} & set(limit.operations))


def _minutes(used: float, allowed: float, per_s: float) -> float:
    """The first `allowed` calls go at once; the others as the limit fills up again."""
    return max(0.0, used - allowed) * per_s / allowed / 60
