"""Reading a connection: streams page by page, and single records that hints ask for.

Invariant: a cursor moves only in the transaction of its page; a page that fails leaves it where it was.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

from hub.app.absence import proves_absence, take_absent
from hub.app.context import Connection, Hub
from hub.app.deliveries import delivered
from hub.app.ingest import again, ingest_page
from hub.app.parents import waited
from hub.app.parts import is_split, may_split, read_whole, split
from hub.app.reward_arrivals import serve_arrivals
from hub.app.suspects import one_by_one
from hub.connector import Page
from hub.core.planted import PLANTED
from hub.errors import HubError
from hub.model import Hint, Json, SourceRecord

Progress = Callable[[str, int], None]  # (stream, rows so far)

HINT_BATCH = 200
HINT_TRIES = 20  # then the record is left to polling
HINT_BACKOFF_S = 5.0
SNAPSHOT = "snapshot"  # cursor kind of sources of which every read is a complete listing
ROW_FAULTS = ("CSV-", "SHEET-", "TAP-")  # how codes of rows that could not even be read begin
MANY = 1_000_000
LOOP_LIMIT = 3  # pages that do not move the cursor


class CursorLoop(HubError):
    """The system keeps handing out the same cursor; the stream stops, its cursor stays."""

    default_code = "CUR-LOOP"


def nothing(_stream: str, _rows: int) -> None:
    """Progress that nobody watches."""


def pull_stream(
    hub: Hub, connection: Connection, source: str, *, run_id: int | None, tally: Counter, progress: Progress = nothing,
    closely: bool = False,
) -> Counter[str]:  # fmt: skip
    """Read a stream from its cursor to its present end.

    Args:
        closely: take the first page record by record: runs before this one died, and nobody knows of what.

    Returns:
        Counts of rows by what became of them, plus "pages".

    Raises:
        HubError: what the connector or store raised; everything before the failing page is kept.
    """
    with hub.store.reading() as tx:
        state: Json = tx.cursor(connection.name, source) or {"at": None, "first_done": False, "since": None}
    if is_split(state) or (may_split(hub, connection, state) and split(hub, connection, source, state)):
        return read_whole(hub, connection, source, pages, run_id=run_id, tally=tally, progress=progress)
    stream, total, stuck = connection.streams[source], Counter[str](), 0
    bad_rows: set[str] = set()
    total += _take_unseen(hub, connection, source, state, run_id=run_id)  # of a listing that a crash cut off here
    started = state.get("open_since") or hub.clock.now()
    for read_at, page in pages(hub, connection, source, state["at"]):
        stuck = stuck + 1 if page.next_cursor == state["at"] and not page.complete else 0
        if stuck >= LOOP_LIMIT:
            raise CursorLoop(
                "the system repeats its cursor",
                where=f"{connection.name}/{source}",
                fix="run a backfill of this stream",
            )
        since = state["since"]
        after = {
            "at": page.next_cursor,
            "first_done": state["first_done"] or page.complete,
            "since": started if page.complete else since,
            "open_since": None if page.complete else started,
        }
        if page.complete and proves_absence(stream, page):
            after["unseen"] = started  # whatever was last seen before that is missing
        if "cursor_first" in PLANTED:
            with hub.store.transaction() as tx:
                tx.set_cursor(connection.name, source, after)
        take = partial(
            ingest_page, hub, connection, source, read_at=read_at, vendor_read_at=page.read_at, run_id=run_id,
            known_since=None if since is None else since - stream.lookback_s, first_load=not state["first_done"],
            tally=tally,
        )  # fmt: skip
        total += _take(hub, connection, source, page, take, after, run_id=run_id, closely=closely)
        closely = False
        total["pages"] += 1
        total["rows"] += len(page.records) + len(page.faults)
        progress(source, total["rows"])
        state = after
        bad_rows |= {fault["external_id"] for fault in page.faults}
        if page.complete:
            if stream.cursor == SNAPSHOT and total["rows"]:
                _mend_rows(hub, connection, source, bad_rows)
            total += _take_unseen(hub, connection, source, state, run_id=run_id)
    return total


def _take(
    hub: Hub, connection: Connection, source: str, page: Page, take: Callable[..., Counter[str]], after: Json, *,
    run_id: int | None, closely: bool,
) -> Counter[str]:  # fmt: skip
    """One page and its cursor, in one transaction; record by record before that where it must be taken apart."""
    if not closely:
        try:
            return take(page.records, cursor=after, faults=page.faults)
        except MemoryError:  # of the whole page; most of its records fit
            pass
    counts = one_by_one(hub, connection, source, page.records, take, run_id=run_id)
    return counts + take((), cursor=after, faults=page.faults)


def pages(hub: Hub, connection: Connection, source: str, cursor: Json) -> Iterator[tuple[float, Page]]:
    """(when the read began, page), from a cursor to the present end.

    Reading ahead: a thread asks for one page more while the last one is stored. What it meets is raised when that page
    is asked for, so that everything before it is kept.
    """

    def read(at: Json) -> tuple[float, Page]:
        read_at = hub.clock.now()
        return read_at, connection.connector.pull(connection.api, source, at)

    if not hub.reads_ahead:
        found = read(cursor)
        yield found
        while not found[1].complete:
            found = read(found[1].next_cursor)
            yield found
        return
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as reader:
        found = read(cursor)
        while not found[1].complete:
            coming = reader.submit(copy_context().run, read, found[1].next_cursor)
            yield found
            found = coming.result()
        yield found


def _take_unseen(
    hub: Hub, connection: Connection, source: str, state: dict[str, Json], *, run_id: int | None
) -> Counter[str]:
    """What a complete listing lacked; the mark of it goes when all of it was taken, or held."""
    if state.get("unseen") is None:
        return Counter()
    counts = take_absent(hub, connection, source, began=state["unseen"], run_id=run_id)
    state["unseen"] = None
    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            tx.set_cursor(connection.name, source, state)
    return counts


def _mend_rows(hub: Hub, connection: Connection, source: str, bad_rows: set[str]) -> None:
    """A source that was just read whole has told every row that cannot be read; others of old are mended."""
    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            rows = tx.quarantine(state="open", connection=connection.name, stream=source, direction="in", limit=MANY)
            mended = [row.id for row in rows if row.code.startswith(ROW_FAULTS) and row.external_id not in bad_rows]
            tx.close_quarantine([row_id for row_id in mended if row_id is not None])


def serve_hints(
    hub: Hub, connection: Connection, *, run_id: int | None, tally: Counter, closely: bool = False
) -> Counter[str]:
    """Read the records that webhooks (or waiting references) asked for, parents first; `closely`: one by one."""
    total = serve_arrivals(hub, connection)
    for source in connection.in_order():
        read: set[str] = set()  # each record once: what must be read yet again waits for the next time
        while True:
            with hub.store.reading() as tx:
                hints = tx.due_hints(connection.name, hub.clock.now(), HINT_BATCH, stream=source)
            if all(hint.external_id in read for hint in hints):
                break
            read |= {hint.external_id for hint in hints}
            serve = _serve_one_by_one if closely else _serve
            total += serve(hub, connection, source, hints, run_id=run_id, tally=tally)
    return total


def _serve(
    hub: Hub, connection: Connection, source: str, hints: Sequence[Hint], *, run_id: int | None, tally: Counter
) -> Counter[str]:
    if connection.connector.fetch is None or connection.streams[source].delivered:
        return _take_delivered(hub, connection, source, hints, run_id=run_id, tally=tally)
    read_at = hub.clock.now()
    records = connection.connector.fetch(connection.api, source, [hint.external_id for hint in hints])
    by_id = {record.external_id: record for record in records}
    served = [hint for hint in hints if _is_served(hint, by_id.get(hint.external_id))]
    late: dict[float, list[int]] = defaultdict(list)
    for hint in hints:
        if hint not in served:
            late[hub.clock.now() + HINT_BACKOFF_S * min(2**hint.attempts, 64)].append(hint.id)
    counts = ingest_page(
        hub, connection, source, records, read_at=read_at, run_id=run_id, tally=tally,
        done_hints=[hint.id for hint in served], late_hints=late, by_id=True, waited=waited(hints),
    )  # fmt: skip
    counts["hints_served"] += len(served)
    return counts


def _serve_one_by_one(
    hub: Hub, connection: Connection, source: str, hints: Sequence[Hint], *, run_id: int | None, tally: Counter
) -> Counter[str]:
    """Each hint as a page of its own; that of a record which is set aside is done with it."""
    of = {hint.external_id: hint for hint in hints}

    def serve(named: Sequence[SourceRecord]) -> Counter[str]:
        return _serve(hub, connection, source, [of.pop(named[0].external_id)], run_id=run_id, tally=tally)

    names = [SourceRecord(external_id=each, data={}) for each in of]
    counts = one_by_one(hub, connection, source, names, serve, run_id=run_id)
    _finish(hub, list(of.values()))
    return counts


def _take_delivered(
    hub: Hub, connection: Connection, source: str, hints: Sequence[Hint], *, run_id: int | None, tally: Counter
) -> Counter[str]:
    """Take in records that came as deliveries, in the order of their arrival; what else is hinted at, polling finds."""
    read_at = hub.clock.now()
    with hub.store.reading() as tx:
        records = delivered(tx, connection.name, [hint.external_id for hint in hints])
    if not records:
        _finish(hub, hints)
        return Counter()
    counts = ingest_page(
        hub, connection, source, records, read_at=read_at, run_id=run_id, tally=tally,
        done_hints=[hint.id for hint in hints], by_id=True,
    )  # fmt: skip
    counts["hints_served"] += len(hints)
    return counts


def _is_served(hint: Hint, record: SourceRecord | None) -> bool:
    """A hint is done only when a read new enough came back; a stale one must not eat it."""
    if hint.attempts >= HINT_TRIES or "hints_eaten" in PLANTED:
        return True
    if record is None:
        return False
    return hint.not_before_stamp is None or record.stamp is None or record.stamp >= hint.not_before_stamp


def _finish(hub: Hub, hints: Sequence[Hint]) -> None:
    for attempt in again(hub):
        with attempt, hub.store.transaction() as tx:
            tx.done_hints([hint.id for hint in hints])


def fetch_now(
    hub: Hub,
    connection: Connection,
    source: str,
    external_ids: Sequence[str],
    *,
    run_id: int | None,
    tally: Counter | None = None,
    answers: frozenset[int] = frozenset(),
) -> Counter[str]:
    """Read records by id and take them in; a strong read."""
    if connection.connector.fetch is None or connection.streams[source].delivered or not external_ids:
        return Counter()
    read_at = hub.clock.now()
    records = connection.connector.fetch(connection.api, source, list(external_ids))
    return ingest_page(
        hub, connection, source, records, read_at=read_at, run_id=run_id, tally=tally, answers=answers, by_id=True,
    )  # fmt: skip
