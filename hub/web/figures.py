"""Key figures, goals, and the audit of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from hub.app import board, kpis
from hub.app.audit_findings import in_words
from hub.app.audit_report import as_page, past_audits
from hub.app.csv_out import as_csv
from hub.app.figure_views import View
from hub.app.people import Right
from hub.app.trust_drafts import propose_order
from hub.app.trusting import kept_trust
from hub.errors import NeedsReview, NotFound
from hub.web.site import Ask, Routes

ROUTES = Routes()
WIDE, HIGH, BELOW = 640, 150, 20  # of a chart
NEXT_STEPS = {
    "duplicate": ("/identity", "Who is who"),
    "invalid": ("/quarantine", "Quarantine"),
    "gap": ("/plan", "Plan"),
}
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
    shown = [
        {
            **each, "line": [float(row["value"] or 0) for row in each["figures"]],
            "told": bool(each["goals"]) or any(row["value"] is not None for row in each["figures"]),
        }
        for each in found["figures"]
    ]  # fmt: skip
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
    """As it was computed beforehand; where somebody asks for more than that, as far as it is computed by now."""
    name, asked = ask.path("kpi"), _asked(ask)
    errors: list[NeedsReview] = []
    view: View | None = None
    kept = next((each for each in _board(ask)["figures"] if each["kpi"] == name), None)
    found: Mapping[str, Any] | None = board.beforehand(ask.hub, kept, asked) if kept else None
    if found is None:
        try:
            view = ask.service.figures.look(name, _by_utc(ask, asked))
            found = _shown_then(ask, kept, asked) if view.answer is None else {**view.answer, "at": view.at}
        except NeedsReview as error:
            errors.append(error)
    link = urlencode({key: value for key, value in asked.items() if value and key != "records"})
    return ask.page(
        "figure.html", 422 if errors else 200, name=name, it=found, kept=kept, asked=asked, errors=errors, link=link,
        view=view, chart=bars(found["figures"]) if found and not asked["segment"] else None, periods=kpis.PERIODS,
        again=urlencode({key: value for key, value in asked.items() if value}),
    )  # fmt: skip


def _asked(ask: Ask) -> dict[str, str]:
    return {key: ask.query(key) or "" for key in ("by", "segment", "as_of", "records", "since")}


def _by_utc(ask: Ask, asked: Mapping[str, str]) -> dict[str, str]:
    """The same question with its moment as everything but a page has it."""
    return {**asked, "as_of": ask.times.utc(asked["as_of"]) if asked["as_of"] else ""}


def _shown_then(ask: Ask, kept: Mapping[str, Any] | None, asked: Mapping[str, str]) -> Mapping[str, Any] | None:
    """What the board showed at the moment that is asked about, until it is known which records make the difference."""
    by = asked["by"] or "month"
    if kept is None or not asked["as_of"] or any(asked[key] for key in ("segment", "records", "since")):
        return None
    rows = board.shown_then(ask.hub, kept["kpi"], by, ask.times.read(asked["as_of"]).at)
    return (
        None
        if rows is None
        else {**kept, "at": None, "figures": rows, "by": by, "as_of": asked["as_of"], "left_out": 0}
    )


@ROUTES.get("/figures/{kpi}/csv")
def as_file(ask: Ask) -> Response:
    """Whole, with all records, computed now: a file is waited for."""
    asked = kpis.checked_question(ask.hub, ask.path("kpi"), _by_utc(ask, _asked(ask)))
    found = kpis.show_kpi(
        ask.hub, asked.name, by=asked.by, since=asked.since, segment=asked.segment, as_of=asked.as_of,
        records=asked.records,
    )  # fmt: skip
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
        "data.html", audits=found, report=fresh, trust=kept_trust(ask.hub)["rows"],
        chart=bars(scores) if len(found) > 1 else None, auditing=ask.service.standing.auditing,
        in_words=in_words, next_steps=NEXT_STEPS,
    )  # fmt: skip


@ROUTES.post("/data", Right.RUN)
def audit_now(ask: Ask) -> Response:
    ask.service.standing.ask_audit(ask.by)
    return ask.go("/data", "data-audit")


@ROUTES.post("/data/trust", Right.CONFIGURE)
def draft_order(ask: Ask) -> Response:
    """The order of sources that measured trust speaks for, as a draft; from there it is checked and published."""
    rows = kept_trust(ask.hub)["rows"]
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
