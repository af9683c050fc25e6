"""Agents: made once for each owner and specification, and kept until their owner is released."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import ConfigurationError
from agent_tasks.journal import NewResource
from agent_tasks.operations.effects import create_or_find
from agent_tasks.operations.keys import operation_key
from agent_tasks.operations.models import DEFAULT_TTL, AgentSpec, RemoteAgent
from agent_tasks.operations.workspace import Workspace


def agent_key(spec: AgentSpec) -> str:
    """What an agent is: a hash of its specification, with stores, files and agents by their keys, not ids."""
    described = spec.model_dump(mode="json", exclude={"stores", "files", "connected", "approvals"})
    stores = [store.key for store in spec.stores]
    # Only where there are any: the keys of agents without them stay what they were.
    more: dict[str, Any] = {}
    if spec.files:
        more["files"] = sorted(file.key for file in spec.files)
    if spec.connected:
        more["connected"] = [[other.key, other.name, other.description] for other in spec.connected]
    return operation_key("agent", spec=described, stores=stores, **more)


def existing_agent(agent_id: str) -> RemoteAgent:
    """An agent that is on the service already, to be asked as it is: nothing of it is made or deleted.

    Also a workflow, an agent of the successor that carries out actions declared in YAML.

    Args:
        agent_id: `NAME:VERSION` on the successor, the id of the agent on the classic service. Without the
            version a turn could not be told from one of another version, so it may not be left out.

    Raises:
        ConfigurationError: `agent_id` is blank.
    """
    if not agent_id.strip():
        raise ConfigurationError(
            "An existing agent is known by its id, and this one is blank.", setting="agent"
        )
    key = operation_key("existing-agent", id=agent_id)
    return RemoteAgent(id=agent_id, key=key, name=agent_id, reused=True)


async def ensure_agent(
    ws: Workspace, spec: AgentSpec, *, owner: str, ttl: timedelta = DEFAULT_TTL
) -> RemoteAgent:
    """Make sure that an agent of this specification is there, and belongs to `owner`.

    Args:
        ws: where to work.
        spec: the agent as it shall be.
        owner: what it is for; `release_owner` deletes it.
        ttl: how long it may live.

    Raises:
        ServiceError: the service refused it.
        TransportError: the service could not be reached.
        JournalError: nothing could be committed, so nothing was sent.
    """
    key = agent_key(spec)
    can = ws.backend.capabilities
    more: dict[str, Any] = {}
    if can.in_keys:  # an agent of one service is none of another's
        more["service"] = can.in_keys
    if spec.approvals and not can.approvals_by_turn:
        more["approvals"] = spec.approvals
    operation = operation_key("ensure-agent", agent=key, owner=owner, **more)
    while True:
        async with ws.hold(
            operation, "agent", {"agent": spec.name, "model": spec.model, "owner": owner}
        ) as held:
            if held.is_done:
                agent_id: str = held.operation.result["id"]
                if await ws.backend.exists("agent", agent_id):
                    return RemoteAgent(id=agent_id, key=key, name=spec.name, reused=True, spec=spec)
            else:
                agent_id = await create_or_find(
                    ws,
                    held.operation,
                    is_orphan=held.is_orphan,
                    create=lambda mark: ws.backend.create_agent(spec, mark),
                    find=lambda mark, since: ws.backend.find("agent", mark, since=since),
                )
                made = NewResource("agent", agent_id, owner, spec.name, ttl.total_seconds())
                await ws.journal.operations.finish(
                    ws.scope, operation, {"id": agent_id}, [made] if can.keeps_agents else []
                )
                crash_point("agent.committed")
                return RemoteAgent(id=agent_id, key=key, name=spec.name, spec=spec)
        await ws.journal.resources.mark_deleted(
            ws.scope, "agent", agent_id
        )  # somebody else deleted it: make it anew
