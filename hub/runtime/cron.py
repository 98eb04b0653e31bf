"""Schedules by the calendar: the moments of a crontab line in a time zone, as hub.core.schedule knows rhythms.

APScheduler's CronTrigger reads the line and computes; what is ours is what a scheduler on many machines needs besides:
the moments that have been (a slot that was missed is told), and the two days of a year on which a clock is put. The
trigger is asked in UTC for what the clock on the wall shows, and each such moment is taken to its zone here: asked in
the zone, it passes over what comes after such a day ("0 0 1 * *" from 1 March: 1 May; APScheduler 3.11).

On those days a moment that the clock jumps over comes when it would have come (02:30 at 03:30), and one that it shows
twice comes once; what is due every hour comes every hour, be it shown twice or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

DAY_S = 86_400.0
FIRST_LOOK_S = 3_600.0  # how far back the newest moment is looked for at first; four times as far each time …
LONGEST_S = 9 * 366 * DAY_S  # … up to this: 29 February, over a year that has none of it though 4 divides it (2100)
INSTANT, NEVER = timedelta(microseconds=1), float("inf")
NEAR_S = 3 * 3_600.0  # longer than any clock jumps at a change of seasons
# A crontab counts weekdays from Sunday (0, and 7 again), CronTrigger from Monday: numbers are handed over as names.
# Needless once CronTrigger.from_crontab does so itself (APScheduler 3.11: "1-5" is Tuesday to Saturday there).
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBERS = re.compile(r"(?:([0-7])(?:-([0-7]))?|\*)(?:/([1-7]))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Moments, epoch seconds, of a line such as "0 6 * * 1-5". Made by `parse_cron`."""

    text: str
    zone: str
    trigger: CronTrigger = field(compare=False, repr=False)
    hourly: bool = field(compare=False, repr=False)  # whatever the hour: an hour that is shown twice is two

    def following(self, now: float) -> float:
        """The first moment later than now."""
        wall, best, last = self._wall(now) - self._jump(now), NEVER, datetime.max.replace(tzinfo=UTC)
        while True:
            shown = self.trigger.get_next_fire_time(None, wall + INSTANT)
            if shown is None or shown > last:
                break
            wall = shown
            first = best == NEVER
            best = min([best, *(moment for moment in self._moments(wall) if moment > now)])
            if first and best != NEVER:
                last = wall + self._jump(best)  # where a clock jumps, what it shows later may come earlier
        if best == NEVER:
            raise ValueError(f"{self.text} never comes")
        return best

    def _moments(self, wall: datetime) -> list[float]:
        """When the clock on the wall shows this: once, or twice where it was put back."""
        shown = wall.replace(tzinfo=ZoneInfo(self.zone))
        once, again = shown.timestamp(), shown.replace(fold=1).timestamp()
        return [once, again] if self.hourly and again > once else [once]

    def _wall(self, now: float) -> datetime:
        return datetime.fromtimestamp(now, ZoneInfo(self.zone)).replace(tzinfo=UTC, fold=0)

    def _jump(self, now: float) -> timedelta:
        """By how much the clock is put within a few hours of a moment."""
        before, after = (self._wall(now + side) - timedelta(seconds=side) for side in (-NEAR_S, NEAR_S))
        return abs(after - before)

    def between(self, after: float, until: float, *, limit: int = 1000) -> list[float]:
        """Moments later than `after`, up to and with `until`; of very many, the newest `limit`."""
        look_s = FIRST_LOOK_S
        while True:
            start = max(after, until - look_s)
            found, at = [], self.following(start)
            while at <= until:
                found.append(at)
                at = self.following(at)
            if len(found) >= limit or start <= after:
                return found[-limit:] if limit else []
            look_s *= 4

    def newest(self, now: float) -> float:
        """The newest moment that is not later than now."""
        return self.between(now - LONGEST_S, now, limit=1)[-1]


def parse_cron(text: str, zone: str) -> Cron:
    """Read a line of five fields: minute, hour, day, month, weekday.

    Args:
        zone: a time zone that there is.

    Raises:
        ValueError: no such line, one that never comes, or one that says a day of the month and a weekday: some
        systems take both together, others either, and whoever wrote it knows only his own.
    """
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"{len(fields)} fields instead of five")
    minute, hour, day, month, weekday = fields
    if day != "*" and weekday != "*":
        raise ValueError("a day of the month and a weekday at once")
    trigger = CronTrigger(
        minute=minute, hour=hour, day=day, month=month, day_of_week=_named(weekday.lower()), timezone=UTC
    )
    found = Cron(text=" ".join(fields), zone=zone, trigger=trigger, hourly=hour.startswith("*"))
    found.following(0.0)
    return found


def _named(weekday: str) -> str:
    """Weekdays by name where they stand as numbers."""
    names: list[str] = []
    for part in weekday.split(","):
        said = _NUMBERS.fullmatch(part)
        if said is None or part == "*":
            names.append(part)
            continue
        first, last, step = (int(each) if each else None for each in said.groups())
        if first is None:
            first, last = 0, 6
        elif last is None:
            last = 6 if step else first
        if last < first:
            raise ValueError(f"{part}: the first of a range comes first")
        names += [_WEEKDAYS[number] for number in range(first, last + 1, step or 1)]
    return ",".join(dict.fromkeys(names))
