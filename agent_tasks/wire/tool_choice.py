"""Tool choice: whether a run calls tools, and which."""

from __future__ import annotations

from enum import StrEnum

from agent_tasks.wire.base import Open, WireModel

__all__ = [
    "AgentsNamedToolChoice",
    "AgentsNamedToolChoiceType",
    "AgentsToolChoiceOption",
    "AgentsToolChoiceOptionMode",
    "FunctionName",
]


class AgentsToolChoiceOptionMode(StrEnum):
    """Whether a run calls tools, where none is named."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"


class AgentsNamedToolChoiceType(StrEnum):
    """Kinds of tools that a run can be held to."""

    FUNCTION = "function"
    CODE_INTERPRETER = "code_interpreter"
    FILE_SEARCH = "file_search"
    BING_GROUNDING = "bing_grounding"
    FABRIC_DATAAGENT = "fabric_dataagent"
    SHAREPOINT_GROUNDING = "sharepoint_grounding"
    AZURE_AI_SEARCH = "azure_ai_search"
    BING_CUSTOM_SEARCH = "bing_custom_search"
    CONNECTED_AGENT = "connected_agent"
    DEEP_RESEARCH = "deep_research"
    MCP = "mcp"
    COMPUTER_USE_PREVIEW = "computer_use_preview"


class FunctionName(WireModel):
    """A function by its name."""

    name: str


class AgentsNamedToolChoice(WireModel):
    """Forces one tool."""

    type: Open[AgentsNamedToolChoiceType]
    function: FunctionName | None = None


AgentsToolChoiceOption = AgentsNamedToolChoice | Open[AgentsToolChoiceOptionMode]
"""`auto`, `none`, `required`, or the one tool to use."""
