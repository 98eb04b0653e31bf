"""Data audits that were made: when, with which score, and what they counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Integer, bindparam, insert, select

from hub.model import Json
from hub.store.codec import decode, encode
from hub.store.session import Session
from hub.store.statements import Statement, as_new, given, table

DATA_AUDIT = table("data_audit")
KEEP = Statement(lambda d: insert(DATA_AUDIT).values({n: p for n, p in given("data_audit").items() if n != "id"}))
NEWEST = Statement(
    lambda d: select(DATA_AUDIT).order_by(DATA_AUDIT.c.id.desc()).limit(bindparam("limit", type_=Integer()))
)


class DataAuditRow(NamedTuple):
    """One audit."""

    id: int
    at: float
    by: str
    score: int | None  # 0 to 100; None: there was nothing to look at
    figures: Mapping[str, Json]  # what was counted -> how many


class Audits(Session):
    """The audits of the data, one row each; they are never changed."""

    def add_data_audit(self, *, at: float, by: str, score: int | None, figures: Mapping[str, Json]) -> None:
        self._run(KEEP, **as_new(at=at, by=by, score=score, figures=encode(figures)))

    def data_audits(self, limit: int = 1) -> list[DataAuditRow]:
        """The newest first."""
        return [
            DataAuditRow(id=row[0], at=row[1], by=row[2], score=row[3], figures=decode(row[4]))
            for row in self._rows(NEWEST, limit=limit)
        ]
