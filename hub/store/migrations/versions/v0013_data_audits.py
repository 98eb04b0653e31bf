"""Data audits: the figures of each, for the difference to the next.

Revision ID: 0013
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import document, number, time, words

revision = "0013"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_audit",
        number("id", auto=True),
        time("at"),
        words("by"),
        number("score", null=True),
        document("figures"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_audit")),
    )


def downgrade() -> None:
    op.drop_table("data_audit")
