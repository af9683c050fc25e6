"""Run steps: what an agent did in a run, as results and as deltas of a stream.

Payloads of tool calls may be missing: the wire does not always follow the spec here (an `openapi` call
carries its payload under `function`), and a step must be readable all the same.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from agent_tasks.wire.base import ByType, Metadata, Open, UnixTime, WireModel
from agent_tasks.wire.computer import AnyComputerUseAction, ComputerScreenshot, SafetyCheck
from agent_tasks.wire.runs import RunCompletionUsage
from agent_tasks.wire.tools import FileSearchRankingOptions

__all__ = [
    "ActivityFunctionDefinition",
    "ActivityFunctionParameters",
    "AnyCodeInterpreterOutput",
    "AnyRunStepDetails",
    "AnyRunStepToolCall",
    "AzureFunctionToolCallDetails",
    "BrowserAutomationToolCallDetails",
    "BrowserAutomationToolCallStep",
    "FileSearchToolCallContent",
    "FunctionArgument",
    "RunAdditionalFieldList",
    "RunStep",
    "RunStepActivityDetails",
    "RunStepAzureAISearchToolCall",
    "RunStepAzureFunctionToolCall",
    "RunStepBingCustomSearchToolCall",
    "RunStepBingGroundingToolCall",
    "RunStepBrowserAutomationToolCall",
    "RunStepCodeInterpreterImageOutput",
    "RunStepCodeInterpreterImageReference",
    "RunStepCodeInterpreterLogOutput",
    "RunStepCodeInterpreterToolCall",
    "RunStepCodeInterpreterToolCallDetails",
    "RunStepCodeInterpreterToolCallOutput",
    "RunStepCompletionUsage",
    "RunStepComputerUseToolCall",
    "RunStepComputerUseToolCallDetails",
    "RunStepConnectedAgent",
    "RunStepConnectedAgentToolCall",
    "RunStepDeepResearchToolCall",
    "RunStepDeepResearchToolCallDetails",
    "RunStepDetails",
    "RunStepDetailsActivity",
    "RunStepError",
    "RunStepErrorCode",
    "RunStepFileSearchToolCall",
    "RunStepFileSearchToolCallResult",
    "RunStepFileSearchToolCallResults",
    "RunStepFunctionToolCall",
    "RunStepFunctionToolCallDetails",
    "RunStepMcpToolCall",
    "RunStepMessageCreationDetails",
    "RunStepMessageCreationReference",
    "RunStepMicrosoftFabricToolCall",
    "RunStepOpenAPIToolCall",
    "RunStepSharepointToolCall",
    "RunStepStatus",
    "RunStepToolCall",
    "RunStepToolCallDetails",
    "RunStepType",
]


class RunAdditionalFieldList(StrEnum):
    """Values of `include[]`."""

    FILE_SEARCH_CONTENTS = "step_details.tool_calls[*].file_search.results[*].content"


class RunStepType(StrEnum):
    """Kinds of steps."""

    MESSAGE_CREATION = "message_creation"
    TOOL_CALLS = "tool_calls"
    ACTIVITIES = "activities"


class RunStepStatus(StrEnum):
    """States of a step."""

    IN_PROGRESS = "in_progress"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    EXPIRED = "expired"


class RunStepErrorCode(StrEnum):
    """Codes of a failed step."""

    SERVER_ERROR = "server_error"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"


class RunStepError(WireModel):
    """Why a step failed."""

    code: Open[RunStepErrorCode]
    message: str


class RunStepCompletionUsage(RunCompletionUsage):
    """Tokens of a step."""


# --- payloads of tool calls ------------------------------------------------------------------------------


class FileSearchToolCallContent(WireModel):
    """Text of a search result; only where `include[]` asks for it."""

    type: str = "text"
    text: str


class RunStepFileSearchToolCallResult(WireModel):
    """A search result."""

    file_id: str
    file_name: str
    score: float
    attributes: dict[str, Any] | None = None
    """Recorded, not in the spec."""
    content: list[FileSearchToolCallContent] | None = None


class RunStepFileSearchToolCallResults(WireModel):
    """What a file search found."""

    ranking_options: FileSearchRankingOptions | None = None
    results: list[RunStepFileSearchToolCallResult] = Field(default_factory=list)


class RunStepFunctionToolCallDetails(WireModel):
    """A function, its arguments (JSON text) and, once it was answered, its output."""

    name: str
    arguments: str
    output: str | None = None


class RunStepCodeInterpreterToolCallOutput(WireModel):
    """An output of the code interpreter; stands for unknown kinds."""

    type: str


class RunStepCodeInterpreterLogOutput(RunStepCodeInterpreterToolCallOutput):
    """What the code printed."""

    type: Literal["logs"] = "logs"
    logs: str


class RunStepCodeInterpreterImageReference(WireModel):
    """An image among the files."""

    file_id: str


class RunStepCodeInterpreterImageOutput(RunStepCodeInterpreterToolCallOutput):
    """An image that the code made."""

    type: Literal["image"] = "image"
    image: RunStepCodeInterpreterImageReference


AnyCodeInterpreterOutput = Annotated[
    RunStepCodeInterpreterImageOutput
    | RunStepCodeInterpreterLogOutput
    | RunStepCodeInterpreterToolCallOutput,
    ByType(),
]


class RunStepCodeInterpreterToolCallDetails(WireModel):
    """Code and what came out of it."""

    input: str
    outputs: list[AnyCodeInterpreterOutput] = Field(default_factory=list)


class AzureFunctionToolCallDetails(WireModel):
    """A function called over queues."""

    name: str | None = None
    arguments: str | None = None
    output: str | None = None


class RunStepConnectedAgent(WireModel):
    """A call to another agent and the run that served it."""

    name: str | None = None
    arguments: str | None = None
    output: str | None = None
    run_id: str | None = None
    thread_id: str | None = None
    assistant_id: str | None = None


class RunStepDeepResearchToolCallDetails(WireModel):
    """A research question and its answer."""

    input: str
    output: str | None = None


class BrowserAutomationToolCallStep(WireModel):
    """A step in the browser."""

    last_step_result: str
    current_state: str
    next_step: str


class BrowserAutomationToolCallDetails(WireModel):
    """A task for the browser and how it went."""

    input: str
    output: str | None = None
    steps: list[BrowserAutomationToolCallStep] = Field(default_factory=list)


class RunStepComputerUseToolCallDetails(WireModel):
    """An action and the display after it."""

    action: AnyComputerUseAction
    pending_safety_checks: list[SafetyCheck] | None = None
    output: ComputerScreenshot | None = None
    acknowledged_safety_checks: list[SafetyCheck] | None = None


# --- tool calls ------------------------------------------------------------------------------------------


class RunStepToolCall(WireModel):
    """A tool call of a step; stands for unknown kinds."""

    type: str
    id: str


class RunStepFunctionToolCall(RunStepToolCall):
    """A call of a function."""

    type: Literal["function"] = "function"
    function: RunStepFunctionToolCallDetails


class RunStepCodeInterpreterToolCall(RunStepToolCall):
    """A call of the code interpreter."""

    type: Literal["code_interpreter"] = "code_interpreter"
    code_interpreter: RunStepCodeInterpreterToolCallDetails


class RunStepFileSearchToolCall(RunStepToolCall):
    """A file search."""

    type: Literal["file_search"] = "file_search"
    file_search: RunStepFileSearchToolCallResults


class RunStepAzureAISearchToolCall(RunStepToolCall):
    """A search in Azure AI Search."""

    type: Literal["azure_ai_search"] = "azure_ai_search"
    azure_ai_search: dict[str, Any] | None = None


class RunStepBingGroundingToolCall(RunStepToolCall):
    """A web search."""

    type: Literal["bing_grounding"] = "bing_grounding"
    bing_grounding: dict[str, Any] | None = None


class RunStepBingCustomSearchToolCall(RunStepToolCall):
    """A search in chosen sites."""

    type: Literal["bing_custom_search"] = "bing_custom_search"
    bing_custom_search: dict[str, Any] | None = None


class RunStepSharepointToolCall(RunStepToolCall):
    """A search in SharePoint."""

    type: Literal["sharepoint_grounding"] = "sharepoint_grounding"
    sharepoint_grounding: dict[str, Any] | None = None


class RunStepMicrosoftFabricToolCall(RunStepToolCall):
    """A question to a Fabric data agent."""

    type: Literal["fabric_dataagent"] = "fabric_dataagent"
    fabric_dataagent: dict[str, Any] | None = None


class RunStepOpenAPIToolCall(RunStepToolCall):
    """An HTTP operation. Recorded: the payload is under `function`, its name `TOOL_OPERATION`."""

    type: Literal["openapi"] = "openapi"
    openapi: dict[str, Any] | None = None
    function: RunStepFunctionToolCallDetails | None = None


class RunStepAzureFunctionToolCall(RunStepToolCall):
    """A function called over queues."""

    type: Literal["azure_function"] = "azure_function"
    azure_function: AzureFunctionToolCallDetails | None = None


class RunStepConnectedAgentToolCall(RunStepToolCall):
    """A call to another agent."""

    type: Literal["connected_agent"] = "connected_agent"
    connected_agent: RunStepConnectedAgent | None = None


class RunStepMcpToolCall(RunStepToolCall):
    """A call to an MCP server."""

    type: Literal["mcp"] = "mcp"
    arguments: str | None = None
    name: str | None = None
    output: str | None = None
    server_label: str | None = None


class RunStepDeepResearchToolCall(RunStepToolCall):
    """Research."""

    type: Literal["deep_research"] = "deep_research"
    deep_research: RunStepDeepResearchToolCallDetails | None = None


class RunStepBrowserAutomationToolCall(RunStepToolCall):
    """A task for the browser."""

    type: Literal["browser_automation"] = "browser_automation"
    browser_automation: BrowserAutomationToolCallDetails | None = None


class RunStepComputerUseToolCall(RunStepToolCall):
    """An action on the display."""

    type: Literal["computer_use_preview"] = "computer_use_preview"
    computer_use_preview: RunStepComputerUseToolCallDetails | None = None


AnyRunStepToolCall = Annotated[
    RunStepAzureAISearchToolCall
    | RunStepAzureFunctionToolCall
    | RunStepBingCustomSearchToolCall
    | RunStepBingGroundingToolCall
    | RunStepBrowserAutomationToolCall
    | RunStepCodeInterpreterToolCall
    | RunStepComputerUseToolCall
    | RunStepConnectedAgentToolCall
    | RunStepDeepResearchToolCall
    | RunStepFileSearchToolCall
    | RunStepFunctionToolCall
    | RunStepMcpToolCall
    | RunStepMicrosoftFabricToolCall
    | RunStepOpenAPIToolCall
    | RunStepSharepointToolCall
    | RunStepToolCall,
    ByType(),
]

# --- details ---------------------------------------------------------------------------------------------


class FunctionArgument(WireModel):
    """An argument of an MCP tool, as JSON schema."""

    type: Any = None
    description: str | None = None


class ActivityFunctionParameters(WireModel):
    """The arguments of an MCP tool, as JSON schema. Recorded: all but `type` may be missing."""

    type: str | None = None
    properties: dict[str, FunctionArgument] | None = None
    required: list[str] | None = None
    additionalProperties: Any = None  # noqa: N815  (a keyword of JSON schema)


class ActivityFunctionDefinition(WireModel):
    """A tool that an MCP server offers."""

    description: str | None = None
    parameters: ActivityFunctionParameters | None = None


class RunStepDetailsActivity(WireModel):
    """Something the service did by itself; so far `mcp_list_tools`."""

    type: str
    id: str
    server_label: str | None = None
    tools: dict[str, ActivityFunctionDefinition] | None = None


class RunStepDetails(WireModel):
    """What a step did; stands for unknown kinds."""

    type: str


class RunStepMessageCreationReference(WireModel):
    """The message that was written."""

    message_id: str


class RunStepMessageCreationDetails(RunStepDetails):
    """The step wrote a message."""

    type: Literal["message_creation"] = "message_creation"
    message_creation: RunStepMessageCreationReference


class RunStepToolCallDetails(RunStepDetails):
    """The step called tools."""

    type: Literal["tool_calls"] = "tool_calls"
    tool_calls: list[AnyRunStepToolCall]


class RunStepActivityDetails(RunStepDetails):
    """The service did something by itself (preview)."""

    type: Literal["activities"] = "activities"
    activities: list[RunStepDetailsActivity]


AnyRunStepDetails = Annotated[
    RunStepActivityDetails | RunStepMessageCreationDetails | RunStepToolCallDetails | RunStepDetails, ByType()
]


class RunStep(WireModel):
    """A step of a run.

    On the wire it expires at `expires_at` (the spec and the client library say `expired_at`).
    """

    id: str
    object: str = "thread.run.step"
    type: Open[RunStepType]
    assistant_id: str | None = None
    thread_id: str
    run_id: str
    status: Open[RunStepStatus]
    step_details: AnyRunStepDetails
    last_error: RunStepError | None = None
    created_at: UnixTime
    expires_at: UnixTime | None = None
    expired_at: UnixTime | None = None
    completed_at: UnixTime | None = None
    cancelled_at: UnixTime | None = None
    failed_at: UnixTime | None = None
    usage: RunStepCompletionUsage | None = None
    metadata: Metadata | None = None
