"""From files to a running hub: what is broken stays behind, everything else works, and the store remembers versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.app.bootstrap import find_project, open_hub, store_url
from hub.app.connecting import token_shelf
from hub.app.context import Hub
from hub.app.listings import connections, try_all
from hub.app.syncing import sync_now
from hub.errors import ConfigFault
from hub.runtime.clock import VirtualClock
from tests.projects import HUB, LEFT, RIGHT, edit, make_project

REMOTE = """\
  crm:
    connector: hubspot
    mapping: right.yaml
    auth: {kind: token, token: env:CRM_TOKEN}
"""
HUBSPOT = """\
connector: hubspot
language: 1
streams:
  contacts:
    entity: contact
    fields: {email: {remote: email}}
"""


@pytest.fixture
def opened(database_url: str) -> Iterator[Any]:
    hubs: list[Hub] = []

    def build(project: Path, *, environ: dict[str, str] | None = None, **more: Any) -> Hub:
        clock = VirtualClock(start=2_000_000_000.0)  # later than the files of the test
        hubs.append(open_hub(project, clock=clock, url=database_url, environ=environ or {}, by="mia", **more))
        return hubs[-1]

    yield build
    for hub in hubs:
        hub.store.close()


def with_crm(tmp_path: Path, section: str) -> Path:
    project = make_project(tmp_path, hub=HUB + section)
    (project / "mappings" / "hubspot.yaml").write_text(HUBSPOT, "utf-8")
    edit(project, "hub.yaml", "connector: hubspot\n    mapping: right.yaml", "connector: hubspot")
    return project


def state(hub: Hub, name: str) -> tuple[str, str]:
    row = next(row for row in connections(hub) if row["connection"] == name)
    return row["state"], row["code"]


def run(hub: Hub) -> dict[str, tuple[str, str]]:
    outcome = sync_now(hub, owner="test")
    return {run.connection: (run.status, run.code) for run in outcome.runs}


# A sound project


def test_a_project_becomes_a_hub_that_syncs(tmp_path: Path, opened: Any) -> None:
    project = make_project(tmp_path)
    hub = opened(project, publish=True)
    assert [each.connector.name for each in hub.connections.values()] == ["csv", "csv"]
    run(hub)
    text = (project / "data" / "right.csv").read_text("utf-8")
    assert "9,ann@example.org,Ann,+49301234567," in text, "the name by the order of sources, the phone because blank"


def test_the_same_store_is_the_same_hub_for_ever(tmp_path: Path, opened: Any) -> None:
    project = make_project(tmp_path)
    assert opened(project).instance == opened(project).instance


def test_a_project_is_found_from_below(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    assert find_project(project / "data") == project.resolve()
    with pytest.raises(ConfigFault) as found:
        find_project(tmp_path)
    assert (found.value.code, "hub init" in found.value.fix) == ("CFG-050", True)


def test_the_store_is_named_by_the_file_else_the_environment_else_it_is_beside_the_file(tmp_path: Path) -> None:
    beside = f"sqlite:///{tmp_path / 'hub.db'}"
    assert store_url(tmp_path, "", {}) == beside
    assert store_url(tmp_path, "env:MY_DB", {}) == beside, "not set counts as not given"
    assert store_url(tmp_path, "env:MY_DB", {"MY_DB": "postgresql+psycopg://h/d"}) == "postgresql+psycopg://h/d"
    assert store_url(tmp_path, "", {"HUB_DATABASE_URL": "postgresql+psycopg://h/e"}) == "postgresql+psycopg://h/e"
    assert store_url(tmp_path, "sqlite:///other.db", {}) == f"sqlite:///{tmp_path / 'other.db'}"
    assert store_url(tmp_path, "sqlite:////abs/other.db", {}) == "sqlite:////abs/other.db"


# What is broken


@pytest.mark.parametrize(
    ("section", "environ", "code"),
    [
        ("", {}, "SEC-ENV"),
        ("    base_url: https://api.hubapi.com.evil.example\n", {"CRM_TOKEN": "t"}, "NET-HOST"),
        ("    base_url: http://127.0.0.1:9\n", {"CRM_TOKEN": "t"}, "NET-HOST"),
    ],
)
def test_a_connection_that_cannot_be_used_stands_apart(
    tmp_path: Path, opened: Any, section: str, environ: dict[str, str], code: str
) -> None:
    hub = opened(with_crm(tmp_path, REMOTE + section), environ=environ)
    assert state(hub, "crm") == ("broken", code)
    assert state(hub, "left") == ("ready", "")
    found = run(hub)
    assert found["crm"] == ("failed", code)
    assert "failed" not in (found["left"][0], found["right"][0])
    tried = {row["connection"]: (row["state"], row["code"]) for row in try_all(hub, [])}
    assert tried == {"crm": ("broken", code), "left": ("ready", ""), "right": ("ready", "")}


def test_an_unreachable_host_fails_its_own_run_with_a_code(tmp_path: Path, opened: Any) -> None:
    section = REMOTE + "    local: true\n    base_url: http://127.0.0.1:9\n"
    hub = opened(with_crm(tmp_path, section), environ={"CRM_TOKEN": "t"})
    assert state(hub, "crm") == ("ready", ""), "whether a host answers is seen when it is asked"
    found = run(hub)
    assert found["crm"][0] == "failed"
    assert found["crm"][1] in ("NET-CONNECT", "NET-CIRCUIT")
    assert "failed" not in (found["left"][0], found["right"][0])


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("name: {remote: Name}", "nickname: {remote: Name}", "MAP-0"),
        ("      name: {remote: Name}", "      name: {remote: Name}\n      name: {remote: Other}", "CFG-002"),
        ("entity: contact", "entity: contakt", "MAP-0"),
        ("connector: csv", "connector: cvs", "CFG-031"),
    ],
)
def test_a_mapping_that_does_not_pass_takes_only_its_connection_out(
    tmp_path: Path, opened: Any, old: str, new: str, code: str
) -> None:
    project = make_project(tmp_path, right_yaml=RIGHT.replace(old, new))
    hub = opened(project, publish=True)
    row = next(row for row in connections(hub) if row["connection"] == "right")
    assert row["state"] == "broken"
    assert code in row["fault"]
    assert "right.yaml:" in row["fault"] or "hub.yaml:" in row["fault"], "it says where"
    found = run(hub)
    assert (found["left"][0], found["right"][0]) == ("success", "failed")


def test_what_all_share_stops_the_hub_with_every_fault(tmp_path: Path, opened: Any) -> None:
    project = make_project(tmp_path)
    edit(project, "mappings/canonical.yaml", "type: email", "type: emial")
    edit(project, "mappings/canonical.yaml", "type: phone", "type: fone")
    with pytest.raises(ConfigFault) as found:
        opened(project)
    assert [fault.where for fault in found.value.faults] == ["canonical.yaml:8", "canonical.yaml:10"]


def test_a_stream_without_a_file_is_missed_by_name(tmp_path: Path, opened: Any) -> None:
    project = make_project(tmp_path, left_yaml=LEFT + LEFT.partition("streams:\n")[2].replace("people", "guests"))
    hub = opened(project)
    assert state(hub, "left") == ("broken", "CFG-032")
    assert "guests" in str(hub.connections["left"].fault)


def test_a_missing_file_is_a_fault_of_its_run(tmp_path: Path, opened: Any) -> None:
    project = make_project(tmp_path)
    (project / "data" / "right.csv").unlink()
    found = run(opened(project))
    assert found["right"] == ("failed", "FILE-NOT-THERE")
    assert found["left"][0] != "failed"


def test_a_malformed_row_is_quarantined_and_the_others_are_read(tmp_path: Path, opened: Any) -> None:
    rows = 'No,Mail,Name,Phone,Hub\n9,ann@example.org,Ann,,\n8,cy@example.org,"Cy,,\n7,di@example.org,Di,,\n6,x\n'
    project = make_project(tmp_path, right_csv=rows)
    edit(project, "hub.yaml", "defaults: {mode: live}", "defaults: {mode: observe}")
    hub = opened(project)
    assert run(hub)["right"][0] == "partial"
    with hub.store.reading() as tx:
        found = tx.quarantine(connection="right")
        assert len(tx.links_page("right", "people")) >= 1
    assert found
    assert all(row.code.startswith("CSV-") and row.fix for row in found)


# Publishing


def versions(hub: Hub) -> dict[str, int]:
    with hub.store.reading() as tx:
        return {row.name: row.version for row in reversed(tx.mapping_versions())}


def test_a_changed_file_becomes_a_version_and_an_unchanged_one_does_not(tmp_path: Path, opened: Any) -> None:
    project = make_project(tmp_path)
    assert versions(opened(project, publish=True)) == {"hub": 1, "canonical": 1, "left": 1, "right": 1}
    assert versions(opened(project, publish=True)) == {"hub": 1, "canonical": 1, "left": 1, "right": 1}
    edit(project, "mappings/left.yaml", "remote: Name", "remote: Full Name")
    hub = opened(project, publish=True)
    assert versions(hub)["left"] == 2
    assert (hub.connections["left"].mapping_version, hub.connections["right"].mapping_version) == (2, 1)
    with hub.store.reading() as tx:
        assert "Full Name" in tx.mapping_content("left", 2)
        assert {(row.actor, row.action) for row in tx.audit_log()} == {("mia", "published")}


def test_nothing_is_published_by_looking(tmp_path: Path, opened: Any) -> None:
    assert versions(opened(make_project(tmp_path))) == {}


def test_a_slip_of_the_pen_leaves_the_last_version_in_force(tmp_path: Path, opened: Any) -> None:
    project = make_project(tmp_path)
    opened(project, publish=True)
    edit(project, "mappings/right.yaml", "name: {remote: Name}", "nmae: {remote: Name}")
    hub = opened(project, publish=True)
    assert versions(hub)["right"] == 1
    assert state(hub, "right") == ("ready", "")
    assert "name" in hub.connections["right"].mappings["people"].fields
    assert [fault.where for fault in hub.projects.stopping] == ["right.yaml:8"], "it is still told"


# Tokens


def test_rotated_tokens_are_kept_encrypted_for_the_next_process(tmp_path: Path, opened: Any) -> None:
    project, credentials = make_project(tmp_path), {"client_id": "c", "refresh_token": "r1"}
    hub = opened(project)
    assert hub.vault is not None
    token_shelf(hub, hub.vault, "crm", credentials).save({"access_token": "a1", "refresh_token": "refresh-two"})
    again = opened(project)
    assert again.vault is not None
    kept = token_shelf(again, again.vault, "crm", credentials).load()
    assert kept == {"access_token": "a1", "refresh_token": "refresh-two"}
    with again.store.reading() as tx:
        assert b"refresh-two" not in tx.secrets()["tokens:crm"]


def test_tokens_made_from_other_credentials_do_not_count(tmp_path: Path, opened: Any) -> None:
    hub = opened(make_project(tmp_path))
    assert hub.vault is not None
    token_shelf(hub, hub.vault, "crm", {"refresh_token": "r1"}).save({"refresh_token": "refresh-two"})
    assert token_shelf(hub, hub.vault, "crm", {"refresh_token": "new"}).load() == {}


def test_one_process_at_a_time_refreshes(tmp_path: Path, opened: Any) -> None:
    hub = opened(make_project(tmp_path))
    assert hub.vault is not None
    shelf = token_shelf(hub, hub.vault, "crm", {})
    other = token_shelf(hub, hub.vault, "crm", {})
    with shelf.exclusive(), pytest.raises(Exception, match="another process"), other.exclusive():
        raise AssertionError("two at once")
    with other.exclusive():
        pass
