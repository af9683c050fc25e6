"""The OpenAI-compatible model, against a small fake endpoint."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agents_emulator.models.base import (
    ChatMessage,
    ChatRequest,
    Finished,
    ModelConfigurationError,
    ModelError,
    TextDelta,
    ToolCall,
    ToolSpec,
)
from agents_emulator.models.loading import load_model
from agents_emulator.models.openai import KEY_VARIABLE, OpenAIModel

LOOKUP = ToolSpec("lookup", "Looks up.", {"type": "object", "properties": {"q": {"type": "string"}}})


class FakeEndpoint:
    """Answers every chat completion with the same response and remembers what it was asked."""

    def __init__(self, response: Callable[[], Response]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._response = response
        self._app = Starlette(routes=[Route("/v1/chat/completions", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        return self._response()

    def model(self, **options: Any) -> OpenAIModel:
        transport = httpx.ASGITransport(app=self._app)
        return OpenAIModel("http://127.0.0.1:9/v1", transport=transport, **options)


def events(*chunks: Any, done: bool = True) -> Callable[[], Response]:
    async def body() -> AsyncIterator[str]:
        for chunk in chunks:
            yield f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk)}\n\n"
        if done:
            yield "data: [DONE]\n\n"

    return lambda: StreamingResponse(body(), media_type="text/event-stream")


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}}


def request(**fields: Any) -> ChatRequest:
    return ChatRequest("gpt-4o", (ChatMessage("system", "Be brief."), ChatMessage("user", "hi")), **fields)


async def answer(model: OpenAIModel, asked: ChatRequest) -> tuple[list[str], Finished]:
    *deltas, finished = [event async for event in model.generate(asked)]
    await model.aclose()
    assert isinstance(finished, Finished)
    return [item.text for item in deltas if isinstance(item, TextDelta)], finished


async def test_streams_text_and_reports_usage() -> None:
    fake = FakeEndpoint(events(delta(content="Hel"), delta(content="lo"), delta("stop"), USAGE))
    deltas, finished = await answer(fake.model(), request(max_tokens=5))
    assert deltas == ["Hel", "lo"]
    assert finished == Finished((), "stop", 11, 3)
    [body] = fake.bodies
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    assert (body["model"], body["max_tokens"]) == ("gpt-4o", 5)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert "tools" not in body
    assert "response_format" not in body
    assert "authorization" not in fake.headers[0]


async def test_puts_together_tool_calls_that_come_in_pieces() -> None:
    def part(index: int, **fields: Any) -> dict[str, Any]:
        return {"index": index, **fields}

    fake = FakeEndpoint(
        events(
            delta(tool_calls=[part(0, id="call_a", function={"name": "lookup", "arguments": ""})]),
            delta(tool_calls=[part(0, function={"arguments": '{"q": '})]),
            delta(tool_calls=[part(1, id="call_b", function={"name": "lookup", "arguments": "{}"})]),
            delta(tool_calls=[part(0, function={"arguments": '"x"}'})]),
            delta("stop"),
            USAGE,
        )
    )
    _, finished = await answer(fake.model(), request(tools=(LOOKUP,), tool_choice="function:lookup"))
    assert finished.finish_reason == "tool_calls"
    assert finished.tool_calls == (
        ToolCall("call_a", "lookup", '{"q": "x"}'),
        ToolCall("call_b", "lookup", "{}"),
    )
    assert fake.bodies[0]["tool_choice"] == {"type": "function", "function": {"name": "lookup"}}
    assert fake.bodies[0]["tools"][0]["function"]["parameters"] == LOOKUP.parameters


async def test_sends_schema_and_tool_results() -> None:
    fake = FakeEndpoint(events(delta("length", content="{")))
    conversation = (
        ChatMessage("user", "hi"),
        ChatMessage("assistant", "", tool_calls=(ToolCall("call_a", "lookup", "{}"),)),
        ChatMessage("tool", "found", tool_call_id="call_a", name="lookup"),
    )
    asked = ChatRequest("m", conversation, response_schema={"type": "object"}, schema_name="Row")
    _, finished = await answer(fake.model(model="other"), asked)
    assert finished.finish_reason == "length"
    [body] = fake.bodies
    assert body["model"] == "other"
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Row", "schema": {"type": "object"}},
    }
    assert body["messages"][1]["tool_calls"][0]["function"] == {"name": "lookup", "arguments": "{}"}
    assert body["messages"][2] == {"role": "tool", "content": "found", "tool_call_id": "call_a"}


def failing(status: int, code: str, **headers: str) -> Callable[[], Response]:
    return lambda: JSONResponse({"error": {"code": code, "message": "no"}}, status, headers=headers)


@pytest.mark.parametrize(
    ("response", "code", "retry_after"),
    [
        (failing(429, "429", **{"retry-after": "22"}), "rate_limit_exceeded", 22.0),
        (failing(503, "down"), "server_error", None),
        (failing(400, "content_filter"), "content_filter", None),
        (failing(400, "context_length_exceeded"), "context_length_exceeded", None),
        (failing(400, "bad"), "invalid_request", None),
        (failing(401, "401"), "server_error", None),
        (events({"error": {"code": "rate_limit_exceeded"}}), "rate_limit_exceeded", None),
        (events("not json"), "server_error", None),
        (events(delta(content="cut off"), done=False), "server_error", None),
    ],
)
async def test_failures_become_error_codes_of_runs(
    response: Callable[[], Response], code: str, retry_after: float | None
) -> None:
    with pytest.raises(ModelError) as caught:
        await answer(FakeEndpoint(response).model(), request())
    assert (caught.value.code, caught.value.retry_after) == (code, retry_after)


async def test_an_endpoint_that_is_not_there_is_a_server_error() -> None:
    with pytest.raises(ModelError, match=r"server_error: the model at 127\.0\.0\.1 cannot be reached"):
        await answer(OpenAIModel("http://127.0.0.1:1/v1"), request())


async def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEndpoint(events(delta("stop", content="ok")))
    model = fake.model(api_key=SecretStr("sesame"))
    await answer(model, request())
    assert fake.headers[0]["authorization"] == "Bearer sesame"
    assert "sesame" not in repr(vars(model))
    monkeypatch.setenv(KEY_VARIABLE, "sesame")
    assert load_model("openai:https://models.example/v1#small").name == "openai:models.example#small"


@pytest.mark.parametrize(
    "address", ["http://models.example/v1", "http://10.0.0.8/v1", "ftp://x/v1", "models"]
)
def test_a_key_does_not_travel_unencrypted(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sesame")
    with pytest.raises(ModelConfigurationError) as caught:
        load_model(f"openai:{address}")
    assert "sesame" not in str(caught.value)
