"""Views: ways of looking at a list that somebody gave a name, each person's own."""

from __future__ import annotations

from hub.app.context import Hub
from hub.app.listings import Dict
from hub.app.transact import commit
from hub.errors import NeedsReview, NotFound
from hub.store import Tx
from hub.store.rows import SavedViewRow

LONGEST = 60  # characters of a name
QUERY_LONGEST = 500
MOST = 30  # of one person, per page


def views_of(hub: Hub, page: str, *, by: str) -> list[Dict]:
    """Somebody's views of a page, by name."""
    with hub.store.reading() as tx:
        return [{"name": row.name, "query": row.query} for row in tx.views(page, by)]


def keep_view(hub: Hub, page: str, name: str, query: str, *, by: str) -> None:
    """Under its name; what had the name before is gone. Raises NeedsReview: no name, or too many."""
    said = " ".join(name.split())
    if not 0 < len(said) <= LONGEST or len(query) > QUERY_LONGEST:
        raise NeedsReview("a view needs a name", where=page, fix=f"type up to {LONGEST} characters")

    def keep(tx: Tx) -> None:
        known = {row.name for row in tx.views(page, by)}
        if said not in known and len(known) >= MOST:
            raise NeedsReview(f"there are {MOST} views already", where=page, fix="drop one first")
        tx.keep_view(SavedViewRow(page=page, user=by, name=said, query=query, at=hub.clock.now()))
        tx.audit(by, "view kept", f"{page} {said}", None, query, hub.clock.now())

    commit(hub, keep)


def drop_view(hub: Hub, page: str, name: str, *, by: str) -> None:
    """Raises NotFound."""

    def drop(tx: Tx) -> None:
        if not tx.drop_view(page, by, name):
            raise NotFound(f"there is no view {name[:LONGEST]}", where=page)
        tx.audit(by, "view dropped", f"{page} {name}", None, None, hub.clock.now())

    commit(hub, drop)
