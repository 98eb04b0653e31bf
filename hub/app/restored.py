"""After the store was put back to a backup: what it cannot know, and how it learns it before anything is written.

The store of last night does not know today's records, writes and orders, but the systems do. So numbers that today's
hub gave away are not given away again; every stream is read from its beginning, and until a system has been read whole
nothing is created there; and a grant that the backup believes unsent may long be ordered: it is in doubt, and settled
by its provider's class like any lost answer. Events of the gap are stored in silence, as at a first load: no reward
comes of them by itself.

Call it with the hub stopped, and not before the last write of the old process can no longer land.
"""

from __future__ import annotations

from hub.app.context import Hub
from hub.app.push import START_WITHIN_S
from hub.app.reward_moves import locked, move
from hub.app.transact import commit
from hub.app.wants import SWEPT
from hub.core.planted import PLANTED
from hub.core.rewards import Entry, GrantState
from hub.model import Json
from hub.store import Store, Tx

PLACE = "place"  # setting: where the database lay when the hub was last told that it is the true one
COPIED = (
    "this database is a copy: the hub reads, and writes nowhere. If it takes the place of the other one, say so: "
    "hub db restored"
)
GAP = 1_000_000  # more numbers than a hub gives away between two backups
MANY = 1_000_000
# what has no order yet by this ledger: it may have been ordered since, also after a person's approval
DOUBTFUL = (GrantState.WAITING_APPROVAL, GrantState.RESERVED, GrantState.SENDING, GrantState.UNKNOWN)


def is_copy(store: Store) -> bool:
    """Whether this database was copied from one that may still be at work elsewhere: then it writes nowhere.

    Told by the place that was noted when a hub first opened it. A snapshot of a whole machine is not told apart.
    """
    place = store.place
    with store.reading() as tx:
        noted = tx.setting(PLACE)
    if noted is None and place is not None:
        with store.transaction() as tx:
            tx.set_setting(PLACE, place)
    return noted is not None and noted != place


def after_restore(hub: Hub, *, by: str) -> dict[str, Json]:
    """Make a store fit for use again that was restored from a backup. Done twice, it is done once more, to no harm.

    Returns:
        How many streams are read anew, and how many grants are in doubt.
    """

    place = hub.store.place

    def renew(tx: Tx) -> dict[str, Json]:
        if place is not None:
            tx.set_setting(PLACE, place)
        tx.skip_numbers(GAP if "same_numbers" not in PLANTED else 1)
        streams = [(each.name, source) for each in hub.connections.values() for source in each.in_order()]
        for name, source in streams if "no_reread" not in PLANTED else ():
            tx.set_cursor(name, source, None)
        for setting in tx.settings(SWEPT):
            tx.set_setting(setting, None)
        states = DOUBTFUL if "no_doubt" not in PLANTED else ()
        doubtful = [grant.id for state in states for grant in tx.grants(state, limit=MANY)]
        for grant_id in doubtful:
            _doubt(hub, tx, grant_id)
        tx.audit(by, "restored from a backup", "store", None, len(streams), hub.clock.now())
        return {"streams": len(streams), "grants_in_doubt": len(doubtful)}

    return commit(hub, renew)


def _doubt(hub: Hub, tx: Tx, grant_id: int) -> None:
    """It may have been sent at any time since it was owed, and was, for all that anybody here knows."""
    grant, now = locked(tx, grant_id), hub.clock.now()
    connection = hub.connections.get(grant.connection)
    grant.attempts, grant.first_sent = grant.attempts + 1, grant.first_sent or grant.created_at
    grant.last_possible = now + START_WITHIN_S + (connection.longest_write_s if connection is not None else 0.0)
    text = "the store was restored: it may have been ordered since the backup"
    if grant.state == GrantState.RESERVED:  # the others were in doubt already: now their last call may be a later one
        move(tx, grant, GrantState.SENDING, Entry.SENT, at=now, detail=text)
    move(tx, grant, GrantState.UNKNOWN, Entry.UNKNOWN, at=now, detail=text)
