"""Figures that are kept: what records say, what it comes to, and what changed since.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import document, number, octets, some, time, words

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "figure_fact",
        number("entity_id"),
        words("via"),
        number("person"),
        time("turns_at", null=True),
        document("facts"),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_figure_fact_entity_id")),
        sa.PrimaryKeyConstraint("entity_id", "via", name=op.f("pk_figure_fact")),
    )
    op.create_index("ix_figure_fact_person", "figure_fact", ["person", "via"])
    some("ix_figure_fact_turns", "figure_fact", ["turns_at"], where="turns_at IS NOT NULL")
    op.create_table(
        "figure_sum",
        words("kpi"),
        words("span"),
        words("part"),
        words("under"),
        number("of"),
        octets("waits"),
        sa.PrimaryKeyConstraint("kpi", "span", name=op.f("pk_figure_sum")),
    )
    op.create_table(
        "figure_note",
        number("id", auto=True),
        number("entity_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_figure_note")),
    )


def downgrade() -> None:
    for each in ("figure_note", "figure_sum", "figure_fact"):
        op.drop_table(each)
