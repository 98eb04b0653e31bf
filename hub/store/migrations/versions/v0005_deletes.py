"""What a delete elsewhere asks of a link, and when a vendor says that a record was deleted.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

from hub.store.migrations.columns import some, time, words

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("link", words("leaving", null=True))
    op.add_column("tombstone", time("stamp", null=True))
    some("ix_link_leaving", "link", ["connection", "stream", "id"], where="leaving IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_link_leaving", "link")
    op.drop_column("tombstone", "stamp")
    op.drop_column("link", "leaving")
