"""What every connector must do, as functions that a test calls. They raise AssertionError with the broken rule.

A `Bench` is a connector at work on its simulated vendor. Nothing here knows a vendor: fields to write are chosen from
what the connector discovers, rows are spoiled by their shape. What a vendor cannot show (no webhooks, one page only)
is told by NotShown, and the test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from hub.connector import Api, Connector, Page, Stream
from hub.errors import HubError, NeedsReview, RetryLater
from hub.model import ChangeSet, Json, SourceRecord

MOST_PAGES = 200
OPERATIONS = frozenset({"create", "update", "upsert", "archive", "delete"})


class NotShown(Exception):
    """This vendor, or this data, cannot show the rule."""


class Vendor(Protocol):
    """What the suite asks of a simulated vendor."""

    def set_faults(self, **values: Json) -> dict[str, Json]:
        """Make it misbehave."""
        ...

    def counts(self) -> dict[str, Json]:
        """Calls so far; "early": before a Retry-After had passed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A connector on its vendor, which has some records."""

    connector: Connector
    api: Api
    vendor: Vendor
    calls: Callable[[], int]  # that left the hub so far


def check_description(connector: Connector) -> None:
    """The facts that the engine relies on fit together."""
    names = [stream.name for stream in connector.streams]
    assert names or connector.streams_for is not None or connector.tailored is not None, "no streams"
    assert len(set(names)) == len(names), "two streams of one name"
    assert connector.title, "no title"
    local = connector.local_files or connector.local_programs or connector.mail or connector.inside
    free = local or connector.only_listens or connector.tailored is not None
    assert free or connector.hosts, "no hosts: it could be pointed anywhere"
    assert local or connector.only_listens or connector.limits, "no limits"
    assert not connector.only_listens or connector.fetch is None, "it only listens, and fetches"
    assert connector.verify is None or connector.parse is not None, "webhooks are verified, and never parsed"
    for limit in connector.limits:
        assert limit.calls > 0, f"{limit.name}: no calls"
        assert limit.unit in ("calls", "points", "rows", "at_once"), f"{limit.name}: unit {limit.unit}"
        assert limit.per_s > 0 or limit.unit == "at_once", f"{limit.name}: no period"
    for stream in connector.streams:
        _check_stream(connector, stream, names)


def _check_stream(connector: Connector, stream: Stream, names: Sequence[str]) -> None:
    where = stream.name
    assert set(stream.writes) <= OPERATIONS, f"{where}: unknown writes"
    assert not stream.writes or connector.push is not None, f"{where}: writes without push"
    assert set(stream.parents) <= set(names), f"{where}: unknown parents"
    assert stream.max_batch >= 1, f"{where}: max_batch"
    assert stream.page_size >= 1, f"{where}: page_size"
    assert stream.lookback_s >= 0, f"{where}: lookback_s"
    assert stream.consistency in ("strong", "lagging"), f"{where}: consistency {stream.consistency}"
    assert stream.completeness in ("full", "thin"), f"{where}: completeness {stream.completeness}"
    assert not stream.delivered or (stream.cursor == "none" and not stream.writes), f"{where}: delivered, and read"
    assert stream.completeness == "full" or connector.fetch is not None, f"{where}: thin records, and no fetch"
    assert stream.deletes in ("tombstone", "event", "archived", "absent", "listing"), (
        f"{where}: deletes {stream.deletes}"
    )
    if "create" in stream.writes and stream.idempotency == "A":
        assert stream.marker, f"{where}: a unique reference without a field for it"
    if stream.idempotency == "B":
        assert stream.key_life_s > 0, f"{where}: idempotency keys without a life"


# reading


def read_all(bench: Bench, stream: str, cursor: Json = None) -> list[Page]:
    """All pages of one read. Its cursors are JSON and differ from page to page, so a restart can go on anywhere."""
    pages: list[Page] = []
    seen = [orjson.dumps(cursor)]
    while len(pages) < MOST_PAGES:
        page = bench.connector.pull(bench.api, stream, cursor)
        pages.append(page)
        assert page.next_cursor is not None, "a page without a cursor"
        cursor = orjson.loads(orjson.dumps(page.next_cursor))
        assert cursor == page.next_cursor, "a cursor that JSON does not keep"
        if page.complete:
            return pages
        assert orjson.dumps(cursor) not in seen, "a cursor handed out twice"
        seen.append(orjson.dumps(cursor))
    raise AssertionError(f"no end after {MOST_PAGES} pages")


def records_of(pages: Sequence[Page]) -> list[SourceRecord]:
    """The records of all pages, in order."""
    return [record for page in pages for record in page.records]


def check_paging(bench: Bench, stream: str, live: int | None = None) -> None:
    """A read ends, has every record once, and the next one goes on from its cursor and ends, too.

    Args:
        bench: the bench.
        stream: stream to read.
        live: how many records there are at the vendor; None: not known.
    """
    declared = bench.connector.stream(stream)
    pages = read_all(bench, stream)
    records = [record for record in records_of(pages) if record.op == "upsert"]
    ids = [record.external_id for record in records]
    assert all(ids), "a record without id"
    assert len(set(ids)) == len(ids), "a record twice in one read of vendor data that stood still"
    assert live is None or len(ids) == live, f"{len(ids)} records of {live}"
    assert not [fault for page in pages for fault in page.faults], "faults in good data"
    if declared.modified_path is not None:
        assert all(record.stamp is not None for record in records), "a modified_path, and records without stamp"
    again = read_all(bench, stream, pages[-1].next_cursor)
    assert {record.external_id for record in records_of(again)} <= set(ids), "records from nowhere in the second read"


def check_fetch(bench: Bench, stream: str) -> None:
    """A record by id is the record of the listing; ids that are none bring nothing that could pass for a record."""
    if bench.connector.fetch is None:
        raise NotShown("nothing is fetched by id")
    listed = _some_record(bench, stream)
    fetched = {each.external_id: each for each in bench.connector.fetch(bench.api, stream, [listed.external_id])}
    assert listed.external_id in fetched, "a listed record cannot be fetched"
    assert fetched[listed.external_id].stamp == listed.stamp, "another stamp when fetched"
    whole, told = dict(fetched[listed.external_id].data), dict(listed.data)
    if bench.connector.stream(stream).completeness == "thin":  # each says what the other leaves out
        whole, told = ({name: each[name] for name in whole.keys() & told.keys()} for each in (whole, told))
    assert whole == told, "another shape when fetched than when listed"


def _some_record(bench: Bench, stream: str) -> SourceRecord:
    found = next((each for each in records_of(read_all(bench, stream)) if each.op == "upsert"), None)
    if found is None:
        raise NotShown("the vendor has no record")
    return found


def check_repeated_token(bench: Bench, stream: str) -> None:
    """A vendor that hands out the same page for ever is found out, and stops the stream visibly."""
    cursor: Json = None
    for number in range(5):
        try:
            page = bench.connector.pull(bench.api, stream, cursor)
        except NeedsReview:
            return
        if page.complete:
            if number == 0:
                raise NotShown("all records are on one page")
            return  # it found the end by itself: nothing was handed out for ever
        cursor = page.next_cursor
    raise AssertionError("the same page was read five times without complaint")


def check_throttling(bench: Bench, stream: str, wait_s: float = 0.5) -> None:
    """A 429 with Retry-After: no call before its time is over, then everything is read, or the run is told to wait."""
    read_all(bench, stream)  # signed in
    bench.vendor.set_faults(script=[{"fault": "throttle"}], throttle_retry_after=wait_s)
    try:
        read_all(bench, stream)
    except RetryLater:
        pass  # some vendors name no wait; then the run pauses
    assert bench.vendor.counts()["early"] == 0, "called before Retry-After was over"


def check_calls(bench: Bench, stream: str) -> None:
    """Every call is counted once: what left the hub is what arrived."""
    read_all(bench, stream)
    assert bench.calls() == bench.vendor.counts()["calls"], "the door's count is not the vendor's"


# answers that are not as they should be


def spoil_one_row(body: bytes, id_key: str, stream: str = "") -> bytes | None:
    """The same answer, but the second row of its list has no id; None if it has no two rows.

    The list is the one named like the stream, else the longest.
    """
    answer = _decoded(body)
    rows = rows_of(answer, id_key, stream)
    if len(rows) < 2:
        return None
    del rows[1][id_key]
    return orjson.dumps(answer)


def add_unknown_field(body: bytes) -> bytes | None:
    """The same answer, but every object in a list has a field that no documentation knows; None without a list."""
    answer = _decoded(body)
    found = False

    def walk(value: Json, *, listed: bool = False) -> None:
        nonlocal found
        if isinstance(value, dict):
            for child in value.values():
                walk(child, listed=listed and isinstance(value.get("node"), dict))
            if listed:
                value["x_unknown"] = "kept"
                found = True
        elif isinstance(value, list):
            for child in value:
                walk(child, listed=True)

    walk(answer)
    return orjson.dumps(answer) if found else None


def _decoded(body: bytes) -> Json:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def rows_of(answer: Json, id_key: str, stream: str = "") -> list[dict[str, Json]]:
    """The list of objects with an id that is named like the stream, else the longest, however deep.

    GraphQL's edges count by their nodes.
    """
    named = answer.get(stream) if isinstance(answer, dict) else None
    if isinstance(named, list):
        answer = named
    found: list[list[dict[str, Json]]] = []

    def walk(value: Json) -> None:
        if isinstance(value, list):
            nodes = [each.get("node", each) for each in value if isinstance(each, dict)]
            if nodes and all(isinstance(node, dict) and id_key in node for node in nodes):
                found.append(nodes)
                return
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for child in children:
            walk(child)

    walk(answer)
    return max(found, key=len, default=[])


def check_bad_row(bench: Bench, stream: str, spoilt: Callable[[], int]) -> None:
    """A row that cannot be read becomes a fault; its page and the stream go on.

    Args:
        bench: on a vendor that spoils one row of each answer.
        stream: stream to read.
        spoilt: how many rows were spoilt so far.
    """
    pages = read_all(bench, stream)
    if not spoilt():
        raise NotShown("no answer had two rows")
    faults = [fault for page in pages for fault in page.faults]
    assert faults, "a row without id, and no fault"
    assert all(fault.get("code") and fault.get("message") for fault in faults), (
        "a fault that does not say what is wrong"
    )
    assert [record for record in records_of(pages) if record.op == "upsert"], "one bad row stopped the rest"
    assert not pages[-1].listing_complete, "a listing with unread rows counts as complete"


def check_unknown_fields(bench: Bench, stream: str) -> None:
    """What a vendor adds to its records is kept, for mappings to come. `bench` is on a vendor that adds it."""
    if bench.connector.streams_for is not None:
        raise NotShown("its fields are the columns of a table")
    record = _some_record(bench, stream)
    if not bench.calls():
        raise NotShown("its records come from the settings")
    assert _holds(record.data, "x_unknown", "kept"), "a field was thrown away"


def _holds(value: Json, name: str, wanted: Json) -> bool:
    if isinstance(value, Mapping):
        return value.get(name) == wanted or any(_holds(each, name, wanted) for each in value.values())
    return isinstance(value, list) and any(_holds(each, name, wanted) for each in value)


# writing


def check_push(bench: Bench, stream: str) -> None:
    """An applied update is what the vendor now holds: told by the answer, or read back."""
    connector = bench.connector
    declared = connector.stream(stream)
    if "update" not in declared.writes or connector.push is None or connector.fetch is None:
        raise NotShown("nothing is updated here")
    record, name = _some_record(bench, stream), text_field(bench, stream)
    change = _change(record, {name: "Contract  Test"})
    (result,) = connector.push(bench.api, stream, [change])
    assert (result.index, result.outcome) == (0, "applied"), f"{result.outcome}: {result.code} {result.message}"
    (read,) = connector.fetch(bench.api, stream, [record.external_id])
    stored = find_value(read.data, name)
    assert isinstance(stored, str), f"{name} cannot be found in the record"
    assert stored.split() == ["Contract", "Test"], "the write did not arrive"
    if result.held is not None:
        assert result.held.external_id == record.external_id, "the answer is of another record"
        assert find_value(result.held.data, name) == stored, "the answer is not what is stored"
    elif declared.answers_with_record:
        raise AssertionError("answers_with_record, and no record")


def check_lost_answer(bench: Bench, stream: str) -> None:
    """A write whose answer was lost is unknown: it may have landed, and nobody may say otherwise."""
    connector = bench.connector
    if "update" not in connector.stream(stream).writes or connector.push is None:
        raise NotShown("nothing is updated here")
    record, name = _some_record(bench, stream), text_field(bench, stream)
    bench.vendor.set_faults(script=[{"match": method, "fault": "timeout_after"} for method in ("POST", "PATCH", "PUT")])
    try:
        outcomes = {each.outcome for each in connector.push(bench.api, stream, [_change(record, {name: "Lost"})])}
    except HubError as error:
        outcomes = {error.code}
    assert outcomes <= {"unknown", "NET-UNKNOWN"}, f"a lost answer was called {outcomes}"


def _change(record: SourceRecord, body: Mapping[str, Json]) -> ChangeSet:
    return ChangeSet(
        link_id=1,
        entity_id=1,
        op="update",
        external_id=record.external_id,
        values={},
        before={},
        stamp=record.stamp,
        etag=record.etag,
        body=body,
        reference="contract:1",
        idempotency_key="contract-1",
    )


def text_field(bench: Bench, stream: str) -> str:
    """A plain text field that may be written, a name if there is one."""
    marker = bench.connector.stream(stream).marker
    fields = [
        each.name
        for each in bench.connector.discover(bench.api, stream)
        if each.writable and each.type == "text" and not each.unique and not each.options and not each.ref_to
    ]
    fields = [name for name in fields if name != marker and "." not in name]
    if not fields:
        raise NotShown("no plain text field may be written")
    return min(fields, key=lambda name: ("name" not in name.lower(), "last" not in name.lower(), len(name)))


def find_value(value: Json, name: str) -> Json:
    """The value under a key, however deep."""
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        value = list(value.values())
    if isinstance(value, list):
        return next((found for found in (find_value(each, name) for each in value) if found is not None), None)
    return None
