"""Plans that wait for approval, and what became of them; when a write was proved.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import document, number, octets, some, time, words

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("intent", time("landed_at", null=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE plan_numbers")
    op.create_table(
        "plan",
        number("id"),
        words("digest"),
        words("kind"),
        words("state"),
        words("connection"),
        time("made_at"),
        words("made_by"),
        time("decided_at", null=True),
        words("decided_by"),
        words("note"),
        document("summary"),
        document("runs"),
        document("outcome"),
        octets("content"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan")),
    )
    op.create_index("ix_plan_digest", "plan", ["digest", "id"])
    op.create_index("ix_plan_connection", "plan", ["connection", "id"])
    some("uq_plan_waiting", "plan", ["connection"], where="state = 'waiting'", unique=True)


def downgrade() -> None:
    op.drop_column("intent", "landed_at")
    op.drop_table("plan")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP SEQUENCE plan_numbers")
