"""What of a connection's budgets is used, shared by all processes.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import number, words

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_use",
        words("connection"),
        words("name"),
        number("part"),
        number("used"),
        sa.PrimaryKeyConstraint("connection", "name", "part", name=op.f("pk_rate_use")),
    )


def downgrade() -> None:
    op.drop_table("rate_use")
