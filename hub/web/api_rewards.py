"""Calls of the API about rewards as a whole, beside those about one (hub.web.api, whose router these are on)."""

from __future__ import annotations

from pydantic import BaseModel, Field

from hub.app import listings, reward_ways
from hub.app.reward_report import reward_report
from hub.app.reward_twice import overspent
from hub.app.reward_wallet import balances
from hub.web.api import ROUTER, Approver, Body, Hubs, Id, Reader

__all__ = ["ROUTER"]  # with these calls on it


class Way(BaseModel):
    """How a word is sent."""

    way: str = Field(max_length=200)  # connection/template


@ROUTER.get("/reward-report")
def get_report(service: Hubs, _: Reader) -> Body:
    """What was given and used under each rule, what budgets have left, what was given twice, what providers have."""
    hub = service.hub
    return {**reward_report(hub), "twice": overspent(hub), "wallets": balances(hub)}


@ROUTER.post("/rewards/{grant}/cancel")
def cancel(service: Hubs, person: Approver, grant: Id) -> Body:
    """Take an ordered reward back, where its provider can; the next run asks it."""
    return listings.cancel_reward(service.hub, grant, by=person.name)


@ROUTER.post("/rewards/{grant}/resend")
def resend(service: Hubs, person: Approver, grant: Id, way: Way) -> Body:
    """Tell the receiver another way ("connection/template") of a reward whose message did not arrive."""
    return reward_ways.resend(service.hub, grant, way.way, by=person.name)
