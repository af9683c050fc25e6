"""Reading files into vector stores, in the background.

A file of a store is `in_progress` until its text is extracted, chunked and indexed; then `completed`, or
`failed` with a `last_error` (`unsupported_file`, `invalid_file`, `server_error`). What was in progress when
the service stopped is read again at its next start.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent_tasks.logs import get_logger
from agents_emulator.store import FILES, VECTOR_STORE_FILES, Record, Store

if TYPE_CHECKING:
    from agents_emulator.retrieval import RetrievalIndex

logger = get_logger("agents_emulator")

_CONCURRENT_FILES = 2


class Ingestion:
    """Reads files of vector stores into the retrieval index."""

    def __init__(self, store: Store, files_dir: Path, index_path: Path) -> None:
        self._store = store
        self._files_dir = files_dir
        self._index_path = index_path
        self._slots = asyncio.Semaphore(_CONCURRENT_FILES)
        self._opening = asyncio.Lock()
        self._index: RetrievalIndex | None = None
        self._tasks: dict[asyncio.Task[None], str] = {}

    async def index(self) -> RetrievalIndex:
        """Return the retrieval index, opened on first use."""
        async with self._opening:
            if self._index is None:
                self._index = await asyncio.to_thread(_open_index, self._index_path)
            return self._index

    async def recover(self) -> None:
        """Start again on the files that a stopped service left in progress."""
        unread = await self._store.read(
            lambda db: VECTOR_STORE_FILES.select(db, None, {"status": "in_progress"})
        )
        self.start(unread)

    def start(self, store_files: list[Record]) -> None:
        """Read these store files in the background."""
        for store_file in store_files:
            task = asyncio.create_task(self._ingest(store_file))
            self._tasks[task] = store_file["vector_store_id"]
            task.add_done_callback(self._tasks.pop)

    async def wait(self, vector_store_ids: Sequence[str], timeout: float) -> None:  # noqa: ASYNC109
        """Wait, up to `timeout` seconds, until the files of these stores are read."""
        reading = [task for task, store_id in self._tasks.items() if store_id in vector_store_ids]
        if reading:
            await asyncio.wait(reading, timeout=timeout)

    async def remove_file(self, vector_store_id: str, file_id: str) -> None:
        """Take a file out of the index of a store."""
        index = await self.index()
        await asyncio.to_thread(index.remove_file, vector_store_id, file_id)

    async def drop_store(self, vector_store_id: str) -> None:
        """Take a whole store out of the index."""
        index = await self.index()
        await asyncio.to_thread(index.drop_store, vector_store_id)

    async def close(self) -> None:
        """Stop reading; what is unfinished is read at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._index is not None:
            close = getattr(self._index, "close", None)
            if close is not None:
                await asyncio.to_thread(close)

    async def _ingest(self, store_file: Record) -> None:
        store_id, file_id = store_file["vector_store_id"], store_file["id"]
        try:
            async with self._slots:
                if not await self._store.read(lambda db: _is_wanted(db, store_file)):
                    return
                used = await self._read(store_file)
            outcome: Record = {"status": "completed", "usage_bytes": used}
        except Exception as error:
            outcome = {"status": "failed", "last_error": _last_error(error)}
        if not await self._store.write(lambda db: _finish(db, store_file, outcome)):
            # Taken out of the store, or cancelled, while it was being read.
            await self.remove_file(store_id, file_id)

    async def _read(self, store_file: Record) -> int:
        store_id, file_id = store_file["vector_store_id"], store_file["id"]
        record = await self._store.read(lambda db: FILES.get(db, file_id))
        index = await self.index()
        content = await asyncio.to_thread((self._files_dir / file_id).read_bytes)
        chunking = store_file["chunking_strategy"]["static"]
        await asyncio.to_thread(index.remove_file, store_id, file_id)
        return await asyncio.to_thread(
            index.add_file,
            store_id,
            file_id,
            record["filename"],
            content,
            max_chunk_tokens=chunking["max_chunk_size_tokens"],
            overlap_tokens=chunking["chunk_overlap_tokens"],
        )


def _open_index(path: Path) -> RetrievalIndex:
    from agents_emulator.retrieval import RetrievalIndex

    return RetrievalIndex(path)


def _is_wanted(db: sqlite3.Connection, store_file: Record) -> bool:
    stored = VECTOR_STORE_FILES.find(db, store_file["id"], store_file["vector_store_id"])
    return stored is not None and stored["status"] == "in_progress"


def _finish(db: sqlite3.Connection, store_file: Record, outcome: Record) -> bool:
    stored = VECTOR_STORE_FILES.find(db, store_file["id"], store_file["vector_store_id"])
    if stored is None or stored["status"] != "in_progress":
        return False
    VECTOR_STORE_FILES.put(db, {**stored, **outcome}, store_file["vector_store_id"])
    return True


def _last_error(error: Exception) -> Record:
    """Tell what is wrong with a file; only faults of the file are described to the client."""
    from agent_tasks.errors import DocumentError, UnsupportedDocumentError

    if isinstance(error, UnsupportedDocumentError):
        return {"code": "unsupported_file", "message": str(error)}
    if isinstance(error, DocumentError):
        return {"code": "invalid_file", "message": str(error)}
    logger.error("a file could not be read into a vector store", exc_info=error)
    return {"code": "server_error", "message": "An internal error occurred while the file was read."}
