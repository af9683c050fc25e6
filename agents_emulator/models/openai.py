"""Any OpenAI-compatible chat endpoint as a model: Azure OpenAI, Ollama, vLLM, llama-server."""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
from pydantic import SecretStr

from agent_tasks.bounded import (
    ACCEPT_ENCODING,
    BoundedLines,
    TooLargeError,
    bounded_json,
    pieces_of,
    read_at_most,
)
from agent_tasks.redaction import has_secret, redacted
from agents_emulator.models.base import (
    ChatMessage,
    ChatRequest,
    Finished,
    FinishReason,
    ModelConfigurationError,
    ModelError,
    TextDelta,
    ToolCall,
    new_call_id,
)

KEY_VARIABLE = "AGENTS_EMULATOR_OPENAI_API_KEY"
TIMEOUT = httpx.Timeout(connect=10.0, read=120.0, write=30.0, pool=30.0)
"""Seconds; ``read`` is the longest silence within a stream."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Bytes of one answer's events; each token takes some 200 of them."""
MAX_EVENT_BYTES = 4 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class OpenAIModel:
    """Streams from ``POST {base_url}/chat/completions``."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        api_key: SecretStr | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``model`` replaces the model names of agents.

        Raises :class:`ModelConfigurationError` if the address is not one, or if the key would travel over
        plain http to another machine.
        """
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL:  # its text may be a part of a password
            raise ModelConfigurationError("what follows openai: is not an address") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise ModelConfigurationError(f"{redacted(base_url)!r} is not an http or https address")
        if url.scheme == "http" and not _is_loopback(url.host) and has_secret(base_url):
            raise ModelConfigurationError(
                f"the password or key in the address would travel unencrypted to {url.host}; use https"
            )
        if api_key is not None and url.scheme == "http" and not _is_loopback(url.host):
            raise ModelConfigurationError(
                f"the key in {KEY_VARIABLE} would travel unencrypted to {url.host}; use https or unset it"
            )
        self.name = f"openai:{url.host}" + (f"#{model}" if model else "")
        self.context_tokens = 8000
        self.sees_images = True
        self._model = model
        headers = {"Accept-Encoding": ACCEPT_ENCODING}
        if api_key is not None:
            if url.host.endswith((".azure.com", ".azure.us", ".azure.cn")):
                headers["api-key"] = api_key.get_secret_value()
            else:
                headers["Authorization"] = f"Bearer {api_key.get_secret_value()}"
        # Redirects are not followed (httpx's default): the key goes nowhere else.
        self._client = httpx.AsyncClient(timeout=TIMEOUT, headers=headers, transport=transport)
        self._url = url.copy_with(path=url.path.rstrip("/") + "/chat/completions")

    @classmethod
    def from_spec(cls, spec: str) -> OpenAIModel:
        """``BASE_URL`` or ``BASE_URL#MODEL``, with the key of the environment, if there is one."""
        base_url, _, model = spec.partition("#")
        key = os.environ.get(KEY_VARIABLE)
        return cls(base_url, model=model or None, api_key=SecretStr(key) if key else None)

    async def generate(self, request: ChatRequest) -> AsyncIterator[TextDelta | Finished]:
        """Answer a request; see :class:`agents_emulator.models.base.ChatModel`."""
        calls: dict[int, dict[str, str]] = {}
        finish: str | None = None
        usage: dict[str, Any] = {}
        try:
            async with self._client.stream("POST", self._url, json=self._body(request)) as response:
                if response.status_code != httpx.codes.OK:
                    raise _failure(response, await read_at_most(response, MAX_ERROR_BYTES, cut=True))
                async for chunk in _chunks(response):
                    usage = chunk.get("usage") or usage
                    for choice in chunk.get("choices") or ():
                        finish = choice.get("finish_reason") or finish
                        delta = choice.get("delta") or {}
                        for part in delta.get("tool_calls") or ():
                            _collect(calls, part)
                        if text := delta.get("content"):
                            yield TextDelta(text)
        except TooLargeError as error:
            raise ModelError(
                "server_error", f"the answer of the model at {self._url.host} is not read: {error}"
            ) from error
        except httpx.HTTPError as error:
            raise ModelError(
                "server_error",
                f"the model at {self._url.host} cannot be reached: {type(error).__name__} {error}",
            ) from error
        if finish is None:
            raise ModelError("server_error", f"the stream of the model at {self._url.host} broke off")
        found = tuple(
            ToolCall(call["id"] or new_call_id(), call["name"], call["arguments"] or "{}")
            for _, call in sorted(calls.items())
        )
        # A forced call ends with "stop" at some endpoints; what counts is that there are calls.
        reason = "tool_calls" if found and finish != "length" else _FINISH_REASONS.get(finish, "stop")
        yield Finished(found, reason, usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model or request.model,
            "messages": [wire for message in request.messages for wire in _messages(message)],
            "temperature": request.temperature,
            "top_p": request.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.max_tokens is not None:
            body["max_tokens"] = request.max_tokens
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.parameters,
                    },
                }
                for tool in request.tools
            ]
            forced = request.forced_tool
            body["tool_choice"] = (
                request.tool_choice if forced is None else {"type": "function", "function": {"name": forced}}
            )
            body["parallel_tool_calls"] = request.parallel_tool_calls
        if request.response_schema:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": request.schema_name or "answer", "schema": request.response_schema},
            }
        elif request.response_schema is not None:
            body["response_format"] = {"type": "json_object"}
        return body


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _messages(message: ChatMessage) -> list[dict[str, Any]]:
    """A message with its images: within user messages; a tool's picture follows it, as a user's."""
    wire = _message(message)
    if not message.images:
        return [wire]
    parts: list[dict[str, Any]] = []
    for image in message.images:
        data = base64.b64encode(image.data).decode("ascii")
        url = {"url": f"data:{image.media_type};base64,{data}", "detail": image.detail}
        parts.append({"type": "image_url", "image_url": url})
    if message.role != "user":
        return [wire, {"role": "user", "content": parts}]
    text = [{"type": "text", "text": message.content}] if message.content else []
    return [{**wire, "content": [*text, *parts]}]


def _message(message: ChatMessage) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["content"] = message.content or None
        wire["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _collect(calls: dict[int, dict[str, str]], part: dict[str, Any]) -> None:
    """Tool calls arrive in pieces; the index says which one a piece belongs to."""
    call = calls.setdefault(part.get("index", len(calls)), {"id": "", "name": "", "arguments": ""})
    function = part.get("function") or {}
    call["id"] = part.get("id") or call["id"]
    call["name"] += function.get("name") or ""
    call["arguments"] += function.get("arguments") or ""


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    lines = BoundedLines(longest=MAX_EVENT_BYTES, limit=MAX_ANSWER_BYTES)
    async for piece in pieces_of(response, MAX_ANSWER_BYTES):
        for line in lines.feed(piece):
            yield line
    for line in lines.finish():
        yield line


async def _chunks(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in _lines(response):
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            return
        if not data:
            continue
        try:
            chunk = bounded_json(data)
        except ValueError as error:
            raise ModelError(
                "server_error", f"the model sent an event that is not JSON: {data[:200]!r}"
            ) from error
        if not isinstance(chunk, dict):
            raise ModelError("server_error", f"the model sent an event that is no object: {data[:200]!r}")
        if error_body := chunk.get("error"):
            raise _error(error_body, status=None, retry_after=None)
        yield chunk


def _failure(response: httpx.Response, content: bytes) -> ModelError:
    try:
        body = bounded_json(content)
        error = body["error"] if isinstance(body, dict) and "error" in body else body
    except ValueError:
        error = content.decode("utf-8", "replace")[:500]
    try:
        retry_after = float(response.headers["retry-after"])
    except (KeyError, ValueError):  # absent, or a date: then there is no number of seconds to pass on
        retry_after = None
    return _error(error, status=response.status_code, retry_after=retry_after)


def _error(error: Any, *, status: int | None, retry_after: float | None) -> ModelError:
    """Statuses and codes of chat endpoints as error codes of a run."""
    fields = error if isinstance(error, dict) else {"message": str(error)}
    code, message = (
        str(fields.get("code") or fields.get("type") or ""),
        str(fields.get("message") or "no message"),
    )
    where = f"the model answered {status}: " if status else "the model failed: "
    if status == httpx.codes.TOO_MANY_REQUESTS or "rate_limit" in code:
        wait = f" Try again in {retry_after:g} seconds." if retry_after is not None else ""
        return ModelError("rate_limit_exceeded", f"Rate limit is exceeded.{wait}", retry_after)
    if code in ("content_filter", "content_policy_violation"):
        return ModelError("content_filter", where + message)
    if code in ("context_length_exceeded", "exceed_context_size_error"):
        return ModelError("context_length_exceeded", where + message)
    if status in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY):
        return ModelError("invalid_request", where + message)
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return ModelError("server_error", f"{where}{message}; set its key in {KEY_VARIABLE}")
    return ModelError("server_error", where + message)
