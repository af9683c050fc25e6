"""SQLite storage: one database file, one thread that owns the connection, so one writer by construction.

Each resource lives in a table of the same shape (`Collection`): a growing sequence number for paging, its
id, the id of what it belongs to, and its record as JSON. WAL with `synchronous=NORMAL` keeps every committed
transaction when the process is killed (only a power cut can lose the last ones).
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from agents_emulator.errors import not_found
from agents_emulator.private import private_file

Record = dict[str, Any]
T = TypeVar("T")

_BUSY_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Page:
    """What a list request asks for."""

    limit: int = 20
    order: str = "desc"
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True)
class Collection:
    """One table of records. `noun` is how error messages call one of them.

    A record's id is unique below its parent: a file has one entry in each vector store that holds it.
    """

    name: str
    noun: str

    def create_table(self, db: sqlite3.Connection) -> None:
        """Create the table if this data directory does not have it."""
        db.execute(
            f"CREATE TABLE IF NOT EXISTS {self.name} (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
            "id TEXT NOT NULL, parent TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (parent, id))"
        )

    def insert(self, db: sqlite3.Connection, record: Record, parent: str = "") -> None:
        """Add `record` (it must have an `id`) as the newest below `parent`."""
        db.execute(
            f"INSERT INTO {self.name} (id, parent, body) VALUES (?, ?, ?)",  # noqa: S608 - our own table name
            (record["id"], parent, json.dumps(record)),
        )

    def insert_all(self, db: sqlite3.Connection, records: Sequence[Record], parent: str = "") -> None:
        """Add records, the last one as the newest below `parent`."""
        db.executemany(
            f"INSERT INTO {self.name} (id, parent, body) VALUES (?, ?, ?)",  # noqa: S608 - our own table name
            ((record["id"], parent, json.dumps(record)) for record in records),
        )

    def find(self, db: sqlite3.Connection, identifier: str, parent: str = "") -> Record | None:
        """Return the record, or None."""
        row = db.execute(
            f"SELECT body FROM {self.name} WHERE parent = ? AND id = ?",  # noqa: S608
            (parent, identifier),
        ).fetchone()
        return None if row is None else _load(row[0])

    def get(self, db: sqlite3.Connection, identifier: str, parent: str = "") -> Record:
        """Return the record; raise the service's 404 if there is none."""
        record = self.find(db, identifier, parent)
        if record is None:
            raise not_found(self.noun, identifier)
        return record

    def put(self, db: sqlite3.Connection, record: Record, parent: str = "") -> None:
        """Replace the stored record of the same id; its place in lists stays."""
        db.execute(
            f"UPDATE {self.name} SET body = ? WHERE parent = ? AND id = ?",  # noqa: S608
            (json.dumps(record), parent, record["id"]),
        )

    def delete(self, db: sqlite3.Connection, identifier: str, parent: str = "") -> bool:
        """Delete the record; False if there was none."""
        cursor = db.execute(
            f"DELETE FROM {self.name} WHERE parent = ? AND id = ?",  # noqa: S608
            (parent, identifier),
        )
        return cursor.rowcount > 0

    def delete_children(self, db: sqlite3.Connection, parent: str) -> None:
        """Delete everything below `parent`."""
        db.execute(f"DELETE FROM {self.name} WHERE parent = ?", (parent,))  # noqa: S608

    def select(
        self, db: sqlite3.Connection, parent: str | None = None, where: dict[str, Any] | None = None
    ) -> list[Record]:
        """Return all records (of one parent if given) with these top-level fields, oldest first."""
        condition, values = _conditions(parent, where)
        rows = db.execute(f"SELECT body FROM {self.name} WHERE {condition} ORDER BY seq", values)  # noqa: S608
        return [_load(row[0]) for row in rows]

    def last_sequence(self, db: sqlite3.Connection, parent: str = "") -> int:
        """Return the place of the newest record below `parent`, 0 if there is none."""
        query = f"SELECT COALESCE(MAX(seq), 0) FROM {self.name} WHERE parent = ?"  # noqa: S608
        return int(db.execute(query, (parent,)).fetchone()[0])

    def until(self, db: sqlite3.Connection, sequence: int, parent: str = "") -> list[Record]:
        """Return the records below `parent` up to a place, oldest first."""
        query = f"SELECT body FROM {self.name} WHERE parent = ? AND seq <= ? ORDER BY seq"  # noqa: S608
        return [_load(row[0]) for row in db.execute(query, (parent, sequence))]

    def count(self, db: sqlite3.Connection, parent: str = "") -> int:
        """Return how many records lie below `parent`."""
        query = f"SELECT COUNT(*) FROM {self.name} WHERE parent = ?"  # noqa: S608
        return int(db.execute(query, (parent,)).fetchone()[0])

    def parents_of(self, db: sqlite3.Connection, identifier: str) -> list[str]:
        """Return the parents that hold a record of this id."""
        rows = db.execute(f"SELECT parent FROM {self.name} WHERE id = ? ORDER BY seq", (identifier,))  # noqa: S608
        return [row[0] for row in rows]

    def page(
        self,
        db: sqlite3.Connection,
        page: Page,
        parent: str = "",
        where: dict[str, Any] | None = None,
        *,
        at_most: dict[str, float] | None = None,
    ) -> tuple[list[Record], bool]:
        """Return one page of records and whether more follow; cursors that name no record are a 404.

        `at_most`: greatest values of top-level fields that are numbers.
        """
        condition, values = _conditions(parent, where)
        for field, greatest in (at_most or {}).items():
            condition += " AND json_extract(body, ?) <= ?"
            values += [f"$.{field}", greatest]
        descending = page.order == "desc"
        for cursor, is_after in ((page.after, True), (page.before, False)):
            if cursor is not None:
                condition += f" AND seq {'<' if is_after == descending else '>'} ?"
                values.append(self._sequence(db, cursor, parent))
        # Only `before`: the page is the one that ends at the cursor, so it is read backwards.
        backwards = page.before is not None and page.after is None
        direction = "DESC" if descending != backwards else "ASC"
        rows = db.execute(
            f"SELECT body FROM {self.name} WHERE {condition} ORDER BY seq {direction} LIMIT ?",  # noqa: S608
            (*values, page.limit + 1),
        ).fetchall()
        records = [_load(row[0]) for row in rows[: page.limit]]
        if backwards:
            records.reverse()
        return records, len(rows) > page.limit

    def _sequence(self, db: sqlite3.Connection, identifier: str, parent: str) -> int:
        row = db.execute(
            f"SELECT seq FROM {self.name} WHERE parent = ? AND id = ?",  # noqa: S608
            (parent, identifier),
        ).fetchone()
        if row is None:
            raise not_found(self.noun, identifier)
        return int(row[0])


def _load(text: str) -> Record:
    record: Record = json.loads(text)
    return record


def _conditions(parent: str | None, where: dict[str, Any] | None) -> tuple[str, list[Any]]:
    parts, values = ["1"], []
    if parent is not None:
        parts.append("parent = ?")
        values.append(parent)
    for field, value in (where or {}).items():
        parts.append("json_extract(body, ?) = ?")
        values += [f"$.{field}", value]
    return " AND ".join(parts), values


AGENTS = Collection("agents", "assistant")
FILES = Collection("files", "file")
THREADS = Collection("threads", "thread")
MESSAGES = Collection("messages", "message")
RUNS = Collection("runs", "run")
RUN_STEPS = Collection("run_steps", "run step")
VECTOR_STORES = Collection("vector_stores", "vector store")
VECTOR_STORE_FILES = Collection("vector_store_files", "file")
FILE_BATCHES = Collection("file_batches", "file batch")
# Of the successor's wire (see `agents_emulator.responses`). A response is a run, so what it says is in RUNS.
NAMED_AGENTS = Collection("named_agents", "agent")
AGENT_NUMBERS = Collection("agent_numbers", "agent")
AGENT_VERSIONS = Collection("agent_versions", "agent version")
CONVERSATIONS = Collection("conversations", "conversation")
CONVERSATION_ITEMS = Collection("conversation_items", "item")
RESPONSES = Collection("responses", "response")
RESPONSE_EVENTS = Collection("response_events", "response")
CONTAINERS = Collection("containers", "container")
CONTAINER_FILES = Collection("container_files", "container file")

COLLECTIONS = (
    AGENTS,
    FILES,
    THREADS,
    MESSAGES,
    RUNS,
    RUN_STEPS,
    VECTOR_STORES,
    VECTOR_STORE_FILES,
    FILE_BATCHES,
    NAMED_AGENTS,
    AGENT_NUMBERS,
    AGENT_VERSIONS,
    CONVERSATIONS,
    CONVERSATION_ITEMS,
    RESPONSES,
    RESPONSE_EVENTS,
    CONTAINERS,
    CONTAINER_FILES,
)

_LOG_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    query TEXT NOT NULL, operation TEXT, status INTEGER, body TEXT, response_id TEXT, error TEXT, ms REAL);
CREATE TABLE IF NOT EXISTS generations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, run_id TEXT NOT NULL, thread_id TEXT NOT NULL,
    model TEXT NOT NULL, outcome TEXT NOT NULL, prompt_tokens INTEGER, completion_tokens INTEGER, ms REAL);
"""


class Store:
    """The database and the thread that owns it."""

    def __init__(self, path: Path) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="service-store")
        self._db: sqlite3.Connection = self._executor.submit(_open, path).result()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction on the store's thread; an exception rolls it back.

        Once started, the transaction is finished even if the caller is cancelled.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._transact, work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads, on the store's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, self._db)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _transaction(self._db):
            return work(self._db)

    def close(self) -> None:
        """Finish what is queued and close the database."""
        self._executor.submit(self._db.close).result()
        self._executor.shutdown()


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(private_file(path), timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    for collection in COLLECTIONS:
        collection.create_table(db)
    # A thread is asked for its active run at every message, and all active runs at every start.
    db.execute("CREATE INDEX IF NOT EXISTS runs_status ON runs (json_extract(body, '$.status'))")
    db.executescript(_LOG_TABLES)
    _add_columns(db)
    return db


def _add_columns(db: sqlite3.Connection) -> None:
    """Bring the request log of an older data directory up to date."""
    present = {row[1] for row in db.execute("PRAGMA table_info(requests)")}
    for name, kind in (("fault", "TEXT"), ("retry_after", "REAL"), ("told", "TEXT")):
        if name not in present:
            db.execute(f"ALTER TABLE requests ADD COLUMN {name} {kind}")
