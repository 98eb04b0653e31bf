"""Rewards: rules, budgets, and every grant with its ledger."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from hub.app import listings
from hub.app.approvals import approve_reward
from hub.app.people import Right
from hub.app.reward_desk import reward_case, reward_page, reward_rules
from hub.app.reward_trial import rules_in_draft, try_rule
from hub.app.reward_ways import resend
from hub.web.site import Ask, Routes, trial_of

ROUTES = Routes()


@ROUTES.get("/rewards")
def all_of_them(ask: Ask) -> Response:
    state = ask.query("state")
    found = reward_page(ask.hub, state=state, after_id=ask.edge() or 0)
    kept = {"state": state} if state else {}
    more = f"/rewards?{urlencode({**kept, 'after': found['next']})}" if found["next"] is not None else ""
    return ask.page(
        "rewards.html",
        it=found,
        only=state,
        more=more,
        rules=reward_rules(ask.hub),
        in_draft=rules_in_draft(ask.hub) if ask.who.may(Right.CONFIGURE) else [],
    )


@ROUTES.get("/rewards/{grant}")
def one(ask: Ask) -> Response:
    found = reward_case(ask.hub, ask.number("grant"))
    return ask.page("reward.html", it=found, can_cancel=found["can_cancel"], ways=found["ways"])


@ROUTES.post("/rewards/{grant}/resend", Right.APPROVE)
def send_another_way(ask: Ask) -> Response:
    resend(ask.hub, ask.number("grant"), ask.said("way")[:200], by=ask.by)
    ask.service.poke()
    return ask.go(f"/rewards/{ask.number('grant')}", "resent")


@ROUTES.post("/rewards/{grant}/approve", Right.APPROVE)
def approve(ask: Ask) -> Response:
    approve_reward(ask.service, ask.number("grant"), by=ask.by)
    return ask.go(f"/rewards/{ask.number('grant')}", "approved")


@ROUTES.post("/rewards/{grant}/decline", Right.APPROVE)
def decline(ask: Ask) -> Response:
    listings.decline_reward(ask.hub, ask.number("grant"), by=ask.by, note=ask.said("note")[:500])
    return ask.go(f"/rewards/{ask.number('grant')}", "declined")


@ROUTES.post("/rewards/{grant}/confirm", Right.APPROVE)
def confirm(ask: Ask) -> Response:
    listings.confirm_reward(ask.hub, ask.number("grant"), by=ask.by, order=ask.said("order").strip()[:80])
    return ask.go(f"/rewards/{ask.number('grant')}", "confirmed")


@ROUTES.post("/rewards/rules/{rule}/trial", Right.CONFIGURE)
def trial(ask: Ask) -> Response:
    """What a rule would have given; it looks through all events of its name."""
    found = try_rule(ask.hub, ask.path("rule"), **trial_of(ask))
    return ask.page("trial.html", it=found)
