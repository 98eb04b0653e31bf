"""The bench of figures fills what it says, restates each change, and is through only if every page is quick enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import figures
from bench.console import Asked
from bench.figures import BEYOND, CHECKED, Measured, fill, main, measure, opened
from hub.app.board import board
from hub.store.migrate import upgrade

CONTACTS, EVENTS = 60, 150


def test_a_store_is_filled_and_every_figure_of_it_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "BEYOND", BEYOND[:2])  # what is computed beside pages is computed one after the other
    url = f"sqlite:///{tmp_path}/bench.db"
    upgrade(url)
    with opened(tmp_path / "project", url) as hub:
        fill(hub, CONTACTS, EVENTS)
        with hub.store.reading() as tx:
            assert tx.count_entities() == {"contact": CONTACTS, "order": 60, "activity": 90, "deal": CONTACTS // 50}
            assert len(tx.events_page(after_id=0, limit=1000)) == EVENTS
        found = measure(hub, CONTACTS, times=1)
        with hub.store.reading() as tx:
            assert tx.count_entities()["order"] == 62, "two orders came in meanwhile"
        shown = {each["kpi"]: each["now"] for each in board(hub)["figures"]}
    assert found.single.keys() == set(CHECKED) <= shown.keys()
    assert all(shown.values())
    assert list(found.one) == ["nothing", "an order", "an order of last month", "a refund", "a person"]
    assert all(took > 0 for took in (found.first, found.first_cpu, *found.one.values()))
    assert {each.status for each in found.pages} == {200}
    assert list(found.beyond) == list(BEYOND[:2])
    paths = {each.path for each in found.pages}
    assert {"/figures", "/goals", *(f"/figures/{name}?by=week" for name in shown), *found.beyond} <= paths


def test_a_board_that_tells_something_else_than_all_records_ends_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bench.db"
    upgrade(url)
    with opened(tmp_path / "project", url) as hub:
        fill(hub, CONTACTS, EVENTS)
        with pytest.raises(SystemExit, match="revenue: the board tells something else"):
            figures._alone(hub, "revenue", {"revenue": [{"value": "1"}]})


@pytest.mark.parametrize(("status", "median_ms", "code"), [(200, 499.0, 0), (200, 501.0, 1), (500, 5.0, 1)])
def test_a_slow_page_or_one_that_fails_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int, median_ms: float, code: int
) -> None:
    page = Asked(path="/goals", status=status, size=1, took_ms=[median_ms], cpu_ms=1.0)
    told = Measured(
        first=2.0, first_cpu=1.0, single={"revenue": 1.0}, memory_mb=90, one={"an order": 0.01}, pages=[page],
        beyond={"/figures/revenue?segment=stage": 3.0},
    )  # fmt: skip
    monkeypatch.setattr(figures, "measure", lambda hub, contacts, times: told)
    assert main(["--contacts", "5", "--events", "5"]) == code
    text = capsys.readouterr().out
    assert "5 contacts, 5 events" in text
    assert "10.0 ms = 1/200 of the first computation" in text
    assert f"slowest /goals: {median_ms:.1f} ms" in text
    assert ("status 500" in text) == (status == 500)
