"""Batches of files for a vector store (`/vector_stores/{id}/file_batches`)."""

from __future__ import annotations

import sqlite3

from agent_tasks.wire import CreateVectorStoreFileBatchRequest
from agents_emulator import validation
from agents_emulator.assets import source_file_ids
from agents_emulator.endpoints import Call, Operation
from agents_emulator.engine.lifecycle import now
from agents_emulator.errors import missing_parameter
from agents_emulator.ids import new_batch_id
from agents_emulator.resources.vector_store_files import add_files, file_counts, list_store_files
from agents_emulator.store import FILE_BATCHES, VECTOR_STORE_FILES, VECTOR_STORES, Record


def batch_body(db: sqlite3.Connection, batch: Record) -> Record:
    """Return a batch in the recorded key order; its status is derived from its files."""
    files = VECTOR_STORE_FILES.select(db, batch["vector_store_id"], {"batch_id": batch["id"]})
    counts = file_counts(files)
    if batch["cancelled"]:
        status = "cancelled"
    elif counts["in_progress"]:
        status = "in_progress"
    else:
        status = "failed" if files and counts["failed"] == counts["total"] else "completed"
    return {
        "id": batch["id"],
        "object": "vector_store.file_batch",
        "created_at": batch["created_at"],
        "status": status,
        "vector_store_id": batch["vector_store_id"],
        "file_counts": counts,
    }


async def create(call: Call) -> Record:
    """POST /vector_stores/{id}/file_batches, up to 500 files."""
    body = await call.service.assets.taken_in(call.parsed(CreateVectorStoreFileBatchRequest))
    file_ids = [*(body.get("file_ids") or []), *source_file_ids(body.get("data_sources"))]
    if not file_ids:
        raise missing_parameter("file_ids")
    chunking = validation.check_chunking(body.get("chunking_strategy"))

    def insert(db: sqlite3.Connection) -> tuple[Record, list[Record]]:
        store_id = VECTOR_STORES.get(db, call.path["vector_store_id"])["id"]
        batch: Record = {
            "id": new_batch_id(),
            "created_at": now(),
            "vector_store_id": store_id,
            "cancelled": False,
        }
        FILE_BATCHES.insert(db, batch, store_id)
        added = add_files(db, store_id, file_ids, chunking, param="file_ids", batch_id=batch["id"])
        return batch_body(db, batch), added

    answer, added = await call.service.store.write(insert)
    call.service.ingestion.start(added)
    return call.created(answer)


def _batch(db: sqlite3.Connection, call: Call) -> Record:
    store_id = VECTOR_STORES.get(db, call.path["vector_store_id"])["id"]
    return FILE_BATCHES.get(db, call.path["batch_id"], store_id)


async def get(call: Call) -> Record:
    """GET /vector_stores/{id}/file_batches/{batch_id}."""
    return await call.service.store.read(lambda db: batch_body(db, _batch(db, call)))


async def cancel(call: Call) -> Record:
    """POST .../cancel: files that are not read yet become `cancelled`."""

    def change(db: sqlite3.Connection) -> Record:
        batch = _batch(db, call)
        where = {"batch_id": batch["id"], "status": "in_progress"}
        unread = VECTOR_STORE_FILES.select(db, batch["vector_store_id"], where)
        for file in unread:
            VECTOR_STORE_FILES.put(db, {**file, "status": "cancelled"}, batch["vector_store_id"])
        if unread:
            batch["cancelled"] = True
            FILE_BATCHES.put(db, batch, batch["vector_store_id"])
        return batch_body(db, batch)

    return call.created(await call.service.store.write(change))


async def list_files(call: Call) -> Record:
    """GET .../files: the files of a batch."""
    batch = await call.service.store.read(lambda db: _batch(db, call))
    return await list_store_files(call, {"batch_id": batch["id"]})


_PATH = "/vector_stores/{vector_store_id}/file_batches"
OPERATIONS = (
    Operation("file_batches.create", "POST", _PATH, create),
    Operation("file_batches.get", "GET", f"{_PATH}/{{batch_id}}", get),
    Operation("file_batches.cancel", "POST", f"{_PATH}/{{batch_id}}/cancel", cancel),
    Operation("file_batches.list_files", "GET", f"{_PATH}/{{batch_id}}/files", list_files),
)
