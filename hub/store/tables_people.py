"""Tables of the console: who is signed in, what programs sign in with, what people write and look through,
and what they used of their points.

With these the tables are complete: whoever needs all of them takes METADATA from here.
"""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint

from hub.store.tables import METADATA, Base, _bytes, _document, _number, _time, _words
from hub.store.tables_events import Event, SegmentMember
from hub.store.tables_figures import FigureFact, FigureNote, FigureShown, FigureSum
from hub.store.tables_triggers import Firing

__all__ = [
    "METADATA", "ApiToken", "DataAudit", "Draft", "Erasure", "Event", "FigureFact", "FigureNote", "FigureShown",
    "FigureSum", "Firing", "Note", "PlanPart", "PointUse", "SavedView", "Seal", "SegmentMember",
    "SignInFailure", "SignInLink", "UserSession",
]  # fmt: skip


class UserSession(Base, table=True):
    """One browser that signed in. Its cookie holds what the id is the digest of."""

    __tablename__ = "user_session"
    __table_args__ = (Index("ix_user_session_user", "user"),)
    id: str = _words(key=True)
    user: str = _words()
    created_at: float = _time()
    seen_at: float = _time()
    expires_at: float = _time()


class SignInLink(Base, table=True):
    """A link that signs one person in, once. Only its digest is kept."""

    __tablename__ = "sign_in_link"
    id: str = _words(key=True)
    user: str = _words()
    expires_at: float = _time()


class SignInFailure(Base, table=True):
    """How often a name or an address failed to sign in, in a row."""

    __tablename__ = "sign_in_failure"
    name: str = _words(key=True)
    failures: int = _number()
    at: float = _time()


class ApiToken(Base, table=True):
    """What a program signs in with. Only its digest is kept."""

    __tablename__ = "api_token"
    id: str = _words(key=True)
    name: str = _words()
    user: str = _words()
    scopes: str = _document()
    created_at: float = _time()
    expires_at: float = _time()
    used_at: float | None = _time(null=True)


class Draft(Base, table=True):
    """A file of the project as somebody is writing it in the console; published, it is gone."""

    __tablename__ = "draft"
    name: str = _words(key=True)
    content: str = _words()
    base: str = _words()  # digest of the file's text that it was begun from
    by: str = _words()
    at: float = _time()


class Note(Base, table=True):
    """What somebody wrote beside a conflict, a row of the quarantine, a record …"""

    __tablename__ = "note"
    __table_args__ = (Index("ix_note_target", "target", "id"),)
    id: int = _number(key=True, auto=True)
    target: str = _words()
    by: str = _words()
    at: float = _time()
    text: str = _words()


class PlanPart(Base, table=True):
    """Some hundred writes of a plan, so that a page of it can be shown without reading all; part 0 is the rest."""

    __tablename__ = "plan_part"
    plan_id: int = _number("plan.id", key=True)
    part: int = _number(key=True)
    head: str = _document()  # what is in it, counted
    content: bytes = _bytes()


class SavedView(Base, table=True):
    """A way of looking at a list that somebody gave a name."""

    __tablename__ = "saved_view"
    page: str = _words(key=True)  # "conflicts"
    user: str = _words(key=True)
    name: str = _words(key=True)
    query: str = _words()  # as it stands in the address
    at: float = _time()


class Erasure(Base, table=True):
    """What an erased person could be recognised by: keyed hashes, so that no reading brings them back."""

    __tablename__ = "erasure"
    hash: str = _words(key=True)
    entity_id: int = _number()
    at: float = _time()
    by: str = _words()


class DataAudit(Base, table=True):
    """What one data audit counted. No value of anybody is in it, so erasing a person leaves it alone."""

    __tablename__ = "data_audit"
    id: int = _number(key=True, auto=True)
    at: float = _time()
    by: str = _words()
    score: int | None = _number(null=True)  # 0 to 100; none where there was nothing to look at
    figures: str = _document()  # what was counted -> how many


class PointUse(Base, table=True):
    """Points of one person that were used. The key makes one use of a repeated call."""

    __tablename__ = "point_use"
    __table_args__ = (
        UniqueConstraint("key", name="uq_point_use_key"),
        Index("ix_point_use_subject", "subject_id"),
    )
    id: int = _number(key=True, auto=True)
    key: str = _words()
    subject_id: int = _number("entity.id")
    points: int = _number()
    text: str = _words()
    by: str = _words()
    at: float = _time()


class Seal(Base, table=True):
    """What holds an entry of the audit log in its place: a chain over all entries, in their order."""

    __tablename__ = "seal"
    entry: int = _number(key=True)
    salt: str = _words()  # of the content's digest; "" once somebody was erased from the entry
    content: str = _words()  # digest of what the entry says
    seal: str = _words()  # digest of the seal before, the entry's number and `content`
