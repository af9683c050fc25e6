"""What bodies of the service say, as attributes and events of spans."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from opentelemetry.trace import Span

SYSTEM = "az.ai.agents"

CONTENT_VARIABLES = (
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "AZURE_TRACING_GEN_AI_CONTENT_RECORDING_ENABLED",
)
# `true` of the official library; the other words are those of the newer conventions.
_CONTENT_ON = frozenset({"true", "1", "span_only", "event_only", "span_and_event"})


def content_recording() -> bool:
    """Whether the program opted in to content in spans. If the two variables disagree, it did not."""
    said = [os.environ[name] for name in CONTENT_VARIABLES if os.environ.get(name)]
    return bool(said) and all(value.strip().lower() in _CONTENT_ON for value in said)


def describe_request(span: Span, operation: str, body: Mapping[str, Any]) -> None:
    set_attributes(
        span,
        {
            "gen_ai.agent.id": body.get("assistant_id"),
            "gen_ai.request.model": body.get("model"),
            "gen_ai.request.temperature": _text(body.get("temperature")),
            "gen_ai.request.top_p": _text(body.get("top_p")),
            "gen_ai.request.max_input_tokens": body.get("max_prompt_tokens"),
            "gen_ai.request.max_output_tokens": body.get("max_completion_tokens"),
            "gen_ai.request.response_format": _format_name(body.get("response_format")),
        },
    )
    if operation == "create_agent":
        set_attributes(
            span,
            {
                "gen_ai.agent.name": body.get("name"),
                "gen_ai.agent.description": body.get("description"),
            },
        )
    thread = body.get("thread") or {}
    instructions = " ".join(
        text for key in ("instructions", "additional_instructions") if (text := body.get(key))
    )
    if instructions:
        said = {"content": instructions} if content_recording() else {}
        span.add_event(
            "gen_ai.system.message", {"gen_ai.system": SYSTEM, "gen_ai.event.content": to_json(said)}
        )
    messages = [
        *objects(body.get("messages") if operation == "create_thread" else thread.get("messages")),
        *objects(body.get("additional_messages")),
        *([body] if operation == "create_message" else []),
    ]
    for message in messages:
        message_event(span, message)
    for output in objects(body.get("tool_outputs")):
        told = {
            "content": output.get("output", "") if content_recording() else "",
            "id": output.get("tool_call_id"),
        }
        span.add_event("gen_ai.tool.message", {"gen_ai.event.content": to_json(told)})


def message_event(span: Span, message: Mapping[str, Any], usage: Mapping[str, Any] | None = None) -> None:
    role = str(message.get("role") or "user")
    body: dict[str, Any] = {}
    if content_recording():
        body["content"] = _message_content(message.get("content"))
        attached = [
            {
                "id": attachment.get("file_id"),
                "tools": [tool.get("type") for tool in objects(attachment.get("tools"))],
            }
            for attachment in objects(message.get("attachments"))
        ]
        if attached:
            body["attachments"] = attached
    if message.get("incomplete_details"):
        body["incomplete_details"] = message["incomplete_details"]
    body["role"] = role
    attributes = _present(
        {
            "gen_ai.system": SYSTEM,
            "gen_ai.thread.id": message.get("thread_id"),
            "gen_ai.agent.id": message.get("assistant_id"),
            "gen_ai.thread.run.id": message.get("run_id"),
            "gen_ai.message.id": message.get("id"),
            "gen_ai.message.status": message.get("status"),
            "gen_ai.usage.input_tokens": (usage or {}).get("prompt_tokens"),
            "gen_ai.usage.output_tokens": (usage or {}).get("completion_tokens"),
            "gen_ai.event.content": to_json(body),
        }
    )
    span.add_event(f"gen_ai.{role}.message", attributes)


def _message_content(content: Any) -> Any:
    """A message's text, or its parts by kind: `{"text": {"value", "annotations"}}`; images are only named."""
    if not isinstance(content, list):
        return content
    parts: dict[str, Any] = {}
    for part in objects(content):
        kind = str(part.get("type"))
        inner = part.get(kind)
        if isinstance(inner, Mapping) and "value" in inner:
            parts[kind] = _present({"value": inner["value"], "annotations": inner.get("annotations") or None})
        elif kind == "text":
            parts[kind] = {"value": inner}
        else:  # an image may hold a whole picture as base64
            parts[kind] = _present({"file_id": inner.get("file_id")}) if isinstance(inner, Mapping) else {}
    return parts


def step_event(span: Span, step: Mapping[str, Any]) -> None:
    attributes = step_attributes(step, "gen_ai.run_step.status")
    kind = step.get("type")
    if kind == "message_creation":
        created = (step.get("step_details") or {}).get("message_creation") or {}
        attributes.update(_present({"gen_ai.message.id": created.get("message_id")}))
        span.add_event("gen_ai.run_step.message_creation", attributes)
    elif kind == "tool_calls":
        calls = tool_calls(step)
        if calls:
            attributes["gen_ai.event.content"] = to_json({"tool_calls": calls})
        span.add_event("gen_ai.run_step.tool_calls", attributes)


def step_attributes(step: Mapping[str, Any], status_name: str) -> dict[str, Any]:
    error = step.get("last_error") or {}
    usage = step.get("usage") or {}
    ended = step.get("completed_at") or step.get("cancelled_at") or step.get("failed_at")
    return _present(
        {
            "gen_ai.system": SYSTEM,
            "gen_ai.thread.id": step.get("thread_id"),
            "gen_ai.agent.id": step.get("assistant_id"),
            "gen_ai.thread.run.id": step.get("run_id"),
            status_name: step.get("status"),
            "gen_ai.run_step.start.timestamp": _moment(step.get("created_at")),
            "gen_ai.run_step.end.timestamp": _moment(ended),
            "error.message": error.get("message"),
            "error.type": error.get("code"),
            "gen_ai.usage.input_tokens": usage.get("prompt_tokens"),
            "gen_ai.usage.output_tokens": usage.get("completion_tokens"),
        }
    )


def tool_calls(step: Mapping[str, Any]) -> list[dict[str, Any]]:
    with_content = content_recording()
    found = []
    for call in objects((step.get("step_details") or {}).get("tool_calls")):
        told = {"id": call.get("id"), "type": call.get("type")}
        if with_content:
            told = {**call, **told}
            function = told.get("function")
            if told["type"] == "function" and isinstance(function, Mapping):
                told["function"] = {
                    "name": function.get("name"),
                    "arguments": _parsed(function.get("arguments")),
                }
        found.append(told)
    return found


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return {}


def _format_name(value: Any) -> str | None:
    return value if isinstance(value, str) else (value or {}).get("type")


def chat_messages(role: str, text: str) -> str:
    return to_json([{"role": role, "parts": [{"type": "text", "content": text}]}])


def objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, Sequence) else []


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def set_attributes(span: Span, attributes: Mapping[str, Any]) -> None:
    span.set_attributes(_present(attributes))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _moment(seconds: Any) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if isinstance(seconds, int | float) else None


def to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
