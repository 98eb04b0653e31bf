"""Rewards for programs: rules, grants with their ledger, and what may be done with one. A part of hub.web.api."""

from __future__ import annotations

from pydantic import BaseModel, Field

from hub.app import approvals, listings, reward_trial, reward_ways
from hub.app.past import parse_moment
from hub.app.reward_desk import reward_case, reward_page, reward_rules
from hub.app.reward_goods import check_goods
from hub.app.reward_milestones import list_milestones
from hub.app.reward_report import reward_report
from hub.app.reward_twice import overspent
from hub.app.reward_wallet import balances
from hub.web.api import (
    ROUTER,
    Admin,
    After,
    Approver,
    Body,
    Days,
    Hubs,
    Id,
    Name,
    Reader,
    Reason,
    Since,
    Word,
    closed,
)  # fmt: skip


class Way(BaseModel):
    """How a word is sent."""

    model_config = closed({"way": "mail/reward"})
    way: str = Field(min_length=1, max_length=200, description="connection/template, of the reward's `ways`.")


class Order(BaseModel):
    """The number at the provider."""

    model_config = closed({"order": "A-1042"})
    order: str = Field(min_length=1, max_length=80)


@ROUTER.get("/rewards")
def get_rewards(service: Hubs, _: Reader, state: Word = None, after: After = None) -> Body:
    """Grants in the order in which they were made, and the budgets."""
    return reward_page(service.hub, state=state, after_id=after or 0)


@ROUTER.get("/reward-rules")
def get_rules(service: Hubs, _: Reader) -> Body:
    """Every reward rule as it is in force."""
    return {"rows": reward_rules(service.hub)}


@ROUTER.get("/rewards/{grant}")
def get_reward(service: Hubs, _: Reader, grant: Id) -> Body:
    """One grant with its ledger, whether it can be taken back, and the ways in which its word can be sent."""
    return reward_case(service.hub, grant)


@ROUTER.get("/rewards/rules/{rule}/trial")
def get_trial(
    service: Hubs, _: Admin, rule: Name, days: Days = 90, since: Since = None, draft: bool = False,
    loaded: bool = False,
) -> Body:  # fmt: skip
    """What a reward rule would have given in the last days, or since a moment."""
    moment = parse_moment(since) if since else None
    return reward_trial.try_rule(service.hub, rule, days=days, since=moment, draft=draft, loaded=loaded)


@ROUTER.get("/reward-report")
def get_report(service: Hubs, _: Reader) -> Body:
    """What was given and used under each rule, what budgets have left, what was given twice, what providers have."""
    hub = service.hub
    return {
        **reward_report(hub), "twice": overspent(hub), "wallets": balances(hub), "milestones": list_milestones(hub),
        "goods": check_goods(hub),
    }  # fmt: skip


@ROUTER.post("/rewards/{grant}/approve")
def approve(service: Hubs, person: Approver, grant: Id) -> Body:
    """Let a reward go."""
    return approvals.approve_reward(service, grant, by=person.name)


@ROUTER.post("/rewards/{grant}/decline")
def decline(service: Hubs, person: Approver, grant: Id, it: Reason) -> Body:
    """Say no, or that it was never ordered."""
    return listings.decline_reward(service.hub, grant, by=person.name, note=it.note)


@ROUTER.post("/rewards/{grant}/confirm")
def confirm(service: Hubs, person: Approver, grant: Id, it: Order) -> Body:
    """Say that a doubtful one was ordered."""
    return listings.confirm_reward(service.hub, grant, by=person.name, order=it.order)


@ROUTER.post("/rewards/{grant}/cancel")
def cancel(service: Hubs, person: Approver, grant: Id) -> Body:
    """Take an ordered reward back, where its provider can; the next run asks it."""
    found = listings.cancel_reward(service.hub, grant, by=person.name)
    service.poke()
    return found


@ROUTER.post("/rewards/{grant}/resend")
def resend(service: Hubs, person: Approver, grant: Id, way: Way) -> Body:
    """Tell the receiver another way ("connection/template") of a reward whose message did not arrive."""
    found = reward_ways.resend(service.hub, grant, way.way, by=person.name)
    service.poke()
    return found
