"""What goes on: the overview, runs and slots, holds, quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from hub.app import listings
from hub.app.approvals import release_hold
from hub.app.desk import (
    decided_holds,
    hold_case,
    holds_open,
    quarantine_groups,
    quarantine_page,
    retry_code,
    retry_rows,
)
from hub.app.overview import overview
from hub.app.people import Right
from hub.app.review import drop_hold
from hub.app.titles import cards_of
from hub.web.site import Ask, Routes
from hub.web.times import Times, moment

ROUTES = Routes()
PAGE = 40
SLOTS = 30
ROWS_OF_RUN = 100


@ROUTES.get("/")
def front(ask: Ask) -> Response:
    found = overview(ask.hub)
    return ask.page("overview.html", it=found, bars=bars(found["hours"], ask.times))


def bars(hours: Sequence[Mapping[str, Any]], times: Times) -> dict[str, Any]:
    """What moved per hour as bars: read above the line, written below. Hours are those of that clock."""
    top = max((max(each["read"], each["written"]) for each in hours), default=0)
    if not top:
        return {}
    return {
        "top": top, "zone": times.names(each["at"] for each in hours),
        "bars": [
            {
                "x": 8 + place * 26, "up": round(70 * each["read"] / top, 1),
                "down": round(70 * each["written"] / top, 1), "hour": times.hour(each["at"]), **each,
            }
            for place, each in enumerate(hours)
        ],
    }  # fmt: skip


# Runs


@ROUTES.get("/runs")
def runs(ask: Ask) -> Response:
    connection, before = ask.query("connection"), ask.edge("before")
    found = listings.runs(ask.hub, connection=connection, limit=PAGE + 1, before_id=before or 2**62)
    shown = found[:PAGE]
    kept = {"connection": connection} if connection else {}
    more = f"/runs?{urlencode({**kept, 'before': shown[-1]['run']})}" if len(found) > PAGE else ""
    took = [_took(each) for each in shown if each["ended_at"]][::-1]
    slots, earlier = _slots(ask, connection, kept)
    return ask.page("runs.html", runs=shown, more=more, connection=connection, took=took, slots=slots, earlier=earlier)


def _slots(ask: Ask, connection: str | None, kept: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
    """A page of scheduled moments; those of one system can be followed back to the first."""
    before = ask.edge("slot")
    found = listings.slots(
        ask.hub, connection=connection, limit=SLOTS + 1, **({"before": before / 1000} if before is not None else {})
    )
    shown, earlier = found[:SLOTS], ""
    if connection and len(found) > SLOTS and (last := moment(shown[-1]["due_at"])) is not None:
        earlier = f"/runs?{urlencode({**kept, 'slot': round(last.timestamp() * 1000)})}#slots"
    return shown, earlier


def _took(run: Mapping[str, Any]) -> float:
    began, ended = moment(run["started_at"]), moment(run["ended_at"])
    return (ended - began).total_seconds() if began and ended else 0.0


@ROUTES.get("/runs/{run}")
def one_run(ask: Ask) -> Response:
    it = listings.run(ask.hub, ask.number("run"), most=ROWS_OF_RUN)
    wrote = {each["entity"] for each in it["writes"]}
    named = cards_of(ask.hub, wrote | {int(each["entity"].partition(":")[2]) for each in it["conflicts"]})
    return ask.page(
        "run.html", it=it, most=ROWS_OF_RUN, took=_took(it), who=named,
        differ={each["conflict"]: named.get(int(each["entity"].partition(":")[2])) for each in it["conflicts"]},
    )  # fmt: skip


@ROUTES.post("/runs/{run}/undo", Right.RUN)
def undo(ask: Ask) -> Response:
    """Has the undo prepared: it is a plan, to be looked at before anybody carries it out."""
    ask.service.errands.make_undo([ask.number("run")], delete_created=ask.said("delete_created") == "yes", by=ask.by)
    return ask.go("/plan", "undo-begun")


# Holds


@ROUTES.get("/holds")
def holds(ask: Ask) -> Response:
    return ask.page("holds.html", holds=holds_open(ask.hub), decided=decided_holds(ask.hub))


@ROUTES.get("/holds/{hold}")
def one_hold(ask: Ask) -> Response:
    return ask.page("hold.html", it=hold_case(ask.hub, ask.number("hold")))


@ROUTES.post("/holds/{hold}/release", Right.APPROVE)
def release(ask: Ask) -> Response:
    release_hold(ask.service, ask.number("hold"), by=ask.by)
    return ask.go("/holds", "released")


@ROUTES.post("/holds/{hold}/drop", Right.APPROVE)
def drop(ask: Ask) -> Response:
    drop_hold(ask.hub, ask.number("hold"), by=ask.by)
    ask.service.poke()
    return ask.go("/holds", "dropped")


# Quarantine


@ROUTES.get("/quarantine")
def quarantine(ask: Ask) -> Response:
    return ask.page("quarantine.html", it=quarantine_groups(ask.hub))


@ROUTES.get("/quarantine/{code}")
def of_code(ask: Ask) -> Response:
    found = quarantine_page(ask.hub, ask.path("code"), connection=ask.query("connection"), after_id=ask.edge() or 0)
    kept = {"connection": found["connection"]} if found["connection"] else {}
    more = ""
    if found["next"] is not None:
        more = f"/quarantine/{found['code']}?{urlencode({**kept, 'after': found['next']})}"
    return ask.page("quarantine_code.html", it=found, more=more)


@ROUTES.post("/quarantine/{code}/retry", Right.RETRY)
def retry(ask: Ask) -> Response:
    code, rows = ask.path("code"), [int(each) for each in ask.all_said("row") if each.isdigit() and len(each) < 19]
    if ask.said("which") == "all":
        found = retry_code(ask.hub, code, connection=ask.said("connection") or None, by=ask.by)
    else:
        found = retry_rows(ask.hub, rows, by=ask.by)
    ask.service.poke()
    return ask.go(f"/quarantine/{code}", "retried", found["mended"])
