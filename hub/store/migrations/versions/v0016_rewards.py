"""Rewards: who tells the receiver of one, messages about one, and what people used of their points.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import number, time, words

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("grant", words("deliver", null=True))
    op.add_column("grant", number("parent_id", null=True))
    op.create_table(
        "point_use",
        number("id", auto=True),
        words("key"),
        number("subject_id"),
        number("points"),
        words("text"),
        words("by"),
        time("at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_point_use")),
        sa.UniqueConstraint("key", name="uq_point_use_key"),
        sa.ForeignKeyConstraint(["subject_id"], ["entity.id"], name=op.f("fk_point_use_subject_id")),
    )
    op.create_index("ix_point_use_subject", "point_use", ["subject_id"])


def downgrade() -> None:
    op.drop_table("point_use")
    op.drop_column("grant", "parent_id")
    op.drop_column("grant", "deliver")
