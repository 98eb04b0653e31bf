"""What of a connection's budgets is used, counted in parts of their time, for all processes together."""

from __future__ import annotations

import zlib

from sqlalchemy import bindparam, delete, select
from sqlalchemy.sql import Executable

from hub.store.session import Session
from hub.store.statements import Dialect, Statement, as_new, given, table

USE = table("rate_use")
MINE = (USE.c.connection == bindparam("the_connection"), USE.c.name == bindparam("the_name"))


def _add(d: Dialect) -> Executable:
    new = d.upsert(USE).values(given("rate_use"))
    return new.on_conflict_do_update(
        index_elements=["connection", "name", "part"], set_={"used": USE.c.used + new.excluded.used}
    )


ADD = Statement(_add)
USED = Statement(
    lambda d: select(USE.c.part, USE.c.used).where(*MINE, USE.c.part >= bindparam("since")).order_by(USE.c.part)
)
FORGET = Statement(lambda d: delete(USE).where(*MINE, USE.c.part < bindparam("before")))


class Rates(Session):
    """Two workers, one budget: whoever asks first keeps the other waiting until its use is written down."""

    def lock_rate(self, connection: str, name: str) -> None:
        """Nobody else takes of this budget until the transaction ends."""
        self._lock([zlib.crc32(f"{connection}\0{name}".encode()) - 2**31])

    def rate_used(self, connection: str, name: str, since: int) -> list[tuple[int, int]]:
        """(part, used) from part `since` on, oldest first; parts without use are left out."""
        found = self._rows(USED, the_connection=connection, the_name=name, since=since)
        return [(int(row[0]), int(row[1])) for row in found]

    def use_rate(self, connection: str, name: str, part: int, n: int) -> None:
        self._run(ADD, **as_new(connection=connection, name=name, part=part, used=n))

    def forget_rate(self, connection: str, name: str, before: int) -> None:
        """Parts that no longer count."""
        self._run(FORGET, the_connection=connection, the_name=name, before=before)
