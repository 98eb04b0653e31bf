"""Tables of kept figures: what each record says to them, what that comes to, and what has changed since."""

from __future__ import annotations

from sqlalchemy import Index

from hub.store.tables import Base, _bytes, _document, _number, _some, _time, _words


class FigureFact(Base, table=True):
    """What one record says to the figures that count it by one reference. Numbers and moments, no words of anybody."""

    __tablename__ = "figure_fact"
    __table_args__ = (
        Index("ix_figure_fact_person", "person", "via"),
        _some("ix_figure_fact_turns", "turns_at", where="turns_at IS NOT NULL"),
    )
    entity_id: int = _number("entity.id", key=True)
    via: str = _words(key=True)  # the reference that names whom it is counted by; "" for the record itself
    person: int = _number()  # whom it is counted by, after merges
    turns_at: float | None = _time(null=True)  # when it comes to something else though nothing is changed
    facts: str = _document()


class FigureSum(Base, table=True):
    """What all facts come to in one figure and one span of days."""

    __tablename__ = "figure_sum"
    kpi: str = _words(key=True)
    span: str = _words(key=True)
    part: str = _words()  # decimal numbers, exact
    under: str = _words()
    of: int = _number()
    waits: bytes = _bytes()  # of a median: every length, rising


class FigureShown(Base, table=True):
    """What people were shown of a figure in a span of days, from a moment on; the last of every hour, in
    the end of every day.
    """

    __tablename__ = "figure_shown"
    kpi: str = _words(key=True)
    span: str = _words(key=True)
    at: float = _time(key=True)
    value: str | None = _words(null=True)
    of: int = _number()


class FigureNote(Base, table=True):
    """An entity that changed, until its figures were restated. Written in the transaction of the change.

    The note with the number 0 says that notes are taken (hub.store.notes).
    """

    __tablename__ = "figure_note"
    id: int = _number(key=True, auto=True)
    entity_id: int = _number()
