"""Streams of a run: typed, and never quietly cut short."""

import json
from typing import Any

import httpx
import pytest

from agent_tasks.client import AsyncRunStream, Timeouts
from agent_tasks.errors import (
    BadRequestError,
    InvalidAnswerError,
    RunFailedError,
    RunServerError,
    RunThrottledError,
    StreamBrokenError,
)
from agent_tasks.wire import MessageDeltaChunk, StreamEvent, ThreadRun, WireModel
from tests.client.conftest import RUN, Network, Pieces

MESSAGE_DELTA = {
    "id": "msg_1",
    "object": "thread.message.delta",
    "delta": {"content": [{"index": 0, "type": "text", "text": {"value": "Hi"}}]},
}


def frame(event: str, data: Any) -> bytes:
    return f"event: {event}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


CREATED = frame("thread.run.created", RUN)
DELTA = frame("thread.message.delta", MESSAGE_DELTA)
COMPLETED = frame("thread.run.completed", {**RUN, "status": "completed"})
DONE = frame("done", "[DONE]")


def stream_of(network: Network, *pieces: bytes | Exception) -> tuple[AsyncRunStream, Pieces]:
    body = Pieces(*pieces)
    network.answers = [
        lambda _: httpx.Response(
            200, headers={"Content-Type": "text/event-stream; charset=utf-8"}, stream=body
        )
    ]
    return network.client().runs.stream_thread_and_run(assistant_id="asst_1"), body


async def read(stream: AsyncRunStream) -> list[StreamEvent]:
    async with stream as events:
        return [event async for event in events]


async def test_events_are_typed_and_end_with_done(network: Network) -> None:
    stream, body = stream_of(
        network, CREATED + DELTA[:10], DELTA[10:], frame("x.new", {"a": 1}), COMPLETED, DONE
    )
    events = await read(stream)
    assert [event.event for event in events] == [
        "thread.run.created",
        "thread.message.delta",
        "x.new",
        "thread.run.completed",
        "done",
    ]
    assert isinstance(events[0].data, ThreadRun)
    assert isinstance(events[1].data, MessageDeltaChunk)
    assert type(events[2].data) is WireModel
    assert events[-1].data == "[DONE]"
    assert (stream.thread_id, stream.run_id) == ("thread_1", "run_1")
    assert body.closed
    assert json.loads(network.requests[0].content) == {"assistant_id": "asst_1", "stream": True}
    assert network.requests[0].headers["accept"] == "text/event-stream"


@pytest.mark.parametrize(
    "end", [httpx.ReadError("reset"), httpx.ReadTimeout("silent"), httpx.RemoteProtocolError("cut"), b""]
)
async def test_stream_without_done_is_broken_and_names_the_run(
    network: Network, end: bytes | Exception
) -> None:
    stream, body = stream_of(network, CREATED, DELTA, end)
    await stream.__aenter__()
    assert (await anext(stream)).event == "thread.run.created"
    assert (await anext(stream)).event == "thread.message.delta"
    with pytest.raises(StreamBrokenError, match="run_1") as caught:
        await anext(stream)
    await stream.__aexit__(None, None, None)
    assert (caught.value.run_id, caught.value.thread_id) == ("run_1", "thread_1")
    assert caught.value.outcome_unknown
    assert body.closed
    assert len(network.requests) == 1


async def test_stream_that_breaks_before_its_first_event_names_no_run(network: Network) -> None:
    stream, _ = stream_of(network)
    with pytest.raises(StreamBrokenError) as caught:
        await read(stream)
    assert caught.value.run_id is None
    assert caught.value.outcome_unknown


async def test_event_cut_in_the_middle_is_not_given(network: Network) -> None:
    stream, _ = stream_of(network, CREATED, COMPLETED[:-1])
    with pytest.raises(StreamBrokenError):
        await read(stream)


@pytest.mark.parametrize("bad", [frame("thread.run.completed", "{oops"), frame("thread.run.completed", "[]")])
async def test_event_that_cannot_be_read_breaks_the_stream(network: Network, bad: bytes) -> None:
    stream, _ = stream_of(network, CREATED, bad, DONE)
    with pytest.raises(StreamBrokenError, match=r"thread\.run\.completed") as caught:
        await read(stream)
    assert caught.value.run_id == "run_1"


@pytest.mark.parametrize(
    ("code", "message", "kind", "wait"),
    [
        ("rate_limit_exceeded", "Rate limit is exceeded. Try again in 22 seconds.", RunThrottledError, 22),
        ("server_error", "Sorry, something went wrong.", RunServerError, None),
        ("invalid_engine_error", "no", RunFailedError, None),
    ],
)
async def test_error_event_is_raised(
    network: Network, code: str, message: str, kind: type[RunFailedError], wait: float | None
) -> None:
    stream, _ = stream_of(
        network, CREATED, frame("error", {"error": {"code": code, "message": message}}), DONE
    )
    with pytest.raises(RunFailedError) as caught:
        await read(stream)
    assert type(caught.value) is kind
    assert (caught.value.run_id, caught.value.code, caught.value.retry_after) == ("run_1", code, wait)


async def test_refusal_is_raised_on_entering(network: Network) -> None:
    network.answers = [
        httpx.Response(400, json={"error": {"message": "Thread x already has an active run y."}})
    ]
    with pytest.raises(BadRequestError, match="active run"):
        await network.client().runs.stream("thread_1", assistant_id="a").__aenter__()


async def test_throttled_start_is_tried_again(network: Network) -> None:
    body = Pieces(CREATED, DONE)
    network.answers = [
        httpx.Response(429, headers={"Retry-After": "1"}),
        httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=body),
    ]
    assert len(await read(network.client().runs.stream("thread_1", assistant_id="a"))) == 2


async def test_answer_that_is_no_stream_is_refused(network: Network) -> None:
    network.answers = [httpx.Response(200, json=RUN)]
    with pytest.raises(InvalidAnswerError, match="application/json") as caught:
        await read(network.client().runs.stream("thread_1", assistant_id="a"))
    assert caught.value.outcome_unknown


async def test_leaving_early_closes_the_connection(network: Network) -> None:
    stream, body = stream_of(network, CREATED, DELTA, DONE)
    async with stream as events:
        async for _ in events:
            break
    assert body.closed


async def test_streams_have_their_own_idle_limit(network: Network) -> None:
    seen: dict[str, Any] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        seen.update(request.extensions["timeout"])
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=DONE)

    network.answers = [answer]
    await read(network.client(timeout=Timeouts(read=1, stream_idle=77)).runs.stream("t", assistant_id="a"))
    assert seen["read"] == 77


async def test_stream_is_read_inside_its_context(network: Network) -> None:
    stream, _ = stream_of(network, DONE)
    with pytest.raises(RuntimeError, match="enter the stream first"):
        await anext(stream)
    await read(stream)
    with pytest.raises(RuntimeError, match="once"):
        await stream.__aenter__()


async def test_outputs_can_be_streamed(network: Network) -> None:
    network.answers = [
        httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=COMPLETED + DONE)
    ]
    stream = network.client().runs.submit_tool_outputs_stream(
        "thread_1", "run_1", [{"tool_call_id": "c", "output": "o"}]
    )
    assert len(await read(stream)) == 2
    assert network.requests[0].url.path.endswith("/threads/thread_1/runs/run_1/submit_tool_outputs")
    assert json.loads(network.requests[0].content) == {
        "stream": True,
        "tool_outputs": [{"tool_call_id": "c", "output": "o"}],
    }


async def test_events_can_be_passed_over_unread(network: Network) -> None:
    unread = frame("thread.run.queued", "no JSON")
    body = Pieces(CREATED + unread + DELTA, COMPLETED + DONE)
    network.answers = [
        lambda _: httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=body)
    ]
    stream = network.client().runs.stream_thread_and_run(assistant_id="asst_1", without={"thread.run.queued"})
    assert [event.event for event in await read(stream)] == [
        "thread.run.created",
        "thread.message.delta",
        "thread.run.completed",
        "done",
    ]
    assert "without" not in json.loads(network.requests[0].content)


@pytest.mark.parametrize(
    "name",
    [
        "done",
        "error",
        "thread.run.created",
        "thread.run.requires_action",
        "thread.run.completed",
        "thread.run.failed",
    ],
)
def test_events_that_a_stream_lives_by_cannot_be_passed_over(network: Network, name: str) -> None:
    """Without them a failure would be silent, a function never called, a whole stream taken for broken."""
    runs = network.client().runs
    with pytest.raises(ValueError, match=rf"without: {name} "):
        runs.stream_thread_and_run(assistant_id="asst_1", without={name, "thread.run.queued"})
    assert network.requests == []


def test_one_name_alone_is_not_taken_for_letters(network: Network) -> None:
    with pytest.raises(ValueError, match=r"without: .* several names"):
        network.client().runs.stream("thread_1", assistant_id="asst_1", without="thread.run.queued")
