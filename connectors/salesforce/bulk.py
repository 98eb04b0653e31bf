"""Query jobs of Bulk API 2.0: a large read in pages of 10,000 rows, as the same rows that queries give."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass

from connectors.salesforce.api import OBJECTS, SalesforceApi, call, describe, fields_of, send
from hub.errors import NotFound, RetryLater
from hub.model import Json

PAGE = 10_000  # rows of a page of results; the vendor gives more, the hub commits a page at a time
POLLS = 20  # of a job in one go; the budget `polls` keeps them apart
AGAIN_S = 30.0
_UNLIKE_CSV = ("address", "location", "base64", "anyType")  # refused, or not the same as in JSON


@dataclass(frozen=True, slots=True)
class Results:
    """A page of a job."""

    rows: list[dict[str, Json]]
    locator: str  # of the next page; "" after the last


def is_flat(api: SalesforceApi, stream: str) -> bool:
    """Whether CSV can tell all that is read of a stream: it has no nested values."""
    types = _types(api, stream)
    return all(types.get(name, "anyType") not in _UNLIKE_CSV for name in fields_of(api, stream))


def _types(api: SalesforceApi, stream: str) -> dict[str, str]:
    if stream not in api.types:
        api.types[stream] = {each["name"]: each["type"] for each in describe(api, stream)}
    return api.types[stream]


def start_job(api: SalesforceApi, stream: str, tail: str) -> str:
    """Make a job, deleted rows included; `tail` is all that follows FROM, its literals escaped. Returns its id."""
    soql = f"SELECT {','.join(fields_of(api, stream))} FROM {OBJECTS[stream]} {tail}"  # noqa: S608
    return str(call(api, "POST", "jobs/query", "job", json={"operation": "queryAll", "query": soql})["id"])


def is_ready(api: SalesforceApi, job: str) -> bool:
    """Wait for a job a while. False: it failed, was aborted, or is gone after its seven days.

    Raises RetryLater SF-JOB while it is under way.
    """
    for _ in range(POLLS):
        try:
            state = call(api, "GET", f"jobs/query/{job}", "poll")["state"]
        except NotFound:
            return False
        if state in ("JobComplete", "Failed", "Aborted"):
            return bool(state == "JobComplete")
    raise RetryLater("the query job is still under way", after_s=AGAIN_S, code="SF-JOB", where=api.door.account)


def results(api: SalesforceApi, stream: str, job: str, locator: str) -> Results | None:
    """One page of a finished job; None if it is gone.

    Raises RetryLater if the answer is cut, or no CSV at all.
    """
    asked = f"?maxRecords={PAGE}" + (f"&locator={locator}" if locator else "")
    try:
        answer = send(api, "GET", f"jobs/query/{job}/results{asked}", "results")
    except NotFound:
        return None
    told, following = answer.headers.get("Sforce-NumberOfRecords"), answer.headers.get("Sforce-Locator") or "null"
    readers = _readers(api, stream)
    rows = [
        {name: readers.get(name, _text)(cell) for name, cell in row.items()}
        for row in csv.DictReader(line + "\n" for line in answer.content.decode().split("\n"))
    ]
    if told is None or int(told) != len(rows):
        raise RetryLater("the page of results is not whole", code="NET-NOT-CSV", where=f"{api.door.account}/{stream}")
    return Results(rows, "" if following == "null" else following)


def _readers(api: SalesforceApi, stream: str) -> dict[str, Callable[[str], Json]]:
    return {name: _READERS[kind] for name, kind in _types(api, stream).items() if kind in _READERS}


def _text(cell: str) -> Json:
    return cell or None


def _number(cell: str) -> Json:
    return float(cell) if cell else None


def _moment(cell: str) -> Json:
    """As queries write it: +0000 in the place of Z."""
    return f"{cell.removesuffix('Z')}+0000" if cell else None


_READERS: dict[str, Callable[[str], Json]] = {
    "boolean": lambda cell: cell == "true",
    "int": lambda cell: int(cell) if cell else None,
    **dict.fromkeys(("double", "currency", "percent"), _number),
    "datetime": _moment,
}
