"""What was said in turns, for as long as a setting says, and what past runs came to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; older versions kept no transcripts, and of runs only the last one."""
    op.create_table(
        "transcripts",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(300), nullable=False),
        sa.Column("step", sa.String(500), nullable=False),
        sa.Column("agent", sa.String(300), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("kept_at", sa.Float, nullable=False),
        sa.Column("format", sa.Integer, nullable=False, server_default="1"),
        sa.Column("version", sa.String(64)),
    )
    op.create_index("transcripts_by_owner", "transcripts", ["scope", "owner"])
    op.create_index("transcripts_by_age", "transcripts", ["kept_at"])
    op.create_table(
        "past_runs",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("owner", sa.String(300), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("format", sa.Integer, nullable=False, server_default="1"),
        sa.Column("version", sa.String(64)),
    )


def downgrade() -> None:
    """Journals only go forward: an older version must not read a newer journal."""
    raise RuntimeError("A journal can't be downgraded: restore the copy that the older version wrote.")
