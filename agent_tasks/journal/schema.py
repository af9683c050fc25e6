"""The journal's tables (SQLAlchemy Core).

Times are seconds since the epoch (UTC) as floats. `scope` names the service the row speaks about, so that one
journal can serve several endpoints without mixing up their ids. Nothing here is a secret: prompts appear as
hashes, tool arguments as a hash and, shortened and without headers, for people who have to tell calls apart;
results as the plain JSON that the caller gets; transcripts have theirs left out, and are kept for a time.

What a row of each table is: docs/durability.md, The journal. JSON bodies carry the number of their format and
the version of this package that wrote them (`agent_tasks.journal.bodies`). Change a table only together with
a migration in `migrations/versions` and `SCHEMA_REVISION`.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, MetaData, String, Table, Text

SCHEMA_REVISION = "0006"
"""The newest migration; a journal that names an unknown one was written by a newer version."""

metadata = MetaData()


def _written() -> tuple[Column[int], Column[str]]:
    """Say how a row's JSON is to be read; `version` is unknown (null) in rows from before schema 0003."""
    return Column("format", Integer, nullable=False, server_default="1"), Column("version", String(64))


operations = Table(
    "operations",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("fingerprint", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(200), nullable=False),
    Column("lease_until", Float, nullable=False),
    Column("remote", JSON, nullable=False),
    Column("result", JSON),
    Column("error", JSON),
    Column("intended_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    *_written(),
    Index("operations_by_worker", "worker", "state"),
)

tool_calls = Table(
    "tool_calls",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("turn_id", String(100), primary_key=True),
    Column("call_id", String(100), primary_key=True),
    Column("operation_key", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("arguments_hash", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("output", Text),
    Column("error_type", String(200)),
    Column("started_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("arguments", Text),
    Index("tool_calls_by_operation", "scope", "operation_key"),
)

resources = Table(
    "resources",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("remote_id", String(100), primary_key=True),
    Column("operation_key", String(64), nullable=False),
    Column("owner", String(300), nullable=False),
    Column("name", String(500), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("deleted_at", Float),
    Index("resources_by_owner", "scope", "owner", "state"),
    Index("resources_by_operation", "scope", "operation_key"),
    Index("resources_by_state", "scope", "state"),
)

documents = Table(
    "documents",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("batch", String(64), primary_key=True),
    Column("name", String(1000), primary_key=True),
    Column("content_hash", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("status", String(32), nullable=False),
    Column("body", JSON, nullable=False),
    Column("updated_at", Float, nullable=False),
    *_written(),
    Index("documents_by_status", "scope", "batch", "status"),
)

answers = Table(
    "answers",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("batch", String(64), primary_key=True),
    Column("question", String(1000), primary_key=True),
    Column("corpus", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("status", String(32), nullable=False),
    Column("body", JSON, nullable=False),
    Column("updated_at", Float, nullable=False),
    *_written(),
)

leases = Table(
    "leases",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("owner", Text, nullable=False),
    Column("document", String(1000)),
    Column("worker", String(200), nullable=False),
    Column("lease_until", Float, nullable=False),
    Column("taken_at", Float, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("owner", String(300), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("worker", String(200), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("body", JSON(none_as_null=True)),
    *_written(),
)

flow_runs = Table(
    "flow_runs",
    metadata,
    Column("id", String(300), primary_key=True),
    Column("owner", String(300), nullable=False),
    Column("noted_at", Float, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("owner", String(300), nullable=False),
    Column("step", String(500), nullable=False),
    Column("question", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("shown_hash", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("at_limit", String(16), nullable=False),
    Column("decided_at", Float),
    Column("decided_by", String(200)),
    Column("note", Text),
    Column("taken_at", Float),
    *_written(),
    Index("decisions_by_state", "scope", "state"),
    Index("decisions_by_owner", "scope", "owner"),
)

batches = Table(
    "batches",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("owner", String(300), nullable=False),
    Column("pipeline", String(300), nullable=False),
    Column("documents", Text, nullable=False),
    Column("pipeline_file", Text, nullable=False),
    Column("out", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("noted_at", Float, nullable=False),
)

reviews = Table(
    "reviews",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("batch", String(64), nullable=False),
    Column("document", String(1000), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("decided_by", String(200), nullable=False),
    Column("note", Text),
    Column("step", String(500)),
    Column("question", String(64)),
    Column("seen", String(64), nullable=False),
    Column("left", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("before", JSON, nullable=False),
    Column("decided_at", Float, nullable=False),
    Column("undone_at", Float),
    Column("undone_by", String(200)),
    *_written(),
    Index("reviews_by_document", "scope", "batch", "document"),
)

transcripts = Table(
    "transcripts",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("owner", String(300), nullable=False),
    Column("step", String(500), nullable=False),
    Column("agent", String(300), nullable=False),
    Column("body", JSON, nullable=False),
    Column("kept_at", Float, nullable=False),
    *_written(),
    Index("transcripts_by_owner", "scope", "owner"),
    Index("transcripts_by_age", "kept_at"),
)

past_runs = Table(
    "past_runs",
    metadata,
    Column("scope", String(300), primary_key=True),
    Column("owner", String(300), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("body", JSON, nullable=False),
    *_written(),
)
