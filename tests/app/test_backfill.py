"""Reading again: what was missed is found, nothing is made twice, and the price is told before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub.app.backfill import DAY_S, RESTED, ask_backfill, backfill_cost, waiting_backfill
from hub.connector import RateLimit
from hub.errors import NotFound
from hub.verify.vendor import STREAM
from tests.app_world import World


def missed_edit(world: World, external_id: str) -> None:
    """An edit that reading went past: the vendor told its cursor too late."""
    world.edit("A", external_id, note="missed")
    with world.store.transaction() as tx:
        state = tx.cursor("A", STREAM)
        tx.set_cursor("A", STREAM, {**state, "at": {"top": world.clock.now() + 1000.0}})
    world.sync()
    assert world.values()["note"] != "missed"


def test_reading_from_the_beginning_finds_what_was_missed_and_writes_nothing_else(make: Any) -> None:
    world = make()
    at_a = world.person("A", note="first")
    world.settle()
    missed_edit(world, at_a)
    writes = world.writes()
    asked = ask_backfill(world.hub, "A", by="admin")
    assert (asked["streams"], asked["since"]) == ([STREAM], None)
    assert waiting_backfill(world.hub, "A") == [STREAM]
    world.settle()
    assert world.values()["note"] == "missed"
    assert world.held_at("B", world.twin_of("A", at_a, "B"))["note"] == "missed"
    assert world.writes() == writes + 1
    assert waiting_backfill(world.hub, "A") == []
    world.settle()
    assert world.writes() == writes + 1
    with world.store.reading() as tx:
        (said, *_) = [row for row in tx.audit_page(10) if row.action == "backfill asked for"]
    assert (said.actor, said.target) == ("admin", "A")


def test_reading_since_a_day_begins_where_it_rested_before(make: Any) -> None:
    world = make(modes={"B": "observe"})
    world.people("A", 8)
    world.settle()
    world.clock.sleep(DAY_S)
    world.person("A", email="late@example.org")
    world.settle()
    since = world.clock.now()
    world.clock.sleep(DAY_S)
    world.sync()
    with world.store.reading() as tx:
        assert len(tx.cursor("A", STREAM + RESTED)) == 3
    assert world.sync("A")["A"].counts["rows"] <= 1, "nothing but the look-back"
    cost = backfill_cost(world.hub, "A", since=since)
    assert cost["streams"][0]["from"] is not None
    ask_backfill(world.hub, "A", since=since, by="admin")
    assert 1 <= world.sync("A")["A"].counts["rows"] < 9
    ask_backfill(world.hub, "A", since=0.0, by="admin")
    assert backfill_cost(world.hub, "A", since=0.0)["streams"][0]["from"] is None
    assert world.sync("A")["A"].counts["rows"] == 9, "nobody knows where it rested then: all of it"


def test_a_missed_edit_of_two_days_ago_is_found_since_then(make: Any) -> None:
    world = make()
    at_a = world.person("A", note="first")
    world.settle()
    since = world.clock.now()
    missed_edit(world, at_a)
    world.clock.sleep(2 * DAY_S)
    world.sync()
    assert world.values()["note"] == "first"
    ask_backfill(world.hub, "A", since=since, by="admin")
    world.settle()
    assert world.values()["note"] == "missed"


def test_the_price_is_told_in_calls_and_minutes_of_the_limits(make: Any) -> None:
    world = make(modes={"B": "observe"})
    world.people("A", 8)
    world.settle()
    connection = world.hub.connections["A"]
    world.change(
        "A",
        connector=replace(connection.connector, limits=(RateLimit(name="slow", calls=1, per_s=60.0),)),
        streams={STREAM: replace(connection.streams[STREAM], page_size=2)},
    )
    cost = backfill_cost(world.hub, "A")
    assert cost["streams"] == [{"stream": STREAM, "records": 8, "calls": 4, "from": None}]
    assert (cost["calls"], cost["minutes"]) == (4, 3.0)
    assert cost["limits"][0]["limit"] == "slow"


def test_what_is_not_there_cannot_be_read_again(make: Any) -> None:
    world = make()
    with pytest.raises(NotFound):
        ask_backfill(world.hub, "nobody", by="admin")
    with pytest.raises(NotFound):
        ask_backfill(world.hub, "A", stream="nothing", by="admin")
