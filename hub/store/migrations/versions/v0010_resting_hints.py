"""Hints that rest until another record is told of are found by what they wait for.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_hint_reason", "hint", ["connection", "reason"])


def downgrade() -> None:
    op.drop_index("ix_hint_reason", "hint")
