"""Files and vector stores: uploaded once for each owner, searched by agents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import NotFoundError, ServerError, TransportError
from agent_tasks.journal import NewResource, Operation
from agent_tasks.operations.effects import create_or_find, is_outcome_unknown, lookup_grace
from agent_tasks.operations.keys import content_hash, operation_key
from agent_tasks.operations.models import DEFAULT_TTL, RemoteFile, RemoteStore
from agent_tasks.operations.workspace import Workspace
from agent_tasks.pauses import Pauses

FILES_A_REQUEST = 500
"""How many files the service takes into a store at once (documented limit)."""

INGESTION_DEADLINE = timedelta(minutes=30)
"""How long a store may take to ingest its files."""


def file_key(content: bytes, name: str) -> str:
    """What a file is: a hash of its content and name."""
    return operation_key("file", content=content_hash(content), name=name)


def store_key(name: str, files: Sequence[RemoteFile]) -> str:
    """What a store is: a hash of its name and its files' keys."""
    return operation_key("store", name=name, files=sorted(file.key for file in files))


async def upload_file(
    ws: Workspace,
    content: bytes,
    name: str,
    *,
    purpose: str = "assistants",
    owner: str,
    ttl: timedelta = DEFAULT_TTL,
) -> RemoteFile:
    """Upload a file once for each owner, content and name.

    Args:
        ws: where to work.
        content: the file's bytes.
        name: its own name; the service gets it with the operation's mark in it.
        purpose: what the service may use it for.
        owner: what it is for; `release_owner` deletes it.
        ttl: how long it may live.

    Raises:
        ServiceError: the service refused it.
        TransportError: the service could not be reached.
        JournalError: nothing could be committed, so nothing was sent.
    """
    key = file_key(content, name)
    operation = operation_key("upload", file=key, purpose=purpose, owner=owner)
    described = {"name": name, "bytes": len(content), "owner": owner}
    while True:
        async with ws.hold(operation, "upload", described) as held:
            if held.is_done:
                file_id: str = held.operation.result["id"]
                if await ws.backend.exists("file", file_id):
                    return RemoteFile(id=file_id, key=key, name=name, bytes=len(content), reused=True)
            else:
                file_id = await create_or_find(
                    ws,
                    held.operation,
                    is_orphan=held.is_orphan,
                    create=lambda mark: ws.backend.upload_file(content, name, purpose, mark),
                    find=lambda mark, since: ws.backend.find("file", mark, since=since),
                )
                made = NewResource("file", file_id, owner, name, ttl.total_seconds())
                await ws.journal.operations.finish(ws.scope, operation, {"id": file_id}, [made])
                crash_point("upload.committed")
                return RemoteFile(id=file_id, key=key, name=name, bytes=len(content))
        await ws.journal.resources.mark_deleted(
            ws.scope, "file", file_id
        )  # somebody else deleted it: send it anew


async def build_vector_store(
    ws: Workspace,
    name: str,
    files: Sequence[RemoteFile],
    *,
    owner: str,
    ttl: timedelta = DEFAULT_TTL,
    deadline: timedelta = INGESTION_DEADLINE,
) -> RemoteStore:
    """Build a vector store of these files and wait until each is ingested or refused.

    Args:
        ws: where to work.
        name: the store's name.
        files: what it holds; any number, sent in portions of 500.
        owner: what it is for; `release_owner` deletes it.
        ttl: how long it may live.
        deadline: how long the service may take.

    Returns:
        The store; files that the service could not ingest are in `failed` with its reason.

    Raises:
        ServiceError: the service refused it, or a file in it.
        TransportError: the service could not be reached, or did not finish before the deadline.
        JournalError: nothing could be committed, so nothing was sent.
    """
    key = store_key(name, files)
    operation = operation_key("build-store", store=key, owner=owner)
    file_ids = [file.id for file in files]
    described = {"name": name, "files": len(files), "owner": owner}
    while True:
        store_id: str | None
        async with ws.hold(operation, "store", described) as held:
            if held.is_done:
                store = RemoteStore(**held.operation.result, key=key, name=name, reused=True)
                if await ws.backend.exists("store", store.id):
                    return store
                store_id = store.id
            else:
                try:
                    return await _build(
                        ws, held.operation, held.is_orphan, key, name, file_ids, owner, ttl, deadline
                    )
                except NotFoundError as error:
                    store_id = held.operation.remote.get("store")
                    if store_id is None or await ws.backend.exists("store", store_id):
                        raise
                    await ws.journal.operations.fail(
                        ws.scope, operation, error
                    )  # the next attempt makes another
        await ws.journal.resources.mark_deleted(
            ws.scope, "store", store_id
        )  # somebody else deleted it: build it anew


async def _build(
    ws: Workspace,
    operation: Operation,
    is_orphan: bool,
    key: str,
    name: str,
    file_ids: list[str],
    owner: str,
    ttl: timedelta,
    deadline: timedelta,
) -> RemoteStore:
    store_id = operation.remote.get("store")
    if store_id is None:
        store_id = await create_or_find(
            ws,
            operation,
            is_orphan=is_orphan,
            create=lambda mark: ws.backend.create_store(name, file_ids[:FILES_A_REQUEST], mark),
            find=lambda mark, since: ws.backend.find("store", mark, since=since),
        )
        made = NewResource("store", store_id, owner, name, ttl.total_seconds())
        remote = {**operation.remote, "store": store_id}
        await ws.journal.operations.attach(ws.scope, operation.key, remote, [made])
        crash_point("store.attached")
    if is_orphan or len(file_ids) > FILES_A_REQUEST:
        await _add_missing(ws, operation, store_id, file_ids)
    failed = await _wait_until_ingested(ws, store_id, deadline)
    crash_point("store.ingested")
    result = {"id": store_id, "file_ids": file_ids, "failed": failed}
    await ws.journal.operations.finish(ws.scope, operation.key, result)
    crash_point("store.committed")
    return RemoteStore(id=store_id, key=key, name=name, file_ids=file_ids, failed=failed)


async def _add_missing(ws: Workspace, operation: Operation, store_id: str, file_ids: Sequence[str]) -> None:
    """Add the files that a store does not know of yet; what it knows is looked up after each lost answer."""
    pauses = lookup_grace()
    while True:
        present = await ws.backend.store_files(store_id)
        missing = [file_id for file_id in file_ids if file_id not in present]
        try:
            for start in range(0, len(missing), FILES_A_REQUEST):
                await ws.backend.add_files(store_id, missing[start : start + FILES_A_REQUEST])
                crash_point("store.files_added")
        except (TransportError, ServerError) as error:
            if not is_outcome_unknown(error) or not await pauses.wait():
                raise
        else:
            return


async def _wait_until_ingested(ws: Workspace, store_id: str, deadline: timedelta) -> dict[str, str]:
    async for _ in Pauses(0.1, 5.0, within=deadline.total_seconds()):
        status = await ws.backend.store_status(store_id)
        if not status.pending:
            return status.failed
    raise TransportError(
        f"The store {store_id} did not ingest its files within {deadline}. The next call goes on waiting."
    )
