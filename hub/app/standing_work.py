"""What is done for people without their asking, beside the runs: the board of figures is kept fresh, the records are
counted each day, the data is audited each quarter, and the figures of a week or month that is over are sent to whoever
gets the notices.

One thread of a process that runs the hub; of several processes one does each thing. It costs at most a tenth of the
time: after a round it rests ten times as long as the round took.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from hub.app.audit_report import audit
from hub.app.board import board, refresh
from hub.app.context import Hub
from hub.app.growth import note_counts
from hub.app.kpis import kpis_of
from hub.app.listings import Dict
from hub.app.transact import commit
from hub.app.webhooks import public_url
from hub.core.kpis import period_around
from hub.errors import HubError, NotFound
from hub.runtime.log import logger

REST_S = 60.0  # at least, between two rounds
REST_TIMES = 10
STOP_S = 20.0
AUDITS = "audits"  # the setting that remembers since when they are made, and the lease
REPORTED = "figures_reported"  # the setting that remembers the last period whose figures were sent, and the lease
LEASE_S = 3600.0


class StandingWork:
    """Its thread."""

    def __init__(self, hub: Hub, *, owner: str, rest_s: float = REST_S) -> None:
        self._hub, self._owner, self._rest_s = hub, owner, rest_s
        self._over = threading.Event()
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._audit_for = ""  # who asked for one
        self.report: Dict | None = None  # the last audit that this process made, whole

    def start(self) -> None:
        self._over.clear()
        self._thread = threading.Thread(target=self._work, name="standing work", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """False: it did not get to the end of a figure in time (nothing is lost)."""
        self._over.set()
        self._asked.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(STOP_S)
        return thread is None or not thread.is_alive()

    def ask(self) -> None:
        """Somebody waits for fresh figures."""
        if self._thread is None:
            refresh(self._hub, owner=self._owner)
        else:
            self._asked.set()

    def ask_audit(self, by: str) -> None:
        """Somebody wants the data audited now."""
        self._audit_for = by
        if self._thread is None:
            self._audit()
        else:
            self._asked.set()

    @property
    def auditing(self) -> bool:
        """An audit was asked for and is not done yet."""
        return bool(self._audit_for)

    def _work(self) -> None:
        rest_s = self._rest_s
        while not self._over.is_set():
            self._asked.wait(rest_s)
            self._asked.clear()
            if self._over.is_set():
                return
            began = self._hub.clock.now()
            self.round()
            rest_s = max(self._rest_s, REST_TIMES * (self._hub.clock.now() - began))

    def round(self) -> None:
        """All that is due. What fails is logged, and tried again in the next round."""
        for each in (self._count, self._audit, self._figures, self._report):
            if self._over.is_set():
                return
            try:
                each()
            except HubError as error:
                logger("standing").warning("not done", what=each.__name__, code=error.code, error=str(error))
            except Exception:  # noqa: BLE001  (a bug must not end the thread: it is logged whole)
                logger("standing").exception("bug", what=each.__name__)

    def _count(self) -> None:
        note_counts(self._hub)

    def _figures(self) -> None:
        refresh(self._hub, owner=self._owner, over=self._over.is_set)

    def _audit(self) -> None:
        by = self._audit_for or ("schedule" if audit_is_due(self._hub) else "")
        if by and self._taken(AUDITS):
            try:
                self.report = audit(self._hub, by=by)
            finally:
                self._audit_for = ""
                commit(self._hub, lambda tx: tx.release(AUDITS, self._owner))

    def _report(self) -> None:
        """Remembered only once everybody was reached: what could not be sent is sent in the next round."""
        hub, label = self._hub, report_due(self._hub)
        if label is None or hub.tell is None or not self._taken(REPORTED):
            return
        try:
            title = f"{hub.projects.settings.hub.name}: figures until {label}"
            failed = hub.tell(title, report_text(hub)) if _known(hub) else ()
            if failed:
                logger("standing").warning("figures not sent", people=list(failed))
            else:
                commit(hub, lambda tx: tx.set_setting(REPORTED, label))
        finally:
            commit(hub, lambda tx: tx.release(REPORTED, self._owner))

    def _taken(self, name: str) -> bool:
        now = self._hub.clock.now()
        return commit(self._hub, lambda tx: tx.lease(name, self._owner, now, LEASE_S)) is not None


def audit_is_due(hub: Hub) -> bool:
    """A quarter (`audits:` in hub.yaml) after the last one, or after the hub first asked itself."""
    now, every_s = hub.clock.now(), hub.projects.settings.audits_s
    with hub.store.reading() as tx:
        last, since = tx.data_audits(limit=1), tx.setting(AUDITS)
    if since is None:
        commit(hub, lambda tx: tx.set_setting(AUDITS, now))
        return False
    return now >= max(last[0].at if last else 0.0, since) + every_s


def report_due(hub: Hub) -> str | None:
    """The period that is over and not reported yet; None: none, or nobody wants reports. The first one is none."""
    notices = hub.projects.settings.notices
    if notices is None or not notices.figures:
        return None
    try:
        zone = kpis_of(hub).zone
    except NotFound:
        return None
    today = datetime.fromtimestamp(hub.clock.now(), zone).date()
    label = period_around(notices.figures, period_around(notices.figures, today).first - timedelta(days=1)).label
    with hub.store.reading() as tx:
        told = tx.setting(REPORTED)
    if told is None:
        commit(hub, lambda tx: tx.set_setting(REPORTED, label))
    return label if told not in (None, label) else None


def _known(hub: Hub) -> bool:
    return any(each["now"] for each in board(hub)["figures"])


def report_text(hub: Hub) -> str:
    """Every goal, and every figure of the last month that is over beside the month before; names nobody but owners."""
    found = board(hub)
    lines = [
        f"{row['goal']}: {row['state']}, {_said(row['value'], row['unit'])} of {_said(row['target'], row['unit'])} "
        f"by {row['deadline']} ({row['owner']})"
        for row in found["goals"]
    ]
    lines += [""] if lines else []
    lines += [line for each in found["figures"] if (line := _line(each))]
    console = public_url(hub)
    return "\n".join([*lines, *(["", f"{console}/figures"] if console else [])])


def _line(each: Dict) -> str:
    closed: Sequence[Dict] = [row for row in each["figures"] if not row["open"]][-2:]
    if not closed or closed[-1]["value"] is None:
        return ""
    before = f", {_said(closed[0]['value'], each['unit'])} before" if len(closed) > 1 and closed[0]["value"] else ""
    grade = f" ({each['trend']})" if each["trend"] in ("better", "worse") else ""
    return f"{each['kpi']} {closed[-1]['period']}: {_said(closed[-1]['value'], each['unit'])}{before}{grade}"


def _said(value: str | None, unit: str) -> str:
    if value is None:
        return "nothing"
    return f"{float(value):.1%}" if unit == "share" else value if unit == "number" else f"{value} {unit}"
