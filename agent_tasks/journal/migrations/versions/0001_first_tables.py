"""The first tables: operations, tool calls, resources, documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the four tables, spelled out: a migration does not follow later changes of the schema."""
    op.create_table(
        "operations",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(200), nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("remote", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("error", sa.JSON),
        sa.Column("intended_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
    )
    op.create_index("operations_by_worker", "operations", ["worker", "state"])
    op.create_table(
        "tool_calls",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("turn_id", sa.String(100), primary_key=True),
        sa.Column("call_id", sa.String(100), primary_key=True),
        sa.Column("operation_key", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("arguments_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("output", sa.Text),
        sa.Column("error_type", sa.String(200)),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("finished_at", sa.Float),
    )
    op.create_index("tool_calls_by_operation", "tool_calls", ["scope", "operation_key"])
    op.create_table(
        "resources",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("remote_id", sa.String(100), primary_key=True),
        sa.Column("operation_key", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(300), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("deleted_at", sa.Float),
    )
    op.create_index("resources_by_owner", "resources", ["scope", "owner", "state"])
    op.create_index("resources_by_operation", "resources", ["scope", "operation_key"])
    op.create_table(
        "documents",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(1000), primary_key=True),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
    )
    op.create_index("documents_by_status", "documents", ["scope", "batch", "status"])


def downgrade() -> None:
    """Journals only go forward: an older version must not read a newer journal."""
    raise RuntimeError("A journal can't be downgraded: restore the copy that the older version wrote.")
