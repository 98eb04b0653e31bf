"""A crontab line in a time zone: its moments one after the other, those that have been, and two days a year."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.schedule import Grid, Joint, rhythm_of, streams_due
from hub.runtime.cron import Cron, parse_cron

BERLIN = "Europe/Berlin"
LINES = ("0 6 * * 1-5", "*/7 * * * *", "30 2 * * *", "0 0 1 * *", "15 */5 * * 0,3", "59 23 31 12 *", "* 1-3 * * *")
ZONES = (BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
YEARS = (datetime(2024, 1, 1, tzinfo=UTC).timestamp(), datetime(2028, 1, 1, tzinfo=UTC).timestamp())


def at(text: str) -> float:
    """Of a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def walk(cron: Cron, start: str, many: int) -> list[str]:
    """So many moments after one, by the clock on the wall there."""
    found, moment = [], at(start)
    for _ in range(many):
        moment = cron.following(moment)
        found.append(f"{datetime.fromtimestamp(moment, ZoneInfo(cron.zone)):%m-%d %H:%M%z}")
    return found


def test_weekdays_are_those_of_a_crontab() -> None:
    """1 is Monday, 0 and 7 are Sunday; 2026-11-27 is a Friday."""
    assert walk(parse_cron("0 6 * * 1-5", BERLIN), "2026-11-27T12:00", 3) == [
        "11-30 06:00+0100", "12-01 06:00+0100", "12-02 06:00+0100",
    ]  # fmt: skip
    for sunday in ("0", "7", "sun", "SUN"):
        assert walk(parse_cron(f"0 6 * * {sunday}", BERLIN), "2026-11-27T12:00", 1) == ["11-29 06:00+0100"]
    for days in ("5-7", "fri,sat,0"):
        assert walk(parse_cron(f"0 6 * * {days}", "UTC"), "2026-11-27T12:00", 3) == [
            "11-28 06:00+0000", "11-29 06:00+0000", "12-04 06:00+0000",
        ]  # fmt: skip
    for days in ("*/2", "0-6/2"):  # Sunday, Tuesday, Thursday, Saturday
        assert walk(parse_cron(f"0 6 * * {days}", "UTC"), "2026-11-27T12:00", 3) == [
            "11-28 06:00+0000", "11-29 06:00+0000", "12-01 06:00+0000",
        ]  # fmt: skip


def test_a_moment_that_the_clock_jumps_over_comes_all_the_same() -> None:
    assert walk(parse_cron("30 2 * * *", BERLIN), "2026-03-28T12:00", 2) == ["03-29 03:30+0200", "03-30 02:30+0200"]
    assert walk(parse_cron("0 * * * *", BERLIN), "2026-03-29T00:30", 2) == ["03-29 03:00+0200", "03-29 04:00+0200"]


def test_a_moment_that_the_clock_shows_twice_comes_once_but_every_hour_is_every_hour() -> None:
    assert walk(parse_cron("30 2 * * *", BERLIN), "2026-10-24T12:00", 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]
    assert walk(parse_cron("0 * * * *", BERLIN), "2026-10-24T23:30", 3) == [
        "10-25 02:00+0200", "10-25 02:00+0100", "10-25 03:00+0100",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ["", "daily", "@daily", "* * * *", "60 * * * *", "0 25 * * *", "0 6 * * 8", "0 6 * * 5-2", "*/0 * * * *",
     "0 6 ? * *", "0 0 31 2 *", "0 6 1 * 1", "0 6 * * 1-", "0 6 * * mon-xyz", "0 6 * * ;"],
)  # fmt: skip
def test_what_is_no_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        parse_cron(line, BERLIN)


@settings(max_examples=60, deadline=None)
@given(line=st.sampled_from(LINES), zone=st.sampled_from(ZONES), now=st.floats(*YEARS))
def test_the_newest_and_the_following_moment_are_neighbours(line: str, zone: str, now: float) -> None:
    cron = parse_cron(line, zone)
    newest, following = cron.newest(now), cron.following(now)
    assert newest <= now < following
    assert cron.following(newest) == following, "none lies between them"
    assert cron.newest(following) == following, "a moment that has come is the newest"
    assert cron.between(newest, following) == [following]


@settings(max_examples=30, deadline=None)
@given(
    line=st.sampled_from(LINES), zone=st.sampled_from(ZONES), start=st.floats(*YEARS),
    cut=st.floats(0.0, 1.0), days=st.floats(0.0, 40.0),
)  # fmt: skip
def test_a_span_that_is_cut_in_two_has_the_same_moments(
    line: str, zone: str, start: float, cut: float, days: float
) -> None:
    cron, until = parse_cron(line, zone), start + days * 86_400.0
    middle = start + cut * (until - start)
    whole = cron.between(start, until, limit=10_000)
    assert cron.between(start, middle, limit=10_000) + cron.between(middle, until, limit=10_000) == whole
    assert whole == sorted(set(whole))
    assert cron.between(start, until, limit=5) == whole[-5:], "of very many the newest"


def test_a_connection_is_looked_at_whenever_a_stream_of_it_may_be_due() -> None:
    night = parse_cron("0 3 * * *", "UTC")
    rhythm = rhythm_of("crm", {"leads": 3600.0}, {"users": night})
    assert isinstance(rhythm, Joint)
    found = rhythm.between(at("2026-12-01T00:00"), at("2026-12-02T00:00"))
    assert len(found) == 25
    assert at("2026-12-01T03:00") in found
    assert rhythm_of("crm", {}, {"users": night, "owners": parse_cron("0 3 * * *", "UTC")}) == night
    assert isinstance(rhythm_of("crm", {}), Grid)


def test_a_stream_by_the_calendar_is_due_once_its_moment_has_come_and_no_slot_loses_it() -> None:
    night = {"users": parse_cron("0 3 * * *", "UTC")}
    three = at("2026-12-01T03:00")
    assert streams_due({"leads": 60.0}, 0.0, three - 60.0, three, night) == {"leads", "users"}
    assert streams_due({"leads": 60.0}, 0.0, three, three + 60.0, night) == {"leads"}
    assert streams_due({"leads": 60.0}, 0.0, three - 60.0, three + 300.0, night) == {"leads", "users"}, (
        "after a long run"
    )
    assert streams_due({"leads": 60.0}, 0.0, None, three + 60.0, night) == {"leads"}, "it waits for its moment"
    assert streams_due({"leads": 60.0}, 0.0, None, three, night) == {"leads", "users"}
