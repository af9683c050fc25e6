"""Trace context on requests, and the hook for those who watch operations."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from agent_tasks.client import OperationObserver, StreamEvent, set_instrumentation
from agent_tasks.client._operations import operation_name, operation_names
from agent_tasks.errors import NotFoundError
from tests.client.conftest import AGENT, ENDPOINT, RUN, Network
from tests.client.test_operations import OPERATIONS
from tests.client.test_streams import COMPLETED, CREATED, DONE, frame


class Watcher:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def operation(
        self, name: str, path: str, body: Mapping[str, Any] | None, endpoint: str
    ) -> AbstractContextManager[OperationObserver]:
        told = self.told

        class Observer(OperationObserver):
            def answered(self, body: Mapping[str, Any]) -> None:
                told.append(("answered", body.get("id")))

            def event(self, event: StreamEvent) -> None:
                told.append(("event", event.event))

        @contextmanager
        def watching() -> Iterator[OperationObserver]:
            told.append((name, path, endpoint))
            try:
                yield Observer()
            except Exception as error:
                told.append(type(error))
                raise
            finally:
                told.append("left")

        return watching()


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    watching = Watcher()
    set_instrumentation(watching)
    yield watching
    set_instrumentation(None)


async def test_operation_is_watched_with_all_its_tries(network: Network, watcher: Watcher) -> None:
    network.answers = [httpx.Response(429), httpx.Response(200, json=AGENT)]
    await network.client().agents.get("asst_1")
    assert watcher.told == [("agents.get", "/assistants/asst_1", ENDPOINT), ("answered", "asst_1"), "left"]


async def test_error_is_seen(network: Network, watcher: Watcher) -> None:
    network.answers = [httpx.Response(404)]
    with pytest.raises(NotFoundError):
        await network.client().agents.delete("asst_1")
    assert watcher.told[1:] == [NotFoundError, "left"]


async def test_who_watches_is_told_of_what_the_reader_passes_over(network: Network, watcher: Watcher) -> None:
    body = CREATED + frame("thread.run.queued", RUN) + COMPLETED + DONE
    network.answers = [httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=body)]
    stream = network.client().runs.stream_thread_and_run(assistant_id="a", without={"thread.run.queued"})
    async with stream as events:
        assert [event.event async for event in events][-1] == "done"
    assert ("event", "thread.run.queued") in watcher.told


async def test_stream_is_watched_until_it_is_left(network: Network, watcher: Watcher) -> None:
    network.answers = [
        httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=CREATED + COMPLETED + DONE)
    ]
    async with network.client().runs.stream("thread_1", assistant_id="a") as events:
        async for _ in events:
            assert "left" not in watcher.told
    assert [entry[1] for entry in watcher.told[1:-1]] == [
        "thread.run.created",
        "thread.run.completed",
        "done",
    ]
    assert watcher.told[-1] == "left"


async def test_run_that_is_processed_is_one_operation_around_the_others(
    network: Network, watcher: Watcher
) -> None:
    network.answers = [
        httpx.Response(200, json=RUN),
        httpx.Response(200, json={**RUN, "status": "completed"}),
    ]
    await network.client().runs.create_and_process("thread_1", assistant_id="a")
    names = [entry[0] for entry in watcher.told if isinstance(entry, tuple)]
    assert names == ["runs.create_and_process", "runs.create", "answered", "runs.get", "answered", "answered"]


async def test_trace_context_goes_with_every_request(network: Network) -> None:
    network.answers = [httpx.Response(200, json=AGENT)]
    client = network.client()
    await client.agents.get("asst_1")
    span = NonRecordingSpan(SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=TraceFlags(1)))
    with trace.use_span(span):
        await client.agents.get("asst_1")
    without, with_span = (request.headers.get("traceparent") for request in network.requests)
    assert without is None
    assert with_span == f"00-{0xA1:032x}-{0xB2:016x}-01"


def test_every_operation_has_the_name_of_its_method() -> None:
    names = {operation_name(method, path) for method, path, *_ in OPERATIONS} | {"files.get_content"}
    assert operation_name("GET", "/files/assistant-1/content") == "files.get_content"
    assert names == set(operation_names())
    assert len(operation_names()) == 42
    with pytest.raises(LookupError):
        operation_name("PUT", "/threads")
