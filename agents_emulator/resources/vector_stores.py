"""Vector stores (`/vector_stores`). Status, counts and size are derived from the files of a store."""

from __future__ import annotations

import sqlite3
import time

from agent_tasks.wire import CreateVectorStoreRequest, UpdateVectorStoreRequest
from agents_emulator import validation
from agents_emulator.assets import source_file_ids
from agents_emulator.endpoints import Call, Operation
from agents_emulator.engine.file_search import touched
from agents_emulator.engine.lifecycle import now
from agents_emulator.ids import new_id
from agents_emulator.paging import list_body, page_from_query
from agents_emulator.resources.vector_store_files import add_files, file_counts
from agents_emulator.store import FILE_BATCHES, VECTOR_STORE_FILES, VECTOR_STORES, Record


def store_body(db: sqlite3.Connection, vector_store: Record) -> Record:
    """Return a vector store in the recorded key order."""
    files = VECTOR_STORE_FILES.select(db, vector_store["id"])
    counts = file_counts(files)
    expires_at = vector_store["expires_at"]
    if expires_at is not None and expires_at <= time.time():
        status = "expired"
    else:
        status = "in_progress" if counts["in_progress"] else "completed"
    return {
        "id": vector_store["id"],
        "object": "vector_store",
        "name": vector_store["name"],
        "status": status,
        "usage_bytes": sum(file["usage_bytes"] for file in files),
        "created_at": vector_store["created_at"],
        "file_counts": counts,
        "metadata": vector_store["metadata"],
        "expires_after": vector_store["expires_after"],
        "expires_at": expires_at,
        "last_active_at": vector_store["last_active_at"],
    }


def insert_store(
    db: sqlite3.Connection, *, name: str | None, metadata: Record, expires_after: Record | None
) -> Record:
    """Add an empty vector store."""
    vector_store = touched(
        {
            "id": new_id("vs"),
            "name": name,
            "created_at": now(),
            "metadata": metadata,
            "expires_after": expires_after,
        }
    )
    VECTOR_STORES.insert(db, vector_store)
    return vector_store


async def create(call: Call) -> Record:
    """POST /vector_stores, with up to 500 files."""
    body = await call.service.assets.taken_in(call.parsed(CreateVectorStoreRequest))
    sources = (body.get("configuration") or {}).get("data_sources")
    file_ids = [*(body.get("file_ids") or []), *source_file_ids(sources)]
    chunking = validation.check_chunking(body.get("chunking_strategy"))
    metadata = validation.check_metadata(body.get("metadata"))

    def insert(db: sqlite3.Connection) -> tuple[Record, list[Record]]:
        vector_store = insert_store(
            db, name=body.get("name"), metadata=metadata, expires_after=body.get("expires_after")
        )
        added = add_files(db, vector_store["id"], file_ids, chunking, param="file_ids")
        return store_body(db, vector_store), added

    answer, added = await call.service.store.write(insert)
    call.service.ingestion.start(added)
    return call.created(answer)


async def list_all(call: Call) -> Record:
    """GET /vector_stores."""
    page = page_from_query(call.query)

    def read(db: sqlite3.Connection) -> Record:
        stores, has_more = VECTOR_STORES.page(db, page)
        return list_body([store_body(db, vector_store) for vector_store in stores], has_more)

    return await call.service.store.read(read)


async def get(call: Call) -> Record:
    """GET /vector_stores/{id}."""
    store_id = call.path["vector_store_id"]
    return await call.service.store.read(lambda db: store_body(db, VECTOR_STORES.get(db, store_id)))


async def update(call: Call) -> Record:
    """POST /vector_stores/{id}: name, expires_after, metadata."""
    body = call.parsed(UpdateVectorStoreRequest)

    def change(db: sqlite3.Connection) -> Record:
        vector_store = VECTOR_STORES.get(db, call.path["vector_store_id"])
        if "name" in body:
            vector_store["name"] = body["name"]
        if "metadata" in body:
            vector_store["metadata"] = validation.check_metadata(body["metadata"])
        if "expires_after" in body:
            vector_store["expires_after"] = body["expires_after"]
            touched(vector_store)
        VECTOR_STORES.put(db, vector_store)
        return store_body(db, vector_store)

    return call.created(await call.service.store.write(change))


async def delete(call: Call) -> Record:
    """DELETE /vector_stores/{id}; the uploaded files stay."""

    def remove(db: sqlite3.Connection) -> str:
        store_id: str = VECTOR_STORES.get(db, call.path["vector_store_id"])["id"]
        VECTOR_STORE_FILES.delete_children(db, store_id)
        FILE_BATCHES.delete_children(db, store_id)
        VECTOR_STORES.delete(db, store_id)
        return store_id

    store_id = await call.service.store.write(remove)
    await call.service.ingestion.drop_store(store_id)
    return call.created({"id": store_id, "object": "vector_store.deleted", "deleted": True})


OPERATIONS = (
    Operation("vector_stores.list", "GET", "/vector_stores", list_all),
    Operation("vector_stores.create", "POST", "/vector_stores", create),
    Operation("vector_stores.get", "GET", "/vector_stores/{vector_store_id}", get),
    Operation("vector_stores.update", "POST", "/vector_stores/{vector_store_id}", update),
    Operation("vector_stores.delete", "DELETE", "/vector_stores/{vector_store_id}", delete),
)
