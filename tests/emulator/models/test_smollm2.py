"""The real small model: one is loaded for all of these tests, and each asks it for little."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import pytest
import pytest_asyncio

from agents_emulator.models import smollm2, weights
from agents_emulator.models.base import (
    ChatMessage,
    ChatRequest,
    Finished,
    ModelConfigurationError,
    ModelError,
    TextDelta,
    ToolSpec,
)
from agents_emulator.models.smollm2 import SmolLM2Model, weights_path

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = "Nordlicht Pumps AS\nInvoice no. NP-2026\nDate: 3 March 2026\nTotal due: EUR 1,240.50"
LOOKUP = ToolSpec(
    "lookup_supplier",
    "Looks up a supplier by its name.",
    {
        "type": "object",
        "properties": {"name": {"type": "string", "description": "name of the company, as written"}},
        "required": ["name"],
    },
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[SmolLM2Model]:
    loaded = SmolLM2Model()
    yield loaded
    await loaded.aclose()


async def answer(model: SmolLM2Model, text: str, **fields: Any) -> tuple[list[str], Finished]:
    request = ChatRequest("any", (ChatMessage("user", text),), **fields)
    *deltas, finished = [event async for event in model.generate(request)]
    assert isinstance(finished, Finished)
    return [item.text for item in deltas if isinstance(item, TextDelta)], finished


async def test_answers_in_deltas_the_same_every_time(
    model: SmolLM2Model, capfd: pytest.CaptureFixture[str]
) -> None:
    deltas, finished = await answer(model, "What is the capital of France?", max_tokens=20)
    assert "Paris" in "".join(deltas)
    assert len(deltas) > 2
    assert finished.finish_reason == "stop"
    assert 20 < finished.prompt_tokens < 40
    assert 5 < finished.completion_tokens <= 20
    assert (await answer(model, "What is the capital of France?", max_tokens=20))[0] == deltas
    assert capfd.readouterr() == ("", "")


async def test_stops_at_the_limit_of_tokens(model: SmolLM2Model) -> None:
    _, finished = await answer(model, "Tell me a long story.", max_tokens=5)
    assert (finished.finish_reason, finished.completion_tokens) == ("length", 5)


async def test_keeps_to_the_schema_and_copies_from_the_text(model: SmolLM2Model) -> None:
    schema = {
        "type": "object",
        "properties": {
            "sender": {"type": "string", "description": "who wrote it, as written"},
            "date": {"type": "string", "format": "date"},
            "total": {"type": ["number", "null"], "multipleOf": 0.01, "description": "total, as written"},
            "paid": {"type": "boolean"},
        },
        "required": ["sender", "date", "total", "paid"],
        "additionalProperties": False,
    }
    deltas, _ = await answer(model, DOCUMENT, response_schema=schema, max_tokens=100)
    fields = json.loads("".join(deltas))
    jsonschema.validate(fields, {**schema, "properties": {**schema["properties"], "total": {}}})
    assert list(fields) == ["sender", "date", "total", "paid"]
    assert fields["date"] == "2026-03-03"
    assert fields["total"] in (1240.5, None)
    assert fields["sender"] in DOCUMENT


async def test_calls_a_forced_tool_with_arguments_of_its_schema(model: SmolLM2Model) -> None:
    deltas, finished = await answer(model, DOCUMENT, tools=(LOOKUP,), tool_choice="function:lookup_supplier")
    [call] = finished.tool_calls
    assert (deltas, finished.finish_reason, call.name) == ([], "tool_calls", "lookup_supplier")
    assert json.loads(call.arguments)["name"] in DOCUMENT


async def test_a_prompt_beyond_the_context_is_refused_with_the_numbers(model: SmolLM2Model) -> None:
    with pytest.raises(ModelError, match=r"context_length_exceeded: the prompt has 5\d{3} tokens.* 4096"):
        await answer(model, "word " * 5000)


async def test_cancelling_stops_the_work(model: SmolLM2Model) -> None:
    task = asyncio.create_task(answer(model, "Tell me a very long story.", max_tokens=3000))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    started = time.monotonic()
    await answer(model, "Say hi.", max_tokens=2)
    assert time.monotonic() - started < 40  # 3000 tokens take much longer


async def test_missing_weights_are_reported_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights_path().suffix == ".gguf"
    monkeypatch.setattr(weights, "weights_path", lambda: None)
    with pytest.raises(ModelConfigurationError, match="agent-tasks weights"):
        SmolLM2Model()


async def test_the_time_of_an_answer_begins_when_its_turn_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        def handle_chat_completions(self, body: Any, on_chunk: Any) -> None:
            time.sleep(0.3)
            on_chunk({"choices": [{"delta": {"content": "Hi."}, "finish_reason": "stop"}]})

    monkeypatch.setattr(smollm2, "GENERATION_TIMEOUT", 1.0)
    queued = SmolLM2Model()
    queued._server = Slow()
    answers = await asyncio.gather(*(answer(queued, "hi") for _ in range(6)))  # the last waits for 1.5 s
    assert len(answers) == 6
    await queued.aclose()
