"""The plan: what a sync would write now, per system, record and field."""

from __future__ import annotations

from collections import Counter

from starlette.responses import Response

from hub.app.people import Right
from hub.app.plan import plan
from hub.app.proposals import approve_plan, list_plans, reject_plan, show_plan
from hub.web.site import Ask, Routes

ROUTES = Routes()
PAGE = 100


@ROUTES.get("/plan")
def show(ask: Ask) -> Response:
    """From what is known; nothing is read and nothing is written."""
    found = plan(ask.hub, pull=False)
    connection, field = ask.query("connection"), ask.query("field")
    changes = [
        row for row in found["changes"] if connection in (None, row["connection"]) and field in (None, row["field"])
    ]
    start = ask.edge() or 0
    return ask.page(
        "plan.html", it=found, waiting_plans=list_plans(ask.hub),
        changes=changes[start : start + PAGE], start=start, total=len(changes), page=PAGE,
        connection=connection, field=field,
        fields=Counter((row["connection"], row["field"]) for row in changes).most_common(12),
    )  # fmt: skip


@ROUTES.get("/plan/{plan}")
def stored(ask: Ask) -> Response:
    """A plan that waits for approval, or did."""
    it = show_plan(ask.hub, ask.number("plan"))
    return ask.page("stored_plan.html", it=it, changes=it["changes"][:PAGE], total=len(it["changes"]))


@ROUTES.post("/plan/{plan}/approve", Right.APPROVE)
def approve(ask: Ask) -> Response:
    approve_plan(ask.hub, ask.number("plan"), by=ask.by, note=ask.said("note")[:500])
    ask.service.poke()
    return ask.go(f"/plan/{ask.number('plan')}", "plan-approved")


@ROUTES.post("/plan/{plan}/reject", Right.APPROVE)
def reject(ask: Ask) -> Response:
    reject_plan(ask.hub, ask.number("plan"), by=ask.by, note=ask.said("note")[:500])
    return ask.go(f"/plan/{ask.number('plan')}", "plan-rejected")
