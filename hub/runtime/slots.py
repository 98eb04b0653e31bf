"""Slots of a schedule that is written as a calendar: by APScheduler's CronTrigger, in the hub's time zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from apscheduler.triggers.cron import CronTrigger

from hub.model import Json


def slots_fault(slots: Mapping[str, Json]) -> str:
    """What is wrong with the parts of a schedule; empty if nothing."""
    try:
        CronTrigger(**slots, timezone=UTC)
    except (TypeError, ValueError) as error:
        return str(error)[:200]
    return ""


def slot_after(slots: Mapping[str, Json], moment: float, zone: tzinfo) -> float | None:
    """The first slot later than a moment, epoch seconds. None: there is none."""
    trigger = CronTrigger(**slots, timezone=zone)
    after = datetime.fromtimestamp(moment, zone)
    found = trigger.get_next_fire_time(after, after)
    return found.timestamp() if found is not None else None


def newest_slot(slots: Mapping[str, Json], after: float, until: float, zone: tzinfo) -> float | None:
    """The newest slot in (after, until]: of several that were missed only this one is made up for."""
    newest, moment = None, after
    while (found := slot_after(slots, moment, zone)) is not None and found <= until:
        newest = moment = found
    return newest
