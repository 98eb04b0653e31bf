"""A first load in parts: ranges of one stream that several workers read side by side (PostgreSQL only).

Whoever runs the connection splits the stream and calls for helpers; it reads parts itself like everybody else, waits
for the last of them, and then puts the stream's own cursor at its end. A part has a cursor of its own, which moves in
the transaction of its page; it is read under a lease of its own, so that a dead worker's part goes on with another.

    cursor of the stream:  {"at": None, "first_done": False, "open_since": began, "parts": [name …], "run": id}
    cursor of a part:      {"at": where it goes on, "done": bool, "counts": {…}}, under the part's name

Invariant: a part's cursor moves only from where its reader found it: of two who hold one for theirs, one commits.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hub.app.context import Connection, Hub
from hub.app.ingest import ingest_page
from hub.app.leases import KeepAlive, LeaseLost, take
from hub.app.transact import commit
from hub.connector import Page
from hub.model import Json
from hub.runtime.process import owner_name
from hub.store import Tx

PARTS = 8  # more than workers, so that none of them waits long for another's last one
HELPERS = 3
LOOK_S = 0.5  # how often the run's own worker looks whether the others are done

Pages = Callable[[Hub, Connection, str, Json], Iterator[tuple[float, Page]]]
Progress = Callable[[str, int], None]


def may_split(hub: Hub, connection: Connection, state: Json) -> bool:
    """True for a stream that nobody began to read, where there are others who may help."""
    fresh = state["at"] is None and not state["first_done"] and not state.get("open_since")
    return fresh and hub.call_helpers is not None and connection.connector.split is not None


def is_split(state: Json) -> bool:
    """True while parts of a first load are open."""
    return bool(state.get("parts"))


def split(hub: Hub, connection: Connection, source: str, state: Json) -> bool:
    """Make the parts of a stream; False where it has too little to be worth it."""
    ask = connection.connector.split
    starts = ask(connection.api, source, PARTS) if ask is not None else ()
    if len(starts) < 2:
        return False
    began = hub.clock.now()
    names = [f"{source}#{place}@{began:.3f}" for place in range(len(starts))]

    def make(tx: Tx) -> None:
        for name, start in zip(names, starts, strict=True):
            tx.set_cursor(connection.name, name, {"at": start, "done": False, "counts": {}})
        tx.set_cursor(connection.name, source, {**state, "open_since": began, "parts": names})

    commit(hub, make)
    return True


def read_whole(
    hub: Hub, connection: Connection, source: str, pages: Pages, *, run_id: int | None, tally: Counter,
    progress: Progress,
) -> Counter[str]:  # fmt: skip
    """Read a stream that was split to its end, with whoever helps; what all of them did.

    Raises:
        HubError: what the connector or store raised; every page before it is kept.
    """
    state = _state(hub, connection, source)
    commit(hub, lambda tx: tx.set_cursor(connection.name, source, {**state, "run": run_id}))
    if hub.call_helpers is not None:
        hub.call_helpers(connection.name, source, min(HELPERS, len(state["parts"]) - 1))
    while not _all_done(hub, connection, state["parts"]):
        if not _read_free(hub, connection, source, pages, state["parts"], run_id, tally, progress):
            progress(source, 0)  # ends this run where it must
            hub.clock.sleep(LOOK_S)
    return commit(hub, lambda tx: _join(tx, connection, source, state))


def help_read(
    hub: Hub, connection: Connection, source: str, pages: Pages, *, progress: Progress = lambda _source, _rows: None
) -> int:
    """Read parts that nobody else reads just now; how many that were. They belong to the run that called."""
    state, read = _state(hub, connection, source), 0
    while is_split(state) and _read_free(
        hub, connection, source, pages, state["parts"], state.get("run"), Counter(), progress
    ):
        read += 1
        state = _state(hub, connection, source)
    return read


def _read_free(
    hub: Hub, connection: Connection, source: str, pages: Pages, names: Sequence[str], run_id: int | None,
    tally: Counter, progress: Progress,
) -> bool:  # fmt: skip
    """Read one part that is open, and that nobody alive reads; False where there is none."""
    for name in names:
        with _held(hub, f"part:{connection.name}:{name}") as check:
            part = None if check is None else _part(hub, connection, name)
            if check is None or part is None or part["done"]:
                continue
            _read_part(hub, connection, source, pages, name, part, run_id, tally, check, progress)
            return True
    return False


@contextmanager
def _held(hub: Hub, lease: str) -> Iterator[Callable[[], None] | None]:
    """The lease of a part while it is read, and what raises once it was lost; None if somebody alive has it."""
    owner = f"{owner_name()}/{threading.get_ident()}"
    epoch = commit(hub, lambda tx: take(tx, lease, owner, hub.clock.now()))
    if epoch is None:
        yield None
        return
    try:
        with KeepAlive(hub, owner, {lease: epoch}) as leases:
            yield lambda: leases.check(lease)
    finally:
        commit(hub, lambda tx: tx.release(lease, owner))


def _read_part(
    hub: Hub, connection: Connection, source: str, pages: Pages, name: str, part: Json, run_id: int | None,
    tally: Counter, check: Callable[[], None], progress: Progress,
) -> None:  # fmt: skip
    rows = 0
    for read_at, page in pages(hub, connection, source, part["at"]):
        check()
        known, after = part["at"], {"at": page.next_cursor, "done": page.complete}

        def move(tx: Tx, counts: Counter[str], page: Page = page, known: Json = known, after: Json = after) -> None:
            found = tx.cursor(connection.name, name)
            if found is None or found["at"] != known or found["done"]:
                raise LeaseLost("another worker reads this part", where=name, fix="nothing: it does the rest")
            did = Counter(found["counts"]) + counts
            did.update(pages=1, rows=len(page.records) + len(page.faults))
            tx.set_cursor(connection.name, name, {**after, "counts": did})

        ingest_page(
            hub, connection, source, page.records, read_at=read_at, vendor_read_at=page.read_at, move=move,
            first_load=True, run_id=run_id, tally=tally, faults=page.faults,
        )  # fmt: skip
        part, rows = after, rows + len(page.records)
        progress(source, rows)


def _join(tx: Tx, connection: Connection, source: str, state: Json) -> Counter[str]:
    """The stream was read whole: its cursor goes on behind its last part."""
    parts = [tx.cursor(connection.name, name) for name in state["parts"]]
    if not all(part and part["done"] for part in parts):
        raise LeaseLost("the stream is read anew", where=f"{connection.name}/{source}", fix="nothing: that goes on")
    tx.set_cursor(
        connection.name, source,
        {"at": parts[-1]["at"], "first_done": True, "since": state["open_since"], "open_since": None},
    )  # fmt: skip
    tx.drop_cursors(connection.name, state["parts"])
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part["counts"])
    return total


def _state(hub: Hub, connection: Connection, source: str) -> Json:
    with hub.store.reading() as tx:
        return tx.cursor(connection.name, source) or {"at": None, "first_done": False, "since": None}


def _part(hub: Hub, connection: Connection, name: str) -> Json:
    with hub.store.reading() as tx:
        return tx.cursor(connection.name, name)


def _all_done(hub: Hub, connection: Connection, names: Sequence[str]) -> bool:
    with hub.store.reading() as tx:
        return all((part := tx.cursor(connection.name, name)) is not None and part["done"] for name in names)
