"""Key figures, goals, and the audit of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from hub.app import board, kpis
from hub.app.audit_report import as_page, past_audits
from hub.app.csv_out import as_csv
from hub.app.past import parse_moment
from hub.app.people import Right
from hub.app.trust_drafts import propose_order
from hub.errors import NeedsReview, NotFound
from hub.web.site import Ask, Routes

ROUTES = Routes()
RECORDS_MOST = 200  # shown on a page; the CSV has them all
WIDE, HIGH, BELOW = 640, 150, 20  # of a chart
GAP = 0.25  # of a bar's room


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One period of a chart."""

    x: float
    y: float
    width: float
    height: float
    row: Mapping[str, Any]


@ROUTES.get("/figures")
def dashboard(ask: Ask) -> Response:
    found = _board(ask)
    shown = [{**each, "line": [float(row["value"] or 0) for row in each["figures"]]} for each in found["figures"]]
    return ask.page("figures.html", it=found, figures=shown)


def _board(ask: Ask) -> Mapping[str, Any]:
    """A project without key figures has a page that says so."""
    try:
        return board.board(ask.hub)
    except NotFound:
        return {"at": None, "figures": [], "goals": []}


@ROUTES.post("/figures", Right.RUN)
def compute(ask: Ask) -> Response:
    ask.service.standing.ask()
    return ask.go("/figures", "figures")


@ROUTES.get("/figures/{kpi}")
def one(ask: Ask) -> Response:
    """As it was computed beforehand, or, where somebody asks for more than that, computed now."""
    name = ask.path("kpi")
    errors: list[NeedsReview] = []
    found: Mapping[str, Any] | None = None
    kept = next((each for each in _board(ask)["figures"] if each["kpi"] == name), None)
    asked = {key: ask.query(key) or "" for key in ("by", "segment", "as_of", "records", "since")}
    plain = asked["by"] in ("", "month") and not any(asked[key] for key in ("segment", "as_of", "records", "since"))
    if kept is not None and kept["figures"] and plain:
        found = {**kept, "by": "month", "as_of": None, "left_out": 0}
    else:
        try:
            found = _computed(ask, name, asked)
        except NeedsReview as error:
            errors.append(error)
    link = urlencode({key: value for key, value in asked.items() if value and key != "records"})
    return ask.page(
        "figure.html", 422 if errors else 200, name=name, it=found, kept=kept, asked=asked, errors=errors, link=link,
        chart=bars(found["figures"]) if found and not asked["segment"] else None, most=RECORDS_MOST,
        periods=kpis.PERIODS,
    )  # fmt: skip


def _computed(ask: Ask, name: str, asked: Mapping[str, str]) -> Mapping[str, Any]:
    return kpis.show_kpi(
        ask.hub, name, by=asked["by"] or "month", since=asked["since"], segment=asked["segment"],
        as_of=parse_moment(asked["as_of"]) if asked["as_of"] else None, records=asked["records"] == "yes",
    )  # fmt: skip


@ROUTES.get("/figures/{kpi}/csv")
def as_file(ask: Ask) -> Response:
    asked = {key: ask.query(key) or "" for key in ("by", "segment", "as_of", "records", "since")}
    found = _computed(ask, ask.path("kpi"), asked)
    then = kpis.THEN_COLUMNS if found["as_of"] else kpis.COLUMNS
    text = as_csv(found["records"], kpis.RECORD_COLUMNS) if "records" in found else as_csv(found["figures"], then)
    headers = {"Content-Disposition": f'attachment; filename="{found["kpi"]}.csv"', "Cache-Control": "no-store"}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def bars(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Where the bars of a chart stand; what cannot be told has none. Values below 0 hang from the axis."""
    values = [None if row["value"] is None else float(row["value"]) for row in rows]
    top, least = (edge([each for each in values if each is not None] + [0.0]) for edge in (max, min))
    scale, room = HIGH / ((top - least) or 1.0), WIDE / max(len(rows), 1)
    axis = top * scale
    width = min(room * (1 - GAP), 48.0)
    found = [
        Bar(
            x=round(place * room + (room - width) / 2, 1), y=round(axis - max(value, 0.0) * scale, 1),
            width=round(width, 1), height=round(max(abs(value) * scale, 1.0), 1), row=row,
        )
        for place, (row, value) in enumerate(zip(rows, values, strict=True))
        if value is not None
    ]  # fmt: skip
    ends = [rows[0]["period"], rows[-1]["period"]] if rows else []
    return {"bars": found, "axis": round(axis, 1), "width": WIDE, "height": HIGH + BELOW, "ends": ends}


@ROUTES.get("/goals")
def goals(ask: Ask) -> Response:
    return ask.page("goals.html", it=_board(ask))


@ROUTES.get("/data")
def audits(ask: Ask) -> Response:
    found = past_audits(ask.hub)
    report = ask.service.standing.report
    fresh = report if report is not None and found and report["at"] == found[0]["at"] else None
    scores = [{"period": each["at"][:10], "value": each["score"], "open": False} for each in reversed(found)]
    return ask.page(
        "data.html", audits=found, report=fresh, chart=bars(scores) if len(found) > 1 else None,
        auditing=ask.service.standing.auditing,
    )  # fmt: skip


@ROUTES.post("/data", Right.RUN)
def audit_now(ask: Ask) -> Response:
    ask.service.standing.ask_audit(ask.by)
    return ask.go("/data", "data-audit")


@ROUTES.post("/data/trust", Right.CONFIGURE)
def draft_order(ask: Ask) -> Response:
    """The order of sources that measured trust speaks for, as a draft; from there it is checked and published."""
    report = ask.service.standing.report
    rows = report["trust"] if report is not None else None
    made = propose_order(ask.hub, ask.said("entity"), ask.said("field"), by=ask.by, rows=rows)
    return ask.go(f"/mappings/{made['file']}/change", "draft")


@ROUTES.get("/data/report")
def report(ask: Ask) -> Response:
    """The whole report as a file that prints; it names people."""
    found = ask.service.standing.report
    if found is None:
        raise NotFound("this process has made no audit yet", where="/data/report", fix="make one: Audit now")
    headers = {"Content-Disposition": 'attachment; filename="audit.html"', "Cache-Control": "no-store"}
    return Response(as_page(found), media_type="text/html; charset=utf-8", headers=headers)
