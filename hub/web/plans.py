"""Plans: what would be written, made by an errand of the hub, shown page by page, let go wholly, in part or not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from hub.app.approvals import approve_plan
from hub.app.people import Right
from hub.app.plan_choice import Chosen
from hub.app.plan_pages import PAGE, Narrowed, plan_page
from hub.app.proposals import MADE, plans_now, reject_plan
from hub.errors import NeedsReview
from hub.web.site import Ask, Routes

ROUTES = Routes()
ALL = "*"  # systems
OPS = ("create", "update", "remove")
WHICH = ("all", "shown", "field", "ticked")


@ROUTES.get("/plan")
def show(ask: Ask) -> Response:
    """Plans that wait, the one that was made last, those that were decided; nothing is computed here."""
    return ask.page("plan.html", it=plans_now(ask.hub), errand=ask.service.errands.newest(), names=_names(ask))


def _names(ask: Ask) -> list[str]:
    return [each.name for each in ask.hub.connections.values() if each.writes]


@ROUTES.get("/plan/errand")
def errand(ask: Ask) -> Response:
    """How far the errand is: a piece of the page, asked for again and again by its script."""
    found = ask.service.errands.newest()
    answer = ask.page("errand.html" if ask.wants_part else "errand_page.html", errand=found)
    if ask.wants_part and found is not None and not found["running"]:
        answer.headers["HX-Refresh"] = "true"
    return answer


@ROUTES.post("/plan/make", Right.RUN)
def make(ask: Ask) -> Response:
    wanted = ask.said("connection")
    names = _names(ask) if wanted == ALL else [wanted]
    ask.service.errands.make_plan(names, pull=ask.said("pull") == "yes", by=ask.by)
    return ask.go("/plan", "plan-begun")


@ROUTES.get("/plan/{plan}")
def stored(ask: Ask) -> Response:
    """One plan, a page of its writes."""
    number, narrowed, after = ask.number("plan"), _narrowed(ask.query), ask.edge() or 0
    it = plan_page(ask.hub, number, narrowed, after=after)
    kept = _kept(narrowed)
    more = f"/plan/{number}?{urlencode({**kept, 'after': it['next']})}" if it["next"] is not None else ""
    return ask.page(
        "stored_plan.html", it=it, row=it["row"], narrowed=narrowed, kept=kept, more=more, after=after, page=PAGE,
        can=ask.who.may(Right.APPROVE) and it["row"].state in ("waiting", MADE), made=MADE,
        errand=ask.service.errands.newest(),
    )  # fmt: skip


def _narrowed(said: Any) -> Narrowed:
    op = said("op")
    return Narrowed(
        connection=said("connection") or None, op=op if op in OPS else None, field=said("field") or None,
        held=said("held") == "yes",
    )  # fmt: skip


def _kept(narrowed: Narrowed) -> dict[str, str]:
    """The filter as an address has it."""
    said = {"connection": narrowed.connection, "op": narrowed.op, "field": narrowed.field}
    return {name: value for name, value in said.items() if value} | ({"held": "yes"} if narrowed.held else {})


@ROUTES.post("/plan/{plan}/approve", Right.APPROVE)
def approve(ask: Ask) -> Response:
    """All of it, what the filter leaves, its field alone, or what was ticked."""
    number = ask.number("plan")
    which, note = ask.said("which"), ask.said("note")[:500]
    if which not in WHICH:
        raise NeedsReview("nothing was chosen", code="PLAN-NONE", where=f"plan {number}", fix="say which writes")
    held = ask.said("held_too") == "yes"
    found = approve_plan(ask.service, number, _chosen(ask, which), held=held, note=note, by=ask.by)
    return ask.go(f"/plan/{found['plan']}", "plan-carried" if found.get("begun") else "plan-approved")


def _chosen(ask: Ask, which: str) -> Chosen:
    """What the form says. A ticked write is whole; of one that is not, the ticked fields go: "12:phone"."""
    if which in ("shown", "field"):
        return Chosen(narrowed=_narrowed(ask.said), alone=which == "field")
    if which == "all":
        return Chosen()
    fields: dict[int, set[str]] = {}
    for each in ask.all_said("cell"):
        place, _, name = each.partition(":")
        if _is_place(place):
            fields.setdefault(int(place), set()).add(name)
    return Chosen(
        places={int(each) for each in ask.all_said("place") if _is_place(each)},
        fields={place: frozenset(names) for place, names in fields.items()},
    )


def _is_place(text: str) -> bool:
    return text.isdigit() and len(text) < 10


@ROUTES.post("/plan/{plan}/reject", Right.APPROVE)
def reject(ask: Ask) -> Response:
    reject_plan(ask.hub, ask.number("plan"), by=ask.by, note=ask.said("note")[:500])
    return ask.go(f"/plan/{ask.number('plan')}", "plan-rejected")
