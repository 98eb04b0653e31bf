"""Runs, scheduled moments and plans for programs: a part of hub.web.api."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from hub.app import approvals, listings, plan_choice, proposals
from hub.app.past import parse_moment
from hub.app.plan_pages import Narrowed, plan_page
from hub.web.api import PAGE, ROUTER, After, Approver, Body, Hubs, Id, Limit, Reader, Reason, Runner, Word, closed

Op = Literal["create", "update", "remove"] | None
Until = Annotated[str | None, Query(max_length=40, description="Only earlier ones than this moment, ISO 8601.")]


class Wanted(BaseModel):
    """What a plan is wanted for."""

    model_config = closed({"connections": ["shop"], "pull": True}, {})
    connections: list[Annotated[str, Field(max_length=80)]] = Field(
        default=[], max_length=100, description="None: all."
    )
    pull: bool = Field(default=False, description="Read the systems first.")


class Chosen(BaseModel):
    """Which writes of a plan: all of them unless some are named by their places, or by what they are."""

    model_config = closed(
        {"note": "looked at"},
        {"places": [1, 2], "fields": {"3": ["phone"]}},
        {"connection": "crm", "op": "update", "field": "phone", "alone": True},
    )
    places: list[Annotated[int, Field(ge=1, lt=2**31)]] | None = Field(default=None, max_length=10_000)
    connection: str | None = Field(default=None, max_length=80)
    op: Op = None
    field: str | None = Field(default=None, max_length=80)
    alone: bool = Field(default=False, description="Of updates, `field` alone; other writes are left out.")
    fields: dict[Annotated[int, Field(ge=1, lt=2**31)], list[str]] = Field(
        default_factory=dict, max_length=10_000, description="Place of an update -> these of its fields alone."
    )
    held: bool = Field(
        default=False, description="A plan that was made: let through what a guard would keep back, too."
    )
    note: str = Field(default="", max_length=500)

    def chosen(self) -> plan_choice.Chosen:
        narrowed = Narrowed(connection=self.connection, op=self.op, field=self.field)
        fields = {place: frozenset(names) for place, names in self.fields.items()}
        return plan_choice.Chosen(narrowed=narrowed or None, places=self.places, fields=fields, alone=self.alone)


class Undone(BaseModel):
    """How a run is undone."""

    model_config = closed({"delete_created": False})
    delete_created: bool = Field(default=False, description="Also where the mapping never deletes.")


@ROUTER.get("/runs")
def get_runs(
    service: Hubs, _: Reader, connection: Word = None, before: After = None, limit: Limit = PAGE
) -> list[Body]:  # fmt: skip
    """Runs, newest first."""
    return listings.runs(service.hub, connection=connection, limit=limit, before_id=before or 2**62)


@ROUTER.get("/runs/{run}")
def get_run(service: Hubs, _: Reader, run: Id) -> Body:
    """One run, with at most 500 of its writes."""
    return listings.run(service.hub, run, most=500)


@ROUTER.get("/slots")
def get_slots(
    service: Hubs, _: Reader, connection: Word = None, before: Until = None, limit: Limit = PAGE
) -> list[Body]:
    """Scheduled moments and what became of each, newest first: ran, skipped, or missed, and why."""
    edge = {"before": parse_moment(before)} if before else {}
    return listings.slots(service.hub, connection=connection, limit=limit, **edge)


@ROUTER.post("/runs/{run}/undo", status_code=202)
def undo(service: Hubs, person: Runner, run: Id, it: Undone) -> Body:
    """Have the undo of a run prepared: a plan, to be approved like any other."""
    service.errands.make_undo([run], delete_created=it.delete_created, by=person.name)
    return {"begun": True}


@ROUTER.get("/plans")
def get_plans(service: Hubs, _: Reader) -> Body:
    """Plans that wait, the one that was made last, and what became of others; and the errand that is going on."""
    return {**proposals.plans_now(service.hub), "errand": service.errands.newest()}


@ROUTER.get("/plans/{plan}")
def get_plan(
    service: Hubs, _: Reader, plan: Id, connection: Word = None, op: Op = None,
    field: Word = None, held: bool = False, after: After = None, limit: Limit = PAGE,
) -> Body:  # fmt: skip
    """One plan, a page of its writes."""
    narrowed = Narrowed(connection=connection, op=op, field=field, held=held)
    found = plan_page(service.hub, plan, narrowed, after=after or 0, limit=limit)
    return {**found, "row": proposals.plan_line(found["row"])}


@ROUTER.post("/plans", status_code=202)
def make_plan(service: Hubs, person: Runner, it: Wanted) -> Body:
    """Have a plan made; `/plans` tells how far it is and which number it got."""
    service.errands.make_plan(it.connections, pull=it.pull, by=person.name)
    return {"begun": True}


@ROUTER.post("/plans/{plan}/approve")
def approve_plan(service: Hubs, person: Approver, plan: Id, it: Chosen) -> Body:
    """Let writes of a plan go, all or some: with the next run if it waits, now if somebody had it made."""
    return approvals.approve_plan(service, plan, it.chosen(), held=it.held, note=it.note, by=person.name)


@ROUTER.post("/plans/{plan}/reject")
def reject_plan(service: Hubs, person: Approver, plan: Id, it: Reason) -> Body:
    """Make none of a plan's writes."""
    return proposals.reject_plan(service.hub, plan, by=person.name, note=it.note)
