"""A client whose network is a function of the test, and whose waits are written down instead of waited."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from agent_tasks.client import AsyncAgentsClient, RetryPolicy
from agent_tasks.client._async import _runtime

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


@dataclass
class Network:
    """Answers in turn; the last one stays. Keeps the requests."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def client(
        self, credential: Any = None, *, endpoint: str = ENDPOINT, **options: Any
    ) -> AsyncAgentsClient:
        options.setdefault("retry", RetryPolicy(attempts=4))
        return AsyncAgentsClient(endpoint, credential, transport=httpx.MockTransport(self), **options)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were asked to wait; nothing waits really."""
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(_runtime, "async_sleep", note)
    return waited
