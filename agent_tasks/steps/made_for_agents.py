"""What has to be made on the service before an agent that uses it: files, stores of files, other agents.

In the specification of an agent each is named by a key first, a hash of what it is: whether a turn was paid
for already is found out by keys, and nothing is made for a turn that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_tasks.operations import (
    AgentSpec,
    RemoteFile,
    RemoteStore,
    agent_key,
    build_vector_store,
    content_hash,
    operation_key,
    upload_file,
)
from agent_tasks.steps.session import Session
from agent_tasks.tools import CodeInterpreterTool, ConnectedAgentTool, FileSearchTool

if TYPE_CHECKING:
    from agent_tasks.steps.file_agents import FileAgent


@dataclass(frozen=True)
class GivenFile:
    """A file of the author's, for an agent to work on."""

    name: str
    content: bytes

    @property
    def key(self) -> str:
        """What `upload_file` calls it."""
        return operation_key("file", content=content_hash(self.content), name=self.name)

    async def uploaded(self, session: Session) -> RemoteFile:
        """The file on the service. Raises what `upload_file` raises."""
        return await upload_file(session.ws, self.content, self.name, owner=session.root, ttl=session.ttl)


@dataclass(frozen=True)
class SearchedFiles:
    """File search over given files: a store of them is built for the agent."""

    files: tuple[GivenFile, ...]
    tool: FileSearchTool
    store_name: str

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The tool as on the wire."""
        return self.tool.definitions

    @property
    def key(self) -> str:
        """What `build_vector_store` calls the store."""
        return operation_key("store", name=self.store_name, files=sorted(file.key for file in self.files))

    def named(self, spec: AgentSpec) -> AgentSpec:
        """The specification with the store by its key."""
        store = RemoteStore(id="", key=self.key, name=self.store_name, file_ids=[])
        return spec.model_copy(update={"stores": [*spec.stores, store]})

    async def made(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """The specification with the store that was built."""
        files = [await file.uploaded(session) for file in self.files]
        store = await build_vector_store(
            session.ws, self.store_name, files, owner=session.root, ttl=session.ttl
        )
        stores = [store if one.key == self.key else one for one in spec.stores]
        return spec.model_copy(update={"stores": stores})


@dataclass(frozen=True)
class ComputedFiles:
    """A code interpreter with given files."""

    files: tuple[GivenFile, ...]
    tool: CodeInterpreterTool

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The tool as on the wire."""
        return self.tool.definitions

    @property
    def key(self) -> str:
        """What the files are."""
        return operation_key("files", files=[file.key for file in self.files])

    def named(self, spec: AgentSpec) -> AgentSpec:
        """The specification with the files by their keys."""
        return self._with(spec, [file.key for file in self.files])

    async def made(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """The specification with the files that were uploaded."""
        return self._with(spec, [(await file.uploaded(session)).id for file in self.files])

    def _with(self, spec: AgentSpec, ids: Sequence[str]) -> AgentSpec:
        resources = {**spec.tool_resources, "code_interpreter": {"file_ids": list(ids)}}
        return spec.model_copy(update={"tool_resources": resources if ids else spec.tool_resources})


@dataclass(frozen=True)
class ConnectedAgent:
    """Another agent of the file, as a tool."""

    agent: FileAgent
    name: str
    description: str

    @property
    def key(self) -> str:
        """What the other agent is."""
        return agent_key(self.agent.spec(self.agent.model))

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The tool as on the wire, with the other agent by its key."""
        return ConnectedAgentTool(self.key, self.name, self.description).definitions

    def named(self, spec: AgentSpec) -> AgentSpec:
        """The specification as it is: the definition names the agent."""
        return spec

    async def made(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """The specification with the id of the other agent, which is made first."""
        other = self.agent

        async def other_spec() -> AgentSpec:
            return await other.made(session, other.spec(other.model))

        there = await session.agent(self.key, other_spec)
        (ours,) = self.definitions
        (theirs,) = ConnectedAgentTool(there.id, self.name, self.description).definitions
        tools = [theirs if definition == ours else definition for definition in spec.tools]
        return spec.model_copy(update={"tools": tools})


MadeFirst = SearchedFiles | ComputedFiles | ConnectedAgent
