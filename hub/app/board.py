"""The board of figures: every key figure of the last periods and every goal, computed beforehand, so that pages wait
for nothing.

`refresh` restates what changed (hub.app.restating) and keeps the rows that people are shown. What is shown says when it
was told.

Invariant: a board that was refreshed tells what `show_kpi` and `list_goals` tell at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from hub.app.context import Hub
from hub.app.kpis import figure_row, goal_row, goals_of, list_kpis
from hub.app.listings import Dict, iso
from hub.app.restating import keep, told
from hub.app.transact import commit
from hub.errors import NotFound
from hub.model import Json

BOARD = "figures"  # the setting that keeps it
OFF = ("off track", "missed")


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
    kept: dict[str, Json] = {
        name: {"at": at, "figures": [figure_row(book.kpis, kpi, each, at) for each in figures(kpi, book.months)]}
        for name, kpi in book.kpis.kpis.items()
    }
    goals = [goal_row(hub, goal, figures(goal.kpi, [goal.span])[0], at) for goal in goals_of(hub)]
    new = {"at": at, "kpis": kept, "goals": {"at": at, "rows": goals}}
    with hub.store.reading() as tx:
        old: Mapping[str, Any] = (tx.setting(BOARD) or {}).get("kpis", {})
    commit(hub, lambda tx: tx.set_setting(BOARD, new))
    return [name for name, own in kept.items() if own["figures"] != old.get(name, {}).get("figures")]


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
    goals = kept.get("goals", {}).get("rows", [])
    rows = []
    for each in list_kpis(hub):
        own = kept.get("kpis", {}).get(each["kpi"], {})
        figures = own.get("figures", [])
        rows.append(
            {
                **each, "at": iso(own.get("at")), "figures": figures, "now": figures[-1] if figures else None,
                "before": figures[-2] if len(figures) > 1 else None,
                "trend": trend([row for row in figures if not row["open"]], each["direction"]),
                "goals": [goal for goal in goals if goal["kpi"] == each["kpi"]],
            }
        )  # fmt: skip
    return {"at": iso(kept.get("at")), "figures": rows, "goals": goals}


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
    return [row for row in kept.get("goals", {}).get("rows", []) if row["state"] in OFF]
