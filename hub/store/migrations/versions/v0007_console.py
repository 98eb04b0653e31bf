"""The console: sessions, sign-in links, tokens of programs, drafts, notes; and what its lists are read by.

Revision ID: 0007
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import document, number, some, time, words

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("user_session", "sign_in_link", "sign_in_failure", "api_token", "draft", "note")


def upgrade() -> None:
    _people()
    op.create_table(
        "draft",
        words("name"),
        words("content"),
        words("base"),
        words("by"),
        time("at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_draft")),
    )
    op.create_table(
        "note",
        number("id", auto=True),
        words("target"),
        words("by"),
        time("at"),
        words("text"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_note")),
    )
    op.create_index("ix_note_target", "note", ["target", "id"])
    op.create_index("ix_conflict_kind", "conflict", ["kind", "state", "id"])
    some("ix_conflict_waits", "conflict", ["id"], where="state = 'open'")
    some("ix_quarantine_code", "quarantine", ["code", "id"], where="state = 'open'")


def _people() -> None:
    op.create_table(
        "user_session",
        words("id"),
        words("user"),
        time("created_at"),
        time("seen_at"),
        time("expires_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_session")),
    )
    op.create_index("ix_user_session_user", "user_session", ["user"])
    op.create_table(
        "sign_in_link",
        words("id"),
        words("user"),
        time("expires_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_link")),
    )
    op.create_table(
        "sign_in_failure",
        words("name"),
        number("failures"),
        time("at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sign_in_failure")),
    )
    op.create_table(
        "api_token",
        words("id"),
        words("name"),
        words("user"),
        document("scopes"),
        time("created_at"),
        time("expires_at"),
        time("used_at", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
    )


def downgrade() -> None:
    op.drop_index("ix_quarantine_code", "quarantine")
    op.drop_index("ix_conflict_waits", "conflict")
    op.drop_index("ix_conflict_kind", "conflict")
    for name in reversed(TABLES):
        op.drop_table(name)
