"""A workspace over the local service, and a way to lose answers on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from agent_tasks.backend.agents import AgentsBackend
from agent_tasks.client import AsyncAgentsClient
from agent_tasks.journal import Journal
from agent_tasks.operations import Workspace
from tests.support.service import RunningService


class LossyTransport(httpx.AsyncBaseTransport):
    """Real HTTP that can lose answers: the service acts, the client hears nothing.

    `lose` holds (method, end of path) pairs; each loses one answer. `cut` holds pairs whose streamed answer
    ends after the given number of bytes.
    """

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.lose: list[tuple[str, str]] = []
        self.cut: list[tuple[str, str, int]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        for fault in self.lose:
            if request.method == fault[0] and request.url.path.endswith(fault[1]):
                self.lose.remove(fault)
                await response.aread()
                await response.aclose()
                raise httpx.ReadError("the answer was lost", request=request)
        for cut in self.cut:
            if request.method == cut[0] and request.url.path.endswith(cut[1]):
                self.cut.remove(cut)
                return httpx.Response(
                    response.status_code,
                    headers=response.headers,
                    stream=_Cut(response, cut[2]),
                    request=request,
                )
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Cut(httpx.AsyncByteStream):
    def __init__(self, response: httpx.Response, limit: int) -> None:
        self._response = response
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._limit
        async for piece in self._response.aiter_raw():
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                raise httpx.ReadError("the connection broke")

    async def aclose(self) -> None:
        await self._response.aclose()


OpenWorkspace = Callable[..., AbstractAsyncContextManager[Workspace]]


@pytest.fixture
def transport() -> LossyTransport:
    return LossyTransport()


@pytest.fixture
def open_workspace(tmp_path: Path, transport: LossyTransport) -> OpenWorkspace:
    """`async with open_workspace(running_service) as ws`: the same journal each time."""

    @asynccontextmanager
    async def open_(running: RunningService) -> AsyncIterator[Workspace]:
        async with (
            AsyncAgentsClient(running.endpoint, None, transport=transport) as client,
            Journal(f"sqlite+aiosqlite:///{tmp_path}/journal.db") as journal,
        ):
            yield Workspace(AgentsBackend(client), journal, scope="test")

    return open_
