"""The clock of a running hub: calls `on_tick` at every slot, and says which it came too late for.

APScheduler in memory, rebuilt from the configuration at each start: no job is stored, none can fire twice. A tick does
no work; it hands over (name, slot) and returns, so that no slow system delays another's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from hub.core.schedule import next_slot, offset_of, slot_at

Tick = Callable[[str, float], None]  # (name, slot)

LATE_SHARE = 0.9  # of an interval: a tick that comes later than this belongs to the next slot


class Ticker:
    """Ticks for each name at its own interval.

    Args:
        every_s: name -> interval.
        on_tick: a slot has come.
        on_missed: a slot passed while the process was too busy, or the machine asleep.
        now: the hub's clock, epoch seconds.
    """

    def __init__(
        self, every_s: Mapping[str, float], *, on_tick: Tick, on_missed: Tick, now: Callable[[], float]
    ) -> None:
        self._every_s, self._on_tick, self._on_missed, self._now = dict(every_s), on_tick, on_missed, now
        self._scheduler = BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(4)}, daemon=True)
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED)

    def start(self) -> None:
        now = self._now()
        for name, every_s in self._every_s.items():
            first = next_slot(every_s, offset_of(name, every_s), now)
            self._scheduler.add_job(
                self._tick,
                IntervalTrigger(seconds=every_s, start_date=datetime.fromtimestamp(first, UTC)),
                id=name,
                args=[name],
                coalesce=False,  # each missed slot is told apart
                max_instances=2,  # a tick ends at once; a second one is only ever a moment behind
                misfire_grace_time=max(1, int(every_s * LATE_SHARE)),
            )
        self._scheduler.start()

    def stop(self) -> None:
        """No further ticks; those that run end by themselves."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _tick(self, name: str) -> None:
        every_s = self._every_s[name]
        self._on_tick(name, slot_at(every_s, offset_of(name, every_s), self._now()))

    def _missed(self, event: JobExecutionEvent) -> None:
        self._on_missed(event.job_id, event.scheduled_run_time.timestamp())
