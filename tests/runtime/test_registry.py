"""Projects: found, read whole, every fault at once, and one broken connection leaves the others running."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import mappings
from hub.connector import Auth, Connector, Field, Setting, Stream
from hub.core.guards import Bound
from hub.errors import ConfigFault, Fault
from hub.runtime.cron import parse_cron
from hub.runtime.registry import Project, check_connection, connector_names, load_connector, load_project

SHIPPED = Path(mappings.__file__).parent
CRM = "language: 1\nconnector: csv\nstreams:\n  people:\n    entity: contact\n    create: always\n    fields:\n"
HUB = """
hub: {name: acme, currency: EUR, country: DE, timezone: Europe/Berlin}
connections:
  left: {connector: csv, mapping: left.yaml, streams: {people: {file: a.csv, key: [Id], every: 1h30m}}}
  right: {connector: csv, mapping: right.yaml, mode: live, every: 30s, reserve: 0.5}
"""


def fake(name: str) -> Connector:
    """A connector with one stream, so that no vendor's SDK is needed."""
    if name == "nothing":
        raise ConfigFault([Fault(code="CFG-030", where=name, message="no connector nothing", fix="known are csv")])
    return Connector(
        name=name, title=name.upper(), base_url="https://api.example.com", hosts=("api.example.com",),
        auth=(Auth(kind="token"), Auth(kind="none")), limits=(),
        streams=(Stream(name="people", writes=frozenset(("create", "update"))),),
        settings=(Setting(name="region", text="Where the account is."),),
        connect=lambda door, settings: None, check=lambda api: {}, discover=lambda api, stream: (),
        pull=lambda api, stream, cursor: pytest.fail("not called"),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "hub.yaml").write_text(HUB)
    shutil.copy(SHIPPED / "canonical.yaml", tmp_path / "mappings")
    for name in ("left", "right"):
        (tmp_path / "mappings" / f"{name}.yaml").write_text(CRM + "      email: {remote: Mail}\n")
    return tmp_path


def load(folder: Path) -> Project:
    return load_project(folder, load=fake)


def refused(folder: Path) -> list[Fault]:
    with pytest.raises(ConfigFault) as refusal:
        load(folder)
    return list(refusal.value.faults)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# Projects


def test_a_project_is_read_into_typed_settings(folder: Path) -> None:
    project = load(folder)
    assert (project.faults, project.broken) == ((), frozenset())
    left, right = project.connections["left"], project.connections["right"]
    assert (left.mode, left.every_s, left.sweep_s, left.reserve) == ("observe", 300.0, 604_800.0, 0.2)
    assert (right.mode, right.every_s, right.reserve) == ("live", 30.0, 0.5)
    assert left.stream_every_s == {"people": 5400.0}
    assert left.streams["people"]["key"] == ["Id"]
    assert project.settings.hub.country == "DE"
    assert project.settings.guards["deletes"] == Bound(over=10, share=0.01)
    assert project.mappings["left"].streams["people"].literal
    assert project.rewards is None
    assert project.require() is project


def test_defaults_of_the_file_count_for_every_connection(folder: Path) -> None:
    change(folder / "hub.yaml", "connections:", "defaults: {mode: live, every: 1m, sweep: 1d}\nconnections:")
    project = load(folder)
    assert [each.mode for each in project.connections.values()] == ["live", "live"]
    assert (project.connections["left"].every_s, project.connections["right"].every_s) == (60.0, 30.0)
    assert project.connections["left"].sweep_s == 86_400.0


def test_a_connection_and_a_stream_may_go_by_the_calendar(folder: Path) -> None:
    change(folder / "hub.yaml", "every: 1h30m", 'cron: "0  3 * * *", timezone: UTC')
    change(folder / "hub.yaml", "every: 30s", 'cron: "0 6 * * 1-5"')
    project = load(folder)
    assert project.faults == ()
    left, right = project.connections["left"], project.connections["right"]
    assert left.schedule_of("people") == parse_cron("0 3 * * *", "UTC")
    assert left.schedule_of("others") == 300.0
    assert right.schedule_of("people") == parse_cron("0 6 * * 1-5", "Europe/Berlin"), "in the hub's own zone"


CALENDARS = [
    ("right", "every: 30s", 'every: 30s, cron: "0 6 * * *"', "CFG-037"),
    ("right", "every: 30s", 'cron: "0 25 * * *"', "CFG-036"),
    ("right", "every: 30s", 'cron: "0 6 31 2 *"', "CFG-036"),
    ("right", "every: 30s", "timezone: UTC", "CFG-037"),
    ("right", "every: 30s", 'cron: "0 6 * * *", timezone: Mars/Base', "CFG-022"),
    ("left", "every: 1h30m", "cron: soon", "CFG-036"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "code"), CALENDARS)
def test_a_calendar_that_is_none_is_told_with_its_line(
    folder: Path, name: str, old: str, new: str, code: str
) -> None:  # fmt: skip
    change(folder / "hub.yaml", old, new)
    project = load(folder)
    (fault,) = project.faults
    assert (fault.code, fault.where) == (code, f"hub.yaml:{ {'left': 4, 'right': 5}[name] }")
    assert fault.fix
    assert project.broken == {name}


MAPPINGS = [
    ("email: {remote: Mail}", "emial: {remote: Mail}", "MAP-001", "left.yaml:8"),
    ("email: {remote: Mail}", "email: {remote: Mail, transforms: [json_number]}", "MAP-003", "left.yaml:8"),
    ("email: {remote: Mail}", "email: {remote: Mail}\n      email: {remote: M2}", "CFG-002", "left.yaml:9"),
    ("email: {remote: Mail}", "email: {remote: {in: Mail}}", "MAP-006", "left.yaml:8"),
    ("connector: csv", "connector: hubspot", "CFG-031", "hub.yaml:4"),
    ("  people:", "  persons:", "CFG-032", "left.yaml:4"),
    ("entity: contact", "entity: contract", "MAP-002", "left.yaml:5"),
    ("language: 1", "language: 2", "CFG-014", "left.yaml:1"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "where"), MAPPINGS)
def test_a_bad_mapping_takes_out_its_connection_and_no_other(
    folder: Path, old: str, new: str, code: str, where: str
) -> None:
    change(folder / "mappings" / "left.yaml", old, new)
    project = load(folder)
    assert (code, where) in [(fault.code, fault.where) for fault in project.faults]
    assert all(fault.fix for fault in project.faults)
    assert list(project.connections) == ["right"]
    assert project.broken == {"left"}
    with pytest.raises(ConfigFault):
        project.require()


SECTIONS = [
    ("left: {connector: nothing, mapping: left.yaml}", "CFG-030"),
    ("left: {connector: csv, mapping: ../left.yaml}", "CFG-031"),
    ("left: {connector: csv, mapping: /etc/passwd}", "CFG-031"),
    ("left: {connector: csv, mapping: gone.yaml}", "CFG-005"),
    ("left: {connector: csv, mapping: left.yaml, mode: on}", "CFG-012"),
    ("left: {connector: csv, mapping: left.yaml, every: soon}", "CFG-022"),
    ("left: {connector: csv, mapping: left.yaml, evry: 5m}", "CFG-010"),
    ("left: {mapping: left.yaml}", "CFG-013"),
    ("left: {connector: csv, mapping: left.yaml, settings: {regoin: eu}}", "CFG-033"),
    ("left: {connector: csv, mapping: left.yaml, auth: {kind: magic}}", "CFG-033"),
    ("left: {connector: csv, mapping: left.yaml, auth: {kind: token, token: abc}}", "CFG-020"),
    ("left: {connector: csv, mapping: left.yaml, auth: {kind: token, token: 'env:not a name'}}", "CFG-021"),
    ("left: {connector: csv, mapping: left.yaml, webhooks: {secret: abc}}", "CFG-020"),
    ("left: {connector: csv, mapping: left.yaml, settings: {region: sk_live_abcdefgh1234}}", "CFG-020"),
    ("left: {connector: csv, mapping: left.yaml, streams: {persons: {}}}", "CFG-032"),
    ("left: {connector: csv, mapping: left.yaml, base_url: 'http://api.example.com'}", "NET-HOST"),
    ("left: {connector: csv, mapping: left.yaml, base_url: 'https://evil.example.org'}", "NET-HOST"),
]  # fmt: skip


@pytest.mark.parametrize(("new", "code"), SECTIONS)
def test_a_bad_section_takes_out_its_connection_and_no_other(folder: Path, new: str, code: str) -> None:
    old = next(line.strip() for line in HUB.splitlines() if line.strip().startswith("left:"))
    change(folder / "hub.yaml", old, new)
    project = load(folder)
    assert code in [fault.code for fault in project.faults]
    assert all(fault.fix and fault.where for fault in project.faults)
    assert list(project.connections) == ["right"]


SHARED = [
    ("hub.yaml", "hub: {", "hub: {curency: EUR, ", "CFG-010"),
    ("hub.yaml", "currency: EUR", "currency: EURO", "CFG-022"),
    ("hub.yaml", "country: DE", "country: Germany", "CFG-022"),
    ("hub.yaml", "Europe/Berlin", "Mars/Base", "CFG-022"),
    ("hub.yaml", "connections:", "guards: {deltes: {over: 1}}\nconnections:", "CFG-010"),
    ("hub.yaml", "connections:", "guards: {deletes: {share: 2}}\nconnections:", "CFG-011"),
    ("hub.yaml", "connections:", "store: {url: 'postgresql://u:p@h/db'}\nconnections:", "CFG-020"),
    ("hub.yaml", "connections:", "connections: [", "CFG-001"),
    ("mappings/canonical.yaml", "language: 1", "language: 1\nlanguage: 1", "CFG-002"),
    ("mappings/canonical.yaml", "email: {type: email,", "email: {type: mail,", "CFG-012"),
    ("mappings/canonical.yaml", "sources: [salesforce,", "sources: [", "MAP-041"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "code"), SHARED)
def test_what_all_share_stops_the_hub(folder: Path, file: str, old: str, new: str, code: str) -> None:
    change(folder / file, old, new)
    found = refused(folder)
    assert code in [fault.code for fault in found]
    assert all(fault.where.startswith(Path(file).name) and fault.fix for fault in found)


def test_every_fault_of_every_file_is_listed_at_once(folder: Path) -> None:
    change(folder / "hub.yaml", "mode: live", "mode: alive")
    change(folder / "mappings" / "left.yaml", "email", "emial")
    change(folder / "mappings" / "right.yaml", "remote: Mail", "remote: Mail, wire: morse")
    project = load(folder)
    assert [fault.code for fault in project.stopping] == ["MAP-001", "MAP-003", "CFG-012"]
    assert project.connections == {}


def test_a_secret_is_never_repeated_in_a_fault(folder: Path) -> None:
    change(folder / "hub.yaml", "mode: live", "mode: live, auth: {kind: token, token: pat-eu1-0123456789abcdef0123}")
    assert [fault.code for fault in load(folder).faults] == ["CFG-020", "CFG-020"]
    assert not any("0123456789" in str(fault) for fault in load(folder).faults)


def test_connections_without_a_place_in_sources_cannot_decide_ties(folder: Path) -> None:
    change(folder / "mappings" / "canonical.yaml", ", csv]", ", right]")
    project = load(folder)
    assert project.broken == {"left"}
    assert [(fault.code, fault.where.partition(":")[0]) for fault in project.faults] == [("MAP-050", "canonical.yaml")]


def test_live_schemas_are_compared_where_they_are_given(folder: Path) -> None:
    schema = {"people": [Field(name="E-Mail", label="", type="email")]}
    project = load_project(folder, load=fake, schemas={"left": schema})
    assert [fault.code for fault in project.faults] == ["MAP-016"]
    assert project.broken == {"left"}


def test_rewards_are_read_and_their_faults_stop_no_connection(folder: Path) -> None:
    shutil.copy(SHIPPED / "rewards.yaml", folder / "mappings")
    project = load(folder)
    assert [fault.code for fault in project.faults] == ["RWD-003", "RWD-003"]  # plum is no connection here
    assert project.rewards is None
    assert list(project.connections) == ["left", "right"]
    for rule in ("big_order", "deal_won"):
        assert rule in (folder / "mappings" / "rewards.yaml").read_text()
    change(folder / "mappings" / "rewards.yaml", "connection: plum", "connection: right")
    rewards = load(folder).rewards
    assert rewards is not None
    assert list(rewards.rules) == ["big_order", "deal_won"]


def test_mappings_may_stand_in_another_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "mappings").rename(tmp_path / "elsewhere")
    assert load_project(folder, load=fake, mappings=tmp_path / "elsewhere").faults == ()


# Connectors


def test_connectors_are_found_by_looking() -> None:
    assert "csv" in connector_names()
    assert load_connector("csv").name == "csv"


def test_an_unknown_connector_is_hinted_at() -> None:
    with pytest.raises(ConfigFault) as refusal:
        load_connector("cvs")
    assert (refusal.value.faults[0].code, refusal.value.faults[0].fix) == ("CFG-030", "did you mean csv?")


def test_a_setting_that_is_needed_is_asked_for(folder: Path) -> None:
    connector = fake("csv")
    needs = Connector(
        **{name: getattr(connector, name) for name in connector.__slots__ if name != "settings"},
        settings=(Setting(name="shop", text="Name of the shop.", required=True),),
    )
    found = check_connection(load(folder).connections["left"], needs)
    assert [(fault.code, fault.fix) for fault in found] == [("CFG-033", "Name of the shop.")]
