"""Alembic's entry: migrations run on the connection that the journal hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from agent_tasks.journal.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
context.run_migrations()
