"""Agents (`/assistants`)."""

from __future__ import annotations

import sqlite3
from typing import Any

from agent_tasks.wire import CreateAgentRequest, UpdateAgentRequest
from agents_emulator import validation
from agents_emulator.endpoints import Call, Operation
from agents_emulator.engine.lifecycle import now
from agents_emulator.errors import bad_request
from agents_emulator.ids import new_id
from agents_emulator.paging import list_body, page_from_query
from agents_emulator.resources.tool_resources import check_tool_resources
from agents_emulator.store import AGENTS, Record
from agents_emulator.tools.mcp import without_secrets

_MAX_LENGTHS = {"name": 256, "description": 512, "instructions": 256_000}


def agent_body(agent: Record) -> Record:
    """Return an agent in the recorded key order, which is the order it is stored in.

    Headers of MCP servers are kept for the agent's runs and never given back.
    """
    return {**agent, "tool_resources": without_secrets(agent["tool_resources"])}


def _fields(db: sqlite3.Connection, body: Record) -> tuple[Record, list[Record]]:
    """Return the checked fields that a request sets, and the files to read."""
    resources, unread = check_tool_resources(db, body.get("tool_resources"))
    for name, limit in _MAX_LENGTHS.items():
        if len(body.get(name) or "") > limit:
            raise bad_request(
                f"Invalid '{name}': it may have {limit} characters, but has {len(body[name])}.",
                param=name,
                code="string_above_max_length",
            )
    checks: dict[str, Any] = {
        "name": lambda: body["name"],
        "description": lambda: body["description"],
        "model": lambda: validation.require(body, "model"),
        "instructions": lambda: body["instructions"],
        "tools": lambda: validation.check_tools(body["tools"]),
        "top_p": lambda: validation.or_default(validation.check_number(body, "top_p", 0, 1), 1.0),
        "temperature": lambda: validation.or_default(validation.check_number(body, "temperature", 0, 2), 1.0),
        "tool_resources": lambda: resources,
        "metadata": lambda: validation.check_metadata(body["metadata"]),
        "response_format": lambda: validation.check_response_format(body["response_format"]),
    }
    return {name: check() for name, check in checks.items() if name in body}, unread


async def create(call: Call) -> Record:
    """POST /assistants."""
    body = await call.service.assets.taken_in(call.parsed(CreateAgentRequest))

    def insert(db: sqlite3.Connection) -> tuple[Record, list[Record]]:
        agent: Record = {
            "id": new_id("asst"),
            "object": "assistant",
            "created_at": now(),
            "name": None,
            "description": None,
            "model": "",
            "instructions": None,
            "tools": [],
            "top_p": 1.0,
            "temperature": 1.0,
            "tool_resources": {},
            "metadata": {},
            "response_format": "auto",
        }
        fields, unread = _fields(db, body)
        agent.update(fields)
        AGENTS.insert(db, agent)
        return agent, unread

    agent, unread = await call.service.store.write(insert)
    call.service.ingestion.start(unread)
    return call.created(agent_body(agent))


async def list_all(call: Call) -> Record:
    """GET /assistants."""
    page = page_from_query(call.query)
    agents, has_more = await call.service.store.read(lambda db: AGENTS.page(db, page))
    return list_body([agent_body(agent) for agent in agents], has_more)


async def get(call: Call) -> Record:
    """GET /assistants/{id}."""
    return agent_body(await call.service.store.read(lambda db: AGENTS.get(db, call.path["agent_id"])))


async def update(call: Call) -> Record:
    """POST /assistants/{id}."""
    body = await call.service.assets.taken_in(call.parsed(UpdateAgentRequest))

    def change(db: sqlite3.Connection) -> tuple[Record, list[Record]]:
        agent = AGENTS.get(db, call.path["agent_id"])
        fields, unread = _fields(db, body)
        agent.update(fields)
        AGENTS.put(db, agent)
        return agent, unread

    agent, unread = await call.service.store.write(change)
    call.service.ingestion.start(unread)
    return call.created(agent_body(agent))


async def delete(call: Call) -> Record:
    """DELETE /assistants/{id}; runs that are at work keep the agent's settings."""

    def remove(db: sqlite3.Connection) -> Record:
        agent_id = AGENTS.get(db, call.path["agent_id"])["id"]
        AGENTS.delete(db, agent_id)
        return {"id": agent_id, "object": "assistant.deleted", "deleted": True}

    return call.created(await call.service.store.write(remove))


OPERATIONS = (
    Operation("agents.create", "POST", "/assistants", create),
    Operation("agents.list", "GET", "/assistants", list_all),
    Operation("agents.get", "GET", "/assistants/{agent_id}", get),
    Operation("agents.update", "POST", "/assistants/{agent_id}", update),
    Operation("agents.delete", "DELETE", "/assistants/{agent_id}", delete),
)
