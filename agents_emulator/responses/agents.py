"""Agents by name (`/agents`): a name, its versions, and which of them its endpoint serves."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from agents_emulator.endpoints import NAMED_AGENT_VERSIONS, Call, Operation, common_headers
from agents_emulator.engine.responses.bodies import page_body
from agents_emulator.engine.responses.refusals import agent_disabled, agent_not_found, invalid_payload
from agents_emulator.paging import page_from_query
from agents_emulator.responses.versions import add_version, latest_version, same_version, version_body
from agents_emulator.store import AGENT_VERSIONS, NAMED_AGENTS, Page, Record


def named_agent(db: sqlite3.Connection, name: str) -> Record:
    """Return an agent; raise the recorded 404 if there is none."""
    agent = NAMED_AGENTS.find(db, name)
    if agent is None:
        raise agent_not_found()
    return agent


def agent_body(db: sqlite3.Connection, agent: Record) -> Record:
    """Return an agent with its latest version."""
    latest = latest_version(db, agent["name"])
    body: Record = {
        "object": "agent",
        "id": agent["name"],
        "name": agent["name"],
        "versions": {"latest": None if latest is None else version_body(latest)},
    }
    state = "disabled" if agent["disabled"] else "enabled"
    body |= {"state": state, "configuration_state": state}
    if agent["endpoint"] is not None:
        body["agent_endpoint"] = agent["endpoint"]
    return body


def resolve(
    db: sqlite3.Connection, name: str, version: Any, *, by_endpoint: bool = False
) -> tuple[Record, str]:
    """Return the version of an agent that answers, and how it was found: `specified`, `rule` or `latest`.

    Raises the recorded 404 and, for an agent that was disabled, 403.
    """
    agent = named_agent(db, name)
    if agent["disabled"]:
        raise agent_disabled()
    how = "specified" if version else "latest"
    if not version and by_endpoint:
        version = _by_rules(agent)
        how = "rule" if version else how
    found = AGENT_VERSIONS.find(db, f"{name}:{version}", name) if version else latest_version(db, name)
    if found is None:
        raise agent_not_found()
    return found, how


def _by_rules(agent: Record) -> str | None:
    selector = (agent["endpoint"] or {}).get("version_selector") or {}
    rules = selector.get("version_selection_rules") or []
    if not rules:
        return None
    weights = [float(rule.get("traffic_percentage") or 0) for rule in rules]
    if not any(weights):
        return None
    return str(random.choices(rules, weights)[0]["agent_version"])  # noqa: S311 - traffic, not secrets


async def create(call: Call) -> Record:
    """POST /agents, with the name in the body; answers the agent."""
    body = dict(call.json_object())
    name = body.pop("name", None)
    if not isinstance(name, str):
        raise invalid_payload("A name is required.", "name")

    def insert(db: sqlite3.Connection) -> Record:
        if NAMED_AGENTS.find(db, name) is not None:
            raise invalid_payload(f"An agent named '{name}' exists already.", "name")
        add_version(db, name, body)
        return agent_body(db, named_agent(db, name))

    return call.created(await call.service.store.write(insert))


async def update(call: Call) -> Record:
    """POST /agents/{name}: a new version, unless it would be the same as the latest; answers the agent."""
    name, body = call.path["agent_name"], dict(call.json_object())

    def change(db: sqlite3.Connection) -> Record:
        named_agent(db, name)
        latest = latest_version(db, name)
        if latest is None or not same_version(latest, body):
            add_version(db, name, body)
        return agent_body(db, named_agent(db, name))

    return call.created(await call.service.store.write(change))


async def list_all(call: Call) -> Record:
    """GET /agents, newest first; `kind` picks agents by their latest version."""
    page = page_from_query(call.query)
    kind = call.query.get("kind")

    def read(db: sqlite3.Connection) -> Record:
        agents, has_more = NAMED_AGENTS.page(db, page, "", {"kind": kind} if kind else None)
        return page_body([agent_body(db, agent) for agent in agents], has_more)

    return await call.service.store.read(read)


async def get(call: Call) -> Record:
    """GET /agents/{name}."""
    return await call.service.store.read(lambda db: agent_body(db, named_agent(db, call.path["agent_name"])))


async def patch(call: Call) -> Record:
    """PATCH /agents/{name}: what its endpoint serves."""
    body = call.json_object()
    endpoint = body.get("agent_endpoint")
    if endpoint is not None and not isinstance(endpoint, dict):
        raise invalid_payload("Expected an object.", "agent_endpoint")

    def change(db: sqlite3.Connection) -> Record:
        agent = named_agent(db, call.path["agent_name"])
        if endpoint is not None:
            _check_rules(db, agent["name"], endpoint)
            agent["endpoint"] = {**(agent["endpoint"] or {}), **endpoint}
            NAMED_AGENTS.put(db, agent)
        return agent_body(db, agent)

    return call.created(await call.service.store.write(change))


def _check_rules(db: sqlite3.Connection, name: str, endpoint: Mapping[str, Any]) -> None:
    rules = (endpoint.get("version_selector") or {}).get("version_selection_rules") or []
    for index, rule in enumerate(rules):
        where = f"agent_endpoint.version_selector.version_selection_rules[{index}]"
        if not isinstance(rule, dict) or rule.get("type") != "FixedRatio":
            raise invalid_payload("The only type of a rule is 'FixedRatio'.", f"{where}.type")
        version = f"{name}:{rule.get('agent_version')}"
        if AGENT_VERSIONS.find(db, version, name) is None:
            raise invalid_payload(f"There is no version '{version}'.", f"{where}.agent_version")


async def delete(call: Call) -> Record:
    """DELETE /agents/{name}, with all its versions."""
    name = call.path["agent_name"]

    def remove(db: sqlite3.Connection) -> Record:
        named_agent(db, name)
        AGENT_VERSIONS.delete_children(db, name)
        NAMED_AGENTS.delete(db, name)
        return {"object": "agent.deleted", "name": name, "deleted": True}

    call.entry.response_id = name
    return await call.service.store.write(remove)


async def enable(call: Call) -> Response:
    """POST /agents/{name}:enable."""
    return await _set_disabled(call, False)


async def disable(call: Call) -> Response:
    """POST /agents/{name}:disable."""
    return await _set_disabled(call, True)


async def _set_disabled(call: Call, disabled: bool) -> Response:
    def change(db: sqlite3.Connection) -> None:
        agent = named_agent(db, call.path["agent_name"])
        NAMED_AGENTS.put(db, {**agent, "disabled": disabled})

    await call.service.store.write(change)
    return Response(status_code=204, headers=common_headers())


async def list_versions(call: Call) -> Record:
    """GET /agents/{name}/versions, newest first."""
    page, name = page_from_query(call.query), call.path["agent_name"]

    def read(db: sqlite3.Connection) -> Record:
        named_agent(db, name)
        versions, has_more = AGENT_VERSIONS.page(db, _by_id(page, name), name)
        return page_body([version_body(version) for version in versions], has_more)

    return await call.service.store.read(read)


def _by_id(page: Page, name: str) -> Page:
    """Return a page whose cursors are ids: a version's number alone does for one, too."""
    after, before = (
        text if text is None or ":" in text else f"{name}:{text}" for text in (page.after, page.before)
    )
    return Page(page.limit, page.order, after, before)


async def create_version(call: Call) -> Record:
    """POST /agents/{name}/versions: a version of its own, however like the one before it is."""
    body = dict(call.json_object())
    version = await call.service.store.write(lambda db: add_version(db, call.path["agent_name"], body))
    return call.created(version_body(version))


async def get_version(call: Call) -> Record:
    """GET /agents/{name}/versions/{version}."""
    name, number = call.path["agent_name"], call.path["agent_version"]

    def read(db: sqlite3.Connection) -> Record:
        found = AGENT_VERSIONS.find(db, f"{name}:{number}", name)
        if found is None:
            raise agent_not_found()
        return version_body(found)

    return await call.service.store.read(read)


async def delete_version(call: Call) -> Record:
    """DELETE /agents/{name}/versions/{version}; with its last version the agent is gone."""
    name, number = call.path["agent_name"], call.path["agent_version"]

    def remove(db: sqlite3.Connection) -> Record:
        if not AGENT_VERSIONS.delete(db, f"{name}:{number}", name):
            raise agent_not_found()
        if latest_version(db, name) is None:
            NAMED_AGENTS.delete(db, name)
        return {"object": "agent.version.deleted", "name": name, "version": number, "deleted": True}

    call.entry.response_id = f"{name}:{number}"
    return await call.service.store.write(remove)


def _operation(name: str, method: str, path: str, handler: Any) -> Operation:
    return Operation(name, method, path, handler, versions=NAMED_AGENT_VERSIONS)


_ONE = "/agents/{agent_name}"
OPERATIONS = (
    _operation("agent_versions.create", "POST", f"{_ONE}/versions", create_version),
    _operation("agent_versions.list", "GET", f"{_ONE}/versions", list_versions),
    _operation("agent_versions.get", "GET", f"{_ONE}/versions/{{agent_version}}", get_version),
    _operation("agent_versions.delete", "DELETE", f"{_ONE}/versions/{{agent_version}}", delete_version),
    _operation("named_agents.enable", "POST", f"{_ONE}:enable", enable),
    _operation("named_agents.disable", "POST", f"{_ONE}:disable", disable),
    _operation("named_agents.create", "POST", "/agents", create),
    _operation("named_agents.list", "GET", "/agents", list_all),
    _operation("named_agents.get", "GET", _ONE, get),
    _operation("named_agents.update", "POST", _ONE, update),
    _operation("named_agents.patch", "PATCH", _ONE, patch),
    _operation("named_agents.delete", "DELETE", _ONE, delete),
)
