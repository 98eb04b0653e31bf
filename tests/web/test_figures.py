"""Key figures, goals and audits in the console and by its API: computed, taken apart, taken away as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from hub.app.figure_views import FigureViews
from hub.app.trusting import kept_trust, list_trust
from tests.projects import make_project
from tests.web.console import Console
from tests.web.test_api import token

KPIS = """\
language: 1
kpis:
  people: {text: People we know., unit: number, direction: up, of: contact, at: known, formula: {kind: count}}
  reachable:
    {text: Whom we can call., unit: share, direction: up, of: contact, at: known,
     formula: {kind: ratio, part: "phone is not None"}}
"""
GOALS = """\
language: 1
goals:
  crowd: {kpi: people, baseline: 1, target: 90000, since: 2020-01-01, deadline: 2099-12-31, owner: kim@example.com}
"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("figures")
    project = make_project(folder)
    (project / "mappings" / "kpis.yaml").write_text(KPIS, "utf-8")
    (project / "mappings" / "goals.yaml").write_text(GOALS, "utf-8")
    found = Console(folder, project=project)
    found.service.figures = FigureViews(found.hub, wait_s=60.0)  # a page of these tests waits for what it asks
    found.start()
    found.sync()
    yield found
    found.stop()


def test_figures_are_computed_on_demand_by_who_may_run_and_seen_by_all(console: Console) -> None:
    viewer, admin = console.as_("viewer"), console.as_("admin")
    assert "not computed yet" in viewer.get("/figures").text
    assert "Compute now" not in viewer.get("/figures").text
    assert viewer.post("/figures").status == 403
    assert admin.post("/figures").to.startswith("/figures?done=figures")
    page = viewer.get("/figures").text
    assert "not computed yet" not in page
    assert "crowd" in viewer.get("/goals").text
    assert "off track" in viewer.get("/goals").text


def test_a_figure_is_taken_apart_and_taken_away(console: Console) -> None:
    viewer = console.as_("viewer")
    assert "Period by period" in viewer.get("/figures/people").text
    page = viewer.get("/figures/people?by=year&segment=source&records=yes").text
    assert "left" in page
    assert "/records/contact:" in page
    page = viewer.get("/figures/people?as_of=2026-01-01").text
    assert "What became known since" in page
    assert viewer.get("/figures/people?segment=nonsense").status == 422
    assert viewer.get("/figures/people?as_of=soon").status == 422
    assert viewer.get("/figures/nothing").status == 404
    answer = viewer.get("/figures/people/csv?by=year")
    assert answer.headers["content-disposition"] == 'attachment; filename="people.csv"'
    assert answer.text.splitlines()[0] == "period,segment,value,unit,of,open"
    rows = viewer.get("/figures/people/csv?by=year&records=yes").text.splitlines()
    assert len(rows) - 1 == int(answer.text.splitlines()[-1].split(",")[2])


def test_a_page_does_not_wait_for_what_is_being_computed(console: Console) -> None:
    viewer, working = console.as_("viewer"), console.service.figures
    idle = FigureViews(console.service.hub)
    idle.stop()  # it takes questions and gets to none
    try:
        console.service.figures = idle
        answer = viewer.get("/figures/people?segment=source")
        assert answer.status == 200
        assert "Being computed" in answer.text
        assert "<progress" in answer.text
        assert "Period by period" not in answer.text
        console.as_("admin").post("/figures")
        then = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        answer = viewer.get(f"/figures/people?as_of={then}")
        assert "Below is what this page showed then" in answer.text
        assert "Shown then" in answer.text
    finally:
        console.service.figures = working
    assert "Period by period" in viewer.get("/figures/people?segment=source").text


def test_an_audit_is_made_on_demand_and_its_report_prints(console: Console) -> None:
    viewer, admin = console.as_("viewer"), console.as_("admin")
    assert "No audit yet" in viewer.get("/data").text
    assert viewer.get("/data/report").status == 404
    assert kept_trust(console.hub) == {"measured": None, "rows": []}
    assert viewer.post("/data").status == 403
    admin.post("/data")
    page = viewer.get("/data").text
    assert "Findings" in page
    assert "by admin" in page
    admin.post("/data")
    assert "Score over time" in viewer.get("/data").text
    assert "<html" in viewer.get("/data/report").text
    assert viewer.post("/data/trust", entity="contact", field="phone").status == 403
    assert "speak for no other order" in admin.post("/data/trust", entity="contact", field="phone").text
    assert "What would change" in admin.get("/mappings/canonical.yaml/change").text


def test_programs_get_the_same(console: Console) -> None:
    viewer = console.as_("viewer")
    key = token(console, "read", role="viewer")

    def get(path: str) -> Any:
        answer = viewer.get(f"/api/v1{path}", Authorization=f"Bearer {key}")
        assert answer.status == 200, answer.text
        return orjson.loads(answer.body)

    assert {each["kpi"] for each in get("/figures")["figures"]} == {"people", "reachable"}
    assert get("/figures/people?by=year")["figures"][-1]["open"] is True
    assert [each["goal"] for each in get("/goals")] == ["crowd"]
    console.as_("admin").post("/data")
    trust = get("/trust")
    assert trust["measured"] == get("/data-audits")[0]["at"]
    assert trust["rows"] == list_trust(console.hub)


def test_a_program_is_told_to_ask_again_while_a_figure_is_computed(console: Console) -> None:
    key, working = token(console, "read", role="viewer"), console.service.figures
    idle = FigureViews(console.service.hub)
    idle.stop()

    def ask() -> Any:
        return console.as_("viewer").get(
            "/api/v1/figures/people?by=week&segment=source", Authorization=f"Bearer {key}"
        )  # fmt: skip

    try:
        console.service.figures = idle
        answer = ask()
    finally:
        console.service.figures = working
    assert (answer.status, answer.headers["retry-after"]) == (202, "2")
    assert orjson.loads(answer.body) == {"kpi": "people", "computing": True, "share": 0.0}
    answer = ask()
    assert (answer.status, orjson.loads(answer.body)["by"]) == (200, "week")
