"""Bodies of requests. Fields that are left out are not sent; a field set to `None` is sent as null."""

from __future__ import annotations

from typing import Annotated

from agent_tasks.wire.agents import AgentsResponseFormatOption
from agent_tasks.wire.base import ByType, Metadata, WireModel
from agent_tasks.wire.messages import ThreadMessageOptions
from agent_tasks.wire.runs import (
    ComputerToolOutput,
    StructuredToolOutput,
    ToolApproval,
    ToolOutput,
    TruncationObject,
)
from agent_tasks.wire.threads import AgentThreadCreationOptions
from agent_tasks.wire.tool_choice import AgentsToolChoiceOption
from agent_tasks.wire.tool_resources import (
    ToolResources,
    VectorStoreConfiguration,
    VectorStoreDataSource,
)
from agent_tasks.wire.tools import AnyToolDefinition
from agent_tasks.wire.vector_stores import AnyChunkingStrategyRequest, VectorStoreExpirationPolicy

__all__ = [
    "AnyToolOutput",
    "CreateAgentRequest",
    "CreateMessageRequest",
    "CreateRunRequest",
    "CreateThreadAndRunRequest",
    "CreateThreadRequest",
    "CreateVectorStoreFileBatchRequest",
    "CreateVectorStoreFileRequest",
    "CreateVectorStoreRequest",
    "RunOptions",
    "SubmitToolOutputsRequest",
    "UpdateAgentRequest",
    "UpdateMessageRequest",
    "UpdateRunRequest",
    "UpdateThreadRequest",
    "UpdateVectorStoreRequest",
]

CreateMessageRequest = ThreadMessageOptions
CreateThreadRequest = AgentThreadCreationOptions


class UpdateAgentRequest(WireModel):
    """POST /assistants/{id}: what to change."""

    model: str | None = None
    name: str | None = None
    description: str | None = None
    instructions: str | None = None
    tools: list[AnyToolDefinition] | None = None
    tool_resources: ToolResources | None = None
    temperature: float | None = None
    top_p: float | None = None
    response_format: AgentsResponseFormatOption | None = None
    metadata: Metadata | None = None


class CreateAgentRequest(UpdateAgentRequest):
    """POST /assistants."""

    model: str
    """Name of the model deployment."""


class UpdateThreadRequest(WireModel):
    """POST /threads/{id}."""

    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None


class UpdateMessageRequest(WireModel):
    """POST /threads/{id}/messages/{id}."""

    metadata: Metadata | None = None


class UpdateRunRequest(WireModel):
    """POST /threads/{id}/runs/{id}."""

    metadata: Metadata | None = None


class RunOptions(WireModel):
    """What the two ways to create a run share; what is left out comes from the agent."""

    assistant_id: str
    model: str | None = None
    instructions: str | None = None
    tools: list[AnyToolDefinition] | None = None
    tool_resources: ToolResources | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    truncation_strategy: TruncationObject | None = None
    tool_choice: AgentsToolChoiceOption | None = None
    response_format: AgentsResponseFormatOption | None = None
    parallel_tool_calls: bool | None = None
    metadata: Metadata | None = None
    stream: bool | None = None


class CreateRunRequest(RunOptions):
    """POST /threads/{id}/runs."""

    additional_instructions: str | None = None
    additional_messages: list[ThreadMessageOptions] | None = None


class CreateThreadAndRunRequest(RunOptions):
    """POST /threads/runs: thread, messages and run in one request."""

    thread: AgentThreadCreationOptions | None = None


AnyToolOutput = Annotated[ComputerToolOutput | StructuredToolOutput, ByType()]


class SubmitToolOutputsRequest(WireModel):
    """POST /threads/{id}/runs/{id}/submit_tool_outputs: exactly one output for each call that waits."""

    tool_outputs: list[ToolOutput | AnyToolOutput] | None = None
    tool_approvals: list[ToolApproval] | None = None
    """Preview only: for calls that wait for approval."""
    stream: bool | None = None


class CreateVectorStoreRequest(WireModel):
    """POST /vector_stores."""

    name: str | None = None
    file_ids: list[str] | None = None
    """At most 500."""
    configuration: VectorStoreConfiguration | None = None
    expires_after: VectorStoreExpirationPolicy | None = None
    chunking_strategy: AnyChunkingStrategyRequest | None = None
    metadata: Metadata | None = None


class UpdateVectorStoreRequest(WireModel):
    """POST /vector_stores/{id}."""

    name: str | None = None
    expires_after: VectorStoreExpirationPolicy | None = None
    metadata: Metadata | None = None


class CreateVectorStoreFileRequest(WireModel):
    """POST /vector_stores/{id}/files: a file id or a data source."""

    file_id: str | None = None
    data_source: VectorStoreDataSource | None = None
    chunking_strategy: AnyChunkingStrategyRequest | None = None


class CreateVectorStoreFileBatchRequest(WireModel):
    """POST /vector_stores/{id}/file_batches: file ids or data sources, at most 500."""

    file_ids: list[str] | None = None
    data_sources: list[VectorStoreDataSource] | None = None
    chunking_strategy: AnyChunkingStrategyRequest | None = None
