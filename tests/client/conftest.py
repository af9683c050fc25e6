"""A client whose network is a function of the test, and whose waits are written down instead of waited."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from agent_tasks.client import AgentsClient, AsyncAgentsClient, RetryPolicy
from agent_tasks.client._async import _runtime
from agent_tasks.client._sync import _runtime as _blocking_runtime
from tests.client.both import as_async

ENDPOINT = "http://127.0.0.1:1/api/projects/local"
AGENT = {"id": "asst_1", "object": "assistant", "created_at": 1, "model": "m", "tools": []}
RUN = {
    "id": "run_1",
    "object": "thread.run",
    "thread_id": "thread_1",
    "assistant_id": "asst_1",
    "status": "queued",
    "created_at": 1,
}

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Pieces(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body in pieces, for both clients; an exception among them is raised. Notes whether it was closed."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class Network:
    """Answers in turn; the last one stays. Keeps the requests."""

    blocking: bool = False
    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self.answer(request)

    def answer_blocking(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self.answer(request)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer(request)
        if isinstance(answer.stream, Pieces):
            return answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def client(
        self, credential: Any = None, *, endpoint: str = ENDPOINT, **options: Any
    ) -> AsyncAgentsClient:
        options.setdefault("retry", RetryPolicy(attempts=4))
        if self.blocking:
            transport = httpx.MockTransport(self.answer_blocking)
            # Typed as the other one, whose interface it has.
            blocking: Any = as_async(AgentsClient(endpoint, credential, transport=transport, **options))
            return blocking  # type: ignore[no-any-return]
        return AsyncAgentsClient(endpoint, credential, transport=httpx.MockTransport(self), **options)


@pytest.fixture(params=["async", "blocking"])
def network(request: pytest.FixtureRequest) -> Network:
    return Network(blocking=request.param == "blocking")


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were asked to wait; nothing waits really."""
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(_runtime, "async_sleep", note)
    monkeypatch.setattr(_blocking_runtime, "sleep", waited.append)
    return waited
