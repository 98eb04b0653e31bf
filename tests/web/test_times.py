"""Times by the clock of the hub's own zone: as pages tell them, and as their forms are read."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.app.listings import iso
from hub.app.overview import overview
from hub.errors import NeedsReview
from hub.web.operations import bars
from hub.web.show import text_of
from hub.web.times import Times
from tests.projects import CANONICAL, HUB, LEFT, RIGHT
from tests.web.console import Console

BERLIN = ZoneInfo("Europe/Berlin")
ZONED = HUB.replace("country: DE", "country: DE, timezone: Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def clock(zone: str = "Europe/Berlin", now: str = "2026-11-28T12:00:00Z") -> Times:
    return Times(zone=ZoneInfo(zone), now=at(now))


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Europe/Berlin", "2026-03-29 00:59:59 CET"),
        ("UTC", "2026-03-28 23:59:59 UTC"),
        ("America/New_York", "2026-03-28 19:59:59 EDT"),
        ("Asia/Kolkata", "2026-03-29 05:29:59 IST"),
        ("America/Sao_Paulo", "2026-03-28 20:59:59 UTC-03"),  # nobody has letters for it
    ],
)
def test_a_moment_is_told_by_the_hubs_clock_with_its_name(zone: str, told: str) -> None:
    assert clock(zone).exact("2026-03-28T23:59:59.999Z") == told


def test_the_clock_leaps_and_stays_behind_between_two_seconds() -> None:
    spring, autumn = ("2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"), ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")
    assert [clock().exact(each) for each in spring] == ["2026-03-29 01:59:59 CET", "2026-03-29 03:00:00 CEST"]
    assert [clock().exact(each) for each in autumn] == ["2026-10-25 02:30:00 CEST", "2026-10-25 02:30:00 CET"]
    assert clock().exact(None) == "at no known time"
    assert clock().exact("0001-01-01T00:00:00Z") == "0001-01-01 00:53:28 LMT"
    assert clock("America/New_York").exact("0001-01-01T00:00:00Z") == "0001-01-01 00:00:00 UTC", "no year is before it"


def test_a_day_is_that_of_the_zone() -> None:
    assert clock().ago("2026-11-10T23:30:00Z") == "11 Nov 2026"
    assert clock("UTC").ago("2026-11-10T23:30:00Z") == "10 Nov 2026"
    assert clock().ago("2026-11-28T11:00:00Z") == "1 h ago"
    assert (clock().day("2026-11-10T23:30:00Z"), clock().day("2026-11-10")) == ("2026-11-11", "2026-11-10")


def test_values_and_sentences_are_told_by_it_and_other_text_is_left_alone() -> None:
    berlin = clock()
    assert text_of(["2026-07-01T10:00:00.250Z", 7], berlin) == "2026-07-01 12:00:00.25 CEST, 7"
    assert text_of("ends 2026-07-01T10:00:00Z", berlin) == "ends 2026-07-01T10:00:00Z", "somebody's own words"
    assert text_of("2026-07-01", berlin) == "2026-07-01", "a date has no zone"
    assert text_of({"state": "opted_in", "at": "2026-07-01T23:00:00Z"}, berlin) == "opted in since 2026-07-02"
    assert text_of("2026-07-01T10:00:00Z") == "2026-07-01T10:00:00Z", "as it is, where nobody's clock is given"
    assert berlin.sentence("known since 2026-07-01T10:00:00.000Z, 3 of them") == (
        "known since 2026-07-01 12:00:00 CEST, 3 of them"
    )


@pytest.mark.parametrize(
    ("entered", "taken"),
    [
        ("2026-11-28T18:04", "2026-11-28T17:04:00.000Z"),
        ("2026-07-01T18:04", "2026-07-01T16:04:00.000Z"),
        ("2026-07-01", "2026-06-30T22:00:00.000Z"),
        ("2026-03-29", "2026-03-28T23:00:00.000Z"),  # the day that has 23 hours
        ("2026-07-01T18:04:00Z", "2026-07-01T18:04:00.000Z"),  # it names its zone
        ("2026-03-29T02:30", "2026-03-29T01:30:00.000Z"),  # left out: 03:30
        ("2026-10-25T02:30", "2026-10-25T01:30:00.000Z"),  # twice: the later one
    ],
)
def test_what_is_entered_is_read_by_it(entered: str, taken: str) -> None:
    assert clock().utc(entered) == taken


def test_an_hour_that_is_left_out_and_one_that_comes_twice_are_said() -> None:
    gap, fold = clock().read("2026-03-29T02:30"), clock().read("2026-10-25T02:30")
    assert gap.note == "The clocks went forward then, and 02:30 was left out: 03:30 CEST is taken."
    assert fold.note == "The clocks went back then, and 02:30 came twice: the later one, 02:30 CET is taken."
    assert (gap.other, fold.other) == ("", "2026-10-25T00:30:00.000Z")
    assert clock().read("2026-10-25T03:00").note == clock("UTC").read("2026-10-25T02:30").note == ""
    with pytest.raises(NeedsReview, match="yesterday"):
        clock().read("yesterday")


def test_what_a_form_is_given_it_gives_back() -> None:
    for text in ("2026-11-28T18:04", "2026-07-01T00:00"):
        assert clock().entered(clock().utc(text)) == text


def test_bars_stand_at_the_hours_of_the_clock() -> None:
    night = [{"at": f"2026-10-{day}:00:00Z", "read": 1, "written": 0} for day in ("24T23", "25T00", "25T01", "25T02")]
    drawn = bars(night, clock())
    assert [each["hour"] for each in drawn["bars"]] == ["01", "02", "02", "03"]
    assert (drawn["zone"], bars(night[2:], clock())["zone"]) == ("CEST and CET", "CET")


# Pages


@pytest.fixture
def zoned(tmp_path: Path) -> Iterator[Console]:
    found = Console(tmp_path, hub=ZONED)
    found.start()
    found.sync()
    yield found
    found.stop()


def test_pages_tell_times_by_the_hubs_clock_and_the_api_by_utc(zoned: Console) -> None:
    viewer = zoned.as_("support")
    page = viewer.get(f"/conflicts/{zoned.conflict()}").text
    instant, told = re.search(r'<time datetime="([^"]+Z)">([^<]+)</time>', page).groups()  # type: ignore[union-attr]
    there = datetime.fromisoformat(instant).astimezone(BERLIN)
    assert told == f"{there:%Y-%m-%d %H:%M:%S %Z}"
    assert f"Hours are {there:%Z}." in viewer.get("/").text
    with zoned.hub.store.reading() as tx:
        run = tx.runs(limit=1)[0]
    assert f'title="{datetime.fromtimestamp(run.started_at, BERLIN):%Y-%m-%d %H:%M:%S %Z}"' in viewer.get("/runs").text
    (today,) = overview(zoned.hub)["days"]
    assert today["day"] == f"{datetime.now(BERLIN):%Y-%m-%d}"
    assert "UTC" not in viewer.get("/").text + page


def test_a_record_is_looked_back_at_by_the_hubs_clock(zoned: Console) -> None:
    target, viewer = zoned.contact(), zoned.as_("viewer")
    between = datetime.now(UTC)
    time.sleep(0.002)
    zoned.edit("data/left.csv", "030 1234567", "030 7654321")
    zoned.sync()
    moments = re.findall(r'<div class="ends"><small><time datetime="([^"]+)"', viewer.get(f"/records/{target}").text)
    assert moments, "it changed: there is something to slide back to"
    entered = f"{between.astimezone(BERLIN):%Y-%m-%dT%H:%M:%S.%f}"
    page = viewer.get(f"/records/{target}/as-of?at={entered}").text
    assert f'<h2>As it was, <time datetime="{iso(between.timestamp() + 0.001)}">' in page
    assert "(Europe/Berlin)</label>" in page
    assert f'value="{entered[:16]}"' in page, "the form shows what is looked at"
    assert "value-new" in page, "it was another one then"
    later = viewer.get(f"/records/{target}/as-of?at={between:%Y-%m-%dT%H:%M:%S.%f}%2B00:00").text
    assert (iso(between.timestamp() + 0.001) or "") in later, "a moment that names its zone keeps it"


def test_looking_back_into_a_night_when_the_clocks_are_put_says_what_was_taken(zoned: Console) -> None:
    target, viewer = zoned.contact(), zoned.as_("viewer")
    gap = viewer.get(f"/records/{target}/as-of?at=2099-03-29T02:30")
    assert (gap.status, "03:30 CEST is taken" in gap.text) == (200, True)
    assert "2099-03-29 03:30:00 CEST" in gap.text
    fold = viewer.get(f"/records/{target}/as-of?at=2099-10-25T02:30").text
    assert "2099-10-25 02:30:00 CET" in fold
    (other,) = re.findall(r'href="([^"]+)">Look at the earlier one', fold)
    assert "2099-10-25 02:30:00 CEST" in viewer.get(html.unescape(other)).text


WHEN = CANONICAL.replace("name: {type: text}", "name: {type: text}\n      met: {type: instant, survivorship: manual}")
LEFT_MET, RIGHT_MET = (each.replace("name: {", "met: {remote: Met}\n      name: {") for each in (LEFT, RIGHT))


def test_a_moment_that_is_typed_into_a_conflict_is_one_of_the_hubs_clock(tmp_path: Path) -> None:
    rows = "{},{},Name,Phone,Hub,Met\n1,ann@example.org,Ann,,,{}\n"
    console = Console(
        tmp_path, hub=ZONED, canonical_yaml=WHEN, left_yaml=LEFT_MET, right_yaml=RIGHT_MET,
        left_csv=rows.format("Id", "Email", "2026-07-01T10:00:00Z"),
        right_csv=rows.format("No", "Mail", "2026-07-02T10:00:00Z"),
    )  # fmt: skip
    console.start()
    try:
        console.sync()
        number, support = console.conflict(), console.as_("support")
        page = support.get(f"/conflicts/{number}").text
        assert '<span class="value">2026-07-01 12:00:00 CEST</span>' in page
        assert 'name="moment" type="datetime-local"' in page
        form: dict[str, Any] = {"choice": "typed", "digest": console.digest(number), "then": "stay"}
        assert support.post(f"/conflicts/{number}", **form, moment="2026-07-03T09:30").to.endswith("done=resolved")
        entity = int(console.contact().partition(":")[2])
        with console.hub.store.reading() as tx:
            assert tx.entities([entity])[entity].values["met"] == "2026-07-03T07:30:00Z"
    finally:
        console.stop()
