"""What people are asked, and what they decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; older versions asked nobody."""
    op.create_table(
        "decisions",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(300), nullable=False),
        sa.Column("step", sa.String(500), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("shown_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("asked_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("at_limit", sa.String(16), nullable=False),
        sa.Column("decided_at", sa.Float),
        sa.Column("decided_by", sa.String(200)),
        sa.Column("note", sa.Text),
        sa.Column("taken_at", sa.Float),
        sa.Column("format", sa.Integer, nullable=False, server_default="1"),
        sa.Column("version", sa.String(64)),
    )
    op.create_index("decisions_by_state", "decisions", ["scope", "state"])
    op.create_index("decisions_by_owner", "decisions", ["scope", "owner"])


def downgrade() -> None:
    """Journals only go forward: an older version must not read a newer journal."""
    raise RuntimeError("A journal can't be downgraded: restore the copy that the older version wrote.")
