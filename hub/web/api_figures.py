"""The part of the JSON API that tells key figures, goals, and the audits of the data."""

from __future__ import annotations

from typing import Literal

from hub.app import board, kpis, trust_drafts, trusting
from hub.app.audit_report import past_audits
from hub.app.past import parse_moment
from hub.errors import NotFound
from hub.web.api import ROUTER, Admin, Answered, Body, Hubs, Name, Reader, Runner, Word

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


@ROUTER.get("/figures/{kpi}")
def get_figure(
    service: Hubs, _: Reader, kpi: Name, by: Period = "month", since: Word = None, segment: Word = None,
    as_of: Word = None, records: bool = False,
) -> Body:  # fmt: skip
    """One key figure by period, computed now; with `as_of` as it was shown then, beside what is known now."""
    return kpis.show_kpi(
        service.hub, kpi, by=by, since=since or "", segment=segment or "", records=records,
        as_of=parse_moment(as_of) if as_of else None,
    )  # fmt: skip


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
