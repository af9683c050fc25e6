"""Copying what a user keeps on the classic service to its successor: agents, with their files and stores."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any, Final

from agent_tasks.backends.base import AgentSpec, JsonObject, Mark
from agent_tasks.backends.marks import KEY_FIELD, find_file, find_newest, marked_name, metadata_of
from agent_tasks.backends.responses.service import is_gone
from agent_tasks.backends.responses.words import definition
from agent_tasks.client import AsyncAgentsClient, AsyncResponsesClient, path_of
from agent_tasks.client.polling import polls
from agent_tasks.errors import AgentTasksError, ConfigurationError, ServiceError
from agent_tasks.wire import Agent

__all__ = ["FROM_FIELD", "Moved", "Moving"]

FROM_FIELD: Final = "agent_tasks_moved_from"
_HASH_FIELD: Final = "agent_tasks_moved_hash"
_LARGEST = 512 * 1024 * 1024  # bytes of a file: what the service takes
_INGESTED_WITHIN = 600.0  # seconds


@dataclass(frozen=True)
class Moved:
    """What became of one thing."""

    kind: str
    """`agent`, `file` or `store`."""
    old: str
    """Its id on the classic service."""
    name: str
    new: str | None = None
    """Its id on the successor; None: it did not move, or would."""
    why: str = ""
    """What was done, or why it does not move."""


class Moving:
    """Copies agents to versions; what is copied already, and is the same, is left alone.

    Files and stores keep their ids where the successor has them, and are copied where it does not.

    Args:
        classic: the client of the classic service.
        client: speaks below the successor's `/openai/v1`.
        agents: speaks below the project's address.
        write: copy; without it the same is found out and nothing changed.
    """

    def __init__(
        self,
        classic: AsyncAgentsClient,
        client: AsyncResponsesClient,
        agents: AsyncResponsesClient,
        *,
        write: bool,
    ) -> None:
        self._classic = classic
        self._client = client
        self._agents = agents
        self._write = write
        self._ids: dict[str, str] = {}
        self._told: list[Moved] = []

    async def move(self, only: Collection[str] = ()) -> AsyncIterator[Moved]:
        """Copy one agent after the other, with what it uses.

        Args:
            only: ids or names of agents; all that no pipeline made if empty.

        Raises:
            ServiceError: the classic service refuses its list.
            TransportError: one of the services could not be reached.
        """
        async for agent in self._classic.agents.list(order="asc", limit=100):
            if only and agent.id not in only and agent.name not in only:
                continue
            if not only and KEY_FIELD in (agent.metadata or {}):
                continue  # a pipeline's; it makes it anew
            try:
                moved = await self._agent(agent)
            except (ConfigurationError, ServiceError) as error:
                moved = Moved("agent", agent.id, agent.name or "", None, str(error))
            for told in self._told:
                yield told
            self._told.clear()
            yield moved

    async def _agent(self, agent: Agent) -> Moved:
        described = agent.model_dump(mode="json", exclude={"id", "object", "created_at", "metadata"})
        is_now = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
        name, latest = await self._place(agent)
        metadata = (latest or {}).get("metadata") or {}
        if latest is not None and metadata.get(_HASH_FIELD) == is_now:
            return Moved(
                "agent", agent.id, agent.name or "", f"{name}:{latest['version']}", "is there already"
            )
        spec = _spec(agent)
        definition(spec)  # what has no counterpart is refused before anything is copied
        body = {
            "definition": definition(await self._with_its_things(spec)),
            "description": agent.description or None,
            "metadata": {**_others(agent), FROM_FIELD: agent.id, _HASH_FIELD: is_now},
        }
        if not self._write:
            return Moved("agent", agent.id, agent.name or "", None, f"would be a version of {name}")
        given = {key: value for key, value in body.items() if value is not None}
        made = await self._agents.post(path_of("agents", name, "versions"), given)
        return Moved("agent", agent.id, agent.name or "", f"{name}:{made['version']}", "copied")

    async def _place(self, agent: Agent) -> tuple[str, JsonObject | None]:
        """The name for an agent, with its latest version if it is there."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", agent.name or "agent").strip("-")[:55].rstrip("-") or "agent"
        latest = await self._latest(readable)
        if latest is None or (latest.get("metadata") or {}).get(FROM_FIELD) == agent.id:
            return readable, latest
        own = f"{readable}-{agent.id[-6:]}"  # another agent has the name
        return own, await self._latest(own)

    async def _latest(self, name: str) -> JsonObject | None:
        try:
            found = await self._agents.get(path_of("agents", name))
        except ServiceError as error:
            if is_gone(error):
                return None
            raise
        latest: JsonObject = (found.get("versions") or {}).get("latest") or {}
        return latest

    async def _with_its_things(self, spec: AgentSpec) -> AgentSpec:
        """The same with the successor's ids of files and stores."""
        resources = {kind: dict(own) for kind, own in spec.tool_resources.items()}
        if files := resources.get("code_interpreter", {}).get("file_ids"):
            resources["code_interpreter"]["file_ids"] = [await self._file(one) for one in files]
        if stores := resources.get("file_search", {}).get("vector_store_ids"):
            resources["file_search"]["vector_store_ids"] = [await self._store(one) for one in stores]
        return spec.model_copy(update={"tool_resources": resources})

    async def _file(self, file_id: str) -> str:
        if file_id in self._ids:
            return self._ids[file_id]
        file = await self._classic.files.get(file_id)
        if await self._is_there("files", file_id):
            return self._tell("file", file_id, file.filename, file_id, "the successor has it")
        mark = _mark(file_id)
        found = await find_file(self._client.files.list(), mark, 0.0)
        if found is None and self._write:
            content = bytearray()
            async for piece in self._classic.files.get_content(file_id):
                content += piece
                if len(content) > _LARGEST:
                    raise ConfigurationError(f"The file {file_id} is larger than 512 MiB.", setting="file")
            name = marked_name(file.filename, mark)
            found = (await self._client.files.upload(bytes(content), filename=name, purpose="assistants")).id
        return self._tell("file", file_id, file.filename, found, "copied" if found else "would be copied")

    async def _store(self, store_id: str) -> str:
        if store_id in self._ids:
            return self._ids[store_id]
        store = await self._classic.vector_stores.get(store_id)
        name = store.name or ""
        if await self._is_there("vector_stores", store_id):
            return self._tell("store", store_id, name, store_id, "the successor has it")
        files = [file.id async for file in self._classic.vector_store_files.list(store_id, limit=100)]
        copies = [await self._file(file) for file in files]
        mark = _mark(store_id)
        found = await find_newest(self._client.vector_stores.list(order="desc", limit=100), mark, 0.0)
        if found is None and self._write:
            made = await self._client.vector_stores.create(
                name=name or None, file_ids=copies, metadata=metadata_of(mark)
            )
            found = made.id
            await self._ingested(found)
        return self._tell("store", store_id, name, found, "copied" if found else "would be copied")

    async def _ingested(self, store_id: str) -> None:
        """Wait for a store's files, a while; what the successor refuses stays out and is told."""
        pauses = polls(0.3)
        for _ in range(int(_INGESTED_WITHIN)):
            counts = (await self._client.vector_stores.get(store_id)).file_counts
            if not counts.in_progress:
                break
            await pauses.wait()
        if counts.failed:
            self._told.append(Moved("store", "", store_id, None, f"{counts.failed} of its files are refused"))

    async def _is_there(self, kind: str, remote_id: str) -> bool:
        try:
            await self._client.get(path_of(kind, remote_id))
        except ServiceError as error:
            if is_gone(error):
                return False
            raise
        return True

    def _tell(self, kind: str, old: str, name: str, new: str | None, why: str) -> str:
        self._ids[old] = new or old
        self._told.append(Moved(kind, old, name, new, why))
        return self._ids[old]


def _spec(agent: Agent) -> AgentSpec:
    resources = agent.tool_resources.to_wire() if agent.tool_resources is not None else {}
    how: Any = agent.model_dump(mode="json")["response_format"]
    try:
        return AgentSpec(
            name=agent.name or "agent",
            model=agent.model,
            instructions=agent.instructions or "",
            description=agent.description or "",
            tools=[tool.to_wire() for tool in agent.tools],
            tool_resources={kind: own for kind, own in resources.items() if own},
            temperature=agent.temperature,
            top_p=agent.top_p,
            response_format=None if how == "auto" else how,
        )
    except AgentTasksError:
        raise
    except ValueError as error:
        raise ConfigurationError(
            f"The agent {agent.id} is not understood: {error}", setting="agent"
        ) from None


def _others(agent: Agent) -> dict[str, str]:
    """The metadata of the user's own, as far as there is room for it."""
    own = {key: value for key, value in (agent.metadata or {}).items() if not key.startswith("agent_tasks_")}
    return dict(list(own.items())[:14])


def _mark(remote_id: str) -> Mark:
    return Mark(hashlib.sha256(f"moved {remote_id}".encode()).hexdigest()[:40])
