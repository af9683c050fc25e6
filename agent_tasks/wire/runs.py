"""Runs: an agent at work on a thread, what it asks of the caller, and how it ended."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from agent_tasks.wire.agents import AgentsResponseFormatOption
from agent_tasks.wire.base import ByType, Metadata, Open, UnixTime, WireModel
from agent_tasks.wire.computer import AnyComputerUseAction, ComputerScreenshot, SafetyCheck
from agent_tasks.wire.tool_choice import AgentsToolChoiceOption
from agent_tasks.wire.tool_resources import ToolResources
from agent_tasks.wire.tools import AnyToolDefinition

__all__ = [
    "TERMINAL_RUN_STATUSES",
    "AnyRequiredAction",
    "AnyRequiredToolCall",
    "ComputerToolOutput",
    "IncompleteDetailsReason",
    "IncompleteRunDetails",
    "PromptTokenDetails",
    "RequiredAction",
    "RequiredComputerUseToolCall",
    "RequiredComputerUseToolCallDetails",
    "RequiredFunctionToolCall",
    "RequiredFunctionToolCallDetails",
    "RequiredMcpToolCall",
    "RequiredToolCall",
    "RunCompletionUsage",
    "RunError",
    "RunStatus",
    "StructuredToolOutput",
    "SubmitToolApprovalAction",
    "SubmitToolApprovalDetails",
    "SubmitToolOutputsAction",
    "SubmitToolOutputsDetails",
    "ThreadRun",
    "ToolApproval",
    "ToolOutput",
    "TruncationObject",
    "TruncationStrategy",
]


class RunStatus(StrEnum):
    """`incomplete` is on the wire, though the client library's enum lacks it."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    REQUIRES_ACTION = "requires_action"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    EXPIRED = "expired"


TERMINAL_RUN_STATUSES = frozenset(
    {
        RunStatus.CANCELLED,
        RunStatus.FAILED,
        RunStatus.COMPLETED,
        RunStatus.INCOMPLETE,
        RunStatus.EXPIRED,
    }
)
"""A run in one of these does not change any more."""


class IncompleteDetailsReason(StrEnum):
    """Reasons why a run is incomplete."""

    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    MAX_PROMPT_TOKENS = "max_prompt_tokens"
    CONTENT_FILTER = "content_filter"


class IncompleteRunDetails(WireModel):
    """Why a run ended early."""

    reason: Open[IncompleteDetailsReason]


class RunError(WireModel):
    """Why a run failed.

    Recorded codes: `rate_limit_exceeded` (the wait is in the text), `server_error`, `invalid_engine_error`.
    """

    code: str
    message: str


class PromptTokenDetails(WireModel):
    """Recorded, not in the spec."""

    cached_tokens: int | None = None


class RunCompletionUsage(WireModel):
    """Tokens of a run; null until it has ended."""

    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    prompt_token_details: PromptTokenDetails | None = None


class TruncationStrategy(StrEnum):
    """How a thread is cut to what a model can take."""

    AUTO = "auto"
    LAST_MESSAGES = "last_messages"


class TruncationObject(WireModel):
    """How much of a long thread the model sees."""

    type: Open[TruncationStrategy]
    last_messages: int | None = None


# --- what a run asks of the caller -----------------------------------------------------------------------


class RequiredToolCall(WireModel):
    """A call that the caller has to answer; stands for unknown kinds."""

    type: str
    id: str


class RequiredFunctionToolCallDetails(WireModel):
    """The function and its arguments (JSON text, as the model wrote it)."""

    name: str
    arguments: str


class RequiredFunctionToolCall(RequiredToolCall):
    """A function to run."""

    type: Literal["function"] = "function"
    function: RequiredFunctionToolCallDetails


class RequiredMcpToolCall(RequiredToolCall):
    """A call to an MCP server that waits for approval (preview)."""

    type: Literal["mcp"] = "mcp"
    arguments: str
    name: str
    server_label: str | None = None


class RequiredComputerUseToolCallDetails(WireModel):
    """The action and the checks to acknowledge."""

    action: AnyComputerUseAction
    pending_safety_checks: list[SafetyCheck] = Field(default_factory=list)


class RequiredComputerUseToolCall(RequiredToolCall):
    """An action to carry out on the display (preview)."""

    type: Literal["computer_use_preview"] = "computer_use_preview"
    computer_use_preview: RequiredComputerUseToolCallDetails


AnyRequiredToolCall = Annotated[
    RequiredComputerUseToolCall | RequiredFunctionToolCall | RequiredMcpToolCall | RequiredToolCall, ByType()
]


class SubmitToolOutputsDetails(WireModel):
    """The calls to answer, all in one submission."""

    tool_calls: list[AnyRequiredToolCall]


class SubmitToolApprovalDetails(WireModel):
    """The calls to approve or refuse."""

    tool_calls: list[AnyRequiredToolCall]


class RequiredAction(WireModel):
    """What the run waits for; stands for unknown kinds."""

    type: str


class SubmitToolOutputsAction(RequiredAction):
    """Outputs of tool calls."""

    type: Literal["submit_tool_outputs"] = "submit_tool_outputs"
    submit_tool_outputs: SubmitToolOutputsDetails


class SubmitToolApprovalAction(RequiredAction):
    """Approvals of tool calls (preview)."""

    type: Literal["submit_tool_approval"] = "submit_tool_approval"
    submit_tool_approval: SubmitToolApprovalDetails


AnyRequiredAction = Annotated[SubmitToolApprovalAction | SubmitToolOutputsAction | RequiredAction, ByType()]

# --- what the caller answers -----------------------------------------------------------------------------


class StructuredToolOutput(WireModel):
    """An output that names its kind (preview); stands for unknown kinds."""

    type: str
    tool_call_id: str | None = None


class ToolOutput(WireModel):
    """The output of a call; one for each id. The preview may name its type, `function_call_output`."""

    tool_call_id: str | None = None
    output: str | None = None
    type: Literal["function_call_output"] | None = None


class ComputerToolOutput(StructuredToolOutput):
    """The display after an action (preview)."""

    type: Literal["computer_call_output"] = "computer_call_output"
    output: ComputerScreenshot
    acknowledged_safety_checks: list[SafetyCheck] | None = None


class ToolApproval(WireModel):
    """Approves or refuses a call (preview). The service never shows the headers again."""

    tool_call_id: str
    approve: bool
    headers: dict[str, str] | None = Field(None, repr=False)


# --- the run ---------------------------------------------------------------------------------------------


class ThreadRun(WireModel):
    """A run.

    Recorded: `expires_at` moves (30 minutes at first, 10 hours once it waits for outputs) and is null once
    the run completed; `started_at` starts again on resume; `tool_resources` is `{}` in REST bodies.
    """

    id: str
    object: str = "thread.run"
    thread_id: str
    assistant_id: str
    status: Open[RunStatus]
    required_action: AnyRequiredAction | None = None
    last_error: RunError | None = None
    model: str | None = None
    instructions: str | None = None
    tools: list[AnyToolDefinition] = Field(default_factory=list)
    created_at: UnixTime
    expires_at: UnixTime | None = None
    started_at: UnixTime | None = None
    completed_at: UnixTime | None = None
    cancelled_at: UnixTime | None = None
    failed_at: UnixTime | None = None
    incomplete_details: IncompleteRunDetails | None = None
    usage: RunCompletionUsage | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    truncation_strategy: TruncationObject | None = None
    tool_choice: AgentsToolChoiceOption | None = None
    response_format: AgentsResponseFormatOption | None = None
    metadata: Metadata | None = None
    tool_resources: ToolResources | None = None
    parallel_tool_calls: bool | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the run does not change any more."""
        return self.status in TERMINAL_RUN_STATUSES
