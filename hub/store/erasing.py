"""Erasing one person: whatever was said of these entities goes out of every table; who they were stays recognisable.

What is kept of them are rows without a word of theirs: the entity's number (events and grants name it), the ledger,
and keyed hashes by which no reading brings them back. Which entities are a person's is hub.app.erasing's to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import BigInteger, Integer, Text, bindparam, delete, exists, or_, select, update
from sqlalchemy.sql import Executable

from hub.model import Json
from hub.store.codec import encode
from hub.store.notes import Notes
from hub.store.plans import ADD_PART, parts_as_new
from hub.store.rows import PlanRow
from hub.store.seals import UNSALT
from hub.store.session import ids_of, texts_of
from hub.store.statements import Dialect, Statement, as_new, given, table, word

ENTITY, LINK, INTENT, EVENT = table("entity"), table("link"), table("intent"), table("event")
CONFLICT, RULING, HISTORY, QUARANTINE = table("conflict"), table("ruling"), table("history"), table("quarantine")
IDENTITY, IDENTITY_RECORD, KEY = table("identity"), table("identity_record"), table("entity_key")
TOMBSTONE, TOMBSTONE_KEY, HOLD_ITEM, HINT = (
    table("tombstone"), table("tombstone_key"), table("hold_item"), table("hint"),
)  # fmt: skip
GRANT, DELIVERY, NOTE, AUDIT = table("grant"), table("delivery"), table("note"), table("audit")
POINT_USE, FIRING = table("point_use"), table("firing")
ERASURE, PLAN, PART = table("erasure"), table("plan"), table("plan_part")


def _remember(d: Dialect) -> Executable:
    return d.upsert(ERASURE).values(given("erasure")).on_conflict_do_nothing()


def _named(name: str, column: str = "entity_id") -> Statement:
    """Rows of a table that belong to these entities."""
    here = table(name)
    return Statement(lambda d: delete(here).where(d.one_of(here.c[column], "ids")))


ANY = Statement(lambda d: select(ERASURE.c.hash).limit(1))
KNOWN = Statement(lambda d: select(ERASURE.c.hash, ERASURE.c.entity_id).where(d.one_of(ERASURE.c.hash, "hashes")))
REMEMBER = Statement(_remember)
LIFT = _named("erasure")
KEYS = Statement(
    lambda d: select(KEY.c.entity_id, KEY.c.type, KEY.c.key_name, KEY.c.key_value).where(
        d.one_of(KEY.c.entity_id, "ids")
    )
)
NAMING = Statement(
    lambda d: (
        select(ENTITY.c.id)
        .where(
            ENTITY.c.type == bindparam("type"),
            ENTITY.c.id > bindparam("after_id", type_=BigInteger()),
            or_(
                ENTITY.c["values"].like(bindparam("inside", type_=Text())),
                ENTITY.c["values"].like(bindparam("last", type_=Text())),
            ),
        )
        .order_by(ENTITY.c.id)
        .limit(bindparam("limit", type_=Integer()))
    )
)

OF_LINKS = [  # by link, before the links themselves
    _named("hold_item", "link_id"), _named("quarantine", "link_id"), _named("tombstone", "link_id"),
]  # fmt: skip
OF_ENTITIES = [  # by entity, in the order in which rows hang on one another
    _named("quarantine"), _named("conflict"), _named("ruling"), _named("history"), _named("intent"),
    _named("tombstone"), _named("link"), _named("entity_key"), _named("figure_fact"),
]  # fmt: skip
OLD_KEYS = Statement(  # of records whose tombstone is gone
    lambda d: delete(TOMBSTONE_KEY).where(
        ~exists().where(
            TOMBSTONE.c.connection == TOMBSTONE_KEY.c.connection,
            TOMBSTONE.c.stream == TOMBSTONE_KEY.c.stream,
            TOMBSTONE.c.external_id == TOMBSTONE_KEY.c.external_id,
        )
    )
)
PAIRS = Statement(
    lambda d: select(IDENTITY.c.id).where(
        or_(d.one_of(IDENTITY.c.entity_id, "ids"), d.one_of(IDENTITY.c.other_id, "ids"))
    )
)
DROP_PAIR_RECORDS = _named("identity_record", "identity_id")
DROP_PAIRS = _named("identity", "id")
DROP_RECORD = Statement(
    lambda d: delete(QUARANTINE).where(
        QUARANTINE.c.connection == bindparam("the_connection"),
        QUARANTINE.c.stream == bindparam("the_stream"),
        QUARANTINE.c.external_id == bindparam("the_external_id"),
    )
)
DROP_UNFIT = _named("quarantine", "id")
DROP_HINT = Statement(
    lambda d: delete(HINT).where(
        HINT.c.connection == bindparam("the_connection"), HINT.c.external_id == bindparam("the_external_id")
    )
)
EMPTY = Statement(
    lambda d: (
        update(ENTITY)
        .where(d.one_of(ENTITY.c.id, "ids"))
        .values(
            {
                "values": bindparam("new_values"), "fields": bindparam("new_fields"), "state": bindparam("new_state"),
                "version": bindparam("new_version"),
            }
        )
    )
)  # fmt: skip
EVENT_VALUES = Statement(
    lambda d: update(EVENT).where(EVENT.c.id == bindparam("the_id")).values({"values": bindparam("new_values")})
)
GRANT_PERSON = Statement(
    lambda d: (
        update(GRANT)
        .where(d.one_of(GRANT.c.subject_id, "ids"))
        .values(recipient=bindparam("new_recipient"), detail=bindparam("new_detail"))
    )
)
POINT_WORDS = Statement(
    lambda d: update(POINT_USE).where(d.one_of(POINT_USE.c.subject_id, "ids")).values(text=bindparam("new_text"))
)
FIRINGS_OPEN = Statement(
    lambda d: (
        update(FIRING)
        .where(
            d.one_of(FIRING.c.subject_id, "ids"),
            or_(*(FIRING.c.state == word(state) for state in ("due", "waiting", "held"))),
        )
        .values(state=bindparam("new_state"))
    )
)
FIRING_WORDS = Statement(
    lambda d: (
        update(FIRING)
        .where(or_(d.one_of(FIRING.c.subject_id, "ids"), d.one_of(FIRING.c.entity_id, "ids")))
        .values(topic=bindparam("new_topic"), reason=bindparam("new_reason"))
    )
)
DROP_NOTES = Statement(lambda d: delete(NOTE).where(d.one_of(NOTE.c.target, "targets")))
CLEAR_AUDIT = Statement(
    lambda d: (
        update(AUDIT)
        .where(d.one_of(AUDIT.c.target, "targets"))
        .values(before=bindparam("new_before"), after=bindparam("new_after"))
    )
)
CONFLICT_IDS = Statement(lambda d: select(CONFLICT.c.id).where(d.one_of(CONFLICT.c.entity_id, "ids")))
DELIVERIES = Statement(
    lambda d: (
        select(DELIVERY.c.connection, DELIVERY.c.key, DELIVERY.c.body)
        .where(
            (DELIVERY.c.connection > bindparam("connection", type_=Text()))
            | (
                (DELIVERY.c.connection == bindparam("connection", type_=Text()))
                & (DELIVERY.c.key > bindparam("after", type_=Text()))
            )
        )
        .order_by(DELIVERY.c.connection, DELIVERY.c.key)
        .limit(bindparam("limit", type_=Integer()))
    )
)
DROP_DELIVERY = Statement(
    lambda d: delete(DELIVERY).where(
        DELIVERY.c.connection == bindparam("the_connection"), DELIVERY.c.key == bindparam("the_key")
    )
)
REWRITE_PLAN = Statement(
    lambda d: (
        update(PLAN)
        .where(PLAN.c.id == bindparam("the_id"))
        .values(content=bindparam("new_content"), digest=bindparam("new_digest"), outcome=bindparam("new_outcome"))
    )
)
DROP_PARTS = _named("plan_part", "plan_id")
LINKS_OF = Statement(lambda d: select(LINK.c.id).where(d.one_of(LINK.c.entity_id, "ids")))
PAGE = 500


class Erasing(Notes):
    """What is left of a person when they ask to be forgotten: nothing but a hash."""

    # Recognising

    def any_erased(self) -> bool:
        """True if anybody was erased ever: else there is nothing to look for."""
        return bool(self._rows(ANY))

    def erased(self, hashes: Iterable[str]) -> dict[str, int]:
        """Hash -> the entity that it was of; unknown ones are left out."""
        return {row[0]: row[1] for row in self._rows(KNOWN, hashes=texts_of(hashes))}

    def remember_erased(self, entity_id: int, hashes: Iterable[str], *, at: float, by: str) -> None:
        """These are recognised from now on."""
        self._many(REMEMBER, [as_new(hash=each, entity_id=entity_id, at=at, by=by) for each in dict.fromkeys(hashes)])

    def lift_erasure(self, entity_ids: Iterable[int]) -> int:
        """These may come back; tells how many hashes are forgotten."""
        return self._run(LIFT, ids=ids_of(entity_ids))

    def keys_of_entities(self, entity_ids: Iterable[int]) -> list[tuple[int, str, str, str]]:
        """(entity, type, key name, key value) of all their keys."""
        return [(row[0], row[1], row[2], row[3]) for row in self._rows(KEYS, ids=ids_of(entity_ids))]

    def entities_naming(self, type: str, field: str, entity_id: int) -> list[int]:
        """Entities of a type whose field refers to this one; looks through all of that type."""
        pattern = f'%"{field}":{entity_id}'
        found: list[int] = []
        after_id = 0
        while True:
            rows = self._rows(
                NAMING, type=type, inside=f"{pattern},%", last=f"{pattern}}}%", after_id=after_id, limit=PAGE
            )
            found += [row[0] for row in rows]
            if len(rows) < PAGE:
                return found
            after_id = rows[-1][0]

    # Erasing

    def erase_entities(
        self, entity_ids: Iterable[int], records: Sequence[tuple[str, str, str]], targets: Sequence[str]
    ) -> None:
        """Empty these entities, and drop whatever else was kept of them.

        Args:
            records: (connection, stream, external id) of their links.
            targets: what notes and the audit log call them.
        """
        ids = ids_of(entity_ids)
        named = [*targets, *(f"conflict:{row[0]}" for row in self._rows(CONFLICT_IDS, ids=ids))]
        told = [*targets, *(f"conflict {row[0]}" for row in self._rows(CONFLICT_IDS, ids=ids))]
        links = [row[0] for row in self._rows(LINKS_OF, ids=ids)]
        for statement in OF_LINKS:
            self._run(statement, ids=links)
        places = [
            {"the_connection": connection, "the_stream": stream, "the_external_id": external_id}
            for connection, stream, external_id in records
        ]
        self._many(DROP_RECORD, places)
        self._many(DROP_HINT, places)
        pairs = [row[0] for row in self._rows(PAIRS, ids=ids)]
        self._run(DROP_PAIR_RECORDS, ids=pairs)
        self._run(DROP_PAIRS, ids=pairs)
        for statement in OF_ENTITIES:
            self._run(statement, ids=ids)
        self._run(OLD_KEYS)
        nothing = as_new(values="{}", fields=encode({"v": 0, "m": None}), state="erased", version=self.next_version())
        self._run(EMPTY, ids=ids, **nothing)
        self.end_notes()  # figures cannot be restated without what these said to them
        self._run(GRANT_PERSON, ids=ids, **as_new(recipient="{}", detail=""))
        self._run(POINT_WORDS, ids=ids, **as_new(text=""))
        self._run(FIRINGS_OPEN, ids=ids, **as_new(state="refused"))  # nothing is done any more for who is forgotten
        self._run(FIRING_WORDS, ids=ids, **as_new(topic="", reason=""))
        self._run(DROP_NOTES, targets=texts_of(named))
        self._run(UNSALT, targets=texts_of(told), **as_new(salt=""))
        self._run(CLEAR_AUDIT, targets=texts_of(told), **as_new(before="null", after="null"))

    def set_event_values(self, changes: Mapping[int, Mapping[str, Json]]) -> None:
        """Event -> what may still be known of it."""
        self._many(EVENT_VALUES, [{"the_id": id_, **as_new(values=encode(dict(to)))} for id_, to in changes.items()])

    def deliveries_page(self, after: tuple[str, str] = ("", ""), limit: int = PAGE) -> list[tuple[str, str, bytes]]:
        """(connection, key, body) in that order; `after` is the last one of the page before."""
        rows = self._rows(DELIVERIES, connection=after[0], after=after[1], limit=limit)
        return [(row[0], row[1], bytes(row[2])) for row in rows]

    def drop_deliveries(self, rows: Iterable[tuple[str, str]]) -> None:
        """(connection, key) as `deliveries_page` gives them."""
        self._many(DROP_DELIVERY, [{"the_connection": name, "the_key": key} for name, key in rows])

    def drop_quarantine(self, ids: Iterable[int]) -> None:
        """Rows that hang on no record, by their numbers."""
        self._run(DROP_UNFIT, ids=ids_of(ids))

    def rewrite_plan(self, row: PlanRow) -> None:
        """A plan without the writes of somebody who was erased: digest, outcome, content and parts are these now."""
        self._run(DROP_PARTS, ids=[row.id])
        new = as_new(content=row.content, digest=row.digest, outcome=encode(row.outcome))
        self._run(REWRITE_PLAN, the_id=row.id, **new)
        self._many(ADD_PART, parts_as_new(row))
