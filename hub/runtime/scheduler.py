"""The clock of a running hub: calls `on_tick` at every slot, and says which it came too late for.

APScheduler in memory, rebuilt from the configuration at each start: no job is stored, none can fire twice. A tick does
no work; it hands over (name, slot) and returns, so that no slow system delays another's clock. After a sleep of the
machine there is one tick, of the newest slot; the slots before it were missed, and are told one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from hub.core.schedule import Rhythm

Tick = Callable[[str, float], None]  # (name, slot)
TOLD_MOST = 500  # missed slots that one tick tells


class Ticker:
    """Ticks for each name in its own rhythm.

    Args:
        rhythms: name -> its slots.
        on_tick: a slot has come.
        on_missed: a slot passed while the process was too busy, or the machine asleep.
        now: the hub's clock, epoch seconds.
    """

    def __init__(
        self, rhythms: Mapping[str, Rhythm], *, on_tick: Tick, on_missed: Tick, now: Callable[[], float]
    ) -> None:
        self._rhythms, self._on_tick, self._on_missed, self._now = dict(rhythms), on_tick, on_missed, now
        self._last: dict[str, float] = {}  # the newest slot of each that was told of
        self._scheduler = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(4)}, daemon=True)

    def start(self) -> None:
        now = self._now()
        for name, rhythm in self._rhythms.items():
            self._last[name] = rhythm.newest(now)
            self._scheduler.add_job(
                self._tick, _Slots(rhythm, self._now), id=name, args=[name],
                coalesce=True, max_instances=1, misfire_grace_time=None,
            )  # fmt: skip
        self._scheduler.start()

    def stop(self) -> None:
        """No further ticks; those that run end by themselves."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _tick(self, name: str) -> None:
        """One tick of a name at a time: what comes while it lasts is told by the next."""
        rhythm, last = self._rhythms[name], self._last[name]
        slot = rhythm.newest(self._now())
        if slot <= last:
            return  # told of
        self._last[name] = slot
        for missed in rhythm.between(last, slot, limit=TOLD_MOST):
            if last < missed < slot:
                self._on_missed(name, missed)
        self._on_tick(name, slot)


class _Slots(BaseTrigger):
    """A rhythm as APScheduler asks for it."""

    def __init__(self, rhythm: Rhythm, now: Callable[[], float]) -> None:
        self._rhythm, self._now = rhythm, now

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The first slot that is still to come; those that have passed are found by the tick."""
        latest = self._now() if previous_fire_time is None else max(previous_fire_time.timestamp(), self._now())
        return datetime.fromtimestamp(self._rhythm.following(latest), UTC)
