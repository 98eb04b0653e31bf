"""Reading a system again, from its beginning or from where it rested on some day: what it costs, and having it done.

A cursor is the connector's own and says nothing to the hub. So the hub keeps, once a day, the one where a stream's
reading rested; "since Monday" is reading from the newest that rested before Monday. What was asked for waits in the
store, and the next run of the connection takes it up at its start, under its lease: a run that is going on just now
would move the cursor right back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import ceil
from typing import Any

from hub.app.context import Connection, Hub, connection_of
from hub.app.costs import limits_used
from hub.app.listings import Dict, iso
from hub.app.rereading import begin_again
from hub.app.transact import commit
from hub.errors import NeedsReview, NotFound
from hub.model import Json
from hub.store import Tx

ASKED = "backfill:"  # setting: source stream -> since when, of what was asked for and is not begun
RESTED = "@rested"  # behind a stream's name: its resting cursors, the newest last
DAY_S = 86_400.0
KEPT_DAYS = 35  # longer than any vendor keeps its events
READ = "read"  # what a page of a listing counts as


def streams_to_read(connection: Connection) -> list[str]:
    """Source streams that can be listed; of others only webhooks tell."""
    return [source for source in connection.in_order() if connection.streams[source].cursor != "none"]


def backfill_cost(hub: Hub, name: str, *, stream: str | None = None, since: float | None = None) -> Dict:
    """What reading again takes at least, by what is known now. Raises NotFound, and why the connection cannot be used.

    Returns:
        {"streams": [{"stream", "records", "calls", "from": where it would begin, None: the beginning}], "calls",
        "minutes", "limits": as `costs.limits_used`}. With `since`, records and calls are at most so many.
    """
    connection, rows, total = connection_of(hub, name), [], 0
    connection.require()
    for source in _wanted(connection, stream):
        declared, records = connection.streams[source], _records(hub, connection, source)
        calls = max(1, ceil(records / max(1, declared.minimum.get(READ, declared.page_size))))
        with hub.store.reading() as tx:
            rested = None if since is None else _rested_before(tx, connection, source, since)
        start = iso(rested["since"]) if rested else None
        total += calls
        rows.append({"stream": source, "records": records, "calls": calls, "from": start})
    limits = limits_used(connection, {READ: total})
    minutes = max((limit["minutes"] for limit in limits), default=0.0)
    return {"connection": name, "streams": rows, "calls": total, "minutes": minutes, "limits": limits}


def ask_backfill(hub: Hub, name: str, *, stream: str | None = None, since: float | None = None, by: str) -> Dict:
    """Have streams read again with the next run. Raises NotFound."""
    connection, now = connection_of(hub, name), hub.clock.now()
    wanted: dict[str, Json] = dict.fromkeys(_wanted(connection, stream), since)

    def keep(tx: Tx) -> None:
        asked = tx.setting(ASKED + name) or {}
        tx.set_setting(ASKED + name, {**asked, **wanted})
        tx.audit(by, "backfill asked for", name, None, {"streams": list(wanted), "since": iso(since)}, now)

    commit(hub, keep)
    return {"connection": name, "streams": list(wanted), "since": iso(since)}


def waiting_backfill(hub: Hub, name: str) -> list[str]:
    """Source streams that the next run reads again."""
    with hub.store.reading() as tx:
        return list(tx.setting(ASKED + name) or {})


def begin_backfill(hub: Hub, connection: Connection) -> None:
    """Put the cursors back where it was asked for; called by the run that holds the connection, before it reads."""
    with hub.store.reading() as tx:
        if not tx.setting(ASKED + connection.name):
            return

    def begin(tx: Tx) -> None:
        for source, since in (tx.setting(ASKED + connection.name) or {}).items():
            rested = None if since is None else _rested_before(tx, connection, source, since)
            if rested is None:
                begin_again(tx, connection, source)
            else:
                state = tx.cursor(connection.name, source) or {}
                tx.set_cursor(
                    connection.name, source,
                    {**state, "at": rested["at"], "since": rested["since"], "open_since": None},
                )  # fmt: skip
        tx.set_setting(ASKED + connection.name, None)

    commit(hub, begin)


def note_rest(hub: Hub, connection: Connection, source: str) -> None:
    """A stream was read to its present end: remember where, once a day."""
    if connection.streams[source].cursor in ("none", "snapshot"):  # nothing to go on from
        return
    key = source + RESTED
    with hub.store.reading() as tx:
        state: Any = tx.cursor(connection.name, source)
        marks: list[Any] = tx.cursor(connection.name, key) or []
    if not state or not state.get("first_done") or state.get("since") is None or state.get("open_since") is not None:
        return
    if marks and state["since"] - marks[-1]["since"] < DAY_S:
        return
    kept = [each for each in marks if state["since"] - each["since"] < KEPT_DAYS * DAY_S]
    kept.append({"since": state["since"], "at": state["at"]})
    commit(hub, partial(_keep_marks, connection=connection.name, key=key, marks=kept))


def _keep_marks(tx: Tx, connection: str, key: str, marks: list[Json]) -> None:
    tx.set_cursor(connection, key, marks)


def _rested_before(tx: Tx, connection: Connection, source: str, since: float) -> dict[str, Any] | None:
    """The newest mark from before that moment; None: reading begins at the beginning."""
    state, marks = tx.cursor(connection.name, source), tx.cursor(connection.name, source + RESTED) or []
    if not state or not state.get("first_done") or state.get("parts"):
        return None  # it was never read whole
    return next((mark for mark in reversed(marks) if mark["since"] <= since), None)


def _wanted(connection: Connection, stream: str | None) -> Sequence[str]:
    known = streams_to_read(connection)
    if stream and stream not in known:
        raise NotFound(
            f"{connection.name} has no stream {stream} that can be read again", where=connection.name,
            fix=f"there are: {', '.join(known)}",
        )  # fmt: skip
    if not known:
        raise NeedsReview(
            f"{connection.name} only listens: there is nothing to read", where=connection.name, code="CUR-NONE",
            fix="have the system send it once more",
        )  # fmt: skip
    return [stream] if stream else known


def _records(hub: Hub, connection: Connection, source: str) -> int:
    """Records of a stream that the hub knows, whatever mapping reads them."""
    counts = []
    for mapping in connection.mappings_from(source):
        with hub.store.reading() as tx:
            count = partial(tx.count_links, connection.name, mapping.name)
            counts.append(sum(hub.counts.of(f"{connection.name}/{mapping.name}", hub.clock.now, count).values()))
    return max(counts, default=0)
