"""Triggers for programs: a part of hub.web.api."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from hub.app import firings, trigger_desk, trigger_trial
from hub.web.api import ROUTER, Admin, After, Approver, Body, Hubs, Id, Name, Reader, Word


@ROUTER.get("/triggers")
def get_triggers(service: Hubs, _: Reader) -> list[Body]:
    """Every trigger, and how many of its firings are in which state."""
    return trigger_desk.trigger_rules(service.hub)


@ROUTER.get("/firings")
def get_firings(service: Hubs, _: Reader, rule: Word = None, state: Word = None, after: After = None) -> list[Body]:
    """What fired, in the order in which it was kept."""
    return trigger_desk.firings_page(service.hub, rule=rule, state=state, after_id=after or 0)


@ROUTER.get("/triggers/{rule}/trial")
def get_trigger_trial(
    service: Hubs, _: Admin, rule: Name, days: Annotated[int, Query(ge=1, le=3660)] = 90, draft: bool = False
) -> Body:  # fmt: skip
    """What a trigger would have done in the last days."""
    return trigger_trial.try_trigger(service.hub, rule, days=days, draft=draft)


@ROUTER.post("/firings/{firing}/approve")
def approve_firing(service: Hubs, person: Approver, firing: Id) -> Body:
    """Let a firing go that waits for a person."""
    return trigger_desk.firing_row(firings.approve(service.hub, firing, by=person.name))


@ROUTER.post("/firings/{firing}/drop")
def drop_firing(service: Hubs, person: Approver, firing: Id) -> Body:
    """Say no to a firing that is not done yet."""
    return trigger_desk.firing_row(firings.drop(service.hub, firing, by=person.name))
