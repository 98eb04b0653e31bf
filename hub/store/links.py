"""Links: where entities live, and what is known of their records there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Float, Integer, Text, bindparam, func, select, update
from sqlalchemy.sql import Executable, Select

from hub.model import LinkRow, LinkState
from hub.store.codec import decode, encode
from hub.store.databases import Row
from hub.store.entities import Entities
from hub.store.session import id_or_none, ids_of, texts_of
from hub.store.statements import Dialect, Insert, Statement, Update, table, word

LINK = table("link")
LIGHT = [column for column in LINK.columns if column.name != "raw"]
WHOLE_ROW = [*LIGHT, LINK.c.raw]
HEAD = [LINK.c[name] for name in ("external_id", "id", "entity_id", "state", "stamp", "read_at", "hash")]
CHANGING = [column.name for column in LINK.columns if column.name not in ("id", "connection", "stream")]


class LinkHead(NamedTuple):
    """What tells whether a record is news, without its documents."""

    external_id: str
    id: int
    entity_id: int
    state: str
    stamp: float | None
    read_at: float | None
    hash: str | None


AS_HEAD = partial(tuple.__new__, LinkHead)  # a row of just these; `_make` would count its columns each time


def _both(build: Callable[[Dialect, Select[Any]], Executable]) -> dict[bool, Statement]:
    """The same query with the raw record and without."""
    return {
        True: Statement(lambda d: build(d, select(*WHOLE_ROW))),
        False: Statement(lambda d: build(d, select(*LIGHT))),
    }


def _here() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return LINK.c.connection == bindparam("connection"), LINK.c.stream == bindparam("stream")


BY_KEY = _both(lambda d, q: q.where(*_here(), d.one_of(LINK.c.external_id, "external_ids")))
BY_ID = _both(lambda d, q: q.where(d.one_of(LINK.c.id, "ids")))
OF_ENTITIES = _both(lambda d, q: q.where(d.one_of(LINK.c.entity_id, "ids")).order_by(LINK.c.id))
BY_MARKER = _both(
    lambda d, q: q.where(*_here(), LINK.c.marker.is_not(None), d.one_of(LINK.c.marker, "markers")).order_by(LINK.c.id)
)
BY_HOLD = _both(
    lambda d, q: (
        q.where(LINK.c.hold_id == bindparam("hold_id"), LINK.c.id > bindparam("after_id"))
        .order_by(LINK.c.id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
PAGE = _both(
    lambda d, q: (
        q.where(*_here(), LINK.c.id > bindparam("after_id"))
        .order_by(LINK.c.id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
NAMED_PAGE = Statement(
    lambda d: (
        select(*WHOLE_ROW)
        .where(*_here(), LINK.c.external_id > bindparam("after", type_=Text()))
        .order_by(LINK.c.external_id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
NAMELESS_PAGE = Statement(
    lambda d: (
        select(*LIGHT)
        .where(*_here(), LINK.c.external_id.is_(None), LINK.c.id > bindparam("after_id"))
        .order_by(LINK.c.id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
UNSEEN = Statement(
    lambda d: (
        select(*LIGHT)
        .where(
            *_here(),
            LINK.c.external_id > bindparam("after", type_=Text()),
            d.one_of(LINK.c.state, "states"),
            LINK.c.read_at.is_(None) | (LINK.c.read_at < bindparam("since", type_=Float())),
        )
        .order_by(LINK.c.external_id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
HEADS = Statement(lambda d: select(*HEAD).where(*_here(), d.one_of(LINK.c.external_id, "external_ids")))
HEADS_PAGE = Statement(
    lambda d: (
        select(*HEAD)
        .where(*_here(), LINK.c.external_id > bindparam("after", type_=Text()))
        .order_by(LINK.c.external_id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
LIVING = Statement(
    lambda d: (
        select(LINK.c.connection, LINK.c.stream, LINK.c.entity_id, LINK.c.external_id)
        .where(d.one_of(LINK.c.entity_id, "ids"), LINK.c.state == word("live"), LINK.c.external_id.is_not(None))
        .order_by(LINK.c.id)
    )
)
NAMED = Statement(
    lambda d: select(LINK.c.stream, LINK.c.external_id, LINK.c.entity_id).where(
        LINK.c.connection == bindparam("connection"),
        d.one_of(LINK.c.stream, "streams"),
        d.one_of(LINK.c.external_id, "external_ids"),
    )
)
TOUCH = Statement(
    lambda d: (
        update(LINK)
        .where(d.one_of(LINK.c.id, "ids"))
        .values(read_at=d.greater(LINK.c.read_at, bindparam("at", type_=Float())))
    )
)
CLEAR_HOLD = Statement(lambda d: update(LINK).where(LINK.c.hold_id == bindparam("the_hold")).values(hold_id=None))
COUNT = Statement(lambda d: select(func.count()).where(*_here()))
COUNT_OTHER = Statement(
    lambda d: select(LINK.c.state, func.count()).where(*_here(), LINK.c.state != word("live")).group_by(LINK.c.state)
)
COUNT_BEHIND = Statement(
    lambda d: (
        select(LINK.c.connection, LINK.c.stream, func.count())
        .where(LINK.c.behind_since.is_not(None))
        .group_by(LINK.c.connection, LINK.c.stream)
    )
)
NEW_LINKS = Insert("link")
CHANGED_LINKS = Update("link", CHANGING, keep=["raw"])


def _behind(*, oldest_first: bool) -> dict[bool, Statement]:
    order = (LINK.c.behind_since, LINK.c.id) if oldest_first else (LINK.c.id,)
    return _both(
        lambda d, q: (
            q.where(
                *_here(),
                LINK.c.behind_since.is_not(None),
                LINK.c.hold_id.is_(None),
                LINK.c.retry_at.is_(None) | (LINK.c.retry_at <= bindparam("now", type_=Float())),
                LINK.c.id > bindparam("after_id"),
                d.one_of(LINK.c.state, "states"),
            )
            .order_by(*order)
            .limit(bindparam("limit", type_=Integer()))
        )
    )


BEHIND = {oldest_first: _behind(oldest_first=oldest_first) for oldest_first in (True, False)}


class Links(Entities):
    """Where entities live. Each query gives the last raw record with the link unless `raw` is False."""

    def links_by_keys(
        self, connection: str, stream: str, external_ids: Iterable[str], *, raw: bool = True
    ) -> dict[str, LinkRow]:
        """External id -> link; records without a link are left out."""
        rows = self._rows(BY_KEY[raw], connection=connection, stream=stream, external_ids=texts_of(external_ids))
        return {row[3]: _link(row) for row in rows}

    def link_heads(self, connection: str, stream: str, external_ids: Iterable[str]) -> dict[str, LinkHead]:
        """External id -> what is needed to see that a record did not change; a fraction of the link's cost."""
        rows = self._rows(HEADS, connection=connection, stream=stream, external_ids=texts_of(external_ids))
        return {row[0]: AS_HEAD(row) for row in rows}

    def heads_page(self, connection: str, stream: str, after: str = "", limit: int = 1000) -> list[LinkHead]:
        """A stream's links that have a record, in the order of external ids, whatever their state."""
        rows = self._rows(HEADS_PAGE, connection=connection, stream=stream, after=after, limit=limit)
        return [LinkHead._make(row) for row in rows]

    def links_by_ids(self, ids: Iterable[int], *, raw: bool = True) -> dict[int, LinkRow]:
        return {row[0]: _link(row) for row in self._rows(BY_ID[raw], ids=ids_of(ids))}

    def links_of(self, entity_ids: Iterable[int], *, raw: bool = True) -> list[LinkRow]:
        """All links of exactly these entities, in the order of link ids, whatever their state."""
        return [_link(row) for row in self._rows(OF_ENTITIES[raw], ids=ids_of(entity_ids))]

    def links_by_markers(
        self, connection: str, stream: str, markers: Iterable[str], *, raw: bool = True
    ) -> dict[str, LinkRow]:
        """Hub id put on a record -> its link; of several (an entity created anew) the newest."""
        rows = self._rows(BY_MARKER[raw], connection=connection, stream=stream, markers=texts_of(markers))
        return {link.marker: link for link in map(_link, rows) if link.marker is not None}

    def links_page(
        self, connection: str, stream: str, after_id: int = 0, limit: int = 500, *, raw: bool = True
    ) -> list[LinkRow]:
        """A stream's links in the order of ids, whatever their state. SQLite sorts the stream for it: for a look at
        small ones; whoever walks through takes `links_by_name` and `links_nameless`.
        """
        rows = self._rows(PAGE[raw], connection=connection, stream=stream, after_id=after_id, limit=limit)
        return [_link(row) for row in rows]

    def links_by_name(self, connection: str, stream: str, after: str = "", limit: int = 500) -> list[LinkRow]:
        """A stream's links that have a record, in the order of external ids: straight out of their index."""
        rows = self._rows(NAMED_PAGE, connection=connection, stream=stream, after=after, limit=limit)
        return [_link(row) for row in rows]

    def links_nameless(self, connection: str, stream: str, after_id: int = 0, limit: int = 500) -> list[LinkRow]:
        """A stream's links that have no record yet, in the order of ids: out of the same index."""
        rows = self._rows(NAMELESS_PAGE, connection=connection, stream=stream, after_id=after_id, limit=limit)
        return [_link(row) for row in rows]

    def links_unseen(
        self, connection: str, stream: str, since: float, states: Sequence[str], limit: int = 500, after: str = ""
    ) -> list[LinkRow]:
        """Links in these states whose record was last read before that moment, in the order of external ids, without
        it.
        """
        rows = self._rows(
            UNSEEN, connection=connection, stream=stream, since=since, states=[str(state) for state in states],
            limit=limit, after=after,
        )  # fmt: skip
        return [_link(row) for row in rows]

    def external_ids(self, pairs: Iterable[tuple[str, str, int]]) -> dict[tuple[str, str, int], str]:
        """(connection, stream, entity id) -> the id of its live record there, for references written outward.

        The whole alias closure of the entity is asked; of several live records the oldest link's. Entities without one
        are left out.
        """
        wanted = set(pairs)
        if not wanted:
            return {}
        roots = self.roots(entity_id for _, _, entity_id in wanted)
        home = {each: root for root, group in self.alias_closure(roots.values()).items() for each in group}
        living: dict[tuple[str, str, int], str] = {}
        for connection, stream, entity_id, external_id in self._rows(LIVING, ids=ids_of(home)):
            living.setdefault((connection, stream, home[entity_id]), external_id)
        places = {pair: (pair[0], pair[1], roots.get(pair[2], pair[2])) for pair in wanted}
        return {pair: living[place] for pair, place in places.items() if place in living}

    def entity_ids(self, connection: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """(stream, external id) -> the entity of its link, for references read inward; unknown records are left out.

        The link's own, also after a merge: so an unmerge finds every reference as it was.
        """
        wanted = {(stream, external_id) for stream, external_id in keys}
        if not wanted:
            return {}
        streams, ids = texts_of(stream for stream, _ in wanted), texts_of(external_id for _, external_id in wanted)
        rows = self._rows(NAMED, connection=connection, streams=streams, external_ids=ids)
        return {(row[0], row[1]): row[2] for row in rows if (row[0], row[1]) in wanted}

    def insert_links(self, rows: Sequence[LinkRow]) -> None:
        """New links. Raises RetryLater STORE-BUSY if another transaction linked one of the records first."""
        self._insert(NEW_LINKS, [(row.id, row.connection, row.stream, *_changing(row)) for row in rows])

    def update_links(self, rows: Sequence[LinkRow]) -> None:
        """Writes everything but id, connection and stream; a raw record of None leaves the stored one."""
        self._update(CHANGED_LINKS, [(*_changing(row), row.id) for row in rows])

    def touch_links(self, ids: Iterable[int], read_at: float) -> int:
        """Unchanged records: they were read again. A read older than the newest changes nothing."""
        wanted = ids_of(ids)
        return self._run(TOUCH, ids=wanted, at=read_at) if wanted else 0

    # Behind

    def behind_links(
        self,
        connection: str,
        stream: str,
        *,
        now: float,
        limit: int,
        after_id: int = 0,
        states: Sequence[str] = (LinkState.LIVE, LinkState.WANTED),
        oldest_first: bool = False,
        raw: bool = True,
    ) -> list[LinkRow]:
        """Links to which a write may be due now: behind, not held back, not waiting for a retry.

        They come in the order of ids, so that `after_id` walks through all of them, each once. With `oldest_first` they
        come in the order in which they fell behind: for a budget that will not last for all.
        """
        rows = self._rows(
            BEHIND[oldest_first][raw], connection=connection, stream=stream, now=now, limit=limit, after_id=after_id,
            states=[str(state) for state in states],
        )  # fmt: skip
        return [_link(row) for row in rows]

    def count_behind(self, connection: str | None = None) -> dict[tuple[str, str], int]:
        """(connection, stream) -> how many links are behind, held and waiting ones included."""
        return {(row[0], row[1]): row[2] for row in self._rows(COUNT_BEHIND) if connection in (None, row[0])}

    def count_links(self, connection: str, stream: str) -> dict[str, int]:
        """State -> how many links; counted from indexes alone."""
        other: dict[str, int] = dict(self._rows(COUNT_OTHER, connection=connection, stream=stream))
        total = self._rows(COUNT, connection=connection, stream=stream)[0][0]
        live = total - sum(other.values())
        return {**({"live": live} if live else {}), **other}

    def links_with_hold(self, hold_id: int, limit: int = 500, after_id: int = 0, *, raw: bool = True) -> list[LinkRow]:
        """Links whose create a guard keeps back, in the order of ids."""
        return [_link(row) for row in self._rows(BY_HOLD[raw], hold_id=hold_id, limit=limit, after_id=after_id)]

    def clear_hold(self, hold_id: int) -> int:
        """Lets every link of a hold go; tells how many."""
        return self._run(CLEAR_HOLD, the_hold=hold_id)


def _changing(row: LinkRow) -> Row:
    return (
        id_or_none(row.external_id), row.entity_id, str(row.state), row.stamp, row.read_at, row.hash,
        row.behind_since, row.retry_at, row.attempts, id_or_none(row.marker), row.hold_id, row.mapping_version,
        encode(row.shadow), row.raw, row.leaving,
    )  # fmt: skip


def _link(row: Row) -> LinkRow:
    return LinkRow(
        id=row[0], connection=row[1], stream=row[2], external_id=row[3], entity_id=row[4], state=row[5], stamp=row[6],
        read_at=row[7], hash=row[8], behind_since=row[9], retry_at=row[10], attempts=row[11], marker=row[12],
        hold_id=row[13], mapping_version=row[14], shadow=decode(row[15]), leaving=row[16],
        raw=row[17] if len(row) > 17 else None,
    )  # fmt: skip
