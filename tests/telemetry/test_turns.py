"""Spans of durable turns, and of functions that a program traces by itself."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from opentelemetry import trace

from agent_tasks import telemetry
from agent_tasks.client import AsyncAgentsClient, set_instrumentation
from agent_tasks.client.instrumentation import watching
from agent_tasks.errors import RunFailedError
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, run_turn
from agent_tasks.telemetry import content_recording, trace_function
from agent_tasks.tools import ToolSet
from tests.conftest import ServiceFactory
from tests.telemetry.conftest import Recorded

RULES = {"default": {"reply": {"text": "It is {{ results[0] }}."}}, "rules": [
    {"when": {"tool_results": False}, "reply": {"tool_calls": [{"name": "price", "arguments": {"wood":
    "oak"}}]}},
]}  # fmt: skip


def price(wood: str) -> str:
    """Tell the price."""
    if wood == "ash":
        raise ValueError("there is no ash")
    return "40 EUR"


async def ask(endpoint: str, folder: Path, tools: ToolSet) -> None:
    async with Workspace.open(endpoint, None, f"sqlite+aiosqlite:///{folder}/journal.db") as ws:
        spec = AgentSpec(name="clerk", model="scripted", instructions="Brief.", tools=tools.definitions)
        agent = await ensure_agent(ws, spec, owner="batch")
        turn = TurnSpec(step="ask", agent=agent, prompt="How much?", owner="doc")
        result = await run_turn(ws, turn, tools=tools)
        again = await run_turn(ws, turn, tools=tools)
        assert again.reused
        assert result.text


async def test_a_turn_is_one_span_around_its_run_and_tools(
    service: ServiceFactory, recorded: Recorded, tmp_path: Path
) -> None:
    await ask(service(rules=RULES).endpoint, tmp_path, ToolSet([price]))
    turn = recorded.one("invoke_agent clerk")
    attributes = dict(turn.attributes or {})
    assert attributes["gen_ai.operation.name"] == "invoke_agent"
    assert attributes["gen_ai.agent.name"] == "clerk"
    assert attributes["agent_tasks.step"] == "ask"
    assert attributes["gen_ai.usage.output_tokens"] > 0
    assert attributes["gen_ai.conversation.id"]
    for child in ("process_thread_run", "execute_tool price", "submit_tool_outputs"):
        parent = recorded.one(child).parent
        assert parent is not None
        assert parent.span_id == turn.context.span_id, child
    assert "40 EUR" not in recorded.everything()
    assert "How much" not in recorded.everything()


@pytest.mark.usefixtures("with_content")
async def test_content_of_a_turn_on_opt_in(
    service: ServiceFactory, recorded: Recorded, tmp_path: Path
) -> None:
    await ask(service(rules=RULES).endpoint, tmp_path, ToolSet([price]))
    attributes = recorded.attributes("invoke_agent clerk")
    (asked,) = json.loads(attributes["gen_ai.input.messages"])
    assert asked == {"role": "user", "parts": [{"type": "text", "content": "How much?"}]}
    (told,) = json.loads(attributes["gen_ai.output.messages"])
    assert told["parts"][0]["content"] == "It is 40 EUR."


async def test_failed_tool_and_failed_turn_are_marked(
    service: ServiceFactory, recorded: Recorded, tmp_path: Path
) -> None:
    rules = {"default": {"reply": {"error": {"code": "content_filter", "message": "Refused."}}}, "rules": [
        {"when": {"tool_results": False}, "reply": {"tool_calls": [{"name": "price", "arguments": {"wood":
        "ash"}}]}},
    ]}  # fmt: skip
    with pytest.raises(RunFailedError):
        await ask(service(rules=rules).endpoint, tmp_path, ToolSet([price]))
    tool = recorded.one("execute_tool price")
    assert dict(tool.attributes or {})["error.type"] == "ValueError"
    assert tool.status.status_code.name == "ERROR"
    assert "no ash" not in recorded.everything(), "texts of a function's errors are content"
    turn = recorded.one("invoke_agent clerk")
    assert turn.status.status_code.name == "ERROR"


async def test_who_watches_already_goes_on_watching(service: ServiceFactory, tmp_path: Path) -> None:
    class Other:
        def operation(self, name: str, path: str, body: object, endpoint: str) -> AsyncExitStack:
            raise AssertionError("not called")

    other = Other()
    set_instrumentation(other)  # type: ignore[arg-type]
    try:
        telemetry.instrument_unless_watched()
        assert watching() is other
    finally:
        telemetry.uninstrument()
    telemetry.instrument_unless_watched()
    assert isinstance(watching(), telemetry.Spans)
    telemetry.uninstrument()
    with watching().operation("runs.create", "/threads/t/runs", {}, "http://x") as observer:
        assert not observer.listens()


# --- trace_function --------------------------------------------------------------------------------------


@trace_function("weigh it")
def weigh(
    what: str, kilos: int = 2, tags: list[object] | None = None, other: object = None
) -> dict[str, int]:
    return {"grams": kilos * 1000}


@trace_function()
async def fetch(what: str) -> str:
    await asyncio.sleep(0)
    if what == "nothing":
        raise LookupError("s3cret is not there")
    return what.upper()


@pytest.mark.usefixtures("with_content")
async def test_traced_functions_record_plain_values_on_opt_in(recorded: Recorded) -> None:
    assert weigh("oak", tags=["a", object(), {"b": 1}], other=object()) == {"grams": 2000}
    assert await fetch("ash") == "ASH"
    assert recorded.attributes("weigh it") == {
        "code.function.parameter.what": "oak",
        "code.function.parameter.kilos": 2,
        "code.function.parameter.tags": "['a', {'b': 1}]",
        "code.function.return.value": "{'grams': 2000}",
    }
    assert recorded.attributes("fetch") == {
        "code.function.parameter.what": "ash",
        "code.function.return.value": "ASH",
    }


async def test_traced_functions_record_no_values_otherwise(recorded: Recorded) -> None:
    weigh("oak")
    with pytest.raises(LookupError):
        await fetch("nothing")
    assert recorded.attributes("weigh it") == {}
    assert recorded.attributes("fetch") == {"error.type": "LookupError"}
    assert "s3cret" not in recorded.everything()
    assert weigh.__name__ == "weigh"


async def test_traced_functions_nest(recorded: Recorded) -> None:
    @trace_function()
    async def outer() -> str:
        return await fetch("ash")

    await outer()
    parent = recorded.one("fetch").parent
    assert parent is not None
    assert parent.span_id == recorded.one("outer").context.span_id


@pytest.mark.parametrize(
    ("new", "old", "on"),
    [
        (None, None, False),
        ("true", None, True),
        (None, "TRUE", True),
        ("span_and_event", None, True),
        ("no_content", None, False),
        ("true", "false", False),
        ("", "true", True),
    ],
)
def test_opting_in(monkeypatch: pytest.MonkeyPatch, new: str | None, old: str | None, on: bool) -> None:
    for name, value in zip(telemetry.CONTENT_VARIABLES, (new, old), strict=True):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert content_recording() is on


async def test_a_stream_is_not_the_current_span_while_it_is_read(
    service: ServiceFactory, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    async def texts(client: AsyncAgentsClient, agent_id: str) -> AsyncIterator[str]:
        async with client.runs.stream_thread_and_run(assistant_id=agent_id) as events:
            async for event in events:
                yield event.event

    async with AsyncAgentsClient(service().endpoint, None) as client:
        agent = await client.agents.create(model="scripted")
        async for _ in texts(client, agent.id):
            assert not trace.get_current_span().get_span_context().is_valid
            break  # the generator, and the stream in it, are closed by the loop in another context
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0.01)
    assert "process_thread_run" in recorded.names()
    assert "detach" not in caplog.text
