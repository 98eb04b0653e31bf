"""What somebody has the hub do while they go on looking: a plan made, an undo prepared, a plan carried out.

One at a time in a process. Pages ask how it is getting on; they never do such work themselves. An errand ends at its
next page when the hub stops; what it had done by then is kept, as after any interrupted run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hub.app.apply import apply
from hub.app.context import Hub
from hub.app.leases import Stopped
from hub.app.listings import Dict, iso
from hub.app.plan import plan_document
from hub.app.plan_choice import Chosen, part_of
from hub.app.planned import unpacked
from hub.app.proposals import MADE, keep_made
from hub.app.runs import Watch, connection_of
from hub.app.undo import undo_plan
from hub.errors import Drifted, HubError, RetryLater
from hub.runtime.log import logger

STOP_S = 20.0
PLAN, UNDO, APPLY = "plan", "undo", "apply"

Work = Callable[[Watch], tuple[int, str]]  # -> (plan, what became of it)


@dataclass(slots=True, kw_only=True)
class Errand:
    """One of them."""

    kind: str
    by: str
    began_at: float
    ended_at: float | None = None
    at: tuple[str, str, str, int] = ("", "", "", 0)  # connection, phase, stream, rows
    plan: int | None = None
    told: str = ""  # how it ended, in words
    error: str = ""
    code: str = ""
    fix: str = ""

    def document(self) -> Dict:
        connection, phase, stream, rows = self.at
        return {
            "kind": self.kind, "by": self.by, "began_at": iso(self.began_at), "ended_at": iso(self.ended_at),
            "running": self.ended_at is None, "connection": connection, "phase": phase, "stream": stream, "rows": rows,
            "plan": self.plan, "told": self.told, "error": self.error, "code": self.code, "fix": self.fix,
        }  # fmt: skip


class Errands:
    """Those of one process."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._last: Errand | None = None

    def newest(self) -> Dict | None:
        """The one that is going on, or the last one."""
        return self._last.document() if self._last is not None else None

    def wait(self, within_s: float = STOP_S) -> bool:
        """Until it is done. False: it takes longer."""
        thread = self._thread
        if thread is not None:
            thread.join(within_s)
        return thread is None or not thread.is_alive()

    def stop(self) -> bool:
        """End it at its next page, and take no other until `start`."""
        self._over.set()
        return self.wait()

    def start(self) -> None:
        self._over.clear()

    # What may be asked for

    def make_plan(self, names: Sequence[str], *, pull: bool, by: str) -> None:
        """Find out what would be written. Raises NotFound; RetryLater RUN-BUSY while another errand is going on."""
        for name in names:
            connection_of(self._hub, name)
        self._begin(PLAN, by, partial(_make, self._hub, names, pull, by))

    def make_undo(self, runs: Sequence[int], *, delete_created: bool, by: str) -> None:
        """Find out what undoing runs would write. Raises NotFound; RetryLater RUN-BUSY."""
        with self._hub.store.reading() as tx:
            for run_id in runs:
                connection_of(self._hub, tx.run(run_id).connection)
        self._begin(UNDO, by, partial(_prepare_undo, self._hub, runs, delete_created, by))

    def carry_out(self, plan_id: int, chosen: Chosen, *, held: bool, by: str) -> None:
        """Carry out a plan that was made, or some of it.

        Args:
            held: let through what a guard would keep back.

        Raises:
            NotFound; Drifted PLAN-DECIDED, PLAN-VALUES; NeedsReview PLAN-NONE, PLAN-WHOLE; RetryLater RUN-BUSY.
        """
        with self._hub.store.reading() as tx:
            row = tx.plan(plan_id)
        if row.state != MADE:
            raise Drifted(f"this plan was {row.state} already", code="PLAN-DECIDED", where=f"plan {plan_id}")
        document = part_of(self._hub, unpacked(row.content), chosen)
        self._begin(APPLY, by, partial(_apply, self._hub, plan_id, document, held, by))

    def _begin(self, kind: str, by: str, work: Work) -> None:
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                raise RetryLater("another plan is at work", code="RUN-BUSY", where=kind, fix="wait for it to end")
            errand = self._last = Errand(kind=kind, by=by, began_at=self._hub.clock.now())
            self._thread = threading.Thread(target=self._work, args=(errand, work), name="errand", daemon=True)
            self._thread.start()

    def _work(self, errand: Errand, work: Work) -> None:
        def watch(connection: str, phase: str, stream: str, rows: int) -> None:
            errand.at = (connection, phase, stream, rows)
            if self._over.is_set():
                raise Stopped("the hub is shutting down", fix="ask again")

        try:
            errand.plan, errand.told = work(watch)
        except HubError as error:
            errand.error, errand.code, errand.fix = error.message, error.code, error.fix
        except Exception:  # noqa: BLE001  (a bug must not leave the page waiting: it is logged whole)
            logger("errands").exception("bug", kind=errand.kind)
            errand.error, errand.code = "it failed; the log says why", "BUG"
        finally:
            errand.ended_at = self._hub.clock.now()


def _make(hub: Hub, names: Sequence[str], pull: bool, by: str, watch: Watch) -> tuple[int, str]:
    document, writes = plan_document(hub, names, pull=pull, watch=watch)
    return keep_made(hub, document, by=by), f"{len(writes)} writes"


def _prepare_undo(hub: Hub, runs: Sequence[int], delete_created: bool, by: str, watch: Watch) -> tuple[int, str]:
    watch("", "undo", "", 0)
    document = undo_plan(hub, runs, delete_created=delete_created)
    document.pop("changes")
    return keep_made(hub, document, by=by), f"{len(document['writes'])} writes"


def _apply(hub: Hub, plan_id: int, document: Dict, held: bool, by: str, watch: Watch) -> tuple[int, str]:
    done = apply(hub, document, by=by, approve=held or document["kind"] == UNDO, watch=watch, where=f"plan {plan_id}")
    if done.skipped:
        return done.plan or plan_id, f"{done}; another run holds {', '.join(done.skipped)}: carry it out again later"
    return done.plan or plan_id, str(done)
