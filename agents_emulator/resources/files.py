"""Uploaded files (`/files`). Content lies in the data directory under the file's id, never under its name."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from agents_emulator.endpoints import Call, Operation, common_headers, limit_upload
from agents_emulator.errors import bad_request, missing_parameter
from agents_emulator.filestore import CHUNK_BYTES, keep, new_file
from agents_emulator.store import FILES, VECTOR_STORE_FILES, Record

PURPOSES = (
    "fine-tune",
    "fine-tune-results",
    "assistants",
    "assistants_output",
    "batch",
    "batch_output",
    "vision",
)


def file_body(file: Record) -> Record:
    """Return a file in the recorded key order, which is the order it is stored in."""
    return {key: value for key, value in file.items() if key != "asset"}


async def upload(call: Call) -> Record:
    """POST /files: multipart `file` (with a file name), `purpose`, and optionally `filename`."""
    async with uploaded_form(limit_upload(call.request)) as form:
        part, purpose, name = form.get("file"), form.get("purpose"), form.get("filename")
        if not isinstance(part, UploadFile):
            raise missing_parameter("file")
        if not isinstance(purpose, str):
            raise missing_parameter("purpose")
        if purpose not in PURPOSES:
            raise bad_request(
                f"'{purpose}' is not one of {list(PURPOSES)}.", param="purpose", code="invalid_value"
            )
        filename = name if isinstance(name, str) and name else part.filename or "file"
        call.entry.body = {"purpose": purpose, "filename": filename, "bytes": part.size}
        await call.service.log.begin(call.entry)
        file = new_file(filename, part.size or 0, purpose)
        await asyncio.to_thread(keep, part.file, call.service.files_dir / file["id"])
    await call.service.store.write(lambda db: FILES.insert(db, file))
    return call.created(file_body(file))


@asynccontextmanager
async def uploaded_form(request: Request) -> AsyncIterator[FormData]:
    """Yield the parsed multipart body; its temporary files are closed at the end."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise bad_request("Expected a multipart/form-data body with the parts 'file' and 'purpose'.")
    try:
        form = await request.form(max_files=1, max_fields=10)
    except (HTTPException, MultiPartException, MultipartParseError) as error:
        raise bad_request(f"The multipart body cannot be read: {error}") from None
    try:
        yield form
    finally:
        await request.close()


async def list_all(call: Call) -> Record:
    """GET /files: all that were uploaded or made by tools, newest first; this list has no pages."""
    purpose = call.query.get("purpose")
    where = {"purpose": purpose} if purpose else None
    files = await call.service.store.read(lambda db: FILES.select(db, "", where))
    return {"object": "list", "data": [file_body(file) for file in reversed(files) if "asset" not in file]}


async def get(call: Call) -> Record:
    """GET /files/{id}."""
    return file_body(await call.service.store.read(lambda db: FILES.get(db, call.path["file_id"])))


async def content(call: Call) -> Response:
    """GET /files/{id}/content."""
    file = await call.service.store.read(lambda db: FILES.get(db, call.path["file_id"]))
    source = await asyncio.to_thread((call.service.files_dir / file["id"]).open, "rb")

    async def chunks() -> AsyncIterator[bytes]:
        with source:
            while chunk := await asyncio.to_thread(source.read, CHUNK_BYTES):
                yield chunk

    headers = {**common_headers(), "content-length": str(file["bytes"])}
    return StreamingResponse(chunks(), media_type="application/octet-stream", headers=headers)


async def delete(call: Call) -> Record:
    """DELETE /files/{id}; the file also leaves the vector stores that hold it."""

    def remove(db: sqlite3.Connection) -> tuple[str, list[str]]:
        file_id = FILES.get(db, call.path["file_id"])["id"]
        stores = VECTOR_STORE_FILES.parents_of(db, file_id)
        for store_id in stores:
            VECTOR_STORE_FILES.delete(db, file_id, store_id)
        FILES.delete(db, file_id)
        return file_id, stores

    file_id, stores = await call.service.store.write(remove)
    for store_id in stores:
        await call.service.ingestion.remove_file(store_id, file_id)
    await asyncio.to_thread((call.service.files_dir / file_id).unlink, missing_ok=True)
    return call.created({"object": "file", "deleted": True, "id": file_id})


OPERATIONS = (
    Operation("files.list", "GET", "/files", list_all),
    Operation("files.upload", "POST", "/files", upload, multipart=True),
    Operation("files.delete", "DELETE", "/files/{file_id}", delete),
    Operation("files.get", "GET", "/files/{file_id}", get),
    Operation("files.content", "GET", "/files/{file_id}/content", content),
)
