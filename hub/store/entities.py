"""Entities, the keys they are found by, and their history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from zlib import crc32

from sqlalchemy import BigInteger, Float, Integer, Text, bindparam, delete, func, select
from sqlalchemy.sql import Executable

from hub.model import LONG_AGO, EntityRow, HistoryRow
from hub.store.codec import checked, decode, encode, index_key
from hub.store.databases import Row
from hub.store.notes import Notes
from hub.store.session import ids_of
from hub.store.statements import Dialect, Insert, Statement, Update, table, word

ENTITY, KEY, HISTORY = table("entity"), table("entity_key"), table("history")

BY_ID = Statement(lambda d: select(ENTITY).where(d.one_of(ENTITY.c.id, "ids")).order_by(ENTITY.c.id))
BY_ID_LOCKED = Statement(
    lambda d: d.locked(select(ENTITY).where(d.one_of(ENTITY.c.id, "ids")).order_by(ENTITY.c.id)),
)
PARENTS = Statement(lambda d: select(ENTITY.c.id, ENTITY.c.alias_of).where(d.one_of(ENTITY.c.id, "ids")))
ALIASES = Statement(
    lambda d: (
        select(ENTITY.c.id, ENTITY.c.alias_of)
        .where(ENTITY.c.alias_of.is_not(None), d.one_of(ENTITY.c.alias_of, "ids"))
        .order_by(ENTITY.c.id)
    )
)
BY_KEY = Statement(
    lambda d: select(KEY.c.key_value, KEY.c.entity_id).where(
        KEY.c.type == bindparam("type"), KEY.c.key_name == bindparam("name"), d.one_of(KEY.c.key_value, "values")
    )
)
KEYS_OF = Statement(lambda d: select(KEY).where(d.one_of(KEY.c.entity_id, "ids")))
DROP_KEY = Statement(
    lambda d: delete(KEY).where(
        KEY.c.type == bindparam("type"),
        KEY.c.key_name == bindparam("name"),
        KEY.c.key_value == bindparam("value"),
        KEY.c.entity_id == bindparam("entity_id"),
    )
)
COUNT = Statement(lambda d: select(ENTITY.c.type, func.count()).group_by(ENTITY.c.type))
COUNT_OTHER = Statement(
    lambda d: select(ENTITY.c.type, func.count()).where(ENTITY.c.state != word("live")).group_by(ENTITY.c.type)
)
NEWEST = Statement(lambda d: select(ENTITY.c.type, func.max(ENTITY.c.version)).group_by(ENTITY.c.type))
FAR = 2**62  # after every version
PLACES = 64  # keys that fall into one place wait for each other; a big page takes all places and waits for everybody
NEW_ENTITIES = Insert("entity")
NEW_KEYS = Insert("entity_key")
NEW_HISTORY = Insert("history", without=["id"])
CHANGED_ENTITIES = Update("entity", ["version", "state", "alias_of", "values", "fields"])


def _page(*, of_type: bool, query: bool) -> Statement:
    def build(d: Dialect) -> Executable:
        found = select(ENTITY).where(ENTITY.c.id > bindparam("after_id", type_=BigInteger()))
        if of_type:
            found = found.where(ENTITY.c.type == bindparam("type"))
        if query:
            found = found.where(d.lowered(ENTITY.c["values"]).like(bindparam("query", type_=Text()), escape="\\"))
        return found.order_by(ENTITY.c.id).limit(bindparam("limit", type_=Integer()))

    return Statement(build)


PAGES = {(a, b): _page(of_type=a, query=b) for a in (False, True) for b in (False, True)}


def _history(*, newest: bool) -> Statement:
    return Statement(
        lambda d: (
            select(HISTORY)
            .where(
                d.one_of(HISTORY.c.entity_id, "ids"),
                HISTORY.c.version < bindparam("before", type_=BigInteger()),
                HISTORY.c.at >= bindparam("since", type_=Float()),
            )
            .order_by(HISTORY.c.id.desc() if newest else HISTORY.c.id)
        )
    )


HISTORY_NEWEST_FIRST = _history(newest=True)


class Entities(Notes):
    """Canonical records as stored."""

    def entities(self, ids: Iterable[int], *, lock: bool = False) -> dict[int, EntityRow]:
        """Entities by id, aliases included; unknown ids are left out.

        With `lock` no other transaction may lock or change them until this one ends; locks are taken in the order of
        ids, so that two pages wait for each other but never in a circle.
        """
        rows = self._rows(BY_ID_LOCKED if lock else BY_ID, ids=ids_of(ids))
        return {row[0]: _entity(row) for row in rows}

    def roots(self, ids: Iterable[int]) -> dict[int, int]:
        """Entity -> the one that speaks for it after all merges; unknown ids are left out."""
        parent: dict[int, int | None] = {}
        asked = set(ids)
        wanted = asked
        while wanted:
            parent.update({row[0]: row[1] for row in self._rows(PARENTS, ids=ids_of(wanted))})
            wanted = {above for above in parent.values() if above is not None} - parent.keys()
        return {each: _root(each, parent) for each in asked if each in parent}

    def alias_closure(self, root_ids: Iterable[int]) -> dict[int, list[int]]:
        """Root -> itself, then all that were merged into it, directly or through others."""
        found = {root: [root] for root in ids_of(root_ids)}
        home = {root: root for root in found}
        wanted = list(found)
        while wanted:
            fresh = [(each, above) for each, above in self._rows(ALIASES, ids=wanted) if each not in home]
            for each, above in fresh:
                home[each] = home[above]
                found[home[above]].append(each)
            wanted = [each for each, _ in fresh]
        return found

    def find_by_keys(
        self, type: str, keys: Iterable[tuple[str, str]], *, keep: bool = True
    ) -> dict[tuple[str, str], list[int]]:
        """(key name, normalised value) -> ids of entities that have it, rising; keys of nobody are left out.

        A writing transaction keeps what it was told true until it ends. Two pages, one new person in both: each would
        find nobody, and each would make an entity of its own. So whoever asks first keeps the other waiting. Without
        `keep` nobody waits: ask once more before anything that follows from the answer is stored.
        """
        asked: dict[str, dict[str, str]] = defaultdict(dict)
        for name, value in keys:
            asked[name][index_key(value)] = value
        if keep and self._writes and not self._database.one_writer:
            texts = {f"{type} {value}" for values in asked.values() for value in values}
            self._lock({crc32(text.encode("utf-8", "replace")) % PLACES for text in texts})
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for name, values in asked.items():
            for value, entity_id in self._rows(BY_KEY, type=type, name=name, values=list(values)):
                found[name, values[value]].append(entity_id)
        return {key: sorted(ids) for key, ids in found.items()}

    def insert_entities(self, rows: Sequence[EntityRow]) -> None:
        self._insert(
            NEW_ENTITIES,
            [
                (
                    row.id, row.type, row.version, row.state, row.alias_of,
                    encode(row.values), encode(row.fields), row.created_at,
                )
                for row in rows
            ],
        )  # fmt: skip
        self.note_changes(row.id for row in rows)

    def update_entities(self, rows: Sequence[EntityRow]) -> None:
        """Writes version, state, alias, values and fields; type and time of creation never change."""
        self._update(
            CHANGED_ENTITIES,
            [(row.version, row.state, row.alias_of, encode(row.values), encode(row.fields), row.id) for row in rows],
        )
        self.note_changes(row.id for row in rows)

    def set_keys(
        self, changes: Sequence[tuple[int, str, set[tuple[str, str]]]], *, fresh: Collection[int] = ()
    ) -> None:
        """Replaces the keys of entities: (entity id, type, {(key name, normalised value)}); `fresh` ones have none."""
        wanted = {
            (index_key(value), name, type_, entity_id) for entity_id, type_, keys in changes for name, value in keys
        }
        if not changes:
            return
        known = ids_of(entity_id for entity_id, _, _ in changes if entity_id not in fresh)
        held = {tuple(row) for row in self._rows(KEYS_OF, ids=known)} if known else set()
        gone = [dict(zip(("value", "name", "type", "entity_id"), key, strict=True)) for key in held - wanted]
        self._many(DROP_KEY, gone)
        self._insert(NEW_KEYS, sorted(wanted - held if held else wanted))

    def entities_page(
        self, type: str | None = None, after_id: int = 0, limit: int = 500, query: str | None = None
    ) -> list[EntityRow]:
        """Entities in the order of ids, whatever their state; `query` is looked for in their values, as text."""
        params: dict[str, Any] = {"after_id": after_id, "limit": limit}
        params |= {} if type is None else {"type": type}
        params |= {} if not query else {"query": contains(query)}
        return [_entity(row) for row in self._rows(PAGES[type is not None, bool(query)], **params)]

    def newest_versions(self) -> dict[str, int]:
        """Entity type -> the newest change of any entity of it, whatever its state. It looks at every entity."""
        return dict(self._rows(NEWEST))

    def count_entities(self) -> dict[str, int]:
        """Entity type -> how many live ones."""
        other: dict[str, int] = dict(self._rows(COUNT_OTHER))
        return {type_: n - other.get(type_, 0) for type_, n in self._rows(COUNT)}

    # History

    def add_history(self, rows: Sequence[HistoryRow]) -> None:
        self._insert(
            NEW_HISTORY,
            [
                (
                    row.entity_id, row.version, row.at, encode(row.changes), row.run_id, row.mapping_version,
                    checked(row.actor),
                )
                for row in rows
            ],
        )  # fmt: skip

    def history(
        self,
        entity_ids: Iterable[int],
        field: str | None = None,
        limit: int | None = None,
        before: int | None = None,
        since: float = LONG_AGO,
    ) -> list[HistoryRow]:
        """What became of entities, oldest first; of one field only, or only the newest `limit` rows.

        Args:
            before: only rows of versions lower than that: the page after one that began there.
            since: only rows of that moment and later, epoch seconds.
        """
        found: list[HistoryRow] = []
        given = {"before": FAR if before is None else before, "since": since}
        for row in self._rows(HISTORY_NEWEST_FIRST, ids=ids_of(entity_ids), **given):
            changes = decode(row[4])
            if field is not None and field not in changes:
                continue
            if limit is not None and len(found) >= limit and row[2] != found[-1].version:
                break
            found.append(
                HistoryRow(
                    entity_id=row[1], version=row[2], at=row[3], changes=changes, run_id=row[5],
                    mapping_version=row[6], actor=row[7],
                )
            )  # fmt: skip
        return found[::-1]


def contains(query: str) -> str:
    """A LIKE pattern that finds the text anywhere; ASCII letters of either case, on both databases."""
    written = encode(query)[1:-1]  # as it stands in a document
    lowered = "".join(chr(ord(each) + 32) if "A" <= each <= "Z" else each for each in written)
    for special in ("\\", "%", "_"):
        lowered = lowered.replace(special, "\\" + special)
    return f"%{lowered}%"


def _entity(row: Row) -> EntityRow:
    return EntityRow(
        id=row[0], type=row[1], version=row[2], state=row[3], alias_of=row[4], values=decode(row[5]),
        fields=decode(row[6]), created_at=row[7],
    )  # fmt: skip


def _root(entity_id: int, parent: dict[int, int | None]) -> int:
    while (above := parent.get(entity_id)) is not None:
        entity_id = above
    return entity_id
