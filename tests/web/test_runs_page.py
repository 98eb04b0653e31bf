"""Runs beside the fewest calls that the vendor allows, slots back to the first, and records as they grew by the day."""

from __future__ import annotations

import re
from dataclasses import replace

from hub.app.growth import COUNTED, SHOWN, note_counts
from hub.app.listings import runs
from hub.app.overview import overview
from hub.connector import RateLimit
from tests.web.console import Console


def test_a_run_stands_beside_the_fewest_calls_that_it_could_have_made(console: Console) -> None:
    connection = console.hub.connections["left"]
    assert runs(console.hub, connection="left")[0]["minimum"] is None, "a file is not called"
    limits = (RateLimit(name="burst", calls=10, per_s=1.0),)
    console.hub.connections["left"] = replace(connection, connector=replace(connection.connector, limits=limits))
    (first,) = runs(console.hub, connection="left")
    assert first["minimum"] == 1, "one page of two records"
    viewer = console.as_("viewer")
    assert "at least 1" in viewer.get("/runs").text
    assert "1 is the fewest" in viewer.get(f"/runs/{first['run']}").text


def test_every_slot_of_a_system_can_be_gone_back_to(console: Console) -> None:
    now = console.hub.clock.now()
    with console.hub.store.transaction() as tx:
        for number in range(70):
            outcome = ("ran", "skipped", "missed")[number % 3]
            tx.add_slot("left", now - 300.0 * number, outcome, f"because of {number}")
    viewer, path, seen = console.as_("viewer"), "/runs?connection=left", list[str]()
    while path:
        page = viewer.get(path).text
        seen += re.findall(r"because of (\d+)", page)
        found = re.search(r'href="(/runs\?connection=left&amp;slot=\d+)#slots"', page)
        path = found[1].replace("&amp;", "&") if found else ""
    assert seen == [str(number) for number in range(70)]
    assert "Choose a system above" in viewer.get("/runs").text


def test_records_are_counted_once_a_day_and_shown_as_they_grew(console: Console) -> None:
    assert "They are counted once a day" in console.as_("viewer").get("/").text
    assert note_counts(console.hub)
    assert not note_counts(console.hub), "today was counted"
    with console.hub.store.transaction() as tx:
        days = {f"2020-01-{day:02}": {"contact": day} for day in range(1, 32)}
        tx.set_setting(COUNTED, {**days, **tx.setting(COUNTED)})
    found = overview(console.hub)["days"]
    assert (len(found), found[0]["day"], found[-2]["records"], found[-1]["records"]) == (SHOWN, "2020-01-03", 31, 3)
    page = console.as_("viewer").get("/").text
    assert "3 on 2020-01-03, 3 now" in page
    assert '<polyline class="line"' in page
