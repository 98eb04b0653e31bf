"""Runs: one execution of pull and push per connection, with a status that follows from its rows.

Order of a sync: every connection is read (parents before children), then hints are served, then every connection is
written, and again while that brings anything new. A connection that fails stops alone; the others go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hub.app.context import Connection, Hub
from hub.app.ingest import again
from hub.app.pull import pull_stream, serve_hints
from hub.app.push import push_stream
from hub.app.wants import want_missing
from hub.errors import HubError, QuotaUsedUp, RetryLater, SignInExpired

LEASE_S = 120.0
PUSH_ROUNDS = 4  # parents before children, references after both; then whatever is left waits for the next run
TROUBLE = (
    "quarantined",
    "faulty_cells",
    "failed",
    "held_cells",
    "held_deletes",
    "waiting_cells",
    "unknown",
    "duplicate",
)

Watch = Callable[[str, str, str, int], None]  # (connection, phase, stream, rows so far)


def unwatched(_connection: str, _phase: str, _stream: str, _rows: int) -> None:
    """Nobody looks."""


@dataclass(slots=True, kw_only=True)
class ConnectionRun:
    """What one connection's run did."""

    connection: str
    run_id: int
    counts: Counter[str] = field(default_factory=Counter)
    streams: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)  # (stream, direction) -> counts
    error: str = ""
    code: str = ""
    tally: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    calls_before: Counter[str] = field(default_factory=Counter)
    status: str = "running"

    def add(self, stream: str, direction: str, counts: Counter[str]) -> None:
        self.streams.setdefault((stream, direction), Counter()).update(counts)
        self.counts.update(counts)

    def judge(self) -> str:
        """True status (law L23): an error is failed, a planned pause is paused, any row that did not get through partial."""
        if self.code in (QuotaUsedUp.default_code,):
            return "paused"
        if self.error:
            return "failed"
        return "partial" if any(self.counts[name] for name in TROUBLE) else "success"


def sync(
    hub: Hub,
    names: Iterable[str] | None = None,
    *,
    owner: str,
    push: bool = True,
    watch: Watch = unwatched,
    finish: Callable[[Hub, dict[str, ConnectionRun]], None] | None = None,
) -> list[ConnectionRun]:
    """Pull and push connections once.

    Args:
        names: connections; None for all.
        owner: who holds the leases (host and process).
        push: False reads only.
        finish: called before the runs are closed (rewards are issued there).

    Returns:
        One run per connection whose lease could be had, in the order of hub.yaml.
    """
    wanted = [hub.connections[name] for name in (names if names is not None else hub.connections)]
    runs = {each.name: run for each in wanted if (run := _begin(hub, each, owner)) is not None}
    try:
        active = [each for each in wanted if each.name in runs]
        for connection in active:
            _guarded(hub, runs[connection.name], lambda c=connection: _pull(hub, c, runs[c.name], watch))
        for connection in active:
            _guarded(hub, runs[connection.name], lambda c=connection: _serve(hub, c, runs[c.name]))
        if push:
            _push_rounds(hub, active, runs, watch)
        if finish is not None:
            finish(hub, runs)
    finally:
        for run in runs.values():
            _end(hub, run, owner)
    return list(runs.values())


def _begin(hub: Hub, connection: Connection, owner: str) -> ConnectionRun | None:
    """Lease and run row, or None if another worker has this connection; the skipped slot is a row, too."""
    now = hub.clock.now()
    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            if tx.lease(_lease_of(connection.name), owner, now, LEASE_S) is None:
                tx.add_slot(connection.name, now, "skipped", "another run holds this connection")
                return None
            run_id = tx.start_run(connection.name, "sync", now, lease=_lease_of(connection.name))
    return ConnectionRun(connection=connection.name, run_id=run_id, calls_before=Counter(connection.counts()))


def _lease_of(connection: str) -> str:
    return f"connection:{connection}"


def _guarded(hub: Hub, run: ConnectionRun, task: Callable[[], None]) -> None:
    """A connection's trouble is its own; it is written down and the others go on."""
    if run.error:
        return
    try:
        task()
    except (RetryLater, SignInExpired, HubError) as error:
        run.error, run.code = str(error), error.code


def _pull(hub: Hub, connection: Connection, run: ConnectionRun, watch: Watch) -> None:
    failures = []
    for source in connection.in_order():
        try:
            counts = pull_stream(
                hub, connection, source, run_id=run.run_id, tally=run.tally,
                progress=lambda stream, rows: watch(connection.name, "pull", stream, rows),
            )  # fmt: skip
        except SignInExpired:
            raise
        except HubError as error:  # this stream stops where it is; its siblings are read all the same
            failures.append(error)
            continue
        run.add(source, "in", counts)
    want_missing(hub, connection)
    if failures:
        raise failures[0]


def _serve(hub: Hub, connection: Connection, run: ConnectionRun) -> None:
    run.add("hints", "in", serve_hints(hub, connection, run_id=run.run_id, tally=run.tally))


def _push_rounds(hub: Hub, active: Sequence[Connection], runs: dict[str, ConnectionRun], watch: Watch) -> None:
    for _ in range(PUSH_ROUNDS):
        moved = 0
        for connection in active:
            before = Counter(runs[connection.name].counts)
            _guarded(hub, runs[connection.name], lambda c=connection: _push(hub, c, runs[c.name], watch))
            _guarded(hub, runs[connection.name], lambda c=connection: _serve(hub, c, runs[c.name]))
            after = runs[connection.name].counts - before
            moved += after["created"] + after["updated"] + after["settled"] + after["changed"]
        if not moved:
            return


def _push(hub: Hub, connection: Connection, run: ConnectionRun, watch: Watch) -> None:
    for source in connection.in_order():
        for mapping in connection.mappings_from(source):
            counts = push_stream(
                hub, connection, mapping, run_id=run.run_id,
                progress=lambda stream, rows: watch(connection.name, "push", stream, rows),
            )  # fmt: skip
            if counts:
                run.add(mapping.name, "out", counts)


def _end(hub: Hub, run: ConnectionRun, owner: str) -> None:
    """Close the run with its counts and the status that follows from them."""
    calls = Counter(hub.connections[run.connection].counts()) - run.calls_before
    run.counts["calls"] = sum(calls.values())
    run.status = run.judge()
    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            for (stream, direction), counts in run.streams.items():
                tx.add_run_stream(run.run_id, stream, direction, counts)
            tx.finish_run(run.run_id, hub.clock.now(), run.status, run.counts, run.error)
            tx.release(_lease_of(run.connection), owner)
