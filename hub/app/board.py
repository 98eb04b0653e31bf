"""The board of figures: every key figure of the last periods and every goal, computed beforehand, so that pages wait
for nothing.

`refresh` restates what changed (hub.app.restating) and keeps the rows that people are shown. What is shown says when it
was told.

Invariant: a board that was refreshed tells what `show_kpi` and `list_goals` tell at that moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from hub.app.context import Hub
from hub.app.kpis import SHOWN, figure_row, goal_row, goals_of, kpi_of, kpis_of, list_goals, list_kpis, unit_of
from hub.app.listings import Dict, iso
from hub.app.restating import keep, told
from hub.app.transact import commit
from hub.core.kpis import PERIODS, last_periods
from hub.errors import NotFound
from hub.model import Json
from hub.store import Tx
from hub.store.figures import ShownRow

BOARD = "figures.board"  # the setting that keeps it
OFF = ("off track", "missed")
LASTING = ("month", "quarter", "year")  # periods of which it is remembered what was shown
THINNED = "figures.thinned"  # the setting that tells until when what was shown stands once a day only
HOUR_S, DAY_S = 3_600, 86_400
HOURLY_DAYS = 90  # so long it is remembered by the hour
DAYS_AT_ONCE = 31  # that one refreshing thins out


def refresh(hub: Hub, *, owner: str, over: Callable[[], bool] = lambda: False) -> list[str]:
    """Bring the board up to date; which figures are told otherwise now. Nothing if another process is at it.

    Args:
        over: asked between two small steps; true ends it, and what was restated by then is kept.
    """
    try:
        book = keep(hub, owner=owner, over=over)
    except NotFound:
        return []
    if book is None:
        return []
    figures, at = told(book), book.until
    today = datetime.fromtimestamp(at, book.kpis.zone).date()
    rows: dict[str, dict[str, Json]] = {
        by: {
            name: [figure_row(book.kpis, kpi, each, at) for each in figures(kpi, last_periods(by, today, SHOWN))]
            for name, kpi in book.kpis.kpis.items()
        }
        for by in PERIODS
    }  # fmt: skip
    goals = [goal_row(hub, goal, figures(goal.kpi, [goal.span])[0], at) for goal in goals_of(hub)]
    with hub.store.reading() as tx:
        old: Mapping[str, Any] = (tx.setting(BOARD) or {}).get("kpis", {})
    commit(hub, lambda tx: _keep(tx, rows, goals, at))
    _thin(hub, at)
    return [name for name, own in rows["month"].items() if own != old.get(name)]


def _keep(tx: Tx, rows: Mapping[str, Mapping[str, Json]], goals: Sequence[Json], at: float) -> None:
    for by in LASTING:
        _remember(tx, rows[by], (tx.setting(f"{BOARD}.{by}") or {}).get("kpis", {}), at)
    tx.set_setting(BOARD, {"at": at, "kpis": rows["month"], "goals": goals})
    for by, kept in rows.items():
        tx.set_setting(f"{BOARD}.{by}", {"at": at, "kpis": kept})


def _remember(tx: Tx, rows: Mapping[str, Json], old: Mapping[str, Json], at: float) -> None:
    """What is told otherwise from now on."""
    fresh = []
    for name, own in rows.items():
        before = {row["period"]: (row["value"], row["of"]) for row in old.get(name, ())}
        fresh += [
            ShownRow(name, row["period"], at, row["value"], row["of"])
            for row in own
            if before.get(row["period"]) != (row["value"], row["of"])
        ]
    tx.add_shown(fresh, since=at - at % HOUR_S)


def _thin(hub: Hub, at: float) -> None:
    """What was shown long ago is remembered as it stood at the end of each day (UTC)."""
    end = at - at % DAY_S - HOURLY_DAYS * DAY_S
    with hub.store.reading() as tx:
        done = tx.setting(THINNED) or 0.0
    if done >= end:
        return

    def work(tx: Tx) -> None:
        since = done
        for _ in range(DAYS_AT_ONCE):
            first = tx.first_shown(since)
            if first is None or first >= end:
                tx.set_setting(THINNED, end)
                return
            since = first - first % DAY_S + DAY_S
            tx.thin_shown(since - DAY_S, since)
        tx.set_setting(THINNED, since)

    commit(hub, work)


# As it is shown


def board(hub: Hub) -> Dict:
    """Every figure with its newest periods and its goals, as they were computed last.

    Returns:
        {"at": when it was looked at last, None: never, "figures": [{"kpi", "text", "unit", "direction", "of",
         "formula", "at", "figures": rows of show_kpi, "now": the newest row, "before": the one before,
         "trend": better, worse, same or "", of the last two periods that are over, "goals"}],
         "goals": rows of list_goals}
    """
    with hub.store.reading() as tx:
        kept: Mapping[str, Any] = tx.setting(BOARD) or {}
    goals, at = kept.get("goals", []), iso(kept.get("at"))
    rows = []
    for each in list_kpis(hub):
        figures = kept.get("kpis", {}).get(each["kpi"], [])
        rows.append(
            {
                **each, "at": at if figures else None, "figures": figures, "now": figures[-1] if figures else None,
                "before": figures[-2] if len(figures) > 1 else None,
                "trend": trend([row for row in figures if not row["open"]], each["direction"]),
                "goals": [goal for goal in goals if goal["kpi"] == each["kpi"]],
            }
        )  # fmt: skip
    return {"at": at, "figures": rows, "goals": goals}


def by_period(hub: Hub, name: str, by: str) -> Dict | None:
    """A figure in its last 12 days, weeks, months, quarters or years, as it was computed last; None: it was not yet.

    Returns:
        {"at", "figures": rows of show_kpi}
    """
    with hub.store.reading() as tx:
        kept: Mapping[str, Any] = tx.setting(f"{BOARD}.{by}") or {}
    rows = kept.get("kpis", {}).get(name)
    return None if rows is None else {"at": iso(kept["at"]), "figures": rows}


def beforehand(hub: Hub, kept: Mapping[str, Any], asked: Mapping[str, str]) -> Dict | None:
    """A figure as the board has it; None where more is asked than it keeps, or it was not computed yet.

    Args:
        kept: the figure's row of `board`.
        asked: by, segment, as_of, records, since, as `FigureViews.look` takes them.
    """
    if any(asked.get(key) for key in ("segment", "as_of", "records", "since")):
        return None
    by = asked.get("by") or "month"
    found = by_period(hub, kept["kpi"], by)
    return None if found is None else {**kept, **found, "by": by, "as_of": None, "left_out": 0}


def shown_then(hub: Hub, name: str, by: str, as_of: float) -> list[Dict] | None:
    """Rows of show_kpi with what the board showed at an earlier moment, and what it showed last; None: not all of it.

    The board remembers months, quarters and years, each as it stood at the end of an hour; longer than 90 days ago, at
    the end of its day.
    """
    kpis = kpis_of(hub)
    kpi, day = kpi_of(kpis, name), datetime.fromtimestamp(as_of, kpis.zone).date()
    periods = last_periods(by, day, SHOWN)
    with hub.store.reading() as tx:
        labels = [period.label for period in periods]
        remembered = (
            as_of if as_of >= (tx.setting(THINNED) or 0.0) else math.nextafter(as_of - as_of % DAY_S + DAY_S, 0)
        )
        moments = (remembered, hub.clock.now())
        then, now = ({row.span: row for row in tx.shown(name, labels, until)} for until in moments)
    if len(then) < len(periods):
        return None
    return [
        {
            "period": period.label, "segment": "", "value": then[period.label].value, "unit": unit_of(kpis, kpi),
            "of": then[period.label].of, "open": day < period.after, "value_now": now[period.label].value,
        }
        for period in periods
    ]  # fmt: skip


def goals(hub: Hub) -> list[Dict]:
    """Every goal and how it stands, as they were computed last; computed now if they never were."""
    with hub.store.reading() as tx:
        kept: Mapping[str, Any] = tx.setting(BOARD) or {}
    return list(kept["goals"]) if "goals" in kept else list_goals(hub)


def trend(closed: Sequence[Dict], direction: str) -> str:
    """Of the last two periods that are over: an open one is not whole, and tells nothing yet."""
    last = [None if row["value"] is None else Decimal(row["value"]) for row in closed[-2:]]
    if len(last) < 2 or last[0] is None or last[1] is None:
        return ""
    if last[0] == last[1]:
        return "same"
    return "better" if (last[1] > last[0]) == (direction == "up") else "worse"


def off_track(hub: Hub) -> list[Dict]:
    """Goals that will not be reached at this pace, or were not, as they were computed last."""
    with hub.store.reading() as tx:
        kept: Mapping[str, Any] = tx.setting(BOARD) or {}
    return [row for row in kept.get("goals", []) if row["state"] in OFF]
