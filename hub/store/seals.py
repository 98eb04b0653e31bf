"""The audit log, and the chain that shows whether an entry was changed, taken out, put in or moved since.

    seal of an entry = digest(seal of the entry before, its number, digest(salt, what it says))

Whoever changes the table can make the chain whole again from there on; but its end is then another one. So the end is
worth keeping elsewhere (`hub log head`, the process's own log). Erasing a person empties entries and drops their salt:
what they said can then neither be read nor guessed, and their place in the chain stays.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from sqlalchemy import Integer, bindparam, insert, select, update

from hub.model import Json
from hub.store.codec import decode, encode
from hub.store.databases import Row
from hub.store.rows import AuditRow
from hub.store.session import Session
from hub.store.statements import Statement, as_new, given, table

AUDIT, SEAL = table("audit"), table("seal")
TURN = -1  # a number that is no entity's: who writes the log takes turns at it
PAGE = 1000

LOG = Statement(
    lambda d: insert(AUDIT).values({n: p for n, p in given("audit").items() if n != "id"}).returning(AUDIT.c.id)
)
LOGGED = Statement(lambda d: select(AUDIT).order_by(AUDIT.c.id.desc()).limit(bindparam("limit", type_=Integer())))
HEAD = Statement(lambda d: select(SEAL.c.entry, SEAL.c.seal).order_by(SEAL.c.entry.desc()).limit(1))
PUT_ON = Statement(lambda d: insert(SEAL).values(given("seal")))
CHAIN = Statement(
    lambda d: (
        select(*SEAL.columns, *AUDIT.columns)
        .select_from(SEAL.outerjoin(AUDIT, AUDIT.c.id == SEAL.c.entry))
        .where(SEAL.c.entry > bindparam("after_id"))
        .order_by(SEAL.c.entry)
        .limit(bindparam("limit", type_=Integer()))
    )
)
LOOSE = Statement(
    lambda d: (
        select(AUDIT.c.id)
        .select_from(AUDIT.outerjoin(SEAL, AUDIT.c.id == SEAL.c.entry))
        .where(SEAL.c.entry.is_(None))
        .order_by(AUDIT.c.id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
UNSALT = Statement(
    lambda d: (
        update(SEAL)
        .where(SEAL.c.entry.in_(select(AUDIT.c.id).where(d.one_of(AUDIT.c.target, "targets"))))
        .values(salt=bindparam("new_salt"))
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRow:
    """One link of the chain, with the entry that it holds."""

    entry: int
    salt: str
    content: str
    seal: str
    said: AuditRow | None  # None: the entry is gone


class Seals(Session):
    """What people did, each entry sealed in the transaction of the deed."""

    def audit(self, actor: str, action: str, target: str, before: Json, after: Json, at: float) -> None:
        """One line in the log of what people did."""
        self._lock([TURN])
        row = as_new(actor=actor, action=action, target=target, before=encode(before), after=encode(after), at=at)
        entry = int(self._rows(LOG, **row)[0][0])
        _, last = self.log_head()
        salt = secrets.token_hex(8)
        content = content_of(salt, actor, action, target, before, after, at)
        self._run(PUT_ON, **as_new(entry=entry, salt=salt, content=content, seal=seal_of(last, entry, content)))

    def log_head(self) -> tuple[int, str]:
        """The newest sealed entry and its seal; (0, "") before the first."""
        rows = self._rows(HEAD)
        return (int(rows[0][0]), str(rows[0][1])) if rows else (0, "")

    def audit_log(self, limit: int = 500) -> list[AuditRow]:
        """What people did, newest first."""
        return [_said(row) for row in self._rows(LOGGED, limit=limit)]

    def chain(self) -> Iterator[SealRow]:
        """Every link, first to last."""
        after = 0
        while rows := self._rows(CHAIN, after_id=after, limit=PAGE):
            for row in rows:
                said = None if row[4] is None else _said(row[4:])
                yield SealRow(entry=row[0], salt=row[1], content=row[2], seal=row[3], said=said)
            after = rows[-1][0]

    def unsealed(self, limit: int = PAGE) -> list[int]:
        """Entries that hang on nothing: from before there was a chain, or put in past it."""
        return [int(row[0]) for row in self._rows(LOOSE, limit=limit)]


def content_of(salt: str, actor: str, action: str, target: str, before: Json, after: Json, at: float) -> str:
    """Digest of what an entry says."""
    return _digest(salt, actor, action, target, encode(before), encode(after), at)


def seal_of(last: str, entry: int, content: str) -> str:
    """The next link."""
    return _digest(last, entry, content)


def _digest(*parts: Json) -> str:
    return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def _said(row: Row) -> AuditRow:
    return AuditRow(
        id=row[0], actor=row[1], action=row[2], target=row[3], before=decode(row[4]), after=decode(row[5]), at=row[6]
    )
