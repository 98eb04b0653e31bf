"""Runs: one execution of pull and push per connection, with a status that follows from its rows.

Order of a sync: every connection is read (parents before children), then hints are served, then every connection is
written, and again while that brings anything new. A connection that fails stops alone; the others go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from hub.app.backfill import begin_backfill, note_rest
from hub.app.carry import Carried
from hub.app.context import Connection, Hub, connection_of
from hub.app.derived import compute_for_today
from hub.app.ingest import again
from hub.app.leases import KeepAlive, RunOver, Stopped, connection_lease, take
from hub.app.merging import carry_out_merges
from hub.app.proposals import propose_rest, withdraw, write_approved
from hub.app.pull import pull_stream, serve_hints
from hub.app.push import push_stream
from hub.app.rereading import reread
from hub.app.suspects import barred, died
from hub.app.wants import want_missing
from hub.core.mapping import StreamMapping
from hub.core.planted import PLANTED
from hub.errors import HubError, QuotaUsedUp, RetryLater, SignInExpired

T = TypeVar("T")
SIDE_BY_SIDE = 4  # connections worked on at once
PUSH_PATIENCE_S = 60.0  # of one round of writes, for a vendor that names a short wait; a longer one ends the run
LOOK_BACK = 20  # runs of a connection, among which those of one kind are looked for
PUSH_ROUNDS = 4  # parents before children, references after both; then whatever is left waits for the next run
TROUBLE = (
    "quarantined",
    "faulty_cells",
    "failed",
    "held_cells",
    "held_deletes",
    "held_records",
    "waiting_cells",
    "unknown",
    "duplicate",
    "rewards_rejected",
    "rewards_unknown",
    "rewards_needs_person",
    "rewards_contradicted",
    "drifted",
)

Watch = Callable[[str, str, str, int], None]  # (connection, phase, stream, rows so far)


Write = Callable[["Hub", "Connection", "ConnectionRun", Watch], None]


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
    epoch: int = 0  # of the lease it runs under
    closely: bool = False  # runs before it died: see hub.app.suspects

    def add(self, stream: str, direction: str, counts: Counter[str]) -> None:
        self.streams.setdefault((stream, direction), Counter()).update(counts)
        self.counts.update(counts)

    def take(self, carried: Carried) -> None:
        """What became of a plan's writes."""
        for stream, counts in carried.counts.items():
            self.add(stream, "out", counts)
        self.counts["drifted"] += len(carried.refused)

    def judge(self) -> str:
        """True status (law L23): an error is failed, a planned pause paused, a row that did not get through partial."""
        if self.code == QuotaUsedUp.default_code:
            return "paused"
        if self.code == Stopped.default_code:
            return "interrupted"
        if "always_success" in PLANTED:
            return "success"
        if self.error:
            return "failed"
        return "partial" if any(self.counts[name] for name in TROUBLE) else "success"


def sync(
    hub: Hub,
    names: Iterable[str] | None = None,
    *,
    owner: str,
    kind: str = "sync",
    pull: bool = True,
    push: bool = True,
    only: Mapping[str, Collection[str]] | None = None,
    watch: Watch = unwatched,
    write: Write | None = None,
    finish: Callable[[Hub, dict[str, ConnectionRun]], None] | None = None,
) -> list[ConnectionRun]:
    """Pull and push connections once.

    Args:
        names: connections; None for all.
        owner: who holds the leases (host and process).
        kind: of the run rows: sync, webhook.
        pull: False serves hints and writes what is due, without reading the streams.
        push: False reads only.
        write: what is written to a connection; None: what is due, as its mode allows.
        only: connection -> streams to read; a connection that is not in it is read whole.
        finish: called before the runs are closed (rewards are issued there).

    Returns:
        One run per connection whose lease could be had, in the order of hub.yaml.

    Raises:
        NotFound: there is no connection of that name.
    """
    wanted = [connection_of(hub, name) for name in (names if names is not None else hub.connections)]
    runs = {each.name: run for each in wanted if (run := _begin(hub, each, owner, kind)) is not None}
    active = [each for each in wanted if each.name in runs]
    try:
        with KeepAlive(hub, owner, {connection_lease(name): run.epoch for name, run in runs.items()}) as leases:

            def look(connection: str, phase: str, stream: str, rows: int) -> None:
                leases.check(connection_lease(connection))
                watch(connection, phase, stream, rows)

            for connection in active:  # before anything is read: a changed mapping is nobody's edit
                _guarded(runs[connection.name], partial(_reread, hub, connection, runs[connection.name]))
            if pull:
                _pull_all(hub, active, runs, look, only)
            for connection in active:
                _guarded(runs[connection.name], partial(_serve, hub, connection, runs[connection.name]))
            if pull:
                compute_for_today(hub, owner=owner)
            if push:
                _push_rounds(hub, active, runs, look, write or _push)
            if finish is not None:
                finish(hub, runs)
    except BaseException as error:  # a bug, or the end of the process: these runs did not succeed, and say so
        _blame(runs, error)
        raise
    finally:
        for run in runs.values():
            _end(hub, run, owner)
    return list(runs.values())


def _blame(runs: Mapping[str, ConnectionRun], error: BaseException) -> None:
    code = "RUN-BUG" if isinstance(error, Exception) else Stopped.default_code
    for run in runs.values():
        run.error, run.code = run.error or f"stopped by {type(error).__name__}", run.code or code


def _begin(hub: Hub, connection: Connection, owner: str, kind: str) -> ConnectionRun | None:
    """Lease and run row, or None if another worker has this connection."""
    now, lease, epoch, run_id, closely = hub.clock.now(), connection_lease(connection.name), None, 0, False
    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            epoch = take(tx, lease, owner, now)
            if epoch is None:
                break
            tx.mark_interrupted(now)
            closely = died([run for run in tx.runs(limit=LOOK_BACK, connection=connection.name) if run.kind == kind])
            connection.barred.clear()
            connection.barred.update(barred(tx, connection.name))
            run_id = tx.start_run(connection.name, kind, now, lease=lease)
    if epoch is None:
        return None
    connection.new_run()
    return ConnectionRun(
        connection=connection.name, run_id=run_id, epoch=epoch, calls_before=Counter(connection.counts()),
        closely=closely,
    )  # fmt: skip


def _guarded(run: ConnectionRun, task: Callable[[], object]) -> None:
    """A connection's trouble is its own; it is written down and the others go on."""
    if run.error:
        return
    try:
        task()
    except (RetryLater, SignInExpired, HubError) as error:
        run.error, run.code = str(error), error.code


def _reread(hub: Hub, connection: Connection, run: ConnectionRun) -> None:
    if connection.fault is not None:
        return
    begin_backfill(hub, connection)
    counts = reread(hub, connection, run_id=run.run_id, tally=run.tally)
    if counts:
        run.add("mapping", "in", counts)


def _pull_all(
    hub: Hub,
    active: Sequence[Connection],
    runs: Mapping[str, ConnectionRun],
    watch: Watch,
    only: Mapping[str, Collection[str]] | None,
) -> None:
    for connection in active:  # one after the other: whose edit is met first is in the conflict log
        run, streams = runs[connection.name], None if only is None else only.get(connection.name)
        _guarded(run, partial(_pull, hub, connection, run, watch, streams))
    for connection in active:  # after all were read: what one brought, another may want
        _guarded(runs[connection.name], partial(want_missing, hub, connection))


def _pull(
    hub: Hub, connection: Connection, run: ConnectionRun, watch: Watch, streams: Collection[str] | None = None
) -> None:
    connection.require()
    failures = []
    for source in connection.in_order():
        if streams is not None and source not in streams:
            continue
        try:
            counts = pull_stream(
                hub, connection, source, run_id=run.run_id, tally=run.tally,
                progress=lambda stream, rows: watch(connection.name, "pull", stream, rows), closely=run.closely,
            )  # fmt: skip
        except (SignInExpired, RunOver):
            raise
        except HubError as error:  # this stream stops where it is; its siblings are read all the same
            failures.append(error)
            continue
        run.add(source, "in", counts)
        note_rest(hub, connection, source)
    if failures:
        raise failures[0]


def _serve(hub: Hub, connection: Connection, run: ConnectionRun) -> None:
    connection.require()
    counts = serve_hints(hub, connection, run_id=run.run_id, tally=run.tally, closely=run.closely)
    run.add("hints", "in", counts)
    carry_out_merges(hub)


def _push_rounds(
    hub: Hub, active: Sequence[Connection], runs: dict[str, ConnectionRun], watch: Watch, write: Write
) -> None:
    def round_of(connection: Connection) -> int:
        run = runs[connection.name]
        before = Counter(run.counts)
        _guarded(run, partial(write, hub, connection, run, watch))
        _guarded(run, partial(_serve, hub, connection, run))
        after = run.counts - before
        return sum(after[name] for name in ("created", "updated", "removed", "settled", "changed"))

    for _ in range(PUSH_ROUNDS):
        if not sum(_side_by_side(round_of, active)):
            return


def _side_by_side(task: Callable[[Connection], T], active: Sequence[Connection]) -> list[T]:
    """One thread per connection, up to a few: while one waits for its system, another is written."""
    if len(active) < 2:
        return [task(connection) for connection in active]
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="sync") as pool:
        return list(pool.map(task, active))


def _push(hub: Hub, connection: Connection, run: ConnectionRun, watch: Watch) -> None:
    if connection.asks:
        _push_approved(hub, connection, run, watch)
        return
    withdraw(hub, connection)
    patience_s = PUSH_PATIENCE_S
    for source in connection.in_order():
        for mapping in connection.mappings_from(source):
            patience_s = _push_stream(hub, connection, mapping, run, watch, patience_s)


def _push_stream(
    hub: Hub, connection: Connection, mapping: StreamMapping, run: ConnectionRun, watch: Watch, patience_s: float
) -> float:
    """Write one stream; a vendor that asks for a moment gets it. Gives what is left of the run's patience."""
    while True:
        counts: Counter[str] = Counter()
        try:
            push_stream(
                hub, connection, mapping, run_id=run.run_id, total=counts,
                progress=lambda stream, rows: watch(connection.name, "push", stream, rows),
            )  # fmt: skip
            return patience_s
        except RetryLater as error:
            if error.after_s is None or error.after_s > patience_s:
                raise
            patience_s -= error.after_s
            hub.clock.sleep(error.after_s)
            watch(connection.name, "push", mapping.name, 0)
        finally:
            if counts:
                run.add(mapping.name, "out", counts)


def _push_approved(hub: Hub, connection: Connection, run: ConnectionRun, watch: Watch) -> None:
    """What a person approved, a canary's first records; the rest becomes a plan that waits."""
    carried, first = write_approved(
        hub, connection, run_id=run.run_id, free=connection.canary - run.counts["canary"],
        progress=lambda stream, rows: watch(connection.name, "push", stream, rows),
    )  # fmt: skip
    run.take(carried)
    run.counts["canary"] += first
    run.counts["proposed"] = propose_rest(hub, connection)


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
            tx.release(connection_lease(run.connection), owner)
