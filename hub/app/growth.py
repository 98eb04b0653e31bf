"""How many records there were on each day: counted once a day beside the runs, since the store only knows today."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from hub.app.context import Hub
from hub.app.listings import Dict, count_entities
from hub.app.transact import commit
from hub.store import Tx

COUNTED = "records by day"  # setting: day, by the hub's clock -> entity type -> how many live ones
KEPT = 400  # days
SHOWN = 30


def note_counts(hub: Hub) -> bool:
    """Count today's records, if nobody has yet."""
    today = _day(hub)
    with hub.store.reading() as tx:
        if today in (tx.setting(COUNTED) or {}):
            return False
        counts = count_entities(hub, tx)

    def keep(tx: Tx) -> None:
        days = {**(tx.setting(COUNTED) or {}), today: counts}
        tx.set_setting(COUNTED, dict(sorted(days.items())[-KEPT:]))

    commit(hub, keep)
    return True


def growth(hub: Hub, now_counts: Mapping[str, int]) -> list[Dict]:
    """The last days that were counted and today as it is now, oldest first: {"day", "records", "types"}."""
    with hub.store.reading() as tx:
        days = dict(tx.setting(COUNTED) or {})
    days[_day(hub)] = now_counts
    shown = sorted(days.items())[-SHOWN:]
    return [{"day": day, "records": sum(counts.values()), "types": counts} for day, counts in shown]


def _day(hub: Hub) -> str:
    return datetime.fromtimestamp(hub.clock.now(), hub.zone).date().isoformat()
