"""`hub kpis` and `hub goals` on a project of two CSV files."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Hub

KPIS = """\
language: 1
kpis:
  people: {text: People we know., unit: number, direction: up, of: contact, at: known, formula: {kind: count}}
  reachable:
    {text: Whom we can call., unit: share, direction: up, of: contact, at: known,
     formula: {kind: ratio, part: "phone is not None"}}
"""


def days(count: int) -> str:
    return (datetime.now(UTC) + timedelta(days=count)).date().isoformat()


@pytest.fixture
def synced(project: Path, hub: Hub) -> Path:
    goals = (
        "language: 1\ngoals:\n  grow: {kpi: people, baseline: 1, target: 400, owner: kim@example.com, "
        f"since: {days(-50)}, deadline: {days(50)}}}\n"
        "  call: {kpi: reachable, baseline: 0.1, target: 0.2, owner: kim@example.com, "
        f"since: {days(-60)}, deadline: {days(50)}}}\n"
    )
    (project / "mappings" / "kpis.yaml").write_text(KPIS, "utf-8")
    (project / "mappings" / "goals.yaml").write_text(goals, "utf-8")
    assert hub("sync")[0] == 0
    return project


def told(said: str) -> Any:
    return json.loads(said)


def test_figures_are_listed_and_shown_with_their_records(synced: Path, hub: Hub) -> None:
    rows = told(hub("kpis", "list", "--json")[1])
    assert [(row["kpi"], row["unit"], row["formula"]) for row in rows] == [
        ("people", "number", "count"), ("reachable", "share", "ratio")
    ]  # fmt: skip
    found = told(hub("kpis", "show", "reachable", "--by", "day", "--records", "--json")[1])
    assert len(found["figures"]) == 12
    assert found["figures"][-1] == {
        "period": days(0), "segment": "", "value": "0.333333", "unit": "share", "of": 3, "open": True
    }  # fmt: skip
    assert sorted((row["title"], row["part"]) for row in found["records"]) == [
        ("Ann", True), ("Bob", False), ("Cy", False)
    ]  # fmt: skip
    code, said, _ = hub("kpis", "show", "people", "--since", days(0), "--records")
    assert code == 0
    assert "People we know." in said


def test_csv_is_read_back_and_carries_no_formula(synced: Path, hub: Hub) -> None:
    with (synced / "data" / "left.csv").open("a", encoding="utf-8") as file:
        file.write("3,eve@example.org,=HYPERLINK(1),,\n")
    assert hub("sync")[0] == 0
    rows = list(csv.DictReader(hub("kpis", "show", "people", "--by", "day", "--csv")[1].splitlines()))
    assert (rows[-1]["period"], rows[-1]["value"], len(rows)) == (days(0), "4", 12)
    rows = list(csv.DictReader(hub("kpis", "show", "people", "--records", "--csv")[1].splitlines()))
    assert "'=HYPERLINK(1)" in [row["title"] for row in rows]


def test_what_was_known_then_stands_beside_what_is_known_now(synced: Path, hub: Hub) -> None:
    then = datetime.now(UTC).isoformat()
    with (synced / "data" / "left.csv").open("a", encoding="utf-8") as file:
        file.write("3,eve@example.org,Eve,,\n")
    assert hub("sync")[0] == 0
    found = told(hub("kpis", "show", "people", "--by", "day", "--as-of", then, "--json")[1])
    assert (found["figures"][-1]["value"], found["figures"][-1]["value_now"]) == ("3", "4")
    assert [(row["difference"], row["title"]) for row in found["differences"]] == [("came", "Eve")]
    assert "since then" in hub("kpis", "show", "people", "--as-of", then)[1]


def test_goals_tell_where_they_stand_one_on_track_and_one_off(synced: Path, hub: Hub) -> None:
    rows = {row["goal"]: row for row in told(hub("goals", "--json")[1])}
    assert (rows["grow"]["state"], rows["grow"]["value"], rows["grow"]["target"]) == ("off track", "3", "400")
    assert (rows["call"]["state"], rows["call"]["value"]) == ("on track", "0.333333")
    assert "off track" in hub("goals")[1]


def test_a_goal_without_a_number_is_refused_where_files_are_checked(synced: Path, hub: Hub) -> None:
    path = synced / "mappings" / "goals.yaml"
    path.write_text(path.read_text("utf-8").replace("target: 400, ", ""), "utf-8")
    code, said, _ = hub("mapping", "check")
    assert code == 2
    assert "KPI-005" in said
    assert "a tenth better than 1 is 1.1" in said
    assert [row["goal"] for row in told(hub("goals", "--json")[1])] == ["call"], "the others stand"


def test_what_is_not_there_is_said(project: Path, hub: Hub) -> None:
    code, _, complaint = hub("kpis", "list")
    assert code == 1
    assert "there are no key figures" in complaint
    assert hub("goals")[0] == 0
