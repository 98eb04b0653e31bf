"""Letting things go that wait for a person: nobody his own, and whoever runs the hub is told at once.

Pages and API both approve here, so that neither can forget who may not, or leave what was approved lying until the next
slot.
"""

from __future__ import annotations

from hub.app import firings, listings
from hub.app.listings import Dict
from hub.app.own import own_firing, own_grant, own_hold, own_plan
from hub.app.plan_choice import Chosen
from hub.app.plan_pages import plan_page
from hub.app.proposals import MADE, approve_some
from hub.app.proposals import approve_plan as approve_whole
from hub.app.review import release_hold as release
from hub.app.service import Service
from hub.app.trigger_desk import firing_row


def approve_plan(service: Service, plan: int, chosen: Chosen, *, held: bool = False, note: str = "", by: str) -> Dict:
    """Let writes of a plan go, all or some: with the next run if it waits, now if somebody had it made.

    Args:
        held: of a plan that was made: what a guard would keep back goes, too.

    Returns what became of the plan; of one that is carried out now, {"plan", "begun": True}.

    Raises:
        NotFound. NotAllowed AUTH-OWN. Drifted, NeedsReview, RetryLater: as the plan's own room says.
    """
    own_plan(service.hub, plan, by=by)
    if plan_page(service.hub, plan, limit=1)["row"].state == MADE:
        service.errands.carry_out(plan, chosen, held=held, by=by)
        return {"plan": plan, "begun": True}
    if chosen != Chosen():
        found = approve_some(service.hub, plan, chosen, by=by, note=note)
    else:
        found = approve_whole(service.hub, plan, by=by, note=note)
    service.poke()
    return found


def release_hold(service: Service, hold: int, *, by: str) -> Dict:
    """Let through what a guard kept back. Raises NotFound, NotAllowed AUTH-OWN."""
    own_hold(service.hub, hold, by=by)
    found = dict(release(service.hub, hold, by=by))
    service.poke()
    return found


def approve_reward(service: Service, grant: int, *, by: str) -> Dict:
    """Let a reward go. Raises NotFound, NotAllowed AUTH-OWN, NeedsReview."""
    own_grant(service.hub, grant, by=by)
    found = listings.approve_reward(service.hub, grant, by=by)
    service.poke()
    return found


def approve_firing(service: Service, firing: int, *, by: str) -> Dict:
    """Let what a trigger fired go. Raises NotFound, NotAllowed AUTH-OWN, NeedsReview TRG-STATE."""
    own_firing(service.hub, firing, by=by)
    found = firing_row(firings.approve(service.hub, firing, by=by))
    service.poke()
    return found
