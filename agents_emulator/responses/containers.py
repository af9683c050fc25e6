"""Containers of the code interpreter (`/openai/v1/containers`) and the files in them.

A container is a folder in which code runs, as a thread is on the classic wire. One that nobody used for its
time has expired: it keeps its record, and code runs in it no more.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from agents_emulator import validation
from agents_emulator.endpoints import Call, Operation, common_headers, limit_upload
from agents_emulator.engine.lifecycle import now
from agents_emulator.engine.responses.bodies import page_body
from agents_emulator.engine.responses.ids import new_container_id
from agents_emulator.errors import ServiceError, bad_request, missing_parameter
from agents_emulator.filestore import CHUNK_BYTES, keep, new_container_file
from agents_emulator.paging import page_from_query
from agents_emulator.resources.files import uploaded_form
from agents_emulator.responses.served import OPENAI, below
from agents_emulator.store import CONTAINER_FILES, CONTAINERS, FILES, Record
from agents_emulator.tools.code_interpreter import safe_name

IDLE_MINUTES = 20
"""Of a container that the service makes by itself."""


def container_for(db: sqlite3.Connection, wanted: Any, before: Sequence[Record]) -> str | None:
    """Return the container that code of a response runs in; None if it has no code interpreter.

    `wanted` is an id, or `{type: "auto"}`: the last one that was used in this conversation, or a new one.
    """
    if wanted is None:
        return None
    if isinstance(wanted, str):
        return str(_used(db, find_container(db, wanted))["id"])
    for item in reversed(before):
        identifier = item["body"].get("container_id")
        known = CONTAINERS.find(db, identifier) if isinstance(identifier, str) else None
        if known is not None and not _has_expired(known):
            return str(_used(db, known)["id"])
    for file_id in wanted.get("file_ids") or []:
        FILES.get(db, file_id)
    return str(_insert(db, {"name": "auto", "memory_limit": wanted.get("memory_limit")})["id"])


def find_container(db: sqlite3.Connection, identifier: str) -> Record:
    """Return a container; 404 if there is none."""
    container = CONTAINERS.find(db, identifier)
    if container is None:
        raise ServiceError(404, f"Container with id '{identifier}' not found.")
    return container


def _has_expired(container: Record) -> bool:
    idle: float = container["expires_after"]["minutes"] * 60
    return bool(container["last_active_at"] + idle <= time.time())


def _used(db: sqlite3.Connection, container: Record) -> Record:
    if _has_expired(container):
        raise bad_request("Container is expired.", param="tools")
    container["last_active_at"] = now()
    CONTAINERS.put(db, container)
    return container


def _insert(db: sqlite3.Connection, body: Record) -> Record:
    moment = now()
    container: Record = {
        "id": new_container_id(),
        "object": "container",
        "created_at": moment,
        "expires_after": body.get("expires_after") or {"anchor": "last_active_at", "minutes": IDLE_MINUTES},
        "last_active_at": moment,
        "memory_limit": body.get("memory_limit") or "1g",
        "name": body["name"],
    }
    CONTAINERS.insert(db, container)
    return container


def container_body(container: Record) -> Record:
    """Return a container; its status tells whether it is still in use."""
    status = "expired" if _has_expired(container) else "running"
    return {**container, "status": status}


def file_body(file: Record) -> Record:
    """Return a file of a container."""
    return {key: value for key, value in file.items() if key != "filename"}


async def create(call: Call) -> Record:
    """POST /openai/v1/containers, with files that were uploaded."""
    body = call.json_object()
    name, file_ids = validation.require(body, "name"), body.get("file_ids") or []
    expiry = body.get("expires_after")
    if expiry is not None and not (isinstance(expiry, dict) and isinstance(expiry.get("minutes"), int)):
        raise missing_parameter("expires_after.minutes")

    def insert(db: sqlite3.Connection) -> tuple[Record, list[Record]]:
        files = [FILES.get(db, file_id) for file_id in file_ids]
        return _insert(db, {**body, "name": name}), files

    container, files = await call.service.store.write(insert)
    for file in files:
        await _copy(call, container["id"], file)
    return call.created(container_body(container))


async def _copy(call: Call, container_id: str, file: Record) -> Record:
    """Put an uploaded file into a container."""
    copy = new_container_file(container_id, safe_name(file["filename"]), file["bytes"], "user")
    folder = call.service.files_dir

    def write() -> None:
        with (folder / file["id"]).open("rb") as source:
            keep(source, folder / copy["id"])

    await asyncio.to_thread(write)
    await call.service.store.write(lambda db: CONTAINER_FILES.insert(db, copy, container_id))
    return copy


async def list_all(call: Call) -> Record:
    """GET /openai/v1/containers."""
    page = page_from_query(call.query)
    found, has_more = await call.service.store.read(lambda db: CONTAINERS.page(db, page))
    return page_body([container_body(container) for container in found], has_more)


async def get(call: Call) -> Record:
    """GET /openai/v1/containers/{id}."""
    identifier = call.path["container_id"]
    return container_body(await call.service.store.read(lambda db: find_container(db, identifier)))


async def delete(call: Call) -> Record:
    """DELETE /openai/v1/containers/{id}, with its files and what code left in it."""

    def remove(db: sqlite3.Connection) -> tuple[str, list[Record]]:
        identifier = find_container(db, call.path["container_id"])["id"]
        files = CONTAINER_FILES.select(db, identifier)
        CONTAINER_FILES.delete_children(db, identifier)
        CONTAINERS.delete(db, identifier)
        return identifier, files

    identifier, files = await call.service.store.write(remove)
    await asyncio.to_thread(_remove_contents, call, identifier, files)
    return call.created({"id": identifier, "object": "container.deleted", "deleted": True})


def _remove_contents(call: Call, identifier: str, files: Sequence[Record]) -> None:
    call.service.tools.forget_thread(identifier)
    for file in files:
        (call.service.files_dir / file["id"]).unlink(missing_ok=True)


async def create_file(call: Call) -> Record:
    """POST /openai/v1/containers/{id}/files: multipart `file`, or `file_id` of one that was uploaded."""
    identifier = call.path["container_id"]
    await call.service.store.read(lambda db: find_container(db, identifier))
    async with uploaded_form(limit_upload(call.request)) as form:
        part, file_id = form.get("file"), form.get("file_id")
        if isinstance(file_id, str) and file_id:
            uploaded = await call.service.store.read(lambda db: FILES.get(db, file_id))
            await call.service.log.begin(call.entry)
            return call.created(file_body(await _copy(call, identifier, uploaded)))
        if not isinstance(part, UploadFile):
            raise missing_parameter("file")
        call.entry.body = {"filename": part.filename, "bytes": part.size}
        await call.service.log.begin(call.entry)
        file = new_container_file(identifier, safe_name(part.filename or "file"), part.size or 0, "user")
        await asyncio.to_thread(keep, part.file, call.service.files_dir / file["id"])
    await call.service.store.write(lambda db: CONTAINER_FILES.insert(db, file, identifier))
    return call.created(file_body(file))


async def list_files(call: Call) -> Record:
    """GET /openai/v1/containers/{id}/files."""
    page = page_from_query(call.query)

    def read(db: sqlite3.Connection) -> Record:
        identifier = find_container(db, call.path["container_id"])["id"]
        files, has_more = CONTAINER_FILES.page(db, page, identifier)
        return page_body([file_body(file) for file in files], has_more)

    return await call.service.store.read(read)


def _file(db: sqlite3.Connection, call: Call) -> Record:
    identifier = find_container(db, call.path["container_id"])["id"]
    file = CONTAINER_FILES.find(db, call.path["file_id"], identifier)
    if file is None:
        raise ServiceError(404, f"Container file with id '{call.path['file_id']}' not found.")
    return file


async def get_file(call: Call) -> Record:
    """GET /openai/v1/containers/{id}/files/{file_id}."""
    return file_body(await call.service.store.read(lambda db: _file(db, call)))


async def file_content(call: Call) -> Response:
    """GET /openai/v1/containers/{id}/files/{file_id}/content."""
    file = await call.service.store.read(lambda db: _file(db, call))
    source = await asyncio.to_thread((call.service.files_dir / file["id"]).open, "rb")

    async def chunks() -> AsyncIterator[bytes]:
        with source:
            while chunk := await asyncio.to_thread(source.read, CHUNK_BYTES):
                yield chunk

    headers = {**common_headers(), "content-length": str(file["bytes"])}
    return StreamingResponse(chunks(), media_type="application/octet-stream", headers=headers)


async def delete_file(call: Call) -> Record:
    """DELETE /openai/v1/containers/{id}/files/{file_id}."""

    def remove(db: sqlite3.Connection) -> str:
        file = _file(db, call)
        CONTAINER_FILES.delete(db, file["id"], file["container_id"])
        return str(file["id"])

    file_id = await call.service.store.write(remove)
    await asyncio.to_thread((call.service.files_dir / file_id).unlink, missing_ok=True)
    return call.created({"id": file_id, "object": "container.file.deleted", "deleted": True})


_ONE, _FILE = "/containers/{container_id}", "/containers/{container_id}/files/{file_id}"
OPERATIONS: tuple[Operation, ...] = (
    *below(
        (
            ("containers.create", "POST", "/containers", create),
            ("containers.list", "GET", "/containers", list_all),
            ("containers.get", "GET", _ONE, get),
            ("containers.delete", "DELETE", _ONE, delete),
            ("container_files.list", "GET", f"{_ONE}/files", list_files),
            ("container_files.get", "GET", _FILE, get_file),
            ("container_files.content", "GET", f"{_FILE}/content", file_content),
            ("container_files.delete", "DELETE", _FILE, delete_file),
        )
    ),
    Operation(
        "container_files.create", "POST", f"{OPENAI}{_ONE}/files", create_file, multipart=True, versions=()
    ),
)
