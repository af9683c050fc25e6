"""Conversations (`/openai/v1/conversations`) and their items."""

from __future__ import annotations

import sqlite3
from typing import Any

from agents_emulator import validation
from agents_emulator.endpoints import Call, Operation
from agents_emulator.engine.lifecycle import active_run, now
from agents_emulator.engine.responses.bodies import conversation_body, page_body
from agents_emulator.engine.responses.ids import is_conversation_id, new_conversation_id, partition_of
from agents_emulator.engine.responses.items import check_posted, checked_items
from agents_emulator.engine.responses.refusals import (
    conversation_locked,
    conversation_not_found,
    malformed_conversation_id,
)
from agents_emulator.errors import ServiceError, missing_parameter
from agents_emulator.paging import page_from_query
from agents_emulator.responses.served import below
from agents_emulator.store import CONVERSATION_ITEMS, CONVERSATIONS, Record


def find_conversation(db: sqlite3.Connection, identifier: str, param: str = "conversation_id") -> Record:
    """Return a conversation; 400 for an id that is none (reported), 404 if there is none."""
    if not is_conversation_id(identifier):
        raise malformed_conversation_id(identifier, param)
    conversation = CONVERSATIONS.find(db, identifier)
    if conversation is None:
        raise conversation_not_found(identifier)
    return conversation


async def create(call: Call) -> Record:
    """POST .../conversations, with up to 20 items."""
    body = call.json_object()
    identifier = new_conversation_id()
    given = body.get("items") or []
    check_posted(given, "items")
    items = checked_items(given, partition_of(identifier), "items")
    moment = now()
    conversation: Record = {
        "id": identifier,
        "metadata": validation.check_metadata(body.get("metadata")),
        "created_at": moment,
        "agent_name": call.path.get("agent_name"),
        "listed_at": moment + call.listed_after,
    }

    def insert(db: sqlite3.Connection) -> None:
        CONVERSATIONS.insert(db, conversation)
        CONVERSATION_ITEMS.insert_all(db, items, identifier)

    await call.service.store.write(insert)
    return call.created(conversation_body(conversation))


async def list_all(call: Call) -> Record:
    """GET .../conversations, newest first, optionally those of an agent."""
    page = page_from_query(call.query)
    agent_id = call.query.get("agent_id") or ""
    name = call.path.get("agent_name") or call.query.get("agent_name") or agent_id.partition(":")[0]

    def read(db: sqlite3.Connection) -> Record:
        where = {"agent_name": name} if name else None
        found, has_more = CONVERSATIONS.page(db, page, "", where, at_most={"listed_at": call.moment})
        return page_body([conversation_body(conversation) for conversation in found], has_more)

    return await call.service.store.read(read)


async def get(call: Call) -> Record:
    """GET .../conversations/{id}."""
    identifier = call.path["conversation_id"]
    return await call.service.store.read(lambda db: conversation_body(find_conversation(db, identifier)))


async def update(call: Call) -> Record:
    """POST .../conversations/{id}: the metadata, as a whole."""
    body = call.json_object()

    def change(db: sqlite3.Connection) -> Record:
        conversation = find_conversation(db, call.path["conversation_id"])
        conversation["metadata"] = validation.check_metadata(validation.require(body, "metadata"))
        CONVERSATIONS.put(db, conversation)
        return conversation_body(conversation)

    return call.created(await call.service.store.write(change))


async def delete(call: Call) -> Record:
    """DELETE .../conversations/{id}, with its items; its responses stay (the real service: not known)."""

    def remove(db: sqlite3.Connection) -> Record:
        identifier = find_conversation(db, call.path["conversation_id"])["id"]
        refuse_while_locked(db, identifier)
        CONVERSATION_ITEMS.delete_children(db, identifier)
        CONVERSATIONS.delete(db, identifier)
        return {"id": identifier, "object": "conversation.deleted", "deleted": True}

    return call.created(await call.service.store.write(remove))


def refuse_while_locked(db: sqlite3.Connection, identifier: str) -> None:
    """Refuse to change a conversation that a response is being made in."""
    if active_run(db, identifier) is not None:
        raise conversation_locked()


async def create_items(call: Call) -> Record:
    """POST .../conversations/{id}/items: up to 20; answers them with their ids, in the order they came in."""
    given = call.json_object().get("items")
    if not isinstance(given, list) or not given:
        raise missing_parameter("items")
    check_posted(given, "items")

    def insert(db: sqlite3.Connection) -> Record:
        identifier = find_conversation(db, call.path["conversation_id"])["id"]
        refuse_while_locked(db, identifier)
        items = checked_items(given, partition_of(identifier), "items")
        CONVERSATION_ITEMS.insert_all(db, items, identifier)
        call.entry.response_id = items[0]["id"]
        bodies = [item["body"] for item in items]
        return {"object": "list", "data": bodies, "has_more": False, **_ends(bodies)}

    return await call.service.store.write(insert)


def _ends(bodies: list[Record]) -> Record:
    return {"first_id": bodies[0]["id"], "last_id": bodies[-1]["id"]}


async def list_items(call: Call) -> Record:
    """GET .../conversations/{id}/items, newest first, optionally of one `item_type`."""
    page, kind = page_from_query(call.query), call.query.get("item_type")

    def read(db: sqlite3.Connection) -> Record:
        identifier = find_conversation(db, call.path["conversation_id"])["id"]
        where = {"body.type": kind} if kind else None
        items, has_more = CONVERSATION_ITEMS.page(db, page, identifier, where)
        return page_body([item["body"] for item in items], has_more)

    return await call.service.store.read(read)


def _item(db: sqlite3.Connection, call: Call) -> tuple[Record, Record]:
    conversation = find_conversation(db, call.path["conversation_id"])
    item = CONVERSATION_ITEMS.find(db, call.path["item_id"], conversation["id"])
    if item is None:
        raise ServiceError(404, f"Conversation item with id '{call.path['item_id']}' not found.")
    return conversation, item


async def get_item(call: Call) -> Record:
    """GET .../conversations/{id}/items/{item_id}."""
    _, item = await call.service.store.read(lambda db: _item(db, call))
    body: Record = item["body"]
    return body


async def delete_item(call: Call) -> Record:
    """DELETE .../conversations/{id}/items/{item_id}; answers the conversation (recorded)."""

    def remove(db: sqlite3.Connection) -> Record:
        conversation, item = _item(db, call)
        refuse_while_locked(db, conversation["id"])
        CONVERSATION_ITEMS.delete(db, item["id"], conversation["id"])
        return conversation_body(conversation)

    return call.created(await call.service.store.write(remove))


_ALL, _ONE = "/conversations", "/conversations/{conversation_id}"
_TABLE: tuple[tuple[str, str, str, Any], ...] = (
    ("conversations.create", "POST", _ALL, create),
    ("conversations.list", "GET", _ALL, list_all),
    ("conversations.get", "GET", _ONE, get),
    ("conversations.update", "POST", _ONE, update),
    ("conversations.delete", "DELETE", _ONE, delete),
    ("conversation_items.create", "POST", f"{_ONE}/items", create_items),
    ("conversation_items.list", "GET", f"{_ONE}/items", list_items),
    ("conversation_items.get", "GET", f"{_ONE}/items/{{item_id}}", get_item),
    ("conversation_items.delete", "DELETE", f"{_ONE}/items/{{item_id}}", delete_item),
)
OPERATIONS: tuple[Operation, ...] = below(_TABLE)
AGENT_OPERATIONS: tuple[Operation, ...] = below(_TABLE, of_agent=True)
