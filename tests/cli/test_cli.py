"""The command line as people and scripts meet it: answers, exit codes, helpful faults, no secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.projects import HUB, LEFT_ROWS, edit

Hub = Callable[..., tuple[int, str, str]]


def data(said: str) -> Any:
    return json.loads(said)


def disagree(project: Path, hub: Hub) -> None:
    """Ann's name is edited in both files after both agreed, under rule manual: a conflict that waits."""
    edit(project, "mappings/canonical.yaml", "name: {type: text}", "name: {type: text, survivorship: manual}")
    (project / "data" / "right.csv").write_text("No,Mail,Name,Phone,Hub\n9,ann@example.org,Ann,,\n", "utf-8")
    (project / "data" / "left.csv").write_text("Id,Email,Name,Phone,Hub\n1,ann@example.org,Ann,,\n", "utf-8")
    assert hub("sync")[0] == 0
    edit(project, "data/left.csv", "Ann", "Anna")
    edit(project, "data/right.csv", "Ann", "Anne")
    assert hub("sync")[0] == 3


# Help and usage


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from hub.cli.app import run; run(['--help']);"
        "print(sorted(m for m in ('sqlalchemy', 'rich', 'requests', 'fastapi', 'cryptography', 'hub.store', 'hub.app',"
        " 'hub.core.mapping', 'ruamel') if m in sys.modules), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "conflicts" in found.stdout
    assert found.stderr.strip() == "[]"


def test_a_wrong_command_or_option_is_bad_usage(hub: Hub, project: Path) -> None:
    for argv in (["synk"], ["sync", "--nonsense"], ["conflicts", "show", "abc"], ["holds", "release"]):
        code, _, complaint = hub(*argv)
        assert (code, bool(complaint)) == (2, True), argv


def test_without_a_project_there_is_a_hint(hub: Hub) -> None:
    code, said, complaint = hub("sync")
    assert (code, said) == (2, "")
    assert "CFG-050" in complaint
    assert "hub init" in complaint
    assert "Traceback" not in complaint


def test_a_project_may_be_named_by_option_or_environment(
    hub: Hub, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub("connections", "list", "--project", str(project))[0] == 0
    monkeypatch.setenv("HUB_PROJECT", str(project))
    assert hub("connections", "list")[0] == 0


def test_debug_shows_where_an_error_came_from(hub: Hub) -> None:
    from hub.errors import ConfigFault

    with pytest.raises(ConfigFault):
        hub("--debug", "sync")


def test_version_names_the_parts(hub: Hub) -> None:
    code, said, _ = hub("version", "--json")
    assert code == 0
    assert {"hub", "python", "database", "connectors"} == set(data(said))


# Setting up


def test_init_makes_a_project_that_passes_and_refuses_to_make_it_twice(hub: Hub, tmp_path: Path) -> None:
    code, said, _ = hub("init", "new")
    assert code == 0
    assert (tmp_path / "new" / "hub.yaml").exists()
    assert "mappings/salesforce.yaml" in said
    assert ".hub-key" in (tmp_path / "new" / ".gitignore").read_text("utf-8")
    assert hub("mapping", "check", "--project", "new")[0] == 0
    code, _, complaint = hub("init", "new")
    assert (code, "CFG-052" in complaint) == (2, True)


def test_a_connection_is_added_with_what_must_be_set_and_comments_stay(hub: Hub, project: Path) -> None:
    edit(project, "hub.yaml", "defaults:", "# by Mia\ndefaults:")
    code, said, _ = hub("connections", "add", "crm", "hubspot")
    assert (code, "CRM_TOKEN" in said) == (0, True)
    text = (project / "hub.yaml").read_text("utf-8")
    assert "# by Mia" in text
    assert "env:CRM_TOKEN" in text
    rows = {row["connection"]: row for row in data(hub("connections", "list", "--json")[1])}
    assert (rows["crm"]["mode"], rows["crm"]["state"], rows["left"]["mode"]) == ("observe", "broken", "live")
    assert hub("connections", "add", "crm", "hubspot")[0] == 2
    code, _, complaint = hub("connections", "add", "other", "hubspott")
    assert (code, "hubspot?" in complaint) == (2, True)


def test_connections_are_tested_one_by_one(hub: Hub, project: Path) -> None:
    code, said, _ = hub("connections", "test", "--json")
    assert (code, [row["state"] for row in data(said)]) == (0, ["ready", "ready"])
    (project / "data" / "left.csv").unlink()
    code, said, _ = hub("connections", "test", "--json")
    assert (code, [row["code"] for row in data(said)]) == (1, ["FILE-NOT-THERE", ""])


def test_discover_shows_streams_then_fields_with_what_maps_them(hub: Hub, project: Path) -> None:
    assert [row["stream"] for row in data(hub("discover", "left", "--json")[1])] == ["people"]
    fields = {row["name"]: row["mapped_to"] for row in data(hub("discover", "left", "people", "--json")[1])}
    assert fields == {"Id": "", "Email": "email", "Name": "name", "Phone": "phone", "Hub": ""}
    code, _, complaint = hub("discover", "left", "peeple")
    assert (code, "known are: people" in complaint) == (1, True)


def test_every_fault_of_a_mapping_is_listed_with_its_place(hub: Hub, project: Path) -> None:
    edit(project, "mappings/left.yaml", "name: {remote: Name}", "nmae: {remote: Name}")
    edit(project, "mappings/right.yaml", "entity: contact", "entity: contakt")
    code, said, _ = hub("mapping", "check")
    assert code == 2
    assert "left.yaml:8" in said
    assert "did you mean name?" in said
    assert "right.yaml:5" in said
    assert "did you mean contact?" in said
    found = data(hub("mapping", "check", "--json")[1])
    assert {"code", "where", "message", "fix", "stops"} == set(found[0])


def test_another_folder_of_mappings_can_be_checked(hub: Hub, project: Path, tmp_path: Path) -> None:
    other = tmp_path / "draft"
    (project / "mappings").rename(other)
    assert hub("mapping", "check")[0] == 2
    assert hub("mapping", "check", "--mappings", str(other))[0] == 0


def test_the_database_is_upgraded_and_gets_its_views(hub: Hub, project: Path) -> None:
    hub("sync")
    code, said, _ = hub("db", "upgrade", "--json")
    assert code == 0
    assert data(said)["views"] == ["contact"]


# Secrets


def test_a_secret_comes_from_standard_input_and_is_never_shown(project: Path) -> None:
    edit(project, "hub.yaml", "    mapping: left.yaml", "    mapping: left.yaml\n    webhooks: {secret: secret:hook}")
    command = [sys.executable, "-c", "from hub.cli import main; main()"]
    kept = subprocess.run(
        [*command, "secrets", "set", "hook"], input="hunter2-hunter2\n", capture_output=True, text=True, cwd=project
    )
    assert kept.returncode == 0, kept.stderr
    for argv in (["secrets", "list"], ["secrets", "list", "--json"], ["connections", "list"], ["sync", "--json"]):
        done = subprocess.run([*command, *argv], capture_output=True, text=True, cwd=project)
        assert "hunter2" not in done.stdout + done.stderr
        assert "SEC-" not in done.stdout + done.stderr
    assert b"hunter2" not in (project / "hub.db").read_bytes()


def test_a_secret_that_is_named_and_not_kept_says_how_to_keep_it(hub: Hub, project: Path) -> None:
    edit(project, "hub.yaml", "    mapping: left.yaml", "    mapping: left.yaml\n    webhooks: {secret: secret:hook}")
    code, said, _ = hub("connections", "list", "--json")
    fault = data(said)[0]["fault"]
    assert (code, "SEC-NONE" in fault, "hub secrets set hook" in fault) == (0, True, True)


def test_a_secret_needs_a_proper_name(hub: Hub, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("x"))
    code, _, complaint = hub("secrets", "set", "webhook:left")
    assert (code, "SEC-NAME" in complaint) == (2, True)


# Running


def test_a_sync_that_needs_nobody_ends_with_0_and_the_second_writes_nothing(hub: Hub, project: Path) -> None:
    (project / "data" / "right.csv").write_text("No,Mail,Name,Phone,Hub\n9,ann@example.org,Ann,,\n", "utf-8")
    edit(project, "data/left.csv", "2,bob@example.org,Bob,,\n", "")
    code, said, _ = hub("sync", "--json")
    assert (code, {row["connection"]: row["updated"] for row in data(said)}) == (0, {"left": 0, "right": 1})
    code, said, _ = hub("sync", "--json")
    assert (code, [row["updated"] + row["created"] for row in data(said)]) == (0, [0, 0])


def test_a_sync_with_a_broken_connection_ends_with_1_and_the_others_are_synced(hub: Hub, project: Path) -> None:
    (project / "data" / "left.csv").unlink()
    code, said, _ = hub("sync", "--json")
    rows = {row["connection"]: row for row in data(said)}
    assert (code, rows["left"]["status"], rows["right"]["new"]) == (1, "failed", 2)
    assert "FILE-NOT-THERE" in rows["left"]["error"]


def test_a_sync_that_leaves_rows_for_a_person_ends_with_3(hub: Hub, project: Path) -> None:
    (project / "data" / "left.csv").write_text(LEFT_ROWS + "2,twice@example.org,Twice,,\n", "utf-8")
    code, said, _ = hub("sync")
    assert code == 3
    assert "waits for a person" in said


def test_a_plan_shows_writes_and_does_none(hub: Hub, project: Path) -> None:
    before = (project / "data" / "right.csv").read_bytes()
    code, said, _ = hub("plan", "--json")
    found = data(said)
    assert code == 0
    assert {"changes", "connections", "writes", "held", "refused", "digest"} <= set(found)
    assert ("right", "phone", "+49301234567") in {(r["connection"], r["field"], r["new"]) for r in found["changes"]}
    assert (project / "data" / "right.csv").read_bytes() == before
    code, said, _ = hub("plan", "--limit", "1")
    assert "more" in said


def test_a_plan_that_could_not_read_a_connection_ends_with_1_and_shows_the_rest(hub: Hub, project: Path) -> None:
    (project / "data" / "left.csv").unlink()
    code, said, _ = hub("plan", "--json")
    errors = {row["connection"]: row["error"] or "" for row in data(said)["connections"]}
    assert (code, "FILE-NOT-THERE" in errors["left"], errors["right"]) == (1, True, "")


def test_a_plan_is_kept_applied_once_and_undone(hub: Hub, project: Path) -> None:
    files = [project / "data" / name for name in ("left.csv", "right.csv")]
    code, said, _ = hub("plan", "-o", "plan.json")
    before = [file.read_bytes() for file in files]
    assert (code, "kept in plan.json" in said) == (0, True)
    code, said, _ = hub("apply", "plan.json", "--json")
    found = data(said)
    assert (code, found["refused"], found["pending"], found["written"] > 0) == (0, [], [], True)
    after = [file.read_bytes() for file in files]
    assert after != before
    code, said, _ = hub("apply", "plan.json")
    assert (code, "applied before: nothing was written" in said) == (0, True)
    runs = [str(row["run"]) for row in found["connections"]]
    assert hub("undo", *runs, "--plan")[0] == 0
    assert [file.read_bytes() for file in files] == after, "a plan of an undo writes nothing"
    code, said, _ = hub("undo", *runs, "--json")
    undone = data(said)
    assert (code, undone["left"], undone["written"]) == (0, [], found["written"])
    assert [file.read_bytes() for file in files] == before
    assert hub("sync")[0] == 0
    assert [file.read_bytes() for file in files] == before, "what was put back stays"
    code, said, _ = hub("undo", *runs)
    assert (code, "nothing to write" in said) == (0, True)
    assert hub("undo", "4711")[0] == 1


def test_a_plan_that_was_changed_by_hand_is_refused_with_2(hub: Hub, project: Path) -> None:
    hub("plan", "-o", "plan.json")
    edit(project, "plan.json", "+49301234567", "+49309999999")
    code, _, complaint = hub("apply", "plan.json")
    assert (code, "PLAN-DIGEST" in complaint) == (2, True)
    code, _, complaint = hub("apply", "none.json")
    assert (code, "PLAN-FILE" in complaint) == (2, True)


def test_plans_that_wait_are_listed_shown_and_decided(hub: Hub, project: Path) -> None:
    edit(project, "hub.yaml", "mode: live", "mode: propose")
    assert hub("sync")[0] == 3
    rows = data(hub("plans", "list", "--json")[1])
    assert {row["state"] for row in rows} == {"waiting"}
    number = str(rows[-1]["plan"])
    code, said, _ = hub("plans", "show", number)
    assert (code, "waiting" in said, "digest" in said) == (0, True, True)
    assert data(hub("plans", "show", number, "--json")[1])["document"]["writes"]
    assert hub("plans", "approve", number, "--note", "seen")[0] == 0
    assert hub("plans", "reject", number)[0] == 1
    for other in rows[:-1]:
        assert hub("plans", "reject", str(other["plan"]))[0] == 0
    hub("sync")
    states = {str(row["plan"]): row["state"] for row in data(hub("plans", "list", "--all", "--json")[1])}
    assert states[number] == "applied"


def test_a_big_plan_is_told_by_field_and_whole_if_asked(hub: Hub, project: Path) -> None:
    edit(project, "mappings/right.yaml", "entity: contact", "entity: contact\n    create: always")
    people = "".join(f"{n},p{n}@example.org,Person {n},,\n" for n in range(3, 130))
    (project / "data" / "left.csv").write_text(LEFT_ROWS + people, "utf-8")
    short, whole = hub("plan")[1], hub("plan", "--full")[1]
    assert "by field" in short
    assert "more" in short
    assert "by field" not in whole
    assert len(whole.splitlines()) > len(short.splitlines()) + 150


def test_a_connection_that_does_not_exist_is_an_error(hub: Hub, project: Path) -> None:
    code, _, complaint = hub("sync", "middle")
    assert (code, "known are: left, right" in complaint) == (1, True)


def test_runs_are_listed_and_shown(hub: Hub, project: Path) -> None:
    hub("sync")
    rows = data(hub("runs", "list", "--json")[1])
    assert [row["connection"] for row in rows] == ["right", "left"]
    shown = data(hub("runs", "show", str(rows[0]["run"]), "--json")[1])
    assert {"streams", "writes", "conflicts", "quarantine", "holds"} <= set(shown)
    assert hub("runs", "show", "4711")[0] == 1
    assert hub("runs", "show", str(rows[0]["run"]))[0] == 0


# Reviewing


def test_a_conflict_is_listed_shown_resolved_and_then_synced(hub: Hub, project: Path) -> None:
    disagree(project, hub)
    (row,) = data(hub("conflicts", "list", "--json")[1])
    shown = data(hub("conflicts", "show", str(row["conflict"]), "--json")[1])
    place = next(i for i, each in enumerate(shown["candidates"]) if each["value"] == "Anne")
    resolve = ["conflicts", "resolve", str(row["conflict"]), "--candidate", str(place), "--note", "asked her"]
    assert hub(*resolve, "--digest", "another")[0] == 1
    assert hub(*resolve, "--digest", shown["digest"])[0] == 0
    assert hub("sync")[0] == 0
    assert "Anne" in (project / "data" / "left.csv").read_text("utf-8")
    assert data(hub("conflicts", "list", "--json")[1]) == []
    assert len(data(hub("conflicts", "list", "--all", "--json")[1])) >= 1


def test_a_conflict_may_be_given_a_value_of_ones_own(hub: Hub, project: Path) -> None:
    disagree(project, hub)
    (row,) = data(hub("conflicts", "list", "--json")[1])
    assert hub("conflicts", "resolve", str(row["conflict"]))[0] == 2, "neither value nor candidate"
    assert hub("conflicts", "resolve", str(row["conflict"]), "--value", "Ann-Marie")[0] == 0
    hub("sync")
    assert "Ann-Marie" in (project / "data" / "right.csv").read_text("utf-8")


def test_why_explains_one_field_or_all(hub: Hub, project: Path) -> None:
    hub("sync")
    found = data(hub("why", "contact:ann@example.org", "name", "--json")[1])
    assert (found["value"], found["from"], found["decided_by"]) == ("Ann", ["left"], "rule:newest")
    code, said, _ = hub("why", "contact:ann@example.org")
    assert (code, "+49301234567" in said) == (0, True)
    assert hub("why", "contact:4711")[0] == 1


def test_quarantined_rows_are_listed_shown_and_tried_again(hub: Hub, project: Path) -> None:
    edit(project, "data/left.csv", "030 1234567", "no phone")
    assert hub("sync")[0] == 3
    rows = [row for row in data(hub("quarantine", "list", "--json")[1]) if row["direction"] == "in"]
    assert [(row["connection"], row["field"]) for row in rows] == [("left", "phone")]
    number = str(rows[0]["row"])
    assert data(hub("quarantine", "show", number, "--json")[1])["value"] == "no phone"
    assert hub("quarantine", "retry", number)[0] == 3
    edit(project, "data/left.csv", "no phone", "030 7654321")
    assert hub("quarantine", "retry", number)[0] == 0
    assert hub("quarantine", "retry")[0] == 2


def test_held_creates_are_listed_released_and_made(hub: Hub, project: Path) -> None:
    rows = "".join(f"{n},p{n}@example.org,Name {n},,\n" for n in range(6))
    (project / "data" / "left.csv").write_text("Id,Email,Name,Phone,Hub\n" + rows, "utf-8")
    (project / "data" / "right.csv").write_text("No,Mail,Name,Phone,Hub\n", "utf-8")
    edit(project, "mappings/right.yaml", "entity: contact", "entity: contact\n    create: always")
    edit(project, "mappings/right.yaml", "email: {remote: Mail}", "email: {remote: Mail}")
    (project / "hub.yaml").write_text(HUB + "guards: {creates: {over: 2, share: 0.0}}\n", "utf-8")
    assert hub("sync")[0] == 3
    (hold,) = data(hub("holds", "list", "--json")[1])
    assert (hold["guard"], hold["connection"], hold["count"]) == ("creates", "right", 4)
    assert hub("holds", "release", str(hold["hold"]))[0] == 0
    assert hub("holds", "release", str(hold["hold"]))[0] == 1, "decided already"
    assert data(hub("holds", "list", "--json")[1]) == []


def test_rewards_and_status_have_listings(hub: Hub, project: Path) -> None:
    hub("sync")
    assert data(hub("rewards", "list", "--json")[1]) == []
    assert hub("rewards", "show", "1")[0] == 1
    assert hub("rewards", "approve", "1")[0] == 1
    assert data(hub("status", "--json")[1])["entities"] == {"contact": 3}
    assert data(hub("connections", "hooks", "--json")[1]) == []


def test_convergence_is_verified_and_a_planted_fault_is_found(hub: Hub) -> None:
    argv = ["verify", "convergence", "--seeds", "2", "--steps", "20", "--jobs", "1", "--json"]
    code, said, _ = hub(*argv)
    (proof,) = data(said)["proofs"]
    assert (code, proof["seeds"], proof["broken_seeds"], proof["lost"]) == (0, 2, [], 0)
    assert hub(*argv, "--planted", "nonsense")[0] == 2
    code, said, _ = hub(*argv, "--planted", "no_intent")
    assert (code, list(data(said)["proofs"][0]["planted"])) == (0, ["no_intent"])


def test_other_proofs_are_run_by_name(hub: Hub) -> None:
    code, said, _ = hub("verify", "rewards", "--seeds", "20", "--jobs", "1")
    assert (code, said.splitlines()[-1].split()[0]) == (0, "lost=0")
    code, said, _ = hub("verify", "consent", "--seeds", "1", "--jobs", "1")
    assert (code, said.splitlines()[-1].split()[0]) == (0, "lost=0")


def test_a_store_that_was_put_back_is_made_fit_for_use(hub: Hub, project: Path) -> None:
    hub("sync")
    assert data(hub("db", "restored", "--json")[1])["grants_in_doubt"] == 0
    assert hub("sync")[0] == 0


def test_every_listing_speaks_json(hub: Hub, project: Path) -> None:
    hub("sync")
    for command in ("connections", "conflicts", "runs", "holds", "quarantine", "rewards", "secrets"):
        code, said, _ = hub(command, "list", "--json")
        assert (code, isinstance(data(said), list)) == (0, True), command
        assert hub(command, "list")[0] == 0, command
