"""Plans in parts, so that a page of one can be shown; views with a name; what erased people are recognised by.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import document, number, octets, time, words

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_part",
        number("plan_id"),
        number("part"),
        document("head"),
        octets("content"),
        sa.PrimaryKeyConstraint("plan_id", "part", name=op.f("pk_plan_part")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_part_plan_id")),
    )
    op.create_table(
        "saved_view",
        words("page"),
        words("user"),
        words("name"),
        words("query"),
        time("at"),
        sa.PrimaryKeyConstraint("page", "user", "name", name=op.f("pk_saved_view")),
    )
    op.create_table(
        "erasure",
        words("hash"),
        number("entity_id"),
        time("at"),
        words("by"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_erasure")),
    )


def downgrade() -> None:
    op.drop_table("erasure")
    op.drop_table("saved_view")
    op.drop_table("plan_part")
