"""Run by Alembic: applies migrations on the connection that hub.store.migrate hands over."""

from __future__ import annotations

from alembic import context

from hub.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,  # all migrations or none
)
with context.begin_transaction():
    context.run_migrations()
