"""Files of a vector store (`/vector_stores/{id}/files`)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import PurePosixPath

from agent_tasks.wire import CreateVectorStoreFileRequest
from agents_emulator import validation
from agents_emulator.assets import source_file_ids
from agents_emulator.endpoints import Call, Operation
from agents_emulator.engine.lifecycle import now
from agents_emulator.errors import bad_request, missing_parameter, not_found
from agents_emulator.paging import list_body, page_from_query
from agents_emulator.store import FILES, VECTOR_STORE_FILES, VECTOR_STORES, Record

# Recorded in the refusal of a .csv file.
SUPPORTED_EXTENSIONS = (
    *(".c", ".cpp", ".cs", ".css", ".doc", ".docx", ".go", ".html", ".java", ".js", ".json", ".md", ".pdf"),
    *(".php", ".pptx", ".py", ".rb", ".sh", ".tex", ".ts", ".txt"),
)
STATUSES = ("in_progress", "completed", "failed", "cancelled")
MAX_STORE_FILES = 10_000


def store_file_body(file: Record) -> Record:
    """Return a vector store file in the recorded key order."""
    keys = (
        "id",
        "object",
        "usage_bytes",
        "created_at",
        "vector_store_id",
        "status",
        "last_error",
        "chunking_strategy",
    )
    return {key: file[key] for key in keys}


def file_counts(files: Sequence[Record]) -> Record:
    """Count files by status."""
    counts = {status: sum(file["status"] == status for file in files) for status in STATUSES}
    return {**counts, "total": len(files)}


def add_files(
    db: sqlite3.Connection,
    store_id: str,
    file_ids: Sequence[str],
    chunking: Record,
    *,
    param: str,
    batch_id: str | None = None,
) -> list[Record]:
    """Add uploaded files to a store, to be read; a file that it already has is read again.

    Raises the recorded 400 for file types that file search does not read, 404 for unknown files.
    """
    file_ids = list(dict.fromkeys(file_ids))
    if len(file_ids) > validation.MAX_BATCH_FILES:
        raise bad_request(
            f"Invalid '{param}': array too long. Expected at most {validation.MAX_BATCH_FILES}, "
            f"but got {len(file_ids)}.",
            param=param,
            code="array_above_max_length",
        )
    _refuse_unsupported([FILES.get(db, file_id)["filename"] for file_id in file_ids], param)
    if file_ids and VECTOR_STORE_FILES.count(db, store_id) + len(file_ids) > MAX_STORE_FILES:
        raise bad_request(f"A vector store holds up to {MAX_STORE_FILES} files.", param=param)
    added: list[Record] = []
    for file_id in file_ids:
        record: Record = {
            "id": file_id,
            "object": "vector_store.file",
            "usage_bytes": 0,
            "created_at": now(),
            "vector_store_id": store_id,
            "status": "in_progress",
            "last_error": None,
            "chunking_strategy": chunking,
            "batch_id": batch_id,
        }
        VECTOR_STORE_FILES.delete(db, file_id, store_id)
        VECTOR_STORE_FILES.insert(db, record, store_id)
        added.append(record)
    return added


def _refuse_unsupported(filenames: Sequence[str], param: str) -> None:
    extensions = dict.fromkeys(PurePosixPath(name).suffix.lower() for name in filenames)
    refused = [extension for extension in extensions if extension not in SUPPORTED_EXTENSIONS]
    if refused:
        raise bad_request(
            f"Files with extensions [{', '.join(name or 'none' for name in refused)}] are not supported for "
            f"retrieval. Supported file types include: [{', '.join(SUPPORTED_EXTENSIONS)}].",
            param=param,
            code="unsupported_file",
        )


async def create(call: Call) -> Record:
    """POST /vector_stores/{id}/files."""
    body = await call.service.assets.taken_in(call.parsed(CreateVectorStoreFileRequest))
    source = body.get("data_source")
    file_ids = [body["file_id"]] if body.get("file_id") else source_file_ids([source] if source else [])
    if not file_ids:
        raise missing_parameter("file_id")
    chunking = validation.check_chunking(body.get("chunking_strategy"))

    def insert(db: sqlite3.Connection) -> list[Record]:
        store_id = VECTOR_STORES.get(db, call.path["vector_store_id"])["id"]
        return add_files(db, store_id, file_ids, chunking, param="file_id")

    added = await call.service.store.write(insert)
    call.service.ingestion.start(added)
    return call.created(store_file_body(added[0]))


async def list_all(call: Call) -> Record:
    """GET /vector_stores/{id}/files, optionally by `filter` (a status)."""
    return await list_store_files(call, {})


async def list_store_files(call: Call, where: Record) -> Record:
    """Return one page of the store's files with these fields, and with the status that `filter` names."""
    page = page_from_query(call.query)
    status = call.query.get("filter")
    if status:
        if status not in STATUSES:
            raise bad_request(
                f"'{status}' is not one of {list(STATUSES)}.", param="filter", code="invalid_value"
            )
        where = {**where, "status": status}

    def read(db: sqlite3.Connection) -> Record:
        store_id = VECTOR_STORES.get(db, call.path["vector_store_id"])["id"]
        files, has_more = VECTOR_STORE_FILES.page(db, page, store_id, where)
        return list_body([store_file_body(file) for file in files], has_more)

    return await call.service.store.read(read)


async def get(call: Call) -> Record:
    """GET /vector_stores/{id}/files/{file_id}."""

    def read(db: sqlite3.Connection) -> Record:
        store_id = VECTOR_STORES.get(db, call.path["vector_store_id"])["id"]
        return VECTOR_STORE_FILES.get(db, call.path["file_id"], store_id)

    return store_file_body(await call.service.store.read(read))


async def delete(call: Call) -> Record:
    """DELETE /vector_stores/{id}/files/{file_id}; the uploaded file stays."""
    store_id, file_id = call.path["vector_store_id"], call.path["file_id"]

    def remove(db: sqlite3.Connection) -> None:
        VECTOR_STORES.get(db, store_id)
        if not VECTOR_STORE_FILES.delete(db, file_id, store_id):
            raise not_found("file", file_id)

    await call.service.store.write(remove)
    await call.service.ingestion.remove_file(store_id, file_id)
    return call.created({"id": file_id, "object": "vector_store.file.deleted", "deleted": True})


_PATH = "/vector_stores/{vector_store_id}/files"
OPERATIONS = (
    Operation("vector_store_files.list", "GET", _PATH, list_all),
    Operation("vector_store_files.create", "POST", _PATH, create),
    Operation("vector_store_files.get", "GET", f"{_PATH}/{{file_id}}", get),
    Operation("vector_store_files.delete", "DELETE", f"{_PATH}/{{file_id}}", delete),
)
