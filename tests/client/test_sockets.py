"""Over real sockets: what a connection can do to a request."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from agent_tasks.client import AgentsClient, AsyncAgentsClient, AsyncResponsesClient, RetryPolicy, Timeouts
from agent_tasks.errors import InvalidAnswerError, StreamBrokenError, TransportError
from tests.client.both import as_async

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


COMPLETED = (
    b"event: thread.run.completed\n"
    b'data: {"id":"run_1","thread_id":"thread_1","assistant_id":"a","status":"completed","created_at":1}\n\n'
)


class KeepingAlive:
    """A server that answers each request with a stream, on connections that it counts and keeps open.

    Args:
        after: what comes after the last event, and when: seconds, and bytes; no bytes: the stream never ends.
    """

    def __init__(self, after: tuple[float, bytes] = (0.0, chunk(b""))) -> None:
        self.connections = 0
        self._after = after

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                await reader.readexactly(int(length))
                writer.write(HEAD + chunk(CREATED) + chunk(COMPLETED) + chunk(DONE))
                await asyncio.sleep(self._after[0])
                writer.write(self._after[1])
        writer.close()

    @asynccontextmanager
    async def client(self, kind: str) -> AsyncIterator[Any]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/projects/p"
        made = AsyncAgentsClient(address, None) if kind == "async" else as_async(AgentsClient(address, None))
        async with server, made as client:
            yield client


@pytest.fixture(params=["async", "blocking"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("last", ["thread.run.completed", "done"])
async def test_turns_go_over_one_connection(kind: str, last: str) -> None:
    """Also where nobody waits for `done`, or for what follows it."""
    server = KeepingAlive(after=(0.01, chunk(b"") if last == "done" else chunk(b": bye\n\n") + chunk(b"")))
    async with server.client(kind) as client:
        for _ in range(10):
            async with client.runs.stream("thread_1", assistant_id="a") as events:
                async for event in events:
                    if event.event == last:
                        break
    assert server.connections == 1


async def test_turns_read_to_their_end_go_over_one_connection(kind: str) -> None:
    server = KeepingAlive()
    async with server.client(kind) as client:
        for _ in range(10):
            async with client.runs.stream("thread_1", assistant_id="a") as events:
                assert [event.event async for event in events][-1] == "done"
    assert server.connections == 1


async def test_responses_go_over_one_connection() -> None:
    event = b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r"}}\n\n'
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                await reader.readexactly(int(length))
                unread = b"event: response.in_progress\ndata: this is no JSON\n\n"
                writer.write(HEAD + chunk(unread) + chunk(event) + chunk(b""))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server, AsyncResponsesClient(address, None) as client:
        for _ in range(5):
            async with client.stream("POST", "/responses", body={}, only={"response.created"}) as events:
                assert [one["type"] async for one in events] == ["response.completed"]
    assert connections == 1


async def test_many_at_once_have_a_connection_each_and_few_go_over_one(kind: str) -> None:
    """Also beyond what is under way at the same time at most, and after requests that failed."""
    server = KeepingAlive(after=(0.02, chunk(b"")))

    async def turn(client: Any) -> None:
        async with client.runs.stream("thread_1", assistant_id="a") as events:
            _ = [event async for event in events]

    async with server.client(kind) as client:
        await asyncio.gather(*(turn(client) for _ in range(10)))
        many = server.connections
        # Those of the blocking client wait in the few threads that the others need.
        await asyncio.gather(*(turn(client) for _ in range(250 if kind == "async" else 50)))
        server.connections = 0
        for _ in range(5):
            await turn(client)
    assert 2 <= many <= 10
    assert server.connections == 0


async def test_a_stream_that_is_left_in_the_middle_costs_its_connection(kind: str) -> None:
    server = KeepingAlive(after=(0.2, chunk(b"")))
    async with server.client(kind) as client:
        for _ in range(2):
            async with client.runs.stream("thread_1", assistant_id="a") as events:
                assert (await anext(events)).event == "thread.run.created"
    assert server.connections == 2


@pytest.mark.parametrize("after", [(0.0, b""), (0.0, chunk(b": " + b"x" * 100_000 + b"\n\n"))])
async def test_what_follows_the_last_event_is_read_for_a_moment_only(
    kind: str, after: tuple[float, bytes]
) -> None:
    server = KeepingAlive(after)
    begun = time.monotonic()
    async with server.client(kind) as client:
        for _ in range(2):
            async with client.runs.stream("thread_1", assistant_id="a") as events:
                _ = [event async for event in events]
    assert server.connections == 2
    assert time.monotonic() - begun < 5


async def test_a_deletion_that_meets_a_closing_connection_is_not_sent_again_by_itself() -> None:
    """What is sent again is the client's to decide, by its policy and through the gate."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            answer = b'{"id":"thread_1","object":"thread.deleted","deleted":true}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(f"Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
            heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/projects/p"
    async with server, AsyncAgentsClient(address, None, retry=RetryPolicy(attempts=1)) as client:
        await client.threads.delete("thread_1")
        with pytest.raises(TransportError, match="got no complete answer") as caught:
            await client.threads.delete("thread_1")
    assert caught.value.outcome_unknown
    assert len(heads) == 2


async def test_a_redirect_and_a_packed_answer_are_what_they_are_on_the_wire() -> None:
    """Neither followed nor unpacked by what carries them; the client refuses one and bounds the other."""
    packed = gzip.compress(b'{"id":"thread_1","object":"thread","created_at":1,"metadata":{}}')
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        + f"Content-Length: {len(packed)}\r\n\r\n".encode()
        + packed,
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    ]

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))
        await writer.drain()

    async with service(answer) as (client, requests):
        assert (await client.threads.get("thread_1")).id == "thread_1"
        with pytest.raises(InvalidAnswerError, match="redirected"):
            await client.threads.get("thread_1")
    assert len(requests) == 2
