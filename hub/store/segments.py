"""Who is in which segment: counted and listed by index, never by looking through everybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import BigInteger, Integer, bindparam, delete, func, select

from hub.store.session import Session, ids_of
from hub.store.statements import Insert, Statement, table

MEMBER = table("segment_member")
JOIN = Insert("segment_member")
LEAVE = Statement(lambda d: delete(MEMBER).where(d.one_of(MEMBER.c.entity_id, "ids")))
COUNTS = Statement(lambda d: select(MEMBER.c.name, func.count()).group_by(MEMBER.c.name))
MEMBERS = Statement(
    lambda d: (
        select(MEMBER.c.entity_id)
        .where(MEMBER.c.name == bindparam("name"), MEMBER.c.entity_id > bindparam("after_id", type_=BigInteger()))
        .order_by(MEMBER.c.entity_id)
        .limit(bindparam("limit", type_=Integer()))
    )
)


class Segments(Session):
    """Members of segments; the values of the entities say the same."""

    def set_segments(self, of: Mapping[int, Iterable[str]]) -> None:
        """Entity -> the segments that it is in, and no others."""
        if not of:
            return
        self._run(LEAVE, ids=ids_of(of))
        self._insert(JOIN, [(name, entity_id) for entity_id, names in sorted(of.items()) for name in names])

    def count_segments(self) -> dict[str, int]:
        """Segment -> how many entities; empty ones are left out."""
        return dict(self._rows(COUNTS))

    def segment_members(self, name: str, *, after_id: int = 0, limit: int = 500) -> list[int]:
        """Entities of a segment by number."""
        return [row[0] for row in self._rows(MEMBERS, name=name, after_id=after_id, limit=limit)]
