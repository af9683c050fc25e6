"""Server-sent events: their names and what each carries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agent_tasks.bounded import bounded_json
from agent_tasks.wire.base import WireModel
from agent_tasks.wire.errors import AgentErrorDetail, AgentV1Error
from agent_tasks.wire.messages import MessageDeltaChunk, ThreadMessage
from agent_tasks.wire.runs import ThreadRun
from agent_tasks.wire.step_deltas import RunStepDeltaChunk
from agent_tasks.wire.steps import RunStep
from agent_tasks.wire.threads import AgentThread

__all__ = ["DONE", "AgentStreamEvent", "EventData", "StreamEvent", "event_model", "parse_event"]

DONE = "[DONE]"
"""The data of the last event, `done`."""


class AgentStreamEvent(StrEnum):
    """Names of the events of a stream."""

    THREAD_CREATED = "thread.created"
    THREAD_RUN_CREATED = "thread.run.created"
    THREAD_RUN_QUEUED = "thread.run.queued"
    THREAD_RUN_IN_PROGRESS = "thread.run.in_progress"
    THREAD_RUN_REQUIRES_ACTION = "thread.run.requires_action"
    THREAD_RUN_COMPLETED = "thread.run.completed"
    THREAD_RUN_INCOMPLETE = "thread.run.incomplete"
    THREAD_RUN_FAILED = "thread.run.failed"
    THREAD_RUN_CANCELLING = "thread.run.cancelling"
    THREAD_RUN_CANCELLED = "thread.run.cancelled"
    THREAD_RUN_EXPIRED = "thread.run.expired"
    THREAD_RUN_STEP_CREATED = "thread.run.step.created"
    THREAD_RUN_STEP_IN_PROGRESS = "thread.run.step.in_progress"
    THREAD_RUN_STEP_DELTA = "thread.run.step.delta"
    THREAD_RUN_STEP_COMPLETED = "thread.run.step.completed"
    THREAD_RUN_STEP_FAILED = "thread.run.step.failed"
    THREAD_RUN_STEP_CANCELLED = "thread.run.step.cancelled"
    THREAD_RUN_STEP_EXPIRED = "thread.run.step.expired"
    THREAD_MESSAGE_CREATED = "thread.message.created"
    THREAD_MESSAGE_IN_PROGRESS = "thread.message.in_progress"
    THREAD_MESSAGE_DELTA = "thread.message.delta"
    THREAD_MESSAGE_COMPLETED = "thread.message.completed"
    THREAD_MESSAGE_INCOMPLETE = "thread.message.incomplete"
    ERROR = "error"
    DONE = "done"


EventData = (
    AgentThread
    | ThreadRun
    | RunStep
    | RunStepDeltaChunk
    | ThreadMessage
    | MessageDeltaChunk
    | AgentV1Error
    | WireModel
    | str
)
"""What an event carries; `str` for `done`, a plain `WireModel` for events that this version does not know."""

# Longest prefix first: `thread.run.step.` before `thread.run.`.
_MODELS: tuple[tuple[str, type[WireModel]], ...] = (
    ("thread.run.step.delta", RunStepDeltaChunk),
    ("thread.run.step.", RunStep),
    ("thread.run.", ThreadRun),
    ("thread.message.delta", MessageDeltaChunk),
    ("thread.message.", ThreadMessage),
    ("thread.created", AgentThread),
)


def event_model(event: str) -> type[WireModel]:
    """The model of an event's data; `WireModel` where the name is not known.

    New states of known things (`thread.run.paused`) get the model of the thing.
    """
    for prefix, model in _MODELS:
        if event.startswith(prefix):
            return model
    return WireModel


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event: its name (compare with `AgentStreamEvent`) and its data."""

    event: str
    data: EventData
    synthetic: bool = False
    """Whether the client made it up from what it read of the run, after the stream had broken."""


def parse_event(event: str, data: str) -> StreamEvent:
    """Turns the name and the data of a server-sent event into a typed one.

    `error` gives an `AgentV1Error`, whichever of its shapes came. Raises `ValueError` (pydantic's
    `ValidationError` is one) when the data is not JSON or does not fit the model.
    """
    if event == AgentStreamEvent.DONE or data == DONE:
        return StreamEvent(event, data)
    if event == AgentStreamEvent.ERROR:
        return StreamEvent(event, _error(data))
    body = bounded_json(data)
    if not isinstance(body, dict):
        raise ValueError(f"the data of event {event} is not a JSON object")
    return StreamEvent(event, event_model(event).model_validate(body))


def _error(data: str) -> AgentV1Error:
    """An error wherever it is: `{"error": {...}}`, the inner object alone, or text."""
    try:
        body: Any = bounded_json(data)
    except ValueError:
        body = data
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return AgentV1Error.model_validate(body)
    detail = body if isinstance(body, dict) else {"message": str(body)}
    return AgentV1Error(error=AgentErrorDetail.model_validate(detail))
