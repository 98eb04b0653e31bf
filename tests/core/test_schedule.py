"""Slots lie on a grid that every process and every restart shares."""

from __future__ import annotations

import pytest

from hub.core.schedule import Grid, Joint, base_of, next_slot, offset_of, rhythm_of, slot_at, slots_between, streams_due

DAY = 86_400.0


def test_a_slot_is_the_newest_one_that_has_come() -> None:
    assert slot_at(300.0, 7.0, 1006.9) == 907.0
    assert slot_at(300.0, 7.0, 907.0) == 907.0
    assert slot_at(300.0, 7.0, 906.9) == 607.0


def test_the_next_slot_is_always_later_than_now() -> None:
    assert next_slot(300.0, 7.0, 907.0) == 1207.0
    assert next_slot(300.0, 7.0, 907.1) == 1207.0
    assert next_slot(300.0, 7.0, 1206.9) == 1207.0


def test_slots_between_leave_out_the_first_moment_and_include_the_last() -> None:
    assert slots_between(300.0, 0.0, 300.0, 1200.0) == [600.0, 900.0, 1200.0]
    assert slots_between(300.0, 0.0, 301.0, 599.0) == []


def test_of_a_long_outage_the_newest_slots_are_kept() -> None:
    assert slots_between(1.0, 0.0, 0.0, 10_000.0, limit=3) == [9998.0, 9999.0, 10_000.0]


def test_the_place_on_the_grid_is_the_connections_own_and_within_its_interval() -> None:
    assert offset_of("salesforce", 300.0) == offset_of("salesforce", 300.0)
    assert offset_of("salesforce", 300.0) != offset_of("hubspot", 300.0)
    assert all(0.0 <= offset_of(name, 30.0) < 30.0 for name in ("a", "b", "crm", "shop"))


def test_a_connection_is_looked_at_as_often_as_its_most_frequent_stream() -> None:
    assert base_of({"leads": 30.0, "users": DAY}) == 30.0
    assert base_of({"all": 0.001}) == 1.0
    assert base_of({}) == 300.0


def test_only_streams_with_a_slot_since_the_last_run_are_due() -> None:
    every = {"leads": 30.0, "contacts": 300.0, "users": DAY}
    assert streams_due(every, 0.0, None, 90.0) == {"leads", "contacts", "users"}, "the first run reads everything"
    assert streams_due(every, 0.0, 60.0, 90.0) == {"leads"}
    assert streams_due(every, 0.0, 270.0, 300.0) == {"leads", "contacts"}
    assert streams_due(every, 0.0, DAY - 30.0, DAY) == {"leads", "contacts", "users"}


@pytest.mark.parametrize("skipped", [1, 2, 5])
def test_a_slot_that_fell_into_a_skipped_tick_is_not_lost(skipped: int) -> None:
    every = {"leads": 30.0, "contacts": 300.0}
    assert streams_due(every, 0.0, 270.0, 300.0 + skipped * 30.0) == {"leads", "contacts"}


def test_an_interval_is_a_rhythm_of_its_slots() -> None:
    grid = Grid(300.0, 7.0)
    assert (grid.newest(1006.9), grid.following(1006.9)) == (907.0, 1207.0)
    assert grid.between(907.0, 1507.0) == [1207.0, 1507.0]
    assert grid.between(0.0, 1507.0, limit=1) == [1507.0]


def test_several_rhythms_are_one_with_each_moment_once() -> None:
    joint = Joint((Grid(300.0, 0.0), Grid(450.0, 0.0)))
    assert (joint.newest(899.0), joint.following(899.0)) == (600.0, 900.0)
    assert joint.between(0.0, 1000.0) == [300.0, 450.0, 600.0, 900.0]
    assert joint.between(0.0, 1000.0, limit=2) == [600.0, 900.0]


def test_a_connection_is_looked_at_by_interval_by_the_calendar_or_by_both() -> None:
    noon = Grid(DAY, DAY / 2)  # stands for a line of a crontab
    every = {"contacts": 300.0}
    by_interval = Grid(300.0, offset_of("crm", 300.0))
    assert rhythm_of("crm", every) == by_interval
    assert rhythm_of("crm", {}, {"deals": noon, "companies": noon}) == noon
    assert rhythm_of("crm", every, {"deals": noon}) == Joint((by_interval, noon))
