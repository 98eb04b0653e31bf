"""A grant becomes one discount code at a shop, whatever happens to the call: over real HTTP, on each vendor's twin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from connectors import bigcommerce, eventbrite, shopify, stripe
from hub.app.context import Connection
from hub.app.reward_providers import shown_code
from hub.connector import Connector
from hub.model import Grant, Json
from hub.twins import bigcommerce as twin_bigcommerce
from hub.twins import eventbrite as twin_eventbrite
from hub.twins import shopify as twin_shopify
from hub.twins import stripe as twin_stripe
from hub.twins.kit import VirtualClock as TwinClock
from tests.connectors.doors import Desk, desk
from tests.reward_world import RULES, START, World

Fields = dict[str, Json]


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """One that gives codes, and how its own book is read."""

    connector: Connector
    make: Callable[..., Any]
    product: str
    stream: str  # in which codes are kept
    facts: Callable[[Fields], tuple[str, float, int]]  # code, amount off, uses that it allows
    is_on: Callable[[Any, Fields], bool]
    writes: str  # how its calls that make a code begin
    withdraws: str = ""  # and those that take one back, if otherwise
    cancels: bool = True
    values: dict[str, Json] | None = None
    currency: str = "EUR"


def _stripe_facts(row: Fields) -> tuple[str, float, int]:
    assert row["promotion"] == {"type": "coupon", "coupon": "thanks"}
    return row["code"], 25.0, row["max_redemptions"]


VENDORS = {
    "stripe": Vendor(
        connector=stripe.CONNECTOR, make=twin_stripe.TwinStripe, product="thanks", stream="promotion_codes",
        writes="POST /v1/promotion_codes", facts=_stripe_facts, is_on=lambda twin, row: bool(row["active"]),
    ),
    "shopify": Vendor(
        connector=shopify.CONNECTOR, make=twin_shopify.make, product="Thank you", stream="discounts",
        writes="POST",
        facts=lambda row: (row["code"], float(row["amount"]), row["usageLimit"]),
        is_on=lambda twin, row: row["endsAt"] is None,
    ),
    "bigcommerce": Vendor(
        connector=bigcommerce.CONNECTOR, make=twin_bigcommerce.make, product="Thank you", stream="coupons",
        writes="POST", withdraws="PUT",
        facts=lambda row: (row["code"], float(row["amount"]), row["max_uses"]),
        is_on=lambda twin, row: bool(row["enabled"]), values={"store_hash": "twin"},
    ),
    "eventbrite": Vendor(
        connector=eventbrite.CONNECTOR, make=twin_eventbrite.make, product="7001", stream="discounts",
        writes="POST",
        facts=lambda row: (row["code"], float(row["amount_off"]), row["quantity_available"]),
        is_on=lambda twin, row: True, cancels=False, currency="USD",
    ),
}  # fmt: skip


@dataclass
class Company:
    """A hub with a paid order, and a vendor."""

    world: World
    vendor: Vendor
    desk: Desk

    def book(self) -> list[Fields]:
        return [record.fields for record in self.desk.twin.records.all(self.vendor.stream)]

    def grant(self) -> Grant:
        (grant,) = self.world.grants()
        return grant

    def code(self) -> str:
        grant = self.world.grants()[0]
        with self.world.store.reading() as tx:
            return shown_code(self.world.hub, tx, grant)

    def fault(self, name: str, match: str = "") -> None:
        """Something happens to the next write."""
        self.desk.twin.set_faults(script=[{"match": match or self.vendor.writes, "fault": name}])

    def settle(self) -> None:
        for _ in range(4):  # a vendor may answer with a stored error as long as a key lives
            self.desk.advance(30_000)
            self.world.issue()


@pytest.fixture(params=VENDORS)
def company(request: pytest.FixtureRequest) -> Iterator[Company]:
    vendor = VENDORS[request.param]
    rules = RULES.replace('"5671"', f'"{vendor.product}"').replace(" EUR", f" {vendor.currency}")
    world = World(rules=rules.replace("deliver: provider", "deliver: screen"))
    twin = vendor.make(clock=TwinClock(START), auto_hooks=False, limit_scale=100.0)
    if request.param == "eventbrite":
        twin.user_create("events", {"name": {"text": "Open day"}})
    with desk(vendor.connector, twin, clock=world.clock, values=vendor.values or {}) as made:
        world.hub.connections["plum"] = Connection(
            name="plum", connector=vendor.connector, api=made.api, settings=made.settings, mode="live", mappings={},
            streams={stream.name: stream for stream in vendor.connector.streams},
        )  # fmt: skip
        world.customer("ann")
        world.order("o1", "ann")
        if request.param == "shopify":
            made.api.currency = (
                "EUR"  # else the first call asks for it, and takes the fault that is meant for the write
            )
        yield Company(world, vendor, made)
    world.store.close()


def test_a_reward_is_one_code_of_that_amount_for_one_use(company: Company) -> None:
    assert company.world.issue() == {"rewards_issued": 1}
    (row,) = company.book()
    assert company.vendor.facts(row) == (company.code(), 25.0, 1)
    assert len(company.code()) == 12
    assert (company.grant().state, company.world.money()) == ("issued", (0, 2500))
    assert company.world.issue() == {}


@pytest.mark.parametrize(
    "fault", ["error_before", "error_after", "timeout_before", "timeout_after", "cut", "html", "lands_late", "throttle"]
)
def test_one_code_whatever_happens_to_the_call(company: Company, fault: str) -> None:
    company.fault(fault)
    company.world.issue()
    company.settle()
    (row,) = company.book()
    assert company.vendor.facts(row) == (company.code(), 25.0, 1)
    assert (company.grant().state, company.world.money()) == ("issued", (0, 2500))


def test_what_the_vendor_refuses_costs_nothing_and_quotes_no_code(company: Company) -> None:
    company.world.issue()
    code = company.code()
    company.world.order("o2", "ann")
    company.fault("reject")
    assert company.world.issue() == {"rewards_rejected": 1}
    assert company.world.money() == (0, 2500)
    grants = company.world.grants()
    with company.world.store.reading() as tx:
        told = repr(grants) + repr([tx.entries(each.id) for each in grants])
    assert code not in told


def test_a_refund_switches_an_unused_code_off(company: Company) -> None:
    company.world.issue()
    company.world.order("o1", "ann", refunded_at="2026-12-06T11:00:00Z")
    company.settle()
    (row,) = company.book()
    if company.vendor.cancels:
        assert (company.grant().state, company.world.money()) == ("reversed", (0, 0))
        assert not company.vendor.is_on(company.desk.twin, row)
    else:
        assert (company.grant().state, company.world.money()) == ("issued", (0, 2500))
        assert company.grant().detail.startswith("RWD-TAKE-BACK")


def test_a_code_that_was_used_stays_given(company: Company) -> None:
    company.world.issue()
    company.desk.twin.act_redeem(company.code())
    company.world.order("o1", "ann", refunded_at="2026-12-06T11:00:00Z")
    company.settle()
    assert (company.grant().state, company.world.money()) == ("issued", (0, 2500))
    assert company.grant().detail.startswith("RWD-TAKE-BACK")


def test_a_lost_answer_to_taking_back_is_asked_again(company: Company) -> None:
    company.world.issue()
    company.world.order("o1", "ann", refunded_at="2026-12-06T11:00:00Z")
    company.fault("error_after", company.vendor.withdraws)
    company.settle()
    assert company.grant().state == ("reversed" if company.vendor.cancels else "issued")


def test_a_code_of_somebody_else_goes_to_a_person(company: Company) -> None:
    code = company.code()
    given = {
        "stripe": {"promotion": {"type": "coupon", "coupon": "other"}, "code": code},
        "shopify": {"title": "Other", "code": code, "amount": "5.0"},
        "bigcommerce": {"name": "Other", "code": code, "type": "per_total_discount", "amount": "5.0000"},
        "eventbrite": {"code": code, "amount_off": "5.00", "event_id": "7001"},
    }[company.vendor.connector.name]
    if company.vendor.connector.name == "stripe":
        company.desk.twin.user_create("coupons", {"id": "other", "amount_off": 500, "currency": "eur"})
    company.desk.twin.user_create(company.vendor.stream, given)
    if company.vendor.connector.name == "eventbrite":  # it takes a code twice, so only a lost answer finds the other
        company.fault("error_before")
    company.world.issue()
    company.settle()
    assert company.grant().state == "needs_person"
    assert company.grant().detail.startswith("RWD-DIFFERS")
