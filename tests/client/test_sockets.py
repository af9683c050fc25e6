"""Over real sockets: what a connection can do to a request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agent_tasks.client import AsyncAgentsClient, RetryPolicy, Timeouts
from agent_tasks.errors import StreamBrokenError, TransportError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CREATED = (
    b"event: thread.run.created\n"
    b'data: {"id":"run_1","thread_id":"thread_1","assistant_id":"a","status":"queued","created_at":1}\n\n'
)
DONE = b"event: done\ndata: [DONE]\n\n"
Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@asynccontextmanager
async def service(behave: Behaviour) -> AsyncIterator[tuple[AsyncAgentsClient, list[bytes]]]:
    """A server that reads a request, behaves, and closes the connection; with the requests that it read."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        await behave(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = AsyncAgentsClient(
        f"http://127.0.0.1:{port}/api/projects/p",
        None,
        timeout=Timeouts(stream_idle=0.2),
        retry=RetryPolicy(attempts=3),
    )
    async with server, client:
        yield client, requests


async def hang_up(_: asyncio.StreamWriter) -> None:
    pass


async def test_connection_closed_without_an_answer(waits: list[float]) -> None:
    async with service(hang_up) as (client, requests):
        with pytest.raises(TransportError) as caught:
            await client.threads.create()
        assert caught.value.outcome_unknown
        assert len(requests) == 1
        with pytest.raises(TransportError) as caught:
            await client.threads.get("thread_1")
        assert not caught.value.outcome_unknown
        assert len(requests) == 4


async def test_nobody_listens(waits: list[float]) -> None:
    async with service(hang_up) as (client, _):
        pass
    async with AsyncAgentsClient(client.endpoint, None, retry=RetryPolicy(attempts=3)) as client:
        with pytest.raises(TransportError, match="PROJECT_ENDPOINT") as caught:
            await client.threads.create()
    assert not caught.value.outcome_unknown
    assert len(waits) == 2


async def test_whole_stream() -> None:
    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(CREATED[:30]) + chunk(CREATED[30:] + DONE) + chunk(b""))
        await writer.drain()

    async with service(stream) as (client, _), client.runs.stream("thread_1", assistant_id="a") as events:
        assert [event.event async for event in events] == ["thread.run.created", "done"]


async def test_stream_cut_off() -> None:
    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(CREATED))
        await writer.drain()

    async with service(stream) as (client, _), client.runs.stream("thread_1", assistant_id="a") as events:
        with pytest.raises(StreamBrokenError) as caught:
            _ = [event async for event in events]
        assert caught.value.run_id == "run_1"


async def test_silent_stream_counts_as_broken() -> None:
    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(CREATED))
        await writer.drain()
        await asyncio.sleep(1)

    async with service(stream) as (client, _), client.runs.stream("thread_1", assistant_id="a") as events:
        assert (await anext(events)).event == "thread.run.created"
        async with asyncio.timeout(0.8):
            with pytest.raises(StreamBrokenError) as caught:
                await anext(events)
        assert caught.value.run_id == "run_1"
