"""The board of figures: every key figure of the last periods and every goal, computed beforehand, so that pages wait
for nothing.

Each figure is kept with a mark: the newest change of the records it is made of, the day, the version of its
declaration. `refresh` computes those whose mark is another now and leaves all else. What is shown says when it was
computed. A figure that depends on the clock (a bound that runs out, what runs at the end of a period) is of the hour.

Invariant: a board that was refreshed tells what `show_kpi` and `list_goals` tell at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from hub.app.context import Hub
from hub.app.kpis import kpis_of, list_goals, list_kpis, show_kpi
from hub.app.listings import Dict, iso
from hub.app.publishing import published, stem_of
from hub.app.transact import commit
from hub.core.kpis import Kpi
from hub.errors import NotFound
from hub.model import Json
from hub.runtime.registry import GOALS_FILE, KPIS_FILE

BOARD = "figures"  # the setting that keeps it
LEASE_S = 3600.0
HOUR_S = 3600.0
BY_CLOCK = ("within", "retention")  # formulas whose figures move while no record does
OFF = ("off track", "missed")


def refresh(hub: Hub, *, owner: str, over: Callable[[], bool] = lambda: False) -> list[str]:
    """Compute what may have changed; which figures that were. Nothing if another process is at it.

    Args:
        over: asked between two figures; true ends it, and what was computed by then is kept.
    """
    try:
        kpis = kpis_of(hub)
    except NotFound:
        return []
    now = hub.clock.now()
    if commit(hub, lambda tx: tx.lease(BOARD, owner, now, LEASE_S)) is None:
        return []
    try:
        with hub.store.reading() as tx:
            old: Mapping[str, Any] = tx.setting(BOARD) or {}
            newest, versions = tx.newest_versions(), published(tx)
        day = datetime.fromtimestamp(now, kpis.zone).date().isoformat()
        marks = {name: _mark(kpi, newest, versions, day, now) for name, kpi in kpis.kpis.items()}
        known: Mapping[str, Any] = old.get("kpis", {})
        kept: dict[str, Json] = {name: known[name] for name in marks if name in known}
        done = []
        for name, mark in marks.items():
            if over():
                break
            if name not in known or known[name]["mark"] != mark:
                kept[name] = {"mark": mark, "at": now, "figures": show_kpi(hub, name)["figures"]}
                done.append(name)
        goals = _goals(hub, old.get("goals", {}), marks, versions, now)
        board = {"at": now, "kpis": kept, "goals": goals}
        commit(hub, lambda tx: tx.set_setting(BOARD, board))
        return done
    finally:
        commit(hub, lambda tx: tx.release(BOARD, owner))


def _mark(kpi: Kpi, newest: Mapping[str, int], versions: Mapping[str, int], day: str, now: float) -> list[Json]:
    """What a figure depends on. People may have become one, so whom a reference names counts, too."""
    types, by_clock = set(), False
    for part in kpi.parts:
        by_clock = by_clock or part.kind in BY_CLOCK or bool(part.older_s)
        types |= {part.entity.name} | ({part.entity.fields[part.per].to or ""} if part.per else set())
    told = [versions.get(stem_of(KPIS_FILE), 0), day, *(newest.get(each, 0) for each in sorted(types))]
    return [*told, int(now // HOUR_S)] if by_clock else told


def _goals(
    hub: Hub, old: Mapping[str, Any], marks: Mapping[str, Json], versions: Mapping[str, int], now: float
) -> Json:
    """All goals at once: pace moves with the clock, so they are of the hour at most."""
    goals = hub.projects.goals if hub.projects is not None else {}
    mark = [
        versions.get(stem_of(GOALS_FILE), 0),
        int(now // HOUR_S),
        *(marks[goal.kpi.name] for goal in goals.values()),
    ]
    if old.get("mark") == mark:
        return old
    return {"mark": mark, "at": now, "rows": list_goals(hub)}


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
    told = [None if row["value"] is None else Decimal(row["value"]) for row in closed[-2:]]
    if len(told) < 2 or told[0] is None or told[1] is None:
        return ""
    if told[0] == told[1]:
        return "same"
    return "better" if (told[1] > told[0]) == (direction == "up") else "worse"


def off_track(hub: Hub) -> list[Dict]:
    """Goals that will not be reached at this pace, or were not, as they were computed last."""
    with hub.store.reading() as tx:
        kept: Mapping[str, Any] = tx.setting(BOARD) or {}
    return [row for row in kept.get("goals", {}).get("rows", []) if row["state"] in OFF]
