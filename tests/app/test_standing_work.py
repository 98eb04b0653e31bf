"""What is done without anybody's asking: figures kept fresh, an audit each quarter, a report after each month."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.app.audit_report import past_audits
from hub.app.board import board
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.notices import needs_now, tell_people
from hub.app.projects import check_project
from hub.app.standing_work import StandingWork
from hub.app.syncing import sync_now
from hub.runtime.clock import VirtualClock
from tests.projects import HUB, make_project

SETTINGS = "\nnotices: {to: {team: env:TEAM_CHAT}, every: 10m, figures: month}\naudits: 91d\n"
KPIS = """\
language: 1
kpis:
  people: {text: People we know., unit: number, direction: up, of: contact, at: known, formula: {kind: count}}
"""
GOALS = """\
language: 1
goals:
  crowd: {kpi: people, baseline: 1, target: 900, since: 2026-10-01, deadline: 2026-12-31, owner: kim@example.com}
"""
DAY = 86_400.0


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Hub, list[str], VirtualClock]]:
    clock = VirtualClock(1_793_606_400.0)  # 2026-11-02
    folder = make_project(tmp_path, hub=HUB + SETTINGS)
    (folder / "mappings" / "kpis.yaml").write_text(KPIS, "utf-8")
    (folder / "mappings" / "goals.yaml").write_text(GOALS, "utf-8")
    assert check_project(folder) == []
    hub = open_hub(folder, clock=clock, environ={}, publish=True)
    said: list[str] = []

    def tell(title: str, text: str) -> list[str]:
        said.append(f"{title}\n{text}")
        return []

    hub.tell = tell
    sync_now(hub)
    yield hub, said, clock
    hub.store.close()


def test_a_report_goes_out_once_after_each_month(opened: tuple[Hub, list[str], VirtualClock]) -> None:
    hub, said, clock = opened
    work = StandingWork(hub, owner="a")
    work.round()
    clock.advance(20 * DAY)
    work.round()
    assert said == [], "no month has ended since"
    clock.advance(10 * DAY)
    work.round()
    work.round()
    assert len(said) == 1
    assert "figures until 2026-11" in said[0]
    people = board(hub)["figures"][0]["figures"][-2]
    assert int(people["value"]) > 0
    assert f"people 2026-11: {people['value']}, 0 before (better)" in said[0]
    assert "crowd: off track" in said[0]


def test_what_could_not_be_sent_is_sent_in_the_next_round(opened: tuple[Hub, list[str], VirtualClock]) -> None:
    hub, said, clock = opened
    work, tell = StandingWork(hub, owner="a"), hub.tell
    work.round()
    clock.advance(40 * DAY)
    hub.tell = lambda _title, _text: ["team"]
    work.round()
    hub.tell = tell
    work.round()
    assert len(said) == 1


def test_the_data_is_audited_each_quarter_and_when_somebody_asks(opened: tuple[Hub, list[str], VirtualClock]) -> None:
    hub, _, clock = opened
    work = StandingWork(hub, owner="a")
    work.round()
    clock.advance(90 * DAY)
    work.round()
    assert past_audits(hub) == []
    clock.advance(DAY)
    work.round()
    work.round()
    assert [each["by"] for each in past_audits(hub)] == ["schedule"]
    work.ask_audit("kim")
    assert [each["by"] for each in past_audits(hub)] == ["kim", "schedule"]
    assert work.report is not None
    assert work.report["by"] == "kim"
    assert not work.auditing


def test_a_goal_that_is_off_its_way_is_told_once(opened: tuple[Hub, list[str], VirtualClock]) -> None:
    hub, said, clock = opened
    StandingWork(hub, owner="a").round()
    assert "goal crowd" in needs_now(hub)
    assert tell_people(hub, owner="a")
    clock.advance(3600)
    assert not tell_people(hub, owner="a")
    assert [text for text in said if "crowd will not be reached: hub goals" in text] == said[:1]


def test_its_thread_does_what_is_asked_and_ends(opened: tuple[Hub, list[str], VirtualClock]) -> None:
    work = StandingWork(opened[0], owner="a", rest_s=0.01)
    work.start()
    for _ in range(500):
        if board(opened[0])["at"] is not None:
            break
        time.sleep(0.02)
    assert work.stop()
    assert board(opened[0])["figures"][0]["now"] is not None
