"""Agents (`assistants` in the paths) and the format of their answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from agent_tasks.wire.base import ByType, DeletionStatus, Metadata, Open, UnixTime, WireModel
from agent_tasks.wire.tool_resources import ToolResources
from agent_tasks.wire.tools import AnyToolDefinition

__all__ = [
    "Agent",
    "AgentDeletionStatus",
    "AgentsResponseFormat",
    "AgentsResponseFormatMode",
    "AgentsResponseFormatOption",
    "ResponseFormat",
    "ResponseFormatJsonSchema",
    "ResponseFormatJsonSchemaType",
]


class AgentsResponseFormatMode(StrEnum):
    """Forms of an answer that have no schema of their own."""

    AUTO = "auto"
    NONE = "none"


class ResponseFormat(StrEnum):
    """Kinds of an answer: text, or JSON."""

    TEXT = "text"
    JSON_OBJECT = "json_object"


class AgentsResponseFormat(WireModel):
    """Plain text or any JSON object; stands for formats that this version does not know."""

    type: Open[ResponseFormat] | None = None


class ResponseFormatJsonSchema(WireModel):
    """The JSON schema that an answer must follow."""

    name: str
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormatJsonSchemaType(WireModel):
    """An answer in JSON after a schema."""

    type: Literal["json_schema"] = "json_schema"
    json_schema: ResponseFormatJsonSchema


AgentsResponseFormatOption = (
    Annotated[ResponseFormatJsonSchemaType | AgentsResponseFormat, ByType()] | Open[AgentsResponseFormatMode]
)


class Agent(WireModel):
    """An agent. Recorded defaults: temperature and top_p 1.0, response format `auto`."""

    id: str
    object: str = "assistant"
    created_at: UnixTime
    name: str | None = None
    description: str | None = None
    model: str
    instructions: str | None = None
    tools: list[AnyToolDefinition] = Field(default_factory=list)
    tool_resources: ToolResources | None = None
    temperature: float | None = None
    top_p: float | None = None
    response_format: AgentsResponseFormatOption | None = None
    metadata: Metadata | None = None


class AgentDeletionStatus(DeletionStatus):
    """Answer of the deletion of an agent."""

    object: str = "assistant.deleted"
