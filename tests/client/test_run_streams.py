"""The events of a run as one iterator: handlers, functions within the stream, streams that break."""

import json
from typing import Any

import httpx
import pytest

from agent_tasks.client import AgentEventHandler, AsyncAgentEventHandler
from agent_tasks.errors import (
    AgentTasksError,
    RunFailedError,
    RunThrottledError,
    StreamBrokenError,
    TransportError,
)
from agent_tasks.wire import StreamEvent
from tests.client.conftest import RUN, Network, Pieces
from tests.client.test_processing import Tools, asks, run, sent
from tests.client.test_streams import COMPLETED, CREATED, DELTA, DONE, frame

MESSAGE = {
    "id": "msg_1",
    "object": "thread.message",
    "created_at": 1,
    "thread_id": "thread_1",
    "run_id": "run_1",
    "role": "assistant",
    "content": [{"type": "text", "text": {"value": "Hi there", "annotations": []}}],
}
STEP = {
    "id": "step_1",
    "object": "thread.run.step",
    "type": "message_creation",
    "thread_id": "thread_1",
    "run_id": "run_1",
    "status": "completed",
    "created_at": 1,
    "step_details": {"type": "message_creation", "message_creation": {"message_id": "msg_1"}},
}


def streamed(*pieces: bytes | Exception) -> httpx.Response:
    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Pieces(*pieces))


def listed(*items: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"object": "list", "data": list(items), "has_more": False})


def requires_action(*calls: tuple[str, str, str]) -> bytes:
    return frame("thread.run.requires_action", asks(*calls).json())


async def read(stream: Any) -> list[StreamEvent]:
    async with stream as events:
        return [event async for event in events]


def names(events: list[StreamEvent]) -> list[str]:
    return [str(event.event) + (" (made)" if event.synthetic else "") for event in events]


def handler(network: Network) -> tuple[Any, list[tuple[str, Any]]]:
    """A handler of the right kind, and what it was told."""
    told: list[tuple[str, Any]] = []

    def note(name: str) -> Any:
        def blocking(self: Any, data: Any = None) -> None:
            told.append((name, data))

        async def other(self: Any, data: Any = None) -> None:
            told.append((name, data))

        return blocking if network.blocking else other

    base: type[Any] = AgentEventHandler if network.blocking else AsyncAgentEventHandler
    methods = {name: note(name) for name in vars(base) if name.startswith("on_")}
    return type("Noting", (base,), methods)(), told


async def test_handler_is_told_of_each_event_by_its_kind(network: Network) -> None:
    step_delta = {"id": "step_1", "object": "thread.run.step.delta", "delta": {}}
    network.answers = [
        streamed(
            CREATED,
            frame("thread.run.step.created", STEP),
            frame("thread.run.step.delta", step_delta),
            frame("thread.message.created", MESSAGE),
            DELTA,
            frame("thread.created", {"id": "thread_1", "object": "thread", "created_at": 1}),
            frame("x.new", {"a": 1}),
            COMPLETED,
            DONE,
        )
    ]
    noting, told = handler(network)
    async with network.client().runs.stream("thread_1", assistant_id="a", event_handler=noting) as stream:
        done = await stream.until_done()
    assert done.status == "completed"
    assert [name for name, _ in told] == [
        "on_thread_run",
        "on_run_step",
        "on_run_step_delta",
        "on_thread_message",
        "on_message_delta",
        "on_unhandled_event",
        "on_unhandled_event",
        "on_thread_run",
        "on_done",
    ]
    assert told[4][1].text == "Hi"
    assert told[6][1].event == "x.new"


async def test_end_without_an_answer_is_raised_at_the_end_of_a_stream(network: Network) -> None:
    failed = {**RUN, "status": "failed", "last_error": {"code": "rate_limit_exceeded", "message": "Sorry"}}
    network.answers = [streamed(CREATED, frame("thread.run.failed", failed), DONE)]
    runs = network.client().runs
    async with runs.stream("thread_1", assistant_id="a") as stream:
        with pytest.raises(RunThrottledError):
            await stream.until_done()


async def test_error_event_is_told_and_raised(network: Network) -> None:
    network.answers = [streamed(CREATED, frame("error", {"error": {"code": "x", "message": "no"}}))]
    noting, told = handler(network)
    with pytest.raises(RunFailedError) as caught:
        await read(network.client().runs.stream("thread_1", assistant_id="a", event_handler=noting))
    assert told[-1] == ("on_error", caught.value)


async def test_handler_of_the_other_client_is_refused(network: Network) -> None:
    other: Any = AsyncAgentEventHandler() if network.blocking else AgentEventHandler()
    with pytest.raises(TypeError, match="this client takes an"):
        network.client().runs.stream("thread_1", assistant_id="a", event_handler=other)
    assert network.requests == []


async def test_what_a_handler_raises_ends_the_stream(network: Network) -> None:
    class Blocking(AgentEventHandler):
        def on_thread_run(self, run: Any) -> None:
            raise LookupError("mine")

    class Other(AsyncAgentEventHandler):
        async def on_thread_run(self, run: Any) -> None:
            raise LookupError("mine")

    body = Pieces(CREATED, COMPLETED, DONE)
    network.answers = [httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=body)]
    noting: Any = Blocking() if network.blocking else Other()
    with pytest.raises(LookupError, match="mine"):
        await read(network.client().runs.stream("thread_1", assistant_id="a", event_handler=noting))
    assert body.closed


async def test_functions_within_a_stream_are_called_and_it_goes_on(network: Network) -> None:
    tools = Tools()
    network.answers = [
        streamed(CREATED, requires_action(("call_1", "look", "1"), ("call_2", "fail", "")), DONE),
        streamed(frame("thread.run.queued", RUN), requires_action(("call_3", "look", "3")), DONE),
        streamed(frame("thread.run.in_progress", RUN), COMPLETED, DONE),
    ]
    events = await read(network.client().runs.stream_thread_and_run(assistant_id="a", toolset=tools))
    assert names(events) == [
        "thread.run.created",
        "thread.run.requires_action",
        "thread.run.queued",
        "thread.run.requires_action",
        "thread.run.in_progress",
        "thread.run.completed",
        "done",
    ]
    first, second, third = (json.loads(request.content) for request in network.requests)
    assert first["tools"] == Tools.definitions
    assert [output["tool_call_id"] for output in second["tool_outputs"]] == ["call_1", "call_2"]
    assert json.loads(second["tool_outputs"][1]["output"])["error"]["type"] == "LookupError"
    assert second["stream"] is True
    assert third["tool_outputs"] == [{"tool_call_id": "call_3", "output": "look: 3"}]


async def test_without_a_toolset_a_stream_ends_at_the_question(network: Network) -> None:
    network.answers = [streamed(CREATED, requires_action(("call_1", "look", "")), DONE)]
    events = await read(network.client().runs.stream("thread_1", assistant_id="a"))
    assert names(events)[-2:] == ["thread.run.requires_action", "done"]


async def test_broken_stream_is_followed_by_reading_the_run(network: Network) -> None:
    network.answers = [
        streamed(CREATED, DELTA, httpx.ReadError("reset")),
        run("in_progress"),
        run("completed"),
        listed(STEP),
        listed(MESSAGE, {**MESSAGE, "id": "msg_0", "role": "user"}),
    ]
    noting, told = handler(network)
    events = await read(network.client().runs.stream("thread_1", assistant_id="a", event_handler=noting))
    assert names(events) == [
        "thread.run.created",
        "thread.message.delta",
        "thread.run.in_progress (made)",
        "thread.run.step.completed (made)",
        "thread.message.completed (made)",
        "thread.run.completed (made)",
        "done (made)",
    ]
    assert [data.text for name, data in told if name == "on_thread_message"] == ["Hi there"]


async def test_what_was_seen_before_the_break_does_not_come_again(network: Network) -> None:
    network.answers = [
        streamed(
            CREATED,
            frame("thread.run.step.completed", STEP),
            frame("thread.message.completed", MESSAGE),
            COMPLETED,
        ),
        run("completed"),
        listed(STEP),
        listed(MESSAGE),
    ]
    events = await read(network.client().runs.stream("thread_1", assistant_id="a", resume=True))
    assert names(events)[-2:] == ["thread.run.completed", "done (made)"]


async def test_stream_that_breaks_at_the_question_is_answered_all_the_same(network: Network) -> None:
    tools = Tools()
    network.answers = [
        streamed(CREATED, httpx.ReadError("reset")),
        asks(("call_1", "look", "")),
        listed(),
        listed(),
        streamed(frame("thread.run.in_progress", RUN), COMPLETED, DONE),
    ]
    events = await read(network.client().runs.stream("thread_1", assistant_id="a", toolset=tools))
    assert names(events) == [
        "thread.run.created",
        "thread.run.requires_action (made)",
        "thread.run.in_progress",
        "thread.run.completed",
        "done",
    ]
    assert len(tools.calls) == 1


@pytest.mark.parametrize("there", [True, False])
async def test_lost_answer_to_outputs_within_a_stream(network: Network, there: bool) -> None:
    question = asks(("call_1", "look", ""))
    tools = Tools()
    network.answers = [
        streamed(CREATED, requires_action(("call_1", "look", "")), DONE),
        httpx.ReadTimeout("slow"),
    ]
    if there:
        network.answers += [run("in_progress"), run("completed"), listed(STEP), listed(MESSAGE)]
    else:
        network.answers += [question, streamed(frame("thread.run.queued", RUN), COMPLETED, DONE)]
    events = await read(network.client().runs.stream("thread_1", assistant_id="a", toolset=tools))
    assert names(events)[-1] == ("done (made)" if there else "done")
    assert sum(name.startswith("thread.run.completed") for name in names(events)) == 1
    assert len(tools.calls) == 1


async def test_break_is_raised_where_it_is_not_resumed(network: Network) -> None:
    network.answers = [streamed(CREATED, httpx.ReadError("reset"))]
    noting, told = handler(network)
    stream = network.client().runs.stream("thread_1", assistant_id="a", event_handler=noting, resume=False)
    with pytest.raises(StreamBrokenError, match="run_1") as caught:
        await read(stream)
    assert told[-1] == ("on_error", caught.value)
    assert len(network.requests) == 1


async def test_break_before_the_run_is_known_is_raised(network: Network) -> None:
    network.answers = [streamed(httpx.ReadError("reset"))]
    with pytest.raises(StreamBrokenError, match="whose id had not been seen"):
        await read(network.client().runs.stream("thread_1", assistant_id="a", resume=True))


async def test_service_that_is_gone_while_a_run_is_read_is_an_error(network: Network) -> None:
    network.answers = [streamed(CREATED, httpx.ReadError("reset")), httpx.ConnectError("refused")]
    with pytest.raises(TransportError) as caught:
        await read(network.client().runs.stream("thread_1", assistant_id="a", resume=True))
    assert isinstance(caught.value, AgentTasksError)
    assert sent(network)[1] == ("GET", "/threads/thread_1/runs/run_1")


async def test_stream_cut_anywhere_has_the_same_outcome(network: Network) -> None:
    whole = CREATED + DELTA + frame("thread.message.completed", MESSAGE) + COMPLETED + DONE
    for cut in range(len(CREATED), len(whole) + 1, 23):
        later = [run("in_progress"), run("completed"), listed(), listed(MESSAGE)]
        if cut >= len(whole) - len(DONE):
            later = later[1:]  # the end of the run had been seen
        network.answers = [streamed(whole[:cut], httpx.ReadError("reset")), *later]
        events = await read(network.client().runs.stream("thread_1", assistant_id="a", resume=True))
        plain = [str(event.event) for event in events]
        assert plain[-2:] == ["thread.run.completed", "done"], cut
        assert plain.count("thread.message.completed") == 1, cut
        assert plain.count("thread.run.completed") == 1, cut
