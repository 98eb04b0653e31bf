"""What ran, when it should have, and who may run: runs, slots, leases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Float, Integer, and_, bindparam, exists, select, update
from sqlalchemy.sql import Executable

from hub.errors import NotFound
from hub.model import RunRow
from hub.store.codec import decode, encode
from hub.store.databases import Row
from hub.store.rows import LeaseRow, RunStreamRow, SlotRow
from hub.store.session import Session, ids_of
from hub.store.statements import Dialect, Statement, as_new, given, table, word

RUN, RUN_STREAM, SLOT, LEASE = table("run"), table("run_stream"), table("slot"), table("lease")
RUN_COLUMNS = [column for column in RUN.columns if column.name not in ("lease", "epoch")]

FOR_EVER = 1e12  # later than every moment


def _runs(*, connection: bool) -> Statement:
    def build(_: Dialect) -> Executable:
        found = select(*RUN_COLUMNS).where(RUN.c.id < bindparam("before_id"))
        if connection:
            found = found.where(RUN.c.connection == bindparam("connection"))
        return found.order_by(RUN.c.id.desc()).limit(bindparam("limit", type_=Integer()))

    return Statement(build)


def _add_counts(d: Dialect) -> Executable:
    new = d.upsert(RUN_STREAM).values(given("run_stream"))
    return new.on_conflict_do_update(
        index_elements=["run_id", "stream", "direction"], set_={"counts": new.excluded.counts}
    )


def _add_slot(d: Dialect) -> Executable:
    new = d.upsert(SLOT).values(given("slot"))
    return new.on_conflict_do_update(
        index_elements=["connection", "due_at"], set_={"outcome": new.excluded.outcome, "why": new.excluded.why}
    )


def _slots(*, connection: bool) -> Statement:
    def build(_: Dialect) -> Executable:
        found = select(SLOT)
        if connection:
            found = found.where(SLOT.c.connection == bindparam("connection"))
        before = bindparam("before", type_=Float())
        return (
            found.where(SLOT.c.due_at < before)
            .order_by(SLOT.c.due_at.desc())
            .limit(bindparam("limit", type_=Integer()))
        )

    return Statement(build)


def _take_lease(d: Dialect) -> Executable:
    """One statement, so that of two who ask at once one gets it."""
    new = d.upsert(LEASE).values(given("lease"))
    free = (LEASE.c.expires_at <= bindparam("now", type_=Float())) | (LEASE.c.owner == new.excluded.owner)
    taken = {"owner": new.excluded.owner, "epoch": LEASE.c.epoch + 1, "expires_at": new.excluded.expires_at}
    return new.on_conflict_do_update(index_elements=["name"], set_=taken, where=free).returning(LEASE.c.epoch)


START = Statement(lambda d: d.upsert(RUN).values(given("run")))
FINISH = Statement(
    lambda d: (
        update(RUN)
        .where(RUN.c.id == bindparam("the_id"))
        .values(
            ended_at=bindparam("new_ended_at", type_=Float()),
            status=bindparam("new_status"),
            counts=bindparam("new_counts"),
            error=bindparam("new_error"),
        )
    )
)
ONE_RUN = Statement(lambda d: select(*RUN_COLUMNS).where(RUN.c.id == bindparam("the_id")))
LOCK_RUN = Statement(lambda d: d.locked(select(RUN.c.id).where(RUN.c.id == bindparam("the_id"))))
RUNS = {connection: _runs(connection=connection) for connection in (False, True)}
INTERRUPT = Statement(
    lambda d: (
        update(RUN)
        .where(
            RUN.c.status == word("running"),
            ~exists(
                select(LEASE.c.name).where(
                    and_(
                        LEASE.c.name == RUN.c.lease,
                        LEASE.c.epoch == RUN.c.epoch,
                        LEASE.c.expires_at > bindparam("now", type_=Float()),
                    )
                )
            ),
        )
        .values(status=word("interrupted"), ended_at=bindparam("at", type_=Float()))
        .returning(RUN.c.id)
    )
)
ADD_COUNTS = Statement(_add_counts)
COUNTS = Statement(
    lambda d: (
        select(RUN_STREAM)
        .where(RUN_STREAM.c.run_id == bindparam("the_run"))
        .order_by(RUN_STREAM.c.stream, RUN_STREAM.c.direction)
    )
)
COUNTS_OF = Statement(
    lambda d: (
        select(RUN_STREAM)
        .where(d.one_of(RUN_STREAM.c.run_id, "ids"))
        .order_by(RUN_STREAM.c.run_id, RUN_STREAM.c.stream, RUN_STREAM.c.direction)
    )
)
ADD_SLOT = Statement(_add_slot)
SLOTS = {connection: _slots(connection=connection) for connection in (False, True)}
TAKE_LEASE = Statement(_take_lease)
RENEW = Statement(
    lambda d: (
        update(LEASE)
        .where(
            LEASE.c.name == bindparam("the_name"),
            LEASE.c.owner == bindparam("the_owner"),
            LEASE.c.epoch == bindparam("the_epoch"),
            LEASE.c.expires_at > bindparam("now", type_=Float()),
        )
        .values(expires_at=bindparam("until", type_=Float()))
    )
)
RELEASE = Statement(
    lambda d: (
        update(LEASE)
        .where(LEASE.c.name == bindparam("the_name"), LEASE.c.owner == bindparam("the_owner"))
        .values(expires_at=bindparam("never", type_=Float()))
    )
)
HOLDER = Statement(lambda d: select(LEASE).where(LEASE.c.name == bindparam("the_name")))
NEVER = 0.0  # a lease that was given back ran out then


def _part(row: Row) -> RunStreamRow:
    return RunStreamRow(run_id=row[0], stream=row[1], direction=row[2], counts=decode(row[3]))


class Runs(Session):
    """Runs say what their rows say; a run whose process died is found by its lease."""

    def start_run(self, connection: str, kind: str, at: float, *, lease: str | None = None) -> int:
        """A run begins; gives its id. It lives as long as the lease it runs under: named, or the connection's own."""
        name = connection if lease is None else lease
        held = self._rows(HOLDER, the_name=name)
        id_ = self.reserve_ids("run", 1)[0]
        self._run(
            START,
            **as_new(
                id=id_, connection=connection, kind=kind, started_at=at, ended_at=None, status="running",
                counts=encode({}), error="", lease=name, epoch=held[0][2] if held else 0,
            ),
        )  # fmt: skip
        return id_

    def finish_run(self, id: int, at: float, status: str, counts: Mapping[str, int], error: str = "") -> None:
        self._run(
            FINISH, the_id=id, **as_new(ended_at=at, status=status, counts=encode(dict(counts)), error=error)
        )  # fmt: skip

    def run(self, id: int) -> RunRow:
        """One run. Raises NotFound."""
        rows = self._rows(ONE_RUN, the_id=id)
        if not rows:
            raise NotFound(f"there is no run {id}", where=f"run {id}")
        return _run(rows[0])

    def runs(self, limit: int = 50, connection: str | None = None, before_id: int = 2**62) -> list[RunRow]:
        """Runs, newest first."""
        chosen = {} if connection is None else {"connection": connection}
        rows = self._rows(RUNS[connection is not None], limit=limit, before_id=before_id, **chosen)
        return [_run(row) for row in rows]

    def mark_interrupted(self, at: float) -> list[int]:
        """Runs still "running" whose lease ran out, or went on to another epoch, are interrupted; gives their ids."""
        return sorted(row[0] for row in self._rows(INTERRUPT, now=at, at=at))

    def add_run_stream(self, run_id: int, stream: str, direction: str, counts: Mapping[str, int]) -> None:
        """Adds to the counts of a run's stream and direction (in, out)."""
        self._rows(LOCK_RUN, the_id=run_id)  # or two who add at once would both add to the same sums
        sums: dict[str, int] = {}
        for row in self.run_streams(run_id):
            if (row.stream, row.direction) == (stream, direction):
                sums = dict(row.counts)
        for name, n in counts.items():
            sums[name] = sums.get(name, 0) + n
        self._run(ADD_COUNTS, **as_new(run_id=run_id, stream=stream, direction=direction, counts=encode(sums)))

    def run_streams(self, run_id: int) -> list[RunStreamRow]:
        return [_part(row) for row in self._rows(COUNTS, the_run=run_id)]

    def run_streams_of(self, ids: Iterable[int]) -> list[RunStreamRow]:
        """The counts of several runs, by run, stream and direction."""
        return [_part(row) for row in self._rows(COUNTS_OF, ids=ids_of(ids))]

    # Slots

    def add_slot(self, connection: str, due_at: float, outcome: str, why: str = "") -> None:
        """What became of one scheduled moment; said again, the last word holds."""
        self._run(ADD_SLOT, **as_new(connection=connection, due_at=due_at, outcome=outcome, why=why))

    def slots(self, connection: str | None = None, limit: int = 50, before: float = FOR_EVER) -> list[SlotRow]:
        """Scheduled moments, newest first; earlier ones than one."""
        chosen = {} if connection is None else {"connection": connection}
        rows = self._rows(SLOTS[connection is not None], limit=limit, before=before, **chosen)
        return [SlotRow(connection=row[0], due_at=row[1], outcome=row[2], why=row[3]) for row in rows]

    def last_slot(self, connection: str) -> SlotRow | None:
        found = self.slots(connection, limit=1)
        return found[0] if found else None

    # Leases

    def lease(self, name: str, owner: str, now: float, ttl_s: float) -> int | None:
        """Takes a lease that is free, run out, or this owner's own; gives its new epoch. None: another holds it.

        Two workers, one of them stopped: A takes the lease (epoch 1) and its machine sleeps. The lease runs out, B
        takes it (epoch 2) and works. A wakes and must not go on: `renew` with epoch 1 tells it so.
        """
        row = as_new(name=name, owner=owner, epoch=1, expires_at=now + ttl_s)
        taken = self._rows(TAKE_LEASE, now=now, **row)
        return int(taken[0][0]) if taken else None

    def renew(self, name: str, owner: str, epoch: int, now: float, ttl_s: float) -> bool:
        """Prolongs a lease. False: it ran out or is another's; whoever holds the epoch must stop."""
        return self._run(RENEW, the_name=name, the_owner=owner, the_epoch=epoch, now=now, until=now + ttl_s) == 1

    def release(self, name: str, owner: str) -> bool:
        """Gives a lease back. False: it was not this owner's."""
        return self._run(RELEASE, the_name=name, the_owner=owner, never=NEVER) == 1

    def lease_holder(self, name: str) -> LeaseRow | None:
        """Who took the lease last; it may have run out since."""
        rows = self._rows(HOLDER, the_name=name)
        return LeaseRow(name=rows[0][0], owner=rows[0][1], epoch=rows[0][2], expires_at=rows[0][3]) if rows else None


def _run(row: Row) -> RunRow:
    return RunRow(
        id=row[0], connection=row[1], kind=row[2], started_at=row[3], ended_at=row[4], status=row[5],
        counts=decode(row[6]), error=row[7],
    )  # fmt: skip
