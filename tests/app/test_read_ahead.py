"""While a page is stored the next one is on its way; what it brings or breaks comes in its turn."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from hub.app.pull import pull_stream
from hub.connector import Page
from hub.errors import RetryLater
from hub.model import SourceRecord
from hub.verify.vendor import STREAM

PAGES = 4


class Pages:
    """A system of four pages of one record, the last of which may fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.stored = threading.Semaphore(0)  # raised when a page was stored
        self.asked: list[tuple[int, str]] = []
        self.met = False  # a page was asked for while the one before it was not stored yet

    def pull(self, _api: Any, _stream: str, cursor: Any) -> Page:
        place = cursor or 0
        self.asked.append((place, threading.current_thread().name))
        if place and not self.stored.acquire(blocking=False):
            self.met = True
        if self.fails and place == PAGES - 1:
            raise RetryLater("not now")
        record = SourceRecord(external_id=f"r{place}", data={"code": f"P{place}"}, stamp=float(place))
        return Page(records=[record], next_cursor=place + 1, complete=place == PAGES - 1)


def pulled(world: Any, pages: Pages) -> Counter[str]:
    world.change("A", connector=replace(world.vendors["A"].connector(), pull=pages.pull))
    connection = world.hub.connections["A"]
    return pull_stream(
        world.hub, connection, STREAM, run_id=None, tally=Counter(), progress=lambda *_: pages.stored.release()
    )


@pytest.mark.parametrize("ahead", [False, True])
def test_every_page_is_asked_for_once_and_in_order(make: Any, ahead: bool) -> None:
    world, pages = make(), Pages()
    world.hub.reads_ahead = ahead
    counts = pulled(world, pages)
    assert (counts["pages"], counts["new"]) == (PAGES, PAGES)
    assert [place for place, _ in pages.asked] == list(range(PAGES))
    assert any(name.startswith("ahead") for _, name in pages.asked) is ahead
    with world.store.reading() as tx:
        assert tx.cursor("A", STREAM)["at"] == PAGES


def test_without_reading_ahead_a_page_is_asked_for_when_the_last_is_stored(make: Any) -> None:
    world, pages = make(), Pages()
    pulled(world, pages)
    assert not pages.met


@pytest.mark.parametrize("ahead", [False, True])
def test_what_a_page_meets_is_raised_after_all_before_it_are_stored(make: Any, ahead: bool) -> None:
    world, pages = make(), Pages(fails=True)
    world.hub.reads_ahead = ahead
    with pytest.raises(RetryLater):
        pulled(world, pages)
    assert set(world.links("A")) == {"r0", "r1", "r2"}
    with world.store.reading() as tx:
        assert tx.cursor("A", STREAM)["at"] == PAGES - 1
