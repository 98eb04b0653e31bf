"""Entities, links, intents, what is read, what waits for a person.

Revision ID: 0001
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import document, number, octets, some, time, words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


TABLES = (
    "entity",
    "entity_key",
    "link",
    "history",
    "intent",
    "cursor",
    "delivery",
    "hint",
    "tombstone",
    "tombstone_key",
    "conflict",
    "ruling",
    "identity",
    "quarantine",
    "hold",
    "hold_item",
)


def upgrade() -> None:
    _entity()
    _entity_key()
    _link()
    _history()
    _intent()
    _cursor()
    _delivery()
    _hint()
    _tombstone()
    _tombstone_key()
    _conflict()
    _ruling()
    _identity()
    _quarantine()
    _hold()
    _hold_item()


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)


def _entity() -> None:
    op.create_table(
        "entity",
        number("id"),
        words("type"),
        number("version"),
        words("state"),
        number("alias_of", null=True),
        document("values"),
        document("fields"),
        time("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entity")),
        sa.ForeignKeyConstraint(["alias_of"], ["entity.id"], name=op.f("fk_entity_alias_of")),
    )
    some("ix_entity_alias", "entity", ["alias_of"], where="alias_of IS NOT NULL")
    some("ix_entity_other", "entity", ["type", "state"], where="state <> 'live'")
    op.create_index("ix_entity_type", "entity", ["type", "id"])


def _entity_key() -> None:
    op.create_table(
        "entity_key",
        words("key_value"),
        words("key_name"),
        words("type"),
        number("entity_id"),
        sa.PrimaryKeyConstraint("key_value", "key_name", "type", "entity_id", name=op.f("pk_entity_key")),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_entity_key_entity_id")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_entity_key_entity", "entity_key", ["entity_id"])


def _link() -> None:
    op.create_table(
        "link",
        number("id"),
        words("connection"),
        words("stream"),
        words("external_id", null=True),
        number("entity_id"),
        words("state"),
        time("stamp", null=True),
        time("read_at", null=True),
        words("hash", null=True),
        time("behind_since", null=True),
        time("retry_at", null=True),
        number("attempts"),
        words("marker", null=True),
        number("hold_id", null=True),
        number("mapping_version"),
        document("shadow"),
        octets("raw", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint("connection", "stream", "external_id", name=op.f("uq_link_record")),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_link_entity_id")),
    )
    some("ix_link_behind", "link", ["connection", "stream", "id"], where="behind_since IS NOT NULL")
    op.create_index("ix_link_entity", "link", ["entity_id"])
    some("ix_link_hold", "link", ["hold_id"], where="hold_id IS NOT NULL")
    some("ix_link_marker", "link", ["connection", "stream", "marker"], where="marker IS NOT NULL")
    some("ix_link_other", "link", ["connection", "stream", "state"], where="state <> 'live'")


def _history() -> None:
    op.create_table(
        "history",
        number("id", auto=True),
        number("entity_id"),
        number("version"),
        time("at"),
        document("changes"),
        number("run_id", null=True),
        number("mapping_version"),
        words("actor"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
    )
    op.create_index("ix_history_entity", "history", ["entity_id", "id"])


def _intent() -> None:
    op.create_table(
        "intent",
        number("id"),
        words("connection"),
        words("stream"),
        number("link_id"),
        number("entity_id"),
        words("op"),
        document("values"),
        document("body"),
        number("version"),
        words("external_id", null=True),
        time("pre_stamp", null=True),
        words("reference"),
        words("idempotency_key"),
        time("created_at"),
        time("first_sent", null=True),
        time("last_possible", null=True),
        words("state"),
        document("before"),
        number("run_id", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intent")),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_intent_link_id")),
    )
    op.create_index("ix_intent_entity", "intent", ["entity_id"])
    some("ix_intent_open", "intent", ["connection", "stream", "id"], where="state IN ('open', 'acked')")
    op.create_index("ix_intent_run", "intent", ["run_id"])
    some("uq_intent_open", "intent", ["link_id"], where="state IN ('open', 'acked')", unique=True)


def _cursor() -> None:
    op.create_table(
        "cursor",
        words("connection"),
        words("stream"),
        document("value"),
        sa.PrimaryKeyConstraint("connection", "stream", name=op.f("pk_cursor")),
    )


def _delivery() -> None:
    op.create_table(
        "delivery",
        words("connection"),
        words("key"),
        octets("body"),
        time("at"),
        sa.PrimaryKeyConstraint("connection", "key", name=op.f("pk_delivery")),
    )
    op.create_index("ix_delivery_at", "delivery", ["at"])


def _hint() -> None:
    op.create_table(
        "hint",
        number("id"),
        words("connection"),
        words("stream"),
        words("external_id"),
        time("not_before_stamp", null=True),
        number("attempts"),
        time("due_at"),
        words("reason"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hint")),
        sa.UniqueConstraint("connection", "stream", "external_id", name=op.f("uq_hint_record")),
    )
    op.create_index("ix_hint_due", "hint", ["connection", "due_at"])


def _tombstone() -> None:
    op.create_table(
        "tombstone",
        words("connection"),
        words("stream"),
        words("external_id"),
        number("link_id", null=True),
        number("entity_id", null=True),
        words("evidence"),
        time("at"),
        document("keys"),
        sa.PrimaryKeyConstraint("connection", "stream", "external_id", name=op.f("pk_tombstone")),
    )


def _tombstone_key() -> None:
    op.create_table(
        "tombstone_key",
        words("hash"),
        words("connection"),
        words("stream"),
        words("external_id"),
        sa.PrimaryKeyConstraint("hash", "connection", "stream", "external_id", name=op.f("pk_tombstone_key")),
    )


def _conflict() -> None:
    op.create_table(
        "conflict",
        number("id"),
        number("entity_id"),
        words("field"),
        words("kind"),
        document("candidates"),
        words("digest"),
        document("winner"),
        number("winner_link", null=True),
        words("decided_by"),
        words("state"),
        time("at"),
        number("version"),
        number("run_id", null=True),
        words("note"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conflict")),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_conflict_entity_id")),
    )
    op.create_index("ix_conflict_entity", "conflict", ["entity_id", "field"])
    some("uq_conflict_open", "conflict", ["entity_id", "field"], where="state = 'open'", unique=True)


def _ruling() -> None:
    op.create_table(
        "ruling",
        number("id"),
        number("entity_id"),
        words("field"),
        document("value"),
        number("version"),
        words("by"),
        time("at"),
        words("note"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ruling")),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_ruling_entity_id")),
    )
    op.create_index("ix_ruling_entity", "ruling", ["entity_id"])


def _identity() -> None:
    op.create_table(
        "identity",
        number("id"),
        words("kind"),
        words("state"),
        number("entity_id"),
        document("others"),
        document("evidence"),
        document("before"),
        words("by"),
        time("at"),
        number("version"),
        number("run_id", null=True),
        words("note"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_identity_entity_id")),
    )
    op.create_index("ix_identity_entity", "identity", ["entity_id"])
    op.create_index("ix_identity_kind", "identity", ["kind", "state", "id"])


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        number("id"),
        words("connection"),
        words("stream"),
        words("external_id"),
        words("field"),
        words("direction"),
        words("code"),
        words("message"),
        words("fix"),
        document("value"),
        time("at"),
        number("run_id", null=True),
        number("entity_id", null=True),
        number("link_id", null=True),
        words("state"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
    )
    some("ix_quarantine_link", "quarantine", ["link_id"], where="state = 'open'")
    some(
        "uq_quarantine_link",
        "quarantine",
        ["link_id", "field", "direction"],
        where="state = 'open' AND external_id = ''",
        unique=True,
    )
    some(
        "uq_quarantine_record",
        "quarantine",
        ["connection", "stream", "external_id", "field", "direction"],
        where="state = 'open' AND external_id <> ''",
        unique=True,
    )


def _hold() -> None:
    op.create_table(
        "hold",
        number("id"),
        words("guard"),
        words("connection"),
        words("stream"),
        words("field"),
        number("count"),
        number("of"),
        words("state"),
        words("message"),
        time("at"),
        number("run_id", null=True),
        number("ceiling"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    some("uq_hold_open", "hold", ["connection", "guard", "stream", "field"], where="state = 'open'", unique=True)


def _hold_item() -> None:
    op.create_table(
        "hold_item",
        number("hold_id"),
        number("link_id"),
        words("field"),
        sa.PrimaryKeyConstraint("hold_id", "link_id", "field", name=op.f("pk_hold_item")),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name=op.f("fk_hold_item_hold_id")),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_hold_item_link_id")),
    )
    op.create_index("ix_hold_item_link", "hold_item", ["link_id"])
