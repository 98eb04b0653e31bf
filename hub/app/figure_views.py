"""What people ask of a figure beyond the board: records told apart, other days, the records behind it, as it was known
at an earlier moment.

It takes a look at all records of a kind, so no page waits for it: one thread of the process computes what was asked,
a page tells how far it is, and what was computed is kept as long as nothing changes. What is asked again after a change
is computed again, and meanwhile shown as it was, with its moment. So many answers are kept, of so many bytes together;
another process computes its own. Somebody who was erased is in nothing that is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from hub.app.context import Hub
from hub.app.erasing import ERASURES
from hub.app.kpis import KpiQuestion, checked_question, count_records, kpis_of, show_kpi
from hub.app.listings import Dict, iso
from hub.app.restating import KEPT
from hub.app.sights import SOURCE
from hub.errors import HubError
from hub.runtime.log import logger

KEPT_MOST = 50  # answers
KEPT_BYTES = 16 * 2**20  # of all answers, as JSON; the newest is kept however large it is
SHOWN_MOST = 200  # records and differences of an answer: what a page shows
WAIT_S = 0.25  # a page waits so long for what may be computed at once
LASTS_S = 60.0  # an answer, where nobody tells whether anything changed
REST_TIMES = 10  # an answer lasts so many times as long as computing it took, whatever changes


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a page can show of a question by now."""

    answer: Dict | None  # of show_kpi; None: not computed yet
    at: str | None  # as of when it was computed
    share: float | None  # how much of the records was looked at; None: nothing is being computed
    failed: str = ""  # why it could not be computed


@dataclass(slots=True, kw_only=True)
class _Job:
    question: KpiQuestion
    done: threading.Event
    of: int = 0  # records there are to look at
    seen: int = 0
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    at: float  # when its computing began
    ended: float
    erasures: int  # by then
    size: int  # bytes
    told: Dict


class _Stopped(Exception):
    """The process ends."""


class FigureViews:
    """Questions of one process and their answers."""

    def __init__(self, hub: Hub, *, wait_s: float = WAIT_S) -> None:
        self._hub, self._wait_s = hub, wait_s
        self._lock = threading.Lock()
        self._answers: OrderedDict[KpiQuestion, _Answer] = OrderedDict()
        self._jobs: OrderedDict[KpiQuestion, _Job] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._over = False

    def stop(self) -> None:
        """What is being computed is left."""
        self._over = True
        thread = self._thread
        if thread is not None:
            thread.join()

    def look(self, name: str, asked: Mapping[str, str]) -> View:
        """What there is of it; what is missing, or may be another thing by now, is computed from now on.

        Raises:
            NotFound: no such figure. NeedsReview: KPI-PERIOD, KPI-SEGMENT, RECORD-MOMENT.
        """
        question = checked_question(self._hub, name, asked)
        kept = self._kept(question)
        if kept is not None and self._holds(question, kept):
            return View(answer=kept.told, at=iso(kept.at), share=None)
        job = self._begun(question)
        job.done.wait(self._wait_s)
        kept = self._kept(question)
        share = None if job.done.is_set() else min(1.0, job.seen / max(1, job.of))
        if kept is None:
            return View(answer=None, at=None, share=share, failed=job.failed)
        return View(answer=kept.told, at=iso(kept.at), share=share, failed=job.failed)

    def _kept(self, question: KpiQuestion) -> _Answer | None:
        """What was computed, unless somebody was erased since it was begun."""
        with self._lock:
            found = self._answers.get(question)
        return found if found is not None and found.erasures == self._erasures() else None

    def _erasures(self) -> int:
        with self._hub.store.reading() as tx:
            return int(tx.setting(ERASURES) or 0)

    def _holds(self, question: KpiQuestion, found: _Answer) -> bool:
        """Whether it would be the same now. Where nobody tells, it lasts a moment: where no figures are kept, and of
        sources, since a record that says nothing new may be one more source of its entity, and changes nothing else.
        """
        with self._hub.store.reading() as tx:
            stands, kept = tx.notes_stand(), tx.setting(KEPT) or {}
        now, zone = self._hub.clock.now(), kpis_of(self._hub).zone
        begun, today = (datetime.fromtimestamp(at, zone).date() for at in (found.at, now))
        noted = stands and "changed" in kept and question.segment != SOURCE
        same = found.at > kept["changed"] if noted else now < found.at + LASTS_S
        rests = now < found.ended + REST_TIMES * (found.ended - found.at)
        return begun == today and (same or rests)

    def _begun(self, question: KpiQuestion) -> _Job:
        with self._lock:
            job = self._jobs.get(question)
            if job is None:
                job = self._jobs[question] = _Job(question=question, done=threading.Event())
            if self._thread is None and not self._over:
                self._thread = threading.Thread(target=self._work, name="figure views", daemon=True)
                self._thread.start()
            return job

    def _work(self) -> None:
        """One after the other, the one that was asked first; the thread ends when there is none."""
        while True:
            with self._lock:
                job = next(iter(self._jobs.values()), None)
                if job is None or self._over:
                    self._thread = None
                    return
            try:
                self._compute(job)
            except _Stopped:
                pass
            except HubError as error:
                job.failed = str(error)
            except Exception:  # noqa: BLE001  (a bug must not end the thread: it is logged whole)
                logger("figures").exception("bug", question=str(job.question))
                job.failed = "it could not be computed; the log says why"
            finally:
                with self._lock:
                    self._jobs.pop(job.question, None)
                job.done.set()

    def _compute(self, job: _Job) -> None:
        question, at, erasures = job.question, self._hub.clock.now(), self._erasures()
        job.of = count_records(self._hub, question)

        def watch(records: int) -> None:
            job.seen += records
            if self._over:
                raise _Stopped

        answer = show_kpi(
            self._hub, question.name, by=question.by, since=question.since, segment=question.segment,
            as_of=question.as_of, records=question.records, most=SHOWN_MOST, watch=watch,
        )  # fmt: skip
        ended, size = self._hub.clock.now(), len(orjson.dumps(answer))
        with self._lock:
            self._answers[question] = _Answer(at=at, ended=ended, erasures=erasures, size=size, told=answer)
            self._answers.move_to_end(question)
            while len(self._answers) > 1 and (len(self._answers) > KEPT_MOST or self._kept_bytes() > KEPT_BYTES):
                self._answers.popitem(last=False)

    def _kept_bytes(self) -> int:
        return sum(each.size for each in self._answers.values())
