"""Grants by the provider's number of their order: what becomes of a message is told under it.

Revision ID: 0019
Revises: 0017
"""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_grant_order", "grant", ["connection", "order_id"])


def downgrade() -> None:
    op.drop_index("ix_grant_order", "grant")
