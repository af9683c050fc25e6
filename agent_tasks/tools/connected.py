"""Tools that the service reaches by the project's connections, other agents, and screens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent_tasks.errors import ConfigurationError
from agent_tasks.tools.base import HostedTool, named
from agent_tasks.wire import (
    BrowserAutomationToolConnectionParameters,
    BrowserAutomationToolDefinition,
    BrowserAutomationToolParameters,
    ComputerUseEnvironment,
    ComputerUseToolDefinition,
    ComputerUseToolParameters,
    ConnectedAgentDetails,
    ConnectedAgentToolDefinition,
    DeepResearchBingGroundingConnection,
    DeepResearchDetails,
    DeepResearchToolDefinition,
    FabricDataAgentToolParameters,
    MicrosoftFabricToolDefinition,
    SharepointGroundingToolParameters,
    SharepointToolDefinition,
    ToolConnection,
    ToolDefinition,
)

_AGENT_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True)
class ConnectedAgentTool(HostedTool):
    """Another agent of the project as a tool: the service runs it on a thread of its own.

    Raises ConfigurationError for an empty field, or a name with other characters than letters, digits and
    ``_`` (the model calls it by that name).
    """

    id: str
    """Id of the other agent."""
    name: str
    """Name that the model calls it by."""
    description: str
    """What it is for: the model decides by this text when to call it."""

    def __post_init__(self) -> None:
        named("ConnectedAgentTool", id=self.id, name=self.name, description=self.description)
        if _AGENT_NAME.fullmatch(self.name) is None:
            raise ConfigurationError(
                f"ConnectedAgentTool: the name {self.name!r} is not possible: use letters, digits and '_'",
                setting="name",
            )

    def _definitions(self) -> list[ToolDefinition]:
        details = ConnectedAgentDetails(id=self.id, name=self.name, description=self.description)
        return [ConnectedAgentToolDefinition(connected_agent=details)]


@dataclass(frozen=True)
class FabricTool(HostedTool):
    """A Microsoft Fabric data agent answers from the data that it was made for (preview)."""

    connection_id: str
    """Id of the project's connection to the data agent."""

    def __post_init__(self) -> None:
        named("FabricTool", connection_id=self.connection_id)

    def _definitions(self) -> list[ToolDefinition]:
        connection = ToolConnection(connection_id=self.connection_id)
        parameters = FabricDataAgentToolParameters(connections=[connection])
        return [MicrosoftFabricToolDefinition(fabric_dataagent=parameters)]


@dataclass(frozen=True)
class SharepointTool(HostedTool):
    """Search in SharePoint, with the rights of the person who asks (preview)."""

    connection_id: str
    """Id of the project's connection to the site."""

    def __post_init__(self) -> None:
        named("SharepointTool", connection_id=self.connection_id)

    def _definitions(self) -> list[ToolDefinition]:
        connection = ToolConnection(connection_id=self.connection_id)
        parameters = SharepointGroundingToolParameters(connections=[connection])
        return [SharepointToolDefinition(sharepoint_grounding=parameters)]


@dataclass(frozen=True)
class DeepResearchTool(HostedTool):
    """Research over many web searches by a model made for it, with a cited report at the end (preview)."""

    bing_grounding_connection_id: str
    """Id of the project's connection to Grounding with Bing Search."""
    deep_research_model: str
    """Name of the deployment of the research model."""

    def __post_init__(self) -> None:
        named(
            "DeepResearchTool",
            bing_grounding_connection_id=self.bing_grounding_connection_id,
            deep_research_model=self.deep_research_model,
        )

    def _definitions(self) -> list[ToolDefinition]:
        connection = DeepResearchBingGroundingConnection(connection_id=self.bing_grounding_connection_id)
        details = DeepResearchDetails(
            deep_research_model=self.deep_research_model, bing_grounding_connections=[connection]
        )
        return [DeepResearchToolDefinition(deep_research=details)]


@dataclass(frozen=True)
class BrowserAutomationTool(HostedTool):
    """A browser in a Playwright workspace, which the service steers by itself (preview)."""

    connection_id: str
    """Id of the project's connection to the workspace."""

    def __post_init__(self) -> None:
        named("BrowserAutomationTool", connection_id=self.connection_id)

    def _definitions(self) -> list[ToolDefinition]:
        connection = BrowserAutomationToolConnectionParameters(id=self.connection_id)
        parameters = BrowserAutomationToolParameters(connection=connection)
        return [BrowserAutomationToolDefinition(browser_automation=parameters)]


@dataclass(frozen=True)
class ComputerUseTool(HostedTool):
    """A screen that the model looks at and acts on (preview).

    The run stops at `requires_action` for every action; the caller carries it out on a machine of its own and
    answers with a screenshot (`ComputerToolOutput`).
    """

    display_width: int
    """Width of the screen in pixels."""
    display_height: int
    """Height of the screen in pixels."""
    environment: ComputerUseEnvironment | str = ComputerUseEnvironment.BROWSER
    """What is on the screen: `windows`, `mac`, `linux` or `browser`."""

    def __post_init__(self) -> None:
        if self.display_width < 1 or self.display_height < 1:
            raise ConfigurationError(
                f"ComputerUseTool: a screen of {self.display_width} x {self.display_height} pixels is not "
                "possible"
            )
        named("ComputerUseTool", environment=self.environment)

    def _definitions(self) -> list[ToolDefinition]:
        parameters = ComputerUseToolParameters(
            display_width=self.display_width,
            display_height=self.display_height,
            environment=self.environment,
        )
        return [ComputerUseToolDefinition(computer_use_preview=parameters)]
