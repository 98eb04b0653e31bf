"""What keeps writes back: creates and removals that guards hold, fields that a system refused in just this value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import bindparam, select, update

from hub.model import HoldRow, Json
from hub.store.codec import decode
from hub.store.session import ids_of
from hub.store.statements import Statement, table, word
from hub.store.waiting import Waiting

LINK, QUARANTINE = table("link"), table("quarantine")

WANTED = Statement(
    lambda d: (
        select(LINK.c.id)
        .where(
            LINK.c.connection == bindparam("connection"),
            LINK.c.stream == bindparam("stream"),
            LINK.c.state == word("wanted"),
            LINK.c.hold_id.is_(None),
            LINK.c.behind_since.is_not(None),
        )
        .order_by(LINK.c.id)
    )
)
LEAVING = Statement(
    lambda d: (
        select(LINK.c.id)
        .where(
            LINK.c.connection == bindparam("connection"),
            LINK.c.stream == bindparam("stream"),
            LINK.c.leaving.is_not(None),
            LINK.c.hold_id.is_(None),
        )
        .order_by(LINK.c.id)
    )
)
STAY = Statement(
    lambda d: update(LINK).where(LINK.c.hold_id == bindparam("the_hold")).values(hold_id=None, leaving=None)
)
KEEP_BACK = Statement(
    lambda d: (
        update(LINK).where(d.one_of(LINK.c.id, "ids")).values(hold_id=bindparam("the_hold", type_=LINK.c.hold_id.type))
    )
)
BLOCKED = Statement(
    lambda d: select(QUARANTINE.c.link_id, QUARANTINE.c.field, QUARANTINE.c.value).where(
        d.one_of(QUARANTINE.c.link_id, "ids"),
        QUARANTINE.c.state == word("open"),
        QUARANTINE.c.direction == word("out"),
    )
)


class Blocking(Waiting):
    """Questions of the push before it plans."""

    def wanted_unheld(self, connection: str, stream: str) -> list[int]:
        """Links whose create is due and not held back, in the order of ids."""
        return [row[0] for row in self._rows(WANTED, connection=connection, stream=stream)]

    def leaving_unheld(self, connection: str, stream: str) -> list[int]:
        """Links whose removal is due and not held back, in the order of ids."""
        return [row[0] for row in self._rows(LEAVING, connection=connection, stream=stream)]

    def cancel_leaving(self, hold_id: int) -> int:
        """The removals that this hold keeps back are refused: those records stay; tells how many."""
        return self._run(STAY, the_hold=hold_id)

    def hold_links(self, hold_id: int, link_ids: Iterable[int]) -> int:
        """Keep these creates, or removals, back under a hold; tells how many."""
        wanted = ids_of(link_ids)
        return self._run(KEEP_BACK, ids=wanted, the_hold=hold_id) if wanted else 0

    def holds_of(self, connection: str, stream: str, guard: str) -> list[HoldRow]:
        """Every hold that one guard ever put on a stream, oldest first."""
        return self.holds(connection=connection, stream=stream, guard=guard, limit=10_000)

    def blocked_fields(self, link_ids: Iterable[int]) -> dict[int, dict[str, Json]]:
        """Link id -> {field: the value that its system refused}; field "" stands for the whole record."""
        wanted, found = ids_of(link_ids), defaultdict[int, dict[str, Json]](dict)
        for link_id, field, value in self._rows(BLOCKED, ids=wanted) if wanted else ():
            found[link_id][field] = decode(value)
        return dict(found)
