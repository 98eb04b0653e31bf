"""Events say when they were noticed and whether they were withdrawn, and are read by time; members of segments.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import number, time, words

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", number("version", null=True))
    op.add_column("event", time("noticed_at", null=True))
    op.add_column("event", time("withdrawn_at", null=True))
    op.create_index("ix_event_timeline", "event", ["subject_id", "at", "id"])
    op.create_table(
        "segment_member",
        words("name"),
        number("entity_id"),
        sa.PrimaryKeyConstraint("name", "entity_id", name=op.f("pk_segment_member")),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_segment_member_entity_id")),
    )
    op.create_index("ix_segment_member_entity", "segment_member", ["entity_id"])


def downgrade() -> None:
    op.drop_table("segment_member")
    op.drop_index("ix_event_timeline", "event")
    op.drop_column("event", "withdrawn_at")
    op.drop_column("event", "noticed_at")
    op.drop_column("event", "version")
