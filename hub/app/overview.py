"""The hub at a glance: how each connection is, what needs a person, what moved lately, what was given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, tzinfo

from hub.app.context import Connection, Hub
from hub.app.growth import growth
from hub.app.listings import Dict, connections, count_entities, iso
from hub.app.pausing import paused
from hub.app.restored import COPIED
from hub.app.syncing import count_waiting
from hub.app.webhooks import takes_webhooks
from hub.core.rewards import GrantState
from hub.core.schedule import rhythm_of
from hub.core.triggers import FiringState
from hub.model import RunRow
from hub.store import Tx

HOURS = 24
HOUR_S = 3600.0
DAY_S = 86_400.0
RUNS_LOOKED_AT = 2000
MOVES = ("new", "changed", "created", "updated")  # counts of a run that say that something moved
ASKED = (GrantState.WAITING_APPROVAL, GrantState.NEEDS_PERSON, GrantState.UNDELIVERED)
LATE_SLOTS, LATE_S = 4, 60.0  # so many slots since the last run began, the newest so long ago: it is late
COUNTED_TO = 1000  # beyond it, people read "many"


def overview(hub: Hub) -> Dict:
    """Everything that the first page shows."""
    now, rows = hub.clock.now(), connections(hub)
    with hub.store.reading() as tx:
        waiting = count_waiting(tx)
        runs = tx.runs(limit=RUNS_LOOKED_AT)
        entities = count_entities(hub, tx)
        pairs = tx.count_identities().get(("review", "open"), 0)
        approvals, held = _asked(tx), _held(tx)
        budgets = tx.budgets()
    resting = paused(hub)
    return {
        "empty": not hub.connections,
        "copied": COPIED if hub.copied else "",
        "connections": [_health(hub.connections[row["connection"]], row, runs, resting, now) for row in rows],
        "needs": {
            "conflicts": waiting.conflicts, "holds": waiting.holds, "quarantine": waiting.quarantine, "pairs": pairs,
            "rewards": approvals, "triggers": held, "plans": waiting.plans,
        },
        "entities": dict(sorted(entities.items(), key=lambda each: -each[1])),
        "hours": _by_hour(runs, now, hub.zone),
        "days": growth(hub, entities),
        "budgets": [
            {
                "budget": row.budget, "period": row.period, "cap_minor": row.cap_minor,
                "reserved_minor": row.reserved_minor, "spent_minor": row.spent_minor,
            }
            for row in budgets[-6:]
        ],
        "currency": hub.projects.settings.hub.currency if hub.projects is not None else "EUR",
    }  # fmt: skip


def _health(connection: Connection, row: Dict, runs: Sequence[RunRow], resting: dict[str, Dict], now: float) -> Dict:
    """One word on a connection, and the sentence behind it."""
    own = [run for run in runs if run.connection == connection.name][:10]
    ended = [run for run in own if run.ended_at is not None]
    rhythm = rhythm_of(connection.name, connection.every_s, connection.crons)
    last = ended[0] if ended else None
    late = last is not None and len(rhythm.between(last.started_at, now - LATE_S, limit=LATE_SLOTS)) == LATE_SLOTS
    told = next((run for run in ended if _tried(run)), last)
    state, said = "good", "works"
    if connection.fault is not None:
        state, said = "bad", connection.fault.message
    elif connection.name in resting:
        state, said = "rest", f"paused by {resting[connection.name]['by']}"
    elif last is None or told is None:
        state, said = "rest", "has not run yet"
    elif told.status == "failed":
        state, said = "bad", told.error.partition("\n")[0]
    elif late:
        state, said = "warn", "has not run for longer than its schedule says"
    elif told.status != "success":
        state, said = "warn", f"last run: {told.status}"
    return {
        **row, "health": state, "said": said, "lag_s": now - last.started_at if last else None,
        "failures": sum(run.status == "failed" for run in own), "running": any(run.ended_at is None for run in own[:1]),
        "webhooks": takes_webhooks(connection), "calls": _calls(connection, runs, now),
        "took_s": [(run.ended_at or now) - run.started_at for run in ended[::-1]],
    }  # fmt: skip


def _tried(run: RunRow) -> bool:
    """Whether it asked the system anything; one that found nothing due proves nothing of the connection's health."""
    return run.status != "success" or any(run.counts.get(name) for name in ("calls", "pages", "rows"))


def _calls(connection: Connection, runs: Sequence[RunRow], now: float) -> Dict:
    """Calls of the runs of the last day; and what that leaves of a budget that is counted by the day or longer.

    Others may use the same budget: what they took is not known here.
    """
    whole = [each for each in connection.connector.limits if each.unit == "calls" and not each.operations]
    quota = max((each for each in whole if each.per_s >= DAY_S), key=lambda each: each.per_s, default=None)
    since = now - (quota.per_s if quota is not None else DAY_S)
    used = sum(
        run.counts.get("calls", 0) for run in runs if run.connection == connection.name and run.started_at > since
    )
    days = round((now - since) / DAY_S)
    if quota is None:
        return {"used": used, "days": days, "of": None, "left": None}
    return {"used": used, "days": days, "of": quota.calls, "left": max(0, quota.calls - used)}


def _by_hour(runs: Sequence[RunRow], now: float, zone: tzinfo) -> list[Dict]:
    """What moved in each of the last hours of that clock, oldest first."""
    hour = datetime.fromtimestamp(now, zone).replace(minute=0, second=0, microsecond=0)
    first = hour.timestamp() - (HOURS - 1) * HOUR_S
    moved = [Counter[str]() for _ in range(HOURS)]
    for run in runs:
        place = int((run.started_at - first) // HOUR_S)
        if 0 <= place < HOURS:
            moved[place].update({name: run.counts.get(name, 0) for name in MOVES})
    return [
        {"at": iso(first + place * HOUR_S), "read": n["new"] + n["changed"], "written": n["created"] + n["updated"]}
        for place, n in enumerate(moved)
    ]


def waiting_counts(hub: Hub) -> dict[str, int]:
    """What every page shows beside its menu."""
    with hub.store.reading() as tx:
        waiting = count_waiting(tx)
        return {
            "conflicts": waiting.conflicts, "holds": waiting.holds, "quarantine": waiting.quarantine,
            "identity": tx.count_identities().get(("review", "open"), 0), "rewards": _asked(tx), "triggers": _held(tx),
            "plans": waiting.plans, "drafts": len(tx.drafts()),
        }  # fmt: skip


def _asked(tx: Tx) -> int:
    return sum(len(tx.grants(state, limit=COUNTED_TO)) for state in ASKED)


def _held(tx: Tx) -> int:
    return tx.count_firings_in(FiringState.HELD, COUNTED_TO)
