"""Where batches lie, and what people decided about documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; older versions let nobody review, and their batches are noted by their next runs."""
    op.create_table(
        "batches",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(300), nullable=False),
        sa.Column("pipeline", sa.String(300), nullable=False),
        sa.Column("documents", sa.Text, nullable=False),
        sa.Column("pipeline_file", sa.Text, nullable=False),
        sa.Column("out", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("noted_at", sa.Float, nullable=False),
    )
    op.create_table(
        "reviews",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("batch", sa.String(64), nullable=False),
        sa.Column("document", sa.String(1000), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("decided_by", sa.String(200), nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("step", sa.String(500)),
        sa.Column("question", sa.String(64)),
        sa.Column("seen", sa.String(64), nullable=False),
        sa.Column("left", sa.String(64), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("decided_at", sa.Float, nullable=False),
        sa.Column("undone_at", sa.Float),
        sa.Column("undone_by", sa.String(200)),
        sa.Column("format", sa.Integer, nullable=False, server_default="1"),
        sa.Column("version", sa.String(64)),
    )
    op.create_index("reviews_by_document", "reviews", ["scope", "batch", "document"])


def downgrade() -> None:
    """Journals only go forward: an older version must not read a newer journal."""
    raise RuntimeError("A journal can't be downgraded: restore the copy that the older version wrote.")
