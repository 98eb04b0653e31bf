"""The part of the JSON API that tells key figures, goals, and the audits of the data."""

from __future__ import annotations

from typing import Literal

from fastapi import Response

from hub.app import board, trust_drafts, trusting
from hub.app.audit_report import past_audits
from hub.errors import NeedsReview, NotFound
from hub.web.api import ROUTER, Admin, Answered, Body, Hubs, Name, Reader, Runner, Word

AGAIN_S = 2
Period = Literal["day", "week", "month", "quarter", "year"]


@ROUTER.get("/figures")
def get_figures(service: Hubs, _: Reader) -> Body:
    """Every key figure of the last twelve months and every goal, as they were computed last."""
    return board.board(service.hub)


@ROUTER.post("/figures", status_code=202)
def compute(service: Hubs, _: Runner) -> Body:
    """Have every key figure computed anew; `/figures` tells when they were."""
    service.standing.ask()
    return {"begun": True}


@ROUTER.get("/figures/{kpi}", responses={202: {"description": "It is being computed: ask again, as Retry-After says."}})
def get_figure(
    service: Hubs, _: Reader, answer: Response, kpi: Name, by: Period = "month", since: Word = None,
    segment: Word = None, as_of: Word = None, records: bool = False,
) -> Body:  # fmt: skip
    """One key figure by period; with `as_of` as it was shown then, beside what is known now.

    What is kept is told as it was computed last (`at`). What is not is computed beside: meanwhile the answer is 202 and
    tells the `share` of the records that was looked at. `records` are the first 200; `record_count` says how many
    there are.
    """
    asked = {"by": by, "since": since or "", "segment": segment or "", "as_of": as_of or ""}
    asked |= {"records": "yes"} if records else {}
    row = next((each for each in board.board(service.hub)["figures"] if each["kpi"] == kpi), None)
    found = board.beforehand(service.hub, row, asked) if row is not None else None
    if found is not None:
        return found
    view = service.figures.look(kpi, asked)
    if view.answer is not None:
        return {**view.answer, "at": view.at}
    if view.failed:
        raise NeedsReview(view.failed, code="KPI-FAILED", where=kpi, fix="ask again; the log says why")
    answer.status_code, answer.headers["Retry-After"] = 202, str(AGAIN_S)
    return {"kpi": kpi, "computing": True, "share": view.share}


@ROUTER.get("/goals")
def get_goals(service: Hubs, _: Reader) -> list[Body]:
    """Every goal with its pace and forecast, as they were computed last; computed now if they never were."""
    return board.goals(service.hub)


@ROUTER.get("/data-audits")
def get_data_audits(service: Hubs, _: Reader) -> list[Body]:
    """The last audits of the data, the newest first: score, shares, and how many of each finding."""
    return past_audits(service.hub)


@ROUTER.get("/trust")
def get_trust(service: Hubs, _: Reader) -> Body:
    """How often each system's values were corrected, bounced or overruled, and the order that this speaks for: as the
    last audit of the data measured it (`measured`; null and no rows before the first).
    """
    return trusting.kept_trust(service.hub)


@ROUTER.post("/trust/{entity}/{field}/draft")
def draft_order(service: Hubs, person: Admin, entity: Name, field: Name, it: Answered) -> Body:
    """Draft the order of sources that a field's figures speak for; nothing runs with it before it is published."""
    rows = trusting.kept_trust(service.hub)["rows"]
    return {**trust_drafts.propose_order(service.hub, entity, field, by=person.name, rows=rows), "sure": it.sure}


@ROUTER.post("/data-audits", status_code=202)
def audit_now(service: Hubs, person: Runner) -> Body:
    """Have the data audited now; `/data-audits` has it when it is done."""
    service.standing.ask_audit(person.name)
    return {"begun": True, "auditing": service.standing.auditing}


@ROUTER.get("/data-audits/report")
def get_report(service: Hubs, _: Reader) -> Body:
    """The whole report of the last audit that this process made; it names people."""
    found = service.standing.report
    if found is None:
        raise NotFound("this process has made no audit yet", where="data-audits", fix="POST /data-audits makes one")
    return dict(found)
