"""Writing rows: by marks that move with them, never by their numbers.

Two people, one row: the hub reads that Ann's row is the fifth; somebody sorts the tab; a write to row five would now
hit Bob. So the fifth row is marked, read back by the mark, and found to be Bob's: the change is stale, and decided
anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors.google_sheets.reading import (
    SHOWN,
    Row,
    SheetsApi,
    Spec,
    Table,
    etag_of,
    padded,
    quoted,
    record_of,
    text_of,
)
from hub.errors import HubError
from hub.kit.pushing import failed_results
from hub.kit.tables import join_key
from hub.model import ChangeSet, Json, PushResult, SourceRecord

MARK = "integration_hub_row"  # key of our developer metadata; its value is the row's key


@dataclass(frozen=True, slots=True)
class Edit:
    """A row as it is to be."""

    index: int  # of the change set
    row: Row
    cells: tuple[Json, ...]  # None: left as it is


class _Refused(Exception):
    """One change set cannot be written; never leaves this file."""

    def __init__(self, code: str, message: str, column: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.column = code, message, column


def push(api: SheetsApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """All updates in one write, all new rows in another; a refused one leaves the others alone."""
    spec, table = api.specs[stream], api.read(stream)
    results: dict[int, PushResult] = {}
    edits: list[Edit] = []
    news: dict[int, tuple[str, list[Json]]] = {}
    for index, change in enumerate(changes):
        try:
            if change.op == "create":
                there = _known(spec, table, change)
                if there is not None:
                    results[index] = PushResult(
                        index=index, outcome="duplicate", existing_id=there.external_id, held=there
                    )
                    continue
                news[index] = _new(spec, table, change, {key for key, _ in news.values()})
            else:
                told = _edit(spec, table, index, change, {edit.row.key for edit in edits})
                if isinstance(told, PushResult):
                    results[index] = told
                else:
                    edits.append(told)
        except _Refused as refusal:
            results[index] = PushResult(
                index=index, outcome="rejected", code=refusal.code, field=refusal.column, message=refusal.message
            )
    for indexes, send in (
        ([edit.index for edit in edits], lambda: _update(api, spec, table, edits)),
        (list(news), lambda: _append(api, spec, table, news)),
    ):
        if indexes:
            results |= _sent(indexes, send)
    return [results[index] for index in range(len(changes))]


def _sent(indexes: Sequence[int], send: Callable[[], Sequence[PushResult]]) -> dict[int, PushResult]:
    try:
        answered = send()
    except HubError as error:
        answered = failed_results(indexes, error)
    return {result.index: result for result in answered}


# --- what is to be written ---------------------------------------------------------------------------------------


def _columns(spec: Spec, table: Table, body: Mapping[str, Json]) -> dict[int, Json]:
    """Place in the row -> value. Raises _Refused."""
    if not spec.in_place:
        raise _Refused("SHEET-READ-ONLY", "this tab is not written: set `write: in_place`")
    found: dict[int, Json] = {}
    for column, value in body.items():
        if not column or column not in table.header:
            raise _Refused("SHEET-COLUMN", "the tab has no such column", column)
        if not isinstance(value, str | int | float | None):
            raise _Refused("SHEET-VALUE", "a cell holds one value: give the field a wire (join, decimal text)", column)
        found[table.header.index(column)] = "" if value is None else value
    return found


def _edit(spec: Spec, table: Table, index: int, change: ChangeSet, taken: set[str]) -> Edit | PushResult:
    if change.op != "update":
        raise _Refused("SHEET-OP", f"the hub does not {change.op} rows")
    places = _columns(spec, table, change.body)
    key = change.external_id or ""
    row = table.row_of(key)
    if row is None:
        if table.faults:
            raise _Refused("SHEET-KEY", "rows of this tab have no key, or share one; this may be one of them")
        return PushResult(index=index, outcome="not_found", external_id=key)
    if change.etag not in (None, etag_of(row.cells)) or key in taken:
        return PushResult(index=index, outcome="stale", external_id=key)
    for column in spec.key:
        place = table.header.index(column)
        if place in places and text_of(places[place]) != text_of(row.cells[place]):
            raise _Refused("SHEET-KEY-WRITE", "the key of a row is never changed", column)
    return Edit(index, row, tuple(places.get(place) for place in range(len(table.header))))


def _known(spec: Spec, table: Table, change: ChangeSet) -> SourceRecord | None:
    """The row that carries this hub id, or has this key."""
    marker, key = spec.marker if change.reference else "", _key(spec, change.body)
    for row in table.rows:
        if row.key == key or (marker and str(row.cells[table.header.index(marker)]) == change.reference):
            return record_of(spec, table, row)
    return None


def _key(spec: Spec, body: Mapping[str, Json]) -> str:
    parts = [text_of(body.get(column) or "") for column in spec.key]
    return join_key(parts) if all(part.strip() for part in parts) else ""


def _new(spec: Spec, table: Table, change: ChangeSet, taken: set[str]) -> tuple[str, list[Json]]:
    """Key and cells of a new row. Raises _Refused."""
    if not spec.marker or not change.reference:
        raise _Refused("SHEET-NO-MARKER", "a new row needs a column for the hub's id: set `marker`")
    places = _columns(spec, table, {**change.body, spec.marker: change.reference})
    key = _key(spec, change.body)
    if not key:
        raise _Refused("SHEET-KEY", "a new row needs its key: map this column", spec.key[0])
    if table.faults:
        raise _Refused("SHEET-KEY", "rows of this tab have no key, or share one; it may be there already")
    if key in taken:
        raise _Refused("SHEET-KEY", "another new row of this batch has the same key", spec.key[0])
    return key, [places.get(place, "") for place in range(len(table.header))]


# --- writing it --------------------------------------------------------------------------------------------------


def _append(api: SheetsApi, spec: Spec, table: Table, news: Mapping[int, tuple[str, list[Json]]]) -> list[PushResult]:
    """Below the table that the header begins; stored as they are. Not repeatable: the hub's id tells if it was done."""
    header = f"{quoted(table.title)}!A{table.header_at + 1}:{_letters(len(table.header))}{table.header_at + 1}"
    path = f"{api.path}/values/{quote(header, safe='')}:append"
    params = {"valueInputOption": "RAW", "insertDataOption": "INSERT_ROWS"}
    body = {"majorDimension": "ROWS", "values": [cells for _, cells in news.values()]}
    api.door.request("POST", path, operation="append", params=params, json=body, writes=True)
    return [PushResult(index=index, outcome="applied", external_id=key) for index, (key, _) in news.items()]


def _letters(column: int) -> str:
    """1 -> A, 27 -> AA."""
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def _update(api: SheetsApi, spec: Spec, table: Table, edits: Sequence[Edit]) -> list[PushResult]:
    marks = _marks(api, table, [edit.row for edit in edits])
    still = _read_back(api, table, [marks[edit.row.key] for edit in edits])
    same = [edit for edit in edits if still.get(marks[edit.row.key]) == edit.row.cells]
    results = [
        PushResult(index=edit.index, outcome="stale", external_id=edit.row.key) for edit in edits if edit not in same
    ]
    if same:
        data = [
            {"dataFilter": _by_mark(marks[edit.row.key]), "majorDimension": "ROWS", "values": [list(edit.cells)]}
            for edit in same
        ]
        path = f"{api.path}/values:batchUpdateByDataFilter"
        body = {"valueInputOption": "RAW", "data": data}
        api.door.request("POST", path, operation="write_rows", json=body, writes=True)
    return results + [PushResult(index=edit.index, outcome="applied", external_id=edit.row.key) for edit in same]


def _by_mark(mark: int) -> dict[str, Json]:
    return {"developerMetadataLookup": {"metadataId": mark}}


def _marks(api: SheetsApi, table: Table, rows: Sequence[Row]) -> dict[str, int]:
    """Key -> our mark on its row; marks that are missing are made, those on other rows taken away."""
    lookup = {"developerMetadataLookup": {"metadataKey": MARK, "locationType": "ROW"}}
    path, body = f"{api.path}/developerMetadata:search", {"dataFilters": [lookup]}
    found = api.door.request("POST", path, operation="find_rows", json=body).json()
    wanted = {row.key: row for row in rows}
    marks: dict[str, int] = {}
    requests: list[Json] = []
    for match in found.get("matchedDeveloperMetadata") or ():
        mark = match["developerMetadata"]
        place, key = mark["location"]["dimensionRange"], str(mark.get("metadataValue"))
        if place.get("sheetId", 0) != table.tab or key not in wanted:
            continue
        if place.get("startIndex", 0) == wanted[key].number and key not in marks:
            marks[key] = int(mark["metadataId"])
        else:
            requests.append({"deleteDeveloperMetadata": {"dataFilter": _by_mark(int(mark["metadataId"]))}})
    missing = [row for row in rows if row.key not in marks]
    requests = [{"createDeveloperMetadata": {"developerMetadata": _mark(table, row)}} for row in missing] + requests
    if requests:
        sent = {"requests": requests}
        path = f"{api.path}:batchUpdate"
        replies = api.door.request("POST", path, operation="mark_rows", json=sent, writes=True).json()["replies"]
        for row, reply in zip(missing, replies, strict=False):
            marks[row.key] = int(reply["createDeveloperMetadata"]["developerMetadata"]["metadataId"])
    return marks


def _mark(table: Table, row: Row) -> dict[str, Json]:
    place = {"sheetId": table.tab, "dimension": "ROWS", "startIndex": row.number, "endIndex": row.number + 1}
    return {
        "metadataKey": MARK,
        "metadataValue": row.key,
        "location": {"dimensionRange": place},
        "visibility": "DOCUMENT",
    }


def _read_back(api: SheetsApi, table: Table, marks: Sequence[int]) -> dict[int, tuple[Json, ...]]:
    """Mark -> the cells of its row at this moment."""
    body = {"dataFilters": [_by_mark(mark) for mark in marks], "majorDimension": "ROWS", **SHOWN}
    path = f"{api.path}/values:batchGetByDataFilter"
    answer = api.door.request("POST", path, operation="read_rows", json=body).json()
    found: dict[int, tuple[Json, ...]] = {}
    for match in answer.get("valueRanges") or ():
        values = match["valueRange"].get("values") or [[]]
        for each in match.get("dataFilters") or ():
            found[int(each["developerMetadataLookup"]["metadataId"])] = padded(values[0], len(table.header))
    return found
