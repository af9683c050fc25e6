"""Deltas of run steps in a stream. Everything but the id may be missing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from agent_tasks.wire.base import ByType, WireModel
from agent_tasks.wire.computer import AnyComputerUseAction, ComputerScreenshot, SafetyCheck
from agent_tasks.wire.steps import (
    AzureFunctionToolCallDetails,
    RunStepConnectedAgent,
    RunStepDeepResearchToolCallDetails,
    RunStepFileSearchToolCallResults,
)

__all__ = [
    "AnyRunStepDeltaCodeInterpreterOutput",
    "AnyRunStepDeltaDetail",
    "AnyRunStepDeltaToolCall",
    "RunStepDelta",
    "RunStepDeltaAzureAISearchToolCall",
    "RunStepDeltaAzureFunctionToolCall",
    "RunStepDeltaBingGroundingToolCall",
    "RunStepDeltaChunk",
    "RunStepDeltaCodeInterpreterDetailItemObject",
    "RunStepDeltaCodeInterpreterImageOutput",
    "RunStepDeltaCodeInterpreterImageOutputObject",
    "RunStepDeltaCodeInterpreterLogOutput",
    "RunStepDeltaCodeInterpreterOutput",
    "RunStepDeltaCodeInterpreterToolCall",
    "RunStepDeltaComputerUseDetails",
    "RunStepDeltaComputerUseToolCall",
    "RunStepDeltaConnectedAgentToolCall",
    "RunStepDeltaCustomBingGroundingToolCall",
    "RunStepDeltaDeepResearchToolCall",
    "RunStepDeltaDetail",
    "RunStepDeltaFileSearchToolCall",
    "RunStepDeltaFunction",
    "RunStepDeltaFunctionToolCall",
    "RunStepDeltaMCPObject",
    "RunStepDeltaMcpToolCall",
    "RunStepDeltaMessageCreation",
    "RunStepDeltaMessageCreationObject",
    "RunStepDeltaMicrosoftFabricToolCall",
    "RunStepDeltaOpenAPIObject",
    "RunStepDeltaOpenAPIToolCall",
    "RunStepDeltaSharepointToolCall",
    "RunStepDeltaToolCall",
    "RunStepDeltaToolCallObject",
]


class RunStepDeltaFunction(WireModel):
    """More of a function call; `arguments` is the next piece of the JSON text."""

    name: str | None = None
    arguments: str | None = None
    output: str | None = None


class RunStepDeltaCodeInterpreterOutput(WireModel):
    """More output of the code interpreter; stands for unknown kinds."""

    index: int | None = None
    type: str | None = None


class RunStepDeltaCodeInterpreterLogOutput(RunStepDeltaCodeInterpreterOutput):
    """More of what the code printed."""

    type: Literal["logs"] = "logs"
    logs: str | None = None


class RunStepDeltaCodeInterpreterImageOutputObject(WireModel):
    """An image among the files."""

    file_id: str | None = None


class RunStepDeltaCodeInterpreterImageOutput(RunStepDeltaCodeInterpreterOutput):
    """An image that the code made."""

    type: Literal["image"] = "image"
    image: RunStepDeltaCodeInterpreterImageOutputObject | None = None


AnyRunStepDeltaCodeInterpreterOutput = Annotated[
    RunStepDeltaCodeInterpreterImageOutput
    | RunStepDeltaCodeInterpreterLogOutput
    | RunStepDeltaCodeInterpreterOutput,
    ByType(),
]


class RunStepDeltaCodeInterpreterDetailItemObject(WireModel):
    """More code or more output; `input` is the next piece of the code."""

    input: str | None = None
    outputs: list[AnyRunStepDeltaCodeInterpreterOutput] | None = None


class RunStepDeltaComputerUseDetails(WireModel):
    """More of an action on the display."""

    action: AnyComputerUseAction | None = None
    pending_safety_checks: list[SafetyCheck] | None = None
    output: ComputerScreenshot | None = None
    acknowledged_safety_checks: list[SafetyCheck] | None = None


class RunStepDeltaToolCall(WireModel):
    """More of one tool call, by its place in the step; stands for unknown kinds."""

    index: int | None = None
    id: str | None = None
    type: str | None = None


class RunStepDeltaFunctionToolCall(RunStepDeltaToolCall):
    """More of a function call."""

    type: Literal["function"] = "function"
    function: RunStepDeltaFunction | None = None


class RunStepDeltaCodeInterpreterToolCall(RunStepDeltaToolCall):
    """More of a call of the code interpreter."""

    type: Literal["code_interpreter"] = "code_interpreter"
    code_interpreter: RunStepDeltaCodeInterpreterDetailItemObject | None = None


class RunStepDeltaFileSearchToolCall(RunStepDeltaToolCall):
    """A file search. Recorded: the results of a delta are empty."""

    type: Literal["file_search"] = "file_search"
    file_search: RunStepFileSearchToolCallResults | None = None


class RunStepDeltaAzureAISearchToolCall(RunStepDeltaToolCall):
    """A search in Azure AI Search."""

    type: Literal["azure_ai_search"] = "azure_ai_search"
    azure_ai_search: dict[str, Any] | None = None


class RunStepDeltaBingGroundingToolCall(RunStepDeltaToolCall):
    """A web search."""

    type: Literal["bing_grounding"] = "bing_grounding"
    bing_grounding: dict[str, Any] | None = None


class RunStepDeltaCustomBingGroundingToolCall(RunStepDeltaToolCall):
    """A search in chosen sites."""

    type: Literal["bing_custom_search"] = "bing_custom_search"
    bing_custom_search: dict[str, Any] | None = None


class RunStepDeltaSharepointToolCall(RunStepDeltaToolCall):
    """A search in SharePoint."""

    type: Literal["sharepoint_grounding"] = "sharepoint_grounding"
    sharepoint_grounding: dict[str, Any] | None = None


class RunStepDeltaMicrosoftFabricToolCall(RunStepDeltaToolCall):
    """A question to a Fabric data agent."""

    type: Literal["fabric_dataagent"] = "fabric_dataagent"
    fabric_dataagent: dict[str, Any] | None = None


class RunStepDeltaOpenAPIToolCall(RunStepDeltaToolCall):
    """An HTTP operation."""

    type: Literal["openapi"] = "openapi"
    openapi: dict[str, Any] | None = None
    function: RunStepDeltaFunction | None = None


class RunStepDeltaAzureFunctionToolCall(RunStepDeltaToolCall):
    """A function called over queues."""

    type: Literal["azure_function"] = "azure_function"
    azure_function: AzureFunctionToolCallDetails | None = None


class RunStepDeltaConnectedAgentToolCall(RunStepDeltaToolCall):
    """A call to another agent."""

    type: Literal["connected_agent"] = "connected_agent"
    connected_agent: RunStepConnectedAgent | None = None


class RunStepDeltaMcpToolCall(RunStepDeltaToolCall):
    """A call to an MCP server."""

    type: Literal["mcp"] = "mcp"
    arguments: str | None = None
    name: str | None = None
    output: str | None = None
    server_label: str | None = None


class RunStepDeltaDeepResearchToolCall(RunStepDeltaToolCall):
    """Research."""

    type: Literal["deep_research"] = "deep_research"
    deep_research: RunStepDeepResearchToolCallDetails | None = None


class RunStepDeltaComputerUseToolCall(RunStepDeltaToolCall):
    """An action on the display."""

    type: Literal["computer_use_preview"] = "computer_use_preview"
    computer_use_preview: RunStepDeltaComputerUseDetails | None = None


AnyRunStepDeltaToolCall = Annotated[
    RunStepDeltaAzureAISearchToolCall
    | RunStepDeltaAzureFunctionToolCall
    | RunStepDeltaBingGroundingToolCall
    | RunStepDeltaCodeInterpreterToolCall
    | RunStepDeltaComputerUseToolCall
    | RunStepDeltaConnectedAgentToolCall
    | RunStepDeltaCustomBingGroundingToolCall
    | RunStepDeltaDeepResearchToolCall
    | RunStepDeltaFileSearchToolCall
    | RunStepDeltaFunctionToolCall
    | RunStepDeltaMcpToolCall
    | RunStepDeltaMicrosoftFabricToolCall
    | RunStepDeltaOpenAPIToolCall
    | RunStepDeltaSharepointToolCall
    | RunStepDeltaToolCall,
    ByType(),
]


class RunStepDeltaDetail(WireModel):
    """What a delta adds; stands for unknown kinds."""

    type: str | None = None


class RunStepDeltaMessageCreationObject(WireModel):
    """The message that is written."""

    message_id: str | None = None


class RunStepDeltaMessageCreation(RunStepDeltaDetail):
    """The step writes a message."""

    type: Literal["message_creation"] = "message_creation"
    message_creation: RunStepDeltaMessageCreationObject | None = None


class RunStepDeltaToolCallObject(RunStepDeltaDetail):
    """The step calls tools."""

    type: Literal["tool_calls"] = "tool_calls"
    tool_calls: list[AnyRunStepDeltaToolCall] | None = None


class RunStepDeltaMCPObject(RunStepDeltaDetail):
    """The step calls MCP servers (preview)."""

    type: Literal["mcp"] = "mcp"
    tool_calls: list[AnyRunStepDeltaToolCall] | None = None


class RunStepDeltaOpenAPIObject(RunStepDeltaDetail):
    """The step calls HTTP operations (preview)."""

    type: Literal["openapi"] = "openapi"
    tool_calls: list[AnyRunStepDeltaToolCall] | None = None


AnyRunStepDeltaDetail = Annotated[
    RunStepDeltaMCPObject
    | RunStepDeltaMessageCreation
    | RunStepDeltaOpenAPIObject
    | RunStepDeltaToolCallObject
    | RunStepDeltaDetail,
    ByType(),
]


class RunStepDelta(WireModel):
    """What a delta adds to a step."""

    step_details: AnyRunStepDeltaDetail | None = None


class RunStepDeltaChunk(WireModel):
    """One delta of a step in a stream."""

    id: str
    object: str = "thread.run.step.delta"
    delta: RunStepDelta
