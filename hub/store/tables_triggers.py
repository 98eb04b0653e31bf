"""Table of what triggers did."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint

from hub.store.tables import Base, _number, _time, _words


class Firing(Base, table=True):
    __tablename__ = "firing"
    __table_args__ = (
        UniqueConstraint("key", name="uq_firing_key"),
        Index("ix_firing_subject", "subject_id", "rule", "created_at"),
        Index("ix_firing_rule", "rule", "created_at"),
        Index("ix_firing_due", "state", "not_before"),
    )
    id: int = _number(key=True)
    key: str = _words()
    rule: str = _words()
    rule_version: int = _number()
    action: str = _words()
    subject_id: int | None = _number(null=True)
    entity_id: int = _number()
    cause: str = _words()
    topic: str = _words()
    state: str = _words()
    reason: str = _words()
    at: float = _time()
    created_at: float = _time()
    not_before: float = _time()
    attempts: int = _number()
    done_at: float | None = _time(null=True)
    result: str = _words()
