"""Singer taps: real child processes, a small tap of our own that misbehaves, and taps that others publish."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

import connectors.singer as singer
from connectors.singer import CONNECTOR, Api
from hub.app.bootstrap import opened
from hub.app.context import Hub
from hub.app.projects import check_project
from hub.app.syncing import sync_now
from hub.connector import Page, Settings
from hub.errors import ConfigFault, RetryLater
from hub.model import Json, SourceRecord
from hub.runtime.clock import SystemClock
from hub.runtime.programs import LocalPrograms
from hub.twins.rest import TwinRest
from hub.twins.server import serve
from tests.connectors.doors import NOW, twin_clock

TAP = Path(__file__).with_name("small_tap.py")
SECRET = "s3cret-of-the-tap"


def people(number: int) -> list[dict[str, Json]]:
    return [{"id": each, "email": f"p{each}@example.org", "at": f"2026-02-01T09:{each // 60:02}:{each % 60:02}Z"}
            for each in range(number)]  # fmt: skip


class Bench:
    """A tap in a folder, and the connector on it."""

    def __init__(self, folder: Path, **config: Json) -> None:
        self.folder = folder
        self.config: dict[str, Json] = {"people": "people.json", "log": "starts.log", **config}
        self.stream: dict[str, Json] = {}
        self.values: dict[str, Json] = {}

    def write(self, rows: list[dict[str, Json]]) -> None:
        (self.folder / "people.json").write_text(json.dumps(rows), "utf-8")

    def starts(self) -> list[int]:
        """Where each run of the tap began."""
        return [int(line) for line in (self.folder / "starts.log").read_text("utf-8").split()]

    def api(self) -> Api:
        values = {"command": [sys.executable, str(TAP)], "config": self.config, **self.values}
        auth = {"kind": "program", "token": SECRET}
        settings = Settings(values=values, auth=auth, streams={"people": self.stream})
        door = LocalPrograms(self.folder, "tap", SystemClock(), environ=os.environ, secrets=[SECRET])
        found: Api = CONNECTOR.connect(door, settings)
        return found


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(singer, "PAGE_ROWS", 4)
    monkeypatch.setattr(singer, "MOST_ROWS", 10)
    made = Bench(tmp_path)
    made.write(people(11))
    return made


def read(api: Api, cursor: Json = None) -> tuple[list[SourceRecord], list[Page]]:
    records: list[SourceRecord] = []
    pages: list[Page] = []
    while not pages or not pages[-1].complete:
        pages.append(CONNECTOR.pull(api, "people", cursor))
        records += pages[-1].records
        cursor = json.loads(json.dumps(pages[-1].next_cursor))
    return records, pages


def ids(records: list[SourceRecord]) -> list[str]:
    return [each.external_id for each in records]


def test_records_come_in_pages_that_end_at_a_state(bench: Bench) -> None:
    records, pages = read(bench.api())
    assert ids(records) == [str(number) for number in range(11)]
    assert [len(page.records) for page in pages] == [4, 4, 3]
    assert [page.next_cursor["state"] for page in pages] == [{"after": 3}, {"after": 7}, {"after": 10}]
    assert bench.starts() == [-1], "one run of the tap"
    bench.write(people(13))
    again, _ = read(bench.api(), pages[-1].next_cursor)
    assert (ids(again), bench.starts()) == (["11", "12"], [-1, 10])


def test_a_new_process_goes_on_from_the_last_page(bench: Bench) -> None:
    first = CONNECTOR.pull(bench.api(), "people", None)
    rest, _ = read(bench.api(), first.next_cursor)
    assert ids(rest) == [str(number) for number in range(4, 11)]
    assert bench.starts() == [-1, 3]


def test_a_tap_that_dies_on_the_way_loses_nothing(bench: Bench) -> None:
    bench.config["die_at"] = 7
    api, pages, cursor = bench.api(), list[Page](), None
    with pytest.raises(RetryLater, match="TAP-DIED") as death:
        while True:
            pages.append(CONNECTOR.pull(api, "people", cursor))
            cursor = pages[-1].next_cursor
    assert ids([each for page in pages for each in page.records]) == ["0", "1", "2", "3", "4", "5"]
    assert pages[-1].next_cursor["state"] == {"after": 5}, "what no state vouches for is read again"
    assert (SECRET in str(death.value), "the vendor said no" in str(death.value)) == (False, True)
    (bench.folder / "healed").touch()
    rest, _ = read(bench.api(), cursor)
    assert ids(rest) == ["6", "7", "8", "9", "10"]


def test_a_tap_that_sends_no_state_is_read_in_pages_all_the_same(bench: Bench) -> None:
    bench.config["state_every"] = 99_999
    records, pages = read(bench.api())
    assert [len(page.records) for page in pages] == [10, 1]
    assert len(records) == 11
    assert pages[-1].next_cursor == {"state": None}


def test_lines_that_are_none_are_faults_with_their_number_and_stop_no_other(bench: Bench) -> None:
    bench.stream = {"modified": "at"}
    bench.config["junk_at"] = 2
    records, pages = read(bench.api())
    faults = [fault for page in pages for fault in page.faults]
    assert (len(records), records[1].stamp) == (11, 1_769_936_401.0)
    assert [fault["external_id"] for fault in faults] == [f"line {number}" for number in (8, 9, 10, 11, 12, 13)]
    assert {fault["code"] for fault in faults} == {"TAP-LINE"}
    assert [fault["message"].split(" of the tap ")[1] for fault in faults] == [
        "is no JSON", "is no message", "lacks a part", "has no id", "is no JSON", "has no time with zone in at",
    ]  # fmt: skip


def test_a_deleted_row_is_told(bench: Bench) -> None:
    bench.write([{"id": 1, "_sdc_deleted_at": None}, {"id": 2, "_sdc_deleted_at": "2026-02-01T00:00:00Z"}])
    records, _ = read(bench.api())
    assert [(each.external_id, each.op) for each in records] == [("1", "upsert"), ("2", "delete")]


def test_several_keys_are_one_id_and_the_connection_may_name_them(bench: Bench) -> None:
    bench.stream = {"key": ["email", "id"]}
    assert ids(read(bench.api())[0])[:2] == ["p0@example.org|0", "p1@example.org|1"]


@pytest.mark.parametrize(
    ("config", "complete"),
    [({}, True), ({"versions": [7]}, True), ({"versions": [7, 8]}, False), ({"junk_at": 1}, False)],
)
def test_a_listing_is_complete_only_if_nothing_speaks_against_it(bench: Bench, config: Json, complete: bool) -> None:
    bench.stream, bench.config = {"listing": "complete"}, {**bench.config, **config}
    _, pages = read(bench.api())
    assert [page.listing_complete for page in pages] == [False] * (len(pages) - 1) + [complete]
    assert pages[-1].next_cursor == {"state": None}, "the next one lists everything again"
    middle = CONNECTOR.pull(bench.api(), "people", None).next_cursor
    assert not read(bench.api(), middle)[1][-1].listing_complete, "two runs are no one listing"


def test_a_tap_that_says_nothing_is_stopped_with_all_it_started(bench: Bench) -> None:
    bench.config["silent_at"], bench.values = 5, {"patience_s": 0.5}
    api, began = bench.api(), time.monotonic()
    first = CONNECTOR.pull(api, "people", None)
    pid = api.reads["people"].program._child.pid  # type: ignore[attr-defined]
    with pytest.raises(RetryLater, match="PROG-SILENT"):
        CONNECTOR.pull(api, "people", first.next_cursor)
    assert time.monotonic() - began < 20
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_endless_line_is_cut_and_the_next_is_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.runtime.programs.LINE_BYTES", 1_000_000)
    rows = people(3)
    bench.write([rows[0], {**rows[1], "email": "x" * 3_000_000}, rows[2]])
    records, pages = read(bench.api())
    assert (ids(records), [fault["external_id"] for page in pages for fault in page.faults]) == (["0", "2"], ["line 5"])


def test_the_tap_is_given_nothing_of_the_hub_and_its_files_are_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUB_SECRET_KEY", "of-the-hub")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    door = LocalPrograms(tmp_path, "tap", SystemClock(), environ=os.environ)
    show = "import os, sys; print(sorted(os.environ)); print(open(sys.argv[1]).read()); "
    show += "print(oct(os.stat(os.path.dirname(sys.argv[1])).st_mode))"
    program = door.start([sys.executable, "-c", show, "{config}"], files={"config": b"{}"})
    lines = []
    while (line := program.line(patience_s=10)) is not None:
        lines.append(line.decode())
    assert "HUB_SECRET_KEY" not in lines[0]
    assert lines[1:] == ["{}", "0o40700"]
    assert (program.end(), list((tmp_path / "tmp").iterdir())) == (0, [])


def test_check_and_discover_ask_the_tap(bench: Bench) -> None:
    api = bench.api()
    assert CONNECTOR.check(api) == {"account": "", "name": Path(sys.executable).name, "warnings": []}
    kinds = {each.name: each.type for each in CONNECTOR.discover(api, "people")}
    assert kinds == {"id": "ref", "email": "text", "boss_id": "ref", "at": "instant", "vip": "boolean", "*": "object"}
    bench.stream = {"stream": "persons"}
    assert "people" in CONNECTOR.check(bench.api())["warnings"][0]


@pytest.mark.parametrize(
    ("values", "streams", "code"),
    [
        ({}, {"people": {}}, "TAP-SETTING"), ({"command": []}, {"people": {}}, "TAP-SETTING"),
        ({"command": ["x"], "config": 7}, {"people": {}}, "TAP-SETTING"),
        ({"command": ["x"], "catalog": "file"}, {"people": {}}, "TAP-SETTING"),
        ({"command": ["x"], "patience_s": "soon"}, {"people": {}}, "TAP-SETTING"),
        ({"command": ["x"]}, {}, "TAP-NO-STREAM"), ({"command": ["x"]}, {"people": {"key": [7]}}, "TAP-STREAM"),
        ({"command": ["x"]}, {"people": {"listing": "all"}}, "TAP-STREAM"),
        ({"command": ["x"]}, {"people": {"modifed": "at"}}, "TAP-STREAM"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(values: Json, streams: Json, code: str, tmp_path: Path) -> None:
    door = LocalPrograms(tmp_path, "tap", SystemClock(), environ={})
    with pytest.raises(ConfigFault, match=code):
        CONNECTOR.connect(door, Settings(values=values, auth={}, streams=streams))


def test_a_program_that_is_not_there_is_told(bench: Bench) -> None:
    bench.values = {"command": ["taps/bin/tap-nothing"]}
    with pytest.raises(ConfigFault, match="PROG-NOT-THERE"):
        CONNECTOR.check(bench.api())


# --- the whole way ---------------------------------------------------------------------------------------------------

HUB_YAML = """
hub: {{name: acme, currency: EUR, country: DE, timezone: UTC}}
connections:
  tap:
    connector: singer
    mapping: people.yaml
    auth: {{kind: program, token: env:TAP_TOKEN}}
    settings: {{command: {command}, config: {config}}}
    streams: {{people: {stream}}}
"""
CANONICAL = """
language: 1
sources: [singer]
entities:
  contact: {text: A person., keys: [{on: [email], strength: strong}], fields: {email: {type: email}}}
"""
MAPPING = """
connector: singer
language: 1
streams: {people: {entity: contact, direction: in, create: never, fields: {email: {remote: email}}}}
"""


def project_of(folder: Path, command: list[str], config: Json, **stream: Json) -> Path:
    (folder / "mappings").mkdir()
    text = HUB_YAML.format(command=json.dumps(command), config=json.dumps(config), stream=json.dumps(stream))
    (folder / "hub.yaml").write_text(text, "utf-8")
    (folder / "mappings" / "canonical.yaml").write_text(CANONICAL, "utf-8")
    (folder / "mappings" / "people.yaml").write_text(MAPPING, "utf-8")
    return folder


def addresses(hub: Hub) -> list[str]:
    with hub.store.reading() as tx:
        return sorted(entity.values["email"] for entity in tx.entities_page("contact"))


def wrong(hub: Hub) -> list[tuple[str, str]]:
    with hub.store.reading() as tx:
        return [(row.code, row.external_id) for row in tx.quarantine()]


def test_state_and_page_are_one_and_bad_lines_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAP_TOKEN", SECRET)
    bench.config |= {"die_at": 7, "junk_at": 1}
    place = project_of(bench.folder, [sys.executable, str(TAP)], bench.config)
    assert [each for each in check_project(place) if each["stops"]] == []
    with opened(place, publish=True) as hub:
        sync_now(hub)
        assert len(addresses(hub)) == 6
        with hub.store.reading() as tx:
            assert tx.cursor("tap", "people")["at"]["state"] == {"after": 5}
            (run,) = tx.runs(limit=5)
        assert (run.status, "TAP-DIED" in run.error, SECRET in run.error) == ("failed", True, False)
        assert {code for code, _ in wrong(hub)} == {"TAP-LINE"}
    (bench.folder / "healed").touch()
    with opened(place, publish=True) as hub:
        sync_now(hub)
        assert addresses(hub) == sorted(f"p{number}@example.org" for number in range(11))
        sync_now(hub)
    assert bench.starts() == [-1, 5, 10]


def published(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_a_published_tap_of_files_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tap-jsonl`, as its makers publish it."""
    tap = published("tap-jsonl")
    monkeypatch.setenv("TAP_TOKEN", SECRET)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in people(25)), "utf-8")
    config = {"path": str(rows), "primary_keys": ["id"]}
    place = project_of(tmp_path, [tap], config, stream="jsonl")
    with opened(place, publish=True) as hub:
        outcome = sync_now(hub)
        assert len(addresses(hub)) == 25, outcome.rows
        sync_now(hub)
        assert (len(addresses(hub)), wrong(hub)) == (25, [])


def test_a_published_tap_of_an_interface_is_read_from_state_to_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tap-rest-api-msdk` over real HTTP, on the twin of a shop."""
    tap = published("tap-rest-api-msdk")
    monkeypatch.setenv("TAP_TOKEN", "twin-token")
    twin = TwinRest(clock=twin_clock(), auth="none", paging="cursor", limit_scale=100.0)
    twin.load("contacts", [{"id": str(each), "created": NOW - 9000 + each, "fields": {"email": f"p{each}@example.org"}}
                           for each in range(1, 81)])  # fmt: skip
    with serve(twin) as running:
        config = {
            "api_url": running.base_url, "pagination_request_style": "jsonpath_paginator",
            "next_page_token_path": "$.meta.next_cursor", "pagination_next_page_param": "cursor",
            "streams": [{
                "name": "contacts", "path": "/contacts", "records_path": "$.data[*]", "primary_keys": ["id"],
                "replication_key": "updated_at", "source_search_field": "updated_since",
                "source_search_query": "$last_run_date", "num_inference_records": 10,
            }],
        }  # fmt: skip
        place = project_of(tmp_path, [tap], config, stream="contacts", modified="updated_at")
        with opened(place, publish=True) as hub:
            outcome = sync_now(hub)
            assert len(addresses(hub)) == 80, outcome.rows
            with hub.store.reading() as tx:
                assert "contacts" in json.dumps(tx.cursor("tap", "people")["at"]["state"])
            twin.advance(100)
            twin.user_create("contacts", {"email": "new@example.org"})
            sync_now(hub)
            assert len(addresses(hub)) == 81
            assert wrong(hub) == []
