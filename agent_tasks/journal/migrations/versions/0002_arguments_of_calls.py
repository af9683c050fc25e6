"""What a tool call was asked to do, for people who decide on it; live resources by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; calls of older versions have none."""
    op.add_column("tool_calls", sa.Column("arguments", sa.Text))
    op.create_index("resources_by_state", "resources", ["scope", "state"])


def downgrade() -> None:
    """Journals only go forward: an older version must not read a newer journal."""
    raise RuntimeError("A journal can't be downgraded: restore the copy that the older version wrote.")
