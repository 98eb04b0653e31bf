"""Columns as the migrations write them. A type that changes gets a new name here; these stay what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def number(name: str, *, null: bool = False, auto: bool = False) -> sa.Column[Any]:
    return sa.Column(name, BIG, nullable=null, autoincrement=auto)


def words(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, WORDS, nullable=null)


def document(name: str) -> sa.Column[Any]:
    """JSON, as text."""
    return sa.Column(name, sa.Text(), nullable=False)


def time(name: str, *, null: bool = False) -> sa.Column[Any]:
    """Epoch seconds, UTC."""
    return sa.Column(name, sa.Float(53), nullable=null)


def octets(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def some(name: str, table: str, columns: Sequence[str], *, where: str, unique: bool = False) -> None:
    """An index over some rows."""
    op.create_index(
        name, table, list(columns), unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
