"""What the local service asks of a language model.

A model is anything with :class:`ChatModel`'s four members. The service builds a :class:`ChatRequest` out of
an agent, a thread and the tool results so far, and reads back text deltas and one :class:`Finished`.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agent_tasks.redaction import redacted

FORCED_TOOL_PREFIX = "function:"
"""How ``ChatRequest.tool_choice`` names one function that the model has to call."""

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True)
class ToolSpec:
    """A function that the model may call; ``parameters`` is a JSON schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class ToolCall:
    """A call that the model asks for; ``arguments`` is JSON text, as on the wire."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ImagePart:
    """An image of a message; ``detail`` is auto, low or high."""

    media_type: str
    data: bytes = field(repr=False)
    detail: str = "auto"


@dataclass(frozen=True)
class ChatMessage:
    """One message of the conversation.

    ``images`` come with user messages, and with tool messages whose result is a picture (a screenshot);
    only models with ``sees_images`` get any. ``tool_calls`` belongs to assistant messages; ``tool_call_id``
    and ``name`` (of the function) to tool messages.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    images: tuple[ImagePart, ...] = ()


@dataclass(frozen=True)
class ChatRequest:
    """One question to a model.

    ``model`` is the agent's model name (a deployment name; local models answer to any).
    ``tool_choice`` is ``auto``, ``none``, ``required`` or ``function:NAME``.
    ``response_schema`` is the JSON schema that the answer has to follow; ``{}`` asks for any JSON object.
    ``max_tokens`` limits the answer, in tokens of the model.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    response_schema: dict[str, Any] | None = None
    schema_name: str | None = None
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    parallel_tool_calls: bool = True

    @property
    def forced_tool(self) -> str | None:
        """Name of the function that has to be called, or None."""
        if self.tool_choice.startswith(FORCED_TOOL_PREFIX):
            return self.tool_choice.removeprefix(FORCED_TOOL_PREFIX)
        return None

    @property
    def instructions(self) -> str:
        """All system messages, in order, joined by blank lines."""
        return "\n\n".join(m.content for m in self.messages if m.role == "system" and m.content)

    @property
    def last_user_message(self) -> str:
        """Text of the newest user message, or an empty string."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def last_user_images(self) -> tuple[ImagePart, ...]:
        """Images of the newest user message."""
        return next((m.images for m in reversed(self.messages) if m.role == "user"), ())

    @property
    def tool_results(self) -> tuple[ChatMessage, ...]:
        """Tool messages that came after the newest user message, oldest first."""
        results: list[ChatMessage] = []
        for message in reversed(self.messages):
            if message.role == "user":
                break
            if message.role == "tool":
                results.append(message)
        return tuple(reversed(results))


@dataclass(frozen=True)
class TextDelta:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The end of an answer, with what it cost in tokens."""

    tool_calls: tuple[ToolCall, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int


def new_call_id() -> str:
    """An identifier of a tool call, in the service's shape."""
    alphabet = string.ascii_letters + string.digits
    return "call_" + "".join(secrets.choice(alphabet) for _ in range(24))


class ChatModel(Protocol):
    """A language model.

    ``name`` is shown to people; ``context_tokens`` is how many tokens of sources file search may put into
    a prompt.
    """

    name: str
    context_tokens: int

    def generate(self, request: ChatRequest) -> AsyncIterator[TextDelta | Finished]:
        """Answer a request: any number of text deltas, then exactly one :class:`Finished`.

        Closing the iterator, or cancelling the task that reads it, stops the work.
        Raises :class:`ModelError`.
        """
        ...

    async def aclose(self) -> None:
        """Release what the model holds; it is not used afterwards."""
        ...


def sees_images(model: ChatModel) -> bool:
    """Whether a model takes images; it says so by an attribute ``sees_images``."""
    return bool(getattr(model, "sees_images", False))


class ModelError(Exception):
    """A model could not answer; becomes ``last_error`` of the run.

    ``code`` is a run error code (``rate_limit_exceeded``, ``server_error``, ``context_length_exceeded``,
    ``content_filter``, ``invalid_request``); ``retry_after`` is a wait in seconds, where one is known.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        message = redacted(message)
        super().__init__(code, message, retry_after)
        self.code = code
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ModelConfigurationError(ValueError):
    """A model specification, its rules file or its key is wrong; the message says what to write instead."""
