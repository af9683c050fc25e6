"""A table for each noun: leases, runs, flow runs and answers; rows say in which format their JSON is.

Before, one table of operations played leases and runs too, and answers were documents of a batch whose key
was a hash of the batch's.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OPEN = ("intended", "attached")
_BATCH = re.compile(r".+:[0-9a-f]{12}", re.DOTALL)
"""The name of a batch; other names that somebody holds are not its run."""

_operations = sa.table(
    "operations",
    *(sa.column(name) for name in ("scope", "key", "kind", "state", "worker", "lease_until", "intended_at")),
    sa.column("updated_at"), sa.column("fingerprint", sa.JSON), sa.column("result", sa.JSON),
)  # fmt: skip
_ANSWER = ("content_hash", "fingerprint", "status", "body", "updated_at")
_documents = sa.table("documents", *(sa.column(name) for name in ("scope", "batch", "name", *_ANSWER)))


def upgrade() -> None:
    """Make the tables, and bring along what older versions kept elsewhere."""
    for table in ("operations", "documents"):
        op.add_column(table, sa.Column("format", sa.Integer, nullable=False, server_default="1"))
        op.add_column(table, sa.Column("version", sa.String(64)))
    leases = op.create_table(
        "leases",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("document", sa.String(1000)),
        sa.Column("worker", sa.String(200), nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
        sa.Column("taken_at", sa.Float, nullable=False),
    )
    runs = op.create_table(
        "runs",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("owner", sa.String(300), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(200), nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("body", sa.JSON(none_as_null=True)),
        sa.Column("format", sa.Integer, nullable=False, server_default="1"),
        sa.Column("version", sa.String(64)),
    )
    flow_runs = op.create_table(
        "flow_runs",
        sa.Column("id", sa.String(300), primary_key=True),
        sa.Column("owner", sa.String(300), nullable=False),
        sa.Column("noted_at", sa.Float, nullable=False),
    )
    answers = op.create_table(
        "answers",
        sa.Column("scope", sa.String(300), primary_key=True),
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("question", sa.String(1000), primary_key=True),
        sa.Column("corpus", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("format", sa.Integer, nullable=False, server_default="1"),
        sa.Column("version", sa.String(64)),
    )
    connection = op.get_bind()
    _move_leases_and_runs(connection, leases, runs)
    _move_flow_runs(connection, flow_runs)
    _move_answers(connection, answers, runs)


def _move_leases_and_runs(connection: sa.Connection, leases: sa.Table, runs: sa.Table) -> None:
    """An operation `exclusive` was a held name, and, for a batch, its run with what it came to."""
    kinds = {"exclusive": "name", "document": "document", "member": "member"}
    found = connection.execute(sa.select(_operations).where(_operations.c.kind.in_(kinds))).mappings().all()
    held, begun = [], []
    for row in found:
        owner = row["fingerprint"].get("owner") or row["fingerprint"].get("name") or ""
        if row["state"] in _OPEN:
            held.append(
                {
                    "scope": row["scope"], "key": row["key"], "kind": kinds[row["kind"]], "owner": owner,
                    "document": row["fingerprint"].get("document"), "worker": row["worker"],
                    "lease_until": row["lease_until"], "taken_at": row["intended_at"],
                }
            )  # fmt: skip
        is_ended = isinstance(row["result"], dict) and "batch" in row["result"]
        is_under_way = row["state"] in _OPEN and _BATCH.fullmatch(owner)
        if row["kind"] == "exclusive" and (is_under_way or is_ended):
            begun.append(
                {
                    "scope": row["scope"], "owner": owner, "number": 1, "worker": row["worker"],
                    "started_at": row["intended_at"], "ended_at": row["updated_at"] if is_ended else None,
                    "body": row["result"] if is_ended else None,
                }
            )  # fmt: skip
    _insert(connection, leases, held)
    _insert(connection, runs, begun)
    connection.execute(_operations.delete().where(_operations.c.kind.in_(kinds)))


def _move_flow_runs(connection: sa.Connection, flow_runs: sa.Table) -> None:
    is_one = _operations.c.kind == "flow-run"
    found = connection.execute(sa.select(_operations).where(is_one)).mappings().all()
    noted = [
        {"id": row["fingerprint"]["run"], "owner": row["result"]["owner"], "noted_at": row["updated_at"]}
        for row in found
        if row["result"]
    ]
    _insert(connection, flow_runs, noted)
    connection.execute(_operations.delete().where(is_one))


def _move_answers(connection: sa.Connection, answers: sa.Table, runs: sa.Table) -> None:
    """Documents whose batch is the hash of another one's key are that batch's answers.

    Answers about a batch that has neither a document nor a run any more could not be found before either.
    """
    batches = set(connection.execute(sa.select(_documents.c.batch).distinct()).scalars())
    ended = connection.execute(sa.select(runs.c.body).where(runs.c.body.is_not(None))).scalars()
    batches |= {body["batch"] for body in ended}
    for batch in sorted(batches):
        is_answer = _documents.c.batch == _answers_key(batch)
        columns = ("scope", "batch", "question", "corpus", *_ANSWER[1:])
        moved = sa.select(
            _documents.c.scope, sa.literal(batch), _documents.c.name,
            *(_documents.c[name] for name in _ANSWER),
        ).where(is_answer)  # fmt: skip
        connection.execute(answers.insert().from_select(columns, moved, include_defaults=False))
        connection.execute(_documents.delete().where(is_answer))


def _answers_key(batch: str) -> str:
    """The key under which older versions kept the answers about a batch."""
    text = json.dumps(["answers", {"batch": batch}], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def downgrade() -> None:
    """Journals only go forward: an older version must not read a newer journal."""
    raise RuntimeError("A journal can't be downgraded: restore the copy that the older version wrote.")
