"""Tables of what customers did, and of who belongs to which segment."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint

from hub.store.tables import Base, _document, _flag, _number, _time, _words


class Event(Base, table=True):
    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("key", name="uq_event_key"),
        Index("ix_event_entity", "entity_id"),
        Index("ix_event_subject", "subject_id", "name"),
        Index("ix_event_timeline", "subject_id", "at", "id"),
    )
    id: int = _number(key=True)
    key: str = _words()
    name: str = _words()
    entity_id: int = _number("entity.id")
    subject_id: int | None = _number(null=True)
    at: float = _time()
    source: str = _words()
    silent: bool = _flag()
    values: str = _document()
    version: int | None = _number(null=True)
    noticed_at: float | None = _time(null=True)
    withdrawn_at: float | None = _time(null=True)


class SegmentMember(Base, table=True):
    """One entity in one segment, so that a segment can be counted and listed without looking through everybody."""

    __tablename__ = "segment_member"
    __table_args__ = (Index("ix_segment_member_entity", "entity_id"),)
    name: str = _words(key=True)
    entity_id: int = _number("entity.id", key=True)
