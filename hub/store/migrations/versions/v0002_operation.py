"""What ran, rewards, configuration and people; numbers on PostgreSQL.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.migrations.columns import document, flag, number, octets, some, time, words

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


KINDS = (
    "version",
    "entity",
    "link",
    "intent",
    "hint",
    "conflict",
    "ruling",
    "quarantine",
    "hold",
    "identity",
    "run",
    "event",
    "grant",
)

# Raises a sequence by many at once; hub.store.dialects tells why it locks.
DRAW_FUNCTION = """
CREATE FUNCTION hub_draw(kind text, many bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    numbers regclass := (kind || '_numbers')::regclass;
    last bigint;
BEGIN
    IF kind = 'version' THEN
        RETURN nextval(numbers);
    END IF;
    PERFORM pg_advisory_lock(7411 * 10000000000 + numbers::oid::bigint);
    last := nextval(numbers) + many - 1;
    PERFORM setval(numbers, last);
    PERFORM pg_advisory_unlock(7411 * 10000000000 + numbers::oid::bigint);
    RETURN last;
END $$
"""

TABLES = (
    "run",
    "run_stream",
    "slot",
    "lease",
    "counter",
    "event",
    "grant",
    "grant_entry",
    "budget",
    "mapping_version",
    "audit",
    "user",
    "secret",
    "setting",
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for kind in KINDS:
            op.execute(f"CREATE SEQUENCE {kind}_numbers")
        op.execute(DRAW_FUNCTION)
    _run()
    _run_stream()
    _slot()
    _lease()
    _counter()
    _event()
    _grant()
    _grant_entry()
    _budget()
    _mapping_version()
    _audit()
    _user()
    _secret()
    _setting()


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION hub_draw")
        for kind in KINDS:
            op.execute(f"DROP SEQUENCE {kind}_numbers")


def _run() -> None:
    op.create_table(
        "run",
        number("id"),
        words("connection"),
        words("kind"),
        time("started_at"),
        time("ended_at", null=True),
        words("status"),
        document("counts"),
        words("error"),
        words("lease"),
        number("epoch"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index("ix_run_connection", "run", ["connection", "id"])
    some("ix_run_running", "run", ["id"], where="status = 'running'")


def _run_stream() -> None:
    op.create_table(
        "run_stream",
        number("run_id"),
        words("stream"),
        words("direction"),
        document("counts"),
        sa.PrimaryKeyConstraint("run_id", "stream", "direction", name=op.f("pk_run_stream")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_stream_run_id")),
    )


def _slot() -> None:
    op.create_table(
        "slot",
        words("connection"),
        time("due_at"),
        words("outcome"),
        words("why"),
        sa.PrimaryKeyConstraint("connection", "due_at", name=op.f("pk_slot")),
    )


def _lease() -> None:
    op.create_table(
        "lease",
        words("name"),
        words("owner"),
        number("epoch"),
        time("expires_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )


def _counter() -> None:
    op.create_table(
        "counter",
        words("name"),
        number("value"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
        sqlite_with_rowid=False,
    )


def _event() -> None:
    op.create_table(
        "event",
        number("id"),
        words("key"),
        words("name"),
        number("entity_id"),
        number("subject_id", null=True),
        time("at"),
        words("source"),
        flag("silent"),
        document("values"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("key", name=op.f("uq_event_key")),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], name=op.f("fk_event_entity_id")),
    )
    op.create_index("ix_event_entity", "event", ["entity_id"])
    op.create_index("ix_event_subject", "event", ["subject_id", "name"])


def _grant() -> None:
    op.create_table(
        "grant",
        number("id"),
        words("key"),
        words("rule"),
        number("subject_id"),
        number("event_id", null=True),
        words("connection"),
        words("product"),
        words("amount"),
        words("currency"),
        words("budget"),
        words("reference"),
        words("state"),
        document("recipient"),
        time("not_before"),
        time("first_sent", null=True),
        time("last_possible", null=True),
        words("order_id", null=True),
        number("attempts"),
        number("epoch"),
        time("created_at"),
        words("detail"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant")),
        sa.UniqueConstraint("key", name=op.f("uq_grant_key")),
        sa.UniqueConstraint("connection", "reference", name=op.f("uq_grant_reference")),
        sa.ForeignKeyConstraint(["subject_id"], ["entity.id"], name=op.f("fk_grant_subject_id")),
    )
    op.create_index("ix_grant_state", "grant", ["state", "id"])
    op.create_index("ix_grant_subject", "grant", ["subject_id", "rule"])


def _grant_entry() -> None:
    op.create_table(
        "grant_entry",
        number("id", auto=True),
        number("grant_id"),
        words("kind"),
        words("amount"),
        time("at"),
        words("detail"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant_entry")),
        sa.ForeignKeyConstraint(["grant_id"], ["grant.id"], name=op.f("fk_grant_entry_grant_id")),
    )
    op.create_index("ix_grant_entry_grant", "grant_entry", ["grant_id", "id"])


def _budget() -> None:
    op.create_table(
        "budget",
        words("name"),
        words("period"),
        number("cap_minor"),
        number("reserved_minor"),
        number("spent_minor"),
        sa.PrimaryKeyConstraint("name", "period", name=op.f("pk_budget")),
        sa.CheckConstraint("reserved_minor >= 0 AND spent_minor >= 0", name=op.f("ck_budget_not_negative")),
        sa.CheckConstraint("reserved_minor + spent_minor <= cap_minor", name=op.f("ck_budget_within_cap")),
    )


def _mapping_version() -> None:
    op.create_table(
        "mapping_version",
        words("name"),
        number("version"),
        words("kind"),
        words("digest"),
        words("content"),
        words("by"),
        time("at"),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_mapping_version")),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        number("id", auto=True),
        words("actor"),
        words("action"),
        words("target"),
        document("before"),
        document("after"),
        time("at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )


def _user() -> None:
    op.create_table(
        "user",
        words("name"),
        words("role"),
        words("password_hash"),
        flag("active"),
        time("created_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_user")),
    )


def _secret() -> None:
    op.create_table(
        "secret",
        words("name"),
        octets("ciphertext"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secret")),
    )


def _setting() -> None:
    op.create_table(
        "setting",
        words("name"),
        document("value"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
