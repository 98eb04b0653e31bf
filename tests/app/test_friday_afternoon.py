"""Friday afternoon (docs/friday-afternoon.md): 20,000 dormant contacts, and a mapping that would create them all.

In memory, so that the whole number can be had; the same story over HTTP: tests/e2e/test_friday_afternoon.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.app.apply import apply
from hub.app.plan import plan
from hub.app.proposals import approve_plan, list_plans
from hub.app.syncing import sync_now
from hub.app.undo import undo
from hub.connector import RateLimit
from hub.errors import NeedsReview
from hub.verify.vendor import STREAM, SimVendor, Traits
from tests.app_world import World

DORMANT = 20_000  # in the old CRM, A
KNOWN = 300  # customers of the shop, B


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The old CRM is only read; the shop asks before anything is written to it."""
    traits = Traits(page_size=1000, max_batch=1000, hooks=False)
    world = World(f"sqlite:///{tmp_path / 'hub.db'}", modes={"A": "observe", "B": "propose"}, traits=traits)
    for number in range(KNOWN):
        world.person("B", code=f"S{number}", email=f"s{number}@example.org", name=f"Customer {number}")
    world.sync("B")
    for number in range(DORMANT):
        world.person("A", code=f"D{number}", email=f"d{number}@example.org", name=f"Dormant {number}")
    shop = world.hub.connections["B"]
    limits = (RateLimit(name="burst", calls=4, per_s=60.0),)
    world.change("B", connector=replace(shop.connector, limits=limits))
    yield world
    world.store.close()


def state(vendor: SimVendor) -> dict[str, Any]:
    """What people see there, by the code of the person."""
    return {str(fields["code"]): dict(fields) for each in vendor.alive() if (fields := vendor.current(each).fields)}


def record_of(vendor: SimVendor, code: str) -> str:
    return next(each for each in vendor.alive() if (vendor.current(each).fields or {})["code"] == code)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_nothing_happens_before_somebody_approves_and_all_of_it_can_be_taken_back(world: World) -> None:
    crm, shop = world.vendors["A"], world.vendors["B"]
    before = {name: state(vendor) for name, vendor in world.vendors.items()}

    # 16:40, the CRM is connected. The plan says what would happen, and what it costs.
    world.clock.sleep(60.0)
    document = plan(world.hub, owner="test")
    (row,) = [each for each in document["connections"] if each["connection"] == "B"]
    assert (row["creates"], row["updates"], row["removes"]) == (DORMANT, 0, 0)
    assert row["held"] == DORMANT - 100, "the guard on creates would keep back all but its 100"
    assert (row["calls"], row["minutes"]) == (20, 4.0)
    with pytest.raises(NeedsReview, match="PLAN-HELD"):
        apply(world.hub, document, by="ann", owner="test")

    # The hub goes on syncing all evening. Nothing is written.
    world.clock.sleep(300.0)
    outcome = sync_now(world.hub, owner="test")
    assert (outcome.exit_code, world.writes()) == (3, 0)
    (waiting,) = list_plans(world.hub)
    assert (waiting["creates"], waiting["held"]) == (DORMANT, DORMANT - 100)

    # Monday morning somebody approves it after all.
    approve_plan(world.hub, waiting["plan"], by="ben")
    run = world.sync()["B"]
    assert (run.counts["created"], len(state(shop)), world.holds()) == (DORMANT, DORMANT + KNOWN, [])

    # By noon it is clear that this was wrong. Meanwhile people have worked.
    world.edit("B", record_of(shop, "D7"), note="called, wants to come back")
    world.edit("B", record_of(shop, "S3"), phone="+4930999")
    world.edit("A", record_of(crm, "D8"), name="Dormant 8, married")
    fresh = world.person("B", code="S999", email="new@example.org", name="New Customer")
    people = {name: state(vendor) for name, vendor in world.vendors.items()}

    found, done = undo(world.hub, [run.run_id], by="ann", delete_created=True, owner="test")
    assert (done.written, done.refused, done.pending) == (DORMANT - 1, [], [])
    assert [(row["code"], row["external_id"]) for row in found["left"]] == [("UNDO-EDITED", record_of(shop, "D7"))]

    after = {name: state(vendor) for name, vendor in world.vendors.items()}
    edited = {"D7", "S3", "S999"}
    assert {c: f for c, f in after["B"].items() if c not in edited} == {
        c: f for c, f in before["B"].items() if c not in edited
    }
    assert all(after["B"][code] == people["B"][code] for code in edited)
    assert after["A"] == people["A"], "the CRM was never written"

    # It stays so: what was taken back is not made again, and what people did still counts.
    writes = world.writes()
    world.sync()
    assert (world.writes(), state(shop)) == (writes, after["B"])
    assert world.held_at("B", fresh)["name"] == "New Customer"
    assert undo(world.hub, [run.run_id], by="ann", delete_created=True, owner="test")[1].written == 0
    with world.store.reading() as tx:
        assert tx.count_links("B", STREAM)["gone"] == DORMANT - 1
