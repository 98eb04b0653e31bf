"""Absence as evidence: a record that a complete listing lacks, though the listing began after it was last seen alive.

Only streams whose every read is a counted listing of all there is (`deletes` is `listing`: files with `listing:
complete`) tell of deletes in this way. Before anything is taken as gone it is asked for once more, and a listing that
is empty, or lacks more than the guard on deletes lets pass, is held as a whole: an outage looks just like that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from hub.app.context import Connection, Hub
from hub.app.ingest import LISTING, ingest_page
from hub.app.transact import commit
from hub.connector import Page, Stream
from hub.core.guards import allowance
from hub.core.mapping import StreamMapping
from hub.core.planted import PLANTED
from hub.model import LinkRow, LinkState, SourceRecord
from hub.store import Tx

PAGE = 500
LISTED = (LinkState.LIVE, LinkState.DUPLICATE, LinkState.OUT_OF_SCOPE)


def proves_absence(stream: Stream, page: Page) -> bool:
    """True for the last page of a listing that was complete, counted, and without a row that could not be read."""
    return (page.listing_complete and stream.deletes == LISTING) or "absence_deletes" in PLANTED


def take_absent(hub: Hub, connection: Connection, source: str, *, began: float, run_id: int | None) -> Counter[str]:
    """Take what a listing lacks as deleted, or hold it.

    Args:
        began: when the listing began, by the hub's clock.
    """
    counts: Counter[str] = Counter()
    planted = "absence_deletes" in PLANTED
    for mapping in connection.mappings_from(source):
        with hub.store.reading() as tx:
            missing = _missing(tx, connection, mapping, began)
            listed = sum(tx.count_links(connection.name, mapping.name).get(state, 0) for state in LISTED)
        if not missing:
            continue
        too_many = len(missing) > allowance(hub.guards["deletes"], listed) or len(missing) == listed
        if too_many and not planted:
            counts["held_deletes"] += commit(hub, partial(_hold, hub, connection, mapping, missing, listed, run_id))
            continue
        for start in range(0, len(missing), PAGE):
            part = missing[start : start + PAGE]
            read_at = hub.clock.now()
            records = _asked_again(connection, mapping, part) if not planted else _as_deleted(part)
            counts += ingest_page(
                hub, connection, source, records, read_at=read_at, run_id=run_id, by_id=True,
                release={"released": frozenset((link.id, "") for link in part)},
            )  # fmt: skip
    return counts


def _missing(tx: Tx, connection: Connection, mapping: StreamMapping, began: float) -> list[LinkRow]:
    """Links whose record was last seen before the listing began, and that no open hold keeps already."""
    found: list[LinkRow] = []
    after = ""
    while rows := tx.links_unseen(connection.name, mapping.name, began, LISTED, limit=PAGE, after=after):
        after = rows[-1].external_id or ""
        held = tx.held_items([link.id for link in rows])
        found += [link for link in rows if all(name != "" for name, _ in held.get(link.id, ()))]
    return found


def _asked_again(connection: Connection, mapping: StreamMapping, links: Sequence[LinkRow]) -> Sequence[SourceRecord]:
    """The records, read by id: what is there after all says so itself."""
    fetch = connection.connector.fetch
    if fetch is None or mapping.read_id is not None:
        return _as_deleted(links)
    return fetch(connection.api, mapping.source, [link.external_id for link in links if link.external_id])


def _as_deleted(links: Sequence[LinkRow]) -> list[SourceRecord]:
    return [SourceRecord(external_id=link.external_id or "", data={}, op="delete") for link in links]


def _hold(
    hub: Hub, connection: Connection, mapping: StreamMapping, missing: Sequence[LinkRow], listed: int,
    run_id: int | None, tx: Tx,
) -> int:  # fmt: skip
    hold_id = tx.join_hold(
        guard="deletes", connection=connection.name, stream=mapping.name, field="", count=len(missing), of=listed,
        at=hub.clock.now(), run_id=run_id,
        message=f"{len(missing)} of {listed} records of {mapping.name} are missing in a complete listing",
    )  # fmt: skip
    tx.add_hold_items(hold_id, [(link.id, "") for link in missing])
    return len(missing)
