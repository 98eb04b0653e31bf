"""What people ask to see, as plain dictionaries that are JSON as they stand. Times are ISO 8601, UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Protocol, TypeVar

from hub.app.context import Connection, Hub, connection_of
from hub.app.costs import least_calls
from hub.app.reward_book import RewardRow, approve, cancel, confirm, decline, list_rewards, show_reward
from hub.core.schedule import rhythm_of
from hub.core.values import MappingFault, currency_exponent
from hub.errors import ConfigFault, HubError, NotFound
from hub.model import ConflictRow, HoldRow, Json, QuarantineRow, RunRow
from hub.store import Tx
from hub.store.rows import RunStreamRow
from hub.store.runs import FOR_EVER

PAGE = 1000

Dict = dict[str, Json]


def iso(at: float | None) -> str | None:
    """Epoch seconds as people and JSON have them; None, and the open end of a window, stay None."""
    if at is None or at < 0:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Numbered(Protocol):
    @property
    def id(self) -> int | None: ...


Row = TypeVar("Row", bound=_Numbered)


def places_of(currency: str) -> int:
    """Decimal places of a currency; two for a code that is none."""
    try:
        return currency_exponent(currency)
    except MappingFault:
        return 2


def all_rows(page: Callable[..., Sequence[Row]]) -> Iterator[Row]:
    """Every row of a list that comes in pages."""
    after_id = 0
    while rows := page(limit=PAGE, after_id=after_id):
        yield from rows
        after_id = rows[-1].id or 0


# Connections


def connections(hub: Hub) -> list[Dict]:
    """Every connection of hub.yaml, with what waits there."""
    with hub.store.reading() as tx:
        behind, waiting = tx.count_behind(), tx.count_quarantine()
        return [_connection(hub, tx, each, behind, waiting) for each in hub.connections.values()]


def count_entities(hub: Hub, tx: Tx) -> dict[str, int]:
    """Entity type -> how many live ones; in a large store perhaps of a moment ago."""
    return hub.counts.of("entities", hub.clock.now, tx.count_entities)


def schedule_in_words(connection: Connection) -> str:
    """Every schedule that a stream of it has, each once: "every 5m, at 0 6 * * 1-5 (Europe/Berlin)"."""
    intervals = [f"every {duration_of(each)}" for each in sorted(set(connection.every_s.values()))]
    calendar = [f"at {each.text} ({each.zone})" for each in dict.fromkeys(connection.crons.values())]
    return ", ".join([*intervals, *calendar])


def duration_of(seconds: float) -> str:
    """5400 -> 1h30m, as hub.yaml reads it."""
    rest, found = int(seconds), ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        found += f"{number}{unit}" if number else ""
    return found or "0s"


def _connection(
    hub: Hub, tx: Tx, each: Connection, behind: Mapping[tuple[str, str], int], waiting: Mapping[tuple[str, str], int]
) -> Dict:
    last = tx.runs(limit=1, connection=each.name)
    states: list[Mapping[str, int]] = [
        hub.counts.of(f"{each.name}/{stream}", hub.clock.now, partial(tx.count_links, each.name, stream))
        for stream in each.mappings
    ]
    links = sum(counts.get("live", 0) for counts in states)
    return {
        "connection": each.name,
        "connector": each.connector.name,
        "mode": each.mode,
        "state": "broken" if each.fault else "ready",
        "code": each.fault.code if each.fault else "",
        "fault": str(each.fault) if each.fault else "",
        "streams": list(each.in_order()),
        "schedule": schedule_in_words(each),
        "next_slot": iso(rhythm_of(each.name, each.every_s, each.crons).following(hub.clock.now())),
        "mapping_version": each.mapping_version,
        "records": links,
        "behind": sum(n for (name, _), n in behind.items() if name == each.name),
        "quarantine": sum(n for (name, _), n in waiting.items() if name == each.name),
        "last_run": iso(last[0].started_at) if last else None,
        "last_status": last[0].status if last else "never",
    }


def try_connection(hub: Hub, name: str) -> Dict:
    """Speak to a system once; gives who we are there. Raises HubError if it cannot be reached or refuses us."""
    connection = connection_of(hub, name)
    connection.require()
    return {"connection": name, "connector": connection.connector.name, **connection.connector.check(connection.api)}


def try_all(hub: Hub, names: Sequence[str]) -> list[Dict]:
    """`try_connection` for several, none of them stopping the others; what failed says so in code and fault."""
    found = []
    for name in names or list(hub.connections):
        try:
            found.append({**try_connection(hub, name), "state": "ready", "code": "", "fault": ""})
        except HubError as fault:
            found.append({"connection": name, "state": "broken", "code": fault.code, "fault": str(fault)})
    return found


def discover(hub: Hub, name: str, stream: str | None = None) -> list[Dict]:
    """Streams of a system, or the fields of one as the live system describes them, with what is mapped."""
    connection = connection_of(hub, name)
    connection.require()
    if stream is None:
        return [_stream(connection, each) for each in connection.streams]
    if stream not in connection.streams:
        known = ", ".join(connection.streams)
        raise NotFound(f"{name} has no stream {stream}", where=name, fix=f"known are: {known}")
    mapped = {
        rule.remote_in or rule.remote_out: rule.name
        for mapping in connection.mappings_from(stream)
        for rule in mapping.rules
    }
    found = connection.connector.discover(connection.api, stream)
    return [{**asdict(each), "mapped_to": mapped.get(each.name, "")} for each in found]


def _stream(connection: Connection, name: str) -> Dict:
    stream = connection.streams[name]
    entities = sorted({mapping.entity for mapping in connection.mappings_from(name)})
    return {
        "stream": name, "entities": entities, "writes": sorted(stream.writes), "deletes": stream.deletes,
        "cursor": stream.cursor, "page": stream.page_size,
    }  # fmt: skip


# Runs


def runs(hub: Hub, *, connection: str | None = None, limit: int = 50, before_id: int = 2**62) -> list[Dict]:
    """Runs, newest first; older ones than one."""
    with hub.store.reading() as tx:
        rows = tx.runs(limit=limit, connection=connection, before_id=before_id)
        parts = tx.run_streams_of([row.id for row in rows]) if rows else []
    return [_run(hub, row, [part for part in parts if part.run_id == row.id]) for row in rows]


def slots(hub: Hub, *, connection: str | None = None, limit: int = 50, before: float = FOR_EVER) -> list[Dict]:
    """Scheduled moments and what became of each, newest first; earlier ones than one."""
    with hub.store.reading() as tx:
        found = tx.slots(connection, limit=limit, before=before)
    return [
        {"connection": row.connection, "due_at": iso(row.due_at), "outcome": row.outcome, "why": row.why}
        for row in found
    ]


def run(hub: Hub, run_id: int, *, most: int | None = None) -> Dict:
    """One run with its streams, its writes, and what it left for people; of each at most so many. Raises NotFound."""
    with hub.store.reading() as tx:
        parts = tx.run_streams(run_id)
        found = _run(hub, tx.run(run_id), parts)
        found["streams"] = [
            {"stream": row.stream, "direction": row.direction, "counts": dict(row.counts)} for row in parts
        ]
        found["writes"] = [
            {
                "connection": each.connection, "stream": each.stream, "external_id": each.external_id, "op": each.op,
                "state": each.state, "entity": each.entity_id, "before": each.before, "values": each.values,
            }
            for each in tx.intents_of_run(run_id, limit=most)
        ]  # fmt: skip
        found["conflicts"] = [_conflict(tx, row) for row in tx.conflicts(run_id=run_id, limit=most or 500)]
        found["quarantine"] = [
            quarantine_line(row) for row in tx.quarantine(state=None, run_id=run_id, limit=most or 500)
        ]
        found["holds"] = [hold_row(row) for row in tx.holds(run_id=run_id)]
    return found


def _run(hub: Hub, row: RunRow, parts: Sequence[RunStreamRow]) -> Dict:
    """With the fewest calls that the vendor's interface allows for it; None where there is nothing to call."""
    connection = hub.connections.get(row.connection)
    calls = connection is not None and bool(connection.connector.limits)
    return {
        "run": row.id, "connection": row.connection, "kind": row.kind, "status": row.status,
        "started_at": iso(row.started_at), "ended_at": iso(row.ended_at), "counts": dict(row.counts),
        "error": row.error,
        "minimum": sum(least_calls(connection, part) for part in parts) if connection is not None and calls else None,
    }  # fmt: skip


# Conflicts


def conflicts(hub: Hub, *, state: str | None = "open", field: str | None = None) -> list[Dict]:
    """Conflicts in the order in which they came; state None asks for all."""
    with hub.store.reading() as tx:
        return [_conflict(tx, row) for row in all_rows(partial(tx.conflicts, state=state, field=field))]


def conflict(hub: Hub, conflict_id: int) -> Dict:
    """One conflict with its candidates. Raises NotFound."""
    with hub.store.reading() as tx:
        return _conflict(tx, tx.conflict(conflict_id))


def _conflict(tx: Tx, row: ConflictRow) -> Dict:
    entity = tx.entities([row.entity_id]).get(row.entity_id)
    return {
        "conflict": row.id, "entity": f"{entity.type if entity else 'entity'}:{row.entity_id}", "field": row.field,
        "kind": row.kind, "state": row.state, "decided_by": row.decided_by, "winner": row.winner,
        "candidates": [_candidate(each) for each in row.candidates], "digest": row.digest, "at": iso(row.at),
        "run": row.run_id, "note": row.note,
    }  # fmt: skip


def _candidate(each: Mapping[str, Json]) -> Dict:
    return {
        "connection": each.get("connection"), "value": each["value"], "part": each.get("part", ""),
        "won": bool(each.get("won")), "after": iso(each["after"]), "before": iso(each["before"]), "link": each["link"],
    }  # fmt: skip


# Holds and quarantine


def holds(hub: Hub, *, state: str | None = "open") -> list[Dict]:
    """What guards keep back, or kept back; state None asks for all."""
    with hub.store.reading() as tx:
        return [hold_row(row) for row in all_rows(partial(tx.holds, state=state))]


def hold_row(row: HoldRow) -> Dict:
    return {
        "hold": row.id, "guard": row.guard, "connection": row.connection, "stream": row.stream, "field": row.field,
        "count": row.count, "of": row.of, "state": row.state, "message": row.message, "at": iso(row.at),
        "run": row.run_id,
    }  # fmt: skip


def quarantine(hub: Hub, *, state: str | None = "open", connection: str | None = None) -> list[Dict]:
    """What could not be mapped, checked or written; state None asks for all."""
    with hub.store.reading() as tx:
        return [quarantine_line(row) for row in all_rows(partial(tx.quarantine, state=state, connection=connection))]


def quarantined(hub: Hub, row_id: int) -> Dict:
    """One row. Raises NotFound."""
    with hub.store.reading() as tx:
        return quarantine_line(tx.quarantine_row(row_id))


def quarantine_line(row: QuarantineRow) -> Dict:
    return {
        "row": row.id, "connection": row.connection, "stream": row.stream, "external_id": row.external_id,
        "field": row.field, "direction": row.direction, "state": row.state, "code": row.code, "message": row.message,
        "fix": row.fix, "value": row.value, "at": iso(row.at), "entity": row.entity_id, "run": row.run_id,
    }  # fmt: skip


# Rewards


def rewards(hub: Hub, *, state: str | None = None) -> list[Dict]:
    """Grants in the order in which they were made; state None asks for all."""
    return [grant_row(row) for row in all_rows(partial(list_rewards, hub, state))]


def reward(hub: Hub, grant_id: int) -> Dict:
    """One grant with the lines of its ledger and what brought it about. Raises NotFound."""
    story = asdict(show_reward(hub, grant_id))
    row = story.pop("row")
    lines = [{**line, "at": iso(line["at"])} for line in story.pop("lines")]
    return {**_dated(row), **story, "event_at": iso(story["event_at"]), "lines": lines}


def approve_reward(hub: Hub, grant_id: int, *, by: str) -> Dict:
    """Let a reward go that waits for approval. Raises NotFound; NeedsReview if it does not wait."""
    return grant_row(approve(hub, grant_id, by))


def decline_reward(hub: Hub, grant_id: int, *, by: str, note: str = "") -> Dict:
    """Say no, or "never ordered". Raises NotFound; NeedsReview if there is nothing to decide."""
    return grant_row(decline(hub, grant_id, by, note=note))


def cancel_reward(hub: Hub, grant_id: int, *, by: str) -> Dict:
    """Ask the provider to take an order back. Raises NotFound; NeedsReview if that cannot be."""
    return grant_row(cancel(hub, grant_id, by))


def confirm_reward(hub: Hub, grant_id: int, *, by: str, order: str) -> Dict:
    """Say that a doubtful one was ordered. Raises NotFound; NeedsReview if it is not in doubt."""
    return grant_row(confirm(hub, grant_id, by, order_id=order))


def grant_row(row: RewardRow) -> Dict:
    return _dated(asdict(row))


def _dated(row: Mapping[str, Json]) -> Dict:
    """The row with its number under the name that commands use, and its times as people read them."""
    rest = {name: value for name, value in row.items() if name != "id"}
    return {"grant": row["id"], **rest, "created_at": iso(row["created_at"]), "not_before": iso(row["not_before"])}


def audit_log(hub: Hub, *, before_id: int = 2**62, limit: int = 100) -> list[Dict]:
    """What people did, newest first."""
    with hub.store.reading() as tx:
        found = tx.audit_page(limit=limit, before_id=before_id)
    return [
        {
            "entry": row.id, "at": iso(row.at), "actor": row.actor, "action": row.action, "target": row.target,
            "before": row.before, "after": row.after,
        }
        for row in found
    ]  # fmt: skip


# Everything at once


def status(hub: Hub) -> Dict:
    """The hub on one page: nothing secret, nothing personal."""
    with hub.store.reading() as tx:
        conflict_counts = tx.count_conflicts()
        return {
            "entities": tx.count_entities(),
            "behind": sum(tx.count_behind().values()),
            "conflicts_open": sum(n for (_, state), n in conflict_counts.items() if state == "open"),
            "quarantine_open": sum(tx.count_quarantine().values()),
            "holds_open": len(tx.open_holds()),
            "pairs_open": tx.count_identities().get(("review", "open"), 0),
            "connections": len(hub.connections),
        }


def faults(error: HubError) -> list[Dict]:
    """Every fault that an error carries, one dictionary each."""
    if isinstance(error, ConfigFault):
        return [asdict(each) for each in error.faults]
    return [{"code": error.code, "where": error.where, "message": error.message, "fix": error.fix}]
