"""Triggers for programs: a part of hub.web.api."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from hub.app import approvals, drafts, firings, trigger_desk, trigger_drafts, trigger_trial
from hub.app.past import parse_moment
from hub.web.api import (
    ROUTER,
    Admin,
    After,
    Answered,
    Approver,
    Body,
    Days,
    Hubs,
    Id,
    Name,
    Reader,
    Since,
    Word,
    closed,
)  # fmt: skip


class RuleSaid(BaseModel):
    """A rule as triggers.yaml has it."""

    model_config = closed({"rule": {"on": "order.paid", "do": {"task": {"subject": "Call back", "due": "2d"}}}})
    rule: dict[str, Any] = Field(max_length=40)


@ROUTER.get("/triggers")
def get_triggers(service: Hubs, _: Reader) -> list[Body]:
    """Every trigger in words, and how many of its firings are in which state."""
    return trigger_desk.trigger_rules(service.hub)


@ROUTER.get("/triggers/draft")
def get_trigger_file(service: Hubs, _: Admin) -> Body:
    """triggers.yaml: its draft, what is wrong with it, which rules it changes, and the versions."""
    return trigger_drafts.trigger_file(service.hub)


@ROUTER.post("/triggers/draft/publish")
def publish_triggers(service: Hubs, person: Admin, it: Answered) -> Body:
    """Publish the draft; gives file and version."""
    return {**drafts.publish(service, trigger_drafts.FILE, by=person.name), "sure": it.sure}


@ROUTER.post("/triggers/draft/drop")
def drop_triggers(service: Hubs, person: Admin, it: Answered) -> Body:
    """Drop the draft; the file is as it was."""
    drafts.drop_draft(service.hub, trigger_drafts.FILE, by=person.name)
    return {"dropped": it.sure}


@ROUTER.get("/triggers/{rule}")
def get_trigger(service: Hubs, _: Reader, rule: Name) -> Body:
    """One trigger in words, and what it did last."""
    return trigger_desk.trigger_case(service.hub, rule)


@ROUTER.get("/triggers/{rule}/draft")
def get_trigger_draft(service: Hubs, _: Admin, rule: Name) -> Body:
    """One rule of the draft: as YAML, as the form has it, in words, and what is wrong with the file."""
    return trigger_drafts.rule_draft(service.hub, rule)


@ROUTER.post("/triggers/{rule}/draft")
def keep_trigger_draft(service: Hubs, person: Admin, rule: Name, it: RuleSaid) -> Body:
    """Put a rule into the draft; nothing runs with it before it is published."""
    trigger_drafts.keep_rule(service.hub, rule, it.rule, by=person.name)
    return trigger_drafts.rule_draft(service.hub, rule)


@ROUTER.delete("/triggers/{rule}/draft")
def take_trigger_out(service: Hubs, person: Admin, rule: Name) -> Body:
    """Take a rule out of the draft."""
    trigger_drafts.take_out(service.hub, rule, by=person.name)
    return {"taken_out": True}


@ROUTER.post("/triggers/{rule}/draft/start-now")
def start_trigger_now(service: Hubs, person: Admin, rule: Name) -> Body:
    """Have a rule of the draft begin at this moment: nothing that happened before fires."""
    trigger_drafts.start_now(service.hub, rule, by=person.name)
    return trigger_drafts.rule_draft(service.hub, rule)


@ROUTER.post("/triggers/{rule}/preview")
def preview_trigger(service: Hubs, _: Admin, rule: Name, it: RuleSaid) -> Body:
    """A rule as YAML, in words, and what would be wrong with the file; nothing is kept."""
    return trigger_drafts.tried_rule(service.hub, rule, it.rule)


@ROUTER.get("/triggers/{rule}/trial")
def get_trigger_trial(
    service: Hubs, _: Admin, rule: Name, days: Days = 90, since: Since = None, draft: bool = False,
    loaded: bool = False,
) -> Body:  # fmt: skip
    """What a trigger would have done in the last days, or since a moment."""
    moment = parse_moment(since) if since else None
    return trigger_trial.try_trigger(service.hub, rule, days=days, since=moment, draft=draft, loaded=loaded)


@ROUTER.get("/firings")
def get_firings(service: Hubs, _: Reader, rule: Word = None, state: Word = None, after: After = None) -> list[Body]:
    """What fired, in the order in which it was kept."""
    return trigger_desk.firings_page(service.hub, rule=rule, state=state, after_id=after or 0)


@ROUTER.get("/firings/{firing}")
def get_firing(service: Hubs, _: Reader, firing: Id) -> Body:
    """One firing, for whom it is, and what its rule says now."""
    return trigger_desk.firing_case(service.hub, firing)


@ROUTER.post("/firings/{firing}/approve")
def approve_firing(service: Hubs, person: Approver, firing: Id) -> Body:
    """Let a firing go that waits for a person."""
    return approvals.approve_firing(service, firing, by=person.name)


@ROUTER.post("/firings/{firing}/drop")
def drop_firing(service: Hubs, person: Approver, firing: Id) -> Body:
    """Say no to a firing that is not done yet."""
    return trigger_desk.firing_row(firings.drop(service.hub, firing, by=person.name))
