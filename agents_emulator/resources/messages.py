"""Messages of a thread (`/threads/{id}/messages`)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from agent_tasks.wire import CreateMessageRequest, UpdateMessageRequest
from agents_emulator import validation
from agents_emulator.assets import attached_file_ids
from agents_emulator.endpoints import Call, Operation
from agents_emulator.engine.bodies import message_body, text_block
from agents_emulator.engine.lifecycle import active_run, new_message
from agents_emulator.errors import bad_request, missing_parameter
from agents_emulator.paging import list_body, page_from_query
from agents_emulator.resources.vector_store_files import add_files
from agents_emulator.resources.vector_stores import insert_store
from agents_emulator.store import FILES, MESSAGES, THREADS, Record

MAX_THREAD_MESSAGES = 100_000
_THREAD_STORE_LIFE = {"anchor": "last_active_at", "days": 7}


def _content_blocks(db: sqlite3.Connection, content: Any) -> list[Record]:
    if isinstance(content, str):
        if not content:
            raise bad_request("Message content must be non-empty.", param="content", code="invalid_value")
        return [text_block(content, [])]
    blocks: list[Record] = []
    for index, block in enumerate(content or []):
        if block["type"] == "text":
            blocks.append(text_block(block["text"], []))
        elif block["type"] == "image_file":
            FILES.get(db, block["image_file"]["file_id"])
            blocks.append(_image_block(block))
        elif block["type"] == "image_url":
            blocks.append(_image_block(block))
        else:
            raise bad_request(
                f"Invalid 'content[{index}].type': '{block['type']}' is not one of "
                "['text', 'image_file', 'image_url'].",
                param=f"content[{index}].type",
                code="invalid_value",
            )
    if not blocks:
        raise missing_parameter("content")
    return blocks


def _image_block(block: Record) -> Record:
    kind = block["type"]
    return {
        "type": kind,
        kind: {"detail": "auto", **block[kind]} if "detail" not in block[kind] else block[kind],
    }


def add_messages(
    db: sqlite3.Connection, thread: Record, bodies: Sequence[Record]
) -> tuple[list[Record], list[Record]]:
    """Add messages to a thread; returns them and the files to read for their attachments."""
    if bodies and MESSAGES.count(db, thread["id"]) + len(bodies) > MAX_THREAD_MESSAGES:
        raise bad_request(
            f"A thread holds {MAX_THREAD_MESSAGES} messages at most; {thread['id']} would hold more."
        )
    messages: list[Record] = []
    attached: list[Record] = []
    for body in bodies:
        message = _message_of(db, thread, body)
        messages.append(message)
        attached += message["attachments"]
    MESSAGES.insert_all(db, messages, thread["id"])
    return messages, _attach(db, thread, attached)


def _message_of(db: sqlite3.Connection, thread: Record, body: Record) -> Record:
    if body["role"] not in ("user", "assistant"):
        raise bad_request(
            f"Invalid 'role': '{body['role']}' is not one of ['user', 'assistant'].",
            param="role",
            code="invalid_value",
        )
    return new_message(
        thread["id"],
        body["role"],
        _content_blocks(db, body["content"]),
        attachments=validation.without_nulls(body.get("attachments") or []),
        metadata=validation.check_metadata(body.get("metadata")),
    )


def _attach(db: sqlite3.Connection, thread: Record, attachments: list[Record]) -> list[Record]:
    """Put attachments for file search into the thread's vector store, made for them if there is none."""
    file_ids: list[str] = []
    for attachment in attachments:
        found = attached_file_ids(attachment)
        for file_id in found:
            FILES.get(db, file_id)
        if any(tool["type"] == "file_search" for tool in attachment.get("tools") or []):
            file_ids += found
    if not file_ids:
        return []
    search = thread["tool_resources"].setdefault("file_search", {})
    store_ids = search.setdefault("vector_store_ids", [])
    if not store_ids:
        store_ids.append(
            insert_store(db, name=None, metadata={}, expires_after=dict(_THREAD_STORE_LIFE))["id"]
        )
        THREADS.put(db, thread)
    distinct = list(dict.fromkeys(file_ids))
    unread: list[Record] = []
    for start in range(0, len(distinct), validation.MAX_BATCH_FILES):
        portion = distinct[start : start + validation.MAX_BATCH_FILES]
        unread += add_files(db, store_ids[0], portion, validation.check_chunking(None), param="attachments")
    return unread


def refuse_while_active(db: sqlite3.Connection, thread_id: str) -> None:
    """Refuse new messages while a run is at work on the thread."""
    run = active_run(db, thread_id)
    if run is not None:
        raise bad_request(f"Can't add messages to {thread_id} while a run {run['id']} is active.")


async def create(call: Call) -> Record:
    """POST /threads/{id}/messages."""
    body = await call.service.assets.taken_in(call.parsed(CreateMessageRequest))

    def insert(db: sqlite3.Connection) -> tuple[list[Record], list[Record]]:
        thread = THREADS.get(db, call.path["thread_id"])
        refuse_while_active(db, thread["id"])
        return add_messages(db, thread, [body])

    [message], unread = await call.service.store.write(insert)
    call.service.ingestion.start(unread)
    return call.created(message_body(message))


async def list_all(call: Call) -> Record:
    """GET /threads/{id}/messages, optionally those of one `run_id`."""
    page = page_from_query(call.query)
    run_id = call.query.get("run_id")

    def read(db: sqlite3.Connection) -> Record:
        thread_id = THREADS.get(db, call.path["thread_id"])["id"]
        messages, has_more = MESSAGES.page(db, page, thread_id, {"run_id": run_id} if run_id else None)
        return list_body([message_body(message) for message in messages], has_more)

    return await call.service.store.read(read)


def _message(db: sqlite3.Connection, call: Call) -> Record:
    thread_id = THREADS.get(db, call.path["thread_id"])["id"]
    return MESSAGES.get(db, call.path["message_id"], thread_id)


async def get(call: Call) -> Record:
    """GET /threads/{id}/messages/{message_id}."""
    return message_body(await call.service.store.read(lambda db: _message(db, call)))


async def update(call: Call) -> Record:
    """POST /threads/{id}/messages/{message_id}: metadata."""
    body = call.parsed(UpdateMessageRequest)

    def change(db: sqlite3.Connection) -> Record:
        message = _message(db, call)
        if "metadata" in body:
            message["metadata"] = validation.check_metadata(body["metadata"])
        MESSAGES.put(db, message, message["thread_id"])
        return message

    return call.created(message_body(await call.service.store.write(change)))


async def delete(call: Call) -> Record:
    """DELETE /threads/{id}/messages/{message_id} (2025-05-15-preview)."""

    def remove(db: sqlite3.Connection) -> Record:
        message = _message(db, call)
        MESSAGES.delete(db, message["id"], message["thread_id"])
        return {"id": message["id"], "object": "thread.message.deleted", "deleted": True}

    return call.created(await call.service.store.write(remove))


_PATH = "/threads/{thread_id}/messages"
OPERATIONS = (
    Operation("messages.create", "POST", _PATH, create),
    Operation("messages.list", "GET", _PATH, list_all),
    Operation("messages.get", "GET", f"{_PATH}/{{message_id}}", get),
    Operation("messages.update", "POST", f"{_PATH}/{{message_id}}", update),
    Operation("messages.delete", "DELETE", f"{_PATH}/{{message_id}}", delete),
)
