"""What figures people were shown, and since when.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import number, time, words

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "figure_shown",
        words("kpi"),
        words("span"),
        time("at"),
        words("value", null=True),
        number("of"),
        sa.PrimaryKeyConstraint("kpi", "span", "at", name=op.f("pk_figure_shown")),
    )


def downgrade() -> None:
    op.drop_table("figure_shown")
