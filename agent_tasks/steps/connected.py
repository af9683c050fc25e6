"""An agent as a tool of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from agent_tasks import operations
from agent_tasks.errors import ConfigurationError
from agent_tasks.operations import AgentSpec, agent_key
from agent_tasks.steps.hosted import NeedyTool
from agent_tasks.steps.session import Session
from agent_tasks.tools import ConnectedAgentTool, ToolSet

__all__ = ["ConnectedAgent"]


class AsTool(Protocol):
    """What of an agent is needed where another one uses it; an `Agent` is one."""

    name: str
    tools: ToolSet

    async def planned(self, session: Session, model: str | None = None) -> AgentSpec:
        """Its specification."""
        ...

    async def made(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """That with all that it needs made on the service."""
        ...


@dataclass(frozen=True)
class ConnectedAgent(NeedyTool):
    """An agent as a tool of another one, as `Agent.as_tool` makes it."""

    agent: AsTool
    """The agent."""
    name: str
    """The name that the model calls it by."""
    description: str
    """What it is for."""

    def __post_init__(self) -> None:
        ConnectedAgentTool(id="planned", name=self.name, description=self.description)
        if self.agent.tools.functions:
            raise ConfigurationError(
                f"The agent {self.agent.name} can't be a tool of another one: the service asks it by itself, "
                f"and can't call its functions ({', '.join(self.agent.tools.functions)}) there. Ask it from "
                "Python, or give the functions to the other agent.",
                setting="tools",
            )

    @property
    def definitions(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The tool as the service is told about it, but for the agent's id."""
        return ConnectedAgentTool(id="planned", name=self.name, description=self.description).definitions

    @property
    def resources(self) -> dict[str, Any]:  # type: ignore[override]
        """None."""
        return {}

    async def planned(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """With the agent by its key."""
        return self._with(spec, "", agent_key(await self.agent.planned(session)))

    async def made(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """With the agent made."""
        own = await self.agent.planned(session)
        key = agent_key(own)
        there = await session.agent(key, lambda: self.agent.made(session, own))
        return self._with(spec, there.id, key)

    def _with(self, spec: AgentSpec, agent_id: str, key: str) -> AgentSpec:
        others = [other for other in spec.connected if other.key != key or other.name != self.name]
        this = operations.ConnectedAgent(id=agent_id, key=key, name=self.name, description=self.description)
        return spec.model_copy(update={"connected": [*others, this]})
