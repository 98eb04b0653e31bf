"""Rewards as a whole: what was given and used, what budgets have left, what rules changed, and what asks for a look."""

from __future__ import annotations

from starlette.responses import Response

from hub.app import listings
from hub.app.people import Right
from hub.app.reward_goods import check_goods
from hub.app.reward_milestones import list_milestones
from hub.app.reward_report import reward_report
from hub.app.reward_twice import overspent
from hub.app.reward_wallet import balances
from hub.web.site import Ask, Routes

ROUTES = Routes()


@ROUTES.get("/reward-report")
def report(ask: Ask) -> Response:
    hub = ask.hub
    return ask.page(
        "reward_report.html", it=reward_report(hub), twice=overspent(hub), purses=balances(hub),
        milestones=list_milestones(hub), wrong=check_goods(hub),
    )  # fmt: skip


@ROUTES.post("/rewards/{grant}/cancel", Right.APPROVE)
def cancel(ask: Ask) -> Response:
    listings.cancel_reward(ask.hub, ask.number("grant"), by=ask.by)
    ask.service.poke()
    return ask.go(f"/rewards/{ask.number('grant')}", "cancelled")
