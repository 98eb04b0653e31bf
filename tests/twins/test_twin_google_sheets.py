"""The Google Sheets twin over real HTTP: ragged rows, raw and typed values, marks that move with their rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from hub.twins.google_sheets import COLUMNS, TwinGoogleSheets, make
from hub.twins.kit import VirtualClock
from hub.twins.server import RunningTwin, serve

Json = Any
BASE = "/v4/spreadsheets/SHEET1"


@pytest.fixture
def running() -> Iterator[RunningTwin]:
    with serve(make(clock=VirtualClock())) as served:
        for n in range(3):
            served.twin.user_create("people", {"Email": f"p{n}@example.org", "First name": f"P{n}"})
        yield served


@pytest.fixture
def twin(running: RunningTwin) -> TwinGoogleSheets:
    assert isinstance(running.twin, TwinGoogleSheets)
    return running.twin


def ask(running: RunningTwin, method: str, path: str, **options: Json) -> requests.Response:
    headers = {"Authorization": "Bearer twin-token"}
    return requests.request(method, running.base_url + path, timeout=10, **{"headers": headers, **options})


def test_values_are_ragged_and_formatted_unless_asked_otherwise(running: RunningTwin, twin: TwinGoogleSheets) -> None:
    twin.act_put("People", [COLUMNS, ["a@example.org", 4, True], [], []])
    plain = ask(running, "GET", f"{BASE}/values/People!A1:J4").json()["values"]
    assert plain[1:] == [["a@example.org", "4", "TRUE"]]
    params = {"valueRenderOption": "UNFORMATTED_VALUE"}
    assert ask(running, "GET", f"{BASE}/values/'People'", params=params).json()["values"][1] == [
        "a@example.org",
        4,
        True,
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("GET", "/v4/spreadsheets/OTHER", None, 404, "NOT_FOUND"),
        ("GET", f"{BASE}/values/Nope", None, 400, "INVALID_ARGUMENT"),
        ("GET", f"{BASE}/values/People!1:2", None, 400, "INVALID_ARGUMENT"),
        ("POST", f"{BASE}/values/People!A1:append", {"values": [["x"]]}, 400, "INVALID_ARGUMENT"),
        ("POST", f"{BASE}/values:batchUpdateByDataFilter", {"valueInputOption": "RAW", "data": [
            {"dataFilter": {"developerMetadataLookup": {"metadataId": 9}}, "values": [["x"]]}]}, 400,
         "INVALID_ARGUMENT"),
        ("POST", f"{BASE}/values:batchGetByDataFilter", {}, 400, "INVALID_ARGUMENT"),
        ("POST", f"{BASE}:batchUpdate", {"requests": []}, 400, "INVALID_ARGUMENT"),
        ("DELETE", BASE, None, 400, "INVALID_ARGUMENT"),
    ],
)  # fmt: skip
def test_refusals_have_the_vendors_form(
    running: RunningTwin, method: str, path: str, body: Json, status: int, word: str
) -> None:
    answer = ask(running, method, path, json=body)
    if method == "DELETE":
        status, word = answer.status_code, answer.json()["error"]["status"]
    assert (answer.status_code, answer.json()["error"]["status"], answer.json()["error"]["code"]) == (
        status,
        word,
        status,
    )


def test_raw_stays_and_typed_values_are_read(running: RunningTwin, twin: TwinGoogleSheets) -> None:
    for option in ("RAW", "USER_ENTERED"):
        path = f"{BASE}/values/People!A1:J1:append"
        params = {"valueInputOption": option, "insertDataOption": "INSERT_ROWS"}
        assert ask(running, "POST", path, params=params, json={"values": [["=1+1", "+81555"]]}).status_code == 200
    shown = ask(running, "GET", f"{BASE}/values/People", params={"valueRenderOption": "UNFORMATTED_VALUE"}).json()
    assert shown["values"][-2:] == [["=1+1", "+81555"], ["#NAME?", 81555]]


def test_a_mark_moves_with_its_row_and_ends_with_it(running: RunningTwin, twin: TwinGoogleSheets) -> None:
    place = {"sheetId": 0, "dimension": "ROWS", "startIndex": 1, "endIndex": 2}
    mark = {"metadataKey": "k", "metadataValue": "v", "location": {"dimensionRange": place}, "visibility": "DOCUMENT"}
    body = {"requests": [{"createDeveloperMetadata": {"developerMetadata": mark}}]}
    made = ask(running, "POST", f"{BASE}:batchUpdate", json=body).json()["replies"][0]
    number = made["createDeveloperMetadata"]["developerMetadata"]["metadataId"]
    lookup = {"dataFilters": [{"developerMetadataLookup": {"metadataId": number}}]}
    twin.act_sort("Email", down=True)
    found = ask(running, "POST", f"{BASE}/values:batchGetByDataFilter", json=lookup).json()["valueRanges"]
    assert found[0]["valueRange"]["values"] == [["p0@example.org", "P0"]]
    data = [{"dataFilter": lookup["dataFilters"][0], "values": [[None, "New"]]}]
    told = {"valueInputOption": "RAW", "data": data}
    assert ask(running, "POST", f"{BASE}/values:batchUpdateByDataFilter", json=told).json()["totalUpdatedRows"] == 1
    assert twin.snapshot("people")["p0@example.org"]["fields"]["First name"] == "New"
    twin.user_delete("people", "p0@example.org")
    assert ask(running, "POST", f"{BASE}/developerMetadata:search", json=lookup).json() == {}


def test_reads_and_writes_have_a_minute_each(twin: TwinGoogleSheets) -> None:
    with serve(make(clock=VirtualClock(), limit_scale=0.05)) as poor:
        answers = [ask(poor, "GET", BASE) for _ in range(4)]
        assert [each.status_code for each in answers] == [200, 200, 200, 429]
        assert answers[3].json()["error"]["status"] == "RESOURCE_EXHAUSTED"
        assert ask(poor, "POST", f"{BASE}:batchUpdate", json={"requests": []}).status_code == 400, "writes count apart"
        poor.twin.advance(60)
        assert ask(poor, "GET", BASE).status_code == 200
