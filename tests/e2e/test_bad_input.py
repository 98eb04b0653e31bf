"""Bad input: each gives a coded, located, helpful fault, and everything else still syncs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.syncing import Outcome, sync_now
from hub.runtime.registry import SHIPPED
from hub.twins import hubspot, salesforce
from hub.twins.kit import Twin
from hub.twins.server import serve

ENVIRONMENT = {"SF_ID": "twin-client", "SF_SECRET": "twin-secret", "HS_TOKEN": "twin-token"}
HUB_YAML = """\
hub: {{name: bad, currency: EUR, country: DE, timezone: Europe/Berlin}}
defaults: {{mode: live, every: 5m, sweep: 7d, reserve: 0.2}}
connections:
  salesforce:
    connector: salesforce
    local: true
    base_url: "{salesforce}"
    auth: {{kind: client_credentials, client_id: env:SF_ID, client_secret: env:SF_SECRET}}
    settings: {{domain: bad.my, marker: Hub_Id__c}}
  hubspot:
    connector: hubspot
    local: true
    base_url: "{hubspot}"
    auth: {{kind: token, token: env:HS_TOKEN}}
  people:
    connector: csv
    mapping: people.yaml
    streams: {{contacts: {{file: data/people.csv, key: [Id], write: never, listing: partial}}}}
"""
PEOPLE_YAML = """\
connector: csv
language: 1
streams:
  contacts:
    entity: contact
    direction: in
    fields:
      email: {remote: E-mail}
      last_name: {remote: Name}
"""
PEOPLE_CSV = "Id,E-mail,Name\n1,ada@example.org,Byron\n2,too,many,columns\n3,grace@example.org,Hopper\n"


class World:
    """Two vendors and a file, as an admin would connect them."""

    def __init__(self, folder: Path, twins: dict[str, Twin], urls: dict[str, str]) -> None:
        self.folder, self.twins, self.urls = folder, twins, urls
        (folder / "mappings").mkdir(parents=True)
        (folder / "data").mkdir()
        for name in ("canonical", "salesforce", "hubspot"):
            text = (SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")
            (folder / "mappings" / f"{name}.yaml").write_text(text, encoding="utf-8")
        (folder / "mappings" / "people.yaml").write_text(PEOPLE_YAML, encoding="utf-8")
        (folder / "data" / "people.csv").write_text(PEOPLE_CSV, encoding="utf-8")
        self.environ = dict(ENVIRONMENT)
        twins["salesforce"].user_create("contacts", {"LastName": "Curie", "Email": "marie@example.org"})

    def change(self, file: str, old: str, new: str) -> None:
        path = self.folder / "mappings" / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) >= 1, old
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def hub(self) -> Hub:
        (self.folder / "hub.yaml").write_text(HUB_YAML.format(**self.urls), encoding="utf-8")
        return open_hub(self.folder, environ=self.environ, url="sqlite://", publish=True)

    def sync(self) -> tuple[Hub, Outcome]:
        hub = self.hub()
        return hub, sync_now(hub)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    twins: dict[str, Twin] = {"salesforce": salesforce.make(), "hubspot": hubspot.make()}
    running = {name: serve(twin) for name, twin in twins.items()}
    yield World(tmp_path / "project", twins, {name: each.base_url for name, each in running.items()})
    for each in running.values():
        each.stop()


def statuses(outcome: Outcome) -> dict[str, str]:
    return {run.connection: run.status for run in outcome.runs}


def faults_of(hub: Hub, connection: str) -> str:
    return str(hub.connections[connection].fault)


MAPPING_FAULTS = {
    "an unknown field": ("      email: {remote: email, required: create}", "      e_mial: {remote: email}", "MAP-"),
    "a wrong type": (
        "      birthday: {remote: date_of_birth}",
        '      birthday: {remote: date_of_birth, wire: {join: ";"}}',
        "MAP-",
    ),
    "a key twice": (
        "      job_title: {remote: jobtitle}",
        "      job_title: {remote: jobtitle}\n      job_title: {remote: x}",
        "CFG-",
    ),
    "a two-way field without inverse": (
        "      job_title: {remote: jobtitle}",
        "      job_title: {remote: jobtitle, expr: \"last_name\"}",
        "MAP-",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MAPPING_FAULTS)
def test_a_faulty_mapping_names_its_place_and_leaves_the_others_syncing(world: World, what: str) -> None:
    old, new, code = MAPPING_FAULTS[what]
    world.change("hubspot.yaml", old, new)
    hub, outcome = world.sync()
    fault = faults_of(hub, "hubspot")
    line = next(
        number
        for number, text in enumerate((world.folder / "mappings" / "hubspot.yaml").read_text().splitlines(), 1)
        if text.startswith(new.splitlines()[-1])
    )
    assert code in fault
    assert f"hubspot.yaml:{line}" in fault
    assert "(" in fault, "it says what to do"
    assert statuses(outcome)["hubspot"] == "failed"
    assert statuses(outcome)["salesforce"] == "success"
    assert _emails(hub) >= {"marie@example.org", "ada@example.org", "grace@example.org"}


def test_a_wrong_credential_stops_its_own_connection_alone(world: World) -> None:
    world.environ["HS_TOKEN"] = "not-the-token"
    hub, outcome = world.sync()
    failed = next(run for run in outcome.runs if run.connection == "hubspot")
    assert (failed.status, failed.code) == ("failed", "AUTH-EXPIRED")
    assert "hubspot" in failed.error
    assert "not-the-token" not in failed.error
    assert statuses(outcome)["salesforce"] == "success"
    assert "marie@example.org" in _emails(hub)


def test_an_unreachable_host_stops_its_own_connection_alone(world: World) -> None:
    world.urls["hubspot"] = "http://127.0.0.1:9"
    hub, outcome = world.sync()
    failed = next(run for run in outcome.runs if run.connection == "hubspot")
    assert failed.status == "failed"
    assert failed.code.startswith("NET-")
    assert "hubspot" in failed.error
    assert statuses(outcome)["salesforce"] == "success"
    assert "marie@example.org" in _emails(hub)


def test_a_malformed_row_is_listed_with_its_line_and_the_others_come_in(world: World) -> None:
    hub, outcome = world.sync()
    assert statuses(outcome)["people"] == "partial", "a run with failed rows never says success"
    with hub.store.reading() as tx:
        rows = tx.quarantine(state="open", connection="people")
    assert [(row.code.startswith("CSV-"), row.external_id) for row in rows] == [(True, "data/people.csv:3")]
    assert rows[0].fix
    assert _emails(hub) >= {"ada@example.org", "grace@example.org", "marie@example.org"}


def test_a_record_without_a_required_value_waits_and_the_others_are_created(world: World) -> None:
    world.twins["salesforce"].user_create("contacts", {"LastName": "Nemo", "Phone": "+49 30 1234567"})
    hub, outcome = world.sync()
    created = {record["fields"]["email"] for record in world.twins["hubspot"].snapshot("contacts").values()}
    assert {"marie@example.org", "ada@example.org", "grace@example.org"} <= created
    with hub.store.reading() as tx:
        rows = tx.quarantine(state="open", connection="hubspot", direction="out")
    lacking = [row for row in rows if row.code == "MAP-REQUIRED"]
    assert [row.field for row in lacking] == ["email"]
    assert "email" in lacking[0].message
    assert outcome.exit_code == 3, "finished, with rows that need a person"


def _emails(hub: Hub) -> set[str]:
    with hub.store.reading() as tx:
        return {str(row.values.get("email")) for row in tx.entities_page("contact", limit=100)}


def test_a_corrected_row_is_mended_by_the_next_read(world: World) -> None:
    hub = world.hub()
    sync_now(hub)
    data = world.folder / "data" / "people.csv"
    data.write_text(PEOPLE_CSV.replace("2,too,many,columns", "2,emmy@example.org,Noether"), encoding="utf-8")
    outcome = sync_now(hub)
    with hub.store.reading() as tx:
        assert tx.quarantine(state="open", connection="people") == []
    assert statuses(outcome)["people"] == "success"
    assert "emmy@example.org" in _emails(hub)
