"""Firings: what triggers did, once per rule and cause.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import number, time, words

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "firing",
        number("id"),
        words("key"),
        words("rule"),
        number("rule_version"),
        words("action"),
        number("subject_id", null=True),
        number("entity_id"),
        words("cause"),
        words("topic"),
        words("state"),
        words("reason"),
        time("at"),
        time("created_at"),
        time("not_before"),
        number("attempts"),
        time("done_at", null=True),
        words("result"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_firing")),
        sa.UniqueConstraint("key", name=op.f("uq_firing_key")),
    )
    op.create_index("ix_firing_subject", "firing", ["subject_id", "rule", "created_at"])
    op.create_index("ix_firing_rule", "firing", ["rule", "created_at"])
    op.create_index("ix_firing_due", "firing", ["state", "not_before"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE firing_numbers")


def downgrade() -> None:
    op.drop_table("firing")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP SEQUENCE firing_numbers")
