"""What was recorded of the successor's wire, told to the backend: streams, items, refusals, tools."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from agent_tasks.backends.base import (
    AgentSpec,
    ConnectedAgent,
    ConversationCreated,
    Mark,
    RemoteStore,
    ServerAccess,
    TurnEnded,
    TurnNeedsTools,
    TurnRef,
    TurnRequest,
    TurnStarted,
    TurnStatus,
    TurnText,
    TurnUpdate,
)
from agent_tasks.backends.responses import FOUNDRY, ResponsesBackend
from agent_tasks.backends.responses.answers import conclusion
from agent_tasks.backends.responses.tools import flat_tools
from agent_tasks.client import AsyncResponsesClient
from agent_tasks.errors import (
    ConfigurationError,
    ConversationBusyError,
    GatewayTimeoutError,
    NotFoundError,
)
from agent_tasks.pauses import JumpingClock, clock_of

PROJECT = "http://127.0.0.1:9/api/projects/p"
MARK = Mark("c" * 40)
HELLO = TurnRequest("clerk:1", "Hello")

Handler = Callable[[httpx.Request], httpx.Response]


def backend_of(handler: Handler) -> ResponsesBackend:
    """A backend that speaks to a function."""
    client = AsyncResponsesClient(f"{PROJECT}/openai/v1", None, transport=httpx.MockTransport(handler))
    return ResponsesBackend(client, FOUNDRY)


def events(*told: dict[str, Any], cut: bool = False) -> httpx.Response:
    """A stream as recorded: an event and its data, and no `[DONE]`."""
    frames = [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
        for number, event in enumerate(told)
    ]
    return httpx.Response(
        200, headers={"content-type": "text/event-stream"}, content="".join(frames).encode()
    )


def response(status: str = "completed", *output: dict[str, Any], **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    usage["input_tokens_details"] = {"cached_tokens": 2}
    return {
        "id": "resp_1",
        "object": "response",
        "status": status,
        "output": list(output),
        "usage": usage,
    } | more


def said(text: str, *notes: dict[str, Any]) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": list(notes)}
    return {"type": "message", "role": "assistant", "content": [part]}


async def all_of(updates: AsyncIterator[TurnUpdate]) -> list[TurnUpdate]:
    return [update async for update in updates]


async def test_a_turn_is_two_requests_and_the_second_says_nothing_but_where() -> None:
    sent: list[tuple[str, dict[str, Any]]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        assert "api-version" not in request.url.params
        sent.append((request.url.path.removeprefix("/api/projects/p"), json.loads(request.content)))
        if request.url.path.endswith("/conversations"):
            return httpx.Response(200, json={"id": "conv_1", "object": "conversation"})
        return events(
            {"type": "response.created", "response": response("in_progress")},
            {"type": "response.of_a_newer_service", "item": {}},
            {"type": "response.output_text.delta", "delta": "Good day."},
            {
                "type": "response.completed",
                "response": response("completed", {"type": "newer"}, said("Good day.")),
            },
        )

    updates = await all_of(backend_of(handle).start_turn(HELLO, MARK))
    made, started, text, ended = updates
    assert made == ConversationCreated("conv_1")
    assert started == TurnStarted(TurnRef("conv_1", "resp_1"))
    assert text == TurnText("Good day.")
    assert isinstance(ended, TurnEnded)
    assert (ended.text, ended.usage.total_tokens, ended.usage.cached_tokens) == ("Good day.", 7, 2)
    (_, conversation), (path, asked) = sent
    assert conversation["items"][0] == {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hello"}],
    }
    assert conversation["metadata"] == {"agent_tasks_key": MARK.key, "agent_tasks_attempt": "1"}
    assert path == "/openai/v1/responses"
    assert asked == {
        "agent_reference": {"type": "agent_reference", "name": "clerk", "version": "1"},
        "conversation": "conv_1",
        "metadata": {**conversation["metadata"], "agent_tasks_round": "1"},
        "stream": True,
        "store": True,
        "background": True,
    }


async def test_a_broken_stream_is_resumed_behind_its_last_event() -> None:
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path.endswith("/conversations"):
            return httpx.Response(200, json={"id": "conv_1"})
        if request.method == "POST":
            return events(
                {"type": "response.created", "response": response("in_progress")},
                {"type": "response.output_text.delta", "delta": "Good "},
            )
        asked.append(str(request.url.query, "ascii"))
        return events(
            {"type": "response.output_text.delta", "delta": "day."},
            {"type": "response.completed", "response": response("completed", said("Good day."))},
        )

    updates = await all_of(backend_of(handle).start_turn(HELLO, MARK))
    assert "".join(update.text for update in updates if isinstance(update, TurnText)) == "Good day."
    assert asked == ["stream=true&starting_after=1"]


@pytest.mark.parametrize("status", [408, 500])
async def test_a_post_whose_outcome_is_open_is_sent_once(status: int) -> None:
    """Recorded: 408 `Timeout` of the gateway after 120 s, and 500, each followed by the same POST again."""
    sent = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal sent
        if request.url.path.endswith("/conversations"):
            return httpx.Response(200, json={"id": "conv_1"})
        sent += 1
        error = {"error": {"code": "Timeout", "message": "The operation was timeout."}}
        return httpx.Response(status, json=error)

    with pytest.raises(GatewayTimeoutError.__base__) as caught:
        await all_of(backend_of(handle).start_turn(HELLO, MARK))
    assert sent == 1
    assert caught.value.outcome_unknown
    assert isinstance(caught.value, GatewayTimeoutError) == (status == 408)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "bad_request", "message": "resp_1 not found", "details": []}),
        (404, {"code": "not_found", "message": "No response"}),
    ],
)
async def test_gone_is_404_or_400_in_words(status: int, error: dict[str, Any]) -> None:
    backend = backend_of(lambda request: httpx.Response(status, json={"error": error}))
    with pytest.raises(NotFoundError):
        await all_of(backend.follow_turn(TurnRef("conv_1", "resp_1", MARK)))
    assert await backend.cancel_turn(TurnRef("conv_1", "resp_1", MARK))
    assert not await backend.exists("conversation", "conv_1")
    await backend.delete("conversation", "conv_1")


@pytest.mark.parametrize("status", [400, 409])
async def test_a_locked_conversation_is_busy(status: int) -> None:
    said = "Another process is currently operating on this conversation. Please retry in a few seconds."
    error = {"error": {"code": "conversation_locked", "param": "conversation", "message": said}}
    backend = backend_of(lambda request: httpx.Response(status, json=error))
    with pytest.raises(ConversationBusyError):
        await all_of(backend.start_turn(TurnRequest("clerk:1", "Hello", "conv_1"), MARK))


async def test_background_that_is_refused_is_left_out_from_then_on() -> None:
    asked: list[bool] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/conversations"):
            return httpx.Response(200, json={"id": "conv_1"})
        asked.append("background" in json.loads(request.content))
        if asked[-1]:
            error = {"message": "background is not supported", "param": "background", "code": "unsupported"}
            return httpx.Response(400, json={"error": error})
        return events({"type": "response.completed", "response": response("completed", said("Good day."))})

    backend = backend_of(handle)
    for _ in range(2):
        *_, ended = await all_of(backend.start_turn(HELLO, MARK))
        assert isinstance(ended, TurnEnded)
    assert asked == [True, False, False]


async def test_outputs_that_arrived_are_not_sent_again_while_the_list_is_late() -> None:
    """The list shows the second round only at the third look; the items show its outputs before."""
    call = {"type": "function_call", "call_id": "call_1", "name": "book", "arguments": "{}"}
    marked = {"agent_tasks_key": MARK.key, "agent_tasks_attempt": "1"}
    first = response("completed", call, metadata={**marked, "agent_tasks_round": "1"}, created_at=1)
    second = response(
        "completed", said("Booked."), id="resp_2", metadata={**marked, "agent_tasks_round": "2"}, created_at=1
    )
    looks = 0

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal looks
        assert request.method == "GET", "nothing is sent"
        if request.url.path.endswith("/items"):
            output = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
            return httpx.Response(200, json={"data": [output, call]})
        looks += 1
        return httpx.Response(
            200, json={"data": [second, first] if looks > 2 else [first], "has_more": False}
        )

    with clock_of(JumpingClock()):
        (ended,) = await all_of(backend_of(handle).follow_turn(TurnRef("conv_1", "resp_1", MARK)))
    assert isinstance(ended, TurnEnded)
    assert (ended.text, ended.usage.total_tokens, ended.ref.turn_id) == ("Booked.", 14, "resp_1")


def test_citations_are_places_and_a_limit_is_said_in_the_words_of_the_seam() -> None:
    note = {"type": "file_citation", "file_id": "assistant-1", "filename": "a.txt", "index": 3}
    ended = conclusion(response("completed", said("Oak.", note)), TurnRef("c", "t"))
    assert isinstance(ended, TurnEnded)
    (citation,) = ended.citations
    assert (citation.mark, citation.start, citation.end, citation.file_name) == ("", 3, 3, "a.txt")
    cut = response("incomplete", said("Oak"), incomplete_details={"reason": "max_output_tokens"})
    ended = conclusion(cut, TurnRef("c", "t"))
    assert isinstance(ended, TurnEnded)
    assert (ended.status, ended.error_message) == (TurnStatus.INCOMPLETE, "max_completion_tokens")


def test_calls_of_a_round_are_all_given() -> None:
    calls = [
        {"type": "function_call", "call_id": f"call_{n}", "name": "f", "arguments": "{}"} for n in (1, 2)
    ]
    needs = conclusion(response("completed", *calls), TurnRef("c", "t"))
    assert isinstance(needs, TurnNeedsTools)
    assert [call.call_id for call in needs.calls] == ["call_1", "call_2"]


def test_tools_are_flat_and_hold_their_ids() -> None:
    spec = AgentSpec(
        name="clerk",
        model="m",
        instructions="Work.",
        tools=[
            {"type": "function", "function": {"name": "book", "description": "Book.", "parameters": {}}},
            {"type": "file_search", "file_search": {"max_num_results": 3}},
            {"type": "code_interpreter"},
            {"type": "mcp", "server_label": "ledger", "server_url": "https://x", "allowed_tools": ["write"]},
            {"type": "azure_ai_search"},
            {"type": "bing_grounding", "bing_grounding": {"search_configurations": [{"connection_id": "b"}]}},
            {"type": "fabric_dataagent", "fabric_dataagent": {"connections": [{"connection_id": "f"}]}},
            {"type": "browser_automation", "browser_automation": {"connection": {"id": "p"}}},
            {"type": "of_a_newer_service", "x": 1},
        ],
        stores=[RemoteStore(id="vs_1", key="k", name="papers", file_ids=[])],
        tool_resources={
            "code_interpreter": {"file_ids": ["assistant-1"]},
            "azure_ai_search": {"indexes": [{"index_connection_id": "a", "index_name": "n"}]},
        },
        approvals={"ledger": "never"},
    )
    secret = ServerAccess("ledger", {"x-key": "s3cret"})
    flat = {tool["type"]: tool for tool in flat_tools(spec, [secret])}
    assert flat["function"]["name"] == "book"
    assert flat["file_search"]["vector_store_ids"] == ["vs_1"]
    assert flat["file_search"]["max_num_results"] == 3
    assert flat["code_interpreter"]["container"] == {"type": "auto", "file_ids": ["assistant-1"]}
    assert flat["mcp"]["require_approval"] == "never"
    assert "headers" not in flat["mcp"], "an agent is kept, and its headers would be"
    index = {"project_connection_id": "a", "index_name": "n"}
    assert flat["azure_ai_search"]["azure_ai_search"] == {"indexes": [index]}
    found = flat["bing_grounding"]["bing_grounding"]["search_configurations"]
    assert found == [{"project_connection_id": "b"}]
    fabric = flat["fabric_dataagent_preview"]["fabric_dataagent_preview"]
    assert fabric == {"project_connections": [{"project_connection_id": "f"}]}
    browser = flat["browser_automation_preview"]["browser_automation_preview"]
    assert browser == {"connection": {"project_connection_id": "p"}}
    assert flat["of_a_newer_service"] == {"type": "of_a_newer_service", "x": 1}
    (mcp,) = [tool for tool in flat_tools(spec, [secret], with_headers=True) if tool["type"] == "mcp"]
    assert mcp["headers"] == {"x-key": "s3cret"}


def test_what_has_no_counterpart_is_refused_before_anything_is_sent() -> None:
    other = ConnectedAgent(id="a", key="k", name="other", description="Other.")
    with pytest.raises(ConfigurationError, match="hand_off"):
        flat_tools(AgentSpec(name="clerk", model="m", instructions="Work.", connected=[other]))


@pytest.mark.parametrize(
    "more", [{"response_format": {"type": "json_object"}}, {"instructions": "Be brief."}], ids=str
)
async def test_what_only_the_agent_may_say_is_refused_here(more: dict[str, Any]) -> None:
    """Reported: 400 `Not allowed when agent is specified.`"""

    def handle(request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing is sent")

    with pytest.raises(ConfigurationError, match="Not allowed when agent is specified"):
        await all_of(backend_of(handle).start_turn(TurnRequest("clerk:1", "Hello", **more), MARK))
