"""Who is signed in, and what people write: sessions, sign-in links, tokens of programs, drafts, notes, saved views.

Of whatever lets somebody in only the digest is kept: a copy of the database opens no door.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Float, Integer, Text, bindparam, delete, insert, select, update
from sqlalchemy.sql import Executable

from hub.store.codec import decode, encode
from hub.store.databases import Row
from hub.store.rows import ApiTokenRow, AuditRow, DraftRow, NoteRow, SavedViewRow, SessionRow
from hub.store.session import Session
from hub.store.statements import Dialect, Statement, as_new, given, table

SESSION, LINK, FAILURE = table("user_session"), table("sign_in_link"), table("sign_in_failure")
TOKEN, DRAFT, NOTE, AUDIT = table("api_token"), table("draft"), table("note"), table("audit")
VIEW = table("saved_view")

ADD_SESSION = Statement(lambda d: insert(SESSION).values(given("user_session")))
ONE_SESSION = Statement(lambda d: select(SESSION).where(SESSION.c.id == bindparam("the_id")))
TOUCH_SESSION = Statement(
    lambda d: (
        update(SESSION).where(SESSION.c.id == bindparam("the_id")).values(seen_at=bindparam("seen", type_=Float()))
    )
)
END_SESSION = Statement(lambda d: delete(SESSION).where(SESSION.c.id == bindparam("the_id")))
END_SESSIONS = Statement(lambda d: delete(SESSION).where(SESSION.c.user == bindparam("the_user")))
OLD_SESSIONS = Statement(lambda d: delete(SESSION).where(SESSION.c.expires_at < bindparam("now", type_=Float())))

ADD_LINK = Statement(lambda d: insert(LINK).values(given("sign_in_link")))
TAKE_LINK = Statement(
    lambda d: delete(LINK).where(LINK.c.id == bindparam("the_id")).returning(LINK.c.user, LINK.c.expires_at)
)
OLD_LINKS = Statement(lambda d: delete(LINK).where(LINK.c.expires_at < bindparam("now", type_=Float())))
DROP_LINKS = Statement(lambda d: delete(LINK).where(LINK.c.user == bindparam("the_user")))

FAILURES = Statement(lambda d: select(FAILURE).where(d.one_of(FAILURE.c.name, "names")))
FORGIVE = Statement(lambda d: delete(FAILURE).where(d.one_of(FAILURE.c.name, "names")))
OLD_FAILURES = Statement(lambda d: delete(FAILURE).where(FAILURE.c.at < bindparam("before", type_=Float())))

ADD_TOKEN = Statement(lambda d: insert(TOKEN).values(given("api_token")))
ONE_TOKEN = Statement(lambda d: select(TOKEN).where(TOKEN.c.id == bindparam("the_id")))
TOKENS = Statement(lambda d: select(TOKEN).order_by(TOKEN.c.created_at, TOKEN.c.id))
USE_TOKEN = Statement(
    lambda d: update(TOKEN).where(TOKEN.c.id == bindparam("the_id")).values(used_at=bindparam("used", type_=Float()))
)
DROP_TOKEN = Statement(lambda d: delete(TOKEN).where(TOKEN.c.id == bindparam("the_id")))

ONE_DRAFT = Statement(lambda d: select(DRAFT).where(DRAFT.c.name == bindparam("the_name")))
DRAFTS = Statement(lambda d: select(DRAFT).order_by(DRAFT.c.name))
DROP_DRAFT = Statement(lambda d: delete(DRAFT).where(DRAFT.c.name == bindparam("the_name")))

VIEWS = Statement(
    lambda d: (
        select(VIEW)
        .where(VIEW.c.page == bindparam("the_page"), VIEW.c.user == bindparam("the_user"))
        .order_by(VIEW.c.name)
    )
)
DROP_VIEW = Statement(
    lambda d: delete(VIEW).where(
        VIEW.c.page == bindparam("the_page"),
        VIEW.c.user == bindparam("the_user"),
        VIEW.c.name == bindparam("the_name"),
    )
)
ADD_NOTE = Statement(lambda d: insert(NOTE).values({n: p for n, p in given("note").items() if n != "id"}))
NOTES = Statement(
    lambda d: (
        select(NOTE)
        .where(NOTE.c.target == bindparam("the_target", type_=Text()))
        .order_by(NOTE.c.id)
        .limit(bindparam("limit", type_=Integer()))
    )
)
AUDIT_BEFORE = Statement(
    lambda d: (
        select(AUDIT)
        .where(AUDIT.c.id < bindparam("before_id", type_=BigInteger()))
        .order_by(AUDIT.c.id.desc())
        .limit(bindparam("limit", type_=Integer()))
    )
)


def _count_failure(d: Dialect) -> Executable:
    row = d.upsert(FAILURE).values(given("sign_in_failure"))
    more = {"failures": FAILURE.c.failures + 1, "at": row.excluded.at}
    return row.on_conflict_do_update(index_elements=["name"], set_=more)


def _keep_view(d: Dialect) -> Executable:
    new = d.upsert(VIEW).values(given("saved_view"))
    newer = {"query": new.excluded.query, "at": new.excluded.at}
    return new.on_conflict_do_update(index_elements=["page", "user", "name"], set_=newer)


def _keep_draft(d: Dialect) -> Executable:
    row = d.upsert(DRAFT).values(given("draft"))
    return row.on_conflict_do_update(
        index_elements=["name"], set_={name: row.excluded[name] for name in ("content", "base", "by", "at")}
    )


COUNT_FAILURE = Statement(_count_failure)
KEEP_VIEW = Statement(_keep_view)
KEEP_DRAFT = Statement(_keep_draft)


class People(Session):
    """Doors and desks of the console."""

    # Sessions

    def add_session(self, row: SessionRow) -> None:
        self._run(
            ADD_SESSION,
            **as_new(
                id=row.id, user=row.user, created_at=row.created_at, seen_at=row.seen_at, expires_at=row.expires_at
            ),
        )

    def session(self, id: str) -> SessionRow | None:
        rows = self._rows(ONE_SESSION, the_id=id)
        return _session(rows[0]) if rows else None

    def touch_session(self, id: str, at: float) -> None:
        self._run(TOUCH_SESSION, the_id=id, seen=at)

    def end_session(self, id: str) -> bool:
        """False: there was none."""
        return self._run(END_SESSION, the_id=id) == 1

    def shut_out(self, user: str) -> int:
        """Ends every session and link of a person; tells how many sessions."""
        self._run(DROP_LINKS, the_user=user)
        return self._run(END_SESSIONS, the_user=user)

    def forget_sign_ins(self, now: float, failures_before: float) -> None:
        """Drops sessions and links that ran out, and failures that are long ago."""
        self._run(OLD_SESSIONS, now=now)
        self._run(OLD_LINKS, now=now)
        self._run(OLD_FAILURES, before=failures_before)

    # Links that sign in once

    def add_sign_in_link(self, id: str, user: str, expires_at: float) -> None:
        self._run(ADD_LINK, **as_new(id=id, user=user, expires_at=expires_at))

    def take_sign_in_link(self, id: str) -> tuple[str, float] | None:
        """Whose link it was and until when it was good; gone from now on, so that nobody takes it twice."""
        self._may_write()
        rows = self._rows(TAKE_LINK, the_id=id)
        return (str(rows[0][0]), float(rows[0][1])) if rows else None

    # Failures

    def failures(self, names: Sequence[str]) -> dict[str, tuple[int, float]]:
        """Name -> failures in a row, and when the last one was."""
        return {row[0]: (row[1], row[2]) for row in self._rows(FAILURES, names=list(names))}

    def count_failure(self, name: str, at: float) -> None:
        self._run(COUNT_FAILURE, **as_new(name=name, failures=1, at=at))

    def forgive(self, names: Sequence[str]) -> None:
        self._run(FORGIVE, names=list(names))

    # Tokens

    def add_api_token(self, row: ApiTokenRow) -> None:
        self._run(
            ADD_TOKEN,
            **as_new(
                id=row.id, name=row.name, user=row.user, scopes=encode(list(row.scopes)), created_at=row.created_at,
                expires_at=row.expires_at, used_at=row.used_at,
            ),
        )  # fmt: skip

    def api_token(self, id: str) -> ApiTokenRow | None:
        rows = self._rows(ONE_TOKEN, the_id=id)
        return _token(rows[0]) if rows else None

    def api_tokens(self) -> list[ApiTokenRow]:
        return [_token(row) for row in self._rows(TOKENS)]

    def use_api_token(self, id: str, at: float) -> None:
        self._run(USE_TOKEN, the_id=id, used=at)

    def drop_api_token(self, id: str) -> bool:
        """False: there was none."""
        return self._run(DROP_TOKEN, the_id=id) == 1

    # Drafts and notes

    def keep_draft(self, row: DraftRow) -> None:
        self._run(KEEP_DRAFT, **as_new(name=row.name, content=row.content, base=row.base, by=row.by, at=row.at))

    def draft(self, name: str) -> DraftRow | None:
        rows = self._rows(ONE_DRAFT, the_name=name)
        return _draft(rows[0]) if rows else None

    def drafts(self) -> list[DraftRow]:
        return [_draft(row) for row in self._rows(DRAFTS)]

    def drop_draft(self, name: str) -> bool:
        """False: there was none."""
        return self._run(DROP_DRAFT, the_name=name) == 1

    def add_note(self, target: str, by: str, at: float, text: str) -> None:
        self._run(ADD_NOTE, **as_new(target=target, by=by, at=at, text=text))

    def notes(self, target: str, limit: int = 200) -> list[NoteRow]:
        """What was written beside something, oldest first."""
        return [
            NoteRow(id=row[0], target=row[1], by=row[2], at=row[3], text=row[4])
            for row in self._rows(NOTES, the_target=target, limit=limit)
        ]

    # Views of a list that have a name

    def keep_view(self, row: SavedViewRow) -> None:
        """Under its name; what had the name before is gone."""
        new = as_new(page=row.page, user=row.user, name=row.name, query=row.query, at=row.at)
        self._run(KEEP_VIEW, **new)

    def views(self, page: str, user: str) -> list[SavedViewRow]:
        """Somebody's views of a page, by name."""
        rows = self._rows(VIEWS, the_page=page, the_user=user)
        return [SavedViewRow(page=row[0], user=row[1], name=row[2], query=row[3], at=row[4]) for row in rows]

    def drop_view(self, page: str, user: str, name: str) -> bool:
        """False: there was none."""
        return self._run(DROP_VIEW, the_page=page, the_user=user, the_name=name) == 1

    # The log of what people did, page by page

    def audit_page(self, limit: int = 100, before_id: int = 2**62) -> list[AuditRow]:
        """Newest first."""
        return [
            AuditRow(
                id=row[0], actor=row[1], action=row[2], target=row[3], before=decode(row[4]), after=decode(row[5]),
                at=row[6],
            )
            for row in self._rows(AUDIT_BEFORE, limit=limit, before_id=before_id)
        ]  # fmt: skip


def _session(row: Row) -> SessionRow:
    return SessionRow(id=row[0], user=row[1], created_at=row[2], seen_at=row[3], expires_at=row[4])


def _token(row: Row) -> ApiTokenRow:
    return ApiTokenRow(
        id=row[0], name=row[1], user=row[2], scopes=tuple(decode(row[3])), created_at=row[4], expires_at=row[5],
        used_at=row[6],
    )  # fmt: skip


def _draft(row: Row) -> DraftRow:
    return DraftRow(name=row[0], content=row[1], base=row[2], by=row[3], at=row[4])
