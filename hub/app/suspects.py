"""A record that ends the process which takes it in is found, and set aside, so that its page goes on.

What raises is set aside at once, where it is met. What kills (a crash in a library, no memory left) leaves no word; but
it leaves the run row open, and a page whose cursor did not move. So after two runs of a connection that died, the next
one takes the first page of each stream record by record, each under a mark of its own:

    run 1  page of 100   dies                            cursor {"at": 7}
    run 2  page of 100   dies                            cursor {"at": 7}
    run 3  record by record, dies with the 42nd          cursor {"at": 7, "trying": ["42", 1]}
    run 4  tries it once more, and dies                  cursor {"at": 7, "trying": ["42", 2]}
    run 5  finds the mark: 42 goes to quarantine, the other 99 and all later pages are taken in

One death with a record says little: any process can be killed at any time, whatever it is at.

Its row in quarantine keeps it out of every later page until somebody retries it. A page that memory cannot hold is
taken apart in the same way at once; the record that does not fit even alone is set aside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from hub.app.context import Connection, Hub
from hub.app.transact import commit
from hub.model import Json, QuarantineRow, RunRow, SourceRecord
from hub.store import Tx

Take = Callable[[Sequence[SourceRecord]], Counter[str]]

CODE = "REC-KILLS"
DEATHS = 2  # runs in a row that died: the next one looks closely
TRIES = 2  # of a record alone
TRYING = "trying"  # in a stream's cursor: [the record that is taken in just now, for the how-manieth time]


def died(runs: Sequence[RunRow]) -> bool:
    """Whether the last runs of a connection (newest first) all ended without a word."""
    return len(runs) >= DEATHS and all(run.status == "interrupted" and not run.error for run in runs[:DEATHS])


def barred(tx: Tx, connection: str) -> frozenset[tuple[str, str]]:
    """(stream, id) of records that killed whoever took them in, and that nobody has retried."""
    rows = tx.quarantine(state="open", connection=connection, direction="in", code=CODE)
    return frozenset((row.stream, row.external_id) for row in rows)


def one_by_one(
    hub: Hub, connection: Connection, source: str, records: Sequence[SourceRecord], take: Take, *, run_id: int | None
) -> Counter[str]:
    """Take in a page record by record, each under a mark in the stream's cursor; the cursor stays where it is."""
    with hub.store.reading() as tx:
        state = tx.cursor(connection.name, source) or {"at": None, "first_done": False, "since": None}
    (suspect, tries), counts = state.pop(TRYING, None) or ("", 0), Counter[str]()
    try:
        for record in connection.admitted(source, records):
            known = tries if record.external_id == suspect else 0
            if known >= TRIES:
                counts += _set_aside(hub, connection, source, record, run_id, "ended every process that took it in")
                continue
            _mark(hub, connection, source, {**state, TRYING: [record.external_id, known + 1]})
            try:
                counts += take([record])
            except MemoryError:
                counts += _set_aside(hub, connection, source, record, run_id, "does not fit into memory")
    finally:  # whatever came: this process lives
        _mark(hub, connection, source, state)
    return counts


def _mark(hub: Hub, connection: Connection, source: str, state: Json) -> None:
    commit(hub, lambda tx: tx.set_cursor(connection.name, source, state))


def _set_aside(
    hub: Hub, connection: Connection, source: str, record: SourceRecord, run_id: int | None, why: str
) -> Counter[str]:
    name, external_id = connection.named(source, record)
    row = QuarantineRow(
        connection=connection.name, stream=name, external_id=external_id, field="", direction="in", code=CODE,
        message=f"this record {why}", fix="look at it in the system, or retry it", value=None, at=hub.clock.now(),
        run_id=run_id,
    )  # fmt: skip
    commit(hub, lambda tx: tx.add_quarantine([row]))
    connection.barred.add((name, external_id))
    return Counter(quarantined=1)
