"""Pairs as rows of their own, with a score; rulings on records that are not there yet.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import document, number, some, time, words

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PAIRS = ("review", "never", "always")
KEPT = ("kind", "state", "evidence", "before", "by", "at", "version", "run_id", "note")


def upgrade() -> None:
    old = [dict(row) for row in op.get_bind().execute(sa.text("SELECT * FROM identity ORDER BY id")).mappings()]
    op.drop_table("identity")
    made = op.create_table(
        "identity", number("id"), words("kind"), words("state"), words("key", null=True),
        number("entity_id", null=True), number("other_id", null=True), time("score", null=True),
        document("evidence"), document("before"), words("by"), time("at"), number("version"),
        number("run_id", null=True), words("note"),
        sa.PrimaryKeyConstraint("id", name="pk_identity"),
        sa.UniqueConstraint("kind", "key", name="uq_identity_key"),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name="fk_identity_entity_id"),
        sa.ForeignKeyConstraint(["other_id"], ["entity.id"], name="fk_identity_other_id"),
    )  # fmt: skip
    op.create_index("ix_identity_entity", "identity", ["entity_id"])
    some("ix_identity_other", "identity", ["other_id"], where="other_id IS NOT NULL")
    op.create_index("ix_identity_kind", "identity", ["kind", "state", "id"])
    op.create_table(
        "identity_record", words("connection"), words("stream"), words("external_id"), number("identity_id"),
        sa.PrimaryKeyConstraint("connection", "stream", "external_id", "identity_id", name="pk_identity_record"),
        sa.ForeignKeyConstraint(["identity_id"], ["identity.id"], name="fk_identity_record_identity_id"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    if old:
        op.bulk_insert(made, _pairs(old))


def _pairs(old: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row that named several others becomes one per pair; of a pair that stood twice, the first."""
    found: dict[Any, dict[str, Any]] = {}
    spare = _numbers(sum(max(0, len(json.loads(row["others"])) - 1) for row in old))
    for row in old:
        for place, other in enumerate(json.loads(row["others"])):
            one = {"id": spare.pop(0) if place else row["id"], **{name: row[name] for name in KEPT}}
            ends, key = (row["entity_id"], other), None
            if row["kind"] in PAIRS:
                ends = (min(ends), max(ends))
                key = f"{ends[0]}-{ends[1]}"
            one |= {"entity_id": ends[0], "other_id": ends[1], "score": None, "key": key}
            found.setdefault((row["kind"], key or one["id"]), one)
    return list(found.values())


def _numbers(many: int) -> list[int]:
    """Fresh ids, from where the store draws them."""
    if not many:
        return []
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        last = bind.execute(sa.text("SELECT hub_draw('identity', :many)"), {"many": many}).scalar_one()
    else:
        raised = "UPDATE counter SET value = value + :many WHERE name = 'identity' RETURNING value"
        last = bind.execute(sa.text(raised), {"many": many}).scalar_one()
    return list(range(last - many + 1, last + 1))
