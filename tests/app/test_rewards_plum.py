"""A grant becomes one order at Plum, over real HTTP: the connector, the door and the twin with its faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from connectors.plum import CONNECTOR
from hub.app.context import Connection
from hub.app.reward_orders import change_of
from hub.app.reward_providers import desk_of
from hub.model import Json
from hub.twins.kit import VirtualClock as TwinClock
from hub.twins.plum import TwinPlum
from tests.connectors.doors import Desk, desk
from tests.reward_world import START, World, order_record


@dataclass
class Company:
    """A hub with a paid order, and Plum."""

    world: World
    plum: Desk

    def book(self) -> list[dict[str, Json]]:
        return [row["fields"] for row in self.plum.twin.snapshot("orders").values()]

    def orders_and_grants(self) -> list[tuple[str, str]]:
        """(state, number) of each grant, and that the book has exactly those numbers that were issued."""
        issued = sorted(grant.reference for grant in self.world.grants("issued"))
        assert sorted(order["poNumber"] for order in self.book()) == issued
        return [(grant.state, grant.order_id or "") for grant in self.world.grants()]


@pytest.fixture
def company() -> Iterator[Company]:
    world = World()
    with desk(CONNECTOR, TwinPlum(clock=TwinClock(START), auto_hooks=False), clock=world.clock) as plum:
        world.hub.connections["plum"] = Connection(
            name="plum", connector=CONNECTOR, api=plum.api, settings=plum.settings, mode="live", mappings={},
            streams={stream.name: stream for stream in CONNECTOR.streams},
        )  # fmt: skip
        world.customer("ann", phone="+4915112345678")
        world.order("o1", "ann")
        yield Company(world, plum)
    world.store.close()


def test_plum_gets_what_the_rule_gives(company: Company) -> None:
    assert company.world.issue() == {"rewards_issued": 1}
    (order,) = company.book()
    told = {name: order[name] for name in ("productId", "denomination", "quantity", "email", "contact", "tag")}
    assert told == {
        "productId": "5671", "denomination": 25, "quantity": 1, "email": "ann@example.com",
        "contact": "+49-15112345678", "tag": "big_order",
    }  # fmt: skip
    assert company.orders_and_grants() == [("issued", "880001")]
    assert company.plum.calls() == 1


@pytest.mark.parametrize(
    "fault", ["error_before", "error_after", "timeout_before", "timeout_after", "cut", "html", "lands_late", "throttle"]
)
def test_one_order_whatever_happens_to_the_call(company: Company, fault: str) -> None:
    company.plum.twin.set_faults(script=[{"match": "POST", "fault": fault}])
    first = company.world.issue()
    assert first in ({"rewards_unknown": 1}, {"rewards_throttled": 1})
    company.plum.advance(70)
    for _ in range(3):
        company.world.issue()
        company.plum.advance(400)
    assert company.orders_and_grants() == [("issued", "880001")]
    assert company.world.money() == (0, 2500)


def test_a_lost_answer_and_an_empty_shelf_do_not_make_a_refusal_of_an_order(company: Company) -> None:
    company.plum.twin.set_faults(script=[{"match": "POST", "fault": "error_after"}])
    company.world.issue()
    company.plum.twin.set_faults(script=[{"match": "POST", "fault": "reject"}])
    assert company.world.issue() == {"rewards_issued": 1}
    assert company.orders_and_grants() == [("issued", "880001")]


def test_what_plum_refuses_is_shown_and_costs_nothing(company: Company) -> None:
    company.plum.twin.set_faults(script=[{"match": "POST", "fault": "reject"}])
    assert company.world.issue() == {"rewards_rejected": 1}
    assert company.orders_and_grants() == [("rejected", "")]
    assert company.world.grants()[0].detail == "PLE10012: Failed to process order"
    assert company.world.money() == (0, 0)


def test_a_number_that_somebody_else_used_goes_to_a_person(company: Company) -> None:
    (grant,) = company.world.grants()
    orders = desk_of(company.world.hub, company.world.hub.connections["plum"])
    assert orders is not None
    other = replace(change_of(orders, grant), body={"productId": "5671", "denomination": 50, "email": "x@example.com"})
    assert CONNECTOR.push is not None
    CONNECTOR.push(company.plum.api, "orders", [other])
    assert company.world.issue() == {"rewards_needs_person": 1}
    (after,) = company.world.grants()
    assert (after.state, after.detail) == (
        "needs_person", f"RWD-DIFFERS: order {after.order_id} differs in denomination, email",
    )  # fmt: skip


def test_no_voucher_code_reaches_the_ledger(company: Company) -> None:
    company.world.issue()
    (order,) = company.book()
    code = order["vouchers"][0]["voucherCode"]
    (grant,) = company.world.grants()
    with company.world.store.reading() as tx:
        told = repr(grant) + repr(tx.entries(grant.id)) + repr(tx.events_page())
    assert code
    assert code not in told


def test_a_page_of_grants_is_one_call_each(company: Company) -> None:
    company.world.take("shop", "orders", order_record("o2", "ann"), order_record("o3", "ann"))
    assert company.world.issue() == {"rewards_issued": 3}
    assert company.plum.calls() == 3
    assert len(company.orders_and_grants()) == 3
