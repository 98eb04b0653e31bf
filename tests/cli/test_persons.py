"""One person's data by command: taken out, forgotten, known again."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

Hub = Callable[..., tuple[int, str, str]]
ANN = "contact:ann@example.org"


def test_everything_about_a_person_goes_into_a_file_that_only_its_owner_reads(hub: Hub, project: Path) -> None:
    assert hub("sync")[0] == 0
    file = project / "ann.json"
    assert hub("export", ANN, "-o", str(file))[0] == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = json.loads(file.read_text("utf-8"))
    assert found["entities"][0]["values"]["email"] == "ann@example.org"
    assert {record["connection"] for record in found["entities"][0]["records"]} == {"left", "right"}
    code, _, complaint = hub("export", ANN, "-o", str(project / "no" / "ann.json"))
    assert (code != 0, "EXPORT-WRITE" in complaint) == (True, True)


def test_a_person_is_erased_stays_away_and_may_come_back(hub: Hub, project: Path) -> None:
    assert hub("sync")[0] == 0
    code, _, complaint = hub("erase", ANN)
    assert (code != 0, "--yes" in complaint) == (True, True)  # nobody is there to ask
    code, said, _ = hub("erase", ANN, "--yes", "--json")
    assert (code, {each["connection"] for each in json.loads(said)["records"]}) == (0, {"left", "right"})
    assert b"ann@example.org" not in (project / "hub.db").read_bytes()
    (project / "data" / "left.csv").write_text("Id,Email,Name,Phone,Hub\n1,ann@example.org,Again,,\n", "utf-8")
    assert hub("sync")[0] == 0
    assert hub("why", ANN)[0] != 0
    assert hub("erase", ANN, "--again")[0] == 0
    (project / "data" / "left.csv").write_text("Id,Email,Name,Phone,Hub\n1,ann@example.org,Back,,\n", "utf-8")
    assert hub("sync")[0] == 0
    assert hub("why", ANN)[0] == 0
