"""`hub identity`: pairs are listed, shown and decided from the command line."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Hub
from tests.cli.test_cli import data
from tests.projects import edit

ROWS = (
    "Id,Email,Name,Phone,Hub\n1,ann@example.org,Ann Lee,030 1234567,\n2,ann.lee@example.org,Anne Lee,030 1234567,\n"
    "3,bob@example.org,Bob,,\n"
)
STRONG = "keys: [{on: [email], strength: strong}]"
WEAK_TOO = "keys: [{on: [email], strength: strong}, {on: [phone], strength: weak}]"


class Terminal(io.StringIO):
    """Somebody at the keyboard, who types this."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def doubled(project: Path, hub: Hub) -> Path:
    """A project in which Ann is known twice, and shares a phone with herself."""
    edit(project, "mappings/canonical.yaml", STRONG, WEAK_TOO)
    (project / "data" / "left.csv").write_text(ROWS, "utf-8")
    (project / "data" / "right.csv").write_text("No,Mail,Name,Phone,Hub\n", "utf-8")
    assert hub("sync")[0] == 0
    return project


def listed(hub: Hub, *argv: str) -> Any:
    code, said, _ = hub("identity", "review", "--json", *argv)
    assert code == 0
    return data(said)


def test_a_pair_is_listed_shown_merged_and_split(doubled: Path, hub: Hub) -> None:
    (row,) = listed(hub)
    assert (row["because"], row["first_is"], row["second_is"]) == (
        "weak key phone", "ann@example.org, Ann Lee", "ann.lee@example.org, Anne Lee",
    )  # fmt: skip
    code, said, _ = hub("identity", "show", str(row["pair"]))
    assert code == 0
    assert "Anne Lee" in said
    code, said, _ = hub("identity", "merge", str(row["pair"]), "--yes", "--note", "same phone", "--json")
    merged = data(said)
    assert (code, merged["survivor"], merged["alias"]) == (0, row["first"], row["second"])
    assert listed(hub) == []
    assert [each["merge"] for each in listed(hub, "--merges")] == [merged["merge"]]
    assert hub("sync")[0] == 0
    code, said, _ = hub("identity", "split", row["second"], "--json")
    assert (code, data(said)["kept_apart"]) == (0, True)
    assert hub("sync")[0] == 0
    assert (doubled / "data" / "left.csv").read_text("utf-8").count("Anne Lee") == 1
    (ruling,) = listed(hub, "--rulings")
    assert hub("identity", "lift", str(ruling["ruling"]))[0] == 0
    assert listed(hub, "--rulings") == []


def test_nobody_merges_without_being_asked(
    doubled: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (row,) = listed(hub)
    assert hub("identity", "merge", row["first"], row["second"])[0] == 2, "nobody is there to ask"
    assert hub("identity", "merge", row["first"], row["second"], "--json")[0] == 2, "a question is no JSON"
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert hub("identity", "merge", row["first"], row["second"])[0] == 1
    assert listed(hub, "--merges") == []
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    code, said, _ = hub("identity", "merge", row["first"], row["second"])
    assert code == 0
    assert "joint" in said


def test_a_pair_may_be_put_off_or_ruled_apart(doubled: Path, hub: Hub) -> None:
    (row,) = listed(hub)
    assert hub("identity", "later", str(row["pair"]))[0] == 0
    assert (listed(hub), len(listed(hub, "--later"))) == ([], 1)
    assert hub("identity", "never", row["first"], "left/people/2", "--note", "sisters")[0] == 0
    assert listed(hub, "--later") == []
    code, said, _ = hub("identity", "always", row["first"], "left/people/77", "--json")
    assert (code, data(said)["waits"]) == (0, True)
    assert {each["kind"] for each in listed(hub, "--rulings")} == {"never", "always"}


def test_a_scan_says_what_it_compared(doubled: Path, hub: Hub) -> None:
    code, said, _ = hub("identity", "scan", "--type", "contact", "--above", "0.5", "--json")
    (row,) = data(said)
    assert (code, row["type"], row["compared"]) == (0, "contact", 3)


def test_what_is_not_there_or_not_so_is_an_error(doubled: Path, hub: Hub) -> None:
    assert hub("identity", "show", "99")[0] == 1
    assert hub("identity", "merge", "contact:1")[0] == 2
    code, _, complaint = hub("identity", "split", "contact:1")
    assert (code, "never merged" in complaint) == (1, True)
    code, _, complaint = hub("identity", "merge", "contact:1", "contact:1", "--yes")
    assert (code, "IDN-SAME" in complaint) == (1, True)
    assert listed(hub, "--crowded") == []


def test_keys_are_counted_on_the_data_before_a_mapping_goes_live(doubled: Path, hub: Hub) -> None:
    code, said, _ = hub("mapping", "check", "--data", "--json")
    assert (code, data(said)) == (0, [])
    shared = "Id,Email,Name,Phone,Hub\n" + "".join(f"{n},info@example.org,N{n},,\n" for n in range(8))
    (doubled / "data" / "left.csv").write_text(shared + "9,ann@example.org,Ann,,\n", "utf-8")
    code, said, _ = hub("mapping", "check", "--data", "--json")
    (fault,) = data(said)
    assert (code, fault["code"], fault["where"], fault["stops"]) == (0, "MAP-048", "left/people", False)
    assert "8 of 9 records share their email with another: info@example.org (8)" in fault["message"]
    code, said, _ = hub("mapping", "check", "--data")
    assert (code, "info@example.org (8)" in said) == (0, True)
