"""`hub audit` from the command line: on the screen, for programs, as a page."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Hub
from tests.cli.test_cli import data
from tests.projects import edit


def test_an_audit_is_told_kept_and_written_as_a_page(project: Path, hub: Hub) -> None:
    assert hub("sync")[0] == 0
    code, said, _ = hub("audit", "--no-scan", "--html", "audit.html")
    assert code == 0
    assert said.startswith("score ")
    assert "since the last audit" not in said
    assert "missing:contact.phone" in said
    page = (project / "audit.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "<h2>7. Since the last audit</h2>\n<p>This is the first audit.</p>" in page
    edit(project, "data/right.csv", "8,cy@example.org,Cy,,", "8,cy@example.org,Cy,+49301119999,")
    assert hub("sync")[0] == 0
    found = data(hub("audit", "--no-scan", "--json")[1])
    assert found["difference"] == [{"key": "missing:contact.phone", "before": 2, "now": 1, "change": -1}]
    score = found["score"]
    assert hub("audit", "--no-scan")[1].startswith(f"score {score} of 100, {score} on {found['at'][:10]}\n")


def test_a_page_that_cannot_be_written_is_told(project: Path, hub: Hub) -> None:
    code, _, complaint = hub("audit", "--no-scan", "--html", "nowhere/audit.html")
    assert code == 2
    assert "AUDIT-WRITE" in complaint


def test_an_empty_hub_has_nothing_to_look_at(project: Path, hub: Hub) -> None:
    code, said, _ = hub("audit", "--no-scan")
    assert code == 0
    assert said.startswith("nothing to look at")
