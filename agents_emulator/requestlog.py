"""The request log: what was asked of the service, in which order, and what came of it.

It is a table of the service's own database, so it survives a restart: tests prove with it that no turn was
served twice. A request that may change something is entered *before* its effect, so that even an effect whose
answer was lost to a kill has its row (with a null status). Credentials are never in it: no headers are kept,
and header values inside bodies (MCP servers) are redacted.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_tasks.redaction import redacted, without_headers
from agents_emulator.store import Record, Store

MAX_LOGGED_BODY = 256 * 1024
_PAGE_ROWS = 1000
_SCOPE_KEY = "agents_emulator.log_entry"


@dataclass
class LogEntry:
    """One request on its way through the service; the handler fills in what it learns."""

    method: str
    path: str
    query: str
    started: float = field(default_factory=time.time)
    row: int | None = None
    operation: str | None = None
    body: Any = None
    response_id: str | None = None
    error: str | None = None
    fault: str | None = None
    retry_after: float | None = None
    told: str | None = None
    """The state of what was read, such as `in_progress`."""


def entry_of(scope: Scope) -> LogEntry:
    """Return the entry the middleware made for this request."""
    entry: LogEntry = scope[_SCOPE_KEY]
    return entry


class RequestLog:
    """Reads and writes the `requests` and `generations` tables."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, entry: LogEntry) -> None:
        """Enter a request before its effect."""
        entry.row = await self._store.write(lambda db: _insert_request(db, entry, None, None))

    async def finish(self, entry: LogEntry, status: int) -> None:
        """Record the answer: after this, a client may see it."""
        milliseconds = round((time.time() - entry.started) * 1000, 1)
        if entry.row is None:
            await self._store.write(lambda db: _insert_request(db, entry, status, milliseconds))
            return
        await self._store.write(
            lambda db: db.execute(
                "UPDATE requests SET status = ?, response_id = ?, error = ?, fault = ?, ms = ? WHERE id = ?",
                (status, entry.response_id, entry.error, entry.fault, milliseconds, entry.row),
            )
        )

    async def requests(self, after: int) -> list[Record]:
        """Return up to 1,000 rows with an id above `after`, oldest first."""
        rows = await self._store.read(lambda db: _rows(db, "requests", after))
        return [{**row, "body": None if row["body"] is None else json.loads(row["body"])} for row in rows]

    async def generations(self, after: int) -> list[Record]:
        """Return up to 1,000 model invocations with an id above `after`, oldest first.

        `outcome` is "started" while (or if the service died while) the model worked, then its finish reason,
        an error code, or "interrupted".
        """
        return await self._store.read(lambda db: _rows(db, "generations", after))

    async def generation_started(self, run: Record, model: str) -> int:
        """Enter a model invocation for a run; returns its row for `generation_finished`."""

        def insert(db: sqlite3.Connection) -> int:
            cursor = db.execute(
                "INSERT INTO generations (time, run_id, thread_id, model, outcome) "
                "VALUES (?, ?, ?, ?, 'started')",
                (time.time(), run["id"], run["thread_id"], model),
            )
            return int(cursor.lastrowid or 0)

        return await self._store.write(insert)

    async def generation_finished(
        self,
        row: int,
        outcome: str,
        milliseconds: float,
        *,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
    ) -> None:
        """Record how a model invocation ended, its tokens and its duration."""
        await self._store.write(
            lambda db: db.execute(
                "UPDATE generations SET outcome = ?, prompt_tokens = ?, completion_tokens = ?, ms = ? "
                "WHERE id = ?",
                (outcome, prompt_tokens, completion_tokens, round(milliseconds, 1), row),
            )
        )


class RequestLogMiddleware:
    """Gives every request of the versioned API its entry and records the status before the answer leaves."""

    def __init__(self, app: ASGIApp, log_of: Any) -> None:
        self._app = app
        self._log_of = log_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith("/_emulator/"):
            await self._app(scope, receive, send)
            return
        log: RequestLog = self._log_of()
        entry = LogEntry(scope["method"], scope["path"], _query(scope))
        scope[_SCOPE_KEY] = entry

        async def send_logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                await log.finish(entry, message["status"])
            await send(message)

        await self._app(scope, receive, send_logged)


def _query(scope: Scope) -> str:
    return redacted("?" + scope["query_string"].decode("ascii", "replace"))[1:]


def _insert_request(
    db: sqlite3.Connection, entry: LogEntry, status: int | None, milliseconds: float | None
) -> int:
    cursor = db.execute(
        "INSERT INTO requests (time, method, path, query, operation, status, body, response_id, error, ms, "
        "fault, retry_after, told) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.started,
            entry.method,
            entry.path,
            entry.query,
            entry.operation,
            status,
            _body_text(entry.body),
            entry.response_id,
            entry.error,
            milliseconds,
            entry.fault,
            entry.retry_after,
            entry.told,
        ),
    )
    return int(cursor.lastrowid or 0)


def _body_text(body: Any) -> str | None:
    if body is None:
        return None
    text = json.dumps(without_headers(body))
    return text if len(text) <= MAX_LOGGED_BODY else json.dumps({"omitted_bytes": len(text)})


def _rows(db: sqlite3.Connection, table: str, after: int) -> list[Record]:
    cursor = db.execute(
        f"SELECT * FROM {table} WHERE id > ? ORDER BY id LIMIT ?",  # noqa: S608 - our own table name
        (after, _PAGE_ROWS),
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
