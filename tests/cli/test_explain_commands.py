"""Commands that explain and compare, over files: history, show, replay, why, reconcile, conflicts release."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Hub
from tests.cli.test_cli import data
from tests.projects import edit


def edited(project: Path, hub: Hub) -> None:
    """Ann, renamed in one file after both agreed."""
    (project / "data" / "right.csv").write_text("No,Mail,Name,Phone,Hub\n9,ann@example.org,Ann,,\n", "utf-8")
    (project / "data" / "left.csv").write_text("Id,Email,Name,Phone,Hub\n1,ann@example.org,Ann,,\n", "utf-8")
    assert hub("sync")[0] == 0
    edit(project, "data/left.csv", "Ann", "Anna")
    assert hub("sync")[0] == 0


def test_a_value_its_history_and_its_past_are_told(hub: Hub, project: Path) -> None:
    edited(project, hub)
    why = data(hub("why", "contact:ann@example.org.name", "--json")[1])
    assert (why["value"], why["recomputed"]["same"]) == ("Anna", True)
    found = data(hub("history", "contact:ann@example.org", "--field", "name", "--json")[1])
    assert [(row["old"], row["new"]) for row in found["changes"]] == [("Ann", "Anna"), (None, "Ann")]
    code, said, _ = hub("history", "contact:ann@example.org", "--limit", "1")
    assert code == 0
    assert "Anna" in said
    now = data(hub("show", "contact:ann@example.org", "--json")[1])
    assert {row["field"]: row["value"] for row in now["fields"]}["name"] == "Anna"
    then = data(hub("show", "contact:ann@example.org", "--as-of", found["changes"][1]["at"], "--json")[1])
    assert {row["field"]: row["value"] for row in then["fields"]}["name"] == "Ann"


def test_what_people_did_and_which_segments_they_are_in_is_told(hub: Hub, project: Path) -> None:
    (project / "mappings" / "derived.yaml").write_text(
        "language: 1\nsegments: {named: {when: 'email is not None', text: Can be written to.}}\n", "utf-8"
    )
    edited(project, hub)
    found = data(hub("timeline", "contact:ann@example.org", "--json")[1])
    assert (found["events"], found["next"]) == ([], None)
    assert "nothing happened yet" in hub("timeline", "contact:ann@example.org")[1]
    code, _, complained = hub("timeline", "contact:ann@example.org", "--before", "never")
    assert (code, "PAGE-EDGE" in complained) == (1, True)
    assert data(hub("segments", "--json")[1]) == [{"segment": "named", "people": 1, "text": "Can be written to."}]
    (row,) = data(hub("segments", "named", "--json")[1])["rows"]
    assert row["beside"] == "ann@example.org"
    assert "Anna" in hub("segments", "named")[1]
    why = data(hub("why", "contact:ann@example.org", "segments", "--json")[1])
    assert (why["value"], why["recomputed"]["same"]) == (["named"], True)
    assert hub("segments", "nobody")[0] != 0


def test_what_is_no_moment_and_no_duration_says_so(hub: Hub, project: Path) -> None:
    edited(project, hub)
    code, _, complained = hub("show", "contact:ann@example.org", "--as-of", "yesterday")
    assert (code, "WHY-TIME" in complained) == (1, True)
    code, _, complained = hub("replay", "--mapping", "mappings/canonical.yaml", "--since", "long")
    assert (code, "WHY-SINCE" in complained) == (1, True)


def test_the_files_in_force_replay_to_nothing_and_others_to_what_they_change(hub: Hub, project: Path) -> None:
    edited(project, hub)
    code, said, _ = hub("replay", "--mapping", "mappings/canonical.yaml", "--diff")
    assert (code, "0 of" in said) == (0, True)
    other = project / "other.yaml"
    text = (project / "mappings" / "canonical.yaml").read_text("utf-8")
    other.write_text(text.replace("name: {type: text}", "name: {type: text, survivorship: first}"), "utf-8")
    found = data(hub("replay", "--mapping", str(other), "--json")[1])
    assert [(row["field"], row["stored"], row["rule"]) for row in found["different"]] in (
        [], [("name", "Anna", "rule:first")]
    )  # fmt: skip
    code, said, _ = hub("replay", "--mapping", str(other), "--since", "90d")
    assert (code, "would be different" in said) == (0, True)


def test_a_file_that_stands_in_for_none_is_refused(hub: Hub, project: Path) -> None:
    edited(project, hub)
    stranger = project / "stranger.yaml"
    stranger.write_text("connector: hubspot\nlanguage: 1\nstreams: {}\n", "utf-8")
    code, _, complained = hub("replay", "--mapping", str(stranger))
    assert (code, "CFG-031" in complained) == (2, True)


def test_a_connection_is_compared(hub: Hub, project: Path) -> None:
    edited(project, hub)
    code, said, _ = hub("reconcile", "left")
    assert code == 0, said
    assert "nothing is missing" in said
    found = data(hub("reconcile", "left", "--repair", "--json")[1])
    assert (found["connection"], found["finds"], found["error"]) == ("left", [], "")
    assert [row["records"] for row in found["streams"]] == [1]


def test_only_a_field_that_stands_still_can_be_released(hub: Hub, project: Path) -> None:
    code, _, complained = hub("conflicts", "release", "7")
    assert (code, "conflict 7" in complained) == (1, True)


@pytest.mark.parametrize("left", ["2,ben@example.org,Ben,,\n", ""])
def test_a_row_that_vanished_from_a_complete_file_is_gone_and_an_empty_file_is_held(
    hub: Hub, project: Path, left: str
) -> None:
    head = "Id,Email,Name,Phone,Hub\n"
    edit(project, "hub.yaml", "file: data/left.csv,", "file: data/left.csv, listing: complete,")
    path = project / "data" / "left.csv"
    path.write_text(f"{head}1,ann@example.org,Ann,,\n2,ben@example.org,Ben,,\n", "utf-8")
    assert hub("sync")[0] == 0
    path.write_text(head + left, "utf-8")
    code, _, complained = hub("sync")
    found = data(hub("show", "contact:ann@example.org", "--json")[1])
    state = next(row["state"] for row in found["records"] if row["connection"] == "left")
    holds = [row["guard"] for row in data(hub("holds", "list", "--json")[1])]
    assert (code, state, holds) == ((0, "gone", []) if left else (3, "live", ["deletes"])), complained
