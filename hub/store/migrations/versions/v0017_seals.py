"""The audit log as a chain: each entry is sealed over its content and the seal before.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import number, words

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "seal",
        number("entry"),
        words("salt"),
        words("content"),
        words("seal"),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_seal")),
    )


def downgrade() -> None:
    op.drop_table("seal")
