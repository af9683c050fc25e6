"""Spans of the client against the local service: names and attributes of the official library."""

from __future__ import annotations

import gc
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from agent_tasks.client import AgentsClient, AsyncAgentsClient
from agent_tasks.errors import BadRequestError, NotFoundError, RunFailedError
from agent_tasks.telemetry import agent_span, tool_span
from agent_tasks.tools import ToolSet
from tests.conftest import ServiceFactory
from tests.telemetry.conftest import Recorded

RULES = {"default": {"reply": {"text": "It is {{ results[0] }}."}}, "rules": [
    {"when": {"tool_results": False}, "reply": {"tool_calls": [{"name": "price", "arguments": {"wood":
    "oak"}}]}},
]}  # fmt: skip


def price(wood: str) -> str:
    """Tell the price."""
    return f"40 EUR for {wood}"


TOOLS = ToolSet([price])


async def conversation(client: AsyncAgentsClient) -> dict[str, str]:
    agent = await client.agents.create(
        model="scripted",
        name="clerk",
        description="Knows prices",
        instructions="Be brief.",
        temperature=0.5,
        tools=TOOLS.definitions,
    )
    thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
    message = await client.messages.create(thread.id, role="user", content="How much is oak?")
    run = await client.runs.create_and_process(
        thread.id, assistant_id=agent.id, toolset=TOOLS, poll_interval=0.02
    )
    assert [item async for item in client.messages.list(thread.id)]
    assert [item async for item in client.run_steps.list(thread.id, run.id)]
    return {"agent": agent.id, "thread": thread.id, "message": message.id, "run": run.id}


async def test_operations_have_the_spans_of_the_official_library(
    service: ServiceFactory, recorded: Recorded
) -> None:
    running = service(rules=RULES)
    async with AsyncAgentsClient(running.endpoint, None) as client:
        ids = await conversation(client)
    names = recorded.names()
    assert names[:4] == ["create_agent clerk", "create_thread", "create_message", "process_thread_run"]
    assert {"start_thread_run", "get_thread_run", "execute_tool price", "submit_tool_outputs"} <= set(names)
    assert names[-2:] == ["list_messages", "list_run_steps"]
    server = running.endpoint.split("/api/")[0]
    common = {
        "az.namespace": "Microsoft.CognitiveServices",
        "gen_ai.system": "az.ai.agents",
        "server.address": server,
    }
    assert recorded.attributes("create_agent clerk") == {
        **common,
        "gen_ai.operation.name": "create_agent",
        "gen_ai.agent.id": ids["agent"],
        "gen_ai.agent.name": "clerk",
        "gen_ai.agent.description": "Knows prices",
        "gen_ai.request.model": "scripted",
        "gen_ai.request.temperature": "0.5",
    }
    assert recorded.attributes("create_thread")["gen_ai.thread.id"] == ids["thread"]
    assert recorded.attributes("create_message")["gen_ai.message.id"] == ids["message"]
    run = recorded.attributes("process_thread_run")
    assert run["gen_ai.thread.run.id"] == ids["run"]
    assert run["gen_ai.thread.run.status"] == "completed"
    assert run["gen_ai.agent.id"] == ids["agent"]
    assert run["gen_ai.response.model"] == "scripted"
    assert run["gen_ai.usage.input_tokens"] > 0
    assert run["gen_ai.usage.output_tokens"] > 0
    whole = recorded.one("process_thread_run").context
    for child in ("start_thread_run", "execute_tool price", "submit_tool_outputs"):
        parent = recorded.one(child).parent
        assert parent is not None
        assert parent.span_id == whole.span_id, child
    steps = [name for name, _ in recorded.events("list_run_steps")]
    assert steps == ["gen_ai.run_step.message_creation", "gen_ai.run_step.tool_calls"]
    assert len(recorded.events("list_messages")) == 3


async def test_no_content_without_opt_in(service: ServiceFactory, recorded: Recorded) -> None:
    async with AsyncAgentsClient(service(rules=RULES).endpoint, None) as client:
        ids = await conversation(client)
    everything = recorded.everything()
    for content in ("Be brief", "Hello", "How much", "40 EUR", '\\"oak\\"', "It is"):
        assert content not in everything, content
    assert recorded.events("create_message") == [
        (
            "gen_ai.user.message",
            {
                "gen_ai.system": "az.ai.agents",
                "gen_ai.thread.id": ids["thread"],
                "gen_ai.event.content": '{"role": "user"}',
            },
        )
    ]


@pytest.mark.usefixtures("with_content")
async def test_content_on_opt_in(service: ServiceFactory, recorded: Recorded) -> None:
    async with AsyncAgentsClient(service(rules=RULES).endpoint, None) as client:
        await conversation(client)
    ((name, attributes),) = recorded.events("create_agent clerk")
    assert name == "gen_ai.system.message"
    assert json.loads(attributes["gen_ai.event.content"]) == {"content": "Be brief."}
    ((name, attributes),) = recorded.events("create_message")
    assert json.loads(attributes["gen_ai.event.content"]) == {"content": "How much is oak?", "role": "user"}
    ((name, attributes),) = recorded.events("submit_tool_outputs")
    assert name == "gen_ai.tool.message"
    assert json.loads(attributes["gen_ai.event.content"])["content"] == "40 EUR for oak"
    tool = recorded.attributes("execute_tool price")
    assert json.loads(tool["gen_ai.tool.call.arguments"]) == {"wood": "oak"}
    assert tool["gen_ai.tool.call.result"] == "40 EUR for oak"
    answers = [
        json.loads(attributes["gen_ai.event.content"])
        for name, attributes in recorded.events("list_messages")
        if name == "gen_ai.assistant.message"
    ]
    assert answers[0]["content"]["text"]["value"] == "It is 40 EUR for oak."
    calls = dict(recorded.events("list_run_steps"))["gen_ai.run_step.tool_calls"]
    (call,) = json.loads(calls["gen_ai.event.content"])["tool_calls"]
    assert call["function"] == {"name": "price", "arguments": {"wood": "oak"}}


@pytest.mark.usefixtures("with_content")
async def test_a_stream_is_one_span_with_its_messages(service: ServiceFactory, recorded: Recorded) -> None:
    async with AsyncAgentsClient(service().endpoint, None) as client:
        agent = await client.agents.create(model="scripted", name="clerk")
        stream = client.runs.stream_thread_and_run(
            assistant_id=agent.id, thread={"messages": [{"role": "user", "content": "Hi"}]}
        )
        async with stream as events:
            async for _ in events:
                pass
    run = recorded.attributes("process_thread_run")
    assert run["gen_ai.thread.run.status"] == "completed"
    assert run["gen_ai.thread.id"] == stream.thread_id
    assert [name for name, _ in recorded.events("process_thread_run")] == [
        "gen_ai.user.message",
        "gen_ai.assistant.message",
    ]
    _, answer = recorded.events("process_thread_run")[1]
    assert (
        json.loads(answer["gen_ai.event.content"])["content"]["text"]["value"]
        == "Hello from the scripted model."
    )
    assert answer["gen_ai.usage.output_tokens"] > 0
    assert run["gen_ai.message.id"] == answer["gen_ai.message.id"]


def test_the_blocking_client_has_the_same_spans(service: ServiceFactory, recorded: Recorded) -> None:
    with AgentsClient(service(rules=RULES).endpoint, None) as client:
        agent = client.agents.create(model="scripted", name="clerk", tools=TOOLS.definitions)
        thread = client.threads.create(messages=[{"role": "user", "content": "How much is oak?"}])
        client.runs.create_and_process(thread.id, assistant_id=agent.id, toolset=TOOLS, poll_interval=0.02)
    whole = recorded.one("process_thread_run").context
    parent = recorded.one("execute_tool price").parent
    assert parent is not None
    assert parent.span_id == whole.span_id


async def test_every_request_carries_the_trace(service: ServiceFactory, recorded: Recorded) -> None:
    running = service()
    seen: list[Any] = []

    class Noting(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            seen.append((request.url.path, request.headers.get("traceparent")))
            return await super().handle_async_request(request)

    async with AsyncAgentsClient(running.endpoint, None, transport=Noting()) as client:
        with agent_span("asst_1", "clerk"):
            agent = await client.agents.create(model="scripted", name="clerk")
            async with client.runs.stream_thread_and_run(assistant_id=agent.id) as events:
                async for _ in events:
                    pass
            store = await client.vector_stores.create(name="shelf")
            await client.vector_stores.delete(store.id)
    outer = recorded.one("invoke_agent clerk").context
    created = recorded.one("create_agent clerk").context
    streamed = recorded.one("process_thread_run").context
    parents = [traceparent.split("-")[1:3] for _, traceparent in seen]
    expected = [created.span_id, streamed.span_id, outer.span_id, outer.span_id]
    assert parents == [[f"{outer.trace_id:032x}", f"{span_id:016x}"] for span_id in expected]


async def test_failures_are_marked(service: ServiceFactory, recorded: Recorded) -> None:
    failing = {"default": {"reply": {"error": {"code": "server_error", "message": "Sorry."}}}, "rules": []}
    async with AsyncAgentsClient(service(rules=failing).endpoint, None) as client:
        agent = await client.agents.create(model="scripted", name="clerk")
        with pytest.raises(NotFoundError):
            await client.runs.get("thread_nothing", "run_nothing")
        with pytest.raises(BadRequestError):
            await client.threads.create(messages=[{"role": "nobody", "content": "x"}])
        with pytest.raises(RunFailedError):
            await client.runs.create_thread_and_process(assistant_id=agent.id, poll_interval=0.02)
    missing = recorded.one("create_thread")
    assert missing.status.status_code.name == "ERROR"
    assert dict(missing.attributes or {})["error.type"] == "agent_tasks.errors.BadRequestError"
    run = recorded.one("process_thread_run")
    assert dict(run.attributes or {})["error.type"] == "server_error"
    assert dict(run.attributes or {})["gen_ai.thread.run.status"] == "failed"
    assert run.status.status_code.name == "ERROR"


def kept_by_opentelemetry() -> Counter[str]:
    gc.collect()
    kinds = (type(one) for one in gc.get_objects())
    return Counter(kind.__name__ for kind in kinds if str(kind.__module__).startswith("opentelemetry."))


def test_operations_without_an_sdk_leave_nothing_behind() -> None:
    """Until a provider is set OpenTelemetry keeps every meter that was asked for, and its instruments."""
    with agent_span("asst_1", "clerk"):
        pass  # the first one may set something up
    before = kept_by_opentelemetry()
    for _ in range(100):
        with agent_span("asst_1", "clerk"), tool_span("look_up", "call_1"):
            pass
    assert kept_by_opentelemetry() - before == Counter()


async def test_durations_and_tokens_are_counted(service: ServiceFactory, recorded: Recorded) -> None:
    async with AsyncAgentsClient(service(rules=RULES).endpoint, None) as client:
        await conversation(client)
    metrics = recorded.metrics()
    durations = {
        point.attributes["gen_ai.operation.name"] for point in metrics["gen_ai.client.operation.duration"]
    }
    assert {"create_agent", "process_thread_run", "execute_tool"} <= durations
    tokens = {point.attributes["gen_ai.token.type"]: point for point in metrics["gen_ai.client.token.usage"]}
    run = recorded.attributes("process_thread_run")
    assert tokens["input"].count == tokens["output"].count == 1, "counted once, though read several times"
    assert tokens["output"].sum == run["gen_ai.usage.output_tokens"]
